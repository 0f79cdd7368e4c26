"""The U-Net that draws: noisy latents, a level per frame, notes on the portrait and what the driver does, in;
an answer about the noise, out. One class for SD 1.5, X-Portrait, X-Portrait 2, and the small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.generator.blocks import (
    CodeConfig,
    DownBlock,
    LayerConfig,
    MidBlock,
    Note,
    Notes,
    Stage,
    TimeConfig,
    Told,
    Transformer,
    UpBlock,
)
from understudy.generator.layers import KeyValue, LevelEmbedding, PictureNorm, fitted, silent


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """Every number that shapes a U-Net's weights. `widths` and `attended` have one entry for each resolution, finest
    first; `context` is the width of the tokens that all layers are told (CLIP's, or learnt ones)."""

    channels: int
    widths: tuple[int, ...]
    attended: tuple[bool, ...]
    layers: int
    heads: int
    groups: int
    context: int
    time: TimeConfig | None = None
    code: CodeConfig | None = None

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.attended):
            raise BadOption(f"{len(self.widths)} widths do not go with {len(self.attended)} entries of attended")
        for width in self.widths:
            for parts in (
                self.heads,
                self.groups,
                *(side.heads * side.divide for side in (self.time, self.code) if side),
            ):
                if width % parts:
                    raise BadOption(f"width {width} does not divide into {parts} heads or groups")

    @property
    def layer(self) -> LayerConfig:
        """What all layers have in common."""
        return LayerConfig(
            embedding=4 * self.widths[0],
            groups=self.groups,
            heads=self.heads,
            context=self.context,
            time=self.time,
            code=self.code,
        )

    @property
    def skips(self) -> tuple[int, ...]:
        """Widths of what the way down leaves for the way up, in the order in which it is left."""
        each = [width for width in self.widths for _ in range(self.layers + 1)]
        return (self.widths[0], *each[:-1])  # every block leaves its layers and what it halved, the last halves nothing


class Encoder(nn.Module):
    """The way down and the middle: what a U-Net shares with a ControlNet."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, layer = config.widths, config.layer
        self.conv_in = nn.Conv2d(config.channels, widths[0], 3, padding=1)
        self.time_embedding = LevelEmbedding(widths[0], layer.embedding)
        self.down_blocks = nn.ModuleList(
            DownBlock(before, width, config.layers, layer, attended=attended, last=level == len(widths) - 1)
            for level, (before, width, attended) in enumerate(
                zip((widths[0], *widths), widths, config.attended, strict=False)
            )
        )
        self.mid_block = MidBlock(widths[-1], layer)

    def told(self, level: Tensor, context: Tensor, code: Tensor | None, frames: int) -> Told:
        """What every layer is told, in the type of the weights. `level` (n,)."""
        kind = self.conv_in.weight.dtype
        code = None if code is None else fitted(code.to(kind), len(level))
        return Told(self.time_embedding(level), context.to(kind), code, frames)

    def down(
        self, x: Tensor, told: Told, notes: Notes, hint: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Latents (n, c, h, w) -> the middle, what was left on the way (`UNetConfig.skips`), the notes taken."""
        x = self.conv_in(x)
        x = x if hint is None else x + hint
        skips, taken = [x], []
        for block in self.down_blocks:
            x, left, notes_taken = block(x, told, notes)
            skips += left
            taken += notes_taken
        x, notes_taken = self.mid_block(x, told, notes)
        return x, skips, taken + notes_taken


class Body(Encoder):
    """All of a U-Net but its answer: what the reference net is."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.config = config
        left = list(config.skips)
        before = config.widths[-1]
        blocks: list[nn.Module] = []
        for width, attended in zip(reversed(config.widths), reversed(config.attended), strict=True):
            mine = [left.pop() for _ in range(config.layers + 1)]
            widths_in = [above + skip for above, skip in zip([before] + [width] * config.layers, mine, strict=True)]
            blocks.append(UpBlock(widths_in, width, config.layer, attended=attended, last=not left))
            before = width
        self.up_blocks = nn.ModuleList(blocks)

    def up(self, x: Tensor, skips: Sequence[Tensor], told: Told, notes: Notes) -> tuple[Tensor, list[Tensor]]:
        """From the middle up -> the picture (n, c, h, w), the notes taken."""
        left, taken, each = list(skips), [], self.config.layers + 1
        for block in self.up_blocks:
            x, notes_taken = block(x, left[-each:], told, notes)
            left = left[:-each]
            taken += notes_taken
        return x, taken

    def transformers(self) -> list[Transformer]:
        """The layers that take and read notes, in the order in which they come."""
        stages = cast(list[Stage], [*self.down_blocks, self.mid_block, *self.up_blocks])
        return [cast(Transformer, layer) for stage in stages for layer in stage.attentions]


class UNet(Body):
    """Answers what `Prediction` says about noisy latents."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.conv_norm_out = PictureNorm(config.groups, config.widths[0], eps=1e-5)
        self.conv_out = silent(nn.Conv2d(config.widths[0], config.channels, 3, padding=1))

    def remembered(self, notes: Sequence[Note]) -> list[KeyValue]:
        """The keys and values that this net sees in notes: prepared once for all frames, steps and windows."""
        return [layer.remembered(note) for layer, note in zip(self.transformers(), notes, strict=True)]

    def forward(
        self,
        noisy: Tensor,
        level: Tensor,
        context: Tensor,
        *,
        notes: Sequence[Note] | None = None,
        controls: Sequence[Tensor] | None = None,
        hint: Tensor | None = None,
        code: Tensor | None = None,
    ) -> Tensor:
        """The answer (b, f, c, h, w), in the type of the weights.

        noisy     (b, f, c, h, w)
        level     (b, f)            or anything that broadcasts to it
        context   (b, k, d)         or (1, k, d) for all, or (b*f, k, d)
        notes     16 of (b, k, c)   from the reference net, or `remembered`; None: as if there were no portrait
        controls  13 of (b*f, ...)  from control nets, added to what the way down leaves and to the middle
        hint      (b*f, w, h, w)    added to what latents become at first
        code      (b, f, k, d)      the driver's motion code, if the net follows one
        """
        films, frames = noisy.shape[:2]
        x = noisy.flatten(0, 1).to(self.conv_in.weight.dtype)
        flat_code = None if code is None else code.flatten(0, 1)
        told = self.told(level.expand(films, frames).flatten(), context, flat_code, frames)
        to_read = repeat(None) if notes is None else iter(notes)
        x, skips, _ = self.down(x, told, to_read, hint=hint)
        if controls is not None:
            *left, middle = controls
            skips = [skip + control for skip, control in zip(skips, left, strict=True)]
            x = x + middle
        x, _ = self.up(x, skips, told, to_read)
        answer: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return answer.reshape(films, frames, *answer.shape[1:])
