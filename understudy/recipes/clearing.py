"""Pictures made clear: a generator taught by what is seen in the end, and not by its error about the noise alone.

That error asks for the mean of all that might be, and a mean is a blur. So some frames of every question are drawn as
they will be, in the few steps of the recipe's manner; the way is gone back through the last step and the decoder, which
stands still. What is seen is compared with the truth by pixels, by gradients, and by the features and the opinion of a
critic, as decoders are taught (Sauer et al. 2023 teach few steps by a critic likewise). The error about the noise stays
beside it, so that other levels, and other numbers of steps, keep what they know.

Two things keep the critic to what a generator can better. The truth is what the decoder makes of the true latents:
against the picture itself, a critic knows the decoder's hand and looks no further. And what it says of a picture shall
be nearly what it says of the same with a little noise (Lin et al. 2025): else it grows so steep that nothing is learnt
from it but to fool it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.diffusion.noise import denoiser
from understudy.generator.generator import SAMPLERS, SPACINGS, Cues, Generator, Manner
from understudy.recipes.autoencoder import Critic, CriticConfig
from understudy.recipes.objectives import cost_of, heard, told_apart
from understudy.train.task import Batch, Loss, Moment, Objective, Task, Turn

_NOISE: Final = 0x78F8
_SHAKEN: Final = 0x78F9
_RESULT, _TRUTH, _WEIGHT = "seen.result", "seen.truth", "seen.weight"


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
    shaken: float
    """Noise, of the size of pixels in [-1, 1], that shall not change a critic's mind."""
    steep: float
    """What it costs a critic, for every squared difference that such noise makes."""


def small_clearing() -> ClearingRecipe:
    """With the critic of the small autoencoder."""
    return ClearingRecipe(
        frames=1,
        weight=1.0,
        edges=2.0,
        likeness=0.1,
        opinion=0.04,
        fine=4.0,
        critic=CriticConfig(fold=2, widths=(32, 64, 128), groups=16),
        critic_rate=3e-4,
        critic_from=0.01,
        shaken=0.02,
        steep=100.0,
    )


class Watched(nn.Module):
    """A generator, and the critic who looks at what it draws."""

    def __init__(self, generator: Generator, critic: Critic) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic


def watched(task: Task, criticise: Objective, recipe: ClearingRecipe) -> Task:
    """The task of a generator with a critic beside it, whose turn comes after. All objectives are of both; what is
    shown, judged and kept is the generator's."""
    critical = Turn(
        name="criticise", learns=("critic",), objective=criticise, rate=recipe.critic_rate, betas=(0.5, 0.9),
        start=recipe.critic_from, averaged=False,
    )  # fmt: skip
    own = [replace(turn, learns=tuple(f"generator.{name}" for name in turn.learns)) for turn in task.turns]
    return replace(
        task,
        model=Watched(cast(Generator, task.model), Critic(recipe.critic)),
        turns=(*own, critical),
        show=lambda model, batch: task.show(model.generator, batch),
        judge=lambda model: task.judge(model.generator),
        keep=lambda model, folder, step: task.keep(model.generator, folder, step),
    )


@dataclass(frozen=True)
class Seen:
    """Pictures (m, 3, s, s) in [-1, 1], their truths, and how much every place counts (m, 1, s, s)."""

    result: Tensor
    truth: Tensor
    weight: Tensor


def seen(model: Generator, batch: Batch, moment: Moment, cues: Cues, manner: Manner, recipe: ClearingRecipe) -> Seen:
    """The first `frames` of every question. `cues` are of all its frames; `batch` has `portrait` (n, c, h, w) and
    `answer` (n, f, c, h, w), latents, and `counts` (n, frames, h, w), uint8, where eyes and mouth are."""
    result = finished(model, batch, moment, cues, manner, recipe)
    with torch.no_grad():
        truth = model.autoencoder.decode(batch["answer"][:, : recipe.frames].flatten(0, 1).float()).float()
    fine = batch["counts"].flatten(0, 1)[:, None].float() / 255
    return Seen(result, truth, 1 + recipe.fine * F.interpolate(fine, size=truth.shape[-2:], mode="bilinear"))


def left(pictures: Seen) -> Batch:
    """Pictures as they are left in a batch for the critic, whose turn comes after."""
    return {_RESULT: pictures.result.detach(), _TRUTH: pictures.truth, _WEIGHT: pictures.weight}


def found(batch: Batch, again: Callable[[], Seen]) -> Seen:
    """What was left in a batch, or, where a wrapper had given a copy of it to the turn before, the same drawn again."""
    if _RESULT in batch:
        return Seen(batch[_RESULT], batch[_TRUTH], batch[_WEIGHT])
    with torch.no_grad():
        return again()


def cleared(critic: Critic, pictures: Seen, moment: Moment, recipe: ClearingRecipe) -> Loss:
    """What pictures cost."""
    share = heard(moment.progress, recipe.critic_from)
    return Loss(*cost_of(pictures.result, pictures.truth, pictures.weight, critic, share, recipe))


def criticising(critic: Critic, pictures: Seen, moment: Moment, recipe: ClearingRecipe) -> Loss:
    """What the critic makes smaller."""
    both = torch.cat([pictures.truth, pictures.result])
    noise = recipe.shaken * moment.chance.normal(recipe.frames, *both.shape[1:], purpose=_SHAKEN).to(both.device)
    _, opinions = critic(both)
    _, shaken = critic(both + noise.flatten(0, 1).repeat(2, 1, 1, 1))
    steep = (opinions.float() - shaken.float()).square().mean()
    true, made = opinions.chunk(2)
    apart = told_apart(true, made, pictures.weight)
    return Loss(apart + recipe.steep * steep, {"apart": apart, "steep": steep})


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
