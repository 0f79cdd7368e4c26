"""X-Portrait, in its published stages: the same functions at small and at full size.

A sample is a question about an ensemble of made-up people: this person (the portrait), doing what another person does
in a picture (the driver). The answer was drawn as well, so it is exact. The driver's picture is the paper's
cross-identity picture I_C = F(another person, driving frame); it is varied as footage varies, and stretched a little
along both axes by chance, so that the driver's looks say nothing and proportions are not quite to be trusted.

1. prior      the backbone alone learns what pictures look like (at full size it is Stable Diffusion)
2. spatial    the reference net and the first control net, on single pictures; the backbone stands still
3. local      the second control net: eyes and mouth
4. together   all of them; not published, and what a small backbone needs
5. time       attention along the film; all else stands still

Between the last two, `clear`, if wanted: the same as `together`, through pictures as they are seen in the end, and a
critic (see `clearing`). It is no part of the course: eyes and mouths become clearer, and more of the driver is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy import weights
from understudy.data import shards
from understudy.data.vary import FOOTAGE, varied
from understudy.errors import BadOption
from understudy.generator.generator import Cues, Generator, GeneratorConfig
from understudy.generator.hints import aligned, between, moved, patched, stretched
from understudy.models import published_manner, small_manner, x_portrait, x_portrait_small
from understudy.recipes import clearing
from understudy.recipes.autoencoder import pixels
from understudy.recipes.exam import Exam, begin, copied, places
from understudy.recipes.portrayal import (
    PortrayalRecipe,
    Question,
    Questions,
    autoencoder_of,
    error_of,
    latents_name,
    noisy_answers,
    source,
)
from understudy.recipes.recipe import all_found
from understudy.train.journal import tiled
from understudy.train.task import Batch, Chance, Loss, Moment, Plan, Task, Turn

STAGES: Final = ("prior", "spatial", "local", "together", "clear", "time")
LEARNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "prior": ("backbone",),
    "spatial": ("reference", "control 0"),
    "local": ("control 1",),
    "together": ("backbone", "reference", "control 0", "control 1"),
    "clear": ("backbone", "reference", "control 0", "control 1"),
    "time": ("time",),
}
"""Which parts of a generator (see `generator.part`) learn in a stage."""
_STRETCH, _SHIFT = range(0x7874, 0x7876)


@dataclass(frozen=True, kw_only=True)
class XPortraitRecipe(PortrayalRecipe):
    """All that a stage of X-Portrait depends on."""

    stage: Literal["prior", "spatial", "local", "together", "clear", "time"]
    local: bool
    """Whether there is a control net for eyes and mouth at all (if not: the paper's other ablation)."""
    stretch: float
    """The most by which drivers are stretched or squeezed along each axis, as a logarithm."""
    shift: float
    """How far drivers are shifted, as a share of the picture: standard deviation."""
    varied: bool
    """Whether drivers are varied as footage is."""
    copied: bool
    """Whether reference and control nets begin as the backbone, where they are new."""


def x_portrait_small_stage(stage: str) -> XPortraitRecipe:
    """One stage of the small X-Portrait. What to expect is in docs/training.md."""
    steps = {"prior": 1500, "spatial": 3000, "local": 1500, "together": 30_000, "clear": 3000, "time": 3000}[stage]
    filmed = stage == "time"
    frames, at_once = {"prior": (1, 32), "clear": (2, 16), "time": (16, 64)}.get(stage, (4, 32))
    return XPortraitRecipe(
        name=f"x-portrait-small-{stage}",
        plan=Plan(
            steps=steps, batch=at_once // frames, accumulate=1, clip=1.0, warm_up=50, floor=0.02,
            average=0.998, bf16=True, seed=STAGES.index(stage), judge_every=500, save_every=250, keep=2,
        ),
        start="",
        stage=stage,  # type: ignore[arg-type]
        config=x_portrait_small(),
        autoencoder="autoencoder-small.safetensors",
        pictures=4352 if filmed else 10_240,
        frames=frames,
        rate=1e-3 if stage == "clear" else 3e-3,
        optimiser="muon",
        local=True,
        data="",
        cross=True,
        stretch=0.04,
        shift=0.004,
        varied=True,
        copied=False,
        dropped=0.05,
        fine=2.0,
        level_middle=1.4,
        level_spread=1.4,
        clearing=clearing.small_clearing(),
        judged=4 if filmed else 24,
        manner=small_manner(),
        storage="int8",
    )  # fmt: skip


def x_portrait_stage(stage: str) -> XPortraitRecipe:
    """One stage of X-Portrait at full size, on footage (`data=`), behind Stable Diffusion 1.5. The order of the stages,
    what learns in each, the cross-identity drivers and the window are published; rates, batches and lengths are not,
    and are those of the nearest published recipe (AnimateAnyone's kind: AdamW, 1e-5). What it would cost:
    docs/training.md."""
    steps = {"spatial": 30_000, "local": 30_000, "time": 10_000}[stage]
    filmed = stage == "time"
    return replace(
        x_portrait_small_stage(stage),
        name=f"x-portrait-{stage}",
        plan=Plan(
            steps=steps, batch=8 if filmed else 32, accumulate=1, clip=1.0, warm_up=500, floor=1.0, average=0.9999,
            bf16=True, seed=0x40 + STAGES.index(stage), judge_every=2000, save_every=500, keep=2,
        ),
        start="stable-diffusion-1.5.safetensors",
        config=x_portrait(),
        autoencoder="stable-diffusion-1.5.safetensors",
        frames=16 if filmed else 1,
        rate=1e-5,
        optimiser="adamw",
        copied=True,
        stretch=0.2,
        shift=0.008,
        dropped=0.1,
        fine=0.0,
        level_middle=0.0,
        level_spread=0.0,
        judged=2 if filmed else 8,
        manner=published_manner(),
        storage="bf16",
    )  # fmt: skip


def staged(config: GeneratorConfig, stage: str) -> GeneratorConfig:
    """The generator of a stage: what a later stage adds is not there yet."""
    time = config.unet.time if stage == "time" else None
    controls = {"prior": 0, "spatial": 1}.get(stage, len(config.controls))
    return replace(config, unet=replace(config.unet, time=time), controls=config.controls[:controls])


class Drivers(Questions):
    """Questions, with the driver's pictures and what is known of them."""

    def more(self, asked: Sequence[Question], turned: Tensor) -> Batch:
        """`driver` (n, f, 3, s, s) and `ground`, uint8; `centres` (n, f, 3, 2); `map` (n, 2, 3) from the driver's
        picture to the portrait's."""
        if self.recipe.stage == "prior":
            return {}
        seen = self.seen([q.drivers for q in asked], turned, "picture", "ground", "centres")
        then = self.seen([(q.driver_then, q.portrait) for q in asked], turned, "outline")["outline"]
        driver = {"driver": seen["picture"], "ground": seen["ground"], "centres": seen["centres"]}
        return driver | {"map": between(then[:, 0], then[:, 1])}


def cues(batch: Batch, dice: Chance, recipe: XPortraitRecipe, count: int) -> Cues:
    """The hints of a batch (n*f frames), as they are learnt from: varied, stretched, brought onto the portrait."""
    frames = batch["driver"].shape[1]
    pictures = batch["driver"].flatten(0, 1)
    centres, maps = batch["centres"].flatten(0, 1), batch["map"]
    alike = recipe.stage == "time"  # a film is varied as a whole
    each = Chance(dice.seed, tuple(n if alike else n * frames + k for n in dice.numbers for k in range(frames)))
    driver = pixels({"picture": pictures})
    if recipe.varied:
        ground = F.interpolate(batch["ground"].flatten(0, 1)[:, None].float() / 255, size=driver.shape[-2:])
        driver = varied(driver, ground, each, FOOTAGE)
    size = recipe.config.picture
    scale = ((dice.uniform(2, purpose=_STRETCH) * 2 - 1) * recipe.stretch).exp().to(driver.device)
    shift = (dice.normal(2, purpose=_SHIFT) * recipe.shift * size).to(driver.device)
    middle = moved(batch["centres"].mean((1, 2))[:, None], maps)[:, 0]
    pull = stretched(scale, middle)
    maps = torch.cat([pull[:, :, :2] @ maps[:, :, :2], pull[:, :, :2] @ maps[:, :, 2:] + pull[:, :, 2:]], 2)
    maps = torch.cat([maps[:, :, :2], maps[:, :, 2:] + shift[..., None]], 2).repeat_interleave(frames, 0)
    seen = aligned(driver, maps, size)
    return Cues((seen, patched(seen, moved(centres, maps)))[:count])


def drawing(model: Generator, batch: Batch, moment: Moment, recipe: XPortraitRecipe) -> Loss:
    """The error of the answer about the noise, eyes and mouth counting more."""
    noisy = noisy_answers(batch, moment, recipe)
    frames, told = noisy.level.shape[1], noisy.told
    if recipe.stage == "prior":
        told = torch.zeros_like(told)
    given = torch.zeros_like(noisy.wanted)
    if bool(told.any()):
        with torch.no_grad(), torch.autocast(told.device.type, enabled=False):
            hints = cues(batch, moment.chance, recipe, len(model.config.controls))
        rows = told.repeat_interleave(frames)
        given[told] = model(
            noisy.latents[told], noisy.level[told], portrait=batch["portrait"].float()[told],
            cues=Cues(tuple(hint[rows] for hint in hints.hints)),
        ).float()  # fmt: skip
    if not bool(told.all()):
        given[~told] = model(noisy.latents[~told], noisy.level[~told], portrait=None, cues=None).float()
    total = error_of(given, noisy, batch, recipe)
    return Loss(total, {"flow": total, "told": told.float().mean()})


def clear(model: clearing.Watched, batch: Batch, moment: Moment, recipe: XPortraitRecipe) -> Loss:
    """The same, and what pictures cost."""
    about_noise = drawing(model.generator, batch, moment, recipe)
    pictures = _seen(model.generator, batch, moment, recipe)
    batch |= clearing.left(pictures)
    found = clearing.cleared(model.critic, pictures, moment, recipe.clearing)
    total = about_noise.total + recipe.clearing.weight * found.total
    return Loss(total, {**about_noise.parts, **found.parts})


def criticising(model: clearing.Watched, batch: Batch, moment: Moment, recipe: XPortraitRecipe) -> Loss:
    """What the critic makes smaller."""
    pictures = clearing.found(batch, lambda: _seen(model.generator, batch, moment, recipe))
    return clearing.criticising(model.critic, pictures, moment, recipe.clearing)


def _seen(model: Generator, batch: Batch, moment: Moment, recipe: XPortraitRecipe) -> clearing.Seen:
    with torch.no_grad(), torch.autocast(batch["driver"].device.type, enabled=False):
        hints = cues(batch, moment.chance, recipe, len(model.config.controls))
    return clearing.seen(model, batch, moment, hints, recipe.manner, recipe.clearing)


class Rehearsal(Exam):
    """Held-out people, driven by others."""

    def told(self, model: Generator, q: Question) -> tuple[Cues, Tensor]:
        """See `Exam`."""
        driver, centres = self.picture(q.drivers), self.taken("centres", q.drivers)
        maps = between(self.taken("outline", (q.driver_then,)), self.taken("outline", (q.portrait,)))
        seen = aligned(driver, maps, self.config.picture)
        return Cues((seen, patched(seen, moved(centres, maps)))).to(model.unet.conv_out.weight.device), seen


def task(recipe: XPortraitRecipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has drawn."""
    torch.manual_seed(recipe.plan.seed)
    autoencoder = autoencoder_of(recipe)
    config = replace(staged(recipe.config, recipe.stage), autoencoder=autoencoder.about.config)
    if not recipe.local:
        config = replace(config, controls=config.controls[:1])
    model = Generator(config)
    weights.fill(model.autoencoder, autoencoder)
    if recipe.start:
        new = [set(begin(model, weights.load(name))) for name in all_found(recipe.start)]
        if recipe.copied:
            copied(model, set.intersection(*new))
    elif "backbone" not in LEARNERS[recipe.stage]:
        raise BadOption(
            f"{recipe.name} would learn behind a backbone that has learnt nothing",
            "start is empty",
            "start=FILE, the weights of the stage before; or the whole course, x-portrait-small",
        )
    drawn = folder / source(recipe).kind
    latents = shards.Shards(drawn / latents_name(recipe), recipe.pictures)
    exam = Rehearsal(recipe, config, str(shards.said(drawn).get("looks", "")))

    watched = recipe.stage == "clear"
    turns = (
        Turn(
            name="draw", learns=places(model, LEARNERS[recipe.stage]), rate=recipe.rate, betas=(0.9, 0.99),
            objective=partial(clear if watched else drawing, recipe=recipe), optimiser=recipe.optimiser,
        ),
    )  # fmt: skip
    alone = Task(
        identity=weights.as_json(recipe),
        plan=recipe.plan,
        model=model,
        turns=turns,
        data=Drivers(recipe, shards.Shards(drawn, recipe.pictures), latents),
        show=partial(shown, recipe=recipe),
        judge=exam.judge,
        keep=exam.keep,
    )
    return clearing.watched(alone, partial(criticising, recipe=recipe), recipe.clearing) if watched else alone


def shown(model: Generator, batch: Batch, recipe: XPortraitRecipe) -> dict[str, Tensor]:
    """What is given and what is wanted: the portrait, the hints, the answer, and what counts more."""
    few = min(len(batch["answer"]), 8)
    some = {name: value[:few] if name in ("portrait", "map") else value[:few, :1] for name, value in batch.items()}
    rows = [model.autoencoder.decode(x.float()) / 2 + 0.5 for x in (some["portrait"], some["answer"][:, 0])]
    if recipe.stage != "prior":
        hints = cues(some, Chance(recipe.plan.seed, tuple(range(few))), recipe, 2).hints
        rows[1:1] = [hint / 2 + 0.5 for hint in hints]
    return {"first-batch": tiled([*rows, some["fine"].float() / 255])}
