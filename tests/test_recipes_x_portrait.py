"""The recipe of X-Portrait, stage by stage, at a toy width."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from understudy import weights
from understudy.data.ensemble import Ensembles, drawn_ahead, mirrored
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder, AutoencoderConfig
from understudy.generator.generator import Generator, GeneratorConfig, part
from understudy.recipes.clearing import Watched
from understudy.recipes.portrayal import Questions, prepare, question, source
from understudy.recipes.x_portrait import (
    LEARNERS,
    STAGES,
    XPortraitRecipe,
    clear,
    criticising,
    cues,
    drawing,
    task,
    x_portrait_small_stage,
)
from understudy.train.loop import Step, train
from understudy.train.task import Chance, Moment

SIZE = 64


def small(config: GeneratorConfig) -> GeneratorConfig:
    unet = replace(config.unet, widths=(16, 16), heads=2, groups=4, context=8, channels=16)
    narrow = replace(unet, time=None)
    control = replace(
        config.controls[0], unet=narrow, hint=replace(config.controls[0].hint, widths=(8, 8, 8)), into=(*unet.skips, 16)
    )
    return replace(
        config,
        picture=SIZE,
        autoencoder=autoencoder(),
        unet=unet,
        reference=replace(config.reference, unet=narrow),
        controls=(control, control),
    )


def autoencoder() -> AutoencoderConfig:
    return AutoencoderConfig(fold=4, widths=(8, 16), layers=1, groups=4, latents=4, patch=2, scale=1.0, attended=False)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder of chance, and drawn ensembles: one of pictures, one of films."""
    folder = tmp_path_factory.mktemp("x-portrait")
    torch.manual_seed(0)
    net = Autoencoder(autoencoder())
    about = weights.About(name="toy", config=autoencoder(), recipe={}, commit="", figures={}, storage="fp32")
    weights.save(folder / "autoencoder.safetensors", net.state_dict(), about)
    for recipe in (toy("together", folder), toy("time", folder)):
        list(prepare(recipe, folder))
    return folder


def toy(stage: str, folder: Path, **others: object) -> XPortraitRecipe:
    recipe = x_portrait_small_stage(stage)
    plan = replace(recipe.plan, steps=4, batch=4, judge_every=4, save_every=2, warm_up=0)
    frames = {"prior": 1, "time": 4}.get(stage, 2)
    clearing = replace(recipe.clearing, critic=replace(recipe.clearing.critic, widths=(8, 8), groups=4))
    return replace(
        recipe, plan=plan, config=small(recipe.config), autoencoder=str(folder / "autoencoder.safetensors"),
        pictures=10 if stage == "time" else 32, frames=frames, judged=2, storage="fp32",
        clearing=clearing, **others,
    )  # fmt: skip


def run(recipe: XPortraitRecipe, folder: Path, out: Path, stop: int | None = None) -> list[Step]:
    steps: list[Step] = []
    with closing(train(task(recipe, folder), out, device="cpu")) as going:  # type: ignore[type-var]
        for step in going:
            steps.append(step)
            if step.number == stop:
                break
    return steps


def test_every_stage_goes_on_from_the_one_before_and_moves_its_own_parts_only(ground: Path, tmp_path: Path) -> None:
    before: dict[str, torch.Tensor] = {}
    start = ""
    for stage in STAGES:
        recipe = toy(stage, ground, start=start, rate=1e-2)
        last = run(recipe, ground, tmp_path / stage)[-1]
        assert last.scores["reconstruction"] > 0 and ("psnr" in last.scores) == (stage != "prior")
        path = tmp_path / stage / f"{recipe.name}.safetensors"
        kept = weights.load(path)
        moved = {part(name) for name, value in before.items() if not torch.equal(value, kept.tensors[name])}
        assert moved <= {*LEARNERS[stage]} and (moved or stage in ("prior", "local", "time"))
        assert not any(part(name) == "autoencoder" for name in kept.tensors)
        before, start = dict(kept.tensors), str(path)
    whole = Generator(replace(small(x_portrait_small_stage("time").config), autoencoder=autoencoder()))
    assert {name for name in whole.state_dict() if part(name) != "autoencoder"} == set(before)


