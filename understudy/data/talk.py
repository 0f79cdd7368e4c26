"""Talking takes of the cast by number, as an actor learns from them: what is heard and how the face is held, frame by
frame. No pictures: an hour of them is made in minutes, and is 60 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from understudy.cast.speak.lines import take
from understudy.data import shards
from understudy.data.drawn import looks
from understudy.motion.space import rows_of
from understudy.motion.speech import FPS, rows_of_voice
from understudy.motion.wishes import knobs

EACH: Final = 16  # takes in a shard
FOLDER: Final = "talk"
RECORDED_FOLDER: Final = "talk-recorded"


@dataclass(frozen=True, kw_only=True)
class Talk:
    """Takes of so many seconds, each cut or continued to that length."""

    seconds: int
    first: int = 0

    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """`motion` (n, f, 58) fp32, `sound` (n, f, a) fp16, `mood` (n, f, 5), `knobs` (n, 6)."""
        parts = [self._one(self.first + number) for number in numbers]
        return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}

    def _one(self, number: int) -> dict[str, Tensor]:
        told = take(number, float(self.seconds))
        frames = self.seconds * FPS
        samples = told.speech.samples
        wanted = self.seconds * told.speech.rate
        rows = rows_of_voice(np.pad(samples[:wanted], (0, max(wanted - len(samples), 0))), told.speech.rate)[:frames]
        temper = told.temper
        return {
            "motion": rows_of(told.how(0, frames, FPS)),
            "sound": torch.from_numpy(rows).half(),
            "mood": torch.from_numpy(told.moods(np.arange(frames) / FPS)).float(),
            "knobs": knobs(temper.lively, temper.blinks, temper.looks),
        }


def spoken_ahead(talk: Talk, folder: Path, wanted: int, rank: int = 0, world: int = 1) -> Iterator[tuple[int, int]]:
    """Take into shards what is not there yet of the first `wanted`, one process of several its share; yields (made,
    wanted). Errors, unless all are there: those of `voice.speak`."""
    about: dict[str, int | str] = {"seconds": talk.seconds, "first": talk.first}
    spoken = looks("**/*.py")
    if shards.complete(folder, wanted, EACH):
        shards.reused(folder, about, spoken)
        return
    about |= {"looks": spoken}
    for there in shards.shared(folder, wanted, EACH, about, talk.batch, rank, world):
        yield there, wanted
