"""The small autoencoder's decoder, finished: it learns to draw what generators say, and not only what its encoder does.

A generator that draws in three steps is not sure of everything, and what it is not sure of, it says blurred: the mean
of what might be. A decoder that has only heard an encoder draws that as it is. Here, in half of the samples, it is
given what generators have answered to questions about people whom neither they nor it have seen, and is asked for the
true answer, with a critic beside it. The encoder stands still, so all nets that speak in its latents go on doing so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from understudy import weights
from understudy.data import shards
from understudy.data.drawn import looks
from understudy.errors import BadOption
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.recipes import autoencoder, rehearsal, x_portrait
from understudy.recipes.autoencoder import AutoencoderRecipe, Pair, Pictures, attention, psnr, sharpness
from understudy.recipes.exam import Exam, begin
from understudy.recipes.portrayal import PortrayalRecipe
from understudy.recipes.recipe import all_found, found
from understudy.recipes.x_portrait import x_portrait_small_stage
from understudy.recipes.x_portrait_2 import x_portrait_2_small_stage
from understudy.train.journal import tiled
from understudy.train.task import Batch, Judgement, Task

FOLDER: Final = "said"
EACH: Final = 64
"""Answers in a shard."""
_ASKED: Final = 32  # questions about an ensemble: as many as it has pictures
_FIRST: Final = 600_000  # the first of the people whom no generator has learnt from
_APART: Final = 32  # numbers from one ensemble to the next: more than it has people or moments
_JUDGED: Final = 24  # held-out pictures that the encoder says


@dataclass(frozen=True, kw_only=True)
class FinishRecipe(AutoencoderRecipe):
    """All that it depends on, besides what an autoencoder does."""

    generators: str
    """Files of weights, or the names of shipped ones, with + between them; each answers its share of the questions."""
    said: int
    """Answers, made ahead; the last `judged` of them are held out."""
    kept: float
    """How much of what was learnt is kept, weight by weight, 0 to 1: a critic that is not held back scratches where a
    generator knows nothing. What is judged is what is kept."""


def finish_small() -> FinishRecipe:
    """The small decoder. What to expect is in docs/training.md."""
    first = autoencoder.autoencoder_small()
    same = {field.name: getattr(first, field.name) for field in fields(first)}
    changed: dict[str, Any] = {
        "name": "autoencoder-small-finish",
        "plan": replace(first.plan, steps=4000, seed=7, warm_up=50),
        "start": "autoencoder-small.safetensors",
        "pictures": 10_240,
        "rate": 1e-3,
        "critic_from": 0.02,
        "opinion": 0.02,
        "likeness": 0.1,
        "learns": "decoder",
        "judged": 64,
    }
    names = "x-portrait-small.safetensors+x-portrait-2-small.safetensors"
    return FinishRecipe(**{**same, **changed}, generators=names, said=4096, kept=0.3)


def prepare(
    recipe: FinishRecipe, folder: Path, rank: int = 0, world: int = 1, device: str = "cpu"
) -> Iterator[tuple[int, int]]:
    """Draw, and have the generators answer, what is not there yet, one process of several its share; yields (made,
    wanted)."""
    yield from autoencoder.prepare(recipe, folder, rank, world, device)
    files = all_found(recipe.generators)
    about: dict[str, Any] = {"size": recipe.size, "by": [_mark(path) for path in (found(recipe.start), *files)]}
    if shards.complete(folder / FOLDER, recipe.said, EACH):
        shards.reused(folder / FOLDER, about, looks())
        return
    asked = [Respondent(path, recipe, device) for path in files]
    about |= {"looks": looks()}

    def answered(numbers: range) -> dict[str, Tensor]:
        groups = range(numbers.start // _ASKED, -(-numbers.stop // _ASKED))
        parts = [asked[group % len(asked)].answers(group) for group in groups]
        return {name: torch.cat([part[name] for part in parts])[: len(numbers)] for name in parts[0]}

    for there in shards.shared(folder / FOLDER, recipe.said, EACH, about, answered, rank, world):
        yield there, recipe.said


def _mark(path: Path) -> str:
    """A word that changes when a file does."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Respondent:
    """A generator that is asked questions."""

    def __init__(self, path: Path, recipe: FinishRecipe, device: str) -> None:
        read = weights.load(path)
        if not isinstance(read.about.config, GeneratorConfig):
            raise BadOption(f"{path} is not a generator", read.about.name, "generators=FILE+FILE")
        eyes = weights.load(found(recipe.start))
        net = Generator(replace(read.about.config, autoencoder=eyes.about.config))
        weights.fill(net.autoencoder, eyes)
        if missing := begin(net, read):
            raise BadOption(f"{path} is not a whole generator", ", ".join(missing[:4]), "the last of its stages")
        self.net, self.device = net.to(device).eval(), device
        coded = net.encoder is not None
        self.kind: type[Exam] = rehearsal.Rehearsal if coded else x_portrait.Rehearsal
        stage: PortrayalRecipe = (x_portrait_2_small_stage if coded else x_portrait_small_stage)("together")
        self.recipe = replace(stage, config=net.config, judged=_ASKED)

    @torch.no_grad()
    def answers(self, group: int) -> dict[str, Tensor]:
        """What it says to questions about one ensemble: `latent` (n, c, h, w) fp16; and the truth, `picture` and
        `fine`, as `Pictures` has them."""
        exam = self.kind(self.recipe, self.net.config, "", first=_FIRST + _APART * group, among=1)
        latents = []
        for number, q in enumerate(exam.asked):
            manner = replace(self.recipe.manner, seed=_ASKED * group + number)
            told, _ = exam.told(self.net, q)
            likeness = self.net.likeness(exam.picture((q.portrait,)).to(self.device))
            latents.append(torch.cat([*self.net.latents(likeness, [told], manner)]))
        answers = [q.answers[0] for q in exam.asked]
        return {
            "latent": torch.cat(latents).half().cpu(),
            "picture": exam.taken("picture", answers),
            "fine": exam.taken("fine", answers),
        }


