"""Noise: how much of it there is at a `level`, where it comes from, and what a network's answer says about it.

Everything keeps to one line, with `level` in [0, 1], one per frame:

    noisy = alpha(level) * clean + sigma(level) * noise        0 is clean, 1 is (nearly) nothing but noise

A published schedule of T training steps is read as: level 0 is the clean signal, level (t + 1) / T is its step t. So
the family's two ways to end a run are two last levels: X-NeMo's final alpha of 1 is level 0, and X-Portrait's .99957
is level 1/1000, its step 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, Protocol

import torch
from torch import Tensor

from understudy.errors import BadOption

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(noisy (f, ...), level (f,)) -> clean (f, ...). The one signature in which network, noise and sampler meet."""

Prediction = Literal["eps", "v", "x0", "flow"]
"""What a network was trained to answer: noise; alpha*noise - sigma*clean; clean; noise - clean."""


class Schedule(Protocol):
    """How clean signal and noise are mixed at a level. All methods take and return any shape, in fp32 (or fp64)."""

    def alpha(self, level: Tensor) -> Tensor:
        """How much of the clean signal there is."""

    def sigma(self, level: Tensor) -> Tensor:
        """How much of the noise there is."""

    def rates(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """How fast alpha and sigma change with level; at a kink, looking down towards the clean signal."""


@dataclass(frozen=True, kw_only=True)
class VariancePreserving:
    """A published schedule of `steps` betas: alpha^2 + sigma^2 = 1. Levels between its steps are interpolated along
    the circle (alpha, sigma), which keeps that sum exact and fp32 precise at both ends.

    `zero_snr` rescales it to end in pure noise (Lin et al. 2023, "Common diffusion noise schedules...", algorithm 1).
    """

    steps: int = 1000
    zero_snr: bool = False

    def betas(self) -> Tensor:
        """Noise added at each training step, (steps,), fp64."""
        raise NotImplementedError

    def alpha_bars(self) -> Tensor:
        """alpha^2 after each training step, (steps,), fp64."""
        kept = (1 - self.betas()).cumprod(0)
        if not self.zero_snr:
            return kept
        root = kept.sqrt()
        return ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()

    def level(self, step: int) -> float:
        """The level of training step `step`, counted from 0."""
        return (step + 1) / self.steps

    def alpha(self, level: Tensor) -> Tensor:
        return self._angle(level)[0].cos()

    def sigma(self, level: Tensor) -> Tensor:
        return self._angle(level)[0].sin()

    def rates(self, level: Tensor) -> tuple[Tensor, Tensor]:
        angle, slope = self._angle(level)
        return -angle.sin() * slope, angle.cos() * slope

    def _angle(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """The angle whose cosine is alpha and whose sine is sigma, and its slope."""
        table = _angles(self, level.device, torch.float64 if level.dtype == torch.float64 else torch.float32)
        position = level.to(table.dtype) * self.steps
        below = (position.ceil().long() - 1).clamp(0, self.steps - 1)
        low, high = table[below], table[below + 1]
        return low + (high - low) * (position - below), (high - low) * self.steps


@cache
def _angles(schedule: VariancePreserving, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The angle at levels 0, 1/steps, ... 1: (steps + 1,)."""
    kept = torch.cat([torch.ones(1, dtype=torch.float64), schedule.alpha_bars()])
    return torch.atan2((1 - kept).sqrt(), kept.sqrt()).to(device, dtype)


@dataclass(frozen=True, kw_only=True)
class Linear(VariancePreserving):
    """Betas on a straight line from `first` to `last` (DDPM; AnimateDiff's motion modules)."""

    first: float
    last: float

    def betas(self) -> Tensor:
        return torch.linspace(self.first, self.last, self.steps, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class ScaledLinear(VariancePreserving):
    """Square roots of betas on a straight line: what latent diffusion calls "linear" and diffusers "scaled_linear"."""

    first: float
    last: float

    def betas(self) -> Tensor:
        return torch.linspace(self.first**0.5, self.last**0.5, self.steps, dtype=torch.float64).square()


@dataclass(frozen=True, kw_only=True)
class Cosine(VariancePreserving):
    """Improved DDPM (Nichol and Dhariwal 2021, equation 17), betas clipped at .999."""

    offset: float = 0.008

    def betas(self) -> Tensor:
        at = torch.linspace(0, 1, self.steps + 1, dtype=torch.float64)
        kept = ((at + self.offset) / (1 + self.offset) * math.pi / 2).cos().square()
        return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


@dataclass(frozen=True, kw_only=True)
class Sigmoid(VariancePreserving):
    """A sigmoid in time (Jabri et al. 2022), betas clipped at .999: diffusion forcing's schedule for video."""

    first: float = -3.0
    last: float = 3.0
    temperature: float = 1.0

    def betas(self) -> Tensor:
        at = torch.linspace(self.first, self.last, self.steps + 1, dtype=torch.float64)
        curve = (at / self.temperature).sigmoid()
        kept = (curve[-1] - curve) / (curve[-1] - curve[0])
        return (1 - kept[1:] / kept[:-1]).clamp(0, 0.999)


@dataclass(frozen=True)
class RectifiedFlow:
    """A straight line from clean to noise: alpha = 1 - level, sigma = level (Liu et al. 2022)."""

    def alpha(self, level: Tensor) -> Tensor:
        return 1 - level

    def sigma(self, level: Tensor) -> Tensor:
        return level

    def rates(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(level), torch.ones_like(level)


STABLE_DIFFUSION = ScaledLinear(first=0.00085, last=0.012)
"""SD 1.5 and X-Portrait. Ends in .068 of the signal, not in pure noise."""

X_NEMO = ScaledLinear(first=0.00085, last=0.02)
"""X-NeMo, that is X-Portrait 2: nearly pure noise at the end. With .012 its pictures come out washed."""


def spread(values: Tensor, like: Tensor) -> Tensor:
    """`values` (f,) or (b, f), shaped to be multiplied with `like` (f, ...) or (b, f, ...)."""
    return values.reshape(values.shape + (1,) * (like.ndim - values.ndim)).to(like.device)


def noised(clean: Tensor, noise: Tensor, level: Tensor, schedule: Schedule) -> Tensor:
    """The clean signal at a noise level per frame, in fp32."""
    alpha, sigma = spread(schedule.alpha(level), clean), spread(schedule.sigma(level), clean)
    return alpha * _wide(clean) + sigma * _wide(noise)


def noise_in(noisy: Tensor, clean: Tensor, level: Tensor, schedule: Schedule) -> Tensor:
    """The noise that `noisy` holds if `clean` is what it hides. Where there is none, whatever is left over is tiny."""
    alpha, sigma = spread(schedule.alpha(level), noisy), spread(schedule.sigma(level), noisy)
    return (_wide(noisy) - alpha * _wide(clean)) / sigma.clamp(min=1e-12)


def target(clean: Tensor, noise: Tensor, level: Tensor, schedule: Schedule, prediction: Prediction) -> Tensor:
    """What a network of that prediction ought to answer, in fp32."""
    clean, noise = _wide(clean), _wide(noise)
    match prediction:
        case "eps":
            return noise
        case "x0":
            return clean
        case "v":
            return spread(schedule.alpha(level), clean) * noise - spread(schedule.sigma(level), clean) * clean
        case "flow":
            return noise - clean
    raise _unknown(prediction)


def clean_in(answer: Tensor, noisy: Tensor, level: Tensor, schedule: Schedule, prediction: Prediction) -> Tensor:
    """The clean signal that a network's answer points at, in fp32 whatever the network computes in."""
    answer, noisy = _wide(answer), _wide(noisy)
    alpha, sigma = spread(schedule.alpha(level), noisy), spread(schedule.sigma(level), noisy)
    match prediction:
        case "eps":
            return (noisy - sigma * answer) / alpha
        case "x0":
            return answer
        case "v":
            return (alpha * noisy - sigma * answer) / (alpha.square() + sigma.square())
        case "flow":
            return (noisy - sigma * answer) / (alpha + sigma)
    raise _unknown(prediction)


def denoiser(net: Denoise, schedule: Schedule, prediction: Prediction) -> Denoise:
    """A network that answers in its own way, as one that answers with the clean signal."""
    if prediction == "eps" and not schedule.alpha(torch.ones(())) > 1e-6:
        raise BadOption(
            "A network that predicts noise cannot begin from pure noise: it would be divided by zero",
            f"alpha(1) = {float(schedule.alpha(torch.ones(()))):.1e} of {schedule}",
            "prediction 'v', 'x0' or 'flow', or a schedule without zero_snr",
        )

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return clean_in(net(noisy, level), noisy, level, schedule, prediction)

    return denoise


_COMMON: Final = 0x636F6D6D


def chance(seed: int, index: int = 0, purpose: int = 0) -> torch.Generator:
    """A CPU generator for one frame (or step) of one seed and purpose.

    PyTorch's Mersenne twister keeps 32 bits of what it is seeded with, so the key is mixed down to 32 bits, by a
    bijection of `index`: no two frames of a film share their noise.
    """
    start = _mixed(seed & 0xFFFFFFFF) ^ _mixed((seed >> 32 & 0xFFFFFFFF) + 0x9E3779B9) ^ _mixed(purpose + 0x7F4A7C15)
    return torch.Generator().manual_seed(_mixed(index + start))


def keyed_noise(
    seed: int, frames: Iterable[int], shape: Sequence[int], *, purpose: int = 0, device: torch.device | str = "cpu"
) -> Tensor:
    """Standard normal noise (f, *shape), fp32, of the given frames of a film.

    A frame's noise depends on the seed, its number and the purpose only: not on chunks, order, device or neighbours.
    """
    drawn = [torch.randn(tuple(shape), generator=chance(seed, frame, purpose)) for frame in frames]
    return (torch.stack(drawn) if drawn else torch.empty(0, *shape)).to(device)


def alike_noise(
    seed: int, frames: Iterable[int], shape: Sequence[int], alike: float, *, device: torch.device | str = "cpu"
) -> Tensor:
    """As `keyed_noise`, but a share `alike` of its variance is the same in all frames of a film (the mixed noise of
    PYoCo, Ge et al. 2023): what is not decided by the driver is then decided once and not in every frame anew."""
    own = keyed_noise(seed, frames, shape, device=device)
    return mixed_noise(keyed_noise(seed, [0], shape, purpose=_COMMON, device=device), own, alike)


def mixed_noise(common: Tensor, own: Tensor, alike: float) -> Tensor:
    """Standard normal noise of which a share `alike` of the variance is common."""
    return own if not alike else alike**0.5 * common + (1 - alike) ** 0.5 * own


def _wide(signal: Tensor) -> Tensor:
    """At least fp32."""
    return signal if signal.dtype == torch.float64 else signal.float()


def _mixed(number: int) -> int:
    """32 bits to 32 bits, one to one, avalanching (the finaliser of MurmurHash3)."""
    number &= 0xFFFFFFFF
    number = (number ^ number >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    number = (number ^ number >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ number >> 16


def _unknown(prediction: object) -> BadOption:
    return BadOption(f"No prediction is called {prediction!r}", remedy="eps, v, x0 or flow")
