"""The blocks of a U-Net, and the three things a layer may look at: the picture (and notes on the portrait), the
driver's motion code, and the frames before and after.

    x = resnet(x, level)
    x = attention(x, here and notes, context)     space
    x = motion_module(x, code)                    what the driver does
    x = temporal_module(x, along the film)        before and after

Branches that look at motion and time begin silent, so weights trained without them still work on the first day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.generator.layers import (
    Attention,
    Downsample,
    FeedForward,
    KeyValue,
    PictureNorm,
    ResnetBlock,
    Upsample,
    joined,
    silent,
    sinusoids,
    to_picture,
    to_tokens,
)

Note = Tensor | KeyValue
"""One layer's note on the portrait: tokens (b, k, c), or the keys and values that a layer of the U-Net sees in them."""

Notes = Iterator[Note | None]
"""The notes in the order in which the layers come to them."""


@dataclass(frozen=True, kw_only=True)
class TimeConfig:
    """Attention along the film: AnimateDiff's module. `mid`, `after_upsampler`: where it is put, besides after every
    layer going down and up; X-Portrait goes up first and then looks along time, the others the other way round.
    `longest`: frames that it can look along. `divide`: how much narrower it is than the layer."""

    heads: int
    looks: int
    longest: int
    divide: int
    mid: bool
    after_upsampler: bool


@dataclass(frozen=True, kw_only=True)
class CodeConfig:
    """Attention to the driver's motion code, `width` numbers to a token: X-NeMo's module, after every layer."""

    heads: int
    looks: int
    width: int
    divide: int


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """What all layers of a net have in common."""

    embedding: int
    groups: int
    heads: int
    context: int
    time: TimeConfig | None
    code: CodeConfig | None


@dataclass(frozen=True)
class Told:
    """What every layer is told about the n = b*f pictures."""

    embedding: Tensor  # (n, e) the noise level
    context: Tensor  # (b or n, k, d)
    code: Tensor | None  # (n, k, d) the driver's motion
    frames: int  # f


class TransformerBlock(nn.Module):
    """Looks at the picture and at notes on the portrait, then at the context, then thinks."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = Attention(width, heads, context)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def remembered(self, note: Note) -> KeyValue:
        """The keys and values of a note: the same for all frames, steps and windows."""
        return note if isinstance(note, KeyValue) else self.attn1.see(note)

    def forward(self, x: Tensor, context: Tensor, note: Note | None) -> tuple[Tensor, Tensor]:
        """Tokens (n, k, c) -> the same, and the note (n, k, c) that this layer takes."""
        here = self.norm1(x)
        seen = [self.attn1.see(here)] + ([self.remembered(note)] if note is not None else [])
        x = x + self.attn1(here, joined(seen, len(x)))
        x = x + self.attn2(self.norm2(x), self.attn2.see(context))
        return x + self.ff(self.norm3(x)), here


class Transformer(nn.Module):
    """A transformer block on the tokens of a picture, as a branch."""

    def __init__(self, width: int, config: LayerConfig) -> None:
        super().__init__()
        self.norm = PictureNorm(config.groups, width, eps=1e-6)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, config.heads, config.context)])
        self.proj_out = silent(nn.Conv2d(width, width, 1))

    def remembered(self, note: Note) -> KeyValue:
        """The keys and values of a note."""
        return cast(TransformerBlock, self.transformer_blocks[0]).remembered(note)

    def forward(self, x: Tensor, context: Tensor, note: Note | None) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) -> the same, and the note that this layer takes."""
        inner, taken = self.transformer_blocks[0](to_tokens(self.proj_in(self.norm(x))), context, note)
        return x + self.proj_out(to_picture(inner, like=x)), taken


