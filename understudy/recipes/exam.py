"""What is judged while a generator learns, and what is kept of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy import weights
from understudy.data.drawn import HELD_OUT
from understudy.diffusion.noise import denoiser, keyed_noise
from understudy.diffusion.samplers import last
from understudy.errors import BadOption
from understudy.generator.generator import SAMPLERS, SPACINGS, Cues, Generator, GeneratorConfig, Manner, part
from understudy.recipes.autoencoder import pixels, psnr, sharpness
from understudy.recipes.portrayal import PortrayalRecipe, Question, question, source
from understudy.recipes.recipe import public
from understudy.train.journal import tiled
from understudy.train.task import Judgement


class Exam(ABC):
    """Held-out people doing held-out things, drawn as a person would draw them."""

    def __init__(
        self, recipe: PortrayalRecipe, config: GeneratorConfig, looks: str, first: int = HELD_OUT, among: int = 0
    ) -> None:
        """`looks`: of the cast that is learnt from. `first`: the number from which on people and performances are
        taken, `among` so many ensembles; 0: as many as there are questions."""
        self.recipe, self.config, self.looks = recipe, config, looks
        self.scores: Mapping[str, float] = {}
        self.ensembles = source(recipe, first)
        frames = recipe.frames if recipe.stage == "time" else 1
        same = replace(recipe, plan=replace(recipe.plan, seed=0), frames=frames)  # whatever is learnt
        same = replace(same, cross=self.ensembles.people > 1)
        count = among or recipe.judged
        asked = [question(same, self.ensembles, count, first + n) for n in range(recipe.judged)]
        self.asked = [replace(q, mirrored=False) for q in asked]
        self.needed = sorted({n for q in self.asked for n in (q.portrait, q.driver_then, *q.drivers, *q.answers)})

    @cached_property
    def seen(self) -> dict[str, Tensor]:
        """What is needed, drawn when it is first looked at: of several processes, one judges."""
        return self.ensembles.batch(self.needed)

    def judge(self, model: Generator) -> Judgement:
        """PSNR of whole pictures and of eyes and mouth; of the autoencoder alone; of not moving at all; and how sharp
        eyes and mouth are, of the truth's."""
        rows: list[list[Tensor]] = []
        scores: dict[str, list[float]] = {}
        prior = self.recipe.stage == "prior"
        device = model.unet.conv_out.weight.device
        for q in self.asked[: 8 if prior else None]:
            truth = self.picture(q.answers).to(device)
            portrait = self.picture((q.portrait,)).to(device)
            kept = model.autoencoder.decode(model.autoencoder.encode(truth))
            if prior:
                result, hint = sampled(model, self.recipe.manner, len(rows)), portrait
            else:
                result, hint = self.drawn(model, q, portrait)
            fine = F.interpolate(self.taken("fine", q.answers)[:, None].float() / 255, size=truth.shape[-2:])
            for name, picture in {"psnr": result, "still": portrait.expand_as(truth), "reconstruction": kept}.items():
                error = (picture.clamp(-1, 1) - truth).square().cpu()
                scores.setdefault(name, []).append(psnr(error))
                scores.setdefault(f"{name}_fine", []).append(psnr(error, fine))
            scores.setdefault("sharpness", []).append(sharpness(result.cpu(), truth.cpu(), fine))
            rows.append([x[:1].cpu() / 2 + 0.5 for x in (portrait, hint, result, kept, truth)])
        means = {name: sum(values) / len(values) for name, values in scores.items()}
        self.scores = {
            name: value for name, value in means.items() if not (prior and name.startswith(("psnr", "sharp")))
        }
        columns = [torch.cat([row[k] for row in rows[:12]]) for k in range(5)]
        return Judgement(self.scores, {"held-out": tiled(columns)})

    def keep(self, model: Generator, folder: Path, step: int) -> None:
        """All of the generator but the autoencoder."""
        tensors = {name: value for name, value in model.state_dict().items() if part(name) != "autoencoder"}
        about = weights.About(
            name=self.recipe.name,
            config=self.config,
            recipe={**public(self.recipe), "looks": self.looks},
            commit=weights.commit(),
            figures={"step": float(step), **self.scores},
            storage=self.recipe.storage,
        )
        weights.save(folder / f"{self.recipe.name}.safetensors", tensors, about)

    def drawn(self, model: Generator, q: Question, portrait: Tensor) -> tuple[Tensor, Tensor]:
        """The generator's answers (f, 3, h, w) to a question, and what the driver looks like to it (f, 3, h, w)."""
        told, driver = self.told(model, q)
        return torch.cat([*model.draw(model.likeness(portrait), [told], self.recipe.manner)]), driver

    @abstractmethod
    def told(self, model: Generator, q: Question) -> tuple[Cues, Tensor]:
        """What the generator is told of a question's drivers, and what they look like to it (f, 3, h, w)."""

    def taken(self, name: str, numbers: Sequence[int]) -> Tensor:
        """What `data.ensemble` says of some pictures."""
        return self.seen[name][[self.needed.index(n) for n in numbers]]

    def picture(self, numbers: Sequence[int]) -> Tensor:
        """Some pictures (n, 3, h, w) in [-1, 1]."""
        return pixels({"picture": self.taken("picture", numbers)})


