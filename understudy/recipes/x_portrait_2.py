"""X-Portrait 2: the encoder of motion codes, and the generator that follows them, at the small size.

A driver's face is cut out, its colours, scale and shape are changed by chance, and what is left goes through the
encoder. Its code and the face's box are all that the generator is told. As published, the driver is the portrait's own
person in another moment, so that any footage will do (`cross=false`); on the cast another person may do the same,
exactly, codes of the two may be made alike (`alike`), and curves be read off them (`read`), which nobody can do with
footage.

1. expression   the encoder, from close-ups of the cast; without them, from whole pictures, by a decoder head as well
2. together     backbone, reference net, picture embedding and attention to the code, through the loss about noise;
                without close-ups the encoder too, as published, end to end, and the head goes on
3. clear        the same, through pictures as they are seen in the end, and a critic (see `clearing`)
4. time         attention along the film; all else stands still
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy import weights
from understudy.data import shards
from understudy.data.ensemble import drawn_ahead, drawn_on
from understudy.errors import BadOption
from understudy.generator.blocks import Note
from understudy.generator.generator import Cues, Generator, GeneratorConfig, Sitter, part
from understudy.generator.reference import sparse
from understudy.models import small_manner, x_portrait_2_small
from understudy.motion.code import TURNS
from understudy.recipes import clearing, portrayal
from understudy.recipes.exam import begin, places
from understudy.recipes.following import CLOSEUPS, Closeups, Doers, Learner, XPortrait2Recipe, faces, small_faces
from understudy.recipes.head import small_head
from understudy.recipes.objectives import cost_of, criticised, heard
from understudy.recipes.portrayal import autoencoder_of, error_of, latents_name, noisy_answers, source
from understudy.recipes.recipe import all_found
from understudy.recipes.rehearsal import EXAMPLES, HEAD, Rehearsal, blindness, codes
from understudy.train.journal import tiled
from understudy.train.task import Batch, Chance, Loss, Moment, Plan, Task, Turn

STAGES: Final = ("expression", "together", "clear", "time")
LEARNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "expression": (),
    "together": ("backbone", "reference", "motion", "embedding", "encoder", "turned"),
    "clear": ("backbone", "reference", "motion", "embedding", "encoder", "turned"),
    "time": ("time",),
}
"""Which parts of a generator (see `generator.part`) learn in a stage."""
BORROWED: Final = ("backbone", "reference", "context")
"""What another kind of generator may have learnt already."""
_MASK, _OUT, _AGAIN = range(0x78C0, 0x78F0, 16)


def x_portrait_2_small_stage(stage: str) -> XPortrait2Recipe:
    """One stage of the small X-Portrait 2. What to expect is in docs/training.md."""
    steps = {"expression": 2000, "together": 30_000, "clear": 3000, "time": 3000}[stage]
    filmed = stage == "time"
    frames, at_once = {"time": (16, 64), "clear": (2, 16)}.get(stage, (4, 32))
    return XPortrait2Recipe(
        name=f"x-portrait-2-small-{stage}",
        plan=Plan(
            steps=steps, batch=at_once // frames, accumulate=1, clip=1.0, warm_up=50, floor=0.02, average=0.998,
            bf16=True, seed=0x20 + STAGES.index(stage), judge_every=500, save_every=250, keep=2,
        ),
        start="",
        stage=stage,  # type: ignore[arg-type]
        closeups=65_536,
        settled=True,
        config=x_portrait_2_small(),
        autoencoder="autoencoder-small.safetensors",
        pictures=4352 if filmed else 10_240,
        frames=frames,
        rate=1e-3 if stage == "clear" else 3e-3,
        optimiser="muon",
        data="",
        cross=True,
        varied=0.3,
        zoom=0.08,
        bend=0.004,
        aside=0.01,
        masked=0.3,
        directions=48,
        dropout=0.0,
        alike=0.2,
        read=1.0 if stage == "expression" else 0.5,
        turns=150.0,
        adversary=0.0,
        head=small_head(),
        clearing=clearing.small_clearing(),
        dropped=0.05,
        fine=2.0,
        level_middle={"expression": 0.8, "together": 1.4, "clear": 1.4, "time": 1.6}[stage],
        level_spread={"expression": 1.2, "together": 1.4, "clear": 1.4, "time": 1.5}[stage],
        judged=4 if filmed else 24,
        manner=small_manner(),
        storage="int8",
    )  # fmt: skip


def staged(config: GeneratorConfig, stage: str) -> GeneratorConfig:
    """The generator of a stage: what a later stage adds is not there yet."""
    return replace(config, unet=replace(config.unet, time=config.unet.time if stage == "time" else None))


# --- losses -----------------------------------------------------------------------------------------------------------


def learning(model: Learner, batch: Batch, moment: Moment, recipe: XPortrait2Recipe) -> Loss:
    """The error about the noise, what the head shows, and what identity filters ask."""
    dice = moment.chance
    code = _thinned(_read(model, batch, dice, recipe), dice, recipe.dropout)
    parts: dict[str, Tensor] = {}
    total = code.new_zeros(())
    if recipe.stage != "expression":
        cues = _cues(model.generator, batch, code)
        parts |= _drawn(model.generator, batch, moment, cues, recipe)
        total = total + parts["flow"]
        if recipe.stage == "clear":
            assert model.critic is not None
            pictures = clearing.seen(model.generator, batch, moment, cues, recipe.manner, recipe.clearing)
            batch |= clearing.left(pictures)
            found = clearing.cleared(model.critic, pictures, moment, recipe.clearing)
            total, parts = total + recipe.clearing.weight * found.total, {**parts, **found.parts}
    if model.head is not None:
        cost, costs = _headed(model, batch, moment, code, recipe)
        total, parts = total + recipe.head.weight * cost, {**parts, **costs}
    alike = [code]  # of all who do what is done: drivers, and portraits' people
    if recipe.alike and recipe.cross and not recipe.still:
        alike.append(_answering(model, batch, dice, recipe))
        parts["alike"] = blindness(code.float(), alike[1].float())
        total = total + recipe.alike * parts["alike"]
    if model.reading is not None:
        curves = batch["curves"].flatten(0, 1).repeat(len(alike), 1)
        missed = model.reading(torch.cat(alike), curves)
        parts |= {"unread": missed.mean(), "astray": missed[-TURNS:].mean()}
        total = total + recipe.read * (parts["unread"] + (recipe.turns - 1) * TURNS / len(missed) * parts["astray"])
    if model.guess is not None:
        who = batch["who"].repeat_interleave(len(code) // len(batch["who"]))
        parts["guess"] = F.cross_entropy(model.guess(reversed_gradient(code)).float(), who)
        total = total + recipe.adversary * parts["guess"]
    return Loss(total, parts)


def _read(model: Learner, batch: Batch, dice: Chance, recipe: XPortrait2Recipe) -> Tensor:
    """Codes (n*f, d) of drivers."""
    with torch.set_grad_enabled(torch.is_grad_enabled() and not recipe.still):
        with torch.autocast(batch["driver"].device.type, enabled=False):
            seen = faces(batch["driver"], batch["ground"], batch["box"], dice, recipe, model.encoder.config)
        return model.encoder.encode(seen)


def _cues(model: Generator, batch: Batch, code: Tensor) -> Cues:
    """What is told of all frames of a batch, whose codes (n*f, d) these are."""
    frames = batch["box"].shape[1]
    sitter = None if model.config.turning is None else sitting(model, batch["shown"], batch["shown_box"], frames)
    return model.coded(code, batch["box"].flatten(0, 1), batch["then"].repeat_interleave(frames, 0), sitter)


def _drawn(model: Generator, batch: Batch, moment: Moment, cues: Cues, recipe: XPortrait2Recipe) -> dict[str, Tensor]:
    """The error about the noise. Who is not told the portrait is told the motion all the same, as the negative branch
    of X-NeMo is."""
    noisy = noisy_answers(batch, moment, recipe)
    frames, told = noisy.level.shape[1], noisy.told
    assert cues.code is not None
    rows = told.repeat_interleave(frames)

    def altered(notes: list[Tensor]) -> Sequence[Note]:
        chosen = told.cpu()
        ranks = [moment.chance.uniform(note.shape[1], purpose=_MASK + k)[chosen] for k, note in enumerate(notes)]
        return [sparse(note, recipe.masked, rank) for note, rank in zip(notes, ranks, strict=True)]

    given = torch.zeros_like(noisy.wanted)
    if bool(told.any()):
        given[told] = model(
            noisy.latents[told], noisy.level[told], portrait=batch["portrait"].float()[told],
            cues=Cues(tuple(hint[rows] for hint in cues.hints), cues.code[rows]),
            altered=altered if recipe.masked else None,
        ).float()  # fmt: skip
    if not bool(told.all()):
        cues = Cues(code=cues.code[~rows])
        given[~told] = model(noisy.latents[~told], noisy.level[~told], portrait=None, cues=cues).float()
    return {"flow": error_of(given, noisy, batch, recipe), "told": told.float().mean()}


def sitting(model: Generator, shown: Tensor, box: Tensor, frames: int) -> Sitter:
    """Portraits (n, 3, s, s), uint8, with their boxes (n, 3), as all of n times f frames are told of them."""
    assert model.encoder is not None
    with torch.no_grad(), torch.autocast(shown.device.type, enabled=False):
        picture = shown.float() / 127.5 - 1
        code = model.encoder.seen(picture, box)
    return Sitter(*(each.repeat_interleave(frames, 0) for each in (picture, code, box)))


def _headed(
    model: Learner, batch: Batch, moment: Moment, code: Tensor, recipe: XPortrait2Recipe
) -> tuple[Tensor, Mapping[str, Tensor]]:
    assert model.head is not None and model.critic is not None
    portrait, truth, weight = small_faces(batch, recipe, model.encoder.config)
    result = model.head(portrait, code).float()
    share = heard(moment.progress, recipe.head.critic_from)
    return cost_of(result, truth, weight, model.critic, share, recipe.head)


def _answering(model: Learner, batch: Batch, dice: Chance, recipe: XPortrait2Recipe) -> Tensor:
    """Codes (n*f, d) of the portraits' own people, doing the same."""
    again = Chance(dice.seed + _AGAIN, dice.numbers)
    with torch.autocast(batch["truth"].device.type, enabled=False):
        seen = faces(batch["truth"], batch["truth_ground"], batch["truth_box"], again, recipe, model.encoder.config)
    return model.encoder.encode(seen)


