"""Schedules give the published numbers, predictions convert back and forth, noise depends on seed and frame only."""

from __future__ import annotations

import math

import pytest
import torch

from understudy.diffusion import noise as N
from understudy.errors import BadOption

SCHEDULES = [N.STABLE_DIFFUSION, N.X_NEMO, N.Cosine(), N.Sigmoid(), N.Linear(first=1e-4, last=0.02), N.RectifiedFlow()]


@pytest.mark.parametrize(
    ("schedule", "step", "alpha_bar", "digits"),
    [
        (N.STABLE_DIFFUSION, 0, 0.99915, 5),
        (N.STABLE_DIFFUSION, 1, 0.998296, 6),
        (N.STABLE_DIFFUSION, 34, 0.967881, 6),
        (N.STABLE_DIFFUSION, 499, 0.27767, 5),
        (N.STABLE_DIFFUSION, 958, 0.007535, 6),
        (N.STABLE_DIFFUSION, 991, 0.00513, 5),
        (N.STABLE_DIFFUSION, 999, 0.00466, 5),
        (N.X_NEMO, 0, 0.99915, 5),
        (N.X_NEMO, 1, 0.9983, 4),
        (N.X_NEMO, 29, 0.9719, 4),
        (N.X_NEMO, 477, 0.1989, 4),
        (N.X_NEMO, 499, 0.1701, 4),
        (N.X_NEMO, 925, 9.413e-4, 7),
        (N.X_NEMO, 953, 5.636e-4, 7),
        (N.X_NEMO, 999, 2.300e-4, 7),
    ],
)
def test_published_alpha_bars(schedule: N.ScaledLinear, step: int, alpha_bar: float, digits: int) -> None:
    """The table of the released programs, to all of its digits, from an fp32 level."""
    alpha = schedule.alpha(torch.tensor(schedule.level(step)))
    assert round(float(alpha.double().square()), digits) == alpha_bar
    assert float(alpha) == pytest.approx(math.sqrt(alpha_bar), rel=2e-3)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_ends_and_monotony(schedule: N.Schedule) -> None:
    levels = torch.linspace(0, 1, 4001)
    alpha, sigma = schedule.alpha(levels), schedule.sigma(levels)
    assert alpha[0] == 1 and sigma[0] == 0
    assert (alpha.diff() <= 1e-6).all() and (sigma.diff() >= -1e-6).all()
    if isinstance(schedule, N.VariancePreserving):
        assert (alpha.square() + sigma.square() - 1).abs().max() < 1e-6


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_rates_are_the_slopes(schedule: N.Schedule) -> None:
    """Inside a step of the table, where there is no kink."""
    level = torch.tensor([0.10045, 0.50055, 0.90035], dtype=torch.float64)
    for rate, value in zip(schedule.rates(level), (schedule.alpha, schedule.sigma), strict=True):
        slope = (value(level + 1e-6) - value(level - 1e-6)) / 2e-6
        assert torch.allclose(rate, slope, atol=1e-6)


def test_zero_snr_ends_in_noise_and_leaves_the_beginning() -> None:
    plain = N.STABLE_DIFFUSION
    rescaled = N.ScaledLinear(first=plain.first, last=plain.last, zero_snr=True)
    ends = torch.tensor([plain.level(0), 1.0])
    assert rescaled.alpha(ends)[0] == pytest.approx(float(plain.alpha(ends)[0]), abs=1e-6)
    assert abs(float(rescaled.alpha(ends)[1])) < 1e-7 and rescaled.sigma(ends)[1] == 1


def test_cosine_is_the_published_curve() -> None:
    bars = N.Cosine().alpha_bars()
    begin = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(bars[499]) == pytest.approx(math.cos(0.508 / 1.008 * math.pi / 2) ** 2 / begin, rel=1e-9)
    assert N.Cosine().betas().max() == 0.999


