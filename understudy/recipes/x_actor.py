"""X-Actor: from voices to motion, by diffusion forcing.

Learnt from talking takes of the cast, made ahead. Of each take a part is shown, in which every frame has a noise level
of its own: one drawn for each frame, or for each chunk, or one for all, or as in a performance, where what is finished
is nearly clean and what comes is not. The row before the part is a portrait's own, from which the motion sets out.

`objective` says what is compared: forcing is the whole; teacher gives the true past as it is, which drifts; regression
asks for the mean of all performances, which is what an actor must be better than. With `own`, some parts have a past
that the actor has imagined itself, so that it learns to go on from what it does and not only from what people do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from understudy import weights
from understudy.cast.speak.lines import RECORDED
from understudy.cast.speak.mouth import smooth
from understudy.data import revoice, shards
from understudy.data.talk import FOLDER, RECORDED_FOLDER, Talk, spoken_ahead
from understudy.diffusion.forcing import as_used, by_chunk, fused_weights
from understudy.diffusion.noise import chance, noised
from understudy.diffusion.samplers import moved
from understudy.errors import BadOption
from understudy.models import small_tempo, x_actor_small
from understudy.motion import likeness
from understudy.motion.actor import Actor, ActorConfig
from understudy.motion.perform import Tempo
from understudy.motion.space import LEAST, PLAYED, spread_of
from understudy.motion.speech import BANDS, FPS, NOTHING, silence
from understudy.recipes.recipe import Recipe, found
from understudy.recipes.x_actor_exam import Exam, drawn
from understudy.train.task import Batch, Chance, Loss, Moment, Plan, Task, Turn

_PICK, _LEVEL, _EACH, _NOISE, _TOLD, _WISHED, _GAIN, _ROOM, _OWN, _CHOSEN, _OWN_NOISE, _ECHO, _COLOUR = range(
    0x7861, 0x786E
)
_WAVES: Final = (2, 3, 4, 5)  # half periods over the bands: how microphones differ
_BLENDED: Final = 18  # frames in which a motion leaves a portrait that does something else


@dataclass(frozen=True, kw_only=True)
class XActorRecipe(Recipe):
    """All that the training of an actor depends on."""

    config: ActorConfig
    takes: int
    """Made ahead,"""
    recorded: int
    """and so many more that are said by voices recorded from people, for which festival has to be installed."""
    acted: float
    """How much all but the mouth counts in those. With 0, seven speakers teach what sounds look like, and no moods."""
    seconds: int
    """Of each."""
    frames: int
    """Shown at once: whole chunks."""
    rate: float
    objective: Literal["forcing", "teacher", "regression"]
    by_frame: float
    """How often levels are drawn for each frame; else for each chunk, or:"""
    used: float
    """how often they are as in a performance,"""
    alike: float
    """and how often all frames have the same. Then the higher it is, the less does the past tell of the mood, which has
    to be heard."""
    history: float
    """The highest level of what is finished, in a performance."""
    own: float
    """How often the past is what the actor has imagined itself."""
    own_chunks: int
    own_steps: int
    unheard: float
    """How often the sound is kept from the net, for guidance."""
    unwished: float
    """How often each wish is."""
    started: float
    """How often a part sets out from a portrait that does something else."""
    gain: float
    """dB by which sound is made louder or quieter, at most,"""
    tilt: float
    """and dB an octave by which it is made brighter or duller,"""
    colour: float
    """and dB of each of four waves over its bands: microphones differ."""
    throat: float
    """How much shorter or longer voices' throats are made, at most, as a logarithm."""
    echo: float
    """How much of what rooms give back is heard besides, at most: half of the films are heard in rooms,"""
    smooth: float
    """and a third are smoothed by a Gaussian of up to so many hundredths of a second."""
    whispered: float
    """How often nothing is said of the pitch."""
    noise: float
    """log10 of the power of noise that is added, at most."""
    clip: float
    kept: float
    """Of the fused signal-to-noise ratio, see `forcing.fused_weights`."""
    plain: float
    """The share of a frame's weight that does not depend on its level."""
    velocity: float
    """How much the error of changes from frame to frame counts."""
    lips: float
    """How much more jaw and mouth count,"""
    moods: float
    """and what moods move."""
    judged: int
    """Held-out takes."""
    judged_seconds: int
    tempo: Tempo
    storage: weights.Storage


