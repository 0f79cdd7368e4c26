"""What a service counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS: Final = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Everything that is counted."""

    def __init__(self) -> None:
        self._all = CollectorRegistry()
        self._requests = Counter(
            "understudy_requests", "Requests answered.", ["method", "route", "status"], registry=self._all
        )
        self._answering = Histogram(
            "understudy_request_seconds", "From a request to its answer.", ["route"], registry=self._all
        )
        self._refused = Counter("understudy_refused", "Jobs refused, by reason.", ["kind"], registry=self._all)
        self._jobs = Gauge("understudy_jobs", "Jobs that are kept, by state.", ["state"], registry=self._all)
        self._ended = Counter("understudy_jobs_ended", "Jobs that are over.", ["state"], registry=self._all)
        self._took = Histogram(
            "understudy_job_seconds",
            "From a job's beginning to its end.",
            ["state"],
            buckets=SECONDS,
            registry=self._all,
        )
        self._frames = Counter("understudy_frames", "Frames of finished results.", registry=self._all)
        self._received = Counter("understudy_received_bytes", "Of accepted jobs' files.", registry=self._all)
        self._workers = Gauge("understudy_workers", "Processes that draw.", registry=self._all)
        self._deaths = Counter("understudy_worker_deaths", "Workers that died by themselves.", registry=self._all)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in ("GET", "POST", "DELETE", "HEAD") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._answering.labels(route).observe(seconds)

    def refused(self, kind: str) -> None:
        self._refused.labels(kind).inc()

    def received(self, count: int) -> None:
        self._received.inc(count)

    def over(self, state: str, seconds: float, frames: int) -> None:
        self._ended.labels(state).inc()
        self._took.labels(state).observe(seconds)
        self._frames.inc(frames)

    def death(self) -> None:
        self._deaths.inc()

    def text(self, jobs: Mapping[str, int], workers: int) -> bytes:
        """All of it, now."""
        for state, count in jobs.items():
            self._jobs.labels(state).set(count)
        self._workers.set(workers)
        return bytes(generate_latest(self._all))
