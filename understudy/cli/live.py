"""`understudy live`: a webcam drives a portrait."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Browser, Host, Port


def live(
    host: Host = "127.0.0.1",
    port: Port = 7861,
    virtual_camera: Annotated[
        bool, typer.Option("--virtual-camera", help="Also as a camera that other programs can choose (pyvirtualcam).")
    ] = False,
    browser: Browser = True,
) -> None:
    """A page in the browser: your webcam drives a portrait, by warp, with the latency shown. Nothing leaves this
    machine."""
    from understudy.extras import absent
    from understudy.service.guard import only_loopback
    from understudy.service.live.camera import VirtualCamera
    from understudy.service.serve import serve

    try:
        from understudy.service.live.routes import application
    except ImportError as error:
        raise absent(error, "Live") from error

    only_loopback(host)
    camera = VirtualCamera() if virtual_camera else None
    if camera is not None:
        say.line(f"other programs find the portrait as {camera.name}")
    try:
        serve(application(camera), host, port, browser=browser, path="/live/", say=say.line)
    finally:
        if camera is not None:
            camera.close()
