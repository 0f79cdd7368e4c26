"""Serving a page on this machine."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from typing import Any

from understudy.service.guard import only_loopback


def serve(
    app: Any, host: str, port: int, *, browser: bool, path: str = "/", say: Callable[[str], None] = print
) -> None:
    """Serve until Ctrl-C; `browser`: open the page. Errors: `BadOption` for a host that others could reach."""
    import uvicorn

    only_loopback(host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"

    class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started:
                say(f"{address}  (Ctrl-C ends it)")
                if browser:
                    webbrowser.open(address)

    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", ws_max_size=1 << 21, ws_per_message_deflate=False
    )
    Server(config).run()
