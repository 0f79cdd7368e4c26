"""Pictures of the cast made to look as if a camera had taken them: what nets that shall read real footage learn from.

A sample's chance is its own (see `Chances`), and all arithmetic is element by element or sample by sample: what comes
out for a sample does not depend on its neighbours, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.errors import BadOption

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # of brightness, ITU-R BT.601
SOFTEST: Final = 2.2  # pixels of 256: standard deviation of the strongest blur
_TAPS: Final = 2.5  # standard deviations to which a blur reaches
_PURPOSE: Final = 0x7661_7279
_BLOCK: Final = 8
# How coarsely brightness and colour are kept at quality 50: ITU-T T.81, tables K.1 and K.2.
_BRIGHT: Final = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_COLOUR: Final = (17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99)  # upper left 4 x 4; 99 elsewhere


class Chances(Protocol):
    """One stream of chance per sample: `train.task.Chance` is one. Samples with the same number, such as the frames of
    a film, are varied alike."""

    def uniform(self, *shape: int, purpose: int) -> Tensor:
        """Numbers in [0, 1), (samples, *shape), on the CPU; different purposes are independent."""
        ...

    def normal(self, *shape: int, purpose: int) -> Tensor:
        """Gaussian numbers likewise."""
        ...


@dataclass(frozen=True, kw_only=True)
class Variation:
    """How likely each change is, 0 to 1. They are made in this order."""

    background: float
    """Another background: even, blobs, stripes, a texture, or another picture."""
    light: float
    """Light from another side."""
    colour: float
    """Exposure, contrast, saturation, hue, white balance."""
    grey: float
    """No colour at all."""
    blur: float
    grain: float
    compression: float
    """Blocks, as JPEG and video codecs leave them."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise BadOption("A likelihood is from 0 to 1", f"{field.name}={getattr(self, field.name)}", "0.5")


NOTHING = Variation(background=0, light=0, colour=0, grey=0, blur=0, grain=0, compression=0)
FOOTAGE = Variation(background=0.7, light=0.5, colour=0.8, grey=0.04, blur=0.4, grain=0.4, compression=0.4)
"""For the pictures of a driver: a fifth and more of them keep each property, so that the cast stays known."""


def varied(
    pictures: Tensor,
    background: Tensor,
    chance: Chances,
    variation: Variation = FOOTAGE,
    others: Tensor | None = None,
) -> Tensor:
    """`pictures` (n, 3, h, w) in [-1, 1], varied, in the same range. `background` (n, 1, h, w) in [0, 1] says where the
    background is; `others` (n, 3, h, w): a picture for each that may come to be its background."""
    high, wide = pictures.shape[-2:]
    if background.shape != (len(pictures), 1, high, wide) or (others is not None and others.shape != pictures.shape):
        given = f"pictures {tuple(pictures.shape)}, background {tuple(background.shape)}"
        raise BadOption("Each picture needs its own background", given, "masks (n, 1, h, w), others like the pictures")
    numbers = _Numbers(chance, {})
    # on a CPU one by one: a picture stays in the cache, and a gather of several costs more than most changes
    cut = 1 if pictures.device.type == "cpu" else max(len(pictures), 1)
    parts = [torch.arange(i, min(i + cut, len(pictures))) for i in range(0, len(pictures), cut)]
    done = []
    for rows in parts:
        distant = None if others is None else _unit(others, rows)
        done.append(_changed(_unit(pictures, rows), _some(background, rows), distant, numbers, rows, variation))
    return torch.cat(done).mul_(2).sub_(1).to(pictures.dtype) if done else pictures.clone()


