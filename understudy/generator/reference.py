"""The reference net reads the portrait: a U-Net without an answer, that *returns* the note of each of its layers.

The U-Net *takes* them: in each layer, what a place of the picture looks at is the picture itself and, beside it, the
portrait as the same layer of the reference net saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from understudy.generator.control import HintConfig, HintEncoder
from understudy.generator.unet import Body, UNetConfig


@dataclass(frozen=True, kw_only=True)
class ReferenceConfig:
    """`unet`: as wide as the U-Net that reads the notes. `unfed_hint`: X-Portrait's released reference net carries the
    hint encoder of the ControlNet that it was cut from; nothing feeds it, and its weights must have a home."""

    unet: UNetConfig
    unfed_hint: HintConfig | None = None


class ReferenceNet(Body):
    """Latents of portraits to notes."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__(config.unet)
        hint = config.unfed_hint
        self.unfed_hint = HintEncoder(hint, config.unet.widths[0]) if hint else None

    def forward(self, portrait: Tensor, level: Tensor, context: Tensor) -> list[Tensor]:
        """Clean latents (b, c, h, w), level (b,) or one for all, context (b or 1, k, d) -> notes, each (b, k, c).

        X-Portrait tells this net the level of the frames being drawn, X-NeMo that of training step 0.
        """
        told = self.told(level.expand(len(portrait)), context, None, frames=1)
        to_read = repeat(None)
        x, skips, below = self.down(portrait.to(self.conv_in.weight.dtype), told, to_read)
        _, above = self.up(x, skips, told, to_read)
        return below + above


def as_one(notes: Sequence[Tensor]) -> list[Tensor]:
    """Notes on several pictures of one person, (p, k, c), as notes on one person, (1, p*k, c)."""
    return [note.flatten(0, 1)[None] for note in notes]


def thinned(notes: Sequence[Tensor], dropped: float, chance: torch.Generator) -> list[Tensor]:
    """Reference feature masking, for training: each layer and portrait loses that share of its tokens, at random.

    X-NeMo drops 30 %: a net that cannot copy the whole portrait must look at the motion.
    """
    return [sparse(note, dropped, torch.rand(note.shape[:2], generator=chance)) for note in notes]


def sparse(note: Tensor, dropped: float, ranks: Tensor) -> Tensor:
    """A note (b, k, c) without the share `dropped` of its tokens: those with the highest ranks (b, k)."""
    kept = int(note.shape[1] * (1 - dropped))
    order = ranks.argsort(dim=1)[:, :kept].to(note.device)
    return note.gather(1, order[:, :, None].expand(-1, -1, note.shape[2]))