def x_actor_small_recipe() -> XActorRecipe:
    """The small actor. What to expect is in docs/x-actor.md."""
    config = x_actor_small()
    return XActorRecipe(
        name="x-actor-small",
        plan=Plan(
            steps=20_000, batch=16, accumulate=1, clip=1.0, warm_up=50, floor=0.02, average=0.998, bf16=False, seed=5,
            judge_every=1000, save_every=500, keep=2,
        ),
        start="",
        config=config,
        takes=3200,
        recorded=0,
        acted=0.0,
        seconds=16,
        frames=config.context + config.chunk,
        rate=2e-3,
        objective="forcing",
        by_frame=0.1,
        used=0.5,
        alike=0.2,
        history=0.15,
        own=0.0,
        own_chunks=2,
        own_steps=3,
        unheard=0.1,
        unwished=0.6,
        started=0.3,
        gain=6.0,
        tilt=1.5,
        colour=3.0,
        throat=0.1,
        echo=0.6,
        smooth=3.0,
        whispered=0.15,
        noise=-5.0,
        clip=5.0,
        kept=0.9,
        plain=0.3,
        velocity=0.5,
        lips=2.0,
        moods=0.0,
        judged=6,
        judged_seconds=12,
        tempo=small_tempo(),
        storage="int8",
    )  # fmt: skip


def x_actor_small_own_recipe() -> XActorRecipe:
    """A second stage: goes on from the first, with a past of its own in half of the parts."""
    first = x_actor_small_recipe()
    plan = replace(first.plan, steps=3000, seed=6, warm_up=20)
    return replace(first, name="x-actor-small-own", plan=plan, rate=5e-4, own=0.5, used=1.0, by_frame=0.0, alike=0.0)


class Parts:
    """Samples: parts of takes."""

    def __init__(self, recipe: XActorRecipe, takes: shards.Joined) -> None:
        self.recipe, self.takes = recipe, takes

    def batch(self, numbers: Sequence[int]) -> Batch:
        """`motion` (n, 1 + f, d): the portrait's row and the part; `sound` (n, 1 + f + 2 listens, a); `mood` (n, 1 + f,
        5); `knobs` (n, 6); `stands` (n,) whether the portrait's row is known; `recorded` (n,) whether the voice is."""
        parts = [self._one(number) for number in numbers]
        return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}

    def _one(self, number: int) -> dict[str, Tensor]:
        recipe = self.recipe
        dice = torch.rand(6, generator=chance(recipe.plan.seed, number, _PICK))
        which, other = (int(dice[k] * len(self.takes)) for k in (0, 1))
        one = {name: value[0] for name, value in self.takes.at([which]).items()}
        last = len(one["motion"]) - recipe.frames
        begins = bool(dice[2] < recipe.started)
        first = 0 if begins else 1 + int(dice[3] * (last - 1))
        motion = one["motion"][max(first - 1, 0) : first + recipe.frames]
        if begins:
            portrait = self.takes.at([other], ["motion"])["motion"][0, int(dice[4] * last)]
            share = torch.from_numpy(smooth((np.arange(recipe.frames) + 1) / _BLENDED)).float()[:, None]
            motion = torch.cat([portrait[None], portrait + share * (motion[: recipe.frames] - portrait)])
        near = recipe.config.listens
        return {
            "motion": motion,
            "sound": _cut(one["sound"].float(), first - 1 - near, first + recipe.frames + near),
            "mood": _cut(one["mood"], first - 1, first + recipe.frames),
            "knobs": one["knobs"],
            "stands": dice[5] < 0.7,
            "recorded": torch.tensor(which >= recipe.takes),
        }


def _cut(rows: Tensor, first: int, last: int) -> Tensor:
    """Rows from `first` to `last`; what is beyond either end is silence, or, of moods, as at that end."""
    places = torch.arange(first, last)
    found = rows[places.clamp(0, len(rows) - 1)].clone()
    if rows.shape[1] > 16:
        beyond = (places < 0) | (places >= len(rows))
        found[beyond] = torch.from_numpy(silence(1)) if rows.shape[1] == len(silence(1)[0]) else 0.0
    return found


