"""The drivers: frames of a face to a stream of `MotionMesh` or of `MotionFrames` chunks.

Tracking, smoothing and curves are the driver's side of a performance; nothing here knows of a portrait. The curves
need to know the face at rest, which a stream shows only in time: they are relative to what the first frames show (see
`face.neutral.Neutral`), and the warp engine, which draws from the points, does not need them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from understudy.errors import NoFace
from understudy.face.find import Face, Finder
from understudy.face.follow import Seen, follow
from understudy.face.framing import SIDE, framed
from understudy.face.lips import COLUMNS, ROWS, cut_inside
from understudy.face.mesh import Floats
from understudy.face.neutral import Neutral
from understudy.face.pose import fit_pose
from understudy.face.rig import Rig
from understudy.face.square import Square
from understudy.motion.frames import MotionFrames
from understudy.motion.mesh import Bytes, MotionMesh

CHUNK = 32  # frames


@dataclass(frozen=True)
class _Frame:
    """What is kept of one driving frame."""

    seen: Seen
    mouth: Bytes | None


def read_mesh(
    frames: Iterable[tuple[Fraction, Bytes]],
    rate: Fraction,
    finder: Finder | None = None,
    *,
    which: int | None = None,
    lookahead: int = 3,
    mouths: bool = True,
    name: str = "the driver",
    provenance: dict[str, str] | None = None,
) -> Iterator[MotionMesh]:
    """Follows one face through timed frames; yields chunks of at most `CHUNK` frames, one motion frame per frame.

    `which` face of several (0 is the largest), `lookahead` frames of delay for smoothing without lag (see
    `face.follow`; 0 for live use), `mouths` whether to keep what is inside the driver's mouth. Frames in which nobody
    is seen keep the last points, those before anybody is seen the first ones, and `seen` is False there. Raises
    `NoFace` when there is nobody at all."""
    about = dict(provenance or {})
    neutral = Neutral()
    waiting: list[_Frame] = []
    last: Floats | None = None
    for frame in _followed(frames, finder, which, lookahead, mouths):
        waiting.append(frame)
        if last is None and frame.seen.face is not None:
            last = frame.seen.face.points
        while last is not None and len(waiting) >= CHUNK:
            made = _mesh(waiting[:CHUNK], last, rate, neutral, about)
            waiting, last = waiting[CHUNK:], made.points[-1]
            yield made
    if last is None:
        raise _nobody(name, len(waiting))
    for start in range(0, len(waiting), CHUNK):
        made = _mesh(waiting[start : start + CHUNK], last, rate, neutral, about)
        last = made.points[-1]
        yield made


def read_frames(
    frames: Iterable[tuple[Fraction, Bytes]],
    rate: Fraction,
    finder: Finder | None = None,
    *,
    which: int | None = None,
    lookahead: int = 3,
    name: str = "the driver",
    provenance: dict[str, str] | None = None,
) -> Iterator[MotionFrames]:
    """As `read_mesh`, but keeps the driver's pictures: of each shot one square, laid round the face where the shot
    first shows it, as the cast's pictures are framed; black beyond the driver's picture.

    Frames in which nobody is seen keep the last picture that showed somebody, those before anybody is seen the first.
    """
    about = dict(provenance or {})
    waiting: list[_View] = []
    unseen: list[Seen] = []  # before anybody was
    square: Square | None = None
    shot, last = -1, None
    for seen, picture in pictured(frames, finder, which, lookahead):
        if seen.face is not None:
            if square is None or seen.shot != shot:
                square, shot = framed(seen.face, (picture.shape[1], picture.shape[0])).square, seen.shot
            last = _view(seen, seen.face, picture, square)
        if last is None:
            unseen.append(seen)
            continue
        waiting += [_View(each, last.picture, last.points, last.square) for each in (*unseen, seen)]
        unseen = []
        while len(waiting) >= CHUNK:
            yield _frames(waiting[:CHUNK], rate, about)
            waiting = waiting[CHUNK:]
    if last is None:
        raise _nobody(name, len(unseen))
    if waiting:
        yield _frames(waiting, rate, about)


@dataclass(frozen=True)
class _View:
    """What the frames of pictures are made from: a frame, and the picture that stands for it."""

    seen: Seen
    picture: Bytes
    points: Floats
    square: Square


def _view(seen: Seen, face: Face, picture: Bytes, square: Square) -> _View:
    points = square.to_frame(face.points, SIDE)[:, :2] + np.float32(0.5)  # from the corner
    return _View(seen, square.cut(picture, SIDE, cv2.BORDER_CONSTANT), points, square)


def _frames(views: list[_View], rate: Fraction, about: dict[str, str]) -> MotionFrames:
    """A chunk."""
    return MotionFrames(
        times=np.array([float(view.seen.time) for view in views]),
        pictures=np.stack([view.picture for view in views]),
        points=np.stack([view.points for view in views]),
        squares=np.array([(view.square.x, view.square.y, view.square.side) for view in views], np.float32),
        seen=np.array([view.seen.face is not None for view in views]),
        shots=np.array([view.seen.shot for view in views], np.int32),
        rate=rate,
        provenance=about,
    )


def _nobody(name: str, frames: int) -> NoFace:
    return NoFace(
        f"no face was found in {name}",
        f"{frames} frames without a human face",
        "a clip of one person, the face at least a tenth of the picture's height; `understudy check` tells more",
    )


def pictured(
    frames: Iterable[tuple[Fraction, Bytes]], finder: Finder | None, which: int | None, lookahead: int
) -> Iterator[tuple[Seen, Bytes]]:
    """Every frame's face with the picture, which waits only as long as its face does."""
    pictures: deque[Bytes] = deque()

    def tapped() -> Iterator[tuple[Fraction, Bytes]]:
        for time, picture in frames:
            pictures.append(picture)
            yield time, picture

    for seen in follow(tapped(), finder, which, lookahead=lookahead):
        yield seen, pictures.popleft()


def _followed(
    frames: Iterable[tuple[Fraction, Bytes]], finder: Finder | None, which: int | None, lookahead: int, mouths: bool
) -> Iterator[_Frame]:
    """Every frame's face, with the mouth cut out of the picture, which is then let go."""
    for seen, picture in pictured(frames, finder, which, lookahead):
        inside = cut_inside(picture, seen.face.points) if mouths and seen.face is not None else None
        yield _Frame(seen, inside)


def _mesh(frames: list[_Frame], last: Floats, rate: Fraction, neutral: Neutral, about: dict[str, str]) -> MotionMesh:
    """A chunk; `last (478, 3)` stands in for faces that are missing at its start."""
    points = np.empty((len(frames), 478, 3), np.float32)
    for k, frame in enumerate(frames):
        if frame.seen.face is not None:
            last = frame.seen.face.points
        points[k] = last
    seen = np.array([frame.seen.face is not None for frame in frames])
    shape = neutral.feed(points[seen])
    pose = fit_pose(points)
    rig = Rig.canonical() if shape is None else Rig.fit(shape)
    insides: npt.NDArray[np.uint8] | None = None
    if any(frame.mouth is not None for frame in frames):
        shut = np.zeros((ROWS, COLUMNS, 3), np.uint8)
        insides = np.stack([shut if frame.mouth is None else frame.mouth for frame in frames])
    return MotionMesh(
        times=np.array([float(frame.seen.time) for frame in frames]),
        points=points,
        pose=pose,
        curves=rig.coefficients(points),
        names=rig.names,
        seen=seen,
        shots=np.array([frame.seen.shot for frame in frames], np.int32),
        rate=rate,
        mouths=insides,
        provenance=about,
    )
