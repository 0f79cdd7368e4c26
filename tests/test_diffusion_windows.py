"""Windows and staircases: published plans, nothing shown changes, streamed is whole, memory is flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from understudy.diffusion import forcing, samplers, windows
from understudy.diffusion.noise import X_NEMO, Cosine, Denoise, RectifiedFlow, keyed_noise, noised
from understudy.errors import BadOption

SHAPE = (2, 3, 3)


def truth(frames: Sequence[int]) -> Tensor:
    """What every frame ought to look like."""
    return torch.stack([torch.full(SHAPE, float(frame)) for frame in frames])


def blended(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
    """A guess that looks along time, as the networks do: part truth, part noisy, part mean of the window."""
    guess = 0.6 * truth(frames) + 0.4 * noisy / (1 + level.reshape(-1, 1, 1, 1))
    return guess + 0.1 * (guess.mean(0, keepdim=True) - guess)


def film(told: Iterator[int] | range, *, size: int, overlap: int) -> Iterator[Tensor]:
    def sample(window: windows.Window, items: list[int], known: Tensor | None) -> Tensor:
        assert items == list(window.frames)
        noise = keyed_noise(4, window.frames, SHAPE)
        denoise = lambda noisy, level: blended(noisy, level, items)  # noqa: E731
        if known is not None:
            assert len(known) == window.known
            denoise = windows.held(denoise, known, noise[: window.known], X_NEMO)
        return samplers.last(samplers.ddim(denoise, noise, samplers.even_levels(6), X_NEMO))

    return windows.overlapped(sample, iter(told), size=size, overlap=overlap)


def test_published_window_plans() -> None:
    def x_portrait(total: int) -> list[list[int]]:
        return windows.circular_windows(total, 16, 4, closed=False)

    def x_nemo(total: int) -> list[list[int]]:
        return windows.circular_windows(total, 24, 4, closed=True)

    assert x_portrait(16) == [[*range(16)]]
    assert x_portrait(20) == [[*range(16)], [*range(12, 20), *range(8)]]
    assert len(x_portrait(28)) == 2 and len(x_portrait(100)) == 8
    assert x_portrait(40) == [[*range(16)], [*range(12, 28)], [*range(24, 40)]]
    assert x_portrait(4) == [[0, 1, 2, 3]]
    assert [len(x_nemo(total)) for total in (24, 25, 44, 60, 100)] == [1, 2, 3, 3, 5]
    assert x_nemo(44)[2] == [*range(40, 44), *range(20)]
    assert x_nemo(100)[4] == [*range(80, 100), *range(4)]


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("total", [3, 16, 17, 31, 40, 97])
@pytest.mark.parametrize("offset", [0, 5])
def test_every_frame_is_in_a_window(total: int, offset: int, closed: bool) -> None:
    plan = windows.circular_windows(total, 16, 4, offset, closed=closed)
    assert {frame for window in plan for frame in window} == set(range(total))
    assert all(len(set(window)) == len(window) for window in plan)


@pytest.mark.parametrize("closed", [True, False])
def test_circular_windows_of_an_identity_change_nothing(closed: bool) -> None:
    """A guess that is the same for a frame whatever the window: cutting up and averaging leaves it alone."""
    noisy, level = torch.randn(37, *SHAPE), torch.full((37,), 0.4)
    denoise = windows.circular(lambda n, lv, frames: n + truth(frames), size=16, overlap=4, seed=3, closed=closed)
    assert torch.allclose(denoise(noisy, level), noisy + truth(range(37)), atol=1e-5)


def test_circular_offsets_are_seeded_and_move_with_the_level() -> None:
    begun: list[int] = []

    def part(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        begun.append(frames[0])
        return noisy

    noisy = torch.zeros(40, 1)
    for seed in (1, 1, 2):
        for level in (0.9, 0.5, 0.1):
            windows.circular(part, size=40, overlap=4, seed=seed, closed=False)(noisy, torch.full((40,), level))
    assert begun[:3] == begun[3:6] != begun[6:]
    assert len(set(begun[:3])) > 1


@pytest.mark.parametrize("total", [1, 5, 16, 17, 28, 41, 60])
def test_overlapped_windows_of_frames_that_stand_alone_are_the_whole(total: int) -> None:
    def alone(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        return 0.6 * truth(frames) + 0.4 * noisy

    def sample(window: windows.Window, items: list[int], known: Tensor | None) -> Tensor:
        noise = keyed_noise(4, window.frames, SHAPE)
        denoise = lambda noisy, level: alone(noisy, level, items)  # noqa: E731
        if known is not None:
            denoise = windows.held(denoise, known, noise[: window.known], X_NEMO)
        return samplers.last(samplers.ddim(denoise, noise, samplers.even_levels(6), X_NEMO))

    parts = torch.cat(list(windows.overlapped(sample, range(total), size=16, overlap=4)))
    noise = keyed_noise(4, range(total), SHAPE)
    levels = samplers.even_levels(6)
    whole = samplers.last(samplers.ddim(lambda n, lv: alone(n, lv, range(total)), noise, levels, X_NEMO))
    assert torch.allclose(parts, whole, atol=1e-5)


@pytest.mark.parametrize("total", [1, 7, 16, 17, 28, 40, 61])
def test_overlapped_yields_every_frame_once(total: int) -> None:
    assert sum(len(piece) for piece in film(range(total), size=16, overlap=4)) == total


def test_nothing_that_was_shown_changes() -> None:
    """A longer film begins as the shorter one did, up to where the shorter one's last window came early."""
    short, long = (list(film(range(total), size=16, overlap=4)) for total in (52, 76))
    assert all(torch.equal(a, b) for a, b in zip(short[:4], long, strict=False))
    assert torch.equal(torch.cat(short[:4]), torch.cat(long)[:52])


