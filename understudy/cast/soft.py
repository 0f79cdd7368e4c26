"""Soft arithmetic that everything in the cast is drawn with: steps, joins, bumps, and periodic noise.

All but `spread` and `boxes` are elementwise and broadcast; person parameters are (b, 1, 1) against pictures (b, h, w).
What they make on the way is changed in place: fresh memory for every step would take as long as the step.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

NOISE_SIDE = 256


def step(low: Tensor | float, high: Tensor | float, x: Tensor) -> Tensor:
    """Smoothstep: 0 below `low`, 1 above `high`, with flat ends. `low > high` falls instead of rising."""
    s = ((x - low) / (high - low)).clamp_(0, 1)
    return (s * s).mul_((-2 * s).add_(3))


def cover(distance: Tensor, pixel: Tensor | float) -> Tensor:
    """How much of a pixel lies inside a shape: 1 for distance < -pixel/2, 0 for > pixel/2 (negative is inside)."""
    return (0.5 - distance / pixel).clamp_(0, 1)


def bump(x: Tensor, y: Tensor, wide: Tensor | float, high: Tensor | float) -> Tensor:
    """A Gaussian hill of height 1 with standard deviations `wide` and `high`."""
    return ((x / wide).square_() + (y / high).square_()).mul_(-0.5).exp_()


def hill(x: Tensor, wide: Tensor | float) -> Tensor:
    """A Gaussian hill over one coordinate."""
    return (x / wide).square_().mul_(-0.5).exp_()


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
    return ((b - a) * share).add_(a)


def either(where: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
    """`a` where a condition holds, `b` elsewhere, both finite: what `torch.where` gives, to the last bit, in a sixth of
    its time on a CPU."""
    share = where.float()
    a, b = (x if isinstance(x, Tensor) else share.new_tensor(x) for x in (a, b))
    return torch.lerp(b, a, share)


def beside(x: Tensor, y: Tensor) -> Tensor:
    """Pairs (..., 2). What `torch.stack` gives, in a fifth of the time on a CPU."""
    return torch.view_as_real(torch.complex(x, y))


def spread(x: Tensor) -> Tensor:
    """(b, h, w) the largest of each place and its eight neighbours: `max_pool2d`, in a tenth of its time on a CPU."""
    x = F.pad(x, (1, 1, 1, 1), value=-math.inf)
    x = torch.maximum(torch.maximum(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])
    return torch.maximum(torch.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])


def boxes(x: Tensor, size: int) -> Tensor:
    """Means of all squares of (b, c, h, w), as of `avg_pool2d`: sums of shifted pictures are faster on a CPU."""
    for along in (-1, -2):
        left = x.shape[along] - size + 1
        total = x.narrow(along, 0, left) / size
        for start in range(1, size):
            total.add_(x.narrow(along, start, left), alpha=1 / size)
        x = total
    return x


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
    u, v = torch.broadcast_tensors(u, v)  # type: ignore[no-untyped-call]
    table = _TABLES[(u.device.type, u.device.index)][kind : kind + 1]
    flat = beside(*((x - x.floor()).mul_(2).sub_(1) for x in (u, v))).reshape(1, 1, -1, 2)
    return F.grid_sample(table, flat, mode="bilinear", padding_mode="border", align_corners=True).reshape(u.shape)
