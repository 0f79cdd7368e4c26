"""X-Portrait, in its published stages: the same functions at small and at full size.

A sample is a question about an ensemble of made-up people: this person (the portrait), doing what another person does
in a picture (the driver). The answer was drawn as well, so it is exact. The driver's picture is the paper's
cross-identity picture I_C = F(another person, driving frame); it is varied as footage varies, and stretched along both
axes by chance, so that the driver's looks and proportions say nothing.

1. prior      the backbone alone learns what pictures look like (at full size it is Stable Diffusion)
2. spatial    the reference net and the first control net, on single pictures; the backbone stands still
3. local      the second control net: eyes and mouth
4. together   all of them; not published, and what a small backbone needs
5. time       attention along the film; all else stands still
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy import weights
from understudy.data import shards
from understudy.data.drawn import HELD_OUT
from understudy.data.ensemble import CALM, EACH, Ensembles, drawn_ahead, mirrored
from understudy.data.vary import FOOTAGE, varied
from understudy.diffusion.noise import chance, denoiser, keyed_noise, noised, target
from understudy.diffusion.samplers import last
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder
from understudy.generator.generator import SAMPLERS, SPACINGS, Cues, Generator, GeneratorConfig, Manner, part
from understudy.generator.hints import aligned, between, moved, patched, stretched
from understudy.models import small_manner, x_portrait_small
from understudy.recipes.autoencoder import pixels, psnr
from understudy.recipes.recipe import Recipe, found
from understudy.train.journal import tiled
from understudy.train.task import Batch, Chance, Judgement, Loss, Moment, Plan, Task, Turn

STAGES: Final = ("prior", "spatial", "local", "together", "time")
LEARNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "prior": ("backbone",),
    "spatial": ("reference", "control 0"),
    "local": ("control 1",),
    "together": ("backbone", "reference", "control 0", "control 1"),
    "time": ("time",),
}
"""Which parts of a generator (see `generator.part`) learn in a stage."""
_PICK, _LEVEL, _NOISE, _TOLD, _STRETCH, _SHIFT = range(0x7870, 0x7876)


@dataclass(frozen=True, kw_only=True)
class XPortraitRecipe(Recipe):
    """All that a stage of X-Portrait depends on."""

    stage: Literal["prior", "spatial", "local", "together", "time"]
    config: GeneratorConfig
    autoencoder: str
    """A file, or the name of a shipped one: latents are made with it, and its config is part of the generator's."""
    pictures: int
    """Drawn ahead."""
    frames: int
    """Answers to a question: of one portrait, whose notes are taken once. In films, the frames of a window."""
    rate: float
    local: bool
    """Whether there is a control net for eyes and mouth at all (if not: the paper's other ablation)."""
    cross: bool
    """Whether drivers are other people than portraits. If not, the driver's picture is the answer itself (the paper's
    ablation)."""
    stretch: float
    """The most by which drivers are stretched or squeezed along each axis, as a logarithm."""
    shift: float
    """How far drivers are shifted, as a share of the picture: standard deviation."""
    varied: bool
    """Whether drivers are varied as footage is."""
    dropped: float
    """How often portrait and driver are kept from the net, for guidance."""
    fine: float
    """How much more a place in eyes or mouth counts."""
    level_middle: float
    level_spread: float
    """Levels of noise: the logistic function of a Gaussian (Esser et al. 2024)."""
    judged: int
    """Held-out questions that are judged."""
    manner: Manner
    storage: weights.Storage


