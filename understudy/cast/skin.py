"""Paint for the features: skin, its folds, nostrils, beard. Colours are linear (b, 3, h, w)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from understudy.cast import hair
from understudy.cast.paint import Paint, Spot, colour3
from understudy.cast.rig import Face
from understudy.cast.shape import cheek_fold
from understudy.cast.soft import CLOUDS, GRAIN, SPOTS, STRANDS, bump, cover, hill, mix, noise, resolved, step, turn
from understudy.cast.who import Who


def plain(who: Who, spot: Spot, normal: Tensor, hollow: Tensor) -> Paint:
    """Skin as it is all over the head: its tone, fine structure, and darker hollows."""
    x, y = spot.direction[0] * 0.95, spot.direction[1] * 1.1
    clouds = noise(CLOUDS, x * 0.22 + who.shift[:, 0], y * 0.22 + who.shift[:, 1])
    fine = noise(GRAIN, x * 0.7 + who.shift[:, 0], y * 0.7) * resolved(0.035, spot.pixel)
    colour = who.skin * (1 + 0.018 * clouds + 0.016 * fine)[:, None]
    shade = (1 - 3.6 * hollow.clamp(0, 0.16)) * (1 + 0.9 * (-hollow).clamp(0, 0.06))
    ones = torch.ones_like(hollow)
    gloss = 0.10 * (1 + 0.3 * fine)
    return Paint(colour, normal, gloss, 0.15 * ones, ones, shade, 0 * ones, 0 * ones)


def skin(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """The face's regions: rosy cheeks and nose, paler forehead, dusky under the eyes, freckles, a mole, folds."""
    x, y = spot.x, spot.y
    side = x.abs()
    colour = paint.colour
    rosy = 0.75 * bump(side - 0.40, y + 0.30, 0.16, 0.14) * who.blush + 0.55 * bump(x, y + 0.33, 0.13, 0.10)
    rosy = rosy + 0.25 * bump(x, y + 0.95, 0.16, 0.12) + 0.4 * face.puff * bump(side - 0.43, y + 0.6, 0.15, 0.15)
    red = colour * colour3(1.02, 0.72, 0.70, like=x)
    colour = mix(colour, red, (rosy * 0.75).clamp(0, 0.8))
    pale = (0.10 * bump(x, y - 0.5, 0.3, 0.2) + 0.05 * bump(x, y + 0.18, 0.03, 0.2)).clamp(0, 0.3)
    colour = colour * (1 + pale)[:, None]
    under = (0.10 + 0.24 * who.bags) * bump(side - who.eye_apart + 0.02, y - who.eye_height + 0.10, 0.11, 0.035)
    colour = mix(colour, colour * colour3(0.72, 0.62, 0.68, like=x), under)
    spots = noise(SPOTS, x * 0.62 + who.shift[:, 1], y * 0.62 + who.shift[:, 0])
    field = (bump(side - 0.22, y + 0.22, 0.24, 0.14) + 0.35 * bump(x, y - 0.4, 0.4, 0.3)).clamp(0, 1)
    freckle = colour * colour3(0.62, 0.45, 0.36, like=x)
    colour = mix(colour, freckle, (step(0.12, 0.5, spots) * field * who.freckles * 0.85).clamp(0, 1))
    mole = who.mole
    off = ((x - mole[:, 0]) ** 2 + (y - mole[:, 1]) ** 2).sqrt()
    colour = mix(colour, who.skin * 0.25, cover(off - 0.014, spot.pixel + 0.008) * mole[:, 2] * 0.85)
    if_made = who.make_up * 0.35 * bump(side - 0.43, y + 0.28, 0.12, 0.08)
    colour = mix(colour, red * colour3(1.0, 0.75, 0.8, like=x), if_made)
    oily = (
        bump(x, y + 0.32, 0.07, 0.09)
        + 0.6 * bump(x, y - 0.45, 0.22, 0.14)
        + 0.7 * bump(side - 0.36, y + 0.20, 0.10, 0.06)
    )
    oily = oily + 0.5 * bump(x, y + 0.93, 0.10, 0.08)
    dark = (1 - who.skin.mean(1)).clamp(0, 1)
    gloss = (paint.gloss + 0.20 * who.shine * oily) * (0.7 + 0.5 * dark)
    return _folds(who, face, spot, replace(paint, colour=colour, gloss=gloss))


