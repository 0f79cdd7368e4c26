"""Pictures made clear: a generator taught by what is seen in the end, and not by its error about the noise alone.

That error asks for the mean of all that might be, and a mean is a blur. So some frames of every question are drawn as
they will be, in the few steps of the recipe's manner; the way is gone back through the last step and the decoder, which
stands still. What is seen is compared with the truth by pixels, by gradients, and by the features and the opinion of a
critic, as decoders are taught (Sauer et al. 2023 teach few steps by a critic likewise). The error about the noise stays
beside it, so that other levels, and other numbers of steps, keep what they know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.diffusion.noise import denoiser
from understudy.generator.generator import SAMPLERS, SPACINGS, Cues, Generator, Manner
from understudy.recipes.autoencoder import Critic, CriticConfig
from understudy.recipes.objectives import cost_of, criticised, heard
from understudy.train.task import Batch, Loss, Moment

_NOISE: Final = 0x78F8


@dataclass(frozen=True, kw_only=True)
class ClearingRecipe:
    """What pictures cost beside L1, whose weight is 1, and who says so."""

    frames: int
    """Of every question, so many are drawn to the end."""
    weight: float
    """Of all that pictures cost, beside the error about the noise."""
    edges: float
    likeness: float
    opinion: float
    fine: float
    """How much more a place in eyes or mouth counts."""
    critic: CriticConfig
    critic_rate: float
    critic_from: float
    """The progress at which the critic comes in."""


def small_clearing() -> ClearingRecipe:
    """With the critic of the small autoencoder."""
    return ClearingRecipe(
        frames=1,
        weight=1.0,
        edges=2.0,
        likeness=0.1,
        opinion=0.02,
        fine=4.0,
        critic=CriticConfig(fold=2, widths=(32, 64, 128), groups=16),
        critic_rate=3e-4,
        critic_from=0.02,
    )


def cleared(
    model: Generator, critic: Critic, batch: Batch, moment: Moment, cues: Cues, manner: Manner, recipe: ClearingRecipe
) -> Loss:
    """What the first `frames` of every question cost as pictures. `cues` are of all its frames; `batch` has `portrait`
    (n, c, h, w), latents, and `shows` (n, frames, 3, s, s) and `shows_fine`, uint8, the true answers."""
    result = finished(model, batch, moment, cues, manner, recipe)
    truth, weight = _wanted(batch, recipe)
    return Loss(*cost_of(result, truth, weight, critic, heard(moment.progress, recipe.critic_from), recipe))


def criticising(
    model: Generator, critic: Critic, batch: Batch, moment: Moment, cues: Cues, manner: Manner, recipe: ClearingRecipe
) -> Loss:
    """What the critic makes smaller; see `cleared`."""
    with torch.no_grad():
        result = finished(model, batch, moment, cues, manner, recipe)
    return Loss(criticised(critic, result, *_wanted(batch, recipe)), {})


def finished(
    model: Generator, batch: Batch, moment: Moment, cues: Cues, manner: Manner, recipe: ClearingRecipe
) -> Tensor:
    """The first `frames` of every question (n * frames, 3, s, s), drawn; gradients go through the last step alone."""
    config, films, frames = model.config, len(batch["portrait"]), recipe.frames
    portrait, shape = batch["portrait"].float(), (films * frames, *batch["portrait"].shape[1:])
    rows = torch.arange(len(cues), device=portrait.device).reshape(films, -1)[:, :frames].flatten()
    hints = model.encoded([hint[rows] for hint in cues.hints])
    code = None if cues.code is None else cues.code[rows].reshape(films, frames, *cues.code.shape[1:])
    context, fixed = model.told_of(portrait), config.reference_level
    known = None if fixed is None else model.reference(portrait, portrait.new_full((films,), fixed), context)

    def answer(noisy: Tensor, level: Tensor) -> Tensor:
        told = level.reshape(films, frames)
        notes = model.reference(portrait, told[:, 0], context) if known is None else known
        noisy = noisy.reshape(films, frames, *shape[1:])
        return model.informed(noisy, told, context, hints, notes, code).flatten(0, 1).float()

    levels = SPACINGS[manner.spacing](manner.steps).to(portrait.device)
    noise = moment.chance.normal(frames, *shape[1:], purpose=_NOISE).to(portrait.device).flatten(0, 1)
    denoise = denoiser(answer, config.schedule, config.prediction)
    states = SAMPLERS[manner.sampler](denoise, noise, levels, config.schedule)
    with torch.no_grad():
        for _ in range(manner.steps - 1):
            next(states)
    return model.autoencoder.decode(next(states)).float()


def _wanted(batch: Batch, recipe: ClearingRecipe) -> tuple[Tensor, Tensor]:
    """The truth (n * frames, 3, s, s) in [-1, 1], and how much every pixel counts."""
    truth = batch["shows"].flatten(0, 1).float() / 127.5 - 1
    fine = batch["shows_fine"].flatten(0, 1)[:, None].float() / 255
    return truth, 1 + recipe.fine * F.interpolate(fine, size=truth.shape[-2:], mode="bilinear")
