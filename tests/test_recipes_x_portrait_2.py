"""The recipe of X-Portrait 2, stage by stage, at a toy width."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from test_recipes_x_portrait import autoencoder
from test_recipes_x_portrait import small as small_x_portrait
from test_recipes_x_portrait import toy as toy_x_portrait
from torch import Tensor

from understudy import weights
from understudy.cast.how import ARKIT_NAMES
from understudy.cast.view import seen_turn
from understudy.data.vary import FOOTAGE
from understudy.diffusion.noise import keyed_noise
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder
from understudy.generator.embedding import EmbeddingConfig
from understudy.generator.generator import Generator, GeneratorConfig, Likeness, Sitter, part
from understudy.models import cast_head, x_portrait_2
from understudy.motion.code import NAMES, TURN
from understudy.motion.encoder import EncoderConfig, FaceNetConfig
from understudy.recipes import COURSES, clearing, named
from understudy.recipes.autoencoder import Critic
from understudy.recipes.clearing import finished
from understudy.recipes.following import Closeups, Doers, Learner, XPortrait2Recipe, faces
from understudy.recipes.objectives import cost_of
from understudy.recipes.portrayal import question
from understudy.recipes.rehearsal import EXAMPLES, blindness, codes
from understudy.recipes.x_portrait import task as task_x_portrait
from understudy.recipes.x_portrait_2 import (
    LEARNERS,
    STAGES,
    learning,
    prepare,
    reversed_gradient,
    sitting,
    task,
    x_portrait_2_small_stage,
)
from understudy.train.loop import Step, train
from understudy.train.task import Batch, Chance, Moment

SIZE = 64


def encoder() -> EncoderConfig:
    net = FaceNetConfig(fold=2, widths=(8, 16), blocks=(0, 1), groups=4, squeezed=4)
    return EncoderConfig(
        side=32, room=1.6, net=net, code=12, normal="layer", tokens=4, width=6, box=8, named=len(NAMES)
    )


def small(config: GeneratorConfig) -> GeneratorConfig:
    """The toy of X-Portrait, following codes."""
    toy = small_x_portrait(toy_x_portrait("together", Path()).config)
    assert config.unet.code is not None and config.unet.time is not None
    code, time = replace(config.unet.code, width=6), replace(config.unet.time)
    unet = replace(toy.unet, code=replace(code, divide=1), time=replace(time, divide=1))
    seen = EmbeddingConfig(widths=(8,), groups=4)
    return replace(toy, unet=unet, controls=(), encoder=encoder(), embedding=seen, turning=cast_head())


def toy(stage: str, folder: Path, **others: object) -> XPortrait2Recipe:
    recipe = x_portrait_2_small_stage(stage)
    plan = replace(recipe.plan, steps=4, batch=4, judge_every=4, save_every=2, warm_up=0)
    head = replace(
        recipe.head,
        config=replace(recipe.head.config, side=16, widths=(8, 8), groups=4),
        critic=replace(recipe.head.critic, widths=(8, 8), groups=4),
    )
    clearing = replace(recipe.clearing, critic=head.critic)
    return replace(
        recipe, plan=plan, config=small(recipe.config), autoencoder=str(folder / "autoencoder.safetensors"), head=head,
        clearing=clearing,
        pictures=10 if stage == "time" else 32, frames=4 if stage == "time" else 2, judged=2, storage="fp32",
        **{"closeups": 0, "settled": False, **others},
    )  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder of chance, and drawn ensembles: one of pictures, one of films."""
    folder = tmp_path_factory.mktemp("x-portrait-2")
    torch.manual_seed(0)
    net = Autoencoder(autoencoder())
    about = weights.About(name="toy", config=autoencoder(), recipe={}, commit="", figures={}, storage="fp32")
    weights.save(folder / "autoencoder.safetensors", net.state_dict(), about)
    for recipe in (toy("together", folder), toy("time", folder)):
        list(prepare(recipe, folder))
    return folder


def run(recipe: XPortrait2Recipe, folder: Path, out: Path, stop: int | None = None) -> list[Step]:
    steps: list[Step] = []
    with closing(train(task(recipe, folder), out, device="cpu")) as going:  # type: ignore[type-var]
        for step in going:
            steps.append(step)
            if step.number == stop:
                break
    return steps


