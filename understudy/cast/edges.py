"""Edges without stairs: what a ray either meets or misses is smoothed along its outline, and all of it by the lens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.soft import step
from understudy.cast.style import Plate, blur, grey

LENS = 0.5  # pixels, the deviation of what a lens makes of a point
ALONG = (0.8, 2.0)  # pixels on either side, along an outline
SHARES = (0.25, 0.125)  # their weights; the place itself has the same as the nearest two together


def settled(plate: Plate) -> Plate:
    """The same as a lens and a sensor would give it: no stairs along outlines, nothing as sharp as a pixel."""
    pack = torch.cat([plate.image, plate.flat, torch.stack([plate.person, plate.depth], 1)], 1)
    right, down, share = _outlines(grey(plate.image) + 0.25 * plate.person)
    smooth = pack * (1 - 2 * sum(SHARES))
    for far, weight in zip(ALONG, SHARES, strict=True):
        for way in (far, -far):
            smooth = smooth + weight * _shifted(pack, right * way, down * way)
    out = blur(pack + (smooth - pack) * share[:, None], LENS)
    return Plate(out[:, 0:3], out[:, 3:6], out[:, 6], out[:, 7])


def _outlines(tone: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The way outlines run (right and down, unit) in a picture (b, h, w), and where there are any, 0 to 1."""
    x = blur(tone[:, None], 0.7)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    gx = (padded[:, 0, 1:-1, 2:] - padded[:, 0, 1:-1, :-2]) * 0.5
    gy = (padded[:, 0, 2:, 1:-1] - padded[:, 0, :-2, 1:-1]) * 0.5
    xx, yy, xy = blur(torch.stack([gx * gx, gy * gy, gx * gy], 1), 1.3).unbind(1)
    apart = ((xx - yy) ** 2 + 4 * xy * xy + 1e-12).sqrt()
    angle = 0.5 * torch.atan2(2 * xy, xx - yy)  # across the outline
    single = apart / (xx + yy + 1e-6)  # 1 where all around runs one way
    strong = step(0.01, 0.05, (0.5 * (xx + yy + apart)).sqrt())
    return -angle.sin(), angle.cos(), strong * step(0.3, 0.8, single)


def _shifted(pack: Tensor, right: Tensor, down: Tensor) -> Tensor:
    h, w = pack.shape[-2:]
    ys = (torch.arange(h, device=pack.device) + 0.5)[None, :, None] + down
    xs = (torch.arange(w, device=pack.device) + 0.5)[None, None, :] + right
    grid = torch.stack([xs * (2 / w) - 1, ys * (2 / h) - 1], -1)
    return F.grid_sample(pack, grid, mode="bilinear", padding_mode="border", align_corners=False)
