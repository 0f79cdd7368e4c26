"""Eyes that look: inside the lids, the eyeball is drawn apart from the skin.

It is anchored at the corners of the eye and not at the lids, so that a closing lid slides over the iris and does not
squash it; the iris moves whole, and the white beside it gives way. Everything is a place in the portrait's own eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.face.lips import spline
from understudy.face.mesh import Eye, Floats, floats
from understudy.generator.warp.head import smoothstep


@dataclass(frozen=True)
class Frame:
    """An eye's own coordinates: `u` from the outer corner (0) to the inner one (1), `v` down in eye units."""

    origin: Floats
    across: Floats
    down: Floats

    @staticmethod
    def of(points: Floats, eye: Eye, unit: float) -> Frame:
        outer, inner = points[eye.outer, :2], points[eye.inner, :2]
        across = inner - outer
        normal = np.array([-across[1], across[0]]) / max(float(np.hypot(*across)), 1e-6)
        if normal[1] < 0:
            normal = -normal
        return Frame(outer, across, (normal * unit).astype(np.float32))

    def local(self, places: Floats) -> tuple[Floats, Floats]:
        away = places - self.origin
        u = away @ self.across / max(float(self.across @ self.across), 1e-6)
        v = away @ self.down / max(float(self.down @ self.down), 1e-6)
        return u.astype(np.float32), v.astype(np.float32)

    def place(self, u: Floats, v: Floats) -> Floats:
        return floats(self.origin + u[..., None] * self.across + v[..., None] * self.down)


@dataclass(frozen=True)
class Lids:
    """Both lid edges in an eye's own coordinates, sampled densely, as functions of u."""

    upper: tuple[Floats, Floats]
    lower: tuple[Floats, Floats]
    outline: Floats  # (m, 2) pixels, closed
    tall: float  # greatest gap, eye units

    @staticmethod
    def of(points: Floats, eye: Eye, frame: Frame) -> Lids:
        curve = spline(len(eye.upper), 33)
        above, below = curve @ points[list(eye.upper), :2], curve @ points[list(eye.lower), :2]
        upper, lower = frame.local(above), frame.local(below)
        return Lids(upper, lower, np.concatenate([above, below[-2:0:-1]]), float((lower[1] - upper[1]).max()))

    def at(self, u: Floats) -> tuple[Floats, Floats]:
        """Heights of the upper and the lower lid at u."""
        edges = []
        for along, height in (self.upper, self.lower):
            order = np.argsort(along)
            edges.append(np.interp(u, along[order], height[order]).astype(np.float32))
        return edges[0], np.maximum(edges[1], edges[0])


def look(
    away: Floats,
    origin: tuple[float, float],
    pitch: float,
    source: Floats,
    target: Floats,
    eye: Eye,
    unit: float,
    grown: float,
) -> None:
    """Bend a displacement (in place) inside one eye of the result.

    `away (h, w, 2)` belongs to places `pitch` pixels apart from `origin` on; `source`, `target (478, 3)` are the points
    in portrait and result, `unit` the portrait's pixels an eye unit, `grown` how much larger the head is in the
    result."""
    there = Frame.of(target, eye, unit * grown)
    lids = Lids.of(target, eye, there)
    mask = np.zeros(away.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round((lids.outline - origin) * (16 / pitch)).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if not mask.any():
        return
    here = Frame.of(source, eye, unit)
    own = Lids.of(source, eye, here)
    rows, columns = np.indices(mask.shape, np.float32)
    places = floats(np.stack([origin[0] + pitch * columns, origin[1] + pitch * rows], -1))
    u, v = there.local(places)
    iris_u, iris_v = there.local(target[eye.iris[0], :2])
    rest_u, rest_v = here.local(source[eye.iris[0], :2])
    wide = float(np.hypot(*here.across)) / unit  # eye widths -> eye units, for round distances
    radius = float(np.linalg.norm(source[list(eye.iris[1:]), :2] - source[eye.iris[0], :2], axis=-1).mean()) / unit
    step = float(np.hypot((iris_u - rest_u) * wide, iris_v - rest_v))
    distance = np.hypot((u - iris_u) * wide, v - iris_v)
    follow = 1 - np.clip((distance - 1.1 * radius) / (0.5 * radius + 2.0 * step + 1e-3), 0, 1)
    follow = follow * follow * (3 - 2 * follow)
    u_own = np.clip(u - (iris_u - rest_u) * follow, 0, 1)
    # Lids that stand further open than the portrait's stretch what there is between them: nothing else is known.
    stretch = min(own.tall / max(lids.tall, 1e-4), 1.0)
    middle = iris_v + (rest_v - iris_v) * follow
    v_own = middle + (v - iris_v) * stretch
    above, below = own.at(u_own)
    margin = min(0.3 * step + 0.2 * (1 - stretch) * own.tall, 0.12 * own.tall)
    v_own = np.clip(v_own, np.minimum(above + margin, below), np.maximum(below - margin, above))
    found = here.place(u_own, v_own) - places
    # A shut eye is skin and lashes: the mesh has them.
    ajar = smoothstep(lids.tall * unit, 0.8, 2.5)
    weight = (mask.astype(np.float32) * (ajar / 255))[..., None]
    away += weight * (found - away)
