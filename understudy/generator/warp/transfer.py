"""From the driver's points to the portrait's: the performance without the performer.

What is carried is the *change* of the driver's shape in its own head's frame (relative to its best-matching frame, or
to its neutral face), scaled to the portrait's own features, and the change of the head's angles. Lids are carried as
how far they stand open, so that shut is shut on any face; lips keep from passing through each other; the gaze moves
the irises within the portrait's own eyes. What asks more than a bent picture can give is softly limited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import (
    EYES,
    INNER_LOWER,
    INNER_UPPER,
    OUTER_LOWER,
    OUTER_UPPER,
    Eye,
    Floats,
    canonical,
    floats,
)
from understudy.face.pose import PIVOT, Pose, fit_pose, rotation_of
from understudy.motion.mesh import MotionMesh

SHUT = 0.09  # lid gap over eye width at which MediaPipe's lids of a shut eye rest
YAW, PITCH, ROLL = 32.0, 24.0, 32.0  # degrees away from the portrait's own pose that a bent picture can show
# MediaPipe reads less of a movement than there is: a mesh that has seen many faces prefers the usual one. Measured by
# moving the features of 15 pictures by known amounts and reading them again (docs/log.md); what was read is divided by:
READS_BROW, READS_LIPS_ACROSS, READS_LIPS_DOWN, READS_PITCH = 0.8, 0.68, 0.9, 0.85
READS_GAZE = np.array([0.7, 0.5, 1.0], np.float32)
READS_LIDS = 0.75  # of the way from open to shut
PROFILE = 46.0  # degrees of yaw, the portrait's own included, at which the far cheek is gone; nor can a portrait that
# was turned away show much of that cheek when it turns back
SHIFT, GROW = 0.16, 0.08  # head translation (eye units) and scale (relative) that necks can take


@dataclass(frozen=True)
class Reference:
    """The driver's frame that counts as the portrait's own: shape (478, 3) in eye units, pose, and its place."""

    shape: Floats
    angles: Floats  # (3,) degrees
    pivot: Floats  # (3,) pixels
    scale: float  # pixels an eye unit
    frame: int


@dataclass(frozen=True)
class Shape:
    """The portrait as transfer sees it: pose in the crop, and shape in eye units."""

    pose: Pose  # one frame
    shape: Floats  # (478, 3)

    @staticmethod
    def of(points: Floats) -> Shape:
        """`points (478, 3)` in pixels of the crop."""
        pose = fit_pose(points[None])
        return Shape(pose, pose.take(points[None])[0])


def aperture(shape: Floats, eye: Eye) -> Floats:
    """(..., 478, 3) -> (...,) lid gap over eye width."""
    gap = np.linalg.norm(shape[..., eye.upper[2:7], :] - shape[..., eye.lower[2:7], :], axis=-1).mean(-1)
    width = np.linalg.norm(shape[..., eye.outer, :] - shape[..., eye.inner, :], axis=-1)
    return np.asarray(gap / np.maximum(width, 1e-6), np.float32)


def lip_gap(shape: Floats) -> Floats:
    """(..., 478, 3) -> (...,) height of the open mouth in eye units."""
    return np.asarray(np.linalg.norm(shape[..., 13, :] - shape[..., 14, :], axis=-1), np.float32)


def best_frame(chunks: Iterable[MotionMesh], portrait: Shape) -> Reference | None:
    """The frame of a whole performance that looks most like the portrait, in one pass; None if nobody is seen.

    Pose and mouth come from one frame, eyes and brows perhaps from another: a driver who never does all at once what
    the portrait does (who shuts the eyes whenever the mouth is open, say) is no obstacle."""
    whole: _Best = _Best()
    upper: _Best = _Best()
    first = 0
    for chunk in chunks:
        shape = chunk.pose.take(chunk.points)
        turned = np.abs(chunk.pose.angles - portrait.pose.angles[0]) @ np.array([1 / 60, 1 / 60, 1 / 90], np.float32)
        eyes = 0.3 * turned
        for eye in EYES.values():
            eyes += np.abs(aperture(shape, eye) - np.clip(aperture(portrait.shape, eye), 0.26, 0.42))
            eyes += 0.7 * np.abs(_gaze(shape, eye) - _gaze(portrait.shape, eye)).sum(-1)
        lips = 2.0 * np.abs(lip_gap(shape) - lip_gap(portrait.shape))
        lips += 0.6 * np.abs(_lip_form(shape) - _lip_form(portrait.shape)).sum(-1)
        whole.offer(np.where(chunk.seen, turned + lips + 0.5 * eyes, np.inf), chunk, first)
        upper.offer(np.where(chunk.seen, eyes, np.inf), chunk, first)
        first += len(chunk)
    if whole.found is None or upper.found is None:
        return None
    part = (regions().eyes + regions().brows)[:, None]
    return replace(whole.found, shape=whole.found.shape + part * (upper.found.shape - whole.found.shape))


class _Best:
    """The cheapest frame so far."""

    def __init__(self) -> None:
        self.least = np.inf
        self.found: Reference | None = None

    def offer(self, costs: npt.NDArray[np.float32], chunk: MotionMesh, first: int) -> None:
        k = int(np.argmin(costs))
        if costs[k] < self.least:
            self.least, self.found = float(costs[k]), reference_at(chunk, k, first + k)


def _lip_form(shape: Floats) -> Floats:
    """(..., 478, 3) -> (..., 2): width of the mouth, and how high its corners stand, over the face's own measures."""
    width = np.linalg.norm(shape[..., 61, :] - shape[..., 291, :], axis=-1)
    corners = (shape[..., 61, 1] + shape[..., 291, 1]) / 2 - (shape[..., 0, 1] + shape[..., 17, 1]) / 2
    return np.asarray(np.stack([width * 0.5, corners], -1), np.float32)


