"""Hair, beards and hats: how far they stand over the skin, the way their strands run, and their colour."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.cast.looks import Looks
from understudy.cast.shape import CENTRE, FRAME, ellipsoid
from understudy.cast.soft import CLOUDS, GRAIN, STRANDS, bump, hill, mix, noise, resolved, smax, smin, step
from understudy.cast.who import AFRO, BALD, BOB, BUN, BUZZ, CURLY, LONG, QUIFF, SHORT, SIDE, WAVY, Who

Directions = tuple[Tensor, Tensor, Tensor]
CROWN = (0.0, 0.91, -0.41)  # strands run away from here


def _is(who: Who, *cuts: int) -> Tensor:
    """1 for people with one of these cuts."""
    return torch.stack([(who.cut == cut) for cut in cuts]).any(0).float()


def _frame_point(d: Directions) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where a direction leaves the frame ellipsoid, and the cosine of its azimuth (1 front, -1 back)."""
    x, y, z = d
    r = torch.rsqrt((x / FRAME[0]) ** 2 + (y / FRAME[1]) ** 2 + (z / FRAME[2]) ** 2)
    return x * r + CENTRE[0], y * r + CENTRE[1], z * r + CENTRE[2], z * torch.rsqrt(x * x + z * z + 1e-6)


def strands(who: Who, d: Directions) -> tuple[Tensor, Tensor, Tensor]:
    """(across, along) the strands, which leave a parting that runs from the crown forward; and 0 on that parting to
    1 away from it, because strands of its two sides have nothing in common."""
    x, y, z = d
    hangs = _is(who, BOB, LONG, WAVY)  # from a crown right on top, so that strands end up straight below it
    cy, cz = CROWN[1] + (0.995 - CROWN[1]) * hangs, CROWN[2] + (-0.10 - CROWN[2]) * hangs
    up = y * cy + z * cz
    ahead = z * cy - y * cz
    reach = torch.acos(up.clamp(-0.999, 0.999))
    stretch = reach * torch.rsqrt((1 - up * up).clamp_min(0.02))
    parted = _is(who, SIDE, BOB, LONG, WAVY) * (1 - who.fringe * _is(who, BOB, LONG, WAVY))
    qx, qz = x * stretch - parted * who.hair_part * 0.28, ahead * stretch
    qx = qx + parted * 0.035 * noise(
        GRAIN, qz * 0.055 + who.shift[:, 0], 0 * qz + who.shift[:, 1]
    )  # nobody parts with a ruler
    on_part = torch.minimum(torch.maximum(qz, -0.1 * parted), 0.85 * parted)
    off = qz - on_part
    across = on_part + 0.62 * torch.atan2(off, qx.abs() + 1e-4)
    along = torch.sqrt(qx * qx + off * off + 1e-6)
    wave = (0.25 + who.hair_wave) * (0.4 + 2.2 * _is(who, WAVY))
    across = across + wave * 0.012 * torch.sin(along * 13 + 4 * across) * along
    return across + torch.where(qx > 0, 0.0, 3.37) + who.shift[:, 0], along, step(0.01, 0.16, qx.abs())


def cover(who: Who, d: Directions, skin: Tensor, down: Tensor, worn: Looks) -> tuple[Tensor, Tensor]:
    """How far hair, and how far a hat, stands over the skin; negative where there is none.

    `down` (b, 3): the way things fall, as the head sees it: long hair hangs however the head is held."""
    px, py, pz, around = _frame_point(d)
    hairy = _short(who, d, px, py, around)
    if worn.hung:
        hairy = torch.where(_is(who, BOB, LONG, WAVY) > 0, _hung(who, d, skin, down), hairy)
    if worn.afros:
        hairy = torch.where(who.cut == AFRO, _afro(who, d, px, py, around, skin), hairy)
    if worn.buns:
        bun = ellipsoid(d, (0.0, 1.12, -0.42), (0.33, 0.27, 0.31)) - skin
        tied = torch.where(d[1] > 0.3, smax(hairy, bun, 0.05), hairy)
        hairy = torch.where(who.cut == BUN, tied, hairy)
    hairy = torch.where(who.cut == BALD, torch.full_like(hairy, -0.2), hairy)
    hairy = hairy + torch.where(hairy > 0, _clumps(who, d) * hairy.clamp(0, 0.12), torch.zeros_like(hairy))
    if not worn.hats:
        return hairy, torch.full_like(hairy, -0.2)
    hat = _hat(who, d, px, py, pz, skin, hairy)
    pressed = torch.minimum(hairy, torch.where(hat > -0.05, torch.full_like(hairy, 0.02), hairy))
    return torch.where((who.hat == 1), pressed, hairy), hat


