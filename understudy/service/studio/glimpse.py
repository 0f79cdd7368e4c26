"""A glimpse: what the film will be like, at once, before it is made: a few moments of the driver, bent by warp.

The moments are kept with what was seen in them, and so is the portrait: moving a slider draws, and watches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from understudy.animate.by_warp import bending
from understudy.animate.choices import Choices
from understudy.clip import Picture, read
from understudy.errors import NoFace
from understudy.face.portrait import Portrait
from understudy.models import WARP
from understudy.motion.mesh import MotionMesh, whole
from understudy.motion.read import read_mesh

WATCHED: Final = 100  # frames of the driver's beginning
STEP: Final = 5  # of which every fifth is looked at
MOMENTS: Final = 4  # that are shown
SIDE: Final = 256  # pixels of each
LARGE: Final = 512  # pixels of the portrait's longer side meanwhile


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a driver that differ most, and all that was seen around them."""

    motion: MotionMesh  # every looked-at frame
    shown: tuple[int, ...]  # which of them are shown
    pictures: tuple[Picture, ...]  # (SIDE, SIDE, 3) the driver then


def glimpse(portrait: Path, driving: Path, choices: Choices) -> Picture:
    """(2 * SIDE, MOMENTS * SIDE, 3): the driver's moments above, the portrait doing the same below.

    Errors: those of reading both; `NoFace` where nobody is seen in the driver's beginning."""
    seen = moments(_key(driving))
    quick = replace(choices, max_size=LARGE, crop=True, reference_frame="auto", steps=None, driver=None, device="cpu")
    artist = bending(WARP, who(_key(portrait), choices.face), quick, None, False)
    reference = artist.reference([seen.motion])
    if reference is None:
        raise NoFace(f"{driving.name} shows no face in its beginning", remedy="the film may still be made")
    chunks = [seen.motion[k : k + 1] for k in seen.shown]
    drawn = [_square(picture) for _, picture in artist.draw(chunks, reference, crop=True)]
    blank = [np.full((SIDE, SIDE, 3), 255, np.uint8)] * (MOMENTS - len(drawn))
    return np.vstack([np.hstack([*seen.pictures, *blank]), np.hstack([*drawn, *blank])])


Key = tuple[str, int, int]  # path, time of change, bytes: what is cached is never of another file


def _key(file: Path) -> Key:
    about = file.stat()
    return str(file), about.st_mtime_ns, about.st_size


@lru_cache(maxsize=8)
def who(key: Key, face: int | None) -> Portrait:
    """The portrait, small."""
    return Portrait.read(key[0], which=face, max_size=LARGE, warn=_silently)


@lru_cache(maxsize=8)
def moments(key: Key) -> Moments:
    """What is looked at in a driver's beginning."""
    path = Path(key[0])
    clip = read(path, warn=_silently)
    kept: list[Picture] = []

    def looked() -> Iterator[tuple[Fraction, Picture]]:
        for when, picture in islice(clip.timed(), 0, WATCHED, STEP):
            kept.append(_square(picture))
            yield when, picture

    motion = whole(read_mesh(looked(), clip.fps / STEP, name=path.name))
    shown = unlike(motion)
    return Moments(motion, shown, tuple(kept[k] for k in shown))


def unlike(motion: MotionMesh) -> tuple[int, ...]:
    """Frames that differ most from each other, in the order in which they come: each is the farthest from those chosen
    before it. The first one is the first in which somebody is seen."""
    seen = np.flatnonzero(motion.seen)
    if not len(seen):
        return ()
    looks = np.concatenate([motion.shapes.reshape(len(motion), -1), motion.pose.angles / 8], axis=1)[seen]
    chosen, away = [0], np.linalg.norm(looks - looks[0], axis=1)
    while len(chosen) < min(MOMENTS, len(seen)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(looks - looks[chosen[-1]], axis=1))
    return tuple(sorted(int(seen[k]) for k in chosen))


def _square(picture: Picture) -> Picture:
    """(SIDE, SIDE, 3): the middle of it."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = np.ascontiguousarray(picture[top : top + side, left : left + side])
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=how), np.uint8)


def _silently(text: str) -> None:
    """It is said again when the film is made."""
