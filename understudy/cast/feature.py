"""Paint for the features: eyes, brows, mouth, nostrils, and the skin between them. Colours are linear (b, 3, h, w)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast import hair
from understudy.cast.rig import Brow, Eye, Face, Mouth
from understudy.cast.shape import EYE_RADIUS, eyeball
from understudy.cast.soft import CLOUDS, GRAIN, SPOTS, STRANDS, bump, cover, hill, mix, noise, step, turn
from understudy.cast.who import Who


@dataclass(frozen=True)
class Paint:
    """What a patch of the face is like before light falls on it."""

    colour: Tensor  # (b, 3, h, w) albedo
    normal: Tensor  # (b, 3, h, w) in head space
    gloss: Tensor  # (b, h, w) strength of the shine
    sharp: Tensor  # (b, h, w) 0 broad shine to 1 a point of light
    glow: Tensor  # (b, h, w) light let through: 1 skin, 0 hair and cloth
    shade: Tensor  # (b, h, w) painted shadow: light is multiplied by this

    def over(self, colour: Tensor, share: Tensor, gloss: float | Tensor | None = None, sharp: float | None = None,
             glow: float | None = None, normal: Tensor | None = None) -> Paint:  # fmt: skip
        """With a coat of something else where `share` says so."""

        def coat(old: Tensor, new: float | Tensor | None) -> Tensor:
            return old if new is None else old + (new - old) * share

        return replace(
            self, colour=mix(self.colour, colour, share), gloss=coat(self.gloss, gloss), sharp=coat(self.sharp, sharp),
            glow=coat(self.glow, glow), normal=self.normal if normal is None else mix(self.normal, normal, share),
        )  # fmt: skip

    def shaded(self, by: Tensor) -> Paint:
        return replace(self, shade=self.shade * by)


@dataclass(frozen=True)
class Spot:
    """Where a patch of the face is: face coordinates, head space from the head's origin, and the rays that see it."""

    x: Tensor
    y: Tensor
    direction: tuple[Tensor, Tensor, Tensor]
    point: Tensor  # (b, 3, h, w)
    way: Tensor  # (b, 3, h, w)
    pixel: Tensor  # size of a pixel on the face


def colour3(*rgb: float, like: Tensor) -> Tensor:
    return torch.tensor(rgb, device=like.device, dtype=like.dtype)[None, :, None, None]


