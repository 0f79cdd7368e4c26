"""The portrait turned as the driver's head is turned, by plain geometry: a hint of where everything goes.

A head is two ellipsoids, skull and jaw, of one size and shape for everybody. Each pixel of the result looks along its
ray for the nearer of them, and from there, with the head as the portrait holds it, back into the portrait. What the
portrait does not show is taken from the head's other side, and black if that is not to be seen either; what is beside
the head goes along with it, less and less. Faces do here what they do in the portrait: expressions are the business of
whoever is shown this. The camera is far away (no perspective).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
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
    height, width = picture.shape[-2:]
    ours, theirs = _held(own_turn, own_box, head), _held(turn, box, head)
    columns, rows = ((torch.arange(side // _COARSE, device=picture.device) + 0.5) * _COARSE for side in (width, height))
    here = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))[None]
    met = reduce(_nearer, [_met(solid, ours, theirs, here) for solid in head.solids])
    on = met.depth > _NOWHERE
    before, after = (_seen(held, _at(head.solids[0], here)[0][None, :, None, None]) for held in (ours, theirs))
    beside = (here - after) * _each(ours.scale / theirs.scale)[:, None] + before
    goes = ((head.reach - met.apart) / (head.reach - 1)).clamp(0, 1)[:, None]
    away = torch.where(on[:, None], _seen(ours, met.point) - here, goes * (beside - here))
    away = F.interpolate(away, [height, width], mode="nearest")  # anything smoother draws lines where shapes end
    grid = torch.stack([away[:, 0] * (2 / width), away[:, 1] * (2 / height)], 3) + _places(height, width, away)
    result = F.grid_sample(picture.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    hidden = F.interpolate((on & (met.facing < 0)).float()[:, None], [height, width], mode="nearest")
    return result.masked_fill_(hidden > 0, BLACK)


@dataclass(frozen=True)
class _Held:
    """How a picture shows a head."""

    rotation: Tensor  # (n, 3, 3): the head's directions (right, up, ahead) to the picture's
    scale: Tensor  # (n,) pixels to a unit of the head
    origin: Tensor  # (n, 2) pixels


@dataclass(frozen=True)
class _Met:
    """Where the rays of pixels meet a solid, or pass it."""

    depth: Tensor  # (n, h, w) towards the camera; `_NOWHERE` where they pass
    point: Tensor  # (n, 3, h, w) of the head: there, or its like on the other side where the portrait hides it
    facing: Tensor  # (n, h, w) under 0 where the portrait hides that as well
    apart: Tensor  # (n, h, w) from the solid's middle to the ray, in radii


def _met(solid: Ellipsoid, ours: _Held, theirs: _Held, here: Tensor) -> _Met:
    """By the rays of pixels (1, 2, h, w) of a picture of `theirs`; what `ours` hides of it."""
    middle, radii = _at(solid, here)
    from_middle = theirs.rotation @ middle
    right = (here[:, 0] - _each(theirs.origin[:, 0])) / _each(theirs.scale) - _each(from_middle[:, 0])
    up = (_each(theirs.origin[:, 1]) - here[:, 1]) / _each(theirs.scale) - _each(from_middle[:, 1])
    back = theirs.rotation.transpose(1, 2) / radii[:, None]  # the picture's directions to those of a ball of radius 1
    aside = _each(back[:, :, 0]) * right[:, None] + _each(back[:, :, 1]) * up[:, None]
    way = back[:, :, 2]
    along, length = torch.einsum("nihw,ni->nhw", aside, way), _each(way.square().sum(1))
    apart = aside.square().sum(1) - along.square() / length  # squared
    far = (((1 - apart).clamp_min(0) * length).sqrt() - along) / length
    ball = aside + _each(way) * far[:, None]
    towards = _each(ours.rotation[:, 2]) * ball / _each(radii[None])
    hidden = towards.sum(1) < 0
    mirror = torch.stack([torch.where(hidden, -1.0, 1.0), *[torch.ones_like(far)] * 2], 1)
    return _Met(
        depth=torch.where(apart < 1, far + _each(from_middle[:, 2]), torch.full_like(far, _NOWHERE)),
        point=ball * mirror * _each(radii[None]) + _each(middle[None]),
        facing=(towards * mirror).sum(1),
        apart=apart.clamp_min(0).sqrt(),
    )


def _nearer(one: _Met, other: _Met) -> _Met:
    """Of two solids that which is in front."""
    behind = other.depth > one.depth
    return _Met(
        depth=torch.maximum(one.depth, other.depth),
        point=torch.where(behind[:, None], other.point, one.point),
        facing=torch.where(behind, other.facing, one.facing),
        apart=torch.minimum(one.apart, other.apart),
    )


def _held(turn: Tensor, box: Tensor, head: TurningConfig) -> _Held:
    """From how a head is turned, and where its eyes and mouth are."""
    rotation = _rotations(turn)
    ahead = box.new_tensor([[-head.wide / 2, 0.5, 0], [head.wide / 2, 0.5, 0], [0, -0.5, 0]])
    unit = boxed(ahead[None, :, :2])[0, 2]
    points = ahead / unit + box.new_tensor([[0, 0, head.eyes], [0, 0, head.eyes], [0, 0, head.mouth]])
    like = boxed(torch.einsum("nij,kj->nki", rotation[:, :2], points) * points.new_tensor([1.0, -1.0]))
    scale = box[:, 2] / like[:, 2].clamp_min(1e-3)
    return _Held(rotation, scale, box[:, :2] - like[:, :2] * scale[:, None])


def _seen(held: _Held, points: Tensor) -> Tensor:
    """Where points (n, 3, h, w) of a head are in its picture, (n, 2, h, w)."""
    right, up = torch.einsum("nij,njhw->inhw", held.rotation[:, :2], points.expand(len(held.scale), -1, -1, -1))
    return torch.stack(
        [_each(held.origin[:, 0]) + right * _each(held.scale), _each(held.origin[:, 1]) - up * _each(held.scale)], 1
    )


def _each(values: Tensor) -> Tensor:
    """The same at all places: (...) to (..., 1, 1)."""
    return values[..., None, None]


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
