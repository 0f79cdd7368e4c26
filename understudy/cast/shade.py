"""Light on paint: a key light, light from all around, a rim from behind, and the shadows the head throws on itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.paint import Paint
from understudy.cast.shape import Solid
from understudy.cast.soft import step
from understudy.cast.view import View, look_up
from understudy.cast.who import Who


@dataclass(frozen=True)
class Light:
    """Directions are in the picture's space; `key_in_head` (b, 3) is the key light as the head sees it."""

    key: Tensor  # (b, 3, 1, 1) towards the light
    key_in_head: Tensor
    rim: Tensor
    key_colour: Tensor  # (b, 3, 1, 1)
    sky: Tensor
    floor: Tensor
    rim_colour: Tensor
    soft: Tensor  # (b, 1, 1)


def light(who: Who, v: View) -> Light:
    """The light that `who` (already broad) stands in."""
    right, up = who.light[:, 0], who.light[:, 1]
    key = torch.stack([right.sin() * up.cos(), up.sin(), right.cos() * up.cos()], 1)
    rim = torch.stack([-right.sign() * 0.75 + 0 * up, 0.35 + 0 * up, -0.55 + 0 * up], 1)
    rim = rim * torch.rsqrt((rim * rim).sum(1, keepdim=True))
    warm = who.warmth[:, None]
    tint = torch.cat([1 + 0.10 * warm, 1 + 0.0 * warm, 1 - 0.16 * warm], 1)
    cool = torch.cat([1 - 0.06 * warm, 1 + 0.0 * warm, 1 + 0.10 * warm], 1)
    soft = who.soft[:, None]
    around = 0.5 * who.ground + 0.5 * who.ground.mean(1, keepdim=True)
    around = 0.35 + 0.65 * around / around.mean(1, keepdim=True).clamp_min(0.02)
    return Light(
        key=key,
        key_in_head=torch.einsum("bji,bj->bi", v.turn, key[:, :, 0, 0]),
        rim=rim,
        key_colour=tint * (1.62 - 0.55 * soft),
        sky=cool * around * (0.46 + 0.50 * soft),
        floor=tint * around * (0.24 + 0.26 * soft),
        rim_colour=cool * 0.55,
        soft=who.soft,
    )


def lit(paint: Paint, normal: Tensor, lamp: Light, shadow: Tensor) -> Tensor:
    """The paint's colour under light. `normal` (b, 3, h, w) as the picture sees it; `shadow` 1 in the light."""
    facing = (normal * lamp.key).sum(1)
    glow = paint.glow[:, None]
    wrap = normal.new_tensor([0.42, 0.24, 0.18])[None, :, None, None] * glow + 0.05
    diffuse = ((facing[:, None] + wrap) / (1 + wrap)).clamp_min(0)
    dim = shadow[:, None]
    bleed = dim + (1 - dim) * normal.new_tensor([0.16, 0.05, 0.04])[None, :, None, None] * glow
    hemisphere = (0.5 + 0.5 * normal[:, 1:2]).clamp(0, 1)
    ambient = lamp.floor + (lamp.sky - lamp.floor) * hemisphere
    toward = (0.55 + 0.45 * normal[:, 2:3]).clamp(0, 1)
    shade = paint.shade[:, None].clamp(0, 1.15)
    tinted = shade ** (1 - 0.25 * glow * normal.new_tensor([1.0, 0.2, 0.0])[None, :, None, None])
    light_here = lamp.key_colour * diffuse * bleed * (0.35 + 0.65 * tinted) + ambient * toward * tinted
    edge = (1 - normal[:, 2:3].clamp(0, 1)) ** 3
    behind = (normal * lamp.rim).sum(1, keepdim=True).clamp_min(0)
    rim = lamp.rim_colour * edge * (0.10 + 1.1 * behind)
    colour = paint.colour * (light_here + rim * 0.9)
    return colour + _shine(paint, normal, lamp, facing, shadow) + rim * 0.05 * (0.4 + paint.gloss[:, None])


