"""A performance: what an actor does to a voice, chunk by chunk, for as long as there is a voice.

Chunks go down a staircase of noise levels one behind the other, so the nearer a chunk is to being shown the cleaner it
is; those that are finished are said to be a little noisy, and are remembered as keys and values, which are exact
because they never change. Memory and time for a second are the same after an hour. Every frame's noise is keyed by the
seed and its number: a stream's performance is the whole file's, and a short one is the beginning of a long one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from understudy.diffusion.forcing import rollout
from understudy.diffusion.noise import keyed_noise, spread
from understudy.errors import BadOption
from understudy.motion import likeness
from understudy.motion.actor import Actor, Memory
from understudy.motion.space import PLAYED
from understudy.motion.speech import Rows, silence
from understudy.motion.wishes import Wishes

_ALL: Final = 1 << 40  # frames


@dataclass(frozen=True, kw_only=True)
class Tempo:
    """How a performance is imagined."""

    steps: int
    """Noise levels of a chunk, from noise to clean."""
    lag: int
    """Steps by which a chunk sets out after the one before it: as many as `steps` finishes one first, fewer have more
    than one on their way."""
    stabilise: float
    """The level that finished frames are said to have."""
    guidance: float
    """How much more the voice counts than it would by itself; 1 asks the net once instead of twice."""
    lips: float | None = None
    """The same of jaw and lips, of which a voice leaves little open; more than 1 parts them further than people do.
    None: as much as of all else."""
    order: int = 1
    """1: believe each guess as it is (DDIM); 2: draw it on from the last (DPM-Solver++)."""
    rho: float = 1.0
    """Levels are (steps left / steps) ** rho: under 1, steps are smaller where all is still open; over 1, where it is
    nearly clean."""
    cached: bool = True
    """Whether finished frames are remembered as keys and values, or gone through again."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rho) and self.rho > 0):
            raise BadOption(f"no performance has levels bent by {self.rho}", remedy="a rho of 0.4 to 2")
        last = max(self.steps, 1) ** -self.rho
        if not 0 <= self.stabilise < last:
            raise BadOption(
                "finished frames must be cleaner than any that are not",
                f"stabilise {self.stabilise} with {self.steps} steps and a rho of {self.rho}",
                f"from 0 to under {last:.3f}",
            )
        if self.order not in (1, 2):
            raise BadOption(f"no performance has the order {self.order}", remedy="1 (DDIM) or 2 (DPM-Solver++)")
        for guidance in (self.guidance, self.guidance if self.lips is None else self.lips):
            if not (math.isfinite(guidance) and guidance >= 0):
                raise BadOption(f"a guidance of {guidance} leads nowhere", remedy="1 to 3")


@dataclass
class Score:
    """The sound of a performance, as it is needed: rows by the number of their frame. What lies before the beginning
    and after the end is silence."""

    source: Iterator[Rows]
    blank: Rows
    """(1, a) the row of silence."""
    keep: int
    """Frames before the last asked for that may be asked for again."""
    frames: int | None = None
    """How many there are, once the end has been seen."""
    _held: Rows = field(init=False)
    _first: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._held = self.blank[:0]

    def rows(self, frames: range) -> Rows:
        """(f, a) of consecutive frames."""
        while self.frames is None and self._first + len(self._held) < frames.stop:
            block = next(self.source, None)
            if block is None:
                self.frames = self._first + len(self._held)
            else:
                self._held = np.concatenate([self._held, block])
        lead, first = max(-frames.start, 0), max(frames.start, 0)
        part = self._held[max(first - self._first, 0) : max(frames.stop - self._first, 0)]
        missing = max(len(frames) - lead - len(part), 0)
        ends = (np.repeat(self.blank, count, 0) for count in (lead, missing))
        found = np.concatenate([next(ends), part, next(ends)])[: len(frames)]
        drop = max(min(first - self.keep - self._first, len(self._held)), 0)
        self._held, self._first = self._held[drop:], self._first + drop
        return found


def perform(
    actor: Actor,
    sound: Iterable[Rows],
    tempo: Tempo,
    *,
    seed: int = 0,
    wishes: Wishes | None = None,
    start: Tensor | None = None,
) -> Iterator[Tensor]:
    """Motion (f, d) in its own units, chunk after chunk, for rows of sound as they come (`speech.heard`); as many
    frames as there are rows. `start` (d,): the row of the portrait that performs, from which the motion sets out."""
    for chunk in performances(actor, sound, tempo, seeds=(seed,), wishes=wishes, start=start):
        yield chunk[:, 0]


@torch.no_grad()
def performances(
    actor: Actor,
    sound: Iterable[Rows],
    tempo: Tempo,
    *,
    seeds: Sequence[int],
    wishes: Wishes | None = None,
    start: Tensor | None = None,
) -> Iterator[Tensor]:
    """Several performances of one voice side by side, (f, n, d), one for each seed: cheaper than one after another."""
    config = actor.config
    device = actor.motion_in.weight.device
    blank = silence(1) if config.bands else np.zeros((1, config.sound), np.float32)
    keep = config.context + 2 * config.chunk + config.listens if tempo.cached else _ALL
    score = Score(iter(sound), blank, keep)
    stage = _Stage(actor, score, wishes or Wishes(), tempo, start, len(seeds))

    def noise(frames: range) -> Tensor:
        return torch.stack([keyed_noise(seed, frames, (config.motion,), device=device) for seed in seeds], 1)

    history = config.chunk if tempo.cached else _ALL
    chunks = rollout(
        stage.part, noise, config.schedule, chunk=config.chunk, steps=tempo.steps, lag=tempo.lag, history=history,
        stabilise=tempo.stabilise, order=tempo.order, rho=tempo.rho,
    )  # fmt: skip
    shown = 0
    score.rows(range(0, 1))
    while score.frames is None or shown < score.frames:
        chunk = next(chunks)
        score.rows(range(shown, shown + len(chunk) + 1))  # whether there is a frame after these
        left = len(chunk) if score.frames is None else score.frames - shown
        shown += len(chunk)
        if left > 0:
            yield actor.natural(chunk[:left])


