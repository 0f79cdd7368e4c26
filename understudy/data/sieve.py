"""Which takes are good enough to learn from, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from understudy.data.check.look import Look
from understudy.data.sync import Sync
from understudy.errors import BadOption
from understudy.face.mesh import EYES, Floats
from understudy.motion.mesh import MotionMesh

# Less than this in all three, between the 3rd and the 97th of a hundred frames, is a still picture: eye units by which
# the mouth opens, eye widths by which the lids do, degrees by which the head turns.
STILL: Final = (0.02, 0.06, 3.0)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a take must be like."""

    shortest: float
    """Seconds."""
    longest: float
    """Seconds; longer ones are cut into several."""
    side: int
    """Least side of the square round the head, in pixels of the film: less is blown up more."""
    blur: float
    """Most of `Look.blur`, in the middle."""
    dark: float
    """Least mean brightness of the face, 0 to 255."""
    burnt: float
    """Most of the face that may be white."""
    yaw: float
    """Degrees to either side beyond which a head is turned away."""
    pitch: float
    away: float
    """Share of the frames in which it may be."""
    others: float
    """Share of the frames looked at in which somebody else may be seen, at least half as large."""
    speech: bool
    """Whether takes are for learning to speak: then the mouth must be seen to move with the sound."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = float(getattr(self, field.name))
            if not value >= 0:
                raise BadOption(f"{field.name} is a number from 0 on", f"{value}")
        if not 0.2 <= self.shortest < self.longest <= 60:
            seen = f"shortest {self.shortest:g} s, longest {self.longest:g} s"
            raise BadOption("Takes are from 0.2 to 60 seconds long", seen, "--shortest 1 --longest 10")


@dataclass(frozen=True)
class Measures:
    """What was measured of a take: rows of the manifest."""

    side: float
    eyes: float  # pixels of the film between the outer corners
    blur: float
    light: float
    burnt: float
    yaw_low: float  # degrees; the 2nd of a hundred frames
    yaw_high: float  # the 98th
    pitch_low: float
    pitch_high: float
    away: float
    mouth: float  # eye units by which it opens
    others: float


def measured(motion: MotionMesh, side: float, looks: list[Look], others: list[bool], limits: Limits) -> Measures:
    """`motion` of a take, whose square has `side` pixels of the film; `looks` at some frames, with `others` in them."""
    angles = motion.pose.angles
    low, high = np.percentile(angles, 2, axis=0), np.percentile(angles, 98, axis=0)
    away = (np.abs(angles[:, 0]) > limits.yaw) | (np.abs(angles[:, 1]) > limits.pitch)

    def middle(name: str) -> float:
        return float(np.median([getattr(look, name) for look in looks])) if looks else 0.0

    found = (
        side, middle("eye_distance"), middle("blur"), middle("light"), middle("burnt"), low[0], high[0], low[1],
        high[1], away.mean(), _range(gaps_of(motion)), np.mean(others) if others else 0.0,
    )  # fmt: skip
    return Measures(*(round(float(value), 4) for value in found))


def gaps_of(motion: MotionMesh) -> Floats:
    """(f,) how far the lips are apart, in eye units."""
    shapes = motion.shapes
    return np.asarray(np.linalg.norm(shapes[:, 13] - shapes[:, 14], axis=-1), np.float32)


def reasons(seconds: float, motion: MotionMesh, found: Measures, sound: Sync, limits: Limits) -> list[str]:
    """Why a take is not good enough: words, each with what was seen. None of them: it is."""
    return [words for words, wrong in _judged(seconds, motion, found, sound, limits) if wrong]


def _judged(
    seconds: float, motion: MotionMesh, found: Measures, sound: Sync, limits: Limits
) -> Iterator[tuple[str, bool]]:
    # half a frame of slack: a take of 25 frames at 25 a second is one of a second
    yield f"short: {seconds:.2f} s", seconds < limits.shortest - 0.5 / float(motion.rate)
    yield f"small: {found.side:.0f} pixels", found.side < limits.side
    yield f"blurred: {found.blur:.2f}", found.blur > limits.blur
    yield f"dark: {found.light:.0f}", found.light < limits.dark
    yield f"burnt: {found.burnt:.0%}", found.burnt > limits.burnt
    yield f"turned away: {found.away:.0%} of the frames", found.away > limits.away
    yield f"others: in {found.others:.0%} of the frames", found.others > limits.others
    yield "still: nothing moves", is_still(motion)
    yield f"sound: {sound.verdict}", limits.speech and sound.verdict != "in sync"


def is_still(motion: MotionMesh) -> bool:
    """Whether mouth, lids and head hardly move in more than one frame."""
    shapes = motion.shapes
    opened = [np.linalg.norm(shapes[:, list(eye.upper[2:7])] - shapes[:, list(eye.lower[2:7])], axis=-1).mean(-1)
              / np.maximum(np.linalg.norm(shapes[:, eye.outer] - shapes[:, eye.inner], axis=-1), 1e-6)
              for eye in EYES.values()]  # fmt: skip
    moved = (_range(gaps_of(motion)), _range(np.mean(opened, 0)), _range(motion.pose.angles[:, 0]))
    return len(motion) > 1 and all(value < least for value, least in zip(moved, STILL, strict=True))


def _range(values: Floats) -> float:
    return float(np.ptp(np.percentile(values, (3, 97))))
