"""The `Finder` that needs no download: MediaPipe's networks, each shown the squares that it is good at.

Squares that may hold a face come from two detectors (the far one also looks at parts of large pictures). The mesh
network's window is laid on each until it sits. Whether that is a person, the far detector says, shown the face upright
from three distances and in the mirror: animals, which the mesh network takes readily, it hardly sees as faces at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Final

import cv2
import numpy as np

from understudy.face.find import SMALLEST_EYES, Face
from understudy.face.networks import MESH_SIZE, Detection, Detector, MeshNetwork
from understudy.face.square import Picture, Points, Square

WINDOW: Final = 1.5  # side of the mesh network's window, in sizes of the face; it was trained on this
FOUND: Final = 0.3  # least score of a detection worth a look through the mesh network
PRESENT: Final = 0.0  # least log-odds of the mesh network for its points to count
DOUBT: Final = 0.05  # least score that the far detector reports; below, it has seen nothing
DISTANCES: Final = (1.3, 2.0, 3.0)  # from which a face must look human: sides of the view, in windows
SHARE: Final = 0.04  # least eye distance that the far detector finds nearly always, in sides of the square
SURE: Final = 0.73  # a score that people reach, and neither faces taken upside down nor animals however turned
TURNS: Final = (math.pi / 2, -math.pi / 2, math.pi)  # of pictures in which nobody was surely found
SLACK: Final = 0.015  # how far what is wanted may move before a window follows: sides, log sides, radians
ASIDE: Final = 0.1  # beyond this, in the same units, a window is laid anew


class MeshFinder:
    """See `Finder`. For one thread at a time; not across a fork."""

    def __init__(self) -> None:
        self._mesh = MeshNetwork()
        self._near = Detector(far=False, least=FOUND)
        self._far = Detector(far=True, least=DOUBT)

    def __enter__(self) -> MeshFinder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the networks' memory back."""
        for network in (self._mesh, self._near, self._far):
            network.close()

    def find(self, picture: Picture, *, thorough: bool = True, doubtful: bool = False) -> list[Face]:
        """See `Finder.find`."""
        height, width = picture.shape[:2]
        whole = Square((width - 1) / 2, (height - 1) / 2, max(width, height))
        faces = self._faces(picture, self._candidates(picture, whole, parts=thorough))
        if thorough and not any(face.score >= SURE for face in faces):
            for turn in TURNS:
                turned = replace(whole, turn=turn)
                found = self._faces(picture, self._candidates(picture, turned, parts=False))
                faces += [face for face in found if face.score >= SURE]
            faces = distinct(faces)
        kept = [face for face in faces if face.human or doubtful]
        return sorted(kept, key=lambda face: (not face.human, -face.size))

    def track(self, picture: Picture, last: Face) -> Face | None:
        """See `Finder.track`."""
        wanted = window_of(last.points)
        window = followed(last.window, wanted) if last.window else wanted
        height, width = picture.shape[:2]
        if not (0 <= window.x < width and 0 <= window.y < height):
            return None
        points, presence = self._look(picture, window)
        if presence > PRESENT and apart(window, window_of(points)) > ASIDE:
            window = window_of(points)  # a fast move: it is not in the middle any more
            points, presence = self._look(picture, window)
        return Face(points, last.score, window) if presence > PRESENT else None

    def _candidates(self, picture: Picture, whole: Square, parts: bool) -> Iterator[tuple[float, Square]]:
        """Scores and windows of what may be faces."""
        yield from self._detected(picture, whole, self._near)
        yield from self._detected(picture, whole, self._far)
        for part in parts_of(picture) if parts else ():
            yield from self._detected(picture, part, self._far)

    def _detected(self, picture: Picture, square: Square, detector: Detector) -> Iterator[tuple[float, Square]]:
        for found in detector(square.cut(picture, detector.size, cv2.BORDER_CONSTANT)):
            if found.score >= FOUND:
                yield found.score, window_on(found, square, detector.size)

    def _faces(self, picture: Picture, candidates: Iterable[tuple[float, Square]]) -> list[Face]:
        """The faces behind candidates, each once, scored."""
        faces: list[Face] = []
        for _, window in sorted(candidates, key=lambda each: -each[0]):
            if any(math.dist(face.centre, (window.x, window.y)) < 0.3 * face.size for face in faces):
                continue
            face = self._settled(picture, window)
            if face is not None:
                faces.append(replace(face, score=self._humanity(picture, face)))
        return distinct(faces)

    def _settled(self, picture: Picture, window: Square, looks: int = 3) -> Face | None:
        """The face in a window that is laid anew round what was seen in it, until it sits.

        There is time to look at a still picture more than once: the mean over nearby windows depends on how the window
        happened to lie less than half as much as one look (0.0017 of the eye distance, of 0.0045)."""
        for _ in range(looks):
            points, presence = self._look(picture, window)
            window = window_of(points)
        if presence <= PRESENT:
            return None
        looked = [self._look(picture, near) for near in nearby(window)]
        return Face(np.mean([points for points, _ in looked], axis=0, dtype=np.float32), 1.0, window)

    def _look(self, picture: Picture, window: Square) -> tuple[Points, float]:
        points, presence = self._mesh(window.cut(picture, MESH_SIZE))
        return window.to_picture(points, MESH_SIZE), presence

    def _humanity(self, picture: Picture, face: Face) -> float:
        """How surely this is a person, in [0, 1]: the far detector's mean log-odds over its views of it.

        Of 76 pictures of people (photographs, paintings, cartoons, statues), each also turned by 15 degrees, scaled,
        mirrored, grey and compressed, the worst had log-odds of 0.6; of 14 animals that the mesh network took for
        faces, the best had -0.7. A capuchin passes."""
        window = window_of(face.points)
        odds = []
        for distance in DISTANCES:
            view = window.grown(distance).cut(picture, self._far.size)
            for seen in (view, view[:, ::-1]):
                odds.append(self._middle_odds(seen, reach=0.25 * self._far.size / distance))
        return float(1 / (1 + np.exp(-np.mean(odds))))

    def _middle_odds(self, view: Picture, reach: float) -> float:
        """Log-odds of the best detection within `reach` pixels of the view's middle."""
        middle = (self._far.size - 1) / 2
        near = [each.score for each in self._far(view) if math.hypot(each.x - middle, each.y - middle) < reach]
        best = max(near, default=DOUBT)
        return math.log(best / (1 - best))


