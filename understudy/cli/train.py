"""`understudy train`: read the recipe and the fields that a person changes, call `run`, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Json


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
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    budget: Annotated[
        str | None, typer.Option("--budget", help="All the time it may take, such as 2h or 90m.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads, if not PyTorch's choice.", show_default=False)
    ] = None,
    way: Annotated[
        str,
        typer.Option("--spread", help="Among processes that torchrun has started: ddp, or fsdp, which shares weights."),
    ] = "ddp",
    json: Json = False,
) -> None:
    """Train RECIPE. To resume, run the same command again."""
    from understudy.recipes.run import Wish, run, seconds

    wish = Wish(
        recipe=recipe,
        changes=changes or (),
        out=out,
        shards=shards,
        device=device,
        budget=seconds(budget),
        threads=threads,
        spread=way,
    )
    outcome = run(wish, say.line)
    if json:
        last = outcome.last
        step, scores = (last.number, dict(last.scores)) if last else (0, {})
        say.object_last({"recipe": recipe, "out": str(outcome.out), "step": step, "scores": scores})
    if outcome.stopped:
        raise typer.Exit(130)
