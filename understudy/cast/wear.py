"""Glasses and earrings: things with edges of their own, in front of the head."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from understudy.cast.paint import window
from understudy.cast.rig import Face
from understudy.cast.shade import Light
from understudy.cast.shape import CENTRE, EYE_RADIUS, eyeball
from understudy.cast.soft import cover, hill, mix, step
from understudy.cast.view import DISTANCE, Rays, View, on_plane, project
from understudy.cast.who import Who

LENS_WIDE, LENS_HIGH = 0.205, 0.165


def rims(who: Who, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distances, in the glasses' own plane: to the rims and bridge, and to the lenses (negative inside)."""
    side = x.abs() - who.eye_apart - 0.012
    up = y - who.eye_height + 0.028
    circle = ((side / 1.0) ** 2 + (up / 0.95) ** 2 + 1e-8).sqrt() - 0.5 * (LENS_WIDE + LENS_HIGH) - 0.008
    corner = 0.07
    bx, by = side.abs() - LENS_WIDE + corner, (up - 0.10 * side).abs() - LENS_HIGH + 0.02 + corner
    box = (
        torch.minimum(torch.maximum(bx, by), torch.zeros_like(bx))
        + (bx.clamp_min(0) ** 2 + by.clamp_min(0) ** 2 + 1e-8).sqrt()
        - corner
    )
    lens = torch.where(who.glasses == 1, circle, box)
    thick = torch.where(who.glasses == 1, 0.0085, 0.0145)
    thick = torch.where(who.glasses == 3, 0.006 + 0.020 * step(0.0, 0.10, up), thick)
    inner = who.eye_apart + 0.012 - torch.where(who.glasses == 1, 0.5 * (LENS_WIDE + LENS_HIGH) + 0.008, LENS_WIDE)
    bridge = torch.maximum((up - 0.055 + 0.9 * x * x).abs() - 0.011, x.abs() - inner)
    return torch.minimum(lens.abs() - thick, bridge), lens


def _plane(who: Who, face: Face) -> tuple[Tensor, float]:
    """How far in front of CENTRE the glasses sit in the middle, and how they bend back to the sides."""
    _, _, z = eyeball(who, face, 1)
    return z + EYE_RADIUS + 0.165 - CENTRE[2], 0.22


def about_eyes(who: Who, face: Face, v: View, flat: tuple[Tensor, Tensor]) -> Tensor:
    """Where glasses can be, (b, h, w) bool: around the line through both eyes."""
    eyes = [on_plane(v, torch.stack(eyeball(who, face, side), 1)[:, :, 0, 0][:, None])[0] for side in (1, -1)]
    along, middle = eyes[0] - eyes[1], 0.5 * (eyes[0] + eyes[1])
    along = along * torch.rsqrt((along * along).sum(1, keepdim=True) + 1e-6)
    x, y = flat[0] - middle[:, 0], flat[1] - middle[:, 1]
    far, off = x * along[:, 0] + y * along[:, 1], y * along[:, 0] - x * along[:, 1]
    return (far.abs() < 1.35) & (off.abs() < 0.70) & (who.glasses > 0)


