"""A task of seconds for the loop: two small nets, and data that are numbers. As a program: trains it, prints losses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.train.loop import train
from understudy.train.task import Batch, Judgement, Loss, Moment, Plan, Task, Turn

PLAN = Plan(
    steps=4, batch=4, accumulate=1, clip=1.0, warm_up=2, floor=0.1, average=0.9, bf16=False, seed=3, judge_every=2,
    save_every=2, keep=2,
)  # fmt: skip


class Two(nn.Module):
    """A net of convolutions, which channels_last lays out otherwise, a second one, and one that never learns."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 3, 3, padding=1))
        self.second = nn.Conv2d(3, 1, 3)
        self.still = nn.Conv2d(3, 3, 1)


def size(model: Two) -> float:
    """How large the first net's first weights are."""
    return float(next(model.first.parameters()).abs().sum())


@dataclass(frozen=True)
class Numbers:
    """Sample n is made from n alone."""

    def batch(self, numbers: Sequence[int]) -> Batch:
        made = [torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in numbers]
        return {"x": torch.stack(made)}


def first(model: Two, batch: Batch, moment: Moment) -> Loss:
    """Denoise: depends on chance."""
    noise = moment.chance.normal(3, 8, 8).to(batch["x"].device)
    result = model.still(model.first(batch["x"] + 0.1 * noise))
    loss = F.mse_loss(result.float(), batch["x"])
    return Loss(loss, {"mse": loss})


def second(model: Two, batch: Batch, moment: Moment) -> Loss:
    """Something about what the first net makes."""
    with torch.no_grad():
        made = model.first(batch["x"])
    loss = (model.second(made).float() - moment.chance.uniform(1, 6, 6)).square().mean()
    return Loss(loss, {})


def task(plan: Plan = PLAN, seen: Callable[[], None] = lambda: None, **others: Any) -> Task:
    """The task; `seen` is called whenever the first loss is asked for."""

    def watched(model: Two, batch: Batch, moment: Moment) -> Loss:
        seen()
        return first(model, batch, moment)

    def judge(model: Two) -> Judgement:
        return Judgement({"size": size(model)}, {"grey": torch.zeros(4, 4, 3, dtype=torch.uint8)})

    def keep(model: Two, folder: Path, step: int) -> None:
        (folder / "kept.json").write_text(json.dumps({"step": step}))

    def show(model: Two, batch: Batch) -> dict[str, Tensor]:
        return {"first-batch": (batch["x"][0].permute(1, 2, 0) * 255).to(torch.uint8)}

    made = Task(
        identity={"name": "two", "plan": {"steps": plan.steps}},
        plan=plan,
        model=Two(),
        turns=(
            Turn(name="first", learns=("first",), objective=watched, rate=1e-2),
            Turn(name="second", learns=("second",), objective=second, rate=1e-2, start=0.25, averaged=False),
        ),
        data=Numbers(),
        show=show,
        judge=judge,
        keep=keep,
    )
    return replace(made, **others)


if __name__ == "__main__":  # python train_made.py FOLDER: under torchrun, one of several processes
    torch.set_num_threads(1)
    steps = [step.values for step in train(task(), Path(sys.argv[1]), device="cpu")]
    if (Path(sys.argv[1]) / "journal.jsonl").exists():
        (Path(sys.argv[1]) / "losses.json").write_text(json.dumps(steps))