def made(recipe: XPortrait2Recipe, folder: Path) -> tuple[Learner, Doers]:
    """A learner in which nothing is silent."""
    what = task(recipe, folder)
    torch.manual_seed(1)
    model = cast(Learner, what.model)
    for value in model.parameters():
        value.data += 0.05 * torch.randn_like(value)
    return model, cast(Doers, what.data)


def moment(*numbers: int, progress: float = 0.0) -> Moment:
    return Moment(Chance(0, numbers or (0, 1, 2, 3)), progress)


def test_every_stage_goes_on_from_the_one_before_and_moves_its_own_parts_only(ground: Path, tmp_path: Path) -> None:
    before: dict[str, Tensor] = {}
    start = ""
    for stage in STAGES:
        recipe = toy(stage, ground, start=start, rate=1e-2)
        last = run(recipe, ground, tmp_path / stage)[-1]
        assert math.isfinite(last.scores["blind"]) and ("psnr" in last.scores) == (stage != "expression")
        path = tmp_path / stage / f"{recipe.name}.safetensors"
        kept = weights.load(path)
        moved = {part(name) for name, value in before.items() if not torch.equal(value, kept.tensors[name])}
        assert moved == ({*LEARNERS[stage]} if stage in ("together", "clear") else set())
        assert not any(part(name) == "autoencoder" for name in kept.tensors)
        if stage in ("expression", "together"):
            assert weights.load(path.with_name(f"{recipe.name}-head.safetensors")).tensors
        before, start = dict(kept.tensors), str(path)
    config = replace(small(x_portrait_2_small_stage("time").config), autoencoder=autoencoder())
    whole = Generator(config)
    assert {name for name in whole.state_dict() if part(name) != "autoencoder"} == set(before)
    assert kept.about.config == config, "which says all that is needed to build it"


def test_an_encoder_taught_by_close_ups_stays_as_it_is(ground: Path, tmp_path: Path) -> None:
    near = toy("expression", ground, closeups=16, rate=1e-2)
    drawn = [*prepare(near, tmp_path)]
    assert drawn[-1] == (16, 16) and not [*prepare(near, tmp_path)], "nothing is drawn twice"
    data = task(near, tmp_path).data
    assert isinstance(data, Closeups)
    batch = data.batch(range(6))
    assert batch["driver"].shape == batch["truth"].shape == (6, 2, 3, 144, 144) and batch["curves"].shape == (6, 2, 55)
    assert (batch["driver"] != batch["truth"]).flatten(2).any(2).all(), "other people"
    assert all(abs(batch[name][..., :2] / 144 - 0.5).max() < 0.2 for name in ("box", "truth_box"))
    assert (batch["curves"] > 0.15).sum(2).min() >= 2
    last = run(near, tmp_path, tmp_path / "near")[-1]
    assert set(last.scores) == {"blind", "unread", "astray"} and math.isfinite(last.scores["astray"])
    start = tmp_path / "near" / f"{near.name}.safetensors"
    assert not start.with_name(f"{near.name}-head.safetensors").exists(), "which whole pictures alone can teach"
    before = weights.load(start).tensors
    settled = toy("together", ground, start=str(start), closeups=16, settled=True, rate=1e-2)
    run(settled, ground, tmp_path / "settled")
    after = weights.load(tmp_path / "settled" / f"{settled.name}.safetensors").tensors
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {part(name) for name in moved} == {*LEARNERS["together"]}
    assert not any(name.startswith("encoder.model") for name in moved)
    assert any(name.startswith("encoder.final_proj") for name in moved)


def test_of_what_close_ups_have_taught_some_directions_are_kept(ground: Path, tmp_path: Path) -> None:
    near = toy("expression", ground, closeups=16, directions=5)
    assert [*prepare(near, tmp_path)]
    run(near, tmp_path, tmp_path / "near")
    kept = weights.load(tmp_path / "near" / f"{near.name}.safetensors").tensors["encoder.model.fc.weight"]
    assert torch.linalg.matrix_rank(kept, rtol=1e-4) == 5
    checkpoints = sorted((tmp_path / "near" / "checkpoints").rglob("*.safetensors"))
    learning = [value for path in checkpoints for name, value in load_file(path).items() if "model.fc.weight" in name]
    assert learning and all(torch.linalg.matrix_rank(value, rtol=1e-4) == 12 for value in learning if value.ndim == 2)
    with pytest.raises(BadOption, match="small net"):
        replace(near, config=x_portrait_2())


