"""Diffusion forcing: every frame has a noise level of its own (Chen et al. 2024, arXiv 2407.01392).

In training the levels are drawn independently; in use they fall along a staircase, and how steep it is is all that
distinguishes whole-sequence, chunk by chunk, and everything between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from understudy.diffusion.noise import Schedule, spread
from understudy.diffusion.samplers import extrapolated, log_ratio, moved
from understudy.diffusion.windows import Part
from understudy.errors import BadOption


def staircase(frames: int, steps: int, lag: int) -> Tensor:
    """Noise level of every frame at every step, (row, frame), from 1 (noise) to 0 (clean).

    Each frame sets out `lag` steps after the frame before it: 0 denoises all frames together, 1 is the paper's
    pyramid, `steps` finishes one frame before the next begins (autoregressive)."""
    row = torch.arange(steps + lag * (frames - 1) + 1)[:, None]
    return (steps - (row - lag * torch.arange(frames))).clamp(0, steps) / steps


def by_chunk(levels: Tensor, chunk: int, frames: int) -> Tensor:
    """Levels (..., chunks) given to each frame of a chunk, (..., frames). The last chunk may be short."""
    return levels.repeat_interleave(chunk, dim=-1)[..., :frames]


def independent(batch: int, frames: int, chance: torch.Generator, *, chunk: int = 1) -> Tensor:
    """Levels for training, uniform in (0, 1], (batch, frames): one for each chunk, and none knows of another."""
    chunks = -(-frames // chunk)
    return by_chunk(1 - torch.rand(batch, chunks, generator=chance), chunk, frames)


def together(batch: int, frames: int, chance: torch.Generator) -> Tensor:
    """Levels for training, uniform in (0, 1], (batch, frames): all frames of a film alike, as the generators learn."""
    return (1 - torch.rand(batch, 1, generator=chance)).expand(batch, frames)


def logit_normal(levels: Tensor, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Uniform levels made logit-normal (Esser et al. 2024, section 3.1): most training where it is hardest."""
    inside = levels.clamp(1e-6, 1 - 1e-6)
    quantile: Tensor = torch.special.ndtri(inside)
    return (mean + deviation * quantile).sigmoid()


