"""Named points of a drawn face, exact: computed from the same curves and the same solid as the picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.cast.rig import Brow, Eye, Face, Mouth
from understudy.cast.shape import CENTRE, EYE_RADIUS, Solid, eyeball, face_direction
from understudy.cast.view import View, look_up, project
from understudy.cast.who import Who

LID = 9  # points along each lid's edge, corners included
LIP = 11
BROW = 5
JAW = ((-0.685, 0.12), (-0.68, -0.08), (-0.665, -0.28), (-0.63, -0.48), (-0.57, -0.66), (-0.47, -0.82), (-0.33, -0.95),
       (-0.17, -1.03), (0.0, -1.055))  # fmt: skip
FOREHEAD = ((-0.56, 0.50), (-0.30, 0.66), (0.0, 0.71), (0.30, 0.66), (0.56, 0.50))


def _names() -> tuple[str, ...]:
    names: list[str] = []
    for own in ("left", "right"):
        names += [f"{own}_upper_lid_{i}" for i in range(LID)] + [f"{own}_lower_lid_{i}" for i in range(LID)]
        names += [f"{own}_iris"] + [f"{own}_iris_{at}" for at in ("right", "up", "left", "down")]
        names += [f"{own}_brow_top_{i}" for i in range(BROW)] + [f"{own}_brow_bottom_{i}" for i in range(BROW)]
    for edge in ("outer_upper", "inner_upper", "inner_lower", "outer_lower"):
        names += [f"lip_{edge}_{i}" for i in range(LIP)]
    names += [
        "nose_root",
        "nose_bridge",
        "nose_bridge_low",
        "nose_tip",
        "nose_under",
        "nose_wing_left",
        "nose_wing_right",
    ]
    names += [f"jaw_{i}" for i in range(2 * len(JAW) - 1)] + [f"forehead_{i}" for i in range(len(FOREHEAD))]
    return tuple(names)


NAMES: tuple[str, ...] = _names()
"""Lids run from the inner to the outer corner, brows from the inner end out, lips and jaw from the picture's left."""


@dataclass(frozen=True)
class Landmarks:
    """Points in the order of NAMES."""

    pixels: Tensor  # (b, n, 2) right and down, pixel centres at halves
    points: Tensor  # (b, n, 3) in head space: what the pose does not change
    depth: Tensor  # (b, n) towards the camera, head units
    middles: Tensor  # (b, 6, 2) pixels: middle of the face, mouth, eyes and ears

    def named(self, name: str) -> Tensor:
        """(b, 2) pixels of one point."""
        return self.pixels[:, NAMES.index(name)]

    def middle(self, part: str) -> Tensor:
        """(b, 2) pixels of the middle of "face", "mouth", "eye_left", "eye_right", "ear_left" or "ear_right"."""
        return self.middles[:, PARTS.index(part)]


PARTS = ("face", "mouth", "eye_left", "eye_right", "ear_left", "ear_right")


def landmarks(who: Who, face: Face, v: View, solid: Solid) -> Landmarks:
    """All points of faces (`who` broad)."""
    flat: list[Tensor] = []  # (b, k, 2) face coordinates, in the order of NAMES but for the irises
    irises: list[Tensor] = []
    for e, b in zip(face.eyes, face.brows, strict=True):
        flat += [_lids(e), _brow(b)]
        irises.append(_iris(who, face, e))
    flat += [_lips(face.mouth), _nose(who, face), _outline(who, face)]
    skin = _on_skin(solid, torch.cat(flat, 1))
    lids, brows = 2 * LID, 2 * BROW
    parts: list[Tensor] = []
    at = 0
    for i in range(2):
        parts += [skin[:, at : at + lids], irises[i], skin[:, at + lids : at + lids + brows]]
        at += lids + brows
    points = torch.cat([*parts, skin[:, at:]], 1)
    pixels, depth = project(v, points)
    middles, _ = project(v, _middles(who, face))
    return Landmarks(pixels, points, depth, middles)


def _on_skin(solid: Solid, flat: Tensor) -> Tensor:
    """Face coordinates (b, k, 2) to head space (b, k, 3), on the drawn skin."""
    d = face_direction(flat[:, None, :, 0], flat[:, None, :, 1])  # (b, 1, k)
    radius = look_up(solid.more[:, 6:7], d)[:, 0]
    return torch.stack([d[i][:, 0] * radius[:, 0] + CENTRE[i] for i in range(3)], -1)


