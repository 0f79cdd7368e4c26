"""`understudy studio`: the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Browser, Host, Port


def studio(
    folder: Annotated[Path, typer.Option("-o", "--out", help="Where the films go.")] = Path("understudy-studio"),
    host: Host = "127.0.0.1",
    port: Port = 7860,
    at_once: Annotated[int, typer.Option("--at-once", min=1, max=16, help="Films made at the same time.")] = 1,
    browser: Browser = True,
) -> None:
    """A page in the browser: a portrait, a film or a voice, look, adjust, animate; and a desk for motion files. Nothing
    leaves this machine."""
    from understudy.service.guard import only_loopback
    from understudy.service.serve import serve
    from understudy.service.studio.application import application

    only_loopback(host)
    say.line("the studio is being opened ...")
    serve(application(folder, host, port, at_once), host, port, browser=browser, say=say.line)