class Positions(nn.Module):
    """Where in the window a frame is, added to its tokens: sines and cosines interleaved, a buffer as published."""

    pe: Tensor

    def __init__(self, width: int, longest: int) -> None:
        super().__init__()
        cosines, sines = sinusoids(torch.arange(longest), width).chunk(2, dim=1)
        self.register_buffer("pe", torch.stack([sines, cosines], dim=2).flatten(1)[None])

    def forward(self, x: Tensor) -> Tensor:
        """(n, f, c)."""
        if x.shape[1] > self.pe.shape[1]:
            raise BadOption(
                "The window is longer than this network can look along",
                f"{x.shape[1]} frames, at most {self.pe.shape[1]}",
                "a smaller window",
            )
        return x + self.pe[:, : x.shape[1]]


class Look(Attention):
    """One look: along the tokens themselves, with positions, or at a context of other width."""

    def __init__(self, width: int, heads: int, context: int | None, longest: int | None) -> None:
        super().__init__(width, heads, context)
        self.pos_encoder = Positions(width, longest) if longest else None

    def at(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Tokens (n, k, c) look at the context, or at each other."""
        if self.pos_encoder is not None:
            x = self.pos_encoder(x)
        looked: Tensor = self(x, self.see(x if context is None else context))
        return looked


class Looks(nn.Module):
    """Several looks, one after the other, and a thought."""

    def __init__(self, width: int, heads: int, looks: int, context: int | None, longest: int | None) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(Look(width, heads, context, longest) for _ in range(looks))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(looks))
        self.ff = FeedForward(width)
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(n, k, c) -> the same."""
        for look, norm in zip(self.attention_blocks, self.norms, strict=True):
            x = x + cast(Look, look).at(norm(x), context)
        thought: Tensor = x + self.ff(self.ff_norm(x))
        return thought


class SideBranch(nn.Module):
    """What the motion and the time module have in common: tokens in, looks, tokens out, silent at first."""

    def __init__(self, width: int, inner: int, groups: int, looks: Looks) -> None:
        super().__init__()
        self.norm = PictureNorm(groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, inner)
        self.transformer_blocks = nn.ModuleList([looks])
        self.proj_out = silent(nn.Linear(inner, width))

    def tokens(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, h*w, inner)."""
        projected: Tensor = self.proj_in(to_tokens(self.norm(x)))
        return projected

    def added(self, x: Tensor, inner: Tensor) -> Tensor:
        """`x` and what the looks at its tokens came to."""
        return x + to_picture(self.proj_out(inner), like=x)


class MotionModule(nn.Module):
    """Every place of the picture looks at the driver's motion code of its frame."""

    def __init__(self, width: int, groups: int, config: CodeConfig) -> None:
        super().__init__()
        inner = width // config.divide
        looks = Looks(inner, config.heads, config.looks, context=config.width, longest=None)
        self.temporal_transformer = SideBranch(width, inner, groups, looks)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """(n, c, h, w), (n, k, d) -> (n, c, h, w)."""
        branch = self.temporal_transformer
        return branch.added(x, branch.transformer_blocks[0](branch.tokens(x), code))


class TimeModule(nn.Module):
    """Every place of the picture looks at the same place in the frames before and after."""

    def __init__(self, width: int, groups: int, config: TimeConfig) -> None:
        super().__init__()
        inner = width // config.divide
        looks = Looks(inner, config.heads, config.looks, context=None, longest=config.longest)
        self.temporal_transformer = SideBranch(width, inner, groups, looks)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        """(b*f, c, h, w) -> the same."""
        branch = self.temporal_transformer
        here = branch.tokens(x)
        here = here.reshape(-1, frames, *here.shape[1:]).transpose(1, 2)  # (b, h*w, f, c)
        along = branch.transformer_blocks[0](here.flatten(0, 1)).reshape(here.shape)
        return branch.added(x, along.transpose(1, 2).flatten(0, 1))


class Stage(nn.Module):
    """The layers of one resolution. `widths_in`: what goes into each resnet; `looking`: how many layers look."""

    def __init__(
        self,
        widths_in: Sequence[int],
        width: int,
        config: LayerConfig,
        *,
        looking: int,
        attended: bool,
        time: TimeConfig | None,
    ) -> None:
        super().__init__()
        resnets = [
            ResnetBlock(wide, width, embedding=config.embedding, groups=config.groups, eps=1e-5) for wide in widths_in
        ]
        for resnet in resnets:
            silent(resnet.conv2)
        self.resnets = nn.ModuleList(resnets)
        layers, groups, code = range(looking), config.groups, config.code
        self.attentions = nn.ModuleList(Transformer(width, config) for _ in layers if attended)
        self.motion_modules = nn.ModuleList(MotionModule(width, groups, code) for _ in layers if code)
        self.temporal_modules = nn.ModuleList(TimeModule(width, groups, time) for _ in layers if time)

    def look(self, index: int, x: Tensor, told: Told, notes: Notes) -> tuple[Tensor, list[Tensor]]:
        """One layer's look at the picture, the notes and the motion code; and the note that it takes itself."""
        taken: list[Tensor] = []
        if self.attentions:
            x, note = self.attentions[index](x, told.context, next(notes))
            taken.append(note)
        if self.motion_modules:
            if told.code is None:
                raise BadOption("This network follows a motion code and was given none")
            x = self.motion_modules[index](x, told.code)
        return x, taken

    def along(self, index: int, x: Tensor, told: Told) -> Tensor:
        """One layer's look along the film."""
        return self.temporal_modules[index](x, told.frames) if self.temporal_modules else x


class DownBlock(Stage):
    """Layers, then half the sides (but for the last block)."""

    def __init__(
        self, width_in: int, width: int, layers: int, config: LayerConfig, *, attended: bool, last: bool
    ) -> None:
        widths_in = [width_in] + [width] * (layers - 1)
        super().__init__(widths_in, width, config, looking=layers, attended=attended, time=config.time)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(width)])

    def forward(self, x: Tensor, told: Told, notes: Notes) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """-> the picture, what the way up will want to see of it, the notes taken."""
        skips: list[Tensor] = []
        taken: list[Tensor] = []
        for index, resnet in enumerate(self.resnets):
            x, note = self.look(index, resnet(x, told.embedding), told, notes)
            x = self.along(index, x, told)
            skips.append(x)
            taken += note
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return x, skips, taken


