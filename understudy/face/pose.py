"""Where a head is and which way it faces: a similarity transform per frame, found from the points that hardly move.

Axes as everywhere: x to the right of the picture, y down, z away from the camera. Angles are in degrees and positive
towards positive axes: `yaw` turns the nose to the picture's right, `pitch` turns it down, `roll` turns the head
clockwise as seen. A rotation is `turn(yaw) @ nod(pitch) @ tilt(roll)`: a head that has turned nods in its own plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import STABLE, Floats, canonical, floats

# The point that a head turns about, between the ears and a little below, in eye units of the canonical face.
PIVOT = np.array([0.0, 0.42, 0.62], np.float32)


@dataclass(frozen=True)
class Pose:
    """Poses of `f` frames: points = scale * rotation @ shape + shift, for a shape in eye units."""

    rotation: Floats  # (f, 3, 3)
    scale: Floats  # (f,) pixels per eye unit
    shift: Floats  # (f, 3) where the origin (half-way between the outer corners of the eyes) is, pixels

    def __len__(self) -> int:
        return len(self.scale)

    def __getitem__(self, frames: slice) -> Pose:
        return Pose(self.rotation[frames], self.scale[frames], self.shift[frames])

    @property
    def angles(self) -> Floats:
        """(f, 3): yaw, pitch, roll in degrees."""
        return angles_of(self.rotation)

    @property
    def pivot(self) -> Floats:
        """(f, 3): where the point that the head turns about is, pixels."""
        return self.put(np.broadcast_to(PIVOT, (len(self), 1, 3)))[:, 0]

    def put(self, shape: Floats) -> Floats:
        """(f, k, 3) or (k, 3) points of the head in eye units -> (f, k, 3) pixels."""
        turned = np.asarray(shape, np.float32) @ self.rotation.transpose(0, 2, 1)
        return np.asarray(turned * self.scale[:, None, None] + self.shift[:, None], np.float32)

    def take(self, points: Floats) -> Floats:
        """(f, k, 3) pixels -> (f, k, 3) in eye units of the head: what is left is identity and expression."""
        centred = (np.asarray(points, np.float32) - self.shift[:, None]) / self.scale[:, None, None]
        return np.asarray(centred @ self.rotation, np.float32)


def rotation_of(angles: npt.ArrayLike) -> Floats:
    """(..., 3) yaw, pitch, roll in degrees -> (..., 3, 3)."""
    yaw, pitch, roll = np.moveaxis(np.radians(np.asarray(angles, np.float64)), -1, 0)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*rows: tuple[npt.NDArray[np.float64], ...]) -> npt.NDArray[np.float64]:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    cos, sin = np.cos, np.sin
    turn = matrix((cos(yaw), zero, -sin(yaw)), (zero, one, zero), (sin(yaw), zero, cos(yaw)))
    nod = matrix((one, zero, zero), (zero, cos(pitch), -sin(pitch)), (zero, sin(pitch), cos(pitch)))
    tilt = matrix((cos(roll), -sin(roll), zero), (sin(roll), cos(roll), zero), (zero, zero, one))
    return floats(turn @ nod @ tilt)


def angles_of(rotation: Floats) -> Floats:
    """(..., 3, 3) -> (..., 3) yaw, pitch, roll in degrees; the inverse of `rotation_of` for |pitch| < 90."""
    r = np.asarray(rotation, np.float64)
    yaw = np.arctan2(-r[..., 0, 2], r[..., 2, 2])
    pitch = np.arcsin(np.clip(-r[..., 1, 2], -1, 1))
    roll = np.arctan2(r[..., 1, 0], r[..., 1, 1])
    return floats(np.degrees(np.stack([yaw, pitch, roll], -1)))


def fit_pose(points: Floats, shape: Floats | None = None) -> Pose:
    """The pose of every frame: least squares over the stable points (Umeyama 1991), against `shape` in eye units.

    `points (f, 478, 3)` pixels; `shape (478, 3)`: the person's own, or the canonical face."""
    model = np.asarray(canonical().points if shape is None else shape, np.float64)[list(STABLE)]
    seen = np.asarray(points, np.float64)[:, list(STABLE)]
    middle, centre = model.mean(0), seen.mean(1)
    a, b = model - middle, seen - centre[:, None]
    u, s, vt = np.linalg.svd(b.transpose(0, 2, 1) @ a)
    flip = np.ones((len(seen), 3))
    flip[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * flip[:, None]) @ vt
    scale = (s * flip).sum(-1) / (a * a).sum()
    shift = centre - scale[:, None] * (rotation @ middle)
    return Pose(rotation.astype(np.float32), scale.astype(np.float32), shift.astype(np.float32))