def _opening(who: Who, px: Tensor, py: Tensor, around: Tensor) -> Tensor:
    """Signed distance over the edge of the face: positive where hair grows. Above the hairline, beside the temples."""
    temple = 0.10 * bump(px.abs() - 0.42, py - 0.62, 0.14, 0.2)
    fringe = who.fringe * _is(who, BOB, LONG, WAVY, SHORT)
    line = who.hairline + temple * (1 - fringe) - 0.55 * (px * px).clamp_max(0.36) - fringe * 0.25
    line = line + _locks(who, px, py) * (0.012 + 0.032 * fringe)
    side = (0.40 - around) * 0.85
    return smax(py - line, side, 0.06)


def _locks(who: Who, px: Tensor, py: Tensor) -> Tensor:
    """How locks of the width of a finger end higher or lower along the forehead, about -1 to 1."""
    return noise(GRAIN, px * 0.20 + who.shift[:, 0], py * 0.05 + who.shift[:, 1]).clamp(-1.6, 1.6)


def _short(who: Who, d: Directions, px: Tensor, py: Tensor, around: Tensor) -> Tensor:
    low = -0.66 + 0.58 * step(-0.35, 0.35, around)
    edge = smin(_opening(who, px, py, around), py - low, 0.08)
    top = step(0.15, 0.75, py)
    thick = 0.035 + 0.035 * who.hair_full
    thick = thick + top * (0.05 + 0.05 * who.hair_full) * _is(who, SHORT, SIDE, QUIFF, CURLY)
    thick = thick + top * (0.06 + 0.05 * who.hair_full) * _is(who, CURLY)
    quiff = bump(px + 0.1 * who.hair_part, py - 0.86, 0.34, 0.17) * step(0.2, 0.6, d[2])
    thick = thick + quiff * (0.16 * _is(who, QUIFF) + 0.07 * _is(who, SIDE))
    lift = _is(who, SIDE) * step(-0.2, 0.5, -px * who.hair_part.sign()) * top * 0.045
    thick = torch.where(who.cut == BUZZ, torch.full_like(thick, 0.016), thick + lift)
    thick = torch.where(who.cut == BUN, 0.03 + 0.02 * who.hair_full + 0 * thick, thick)
    swept = top * (1 - who.fringe) * step(0.0, 0.5, d[2])  # combed back, hair rises slowly from the brow
    grown = 1 - torch.exp(-edge.clamp_min(0) / (0.09 + 0.20 * swept))
    return torch.where(edge > 0, thick * grown, edge * 0.4)


def _hung(who: Who, d: Directions, skin: Tensor, down: Tensor) -> Tensor:
    """Hanging hair under gravity: below the ears, space leans as the head does."""
    g = down[:, :, None, None]
    away = -g[:, 1].clamp_max(-0.6)
    low = d[1].clamp_max(0)
    # upright head: down = (0, -1, 0) and nothing leans
    lx = d[0] + (g[:, 0] / away).clamp(-0.6, 0.6) * low * 0.85
    lz = d[2] + (g[:, 2] / away).clamp(-0.6, 0.6) * low * 0.85
    scale = torch.rsqrt(lx * lx + d[1] * d[1] + lz * lz)
    leaning = (lx * scale, d[1] * scale, lz * scale)
    px, py, pz, around = _frame_point(leaning)
    return _hanging(who, leaning, px, py, pz, around, skin, scale)


