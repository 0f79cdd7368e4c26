"""The net of X-NeMo's motion encoder: an hourglass for landmarks (FAN) with three looks at the whole face between.

Names and shapes are the released file's, so that its weights fit; the bottleneck is one map of 28x28 places and one
matrix. The looks begin silent: without them it is PD-FGC's `FAN_use`, whose weights fit too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import BadOption


@dataclass(frozen=True, kw_only=True)
class FanConfig:
    """Every number that shapes it. `width`: channels of the hourglass, twice those before it and four times the first;
    `depth`: how often the hourglass halves; `points`: landmarks that it was once for; `tokens`: numbers of a place that
    looks; `patches`: pixels to a side of such a place, at 112x112 and at 56x56."""

    side: int
    width: int
    depth: int
    points: int
    tokens: int
    heads: int
    patches: tuple[int, int]
    dropout: float

    def __post_init__(self) -> None:
        if self.tokens % (self.heads * max(self.patches) ** 2):
            raise BadOption(f"{self.tokens} numbers do not divide into {self.heads} heads or {self.patches} patches")


class ConvBlock(nn.Module):
    """Three convolutions one after the other, all of which are kept side by side, as a branch."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        shortcut = (nn.BatchNorm2d(width_in), nn.ReLU(), nn.Conv2d(width_in, width, 1, bias=False))
        self.downsample = nn.Sequential(*shortcut) if width_in != width else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, h, w) to (n, width, h, w)."""
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        straight = x if self.downsample is None else self.downsample(x)
        added: Tensor = torch.cat([first, second, third], 1) + straight
        return added


class HourGlass(nn.Module):
    """Down and up again, something of every size kept on the way."""

    def __init__(self, depth: int, width: int, dropout: float) -> None:
        super().__init__()
        self.depth = depth
        self.dropout = nn.Dropout(dropout)
        for level in range(depth, 0, -1):
            self.add_module(f"b1_{level}", ConvBlock(width, width))
            self.add_module(f"b2_{level}", ConvBlock(width, width))
        self.add_module("b2_plus_1", ConvBlock(width, width))
        for level in range(1, depth + 1):
            self.add_module(f"b3_{level}", ConvBlock(width, width))

    def forward(self, x: Tensor, level: int | None = None) -> Tensor:
        """(n, width, h, w)."""
        level = self.depth if level is None else level
        kept = self.dropout(self.get_submodule(f"b1_{level}")(x))
        below = self.get_submodule(f"b2_{level}")(F.max_pool2d(x, 2))
        below = self.forward(below, level - 1) if level > 1 else self.get_submodule("b2_plus_1")(below)
        below = self.get_submodule(f"b3_{level}")(below)
        whole: Tensor = kept + F.interpolate(below, kept.shape[-2:], mode="bilinear")
        return whole


class Gated(nn.Module):
    """GEGLU (Shazeer 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, -1)
        return cast(Tensor, value * F.gelu(gate))


class SelfAttention(nn.Module):
    """Every place looks at all places."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, k, width)."""
        q, k, v = (look(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for look in (self.to_q, self.to_k, self.to_v))
        looked: Tensor = self.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return looked


class Thinking(nn.Module):
    """A look and a thought."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList([SelfAttention(width, heads)])
        self.norms = nn.ModuleList([nn.LayerNorm(width)])
        self.ff = nn.Module()
        self.ff.net = nn.Sequential(Gated(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, k, width)."""
        x = x + self.attention_blocks[0](self.norms[0](x))
        thought: Tensor = x + cast(nn.Module, self.ff.net)(self.ff_norm(x))
        return thought


class Patches(nn.Module):
    """Squares of a map as tokens, with where they are."""

    places: Tensor

    def __init__(self, width: int, tokens: int, patch: int, side: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(width, tokens, patch, stride=patch)
        self.register_buffer("places", grid(side // patch, tokens), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w) to (n, k, tokens)."""
        found: Tensor = self.proj(x).flatten(2).transpose(1, 2) + self.places
        return found


class Look(nn.Module):
    """One look at the whole map, as a branch that begins silent."""

    def __init__(self, width: int, config: FanConfig, patch: int, side: int) -> None:
        super().__init__()
        self.patch = patch
        self.norm = nn.GroupNorm(min(32, width), width, eps=1e-6)
        self.pos_embed = Patches(width, config.tokens, patch, side)
        self.transformer_blocks = nn.ModuleList([Thinking(config.tokens, config.heads)])
        self.proj_out = nn.Linear(config.tokens // patch**2, width)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w)."""
        high, wide = (size // self.patch for size in x.shape[-2:])
        seen = self.transformer_blocks[0](self.pos_embed(self.norm(x)))
        seen = self.proj_out(seen.reshape(len(x), high, wide, self.patch, self.patch, -1))
        back = seen.permute(0, 5, 1, 3, 2, 4).reshape(x.shape)  # (n, c, h, p, w, q)
        changed: Tensor = x + back
        return changed


class FanNet(nn.Module):
    """Pictures (n, 3, side, side) in [-1, 1] to codes (n, code)."""

    def __init__(self, config: FanConfig, code: int) -> None:
        super().__init__()
        width, half, quarter = config.width, config.width // 2, config.width // 4
        coarse, fine = config.side // 4, config.side // 2
        self.conv1 = nn.Conv2d(3, quarter, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(quarter)
        self.conv2 = ConvBlock(quarter, half)
        self.conv3 = ConvBlock(half, half)
        self.conv4 = ConvBlock(half, width)
        self.m0 = HourGlass(config.depth, width, config.dropout)
        self.top_m_0 = ConvBlock(width, width)
        self.conv_last0 = nn.Conv2d(width, width, 1)
        self.l0 = nn.Conv2d(width, config.points, 1)
        self.bn_end0 = nn.BatchNorm2d(width)
        self.conv6 = nn.Conv2d(config.points, 1, 3, stride=2, padding=1)
        self.fc = nn.Linear((coarse // 2) ** 2, code)
        self.bn5 = nn.BatchNorm2d(config.points)
        self.att_1 = Look(half, config, config.patches[0], fine)
        self.att_2 = Look(width, config, config.patches[1], coarse)
        self.att_3 = Look(width, config, config.patches[1], coarse)

    def forward(self, faces: Tensor) -> Tensor:
        """See the class."""
        x = self.att_1(self.conv2(F.relu(self.bn1(self.conv1(faces)))))
        x = self.att_2(self.conv4(self.conv3(F.max_pool2d(x, 2))))
        x = self.att_3(self.bn_end0(self.conv_last0(self.top_m_0(self.m0(x)))))
        x = self.conv6(F.relu(self.bn5(self.l0(F.relu(x)))))
        code: Tensor = self.fc(F.relu(x.flatten(1)))
        return code


def grid(side: int, width: int) -> Tensor:
    """Where each of side x side places is, (side^2, width): sines and cosines of its column, then of its row, as
    diffusers' `get_2d_sincos_pos_embed`."""
    frequency = 10_000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], 1)
    columns, rows = line.repeat(side, 1), line.repeat_interleave(side, 0)
    return torch.cat([columns, rows], 1).float()
