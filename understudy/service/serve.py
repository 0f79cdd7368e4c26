"""Serving a page on this machine."""

from __future__ import annotations

import os
import socket
import webbrowser
from collections.abc import Callable
from typing import Any, Final

from understudy.errors import BadOption
from understudy.service.guard import only_loopback
from understudy.service.live.wire import MESSAGE

PATIENCE: Final = 3  # seconds that open pages get at the end


def serve(
    app: Any, host: str, port: int, *, browser: bool, path: str = "/", say: Callable[[str], None] = print
) -> None:
    """Serve until Ctrl-C; `browser`: open the page.

    Errors: `BadOption` for a host that others could reach, and for a port that is taken."""
    import uvicorn

    listening = bound(only_loopback(host), port)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"

    class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                say(f"{address}  (Ctrl-C ends it)")
                if browser:
                    webbrowser.open(address)

    config = uvicorn.Config(
        app, log_level="warning", ws_max_size=2 * MESSAGE, ws_per_message_deflate=False,
        timeout_graceful_shutdown=PATIENCE,
    )  # fmt: skip
    Server(config).run(sockets=[listening])


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens there. Errors: `BadOption`."""
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(kind, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # where it would let two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
    except OSError as error:
        listening.close()
        raise BadOption(
            f"port {port} of {host} cannot be listened at", error.strerror or str(error), f"--port {port + 10}"
        ) from error
    return listening
