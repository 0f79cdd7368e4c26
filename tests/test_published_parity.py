"""The released algorithms, difference by difference, at small width; and that our own way of drawing has not their
faults. Nets of chance in which nothing is silent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import published_made as made
import pytest
import torch
from torch import Tensor

from understudy import models
from understudy.diffusion.noise import STABLE_DIFFUSION, X_NEMO, keyed_noise
from understudy.diffusion.samplers import ddim, last, latent_diffusion_levels, leading_levels
from understudy.errors import BadOption
from understudy.generator import hints
from understudy.generator.generator import Cues, Generator, Manner, blurred
from understudy.published import footage, parity
from understudy.published.parity import Released

FRAMES = 11


def near(one: Tensor, other: Tensor, within: float = 1e-4) -> bool:
    """Alike but for rounding, measured against the largest number."""
    return float((one - other).abs().max()) <= within * float(other.abs().max())


def picture(side: int = 32, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def pose(frames: int = FRAMES) -> Cues:
    chance = torch.Generator().manual_seed(2)
    return Cues(tuple(torch.rand(frames, 3, 32, 32, generator=chance) * 2 - 1 for _ in range(2)))


def net(config: Callable[[], object]) -> Generator:
    """With hints as large as the small autoencoder's pictures."""
    return made.generator(config)  # type: ignore[arg-type]


def codes(frames: int = FRAMES, seed: int = 3) -> Tensor:
    return torch.randn(frames, 12, generator=torch.Generator().manual_seed(seed))


CONTEXT = torch.randn(1, 1, 64, generator=torch.Generator().manual_seed(4))


# --- what is denoised at which steps ------------------------------------------------------------------------------


def test_x_portrait_evaluates_31_times_from_991_and_mixes_noise_at_999() -> None:
    how, schedule = parity.X_PORTRAIT, STABLE_DIFFUSION
    visited = [round(level * 1000) - 1 for level in latent_diffusion_levels(how.steps).tolist()]
    assert visited == [*range(991, 0, -33), 0] and len(visited) - 1 == 31
    assert how.mixed_at == 999
    mixed, first = (schedule.alpha(torch.tensor(schedule.level(step))) for step in (999, 991))
    assert (round(float(mixed), 5), round(float(first), 5)) == (0.06826, 0.07162)
    ends = schedule.alpha(torch.tensor(schedule.level(0)))
    assert round(float(ends), 5) == 0.99957


def test_x_nemo_evaluates_35_times_from_953_and_mixes_noise_there() -> None:
    how = parity.X_NEMO
    visited = [round(level * 1000) - 1 for level in leading_levels(how.steps).tolist()]
    assert visited == [*range(953, 0, -28), -1] and visited[-3:-1] == [29, 1]
    assert how.mixed_at is None
    assert round(float(X_NEMO.alpha(torch.tensor(X_NEMO.level(953)))), 5) == 0.02374


@pytest.mark.parametrize("how", [parity.X_PORTRAIT, parity.X_NEMO])
def test_what_is_left_of_the_signal_at_the_end(how: Released) -> None:
    """DDIM that is told there is no noise: X-Portrait ends at .99957 of the signal, X-NeMo at all of it."""
    schedule = STABLE_DIFFUSION if how is parity.X_PORTRAIT else X_NEMO
    levels = parity.SPACINGS[how.spacing](how.steps)
    clean = torch.randn(2, 4, 3, 3)
    noisy = schedule.alpha(levels[0]) * clean
    end = last(ddim(lambda noisy, level: noisy / schedule.alpha(level).reshape(-1, 1, 1, 1), noisy, levels, schedule))
    assert near(end, clean * (0.99915**0.5 if how is parity.X_PORTRAIT else 1.0), 1e-4)


# --- windows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (16, [range(16)]),
        (20, [range(16), [*range(12, 20), *range(8)]]),
        (28, [range(16), range(12, 28)]),
        (40, [range(16), range(12, 28), range(24, 40)]),
        (5, [[k % 5 for k in range(16)]]),
    ],
)
def test_windows_of_x_portrait(count: int, found: list[list[int]]) -> None:
    assert parity.windows(count, 16, 4, 0, parity.X_PORTRAIT) == [list(frames) for frames in found]
    assert len(parity.windows(100, 16, 4, 7, parity.X_PORTRAIT)) == 8


def test_windows_of_x_nemo() -> None:
    each = {count: parity.windows(count, 24, 4, 0, parity.X_NEMO) for count in (20, 24, 25, 44, 60, 100)}
    assert [len(each[count]) for count in each] == [1, 1, 2, 3, 3, 5]
    assert each[44][2] == [*range(40, 44), *range(20)] and each[100][-1] == [*range(80, 100), *range(4)]
    assert parity.windows(24, 24, 4, 9, parity.X_NEMO) == [list(range(24))], "one window does not turn"


