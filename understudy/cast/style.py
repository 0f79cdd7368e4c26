"""Styles: what is done to a developed picture. Lines, tones and strokes scale with the picture's size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.edges import settled
from understudy.cast.plate import Plate, blur, grey
from understudy.cast.soft import CLOUDS, GRAIN, STRANDS, beside, boxes, either, mix, noise, step
from understudy.cast.who import Who


def developed(colour: Tensor) -> Tensor:
    """Linear light to sRGB in [0, 1], highlights rolled off."""
    c = colour.clamp_min(0).mul_(1.02)
    c = (c / 6.0).add_(1).mul_(c).div_((0.42 * c).add_(1)).clamp_(0, 1)
    return either(c <= 0.0031308, c * 12.92, c.clamp_min(1e-6).pow_(1 / 2.4).mul_(1.055).sub_(0.055))


def lines(plate: Plate, sigma: float, strength: float) -> Tensor:
    """Where a pen would go, 0 to 1: dark sides of edges in tone (difference of Gaussians) and steps in depth."""
    seen = grey(plate.image)
    tone = torch.stack([1.3 * seen / (seen + 0.3), plate.depth * 0.6, plate.person], 1)
    narrow, wide = blur(tone, sigma), blur(tone, 1.6 * sigma)
    ridge = wide - narrow
    ink = step(0.006, 0.05, ridge[:, 0] * strength)
    around = narrow[:, 2]
    outline = step(0.30, 0.85, 4 * around * (1 - around)) * 0.9
    behind = step(0.012, 0.06, ridge[:, 1].clamp(-0.2, 0.2))
    return torch.maximum(torch.maximum(ink, outline), behind * plate.person * 0.8)


def _where(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Paper coordinates: (u, v) in half heights, and pixels per 1/256 of the height."""
    h, w = x.shape[-2:]
    u = (torch.arange(w, device=x.device) + 0.5 - w / 2) * (2 / h)
    v = (torch.arange(h, device=x.device) + 0.5 - h / 2) * (2 / h)
    return u[None, None, :].expand(len(x), h, w), v[None, :, None].expand(len(x), h, w), h / 256


def realistic(who: Who, plate: Plate) -> Tensor:
    """As photographed, with film grain."""
    u, v, _ = _where(plate.image)
    speck = noise(GRAIN, u * 0.7 + who.shift[:, 0], v * 0.7 + who.shift[:, 1])
    return plate.image + (0.005 * who.grain * speck)[:, None]


def cartoon(who: Who, plate: Plate) -> Tensor:
    """Flat colours in three tones, and an outline."""
    _, _, unit = _where(plate.image)
    smooth = blur(plate.image, 0.9 * unit)
    light = (grey(smooth) + 0.02) / (grey(blur(plate.flat, 0.9 * unit)) + 0.02)
    levels = 0.66 + 0.24 * step(0.70, 0.80, light) + 0.16 * step(0.97, 1.06, light) + 0.22 * step(1.30, 1.42, light)
    toned = plate.flat * levels[:, None]
    mean = grey(toned)[:, None]
    vivid = (mean + (toned - mean) * 1.22).clamp(0, 1)
    vivid = vivid + 0.30 * (plate.image - toned).clamp_min(0) * step(1.6, 2.2, light)[:, None]
    inside = mix(blur(plate.image, 1.5 * unit), vivid, plate.person)
    line = lines(plate, 1.0 * unit, 1.0)
    return mix(inside, plate.flat * 0.16, (line * 0.85).clamp(0, 1))


def pencil(who: Who, plate: Plate) -> Tensor:
    """Graphite on paper: three directions of hatching by tone, and contours."""
    u, v, unit = _where(plate.image)
    bare = grey(blur(plate.flat, 0.55 * unit)).clamp_min(0.02)
    light = grey(blur(plate.image, 0.55 * unit)) / bare
    tone = (bare**0.42 * light.clamp(0.05, 1.6) ** 0.9 * 1.02).clamp(0, 1)  # forms stay legible on dark skin
    tone = mix(0.90 + 0.10 * tone, tone, plate.person)
    tooth = noise(GRAIN, u * 0.55 + who.shift[:, 0], v * 0.55)
    dark = 0.85 * (1 - tone) ** 1.05  # smudged graphite carries the form; hatching lies over it
    for turned, below, weight in ((0.75, 0.80, 0.06), (0.55, 0.58, 0.10), (2.3, 0.42, 0.12), (0.1, 0.28, 0.12)):
        a, b = u * math.cos(turned) + v * math.sin(turned), v * math.cos(turned) - u * math.sin(turned)
        stroke = noise(STRANDS, b * 0.85 + who.shift[:, 1], a * 0.45 + 0.1 * noise(CLOUDS, u * 0.2, v * 0.2))
        dark = dark + weight * step(below + 0.16, below - 0.22, tone) * (0.5 + 0.5 * stroke + 0.10 * tooth).clamp(
            0, 1.3
        )
    line = lines(plate, 0.9 * unit, 1.25) * (0.85 + 0.10 * tooth)
    dark = dark + line * 0.55 * (1 - 0.5 * dark)
    dark = (dark * (1 + 0.06 * tooth)).clamp(0, 0.93)
    paper = plate.image.new_tensor([0.965, 0.955, 0.93])[None, :, None, None] * (1 + 0.005 * tooth)[:, None]
    lead = plate.image.new_tensor([0.15, 0.15, 0.17])[None, :, None, None]
    tinted = mix(paper, blur(plate.flat, 2.0 * unit) * 0.4 + paper * 0.6, (plate.person * 0.16))
    return mix(tinted, lead.expand_as(tinted), dark)