def test_an_encoder_that_nobody_has_taught_is_not_left_as_it_is(ground: Path) -> None:
    with pytest.raises(BadOption, match="has learnt nothing"):
        task(toy("together", ground, closeups=16, settled=True), ground)


@pytest.mark.parametrize(
    "change", [{"cross": False}, {"data": "shards"}, {"adversary": 0.1}, {"read": 0.0}, {"closeups": 0}]
)
def test_without_exact_pairs_the_encoder_learns_from_whole_pictures(change: dict[str, Any], ground: Path) -> None:
    recipe = toy("expression", ground, **{"closeups": 16, "settled": True, **change})
    assert not recipe.near and not replace(recipe, stage="together").still


def test_curves_are_read_off_codes_as_they_are_seen(ground: Path) -> None:
    """What a picture's people do is told with it, left for right where the picture is seen in a mirror."""
    recipe = toy("together", ground)
    model, data = made(recipe, ground)
    batch = data.batch(range(16))
    asked = [question(recipe, data.ensembles, data.count, n) for n in range(16)]
    assert {q.mirrored for q in asked} == {True, False}
    here, there = NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")
    for q, curves in zip(asked, batch["curves"], strict=True):
        for driver, seen in zip(q.drivers, curves, strict=True):
            done = data.ensembles.moment(0, driver % data.ensembles.moments)
            assert seen[NAMES.index("yaw")] == seen_turn(done)[0, 0] / TURN * (-1 if q.mirrored else 1)
            assert seen[there if q.mirrored else here] == done.curve("eyeBlinkLeft")
    loss = learning(model, batch, moment(*range(16)), recipe)
    assert model.reading is not None and "unread" in loss.parts
    code, curves = torch.randn(64, 12), torch.randn(64, 55)
    model.reading.fc.weight.data.zero_()
    model.reading.fc.bias.data.zero_()
    model.reading.middle.fill_(1.0)
    model.reading.spread.fill_(2.0)
    assert torch.allclose(model.reading(code, curves), ((curves - 1) / 2).square().mean(0))
    assert task(replace(recipe, read=0.0), ground).model.reading is None


def test_what_reads_codes_begins_with_what_an_encoder_knows(ground: Path, tmp_path: Path) -> None:
    """Lines that know nothing would have the encoder forget, so they are fitted first; and only where it knows."""
    taught = toy("expression", ground, closeups=16, directions=0)
    assert [*prepare(taught, tmp_path)]
    run(taught, tmp_path, tmp_path / "near")
    start = str(tmp_path / "near" / f"{taught.name}.safetensors")
    unread = []
    for begun in (start, ""):
        each = task(replace(taught, start=begun), tmp_path)
        model, data = cast(Learner, each.model), cast(Closeups, each.data)
        assert model.reading is not None and model.training
        *seen, curves = data.done.examples(EXAMPLES)
        with torch.no_grad():
            known = codes(model.generator, model.encoder.encode, *seen)
        unread.append(float(model.reading(known, curves).mean()))
    assert unread[0] < 0.6 * unread[1]


@pytest.mark.parametrize("stage", ["expression", "together", "clear", "time"])
def test_a_stopped_stage_resumes_bit_for_bit(ground: Path, tmp_path: Path, stage: str) -> None:
    start = ""
    if stage in ("clear", "time"):
        run(toy("together", ground), ground, tmp_path / "before", 1)
        run(toy("together", ground), ground, tmp_path / "before")
        start = str(tmp_path / "before" / "x-portrait-2-small-together.safetensors")
    recipe = toy(stage, ground, start=start, dropout=0.2, adversary=0.1)
    heard = replace(recipe.head, critic_from=0.0), replace(recipe.clearing, critic_from=0.0)
    recipe = replace(recipe, head=heard[0], clearing=heard[1])
    whole = run(recipe, ground, tmp_path / "whole")
    parts = run(recipe, ground, tmp_path / "parts", 2) + run(recipe, ground, tmp_path / "parts")
    assert [step.values for step in parts] == [step.values for step in whole]
    assert ("criticise.total" in whole[1].values) == (stage != "time")


