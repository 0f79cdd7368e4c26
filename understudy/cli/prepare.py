"""`understudy prepare`: raw footage to shards that recipes learn from."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Json, RayAddress


def prepare(
    videos: Annotated[list[Path], typer.Argument(metavar="VIDEOS...", help="Films, and folders of films.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="SHARDS", help="The folder of the shards.")],
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Films at once. [one a CPU]", show_default=False)
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Spread the films with Ray Data.")] = False,
    address: RayAddress = None,
    shortest: Annotated[float, typer.Option("--shortest", help="Seconds of a take, at least.")] = 1.0,
    longest: Annotated[float, typer.Option("--longest", help="Seconds of a take, at most.")] = 10.0,
    side: Annotated[int, typer.Option("--side", help="Pixels that the head must fill in the film.")] = 256,
    blur: Annotated[float, typer.Option("--blur", help="The most of it: 0 sharp, 1 blurred.")] = 0.7,
    yaw: Annotated[float, typer.Option("--yaw", help="Degrees to a side that heads may turn.")] = 55.0,
    pitch: Annotated[float, typer.Option("--pitch", help="Degrees up or down that heads may nod.")] = 40.0,
    speech: Annotated[
        bool, typer.Option("--speech", help="Only takes whose mouths are seen to move with the sound.")
    ] = False,
    shard_mb: Annotated[int, typer.Option("--shard-mb", min=1, help="Megabytes of a shard, about.")] = 256,
    json: Json = False,
) -> None:
    """Cut films at scenes, follow faces, leave out what is bad or was there before, and pack what is left into shards.
    To go on after a stop, run the same command again: it makes the same shards."""
    from understudy.data.mill import Outcome, films_in, local
    from understudy.data.mill import prepare as run
    from understudy.data.sieve import Limits

    import_module("pyarrow")  # better now than after hours
    limits = Limits(
        shortest=shortest, longest=longest, side=side, blur=blur, dark=25.0, burnt=0.3, yaw=yaw, pitch=pitch, away=0.1,
        others=0.2, speech=speech,
    )  # fmt: skip
    if ray:
        from understudy.data.cluster import over_ray

        spread = over_ray(address, workers)
    else:
        spread = local(workers or os.cpu_count() or 1)
    films = films_in(videos)
    for step in run(films, out, limits, shard_mb << 20, spread):
        if isinstance(step, Outcome):
            say.line(
                f"{step.shards}: {step.kept} of {step.takes} takes from {step.films} films, {step.seconds:.0f} s"
                + (f"; left out: {', '.join(f'{word} {n}' for word, n in step.why.items())}" if step.why else "")
            )
            if json:
                say.object_last(step)
        elif step.note:
            say.line(f"{step.done} of {step.films}: {step.note}")
