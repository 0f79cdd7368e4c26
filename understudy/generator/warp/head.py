"""Everything around the face: hair, ears and neck follow the head, shoulders and background stay.

A smooth displacement over the whole crop. Near the face it turns with the head in depth and meets the mesh; towards
the silhouette it keeps the head's outline (a turning head is as wide as before) and follows only what happens in the
plane of the picture; below the chin it fades towards the shoulders, and it is nothing at the crop's border.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import OVAL, SKIN, Floats, floats
from understudy.face.pose import PIVOT
from understudy.generator.warp.transfer import Shape

NODES = 80  # of the field, along each side of the crop
SKULL = np.array([0.0, 0.25, 0.45], np.float32)  # middle of the head, eye units
CONTROLS = (*OVAL, *range(0, SKIN, 4))  # points of the mesh that the field follows


def smoothstep(value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """0 below `low`, 1 above `high`, and a cubic in between."""
    part = np.clip(np.subtract(value, low) / np.subtract(high, low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)


@dataclass(frozen=True)
class HeadField:
    """What of the field does not change from frame to frame."""

    size: int  # pixels of the crop's side
    nodes: Floats  # (NODES, NODES, 2) pixel positions
    depth: Floats  # (NODES, NODES) pixels, as the mesh's z
    follow: Floats  # (NODES, NODES) how much a place belongs to the head
    lock: Floats  # (NODES, NODES) 0 at the face, 1 at the silhouette
    controls: Floats  # (c, 2) pixel positions
    spread: Floats  # (NODES * NODES, c): what is left at the controls, spread over the nodes
    shape: Shape

    @staticmethod
    def of(size: int, points: Floats, shape: Shape) -> HeadField:
        """`points (478, 3)` pixels of a square crop of `size`."""
        unit = float(shape.pose.scale[0])
        steps = (np.arange(NODES, dtype=np.float32) + 0.5) * (size / NODES) - 0.5
        nodes = np.stack(np.meshgrid(steps, steps), -1)
        outline = points[list(OVAL), :2]
        outside = (
            -np.array(
                [cv2.pointPolygonTest(outline[:, None], (float(x), float(y)), True) for x, y in nodes.reshape(-1, 2)],
                np.float32,
            ).reshape(NODES, NODES)
            / unit
        )
        reach = 0.16 * unit
        near = np.exp(-(((nodes[:, :, None] - points[None, None, :SKIN:2, :2]) / reach) ** 2).sum(-1)) + 1e-12
        surface = (near * points[:SKIN:2, 2]).sum(-1) / near.sum(-1)
        skull = shape.pose.put(SKULL[None])[0, 0]
        depth = surface + (skull[2] - surface) * smoothstep(outside, 0.0, 0.5)

        upright = shape.pose.rotation[0][:2, :2] / np.maximum(
            np.linalg.norm(shape.pose.rotation[0][:2, :2], axis=0), 1e-6
        )
        local = (nodes - shape.pose.shift[0, :2]) @ upright / unit
        below = smoothstep(local[..., 1], 1.25, 2.7)
        aside = smoothstep(np.abs(local[..., 0]), 0.9, 2.2) * smoothstep(local[..., 1], 0.2, 1.4)
        edge = np.minimum(np.minimum(nodes[..., 0], nodes[..., 1]), size - 1 - np.maximum(nodes[..., 0], nodes[..., 1]))
        follow = (1 - below) * (1 - aside) * smoothstep(edge, 0, 0.1 * size)

        controls = points[list(CONTROLS), :2]
        width = 0.3 * unit

        def kernel(a: Floats, b: Floats) -> Floats:
            return floats(np.exp(-(((a[:, None] - b[None]) / width) ** 2).sum(-1)))

        among = kernel(controls, controls).astype(np.float64) + 0.02 * np.eye(len(controls))
        spread = kernel(nodes.reshape(-1, 2), controls) @ np.linalg.inv(among).astype(np.float32)
        spread *= smoothstep(edge, 0, 0.1 * size).reshape(-1, 1)
        return HeadField(
            size, nodes, depth.astype(np.float32), follow, smoothstep(outside, 0.02, 0.45), controls, spread, shape
        )

    def forward(self, points: Floats, rotation: Floats, growth: float, place: Floats) -> Floats:
        """(NODES, NODES, 2): where each place of the portrait goes, as a displacement in pixels.

        In the result the mesh has `points (478, 3)`, the head `rotation (3, 3)`, it has grown by the factor `growth`,
        and its pivot is at `place (3,)`."""
        own = self.shape.pose
        turn = rotation @ own.rotation[0].T
        pivot, skull = own.put(np.stack([PIVOT, SKULL]))[0]
        place = place[:2]
        lever = np.concatenate([self.nodes - pivot[:2], (self.depth - pivot[2])[..., None]], -1)
        turned = growth * (lever @ turn.T)[..., :2] + place
        angle = np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
        flat = growth * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        middle = growth * ((skull - pivot) @ turn.T)[:2] + place
        held = (self.nodes - skull[:2]) @ flat.T + middle
        moved = (turned + (held - turned) * self.lock[..., None] - self.nodes) * self.follow[..., None]
        moved = np.asarray(moved, np.float32)
        here = cv2.remap(moved, *self._at(self.controls), cv2.INTER_LINEAR)[:, 0]
        rest = points[list(CONTROLS), :2] - self.controls - here
        return moved + (self.spread @ rest).reshape(NODES, NODES, 2)

    def backward(self, forward: Floats) -> Floats:
        """The displacement that leads from places of the result back to the portrait, (NODES, NODES, 2).

        Fixed point of b(y) = -d(y + b(y)), damped: it is found where the field stretches to five times the size."""
        back = -forward
        for share in (0.6, 0.6, *(0.33,) * 10):
            found = cv2.remap(forward, *self._at(self.nodes + back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            back = (1 - share) * back - share * found
        return np.asarray(back, np.float32)

    def _at(self, places: Floats) -> tuple[Floats, Floats]:
        """Pixel positions as the coordinates of nodes that OpenCV wants."""
        scaled = ((places + 0.5) * (NODES / self.size) - 0.5).astype(np.float32)
        if scaled.ndim == 2:
            scaled = scaled[:, None]
        return np.ascontiguousarray(scaled[..., 0]), np.ascontiguousarray(scaled[..., 1])
