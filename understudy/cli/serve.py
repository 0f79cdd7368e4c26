"""`understudy serve`: films for programs, over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli.options import RayAddress
from understudy.errors import MissingExtra, MissingFile
from understudy.extras import absent

KEY = "UNDERSTUDY_API_KEY"


def serve(
    host: Annotated[str, typer.Option("--host", help="Where it listens; others than 127.0.0.1 ask for a key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8765,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Jobs that are drawn at a time.")] = 1,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the jobs. [service, in Understudy's data folder]", show_default=False),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", help=f"File with the key; ${KEY} has it, too.", show_default=False),
    ] = None,
    max_mb: Annotated[float, typer.Option("--max-mb", min=0.001, help="Of a job's files together.")] = 200,
    max_seconds: Annotated[float, typer.Option("--max-seconds", min=0.1, help="Of driving, motion or voice.")] = 300,
    max_megapixels: Annotated[float, typer.Option("--max-megapixels", min=0.01, help="Of a picture or frame.")] = 25,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Jobs that may wait; more are refused.")] = 20,
    keep_hours: Annotated[float, typer.Option("--keep-hours", min=0.0, help="How long results can be had.")] = 24,
    ray: Annotated[
        bool, typer.Option("--ray", help="With Ray Serve: --workers replicas at most, as jobs demand.")
    ] = False,
    requests: Annotated[int, typer.Option("--requests", min=1, help="With --ray: at a time, of a replica.")] = 64,
    address: RayAddress = None,
) -> None:
    """Animate over HTTP: POST a job, watch it, fetch the film. Survives being killed; docs/service.md has examples."""
    from understudy.provenance.identity import data_folder
    from understudy.service.limits import Limits

    limits = Limits(
        bytes=round(max_mb * 1e6),
        seconds=max_seconds,
        pixels=round(max_megapixels * 1e6),
        waiting=queue,
        tries=4,
        stall=300.0,
        upload=300.0,
        kept=keep_hours * 3600,
    )
    key = os.environ.get(KEY) or None
    if api_key_file is not None:
        key = _key(api_key_file)
    try:
        folder = data or data_folder() / "service"
        if ray:
            from understudy.service.replicas import Scale, serve_on_ray

            scale = Scale(workers, requests, address)
            serve_on_ray(folder, limits, host=host, port=port, key=key, scale=scale)
            return
        from understudy.service.run import serve as run

        run(folder, limits, host=host, port=port, workers=workers, key=key)
    except ImportError as error:
        missing = absent(error, "The service")
        extras = "service,ray" if ray else "service"
        raise MissingExtra(missing.happened, missing.seen, f'pip install "understudy[{extras}]"') from error


def _key(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise MissingFile(f"{path} cannot be read", str(error), "a file with one line: the key") from error
