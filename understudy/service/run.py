"""The service on a port."""

from __future__ import annotations

import socket
from pathlib import Path

from understudy.errors import BadOption
from understudy.service import logs
from understudy.service.door import is_loopback
from understudy.service.limits import Limits


def serve(folder: Path, limits: Limits, *, host: str, port: int, workers: int, key: str | None) -> None:
    """Until it is stopped. Errors: `BadOption` for a host that strangers reach without a key, or a port in use;
    `ImportError` without the extra `service`."""
    import uvicorn

    from understudy.service.api import application

    guarded(host, key)
    logs.begin()
    app = application(folder, limits, workers, key)
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, timeout_keep_alive=5
    )
    try:
        bound = config.bind_socket() if port else _any(host)
    except (OSError, SystemExit) as error:
        raise BadOption(f"nothing can listen on {host}:{port}", str(error), "--port with another number") from error
    bound.listen(config.backlog)  # who calls from now on waits until the service has begun, and is not refused
    logs.event("listening", host=host, port=bound.getsockname()[1])
    uvicorn.Server(config).run(sockets=[bound])


def guarded(host: str, key: str | None) -> None:
    """Errors: `BadOption` for a host that strangers reach without a key, and for a key that they guess."""
    if not is_loopback(host) and not key:
        raise BadOption(
            f"{host} can be reached by others, and there is no key",
            remedy="--api-key-file FILE, or $UNDERSTUDY_API_KEY; or --host 127.0.0.1",
        )
    if key is not None and len(key) < 16:
        raise BadOption("this key can be guessed", f"{len(key)} characters", "16 or more: openssl rand -hex 16")


def _any(host: str) -> socket.socket:
    """A port that is free."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.bind((host, 0))
    return bound
