"""Landmarks without their quiver: smoothing that lets go where something moves.

A face is taken apart into where it is (a similarity transform in space, found from the points that hardly move with
expressions) and what it does (the points as they lie in the head). Both are smoothed, each by its own measure of
whether it moves: most of the quiver moves the whole face together, and a blink must not unsteady the head, nor a turn
of the head the lids.

A frame is the mean of those around it that show the same, or the same on a steady course, to within the noise: a
bilateral filter in time. It keeps peaks and onsets, because a frame that its neighbours do not explain is left to
itself. With a few frames to come in sight (`lookahead`) it has no delay; with none, a line through the past stands in
for them. That kept more of every movement, with less delay, than One-Euro filters of about the same steadiness.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import EYES, SKIN, STABLE
from understudy.face.square import Points

Array = npt.NDArray[np.float32]

# How far a point may be from itself in another frame and still be the same but for noise. Camera noise of sigma 3 moves
# points by about 0.15 pixels along each axis, whatever the size of the face, and the network adds some of its own.
NOISE_PIXELS: Final = 0.45
NOISE_EYES: Final = 0.003  # of the distance of the eyes
HEAD_SHARE: Final = 0.7  # of that, for the whole head: its noise is a mean over many points
FINE_SHARE: Final = 0.6  # of that, for lids, irises and brows, which are seen more exactly than lips and chin
PAST: Final = 8  # frames before this one that have a say
FADE: Final = 4.0  # frames: how fast their say fades (sigma)
STIFF: Final = 2.0  # of lines through past and future, against tilting
STIFFER: Final = 60.0  # of lines through the past alone, whose end swings more
SPAN: Final = 4  # frames over which a velocity is measured
PACE: Final = 0.6  # of the noise: a velocity that is taken for one only by half
NEIGHBOURS: Final = 0.06  # radius (sigma) within which points must agree that they move, in eye distances

FINE: Final = sorted(
    {point for eye in EYES.values() for part in (eye.upper, eye.lower, eye.iris, eye.brow) for point in part}
)


@dataclass(frozen=True)
class Shape:
    """What a run of frames is measured against: the first face, with its eyes one unit apart."""

    points: Array  # (478, 3), its middle is 0
    near: Array  # (478, 478), rows sum to 1: how much each point listens to each
    noise: Array  # (478,) in eye distances
    head_noise: float

    @classmethod
    def of(cls, points: Points) -> Shape:
        unit = float(np.linalg.norm(points[33] - points[263]))
        shape = (points - points[list(STABLE)].mean(0)) / unit
        square = ((shape[:, None] - shape[None]) ** 2).sum(-1)
        near = np.exp(-0.5 * square / NEIGHBOURS**2)
        near[SKIN:, :SKIN] = 0  # an iris listens to itself: lids may stay when a gaze goes
        near /= near.sum(1, keepdims=True)
        noise = max(NOISE_EYES, NOISE_PIXELS / unit)
        each = np.full(len(shape), noise)
        each[FINE] *= FINE_SHARE
        return cls(shape.astype(np.float32), near.astype(np.float32), each.astype(np.float32), HEAD_SHARE * noise)


@dataclass(frozen=True)
class Placed:
    """One frame taken apart: points = head @ (own, 1)."""

    head: Array  # (3, 4): scale * rotation, and shift
    own: Array  # (478, 3) in the head, in eye distances

    @classmethod
    def of(cls, points: Points, shape: Shape) -> Placed:
        head = similarity(shape.points[list(STABLE)], points[list(STABLE)])
        return cls(head, (points - head[:, 3]) @ np.linalg.inv(head[:, :3]).T)

    def points(self) -> Points:
        return np.asarray(self.own @ self.head[:, :3].T + self.head[:, 3], np.float32)


def similarity(source: Points, target: Points) -> Array:
    """(3, 4): scale times rotation, and the shift, that bring (k, 3) `source` nearest to `target` (Umeyama 1991)."""
    a, b = source.astype(np.float64), target.astype(np.float64)
    middle_a, middle_b = a.mean(0), b.mean(0)
    a, b = a - middle_a, b - middle_b
    u, stretch, v = np.linalg.svd(b.T @ a)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    linear = (u * flip) @ v * (stretch * flip).sum() / (a**2).sum()
    return np.column_stack([linear, middle_b - linear @ middle_a]).astype(np.float32)


def rigid(head: Array) -> Array:
    """The nearest similarity to a mean of such."""
    u, stretch, v = np.linalg.svd(head[:, :3])
    return np.column_stack([u @ v * stretch.mean(), head[:, 3]]).astype(np.float32)


def steadied(run: Iterable[Points], lookahead: int) -> Iterator[Points]:
    """The faces of one run, each smoothed with those before it and `lookahead` after it; so many frames later.

    A frame depends on these and on the run's first face alone, so a longer run begins like a shorter one."""
    frames = iter(run)
    first = next(frames, None)
    if first is None:
        return
    shape = Shape.of(first)
    around: deque[Placed] = deque()
    here = -lookahead  # of the frame whose turn it is, in `around`
    for points in chain([first], frames, repeat(None, lookahead)):
        if points is not None:
            around.append(Placed.of(points, shape))
        if 0 <= here < len(around):
            yield blended(around, here, shape, STIFF if lookahead else STIFFER)
        here += 1
        if here > PAST:
            around.popleft()
            here -= 1


