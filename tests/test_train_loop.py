"""The loop: a run that stops and goes on is the same run, bit for bit."""

from __future__ import annotations

import json
import math
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import train_made
from safetensors import safe_open
from torch import nn
from train_made import PLAN, task

from understudy.errors import BadOption, BadRun
from understudy.train import checkpoint, loop
from understudy.train.ema import Average
from understudy.train.loop import Step, train
from understudy.train.task import Loss, Plan, Task, Turn


def run(made: Task, folder: Path, stop: int | None = None) -> list[Step]:
    """All steps, or until `stop` are done in the whole run."""
    steps: list[Step] = []
    with closing(train(made, folder, device="cpu")) as going:  # type: ignore[type-var]
        for step in going:
            steps.append(step)
            if step.number == stop:
                break
    return steps


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All of the newest checkpoint."""
    newest = checkpoint.newest(folder / "checkpoints")
    assert newest is not None
    with safe_open(newest, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def lines(folder: Path) -> list[dict[str, float]]:
    """The journal, without times."""
    text = (folder / "journal.jsonl").read_text(encoding="utf-8")
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in text.splitlines()]


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, bf16=True, accumulate=2)], ids=["fp32", "bf16, accumulated"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_that_stops_and_resumes_is_the_same_run(tmp_path: Path, plan: Plan, stop: int) -> None:
    whole = run(task(plan), tmp_path / "whole")
    begun = run(task(plan), tmp_path / "parts", stop)
    resumed = run(task(plan), tmp_path / "parts")
    assert [step.number for step in whole] == [1, 2, 3, 4, 4]
    assert [step.values for step in begun + resumed] == [step.values for step in whole]
    assert whole[-1].scores == resumed[-1].scores
    first, second = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert {name.split(".")[0] for name in first} == {"model", "average", "optimiser"}
    assert lines(tmp_path / "whole") == lines(tmp_path / "parts")


def test_so_it_is_where_weights_lie_otherwise_in_memory(tmp_path: Path) -> None:
    """Fused optimisers take weights and their averages as they lie, as GPUs want them: channels last."""

    def made() -> Task:
        one = task()
        one.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return one

    run(made(), tmp_path / "whole")
    run(made(), tmp_path / "parts", 2)
    run(made(), tmp_path / "parts")
    first, second = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_after_a_kill_it_goes_on_from_the_newest_checkpoint_and_the_journal_forgets(tmp_path: Path) -> None:
    whole = run(task(), tmp_path / "whole")
    run(task(), tmp_path / "killed", 3)
    (tmp_path / "killed" / "checkpoints" / "step-0000003.safetensors").unlink()  # as if it had not come so far
    (tmp_path / "killed" / "checkpoints" / ".step-0000003.safetensors.7.partial").write_bytes(b"half a file")
    with (tmp_path / "killed" / "journal.jsonl").open("a") as file:
        file.write('{"step": 4, "first.to')
    resumed = run(task(), tmp_path / "killed")
    assert [step.number for step in resumed] == [3, 4, 4]
    assert resumed[0].values == whole[2].values
    assert lines(tmp_path / "whole") == lines(tmp_path / "killed")


def test_it_does_not_matter_how_a_batch_is_cut(tmp_path: Path) -> None:
    whole = run(task(), tmp_path / "whole")
    parts = run(task(replace(PLAN, accumulate=4)), tmp_path / "parts")
    for one, other in zip(whole, parts, strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-4, abs=1e-6)


def test_pictures_are_there_before_the_first_step(tmp_path: Path) -> None:
    there: list[list[str]] = []
    sheets = tmp_path / "sheets"
    run(task(seen=lambda: there.append([path.name for path in sheets.glob("*.png")])), tmp_path, 1)
    assert there[0] == ["0000000-first-batch.png"]


def test_who_stands_still_stands_still(tmp_path: Path) -> None:
    made = task()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    run(made, tmp_path)
    after = made.model.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"first", "second"}


def test_turns_begin_when_they_are_said_to(tmp_path: Path) -> None:
    steps = run(task(), tmp_path)
    assert ["second.total" in step.values for step in steps] == [False, True, True, True, False]


def test_the_rate_rises_and_falls(tmp_path: Path) -> None:
    steps = run(task(), tmp_path)
    rates = [step.values["first.rate"] for step in steps if step.values]
    fallen = [0.1 + 0.9 * (1 + math.cos(math.pi * done / 4)) / 2 for done in range(4)]
    assert rates == pytest.approx([0.01 * up * down for up, down in zip([0.5, 1, 1, 1], fallen, strict=True)])


def test_averages_are_what_they_are_said_to_be() -> None:
    weight = nn.Parameter(torch.tensor([0.0, 4.0]))
    average = Average({"w": weight}, decay=0.5)
    expected, value = torch.tensor([0.0, 4.0]), torch.tensor([0.0, 4.0])
    for step in range(12):
        value = value + 1
        weight.data.copy_(value)
        average.follow(step)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    torch.testing.assert_close(average.weights["w"], expected)
    with average.worn():
        assert torch.equal(weight.detach(), average.weights["w"])
    assert torch.equal(weight.detach(), value)


def test_what_is_judged_and_kept_is_the_average(tmp_path: Path) -> None:
    steps = run(task(), tmp_path)
    saved = tensors(tmp_path)
    assert steps[-1].scores["size"] == pytest.approx(float(saved["average.first.0.weight"].abs().sum()))
    assert steps[-1].scores["size"] != pytest.approx(float(saved["model.first.0.weight"].abs().sum()), rel=1e-6)
    assert json.loads((tmp_path / "kept.json").read_text()) == {"step": 4}
    assert steps[1].scores and not steps[2].scores


def test_one_batch_can_be_learnt_by_heart(tmp_path: Path) -> None:
    class Same:
        def batch(self, numbers: object) -> dict[str, torch.Tensor]:
            return train_made.Numbers().batch(range(4))

    plan = replace(PLAN, steps=150, judge_every=150, save_every=150)
    steps = run(task(plan, data=Same()), tmp_path)
    losses = [step.values["first.mse"] for step in steps if step.values]
    assert losses[-1] < 0.15 * losses[0]


def test_old_checkpoints_are_removed(tmp_path: Path) -> None:
    run(task(replace(PLAN, save_every=1)), tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-0000003.safetensors", "step-0000004.safetensors",
    ]  # fmt: skip


def test_a_budget_ends_a_run_and_the_rate_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a millisecond whenever it is asked: a busy machine's jumps."""
    ticks = count(0, 1e-3)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    plan = replace(PLAN, steps=1_000_000, warm_up=0)
    steps = list(train(task(plan), tmp_path, device="cpu", budget=0.3))
    assert 1 < steps[-1].number < 1_000_000
    assert steps[-1].progress == 1 and steps[-1].scores
    rates = [step.values["first.rate"] for step in steps if step.values]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 0.5 * rates[0]
    assert list(train(task(plan), tmp_path, device="cpu", budget=0.3)) == []