def glasses(
    who: Who, face: Face, v: View, r: Rays, far_head: Tensor, flat: tuple[Tensor, Tensor], colour: Tensor,
    albedo: Tensor, lamp: Light,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Lit colour and albedo with glasses on, and how much of each pixel they cover. `far_head`: how far away the head
    is, where it can hide them."""
    middle, bend = _plane(who, face)
    oz, wz = r.start[:, 2, None, None], r.way[:, 2]
    far = (middle - oz) / wz.clamp_max(-0.2)
    for _ in range(2):
        x = r.start[:, 0, None, None] + r.way[:, 0] * far
        far = (middle - bend * x * x - oz) / wz.clamp_max(-0.2)
    x, y, _ = r.at(far)
    x, y = x + CENTRE[0], y + CENTRE[1]
    rim, lens = rims(who, x, y)
    worn = (who.glasses > 0).float()
    visible = step(-0.012, 0.012, far_head - far) * worn
    arms = _arms(who, face, v, far_head, flat) * worn
    on = torch.maximum(cover(rim, v.pixel) * visible, arms)
    base = who.glasses_colour
    shine = hill(rim + 0.007, 0.004 + v.pixel * 0.3) * step(-0.05, 0.12, y - who.eye_height) * 0.35
    frame = base * (lamp.sky * 0.9 + lamp.key_colour * 0.45) + shine[:, None] * lamp.key_colour * 0.5
    glare = (
        cover(lens + 0.01, v.pixel)
        * visible
        * (0.035 + 0.10 * hill(x.abs() - who.eye_apart - 0.5 * (y + 0.02) - 0.06, 0.035))
    )
    colour = colour * (1 - 0.05 * cover(lens, v.pixel) * visible)[:, None] + glare[:, None] * lamp.sky
    return mix(colour, frame, on), mix(albedo, base.expand_as(albedo), on), on


def _arms(who: Who, face: Face, v: View, far_head: Tensor, flat: tuple[Tensor, Tensor]) -> Tensor:
    """The two bars from the rims to the ears, as lines on the picture that pass behind the head."""
    middle, bend = _plane(who, face)
    reach = who.eye_apart + 0.012 + LENS_WIDE
    total = torch.zeros_like(far_head)
    for side in (1.0, -1.0):
        front = torch.stack([side * reach, who.eye_height + 0.035, middle - bend * reach * reach + CENTRE[2]], -1)
        back = torch.stack([side * (0.735 * who.head_width), who.eye_height + 0.05, 0 * reach - 0.10], -1)
        a, za = on_plane(v, front[:, 0])
        b, zb = on_plane(v, back[:, 0])
        px, py = flat[0] - a[:, 0], flat[1] - a[:, 1]
        dx, dy = b[:, 0] - a[:, 0], b[:, 1] - a[:, 1]
        share = ((px * dx + py * dy) / (dx * dx + dy * dy + 1e-6)).clamp(0, 1)
        gap = ((px - share * dx) ** 2 + (py - share * dy) ** 2 + 1e-10).sqrt() - 0.013
        bar_far = DISTANCE - (za + (zb - za) * share)
        seen = step(-0.07, 0.03, far_head - bar_far) * step(1.0, 0.93, share)
        total = torch.maximum(total, cover(gap, v.pixel) * seen)
    return total


def shadow(who: Who, x: Tensor, y: Tensor) -> Tensor:
    """The shadow that rims throw on the skin, as a factor."""
    rim, _ = rims(who, x, y + 0.035)
    return 1 - 0.28 * hill(rim.clamp_min(0), 0.018) * (who.glasses > 0)


def earrings(
    who: Who, v: View, far_head: Tensor, flat: tuple[Tensor, Tensor], colour: Tensor, albedo: Tensor, lamp: Light
) -> tuple[Tensor, Tensor]:
    """A bead on each ear lobe, put into `colour` and `albedo`."""
    height, width = far_head.shape[-2:]
    span = math.ceil(0.12 * height / float(v.zoom.min()) / 4) * 4
    for side in (1.0, -1.0):
        lobe = torch.stack(
            [side * (0.72 * who.head_width + 0.02), -0.335 + 0 * who.head_width, -0.06 + 0 * who.head_width], -1
        )
        at, z = on_plane(v, lobe[:, 0])
        cut = window(project(v, lobe[:, 0])[0][:, 0], span, height, width)
        right, up, far = cut.cut_each([one[:, None] for one in (*flat, far_head)]).unbind(1)
        x, y = (right - at[:, 0]) / 0.045, (up - at[:, 1]) / 0.045
        d = (x * x + y * y + 1e-8).sqrt() - 1
        seen = step(-0.05, 0.02, far - (DISTANCE - z)) * who.earrings
        n = torch.stack([x, y, (1 - x * x - y * y).clamp_min(0).sqrt()], 1)
        facing = (n * lamp.key).sum(1).clamp(0, 1)
        gold = colour.new_tensor([0.75, 0.50, 0.18])[None, :, None, None]
        bead = gold * (0.25 + 0.7 * facing + 1.6 * facing**24)[:, None]
        on = cover(d * 0.045, v.pixel) * seen
        colour = cut.paste(colour, mix(cut.cut(colour), bead, on))
        albedo = cut.paste(albedo, mix(cut.cut(albedo), gold.expand_as(bead), on))
    return colour, albedo