class _Same:
    """Chance that is the noise of films, so that what is learnt from and what is drawn can be compared."""

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def normal(self, *shape: int, purpose: int = 0) -> Tensor:
        return keyed_noise(0, range(self.frames), shape[1:]).reshape(-1, *shape)


def test_what_is_cleared_is_what_is_drawn_and_is_gone_back_through_for_one_step(ground: Path) -> None:
    model, data = made(toy("together", ground), ground)
    net = model.generator
    clear = toy("clear", ground, manner=replace(toy("clear", ground).manner, alike=0.0))
    clear = replace(clear, clearing=replace(clear.clearing, frames=2))
    data.recipe = clear
    batch = data.batch(range(1))
    codes = torch.randn(2, 12)
    cues = net.coded(codes, batch["box"].flatten(0, 1), batch["then"].repeat_interleave(2, 0), _sitter(net, batch))
    same = Moment(cast(Chance, _Same(2)), 0.0)
    seen = finished(net, batch, same, cues, clear.manner, clear.clearing)
    with torch.no_grad():
        context = net.told_of(batch["portrait"].float())
        drawn = [*net.draw(Likeness(batch["portrait"].float(), context), [cues], clear.manner)]
    assert torch.allclose(seen, torch.cat(drawn), atol=1e-4)
    steps: list[bool] = []
    net.unet.register_forward_hook(lambda *_: steps.append(torch.is_grad_enabled()))
    finished(net, batch, same, cues, clear.manner, clear.clearing).sum().backward()
    assert steps == [False] * (clear.manner.steps - 1) + [True]
    moved = {part(name) for name, value in net.named_parameters() if value.grad is not None and bool(value.grad.any())}
    assert {"backbone", "reference", "turned", "embedding"} <= moved
    first = Moment(cast(Chance, _Same(1)), 0.0)
    some = finished(net, batch, first, cues, clear.manner, replace(clear.clearing, frames=1))
    assert torch.allclose(some, seen[:1], atol=1e-4), "frames do not depend on one another"
    counts = batch["counts"]
    assert counts.shape[:2] == (1, 2) and counts.ndim == 4 and counts.dtype == torch.uint8
    pictures = clearing.seen(net, batch, same, cues, clear.manner, clear.clearing)
    assert torch.equal(pictures.truth, net.autoencoder.decode(batch["answer"].flatten(0, 1).float())), "not its hand"
    assert torch.allclose(pictures.result, seen, atol=1e-4) and pictures.weight.shape == (2, 1, SIZE, SIZE)
    assert bool((pictures.weight.amax((1, 2, 3)) > 3).all()) and float(pictures.weight.min()) == 1


def test_a_critic_that_a_little_noise_unsettles_pays_for_it(ground: Path) -> None:
    recipe = replace(toy("clear", ground).clearing, frames=1)
    torch.manual_seed(0)
    pictures = clearing.Seen(torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32), torch.ones(4, 1, 32, 32))
    critic = Critic(recipe.critic)
    calm = clearing.criticising(critic, pictures, moment(), recipe)
    with torch.no_grad():
        critic.conv_out.weight *= 10
        assert critic.conv_out.bias is not None
        critic.conv_out.bias += 100  # to be sure of everything is not to be unsettled
    loud = clearing.criticising(critic, pictures, moment(), recipe)
    assert float(loud.parts["steep"]) == pytest.approx(100 * float(calm.parts["steep"]), rel=1e-2)
    bold = replace(recipe, steep=0.0)
    assert float(clearing.criticising(critic, pictures, moment(), bold).total) == pytest.approx(
        float(loud.parts["apart"])
    )


def _sitter(net: Generator, batch: Batch) -> Sitter:
    return sitting(net, batch["shown"], batch["shown_box"], batch["box"].shape[1])


def test_a_blur_costs_pictures_more_than_they_cost_as_noise(ground: Path) -> None:
    """What the critic and gradients are for."""
    clearing = toy("clear", ground).clearing
    torch.manual_seed(0)
    truth, weight = torch.rand(2, 3, 32, 32) * 2 - 1, torch.ones(2, 1, 32, 32)
    noisy = truth + 0.2 * torch.randn_like(truth)
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1)
    critic = Critic(clearing.critic)
    (noise_cost, parts), (blur_cost, _) = (
        cost_of(each, truth, weight, critic, 1.0, clearing) for each in (noisy, blurred)
    )
    assert noise_cost < blur_cost and set(parts) == {"l1", "edges", "opinion", "likeness"}
    assert set(cost_of(noisy, truth, weight, critic, 0.0, clearing)[1]) == {"l1", "edges"}