def test_a_stage_that_knows_too_much_is_refused(ground: Path, tmp_path: Path) -> None:
    run(toy("together", ground), ground, tmp_path)
    with pytest.raises(BadOption, match="no place"):
        task(toy("spatial", ground, start=str(tmp_path / "x-portrait-small-together.safetensors")), ground)


def test_a_finished_generator_may_learn_on(ground: Path, tmp_path: Path) -> None:
    for stage, start in (
        ("together", ""),
        ("time", str(tmp_path / "together" / "x-portrait-small-together.safetensors")),
    ):
        run(toy(stage, ground, start=start), ground, tmp_path / stage)
    finished = tmp_path / "time" / "x-portrait-small-time.safetensors"
    model = task(toy("together", ground, start=str(finished)), ground).model
    known = weights.load(finished).tensors
    assert any(part(name) == "time" for name in known)
    assert all(torch.equal(value, known[name]) for name, value in model.state_dict().items() if name in known)


def test_a_critic_sees_what_was_drawn_whether_it_was_left_or_is_drawn_again(ground: Path, tmp_path: Path) -> None:
    """A wrapper may give every turn a batch of its own."""
    run(toy("together", ground), ground, tmp_path)
    recipe = toy("clear", ground, start=str(tmp_path / "x-portrait-small-together.safetensors"))
    what = task(recipe, ground)
    assert isinstance(what.model, Watched)
    batch, when = what.data.batch(range(4)), Moment(Chance(0, (0, 1, 2, 3)), 0.5)
    apart = dict(batch)
    clear(what.model, batch, when, recipe)
    left, again = (criticising(what.model, some, when, recipe).total.item() for some in (batch, apart))
    assert left == pytest.approx(again, rel=1e-5) and len(batch) > len(apart)


@pytest.mark.parametrize("stage", ["together", "clear", "time"])
def test_a_stopped_stage_resumes_bit_for_bit(ground: Path, tmp_path: Path, stage: str) -> None:
    start = ""
    if stage != "together":
        run(toy("together", ground), ground, tmp_path / "before")
        start = str(tmp_path / "before" / "x-portrait-small-together.safetensors")
    recipe = toy(stage, ground, start=start)
    whole = run(recipe, ground, tmp_path / "whole")
    parts = run(recipe, ground, tmp_path / "parts", 2) + run(recipe, ground, tmp_path / "parts")
    assert [step.values for step in parts] == [step.values for step in whole]