def sampled(model: Generator, manner: Manner, seed: int) -> Tensor:
    """A picture (1, 3, h, w) of nobody in particular: what the backbone has learnt by itself."""
    config = model.config
    context = model.context
    if context is None:
        raise BadOption("Only a backbone with a shared context draws nobody in particular")

    def answer(noisy: Tensor, level: Tensor) -> Tensor:
        told: Tensor = model.unet(noisy[None], level[None], context)
        return told[0]

    device = model.unet.conv_out.weight.device
    levels = SPACINGS[manner.spacing](2 * manner.steps).to(device)
    noise = keyed_noise(seed, [0], (config.unet.channels, config.side, config.side), device=device)
    denoise = denoiser(answer, config.schedule, config.prediction)
    return model.autoencoder.decode(last(SAMPLERS[manner.sampler](denoise, noise, levels, config.schedule)))


def begin(model: Generator, earlier: weights.Weights) -> list[str]:
    """Put earlier weights into a generator, but for its autoencoder; returns the names of what is new in it. What was
    learnt of films is left out where this stage has no films: a finished generator may learn on, and looks along time
    anew.

    Raises BadOption where the earlier stage has anything else that has no place here."""
    places = {name: value for name, value in model.state_dict().items() if part(name) != "autoencoder"}
    filmed = any(part(name) == "time" for name in places)
    left_out = {"autoencoder"} if filmed else {"autoencoder", "time"}
    kept = {name: value for name, value in earlier.tensors.items() if part(name) not in left_out}
    earlier = replace(earlier, tensors=kept)
    strange = [
        name for name, value in earlier.tensors.items() if name not in places or places[name].shape != value.shape
    ]
    if strange:
        raise BadOption(
            f"{earlier.about.name} has {len(strange)} weights that have no place in this stage", ", ".join(strange[:8])
        )
    model.load_state_dict(dict(earlier.tensors), strict=False)
    return [name for name in places if name not in earlier.tensors]


def copied(model: Generator, new: Set[str]) -> None:
    """Nets of which all is `new` begin as the backbone wherever they are alike: reference and control nets as they are
    begun where there is a backbone of Stable Diffusion (AnimateAnyone; ControlNet)."""
    state = model.state_dict()
    homes = ("reference.", *(f"controls.{number}." for number in range(len(model.config.controls))))
    for home in homes:
        own = [name for name in state if name.startswith(home)]
        if new >= set(own):
            alike = {name: state.get(f"unet.{name.removeprefix(home)}") for name in own}
            found = {name: value for name, value in alike.items() if value is not None}
            model.load_state_dict({n: v for n, v in found.items() if v.shape == state[n].shape}, strict=False)


def places(model: nn.Module, parts: Sequence[str]) -> tuple[str, ...]:
    """The innermost modules whose parameters belong to some parts of a generator."""
    return tuple(
        name
        for name, module in model.named_modules()
        if any(part(f"{name}.{own}") in parts for own, _ in module.named_parameters(recurse=False))
    )
