"""Samplers converge at their order, give back the distribution they are told about, and keep published steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from understudy.diffusion import forcing, samplers
from understudy.diffusion.guidance import guided, guided_by_each, once, rescaled
from understudy.diffusion.noise import (
    STABLE_DIFFUSION,
    X_NEMO,
    Cosine,
    Denoise,
    RectifiedFlow,
    Schedule,
    denoiser,
    keyed_noise,
    noised,
)
from understudy.errors import BadOption

MEAN, DEVIATION = 0.7, 0.4
STEPS = 150
FIRST = {"ddim": samplers.ddim, "euler": samplers.euler}
SECOND = {"heun": samplers.heun, "dpm_solver": samplers.dpm_solver}
THIRD = {"unipc": samplers.unipc}
ALL = FIRST | SECOND | THIRD


def ideal(schedule: Schedule, mean: float = MEAN, deviation: float = DEVIATION) -> Denoise:
    """The best possible guess if the clean signal is N(mean, deviation^2): its posterior mean."""

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = schedule.alpha(level)[:, None], schedule.sigma(level)[:, None]
        gain = alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2)
        return mean + gain * (noisy - alpha * mean)

    return denoise


def exact(noisy: Tensor, here: float, there: float, schedule: Schedule) -> Tensor:
    """Where the probability flow of that Gaussian leads: standardised values never change."""

    def moments(at: float) -> tuple[Tensor, Tensor]:
        level = torch.tensor(at, dtype=torch.float64)
        alpha, sigma = schedule.alpha(level), schedule.sigma(level)
        return alpha * MEAN, (alpha**2 * DEVIATION**2 + sigma**2).sqrt()

    (mean, deviation), (later_mean, later_deviation) = moments(here), moments(there)
    return (noisy - mean) / deviation * later_deviation + later_mean


def error(sampler: Callable[..., object], schedule: Schedule, steps: int) -> float:
    """Error at level .15, coming from .9 in equal steps, in fp64."""
    start = torch.linspace(-2, 2, 9, dtype=torch.float64)[None]
    levels = torch.linspace(0.9, 0.15, steps + 1, dtype=torch.float64)
    result = samplers.last(sampler(ideal64(schedule), start, levels, schedule))  # type: ignore[arg-type]
    return float((result - exact(start, 0.9, 0.15, schedule)).abs().max())


def ideal64(schedule: Schedule) -> Denoise:
    plain = ideal(schedule)
    return lambda noisy, level: plain(noisy.double(), level.double())


class Smooth(RectifiedFlow):
    """A schedule without kinks, on which orders can be measured: a quarter circle."""

    def alpha(self, level: Tensor) -> Tensor:
        return (level * torch.pi / 2).cos()

    def sigma(self, level: Tensor) -> Tensor:
        return (level * torch.pi / 2).sin()

    def rates(self, level: Tensor) -> tuple[Tensor, Tensor]:
        turn = torch.pi / 2
        return -turn * self.sigma(level), turn * self.alpha(level)


@pytest.mark.parametrize("schedule", [Smooth(), RectifiedFlow()], ids=["circle", "flow"])
@pytest.mark.parametrize(
    ("name", "factor"), [*[(n, 2) for n in FIRST], *[(n, 4) for n in SECOND], *[(n, 8) for n in THIRD]]
)
def test_order_of_convergence(name: str, factor: int, schedule: Schedule) -> None:
    """Half the step: half the error at first order, a quarter at second, an eighth at third."""
    ratio = error(ALL[name], schedule, 320) / error(ALL[name], schedule, 640)
    assert factor * 0.85 < ratio < factor * 1.25


@pytest.mark.parametrize("schedule", [STABLE_DIFFUSION, X_NEMO, Cosine(), RectifiedFlow()])
@pytest.mark.parametrize("name", [*ALL])
@pytest.mark.parametrize("lag", [0, 1, 7, STEPS])
def test_gaussian_is_given_back_with_any_lag(name: str, lag: int, schedule: Schedule) -> None:
    """Ideal denoiser of a Gaussian, on staircases of every steepness: that Gaussian comes out of every frame."""
    levels = forcing.staircase(3, STEPS, lag)
    start = keyed_noise(1, range(3), (5_000,))
    result = samplers.last(ALL[name](ideal(schedule), start, levels, schedule))
    # The published schedules do not begin in pure noise: SD 1.5 still holds .068 of the signal there.
    bias = 0.02 + MEAN * float(schedule.alpha(torch.ones(()))) * 2
    assert (result.mean(1) - MEAN).abs().max() < bias
    assert (result.std(1) / start.std(1) / DEVIATION - 1).abs().max() < 0.04


def test_lag_changes_nothing_for_frames_that_do_not_know_of_each_other() -> None:
    start = keyed_noise(1, range(5), (7,))
    alone = samplers.last(samplers.ddim(ideal(X_NEMO), start, samplers.even_levels(20), X_NEMO))
    for lag in (1, 6, 20):
        for sampler in (samplers.ddim, samplers.dpm_solver, samplers.unipc):
            whole = samplers.last(sampler(ideal(X_NEMO), start, samplers.even_levels(20), X_NEMO))
            climbed = samplers.last(sampler(ideal(X_NEMO), start, forcing.staircase(5, 20, lag), X_NEMO))
            assert torch.allclose(climbed, whole, atol=1e-5)
    assert not torch.allclose(alone, start)


def test_a_frame_that_waits_is_untouched() -> None:
    start = keyed_noise(1, range(3), (4,))
    for name, sampler in ALL.items():
        states = list(sampler(ideal(X_NEMO), start, forcing.staircase(3, 5, 2), X_NEMO))
        assert torch.equal(states[1][2:], start[2:]), name
        assert torch.equal(states[4][:1], states[-1][:1]), name


def test_flow_makes_ddim_and_euler_one() -> None:
    start, flow = keyed_noise(1, range(2), (50,)), RectifiedFlow()
    by_ddim, by_euler = (
        samplers.last(one(ideal(flow), start, samplers.even_levels(9), flow)) for one in FIRST.values()
    )
    assert torch.allclose(by_ddim, by_euler, atol=1e-5)


def test_unipc_is_dpm_solver_that_is_corrected() -> None:
    """Their first steps are the same. They part after it, and the closer the steps are, the less: by a quarter at half
    the step, as the one is of second order and the other better. The ideal guess of a point needs no correction."""
    start, flow = torch.linspace(-2, 2, 9, dtype=torch.float64)[None], RectifiedFlow()

    def apart(steps: int) -> float:
        levels = torch.linspace(0.9, 0.15, steps + 1, dtype=torch.float64)
        one, other = (
            [*sampler(ideal64(flow), start, levels, flow)] for sampler in (samplers.unipc, samplers.dpm_solver)
        )
        assert torch.equal(one[0], other[0]) and not torch.equal(one[-1], other[-1])
        return float((one[-1] - other[-1]).abs().max())

    assert 3.4 < apart(320) / apart(640) < 4.6
    levels, point = samplers.even_levels(5), torch.full((1, 9), MEAN)
    found = samplers.last(samplers.unipc(lambda noisy, level: point, start.float(), levels, flow))
    assert torch.allclose(found, point)


def test_unipc_is_the_published_one() -> None:
    """As diffusers has it, of order 2, with B = expm1, over answers that bend."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.UniPCMultistepScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", solver_order=2, solver_type="bh2",
        timestep_spacing="trailing", final_sigmas_type="zero", lower_order_final=True,
    )  # fmt: skip
    theirs.set_timesteps(12)
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))

    def answer(noisy: Tensor) -> Tensor:
        return (noisy * 1.3).sin() + 0.2 * noisy

    steps = theirs.timesteps.double()
    levels = torch.cat([(steps + 1) / 1000, torch.zeros(1, dtype=torch.float64)]).float()
    denoise = denoiser(lambda noisy, level: answer(noisy), STABLE_DIFFUSION, "eps")
    ours = samplers.last(samplers.unipc(denoise, start, levels, STABLE_DIFFUSION))
    x = start
    for step in theirs.timesteps:
        x = theirs.step(answer(x), step, x).prev_sample
    assert float((ours - x).abs().max()) < 1e-3 * float(x.abs().max())


