"""One face through a film: where it is in every frame, steadied, bridged over gaps, shot by shot."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, Literal

import numpy as np

from understudy.errors import NoSuchFace
from understudy.face.cuts import FLASH, Frame, Timed, shots
from understudy.face.find import Face, Finder
from understudy.face.mesh_finder import MeshFinder
from understudy.face.square import Picture, Points
from understudy.face.steady import steadied

State = Literal["seen", "bridged", "lost"]

LOOKAHEAD: Final = 3  # frames to come that a frame is steadied with
LONGEST_GAP: Final = 0.5  # seconds without a face that are bridged
LOOK_HARD: Final = 15  # frames: how often a film without a face is searched thoroughly
SETTLING: Final = 3  # looks after which a found face is where following it would have it
SAME_PLACE: Final = 1.0  # sizes of the face that it may have moved meanwhile
SAME_SIZE: Final = 1.6  # times that it may have grown or shrunk
LEAP: Final = 0.25  # eye distances that a face moves between takes, where the picture has changed in part


@dataclass(frozen=True)
class Seen:
    """A frame of a film: its time in seconds, the face, how it is known, and the number of the shot, from 0.

    state: 'seen' in the frame; 'bridged' between the frames before and after; 'lost' (then the face is None)."""

    time: float
    face: Face | None
    state: State
    shot: int


def follow(
    frames: Iterable[Timed],
    finder: Finder | None = None,
    which: int | None = None,
    smooth: bool = True,
    lookahead: int = LOOKAHEAD,
) -> Iterator[Seen]:
    """One `Seen` for each (time in seconds, RGB frame), in order, `lookahead` frames later, and after a gap.

    which: follow the `which`-th largest face (from 0) of the first frame that has any; without, the largest. The same
        face is followed until the shot ends or another is all that is there. Raises NoSuchFace.
    smooth: steady the landmarks, never across cuts or lost frames.
    lookahead: frames to come that are waited for. With 0, for live use, nothing is held back: flashes may pass for
        cuts, and gaps are not bridged.

    What is said of a frame depends on the frames before it and on those few after it, not on how they are read."""
    with ExitStack() as stack:
        finder = finder or stack.enter_context(MeshFinder())
        seen = sightings(shots(frames, min(FLASH, lookahead)), finder, which)
        if lookahead:
            seen = bridged(seen)
        yield from smoothed(seen, lookahead) if smooth else seen


def sightings(frames: Iterable[Frame], finder: Finder, which: int | None) -> Iterator[Seen]:
    """The face as each frame shows it, or not ('lost')."""
    wanted = which  # until somebody was found
    last: Face | None = None
    gone = 0.0  # when it was lost
    current, away = 0, 0  # shot of the pictures; frames since the face was seen
    leaps = 0  # cuts that only the face showed
    for frame in frames:
        if frame.shot != current:
            current, last, away = frame.shot, None, 0
        face = finder.track(frame.picture, last) if last is not None and away == 0 else None
        if face is None:
            faces = finder.find(frame.picture, thorough=away % LOOK_HARD == 0, doubtful=last is not None)
            if last is not None:
                face = again(faces, last, long_ago=away > 0 and frame.time - gone > LONGEST_GAP)
            elif faces:
                face, wanted = first_of(faces, wanted), None
            face = settled(finder, frame.picture, face)
        if face is None:
            gone = gone if away else frame.time
            away += 1
            yield Seen(frame.time, None, "lost", current + leaps)
        else:
            leaps += frame.partly and last is not None and away == 0 and leapt(last, face)
            last, away = face, 0
            yield Seen(frame.time, face, "seen", current + leaps)


def settled(finder: Finder, picture: Picture, found: Face | None) -> Face | None:
    """A face that was found, as it looks to one who follows: the first frame is then no different from the others."""
    for _ in range(SETTLING):
        found = (found and finder.track(picture, found)) or found
    return found


def leapt(before: Face, after: Face) -> bool:
    """Whether landmarks are so far from where they were that it is another take, or another face."""
    apart = np.linalg.norm(after.points - before.points, axis=-1).mean()
    return bool(apart > LEAP * before.eye_distance)


def first_of(faces: Sequence[Face], which: int | None) -> Face:
    """The face to be followed, of those in the first frame that has any."""
    if which is not None and not 0 <= which < len(faces):
        raise NoSuchFace(
            f"face {which} was asked for in a film",
            f"{len(faces)} in the first frame that has any",
            f"--face 0 to {len(faces) - 1}, the largest first",
        )
    return faces[which or 0]


def again(faces: Sequence[Face], last: Face, long_ago: bool) -> Face | None:
    """The face that was lost; when that was long ago, the nearest person to where it was."""

    def distance(face: Face) -> float:
        return math.dist(face.centre, last.centre)

    def same(face: Face) -> bool:
        size = max(face.size, last.size) / min(face.size, last.size)
        return distance(face) < SAME_PLACE * last.size and size < SAME_SIZE

    usable = [face for face in faces if same(face) or (long_ago and face.human)]
    return min(usable, key=distance, default=None)


def bridged(sightings: Iterable[Seen]) -> Iterator[Seen]:
    """Short gaps filled by what lies between their ends. Frames of a gap come when it has ended, or is too long."""
    before: Seen | None = None  # the last one with a face, while its gap may still be bridged
    gap: list[Seen] = []
    for seen in sightings:
        if gap and (seen.shot != gap[0].shot or seen.time - gap[0].time > LONGEST_GAP + 1e-6):
            yield from gap
            gap, before = [], None
        if seen.face is None and before is not None and before.shot == seen.shot:
            gap.append(seen)
            continue
        if seen.face is not None:
            if before is not None:
                yield from (between(before, seen, each) for each in gap)
            gap, before = [], seen
        yield seen
    yield from gap


def between(before: Seen, after: Seen, lost: Seen) -> Seen:
    """A lost frame with the face on its way from one sighting to the next."""
    assert before.face is not None and after.face is not None
    way = np.float32((lost.time - before.time) / (after.time - before.time))
    points = before.face.points + way * (after.face.points - before.face.points)
    return replace(lost, face=Face(points, min(before.face.score, after.face.score)), state="bridged")


def smoothed(seen: Iterable[Seen], lookahead: int) -> Iterator[Seen]:
    """The same with steady landmarks: each run of frames with a face in one shot by itself."""
    for (_, there), run in groupby(seen, key=lambda each: (each.shot, each.face is not None)):
        if not there:
            yield from run
            continue
        waiting: deque[Seen] = deque()
        for points in steadied(landmarks(run, waiting), lookahead):
            each = waiting.popleft()
            assert each.face is not None
            yield replace(each, face=replace(each.face, points=points))


def landmarks(run: Iterable[Seen], waiting: deque[Seen]) -> Iterator[Points]:
    """The points of a run; whose they are is noted in `waiting`."""
    for each in run:
        assert each.face is not None
        waiting.append(each)
        yield each.face.points
