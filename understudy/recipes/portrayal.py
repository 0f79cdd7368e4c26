"""What recipes of generators have in common: questions about ensembles of made-up people, with exact answers.

A sample is a question: this person (the portrait), doing what another person does in a picture (the driver). The answer
was drawn as well. Everything is drawn ahead, and read with the autoencoder once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy import weights
from understudy.data import shards
from understudy.data.ensemble import CALM, EACH, Ensembles, drawn_ahead, drawn_on, mirrored
from understudy.diffusion.noise import chance, mixed_noise, noised, target
from understudy.generator.autoencoder import Autoencoder
from understudy.generator.generator import GeneratorConfig, Manner
from understudy.recipes.autoencoder import pixels
from understudy.recipes.clearing import ClearingRecipe
from understudy.recipes.recipe import Recipe, found
from understudy.train.task import Batch, Moment

if TYPE_CHECKING:
    from understudy.data.footage import Footage

_PICK, _LEVEL, _NOISE, _TOLD = range(0x7870, 0x7874)
_COMMON = 0x636F6D6D
_WITHIN = "autoencoder."


@dataclass(frozen=True, kw_only=True)
class PortrayalRecipe(Recipe):
    """What every stage of every generator depends on."""

    stage: str
    """"time" learns from films, all others from single pictures."""
    config: GeneratorConfig
    autoencoder: str
    """A file, or the name of a shipped one: latents are made with it, and its config is part of the generator's."""
    pictures: int
    """Drawn ahead."""
    frames: int
    """Answers to a question: of one portrait, whose notes are taken once. In films, the frames of a window."""
    rate: float
    optimiser: Literal["adamw", "muon"]
    data: str
    """The folder of shards of footage, made by `understudy prepare`; "": the cast."""
    cross: bool
    """Whether drivers are other people than portraits. If not, the driver's picture is the answer itself."""
    dropped: float
    """How often the portrait is kept from the net, for guidance."""
    fine: float
    """How much more a place in eyes or mouth counts."""
    level_middle: float
    level_spread: float
    """Levels of noise: the logistic function of a Gaussian (Esser et al. 2024). Where everything goes is decided at the
    highest levels, so its middle is high: at 0, one sample in seventy would be noisier than 0.9. A spread of 0: all
    levels alike, as Stable Diffusion was trained."""
    clearing: ClearingRecipe
    judged: int
    """Held-out questions that are judged."""
    manner: Manner
    storage: weights.Storage


def source(recipe: PortrayalRecipe, first: int = 0) -> Ensembles | Footage:
    """The ensembles that a recipe's questions are about."""
    if recipe.data:
        from understudy.data.footage import Footage  # machines that learn from the cast alone have no OpenCV

        people = 2 if recipe.cross else 1
        size, folder = recipe.config.picture, Path(recipe.data)
        if recipe.stage == "time":
            return Footage(folder=folder, size=size, people=people, moments=1 + recipe.frames, filmed=True, first=first)
        return Footage(folder=folder, size=size, people=people, first=first)
    if recipe.stage == "time":
        return Ensembles(size=recipe.config.picture, people=2, moments=1 + recipe.frames, filmed=True, first=first)
    return Ensembles(size=recipe.config.picture, first=first)


@dataclass(frozen=True)
class Question:
    """Whose portrait, who drives, and when; pictures by their numbers."""

    portrait: int
    driver_then: int
    """The driver, doing what the portrait does."""
    drivers: tuple[int, ...]
    answers: tuple[int, ...]
    mirrored: bool


