"""A recipe, from its name to the end: what `understudy train` calls, and what `python -m understudy.recipes` is for
machines that have torch, numpy and safetensors and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import BadOption
from understudy.recipes import Course, Training, named

if TYPE_CHECKING:
    from understudy.train.loop import Step


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asked for."""

    recipe: str
    changes: Sequence[str] = ()
    """field=value"""
    out: Path | None = None
    """The folder of the run; journal/RECIPE."""
    shards: Path | None = None
    """Where what is drawn ahead lies; OUT/shards."""
    device: str = "auto"
    budget: float | None = None
    """Seconds."""
    threads: int | None = None
    spread: str = "ddp"
    """How several processes share the work: one of `train.spread.WAYS`."""


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    out: Path
    last: Step | None
    """None if there was nothing left to do."""
    stopped: bool


def run(wish: Wish, tell: Callable[[str], None]) -> Outcome:
    """Train, or go on training, and say how it goes. Ctrl-C and `kill` end it after a whole step, saved."""
    training = named(wish.recipe)
    return _course(training, wish, tell) if isinstance(training, Course) else _training(training, wish, tell)


def _course(course: Course, wish: Wish, tell: Callable[[str], None]) -> Outcome:
    """Each stage in a folder of its own, what is drawn ahead in one for all."""
    out = wish.out or Path("journal") / wish.recipe
    needless = {stage for change, stage in course.needless if change in wish.changes}
    stages = [(stage, share) for stage, share in course.stages if stage not in needless]
    begun = [number for number, (stage, _) in enumerate(stages) if (out / stage / "checkpoints").exists()]
    outcome = Outcome(out, None, stopped=False)
    for number, (stage, share) in enumerate(stages):
        if number < max(begun, default=0):  # what a later stage began with is not learnt further
            continue
        before = out / stages[number - 1][0]
        start = [f"start={before / before.name}.safetensors"] if number else []
        mine = replace(
            wish, recipe=stage, out=out / stage, shards=wish.shards or out / "shards", changes=[*wish.changes, *start],
            budget=wish.budget and wish.budget * share,
        )  # fmt: skip
        outcome = run(mine, tell)
        if outcome.stopped:
            return replace(outcome, out=out)
    last = course.stages[-1][0]
    if not int(os.environ.get("RANK") or 0):
        shutil.copyfile(out / last / f"{last}.safetensors", out / f"{course.name}.safetensors")
    return replace(outcome, out=out)


def _training(training: Training, wish: Wish, tell: Callable[[str], None]) -> Outcome:
    import torch

    from understudy.device import choose, keep_memory
    from understudy.recipes.recipe import changed
    from understudy.train.loop import train

    if wish.threads is not None:
        torch.set_num_threads(wish.threads)
    recipe = changed(training.recipe(), wish.changes)
    out = wish.out or Path("journal") / wish.recipe
    shards = wish.shards or out / "shards"
    rank, world = int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)
    last: Step | None = None
    with _stopping() as asked:
        drawing = "cuda" if choose(wish.device).type == "cuda" else "cpu"
        if drawing == "cpu":
            keep_memory()
        for done, wanted in training.prepare(recipe, shards, rank, world, drawing):
            if rank == 0:
                tell(f"drawing ahead: {done} of {wanted}")
            if asked:
                return Outcome(out, None, stopped=True)
        task = training.task(recipe, shards)
        steps = train(
            task, out, device=wish.device, way=wish.spread, budget=wish.budget, stop=lambda: bool(asked)
        )  # fmt: skip
        with closing(steps):  # type: ignore[type-var]
            for last in steps:
                if rank == 0 and (words := said(last, recipe.plan.steps)):
                    tell(words)
    outcome = Outcome(out, last, stopped=bool(asked))
    if rank == 0:
        tell(ending(outcome))
    return outcome


def ending(outcome: Outcome) -> str:
    """The last sentence."""
    if outcome.stopped:
        return f"stopped after step {outcome.last.number if outcome.last else 0}; the same command goes on from there"
    return f"{outcome.out}: done" if outcome.last else f"{outcome.out}: this run is over already"


def said(step: Step, steps: int) -> str:
    """A step in words; "" for most, which are like their neighbours."""
    if step.scores:
        return f"step {step.number}: " + ", ".join(f"{name} {value:.3f}" for name, value in step.scores.items())
    if step.number > 3 and step.number % 20:
        return ""
    losses = {name.removesuffix(".total"): x for name, x in step.values.items() if name.endswith(".total")}
    left = step.seconds * (1 / step.progress - 1) if step.progress > 0 else 0.0
    spoken = f"{left / 3600:.1f} h" if left > 5400 else f"{left / 60:.0f} min" if left > 90 else f"{left:.0f} s"
    told = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
    return f"step {step.number} of {steps}, {step.progress:.1%}, {spoken} left: {told}"


def seconds(words: str | None) -> float | None:
    """ "2h" -> 7200, "90m" -> 5400, "1h30m" -> 5400, "45s" or "45" -> 45."""
    if words is None:
        return None
    number = r"(\d+(?:\.\d+)?)"
    match = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s?)?", words.strip())
    parts = match.groups() if match else ()
    total = sum(float(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise BadOption("--budget is no length of time", repr(words), "2h, 90m, 1h30m or 45s")
    return total


@contextmanager
def _stopping() -> Iterator[list[int]]:
    """Ctrl-C and `kill` are noted, so that a step is ended and the run saved; asked twice, obeyed at once."""
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
