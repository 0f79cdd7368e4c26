"""A developed picture and what is known about it, and how pictures are blurred."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Plate:
    """A developed picture with what a draughtsman needs to know about it."""

    image: Tensor  # (b, 3, h, w) sRGB
    flat: Tensor  # (b, 3, h, w) sRGB without light
    person: Tensor  # (b, h, w) 1 on the person, 0 on the background
    depth: Tensor  # (b, h, w) head units


def grey(image: Tensor) -> Tensor:
    """Luma (b, h, w)."""
    return image[:, 0] * 0.30 + image[:, 1] * 0.59 + image[:, 2] * 0.11


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (b, c, h, w); `sigma` in pixels. Sums of shifted pictures: far faster than
    convolution."""
    reach = max(1, math.ceil(2.5 * sigma))
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(reach + 1)]
    whole = 2 * sum(weights) - 1
    weights = [w / whole for w in weights]
    h, w = x.shape[-2:]
    for along, size, edges in ((-1, w, (reach, reach, 0, 0)), (-2, h, (0, 0, reach, reach))):
        padded = F.pad(x, edges, mode="replicate")
        x = padded.narrow(along, reach, size) * weights[0]
        for i in range(1, reach + 1):
            for at in (reach - i, reach + i):
                x.add_(padded.narrow(along, at, size), alpha=weights[i])
    return x