def skin(who: Who, face: Face, spot: Spot, normal: Tensor, hollow: Tensor) -> Paint:
    """Skin with its regions: rosy cheeks, nose and ears, paler forehead, blue under the eyes, freckles, folds."""
    x, y = spot.x, spot.y
    side = x.abs()
    tone = who.skin
    dark = (1 - tone.mean(1)).clamp(0, 1)
    clouds = noise(CLOUDS, x * 0.22 + who.shift[:, 0], y * 0.22 + who.shift[:, 1])
    rosy = 0.75 * bump(side - 0.40, y + 0.30, 0.16, 0.14) * who.blush + 0.55 * bump(x, y + 0.33, 0.13, 0.10)
    rosy = rosy + 0.25 * bump(x, y + 0.95, 0.16, 0.12) + 0.10 * clouds
    rosy = rosy + 0.4 * face.puff * bump(side - 0.43, y + 0.6, 0.15, 0.15)
    red = torch.cat([tone[:, :1] * 1.02, tone[:, 1:2] * 0.72, tone[:, 2:] * 0.70], 1)
    colour = mix(tone.expand(-1, -1, *x.shape[1:]), red, (rosy * 0.75).clamp(0, 0.8))
    pale = (0.10 * bump(x, y - 0.5, 0.3, 0.2) + 0.05 * bump(x, y + 0.18, 0.03, 0.2)).clamp(0, 0.3)
    colour = colour * (1 + pale)[:, None]
    under = (0.10 + 0.24 * who.bags) * bump(side - who.eye_apart + 0.02, y - who.eye_height + 0.10, 0.11, 0.035)
    dusky = torch.cat([tone[:, :1] * 0.72, tone[:, 1:2] * 0.62, tone[:, 2:] * 0.68], 1)
    colour = mix(colour, dusky, under)
    fine = noise(GRAIN, x * 1.7 + who.shift[:, 0], y * 1.7)
    seen = 1 / (1 + (spot.pixel * 60) ** 2)
    colour = colour * (1 + 0.018 * clouds + 0.022 * fine * seen)[:, None]
    spots = noise(SPOTS, x * 0.62 + who.shift[:, 1], y * 0.62 + who.shift[:, 0])
    field = (bump(side - 0.22, y + 0.22, 0.24, 0.14) + 0.35 * bump(x, y - 0.4, 0.4, 0.3)).clamp(0, 1)
    freckle = colour * colour3(0.62, 0.45, 0.36, like=x)
    colour = mix(colour, freckle, (step(0.12, 0.5, spots) * field * who.freckles * 0.85).clamp(0, 1))
    mole = who.mole
    d = ((x - mole[:, 0]) ** 2 + (y - mole[:, 1]) ** 2).sqrt()
    colour = mix(colour, tone * 0.25, cover(d - 0.014, spot.pixel + 0.008) * mole[:, 2] * 0.85)
    if_made = who.make_up * 0.35 * bump(side - 0.43, y + 0.28, 0.12, 0.08)
    colour = mix(colour, red * colour3(1.0, 0.75, 0.8, like=x), if_made)
    gloss = 0.10 + 0.20 * who.shine * (bump(x, y + 0.32, 0.07, 0.09) + 0.6 * bump(x, y - 0.45, 0.22, 0.14)
                                        + 0.7 * bump(side - 0.36, y + 0.20, 0.10, 0.06) + 0.5 * bump(x, y + 0.93, 0.10, 0.08))  # fmt: skip
    shade = (1 - 3.6 * hollow.clamp(0, 0.16)) * (1 + 0.9 * (-hollow).clamp(0, 0.06))
    ones = torch.ones_like(x)
    paint = Paint(colour, normal, gloss * (1 + 0.3 * fine * seen) * (0.7 + 0.5 * dark), 0.15 * ones, ones, shade)
    return _folds(who, face, spot, paint)