def as_used(batch: int, frames: int, dice: Tensor, *, chunk: int, history: float) -> Tensor:
    """Levels as a rollout has them, (batch, frames): finished chunks at a level up to `history`, then a chunk at any
    level, and each after it one half or one whole level noisier. `dice` (batch, 4), uniform in [0, 1)."""
    chunks = -(-frames // chunk)
    number = torch.arange(chunks)[None]
    live = (dice[:, :1] * chunks).floor()
    lag = torch.where(dice[:, 1:2] < 0.5, 0.5, 1.0)
    levels = ((1 - dice[:, 2:3]) * lag + lag * (number - live)).clamp(min=history + 1e-3, max=1)
    return by_chunk(torch.where(number < live, history * dice[:, 3:], levels), chunk, frames)


def fused_weights(level: Tensor, schedule: Schedule, *, clip: float, keep: float) -> Tensor:
    """How much each frame's error of the clean signal counts, (b, f) in [0, 1]: by its own signal-to-noise ratio, cut
    at `clip`, fused with that of the frames before it, of which `keep` is kept from frame to frame (fused SNR
    weighting, section 3.4 of version 2 of the paper)."""
    alpha, sigma = schedule.alpha(level), schedule.sigma(level)
    own = ((alpha / sigma.clamp_min(1e-4)).square() / clip).clamp(max=1)
    before = torch.zeros_like(own)
    kept = own[:, 0]
    for frame in range(1, own.shape[1]):
        before[:, frame] = kept
        kept = keep * kept + (1 - keep) * own[:, frame]
    return 1 - (1 - keep * before) * (1 - own)


def rollout(
    part: Part,
    noise: Callable[[range], Tensor],
    schedule: Schedule,
    *,
    chunk: int,
    steps: int,
    lag: int,
    history: int = 0,
    stabilise: float = 0.0,
    frames: int | None = None,
    order: int = 1,
    rho: float = 1.0,
) -> Iterator[Tensor]:
    """Goes down an endless staircase of chunks, `lag` steps apart, and yields each chunk as it becomes clean.

    `noise(range)` gives a frame's own noise (f, ...); `part` sees the last `history` finished frames and all that
    have set out. With `lag` = steps // n about n chunks are on their way at once (a pyramid); with `lag` = steps,
    one. `stabilise` is the level that finished frames are said to have, shrunk as at that level but not noised, so
    that small faults are not taken at their word (appendix of the paper). `order` 1 takes DDIM's steps, 2 those of
    DPM-Solver++(2M), each frame from its own last guess. Levels are (steps left / steps) ** `rho`: under 1, steps
    are smaller where all is still open; over 1, where it is nearly clean, for the last step is a leap in which what
    varies less than the noise there shrinks towards its mean. Without `frames` it never ends; memory is that of
    history and the chunks on their way, and a short rollout is the beginning of a long one if `part` is causal.
    """
    _check(chunk, steps, lag, frames, order)
    done: Tensor | None = None
    live: list[Tensor] = []
    guessed = _Guessed(order)
    first, row = 0, 0
    while True:
        while _sets_out(first + len(live), row, chunk, lag, frames):
            live.append(noise(_span(first + len(live), chunk, frames)))
        if not live:
            return
        noisy = torch.cat(live)
        here, there = (_levels(live, first, at, steps, lag, rho).to(noisy.device) for at in (row, row + 1))
        clean = _asked(part, done, noisy, here, schedule, stabilise, first * chunk)
        clean = guessed.believed(clean, log_ratio(there, schedule) - log_ratio(here, schedule))
        live = list(torch.split(moved(noisy, clean, here, there, schedule), [len(piece) for piece in live]))
        row += 1
        while live and row - lag * first >= steps:
            finished = live.pop(0)
            guessed.drop(len(finished))
            first += 1
            yield finished
            done = _remembered(done, finished, history)


class _Guessed:
    """What was last guessed of the frames on their way, the oldest first; newer ones have no guess yet."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.clean: Tensor | None = None
        self.gain = torch.zeros(0)

    def believed(self, clean: Tensor, gain: Tensor) -> Tensor:
        """The guess (f, ...), drawn on from the last one, for a step that gains `gain` (f,) of log(alpha / sigma)."""
        if self.order == 1:
            return clean
        known = 0 if self.clean is None else len(self.clean)
        before, since = self.clean, self.gain
        self.clean, self.gain = clean, gain
        if before is None or not known:
            return clean
        return torch.cat([extrapolated(clean[:known], before, gain[:known], since), clean[known:]])

    def drop(self, count: int) -> None:
        """The oldest frames are finished."""
        if self.clean is not None:
            self.clean, self.gain = self.clean[count:], self.gain[count:]


def _asked(
    part: Part, done: Tensor | None, noisy: Tensor, level: Tensor, schedule: Schedule, stabilise: float, start: int
) -> Tensor:
    """The guess of the live frames, with the finished ones before them."""
    if done is None or not len(done):
        return part(noisy, level, range(start, start + len(noisy)))
    told = torch.full((len(done),), stabilise, device=noisy.device)
    given = spread(schedule.alpha(told), done) * done
    frames = range(start - len(done), start + len(noisy))
    return part(torch.cat([given, noisy]), torch.cat([told, level]), frames)[len(done) :]


def _levels(live: list[Tensor], first: int, row: int, steps: int, lag: int, rho: float) -> Tensor:
    """Level of each live frame at a row of the staircase."""
    left = [min(max(steps - (row - lag * (first + index)), 0), steps) for index in range(len(live))]
    return torch.tensor(
        [(steps_left / steps) ** rho for steps_left, piece in zip(left, live, strict=True) for _ in piece]
    )


def _remembered(done: Tensor | None, finished: Tensor, history: int) -> Tensor:
    whole = finished if done is None else torch.cat([done, finished])
    return whole[max(len(whole) - history, 0) :]


def _sets_out(chunk_number: int, row: int, chunk: int, lag: int, frames: int | None) -> bool:
    """Whether a chunk exists and leaves pure noise in the step after `row`."""
    return (frames is None or chunk_number * chunk < frames) and lag * chunk_number <= row


def _span(chunk_number: int, chunk: int, frames: int | None) -> range:
    stop = (chunk_number + 1) * chunk
    return range(chunk_number * chunk, stop if frames is None else min(stop, frames))


def _check(chunk: int, steps: int, lag: int, frames: int | None, order: int) -> None:
    if order not in (1, 2):
        raise BadOption(f"A rollout has no order {order}", remedy="1 (DDIM) or 2 (DPM-Solver++)")
    if chunk < 1 or steps < 1 or not 0 <= lag <= steps:
        raise BadOption(
            "A rollout needs chunks of at least one frame, at least one step, and a lag of 0 to steps",
            f"chunk {chunk}, steps {steps}, lag {lag}",
        )
    if frames is None and lag == 0:
        raise BadOption(
            "All frames at once cannot be an endless film", "lag 0 and no number of frames", "a lag of 1 to steps"
        )