@pytest.mark.parametrize("stage", ["expression", "together"])
def test_close_ups_and_a_settled_encoder_resume_bit_for_bit(ground: Path, tmp_path: Path, stage: str) -> None:
    near = toy("expression", ground, closeups=16)
    shutil.copytree(ground, tmp_path / "data")
    [*prepare(near, tmp_path / "data")]
    recipe = near
    if stage == "together":
        run(near, tmp_path / "data", tmp_path / "before")
        start = str(tmp_path / "before" / f"{near.name}.safetensors")
        recipe = toy(stage, ground, closeups=16, settled=True, start=start)
    whole = run(recipe, tmp_path / "data", tmp_path / "whole")
    parts = run(recipe, tmp_path / "data", tmp_path / "parts", 2) + run(recipe, tmp_path / "data", tmp_path / "parts")
    assert [step.values for step in parts] == [step.values for step in whole]


def test_of_two_files_the_second_has_the_last_word(ground: Path, tmp_path: Path) -> None:
    """Attention along time from the first, all else from the second; a + in a name is no mark."""
    whole = Generator(replace(small(x_portrait_2_small_stage("time").config), autoencoder=autoencoder()))
    films, pictures = tmp_path / "a+b.safetensors", tmp_path / "c.safetensors"
    for path, value in ((films, 1.0), (pictures, 2.0)):
        tensors = {key: torch.full_like(each, value) for key, each in whole.state_dict().items()
                   if part(key) != "autoencoder" and (path == films or part(key) != "time")}  # fmt: skip
        about = weights.About(name=path.stem, config=whole.config, recipe={}, commit="", figures={}, storage="fp32")
        weights.save(path, tensors, about)
    shutil.copy(films, tmp_path / "a.safetensors")
    both = toy("time", ground, start=f"{tmp_path}/a.safetensors+{pictures}")
    begun = cast(Learner, task(both, ground).model).generator
    values = {part(name): float(value.detach().float().mean()) for name, value in begun.named_parameters()}
    assert values["time"] == 1 and values["backbone"] == values["encoder"] == values["embedding"] == 2
    alone = cast(Learner, task(toy("time", ground, start=str(films)), ground).model).generator
    assert float(next(alone.unet.parameters()).detach().mean()) == 1


@pytest.mark.parametrize("stage", ["clear", "time"])
def test_later_stages_need_something_to_go_on_from(ground: Path, stage: str) -> None:
    with pytest.raises(BadOption, match="nothing has begun"):
        task(toy(stage, ground), ground)


def test_an_encoder_is_not_taught_by_nothing(ground: Path) -> None:
    recipe = toy("expression", ground)
    headless = replace(recipe, head=replace(recipe.head, weight=0.0))
    task(headless, ground)
    with pytest.raises(BadOption, match="there is neither"):
        task(replace(headless, read=0.0), ground)


def test_backbone_and_reference_are_taken_from_an_x_portrait(ground: Path, tmp_path: Path) -> None:
    recipe = toy_x_portrait("together", ground)
    lender = task_x_portrait(recipe, ground).model
    assert isinstance(lender, Generator)
    for value in lender.parameters():
        value.data += 0.1
    about = weights.About(name="lent", config=None, recipe={}, commit="", figures={}, storage="fp32")
    lent = {name: value for name, value in lender.state_dict().items() if part(name) != "autoencoder"}
    weights.save(tmp_path / "lent.safetensors", lent, about)
    model = cast(Learner, task(toy("expression", ground, start=str(tmp_path / "lent.safetensors")), ground).model)
    mine = model.generator.state_dict()
    shared = [name for name in lent if part(name) in ("backbone", "reference", "context")]
    assert shared and all(torch.equal(mine[name], lent[name]) for name in shared)