def _hanging(
    who: Who, d: Directions, px: Tensor, py: Tensor, pz: Tensor, around: Tensor, skin: Tensor, scale: Tensor
) -> Tensor:
    """Hair that hangs: over the skull a cap, below the ears a curtain, open in front."""
    x, y, z = d
    full = 0.05 + 0.07 * who.hair_full
    wide, deep = 0.755 * who.head_width + full, 1.02 * who.head_depth + full
    cap = ellipsoid(d, (0.0, 0.18, -0.10), (wide, 0.90 + full, deep))
    bob = _is(who, BOB)
    end = torch.where(bob > 0, -0.95 - 0.25 * who.hair_long, -1.6 - 0.7 * who.hair_long)
    end = end + 0.035 * noise(STRANDS, torch.atan2(x, z) * 0.16 + who.shift[:, 1], 0.1 * y)
    flare = 1 + 0.10 * (1 - bob) * step(-0.2, -1.2, py)
    fall = torch.rsqrt((x / (wide * flare)) ** 2 + (((z + 0.05) / deep) ** 2) + 1e-3)
    floor = (end - CENTRE[1]) / y.clamp_max(-0.05)
    curtain = smin(fall, floor, 0.12)
    outer = torch.where(y < 0, curtain, cap)
    blend = step(0.25, -0.15, y)
    outer = cap.clamp_max(3.0) * (1 - blend) + curtain.clamp_max(3.0) * blend
    at = outer * y + CENTRE[1]
    outer = outer * scale
    front = 0.52 - 0.22 * step(-0.5, -1.1, at) - 0.12 * bob * step(-0.3, -0.8, at)
    fringe = who.fringe
    temple = 0.05 * bump(px.abs() - 0.42, py - 0.62, 0.14, 0.2)
    line = who.hairline + temple * (1 - fringe) - 0.50 * (px * px).clamp_max(0.36) - fringe * 0.27
    line = line + _locks(who, px, py) * (0.012 + 0.028 * fringe)
    edge = smax(torch.where(py > -0.1, py - line, torch.full_like(py, -0.6)), (front - around) * 0.85, 0.06)
    grown = 1 - torch.exp(-edge.clamp_min(0) / (0.10 + 0.10 * step(-0.1, -0.6, py)))
    return torch.where(edge > 0, (outer - skin) * grown, edge * 0.4)


def _afro(who: Who, d: Directions, px: Tensor, py: Tensor, around: Tensor, skin: Tensor) -> Tensor:
    size = 0.30 + 0.26 * who.hair_full
    ball = ellipsoid(d, (0.0, 0.34, -0.16), (0.74 + size, 0.82 + size * 0.9, 0.92 + size * 0.8))
    low = -0.62 + 0.3 * step(-0.35, 0.35, around)
    edge = smin(_opening(who, px, py, around), py - low, 0.15)
    grown = 1 - torch.exp(-edge.clamp_min(0) / 0.10)
    return torch.where(edge > 0, (ball - skin).clamp_min(0.02) * grown, edge * 0.4)


def _clumps(who: Who, d: Directions) -> Tensor:
    """Locks: relief as a share of the hair's thickness."""
    across, along, parted = strands(who, d)
    curly = _is(who, CURLY, AFRO)
    lock = noise(STRANDS, across * 0.11, along * 0.11) * 0.10 * parted
    x, y = _rolled_out(d)
    curl = noise(GRAIN, x * 0.18 + who.shift[:, 1], y * 0.18) * 0.28
    curl = curl * torch.where(who.cut == AFRO, 0.35, 0.8)
    return lock * (1 - curly) + curl * curly


