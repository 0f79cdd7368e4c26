"""Paint for the features: lips, teeth, tongue. Colours are linear (b, 3, h, w)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from understudy.cast.paint import Paint, Spot, colour3
from understudy.cast.rig import Face, Mouth
from understudy.cast.shape import CENTRE
from understudy.cast.soft import STRANDS, cover, hill, mix, noise, step
from understudy.cast.who import Who


def mouth(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """Lips, and what is seen between them."""
    m = face.mouth
    x, y = spot.x, spot.y
    a = m.along(x)
    top, upper, lower, bottom = m.edges(a)
    soft = spot.pixel
    reach = 0.5 * (m.left[0] - m.right[0])
    beyond = (a.abs() - 1).clamp_min(0) * reach
    paint = paint.shaded(1 - 0.30 * hill(y - bottom + 0.020, 0.016 + soft * 0.5) * step(0.75, 0.2, a.abs()))
    lips = torch.minimum(top - y, y - bottom) - beyond
    tint = _lip_colour(who, m, x, y, a, top, upper, lower, bottom)
    edge = soft + 0.010 * (1 - 0.6 * who.make_up)
    share = cover(-lips - 0.002, edge)
    wet = 0.08 + 0.25 * who.make_up + 0.12 * who.shine
    paint = paint.over(tint, share * (0.94 + 0.06 * who.make_up), gloss=wet, sharp=0.45)
    inside = torch.minimum(upper - y, y - lower) - beyond
    cavity = _cavity(who, m, spot)
    opened = cover(-inside, soft * 1.2)
    depth = step(0.0, 0.05, inside)
    paint = paint.replaced(replace(cavity, shade=cavity.shade * (0.55 + 0.45 * depth)), opened)
    paint = replace(paint, mouth=torch.maximum(torch.maximum(share, opened), paint.mouth))
    gap = (upper - lower).clamp_min(0)
    seam = (
        hill(y - 0.5 * (upper + lower), 0.0055 + 0.35 * gap + soft * 0.4)
        * step(1.08, 0.92, a.abs())
        * step(0.05, 0.0, gap)
    )
    line = who.lip * colour3(0.16, 0.09, 0.09, like=x)
    paint = paint.over(line, seam * 0.80, gloss=0.05)
    return _tongue_out(who, m, spot, paint, a)


def _lip_colour(
    who: Who, m: Mouth, x: Tensor, y: Tensor, a: Tensor, top: Tensor, upper: Tensor, lower: Tensor, bottom: Tensor
) -> Tensor:
    creases = noise(STRANDS, a * 0.30 + who.shift[:, 0], y * 0.4)
    up_share = ((y - upper) / (top - upper).clamp_min(0.004)).clamp(0, 1)
    low_share = ((lower - y) / (lower - bottom).clamp_min(0.004)).clamp(0, 1)
    tone = torch.where(y > 0.5 * (upper + lower), 0.80 + 0.10 * up_share, 1.06 - 0.10 * low_share)
    tone = tone * (1 + 0.07 * creases) * (1 - 0.25 * step(0.75, 1.05, a.abs()))
    inner = step(
        0.25, 0.0, torch.maximum(torch.where(y > upper, up_share, 0 * y), torch.where(y < lower, low_share, 0 * y))
    )
    return who.lip * (tone * (1 - 0.30 * inner))[:, None]


def _cavity(who: Who, m: Mouth, spot: Spot) -> Paint:
    """Teeth on an arch behind the lips, gums, tongue, and dark: found where the ray meets the arch."""
    like = spot.x
    back = 0.085
    squash = (spot.y - CENTRE[1]) / (spot.point[:, 1] - CENTRE[1]).clamp_max(-0.05)  # face coordinates per head unit
    far = back / (-spot.way[:, 2]).clamp_min(0.35)
    x = spot.x + spot.way[:, 0] * far * squash
    y = spot.y + spot.way[:, 1] * far * squash
    rest = who.mouth_height
    curve = x - 0.35 * m.middle
    arc = (curve / 0.27) ** 2
    soft = spot.pixel
    dark = colour3(0.030, 0.006, 0.006, like=like).expand(-1, -1, *x.shape[1:])
    tongue_y = m.lower - 0.03 + 0.10 * (0.12 - (m.upper - m.lower)).clamp(0, 0.12)
    tongue = 1 - (((x - m.middle) / 0.165) ** 2 + ((y - tongue_y) / (0.085 + 0.15 * m.jaw)) ** 2)
    flesh = (
        colour3(0.46, 0.125, 0.115, like=like)
        * (0.55 + 0.45 * step(0, 0.6, tongue) - 0.18 * hill(x - m.middle, 0.012) * step(0.1, 0.7, tongue))[:, None]
    )
    colour = mix(dark, flesh, step(-0.06, 0.10, tongue) * 0.9)
    ivory = colour3(0.70, 0.655, 0.57, like=like)
    tooth = 0.060
    index = (curve / tooth).abs()
    split = (
        hill(index - index.round(), 0.055 + 0.35 * soft / tooth) * (index > 0.5) * 0.22
        + hill(curve, 0.004 + 0.4 * soft) * 0.20
    )
    rounding = (1 - 0.42 * arc.clamp(0, 1.6)).clamp_min(0.2)
    upper_edge = rest - 0.040 + 0.022 * arc + 0.007 * hill(index - 1.6, 0.5) - 0.004 * torch.cos(6.2832 * index)
    top_teeth = torch.minimum(y - upper_edge, 0.115 - (y - upper_edge)) - 0.02 * (arc - 1.1).clamp_min(0)
    gum_high = step(0.085, 0.10, y - upper_edge)
    lower_edge = rest - 0.052 - m.jaw * 0.98 - 0.012 * arc
    low_teeth = torch.minimum(lower_edge + 0.008 * arc - y, y - lower_edge + 0.09)
    gum = colour3(0.50, 0.18, 0.17, like=like)
    low_share = cover(-low_teeth, soft * 1.3) * step(1.25, 1.0, arc)
    colour = mix(colour, ivory * (0.72 * rounding * (1 - split))[:, None], low_share)
    top_share = cover(-top_teeth, soft * 1.3) * step(1.45, 1.2, arc)
    colour = mix(colour, mix(ivory * (rounding * (1 - split))[:, None], gum, gum_high), top_share)
    teeth = torch.maximum(top_share, low_share)
    under_lip = 0.52 + 0.48 * step(0.0, 0.06, m.edges(m.along(spot.x))[1] - spot.y)
    normal = torch.stack([curve * 1.6, 0.15 + 0 * x, torch.ones_like(x)], 1)
    normal = normal * torch.rsqrt((normal * normal).sum(1, keepdim=True))
    wet = torch.maximum(teeth * 0.40, step(0, 0.3, tongue) * 0.08)
    return Paint(colour, normal, wet, 0.8 * torch.ones_like(x), 0.2 + 0 * x, under_lip, 0 * x, 1 + 0 * x)


def _tongue_out(who: Who, m: Mouth, spot: Spot, paint: Paint, a: Tensor) -> Paint:
    out = m.tongue
    _, upper, _, _ = m.edges(a)
    tip = m.lower - 0.22 * out
    middle_y = 0.5 * (m.lower + 0.02 + tip)
    half = 0.5 * (m.lower + 0.02 - tip) + 0.005
    wide = 0.105 + 0.02 * out
    x = spot.x - m.middle
    d = ((x / wide) ** 2 + 1e-6).sqrt() ** 2.4 + (((spot.y - middle_y) / half).abs() + 1e-4) ** 2.4 - 1
    reach = (-d).clamp(0, 1)
    share = cover(d * half * 0.42, spot.pixel + 0.004) * step(0.06, 0.16, out) * step(0.01, -0.01, spot.y - upper)
    groove = hill(x, 0.012) * step(tip + 0.02, tip + 0.09, spot.y)
    flesh = colour3(0.60, 0.19, 0.18, like=x) * ((0.72 + 0.42 * reach) * (1 - 0.22 * groove))[:, None]
    lean = torch.stack([x / wide * 0.7, (spot.y - middle_y) / half * 0.6, torch.ones_like(x)], 1)
    lean = lean * torch.rsqrt((lean * lean).sum(1, keepdim=True))
    paint = paint.shaded(1 - 0.35 * hill(spot.y - tip + 0.015, 0.02) * hill(x, wide) * step(0.06, 0.3, out))
    painted = paint.over(flesh, share, gloss=0.6, sharp=0.6, glow=0.6, normal=lean)
    return replace(
        painted, shade=mix(painted.shade, torch.ones_like(share), share), mouth=torch.maximum(paint.mouth, share)
    )