@pytest.mark.parametrize("steps", [1, 4, 6, 8])
def test_lcm_is_the_published_one(steps: int) -> None:
    """Its steps, and what is done at each of them."""
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    theirs.set_timesteps(steps)
    levels = samplers.lcm_levels(steps)
    assert (levels[:-1] * 1000 - 1).round().int().tolist() == theirs.timesteps.tolist() and levels[-1] == 0
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    dice = torch.Generator().manual_seed(1)
    noises = [torch.randn(start.shape, generator=dice) for _ in range(steps)]
    denoise = denoiser(lambda noisy, level: (noisy * 1.3).sin(), STABLE_DIFFUSION, "eps")
    ours = samplers.last(samplers.consistency(denoise, start, levels, STABLE_DIFFUSION, lambda step: noises[step]))
    x, dice = start, torch.Generator().manual_seed(1)
    for step in theirs.timesteps:
        x = theirs.step((x * 1.3).sin(), step, x, generator=dice).prev_sample
    assert float((ours - x).abs().max()) < 1e-3 * float(x.abs().max())
    with pytest.raises(BadOption, match="distilled at 50"):
        samplers.lcm_levels(51)


def test_ddpm_and_consistency_give_the_gaussian_back() -> None:
    """Fresh noise at every step: still that Gaussian (in many steps, as they are first order)."""
    start = keyed_noise(1, [0], (20_000,))

    def fresh(step: int) -> Tensor:
        return keyed_noise(1, [0], (20_000,), purpose=1 + step)

    levels = samplers.even_levels(200)
    noisy_way = samplers.last(samplers.ddim(ideal(Cosine()), start, levels, Cosine(), eta=1.0, fresh=fresh))
    assert abs(float(noisy_way.mean()) - MEAN) < 0.02
    assert abs(float(noisy_way.std()) / DEVIATION - 1) < 0.05
    point = samplers.last(
        samplers.consistency(ideal(Cosine(), deviation=1e-6), start, samplers.even_levels(2), Cosine(), fresh)
    )
    assert torch.allclose(point, torch.full_like(point, MEAN), atol=1e-4)
    with pytest.raises(BadOption, match="fresh"):
        next(samplers.ddim(ideal(Cosine()), start, levels, Cosine(), eta=1.0))


