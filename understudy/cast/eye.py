"""Paint for the features: eyes and brows. Colours are linear (b, 3, h, w)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from understudy.cast.paint import Paint, Spot, colour3
from understudy.cast.rig import Brow, Eye, Face
from understudy.cast.shape import EYE_RADIUS, eyeball
from understudy.cast.soft import CLOUDS, STRANDS, bump, cover, hill, mix, noise, resolved, step
from understudy.cast.who import Who


def brow(who: Who, b: Brow, spot: Spot, paint: Paint) -> Paint:
    """Hairs that lean outwards, dense in the middle of the brow."""
    a = b.along(spot.x)
    off = spot.y - b.height(a)
    half = b.half(a)
    lean = spot.x * b.side - off * (1.6 - 1.1 * a)
    rough = 0.6 * noise(STRANDS, lean * 0.7 + 0.11 * b.side, off * 0.8)
    rough = rough + 0.5 * noise(STRANDS, lean * 2.2 + 0.3, off * 1.4) * resolved(0.016, spot.pixel)
    edge = half * (1 + 0.22 * rough) - off.abs()
    ends = torch.minimum(a + 0.03 + 0.05 * rough, 1.06 - a + 0.03 * rough) * 0.25
    soft = 0.008 + spot.pixel * 0.7
    inside = step(-soft, soft, torch.minimum(edge, ends))
    dense = who.brow_dense * (0.86 + 0.17 * rough).clamp(0.45, 1.05) * step(-0.12, 0.22, a)
    grey = mix(
        who.brow_colour.expand(-1, -1, *spot.x.shape[1:]), colour3(0.4, 0.39, 0.38, like=spot.x), who.hair_grey * 0.6
    )
    return paint.over(
        grey * (1 + 0.25 * rough)[:, None].clamp_min(0.3), (inside * dense).clamp(0, 1), gloss=0.06, glow=0.2
    )


def eye(who: Who, face: Face, e: Eye, spot: Spot, paint: Paint, key: Tensor) -> Paint:
    """Lids, lashes and the ball behind them. `key` (b, 3, 1, 1): where the main light is, seen from the head."""
    a, up = e.local(spot.x, spot.y)
    high, low = e.edges(a)
    near = step(1.25, 1.0, a.abs())
    beyond = (a.abs() - 1).clamp_min(0) * e.wide
    soft = spot.pixel
    paint = _lids(who, e, spot, paint, a, up, high, low)
    opening = torch.minimum(high - up, up - low) - beyond
    slope = 1.0 + 0.35 * a.abs()
    share = cover(-opening / slope, soft * 1.1) * step(0.0, 0.007, high - low)
    ball = _ball(who, face, e, spot, key, high - up, up - low, a)
    rim = cover((up - low).abs() - 0.0065, soft) * near * step(1.02, 0.9, a.abs()) * (1 - e.shut)
    wet = who.skin * colour3(1.02, 0.74, 0.70, like=up)
    paint = paint.over(wet, rim * cover(up - high, soft) * 0.85, gloss=0.5, sharp=0.7)
    paint = replace(paint.replaced(ball, share), eyes=torch.maximum(paint.eyes, share))
    return _lashes(who, e, spot, paint, a, up, high, low)


def _lids(who: Who, e: Eye, spot: Spot, paint: Paint, a: Tensor, up: Tensor, high: Tensor, low: Tensor) -> Paint:
    soft = spot.pixel * 0.5
    ac = a.clamp(-1.3, 1.3)
    lid = high - up  # negative above the edge
    crease = who.eye_open * (1 - 0.75 * ac * ac * 0.8) + e.fold + 0.006
    over = up - crease * (1 - 0.1 * ac)
    reach = step(1.28, 0.85, a.abs())
    shadow = torch.cat([who.shadow[:, c : c + 1] for c in range(3)], 1)
    made = who.make_up * step(-0.004, 0.004, -lid) * step(0.05, -0.02, over) * reach * 0.55
    paint = paint.over(shadow * (0.4 + 0.6 * who.skin), made)
    deep = hill(over, 0.0085 + soft) * reach * (0.16 + 0.5 * who.lid_fold)
    socket = step(-0.01, 0.05, over) * hill(over - 0.03, 0.05) * reach * 0.10
    below = hill(up - low + 0.016, 0.010 + soft) * step(1.15, 0.75, a.abs()) * 0.14
    tear = bump((a + 1.02) * e.wide, up + 0.006, 0.016, 0.012) * 0.25
    return paint.shaded(1 - (deep + socket + below + tear).clamp(0, 0.7))


def _ball(who: Who, face: Face, e: Eye, spot: Spot, key: Tensor, under: Tensor, over: Tensor, a: Tensor) -> Paint:
    """The eyeball seen through the opening: the ray's own meeting with the sphere, so it lies deeper than the lids."""
    middle = torch.stack(eyeball(who, face, e.side), 1)
    off = spot.point - middle
    b = (off * spot.way).sum(1)
    c = (off * off).sum(1) - EYE_RADIUS**2
    far = -b - (b * b - c).clamp_min(0).sqrt()
    n = (off + spot.way * far[:, None]) / EYE_RADIUS
    n = n * torch.rsqrt((n * n).sum(1, keepdim=True) + 1e-6)
    yaw, pitch = e.gaze()
    cp, sp = pitch.cos(), pitch.sin()
    gx, gy, gz = yaw.sin() * cp, sp, yaw.cos() * cp
    # across the pupil: the part of the normal that is not along the gaze
    u = n[:, 0] * yaw.cos() - n[:, 2] * yaw.sin()
    v = n[:, 1] * cp - sp * (n[:, 0] * yaw.sin() + n[:, 2] * yaw.cos())
    ahead = n[:, 0] * gx + n[:, 1] * gy + n[:, 2] * gz
    r = (u * u + v * v + 1e-8).sqrt() * EYE_RADIUS
    angle = torch.atan2(v, u)
    soft = spot.pixel * 0.9
    size = who.iris_size
    like = u
    white = colour3(0.74, 0.72, 0.71, like=like) * (1 - 0.22 * hill(a.abs() - 1, 0.28))[:, None]
    pink = colour3(0.78, 0.48, 0.45, like=like)
    white = mix(white, pink, hill(a + 1.0, 0.16) * 0.75 + hill(a - 1.0, 0.10) * 0.35)
    s = (r / size).clamp(0, 1.3)
    streak = noise(STRANDS, angle * (4 / 6.2832) * 0.25 + who.shift[:, 0], s * 0.3) * step(0.30, 0.6, s)
    flecks = noise(CLOUDS, u * 2 + who.shift[:, 1], v * 2)
    lit = 0.70 + 0.75 * hill(v / 0.4 + 0.42, 0.55) * step(0.2, 0.7, s)
    iris = who.iris * (lit * (1 + 0.26 * streak + 0.10 * flecks))[:, None].clamp_min(0.1)
    warm = who.iris * colour3(1.7, 1.15, 0.55, like=like) + 0.01
    iris = mix(iris, warm, hill(s - 0.46, 0.10) * 0.45)
    limbal = step(0.76, 1.0, s)
    iris = iris * (1 - 0.72 * limbal)[:, None]
    eyeball_colour = mix(white, iris, cover(r - size, soft + 0.006) * step(0, 0.2, ahead))
    pupil = cover(r - size * 0.40, soft + 0.004) * step(0, 0.2, ahead)
    eyeball_colour = mix(eyeball_colour, colour3(0.004, 0.004, 0.005, like=like), pupil)
    lid_shadow = 0.38 + 0.62 * step(-0.012, 0.062, under)
    lid_shadow = lid_shadow * (0.86 + 0.14 * step(0, 0.02, over)) * (0.80 + 0.20 * step(1.02, 0.72, a.abs()))
    eyeball_colour = _catchlight(eyeball_colour, n, torch.stack([gx, gy, gz], 1), key - spot.way, soft)
    # the cornea stands out over the iris: its shine sits higher than a sphere's would
    bulge = n + 0.25 * torch.stack([gx + 0 * u, gy + 0 * u, gz + 0 * u], 1) * step(1.25, 0.6, s)[:, None]
    bulge = bulge * torch.rsqrt((bulge * bulge).sum(1, keepdim=True))
    ones = torch.ones_like(u)
    return Paint(
        eyeball_colour, n * 0.5 + bulge * 0.5, 0.25 * ones, 0.8 * ones, 0.15 * ones, lid_shadow, ones, 0 * ones
    )