class _Stage:
    """The net with what it hears, is told and remembers, as a `Part` of a rollout of (f, n, d)."""

    def __init__(
        self, actor: Actor, score: Score, wishes: Wishes, tempo: Tempo, start: Tensor | None, count: int
    ) -> None:
        self.actor, self.score, self.wishes, self.tempo, self.count = actor, score, wishes, tempo, count
        self.guidance = _guidance(tempo, actor)
        self.told = (True,) if bool((self.guidance == 1).all()) else (True, False)
        self.memories: list[Memory] | None = None
        self.begins = 0
        self.end = 0
        self.heard = actor.unheard.new_zeros(1, 0, actor.config.width)
        self.heard_until = -_ALL
        if start is not None:
            self._keep(self._net(*self._standing(start), range(-1, 0))[1], -1)

    def _standing(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """The portrait's row as finished frames are given, shrunk as at their level without noise, and that level."""
        own = self.actor.normal(start.to(self.actor.mean.device)).expand(1, self.count, -1)
        level = torch.full((1,), self.tempo.stabilise, device=own.device)
        return spread(self.actor.config.schedule.alpha(level), own) * own, level

    def part(self, noisy: Tensor, level: Tensor, numbers: Sequence[int]) -> Tensor:
        """The clean guess for frames on their way; those that are finished, before them, are not guessed again. What
        has just been finished is gone through together with what has not, and remembered from then on: it does not
        look ahead, so that is exact."""
        first = numbers[0]
        known = max(self.end - first, 0) if self.tempo.cached else 0
        frames = range(first + known, numbers[-1] + 1)
        clean, passed = self._net(noisy[known:], level[known:], frames)
        done = int((level[known:] <= self.tempo.stabilise).int().cumprod(0).sum())
        if self.tempo.cached and done:
            self._keep([Memory(m.key[:, :, :done], m.value[:, :, :done]) for m in passed], frames.start)
        return torch.cat([noisy.new_zeros(known, *noisy.shape[1:]), self._guided(clean.float().transpose(0, 1))])

    def _guided(self, answers: Tensor) -> Tensor:
        """(f, films, d) -> (f, n, d): with guidance, the net has been asked with the voice and without it, at once."""
        if len(self.told) == 1:
            return answers
        told, untold = answers.chunk(2, 1)
        guided: Tensor = untold + self.guidance * (told - untold)
        return guided

    def _net(self, noisy: Tensor, level: Tensor, frames: range) -> tuple[Tensor, list[Memory]]:
        """Films with the voice, and then those without: (films, f, d)."""
        actor, near = self.actor, self.actor.config.listens
        heard = self._listened(range(frames.start - near, frames.stop + near), noisy.device)
        sound = torch.cat([heard if told else actor.unheard.expand_as(heard) for told in self.told])
        sound = sound.repeat_interleave(self.count, 0)
        motion = noisy.transpose(0, 1).repeat(len(self.told), 1, 1)
        wishes = self.wishes.rows(frames).to(noisy.device).expand(1, -1, -1)
        return actor(motion, level[None], sound, wishes, frames.start, self.memories)  # type: ignore[no-any-return]

    def _listened(self, frames: range, device: torch.device) -> Tensor:
        """(1, f, w) what is heard in frames, each of which is listened to once: it is asked for at every step."""
        known = max(min(self.heard_until, frames.stop) - frames.start, 0)
        if known < len(frames):
            rows = torch.from_numpy(self.score.rows(frames)[known:]).to(device)
            old = self.heard[:, self.heard.shape[1] - known :]
            self.heard, self.heard_until = torch.cat([old, self.actor.listen(rows[None])], 1), frames.stop
        first = frames.start - (self.heard_until - self.heard.shape[1])
        return self.heard[:, first : first + len(frames)]

    def _keep(self, fresh: list[Memory], first: int) -> None:
        """Remember finished frames, from number `first` on, and forget those beyond the context."""
        if self.memories is None:
            self.memories, self.begins = fresh, first
        else:
            self.memories = [
                Memory(torch.cat([old.key, new.key], 2), torch.cat([old.value, new.value], 2))
                for old, new in zip(self.memories, fresh, strict=True)
            ]
        self.end = first + fresh[0].key.shape[2]
        config = self.actor.config
        oldest = self.end // config.chunk * config.chunk - config.context
        drop = max(oldest - self.begins, 0)
        if drop:
            self.memories = [Memory(m.key[:, :, drop:], m.value[:, :, drop:]) for m in self.memories]
            self.begins += drop


def _guidance(tempo: Tempo, actor: Actor) -> Tensor:
    """(d,) how much more the voice counts for each number of the motion."""
    guidance = torch.full_like(actor.mean, tempo.guidance, dtype=torch.float32)
    if tempo.lips is not None and actor.config.motion == PLAYED:
        guidance[likeness.places(likeness.LIPS)] = tempo.lips
    return guidance


def whole(chunks: Iterable[Tensor]) -> Tensor:
    """All of a performance, (f, d)."""
    parts = list(chunks)
    if not parts:
        raise BadOption("there is nothing to perform", "no sound")
    return torch.cat(parts)