def question(recipe: PortrayalRecipe, ensembles: Ensembles | Footage, count: int, number: int) -> Question:
    """Question `number` about the first `count` ensembles."""
    dice = chance(recipe.plan.seed, number, _PICK)

    def throw(sides: int) -> int:
        return int(torch.randint(sides, (), generator=dice))

    people, moments = ensembles.people, ensembles.moments
    ensemble, one = throw(count), throw(1 if ensembles.real else people)
    other = (one + 1 + throw(people - 1)) % people if recipe.cross else one
    if ensembles.filmed:
        then, now = 0, [*range(1, moments)]
    else:
        then = throw(CALM) if throw(2) else throw(moments)  # portraits are mostly calm
        now = [(then + 1 + throw(moments - 1)) % moments for _ in range(recipe.frames)]  # and do not answer themselves

    def picture(person: int, moment: int) -> int:
        return ensemble * ensembles.pictures + person * moments + moment

    return Question(
        picture(one, then), picture(other, then), tuple(picture(other, m) for m in now),
        tuple(picture(one, m) for m in now), throw(2) == 1,
    )  # fmt: skip


class Questions:
    """Samples: latents of portrait and answer, and what else a recipe wants to see of their pictures."""

    def __init__(self, recipe: PortrayalRecipe, pictures: shards.Shards, latents: shards.Shards) -> None:
        self.recipe, self.pictures, self.latents = recipe, pictures, latents
        self.ensembles = source(recipe)
        self.count = len(latents) // self.ensembles.pictures

    def batch(self, numbers: Sequence[int]) -> Batch:
        """`portrait` (n, c, h, w) and `answer` (n, f, c, h, w), latents; `fine` (n, f, h, w), uint8; to be
        cleared, `counts` (n, k, h, w), finer, of the first answers; and `more`."""
        asked = [question(self.recipe, self.ensembles, self.count, n) for n in numbers]
        turned = torch.tensor([q.mirrored for q in asked])
        answers = [q.answers for q in asked]
        answer = self._latents(answers, turned)
        counts = self.seen(answers, turned, "fine")["fine"]
        fine = F.adaptive_max_pool2d(counts.float(), answer.shape[-1]).round().to(torch.uint8)
        portrait = self._latents([(q.portrait,) for q in asked], turned)[:, 0]
        batch = {"portrait": portrait, "answer": answer, "fine": fine, **self.more(asked, turned)}
        if self.recipe.stage == "clear":
            batch["counts"] = counts[:, : self.recipe.clearing.frames]
        return batch

    def more(self, asked: Sequence[Question], turned: Tensor) -> Batch:
        """What a recipe wants to see besides. `turned` (n,): those that are seen in a mirror."""
        return {}

    def seen(self, numbers: Sequence[tuple[int, ...]], turned: Tensor, *names: str) -> dict[str, Tensor]:
        """Tensors of pictures, (n, f, ...)."""
        return pictured(self.pictures, numbers, turned, self.recipe.config.picture, names)

    def _latents(self, numbers: Sequence[tuple[int, ...]], turned: Tensor) -> Tensor:
        both = self.latents.at([n for some in numbers for n in some])["latent"]  # (n*f, 2, c, h, w): as is, mirrored
        each = len(numbers[0])
        chosen = both[torch.arange(len(both)), turned.long().repeat_interleave(each)]
        return chosen.reshape(len(numbers), each, *chosen.shape[1:])


def pictured(
    pictures: shards.Shards, numbers: Sequence[tuple[int, ...]], turned: Tensor, size: int, names: Sequence[str]
) -> dict[str, Tensor]:
    """Tensors of pictures by their numbers, n times f, as (n, f, ...); those of `turned` (n,) in a mirror."""
    each = len(numbers[0])
    found = pictures.at([n for some in numbers for n in some], names)
    found = mirrored(found, turned.repeat_interleave(each), size)
    return {name: value.reshape(len(numbers), each, *value.shape[1:]) for name, value in found.items()}


@dataclass(frozen=True)
class Noisy:
    """Answers with noise in them, n films of f frames."""

    latents: Tensor  # (n, f, c, h, w)
    level: Tensor  # (n, f)
    wanted: Tensor  # (n, f, c, h, w): what a net shall say of it
    told: Tensor  # (n,) whether it is told whose portrait it is


