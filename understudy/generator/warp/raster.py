"""Painting a bent mesh: for every pixel of the result, where in the portrait it comes from.

The mesh is MediaPipe's, its holes (eyes, mouth) filled, once subdivided so that no facet shows: the butterfly scheme
(Dyn, Levin, Gregory 1990), which keeps the original points where they are, and its four-point rule along the lids,
the lips and the outline, across which nothing is smoothed. Triangles are painted far to near as numbers by OpenCV's
polygon filler; each number then fetches the affine map of its triangle. 4,000 triangles take about 5 ms.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import (
    EYES,
    INNER_LOWER,
    INNER_UPPER,
    LEFT_EYE,
    POINTS,
    RIGHT_EYE,
    Floats,
    Ints,
    canonical,
)

Edge = tuple[int, int]
Corner = tuple[int, int, int]
PARTS = {name: (*eye.upper, *eye.lower) for name, eye in EYES.items()} | {"mouth": (*INNER_UPPER, *INNER_LOWER)}
LARGE = 0.085  # eye units from which on an edge shows
AROUND = 0.16  # eye units about an eye or the mouth


@dataclass(frozen=True)
class FineMesh:
    """The subdivided mesh: `refine (v, 478)` makes its vertices from the points.

    `whole (t, 3)` covers the face, subdivided where triangles are large; `parts` are the subdivided neighbourhoods of
    each eye ("Right", "Left") and of the "mouth", which are painted again more finely."""

    refine: Floats
    whole: Ints
    parts: dict[str, Ints]


def strip(upper: tuple[int, ...], lower: tuple[int, ...]) -> list[Corner]:
    """Triangles between two rims that share their end points."""
    found = []
    for (a, b), (c, d) in zip(pairwise(upper), pairwise(lower), strict=True):
        if b != d:
            found.append((a, b, d))
        if a != c:
            found.append((a, d, c))
    return found


@lru_cache(maxsize=1)
def fine_mesh() -> FineMesh:
    """The mesh that is painted; the same for everybody."""
    face = canonical()
    skin: list[Corner] = [(int(a), int(b), int(c)) for a, b, c in face.triangles]
    holes = [
        _wound(corner, face.points)
        for upper, lower in (
            (RIGHT_EYE.upper, RIGHT_EYE.lower),
            (LEFT_EYE.upper, LEFT_EYE.lower),
            (INNER_UPPER, INNER_LOWER),
        )
        for corner in strip(upper, lower)
    ]
    wings: dict[Edge, list[int]] = defaultdict(list)
    for a, b, c in skin:
        for one, two, third in ((a, b, c), (b, c, a), (c, a, b)):
            wings[_edge(one, two)].append(third)
    along: dict[int, list[int]] = defaultdict(list)
    for (a, b), thirds in wings.items():
        if len(thirds) == 1:
            along[a].append(b)
            along[b].append(a)
    rows = [np.eye(POINTS, dtype=np.float32)]
    middles: dict[Edge, int] = {}

    def middle(a: int, b: int) -> int:
        edge = _edge(a, b)
        if edge not in middles:
            middles[edge] = POINTS + len(middles)
            rows.append(_midpoint(a, b, wings, along)[None])
        return middles[edge]

    whole: list[Corner] = []
    fine: list[Corner] = []
    for corner in skin + holes:
        a, b, c = corner
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        four = [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        longest = max(
            float(np.linalg.norm(face.points[i, :2] - face.points[j, :2])) for i, j in ((a, b), (b, c), (c, a))
        )
        whole += four if longest > LARGE else [corner]
        fine += four
    refine = np.concatenate(rows)
    return FineMesh(refine, np.array(whole, np.int32), _parts(refine @ face.points, np.array(fine, np.int32)))


def _parts(vertices: Floats, triangles: Ints) -> dict[str, Ints]:
    """The triangles in and well around each part, on the canonical face."""
    middles = vertices[triangles].mean(1)[:, :2]
    found = {}
    for name, points in PARTS.items():
        rim = vertices[list(points), :2]
        low, high = rim.min(0) - AROUND, rim.max(0) + AROUND
        found[name] = triangles[((middles > low) & (middles < high)).all(1)]
    return found


def _edge(a: int, b: int) -> Edge:
    return (a, b) if a < b else (b, a)


def _wound(corner: Corner, points: Floats) -> Corner:
    """The same triangle, wound as the skin is on a face whose eyes and mouth stand open."""
    open_points = points.copy()
    for upper, lower in (
        (INNER_UPPER, INNER_LOWER),
        (RIGHT_EYE.upper, RIGHT_EYE.lower),
        (LEFT_EYE.upper, LEFT_EYE.lower),
    ):
        open_points[list(upper[1:-1]), 1] -= 0.05
        open_points[list(lower[1:-1]), 1] += 0.05
    (ax, ay), (bx, by), (cx, cy) = open_points[list(corner), :2]
    return corner if (bx - ax) * (cy - ay) > (by - ay) * (cx - ax) else (corner[0], corner[2], corner[1])


def _midpoint(a: int, b: int, wings: dict[Edge, list[int]], along: dict[int, list[int]]) -> Floats:
    """One row of the refinement: weights of the points that make the middle of an edge."""
    row = np.zeros(POINTS, np.float32)
    row[[a, b]] = 0.5
    thirds = wings.get(_edge(a, b), [])
    if len(thirds) == 1:
        for here, there in ((a, b), (b, a)):
            beyond = [k for k in along[here] if k != there]
            if len(beyond) == 1:
                row[here] += 1 / 16
                row[beyond[0]] -= 1 / 16
    elif len(thirds) == 2 and not (along.get(a) or along.get(b)):
        for third in thirds:
            row[third] += 1 / 8
            for end in (a, b):
                far = [k for k in wings[_edge(third, end)] if k not in (a, b)]
                if far:
                    row[far[0]] -= 1 / 16
                else:
                    row[third] -= 1 / 16
    return row


def paint(
    triangles: Ints,
    source: Floats,
    target: Floats,
    origin: tuple[float, float],
    size: tuple[int, int],
    pitch: float,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Where the pixels of a window of the result come from.

    `source`, `target (v, 3)` are the vertices in the portrait and in the result, of which `triangles (t, 3)` are
    painted; the window has its upper left corner at `origin` and `size` (w, h) samples, `pitch` pixels apart. Returns
    the displacement (h, w, 2) to add to a place in the result to get the one in the portrait, and (h, w) where the
    mesh reaches. Triangles that face away are left out: they are hidden."""
    corners = target[triangles, :2]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    order = np.argsort(-target[:, 2][triangles].sum(1), kind="stable")
    order = order[area[order] > 0.02]
    corners, one, two, area = corners[order], one[order], two[order], area[order]
    away = (source - target)[triangles[order], :2]
    rise, run = away[:, 1] - away[:, 0], away[:, 2] - away[:, 0]
    table = np.zeros((len(order) + 1, 6), np.float32)
    table[1:, :2] = (rise * two[:, 1:] - run * one[:, 1:]) / area[:, None]
    table[1:, 2:4] = (run * one[:, :1] - rise * two[:, :1]) / area[:, None]
    table[1:, 4:] = away[:, 0] - table[1:, :2] * corners[:, :1, 0] - table[1:, 2:4] * corners[:, :1, 1]

    width, height = size
    numbers = np.zeros((height, width), np.int32)
    polygons = np.round((corners - np.array(origin, np.float32)) * (16 / pitch)).astype(np.int32)
    for number, polygon in enumerate(polygons, 1):
        cv2.fillConvexPoly(numbers, polygon, number, cv2.LINE_8, 4)
    rows = np.take(table, numbers.ravel(), axis=0).reshape(height, width, 6)
    x = (origin[0] + pitch * np.arange(width, dtype=np.float32))[None, :, None]
    y = (origin[1] + pitch * np.arange(height, dtype=np.float32))[:, None, None]
    return rows[..., :2] * x + rows[..., 2:4] * y + rows[..., 4:], numbers > 0