def _thinned(code: Tensor, dice: Chance, dropped: float) -> Tensor:
    """Codes without some of their numbers, the others larger, as dropout; each question's chance is its own."""
    if not dropped:
        return code
    frames = len(code) // len(dice.numbers)
    kept = dice.uniform(frames, code.shape[1], purpose=_OUT).flatten(0, 1).to(code.device) >= dropped
    return code * kept / (1 - dropped)


class _Reversed(torch.autograd.Function):
    """Itself; what is learnt through it is learnt the other way round (Ganin and Lempitsky 2015)."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> Tensor:
        return -grads[0]


def reversed_gradient(x: Tensor) -> Tensor:
    """`x`, whose gradient comes back with the other sign."""
    return cast(Tensor, _Reversed.apply(x))  # type: ignore[no-untyped-call]


def criticising(model: Learner, batch: Batch, moment: Moment, recipe: XPortrait2Recipe) -> Loss:
    """What the critic makes smaller, on one frame of each question."""
    assert model.critic is not None
    if recipe.stage == "clear":
        pictures = clearing.found(batch, lambda: _seen(model, batch, moment, recipe))
        return clearing.criticising(model.critic, pictures, moment, recipe.clearing)
    assert model.head is not None
    few = {name: value[:, :1] if value.ndim > 2 and name not in ("portrait", "shown") else value
           for name, value in batch.items()}  # fmt: skip
    with torch.no_grad():
        code = _read(model, few, moment.chance, recipe)
        portrait, truth, weight = small_faces(few, recipe, model.encoder.config)
        result = model.head(portrait, code).float()
    return Loss(criticised(model.critic, result, truth, weight), {})


def _seen(model: Learner, batch: Batch, moment: Moment, recipe: XPortrait2Recipe) -> clearing.Seen:
    cues = _cues(model.generator, batch, _read(model, batch, moment.chance, recipe))
    return clearing.seen(model.generator, batch, moment, cues, recipe.manner, recipe.clearing)


def prepare(
    recipe: XPortrait2Recipe, folder: Path, rank: int = 0, world: int = 1, device: str = "cpu"
) -> Iterator[tuple[int, int]]:
    """Draw ahead what is not there yet; yields (done, wanted)."""
    if not recipe.near:
        yield from portrayal.prepare(recipe, folder, rank, world, device)
        return
    near = drawn_on(CLOSEUPS, device)
    yield from drawn_ahead(near, folder / near.kind, recipe.closeups, rank, world)


def task(recipe: XPortrait2Recipe, folder: Path) -> Task:
    """What the loop needs to know. `folder` is where `prepare` has drawn."""
    torch.manual_seed(recipe.plan.seed)
    autoencoder = autoencoder_of(recipe)
    config = replace(staged(recipe.config, recipe.stage), autoencoder=autoencoder.about.config)
    data, drawn = _material(recipe, folder)
    moves = data.done.moves(EXAMPLES) if recipe.read > 0 and not recipe.data and not recipe.still else None
    model = Learner(config, recipe, data.count * data.ensembles.people, moves)
    weights.fill(model.generator.autoencoder, autoencoder)
    taught = _begun(model, recipe)
    if recipe.still:
        model.encoder.eval()  # or a normal="batch" would go on learning
    elif taught and model.reading is not None:
        *seen, curves = data.done.examples(EXAMPLES)
        with torch.no_grad():
            known = codes(model.generator, model.encoder.eval().encode, *seen)
        model.reading.fit(known, curves)
        model.encoder.train()
    exam = Rehearsal(recipe, config, str(shards.said(drawn).get("looks", "")))
    learns = tuple(f"generator.{name}" for name in places(model.generator, LEARNERS[recipe.stage]))
    if recipe.still:
        learns = tuple(name for name in learns if not name.startswith("generator.encoder.model."))
    if recipe.stage == "expression":
        if model.head is None and model.reading is None:
            raise BadOption(
                f"{recipe.name} teaches the encoder by a decoder head and by curves, and there is neither",
                "head.weight=0, and read=0 or data that are not of the cast",
                f"to begin with {recipe.name.replace('expression', 'together')}",
            )  # fmt: skip
        learns = ("generator.encoder.model",)
    learns += tuple(name for name in ("head", "reading", "guess") if getattr(model, name) is not None)
    turns = [
        Turn(
            name="draw", learns=learns, objective=partial(learning, recipe=recipe), rate=recipe.rate,
            betas=(0.9, 0.99), optimiser=recipe.optimiser,
        )
    ]  # fmt: skip
    if model.critic is not None:
        critical = recipe.clearing if recipe.stage == "clear" else recipe.head
        turns.append(
            Turn(
                name="criticise", learns=("critic",), objective=partial(criticising, recipe=recipe),
                rate=critical.critic_rate, betas=(0.5, 0.9), start=critical.critic_from, averaged=False,
            )
        )  # fmt: skip
    return Task(
        identity=weights.as_json(recipe),
        plan=recipe.plan,
        model=model,
        turns=tuple(turns),
        data=data,
        show=partial(first_batch, recipe=recipe),
        judge=exam.rehearse,
        keep=partial(exam.keep_all, done=data.done),
    )


def _material(recipe: XPortrait2Recipe, folder: Path) -> tuple[Doers | Closeups, Path]:
    """What is learnt from, and the folder in which it lies."""
    if recipe.near:
        drawn = folder / CLOSEUPS.kind
        return Closeups(recipe, shards.Shards(drawn, recipe.closeups)), drawn
    drawn = folder / source(recipe).kind
    pictures = shards.Shards(drawn, recipe.pictures)
    return Doers(recipe, pictures, shards.Shards(drawn / latents_name(recipe), recipe.pictures)), drawn


def _begun(model: Learner, recipe: XPortrait2Recipe) -> bool:
    """Put in what was learnt before: by the stage before, or by another kind of generator; of FILE+FILE, the second has
    the last word. Returns whether the encoder has learnt anything."""
    if not recipe.start and recipe.stage in ("clear", "time"):
        raise BadOption(
            f"{recipe.name} would go on with what nothing has begun",
            "start is empty",
            "start=FILE, the weights of the stage before; or the whole course, x-portrait-2-small",
        )
    taught = False
    for path in all_found(recipe.start):
        earlier = weights.load(path)
        if any(part(name) == "encoder" for name in earlier.tensors):
            taught = True
        else:
            lent = {name: value for name, value in earlier.tensors.items() if part(name) in BORROWED}
            earlier = replace(earlier, tensors=lent)
        begin(model.generator, earlier)
        head = path.with_name(f"{path.stem}{HEAD}")
        if model.head is not None and head.is_file():
            weights.fill(model.head, weights.load(head))
    if recipe.still and not taught:
        raise BadOption(
            f"{recipe.name} would follow an encoder that has learnt nothing, and does not teach it",
            f"start={recipe.start}" if recipe.start else "start is empty",
            "start=FILE, the weights of x-portrait-2-small-together"
            if recipe.stage in ("clear", "time")
            else "start=FILE, the weights of x-portrait-2-small-expression; or closeups=0, where both learn together",
        )
    return taught


def first_batch(model: Learner, batch: Batch, recipe: XPortrait2Recipe) -> dict[str, Tensor]:
    """What is given and wanted: the portrait, what the encoder sees of the driver, the answer; the same of the head. Of
    close-ups, the encoder's two."""
    few = min(len(batch["driver"]), 8)
    some = {name: value[:few] for name, value in batch.items()}
    dice = Chance(recipe.plan.seed, tuple(range(few)))
    decode = model.generator.autoencoder.decode
    config, frames = model.encoder.config, some["driver"].shape[1]
    seen = faces(some["driver"], some["ground"], some["box"], dice, recipe, config)[::frames]
    if recipe.near:
        rows = [seen, faces(some["truth"], some["truth_ground"], some["truth_box"], dice, recipe, config)[::frames]]
    else:
        rows = [decode(some["portrait"].float()), seen, decode(some["answer"][:, 0].float())]
    sheets = {"first-batch": tiled([row.cpu() / 2 + 0.5 for row in rows])}
    if model.head is not None:
        portrait, truth, weight = small_faces(some, recipe, model.encoder.config)
        each = slice(None, None, len(truth) // few)
        counts = (weight[each] - 1).expand(-1, 3, -1, -1) / max(recipe.head.fine, 1e-9) * 2 - 1
        sheets["first-batch-head"] = tiled([row.cpu() / 2 + 0.5 for row in (portrait, truth[each], counts)])
    return sheets