def _shine(paint: Paint, normal: Tensor, lamp: Light, facing: Tensor, shadow: Tensor) -> Tensor:
    half = lamp.key + normal.new_tensor([0, 0, 1.0])[None, :, None, None]
    half = half * torch.rsqrt((half * half).sum(1, keepdim=True))
    along = (normal * half).sum(1).clamp(0, 1)
    power = 14 + 700 * paint.sharp**2.5
    strength = paint.gloss * (0.22 + 4.0 * paint.sharp**2)
    point = along**power * strength * shadow * step(-0.1, 0.2, facing)
    fill_half = normal.new_tensor([-0.35, 0.55, 0.75])[None, :, None, None]
    fill = (normal * fill_half).sum(1).clamp(0, 1) ** (10 + 160 * paint.sharp) * paint.gloss * 0.18
    return lamp.key_colour * point[:, None] + lamp.sky * fill[:, None]


def hair_lit(
    colour: Tensor,
    tangent: Tensor,
    normal: Tensor,
    lamp: Light,
    shadow: Tensor,
    shade: Tensor,
    fine: Tensor,
    sheen: Tensor,
) -> Tensor:
    """Hair after Kajiya and Kay: strands shine across their run, twice, the second time in their own colour."""

    def lobe(shift: float, power: float) -> Tensor:
        bent = tangent + normal * (shift + 0.10 * fine)[:, None]
        bent = bent * torch.rsqrt((bent * bent).sum(1, keepdim=True) + 1e-6)
        half = lamp.key + normal.new_tensor([0, 0, 1.0])[None, :, None, None]
        half = half * torch.rsqrt((half * half).sum(1, keepdim=True))
        along = (bent * half).sum(1)
        return (1 - along * along).clamp_min(0).sqrt() ** power

    facing = (normal * lamp.key).sum(1)
    front = step(-0.35, 0.45, facing) * (0.25 + 0.75 * shadow) * sheen
    diffuse = (0.30 + 0.70 * facing.clamp(0, 1)) * (0.35 + 0.65 * shadow) * step(-0.6, 0.4, facing)
    hemisphere = (0.5 + 0.5 * normal[:, 1:2]).clamp(0, 1)
    ambient = lamp.floor + (lamp.sky - lamp.floor) * hemisphere
    body = colour * (lamp.key_colour * diffuse[:, None] * 0.85 + ambient * 0.8) * shade[:, None].clamp(0.25, 1.1)
    white = lobe(0.02, 90.0) * front * (0.055 + 0.05 * fine.clamp(-1, 1.5)).clamp_min(0)
    own = lobe(-0.12, 22.0) * front * (0.55 + 0.3 * fine).clamp_min(0)
    edge = (1 - normal[:, 2:3].clamp(0, 1)) ** 2.5 * (0.15 + (normal * lamp.rim).sum(1, keepdim=True).clamp_min(0))
    shine = lamp.key_colour * (white[:, None] + colour * own[:, None]) * shade[:, None].clamp(0.2, 1)
    return body + shine + lamp.rim_colour * edge * (0.03 + colour * 0.9)


def cast_shadow(solid: Solid, lamp: Light, point: Tensor, start: float = 0.05) -> Tensor:
    """How much of the key light reaches points (b, 3, h, w) around the head: 1 all, 0 none, soft at the rim."""
    way = lamp.key_in_head[:, :, None, None]
    blocked = torch.zeros_like(point[:, 0])
    for far in (start, 0.11, 0.20, 0.34, 0.55, 0.85):
        p = point + way * far
        scale = torch.rsqrt((p * p).sum(1) + 1e-6)
        over = look_up(solid.radius, (p[:, 0] * scale, p[:, 1] * scale, p[:, 2] * scale))[:, 0] - 1 / scale
        blocked = torch.maximum(blocked, (over - 0.012) / (0.025 + 0.22 * far))
    return 1 - 0.85 * step(-0.10, 0.9, blocked)


def halved(x: Tensor) -> Tensor:
    """Every second pixel."""
    return x[..., ::2, ::2]


def doubled(x: Tensor, height: int, width: int) -> Tensor:
    """(b, h, w) back to full size."""
    return F.interpolate(x[:, None], size=(height, width), mode="bilinear", align_corners=False)[:, 0]