def _spread(values: Tensor, like: Tensor) -> Tensor:
    """Numbers (k,) as (1, 1, k), to meet (b, 1, 1)."""
    return values.to(like.device, like.dtype)[None, None, :]


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    x, y = x + 0 * y, y + 0 * x
    return torch.stack([x[:, 0], y[:, 0]], -1)


def _lids(e: Eye) -> Tensor:
    along = _spread(torch.linspace(-1, 1, LID), e.x)
    high, low = e.edges(along)
    return torch.cat([_pairs(*e.placed(along, high)), _pairs(*e.placed(along, low))], 1)


def _brow(b: Brow) -> Tensor:
    along = _spread(torch.linspace(0.02, 1, BROW), b.thick)
    x = b.side * (b.inner[0] + along * (b.outer[0] - b.inner[0]))
    y, half = b.height(along), b.half(along)
    return torch.cat([_pairs(x, y + half), _pairs(x, y - half)], 1)


def _iris(who: Who, face: Face, e: Eye) -> Tensor:
    """Centre and four rim points of an iris, on the eyeball, in head space (b, 5, 3)."""
    middle = torch.stack(eyeball(who, face, e.side), -1)[:, 0]  # (b, 1, 3)
    yaw, pitch = e.gaze()
    ahead = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)[:, 0]
    aside = torch.stack([yaw.cos(), 0 * yaw, -yaw.sin()], -1)[:, 0]
    up = torch.linalg.cross(ahead, aside, dim=-1)
    size = who.iris_size[:, 0, :, None] / EYE_RADIUS  # sine of the angle at which the rim lies
    back = (1 - size * size).sqrt()
    rim = [ahead * back + way * size for way in (-aside, up, aside, -up)]
    return torch.cat([middle + EYE_RADIUS * n for n in (ahead, *rim)], 1)


def _lips(m: Mouth) -> Tensor:
    along = _spread(torch.linspace(-1, 1, LIP), m.upper)
    x = m.middle + torch.where(along > 0, along * (m.left[0] - m.middle), along * (m.middle - m.right[0]))
    return torch.cat([_pairs(x, y) for y in m.edges(along)], 1)


def _nose(who: Who, face: Face) -> Tensor:
    tip = -0.30 * who.nose_long + 0.012 * (face.sneer[0] + face.sneer[1])
    nil = torch.zeros_like(tip)
    wing = [
        (s * (0.125 * who.nose_wide + 0.012 * face.sneer[i]), tip - 0.045 + 0.02 * face.sneer[i])
        for i, s in ((0, 1), (1, -1))
    ]
    places = [
        (nil, nil + 0.06),
        (nil, 0.06 + (tip - 0.06) * 0.35),
        (nil, 0.06 + (tip - 0.06) * 0.68),
        (nil, tip),
        (nil, tip - 0.115),
        *wing,
    ]
    return torch.cat([_pairs(x, y) for x, y in places], 1)


def _outline(who: Who, face: Face) -> Tensor:
    """Jaw from ear to ear, moving with it, and the forehead."""
    device = who.skin.device
    half = torch.tensor(JAW, device=device)
    jaw = torch.cat([half, half.flip(0)[1:] * torch.tensor([-1.0, 1.0], device=device)])
    low = ((0.1 - jaw[:, 1]) / 1.15).clamp(0, 1)[None] ** 2
    drop = 0.23 * face.jaw_open[:, 0] * low  # (b, k)
    aside = 0.05 * face.jaw_side[:, 0] * low
    moved = torch.stack([jaw[None, :, 0] + aside, jaw[None, :, 1] - drop], -1)
    brow = torch.tensor(FOREHEAD, device=device)[None].expand(len(moved), -1, -1)
    return torch.cat([moved, brow], 1)


def _middles(who: Who, face: Face) -> Tensor:
    """Roughly where parts are, in head space (b, 6, 3), for the windows they are drawn in."""
    one = torch.ones_like(who.eye_apart[:, 0])
    drop = face.jaw_open[:, 0]
    ear_x, eye_x, eye_y = 0.72 * who.head_width[:, 0], who.eye_apart[:, 0], who.eye_height[:, 0]
    places = (
        (0 * one, -0.20 - 0.06 * drop, 0.85 * one), (0 * one, -0.68 - 0.12 * drop, 1.0 * one),
        (eye_x + 0.03, eye_y + 0.09, 0.80 * one), (-eye_x - 0.03, eye_y + 0.09, 0.80 * one),
        (ear_x, -0.08 * one, -0.15 * one), (-ear_x, -0.08 * one, -0.15 * one),
    )  # fmt: skip
    return torch.stack([torch.cat(place, -1) for place in places], 1)
