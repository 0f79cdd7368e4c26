"""A driver's pictures laid over a portrait: the cues of X-Portrait, from motion that knows of no portrait.

One frame of the driver is taken to do what the portrait does; the map that lays it over the portrait serves the whole
film (X-Portrait's script chooses that frame by summing distances of landmarks in two whole pictures, so that where the
face is in the picture counts more than what it does; here only what the map cannot mend is compared).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from understudy.errors import WrongMotion
from understudy.face.framing import SIDE
from understudy.face.mesh import Floats
from understudy.face.parts import centres, outline, unlikeness
from understudy.generator.generator import HINTS_TOGETHER, Cues
from understudy.generator.hints import aligned, between, moved, patched
from understudy.motion.frames import MotionFrames, whole


@dataclass(frozen=True)
class Matched:
    """The driver's frame that counts as the portrait's own, and its points (478, 2) in its picture. Of a driver that
    is taken as it is, frame -1 and no points."""

    frame: int
    points: Floats | None


AS_IT_IS = Matched(-1, None)


def best_frame(chunks: Iterable[MotionFrames], portrait: Floats) -> Matched | None:
    """The frame of a whole performance most like the portrait (478, 2), in one pass; None if nobody is seen."""
    least, best, first = np.inf, None, 0
    for chunk in chunks:
        costs = np.where(chunk.seen, unlikeness(chunk.points, portrait), np.inf)
        k = int(np.argmin(costs))
        if costs[k] < least:
            least, best = float(costs[k]), matched_at(chunk, k, first + k)
        first += len(chunk)
    return best


def matched_at(chunk: MotionFrames, k: int, frame: int) -> Matched:
    """Frame `k` of a chunk, the film's `frame`."""
    return Matched(frame, chunk.points[k].copy())


def map_of(matched: Matched, portrait: Floats, side: int) -> Tensor:
    """(1, 2, 3): from pixels of the driver's pictures to those of a frame of `side`, both from the corner.

    portrait: (478, 2) its points in such a frame. What is taken as it is, is only scaled."""
    if matched.points is None:
        scale = side / SIDE
        return torch.tensor([[[scale, 0, 0], [0, scale, 0]]], dtype=torch.float32)
    theirs, ours = (torch.from_numpy(outline(points))[None] for points in (matched.points, portrait))
    return between(theirs, ours)


def cues(chunks: Iterable[MotionFrames], onto: Tensor, side: int) -> Iterator[Cues]:
    """The hints of every frame: the driver's picture through the map `onto` (1, 2, 3), and its eyes and mouth alone."""
    for group in regrouped(chunks, HINTS_TOGETHER):
        pictures = torch.from_numpy(np.ascontiguousarray(group.pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
        shown = aligned(pictures, onto, side)
        places = moved(torch.from_numpy(centres(group.points)), onto)
        yield Cues((shown, patched(shown, places)))


def regrouped(chunks: Iterable[MotionFrames], size: int) -> Iterator[MotionFrames]:
    """The same frames in groups of `size`, whatever chunks they came in: no number then depends on the chunks."""
    waiting: list[MotionFrames] = []
    for chunk in chunks:
        if not isinstance(chunk, MotionFrames):
            raise WrongMotion(
                f"this model draws from a driver's pictures and was given {type(chunk).__name__}",
                remedy="reading the driver with this model's `read`",
            )
        waiting.append(chunk)
        while sum(map(len, waiting)) >= size:
            held = whole(waiting)
            yield held[:size]
            waiting = [held[size:]] if len(held) > size else []
    if waiting:
        yield whole(waiting)
