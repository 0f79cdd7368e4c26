"""`understudy batch`: many films, from a table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Force, Json, RayAddress

if TYPE_CHECKING:
    from understudy.service.batch import Spread


def batch(
    table: Annotated[
        Path, typer.Argument(metavar="JOBS.csv", help="Columns portrait, driving, perhaps out, and options of animate.")
    ],
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Films at once. [1; with --ray, one a CPU]")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Spread the films with Ray.")] = False,
    address: RayAddress = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Make every film of a table. The same command goes on where a stopped one ended, and makes nothing twice."""
    from understudy.animate import Stopped
    from understudy.service.batch import Row
    from understudy.service.batch import batch as make

    spread = _spread(ray, address, workers)
    done = []

    def begun(row: Row) -> None:
        say.line(f"line {row.number}: {row.out}")

    try:
        with say.progress() as show:
            for row in make(table, force=force, spread=spread, progress=show, begun=begun):
                done.append(row)
                if spread is not None:
                    say.line(f"{len(done)}: line {row.row}, {row.state}: {row.output}")
                say.warnings(row.warnings)
                if row.error is not None:
                    say.line(f"  failed: {row.error['happened']}. {row.error['remedy']}")
    except Stopped as stopped:
        say.stopped(str(stopped), json)
        raise typer.Exit(130) from stopped
    except KeyboardInterrupt as stopped:  # others draw: they are ended, and what they have is on the disk
        say.stopped(f"stopped after {len(done)} films; the same command goes on", json)
        raise typer.Exit(130) from stopped
    states = [row.state for row in done]
    say.line(", ".join(f"{states.count(state)} {state}" for state in ("made", "was there", "failed")))
    if json:
        say.object_last({"films": [asdict(row) for row in done]})
    if "failed" in states:
        raise typer.Exit(1)


def _spread(ray: bool, address: str | None, workers: int | None) -> Spread | None:
    """Who draws; None for this process."""
    if not ray and (workers or 1) == 1:
        return None
    from understudy.service.crew import local, over_ray

    return over_ray(address, workers) if ray else local(workers or 1)