def test_rings_begin_where_the_seed_says() -> None:
    first = [parity.offset(5, step, 90, parity.X_PORTRAIT, 16) for step in range(31)]
    assert first == [parity.offset(5, step, 90, parity.X_PORTRAIT, 16) for step in range(31)]
    assert (
        max(first) > 24
        and len(set(first)) > 15
        and first != [parity.offset(6, k, 90, parity.X_PORTRAIT, 16) for k in range(31)]
    )
    assert max(parity.offset(5, step, 90, parity.X_NEMO, 24) for step in range(200)) == 23


def test_a_frame_that_is_twice_in_a_window_has_its_later_answer() -> None:
    """As numpy and torch do, told to add to a selection of rows in which some are twice."""
    noisy, rings = torch.zeros(5, 1), [[0, 1, 2, 3, 4, 0, 1], [3, 4]]
    answers = iter([torch.tensor([[1.0], [2], [3], [4], [5], [10], [20]]), torch.tensor([[40.0], [50]])])
    found = parity.averaged(lambda *_: next(answers), noisy, torch.zeros(5), rings)
    total, times = np.zeros(5), np.zeros(5)
    for ring, values in zip(rings, ([1, 2, 3, 4, 5, 10, 20], [40, 50]), strict=True):
        total[ring] += values
        times[ring] += 1
    assert found[:, 0].tolist() == (total / times).tolist() == [10, 20, 3, 22, 27.5]


# --- whole films --------------------------------------------------------------------------------------------------


def naive_x_portrait(net: Generator, how: Released, seed: int) -> Tensor:
    """X-Portrait's script, step by step, with as many reference passes as it makes, on `made`'s nets."""
    schedule, config, cues = STABLE_DIFFUSION, net.config, pose()
    chance = parity.chance
    start = torch.cat([net.autoencoder.encode(picture(), chance(seed, k, parity.START)) for k in range(FRAMES)])
    seen = torch.cat([net.autoencoder.encode(picture(), chance(seed, k, parity.PORTRAIT)) for k in range(FRAMES)])
    kept = schedule.alpha_bars()
    noise = keyed_noise(seed, range(FRAMES), start.shape[1:])
    x = kept[999].sqrt() * start + (1 - kept[999]).sqrt() * noise
    stride = 1000 // how.steps
    steps = list(range(1, 1001, stride))[::-1]
    for number, step in enumerate(steps):
        level = torch.full((1,), (step + 1) / 1000)
        total, times = torch.zeros_like(x), torch.zeros(FRAMES)
        begin = parity.offset(seed, number, FRAMES, how, config.window)
        for first in range(begin, begin + FRAMES - config.overlap, config.window - config.overlap):
            index = torch.arange(first, first + config.window) % FRAMES
            said = []
            for told in (True, False):
                notes = controls = None
                if told:
                    notes = net.reference(seen[index], level, net.context)
                    nets = zip(net.control_nets, cues.hints, strict=True)
                    each = [one(x[index][None], level, net.context, one.encode(hint[index])) for one, hint in nets]
                    controls = [one + other for one, other in zip(*each, strict=True)]
                said.append(net.unet(x[index][None], level, net.context, notes=notes, controls=controls)[0])
            total[index] += said[1] + how.guidance * (said[0] - said[1])
            times[index] += 1
        eps = total / times.reshape(-1, 1, 1, 1)
        here, there = kept[step], kept[steps[number + 1]] if number + 1 < len(steps) else kept[0]
        clean = (x - (1 - here).sqrt() * eps) / here.sqrt()
        x = there.sqrt() * clean + (1 - there).sqrt() * eps
    return x.float()


@torch.no_grad()
def test_a_film_of_x_portrait_is_the_scripts() -> None:
    here, how = net(made.x_portrait), replace(parity.X_PORTRAIT, steps=2)
    found = parity.film(here, picture(), pose(), how, seed=7)
    assert near(found, naive_x_portrait(here, how, 7))
    assert not near(found, parity.film(here, picture(), pose(), how, seed=8), 0.1)
    assert not near(found, parity.film(here, picture(), pose(), replace(how, sampled=False), seed=7), 1e-3)
    assert not near(found, parity.film(here, picture(), pose(), replace(how, mixed_at=None), seed=7), 1e-3)


