"""What a face in a picture is, who finds it, and which of several is meant.

`Finder` is what the rest of the project knows; `mesh_finder.MeshFinder` is the one that needs no download. A newer
model file would be another class with the same two verbs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Final, Protocol

import numpy as np

from understudy.errors import FaceTooSmall, NoFace, NoSuchFace
from understudy.face.square import Picture, Points, Square

# The outer corners of the eyes; the picture's left one first.
OUTER_CORNERS: Final = (33, 263)

HUMAN: Final = 0.5  # least `score` of a person
# Least `eye_distance` in pixels that can be animated. In 38 faces shrunk to it, the openings of lids and lips were
# typically off by 0.006 of it, a twentieth of a blink; at 16 pixels by twice that, at 40 by a third.
SMALLEST_EYES: Final = 24.0


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture.

    points: (478, 3) float32 in MediaPipe's order, in pixels of the picture (the middle of the first one is 0);
        x to the right, y down, z away from the camera, in the same unit, from somewhere inside the head.
    score: how surely it is a human one, in [0, 1]; of a face that was followed, when it was found.
    window: the square through which the points were seen, if they were.
    """

    points: Points
    score: float = 1.0
    window: Square | None = None

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of all points, in pixels."""
        (x0, y0), (x1, y1) = self.points[:, :2].min(0), self.points[:, :2].max(0)
        return float(x0), float(y0), float(x1), float(y1)

    @property
    def size(self) -> float:
        """The longer side of the box, in pixels."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2, (y0 + y1) / 2

    @cached_property
    def eye_distance(self) -> float:
        """Between the outer corners of the eyes, in depth too, so that it hardly changes when the head turns."""
        one, other = self.points[list(OUTER_CORNERS)]
        return float(np.linalg.norm(one - other))

    @property
    def roll(self) -> float:
        """Turn of the line through the eyes, in radians, clockwise as seen."""
        along = self.points[OUTER_CORNERS[1]] - self.points[OUTER_CORNERS[0]]
        return math.atan2(float(along[1]), float(along[0]))

    @property
    def human(self) -> bool:
        """Whether it may be taken for a person; drawn, painted and carved ones may."""
        return self.score >= HUMAN

    def overlaps(self, other: Face) -> bool:
        """Whether both are the same face, found twice."""
        apart = math.dist(self.centre, other.centre)
        return apart < 0.4 * max(self.size, other.size)


class Finder(Protocol):
    """Finds faces, and finds them again. It remembers nothing: the same question has the same answer."""

    def find(self, picture: Picture, *, thorough: bool = True, doubtful: bool = False) -> list[Face]:
        """Human faces in an RGB picture (h, w, 3), the largest first.

        thorough: also small, turned and partly hidden ones; without, what an ordinary film needs, and quickly.
        doubtful: also what merely looks like a face, behind those that are."""
        ...

    def track(self, picture: Picture, last: Face) -> Face | None:
        """The face that was `last` seen, in the next picture of a film; None if it is not there any more."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Finder: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


NO_FACE_REMEDY: Final = "a picture of a person from the front, well lit, and the face not a small part of it"


def pick(faces: Sequence[Face], which: int | None = None, name: str = "the picture") -> Face:
    """The face that is meant: the `which`-th largest (from 0), else the largest; `name` of the picture is for errors.

    Raises NoFace (none, or only such as are not human), NoSuchFace (fewer than asked for) and FaceTooSmall."""
    people = sorted((face for face in faces if face.human), key=lambda face: -face.size)
    if not people:
        raise NoFace(f"no human face was found in {name}", seen_instead(faces), NO_FACE_REMEDY)
    if which is not None and not 0 <= which < len(people):
        raise NoSuchFace(
            f"face {which} was asked for in {name}",
            f"{len(people)} face{'s' if len(people) > 1 else ''}: " + "; ".join(map(placed, people)),
            f"--face 0 to {len(people) - 1}; 0 is the largest" if len(people) > 1 else "the command without --face",
        )
    face = people[which or 0]
    if face.eye_distance < SMALLEST_EYES:
        raise FaceTooSmall(
            f"the face in {name} is too small to be animated",
            f"{face.eye_distance:.0f} pixels from eye to eye; {SMALLEST_EYES:.0f} are needed, 80 or more look well",
            "a larger picture, or one taken from nearer",
        )
    return face


def seen_instead(faces: Sequence[Face]) -> str:
    """What there is besides people, for the error that there are none."""
    if not faces:
        return "nothing that looks like a face"
    best = max(faces, key=lambda face: face.score)
    return (
        f"something with eyes and a mouth {placed(best)}, as of an animal or a figure, "
        f"and {best.score:.0%} sure to be human, of {HUMAN:.0%} needed"
    )


def placed(face: Face) -> str:
    """Size and place of a face, for people."""
    x, y = face.centre
    return f"{face.size:.0f} pixels large at ({x:.0f}, {y:.0f})"