def window_of(points: Points) -> Square:
    """The mesh network's window on a face: round the box of its points, turned as its eyes are."""
    face = Face(points)
    return Square(*face.centre, face.size * WINDOW, face.roll)


def window_on(found: Detection, square: Square, size: int) -> Square:
    """The mesh network's window on what a detector found in a square that was cut to `size` pixels."""
    x, y = square.to_picture(np.array([found.x, found.y], np.float32), size)
    return Square(float(x), float(y), found.side * WINDOW * square.side / size, square.turn + found.turn)


def nearby(window: Square) -> Iterator[Square]:
    """A window, and eight others a little aside of it, turned, nearer and farther."""
    yield window
    for dx, dy in ((0.05, 0), (-0.05, 0), (0, 0.05), (0, -0.05)):
        yield replace(window, x=window.x + dx * window.side, y=window.y + dy * window.side)
    for turn in (0.15, -0.15):
        yield replace(window, turn=window.turn + turn)
    for factor in (1.1, 1 / 1.1):
        yield window.grown(factor)


def followed(window: Square, wanted: Square) -> Square:
    """The window drawn towards the wanted one as by a lead of length `SLACK`.

    Landmarks quiver, by about a thousandth of the face. A window that follows each quiver shows the network another
    picture every time, and its answers quiver more; one that hangs on a slack lead stays where it is while the face
    keeps still, and glides with it, without a jump, when it moves."""
    dx, dy = wanted.x - window.x, wanted.y - window.y
    pull = drawn(math.hypot(dx, dy) / window.side) * window.side / (math.hypot(dx, dy) or 1.0)
    return Square(
        window.x + dx * pull,
        window.y + dy * pull,
        window.side * math.exp(drawn(math.log(wanted.side / window.side))),
        window.turn + drawn(turned(window, wanted)),
    )


def drawn(distance: float) -> float:
    """What is left of a distance when the lead is taut."""
    return math.copysign(max(0.0, abs(distance) - SLACK), distance)


def turned(window: Square, wanted: Square) -> float:
    """The angle between two squares, in (-pi, pi]."""
    return math.remainder(wanted.turn - window.turn, 2 * math.pi)


def apart(window: Square, wanted: Square) -> float:
    """How differently two windows lie: the largest of shift (in sides), log of sizes, and angle (in radians)."""
    shift = math.hypot(wanted.x - window.x, wanted.y - window.y) / window.side
    return max(shift, abs(math.log(wanted.side / window.side)), abs(turned(window, wanted)))


def parts_of(picture: Picture) -> Iterator[Square]:
    """Overlapping squares, each level half as large as the last, until the smallest face of use would be found."""
    height, width = picture.shape[:2]
    side = float(max(width, height))
    while side * SHARE > SMALLEST_EYES:
        side /= 2
        for y in centres(height, side):
            for x in centres(width, side):
                yield Square(x, y, side)


def centres(length: int, side: float) -> list[float]:
    """Of the fewest intervals that cover a length with at least a third of overlap."""
    count = 1 + max(0, math.ceil((length - side) / (side * 2 / 3) - 1e-9))
    if count == 1:
        return [(length - 1) / 2]
    first, last = side / 2 - 0.5, length - side / 2 - 0.5
    return [float(x) for x in np.linspace(first, last, count)]


def distinct(faces: Iterable[Face]) -> list[Face]:
    """Each face once: of those that lie on each other, the likeliest."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(face.overlaps(other) for other in kept):
            kept.append(face)
    return kept