@torch.no_grad()
def test_a_film_of_x_nemo_is_the_scripts() -> None:
    """One window of its ring, by hand: blurred start, notes at step 0, zeros and the portrait's motion untold."""
    here, how = net(made.x_portrait_2), replace(parity.X_NEMO, steps=2)
    cues, still = parity.constant_boxes(here, codes(8)), parity.constant_boxes(here, codes(1, seed=9))
    found = parity.film(here, picture(), cues, how, seed=7, context=CONTEXT, still=still)
    seen = here.autoencoder.encode(picture())
    assert here.config.start is not None and here.config.start.blur == 9
    kept = torch.cat([X_NEMO.alpha_bars()])
    noise = keyed_noise(7, range(8), seen.shape[1:])
    steps = [501, 1]
    x = kept[501].sqrt() * blurred(seen, 9, 18.0) + (1 - kept[501]).sqrt() * noise
    notes = here.reference(seen, torch.tensor([0.001]), CONTEXT)
    assert cues.code is not None and still.code is not None
    for number, step in enumerate(steps):
        level = torch.full((1,), (step + 1) / 1000)
        told = here.unet(x[None], level, CONTEXT, notes=notes, code=cues.code[None])[0]
        bare = here.unet(x[None], level, torch.zeros_like(CONTEXT), code=still.code.expand(8, -1, -1)[None])[0]
        eps = bare + 2.5 * (told - bare)
        there = kept[steps[number + 1]] if number == 0 else torch.ones(())
        clean = (x - (1 - kept[step]).sqrt() * eps) / kept[step].sqrt()
        x = there.sqrt() * clean + (1 - there).sqrt() * eps
    assert near(found, x.float())
    other = parity.film(here, picture(), cues, how, seed=7, context=CONTEXT)
    assert not near(found, other, 1e-3), "the untold branch does not follow the portrait's motion"


def test_the_box_is_constant() -> None:
    here = net(made.x_portrait_2)
    assert here.encoder is not None
    with torch.no_grad():
        found = parity.constant_boxes(here, codes(3)).code
        wanted = here.encoder.tokens(codes(3), torch.tensor([[0.0, 0.0, 1.0]]).expand(3, 3))
        moved = here.coded(codes(3), torch.tensor([[5.0, 9, 40]]).expand(3, 3), torch.tensor([[0.0, 0, 20]])).code
    assert found is not None and moved is not None
    assert torch.equal(found, wanted) and not torch.allclose(found, moved)


def test_what_the_scripts_fail_at_is_said() -> None:
    here = net(made.x_portrait)
    for frames, how in ((here.config.overlap, parity.X_PORTRAIT), (FRAMES, replace(parity.X_PORTRAIT, guidance=1.0))):
        with pytest.raises(BadOption, match="the released X-Portrait"):
            parity.film(here, picture(), pose(frames), how, seed=0)


# --- footage ------------------------------------------------------------------------------------------------------


def test_landmarks_are_one_too_late() -> None:
    points = torch.rand(1, 68, 2) * 100 + 70
    released = footage.centres(points, 512, shifted=True)[0]
    rounded = points[0, 43:48].mean(0).round() * 2, points[0, 37:42].mean(0).round() * 2
    assert torch.equal(released[0], rounded[0]) and torch.equal(released[1], rounded[1])
    assert torch.equal(footage.centres(points, 512, shifted=False)[0, 0], points[0, 42:48].mean(0).round() * 2)
    assert footage.centres(torch.full((1, 68, 2), 250.0), 512, shifted=True)[0, 0].tolist() == [446, 446]
    assert footage.centres(torch.zeros(1, 68, 2), 512, shifted=True)[0, 0].tolist() == [64, 64]


def test_patches_are_the_scripts_slices() -> None:
    seen = torch.rand(1, 3, 512, 512)
    found = footage.patched(seen, torch.tensor([[[100.0, 90], [300, 90], [200, 446]]]))
    assert float(found[0, 0, 0, 0]) == -1 and torch.equal(found[0, :, 382:510, 136:264], seen[0, :, 382:510, 136:264])
    assert int((found[0, 0] != -1).sum()) == 3 * 128 * 128


def test_the_last_frame_of_the_scripts_own_example_is_lost() -> None:
    assert list(footage.frames_taken(5, out_frames=-1)) == [0, 1, 2, 3]
    assert list(footage.frames_taken(5)) == [0, 1, 2, 3, 4]
    assert list(footage.frames_taken(9, start=1, out_frames=3, skip=2)) == [1, 3, 5]


def test_alignment_is_an_affine_map_of_three_points() -> None:
    cv2 = pytest.importorskip("cv2")
    chance = np.random.default_rng(0)
    ours, theirs = (chance.random((68, 2)).astype(np.float32) * scale + 20 for scale in ((90, 120), (60, 150)))

    def three(points: np.ndarray) -> np.ndarray:
        (x, y), (wide, high) = points.mean(0), (points.max(0) - points.min(0)) / 2
        return np.array([[x - wide, y - high], [x + wide, y - high], [x - wide, y + high]], np.float32)

    wanted = cv2.getAffineTransform(three(theirs), three(ours))
    found = hints.between(torch.from_numpy(theirs)[None], torch.from_numpy(ours)[None])[0]
    assert np.abs(found.numpy() - wanted).max() < 1e-3


