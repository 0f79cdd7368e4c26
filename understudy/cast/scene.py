"""What is behind somebody. Out of focus, so it is painted at a quarter of the size and enlarged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.soft import CLOUDS, GRAIN, cover, mix, noise, step
from understudy.cast.view import View
from understudy.cast.who import Who


def background(who: Who, v: View) -> Tensor:
    """(b, 3, h, w) linear light. It does not move with the person."""
    height, width = max(8, v.height // 4), max(8, v.width // 4)
    device = who.skin.device
    x = (torch.arange(width, device=device) + 0.5 - width / 2) * (2 / height)
    y = (height / 2 - torch.arange(height, device=device) - 0.5) * (2 / height)
    x, y = x[None, None, :].expand(len(who), height, -1), y[None, :, None].expand(len(who), -1, width)
    painted = _painted(who, x, y)
    out = F.interpolate(painted, size=(v.height, v.width), mode="bilinear", align_corners=False)
    return out.clamp_min(0)


def _painted(who: Who, x: Tensor, y: Tensor) -> Tensor:
    ground, second = who.ground, who.ground_second
    sx, sy = who.shift[:, 0], who.shift[:, 1]
    vignette = 1.08 - 0.28 * (x * x + y * y).clamp_max(2)
    lit_side = 1 + 0.16 * x * who.light[:, 0].sin().sign()
    clouds = noise(CLOUDS, x * 0.16 + sx, y * 0.16 + sy)
    studio = (
        ground * ((0.80 + 0.35 * torch.exp(-((x - 0.1) ** 2 + (y - 0.1) ** 2) / 0.9)) * (1 + 0.04 * clouds))[:, None]
    )
    bokeh = _bokeh(who, x, y)
    wall = mix(ground * (1 + 0.09 * clouds)[:, None], second * 0.7, step(-0.42, -0.46, y) * 0.8)
    grain = noise(GRAIN, x * 0.4, y * 0.4 + sx)
    wall = wall * (1 + 0.02 * grain)[:, None]
    window = _window(who, x, y)
    sky = _sky(who, x, y)
    paper = (0.55 * ground + 0.40) * (1 + 0.03 * noise(CLOUDS, x * 0.5 + sx, y * 0.5))[:, None]
    wave = 0.5 + 0.5 * torch.sin((x + 0.3 * y * (sx - 0.5)) * 9 + sy * 6)
    stripes = mix(ground.expand(-1, -1, *x.shape[1:]), 0.6 * ground + 0.4 * second, step(0.40, 0.60, wave))
    kinds = (studio, bokeh, wall, window, sky, paper, stripes)
    out = torch.zeros_like(studio)
    for i, kind in enumerate(kinds):
        out = torch.where((who.background == i)[:, None], kind, out)
    return out * (vignette * lit_side)[:, None]


def _bokeh(who: Who, x: Tensor, y: Tensor) -> Tensor:
    out = (
        who.ground * 0.35
        + who.ground_second * 0.12 * (1 + 0.5 * noise(CLOUDS, x * 0.2 + who.shift[:, 0], y * 0.2))[:, None]
    )
    for k in range(9):
        seed = who.shift[:, 0] * 37.0 + who.shift[:, 1] * 17.0 + 2.399 * k
        cx, cy = torch.sin(seed * 12.9 + 1.7 * k) * 1.05, torch.sin(seed * 7.7 + k * k) * 0.85 + 0.15
        r = 0.10 + 0.13 * (0.5 + 0.5 * torch.sin(seed * 5.1))
        d = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() - r
        glow = cover(d, 0.06) * (0.55 + 0.45 * step(-r * 0.4, 0.0, d)) * (0.35 + 0.5 * torch.sin(seed * 3.3).abs())
        tone = mix(who.ground, who.ground_second + 0.25, torch.sin(seed * 9.1).abs())
        out = out + tone * (0.75 * glow)[:, None]
    return out


def _window(who: Who, x: Tensor, y: Tensor) -> Tensor:
    off = (who.shift[:, 0] - 0.5) * 1.4
    wall = who.ground * (0.62 + 0.12 * noise(CLOUDS, x * 0.15, y * 0.15))[:, None]
    pane = torch.maximum((x - off).abs() - 0.62, (y - 0.25).abs() - 0.75)
    bar = torch.minimum((x - off).abs(), (y - 0.25).abs()) - 0.035
    bright = (
        torch.tensor([0.95, 1.0, 1.05], device=x.device)[None, :, None, None]
        * (0.75 + 0.35 * step(-0.4, 0.9, y))[:, None]
    )
    green = torch.tensor([0.25, 0.36, 0.18], device=x.device)[None, :, None, None]
    blob = step(0.1, -0.5, y - 0.25 * noise(CLOUDS, x * 0.3 + who.shift[:, 1], y * 0.3))
    outside = mix(bright, green.expand_as(bright), blob * 0.75)
    glass = cover(pane, 0.10) * step(-0.03, 0.04, bar)
    return mix(wall, outside, glass)


def _sky(who: Who, x: Tensor, y: Tensor) -> Tensor:
    top = torch.tensor([0.20, 0.42, 0.80], device=x.device)[None, :, None, None]
    low = torch.tensor([0.72, 0.82, 0.92], device=x.device)[None, :, None, None]
    sky = mix(low.expand(-1, -1, *x.shape[1:]), top.expand(-1, -1, *x.shape[1:]), step(-0.9, 1.1, y))
    cloud = noise(CLOUDS, x * 0.22 + who.shift[:, 0], y * 0.4 + who.shift[:, 1])
    sky = mix(sky, torch.full_like(sky, 0.95), step(0.2, 1.8, cloud) * 0.8)
    hills = y + 0.45 + 0.14 * noise(CLOUDS, x * 0.13 + who.shift[:, 1], 0 * y)
    land = 0.5 * who.ground * torch.tensor([0.7, 0.9, 0.6], device=x.device)[None, :, None, None]
    return mix(sky, land.expand_as(sky), cover(hills, 0.12))
