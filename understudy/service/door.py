"""Who may come in: the key, the host, the page that asks; and a line in the log for everyone who came."""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from understudy.errors import UnderstudyError
from understudy.service import logs
from understudy.service.metrics import Metrics
from understudy.service.refusals import Forbidden, NotAllowed, as_json, status_of

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN: Final = ("/health",)  # to everybody


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Door:
    """Stands before the application.

    Without a key, whoever reaches the loopback address comes in: programs of this machine, and so web pages that
    strangers show in this machine's browser. Those give themselves away by `Origin`, or by a `Host` that is a name of
    theirs."""

    app: App
    key: str | None
    metrics: Metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, number = time.perf_counter(), secrets.token_hex(8)
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
            await send(message)

        try:
            self.look(scope)
            await self.app(scope, receive, noted)
        except UnderstudyError as error:
            await answer(noted, status_of(type(error).__name__), as_json(error))
        finally:
            seconds = time.perf_counter() - begun
            self.metrics.request(scope["method"], _route(scope), status, seconds)
            level = logging.DEBUG if scope["path"] in OPEN else logging.INFO
            logs.event(
                "request", level, request=number, method=scope["method"], path=scope["path"], status=status,
                milliseconds=round(seconds * 1000, 1),
            )  # fmt: skip

    def look(self, scope: Message) -> None:
        """Errors: `NotAllowed`, `Forbidden`."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] in OPEN:
            return
        if self.key is not None:
            given = headers.get(b"x-api-key") or headers.get(b"authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode("latin-1"), self.key.encode()):
                raise NotAllowed(
                    "this service asks for a key", "none" if not given else "another one", "the header X-API-Key"
                )
            return
        host = urlsplit(f"//{headers.get(b'host', '')}").hostname or ""
        if not is_loopback(host):
            raise Forbidden("this service answers its own machine only", f"the host {host[:80]!r}", "127.0.0.1")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            raise Forbidden(
                "a web page of somebody else asks", f"the origin {origin[:80]!r}", "--api-key-file, if it is yours"
            )


def _route(scope: Message) -> str:
    """The path without its numbers, so that there are not endlessly many."""
    route = scope.get("route")
    return str(getattr(route, "path", "none"))


async def answer(send: Send, status: int, told: dict[str, str], headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """An error as a response."""
    import json

    body = json.dumps({"error": told}).encode()
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *headers]})
    await send({"type": "http.response.body", "body": body})
