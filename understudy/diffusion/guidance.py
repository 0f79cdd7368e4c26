"""Guidance: functions from `Denoise` to `Denoise` that draw away from what an uninformed network would say.

All work on the clean guess. As eps, v and flow are straight lines in it at a given noisy signal and level, guiding
the clean guess by a scale is guiding any of them by that scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from understudy.diffusion.noise import Denoise


def guided(told: Denoise, untold: Denoise, scale: float, *, within: tuple[float, float] = (0.0, 1.0)) -> Denoise:
    """Classifier-free guidance (Ho and Salimans 2022): untold + scale * (told - untold).

    `within` limits it to an interval of levels (Kynkaanniemi et al. 2024); steps with no frame in it ask `told` only.
    A scale of 1 costs one evaluation.
    """
    low, high = within

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        clean = told(noisy, level)
        inside = (level >= low) & (level <= high)
        if scale == 1 or not bool(inside.any()):
            return clean
        strength = (inside * (scale - 1)).to(clean.dtype)
        return clean + strength.reshape(strength.shape + (1,) * (clean.ndim - strength.ndim)) * (
            clean - untold(noisy, level)
        )

    return denoise


def guided_by_each(untold: Denoise, told: Sequence[tuple[Denoise, float]]) -> Denoise:
    """Several conditions, each with a scale of its own: untold + sum of scale * (told - untold)."""

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        plain = untold(noisy, level)
        clean = plain
        for informed, scale in told:
            clean = clean + scale * (informed(noisy, level) - plain)
        return clean

    return denoise


def rescaled(guiding: Denoise, told: Denoise, amount: float) -> Denoise:
    """Against the burnt look of strong guidance: gives every frame of `guiding` back some of the contrast that `told`
    has (Lin et al. 2023, equations 15 and 16). `amount` in [0, 1]; they use .7."""

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        strong, plain = guiding(noisy, level), told(noisy, level)
        matched = strong * (_contrast(plain) / _contrast(strong).clamp(min=1e-12))
        return amount * matched + (1 - amount) * strong

    return denoise


def once(denoise: Denoise) -> Denoise:
    """Remembers the last answer: one evaluation where `rescaled` and `guided` both ask for the same."""
    asked: tuple[Tensor, Tensor, Tensor] | None = None

    def remembering(noisy: Tensor, level: Tensor) -> Tensor:
        nonlocal asked
        if asked is None or asked[0] is not noisy or asked[1] is not level:
            asked = (noisy, level, denoise(noisy, level))
        return asked[2]

    return remembering


def _contrast(frames: Tensor) -> Tensor:
    """Standard deviation of every frame, (f, 1, ...)."""
    return frames.std(dim=tuple(range(1, frames.ndim)), keepdim=True)
