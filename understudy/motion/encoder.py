"""The motion encoder of X-Portrait 2: a face's picture to a code of what it does, blind to whose face it is.

A code is short, which is the filter that keeps looks out (family of X-NeMo: 512 numbers; small: `EncoderConfig.code`).
Beside it goes the box: centre and size of the face in the driver's own frame. Both know of no portrait. They become
tokens, which a generator attends to, only when it is known what the box is to be measured against.

The small encoder and the published one (`motion.fan`) are two values of `EncoderConfig`: what differs is the net.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import BadOption
from understudy.motion.code import TURN, TURNS
from understudy.motion.fan import FanConfig, FanNet

SIZE: Final = 1.45
"""From eyes and mouth to about what a face measures from brows to chin."""
TOGETHER: Final = 16
"""Faces that are encoded at once: a fixed number, so that the chunks in which they come change nothing."""


@dataclass(frozen=True, kw_only=True)
class FaceNetConfig:
    """Every number that shapes the small net. `fold`: pixels to a side of what is folded into channels at first;
    `widths` and `blocks` of each resolution, each half as fine as the one before; `squeezed`: channels of the last map,
    which is read as a whole, so that where something is counts as much as what it is."""

    fold: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    groups: int
    squeezed: int

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or any(width % self.groups for width in self.widths):
            raise BadOption(
                f"widths {self.widths} do not go with blocks {self.blocks} and {self.groups} groups",
                remedy="as many blocks as widths, and widths that are multiples of groups",
            )


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Every number that shapes an encoder, and what it was trained to see.

    `side`: pixels of a face's picture, which shows `room` times the size of its box. `code`: numbers of a code.
    `normal`: what is done to a code last; "layer" gives each the same mean and length, "batch" each of its numbers the
    same mean and deviation over all faces. `tokens` of `width` numbers are made of a code and of `box` numbers about
    the box. `named`: how many curves its linear map has names for, or 0 for no such map.
    """

    side: int
    room: float
    net: FaceNetConfig | FanConfig
    code: int
    normal: Literal["none", "layer", "batch"]
    tokens: int
    width: int
    box: int
    named: int

    def __post_init__(self) -> None:
        shrunk = 2 ** (len(self.net.widths) - 1) * self.net.fold if isinstance(self.net, FaceNetConfig) else 32
        if self.side % shrunk:
            raise BadOption(f"pictures of {self.side} pixels cannot be halved so often", f"{shrunk} times smaller")


class Codes(Protocol):
    """A net that says in numbers what it sees of a face."""

    def __call__(self, faces: Tensor) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1] to (n, code)."""
        ...


class Residual(nn.Module):
    """Two convolutions, as a branch that begins as nothing: so a net that has learnt may be given more of them."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, h, w)."""
        inner = self.conv1(F.silu(self.norm1(x)))
        changed: Tensor = x + self.conv2(F.silu(self.norm2(inner)))
        return changed


class FaceNet(nn.Module):
    """The small net: convolutions down to a map of some places, read as a whole."""

    def __init__(self, config: FaceNetConfig, side: int, code: int) -> None:
        super().__init__()
        self.fold = config.fold
        self.conv_in = nn.Conv2d(3 * config.fold**2, config.widths[0], 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(config.widths))
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Residual(width, config.groups) for _ in range(count)))
            for width, count in zip(config.widths, config.blocks, strict=True)
        )
        last = side // config.fold // 2 ** (len(config.widths) - 1)
        self.norm_out = nn.GroupNorm(config.groups, config.widths[-1])
        self.squeeze = nn.Conv2d(config.widths[-1], config.squeezed, 1)
        self.fc = nn.Linear(config.squeezed * last * last, code)

    def forward(self, faces: Tensor) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1] to (n, code)."""
        x = self.blocks[0](self.conv_in(F.pixel_unshuffle(faces, self.fold)))
        for down, block in zip(self.downs, list(self.blocks)[1:], strict=True):
            x = block(down(x))
        seen: Tensor = self.fc(F.silu(self.squeeze(F.silu(self.norm_out(x)))).flatten(1))
        return seen

    @torch.no_grad()
    def follow(self, matrix: Tensor, rest: Tensor) -> None:
        """From now on give matrix @ code + rest, of matrix (code, code) and rest (code,), for nothing."""
        self.fc.bias.copy_(matrix @ self.fc.bias + rest)
        self.fc.weight.copy_(matrix @ self.fc.weight)


class Probe(nn.Module):
    """What is known of codes by their numbers: a linear map to named curves and back, and the code of a face at rest.

    Measured when weights are kept, never learnt: nothing of it is in the loss."""

    reading: Tensor
    rest: Tensor
    making: Tensor
    neutral: Tensor

    def __init__(self, named: int, code: int) -> None:
        super().__init__()
        self.register_buffer("reading", torch.zeros(named, code))  # curves = reading @ code + rest
        self.register_buffer("rest", torch.zeros(named))
        self.register_buffer("making", torch.zeros(named, code))  # what a whole curve adds to a code
        self.register_buffer("neutral", torch.zeros(code))

    def curves(self, code: Tensor) -> Tensor:
        """(n, code) to (n, named)."""
        return code @ self.reading.T + self.rest


class Encoder(nn.Module):
    """Faces to codes; codes and boxes to tokens."""

    pe: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.model: nn.Module = (
            FanNet(config.net, config.code)
            if isinstance(config.net, FanConfig)
            else FaceNet(config.net, config.side, config.code)
        )
        self.normal = nn.BatchNorm1d(config.code, affine=False) if config.normal == "batch" else None
        self.bbox_proj = nn.Sequential(
            nn.Linear(3, config.box), nn.ReLU(), nn.Identity(), nn.Linear(config.box, config.box)
        )
        self.final_proj = nn.Linear(config.code + config.box, config.tokens * config.width)
        self.register_buffer("pe", places(config.tokens, config.width)[None])
        self.probe = Probe(config.named, config.code) if config.named else None

    def encode(self, faces: Tensor) -> Tensor:
        """Pictures (n, 3, side, side) in [-1, 1] to codes (n, code); each depends on its own picture alone, but for
        `normal="batch"` while that is learnt."""
        code: Tensor = self.model(faces)
        if self.config.normal == "layer":
            return F.layer_norm(code.float(), code.shape[1:])
        return code if self.normal is None else self.normal(code.float())

    def tokens(self, code: Tensor, box: Tensor) -> Tensor:
        """Codes (n, code) and relative boxes (n, 3), see `relative`, to tokens (n, tokens, width)."""
        kind = self.final_proj.weight.dtype
        both = torch.cat([code.to(kind), self.bbox_proj(box.to(kind))], 1)
        made: Tensor = self.final_proj(both).reshape(len(code), self.config.tokens, self.config.width) + self.pe
        return made

    def turns(self, code: Tensor) -> Tensor:
        """How the heads are turned whose codes (n, code) these are: (n, 3) radians of yaw, pitch and roll, as the
        probe reads them. Raises BadOption where codes have no names."""
        if self.probe is None:
            raise BadOption("this encoder does not know what its codes say of a head's turn", "named=0")
        return torch.deg2rad(self.probe.curves(code.float())[:, -TURNS:] * TURN)

    def seen(self, pictures: Tensor, boxes: Tensor) -> Tensor:
        """Codes (n, code) of the faces that boxes (n, 3) say are in pictures (n, 3, h, w)."""
        return self.encode(cut(pictures, boxes, self.config.side, self.config.room))


def places(count: int, width: int) -> Tensor:
    """(count, width): sines, then cosines of a token's number, of wavelengths 2 pi to 20000 pi, as published."""
    frequency = 10_000 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angle = torch.arange(count, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], 1).float()


