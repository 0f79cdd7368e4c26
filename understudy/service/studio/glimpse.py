"""A glimpse: what the film will be like, at once, before it is made: a few moments of the performance, bent by warp.

The moments are kept with what was seen in them, and so is the portrait: moving a slider draws, and watches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from understudy.animate.driving import Driving, open_driving
from understudy.animate.voice import Acting, open_voice
from understudy.clip import Picture, read
from understudy.errors import NoFace
from understudy.face.portrait import Portrait
from understudy.models import WARP
from understudy.motion.mesh import MotionMesh, whole
from understudy.motion.read import read_mesh
from understudy.service.studio.order import MOTION

WATCHED: Final = 100  # frames of the driver's beginning
STEP: Final = 5  # of which every fifth is looked at
ACTED: Final = 75  # frames of a voice's beginning that are acted, or of a motion file's
MOMENTS: Final = 4  # that are shown side by side
SIDE: Final = 256  # pixels of each
LARGE: Final = 512  # pixels of the portrait's longer side meanwhile


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a performance that differ most, and all that was seen around them."""

    motion: MotionMesh  # every looked-at frame
    shown: tuple[int, ...]  # which of them are shown
    pictures: tuple[Picture, ...] = ()  # (SIDE, SIDE, 3) the driver then, where somebody was filmed
    rest: MotionMesh | None = None  # one frame at rest, where it is known


def glimpse(portrait: Path, driving: Path, choices: Choices, acting: Acting | None = None) -> Picture:
    """(2 * SIDE, MOMENTS * SIDE, 3): the driver's moments above, the portrait doing the same below; of a motion file,
    or of a voice that is acted, the portrait in twice as many.

    Errors: those of reading both; `NoFace` where nobody is seen in the performance's beginning."""
    photo = known(portrait, choices.face)
    seen = moments(_key(driving)) if acting is None else imagined(_key(driving), acting, choices.seed, photo)
    quick = replace(choices, max_size=LARGE, crop=True, reference_frame="auto", steps=None, driver=None, device="cpu")
    return laid(seen.pictures, shown_by(photo, seen, quick, driving.name))


def shown_by(photo: Portrait, seen: Moments, choices: Choices, name: str) -> list[Picture]:
    """The portrait in these moments, each (SIDE, SIDE, 3). Errors: `NoFace` where the performance shows nobody."""
    artist = bending(WARP, photo, choices, None, False)
    found = artist.reference([seen.motion]) if seen.rest is None else artist.reference_at(seen.rest, 0, 0)
    if found is None:
        raise NoFace(f"{name} shows no face in its beginning", remedy="the film may still be made")
    chunks = [seen.motion[k : k + 1] for k in seen.shown]
    return [_square(picture) for _, picture in artist.draw(chunks, found, crop=True)]


def laid(*rows: Sequence[Picture]) -> Picture:
    """Pictures side by side, MOMENTS in a row, each row beginning anew; what is missing of the last one is white."""
    lines = [row[k : k + MOMENTS] for row in rows for k in range(0, len(row), MOMENTS)]
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    return np.vstack([np.hstack([*line, *[blank] * (MOMENTS - len(line))]) for line in lines])


Key = tuple[str, int, int]  # path, time of change, bytes: what is cached is never of another file


def _key(file: Path) -> Key:
    about = file.stat()
    return str(file), about.st_mtime_ns, about.st_size


@lru_cache(maxsize=8)
def who(key: Key, face: int | None) -> Portrait:
    """The portrait, small."""
    return Portrait.read(key[0], which=face, max_size=LARGE, warn=_silently)


def known(portrait: Path, face: int | None = None) -> Portrait:
    """The portrait, small."""
    return who(_key(portrait), face)


def evenly(motion: Path) -> Moments:
    """Moments of a whole motion file, at equal distances. Errors: those of reading it."""
    return _evenly(_key(motion))


@lru_cache(maxsize=8)
def _evenly(key: Key) -> Moments:
    motion = MotionMesh.load(key[0])
    at = np.linspace(0, len(motion) - 1, MOMENTS + 2).round().astype(int)[1:-1]
    return Moments(motion, tuple(int(k) for k in at))


@lru_cache(maxsize=8)
def imagined(key: Key, acting: Acting, seed: int, photo: Portrait) -> Moments:
    """What is acted at a voice's beginning, by somebody who sets out from the portrait's own expression, as in the
    film."""
    begins, choices = photo.face.points, Choices(seed=seed, device="cpu")
    driving = open_voice(key[0], acting, model=WARP, choices=choices, warn=_silently, begins=begins)
    return _begun(driving)


def _begun(driving: Driving[MotionMesh]) -> Moments:
    """Moments of the beginning of a performance that nobody has filmed."""
    chunks, count = list[MotionMesh](), 0
    for chunk in driving:
        chunks.append(chunk)
        count += len(chunk)
        if count >= ACTED:
            break
    motion = whole(chunks)[:ACTED]
    return Moments(motion, unlike(motion, 2 * MOMENTS), rest=driving.rest)


@lru_cache(maxsize=8)
def moments(key: Key) -> Moments:
    """What is looked at in a driver's beginning."""
    path = Path(key[0])
    if path.suffix.lower() in MOTION:
        return _begun(open_driving(path, warn=_silently))
    clip = read(path, warn=_silently)
    kept: list[Picture] = []

    def looked() -> Iterator[tuple[Fraction, Picture]]:
        for when, picture in islice(clip.timed(), 0, WATCHED, STEP):
            kept.append(_square(picture))
            yield when, picture

    motion = whole(read_mesh(looked(), clip.fps / STEP, name=path.name))
    shown = unlike(motion)
    return Moments(motion, shown, tuple(kept[k] for k in shown))


def unlike(motion: MotionMesh, most: int = MOMENTS) -> tuple[int, ...]:
    """At most so many frames that differ most from each other, in the order in which they come: each is the farthest
    from those chosen before it. The first one is the first in which somebody is seen."""
    seen = np.flatnonzero(motion.seen)
    if not len(seen):
        return ()
    looks = np.concatenate([motion.shapes.reshape(len(motion), -1), motion.pose.angles / 8], axis=1)[seen]
    chosen, away = [0], np.linalg.norm(looks - looks[0], axis=1)
    while len(chosen) < min(most, len(seen)):
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
