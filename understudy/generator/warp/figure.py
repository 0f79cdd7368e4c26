"""A portrait ready to be bent: everything that is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import Floats, floats
from understudy.generator.warp.head import HeadField
from understudy.generator.warp.mouth import Tones
from understudy.generator.warp.raster import fine_mesh
from understudy.generator.warp.transfer import Shape
from understudy.motion.mesh import Bytes

Mask = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Figure:
    """The crop of a portrait taken apart: person, background, mesh, field, tones."""

    crop: Bytes  # (n, n, 3), n even
    points: Floats  # (478, 3) pixels of the crop
    vertices: Floats  # (v, 3) of the fine mesh
    shape: Shape
    field: HeadField
    cut: npt.NDArray[np.int16]  # (n, n, 3): the person, without what of the background shines through soft edges
    gaps: Bytes  # (n, n): 255 where only background is
    plate: Bytes  # (n, n, 3): the background, also behind the person
    tones: Tones

    @staticmethod
    def of(crop: Bytes, points: Floats, person: Mask) -> Figure:
        """`points (478, 3)` pixels of the `crop`; `person (n, n)` is 1 where it shows the person, 0 what is behind.

        The picture is person plus background where the person has gaps; both together give back the crop exactly as
        long as nothing moves, soft hair included (the matting equation, solved for the premultiplied foreground)."""
        points = within(points, person)
        shape = Shape.of(points)
        plate = fill_behind(crop, person)
        gaps = np.round((1 - person) * 255)[..., None]
        behind = np.round(plate * gaps / 255)
        return Figure(
            crop=crop,
            points=points,
            vertices=np.asarray(fine_mesh().refine @ points, np.float32),
            shape=shape,
            field=HeadField.of(len(crop), points, shape),
            cut=(crop - behind).astype(np.int16),
            gaps=gaps[..., 0].astype(np.uint8),
            plate=plate,
            tones=Tones.of(crop, points),
        )


def within(points: Floats, person: Mask) -> Floats:
    """The points, those that a tracker put beside the person (on the far side of a turned head) moved to the nearest
    place of the person: else background would be bent along with the cheek."""
    beside = (person < 0.5).astype(np.uint8)
    if beside.all() or not beside.any():
        return points
    _, labels = cv2.distanceTransformWithLabels(beside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros((int(labels.max()) + 1, 2), np.float32)
    rows, columns = np.nonzero(beside == 0)
    places[labels[rows, columns]] = np.stack([columns, rows], -1)
    pixels = np.round(points[:, :2]).astype(int)
    seen = ((pixels >= 0) & (pixels < len(person))).all(1)
    astray = np.flatnonzero(seen & (beside[tuple(pixels.clip(0, len(person) - 1).T[::-1])] > 0))
    moved = points.copy()
    nearest = places[labels[tuple(pixels[astray].T[::-1])]]
    near = np.hypot(*(nearest - points[astray, :2]).T) < 0.1 * np.ptp(points[:, 0])
    moved[astray[near], :2] = nearest[near]
    return moved


def fill_behind(crop: Bytes, person: Mask) -> Bytes:
    """The background with the person taken out: what is known spreads inwards, coarse to fine (push and pull)."""
    known = cv2.erode((person < 0.02).astype(np.float32), np.ones((3, 3), np.uint8))
    if known.sum() < 16:
        return crop
    levels: list[tuple[Floats, Floats]] = [(floats(crop * known[..., None]), floats(known))]
    while min(levels[-1][1].shape) > 4:
        colour, weight = levels[-1]
        half = (max(weight.shape[1] // 2, 1), max(weight.shape[0] // 2, 1))
        levels.append(
            (
                floats(cv2.resize(colour, half, interpolation=cv2.INTER_AREA)),
                floats(cv2.resize(weight, half, interpolation=cv2.INTER_AREA)),
            )
        )
    colour, weight = levels[-1]
    mean = colour.sum((0, 1)) / max(float(weight.sum()), 1e-4)
    filled = np.where((weight > 1e-3)[..., None], colour / np.maximum(weight, 1e-3)[..., None], mean).astype(np.float32)
    for colour, weight in reversed(levels[:-1]):
        coarse = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        sure = np.clip(weight, 0, 1)[..., None]
        filled = sure * colour / np.maximum(weight, 1e-4)[..., None] + (1 - sure) * coarse
    return np.asarray(np.clip(filled + 0.5, 0, 255), np.uint8)