# --- boxes: (centre x, centre y, size) in pixels from the corner ------------------------------------------------------


def boxed(centres: Tensor) -> Tensor:
    """The box (n, 3) of a face whose eyes and mouth are at (n, 3, 2): midway between, `SIZE` times as large as they are
    apart.

    Nothing of it hangs on jaw or brows: how a tracker draws them round a turned head, and how the cast does, are two
    things (at 45 degrees, a seventh of a face apart); of eyes and mouth they agree."""
    left, right, mouth = centres.unbind(1)
    eyes = (left + right) / 2
    size = SIZE * torch.cat([right - left, mouth - eyes], 1).norm(dim=1, keepdim=True)
    return torch.cat([(eyes + mouth) / 2, size], 1)


def relative(boxes: Tensor, to: Tensor) -> Tensor:
    """Boxes (n, 3) measured against another (n or 1, 3): how far down and to the right, in its sizes, and how large
    (X-NeMo's order). `to` is the box where the driver does what the portrait does, or, in one frame with it, the
    portrait's own."""
    size = to[:, 2:].clamp_min(1e-3)
    return torch.cat([(boxes[:, :2] - to[:, :2]).flip(1) / size, boxes[:, 2:] / size], 1)


def carried(boxes: Tensor, to: Tensor, own: Tensor) -> Tensor:
    """Where a face of another size and place (n or 1, 3) goes that does as `boxes` (n, 3) do, measured against `to`."""
    down, right, larger = relative(boxes, to).unbind(1)
    x, y, size = own.unbind(1)
    return torch.stack([x + right * size, y + down * size, size * larger], 1)


def cut(pictures: Tensor, boxes: Tensor, side: int, room: float, bent: Tensor | None = None) -> Tensor:
    """(n, c, side, side): squares of `room` times the size of boxes (n, 3), out of pictures (n, c, h, w); beyond the
    edge -1, which is black. `bent` (n, 2, side, side): where to look besides, in halves of the square."""
    count, _, height, width = pictures.shape
    at = (torch.arange(side, device=pictures.device, dtype=torch.float32) * 2 + 1) / side - 1
    x, y = at.expand(side, side), at[:, None].expand(side, side)
    look = torch.stack([x, y])[None].expand(count, -1, -1, -1)
    look = look if bent is None else look + bent
    half = (boxes[:, 2] * room / 2)[:, None, None]
    across = (boxes[:, 0, None, None] + look[:, 0] * half) * (2 / width) - 1
    down = (boxes[:, 1, None, None] + look[:, 1] * half) * (2 / height) - 1
    grid = torch.stack([across, down], 3)
    seen = F.grid_sample(pictures.float() + 1, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return seen - 1


@torch.no_grad()
def in_groups(encoder: Encoder, faces: Sequence[Tensor] | Tensor) -> Tensor:
    """Codes (n, code) of faces (n, 3, side, side), `TOGETHER` at a time."""
    groups = torch.split(torch.stack(list(faces)) if not isinstance(faces, Tensor) else faces, TOGETHER)
    return torch.cat([encoder.encode(group) for group in groups])
