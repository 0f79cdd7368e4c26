"""The recipe of the autoencoder, at a toy width."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from understudy import weights
from understudy.cli.train import train as command
from understudy.data.drawn import HELD_OUT, Drawing
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder, AutoencoderConfig
from understudy.recipes.__main__ import main
from understudy.recipes.autoencoder import AutoencoderRecipe, autoencoder_small, prepare, task
from understudy.recipes.objectives import divergence, edges, far, told_apart, unlike, weighed
from understudy.recipes.recipe import changed
from understudy.recipes.run import seconds
from understudy.train.loop import Step, train
from understudy.train.task import Task

TOY = [
    "size=32", "pictures=0", "judged=3", "config.widths=8,16", "config.groups=4", "critic.widths=8,16",
    "critic.groups=4", "plan.steps=4", "plan.batch=2", "plan.judge_every=4", "plan.save_every=2", "plan.warm_up=0",
]  # fmt: skip


def toy(*more: str) -> AutoencoderRecipe:
    return changed(autoencoder_small(), [*TOY, *more])


def run(recipe: AutoencoderRecipe, folder: Path, stop: int | None = None) -> list[Step]:
    steps: list[Step] = []
    list(prepare(recipe, folder / "shards"))
    with closing(train(task(recipe, folder / "shards"), folder, device="cpu")) as going:  # type: ignore[type-var]
        for step in going:
            steps.append(step)
            if step.number == stop:
                break
    return steps


def test_two_steps_and_two_more_are_four(tmp_path: Path) -> None:
    whole = run(toy(), tmp_path / "whole")
    parts = run(toy(), tmp_path / "parts", 2) + run(toy(), tmp_path / "parts")
    assert [step.values for step in parts] == [step.values for step in whole]
    assert "criticise.total" in whole[2].values and "criticise.total" not in whole[1].values
    one, other = (weights.load(tmp_path / name / "autoencoder-small.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_what_is_kept_has_the_scale_of_its_latents(tmp_path: Path) -> None:
    last = run(toy("storage=fp32"), tmp_path)[-1]
    kept = weights.load(tmp_path / "autoencoder-small.safetensors")
    assert isinstance(kept.about.config, AutoencoderConfig)
    assert kept.about.config.scale == pytest.approx(last.scores["latent_scale"])
    assert kept.about.recipe["plan"]["steps"] == 4 and kept.about.figures["psnr"] == last.scores["psnr"]
    net = Autoencoder(kept.about.config).eval()
    assert weights.fill(net, kept) == []
    pictures = Drawing(32).batch(range(HELD_OUT, HELD_OUT + 3))["picture"].float() / 127.5 - 1
    with torch.no_grad():
        latents = net.encode(pictures, chance=torch.Generator().manual_seed(0))
    assert float((latents**2).mean()) == pytest.approx(1, abs=0.15)


def test_one_batch_can_be_learnt_by_heart(tmp_path: Path) -> None:
    """Pictures drawn ahead, as many as there are in a batch: all steps see the same (but for mirrors)."""
    learning = ["plan.steps=120", "plan.judge_every=120", "plan.save_every=120", "rate=5e-3", "critic_from=0.9"]
    steps = run(toy("pictures=2", *learning), tmp_path)
    drawn = [step.values["draw.l1"] for step in steps if step.values]
    assert sum(drawn[100:106]) < 0.4 * sum(drawn[:6])


def test_a_run_may_begin_with_weights(tmp_path: Path) -> None:
    run(toy("storage=fp32"), tmp_path)
    path = tmp_path / "autoencoder-small.safetensors"
    begun = task(toy(f"start={path}"), tmp_path).model.get_submodule("autoencoder").state_dict()
    assert all(torch.equal(begun[name], value) for name, value in weights.load(path).tensors.items())


def test_the_command_trains_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command()(command)
    words = ["autoencoder-small", *TOY, "--out", str(tmp_path), "--device", "cpu", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["step"] == 4 and said["scores"]["psnr"] > 0
    assert main(["autoencoder-small", *TOY, "--out", str(tmp_path), "--device", "cpu"]) == 0  # where there is no typer
    assert "over already" in capsys.readouterr().out


def test_a_wrong_word_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["autoencoder-small", "plan.step=3", "--out", str(tmp_path)]) == 1
    assert "plan.steps" in capsys.readouterr().err


def test_two_processes_draw_half_each(tmp_path: Path) -> None:
    recipe = toy("pictures=3")
    other = prepare(recipe, tmp_path, rank=1, world=2)  # there is one shard, and it is the other's
    assert next(other) == (3, 3) and not list((tmp_path / "ensembles").glob("*.safetensors"))
    assert list(prepare(recipe, tmp_path, rank=0, world=2)) == [(3, 3)]
    list(other)
    assert [path.name for path in (tmp_path / "ensembles").glob("*.safetensors")] == ["00000.safetensors"]


def test_a_stopped_run_is_saved_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `kill`: what was asked for while a step is under way is done when it is over."""
    from understudy.recipes import run as module

    words_said: list[str] = []

    def kill(words: str) -> None:
        words_said.append(words)
        if words.startswith("step 2"):
            signal.raise_signal(signal.SIGTERM)

    outcome = module.run(module.Wish(recipe="autoencoder-small", changes=TOY, out=tmp_path, device="cpu"), kill)
    assert outcome.stopped and outcome.last is not None and outcome.last.number == 2
    assert words_said[-1] == "stopped after step 2; the same command goes on from there"
    whole = run(toy(), tmp_path / "whole")
    rest = run(toy(), tmp_path)
    assert [step.values for step in rest] == [step.values for step in whole[2:]]