def noisy_answers(batch: Batch, moment: Moment, recipe: PortrayalRecipe) -> Noisy:
    """A level for every frame, but one for a whole film."""
    config, answer = recipe.config, batch["answer"].float()
    films, frames = answer.shape[:2]
    each = 1 if recipe.stage == "time" else frames
    if recipe.level_spread:
        drawn = moment.chance.normal(each, purpose=_LEVEL)
        level = (drawn * recipe.level_spread + recipe.level_middle).sigmoid()
    else:
        level = moment.chance.uniform(each, purpose=_LEVEL)
    level = level.expand(films, frames).to(answer.device)
    noise = moment.chance.normal(*answer.shape[1:], purpose=_NOISE)
    if recipe.stage == "time":  # as films are drawn
        noise = mixed_noise(moment.chance.normal(1, *answer.shape[2:], purpose=_COMMON), noise, recipe.manner.alike)
    noise = noise.to(answer.device)
    told = (moment.chance.uniform(purpose=_TOLD) >= recipe.dropped).to(answer.device)
    return Noisy(
        latents=noised(answer, noise, level, config.schedule),
        level=level,
        wanted=target(answer, noise, level, config.schedule, config.prediction),
        told=told,
    )


def error_of(given: Tensor, noisy: Noisy, batch: Batch, recipe: PortrayalRecipe) -> Tensor:
    """The mean squared error of what a net said, eyes and mouth counting more."""
    weight = 1 + recipe.fine * batch["fine"].float()[:, :, None] / 255
    error = ((given - noisy.wanted).square() * weight).mean((2, 3, 4)) / weight.mean((2, 3, 4))
    return error.mean()


def prepare(
    recipe: PortrayalRecipe, folder: Path, rank: int = 0, world: int = 1, device: str = "cpu"
) -> Iterator[tuple[int, int]]:
    """Draw ahead, and read with the autoencoder, what is not there yet; yields (done, wanted)."""
    ensembles = source(recipe)
    if isinstance(ensembles, Ensembles):
        ensembles = drawn_on(ensembles, device)
    drawn, place = folder / ensembles.kind, folder / ensembles.kind / latents_name(recipe)
    yield from drawn_ahead(ensembles, drawn, recipe.pictures, rank, world)
    if shards.complete(place, recipe.pictures, EACH):
        return
    pictures, net = shards.Shards(drawn, recipe.pictures), reader(recipe).to(device)

    @torch.no_grad()
    def read(numbers: range) -> dict[str, Tensor]:
        made = []
        for begin in range(numbers.start, numbers.stop, 16):
            seen = pictures.at(range(begin, min(begin + 16, numbers.stop)), ("picture",))["picture"]
            both = torch.stack([seen, seen.flip(-1)], 1).flatten(0, 1)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                latents = net.encode(pixels({"picture": both.to(device)}))
            made.append(latents.half().reshape(-1, 2, *latents.shape[1:]).cpu())
        return {"latent": torch.cat(made)}

    about = {"autoencoder": latents_name(recipe)}
    for there in shards.shared(place, recipe.pictures, EACH, about, read, rank, world):
        yield there, recipe.pictures


def latents_name(recipe: PortrayalRecipe) -> str:
    """The folder of latents: another autoencoder's encoder, another folder."""
    tensors = autoencoder_of(recipe).tensors
    found = hashlib.sha256()
    for name in sorted(tensors):
        if name.startswith(("encoder", "quant_conv")):
            found.update(name.encode() + tensors[name].float().numpy().tobytes())
    return f"latents-{found.hexdigest()[:12]}"


def autoencoder_of(recipe: PortrayalRecipe) -> weights.Weights:
    """An autoencoder's own file, or what a converted file of a whole generator has of one."""
    read = weights.load(found(recipe.autoencoder))
    inner = {name.removeprefix(_WITHIN): value for name, value in read.tensors.items() if name.startswith(_WITHIN)}
    if not inner:
        return read
    return replace(read, about=replace(read.about, config=recipe.config.autoencoder), tensors=inner)


def reader(recipe: PortrayalRecipe) -> Autoencoder:
    read = autoencoder_of(recipe)
    net = Autoencoder(read.about.config)
    weights.fill(net, read)
    return net.eval()
