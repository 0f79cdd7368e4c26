"""The decoder head of X-Portrait 2's training: from a code and a look at the portrait to a small picture of the face.

It is there for the encoder alone, which the loss about noise teaches large things first; nothing of it is used to draw.
The portrait is seen as a coarse map, which the code bends by scales and shifts (StyleGAN's way); reconstruction, the
features of a critic and its opinion teach both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.recipes.autoencoder import CriticConfig


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Every number that shapes a head. `widths` from the finest map on, which is half as fine as the picture."""

    side: int
    widths: tuple[int, ...]
    groups: int

    def __post_init__(self) -> None:
        if self.side % 2 ** len(self.widths):
            raise BadOption(f"pictures of {self.side} pixels cannot be halved {len(self.widths)} times")


class Bent(nn.Module):
    """Two convolutions, as a branch, that a code bends."""

    def __init__(self, width: int, groups: int, code: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(groups, width, affine=False) for _ in range(2))
        self.bend1, self.bend2 = (nn.Linear(code, 2 * width) for _ in range(2))
        self.conv1, self.conv2 = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(n, width, h, w), (n, code)."""
        inner = x
        for norm, bend, conv in ((self.norm1, self.bend1, self.conv1), (self.norm2, self.bend2, self.conv2)):
            scale, shift = bend(code)[:, :, None, None].chunk(2, 1)
            inner = conv(F.silu(norm(inner) * (1 + scale) + shift))
        changed: Tensor = x + inner
        return changed


class Head(nn.Module):
    """Codes and portraits to pictures."""

    def __init__(self, config: HeadConfig, code: int) -> None:
        super().__init__()
        self.config = config
        widths, groups = config.widths, config.groups
        self.conv_in = nn.Conv2d(12, widths[0], 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.blocks = nn.ModuleList(Bent(width, groups, code) for width in reversed(widths))
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in reversed([*pairwise(widths)]))
        self.norm_out = nn.GroupNorm(groups, widths[0])
        self.conv_out = nn.Conv2d(widths[0], 12, 3, padding=1)

    def forward(self, portraits: Tensor, code: Tensor) -> Tensor:
        """Faces (n, 3, side, side) and codes (n*f, code) to faces (n*f, 3, side, side), about [-1, 1]."""
        x = self.conv_in(F.pixel_unshuffle(portraits, 2))
        for down in self.downs:
            x = down(F.silu(x))
        x = x.repeat_interleave(len(code) // len(portraits), 0)
        for block, up in zip(self.blocks, [*self.ups, None], strict=True):
            x = block(x, code)
            if up is not None:
                x = up(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        made: Tensor = F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x))), 2)
        return made


@dataclass(frozen=True, kw_only=True)
class HeadRecipe:
    """How a head is trained. Weights beside L1, whose weight is 1: of gradients, of the critic's features and of its
    opinion."""

    config: HeadConfig
    critic: CriticConfig
    weight: float
    """Of all that the head says, beside the loss about noise; 0: there is no head."""
    edges: float
    likeness: float
    opinion: float
    fine: float
    """How much more a place in eyes or mouth counts."""
    critic_rate: float
    critic_from: float
    """The progress at which the critic comes in."""


def small_head() -> HeadRecipe:
    """64x64 pixels, 0.4 M parameters, and a critic of 0.1 M."""
    return HeadRecipe(
        config=HeadConfig(side=64, widths=(48, 64, 96), groups=16),
        critic=CriticConfig(fold=2, widths=(32, 64, 96), groups=16),
        weight=1.0,
        edges=2.0,
        likeness=0.1,
        opinion=0.01,
        fine=4.0,
        critic_rate=3e-4,
        critic_from=0.3,
    )
