"""A task of seconds for the loop: two small nets, and data that are numbers. As a program: trains it, and writes its
losses; one of several processes, if torchrun starts it."""

from __future__ import annotations

import json
import os
import signal
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


class Three(Two):
    """With a layer that some samples pass, and one that none does."""

    def __init__(self) -> None:
        super().__init__()
        self.first.append(nn.Conv2d(3, 3, 1))
        self.first.append(nn.Conv2d(3, 3, 1))


def some(model: Three, batch: Batch, moment: Moment) -> Loss:
    """As `first`, of which one sample in four is changed by a layer more: whoever has none has no gradient of it."""
    passed = model.first[:3](batch["x"])
    chosen = torch.tensor([n % 4 == 1 for n in moment.chance.numbers])
    if chosen.any():
        passed = passed.index_put((chosen,), model.first[3](passed[chosen]))
    loss = F.mse_loss(passed, batch["x"]) + 0.1 * model.second(passed).square().mean()  # a net that stands still
    return Loss(loss, {"mse": loss})


def uneven(optimiser: Any = "adamw", seen: Callable[[], None] = lambda: None) -> Task:
    """A task in two turns and two parts a step, that not all processes do alike."""

    def watched(model: Three, batch: Batch, moment: Moment) -> Loss:
        seen()
        return some(model, batch, moment)

    turns = (
        Turn(name="first", learns=("first",), objective=watched, rate=1e-2, optimiser=optimiser),
        Turn(name="second", learns=("second",), objective=second, rate=1e-2, averaged=False),
    )
    return replace(task(replace(PLAN, batch=8, accumulate=2)), model=Three(), turns=turns)


def dying(folder: Path) -> Callable[[], None]:
    """Kills the second process in the third step, once."""
    count, mark = [0], folder / "died"

    def one() -> None:
        count[0] += 1
        if count[0] == 6 and os.environ["RANK"] == "1" and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return one


if __name__ == "__main__":  # python train_made.py FOLDER WAY OPTIMISER [die]
    torch.set_num_threads(1)
    place, how, optimiser, *rest = sys.argv[1:]
    made = uneven(optimiser, dying(Path(place)) if rest else lambda: None)
    steps = [step.values for step in train(made, Path(place), device="cpu", way=how)]
    if os.environ["RANK"] == "0":
        (Path(place) / "losses.json").write_text(json.dumps(steps))