def test_another_recipe_is_refused_and_what_differs_is_named(tmp_path: Path) -> None:
    run(task(), tmp_path, 2)
    with pytest.raises(BadRun, match=r"plan\.steps: 4 then, 5 now"):
        run(task(replace(PLAN, steps=5)), tmp_path)


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    run(task(), tmp_path, 2)
    path = checkpoint.newest(tmp_path / "checkpoints")
    assert path is not None
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadRun, match="damaged"):
        run(task(), tmp_path)


def test_what_is_no_number_stops_the_run_and_is_not_saved(tmp_path: Path) -> None:
    def astray(model: train_made.Two, batch: object, moment: object) -> Loss:
        total = next(model.first.parameters()).sum() * torch.nan
        return Loss(total, {})

    with pytest.raises(BadRun, match=r"step 1.*first\.total is nan"):
        run(task(turns=(Turn(name="first", learns=("first",), objective=astray, rate=1e-2),)), tmp_path)
    assert checkpoint.newest(tmp_path / "checkpoints") is None


@pytest.mark.parametrize(
    "wrong", [{"batch": 3, "accumulate": 2}, {"steps": 0}, {"average": 1.0}, {"clip": 0.0}], ids=str
)
def test_plans_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadOption):
        replace(PLAN, **wrong)  # type: ignore[arg-type]
