"""The parts that every net here is made of. Parameter names are diffusers', so that public weights fit.

`n` pictures, which are `b` films of `f` frames; `c h w` picture; `k d` tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)

LEVEL_STEPS = 1000
"""Training steps of the published models: the nets are told level l as step 1000 l - 1 (see `diffusion.noise`)."""


def silent(module: Module) -> Module:
    """The module with all of its parameters zero: a branch that begins by saying nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def fitted(values: Tensor, count: int) -> Tensor:
    """(b, ...) repeated for the frames of each film, (count, ...), without copying where b is 1 or count."""
    if values.shape[0] == count:
        return values
    repeated = values[:, None].expand(-1, count // values.shape[0], *values.shape[1:])
    return repeated.flatten(0, 1)


def to_tokens(picture: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, h*w, c)."""
    return picture.flatten(2).transpose(1, 2)


def to_picture(tokens: Tensor, like: Tensor) -> Tensor:
    """(n, h*w, c) -> (n, c, h, w), with the sides of `like`."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *like.shape[2:])


class PictureNorm(nn.GroupNorm):
    """Group norm that survives training on a frozen backbone.

    PyTorch 2.13's CPU kernel crashes the process, without a traceback, in the backward pass of an input that is
    channels_last and wants no gradient while the weight does.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.requires_grad and not x.requires_grad:
            x = x.contiguous()
        return super().forward(x)


class LevelEmbedding(nn.Module):
    """What the net is told of the noise: sinusoids of the training step that the level stands for, and two layers."""

    def __init__(self, sinusoids: int, width: int) -> None:
        super().__init__()
        self.sinusoids = sinusoids
        self.linear_1 = nn.Linear(sinusoids, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, level: Tensor) -> Tensor:
        """(n,) -> (n, width)."""
        # Rounded to 1/256 of a step: an fp32 level then gives a whole step exactly. Clean (level 0) counts as step 0.
        step = ((level.float() * LEVEL_STEPS - 1) * 256).round().div(256).clamp(min=0)
        waves = sinusoids(step, self.sinusoids).to(self.linear_1.weight.dtype)
        embedded: Tensor = self.linear_2(F.silu(self.linear_1(waves)))
        return embedded


def sinusoids(values: Tensor, count: int) -> Tensor:
    """(n,) -> (n, count), fp32: cosines, then sines, of wavelengths 2 pi to 20000 pi."""
    half = count // 2
    frequency = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32, device=values.device) / half)
    angle = values.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class KeyValue(NamedTuple):
    """What can be attended to: keys and values, each (b, heads, k, d)."""

    key: Tensor
    value: Tensor


def joined(seen: Iterable[KeyValue], count: int) -> KeyValue:
    """Everything seen, side by side, for `count` pictures."""
    keys, values = zip(*((fitted(key, count), fitted(value, count)) for key, value in seen), strict=True)
    return KeyValue(torch.cat(keys, dim=2), torch.cat(values, dim=2)) if len(keys) > 1 else KeyValue(keys[0], values[0])


def looked(query: Tensor, seen: KeyValue) -> Tensor:
    """What queries (n, heads, q, d) find, (n, heads, q, d).

    While a net learns on a CPU, by plain products: backwards they take a quarter to a half of the fused kernel's time
    where few look at few (64 or 256 places)."""
    if query.device.type == "cpu" and torch.is_grad_enabled():
        weight = (query * query.shape[-1] ** -0.5) @ seen.key.transpose(-1, -2)
        found: Tensor = weight.softmax(-1, dtype=weight.dtype) @ seen.value
        return found
    return F.scaled_dot_product_attention(query, seen.key, seen.value)


class Attention(nn.Module):
    """Multi-head attention, in two halves so that what is seen can be prepared once: `see` it, then look at it."""

    def __init__(self, width: int, heads: int, context: int | None = None, *, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=bias)
        self.to_k = nn.Linear(context or width, width, bias=bias)
        self.to_v = nn.Linear(context or width, width, bias=bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def see(self, context: Tensor) -> KeyValue:
        """Keys and values of tokens (b, k, d)."""
        return KeyValue(self._split(self.to_k(context)), self._split(self.to_v(context)))

    def forward(self, x: Tensor, seen: KeyValue) -> Tensor:
        """Tokens (n, k, width) look at what is seen, by (n, ...) or by (b, ...) for all frames of a film."""
        seen = joined([seen], len(x))
        if seen.key.shape[2] == 1 and not torch.is_grad_enabled():
            return self._merge(seen.value)  # one token has all of the attention, whoever looks
        return self._merge(looked(self._split(self.to_q(x)), seen))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def _merge(self, x: Tensor) -> Tensor:
        merged: Tensor = self.to_out[0](x.transpose(1, 2).flatten(2))
        return merged


class GatedProjection(nn.Module):
    """GEGLU (Shazeer 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = torch.chunk(self.proj(x), 2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Every token thinks for itself, four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(GatedProjection(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        thought: Tensor = self.net(x)
        return thought


class ResnetBlock(nn.Module):
    """Two convolutions around what the net is told of the noise (`embedding` numbers, or None for nothing)."""

    def __init__(self, width_in: int, width: int, *, embedding: int | None, groups: int, eps: float) -> None:
        super().__init__()
        self.norm1 = PictureNorm(groups, width_in, eps=eps)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.time_emb_proj = nn.Linear(embedding, width) if embedding else None
        self.norm2 = PictureNorm(groups, width, eps=eps)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else None

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """(n, width_in, h, w), (n, embedding) -> (n, width, h, w)."""
        inner: Tensor = self.conv1(F.silu(self.norm1(x)))
        if self.time_emb_proj is not None and embedding is not None:
            inner = inner + self.time_emb_proj(F.silu(embedding))[:, :, None, None]
        inner = self.conv2(F.silu(self.norm2(inner)))
        straight: Tensor = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return straight + inner


class Downsample(nn.Module):
    """Half the sides. `even` is the autoencoders' way, padded to the right and below only."""

    def __init__(self, width: int, *, even: bool = False) -> None:
        super().__init__()
        self.even = even
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=0 if even else 1)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)) if self.even else x)
        return halved


class Upsample(nn.Module):
    """Twice the sides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled
