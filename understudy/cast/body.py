"""Ears, neck and shoulders, and what covers them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast.hair import covers_ears
from understudy.cast.paint import Paint
from understudy.cast.soft import CLOUDS, GRAIN, cover, hill, mix, noise, resolved, step
from understudy.cast.view import Rays
from understudy.cast.who import Who


@dataclass(frozen=True)
class Layer:
    """Something painted, with how much of each pixel it covers and how near it is."""

    paint: Paint
    share: Tensor  # (b, h, w)
    far: Tensor  # (b, h, w) ears: distance along the ray; body: height towards the camera


def ear(who: Who, r: Rays, side: int, pixel: Tensor) -> Layer:
    """One ear, in head space: a thin ellipsoid whose back stands off the head."""
    flare = 0.30 + 0.35 * who.ear_out
    size = who.ear_size
    # from CENTRE: beside the head, between brow and nose
    cx = side * (0.690 * who.head_width + 0.03)
    cy, cz = 0.02 + 0 * size, -0.10 + 0 * size
    c, s = flare.cos(), flare.sin()
    lean = 0.16

    def local(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = x * side
        out, front = c * x + s * z, c * z - s * x  # turned about the upright axis: the back edge stands out
        back = -front
        return out / 0.075, (y * 0.987 - back * lean) / (0.225 * size), (back * 0.987 + y * lean) / (0.140 * size)

    start = [r.start[:, i, None, None] for i in range(3)]
    ox, oy, oz = local(start[0] - cx, start[1] - cy, start[2] - cz)
    wx, wy, wz = local(r.way[:, 0], r.way[:, 1], r.way[:, 2])
    a = wx * wx + wy * wy + wz * wz
    b = ox * wx + oy * wy + oz * wz
    closest = ox * ox + oy * oy + oz * oz - b * b / a
    under = (1 - closest).clamp_min(0)
    far = (-b - (under * a).sqrt()) / a
    px, py, pz = ox + far * wx, oy + far * wy, oz + far * wz
    share = cover((closest.clamp_min(1e-4).sqrt() - 1) * 0.16 * size, pixel)
    share = share * (1 - covers_ears(who))
    paint = _ear_paint(who, side, px, py, pz, c, s)
    return Layer(paint, share, far)


def _ear_paint(who: Who, side: int, out: Tensor, up: Tensor, back: Tensor, c: Tensor, s: Tensor) -> Paint:
    ring = (up * up * 0.92 + (back * 1.0) ** 2 + 1e-6).sqrt()
    outer = step(-0.1, 0.15, out)
    groove = hill(ring - 0.70, 0.085) * step(-0.62, -0.2, up) * step(-0.9, -0.3, back + 0.4 * up)
    concha = step(0.52, 0.18, ((up + 0.10) ** 2 + (back + 0.18) ** 2 * 1.3 + 1e-6).sqrt())
    ridge = hill(ring - 0.88, 0.10)
    shade = 1 - outer * (0.42 * groove + 0.62 * concha)
    red = torch.cat([who.skin[:, :1], who.skin[:, 1:2] * 0.80, who.skin[:, 2:] * 0.76], 1)
    colour = mix(who.skin.expand(-1, -1, *up.shape[1:]), red, 0.20 + 0.45 * (concha + groove).clamp(0, 1))
    tilt_up = up * 0.9 * (1 - 1.4 * groove + 0.3 * ridge)
    tilt_back = back * 0.9 * (1 - 1.4 * groove + 0.3 * ridge)
    nx, nf = out * 1.2 + 0.25, -tilt_back
    x = (c * nx - s * nf) * side
    z = s * nx + c * nf
    n = torch.stack([x, tilt_up, z], 1)
    n = n * torch.rsqrt((n * n).sum(1, keepdim=True) + 1e-6)
    ones = torch.ones_like(up)
    return Paint(colour, n, (0.14 + 0.1 * ridge) * ones, 0.15 * ones, ones, shade, 0 * ones, 0 * ones)


NECK_TOP = -1.20
SLOPE = 0.80  # from where the neck widens to where the shoulders are at their widest


def half_width(who: Who, up: Tensor) -> Tensor:
    """Of neck or shoulders at a height, in body space."""
    return _outline(who, up)[0]


def _outline(who: Who, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """At a height: half the width, its slope, and how far down the shoulders that is, 0 to 1."""
    broad = 0.85 + 0.15 * who.jaw_width
    s = ((NECK_TOP - 0.06 - up) / SLOPE).clamp(0, 1)
    rise = s * s * (3 - 2 * s)
    wide = _neck(who) + 1.06 * broad * rise + 0.03 * step(-1.15, -0.8, up)
    return wide, -1.06 * broad * (6 * s * (1 - s) / SLOPE), rise


def _neck(who: Who) -> Tensor:
    return 0.345 * who.head_width * (0.35 + 0.65 * who.jaw_width)


def depth(who: Who, right: Tensor, up: Tensor) -> Tensor:
    """How far towards the camera the body comes."""
    wide, _, rise = _outline(who, up)
    height = (1 - (right / wide) ** 2).clamp_min(0).sqrt()
    return -0.26 + (0.34 + 0.30 * rise) * height - 0.12 * rise


def body(who: Who, right: Tensor, up: Tensor, pixel: Tensor) -> Layer:
    """Neck and shoulders: at every height an ellipse, so they are found without a search. `right, up` in body space."""
    wide, d_wide, rise = _outline(who, up)
    s = ((NECK_TOP - 0.06 - up) / SLOPE).clamp(0, 1)
    deep, d_deep = 0.34 + 0.30 * rise, -0.30 * (6 * s * (1 - s) / SLOPE)
    u = right / wide
    height = (1 - u * u).clamp_min(0).sqrt()
    n = torch.stack([u / wide, -(u * u * d_wide / wide + height * height * d_deep / deep), height / deep + 1e-3], 1)
    n = n * torch.rsqrt((n * n).sum(1, keepdim=True) + 1e-6)
    share = cover((right.abs() - wide) * torch.rsqrt(1 + d_wide * d_wide), pixel) * step(-0.55, -0.75, up)
    paint = _neck_paint(who, right, up, n)
    return Layer(_dressed(who, paint, right, up, pixel, _neck(who)), share, depth(who, right, up))


def _neck_paint(who: Who, x: Tensor, y: Tensor, n: Tensor) -> Paint:
    side = x.abs()
    ones = torch.ones_like(x)
    cord = hill(side - 0.10 - 0.32 * (y + 1.62), 0.035) * step(-1.70, -1.5, y) * step(-1.1, -1.3, y)
    pit = hill(x, 0.05) * hill(y + 1.63, 0.05)
    bone = hill(y + 1.66 - 0.10 * (side - 0.1), 0.03) * step(0.08, 0.2, side) * step(0.9, 0.5, side)
    shade = (
        1
        - 0.10 * hill(side - 0.02 - 0.3 * (y + 1.62), 0.04) * step(-1.65, -1.5, y)
        - 0.25 * pit
        + 0.08 * cord
        + 0.10 * bone
    )
    fine = noise(CLOUDS, x * 0.3 + who.shift[:, 0], y * 0.3)
    colour = who.skin * (0.97 + 0.03 * fine)[:, None]
    return Paint(colour, n, 0.08 * ones, 0.1 * ones, ones, shade, 0 * ones, 0 * ones)


def _dressed(who: Who, paint: Paint, x: Tensor, y: Tensor, pixel: Tensor, neck: Tensor) -> Paint:
    """Clothes: a neckline, a hem along it, folds, and for shirts and jackets a collar."""
    side = x.abs()
    crew = -1.56 + 0.55 * (side / 0.6) ** 2 * 0.5
    vee = -1.98 + 1.25 * side.clamp_max(0.40) + 0.25 * (side - 0.40).clamp_min(0)
    turtle = -1.27 + 0.05 * side
    kind = who.clothes
    line = torch.where(kind == 1, vee, crew)
    line = torch.where(kind == 2, -1.78 + 1.1 * side.clamp_max(0.34), line)
    line = torch.where(kind == 3, turtle, line)
    line = torch.where(kind == 4, crew + 0.03, line)
    line = torch.where(kind == 5, crew - 0.02, line)
    below = line - y
    over = step(-0.0, 0.0 + 1.2 * pixel, below)
    folds = noise(CLOUDS, x * 0.16 + who.shift[:, 1] + 0.12 * y, y * 0.09)
    weave = noise(GRAIN, x * 0.8, y * 0.8) * resolved(0.03, pixel)
    hem = step(0.075, 0.06, below)
    rib = torch.where(
        kind == 3,
        0.5 + 0.5 * torch.cos(x * 62 / (0.7 + 0.3 * neck)),
        0.5 + 0.5 * torch.cos(torch.atan2(x, y + 1.1) * 54),
    )
    rib = rib / (1 + (pixel * 30) ** 2)
    cloth = who.cloth.expand(-1, -1, *x.shape[1:])
    tone = 1 + 0.14 * folds + 0.04 * weave
    knit = torch.where(kind == 3, step(-1.62, -1.58, y), hem * (kind <= 1))
    tone = tone * (1 - 0.16 * knit * rib)
    edge = hill(below - 0.066, 0.007 + pixel * 0.5) * (kind <= 1) + hill(y + 1.60, 0.02) * (kind == 3)
    shade = 1 - 0.25 * edge
    colour = cloth * tone[:, None]
    colour, shade = _collar(who, colour, shade, x, y, pixel)
    ones = torch.ones_like(x)
    wrinkle = torch.stack([0.10 * noise(CLOUDS, x * 0.3 + 0.5, y * 0.18 + who.shift[:, 0]), 0.08 * folds, 0 * x], 1)
    n = paint.normal + wrinkle * over[:, None]
    n = n * torch.rsqrt((n * n).sum(1, keepdim=True) + 1e-6)
    skin_shadow = 1 - 0.40 * step(0.10, 0.0, -below) * (below < 0)
    paint = paint.shaded(skin_shadow)
    coated = paint.over(colour, over, gloss=0.04, glow=0.05)
    return replace(coated, normal=n, shade=mix(paint.shade, shade * ones, over))


def _collar(who: Who, colour: Tensor, shade: Tensor, x: Tensor, y: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    side = x.abs()
    kind = who.clothes
    # shirt: two points that fold over
    fold = torch.maximum((side - 0.15 - (-1.40 - y) * 0.42).abs() - 0.145 + 0.10 * (y + 1.45), (y + 1.33).abs() - 0.40)
    fold = torch.maximum(
        fold, -1.34 - 0.9 * (side - 0.25).clamp_min(0) * 0 - y - 0.42 + 0.55 * (0.36 - side).clamp_min(0)
    )
    shirt = (kind == 2).float()
    on = cover(fold, pixel) * shirt
    around = hill(fold, 0.014 + pixel) * shirt
    shade = shade * (1 - 0.28 * around) * (1 - 0.30 * hill(x, 0.006 + pixel * 0.5) * shirt * step(-1.75, -1.8, y))
    colour = mix(colour, who.cloth * 1.10, on)
    # jacket: lapels over a shirt of another colour
    opened = side - 0.10 - 0.62 * (y + 2.05)
    lapel = (kind == 5).float()
    colour = mix(colour, who.cloth_second.expand_as(colour), cover(opened, pixel) * lapel)
    strip = opened - 0.17 + 0.05 * step(-1.62, -1.60, y)
    shade = shade * (1 - 0.35 * hill(strip, 0.009 + pixel) * lapel) * (1 - 0.35 * hill(opened, 0.012 + pixel) * lapel)
    # hood: a roll around the neck
    hood = (kind == 4).float()
    roll = (((x / 0.62) ** 2 + ((y + 1.52) / 0.34) ** 2 + 1e-6).sqrt() - 1) * 0.4
    shade = shade * (1 - 0.35 * hill(roll - 0.02, 0.02 + pixel) * hood)
    for s in (1, -1):
        cord = hill(x - s * (0.17 + 0.02 * (y + 1.8)), 0.009 + pixel * 0.5) * step(-1.66, -1.70, y) * hood
        colour = mix(colour, who.cloth_second.expand_as(colour), cord * 0.8)
    return colour, shade