def test_lengths_of_time() -> None:
    assert [seconds(words) for words in ("2h", "90m", "1h30m", "45s", "45", None)] == [7200, 5400, 5400, 45, 45, None]
    for wrong in ("", "h", "soon", "0", "2d"):
        with pytest.raises(BadOption):
            seconds(wrong)


def test_losses_are_nothing_where_nothing_differs() -> None:
    chance = torch.Generator().manual_seed(0)
    picture, weight = torch.rand(2, 3, 16, 16, generator=chance) * 2 - 1, torch.ones(2, 1, 16, 16)
    assert float(far(picture, picture, weight)) == 0 == float(edges(picture, picture, weight))
    assert float(unlike([picture], [picture])) == 0
    assert float(divergence(torch.zeros(2, 4), torch.zeros(2, 4))) == 0
    opinion = torch.ones(2, 1, 4, 4)
    assert float(told_apart(opinion, -opinion, weight)) == 0


def test_an_opinion_counts_where_pictures_count() -> None:
    weight, opinion = torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 4, 4)
    weight[..., :4, :4] = 16
    here, there = opinion.clone(), opinion.clone()
    here[..., 0, 0], there[..., 3, 3] = 1, 1
    assert float(weighed(here, weight)) == pytest.approx(16 * float(weighed(there, weight)))


def test_a_tone_is_far_and_has_no_edges() -> None:
    dark, light, weight = torch.full((1, 3, 16, 16), -0.5), torch.zeros(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    assert float(far(light, dark, weight)) == 0.5 and float(edges(light, dark, weight)) == 0


def test_attention_is_paid_where_it_is_asked_for() -> None:
    weight = torch.ones(1, 1, 16, 16)
    weight[..., :8] = 5
    truth = torch.zeros(1, 3, 16, 16)
    left, right = truth.clone(), truth.clone()
    left[..., :8], right[..., 8:] = 1, 1
    assert float(far(left, truth, weight)) == pytest.approx(5 * float(far(right, truth, weight)))
    assert float(far(truth + 1, truth, weight)) == pytest.approx(1)


def test_the_divergence_is_the_one_of_gaussians() -> None:
    mean, log_variance = torch.tensor([0.7]), torch.tensor([-1.2])
    made = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(made, torch.distributions.Normal(0.0, 1.0))
    assert float(divergence(mean, log_variance)) == pytest.approx(float(expected), rel=1e-5)


def test_a_course_goes_from_stage_to_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy import recipes
    from understudy.recipes import run as module

    seen: dict[str, str] = {}

    def stage(name: str) -> recipes.Training:
        def noted(recipe: AutoencoderRecipe, shards: Path) -> Task:
            seen[name] = recipe.start
            return task(recipe, shards)

        return recipes.Training(
            name=name, makes="", recipe=lambda: replace(toy(), name=name), prepare=prepare, task=noted
        )

    known = {name: stage(name) for name in ("first", "second")}
    course = recipes.Course(name="both", makes="", stages=(("first", 0.5), ("second", 0.5)))
    monkeypatch.setattr(module, "named", lambda name: known.get(name, course))
    outcome = module.run(module.Wish(recipe="both", out=tmp_path, device="cpu"), lambda words: None)
    assert outcome.out == tmp_path and outcome.last is not None and outcome.last.number == 4
    assert seen == {"first": "", "second": str(tmp_path / "first" / "first.safetensors")}
    again = module.run(module.Wish(recipe="both", out=tmp_path, device="cpu"), lambda words: None)
    assert again.last is None and not again.stopped
    shorter = recipes.Course(name="both", makes="", stages=course.stages, needless=(("seen=false", "first"),))
    monkeypatch.setattr(module, "named", lambda name: known.get(name, shorter))
    seen.clear()
    with pytest.raises(BadOption, match="seen"):  # the field is no recipe's: what is tried is the second stage
        module.run(
            module.Wish(recipe="both", out=tmp_path / "b", device="cpu", changes=["seen=false"]), lambda words: None
        )
    assert not (tmp_path / "b" / "first").exists()


def test_fields_may_come_after_options(tmp_path: Path) -> None:
    assert main(["autoencoder-small", "--out", str(tmp_path), "--device", "cpu", *TOY]) == 0


def test_a_decoder_that_learns_alone_changes_no_latent(tmp_path: Path) -> None:
    run(toy("storage=fp32"), tmp_path / "first")
    path = tmp_path / "first" / "autoencoder-small.safetensors"
    run(toy("storage=fp32", f"start={path}", "learns=decoder", "shaken=0.1", "judged=6"), tmp_path / "second")
    before, after = (weights.load(tmp_path / name / "autoencoder-small.safetensors") for name in ("first", "second"))
    assert before.about.config == after.about.config  # the scale of latents with it
    moved = {name for name, value in before.tensors.items() if not torch.equal(value, after.tensors[name])}
    assert moved and all(name.startswith(("decoder", "post_quant_conv")) for name in moved)
