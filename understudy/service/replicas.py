"""The service as a deployment of Ray Serve: `understudy serve --ray`.

A replica is the whole service (`api.application`): it takes jobs in, looks at them, and has a process that draws. All
replicas have one folder, and so the same jobs: whoever is asked can answer, whoever is free draws the oldest. What is
too much is refused twice: jobs by the service, as ever; requests of any kind by Serve, once each replica has as many as
it may and as many again wait. Both say 503 and when to come again.
"""

from __future__ import annotations

import math
import signal
import socket
import threading
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from understudy.data.cluster import cluster
from understudy.errors import BadOption
from understudy.service import logs
from understudy.service.api import application, claimed
from understudy.service.hands import GRACE
from understudy.service.limits import Limits
from understudy.service.place import Place
from understudy.service.run import guarded

NAME: Final = "understudy"
EACH: Final = 2
"""Jobs that are not over, for each of which so many there shall be one replica."""
RETRY: Final = 2.0
"""Seconds after which somebody who was refused by Serve shall come again."""
UP: Final = 5.0
DOWN: Final = 60.0
"""Seconds for which there must be too many jobs, or too few, before there are more replicas or fewer."""


@dataclass(frozen=True)
class Scale:
    """How many, on which cluster. `requests`: at a time, of a replica; a stream of events is one all along."""

    replicas: int
    requests: int
    address: str | None


class Replica:
    """The service, one of several."""

    def __init__(self, folder: str, limits: Limits, key: str | None) -> None:
        logs.begin()
        self._app = application(Path(folder), limits, 1, key, alone=False)

    def __serve_build_asgi_app__(self) -> Any:
        return self._app

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve, for `wanted`."""
        return {"jobs": float(self._app.state.service.store.waiting())}


def wanted(context: Any) -> tuple[float, dict[str, Any]]:
    """How many replicas there shall be: as the jobs demand, which all replicas count alike. Asked by Serve, which keeps
    within the limits, and takes its time."""
    counts = (context.aggregated_metrics or {}).get("jobs", {})
    return max(1, math.ceil(max(counts.values(), default=0) / EACH)), {}


def deployment(folder: Path, limits: Limits, key: str | None, scale: Scale) -> Any:
    """What Serve runs. Errors: `ImportError` without Ray."""
    serve: Any = import_module("ray.serve")
    config: Any = import_module("ray.serve.config")
    made = serve.deployment(
        name="Replica",
        max_ongoing_requests=scale.requests,
        max_queued_requests=scale.requests,
        backpressure_config=config.BackpressureConfig(retry_after_s=RETRY),
        autoscaling_config=config.AutoscalingConfig(
            min_replicas=1,
            max_replicas=scale.replicas,
            upscale_delay_s=UP,
            downscale_delay_s=DOWN,
            policy=config.AutoscalingPolicy(policy_function=wanted),
        ),
        graceful_shutdown_timeout_s=GRACE + 10,
        ray_actor_options={"num_cpus": 1},
    )
    return made(serve.ingress()(Replica)).bind(str(folder.absolute()), limits, key)


def serve_on_ray(folder: Path, limits: Limits, *, host: str, port: int, key: str | None, scale: Scale) -> None:
    """Until it is stopped. Errors: `BadOption` as `run.serve`; `ImportError` without the extras `service` and `ray`."""
    guarded(host, key)
    serve: Any = import_module("ray.serve")
    logs.begin()
    port = _free(host, port)
    lock = claimed(Place(folder))
    try:
        with cluster(scale.address, None):
            # only where this command runs: it is this machine's folder, and this host's port
            serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port})
            try:
                serve.run(deployment(folder, limits, key, scale), name=NAME, route_prefix="/")
                logs.event("listening", host=host, port=port)
                logs.event("service begins", folder=str(folder), replicas=scale.replicas)
                _told_to_stop().wait()
            finally:
                serve.shutdown() if scale.address is None else serve.delete(NAME)
                logs.event("service ends")
    finally:
        lock.release()


def _told_to_stop() -> threading.Event:
    """Set by Ctrl-C and SIGTERM."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    return told


def _free(host: str, port: int) -> int:
    """The port, or any that is free for 0: Serve opens it in another process. Errors: `BadOption`."""
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise BadOption(f"nothing can listen on {host}:{port}", str(error), "--port with another number") from error
        return int(bound.getsockname()[1])
