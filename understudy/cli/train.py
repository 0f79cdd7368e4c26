"""`understudy train`: read the recipe and the fields that a person changes, and let it learn."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Device, Json
from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.train.loop import Step


def train(
    recipe: Annotated[str, typer.Argument(help="What to train, such as autoencoder-small.")],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE", help="What shall be otherwise, such as plan.steps=200.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder of the run: weights, checkpoints, journal. [journal/RECIPE]", show_default=False
        ),
    ] = None,
    shards: Annotated[
        Path | None,
        typer.Option(
            "--shards", help="Folder of what is drawn ahead, if runs share it. [OUT/shards]", show_default=False
        ),
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where it is computed.")] = Device.auto,
    budget: Annotated[
        str | None, typer.Option("--budget", help="All the time it may take, such as 2h or 90m.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads, if not PyTorch's choice.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Train RECIPE. To resume, run the same command again."""
    import torch

    from understudy.recipes import named
    from understudy.recipes.recipe import changed
    from understudy.train.loop import train as learn

    if threads is not None:
        torch.set_num_threads(threads)
    training = named(recipe)
    value = changed(training.recipe(), changes or [])
    folder = out or Path("journal") / recipe
    drawn = shards or folder / "shards"
    last: Step | None = None
    with _stopping() as asked:
        for done, wanted in training.prepare(value, drawn):
            say.line(f"drawing ahead: {done} of {wanted}")
            if asked:
                raise typer.Exit(130)
        task = training.task(value, drawn)
        with closing(learn(task, folder, device=device.value, budget=seconds(budget))) as steps:  # type: ignore[type-var]
            for last in steps:
                _say(last, value.plan.steps)
                if asked:
                    break
    if last is None:
        say.line(f"{folder}: this run is over already")
    elif asked:
        say.line(f"stopped after step {last.number}; the same command goes on from there")
    if json:
        say.object_last(
            {
                "recipe": recipe,
                "out": str(folder),
                "step": last.number if last else 0,
                "scores": dict(last.scores) if last else {},
            }
        )
    if asked:
        raise typer.Exit(130)


def seconds(words: str | None) -> float | None:
    """ "2h" -> 7200, "90m" -> 5400, "1h30m" -> 5400, "45s" or "45" -> 45."""
    if words is None:
        return None
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", words.strip())
    total = (
        sum(float(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
    )
    if not total:
        raise BadOption("--budget is no length of time", repr(words), "2h, 90m, 1h30m or 45s")
    return total


def _say(step: Step, steps: int) -> None:
    total = " ".join(
        f"{name.removesuffix('.total')} {value:.4f}" for name, value in step.values.items() if name.endswith(".total")
    )
    if step.scores:
        say.line(f"step {step.number}: " + ", ".join(f"{name} {value:.3f}" for name, value in step.scores.items()))
    elif step.number % 20 == 0 or step.number <= 3:
        left = step.seconds * (1 / step.progress - 1) if step.progress > 0 else 0.0
        say.line(f"step {step.number} of {steps}, {step.progress:.1%}, {say.duration(left)} left: {total}")


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
