"""The head as a solid: how far its surface is from a centre inside it, for every direction.

Skull, jaw and chin are ellipsoids joined smoothly; nose, lips, lids and cheeks are relief on them. The surface is
drawn once per picture into a square map over directions (Lambert's azimuthal projection, finer in front), so a camera
ray costs one look-up a step, whatever the face has on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.rig import Face
from understudy.cast.soft import boxes, bump, hill, smax, step
from understudy.cast.who import Who

HeadCover = Callable[[tuple[Tensor, Tensor, Tensor], Tensor], tuple[Tensor, Tensor]]
CENTRE = (0.0, -0.10, -0.05)  # in head coordinates: between the ears
FRAME = (0.80, 1.22, 0.97)  # the ellipsoid through which directions and face coordinates are the same thing
FINER = 0.36  # how much denser the map is in front than behind


def chart(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Place in the map, [-1, 1] twice, of a unit direction."""
    k = torch.rsqrt((2 + 2 * z).clamp_min(1e-4))
    u, v = x * k, y * k
    k = (1 + FINER) - FINER * (u * u + v * v)
    return u * k, v * k


_DIRECTIONS: dict[tuple[int, str, int | None], tuple[Tensor, Tensor, Tensor]] = {}


def ready(side: int, device: torch.device) -> None:
    """Have the map's directions on a device."""
    key = (side, device.type, device.index)
    if key not in _DIRECTIONS:
        flat = _directions(side, device)
        line = torch.linspace(-1, 1, side, device=device)
        inside = (line[None] ** 2 + line[:, None] ** 2).flatten() < 1
        inside[0] = True  # and one of those beyond the disc, which are all the same
        where = (inside.cumsum(0) - 1) * inside
        _DIRECTIONS[key] = flat, flat.flatten(1)[:, inside], where


def _directions(side: int, device: torch.device) -> Tensor:
    """Unit directions (3, side, side) at the map's texels; beyond the disc, the direction straight back."""
    line = torch.linspace(-1, 1, side, device=device)
    v, u = torch.meshgrid(line, line, indexing="ij")
    far = (u * u + v * v).sqrt().clamp(1e-6, 1)
    rho = far / (1 + FINER)
    for _ in range(12):  # invert r(1 + FINER - FINER r^2) = far by Newton's method
        rho = rho - (rho * (1 + FINER - FINER * rho**2) - far) / (1 + FINER - 3 * FINER * rho**2).clamp_min(0.05)
    rho = rho.clamp(0, 1)
    sine = 2 * rho * (1 - rho**2).clamp_min(0).sqrt()
    return torch.stack([u / far * sine, v / far * sine, 1 - 2 * rho**2])