def test_questions_have_another_person_drive_and_the_same_one_answer() -> None:
    recipe = x_portrait_small_stage("together")
    ensembles = source(recipe)
    for number in range(200):
        q = question(recipe, ensembles, 5, number)
        ours, theirs = (q.portrait, *q.answers), (q.driver_then, *q.drivers)
        mine, other = ({n // ensembles.moments for n in pictures} for pictures in (ours, theirs))
        assert len(mine) == len(other) == 1 and mine != other
        assert {n // ensembles.people for n in mine} == {n // ensembles.people for n in other}
        assert [n % ensembles.moments for n in ours] == [n % ensembles.moments for n in theirs]
        assert len(q.answers) == recipe.frames and q.portrait not in q.answers
    alone = question(replace(recipe, cross=False), ensembles, 5, 3)
    assert alone.drivers == alone.answers and alone.driver_then == alone.portrait


def test_a_mirrored_question_is_its_mirror_image(ground: Path) -> None:
    drawn = Ensembles(size=SIZE).batch([3])
    turned = mirrored(drawn, torch.tensor([True]), SIZE)
    assert torch.equal(turned["picture"], drawn["picture"].flip(-1))
    assert torch.allclose(turned["centres"][..., 0], SIZE - drawn["centres"][..., 0])
    again = mirrored(turned, torch.tensor([True]), SIZE)
    assert all(torch.allclose(again[name].float(), drawn[name].float(), atol=1e-4) for name in drawn)


def test_hints_show_the_driver_where_the_answer_is(ground: Path) -> None:
    """Unvaried, unstretched, and driven by oneself: the hint is the answer's own picture."""
    recipe = toy("together", ground, varied=False, stretch=0.0, shift=0.0, cross=False)
    data = task(recipe, ground).data
    assert isinstance(data, Questions)
    batch = data.batch(range(4))
    hints = cues(batch, Chance(0, (0, 1, 2, 3)), recipe, 2).hints
    pictures = batch["driver"].flatten(0, 1).float() / 127.5 - 1
    assert (hints[0] - pictures).abs().max() < 1e-3
    shown = hints[1] > -1
    assert (hints[1] - hints[0])[shown].abs().max() == 0 and 0.02 < shown.float().mean() < 0.2
    stretched = cues(batch, Chance(0, (0, 1, 2, 3)), replace(recipe, stretch=0.2), 2).hints
    assert (stretched[0] - hints[0]).abs().mean() > 0.01


def test_samples_do_not_depend_on_their_neighbours(ground: Path) -> None:
    recipe = toy("together", ground)
    data = task(recipe, ground).data
    many, one = data.batch([5, 6, 7]), data.batch([6])
    assert all(torch.equal(many[name][1:2], one[name]) for name in one)
    several, single = cues(many, Chance(1, (5, 6, 7)), recipe, 2), cues(one, Chance(1, (6,)), recipe, 2)
    assert torch.allclose(several.hints[0][2:4], single.hints[0], atol=1e-5)


def test_untold_samples_are_not_told(ground: Path) -> None:
    recipe = toy("together", ground, dropped=1.0)
    made = task(recipe, ground)
    for value in made.model.parameters():
        torch.nn.init.normal_(value, std=0.2)
    batch = made.data.batch(range(4))
    moment = Moment(Chance(0, (0, 1, 2, 3)), 0.0)
    first = drawing(made.model, batch, moment, recipe).total  # type: ignore[arg-type]
    other = dict(batch, portrait=batch["portrait"] + 1, driver=255 - batch["driver"])
    assert torch.equal(drawing(made.model, other, moment, recipe).total, first)  # type: ignore[arg-type]
    told = replace(recipe, dropped=0.0)
    one, two = (drawing(made.model, each, moment, told).total for each in (batch, other))  # type: ignore[arg-type]
    assert not torch.allclose(one, two)


def test_one_question_can_be_learnt_by_heart(ground: Path, tmp_path: Path) -> None:
    """Loss on one ensemble, at a toy width, falls well under where it begins."""
    recipe = toy("together", ground, rate=1e-2, dropped=0.0)
    recipe = replace(recipe, plan=replace(recipe.plan, steps=80, judge_every=80, save_every=80))
    steps = [step.values["draw.flow"] for step in run(recipe, ground, tmp_path) if step.values]
    assert sum(steps[-8:]) < 0.8 * sum(steps[:8])


def test_what_is_drawn_ahead_is_what_is_asked_for(tmp_path: Path) -> None:
    small_ones = Ensembles(size=32)
    assert list(drawn_ahead(small_ones, tmp_path, 32)) == [(32, 32)]
    assert list(drawn_ahead(small_ones, tmp_path, 32)) == []
    with pytest.raises(BadOption, match="other samples"):
        list(drawn_ahead(replace(small_ones, size=48), tmp_path, 64))
    with pytest.raises(BadOption, match="size: 32 there, 48 asked for"):
        list(drawn_ahead(replace(small_ones, size=48), tmp_path, 32))