def x_portrait_small_stage(stage: str) -> XPortraitRecipe:
    """One stage of the small X-Portrait. What to expect is in docs/training.md."""
    steps = {"prior": 1500, "spatial": 3000, "local": 1500, "together": 30_000, "time": 3000}[stage]
    filmed = stage == "time"
    frames = {"prior": 1, "time": 16}.get(stage, 4)
    return XPortraitRecipe(
        name=f"x-portrait-small-{stage}",
        plan=Plan(
            steps=steps, batch=(64 if filmed else 32) // frames, accumulate=1, clip=1.0, warm_up=50, floor=0.02,
            average=0.998, bf16=True, seed=STAGES.index(stage), judge_every=500, save_every=250, keep=2,
        ),
        start="",
        stage=stage,  # type: ignore[arg-type]
        config=x_portrait_small(),
        autoencoder="autoencoder-small.safetensors",
        pictures=2176 if filmed else 10_240,
        frames=frames,
        rate=2e-3,
        local=True,
        cross=True,
        stretch=0.2,
        shift=0.008,
        varied=True,
        dropped=0.05,
        fine=2.0,
        level_middle=0.0,
        level_spread=1.0,
        judged=4 if filmed else 24,
        manner=small_manner(),
        storage="int8",
    )  # fmt: skip


def staged(config: GeneratorConfig, stage: str) -> GeneratorConfig:
    """The generator of a stage: what a later stage adds is not there yet."""
    time = config.unet.time if stage == "time" else None
    controls = {"prior": 0, "spatial": 1}.get(stage, len(config.controls))
    return replace(config, unet=replace(config.unet, time=time), controls=config.controls[:controls])


def source(recipe: XPortraitRecipe, first: int = 0) -> Ensembles:
    """The ensembles that a recipe's questions are about."""
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


def question(recipe: XPortraitRecipe, ensembles: Ensembles, count: int, number: int) -> Question:
    """Question `number` about the first `count` ensembles."""
    dice = chance(recipe.plan.seed, number, _PICK)

    def throw(sides: int) -> int:
        return int(torch.randint(sides, (), generator=dice))

    people, moments = ensembles.people, ensembles.moments
    ensemble, one = throw(count), throw(people)
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
    """Samples: latents of portrait and answer, the driver's pictures with what is known of them."""

    def __init__(self, recipe: XPortraitRecipe, pictures: shards.Shards, latents: shards.Shards) -> None:
        self.recipe, self.pictures, self.latents = recipe, pictures, latents
        self.ensembles = source(recipe)
        self.count = len(latents) // self.ensembles.pictures

    def batch(self, numbers: Sequence[int]) -> Batch:
        """`portrait` (n, c, h, w) and `answer` (n, f, c, h, w), latents; `driver` (n, f, 3, s, s) and `ground`, uint8;
        `centres` (n, f, 3, 2); `map` (n, 2, 3) from the driver's picture to the portrait's; `fine` (n, f, h, w)."""
        asked = [question(self.recipe, self.ensembles, self.count, n) for n in numbers]
        turned = torch.tensor([q.mirrored for q in asked])
        answers, drivers = [q.answers for q in asked], [q.drivers for q in asked]
        answer = self._latents(answers, turned)
        fine = self._seen(answers, turned, "fine")["fine"]
        fine = F.adaptive_max_pool2d(fine.float(), answer.shape[-1]).round().to(torch.uint8)
        batch = {
            "portrait": self._latents([(q.portrait,) for q in asked], turned)[:, 0],
            "answer": answer,
            "fine": fine,
        }
        if self.recipe.stage == "prior":
            return batch
        seen = self._seen(drivers, turned, "picture", "ground", "centres")
        then = self._seen([(q.driver_then, q.portrait) for q in asked], turned, "outline")["outline"]
        driver = {"driver": seen["picture"], "ground": seen["ground"], "centres": seen["centres"]}
        return batch | driver | {"map": between(then[:, 0], then[:, 1])}

    def _seen(self, numbers: Sequence[tuple[int, ...]], turned: Tensor, *names: str) -> dict[str, Tensor]:
        """Tensors of pictures, (n, f, ...)."""
        each = len(numbers[0])
        found = self.pictures.at([n for some in numbers for n in some], names)
        found = mirrored(found, turned.repeat_interleave(each), self.recipe.config.picture)
        return {name: value.reshape(len(numbers), each, *value.shape[1:]) for name, value in found.items()}

    def _latents(self, numbers: Sequence[tuple[int, ...]], turned: Tensor) -> Tensor:
        both = self.latents.at([n for some in numbers for n in some])["latent"]  # (n*f, 2, c, h, w): as is, mirrored
        each = len(numbers[0])
        chosen = both[torch.arange(len(both)), turned.long().repeat_interleave(each)]
        return chosen.reshape(len(numbers), each, *chosen.shape[1:])


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
    config = model.config
    answer = batch["answer"].float()
    films, frames = answer.shape[:2]
    drawn = moment.chance.normal(1 if recipe.stage == "time" else frames, purpose=_LEVEL)  # a film has one level
    level = (drawn * recipe.level_spread + recipe.level_middle).sigmoid().expand(films, frames).to(answer.device)
    noise = moment.chance.normal(*answer.shape[1:], purpose=_NOISE).to(answer.device)
    noisy = noised(answer, noise, level, config.schedule)
    wanted = target(answer, noise, level, config.schedule, config.prediction)
    told = (moment.chance.uniform(purpose=_TOLD) >= recipe.dropped).to(answer.device)
    if recipe.stage == "prior":
        told = torch.zeros_like(told)
    given = torch.zeros_like(wanted)
    if bool(told.any()):
        with torch.no_grad(), torch.autocast(answer.device.type, enabled=False):
            hints = cues(batch, moment.chance, recipe, len(config.controls))
        rows = told.repeat_interleave(frames)
        given[told] = model(
            noisy[told], level[told], portrait=batch["portrait"].float()[told],
            cues=Cues(tuple(hint[rows] for hint in hints.hints)),
        ).float()  # fmt: skip
    if not bool(told.all()):
        given[~told] = model(noisy[~told], level[~told], portrait=None, cues=None).float()
    weight = 1 + recipe.fine * batch["fine"].float()[:, :, None] / 255
    error = ((given - wanted).square() * weight).mean((2, 3, 4)) / weight.mean((2, 3, 4))
    total = error.mean()
    return Loss(total, {"flow": total, "told": told.float().mean()})


