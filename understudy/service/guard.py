"""What stands before every page on this machine: only this machine's own pages may ask.

A server on the loopback can be asked by any page that is open in the same browser. Names are therefore held to those of
this machine (a foreign name that resolves to it is refused), and what another site's page sends is refused as well.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from understudy.errors import BadOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NAMES: Final = ("localhost", "127.0.0.1", "[::1]", "::1")


def loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def only_loopback(host: str) -> str:
    """The host. Errors: `BadOption` for any that others could reach: there is no key on these pages."""
    if not loopback(host):
        raise BadOption(
            f"--host {host} could be reached from other machines",
            "the page has no key, and shows what people put into it",
            "127.0.0.1, with a tunnel such as ssh -L 7860:127.0.0.1:7860 from elsewhere",
        )
    return host


class Guard:
    """An ASGI application behind the guard."""

    def __init__(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket") and not admitted(scope["headers"]):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            body = b"Only this machine's own pages may ask.\n"
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": body})
            return
        await self.app(scope, receive, send)


def admitted(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request is for this machine by name, and from one of its own pages or from no page at all."""
    known = {name.lower(): value.decode("latin-1") for name, value in headers}
    host = known.get(b"host", "")
    if not loopback(urlsplit(f"//{host}").hostname or ""):
        return False
    origin = known.get(b"origin")
    return origin is None or urlsplit(origin).netloc == host