def wishes_of(batch: Batch, dice: Chance, unwished: float) -> Tensor:
    """(n, 1 + f, WISHES): what is known of mood and temper, of which most is kept from the net."""
    told = (dice.uniform(4, purpose=_WISHED) >= unwished).float().to(batch["mood"].device)
    mood = batch["mood"] * told[:, :1, None]
    values, known = batch["knobs"].chunk(2, -1)
    temper = torch.cat([values * told[:, 1:], known * told[:, 1:]], -1)
    return torch.cat([mood, temper[:, None].expand(-1, mood.shape[1], -1)], -1)


def levels_of(recipe: XActorRecipe, dice: Chance) -> Tensor:
    """(n, f) a level for each frame, in one of four ways; for teacher and regression, of a past that is as it is."""
    chunk, frames = recipe.config.chunk, recipe.frames
    some = dice.uniform(5, purpose=_LEVEL)
    each = 1 - dice.uniform(frames, purpose=_EACH)
    as_performed = as_used(len(some), frames, some[:, 1:], chunk=chunk, history=recipe.history)
    if recipe.objective != "forcing":
        live = (some[:, 1:2] * (frames // chunk)).floor()
        past = by_chunk(torch.arange(frames // chunk)[None] < live, chunk, frames)
        level = torch.ones(len(some), 1) if recipe.objective == "regression" else 1 - some[:, 3:4]
        return torch.where(past, 0.0, level)
    chunked = by_chunk(each[:, : frames // chunk], chunk, frames)
    kind = some[:, :1]
    drawn = torch.where(kind < recipe.used + recipe.by_frame + recipe.alike, each[:, :1], chunked)
    drawn = torch.where(kind < recipe.used + recipe.by_frame, each, drawn)
    return torch.where(kind < recipe.used, as_performed, drawn)


def acting(model: Actor, batch: Batch, moment: Moment, recipe: XActorRecipe) -> Loss:
    """The error of the clean motion, where it is not given."""
    dice, device = moment.chance, batch["motion"].device
    true = model.normal(batch["motion"].float())
    level = levels_of(recipe, dice).to(device)
    stands = torch.where(batch["stands"], recipe.history * dice.uniform(1, purpose=_OWN)[:, 0].to(device), 1.0)
    level = torch.cat([stands[:, None], level], 1)
    sound = batch["sound"]
    heard = model.listen(
        recorded(sound, dice, recipe) if recipe.config.bands else sound,
        (dice.uniform(purpose=_TOLD) >= recipe.unheard).to(device),
    )
    wishes = wishes_of(batch, dice, recipe.unwished)
    noise = dice.normal(*true.shape[1:], purpose=_NOISE).to(device)
    given, asked = true, torch.ones_like(level)
    if recipe.own:
        given, own = imagined(model, true, level, heard, wishes, dice, recipe)
        asked = (~own).float()  # it is to go on from them, not to take them back
    noisy = noised(given, noise, level, recipe.config.schedule)
    clean, _ = model(noisy, level, heard, wishes, -1)
    clean = clean.float()
    shares = (weight_of(level, recipe) * asked)[..., None] * worth(model, recipe, batch["recorded"].to(device))
    total = shares.sum()
    error = ((clean - true).square() * shares).sum() / total
    steps = shares[:, 1:] * (level[:, 1:] > recipe.history)[..., None]
    change = (torch.diff(clean, dim=1) - torch.diff(true, dim=1)).square()
    velocity = (change * steps).sum() / steps.sum().clamp_min(1e-3)
    return Loss(error + recipe.velocity * velocity, {"motion": error, "velocity": velocity})


def recorded(sound: Tensor, dice: Chance, recipe: XActorRecipe) -> Tensor:
    """Rows of spectra (n, f, a), as another throat would have said them, and another microphone in another room would
    have heard them."""
    gain, tilt, throat = (dice.uniform(3, purpose=_GAIN).to(sound.device) * 2 - 1).chunk(3, -1)
    roomy, far, share, smoothed, by = dice.uniform(5, purpose=_ECHO).to(sound.device).unbind(1)
    waves = dice.uniform(len(_WAVES) + 1, purpose=_COLOUR).to(sound.device) * 2 - 1
    voiced = (waves[:, -1] / 2 + 0.5 >= recipe.whispered).float()
    decibels = gain * recipe.gain + tilt * recipe.tilt * revoice.octaves().to(sound.device)
    decibels = decibels + recipe.colour * waves[:, :-1] @ revoice.waves(_WAVES).to(sound.device)
    moved = revoice.from_another(sound, (throat[:, 0] * recipe.throat).exp())
    moved = revoice.smoother(moved, torch.where(smoothed < 1 / 3, by * recipe.smooth, 0.0))
    moved = revoice.in_a_room(moved, 0.15 + 0.55 * far, torch.where(roomy < 0.5, share * recipe.echo, 0.0))
    moved = revoice.noisier(revoice.equalised(moved, decibels), noise_of(dice, recipe).to(sound.device))
    return torch.cat([moved[..., :-2], moved[..., -2:] * voiced[:, None, None]], -1)


def noise_of(dice: Chance, recipe: XActorRecipe) -> Tensor:
    """(n, BANDS) log10 of the powers of what a room and a microphone add: from nothing to `noise`, higher or lower in
    pitch. The cast's voices come out of no room."""
    some = dice.uniform(3, purpose=_ROOM)
    loud = NOTHING + (recipe.noise - NOTHING) * torch.where(some[:, :1] < 0.2, 0.0, some[:, 1:2])
    return loud + (some[:, 2:] - 0.5) * 2 * torch.linspace(-1, 1, BANDS)


def weight_of(level: Tensor, recipe: XActorRecipe) -> Tensor:
    """(n, 1 + f) how much each frame counts: what is given as it is does not."""
    if recipe.objective != "forcing":
        return (level > 0).float() * torch.cat([torch.zeros(1), torch.ones(level.shape[1] - 1)]).to(level.device)
    fused = fused_weights(level, recipe.config.schedule, clip=recipe.clip, keep=recipe.kept)
    return recipe.plain + (1 - recipe.plain) * fused


def worth(model: Actor, recipe: XActorRecipe, recorded: Tensor) -> Tensor:
    """(n, 1, d) how much each number of the motion counts: those that hardly ever move, little; mouths more; where a
    voice is `recorded` (n,), the rest as `recipe.acted` says."""
    counts = torch.where(model.deviation > LEAST * 1.001, 1.0, 0.1)
    if recipe.config.motion != PLAYED:
        return counts.expand(len(recorded), 1, -1)
    lips, moods = (_marked(counts, names) for names in (likeness.LIPS, likeness.MOODS_MOVE))
    rest = torch.where(recorded, recipe.acted, 1.0)[:, None, None] * (1 - lips) * (1 + recipe.moods * moods)
    return counts * ((1 + recipe.lips) * lips + rest)


def _marked(like: Tensor, names: Sequence[str]) -> Tensor:
    """1 where one of these coefficients, of either side, is; else 0."""
    return torch.zeros_like(like).index_fill_(0, torch.tensor(likeness.places(names), device=like.device), 1.0)


@torch.no_grad()
def imagined(
    model: Actor, true: Tensor, level: Tensor, heard: Tensor, wishes: Tensor, dice: Chance, recipe: XActorRecipe
) -> tuple[Tensor, Tensor]:
    """(n, 1 + f, d) the true motion, but in some films the last `own_chunks` finished chunks are what the actor makes
    of the sound after the true frames before them; and (n, 1 + f) which these are."""
    chunk, count = recipe.config.chunk, true.shape[1]
    numbers = torch.arange(-1, count - 1, device=true.device).div(chunk, rounding_mode="floor")[None]
    live = torch.where(level > recipe.history, numbers, count)[:, 1:].amin(1, keepdim=True)
    chosen = dice.uniform(1, purpose=_CHOSEN).to(true.device) < recipe.own
    given, own = true.clone(), torch.zeros_like(level, dtype=torch.bool)
    noise = dice.normal(*true.shape[1:], purpose=_OWN_NOISE).to(true.device)
    for back in range(recipe.own_chunks, 0, -1):
        now = (numbers == live - back) & chosen & (numbers >= 0)
        x = noise
        for step in range(recipe.own_steps):
            here, there = ((recipe.own_steps - step - k) / recipe.own_steps for k in (0, 1))
            told = torch.where(now, here, torch.where(numbers < live - back, level, 1.0))
            noisy = torch.where(now[..., None], x, noised(given, noise, told, recipe.config.schedule))
            clean = model(noisy, told, heard, wishes, -1)[0].float()
            flat = torch.full((x.shape[0] * x.shape[1],), here, device=x.device)
            down = moved(x.flatten(0, 1), clean.flatten(0, 1), flat, flat - here + there, recipe.config.schedule)
            x = down.reshape(x.shape)
        given, own = torch.where(now[..., None], x, given), own | now
    return given, own


def prepare(
    recipe: XActorRecipe, folder: Path, rank: int = 0, world: int = 1, device: str = "cpu"
) -> Iterator[tuple[int, int]]:
    """Speak ahead what is not there yet, one process of several its share; yields (made, wanted). It is the CPU that
    speaks, whatever the device."""
    for name, first, count in ((FOLDER, 0, recipe.takes), (RECORDED_FOLDER, RECORDED, recipe.recorded)):
        if count:
            yield from spoken_ahead(Talk(seconds=recipe.seconds, first=first), folder / name, count, rank, world)


def task(recipe: XActorRecipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has spoken. Errors: `BadOption` for parts that do not
    fit into a take, or that are no whole chunks."""
    if recipe.frames % recipe.config.chunk or recipe.frames + 1 > recipe.seconds * FPS:
        raise BadOption(
            "an actor learns from whole chunks of a take",
            f"{recipe.frames} frames in chunks of {recipe.config.chunk}, takes of {recipe.seconds * FPS} frames",
            "frames= a multiple of config.chunk, and shorter than a take",
        )
    torch.manual_seed(recipe.plan.seed)
    model = Actor(recipe.config)
    if not recipe.takes + recipe.recorded:
        raise BadOption("there is nothing to learn from", "takes=0 recorded=0", "takes=3200")
    folders = {folder / FOLDER: recipe.takes, folder / RECORDED_FOLDER: recipe.recorded}
    takes = shards.Joined([shards.Shards(path, count) for path, count in folders.items() if count])
    if recipe.start:
        weights.fill(model, weights.load(found(recipe.start)))
    elif recipe.own:
        raise BadOption(
            f"{recipe.name} would learn from what an actor imagines that has learnt nothing",
            "start is empty",
            "start=FILE, the weights of x-actor-small",
        )
    else:
        spoken(model, takes)
    exam = Exam(recipe)
    return Task(
        identity=weights.as_json(recipe) | {"talk": " ".join(_mark(path) for path, count in folders.items() if count)},
        plan=recipe.plan,
        model=model,
        turns=(
            Turn(
                name="act", learns=("",), objective=partial(acting, recipe=recipe), rate=recipe.rate,
                betas=(0.9, 0.99), optimiser="muon",
            ),
        ),
        data=Parts(recipe, takes),
        show=partial(_shown, recipe=recipe),
        judge=exam.judge,
        keep=exam.keep,
    )  # fmt: skip


def spoken(model: Actor, takes: shards.Joined) -> None:
    """Tell an actor the spread of the motion that it will learn, from up to 200 takes."""
    few = [*range(0, len(takes), max(len(takes) // 200, 1))]
    mean, deviation = spread_of(takes.at(few, ["motion"])["motion"].flatten(0, 1).float())
    model.mean.copy_(mean)
    model.deviation.copy_(deviation)


def _mark(folder: Path) -> str:
    """A word that changes when the takes do."""
    return hashlib.sha256(str(shards.said(folder)).encode()).hexdigest()[:16]


def _shown(model: Actor, batch: Batch, recipe: XActorRecipe) -> dict[str, Tensor]:
    """What is given: true curves, and the noisy ones of a first step."""
    few = batch["motion"][:3].float()
    level = levels_of(recipe, Chance(recipe.plan.seed, tuple(range(len(few)))))
    noise = torch.randn(few[:, 1:].shape, generator=chance(0))
    noisy = noised(model.normal(few[:, 1:]), noise, level, recipe.config.schedule)
    pairs = zip(few[:, 1:], model.natural(noisy), strict=True)
    return {"first-batch": torch.cat([drawn(a.double().numpy(), b.double().numpy()) for a, b in pairs])}
