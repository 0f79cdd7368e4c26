"""What control nets are shown: the driver's picture brought onto the portrait, and its eyes and mouth alone.

One map serves a whole film, found where driver and portrait are most alike; so the driver's own movement stays, and
only where it happens, and how wide and how high, is the portrait's (X-Portrait's script, `test_xportrait.py`). All of
it is torch, so that training, measuring and drawing show the very same thing.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

BLACK: Final = -1.0
PATCH: Final = 4
"""A patch is a square of a 4th of the picture's side."""


def between(driver: Tensor, portrait: Tensor) -> Tensor:
    """The map (n, 2, 3) that lays the driver's points (n, k, 2) over the portrait's: each axis stretched and shifted by
    itself, so that means and extents agree; nothing is turned."""
    ours, theirs = _extent(portrait), _extent(driver)
    scale = ours / theirs.clamp(min=1e-3)
    shift = portrait.mean(1) - scale * driver.mean(1)
    return torch.cat([torch.diag_embed(scale), shift[..., None]], dim=2)


def stretched(scale: Tensor, about: Tensor) -> Tensor:
    """The map (n, 2, 3) that stretches by `scale` (n, 2) about a point (n, 2)."""
    return torch.cat([torch.diag_embed(scale), (about - scale * about)[..., None]], dim=2)


def moved(points: Tensor, maps: Tensor) -> Tensor:
    """Points (n, k, 2) through maps (n or 1, 2, 3)."""
    return points @ maps[:, :, :2].transpose(1, 2) + maps[:, None, :, 2]


def aligned(pictures: Tensor, maps: Tensor, side: int) -> Tensor:
    """Pictures (n, 3, h, w) in [-1, 1] through maps (n or 1, 2, 3), as (n, 3, side, side); black where there is none.

    Maps take (x, y) in pixels of the picture to pixels of the result, centres of pixels at halves."""
    count, _, height, width = pictures.shape
    back = _inverse(maps.float()).expand(count, 2, 3)
    # grid_sample counts from -1 to 1 across a picture's edges, on both sides of the map
    size = back.new_tensor([width, height])
    turn = back[:, :, :2] * (side / size)[:, None]
    shift = (2 * back[:, :, 2] + back[:, :, :2].sum(2) * side) / size - 1
    grid = F.affine_grid(torch.cat([turn, shift[..., None]], 2), [count, 3, side, side], align_corners=False)
    seen = F.grid_sample(pictures.float() - BLACK, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return seen + BLACK


def patched(pictures: Tensor, centres: Tensor) -> Tensor:
    """Pictures (n, 3, s, s), black but for squares of s/4 around centres (n, k, 2) in pixels; no square at NaN.

    A square at the edge is pushed inside, as in X-Portrait's script."""
    side = pictures.shape[-1]
    half = side // PATCH // 2
    corner = centres.round().clamp(half, side - half)
    at = torch.arange(side, device=pictures.device) + 0.5
    inside = (at - corner[..., None]).abs() < half  # (n, k, 2, s); NaN is never inside
    shown = (inside[:, :, 1, :, None] & inside[:, :, 0, None, :]).any(1, keepdim=True)
    return torch.where(shown, pictures, torch.full_like(pictures, BLACK))


def _extent(points: Tensor) -> Tensor:
    return (points.amax(1) - points.amin(1)) / 2


def _inverse(maps: Tensor) -> Tensor:
    turn = torch.linalg.inv(maps[:, :, :2])
    return torch.cat([turn, -turn @ maps[:, :, 2:]], 2)