def _changed(
    x: Tensor, behind: Tensor, others: Tensor | None, numbers: _Numbers, samples: Tensor, variation: Variation
) -> Tensor:
    """Pictures in [0, 1], which may be written to, `samples` being their places in the whole batch."""
    kinds: tuple[tuple[float, Callable[[Tensor, Tensor, _Draws], Tensor]], ...] = (
        (variation.background, lambda x, rows, draw: _elsewhere(x, behind, others, rows, draw)),
        (variation.light, lambda x, rows, draw: _lit(x, draw)),
        (variation.colour, lambda x, rows, draw: _coloured(x, draw)),
        (variation.grey, lambda x, rows, draw: _brightness(x).repeat(1, 3, 1, 1)),
        (variation.blur, lambda x, rows, draw: _blurred(x, draw)),
        (variation.grain, lambda x, rows, draw: _grained(x, draw)),
        (variation.compression, lambda x, rows, draw: _compressed(x, draw)),
    )
    for kind, (likely, change) in enumerate(kinds):
        draw = _Draws(numbers, _PURPOSE + 16 * kind, samples, x.device)
        rows = (draw(device="cpu") < likely).nonzero()[:, 0]
        if len(rows) == len(x):
            x = change(x, rows, draw).clamp_(0, 1)
        elif len(rows):
            there = rows.to(x.device)
            x[there] = change(x[there], rows, draw.of(rows)).clamp_(0, 1)
    return x


def _some(values: Tensor, rows: Tensor) -> Tensor:
    """Some rows; neighbouring ones without a copy."""
    if len(rows) and int(rows[-1] - rows[0]) == len(rows) - 1:
        return values[int(rows[0]) : int(rows[-1]) + 1]
    return values[rows.to(values.device)]


def _unit(pictures: Tensor, rows: Tensor) -> Tensor:
    """Some rows, as numbers in [0, 1], in memory of their own."""
    return _some(pictures, rows).float().add(1).mul_(0.5)


@dataclass(frozen=True)
class _Numbers:
    """What was drawn for the whole batch: a purpose gives the same numbers however often it is asked."""

    chance: Chances
    drawn: dict[tuple[tuple[int, ...], int, bool], Tensor]

    def __call__(self, shape: tuple[int, ...], purpose: int, normal: bool) -> Tensor:
        key = (shape, purpose, normal)
        if key not in self.drawn:
            self.drawn[key] = (self.chance.normal if normal else self.chance.uniform)(*shape, purpose=purpose)
        return self.drawn[key]


@dataclass
class _Draws:
    """The numbers of one kind of change for some samples; every call gives others."""

    numbers: _Numbers
    purpose: int
    samples: Tensor
    device: torch.device

    def of(self, rows: Tensor) -> _Draws:
        """For some of these samples."""
        return _Draws(self.numbers, self.purpose, self.samples[rows], self.device)

    def __call__(self, *shape: int, normal: bool = False, device: str | None = None) -> Tensor:
        self.purpose += 1
        return self.numbers(shape, self.purpose, normal)[self.samples].to(device or self.device)


def _wide(values: Tensor) -> Tensor:
    """(n, k) -> (n, k, 1, 1)."""
    return values[..., None, None]


def _between(low: float, high: float, uniform: Tensor) -> Tensor:
    return low + (high - low) * uniform


def _brightness(x: Tensor) -> Tensor:
    """(n, 1, h, w)."""
    return RED * x[:, :1] + GREEN * x[:, 1:2] + BLUE * x[:, 2:]