class Exam:
    """Held-out people doing held-out things, drawn as a person would draw them."""

    def __init__(self, recipe: XPortraitRecipe, config: GeneratorConfig, looks: str) -> None:
        """`looks`: of the cast that is learnt from."""
        self.recipe, self.config, self.looks = recipe, config, looks
        self.scores: Mapping[str, float] = {}
        self.ensembles = source(recipe, HELD_OUT)
        frames = recipe.frames if recipe.stage == "time" else 1
        same = replace(recipe, plan=replace(recipe.plan, seed=0), frames=frames, cross=True)  # whatever is learnt
        asked = [question(same, self.ensembles, recipe.judged, HELD_OUT + n) for n in range(recipe.judged)]
        self.asked = [replace(q, mirrored=False) for q in asked]
        self.needed = sorted({n for q in self.asked for n in (q.portrait, q.driver_then, *q.drivers, *q.answers)})

    @cached_property
    def seen(self) -> dict[str, Tensor]:
        """What is needed, drawn when it is first looked at: of several processes, one judges."""
        return self.ensembles.batch(self.needed)

    def judge(self, model: Generator) -> Judgement:
        """PSNR of whole pictures and of eyes and mouth; of the autoencoder alone; of not moving at all."""
        rows: list[list[Tensor]] = []
        scores: dict[str, list[float]] = {}
        prior = self.recipe.stage == "prior"
        device = model.unet.conv_out.weight.device
        for q in self.asked[: 8 if prior else None]:
            truth = self._picture(q.answers).to(device)
            portrait = self._picture((q.portrait,)).to(device)
            kept = model.autoencoder.decode(model.autoencoder.encode(truth))
            if prior:
                result, hint = sampled(model, self.recipe.manner, len(rows)), portrait
            else:
                result, hint = self._drawn(model, q, portrait)
            fine = F.interpolate(self._taken("fine", q.answers)[:, None].float() / 255, size=truth.shape[-2:])
            for name, picture in {"psnr": result, "still": portrait.expand_as(truth), "reconstruction": kept}.items():
                error = (picture.clamp(-1, 1) - truth).square().cpu()
                scores.setdefault(name, []).append(psnr(error))
                scores.setdefault(f"{name}_fine", []).append(psnr(error, fine))
            rows.append([x[:1].cpu() / 2 + 0.5 for x in (portrait, hint, result, kept, truth)])
        means = {name: sum(values) / len(values) for name, values in scores.items()}
        self.scores = {name: value for name, value in means.items() if not (prior and name.startswith("psnr"))}
        columns = [torch.cat([row[k] for row in rows[:12]]) for k in range(5)]
        return Judgement(self.scores, {"held-out": tiled(columns)})

    def keep(self, model: Generator, folder: Path, step: int) -> None:
        """All of the generator but the autoencoder."""
        tensors = {name: value for name, value in model.state_dict().items() if part(name) != "autoencoder"}
        about = weights.About(
            name=self.recipe.name,
            config=self.config,
            recipe={**weights.as_json(self.recipe), "looks": self.looks},
            commit=weights.commit(),
            figures={"step": float(step), **self.scores},
            storage=self.recipe.storage,
        )
        weights.save(folder / f"{self.recipe.name}.safetensors", tensors, about)

    def _drawn(self, model: Generator, q: Question, portrait: Tensor) -> tuple[Tensor, Tensor]:
        driver, centres = self._picture(q.drivers), self._taken("centres", q.drivers)
        maps = between(self._taken("outline", (q.driver_then,)), self._taken("outline", (q.portrait,)))
        seen = aligned(driver, maps, self.config.picture)
        hints = (seen, patched(seen, moved(centres, maps)))[: len(self.config.controls)]
        told = Cues(hints).to(portrait.device)
        return torch.cat([*model.draw(model.likeness(portrait), [told], self.recipe.manner)]), seen

    def _taken(self, name: str, numbers: Sequence[int]) -> Tensor:
        return self.seen[name][[self.needed.index(n) for n in numbers]]

    def _picture(self, numbers: Sequence[int]) -> Tensor:
        return pixels({"picture": self._taken("picture", numbers)})


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


