"""Where a film cuts from one shot to the next, seen in pictures of a few pixels.

Two frames of a shot look alike when small, whatever the face does in them: over eleven clips of faces, at 12 to 30
frames a second, their correlation was never below 0.91; over the joins of two of them, never above 0.75. It does not
see brightness, contrast or tint as a whole, and a camera that shakes or pans is allowed for by shifting. What is left
are cuts, the harshest flashes, which are over in two frames, after which the film looks again as it did before, and
things that suddenly cover a part of the picture, of which the face decides (`Frame.partly`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.square import Picture

Timed: TypeAlias = tuple[float | Fraction, Picture]
"""Seconds, and the RGB frame (h, w, 3) shown then."""

Small = npt.NDArray[np.float32]

SIZE: Final = 32  # pixels of the small picture's side
SHIFT: Final = 4  # of them that the picture may have moved in a frame
ALIKE: Final = 0.83  # least correlation of two frames of one shot
FLASH: Final = 2  # frames that may look otherwise without being a shot
MOST: Final = 0.5  # share of the pixels
CHANGED: Final = 0.4  # standard deviations of the picture: by this much, a pixel has changed
PLAIN: Final = 2.0  # standard deviation, of 255, below which a picture shows nothing to compare


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a film, in the shot of that number.

    partly: a part of it looks quite otherwise than in the frame before, and most of it the same: something came into
    the picture, or it was cut to the like before the same background."""

    time: float
    picture: Picture
    shot: int
    partly: bool = False


def shots(frames: Iterable[Timed], patience: int = FLASH) -> Iterator[Frame]:
    """The same frames, with the number of their shot, from 0.

    Where the film changes, frames are held back until it is known whether it changes back: `patience` of them."""
    shot = 0
    known: Small | None = None
    held: list[tuple[float, Picture]] = []
    for time, picture in ((float(time), picture) for time, picture in frames):
        seen = small(picture)
        plain = float(seen.std()) < PLAIN
        same = known is None or plain or likeness(known, seen) >= ALIKE
        partly = known is not None and not same and unchanged(known, seen) > MOST
        held.append((time, picture))
        if same or partly or len(held) > patience:
            shot += not (same or partly)
            known = known if plain else seen
            yield from (Frame(*each, shot) for each in held[:-1])
            yield Frame(time, picture, shot, partly)
            held.clear()
    yield from (Frame(*each, shot + 1) for each in held)


def small(frame: Picture) -> Small:
    """(SIZE, SIZE, 3) means of parts of the frame."""
    step = max(1, min(frame.shape[:2]) // (4 * SIZE))  # the others are not missed
    return np.asarray(cv2.resize(frame[::step, ::step], (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.float32)


def likeness(one: Small, other: Small) -> float:
    """Correlation of two small pictures, of their middles at the best shift if the whole is not alike."""
    still = float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])
    if still >= ALIKE:
        return still
    middle = other[SHIFT:-SHIFT, SHIFT:-SHIFT]
    return max(still, float(cv2.matchTemplate(one, middle, cv2.TM_CCOEFF_NORMED).max()))


def unchanged(one: Small, other: Small) -> float:
    """The share of pixels that are the same in both."""
    spread = max(PLAIN, float(one.std()))
    return float((np.abs(one - other).max(-1) < CHANGED * spread).mean())
