"""Somebody of the cast plays the driver: the bridge, as the driving pictures that X-Portrait follows.

What is where in them is known exactly. Lids, lips, brows and nose are put at their places in the mesh; the rest of the
mesh is the canonical face, laid through them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.cast import who as people
from understudy.cast.how import How
from understudy.cast.landmarks import NAMES
from understudy.face import mesh
from understudy.face.framing import SIDE
from understudy.face.mesh import Floats, canonical
from understudy.face.parts import JAW
from understudy.motion.bridge import drawn_as, stand_in
from understudy.motion.frames import MotionFrames
from understudy.motion.mesh import MotionMesh
from understudy.motion.read import CHUNK
from understudy.motion.speech import FPS

SOMEBODY: Final = 7
"""The person of the cast who stands in: shaved, bare-headed and in even light, so that all of the face is seen."""
STYLE: Final = "realistic"
JAW_OUT: Final = 1.06
JAW_AT: Final = (1.05, 1.87, 2.72, 3.6, 4.39, 5.05, 5.7, 6.21, 6.73, 7.32, 8.0,
                 8.68, 9.27, 9.79, 10.3, 10.95, 11.61, 12.4, 13.28, 14.13, 14.95)  # fmt: skip
"""Where the mesh's places along the jaw are, in steps of the cast's, and how much further out than the canonical face's
(seven people drawn and found: to 0.3, and to 0.03)."""


def played_by_the_cast(chunks: Iterable[MotionMesh]) -> Iterator[MotionFrames]:
    """A performance by `SOMEBODY`, in chunks of at most `CHUNK` frames; see `bridge.stand_in`.

    Errors: `NoFace` where nobody is seen at all."""
    who = people.sample([SOMEBODY], STYLE)
    small = (chunk[first : first + CHUNK] for chunk in chunks for first in range(0, len(chunk), CHUNK))
    for played in stand_in(small, who, SIDE):
        yield _frames(played.motion, played.pictures, placed(played.landmarks.pixels.numpy()))


def acted_by_the_cast(hows: Iterable[How], provenance: dict[str, str] | None = None) -> Iterator[MotionFrames]:
    """The same of what the cast does itself, 25 frames a second: exactly, for nothing has to be read off a mesh."""
    who = people.sample([SOMEBODY], STYLE)
    done = 0
    for how in hows:
        for first in range(0, len(how), CHUNK):
            part = how[first : first + CHUNK]
            pictures, landmarks = drawn_as(part, who, SIDE)
            yield MotionFrames(
                times=(done + np.arange(len(part))) / FPS,
                pictures=pictures,
                points=placed(landmarks.pixels.numpy()),
                squares=_squares(len(part)),
                seen=np.ones(len(part), bool),
                shots=np.zeros(len(part), np.int32),
                rate=Fraction(FPS),
                provenance={**(provenance or {}), "played by": f"who {SOMEBODY}, style {STYLE}"},
            )
            done += len(part)


def _squares(count: int) -> Floats:
    middle = (SIDE - 1) / 2
    return np.tile(np.array([[middle, middle, SIDE]], np.float32), (count, 1))


def _frames(motion: MotionMesh, pictures: npt.NDArray[np.uint8], points: Floats) -> MotionFrames:
    return MotionFrames(
        times=motion.times,
        pictures=pictures,
        points=points,
        squares=_squares(len(motion)),
        seen=motion.seen,
        shots=motion.shots,
        rate=motion.rate,
        provenance={**motion.provenance, "played by": f"who {SOMEBODY}, style {STYLE}"},
    )


def placed(landmarks: Floats) -> Floats:
    """The cast's landmarks (f, n, 2), pixels from the corner, as points of the mesh (f, 478, 2)."""
    theirs, ours = counterparts()
    known = landmarks[:, theirs]
    shape = np.column_stack([canonical().points, np.ones(len(canonical().points))]).astype(np.float64)
    laid = np.linalg.lstsq(shape[ours], known.transpose(1, 0, 2).reshape(len(ours), -1).astype(np.float64), rcond=None)[
        0
    ]
    points = np.asarray((shape @ laid).reshape(len(shape), -1, 2).transpose(1, 0, 2), np.float32)
    points[:, ours] = known
    points[:, JAW, 1] = _jaw(landmarks)[..., 1]
    middle = points[:, JAW, 0].mean(1, keepdims=True)  # sideways the mesh lies further out than the cast's line
    points[:, JAW, 0] = middle + JAW_OUT * (points[:, JAW, 0] - middle)
    return points


def _jaw(landmarks: Floats) -> Floats:
    """(f, 21, 2): as many places along the cast's jaw as the mesh has."""
    line = landmarks[:, [number for number, name in enumerate(NAMES) if name.startswith("jaw_")]]
    at = np.array(JAW_AT)
    before = np.minimum(at.astype(int), line.shape[1] - 2)
    share = (at - before)[:, None].astype(np.float32)
    return np.asarray(line[:, before] * (1 - share) + line[:, before + 1] * share, np.float32)


@lru_cache(maxsize=1)
def counterparts() -> tuple[list[int], list[int]]:
    """Landmarks of the cast and points of the mesh that are the same places."""
    pairs: list[tuple[str, int]] = []
    for side, eye in (("left", mesh.LEFT_EYE), ("right", mesh.RIGHT_EYE)):
        # both count lids along; the mesh begins at the outer corner, the cast at the inner one
        for edge, lid in (("upper", eye.upper), ("lower", eye.lower)):
            pairs += [(f"{side}_{edge}_lid_{k}", point) for k, point in enumerate(lid[::-1])]
        pairs.append((f"{side}_iris", eye.iris[0]))
        for edge, brow in (("top", eye.brow[:5]), ("bottom", eye.brow[5:])):
            pairs += [(f"{side}_brow_{edge}_{k}", point) for k, point in enumerate(brow[::-1])]
    for edge, lip in (
        ("outer_upper", mesh.OUTER_UPPER),
        ("inner_upper", mesh.INNER_UPPER),
        ("inner_lower", mesh.INNER_LOWER),
        ("outer_lower", mesh.OUTER_LOWER),
    ):
        pairs += [(f"lip_{edge}_{k}", point) for k, point in enumerate(lip)]
    pairs += [("nose_tip", mesh.NOSE_TIP), ("nose_under", 2), ("nose_bridge_low", 195)]
    return [NAMES.index(name) for name, _ in pairs], [point for _, point in pairs]