def _places(x: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, 1, w) to the right and (1, 1, h, 1) down, -1 to 1."""
    high, wide = x.shape[-2:]
    right = torch.linspace(-1, 1, wide, device=x.device)
    return right[None, None, None], torch.linspace(-1, 1, high, device=x.device)[None, None, :, None]


# --- backgrounds ------------------------------------------------------------------------------------------------------


def _elsewhere(x: Tensor, behind: Tensor, others: Tensor | None, rows: Tensor, draw: _Draws) -> Tensor:
    """In front of something else. `behind` and `others` are of all samples, of which x has `rows`."""
    seen = x if others is None else _some(others, rows)
    makers = (_even, _blobs, _stripes, _texture) if others is None else (_even, _blobs, _stripes, _texture, _distant)
    which = (draw(device="cpu") * len(makers)).long()
    scene = torch.empty_like(x)
    for number, make in enumerate(makers):
        here = (which == number).nonzero()[:, 0]
        if len(here):
            scene[here.to(x.device)] = make(_some(seen, here), draw.of(here))
    return torch.lerp(x, scene, _some(behind, rows).float())


def _colours(draw: _Draws, count: int) -> Tensor:
    """(n, count, 3, 1, 1): most are dull, some are not."""
    grey, hue = draw(count, 1), draw(count, 3) - 0.5
    return (grey + hue * _between(0.1, 1.2, draw(count, 1) ** 2)).clamp(0, 1)[..., None, None]


def _even(x: Tensor, draw: _Draws) -> Tensor:
    """One colour, or from one to another."""
    right, down = _places(x)
    pair, way = _colours(draw, 2), _wide(draw(1)) * (2 * math.pi)
    share = (way.cos() * right + way.sin() * down) / 2.8 + 0.5
    share = share * _wide((draw(1) < 0.6).float())
    return pair[:, 0] + (pair[:, 1] - pair[:, 0]) * share


def _blobs(x: Tensor, draw: _Draws) -> Tensor:
    """Things out of focus, made at a quarter of the size."""
    full, x = x.shape[-2:], x[..., ::4, ::4]
    right, down = _places(x)
    count = 6
    colours, at, size = _colours(draw, count + 1), draw(count, 2) * 2.4 - 1.2, _between(0.1, 0.6, draw(count, 1))
    scene = colours[:, -1].expand_as(x)
    for number in range(count):
        off = (right - _wide(at[:, number, :1])) ** 2 + (down - _wide(at[:, number, 1:])) ** 2
        share = torch.sigmoid((1 - off / _wide(size[:, number] ** 2)) * 4)
        scene = torch.lerp(scene, colours[:, number].expand_as(x), share)
    return F.interpolate(scene, full, mode="bilinear", align_corners=False)


def _stripes(x: Tensor, draw: _Draws) -> Tensor:
    """Slats, shelves, wallpaper."""
    right, down = _places(x)
    pair, way, often = _colours(draw, 2), _wide(draw(1)) * math.pi, _wide(_between(4, 40, draw(1) ** 2))
    wave = torch.sin((way.cos() * right + way.sin() * down) * often + _wide(draw(1)) * 6.3)
    share = torch.sigmoid(wave * _wide(_between(1, 12, draw(1))))
    return pair[:, 0] + (pair[:, 1] - pair[:, 0]) * share


def _texture(x: Tensor, draw: _Draws) -> Tensor:
    """Noise of all sizes, of which some are more."""
    size = list(x.shape[-2:])
    pair, scene, total = _colours(draw, 2), torch.zeros_like(x[:, :1]), torch.zeros_like(x[:, :1, :1, :1])
    for cells, strength in zip((3, 8, 24, 64), draw(4).T, strict=True):
        part = F.interpolate(draw(1, cells, cells, normal=True), size, mode="bilinear", align_corners=False)
        weight = _wide(strength[:, None] ** 2 + 0.02)
        scene, total = scene + part * weight, total + weight * weight
    share = torch.sigmoid(scene / total.sqrt() * 1.5)
    return pair[:, 0] + (pair[:, 1] - pair[:, 0]) * share


def _distant(others: Tensor, draw: _Draws) -> Tensor:
    """Another picture, out of focus and moved to the side, so that its face is not taken for the one in front."""
    small = F.avg_pool2d(others, max(others.shape[-1] // 32, 1))
    small = small.roll(small.shape[-1] // 2, -1)
    scene = F.interpolate(small, others.shape[-2:], mode="bilinear", align_corners=False)
    return scene * _wide(_between(0.5, 1.1, draw(1)))


# --- light and colour -------------------------------------------------------------------------------------------------


def _lit(x: Tensor, draw: _Draws) -> Tensor:
    """A smooth change of light across the picture, a little coloured."""
    right, down = _places(x)
    slope = draw(2) - 0.5
    field = _wide(slope[:, :1]) * right + _wide(slope[:, 1:]) * down
    at, strength = draw(2) * 2 - 1, _wide(draw(1) - 0.4) * 0.6
    spot = torch.exp(-1.8 * (right - _wide(at[:, :1])) ** 2) * torch.exp(-1.8 * (down - _wide(at[:, 1:])) ** 2)
    tint = _wide((draw(3) - 0.5) * 0.4 + 1)
    return torch.addcmul(x, x, (field + strength * spot).clamp(-0.6, 0.5) * tint)


def _coloured(x: Tensor, draw: _Draws) -> Tensor:
    """One matrix for saturation, hue and white balance, then gamma, contrast and exposure."""
    saturation, hue = _between(0.3, 1.35, draw(1)), (draw(1) - 0.5) * 0.4
    warmth, tint = (draw(1) - 0.5) * 0.36, (draw(1) - 0.5) * 0.14
    balance = torch.cat([1 + warmth, 1 + tint, 1 - warmth], 1)
    matrix = _turned(hue, saturation) * balance[:, :, None]
    mixed = _wide(matrix[:, :, 0]) * x[:, :1]
    for i in (1, 2):
        mixed = torch.addcmul(mixed, _wide(matrix[:, :, i]), x[:, i : i + 1])
    gamma, gain = torch.exp((draw(1) - 0.4) * 0.8), torch.exp((draw(1) - 0.6) * 0.5)
    contrast, lift = _between(0.7, 1.2, draw(1)), (draw(1) - 0.5) * 0.14
    bright = mixed.clamp_min(1e-4) ** _wide(gamma)
    return torch.addcmul(_wide(0.5 - 0.5 * contrast + lift), bright, _wide(gain * contrast))


def _turned(hue: Tensor, saturation: Tensor) -> Tensor:
    """(n, 3, 3): colours turned about grey by `hue` radians (n, 1), and away from it by `saturation` (n, 1)."""
    bright = torch.tensor([RED, GREEN, BLUE], device=hue.device)
    third = 1 / 3
    cos, sin = (hue.cos() * saturation)[..., None], (hue.sin() * saturation)[..., None]
    one = torch.eye(3, device=hue.device)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=hue.device) / math.sqrt(3)
    turn = cos * (one - third) + sin * cross  # of what is not grey, about the grey axis (Rodrigues)
    keep = bright[None, None, :]  # brightness stays, whatever the turn made of it
    colour = turn - turn @ torch.full((3, 3), third, device=hue.device)
    return keep + colour - (bright @ colour)[:, None, :]


# --- camera -----------------------------------------------------------------------------------------------------------


def _blurred(x: Tensor, draw: _Draws) -> Tensor:
    """Out of focus, or made larger from a small picture."""
    sigmas = _between(0.3, SOFTEST, draw(1)[:, 0]) * (x.shape[-1] / 256)
    pairs = zip(x[:, None], sigmas.tolist(), strict=True)
    return torch.cat([_smooth(_smooth(picture, sigma, -1), sigma, -2) for picture, sigma in pairs])


def _smooth(x: Tensor, sigma: float, axis: int) -> Tensor:
    """Under a bell along one axis; the edge goes on as it is."""
    reach = max(1, math.ceil(_TAPS * sigma))
    padded = F.pad(x, (reach, reach, 0, 0) if axis == -1 else (0, 0, reach, reach), mode="replicate")
    taps = [math.exp(-0.5 * (tap / sigma) ** 2) for tap in range(-reach, reach + 1)]
    out = torch.zeros_like(x)
    for tap, weight in enumerate(taps):
        out.add_(padded.narrow(axis, tap, x.shape[axis]), alpha=weight / sum(taps))
    return out


def _grained(x: Tensor, draw: _Draws) -> Tensor:
    """A sensor's noise, fine in brightness and coarse in colour."""
    high, wide = x.shape[-2:]
    strength, fine, coarse = _between(0.005, 0.06, draw(1) ** 1.5), draw(1), 0.7 * draw(1)
    noise = []
    for seed in (draw() * 2**24).long().tolist():  # its own stream: only some samples have grain, and need numbers
        stream = torch.Generator().manual_seed(seed)
        noise.append(
            [torch.randn(size, generator=stream) for size in ((1, high, wide), (3, -(-high // 2), -(-wide // 2)))]
        )
    small, large = (torch.stack([pair[i] for pair in noise]).to(x.device) for i in range(2))
    large = large.repeat_interleave(2, -1).repeat_interleave(2, -2)[..., :high, :wide]
    return x + _wide(strength * fine) * small + _wide(strength * coarse) * large


def _compressed(x: Tensor, draw: _Draws) -> Tensor:
    """As JPEG of quality 12 to 75, colour at half size."""
    quality = _between(12, 75, draw(1)[:, 0])
    coarse = torch.where(quality < 50, 50 / quality, 2 - quality / 50).tolist()
    return torch.stack([_kept(picture, by) for picture, by in zip(x, coarse, strict=True)])


def _kept(picture: Tensor, coarse: float) -> Tensor:
    """What is left of (3, h, w) when its blocks' frequencies are kept in steps `coarse` times the usual ones."""
    high, wide = picture.shape[-2:]
    even = F.pad(picture[None], (0, -wide % 16, 0, -high % 16), mode="replicate")
    bright = _brightness(even)
    red, blue = (even[:, :1] - bright) / (2 - 2 * RED), (even[:, 2:] - bright) / (2 - 2 * BLUE)
    colour = F.avg_pool2d(torch.cat([red, blue], 1), 2)
    steps, waves = _tables(picture.device)
    bright = _blocks(bright - 0.5, waves, steps[0] * coarse) + 0.5
    colour = _blocks(colour, waves, steps[1] * coarse)
    red, blue = F.interpolate(colour, scale_factor=2, mode="nearest").chunk(2, 1)
    red, blue = bright + red * (2 - 2 * RED), bright + blue * (2 - 2 * BLUE)
    green = (bright - RED * red - BLUE * blue) / GREEN
    return torch.cat([red, green, blue], 1)[0, :, :high, :wide]


def _blocks(planes: Tensor, waves: Tensor, steps: Tensor) -> Tensor:
    """(1, k, h, w) with the frequencies of all 8 x 8 blocks rounded to whole `steps` (64,)."""
    _, k, high, wide = planes.shape
    parts = planes.reshape(k, high // _BLOCK, _BLOCK, wide // _BLOCK, _BLOCK).transpose(2, 3)
    found = torch.round((parts.reshape(-1, _BLOCK * _BLOCK) @ waves.T) / steps) * steps
    back = (found @ waves).reshape(k, high // _BLOCK, wide // _BLOCK, _BLOCK, _BLOCK)
    return back.transpose(2, 3).reshape(1, k, high, wide)


@lru_cache(maxsize=4)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Steps (2, 64) of brightness and colour, and the orthonormal cosines (64, 64) of a block, frequencies first."""
    colour = torch.full((_BLOCK, _BLOCK), 99.0)
    colour[:4, :4] = torch.tensor(_COLOUR).reshape(4, 4)
    steps = torch.stack([torch.tensor(_BRIGHT).float(), colour.flatten()]) / 255
    place = torch.arange(_BLOCK)
    cosines = torch.cos((2 * place[None] + 1) * place[:, None] * math.pi / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    cosines[0] = math.sqrt(1 / _BLOCK)
    return steps.to(device), torch.kron(cosines, cosines).to(device)