class MidBlock(Stage):
    """A resnet, one look, a resnet."""

    def __init__(self, width: int, config: LayerConfig) -> None:
        time = config.time if config.time and config.time.mid else None
        super().__init__([width, width], width, config, looking=1, attended=True, time=time)

    def forward(self, x: Tensor, told: Told, notes: Notes) -> tuple[Tensor, list[Tensor]]:
        """-> the picture, the notes taken."""
        x, taken = self.look(0, self.resnets[0](x, told.embedding), told, notes)
        return self.resnets[1](self.along(0, x, told), told.embedding), taken


class UpBlock(Stage):
    """Layers, each with what the way down left for it, and twice the sides (but for the last block)."""

    def __init__(
        self, widths_in: Sequence[int], width: int, config: LayerConfig, *, attended: bool, last: bool
    ) -> None:
        super().__init__(widths_in, width, config, looking=len(widths_in), attended=attended, time=config.time)
        self.upsamplers = nn.ModuleList([] if last else [Upsample(width)])
        self.time_last = config.time is not None and config.time.after_upsampler

    def forward(self, x: Tensor, skips: list[Tensor], told: Told, notes: Notes) -> tuple[Tensor, list[Tensor]]:
        """`skips`: one for each layer. -> the picture, the notes taken."""
        taken: list[Tensor] = []
        final = len(self.resnets) - 1
        for index, (resnet, skip) in enumerate(zip(self.resnets, reversed(skips), strict=True)):
            x, note = self.look(index, resnet(torch.cat([x, skip], dim=1), told.embedding), told, notes)
            if index < final or not self.time_last:
                x = self.along(index, x, told)
            taken += note
        for upsample in self.upsamplers:
            x = upsample(x)
        return (self.along(final, x, told) if self.time_last else x), taken