def prepare(recipe: XPortraitRecipe, folder: Path, rank: int = 0, world: int = 1) -> Iterator[tuple[int, int]]:
    """Draw ahead, and read with the autoencoder, what is not there yet; yields (done, wanted)."""
    ensembles = source(recipe)
    drawn, place = folder / ensembles.kind, folder / ensembles.kind / latents_name(recipe)
    yield from drawn_ahead(ensembles, drawn, recipe.pictures, rank, world)
    if shards.complete(place, recipe.pictures, EACH):
        return
    pictures, net = shards.Shards(drawn, recipe.pictures), _autoencoder(recipe)

    @torch.no_grad()
    def read(numbers: range) -> dict[str, Tensor]:
        made = []
        for begin in range(numbers.start, numbers.stop, 16):
            seen = pictures.at(range(begin, min(begin + 16, numbers.stop)), ("picture",))["picture"]
            both = torch.stack([seen, seen.flip(-1)], 1).flatten(0, 1)
            with torch.autocast("cpu", torch.bfloat16):
                latents = net.encode(pixels({"picture": both}))
            made.append(latents.half().reshape(-1, 2, *latents.shape[1:]))
        return {"latent": torch.cat(made)}

    about = {"autoencoder": latents_name(recipe)}
    for there in shards.shared(place, recipe.pictures, EACH, about, read, rank, world):
        yield there, recipe.pictures


def latents_name(recipe: XPortraitRecipe) -> str:
    """The folder of latents: another autoencoder's encoder, another folder."""
    tensors = _read(recipe).tensors
    found = hashlib.sha256()
    for name in sorted(tensors):
        if name.startswith(("encoder", "quant_conv")):
            found.update(name.encode() + tensors[name].float().numpy().tobytes())
    return f"latents-{found.hexdigest()[:12]}"