def _hat(who: Who, d: Directions, px: Tensor, py: Tensor, pz: Tensor, skin: Tensor, hairy: Tensor) -> Tensor:
    """A knitted cap, or a band around the head."""
    slant = py + 0.16 * (0.5 - pz * 0.5)
    edge = slant - 0.44
    fold = 0.055 * step(0.0, 0.02, edge) * step(0.26, 0.235, edge)
    dome = ellipsoid(d, (0.0, 0.30, -0.10), (0.78 * who.head_width, 0.95, 1.0 * who.head_depth)) - skin
    beanie = torch.where(edge > 0, dome.clamp_min(0.05) + 0.02 + fold, edge * 0.5)
    middle = py + 0.10 * (0.5 - pz * 0.5) - 0.60
    band = torch.where(
        middle.abs() < 0.085, hairy.clamp_min(0) + 0.028 * (1 - (middle / 0.085) ** 2), -0.1 - 0 * middle
    )
    none = torch.full_like(skin, -0.2)
    return torch.where(who.hat == 1, beanie, torch.where(who.hat == 2, band, none))


def tangent(who: Who, d: Directions, point: Directions, normal: Tensor) -> Tensor:
    """The way strands run over the surface, (b, 3, h, w), unit: away from the crown, or every way in curls."""
    up = d[1] * CROWN[1] + d[2] * CROWN[2]
    away = torch.stack([d[0] * up, d[1] * up - CROWN[1], d[2] * up - CROWN[2]], 1)
    x, y = _rolled_out(point)
    curly = _is(who, CURLY, AFRO)[:, None]
    curls = torch.stack([noise(GRAIN, x * 0.2 + k, y * 0.2 + 0.37 * k) for k in (0.0, 0.3, 0.6)], 1)
    away = away * (1 - 0.4 * curly) + 0.3 * curly * curls
    away = away - normal * (away * normal).sum(1, keepdim=True)
    return away * torch.rsqrt((away * away).sum(1, keepdim=True) + 1e-6)


def _rolled_out(point: Directions) -> tuple[Tensor, Tensor]:
    """Places around the head on a plane: as far apart there as on a ball in front of them, and nearly so at its sides,
    so that curls are as large on top of the head as on its front."""
    x, y, z = point
    r = torch.sqrt(x * x + y * y + z * z)
    k = 2 * torch.rsqrt((2 + 2 * z / r).clamp_min(0.05))
    return x * k, y * k


def sheen(who: Who) -> Tensor:
    """How much hair shines: curls scatter what straight strands mirror."""
    return 1 - 0.7 * _is(who, CURLY, AFRO)