def test_boxes_of_x_nemo() -> None:
    scipy = pytest.importorskip("scipy.ndimage")
    boxes = np.random.default_rng(1).random((60, 4)) * 20 + [100, 80, 180, 170]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert np.abs(footage.smoothed(middles) - scipy.gaussian_filter1d(middles, 5.0, axis=0)).max() < 1e-9
    found = footage.driving_boxes(boxes, 300, 320)
    sizes = found[:, 2:] - found[:, :2]
    assert np.ptp(sizes, axis=0).max() < 1e-9 and (sizes[0] % 2 == 0).all()
    assert footage.driving_boxes(boxes[:1] - 100, 300, 320)[0, :2].min() >= 0
    box = np.array([1.0, 40, 61, 90])
    assert footage.widened(box, 200, 200).tolist() == box.tolist(), "a square that would leave the picture is not made"
    assert footage.widened(box + 30, 200, 200).tolist() == [28, 62, 94, 128]
    assert footage.left_square(np.zeros((20, 50, 3), np.uint8)).shape == (20, 20, 3)


# --- and not so by default: family of faults, each repaired -----------------------------------------------------------


def drawn(net: Generator, cues: Cues, **how: float) -> Tensor:
    manner = replace(Manner(steps=2, sampler="ddim", spacing="even", guidance=2.0), **how)
    with torch.no_grad():
        return torch.cat([*net.draw(net.likeness(picture()), [cues], manner)])


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 7, 19])
def test_films_of_any_length_are_drawn(frames: int) -> None:
    """The released X-Portrait makes NaN of four frames and fewer, and has frames twice in shorter films."""
    found = drawn(net(made.x_portrait), pose(frames))
    assert len(found) == frames and bool(found.isfinite().all())


def test_guidance_of_1_is_none() -> None:
    here = net(made.x_portrait)
    assert bool(drawn(here, pose(5), guidance=1.0).isfinite().all())


def test_noise_is_mixed_for_the_step_that_is_denoised_first() -> None:
    """Released: for 999, and 991 is denoised; ours begins where it says, whatever the steps."""
    here, seen = net(made.x_portrait), []
    forward = here.unet.forward

    def watched(noisy: Tensor, level: Tensor, *given: object, **more: object) -> Tensor:
        seen.append((noisy.clone(), level.clone()))
        return forward(noisy, level, *given, **more)  # type: ignore[arg-type]

    here.unet.forward = watched  # type: ignore[method-assign]
    try:
        drawn(here, pose(5), steps=30, spacing="latent_diffusion", guidance=1.0)  # type: ignore[arg-type]
    finally:
        here.unet.forward = forward  # type: ignore[method-assign]
    noisy, level = seen[0]
    with torch.no_grad():
        mean = here.likeness(picture()).latents
    noise = keyed_noise(0, range(5), mean.shape[1:])
    here_level = STABLE_DIFFUSION.level(991)
    at = torch.tensor(here_level)
    wanted = STABLE_DIFFUSION.alpha(at) * mean + STABLE_DIFFUSION.sigma(at) * noise
    assert abs(float(level.max()) - here_level) < 1e-6 and near(noisy[0], wanted, 1e-5)


def test_the_portrait_is_its_mean() -> None:
    """The same film twice; and what is read of the portrait is no sample."""
    here = net(made.x_portrait)
    assert torch.equal(drawn(here, pose(5)), drawn(here, pose(5)))
    with torch.no_grad():
        mean, _ = here.autoencoder.posterior(picture())  # type: ignore[operator]
        assert torch.allclose(here.likeness(picture()).latents, mean * here.config.autoencoder.scale)


def test_the_first_and_the_last_frame_never_meet() -> None:
    """Released: the ring joins them. Ours: what comes at the end of a film does not change its beginning."""
    here, long = net(made.x_portrait), pose(19)
    other = Cues(tuple(torch.cat([hint[:14], -hint[14:]]) for hint in long.hints))
    one, two = drawn(here, long), drawn(here, other)
    assert torch.equal(one[:8], two[:8]) and not torch.equal(one[14:], two[14:])


def test_what_was_drawn_with_by_default() -> None:
    """The schedule that X-NeMo needs, black hints of -1, and windows that its positions reach."""
    assert models.x_portrait_2().schedule.alpha_bars()[999] < 3e-4  # type: ignore[union-attr]
    assert hints.BLACK == -1
    for config in (models.x_portrait(), models.x_portrait_2()):
        assert config.unet.time is not None and config.window <= config.unet.time.longest
