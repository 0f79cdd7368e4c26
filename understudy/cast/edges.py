"""Edges without stairs: what a ray either meets or misses is smoothed along its outline, and all of it by the lens."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.paint import Window, chosen
from understudy.cast.plate import Plate, blur, grey
from understudy.cast.soft import beside, step

LENS = 0.5  # pixels, the deviation of what a lens makes of a point
ALONG = (0.8, 2.0)  # pixels on either side, along an outline
SHARES = (0.25, 0.125)  # their weights; the place itself has the same as the nearest two together


def settled(plate: Plate, drawn: bool = True) -> Plate:
    """The same as a lens and a sensor would give it: no stairs along outlines, nothing as sharp as a pixel. Unless it
    is to be `drawn` with lines, only the image and the person: the rest stays."""
    pack = torch.cat([plate.image, plate.person[:, None]], 1)
    pack = torch.cat([pack, plate.depth[:, None], plate.flat], 1) if drawn else pack
    right, down, share = _outlines(grey(plate.image) + 0.25 * plate.person)
    # only outlines are looked at
    at = chosen(share > 0.02)
    right, down, share = at.cut(torch.stack([right, down, share], 1)).unbind(1)
    here = at.cut(pack)
    smooth = here * (1 - 2 * sum(SHARES))
    for far, weight in zip(ALONG, SHARES, strict=True):
        for way in (far, -far):
            smooth.add_(_shifted(pack, at, right * way, down * way), alpha=weight)
    out = blur(at.paste(pack, torch.lerp(here, smooth, share[:, None])), LENS)
    if not drawn:
        return replace(plate, image=out[:, 0:3], person=out[:, 3])
    return Plate(image=out[:, 0:3], person=out[:, 3], depth=out[:, 4], flat=out[:, 5:8])


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


def _shifted(pack: Tensor, at: Window, right: Tensor, down: Tensor) -> Tensor:
    """The picture a little way from each place."""
    h, w = pack.shape[-2:]
    ys = (at.index // w)[:, None] + 0.5 + down
    xs = (at.index % w)[:, None] + 0.5 + right
    grid = beside(xs * (2 / w) - 1, ys * (2 / h) - 1)
    return F.grid_sample(pack, grid, mode="bilinear", padding_mode="border", align_corners=False)
