"""The portrait turned as the driver's head is turned, by plain geometry: a hint of where everything goes.

A head is two ellipsoids, skull and jaw, of one size and shape for everybody. Each pixel of the result looks along its
ray for the nearer of them, and from there, with the head as the portrait holds it, back into the portrait. What the
portrait does not show is taken from the head's other side, and black if that is not to be seen either; what is beside
the head goes along with it, less and less. Faces do here what they do in the portrait: expressions are the business of
whoever is shown this. The camera is far away (no perspective).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.errors import BadOption
from understudy.generator.hints import BLACK
from understudy.motion.encoder import boxed

FARTHEST: Final = 1.05
"""Radians that a head is turned at most, each way: about 60 degrees."""
_COARSE: Final = 2  # pixels to a side for which geometry is computed once
_NOWHERE: Final = -1e3


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """Where its middle is, and its radii, to the side, up and ahead."""

    up: float
    ahead: float
    radii: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class TurningConfig:
    """A head that looks ahead, in sizes of its own box (`motion.encoder.boxed`), from the middle of its box on.

    `wide`: how far apart its eyes are, of how far above the mouth. `eyes`, `mouth`: how far ahead those are of the
    middle of the head. `solids`: the first is the one beside which things are. `reach`: how far from the middle nothing
    goes along any more, in its radii."""

    wide: float
    eyes: float
    mouth: float
    solids: tuple[Ellipsoid, ...]
    reach: float

    def __post_init__(self) -> None:
        if not self.solids or self.reach <= 1:
            raise BadOption("A head has a shape, and reaches beyond it", f"{self}")


def turned(
    picture: Tensor, own_turn: Tensor, own_box: Tensor, turn: Tensor, box: Tensor, head: TurningConfig
) -> Tensor:
    """Pictures (n, 3, h, w) in [-1, 1] of faces whose heads are turned by `own_turn` (n, 3), radians of yaw (+ to the
    picture's right), pitch (+ up) and roll (+ clockwise), and which are at `own_box` (n, 3); the same turned by `turn`
    (n, 3) and at `box` (n, 3). Black where they do not show what would be seen, or its like on the other side."""
    count, _, height, width = picture.shape
    before, after = _rotations(own_turn), _rotations(turn)
    scale0, middle0 = _placed(before, own_box, head)
    scale1, middle1 = _placed(after, box, head)

    def each(values: Tensor) -> Tensor:
        return values[..., None, None]

    columns, rows = ((torch.arange(side // _COARSE, device=picture.device) + 0.5) * _COARSE for side in (width, height))
    here = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
    right = (here[:, 0] - each(middle1[:, 0])) / each(scale1)
    up = (each(middle1[:, 1]) - here[:, 1]) / each(scale1)
    nearest = torch.full_like(right, _NOWHERE)
    apart = torch.full_like(right, -_NOWHERE)
    point, ahead = right.new_zeros(count, 3, *right.shape[1:]), torch.zeros_like(right)
    for solid in head.solids:
        middle, radii = _at(solid, right)
        from_middle = torch.einsum("nij,j->ni", after, middle)
        back = after.transpose(1, 2) / radii[:, None]  # the picture's directions to those of a sphere of radius 1
        aside = each(back[:, :, 0]) * (right - each(from_middle[:, 0]))[:, None]
        aside = aside + each(back[:, :, 1]) * (up - each(from_middle[:, 1]))[:, None]
        way = back[:, :, 2]
        along, length = torch.einsum("nihw,ni->nhw", aside, way), each(way.square().sum(1))
        off = aside.square().sum(1) - along.square() / length  # from the middle of the ray, squared
        depth = (((1 - off).clamp_min(0) * length).sqrt() - along) / length
        met = aside + each(way) * depth[:, None]
        nearer = (off < 1) & (depth + each(from_middle[:, 2]) > nearest)
        nearest = torch.where(nearer, depth + each(from_middle[:, 2]), nearest)
        point = torch.where(nearer[:, None], met * each(radii[None]) + each(middle[None]), point)
        parts = each(before[:, 2]) * met / each(radii[None])
        facing, opposite = parts.sum(1), parts[:, 1:].sum(1) - parts[:, 0]
        other = nearer & (facing < 0)
        point[:, 0] = torch.where(other, -point[:, 0], point[:, 0])
        ahead = torch.where(nearer, torch.where(other, opposite, facing), ahead)
        apart = torch.minimum(apart, off.clamp_min(0).sqrt())
    on = nearest > _NOWHERE
    seen = torch.einsum("nij,njhw->nihw", before[:, :2], point)
    onto = torch.stack(
        [each(middle0[:, 0]) + seen[:, 0] * each(scale0), each(middle0[:, 1]) - seen[:, 1] * each(scale0)], 1
    )
    ours, theirs = (
        _shown(rotation, scale, middle, head)
        for rotation, scale, middle in ((before, scale0, middle0), (after, scale1, middle1))
    )
    along = (here - each(theirs)) * each(scale0 / scale1)[:, None] + each(ours)
    goes = ((head.reach - apart) / (head.reach - 1)).clamp(0, 1)[:, None]
    away = torch.where(on[:, None], onto - here, goes * (along - here))
    away = F.interpolate(away, [height, width], mode="nearest")  # anything smoother draws lines where shapes end
    grid = torch.stack([away[:, 0] * (2 / width), away[:, 1] * (2 / height)], 3) + _places(height, width, away)
    result = F.grid_sample(picture.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    hidden = F.interpolate((on & (ahead < 0)).float()[:, None], [height, width], mode="nearest")
    return torch.where(hidden > 0, torch.full_like(result, BLACK), result)


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """Where pixels are, (1, h, w, 2), -1 to 1 from edge to edge."""
    down, right = (
        (torch.arange(count, device=like.device, dtype=like.dtype) * 2 + 1) / count - 1 for count in (height, width)
    )
    return torch.stack(torch.meshgrid(right, down, indexing="xy"), 2)[None]


def _rotations(turn: Tensor) -> Tensor:
    """(n, 3) to (n, 3, 3), which take a head's directions (right, up, ahead) to the picture's; as the cast's camera."""
    yaw, pitch, roll = turn.clamp(-FARTHEST, FARTHEST).unbind(1)
    one, none = torch.ones_like(yaw), torch.zeros_like(yaw)

    def rows(*entries: Tensor) -> Tensor:
        return torch.stack(entries, 1).reshape(-1, 3, 3)

    about_y = rows(yaw.cos(), none, yaw.sin(), none, one, none, -yaw.sin(), none, yaw.cos())
    about_x = rows(one, none, none, none, pitch.cos(), pitch.sin(), none, -pitch.sin(), pitch.cos())
    about_z = rows(roll.cos(), roll.sin(), none, -roll.sin(), roll.cos(), none, none, none, one)
    return about_z @ about_y @ about_x


def _at(solid: Ellipsoid, like: Tensor) -> tuple[Tensor, Tensor]:
    """Its middle (3,) and radii (3,)."""
    return like.new_tensor([0.0, solid.up, solid.ahead]), like.new_tensor(solid.radii)


def _placed(rotations: Tensor, box: Tensor, head: TurningConfig) -> tuple[Tensor, Tensor]:
    """Pixels (n,) to a unit of the head, and where its origin is (n, 2), from where eyes and mouth are."""
    ahead = rotations.new_tensor([[-head.wide / 2, 0.5, 0], [head.wide / 2, 0.5, 0], [0, -0.5, 0]])
    unit = boxed(ahead[None, :, :2])[0, 2]
    points = ahead / unit + rotations.new_tensor([[0, 0, head.eyes], [0, 0, head.eyes], [0, 0, head.mouth]])
    shown = torch.einsum("nij,kj->nki", rotations[:, :2], points) * points.new_tensor([1.0, -1.0])
    like = boxed(shown)
    scale = box[:, 2] / like[:, 2].clamp_min(1e-3)
    return scale, box[:, :2] - like[:, :2] * scale[:, None]


def _shown(rotations: Tensor, scale: Tensor, origin: Tensor, head: TurningConfig) -> Tensor:
    """Where the middle of a head's first solid is in the picture, (n, 2)."""
    middle, _ = _at(head.solids[0], rotations)
    seen = torch.einsum("nij,j->ni", rotations[:, :2], middle) * middle.new_tensor([1.0, -1.0])
    return origin + seen * scale[:, None]