def test_held_frames_stay_and_are_seen_with_their_own_noise() -> None:
    known, noise = truth(range(3)), keyed_noise(1, range(6), SHAPE)
    seen: list[Tensor] = []

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        seen.append(torch.cat([noisy[:3] - noised(known, noise[:3], level[:3], X_NEMO)]))
        return noisy * 0.5

    guard = windows.held(denoise, known, noise[:3], X_NEMO)
    result = samplers.last(samplers.ddim(guard, noise, samplers.even_levels(5), X_NEMO))
    assert torch.equal(result[:3], known) and all(float(gap.abs().max()) == 0 for gap in seen)


def test_windows_are_lazy_and_hold_little() -> None:
    """The first window is drawn before the film's second half exists, and an endless film can be begun."""
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            yield taken
            taken += 1

    pieces = film(endless(), size=16, overlap=4)
    next(pieces)
    assert taken <= 16
    for _ in range(5):
        next(pieces)
    assert taken <= 16 + 5 * 12


def test_last_window_is_as_long_as_the_others() -> None:
    sizes: list[tuple[int, int]] = []

    def sample(window: windows.Window, items: list[int], known: Tensor | None) -> Tensor:
        sizes.append((len(window.frames), window.known))
        assert window.new == range(window.start + window.known, window.stop)
        return truth(items)

    torch.cat(list(windows.overlapped(sample, range(30), size=16, overlap=4)))
    assert sizes == [(16, 0), (16, 4), (16, 14)]


def test_bad_windows_are_refused() -> None:
    with pytest.raises(BadOption, match="move on"):
        windows.circular_windows(40, 16, 16, closed=True)


def test_staircase_is_the_papers_matrix() -> None:
    pyramid = (forcing.staircase(3, 4, 1) * 4).int().tolist()
    assert pyramid == [[4, 4, 4], [3, 4, 4], [2, 3, 4], [1, 2, 3], [0, 1, 2], [0, 0, 1], [0, 0, 0]]
    assert torch.equal(forcing.staircase(3, 4, 0), torch.linspace(1, 0, 5)[:, None].expand(-1, 3))
    one_by_one = forcing.staircase(2, 3, 3)
    assert one_by_one.shape == (7, 2) and (one_by_one[:4, 1] == 1).all() and (one_by_one[3:, 0] == 0).all()


def test_levels_of_training_are_independent_and_spread() -> None:
    chance = torch.Generator().manual_seed(0)
    alone = forcing.independent(500, 12, chance)
    assert float(alone.min()) > 0 and float(alone.max()) <= 1
    assert abs(float(alone.mean()) - 0.5) < 0.02
    assert (torch.corrcoef(alone.T) - torch.eye(12)).abs().max() < 0.2
    chunked = forcing.independent(4, 7, chance, chunk=3)
    assert torch.equal(chunked[:, 0], chunked[:, 2]) and not torch.equal(chunked[:, 2], chunked[:, 3])
    assert chunked.shape == (4, 7)
    assert (forcing.together(6, 5, chance).std(1) == 0).all()
    middle = forcing.logit_normal(alone)
    assert abs(float(torch.logit(middle).mean())) < 0.06 and abs(float(torch.logit(middle).std()) - 1) < 0.06


