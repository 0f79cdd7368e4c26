"""Control nets: what the driver does, as a picture, becomes something to add to what the U-Net sees on its way up.

A control net is the way down of a U-Net, with a hint added at the start, and every one of its outputs silent at first:
a fresh one changes nothing. X-Portrait has two, one for the aligned driving face and one for its eyes and mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

import torch.nn.functional as F
from torch import Tensor, nn

from understudy.generator.layers import silent
from understudy.generator.unet import Encoder, UNetConfig


@dataclass(frozen=True, kw_only=True)
class HintConfig:
    """How a hint picture becomes the size of a latent: pixels folded into channels, then convolutions, each width
    after the first halving the sides. The published one folds nothing and has widths 16, 32, 96, 256."""

    widths: tuple[int, ...]
    fold: int = 1

    @property
    def downscale(self) -> int:
        """Hint pixels to a latent."""
        return int(self.fold * 2 ** (len(self.widths) - 1))


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """`unet`: the control net's own numbers. `into`: widths of what it is added to, `UNetConfig.skips` and the
    middle; a control net may be narrower than the U-Net that it steers."""

    unet: UNetConfig
    hint: HintConfig
    into: tuple[int, ...]


class HintEncoder(nn.Module):
    """Hint pictures to the first features of a control net."""

    def __init__(self, config: HintConfig, width: int) -> None:
        super().__init__()
        self.fold = config.fold
        self.conv_in = nn.Conv2d(3 * config.fold**2, config.widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for before, after in pairwise(config.widths):
            self.blocks.append(nn.Conv2d(before, before, 3, padding=1))
            self.blocks.append(nn.Conv2d(before, after, 3, padding=1, stride=2))
        self.conv_out = silent(nn.Conv2d(config.widths[-1], width, 3, padding=1))

    def forward(self, hint: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] -> (n, width, h, w). X-Portrait's hints have black (-1) where there is no face."""
        x = F.silu(self.conv_in(F.pixel_unshuffle(hint.to(self.conv_in.weight.dtype), self.fold)))
        for block in self.blocks:
            x = F.silu(block(x))
        encoded: Tensor = self.conv_out(x)
        return encoded


class ControlNet(Encoder):
    """Noisy latents and a hint to what is added to the U-Net: one picture for each skip, and one for the middle."""

    def __init__(self, config: ControlConfig) -> None:
        super().__init__(config.unet)
        *skips, middle = config.into
        widths = config.unet.widths
        self.controlnet_cond_embedding = HintEncoder(config.hint, widths[0])
        self.controlnet_down_blocks = nn.ModuleList(
            silent(nn.Conv2d(width, into, 1)) for width, into in zip(config.unet.skips, skips, strict=True)
        )
        self.controlnet_mid_block = silent(nn.Conv2d(widths[-1], middle, 1))

    def encode(self, hint: Tensor) -> Tensor:
        """Hints (n, 3, H, W) in [-1, 1] to features (n, c, h, w): once per frame, whatever the steps and windows."""
        encoded: Tensor = self.controlnet_cond_embedding(hint)
        return encoded

    def forward(self, noisy: Tensor, level: Tensor, context: Tensor, encoded: Tensor) -> list[Tensor]:
        """noisy (b, f, c, h, w), level (b, f), context (b or 1, k, d), encoded hints (b*f, c, h, w) -> controls."""
        films, frames = noisy.shape[:2]
        x = noisy.flatten(0, 1).to(self.conv_in.weight.dtype)
        told = self.told(level.expand(films, frames).flatten(), context, None, frames)
        x, skips, _ = self.down(x, told, repeat(None), hint=encoded)
        controls = [out(skip) for out, skip in zip(self.controlnet_down_blocks, skips, strict=True)]
        return [*controls, self.controlnet_mid_block(x)]


def added(controls: Sequence[Sequence[Tensor]]) -> list[Tensor] | None:
    """The sum of several control nets' outputs, layer by layer; None if there are none."""
    return [sum(parts[1:], start=parts[0]) for parts in zip(*controls, strict=True)] if controls else None
