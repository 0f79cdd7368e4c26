"""How near a result is to the truth: functions of pictures (n, 3, h, w) in [0, 1], one number for each picture.

None of them has learnt anything, so nothing that is trained can have learnt to please them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS: Final = 11
_SIGMA: Final = 1.5
_CONSTANTS: Final = (0.01**2, 0.03**2)
ANGLES: Final = 4
SCALES: Final = 4
_REACH: Final = 4  # pixels to each side of a stripe
_PERIOD: Final = 4.0  # pixels from stripe to stripe
_DULL: Final = 0.05  # what is weaker than this counts as nothing being there
_COLOUR: Final = 0.1  # how much colour itself counts beside stripes


def psnr(result: Tensor, truth: Tensor, where: Tensor | None = None) -> Tensor:
    """dB, (n,); `where` (n, h, w): how much each place counts. Infinite where nothing differs, NaN if none counts."""
    error = (result - truth).square().mean(1)
    weight = torch.ones_like(error) if where is None else where.to(error)
    return -10 * torch.log10((error * weight).sum((1, 2)) / weight.sum((1, 2)))


def l1(result: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference, (n,)."""
    return (result - truth).abs().mean((1, 2, 3))


def ssim(result: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), (n,): a Gaussian of 11 pixels and deviation 1.5, each colour by itself,
    only where the whole window is inside. As scikit-image with `gaussian_weights` and without `use_sample_covariance`.
    """
    maps = torch.cat([result, truth, result * result, truth * truth, result * truth])
    mean_r, mean_t, square_r, square_t, product = _smoothed(maps).chunk(5)
    variances = square_r - mean_r**2 + square_t - mean_t**2
    covariance = product - mean_r * mean_t
    small, smaller = _CONSTANTS[1], _CONSTANTS[0]
    above = (2 * mean_r * mean_t + smaller) * (2 * covariance + small)
    below = (mean_r**2 + mean_t**2 + smaller) * (variances + small)
    return (above / below).mean((1, 2, 3))


def box(mask: Tensor) -> Tensor:
    """The smallest upright boxes round what masks (n, h, w) show, as masks; nothing where they show nothing."""
    shown = mask > 0.5
    rows, columns = _spanned(shown.any(2)), _spanned(shown.any(1))
    return rows[:, :, None] & columns[:, None, :]


def energy(pictures: Tensor, where: Tensor) -> Tensor:
    """Squared gradients along both axes, (n,), `where` (n, h, w) they count: of a result over that of the truth, how
    sharp it is there."""
    across = torch.diff(pictures, dim=3).square().mean(1) * where[:, :, 1:]
    down = torch.diff(pictures, dim=2).square().mean(1) * where[:, 1:]
    return across.mean((1, 2)) + down.mean((1, 2))


def leak(one: Tensor, other: Tensor, driver: Tensor, driver_other: Tensor) -> Tensor:
    """How much of who drives shows, (n,): root mean square of what differs between two results, with the same portrait,
    motion and seed, over that of what differs between their drivers. 0: nothing; 1: as much as in the drivers."""
    return _rms(one - other) / _rms(driver - driver_other)


def flicker(result: Tensor, truth: Tensor) -> Tensor:
    """How differently from the truth each of n consecutive frames follows the one before, in 255ths, (n - 1,)."""
    return 255 * (torch.diff(result, dim=0) - torch.diff(truth, dim=0)).abs().mean((1, 2, 3))


def change(frames: Tensor) -> Tensor:
    """How much each of n consecutive frames differs from the one before, in 255ths, (n - 1,)."""
    return 255 * torch.diff(frames, dim=0).abs().mean((1, 2, 3))


def unlikeness(result: Tensor, truth: Tensor) -> Tensor:
    """Distance of features, (n,): 0 for equal pictures, 2 at most.

    The features are those of a fixed net, never trained, so not of any that draws: at four scales, how much there is
    of stripes of four directions, wherever in their period (the moduli of complex Gabor filters of brightness, a
    scattering net of one layer: Bruna and Mallat 2013), and brightness and colour themselves. At each place
    features are scaled to length 1, as in LPIPS, so that strong edges do not outweigh skin: what counts is which
    texture is where. A blurred or displaced edge costs much, a slightly other shade little."""
    total = result.new_zeros(len(result))
    ours, theirs = _opponent(result), _opponent(truth)
    for scale in range(SCALES):
        if scale:
            ours, theirs = F.avg_pool2d(ours, 2), F.avg_pool2d(theirs, 2)
        total = total + (_features(ours) - _features(theirs)).square().sum(1).mean((1, 2))
    return total / SCALES


def _rms(difference: Tensor) -> Tensor:
    return difference.square().mean((1, 2, 3)).sqrt()


def _smoothed(pictures: Tensor) -> Tensor:
    """(n, 3, h - 10, w - 10): along both axes a product with a band matrix, which a CPU does far faster than a
    convolution of three colours by themselves."""
    high, wide = (_band(side).to(pictures) for side in pictures.shape[-2:])
    return high @ pictures @ wide.T


@lru_cache(maxsize=4)
def _band(side: int) -> Tensor:
    """(side - 10, side): every row a Gaussian over 11 neighbours."""
    kernel = torch.exp(-0.5 * ((torch.arange(_TAPS) - _TAPS // 2) / _SIGMA) ** 2)
    whole = torch.zeros(side - _TAPS + 1, side)
    for row in range(len(whole)):
        whole[row, row : row + _TAPS] = kernel / kernel.sum()
    return whole


def _spanned(shown: Tensor) -> Tensor:
    """From the first to the last that is shown, (n, k)."""
    return (shown.cumsum(1) > 0) & (shown.flip(1).cumsum(1).flip(1) > 0)


def _opponent(pictures: Tensor) -> Tensor:
    """Brightness, red against green, blue against yellow."""
    mix = pictures.new_tensor([[0.299, 0.587, 0.114], [0.5, -0.5, 0.0], [-0.25, -0.25, 0.5]])
    return torch.einsum("ij,njhw->nihw", mix, pictures)


def _features(planes: Tensor) -> Tensor:
    """(n, 3, h, w) -> (n, 7, h, w), of length below 1 at every place."""
    even, odd = stripes()
    padded = F.pad(planes[:, :1], [_REACH] * 4, mode="replicate")
    both = F.conv2d(padded, torch.cat([even, odd]).to(planes)).square()
    there = (both[:, :ANGLES] + both[:, ANGLES:] + 1e-12).sqrt()
    seen = torch.cat([there, _COLOUR * planes], 1)
    return seen * (seen.square().sum(1, keepdim=True) + _DULL**2).rsqrt()


@lru_cache(maxsize=1)
def stripes() -> tuple[Tensor, Tensor]:
    """Gabor filters, even and odd, (angles, 1, 9, 9), blind to even grey; a stripe of contrast 1 answers about 1."""
    side = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
    down, right = torch.meshgrid(side, side, indexing="ij")
    bell = torch.exp(-(right**2 + down**2) / (2 * (_REACH / 2) ** 2))
    bell = bell / bell.sum()
    pairs = []
    for step in range(ANGLES):
        along = (right * math.cos(step * math.pi / ANGLES) + down * math.sin(step * math.pi / ANGLES)) / _PERIOD
        even, odd = torch.cos(2 * math.pi * along) * bell, torch.sin(2 * math.pi * along) * bell
        pairs.append((2 * (even - even.sum() * bell), 2 * odd))
    return torch.stack([even for even, _ in pairs])[:, None], torch.stack([odd for _, odd in pairs])[:, None]