@pytest.mark.parametrize("prediction", ["eps", "v", "x0", "flow"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_predictions_round_trip(schedule: N.Schedule, prediction: N.Prediction) -> None:
    """Clean -> what the network ought to say -> clean, with another level for every frame, bf16 answers included."""
    clean, noise = torch.randn(4, 3, 5, 5), torch.randn(4, 3, 5, 5)
    level = torch.tensor([0.05, 0.3, 0.6, 0.85])
    noisy = N.noised(clean, noise, level, schedule)
    answer = N.target(clean, noise, level, schedule, prediction)
    assert torch.allclose(N.clean_in(answer, noisy, level, schedule, prediction), clean, atol=2e-5)
    assert torch.allclose(N.noise_in(noisy, clean, level, schedule), noise, atol=1e-3)
    assert N.clean_in(answer.bfloat16(), noisy.bfloat16(), level, schedule, prediction).dtype == torch.float32


def test_predictions_agree_with_each_other() -> None:
    """One noisy signal and one truth: all four ways to say it mean the same clean signal, at pure noise too."""
    schedule = N.ScaledLinear(first=0.00085, last=0.012, zero_snr=True)
    clean, noise, level = torch.randn(2, 8), torch.randn(2, 8), torch.tensor([0.4, 1.0])
    noisy = N.noised(clean, noise, level, schedule)
    ways: list[N.Prediction] = ["v", "x0", "flow"]
    for way in ways:
        said = N.target(clean, noise, level, schedule, way)
        assert torch.allclose(N.clean_in(said, noisy, level, schedule, way), clean, atol=1e-5)


def test_eps_from_pure_noise_is_refused() -> None:
    with pytest.raises(BadOption, match="divided by zero"):
        N.denoiser(lambda noisy, level: noisy, N.RectifiedFlow(), "eps")


def test_denoiser_hands_over_the_clean_guess() -> None:
    clean, noise, level = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0.2, 0.5, 0.9])
    denoise = N.denoiser(lambda noisy, level: noise, N.STABLE_DIFFUSION, "eps")
    assert torch.allclose(denoise(N.noised(clean, noise, level, N.STABLE_DIFFUSION), level), clean, atol=1e-4)


def test_noise_is_keyed_by_seed_and_frame() -> None:
    """Chunked, out of order, alone or together: a frame has its noise. Another seed, frame or purpose has another."""
    whole = N.keyed_noise(7, range(10), (2, 4, 4))
    assert torch.equal(torch.cat([N.keyed_noise(7, range(0, 3), (2, 4, 4)), whole[3:]]), whole)
    assert torch.equal(N.keyed_noise(7, [8, 2], (2, 4, 4)), whole[[8, 2]])
    for other in (N.keyed_noise(8, [2], (2, 4, 4)), N.keyed_noise(7, [2], (2, 4, 4), purpose=1), whole[3:4]):
        assert not torch.allclose(other, whole[2:3])
    assert N.keyed_noise(7, [], (2, 4, 4)).shape == (0, 2, 4, 4)


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    drawn = N.keyed_noise(3, range(64), (4, 16, 16)).flatten(1)
    assert abs(float(drawn.mean())) < 0.02 and abs(float(drawn.std()) - 1) < 0.02
    correlation = torch.corrcoef(drawn) - torch.eye(64)
    assert correlation.abs().max() < 6 / math.sqrt(drawn.shape[1])


def test_no_two_frames_share_a_generator() -> None:
    seeds = {N.chance(5, frame).initial_seed() for frame in range(20_000)}
    assert len(seeds) == 20_000
    assert {N.chance(2**32 + 5, 0).initial_seed()} != {N.chance(5, 0).initial_seed()}


def test_noise_that_frames_share_is_the_same_in_all_of_them_and_still_noise() -> None:
    own, half, same = (N.alike_noise(3, range(40, 46), (64, 64), alike) for alike in (0.0, 0.5, 1.0))
    assert torch.equal(own, N.keyed_noise(3, range(40, 46), (64, 64)))
    assert all(torch.equal(frame, same[0]) for frame in same)
    assert abs(float((half[0] * half[1]).mean()) - 0.5) < 0.05
    assert all(abs(float(noise.std()) - 1) < 0.05 for noise in (own, half, same))
    assert torch.equal(half[2:3], N.alike_noise(3, [42], (64, 64), 0.5)), (
        "a frame's noise is its own, whatever is beside it"
    )
