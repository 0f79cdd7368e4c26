"""Soft arithmetic that everything in the cast is drawn with: steps, joins, bumps, and periodic noise.

All functions are elementwise and broadcast; person parameters are (b, 1, 1) against pictures (b, h, w).
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE_SIDE = 256


def step(low: Tensor | float, high: Tensor | float, x: Tensor) -> Tensor:
    """Smoothstep: 0 below `low`, 1 above `high`, with flat ends. `low > high` falls instead of rising."""
    s = ((x - low) / (high - low)).clamp(0, 1)
    return s * s * (3 - 2 * s)


def cover(distance: Tensor, pixel: Tensor | float) -> Tensor:
    """How much of a pixel lies inside a shape: 1 for distance < -pixel/2, 0 for > pixel/2 (negative is inside)."""
    return (0.5 - distance / pixel).clamp(0, 1)


def bump(x: Tensor, y: Tensor, wide: Tensor | float, high: Tensor | float) -> Tensor:
    """A Gaussian hill of height 1 with standard deviations `wide` and `high`."""
    return torch.exp(-0.5 * ((x / wide) ** 2 + (y / high) ** 2))


def hill(x: Tensor, wide: Tensor | float) -> Tensor:
    """A Gaussian hill over one coordinate."""
    return torch.exp(-0.5 * (x / wide) ** 2)


def smax(a: Tensor, b: Tensor, width: float) -> Tensor:
    """The larger of two, joined smoothly where they differ by less than `width` (polynomial join)."""
    h = (width - (a - b).abs()).clamp_min(0) / width
    return torch.maximum(a, b) + h * h * (width / 4)


def smin(a: Tensor, b: Tensor, width: float) -> Tensor:
    """The smaller of two, joined smoothly."""
    return -smax(-a, -b, width)


def mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """`a` where share is 0, `b` where it is 1. Colours are (b, 3, h, w); a share of (b, h, w) is shared by channels."""
    if share.dim() == 3 and max(a.dim(), b.dim()) == 4:
        share = share[:, None]
    return a + (b - a) * share


def resolved(wave: float, pixel: Tensor) -> Tensor:
    """How much of a pattern with waves as short as `wave` is left at a size of pixel: half at 3.5 pixels a wave. What
    is finer than pixels would only glitter."""
    return 1 / (1 + (3.5 / wave * pixel) ** 4)


def turn(x: Tensor, y: Tensor, angle: Tensor | float) -> tuple[Tensor, Tensor]:
    """Coordinates in a frame turned by `angle` radians."""
    a = torch.as_tensor(angle)
    c, s = torch.cos(a), torch.sin(a)
    return c * x + s * y, c * y - s * x


@cache
def _noise_tables() -> Tensor:
    """Periodic noise (4, 256, 256), mean 0, deviation 1: clouds (1/f), grain, strands along v, sparse spots."""
    chance = torch.Generator().manual_seed(20)
    n = NOISE_SIDE
    fx = torch.fft.fftfreq(n)[None, :].abs() * n
    fy = torch.fft.fftfreq(n)[:, None].abs() * n
    radius = (fx**2 + fy**2).sqrt()

    def filtered(weight: Tensor) -> Tensor:
        white = torch.randn(n, n, generator=chance)
        table = torch.fft.ifft2(torch.fft.fft2(white) * weight).real
        centred: Tensor = table - table.mean()
        return centred / centred.std()

    clouds = filtered(torch.where(radius > 0, 1 / radius.clamp_min(1) ** 1.6, 0))
    grain = filtered(torch.exp(-((radius / 45) ** 2)) * (radius > 8))
    strands = filtered(torch.exp(-((fy / 2.2) ** 2)) * (fx > 2) / (6 + fx) ** 0.75 * torch.exp(-((fx / 36) ** 2)))
    return torch.stack([clouds, grain, strands, _spots(torch.rand(n, n, generator=chance))])


def _spots(dots: Tensor) -> Tensor:
    """Sparse round spots of different sizes, 0 to 1, periodic."""
    out = torch.zeros_like(dots)
    for share, radius in ((0.0022, 2.4), (0.005, 1.5)):
        seeds = ((dots < share).float() * (0.5 + 0.5 * torch.roll(dots, 7, 0)))[None, None]
        dots = torch.roll(dots, 31, 1)
        k = torch.arange(-8, 9, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (k / radius) ** 2)
        kernel2 = (kernel[:, None] * kernel[None, :])[None, None]
        out = torch.maximum(out, F.conv2d(F.pad(seeds, (8, 8, 8, 8), mode="circular"), kernel2)[0, 0])
    return out.clamp(0, 1)


CLOUDS, GRAIN, STRANDS, SPOTS = range(4)
# Filled once per device and then only read: a plain dictionary, so that a compiled drawing sees finished tables.
_TABLES: dict[tuple[str, int | None], Tensor] = {}


def ready(device: torch.device) -> None:
    """Have the noise tables on a device."""
    key = (device.type, device.index)
    if key not in _TABLES:
        _TABLES[key] = F.pad(_noise_tables()[:, None], (0, 1, 0, 1), mode="circular").to(device)


def noise(kind: int, u: Tensor, v: Tensor) -> Tensor:
    """Noise of a kind at (u, v), both in periods; linear between table entries. Same shape as `u`."""
    u, v = u + 0 * v, v + 0 * u
    table = _TABLES[(u.device.type, u.device.index)][kind : kind + 1]
    grid = torch.stack([u - u.floor(), v - v.floor()], -1) * 2 - 1
    flat = grid.reshape(1, 1, -1, 2)
    return F.grid_sample(table, flat, mode="bilinear", padding_mode="border", align_corners=True).reshape(u.shape)
