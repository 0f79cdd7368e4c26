"""What a person may ask of an actor: a mood, which may change, and how lively; as the numbers that the net is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import torch
from torch import Tensor

from understudy.cast.speak.mouth import smooth
from understudy.cast.speak.voice import MOODS, Mood
from understudy.errors import BadOption
from understudy.motion.actor import KNOBS, WISHES
from understudy.motion.speech import FPS

KNOB_MIDDLES: Final = (1.0, 17.0, 20.0)
"""Liveliness; blinks a minute; looks away a minute: the usual ones. What the net is told is the logarithm of the
ratio."""
VOICE: Final = "voice"
"""What a mood is called that is left to the voice."""
_MOST_LIVELY: Final = 4.0
_TAKES, _EARLY = 0.85, 0.25  # seconds in which a mood comes, and by which it comes before its moment: as in the takes


@dataclass(frozen=True)
class Felt:
    """A mood from a moment on, seconds: how much of each there is, in the order of `MOODS`; none: it is the voice's."""

    at: float
    shares: tuple[float, ...] | None

    def __post_init__(self) -> None:
        wrong = self.shares is not None and (len(self.shares) != len(MOODS) or min(self.shares) < 0)
        if wrong or not (math.isfinite(self.at) and self.at >= 0):
            raise BadOption(f"no mood begins at {self.at} s with {self.shares}", remedy="seconds from 0 on")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a person may ask of an actor. What is None is left to the voice and to chance."""

    mood: Mood | tuple[Felt, ...] | None = None
    """One for the whole performance, or several in the order of time."""
    lively: float | None = None
    """Times the usual movement."""
    blinks: float | None = None
    """A minute."""
    looks: float | None = None
    """Away, a minute."""

    def __post_init__(self) -> None:
        if isinstance(self.mood, str):
            known(self.mood)
        elif self.mood is not None and sorted(felt.at for felt in self.mood) != [felt.at for felt in self.mood]:
            raise BadOption("moods follow each other in time", remedy="0 happy, 8 sad")
        knobs_ = (("lively", self.lively, _MOST_LIVELY), ("blinks", self.blinks, 90.0), ("looks", self.looks, 120.0))
        for name, value, most in knobs_:
            if value is not None and not 0 <= value <= most:
                raise BadOption(f"{name} = {value:g} is out of range", remedy=f"0 to {most:g}")

    def rows(self, frames: range) -> Tensor:
        """(f, WISHES) as the net is told them, frame by frame."""
        told = torch.zeros(len(frames), WISHES)
        told[:, len(MOODS) :] = knobs(self.lively, self.blinks, self.looks)
        if self.mood is not None:
            course = (Felt(0.0, shares_of(self.mood)),) if isinstance(self.mood, str) else self.mood
            told[:, : len(MOODS)] = torch.from_numpy(_felt(course, np.array(frames) / FPS)).float()
        return told


def _felt(course: tuple[Felt, ...], seconds: np.ndarray) -> np.ndarray:
    """(f, 5) at some moments: zeros where it is the voice's; one known mood goes over into another in a while."""
    found = np.zeros((len(seconds), len(MOODS)))
    before: tuple[float, ...] | None = None
    for felt in course:
        now = np.array(felt.shares or (0.0,) * len(MOODS))
        share = np.asarray(smooth((seconds - (felt.at - _EARLY)) / _TAKES))[:, None]
        if before is None or felt.shares is None:
            share = (seconds >= felt.at - _EARLY).astype(np.float64)[:, None]
        found = found + share * (now - found)
        before = felt.shares
    return found


def knobs(*values: float | None) -> Tensor:
    """(2 KNOBS,) the numbers besides the mood: their logarithms over the usual, and whether they are known."""
    told = torch.zeros(2 * KNOBS)
    for number, (value, middle) in enumerate(zip(values, KNOB_MIDDLES, strict=True)):
        if value is not None:
            told[number] = math.log(max(value, middle / 20) / middle)
            told[KNOBS + number] = 1
    return told


def known(name: str) -> Mood:
    """The mood of that name. Errors: `BadOption`."""
    for mood in MOODS:
        if name == mood:
            return mood
    raise BadOption(
        f"no mood is called {name}",
        remedy=f"one of {', '.join(get_args(Mood))}; with their seconds: '0 happy, 8 sad'; or a film that is there",
    )


def shares_of(name: Mood) -> tuple[float, ...]:
    """One mood and no other."""
    return tuple(float(mood == name) for mood in MOODS)


def course(text: str) -> tuple[Felt, ...]:
    """Moods, each from its second on, such as "0 happy, 8 sad, 12.5 voice"; the first begins at 0 if it has none; a
    label alone is one mood from beginning to end. Errors: `BadOption`."""
    found: list[Felt] = []
    for piece in text.split(","):
        words = piece.split()
        if len(words) == 1 and not found:
            words = ["0", *words]
        if len(words) != 2:
            raise BadOption(f"{piece.strip()!r} is no second with a mood", f"in {text!r}", "'0 happy, 8 sad'")
        found.append(Felt(_seconds(words[0]), None if words[1] == VOICE else shares_of(known(words[1]))))
    return tuple(found)


def _seconds(word: str) -> float:
    try:
        return float(word.removesuffix("s"))
    except ValueError:
        raise BadOption(f"{word!r} is no number of seconds", remedy="'0 happy, 8 sad'") from None
