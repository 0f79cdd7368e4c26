"""How alike two motions of the cast are, and how well one goes with what is said: numbers, nothing learnt.

Curves are (f, 58) rows of `space`, at 25 frames a second, or columns of them (f,).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.cast.how import INDEX
from understudy.cast.speak.voice import Phone

Floats = npt.NDArray[np.float64]

FPS: Final = 25
LIPS: Final = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthStretchLeft", "mouthLowerDownLeft",
               "mouthRollLower", "mouthUpperUpLeft")  # fmt: skip
"""What speech moves."""
MOODS_MOVE: Final = ("mouthSmileLeft", "mouthFrownLeft", "browDownLeft", "browInnerUp", "browOuterUpLeft",
                     "eyeWideLeft", "eyeSquintLeft", "noseSneerLeft", "cheekSquintLeft", "mouthShrugLower")  # fmt: skip
"""What moods move."""
SHUT: Final = 0.5
"""Lips are shut where `mouthClose` is more than this, or the mouth is hardly open."""
_OPEN: Final = 0.06
_BILABIAL: Final = frozenset("pbm")
_NEAR: Final = 0.06  # seconds before and after a sound in which lips may touch for it
_STILL: Final = 1e-4


def places(names: Sequence[str]) -> list[int]:
    """Columns of these curves, of both sides."""
    return sorted({INDEX[side] for name in names for side in (name, name.replace("Left", "Right"))})


def column(rows: Floats, name: str) -> Floats:
    """One curve of rows (f, 58)."""
    return rows[:, INDEX[name]]


def correlation(one: Floats, other: Floats) -> float:
    """Pearson's, of two curves; 0 where either stands still."""
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > _STILL else 0.0


def lip_correlation(made: Floats, true: Floats) -> float:
    """Mean over the lip curves that move in the truth."""
    moving = [name for name in LIPS if column(true, name).std() > 0.01]
    return float(np.mean([correlation(column(made, name), column(true, name)) for name in moving])) if moving else 0.0


def offset(made: Floats, true: Floats, most: int = 12) -> int:
    """Frames by which a curve comes after another (before it, if negative): where they correlate best."""
    best = {lag: correlation(*_shifted(made, true, lag)) for lag in range(-most, most + 1)}
    return max(best, key=lambda lag: (best[lag], -abs(lag)))


def _shifted(made: Floats, true: Floats, lag: int) -> tuple[Floats, Floats]:
    return (made[lag:], true[: len(true) - lag]) if lag >= 0 else (made[:lag], true[-lag:])


def opening(rows: Floats) -> Floats:
    """(f,) how far lips are apart, about: the jaw, and what parts lips, less what closes them."""
    apart = column(rows, "jawOpen") + 0.3 * (column(rows, "mouthLowerDownLeft") + column(rows, "mouthUpperUpLeft"))
    return np.asarray(np.clip(apart, 0, None) * (1 - np.clip(column(rows, "mouthClose"), 0, 1)), np.float64)


def shut(rows: Floats) -> npt.NDArray[np.bool_]:
    """(f,) where lips touch."""
    return np.asarray((column(rows, "mouthClose") > SHUT) | (opening(rows) < _OPEN), np.bool_)


def closures(rows: Floats, true: Floats, phones: Sequence[Phone]) -> tuple[float, float]:
    """The share of p, b and m at which lips touch; and false closures: where some sound is said, none of these is near,
    and truly lips are apart, the share of frames in which they touch."""
    touch = shut(rows)
    moments = np.arange(len(rows)) / FPS
    hit, asked = 0, 0
    lips, said = np.zeros(len(rows), bool), np.zeros(len(rows), bool)
    for phone in phones:
        near = (moments >= phone.start - _NEAR) & (moments <= phone.end + _NEAR)
        said |= (moments >= phone.start) & (moments < phone.end)
        if _BILABIAL & set(phone.symbol):
            asked, hit = asked + 1, hit + bool(touch[near].any())
            lips |= near
    free = said & ~lips & ~shut(true)
    return (hit / asked if asked else 1.0), (float(touch[free].mean()) if free.any() else 0.0)


def slow(curve: Floats, below: float = 0.5) -> Floats:
    """A curve without what is faster than so many hertz."""
    size = max(int(FPS / below), 3)
    window = np.hanning(size + 2)[1:-1]
    padded = np.pad(curve, size, mode="edge")
    return np.asarray(np.convolve(padded, window / window.sum(), "same")[size:-size], np.float64)