def test_the_loss_about_noise_teaches_the_encoder(ground: Path) -> None:
    """Nothing but the diffusion: no head, nobody to be alike to."""
    recipe = toy("together", ground, alike=0.0, read=0.0, dropped=0.0)
    recipe = replace(recipe, head=replace(recipe.head, weight=0.0))
    model, data = made(recipe, ground)
    assert model.head is None and model.critic is None
    loss = learning(model, data.batch(range(4)), moment(), recipe)
    assert set(loss.parts) == {"flow", "told"}
    loss.total.backward()  # type: ignore[no-untyped-call]
    for name, value in model.encoder.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name


def test_the_code_is_all_that_is_known_of_the_driver(ground: Path) -> None:
    """Another driver with the same code and box: the same loss. Another box, or code: another."""
    recipe = toy("together", ground, alike=0.0, read=0.0, dropped=0.0)
    recipe = replace(recipe, head=replace(recipe.head, weight=0.0))
    model, data = made(recipe, ground)
    batch = data.batch(range(4))

    def loss(batch: Batch) -> Tensor:
        with torch.no_grad():
            return learning(model, batch, moment(), recipe).total

    first = loss(batch)
    for name in ("driver", "box"):
        value = batch[name]
        other = 255 - value if name == "driver" else value * torch.tensor([1.0, 1.0, 1.2])
        assert not torch.allclose(loss({**batch, name: other}), first), name
    with torch.no_grad():
        for value in model.encoder.model.parameters():
            value.zero_()
    assert torch.equal(loss(batch), loss({**batch, "driver": 255 - batch["driver"]}))


def test_places_count_only_against_each_other(ground: Path) -> None:
    """The driver's picture moved and made larger, with its rest: the same tokens."""
    recipe = toy("together", ground)
    model, _ = made(recipe, ground)
    code, box, then = torch.randn(3, 12), torch.rand(3, 3) * 20 + 20, torch.rand(1, 3) * 20 + 20
    shift = torch.tensor([7.0, -3.0, 0.0])
    sitter = Sitter(torch.rand(1, 3, SIZE, SIZE), code[:1], then)
    one = model.generator.coded(code, box, then, sitter)
    two = model.generator.coded(code, box * 3 + shift, then * 3 + shift, sitter)
    assert one.code is not None and two.code is not None and torch.allclose(one.code, two.code, atol=1e-5)
    assert one.code.shape == (3, 4, 6) and torch.allclose(one.hints[0], two.hints[0], atol=1e-2)


def test_samples_do_not_depend_on_their_neighbours(ground: Path) -> None:
    recipe = toy("together", ground, dropout=0.3, alike=0.0, varied=1.0)
    model, data = made(recipe, ground)
    many, one = data.batch([5, 6, 7]), data.batch([6])
    assert all(torch.equal(many[name][1:2], one[name]) for name in one)
    args = recipe, model.encoder.config
    several = faces(many["driver"], many["ground"], many["box"], Chance(1, (5, 6, 7)), *args)
    single = faces(one["driver"], one["ground"], one["box"], Chance(1, (6,)), *args)
    assert torch.allclose(several[2:4], single, atol=1e-5)
    with torch.no_grad():
        losses = [learning(model, data.batch([n]), moment(n), recipe).total for n in (5, 6)]
        both = learning(model, data.batch([5, 6]), moment(5, 6), recipe).total
    assert torch.allclose(both, sum(losses) / 2, rtol=2e-2)  # weights of places are means over a batch


def test_a_share_of_faces_is_varied(ground: Path) -> None:
    still = {"zoom": 0.0, "bend": 0.0, "aside": 0.0}
    plain, some, all_ = (toy("together", ground, varied=share, **still) for share in (0.0, 0.5, 1.0))
    model, data = made(plain, ground)
    batch, dice, config = data.batch(range(8)), Chance(0, tuple(range(8))), model.encoder.config
    seen = {
        recipe.varied: faces(batch["driver"], batch["ground"], batch["box"], dice, recipe, config)
        for recipe in (plain, some, all_)
    }
    as_it_is = (seen[0.5] == seen[0.0]).flatten(1).all(1)
    assert 2 <= as_it_is.sum() <= 14
    assert torch.allclose(seen[0.5][~as_it_is], seen[1.0][~as_it_is], atol=1e-5), "each as it would be in any company"
    films = faces(batch["driver"], batch["ground"], batch["box"], dice, replace(some, stage="time"), config)
    changed = (films != seen[0.0]).flatten(1).any(1).reshape(8, 2)
    assert torch.equal(changed[:, 0], changed[:, 1]) and 0 < changed.sum() < 16, "a film as a whole"
    with pytest.raises(BadOption, match="from 0 to 1"):
        toy("together", ground, varied=30.0)
    with pytest.raises(BadOption, match="in fours"):
        toy("expression", ground, closeups=3)


