"""CLIP's picture tower: what X-Portrait 2 is told of a portrait besides the portrait itself, one token.

It is transformers' own class. X-NeMo takes it from Stable Diffusion Image Variations, which was trained to be told
pictures where Stable Diffusion is told texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import MissingExtra

MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours, in [0, 1], that CLIP was trained on (its processor's values)."""


@dataclass(frozen=True, kw_only=True)
class SightConfig:
    """Every number that shapes its weights."""

    side: int
    patch: int
    width: int
    layers: int
    heads: int
    answer: int


class Sight(nn.Module):
    """Pictures to a token each."""

    def __init__(self, config: SightConfig) -> None:
        super().__init__()
        try:
            from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
        except ImportError as missing:
            raise MissingExtra(
                "The full X-Portrait 2 looks at the portrait with CLIP, which is transformers' own",
                str(missing),
                "pip install 'understudy[diffusion]'",
            ) from missing
        self.config = config
        self.net: Any = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                image_size=config.side,
                patch_size=config.patch,
                hidden_size=config.width,
                intermediate_size=4 * config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                projection_dim=config.answer,
            )
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """(n, 3, H, W) in [-1, 1] to context (n, 1, answer)."""
        small = F.interpolate(
            pictures.float(), (self.config.side, self.config.side), mode="bicubic", align_corners=False, antialias=True
        )
        mean, deviation = (torch.tensor(values, device=small.device)[:, None, None] for values in (MEAN, DEVIATION))
        seen = (((small.clamp(-1, 1) + 1) / 2) - mean) / deviation
        answer: Tensor = self.net(seen.to(self.net.dtype)).image_embeds
        return answer[:, None]