def paint(who: Who, plate: Plate) -> Tensor:
    """Oil: colour gathered into dabs (Kuwahara's filter, twice), richer, with the brush's relief."""
    u, v, unit = _where(plate.image)
    warp = torch.stack([noise(GRAIN, u * 0.13, v * 0.13), noise(GRAIN, u * 0.13 + 0.5, v * 0.13)], 1)
    rough = _shifted(plate.image, warp * (1.1 * unit))
    dabs = blur(_kuwahara(_kuwahara(rough, 2.4 * unit), 1.6 * unit), 0.9 * unit)
    fine = blur(plate.image, 0.5 * unit)
    detail = step(0.012, 0.06, (grey(fine) - grey(blur(fine, 2.5 * unit))).abs()) * plate.person
    out = mix(dabs, fine, detail * 0.7)
    mean = grey(out)[:, None]
    out = mean + (out - mean) * 1.20
    out = out + 0.04 * (out - 0.5)
    angle = 0.5 + 0.25 * noise(CLOUDS, u * 0.06 + who.shift[:, 0], v * 0.06)
    along, across = u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()
    bristle = noise(STRANDS, across * 0.36, along * 0.4)
    return out * (1 + 0.024 * bristle)[:, None]


def ink(who: Who, plate: Plate) -> Tensor:
    """A printed comic: few colours, black where it is dark, dots in between. Never trained on."""
    u, v, unit = _where(plate.image)
    tone = grey(blur(plate.image, 0.9 * unit))
    a, b = (u + v) * 0.7071 * 34, (v - u) * 0.7071 * 34
    cell = 0.5 + 0.25 * (torch.cos(a * math.pi) + torch.cos(b * math.pi))
    soft = 0.45 / max(unit, 0.35) * 0.45
    dots = step(-soft, soft, (0.80 - tone) * 1.25 - cell)
    colour = blur(plate.flat, 0.8 * unit)
    mean = grey(colour)[:, None]
    colour = (mean + (colour - mean) * 1.35).clamp(0, 1) * 0.92 + 0.08
    colour = mix(colour, colour * 0.78, dots * 0.9)
    black = step(0.17, 0.11, tone) * plate.person
    back = mix(
        colour.new_tensor([0.98, 0.93, 0.78])[None, :, None, None].expand_as(colour),
        who_second(who, colour) * 0.5 + 0.45,
        dots * 0.7,
    )
    colour = mix(back, colour, plate.person)
    line = lines(plate, 1.0 * unit, 1.4)
    return mix(colour, torch.full_like(colour, 0.04), torch.maximum(black, line).clamp(0, 1))


def who_second(who: Who, like: Tensor) -> Tensor:
    """The person's background colour as a print colour."""
    return (who.ground.clamp(0, 1) ** 0.4545).expand_as(like)


def _shifted(image: Tensor, by: Tensor) -> Tensor:
    h, w = image.shape[-2:]
    ys = (torch.arange(h, device=image.device) + 0.5)[None, :, None] + by[:, 1]
    xs = (torch.arange(w, device=image.device) + 0.5)[None, None, :] + by[:, 0]
    grid = beside(xs * (2 / w) - 1, ys * (2 / h) - 1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _kuwahara(image: Tensor, radius: float) -> Tensor:
    """Each pixel takes the mean of the calmest of four windows that touch it (softly)."""
    k = max(1, round(radius))
    size = k + 1
    padded = F.pad(torch.cat([image, (image * image)], 1), (k, k, k, k), mode="replicate")
    means = boxes(padded, size)  # window starting at each place
    h, w = image.shape[-2:]
    total, weights = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    for dy in (0, k):
        for dx in (0, k):
            part = means[:, :, dy : dy + h, dx : dx + w]
            spread = (part[:, 3:] - part[:, :3] ** 2).sum(1, keepdim=True).clamp_min(0)
            weight = 1 / (1e-4 + spread) ** 2
            total, weights = total + part[:, :3] * weight, weights + weight
    return total / weights


PASSES: tuple[Callable[[Who, Plate], Tensor], ...] = (realistic, cartoon, pencil, paint, ink)


def finished(who: Who, plate: Plate, styles: Tensor) -> Tensor:
    """Each picture in its person's style, (b, 3, h, w) in [0, 1]. `styles` (b,) indexes STYLES."""
    out = torch.empty_like(plate.image)
    for index in sorted(set(styles.tolist())):
        rows = (styles == index).nonzero()[:, 0]
        part = Plate(plate.image[rows], plate.flat[rows], plate.person[rows], plate.depth[rows])
        out[rows] = PASSES[index](who[rows], settled(part, drawn=PASSES[index] not in (realistic, paint)))
    return out.clamp(0, 1)