def task(recipe: XPortraitRecipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has drawn."""
    torch.manual_seed(recipe.plan.seed)
    autoencoder = _read(recipe)
    config = replace(staged(recipe.config, recipe.stage), autoencoder=autoencoder.about.config)
    if not recipe.local:
        config = replace(config, controls=config.controls[:1])
    model = Generator(config)
    weights.fill(model.autoencoder, autoencoder)
    if recipe.start:
        begin(model, weights.load(found(recipe.start)))
    elif "backbone" not in LEARNERS[recipe.stage]:
        raise BadOption(
            f"{recipe.name} would learn behind a backbone that has learnt nothing",
            "start is empty",
            "start=FILE, the weights of the stage before; or the whole course, x-portrait-small",
        )
    drawn = folder / source(recipe).kind
    latents = shards.Shards(drawn / latents_name(recipe), recipe.pictures)
    exam = Exam(recipe, config, str(shards.said(drawn).get("looks", "")))

    def objective(model: Generator, batch: Batch, moment: Moment) -> Loss:
        return drawing(model, batch, moment, recipe)

    def show(model: Generator, batch: Batch) -> dict[str, Tensor]:
        return {"first-batch": shown(model, batch, recipe)}

    return Task(
        identity=weights.as_json(recipe),
        plan=recipe.plan,
        model=model,
        turns=(
            Turn(
                name="draw", learns=places(model, LEARNERS[recipe.stage]), objective=objective, rate=recipe.rate,
                betas=(0.9, 0.99), optimiser="muon",
            ),
        ),
        data=Questions(recipe, shards.Shards(drawn, recipe.pictures), latents),
        show=show,
        judge=exam.judge,
        keep=exam.keep,
    )  # fmt: skip


def begin(model: Generator, earlier: weights.Weights) -> list[str]:
    """Put an earlier stage's weights into a generator; returns the names of what is new in it.

    Raises BadOption where the earlier stage has what has no place here."""
    places = {name: value for name, value in model.state_dict().items() if part(name) != "autoencoder"}
    strange = [
        name for name, value in earlier.tensors.items() if name not in places or places[name].shape != value.shape
    ]
    if strange:
        raise BadOption(
            f"{earlier.about.name} has {len(strange)} weights that have no place in this stage", ", ".join(strange[:8])
        )
    model.load_state_dict(dict(earlier.tensors), strict=False)
    return [name for name in places if name not in earlier.tensors]


def places(model: nn.Module, parts: Sequence[str]) -> tuple[str, ...]:
    """The innermost modules whose parameters belong to some parts of a generator."""
    return tuple(
        name
        for name, module in model.named_modules()
        if any(part(f"{name}.{own}") in parts for own, _ in module.named_parameters(recurse=False))
    )


def shown(model: Generator, batch: Batch, recipe: XPortraitRecipe) -> Tensor:
    """What is given and what is wanted: the portrait, the hints, the answer, and what counts more."""
    few = min(len(batch["answer"]), 8)
    some = {name: value[:few] if name in ("portrait", "map") else value[:few, :1] for name, value in batch.items()}
    rows = [model.autoencoder.decode(x.float()) / 2 + 0.5 for x in (some["portrait"], some["answer"][:, 0])]
    if recipe.stage != "prior":
        hints = cues(some, Chance(recipe.plan.seed, tuple(range(few))), recipe, 2).hints
        rows[1:1] = [hint / 2 + 0.5 for hint in hints]
    return tiled([*rows, some["fine"].float() / 255])


def _read(recipe: XPortraitRecipe) -> weights.Weights:
    return weights.load(found(recipe.autoencoder))


def _autoencoder(recipe: XPortraitRecipe) -> Autoencoder:
    read = _read(recipe)
    net = Autoencoder(read.about.config)
    weights.fill(net, read)
    return net.eval()