def test_x_portrait_steps() -> None:
    steps = (samplers.latent_diffusion_levels(30).double() * 1000 - 1).round().int().tolist()
    assert steps == [*range(991, 0, -33), 0]
    assert len(steps) == 32
    for asked, evaluations, highest in [(4, 4, 751), (8, 8, 876), (15, 16, 991), (20, 20, 951), (50, 50, 981)]:
        levels = samplers.latent_diffusion_levels(asked)
        assert (len(levels) - 1, round(float(levels[0]) * 1000) - 1) == (evaluations, highest)


def test_x_nemo_steps() -> None:
    steps = (samplers.leading_levels(35).double() * 1000 - 1).round().int().tolist()
    assert steps == [*range(953, 0, -28), -1]
    assert len(steps) == 36
    assert round(float(samplers.leading_levels(25)[0]) * 1000) - 1 == 961


def test_trailing_steps_begin_at_the_end() -> None:
    assert (samplers.trailing_levels(4) * 1000 - 1).round().int().tolist() == [999, 749, 499, 249, -1]


@pytest.mark.parametrize(
    ("schedule", "levels", "final"),
    [
        (STABLE_DIFFUSION, samplers.latent_diffusion_levels(30), 0.99915**0.5),
        (X_NEMO, samplers.leading_levels(35), 1.0),
    ],
)
def test_final_alpha(schedule: Schedule, levels: Tensor, final: float) -> None:
    """No noise predicted, begun at sqrt(alpha_bar) z: the released programs return z times their final alpha."""
    truth = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    quiet = denoiser(lambda noisy, level: torch.zeros_like(noisy), schedule, "eps")
    begun = noised(truth, torch.zeros_like(truth), levels[:1], schedule)
    result = samplers.last(samplers.ddim(quiet, begun, levels, schedule))
    assert torch.allclose(result, truth * final, atol=2e-5)