def _folds(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """Lines that age and expressions draw."""
    x, y = spot.x, spot.y
    dark = torch.zeros_like(x)
    soft = spot.pixel * 0.6
    for i, side in enumerate((1, -1)):
        sx = x * side
        low = (face.mouth.left if i == 0 else face.mouth.right)[1] - 0.08
        line = (
            hill(cheek_fold(face, i, sx, y), 0.016 + soft)
            * step(low, low + 0.16, y)
            * step(-0.33, -0.46, y)
            * step(0.0, 0.1, sx)
        )
        dark = dark + line * (
            0.04 + 0.20 * who.wrinkles + 0.17 * face.smile[i] + 0.22 * face.sneer[i] + 0.1 * face.dimple[i]
        )
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
    rows = (
        hill(((y - 0.40 + wave) / 0.075).remainder(1) - 0.5, 0.12)
        * step(0.36, 0.41, y)
        * step(0.66, 0.60, y)
        * hill(x, 0.27)
    )
    raised = 0.5 * (face.brows[0].raised + face.brows[1].raised)
    dark = dark + rows * (0.30 * raised + 0.22 * who.wrinkles)
    nose = hill(((y + 0.02) / 0.045).remainder(1) - 0.5, 0.16) * bump(x, y, 0.05, 0.045)
    dark = dark + nose * 0.35 * 0.5 * (face.sneer[0] + face.sneer[1])
    shrug = bump(x - face.mouth.middle, y - face.mouth.lower + face.mouth.lower_thick + 0.14, 0.09, 0.03)
    grain = noise(GRAIN, x * 0.5, y * 0.5).clamp(0, 2)
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
        wing = hill(spot.x * side - 0.137 * who.nose_wide - 0.016 * sneer, 0.010 + spot.pixel * 0.5) * hill(
            spot.y - tip + 0.045 - 0.01 * sneer, 0.035
        )
        paint = paint.shaded(1 - 0.30 * wing)
    deep = who.skin * colour3(0.10, 0.045, 0.04, like=spot.x)
    paint = paint.shaded(1 - 0.28 * bump(spot.x, spot.y - tip + 0.12, 0.10 * who.nose_wide, 0.022))
    return paint.over(deep, dark * 0.88, gloss=0.0)


def beard(who: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    """Stubble, beard and moustache on the skin."""
    lower, tache = hair.beard(who, spot.x, spot.y, spot.direction, face.mouth)
    x, y = spot.x, spot.y
    fan = torch.atan2(x, -(y + 0.30))  # hairs grow away from the middle of the face
    comb = 0.7 * noise(STRANDS, fan * 0.28 + who.shift[:, 1], y * 0.3)
    comb = comb + 0.5 * noise(STRANDS, fan * 0.9, y * 0.5) * resolved(0.02, spot.pixel)
    rough = noise(GRAIN, x * 0.33, y * 0.33)
    tex = 0.55 * comb + 0.4 * rough
    full = torch.maximum(
        step(0.22, 0.80, lower + 0.13 * tex) * who.beard, step(0.25, 0.7, tache + 0.14 * tex) * who.moustache
    )
    shadow = torch.maximum(lower, tache) * who.stubble * (0.32 + 0.10 * rough)
    hue = mix(who.hair * 0.75, colour3(0.42, 0.40, 0.39, like=x), (who.hair_grey * 0.8).expand(-1, *x.shape[1:]))
    paint = paint.over(paint.colour * 0.45 + hue * 0.25, shadow * (1 - full))
    # locks catch the light on their tops; towards its edge a beard is thin, and throws a little shadow beyond it
    lock = noise(GRAIN, fan * 0.16 + who.shift[:, 0], y * 0.10 + who.shift[:, 1])
    thin = hill(lower - 0.45, 0.28) * who.beard * step(0.02, 0.2, lower)
    paint = paint.shaded(1 - 0.30 * thin * (1 - tache * who.moustache) + 0.10 * full * lock)
    tone = (1 + 0.30 * tex + 0.16 * lock).clamp(0.4, 1.8)
    return paint.over(hue * tone[:, None], (full * 1.15).clamp(0, 0.96), gloss=0.05, glow=0.1)