class Heard:
    """One sample is a picture that the encoder says, the next an answer of a generator, and so on."""

    def __init__(self, pictures: Pictures, said: shards.Shuffled, shape: tuple[int, ...]) -> None:
        self.pictures, self.said, self.shape = pictures, said, shape

    def batch(self, numbers: Sequence[int]) -> Batch:
        """As `Pictures`, with `latent` (n, c, h, w), and `said` (n,), whether a generator has said it."""
        parts = [self._one(n) for n in numbers]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _one(self, number: int) -> Batch:
        if number % 2:
            return {**self.said.batch([number // 2]), "said": torch.ones(1, dtype=torch.bool)}
        latent = torch.zeros(1, *self.shape, dtype=torch.half)
        return {**self.pictures.batch([number // 2]), "latent": latent, "said": torch.zeros(1, dtype=torch.bool)}


class Finals(autoencoder.Exam):
    """Held-out pictures by way of the encoder, as always, and answers of the generators that were held out."""

    def __init__(self, recipe: FinishRecipe, begun: weights.Weights, answers: Batch) -> None:
        super().__init__(replace(recipe, judged=_JUDGED), recipe.config.scale)
        self.recipe, self.answers, self.begun, self.share = recipe, answers, begun.tensors, recipe.kept

    def judge(self, model: Pair) -> Judgement:
        """As of an autoencoder; and `said_psnr`, `said_psnr_fine`, `said_sharpness` of answers."""
        model = self._kept(model)
        judged = super().judge(model)
        truth, places = autoencoder.pixels(self.answers), attention(self.answers, 1.0) - 1
        device = model.autoencoder.quant_conv.weight.device
        with torch.no_grad():
            groups = torch.split(self.answers["latent"].float(), 8)
            result = torch.cat([model.autoencoder.decode(some.to(device)).clamp(-1, 1).cpu() for some in groups])
        error = (result - truth) ** 2
        self.scores = {
            **judged.scores,
            "said_psnr": psnr(error),
            "said_psnr_fine": psnr(error, places),
            "said_sharpness": sharpness(result, truth, places),
        }
        few = slice(0, None, max(len(truth) // 8, 1))
        sheet = tiled([truth[few] / 2 + 0.5, result[few] / 2 + 0.5])
        return Judgement(self.scores, {**judged.sheets, "said": sheet})

    def keep(self, model: Pair, folder: Path, step: int) -> None:
        """As of an autoencoder: what is kept of what was learnt."""
        super().keep(self._kept(model), folder, step)

    def _kept(self, model: Pair) -> Pair:
        mean = deepcopy(model)
        learnt = model.autoencoder.state_dict()
        own = {name: torch.lerp(self.begun[name].to(value), value, self.share) for name, value in learnt.items()}
        mean.autoencoder.load_state_dict(own)
        return mean


def task(recipe: FinishRecipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has drawn. Errors: `BadOption` where too little was
    said to hold some of it out, or where what is held out and what is not would be about the same people."""
    learnt_from = recipe.said - recipe.judged
    if learnt_from <= 0 or learnt_from % _ASKED or not recipe.pictures:
        seen = f"said={recipe.said}, judged={recipe.judged}, pictures={recipe.pictures}"
        raise BadOption(f"A decoder learns from pictures and from answers in groups of {_ASKED}", seen, "said=4096")
    begun = weights.load(found(recipe.start))
    recipe = replace(recipe, config=replace(recipe.config, scale=begun.about.config.scale))
    said = shards.Shards(folder / FOLDER, recipe.said)
    held_out = said.at(range(recipe.said - recipe.judged, recipe.said))
    learnt = shards.Shuffled(shards.Shards(folder / FOLDER, learnt_from), recipe.plan.seed)
    whole = autoencoder.taught(recipe, folder, Finals(recipe, begun, held_out))
    assert isinstance(whole.data, Pictures)
    return replace(
        whole,
        identity=weights.as_json(recipe),
        data=Heard(whole.data, learnt, tuple(held_out["latent"].shape[1:])),
    )
