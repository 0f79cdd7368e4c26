"""TAESD: Stable Diffusion's latents to pictures at a 17th of the work, softer in hair and teeth. For previews.

It is diffusers' own class; its decoder fits Stable Diffusion's latents as they are drawn with, scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from understudy.errors import MissingExtra


@dataclass(frozen=True, kw_only=True)
class TinyAutoencoderConfig:
    """Every number that shapes its weights: `widths` finest first, `blocks` of the decoder, coarsest first."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    latents: int


class TinyAutoencoder(nn.Module):
    """Pictures (n, 3, H, W) in [-1, 1] to latents (n, c, h, w), and back."""

    def __init__(self, config: TinyAutoencoderConfig) -> None:
        super().__init__()
        try:
            from diffusers import AutoencoderTiny
        except ImportError as missing:
            raise MissingExtra(
                "The tiny decoder is diffusers' own", str(missing), "pip install 'understudy[diffusion]'"
            ) from missing
        self.config = config
        self.net: Any = AutoencoderTiny(
            encoder_block_out_channels=config.widths,
            decoder_block_out_channels=config.widths[::-1],
            num_encoder_blocks=config.blocks[::-1],
            num_decoder_blocks=config.blocks,
            latent_channels=config.latents,
        )

    def encode(self, pictures: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """Latents, fp32; there is nothing to sample."""
        latents: Tensor = self.net.encode(pictures.to(self.net.dtype)).latents.float()
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures, fp32, about [-1, 1]."""
        pictures: Tensor = self.net.decode(latents.to(self.net.dtype)).sample.float()
        return pictures
