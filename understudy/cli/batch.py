"""`understudy batch`: many films, from a table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Force, Json


def batch(
    table: Annotated[
        Path, typer.Argument(metavar="JOBS.csv", help="Columns portrait, driving, perhaps out, and options of animate.")
    ],
    force: Force = False,
    json: Json = False,
) -> None:
    """Make every film of a table. The same command goes on where a stopped one ended, and makes nothing twice."""
    from understudy.animate import Stopped
    from understudy.service.batch import batch as make

    done = []
    try:
        with say.progress() as show:
            for row in make(
                table, force=force, progress=show, begun=lambda row: say.line(f"line {row.number}: {row.out}")
            ):
                done.append(row)
                say.warnings(row.warnings)
                if row.error is not None:
                    say.line(f"  failed: {row.error['happened']}. {row.error['remedy']}")
    except Stopped as stopped:
        say.stopped(str(stopped), json)
        raise typer.Exit(130) from stopped
    states = [row.state for row in done]
    say.line(", ".join(f"{states.count(state)} {state}" for state in ("made", "was there", "failed")))
    if json:
        say.object_last({"films": [asdict(row) for row in done]})
    if "failed" in states:
        raise typer.Exit(1)