def texture(who: Who, d: Directions, point: Directions, normal: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """Strand pattern (about -1 to 1) and a slower one, for locks of colour. Strands finer than pixels fade."""
    across, along, parted = strands(who, d)
    curly = _is(who, CURLY, AFRO)
    # the edge of a curtain of hair is seen end on: there, strands lie one behind the other
    layers = (point[0] ** 2 + point[2] ** 2 + 1e-6).sqrt()
    end_on = ((normal[:, 0] * point[2] - normal[:, 2] * point[0]) / layers) ** 2
    wall = covers_ears(who) * step(0.2, 0.5, end_on)
    fine = 0.6 * noise(STRANDS, across * 0.42, along * 0.25)
    fine = fine + 0.5 * resolved(0.02, pixel) * noise(STRANDS, across * 1.4 + 0.4, along * 0.4)
    fine = mix(fine * parted, 0.7 * noise(STRANDS, layers * 0.5, point[1] * 0.2), wall)
    broad = noise(STRANDS, across * 0.16 + 0.3, along * 0.15) * parted
    x, y = _rolled_out(point)
    swirl = 0.04 * noise(CLOUDS, x * 0.3 + who.shift[:, 1], y * 0.3)
    curl = 0.8 * noise(GRAIN, x * 0.22 + swirl, y * 0.22 - swirl)
    curl = curl + 0.5 * resolved(0.025, pixel) * noise(GRAIN, x * 0.9 + swirl, y * 0.9)
    fine = mix(fine, 0.25 * noise(GRAIN, x * 0.30, y * 0.30), _is(who, BUZZ))
    return mix(fine, curl, curly), mix(broad, noise(GRAIN, x * 0.12, y * 0.12 + 0.5), curly)


def colour(who: Who, fine: Tensor, broad: Tensor) -> Tensor:
    """Albedo of hair (b, 3, h, w): roots darker, streaks, grey hairs."""
    base = who.hair
    grey = torch.tensor([0.42, 0.41, 0.40], device=base.device)[None, :, None, None]
    greyed = who.hair_grey * (0.72 + 0.28 * step(-1.6, 1.6, 0.5 * fine + broad))  # streaks, whole locks wide
    base = mix(base, grey, greyed)
    tone = (1 + 0.18 * fine + 0.12 * broad).clamp(0.5, 1.6)
    return base * tone[:, None]


def grown(who: Who, d: Directions, over: Tensor, fine: Tensor, pixel: Tensor) -> Tensor:
    """How much of the skin hair covers where it stands `over` it: all in a few pixels, in locks; slowly where it is
    cropped so short that skin shows through."""
    ragged = (0.014 - 0.007 * _is(who, CURLY, AFRO)) * step(-0.3, 0.3, d[1]) + 0.002
    full = step(-0.008 - 0.4 * pixel, 0.028 + 0.8 * pixel, over + ragged * fine)
    return torch.where(who.cut == BUZZ, 0.86 * step(-0.006, 0.015, over + 0.002 * fine), full)


def beard(who: Who, face_x: Tensor, face_y: Tensor, d: Directions, mouth: object) -> tuple[Tensor, Tensor]:
    """How much beard and moustache (with stubble) cover the skin at a place on the face, each 0 to 1."""
    from understudy.cast.rig import Mouth

    assert isinstance(mouth, Mouth)
    m = mouth
    _, _, _, around = _frame_point(d)
    side = face_x.abs()
    top_lip, _, _, bottom_lip = m.edges(m.along(face_x))
    a = m.along(face_x).abs()
    cheek_line = -0.56 + 0.42 * ((side - 0.30).clamp_min(0) / 0.36) ** 1.6
    under = step(0.05, -0.13, face_y - cheek_line) * step(0.18, 0.42, around + 0.1)
    corner_gap = ((a - 1.0).clamp(-1, 1)) * 0.25
    around_mouth = torch.maximum(torch.maximum(face_y - top_lip, bottom_lip - face_y), corner_gap)
    chin = step(0.012, 0.05, around_mouth)
    soul = 1 - 0.6 * hill(face_x, 0.16) * hill(face_y - bottom_lip + 0.045, 0.02)
    lower = under * chin * soul * step(-0.50, -0.58, face_y + 0.55 * (side - 0.18).clamp_min(0) * 0)
    above = face_y - top_lip
    philtrum = 1 - 0.35 * hill(face_x - m.middle, 0.018)
    tache = (
        step(0.004, 0.03, above)
        * step(0.155, 0.10, above + 0.25 * (a - 0.5).clamp_min(0) ** 2)
        * step(1.38, 1.1, a)
        * philtrum
    )
    return lower, tache


def covers_ears(who: Who) -> Tensor:
    """1 for hair that hangs over the ears."""
    return _is(who, BOB, LONG, WAVY)


def knit(who: Who, d: Directions, pixel: Tensor) -> tuple[Tensor, Tensor]:
    """A knitted cap's colour (b, 3, h, w), and the shade of its stitches and fold."""
    px, py, pz, _ = _frame_point(d)
    edge = py + 0.16 * (0.5 - pz * 0.5) - 0.44
    seen = 1 / (1 + (pixel * 26) ** 2)
    turn = torch.atan2(d[0], d[2])
    rib = torch.cos(turn * 46)
    stitch = torch.cos(edge * 95 + 1.2 * torch.sin(turn * 92).abs())
    shade = 1 + seen * (0.13 * rib + 0.07 * stitch) - 0.35 * hill(edge - 0.262, 0.012 + pixel)
    return who.hat_colour.expand(-1, -1, *px.shape[1:]), shade.clamp(0.3, 1.3)