def face_point(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Face coordinates of a direction: where it leaves the frame ellipsoid, seen from the front."""
    r = torch.rsqrt((x / FRAME[0]) ** 2 + (y / FRAME[1]) ** 2 + (z / FRAME[2]) ** 2)
    return x * r + CENTRE[0], y * r + CENTRE[1]


def face_direction(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The direction, in the front half, of a point in face coordinates."""
    dx, dy = x - CENTRE[0], y - CENTRE[1]
    dz = FRAME[2] * (1 - (dx / FRAME[0]) ** 2 - (dy / FRAME[1]) ** 2).clamp_min(1e-4).sqrt()
    scale = torch.rsqrt(dx * dx + dy * dy + dz * dz)
    return dx * scale, dy * scale, dz * scale


def ellipsoid(
    d: tuple[Tensor, Tensor, Tensor], middle: tuple[Tensor | float, ...], size: tuple[Tensor | float, ...]
) -> Tensor:
    """Distance from CENTRE along a direction to the far side of an ellipsoid; soft where the direction misses it."""
    a = b = c = torch.zeros((), device=d[0].device)
    for axis in range(3):
        e = middle[axis] - CENTRE[axis]
        w = 1 / torch.as_tensor(size[axis], device=d[0].device) ** 2
        a = a + d[axis] ** 2 * w
        b = b + d[axis] * e * w
        c = c + e * e * w
    under = b * b - a * (c - 1)
    return (b + (0.5 * (under + (under * under + 0.02).sqrt())).sqrt()) / a


@dataclass(frozen=True)
class Solid:
    """The map of one batch of heads."""

    radius: Tensor  # (b, 1, n, n) outermost surface, skin or hair
    more: Tensor  # (b, 7, n, n): hair over skin, normal x y z, hollowness, hat over skin, radius of the skin


def base(who: Who, face: Face, d: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Skull, jaw and chin without features."""
    x, y, z = d
    drop, aside, ahead = 0.27 * face.jaw_open, 0.05 * face.jaw_side, 0.06 * face.jaw_forward
    w, h, dep = who.head_width, who.head_height, who.head_depth
    skull = ellipsoid(d, (0.0, 0.22 * h, -0.10), (0.745 * w, 0.83 * h, 0.97 * dep))
    jaw = ellipsoid(
        d,
        (aside * 0.5, -0.34 - 0.35 * drop, 0.13),
        (0.595 * w * (0.35 + 0.65 * who.jaw_width), (0.74 + 0.45 * drop) * who.jaw_length, 0.80 * dep),
    )
    chin = ellipsoid(
        d,
        (aside, -0.50 * who.jaw_length - 0.52 * drop, 0.30 + who.chin_forward + ahead - 0.22 * drop),
        (0.42 * who.chin_width, 0.545 * who.jaw_length + 0.46 * drop, 0.66),
    )
    cheeks = 0.045 * who.cheeks + 0.025
    gonion = ellipsoid(
        d, (aside * 0.6, -0.44 - 0.5 * drop, 0.05), (0.565 * w * (0.45 + 0.55 * who.jaw_width), 0.42, 0.5)
    )
    whole = smax(smax(skull, jaw, 0.20), gonion, 0.30)
    whole = smax(whole, chin, 0.20)
    px, py = face_point(x, y, z)
    front = step(-0.1, 0.35, z)
    side = px.abs()
    whole = whole + front * cheeks * bump(side - 0.40, py + 0.42, 0.15, 0.18)
    whole = whole + front * (0.035 + 0.03 * who.cheekbones) * bump(side - 0.50, py + 0.13, 0.13, 0.09)
    return whole - front * 0.030 * bump(side - 0.66, py - 0.22, 0.10, 0.20)  # temples


def relief(who: Who, face: Face, d: tuple[Tensor, Tensor, Tensor], ground: Tensor) -> Tensor:
    """The surface of the skin: features on the base."""
    x, y = face_point(*d)
    front = step(0.05, 0.35, d[2])
    side = x.abs()
    out = ground
    h = 0.026 * bump(side - 0.26, y - 0.215, 0.22, 0.075)  # brow ridge
    h = h - 0.060 * bump(side - 0.29, y - 0.02, 0.15, 0.11)  # sockets
    h = h - 0.035 * bump(side - 0.15, y - 0.01, 0.055, 0.09)  # beside the root of the nose
    h = h + _muzzle(who, face, x, y) + _cheeks(face, x, y)
    out = out + front * h
    for eye in face.eyes:
        out = smax(out, front * ellipsoid(d, eyeball(who, face, eye.side), (LID_RADIUS,) * 3), 0.045)
    out = out + front * (_nose(who, face, x, y) + _lips(face, x, y))
    return out


EYE_RADIUS = 0.158
LID_RADIUS = 0.172


def eyeball(who: Who, face: Face, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where an eyeball's middle is, in head coordinates. It belongs to the skull: no expression moves it."""
    x, y = side * who.eye_apart, who.eye_height
    dx, dy, dz = face_direction(x, y)
    far = _rest(who, (dx, dy, dz)) - 0.055
    behind = LID_RADIUS - 0.030
    return CENTRE[0] + dx * far, CENTRE[1] + dy * far, CENTRE[2] + dz * far - behind


def _rest(who: Who, d: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    w, h, dep = who.head_width, who.head_height, who.head_depth
    skull = ellipsoid(d, (0.0, 0.22 * h, -0.10), (0.745 * w, 0.83 * h, 0.97 * dep))
    jaw = ellipsoid(
        d, (0.0, -0.34, 0.13), (0.595 * w * (0.35 + 0.65 * who.jaw_width), 0.74 * who.jaw_length, 0.80 * dep)
    )
    return smax(skull, jaw, 0.20)


def _nose(who: Who, face: Face, x: Tensor, y: Tensor) -> Tensor:
    """Bridge, tip and wings."""
    tip = -0.30 * who.nose_long + 0.012 * (face.sneer[0] + face.sneer[1])
    root = 0.08
    s = ((root - y) / (root - tip)).clamp(-1, 1.6)
    rise = 0.045 + 0.06 * who.nose_bridge
    profile = rise * step(-0.45, 0.35, s) + (0.165 * who.nose_out - rise) * s.clamp(0, 1) ** 1.25
    profile = profile + 0.03 * who.nose_hump * hill(s - 0.45, 0.18)
    profile = profile * step(1.50, 1.0, s)
    wide = (0.047 + 0.030 * s.clamp(0, 1) ** 2) * (0.6 + 0.4 * who.nose_wide)
    ridge = profile * torch.exp(-(((x / wide).abs() + 1e-4) ** 2.1) * 0.5)
    ball = 0.032 * bump(x, y - tip - 0.015 - 0.01 * who.nose_tip, 0.064 * who.nose_wide, 0.060)
    wings = x * 0
    for side in (1, -1):
        sneer = face.sneer[0 if side > 0 else 1]
        flare = 0.102 * who.nose_wide + 0.012 * sneer
        wings = wings + 0.078 * who.nose_out * bump(
            x - side * flare, y - tip + 0.055 - 0.025 * sneer, 0.037 * who.nose_wide, 0.045
        )
    base_of = 0.06 * bump(x, y - tip + 0.07, 0.095 * who.nose_wide, 0.05)
    return ridge + ball + wings + base_of


def _muzzle(who: Who, face: Face, x: Tensor, y: Tensor) -> Tensor:
    """Around the mouth: the teeth's arch under the lips, the groove under the lip, the chin's ball."""
    m = face.mouth
    mid = 0.5 * (m.upper + m.lower)
    h = (0.070 + 0.5 * m.forward) * bump(
        x - m.middle, y - mid - 0.03, 0.20 - 0.05 * m.round, 0.15 + 0.4 * (m.upper - m.lower)
    )
    low = m.lower - m.lower_thick
    h = h - 0.035 * bump(x - m.middle, y - low + 0.055, 0.16, 0.038)
    h = h + 0.085 * bump(x - m.middle, y - low + 0.19, 0.17, 0.12) * (1 + 0.5 * face.shrug)
    h = h - 0.012 * bump(x - m.middle * 0.5, y - m.upper - m.upper_thick - 0.045, 0.022, 0.04)  # philtrum
    return h + 0.012 * (face.shrug) * bump(x, y - low + 0.16, 0.1, 0.06)


def _cheeks(face: Face, x: Tensor, y: Tensor) -> Tensor:
    """What expressions do to cheeks: apples, puffed, folds beside the mouth."""
    h = x * 0
    m = face.mouth
    for side, corner, i in ((1, m.left, 0), (-1, m.right, 1)):
        sx = x * side
        smile, squint, sneer = face.smile[i], face.squint[i], face.sneer[i]
        h = h + (0.040 * smile + 0.030 * squint) * bump(sx - 0.37, y + 0.27, 0.11, 0.085)
        h = h - 0.016 * (smile + 0.5 * sneer) * hill(cheek_fold(face, i, sx, y), 0.03) * step(
            corner[1] - 0.10, corner[1] + 0.06, y
        ) * step(-0.30, -0.42, y)
        h = h + 0.11 * face.puff * bump(sx - 0.43, y + 0.60, 0.15, 0.16)
        cx = corner[0] * side
        h = h - 0.035 * (face.dimple[i] + 0.35 * smile) * bump(sx - cx - 0.055, y - corner[1], 0.028, 0.045)
    return h


def cheek_fold(face: Face, i: int, sx: Tensor, y: Tensor) -> Tensor:
    """Signed distance across the line from the nose's wing past the corner of the mouth."""
    m = face.mouth
    corner = m.left if i == 0 else m.right
    side = 1 if i == 0 else -1
    top_x, top_y = 0.165, -0.36
    end_x, end_y = corner[0] * side + 0.065, torch.minimum(corner[1] - 0.07, torch.full_like(corner[1], -0.60))
    s = (y - top_y) / (end_y - top_y)
    return sx - (top_x + (end_x - top_x) * s + 0.11 * (s * (1 - s)).clamp_min(-0.3))


def _lips(face: Face, x: Tensor, y: Tensor) -> Tensor:
    """Two soft rolls that follow the painted lips, and the hollow between them when they part."""
    m = face.mouth
    a = m.along(x)
    top, upper, lower, bottom = m.edges(a)
    arch = (1 - a * a).clamp(0, 1)
    gone = step(1.12, 0.9, a.abs())

    def roll(low: Tensor, high: Tensor, full: Tensor) -> Tensor:
        middle, half = 0.5 * (low + high), 0.5 * (high - low) + 0.016
        return full * (1 - ((y - middle) / half) ** 2).clamp_min(0) ** 0.75

    push = arch**0.5 * gone
    h = roll(upper, top, (0.030 + 0.35 * m.forward) * (1 - 0.7 * m.roll_upper) * push)
    h = torch.maximum(h, roll(bottom, lower, (0.046 + 0.35 * m.forward) * (1 - 0.7 * m.roll_lower) * push))
    inside = torch.minimum(upper - y, y - lower)
    return h - 0.05 * step(0.0, 0.03, inside) * gone


def bake(who: Who, face: Face, side: int, cover_head: HeadCover) -> Solid:
    """Draw the map. `cover_head(d, skin) -> (hair over skin, hat over all)` dresses the head."""
    flat, row, where = _DIRECTIONS[(side, who.skin.device.type, who.skin.device.index)]
    d = (row[None, None, 0], row[None, None, 1], row[None, None, 2])
    skin = relief(who, face, d, base(who, face, d))
    hair, hat = cover_head(d, skin)
    rows = torch.stack([skin, hair, hat], 1)[:, :, 0, where]
    skin, hair, hat = rows.reshape(-1, 3, side, side).unbind(1)
    radius = torch.maximum(skin + hair.clamp_min(0), skin + hat.clamp_min(0))
    normal = _normals(flat, radius)
    hollow = _hollow(radius)
    more = torch.stack([hair, *normal, hollow, hat, skin], 1)
    return Solid(radius[:, None], more)


def _normals(flat: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    point = flat[None] * radius[:, None]
    padded = F.pad(point, (1, 1, 1, 1), mode="replicate")
    du = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    dv = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    n = torch.linalg.cross(du, dv, dim=1)
    n = n * torch.rsqrt((n * n).sum(1, keepdim=True) + 1e-12)
    return n[:, 0], n[:, 1], n[:, 2]


def _hollow(radius: Tensor) -> Tensor:
    """How far the surface lies under its surroundings, at two sizes; positive in hollows."""
    n = radius.shape[-1]
    out = torch.zeros_like(radius)
    level = radius[:, None]
    for share, weight in ((0.022, 0.6), (0.055, 0.55)):
        k = max(3, 2 * round(share * n / 2) + 1)
        blurred = level
        for _ in range(2):
            blurred = boxes(F.pad(blurred, (k // 2,) * 4, mode="replicate"), k)
        out = out + weight * (blurred - level)[:, 0]
    return out
