"""The studio as an ASGI application."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from understudy.clip.landing import unwritable
from understudy.extras import absent
from understudy.service.guard import Guard

LARGEST: Final = "1gb"  # upload
# Gradio asks home for news and counts its users, unless told otherwise before it is imported.
QUIET: Final = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def application(folder: Path, host: str, port: int, at_once: int = 1) -> Any:
    """The page at /, the camera at /live/, as an ASGI application.

    `at_once`: films that are made at the same time. Errors: `Unwritable`; `MissingExtra` without Gradio."""
    os.environ.update(QUIET)
    try:
        import gradio as gr
        from fastapi import FastAPI
    except ImportError as error:
        raise absent(error, "The studio") from error

    from understudy.service.live.routes import routes
    from understudy.service.studio import page
    from understudy.service.studio.order import Turns
    from understudy.service.studio.room import House

    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    app = FastAPI(openapi_url=None, routes=routes())
    gr.mount_gradio_app(
        app, page.page(House(folder), Turns(at_once)), path="/", server_name=host, server_port=port, footer_links=[],
        ssr_mode=False, allowed_paths=[str(folder)], max_file_size=LARGEST, theme=page.theme(), css=page.style(),
        show_error=False, mcp_server=False, run_history=False,
    )  # fmt: skip
    return Guard(app)
