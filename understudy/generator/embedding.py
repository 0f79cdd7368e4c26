"""The small generators' picture embedding: what they are told of a portrait as a whole, besides notes on its places.

It is there for what CLIP's picture tower is at full size (`sight`, as in X-NeMo), and reads the portrait's latents,
which are there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """Every number that shapes its weights. `widths`: of convolutions, each half as fine as the one before."""

    widths: tuple[int, ...]
    groups: int

    def __post_init__(self) -> None:
        if not self.widths or any(width % self.groups for width in self.widths):
            raise BadOption(
                f"widths {self.widths} do not go with {self.groups} groups", remedy="multiples of groups, one or more"
            )


class PictureEmbedding(nn.Module):
    """Latents of portraits to a token each. Begun, it says nothing: what was learnt without it is as it was."""

    def __init__(self, config: EmbeddingConfig, channels: int, context: int) -> None:
        super().__init__()
        widths = (channels, *config.widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.GroupNorm(config.groups, width) for width in config.widths)
        self.fc = nn.Linear(config.widths[-1], context)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, latents: Tensor) -> Tensor:
        """(n, c, h, w) to context (n, 1, d)."""
        x = latents
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.silu(norm(conv(x)))
        token: Tensor = self.fc(x.mean((2, 3)))
        return token[:, None]