def reference_at(chunk: MotionMesh, k: int, frame: int) -> Reference:
    """Frame `k` of a chunk, the film's `frame`, as reference."""
    pose = chunk.pose[k : k + 1]
    return Reference(pose.take(chunk.points[k : k + 1])[0], pose.angles[0], pose.pivot[0], float(pose.scale[0]), frame)


@dataclass(frozen=True)
class Region:
    """How much each point belongs to a part of the face, (478,), summing to 1 over mouth, eyes, brows and rest."""

    mouth: Floats
    eyes: Floats
    brows: Floats


@lru_cache(maxsize=1)
def regions() -> Region:
    """Soft parts of the canonical face."""
    points = canonical().points

    def near(indices: Iterable[int], reach: float) -> Floats:
        away = np.linalg.norm(points[:, None] - points[list(indices)][None], axis=-1).min(1)
        return floats(np.exp(-((away / reach) ** 2)))

    lids = [i for eye in EYES.values() for i in (*eye.upper, *eye.lower, *eye.iris)]
    brow = [i for eye in EYES.values() for i in eye.brow]
    eyes = near(lids, 0.07)
    brows = near(brow, 0.2) * (1 - eyes)
    below = 1 / (1 + np.exp(-(points[:, 1] - 0.36) / 0.05))  # from the tip of the nose downwards
    mouth = (below * (1 - eyes) * (1 - brows)).astype(np.float32)
    return Region(mouth, eyes, brows)


@dataclass(frozen=True)
class Amounts:
    """How much of each part is carried: 1 is as the driver does it."""

    mouth: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    rest: float = 1.0
    pose: float = 1.0

    def per_point(self) -> Floats:
        part = regions()
        other = 1 - part.mouth - part.eyes - part.brows
        return np.asarray(
            part.mouth * self.mouth + part.eyes * self.eyes + part.brows * self.brows + other * self.rest, np.float32
        )


