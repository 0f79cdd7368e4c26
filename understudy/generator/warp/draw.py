"""One frame: the crop with its mesh somewhere else."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import EYES, Floats, floats
from understudy.face.pose import PIVOT
from understudy.generator.warp import eyes, mouth
from understudy.generator.warp.figure import Figure
from understudy.generator.warp.head import smoothstep
from understudy.generator.warp.raster import PARTS, fine_mesh, paint
from understudy.motion.mesh import Bytes

FRAME = 6  # pixels around such a part
SMOOTH = 0.012  # of the displacement on skin, eye units: the folds between triangles do not show


@dataclass(frozen=True)
class Target:
    """Where one frame wants the portrait's head: the same fields as `transfer.Targets`, without the frames."""

    points: Floats  # (478, 3) pixels of the crop
    rotation: Floats  # (3, 3)
    scale: float  # pixels an eye unit
    pivot: Floats  # (3,) pixels
    shape: Floats  # (478, 3) eye units


def draw(figure: Figure, target: Target, inside: Bytes | None = None) -> Bytes:
    """(n, n, 3): the crop bent to the target. `inside` is the driver's mouth (see `face.lips`), or None: the
    portrait's own is made up."""
    size = len(figure.crop)
    unit = float(figure.shape.pose.scale[0])
    vertices = floats(fine_mesh().refine @ target.points)
    forward = figure.field.forward(target.points, target.rotation, target.scale / unit, target.pivot)
    away = _resized(figure.field.backward(forward), (size // 2, size // 2), cv2.INTER_CUBIC)
    _follow_mesh(away, figure, vertices, unit)
    away = _resized(away, (size, size))
    drawn = _bend(figure, away)
    for name, part in PARTS.items():
        _draw_finely(drawn, away, figure, target, vertices, name, part)
    _open_mouth(drawn, figure, target, inside)
    return drawn


def _bend(figure: Figure, away: Floats) -> Bytes:
    """The person from where the displacement says, over the background that stays."""
    steps = np.arange(len(away), dtype=np.float32)
    x, y = away[..., 0] + steps, away[..., 1] + steps[:, None]
    person = cv2.remap(figure.cut, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gaps = cv2.remap(figure.gaps, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    behind = cv2.multiply(figure.plate, cv2.merge([gaps, gaps, gaps]), scale=1 / 255, dtype=cv2.CV_16S)
    return np.asarray(np.clip(np.add(person, behind), 0, 255), np.uint8)


def _follow_mesh(away: Floats, figure: Figure, vertices: Floats, unit: float) -> None:
    """Let the painted mesh decide (in place, at half resolution) inside the face."""
    (x0, y0), (x1, y1) = _window(floats(vertices[:, :2] / 2), 1, len(away))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    origin = (2 * x0 + 0.5, 2 * y0 + 0.5)
    painted, reached = paint(fine_mesh().whole, figure.vertices, vertices, origin, (x1 - x0, y1 - y0), 2.0)
    painted = _close_gaps(painted, reached)
    painted = floats(cv2.GaussianBlur(painted, (0, 0), max(SMOOTH * unit / 2, 0.3)))
    region = cv2.morphologyEx(reached.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    region = (cv2.GaussianBlur(region * 255, (0, 0), max(0.018 * unit, 1.0)) > 127).astype(np.uint8)
    region[[0, -1]], region[:, [0, -1]] = 0, 0
    window = away[y0:y1, x0:x1]
    # Where mesh and field agree along the outline they blend; where the face stands before what is behind it (a turned
    # cheek before ear and hair), the outline is an edge.
    apart = cv2.GaussianBlur(np.abs(painted - window).max(-1) * region, (0, 0), 2)
    wide = 2.0 + (0.07 * unit) * np.exp(-((apart / (0.05 * unit)) ** 2))
    decides = smoothstep(cv2.distanceTransform(region, cv2.DIST_L2, 3) / wide, 0.0, 1.0)[..., None]
    window += decides * (painted - window)


def _draw_finely(
    drawn: Bytes, away: Floats, figure: Figure, target: Target, vertices: Floats, name: str, part: tuple[int, ...]
) -> None:
    """Draw the window around an eye or the mouth again (in place), four samples a pixel: here skin meets skin that
    comes from elsewhere, and lashes and lips are thin."""
    (x0, y0), (x1, y1) = _window(target.points[list(part), :2], FRAME, len(drawn))
    width, height = x1 - x0, y1 - y0
    if width <= 2 * FRAME or height <= 2 * FRAME:
        return
    origin = (x0 - 0.25, y0 - 0.25)
    local = _resized(away[y0:y1, x0:x1], (2 * width, 2 * height))
    triangles = fine_mesh().parts[name]
    painted, reached = paint(triangles, figure.vertices, vertices, origin, (2 * width, 2 * height), 0.5)
    local[reached] = painted[reached]
    if name in EYES:
        unit = float(figure.shape.pose.scale[0])
        eyes.look(local, origin, 0.5, figure.points, target.points, EYES[name], unit, target.scale / unit)
    moved = float(np.abs(local).max())
    if moved < 0.02:
        return
    x = local[..., 0] + (origin[0] + 0.5 * np.arange(2 * width, dtype=np.float32))
    y = local[..., 1] + (origin[1] + 0.5 * np.arange(2 * height, dtype=np.float32))[:, None]
    fine = cv2.remap(figure.crop, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    fine = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    soft = np.zeros((height, width), np.float32)
    soft[3:-3, 3:-3] = min(moved, 1.0)
    soft = floats(cv2.GaussianBlur(soft, (0, 0), 1.2))
    window = drawn[y0:y1, x0:x1]
    window[:] = np.round(window + soft[..., None] * (fine.astype(np.float32) - window))


def _open_mouth(drawn: Bytes, figure: Figure, target: Target, inside: Bytes | None) -> None:
    """Fill the mouth (in place) as far as the lips stand further apart than in the portrait."""
    own = figure.shape.shape
    rest = abs(float(own[14, 1] - own[13, 1]))
    more = abs(float(target.shape[14, 1] - target.shape[13, 1])) - rest
    amount = float(smoothstep(more, 0.012, 0.05))
    if amount <= 0 or rest >= mouth.SHOWN:
        return
    opening = mouth.Opening.between(target.points, len(drawn), target.scale)
    if opening is None:
        return
    if inside is not None:
        picture = mouth.of_driver(opening, inside, figure.tones)
    else:
        seam = (own[13] + own[14]) / 2
        drop = max(float((target.shape[[14, 17], 1] - own[[14, 17], 1]).mean()), 0.0)
        anchors = np.stack([seam, seam + np.array([0, drop, 0], np.float32)]) - PIVOT
        upper, lower = (anchors @ target.rotation.T * target.scale + target.pivot)[:, :2]
        heights = (opening.height_of(place, target.scale) for place in (upper, lower))
        picture = mouth.of_its_own(opening, figure.tones, *heights)
    mouth.fill(drawn, opening, amount, picture)


def _resized(values: Floats, size: tuple[int, int], how: int = cv2.INTER_LINEAR) -> Floats:
    return floats(cv2.resize(values, size, interpolation=how))


def _window(places: Floats, margin: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Upper left and lower right corner of a window around places, kept inside the picture."""
    low = np.clip(np.floor(places.min(0)).astype(int) - margin, 0, size)
    high = np.clip(np.ceil(places.max(0)).astype(int) + margin + 1, 0, size)
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def _close_gaps(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Where nothing was painted (skin that folded away), what is near."""
    if known.all():
        return values
    weight = known.astype(np.float32)
    near = cv2.GaussianBlur(weight, (0, 0), 4) + 1e-4
    spread = cv2.GaussianBlur(values * weight[..., None], (0, 0), 4) / near[..., None]
    return np.where(known[..., None], values, spread).astype(np.float32)