def _folds(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """Lines that age and expressions draw."""
    from understudy.cast.shape import _fold

    x, y = spot.x, spot.y
    dark = torch.zeros_like(x)
    soft = spot.pixel * 0.6
    for i, side in enumerate((1, -1)):
        sx = x * side
        low = (face.mouth.left if i == 0 else face.mouth.right)[1] - 0.08
        line = hill(_fold(face, i, sx, y), 0.016 + soft) * step(low, low + 0.16, y) * step(-0.33, -0.46, y) * step(0.0, 0.1, sx)
        dark = dark + line * (0.04 + 0.20 * who.wrinkles + 0.17 * face.smile[i] + 0.22 * face.sneer[i] + 0.1 * face.dimple[i])
        eye, brow = face.eyes[i], face.brows[i]
        a, up = eye.local(x, y)
        feet = step(1.25, 1.45, a) * step(2.1, 1.7, a) * hill(torch.sin((up / 0.03 - (a - 1.2) * 1.2) * 1.9), 0.30)
        feet = feet * hill(up, 0.05)
        dark = dark + feet * (0.28 * who.wrinkles + 0.25) * (eye.squint + 0.35 * who.wrinkles).clamp(0, 1) * 0.8
        corner = face.mouth.left if i == 0 else face.mouth.right
        cx = corner[0] * side
        pinch = bump(sx - cx - 0.03, y - corner[1] + 0.002, 0.022, 0.024)
        dark = dark + pinch * (0.10 + 0.5 * face.dimple[i] + 0.25 * face.smile[i] + 0.2 * face.mouth.press)
        frown = hill(sx - 0.045 - 0.06 * (y - 0.22), 0.010 + soft) * bump(x, y - 0.235, 1, 0.05)
        dark = dark + frown * (0.55 * brow.frown + 0.15 * who.wrinkles)
        cheeky = hill(up + eye.lower + 0.045 + 0.02 * a * a, 0.010 + soft) * step(1.15, 0.7, a.abs())
        dark = dark + cheeky * (0.30 * eye.squint + 0.25 * who.bags)
    wave = 0.010 * torch.cos(x * 9)
    rows = hill(((y - 0.40 + wave) / 0.075).remainder(1) - 0.5, 0.12) * step(0.36, 0.41, y) * step(0.66, 0.60, y) * hill(x, 0.27)
    raised = 0.5 * (face.brows[0].raised + face.brows[1].raised)
    dark = dark + rows * (0.30 * raised + 0.22 * who.wrinkles)
    nose = hill(((y + 0.02) / 0.045).remainder(1) - 0.5, 0.16) * bump(x, y, 0.05, 0.045)
    dark = dark + nose * 0.35 * 0.5 * (face.sneer[0] + face.sneer[1])
    shrug = bump(x - face.mouth.middle, y - face.mouth.lower + face.mouth.lower_thick + 0.14, 0.09, 0.03)
    grain = noise(GRAIN, x * 0.8, y * 0.8).clamp(0, 2)
    dark = dark + 0.25 * face.shrug * shrug * grain
    return paint.shaded(1 - dark.clamp(0, 0.62))


def nostrils(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    tip = -0.30 * who.nose_long + 0.012 * (face.sneer[0] + face.sneer[1])
    dark = torch.zeros_like(spot.x)
    for i, side in enumerate((1, -1)):
        sneer = face.sneer[i]
        x, y = turn(spot.x * side - 0.058 * who.nose_wide - 0.008 * sneer, spot.y - tip + 0.088 - 0.014 * sneer, -0.25)
        d = ((x / 0.034) ** 2 + (y / (0.019 + 0.006 * sneer)) ** 2 + 1e-6).sqrt() - 1
        dark = torch.maximum(dark, step(0.35, -0.35, d))
        wing = hill(spot.x * side - 0.137 * who.nose_wide - 0.016 * sneer, 0.010 + spot.pixel * 0.5) * hill(spot.y - tip + 0.045 - 0.01 * sneer, 0.035)
        paint = paint.shaded(1 - 0.30 * wing)
    deep = who.skin * colour3(0.10, 0.045, 0.04, like=spot.x)
    paint = paint.shaded(1 - 0.28 * bump(spot.x, spot.y - tip + 0.12, 0.10 * who.nose_wide, 0.022))
    return paint.over(deep, dark * 0.88, gloss=0.0)


def brow(who: Who, b: Brow, spot: Spot, paint: Paint) -> Paint:
    """Hairs that lean outwards, dense in the middle of the brow."""
    a = b.along(spot.x)
    off = spot.y - b.height(a)
    half = b.half(a)
    lean = spot.x * b.side - off * (1.6 - 1.1 * a)
    comb = 0.6 * noise(STRANDS, lean * 1.3 + 0.11 * b.side, off * 1.6) + 0.6 * noise(STRANDS, lean * 2.6 + 0.3, off * 1.6)
    seen = 1 / (1 + (spot.pixel * 22) ** 2)
    rough = comb * seen
    edge = half * (1 + 0.22 * rough) - off.abs()
    ends = torch.minimum(a + 0.03 + 0.05 * rough, 1.06 - a + 0.03 * rough) * 0.25
    soft = 0.008 + spot.pixel * 0.7
    inside = step(-soft, soft, torch.minimum(edge, ends))
    dense = who.brow_dense * (0.86 + 0.17 * rough).clamp(0.45, 1.05) * step(-0.12, 0.22, a)
    grey = mix(who.brow_colour.expand(-1, -1, *spot.x.shape[1:]), colour3(0.4, 0.39, 0.38, like=spot.x), who.hair_grey * 0.6)
    return paint.over(grey * (1 + 0.25 * rough)[:, None].clamp_min(0.3), (inside * dense).clamp(0, 1), gloss=0.06, glow=0.2)


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
    share = cover(-opening / slope, soft * 1.1)
    ball = _ball(who, face, e, spot, key, high - up, up - low, a)
    rim = cover((up - low).abs() - 0.0065, soft) * near * step(1.02, 0.9, a.abs()) * (1 - e.shut)
    wet = who.skin * colour3(1.02, 0.74, 0.70, like=up)
    paint = paint.over(wet, rim * cover(up - high, soft) * 0.85, gloss=0.5, sharp=0.7)
    paint = paint.over(ball.colour, share, normal=ball.normal, glow=0.15)
    paint = replace(paint, gloss=paint.gloss * (1 - share) + ball.gloss * share, sharp=paint.sharp * (1 - share) + ball.sharp * share,
                    shade=paint.shade * (1 - share) + ball.shade * share)  # fmt: skip
    return _lashes(who, e, spot, paint, a, up, high, low)


def _lids(who: Who, e: Eye, spot: Spot, paint: Paint, a: Tensor, up: Tensor, high: Tensor, low: Tensor) -> Paint:
    soft = spot.pixel * 0.5
    ac = a.clamp(-1.3, 1.3)
    lid = (high - up)  # negative above the edge
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
    cp, sp = e.pitch.cos(), e.pitch.sin()
    yaw = e.yaw - 0.03 * e.side
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
    return Paint(eyeball_colour, n * 0.5 + bulge * 0.5, 0.25 * ones, 0.8 * ones, 0.15 * ones, lid_shadow)


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
    hairs = cover(comb - width, soft) * step(1.0, 0.92, rise / tall) * step(-0.002, 0.002, rise) * step(1.08, 0.98, a.abs())
    lower_t = ((low - up) / (0.018 * strong + 0.004)).clamp(0, 1)
    lower_comb = ((a * 9.0 - 0.9 * a * lower_t).remainder(1) - 0.5).abs() * (2 * e.wide / 9.0)
    lower = cover(lower_comb - 0.0035 * (1 - lower_t), soft) * step(1, 0.9, lower_t) * step(-0.001, 0.003, low - up) * step(0.98, 0.9, a.abs()) * step(-0.7, -0.2, a)
    dark = torch.maximum(line * (0.62 + 0.38 * strong), hairs * (0.35 + 0.6 * strong))
    dark = torch.maximum(dark, lower * 0.45 * strong * (1 - e.shut))
    return paint.over(ink.expand(-1, -1, *up.shape[1:]), dark.clamp(0, 0.97), gloss=0.03, glow=0.0)


def mouth(who: Who, face: Face, spot: Spot, paint: Paint, squash: Tensor) -> Paint:
    """Lips, and what is seen between them. `squash` (b, h, w): face coordinates per head unit near the mouth."""
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
    wet = 0.20 + 0.25 * who.make_up + 0.2 * who.shine
    paint = paint.over(tint, share * (0.88 + 0.12 * who.make_up), gloss=wet, sharp=0.45)
    inside = torch.minimum(upper - y, y - lower) - beyond
    cavity = _cavity(who, m, spot, squash)
    opened = cover(-inside, soft * 1.2)
    depth = step(0.0, 0.05, inside)
    paint = paint.over(cavity.colour, opened, glow=0.1, normal=cavity.normal)
    paint = replace(paint, gloss=paint.gloss * (1 - opened) + cavity.gloss * opened, sharp=paint.sharp * (1 - opened) + cavity.sharp * opened,
                    shade=paint.shade * (1 - opened) + cavity.shade * opened * (0.55 + 0.45 * depth))  # fmt: skip
    gap = (upper - lower).clamp_min(0)
    seam = hill(y - 0.5 * (upper + lower), 0.0055 + 0.35 * gap + soft * 0.4) * step(1.08, 0.92, a.abs()) * step(0.05, 0.0, gap)
    line = who.lip * colour3(0.16, 0.09, 0.09, like=x)
    paint = paint.over(line, seam * 0.80, gloss=0.05)
    return _tongue_out(who, m, spot, paint, a)


def _lip_colour(who: Who, m: Mouth, x: Tensor, y: Tensor, a: Tensor, top: Tensor, upper: Tensor, lower: Tensor, bottom: Tensor) -> Tensor:
    creases = noise(STRANDS, a * 0.30 + who.shift[:, 0], y * 0.4)
    up_share = ((y - upper) / (top - upper).clamp_min(0.004)).clamp(0, 1)
    low_share = ((lower - y) / (lower - bottom).clamp_min(0.004)).clamp(0, 1)
    tone = torch.where(y > 0.5 * (upper + lower), 0.80 + 0.10 * up_share, 1.06 - 0.10 * low_share)
    tone = tone * (1 + 0.07 * creases) * (1 - 0.25 * step(0.75, 1.05, a.abs()))
    inner = step(0.25, 0.0, torch.maximum(torch.where(y > upper, up_share, 0 * y), torch.where(y < lower, low_share, 0 * y)))
    return who.lip * (tone * (1 - 0.30 * inner))[:, None]


def _cavity(who: Who, m: Mouth, spot: Spot, squash: Tensor) -> Paint:
    """Teeth on an arch behind the lips, gums, tongue, and dark: found where the ray meets the arch."""
    like = spot.x
    back = 0.085
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
    flesh = colour3(0.46, 0.125, 0.115, like=like) * (0.55 + 0.45 * step(0, 0.6, tongue) - 0.18 * hill(x - m.middle, 0.012) * step(0.1, 0.7, tongue))[:, None]
    colour = mix(dark, flesh, step(-0.06, 0.10, tongue) * 0.9)
    ivory = colour3(0.80, 0.75, 0.66, like=like)
    tooth = 0.060
    index = (curve / tooth).abs()
    split = hill(index - index.round(), 0.055 + 0.35 * soft / tooth) * (index > 0.5) * 0.22 + hill(curve, 0.004 + 0.4 * soft) * 0.20
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
    wet = torch.maximum(teeth * 0.5, step(0, 0.3, tongue) * 0.5)
    return Paint(colour, normal, wet, 0.8 * torch.ones_like(x), 0.2 + 0 * x, under_lip)


def _tongue_out(who: Who, m: Mouth, spot: Spot, paint: Paint, a: Tensor) -> Paint:
    out = m.tongue
    _, upper, lower, bottom = m.edges(a)
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
    return replace(painted, shade=painted.shade * (1 - share) + share)


def beard(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """Stubble, beard and moustache on the skin."""
    lower, tache = hair.beard(who, spot.x, spot.y, spot.direction, face.mouth)
    x, y = spot.x, spot.y
    seen = 1 / (1 + (spot.pixel * 26) ** 2)
    comb = noise(STRANDS, (x + 0.22 * x * (y + 0.5)) * 0.85 + who.shift[:, 1], y * 0.55) * seen
    rough = noise(GRAIN, x * 0.9, y * 0.9) * seen
    tex = 0.7 * comb + 0.5 * rough
    full = torch.maximum(step(0.22, 0.80, lower + 0.13 * tex) * who.beard, step(0.25, 0.7, tache + 0.14 * tex) * who.moustache)
    shadow = torch.maximum(lower, tache) * who.stubble * (0.32 + 0.10 * rough)
    hue = mix(who.hair * 0.75, colour3(0.42, 0.40, 0.39, like=x), (who.hair_grey * 0.8).expand(-1, *x.shape[1:]))
    paint = paint.over(paint.colour * 0.45 + hue * 0.25, shadow * (1 - full))
    return paint.over(hue * (1 + 0.35 * tex).clamp(0.3, 2)[:, None], (full * 1.15).clamp(0, 0.96), gloss=0.05, glow=0.1)