def test_unchanged_faces_are_the_driver_s_own(ground: Path) -> None:
    plain = toy("together", ground, varied=0.0, zoom=0.0, bend=0.0, aside=0.0, cross=False)
    model, data = made(plain, ground)
    batch = data.batch(range(4))
    assert torch.equal(batch["driver"], batch["truth"]), "the published way: the answer itself drives"
    dice, config = Chance(0, (0, 1, 2, 3)), model.encoder.config
    seen = faces(batch["driver"], batch["ground"], batch["box"], dice, plain, config)
    again = faces(batch["driver"], batch["ground"], batch["box"], Chance(9, (4, 5, 6, 7)), plain, config)
    assert torch.equal(seen, again) and seen.shape == (8, 3, 32, 32)
    for change in ({"zoom": 0.3}, {"bend": 0.05}, {"aside": 0.1}, {"varied": 1.0}):
        other = faces(batch["driver"], batch["ground"], batch["box"], dice, replace(plain, **change), config)  # type: ignore[arg-type]
        assert (other - seen).abs().mean() > 1e-3, change
    assert FOOTAGE.colour > 0.5


def test_in_films_all_frames_are_changed_alike(ground: Path) -> None:
    recipe = toy("time", ground, varied=0.0)
    picture = torch.randint(0, 255, (1, 1, 3, SIZE, SIZE), dtype=torch.uint8).expand(1, 4, -1, -1, -1)
    behind = torch.zeros(1, 4, SIZE // 2, SIZE // 2, dtype=torch.uint8)
    box = torch.tensor([32.0, 32.0, 20.0]).expand(1, 4, 3)
    seen = faces(picture, behind, box, Chance(0, (3,)), recipe, encoder())
    assert torch.equal(seen, seen[:1].expand_as(seen))
    apart = faces(picture, behind, box, Chance(0, (3,)), replace(recipe, stage="together"), encoder())
    assert not torch.equal(apart[0], apart[1])


def test_an_adversary_s_gradient_comes_back_the_other_way() -> None:
    x = torch.randn(3, requires_grad=True)
    (2 * reversed_gradient(x)).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and torch.equal(x.grad, torch.full((3,), -2.0))


def test_codes_that_are_alike_cost_nothing(ground: Path) -> None:
    recipe = toy("expression", ground, alike=1.0)
    model, data = made(recipe, ground)
    batch = data.batch(range(4))
    assert learning(model, batch, moment(), recipe).parts["alike"] > 0
    codes = torch.randn(6, 12)
    assert blindness(codes, codes) == 0 and blindness(codes, torch.randn(6, 12)) > 0.5
    whose = codes + torch.tensor([2.0] * 6 + [0.0] * 6)
    assert blindness(codes, whose) > 0.2 and blindness(codes[:, 6:], whose[:, 6:]) == 0
    assert "alike" not in learning(model, batch, moment(), replace(recipe, cross=False)).parts


def test_a_face_can_be_learnt_by_heart(ground: Path, tmp_path: Path) -> None:
    """The head's loss on one ensemble falls well under where it begins."""
    recipe = toy("expression", ground, rate=1e-2, alike=0.0)
    recipe = replace(recipe, plan=replace(recipe.plan, steps=60, judge_every=60, save_every=60, bf16=False))
    steps = [step.values["draw.l1"] for step in run(recipe, ground, tmp_path) if step.values]
    assert sum(steps[-8:]) < 0.8 * sum(steps[:8])


def test_the_names_of_curves_are_in_the_cast_s_order() -> None:
    assert (*ARKIT_NAMES, "yaw", "pitch", "roll") == NAMES


def test_there_is_a_course() -> None:
    course = next(each for each in COURSES if each.name == "x-portrait-2-small")
    assert [named(stage).name for stage, _ in course.stages] == [f"x-portrait-2-small-{stage}" for stage in STAGES]
    assert sum(share for _, share in course.stages) == pytest.approx(1)