def test_levels_must_fit() -> None:
    with pytest.raises(BadOption, match="one level for each frame"):
        next(samplers.ddim(ideal(X_NEMO), torch.zeros(3, 2), torch.ones(2, 5), X_NEMO))
    with pytest.raises(BadOption, match="at least one step"):
        samplers.even_levels(0)
    with pytest.raises(BadOption, match="no step"):
        samplers.last(samplers.ddim(ideal(X_NEMO), torch.zeros(3, 2), torch.ones(1), X_NEMO))


def test_guidance() -> None:
    calls: list[str] = []

    def saying(name: str, value: float) -> Denoise:
        def denoise(noisy: Tensor, level: Tensor) -> Tensor:
            calls.append(name)
            return torch.full_like(noisy, value)

        return denoise

    noisy, level = torch.zeros(2, 3), torch.tensor([0.5, 0.95])
    told, untold = saying("told", 2.0), saying("untold", 1.5)
    assert torch.equal(guided(told, untold, 5.0)(noisy, level), torch.full((2, 3), 4.0))
    calls.clear()
    assert torch.equal(guided(told, untold, 1.0)(noisy, level), torch.full((2, 3), 2.0))
    assert calls == ["told"]
    partly = guided(told, untold, 5.0, within=(0.0, 0.9))(noisy, level)
    assert partly[0, 0] == 4.0 and partly[1, 0] == 2.0
    each = guided_by_each(untold, [(told, 2.0), (saying("also", 1.0), 1.0)])(noisy, level)
    assert torch.equal(each, torch.full((2, 3), 2.0))


def test_guidance_of_eps_is_guidance_of_clean() -> None:
    noisy, level = torch.randn(2, 6), torch.tensor([0.3, 0.8])
    told, untold = torch.randn(2, 6), torch.randn(2, 6)
    ours = guided(denoiser(lambda *_: told, X_NEMO, "eps"), denoiser(lambda *_: untold, X_NEMO, "eps"), 2.5)(
        noisy, level
    )
    theirs = denoiser(lambda *_: untold + 2.5 * (told - untold), X_NEMO, "eps")(noisy, level)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_rescaled_guidance_has_the_contrast_of_what_it_was_told() -> None:
    base = torch.randn(2, 3, 8, 8)
    told, burnt = (lambda *_: base), (lambda *_: base * 4)
    noisy, level = torch.zeros_like(base), torch.ones(2)
    assert torch.allclose(rescaled(burnt, told, 1.0)(noisy, level), base, atol=1e-5)
    assert torch.allclose(rescaled(burnt, told, 0.0)(noisy, level), base * 4)


def test_once_asks_once() -> None:
    calls: list[int] = []

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        calls.append(1)
        return noisy * 2

    remembered, noisy, level = once(denoise), torch.ones(1, 2), torch.ones(1)
    assert torch.equal(remembered(noisy, level), remembered(noisy, level)) and len(calls) == 1
    assert torch.equal(remembered(noisy + 1, level), (noisy + 1) * 2) and len(calls) == 2