def blended(around: Sequence[Placed], here: int, shape: Shape, stiffness: float) -> Points:
    """The frame at `here`, with what its neighbours say of the same."""
    steps = np.arange(len(around), dtype=np.float32) - here
    fade = np.exp(-0.5 * (steps / FADE) ** 2)[:, None]

    heads = np.stack([each.head for each in around])  # (frames, 3, 4)
    speed = velocity(heads, here)
    pace = head_shift(speed, heads[here], shape)
    speed *= pace**2 / (pace**2 + (PACE * shape.head_noise) ** 2)
    heads = heads - speed * steps[:, None, None]  # as they would be now, had they gone on like this
    apart = head_shift(heads - heads[here], heads[here], shape)
    mix = line(fade * np.exp(-0.5 * (apart / shape.head_noise) ** 2)[:, None], steps, stiffness)
    head = (mix[:, :, None] * heads).sum(0)

    own = np.stack([each.own for each in around])  # (frames, 478, 3)
    speeds = velocity(own, here)
    paces = shape.near @ (speeds**2).sum(-1)
    speeds *= (paces / (paces + (PACE * shape.noise) ** 2))[:, None]
    own = own - speeds * steps[:, None, None]
    change = ((own - own[here]) ** 2).sum(-1) @ shape.near.T  # (frames, 478)
    mixes = line(fade * np.exp(-0.5 * change / shape.noise**2), steps, stiffness)
    return Placed(rigid(head), (mixes[:, :, None] * own).sum(0)).points()


def velocity(frames: Array, here: int) -> Array:
    """Change per frame round `here`, or up to it if nothing follows."""
    last = min(here + SPAN // 2, len(frames) - 1)
    first = max(0, last - SPAN)
    return np.asarray((frames[last] - frames[first]) / max(1, last - first), np.float32)


def head_shift(change: Array, head: Array, shape: Shape) -> Array:
    """How far a change (..., 3, 4) of `head` moves the head's points, in eye distances (root mean square)."""
    spread = shape.points[list(STABLE)]
    moved = spread @ np.swapaxes(change[..., :3], -1, -2) + change[..., None, :, 3]
    unit = float(np.cbrt(np.linalg.det(head[:, :3])))
    return np.asarray(np.sqrt((moved**2).sum(-1).mean(-1)) / unit, np.float32)


def line(weights: Array, steps: Array, stiffness: float) -> Array:
    """Weights (frames, k) -> those of a weighted line through the frames, where it passes step 0: they sum to 1.

    Where weights are lopsided, at the ends of a run and where nothing to come is in sight, a mean would lag behind
    what moves steadily, and a line does not. It is stiff, so that it does not swing with the last frame's noise."""
    steps = steps[:, None]
    zeroth, first, second = weights.sum(0), (weights * steps).sum(0), (weights * steps**2).sum(0) + stiffness
    return np.asarray(weights * (second - first * steps) / (zeroth * second - first**2), np.float32)