def _catchlight(colour: Tensor, n: Tensor, gaze: Tensor, half: Tensor, soft: Tensor) -> Tensor:
    """The lamp mirrored in the cornea, and a paler window opposite."""
    half = half * torch.rsqrt((half * half).sum(1, keepdim=True))
    spot = gaze + (half - gaze) * 0.42
    spot = spot * torch.rsqrt((spot * spot).sum(1, keepdim=True))
    lamp = ((n - spot) ** 2).sum(1).sqrt() * EYE_RADIUS
    other = gaze - (half - gaze) * 0.45
    pane = ((n - other) ** 2).sum(1).sqrt() * EYE_RADIUS
    bright = torch.full_like(colour, 2.6)
    colour = mix(colour, torch.full_like(colour, 0.5), cover(pane - 0.020, soft + 0.03) * 0.07)
    return mix(colour, bright, cover(lamp - 0.0155, soft + 0.004))


def _lashes(who: Who, e: Eye, spot: Spot, paint: Paint, a: Tensor, up: Tensor, high: Tensor, low: Tensor) -> Paint:
    """A dark line on the upper lid's edge, and hairs that fan out from it."""
    soft = spot.pixel
    ink = colour3(0.012, 0.009, 0.008, like=up) + 0.12 * who.brow_colour
    ac = a.clamp(-1.05, 1.12)
    strong = who.lashes
    thick = (0.0062 + 0.0085 * strong + 0.004 * who.make_up) * (0.55 + 0.45 * (ac + 1) * 0.5)
    line_end = step(1.10, 0.98, a.abs()) * step(-1.02, -0.85, a)
    wing = (a - 0.98).clamp(0, 0.2) * 0.10 * (strong + who.make_up)
    line = cover((up - high - thick * 0.4 - wing).abs() - thick, soft) * line_end
    # hairs: along the edge, each leaning outwards; longer at the outer corner
    drop = 1 - 2.0 * e.shut.clamp(0, 1) * 0.9
    tall = (0.018 + 0.040 * strong) * (0.55 + 0.45 * ((a + 1) * 0.5).clamp(0, 1.1))
    rise = (up - high) * torch.where(drop.abs() < 0.25, 0.25, drop.abs()).reciprocal() * torch.sign(drop)
    t = (rise / tall).clamp(0, 1)
    lean = a - (0.10 + 0.20 * a) * t * (1.0 + 0.5 * t)
    comb = ((lean * 11.0 + 0.5).remainder(1) - 0.5).abs() * (2 * e.wide / 11.0)
    width = (0.0062 * (1 - t) + 0.0008) * (0.7 + 0.6 * strong)
    hairs = (
        cover(comb - width, soft) * step(1.0, 0.92, rise / tall) * step(-0.002, 0.002, rise) * step(1.08, 0.98, a.abs())
    )
    lower_t = ((low - up) / (0.018 * strong + 0.004)).clamp(0, 1)
    lower_comb = ((a * 9.0 - 0.9 * a * lower_t).remainder(1) - 0.5).abs() * (2 * e.wide / 9.0)
    lower = (
        cover(lower_comb - 0.0035 * (1 - lower_t), soft)
        * step(1, 0.9, lower_t)
        * step(-0.001, 0.003, low - up)
        * step(0.98, 0.9, a.abs())
        * step(-0.7, -0.2, a)
    )
    dark = torch.maximum(line * (0.62 + 0.38 * strong), hairs * (0.35 + 0.6 * strong))
    dark = torch.maximum(dark, lower * 0.45 * strong * (1 - e.shut))
    return paint.over(ink.expand(-1, -1, *up.shape[1:]), dark.clamp(0, 0.97), gloss=0.03, glow=0.0)
