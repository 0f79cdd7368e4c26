"""Rotations between and beyond others: what is needed to change the timing and the size of head movements."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import Floats
from understudy.face.pose import Pose

Doubles = npt.NDArray[np.float64]
_OPPOSED = np.radians(175.0)  # rotations farther apart than this have no shortest way between them


def turn_of(rotation: npt.ArrayLike) -> Doubles:
    """(..., 3, 3) -> (..., 3): the axis times the angle in radians, below 180 degrees."""
    r = np.asarray(rotation, np.float64)
    skew = np.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1) / 2
    sine = np.linalg.norm(skew, axis=-1, keepdims=True)
    cosine = (np.trace(r, axis1=-2, axis2=-1)[..., None] - 1) / 2
    angle = np.arctan2(sine, cosine)
    return np.asarray(skew * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 1.0), np.float64)


def rotation_by(turn: npt.ArrayLike) -> Doubles:
    """(..., 3) axis times angle -> (..., 3, 3) (Rodrigues)."""
    v = np.asarray(turn, np.float64)
    angle = np.linalg.norm(v, axis=-1)[..., None, None]
    cross = np.zeros((*v.shape[:-1], 3, 3))
    cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0] = v[..., 0], v[..., 1], v[..., 2]
    cross = cross - np.swapaxes(cross, -1, -2)
    first = np.sinc(angle / np.pi)
    second = np.sinc(angle / (2 * np.pi)) ** 2 / 2
    return np.asarray(np.eye(3) + first * cross + second * (cross @ cross), np.float64)


def average(sums: npt.ArrayLike) -> Floats:
    """(f, 3, 3) sums or means of rotations -> (f, 3, 3) the rotations nearest to them."""
    u, _, vt = np.linalg.svd(np.asarray(sums, np.float64))
    flip = np.ones((len(u), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    return np.asarray((u * flip[:, None]) @ vt, np.float32)


def between(pose: Pose, before: npt.NDArray[np.intp], after: npt.NDArray[np.intp], share: Doubles) -> Pose:
    """Poses a `share` (g,) of the way from those of frames `before` to those of frames `after`, both (g,)."""
    start, end = pose.rotation[before].astype(np.float64), pose.rotation[after].astype(np.float64)
    way = turn_of(np.swapaxes(start, 1, 2) @ end)
    part = np.where(np.linalg.norm(way, axis=1) > _OPPOSED, np.round(share), share)
    turned = start @ rotation_by(way * part[:, None])
    turned = np.where((part == 0)[:, None, None], start, np.where((part == 1)[:, None, None], end, turned))
    low, high = pose.scale[before].astype(np.float64), pose.scale[after].astype(np.float64)
    scale = np.exp(np.log(low) * (1 - share) + np.log(high) * share)
    shift = pose.shift[before] * (1 - share)[:, None] + pose.shift[after] * share[:, None]
    return Pose(turned.astype(np.float32), scale.astype(np.float32), shift.astype(np.float32))


def powered(pose: Pose, still: Pose, amount: float) -> Pose:
    """`amount` of the way from the one pose `still` to each of `pose`; beyond it if more than 1. Turns, shifts of the
    point that the head turns about, and sizes alike."""
    start = still.rotation[0].astype(np.float64)
    turned = start @ rotation_by(amount * turn_of(start.T @ pose.rotation.astype(np.float64)))
    scale = still.scale[0] * (pose.scale / still.scale[0]) ** np.float32(amount)
    posed = Pose(turned.astype(np.float32), scale.astype(np.float32), np.zeros_like(pose.shift))
    pivot = still.pivot + np.float32(amount) * (pose.pivot - still.pivot)
    return Pose(posed.rotation, posed.scale, np.asarray(pivot - posed.pivot, np.float32))