def soft_limit(value: npt.ArrayLike, limit: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The value up to 60 % of the limit, then bending over so that it never gets there. Odd, smooth, monotone."""
    value, limit = np.asarray(value, np.float64), np.asarray(limit, np.float64)
    knee = 0.6 * limit
    over = np.maximum(np.abs(value) - knee, 0)
    bent = np.minimum(np.abs(value), knee) + (limit - knee) * np.tanh(over / (limit - knee))
    return np.asarray(np.sign(value) * bent, np.float64)


@dataclass(frozen=True)
class Targets:
    """Where the portrait's points go, (f, 478, 3) pixels of the crop, and the pose and shape behind them."""

    points: Floats
    rotation: Floats  # (f, 3, 3)
    scale: Floats  # (f,) pixels an eye unit
    pivot: Floats  # (f, 3) pixels
    shape: Floats  # (f, 478, 3) eye units
    limited: int  # frames in which the head was asked to turn much further than it could


def transfer(portrait: Shape, reference: Reference, motion: MotionMesh, amounts: Amounts) -> Targets:
    """The portrait's points for every frame of a chunk. Each frame depends on itself alone."""
    driven = motion.pose.take(motion.points)
    shape = portrait.shape + _change(portrait.shape, reference.shape, driven, amounts)
    _unfold(shape, portrait.shape)
    for eye in EYES.values():
        _lids(shape, portrait.shape, reference.shape, driven, eye, amounts.eyes)
    _keep_lips_apart(shape, portrait.shape)

    asked = (motion.pose.angles - reference.angles) * amounts.pose / np.array([1, READS_PITCH, 1], np.float32)
    own = portrait.pose
    outward = np.sign(asked[:, 0]) == np.sign(own.angles[0, 0])
    turned = abs(float(own.angles[0, 0]))
    room = np.where(outward, min(YAW, max(PROFILE - turned, 4.0)), YAW * (1 - 0.5 * min(turned / PROFILE, 1.0)))
    given = np.stack([soft_limit(asked[:, 0], room), soft_limit(asked[:, 1], PITCH), soft_limit(asked[:, 2], ROLL)], -1)
    limited = int((np.abs(asked - given) > 6).any(-1).sum())
    rotation = rotation_of(own.angles + given)
    moved = (motion.pose.pivot - reference.pivot) / motion.pose.scale[:, None] * amounts.pose
    grown = np.log(np.maximum(motion.pose.scale / reference.scale, 1e-3)) * amounts.pose
    scale = own.scale * np.exp(soft_limit(grown, GROW)).astype(np.float32)
    pivot = own.pivot + np.stack([soft_limit(moved[:, i], SHIFT) for i in range(3)], -1) * own.scale * [1, 1, 0]
    points = np.asarray(
        (shape - PIVOT) @ rotation.transpose(0, 2, 1) * scale[:, None, None] + pivot[:, None], np.float32
    )
    return Targets(points, rotation, scale, pivot.astype(np.float32), shape, limited)


def _change(own: Floats, reference: Floats, driven: Floats, amounts: Amounts) -> Floats:
    """(f, 478, 3): the driver's change of shape, in the portrait's proportions."""
    part = regions()

    def ratio(a: int, b: int, low: float, high: float) -> float:
        mine = float(np.linalg.norm(own[a] - own[b]))
        theirs = float(np.linalg.norm(reference[a] - reference[b]))
        return float(np.clip(np.sqrt(mine / max(theirs, 1e-6)), low, high))

    wide = ratio(61, 291, 0.8, 1.2)  # corners of the mouth
    tall = ratio(2, 152, 0.85, 1.15)  # under the nose to the chin
    lift = (ratio(105, 159, 0.85, 1.15) + ratio(334, 386, 0.85, 1.15)) / 2  # brow to lid
    size = np.ones((478, 3), np.float32)
    size[:, 0] += part.mouth * (wide / READS_LIPS_ACROSS - 1)
    size[:, 1] += part.mouth * (tall / READS_LIPS_DOWN - 1) + part.brows * (lift / READS_BROW - 1)
    size[:, 2] = 0.6  # MediaPipe's depth is its least certain coordinate
    return floats((driven - reference) * size * amounts.per_point()[:, None])


@lru_cache(maxsize=1)
def _smoother() -> Floats:
    """(478, 478): the mean of each point's neighbours; rims of lids and lips stay what they are."""
    near = np.zeros((478, 478), np.float32)
    for a, b, c in canonical().triangles:
        near[[a, b, b, c, c, a], [b, a, c, b, a, c]] = 1
    rims = [i for eye in EYES.values() for i in (*eye.upper, *eye.lower, *eye.iris)]
    rims += [*INNER_UPPER, *INNER_LOWER, *OUTER_UPPER, *OUTER_LOWER]
    near[rims] = 0
    near[rims, rims] = 1
    return np.asarray(near / near.sum(1, keepdims=True), np.float32)


def _unfold(shape: Floats, own: Floats) -> None:
    """Where skin would be pressed to less than a fifth of its area, or turned inside out, spread the movement over the
    neighbourhood (in place) until it is not."""
    triangles = canonical().triangles

    def area(points: Floats) -> Floats:
        a, b, c = (points[..., triangles[:, i], :2] for i in range(3))
        return np.asarray((b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0], np.float32)

    rest = area(own)
    usual = np.where(rest > 1e-4, rest, np.inf)
    smoother = _smoother()
    for _ in range(8):
        tight = (area(shape) / usual) < 0.2
        tight[:, ~np.isfinite(usual)] = False
        if not tight.any():
            return
        touched = np.zeros(shape.shape[:2], np.float32)
        frames, which = np.nonzero(tight)
        touched[frames[:, None], triangles[which]] = 1
        touched = np.maximum(touched, touched @ smoother.T > 0.2)
        moved = shape - own
        shape += 0.7 * touched[..., None] * (smoother @ moved - moved)


def _lids(shape: Floats, own: Floats, reference: Floats, driven: Floats, eye: Eye, amount: float) -> None:
    """Set the lids (in place) to stand as far open as the driver's, in proportion to the portrait's own eye, and the
    iris to look where the driver's does."""
    upper, lower = list(eye.upper[1:-1]), list(eye.lower[1:-1])
    rest, theirs = float(aperture(own, eye)), float(aperture(reference, eye))
    now = aperture(driven, eye)
    opened = 1 + (now - theirs) / max(theirs - SHUT, 0.08)
    wide = np.where(opened > 1, (now - theirs) / max(rest, 1e-3), 0) * 0.9
    factor = 1 - np.clip((1 - opened) / READS_LIDS, 0, 1) + wide
    factor = 1 + amount * (np.minimum(np.maximum(factor, 0), 1 + soft_limit(np.maximum(factor - 1, 0), 0.4)) - 1)
    gap = (own[lower] - own[upper]) * factor[:, None, None]
    # A shutting eye shuts from above: the lower lid keeps what the driver's does (it rises a little in a squint).
    shape[:, upper] = shape[:, lower] - gap
    corners = [eye.outer, eye.inner]
    looked = (_gaze(driven, eye) - _gaze(reference, eye)) / READS_GAZE
    width = float(np.linalg.norm(own[eye.outer] - own[eye.inner]))
    moved = looked * width * amount
    moved[:, 0] = soft_limit(moved[:, 0], 0.27 * width)
    moved[:, 1] = soft_limit(moved[:, 1], 0.2 * width)
    settled = (shape[:, corners] - own[corners]).mean(1)
    shape[:, list(eye.iris)] = own[list(eye.iris)] + (settled + moved)[:, None]


def _gaze(shape: Floats, eye: Eye) -> Floats:
    """(..., 478, 3) -> (..., 3): where the iris stands between the corners of its eye, in eye widths."""
    middle = (shape[..., eye.outer, :] + shape[..., eye.inner, :]) / 2
    width = np.linalg.norm(shape[..., eye.outer, :] - shape[..., eye.inner, :], axis=-1)
    place = (shape[..., eye.iris[0], :] - middle) / width[..., None]
    return np.asarray(place * np.array([1, 1, 0], np.float32), np.float32)


def _keep_lips_apart(shape: Floats, own: Floats) -> None:
    """Lips that would pass through each other meet half-way instead, and press (in place)."""
    for upper, lower, outer_upper, outer_lower in zip(
        INNER_UPPER[1:-1], INNER_LOWER[1:-1], OUTER_UPPER[1:-1], OUTER_LOWER[1:-1], strict=True
    ):
        least = min(float(own[lower, 1] - own[upper, 1]), 0.004)
        short = np.maximum(least - (shape[:, lower, 1] - shape[:, upper, 1]), 0) / 2
        shape[:, upper, 1] -= short
        shape[:, lower, 1] += short
        shape[:, outer_upper, 1] -= short * 0.7
        shape[:, outer_lower, 1] += short * 0.7