def causal(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
    """A guess that looks at what came before, over the last 8 frames, which is all that a rollout remembers."""
    shown = noisy.reshape(len(noisy), -1)
    seen = torch.stack([shown[max(0, i - 8) : i + 1].mean(0) for i in range(len(shown))]).reshape(noisy.shape)
    return 0.7 * truth(frames) + 0.2 * noisy + 0.1 * seen


def rolled(frames: int | None, lag: int, history: int = 16, stabilise: float = 0.0, order: int = 1) -> Iterator[Tensor]:
    return forcing.rollout(
        causal,
        lambda wanted: keyed_noise(2, wanted, SHAPE),
        RectifiedFlow(),
        chunk=4,
        steps=8,
        lag=lag,
        history=history,
        stabilise=stabilise,
        frames=frames,
        order=order,
    )


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("lag", [1, 2, 4, 8])
def test_a_short_rollout_is_the_beginning_of_a_long_one(lag: int, order: int) -> None:
    short, long = (torch.cat(list(rolled(frames, lag, order=order))) for frames in (12, 30))
    assert short.shape[0] == 12 and long.shape[0] == 30
    assert torch.allclose(short, long[:12], atol=1e-6)
    endless = rolled(None, lag, order=order)
    assert torch.allclose(torch.cat([next(endless) for _ in range(7)]), long[:28], atol=1e-6)


@pytest.mark.parametrize(("order", "sampler"), [(1, samplers.ddim), (2, samplers.dpm_solver)])
@pytest.mark.parametrize(("lag", "rho"), [(0, 1.0), (1, 1.0), (3, 1.0), (3, 1.6), (8, 1.0)])
def test_rollout_is_the_staircase(lag: int, rho: float, order: int, sampler: Callable[..., Iterator[Tensor]]) -> None:
    """Frames that stand alone: the rolling window does what the whole matrix does."""

    def alone(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        return 0.6 * truth(frames) + 0.4 * noisy

    flow, noise = RectifiedFlow(), keyed_noise(2, range(10), SHAPE)
    parts = forcing.rollout(
        alone, lambda wanted: keyed_noise(2, wanted, SHAPE), flow, chunk=4, steps=8, lag=lag, history=4, frames=10,
        order=order, rho=rho,
    )  # fmt: skip
    levels = forcing.by_chunk(forcing.staircase(3, 8, lag), 4, 10) ** rho
    whole = samplers.last(sampler(lambda n, lv: alone(n, lv, range(10)), noise, levels, flow))
    assert torch.allclose(torch.cat(list(parts)), whole, atol=1e-5)


@pytest.mark.parametrize("spread", [0.1, 0.2, 0.4, 0.8])
def test_bent_levels_keep_what_varies_little(spread: float) -> None:
    """Numbers of a normal distribution, guessed as well as can be: they must come out as different as they are."""
    schedule = Cosine(zero_snr=False)

    def best(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        alpha, sigma = schedule.alpha(level)[:, None], schedule.sigma(level)[:, None]
        return spread**2 * alpha * noisy / (alpha**2 * spread**2 + sigma**2)

    def made(rho: float) -> float:
        parts = forcing.rollout(
            best, lambda wanted: keyed_noise(5, wanted, (64,)), schedule, chunk=8, steps=8, lag=8, frames=64, order=2,
            rho=rho,
        )  # fmt: skip
        return float(torch.cat(list(parts)).std()) / spread

    even, bent = made(1.0), made(1.75)
    assert even < bent and abs(bent - 1) < 0.2 and (spread > 0.2 or even < 0.7)


def test_rollout_holds_history_and_what_is_on_its_way() -> None:
    seen: list[tuple[int, float]] = []

    def watching(noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        assert len(frames) == len(noisy) == len(level)
        seen.append((len(noisy), float(level[0])))
        return truth(frames)

    parts = forcing.rollout(
        watching, lambda wanted: keyed_noise(2, wanted, SHAPE), RectifiedFlow(),
        chunk=4, steps=8, lag=4, history=8, stabilise=0.02,
    )  # fmt: skip
    for _ in range(20):
        next(parts)
    assert max(count for count, _ in seen) == 8 + 2 * 4
    assert seen[-1][1] == pytest.approx(0.02)


def test_rollout_refuses_nonsense() -> None:
    with pytest.raises(BadOption, match="endless"):
        next(rolled(None, 0))
    with pytest.raises(BadOption, match="lag"):
        next(rolled(8, 9))
    with pytest.raises(BadOption, match="no order 3"):
        next(rolled(8, 4, order=3))


# --- crossfaded ---------------------------------------------------------------------------------------------------


def faded(total: int, *, size: int = 16, overlap: int = 4, steps: int = 3, first: int = 0, **more: Any) -> list[Tensor]:
    """A film whose windows are crossfaded; `first`: the frame from which on it is told."""

    def walk(frames: range, denoise: Denoise) -> Iterator[Tensor]:
        return samplers.dpm_solver(denoise, keyed_noise(4, frames, SHAPE), samplers.even_levels(steps), X_NEMO)

    def look(items: list[int], noisy: Tensor, level: Tensor) -> Tensor:
        assert items == list(range(items[0], items[-1] + 1)) and len(noisy) == len(level) == len(items) <= size
        return blended(noisy, level, items)

    told = iter(range(first, total))
    return list(windows.crossfaded(walk, look, told, size=size, overlap=overlap, **more))


@pytest.mark.parametrize("total", [1, 4, 12, 14, 16, 17, 28, 41, 60])
def test_crossfaded_windows_are_one_walk_whose_guesses_are_blended(total: int) -> None:
    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        clean, weight = torch.zeros_like(noisy), torch.zeros(total, 1, 1, 1)
        for start in range(0, total, 12):
            if start and total - start <= 4:
                break  # those are in the window before
            index = list(range(start, min(start + 16, total)))
            share = torch.ones(len(index))
            ramp = torch.arange(1, 5) / 5
            if start:
                share[:4] = ramp[: len(index)]
            if len(index) > 12 and total - start - 12 > 4:
                share[12:] = 1 - ramp
            elif start + 12 < total:
                share[12:] = 1
            clean[index] += share.reshape(-1, 1, 1, 1) * blended(noisy[index], level[index], index)
            weight[index] += share.reshape(-1, 1, 1, 1)
        return clean / weight

    noise = keyed_noise(4, range(total), SHAPE)
    whole = samplers.last(samplers.dpm_solver(denoise, noise, samplers.even_levels(3), X_NEMO))
    parts = torch.cat(faded(total))
    assert parts.shape == whole.shape and torch.allclose(parts, whole, atol=1e-5)


def test_a_crossfaded_film_goes_on_as_if_it_had_not_been_stopped() -> None:
    whole = torch.cat(faded(100))
    for done in (1, 12, 30, 59, 99):
        begun = windows.looked_again(done, size=16, overlap=4, calls=3)
        assert begun.start == done // 12 * 12 and begun.first == max(begun.start - 36, 0)
        assert torch.equal(torch.cat(faded(100, first=begun.first, begun=begun)), whole[begun.start :])


def test_what_comes_later_changes_nothing_but_what_is_near() -> None:
    """As many windows ahead as the sampler asks times, and the rest of its own."""
    short, long = torch.cat(faded(76)), torch.cat(faded(100))
    assert torch.equal(short[:36], long[:36]) and not torch.equal(short[60:76], long[60:76])


def test_crossfaded_windows_are_lazy_and_each_is_looked_at_once() -> None:
    taken, looks, calls = 0, list[tuple[int, int]](), list[tuple[int, int]]()

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            yield taken
            taken += 1

    def walk(frames: range, denoise: Denoise) -> Iterator[Tensor]:
        return samplers.ddim(denoise, keyed_noise(4, frames, SHAPE), samplers.even_levels(3), X_NEMO)

    def look(items: list[int], noisy: Tensor, level: Tensor) -> Tensor:
        looks.append((items[0], round(1000 * float(level[0]))))
        return noisy * 0.5

    film = windows.crossfaded(
        walk, look, endless(), size=16, overlap=4, stepped=lambda window, call: calls.append((window.start, call))
    )
    for _ in range(6):
        assert len(next(film)) == 12
    assert taken <= 6 * 12 + 3 * 12 + 16 and len(looks) == len(set(looks))
    assert calls == [(12 * block, call) for block in range(6) for call in range(3)]


def test_windows_that_cannot_be_crossfaded_are_refused() -> None:
    for overlap in (0, 9, 16):
        with pytest.raises(BadOption):
            faded(20, overlap=overlap)
