"""The mill's films, spread over a cluster by Ray Data. Parts go to a folder that all machines see.

A machine that is lost loses the films that it was busy with, and Ray gives those to another."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from understudy.data.mill import Film, Spread


STORE: Final = 200 << 20
"""Bytes of shared memory of a cluster that is begun here: films and pictures do not go through it."""


@contextmanager
def cluster(address: str | None, workers: int | None) -> Iterator[None]:
    """Within this, Ray runs: the cluster at `address` ("auto": the one this machine belongs to), or, for None, one that
    is begun here with `workers` CPUs (None: all) and ended afterwards. Errors: `ImportError` without Ray."""
    import ray

    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    # the dashboard listens, and is of no use here
    more: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": STORE}
    if address:
        more = {"address": address}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **more)
    try:
        yield
    finally:
        ray.shutdown()


def over_ray(address: str | None, workers: int | None) -> Spread:
    """`address` of a cluster ("auto": the one this machine belongs to); None begins one here. `workers`: films at once,
    at most; without, as many as there are CPUs. Errors: `ImportError` without Ray."""

    def spread(films: Sequence[Film], work: Callable[[Film], str]) -> Iterator[str]:
        import ray.data

        def done(row: dict[str, Any]) -> dict[str, Any]:
            return {"said": work(row["item"])}

        with cluster(address, workers):
            ray.data.DataContext.get_current().enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            # a block a film: they differ in length, and whoever is free takes the next
            table = ray.data.from_items(list(films), override_num_blocks=len(films))
            for row in table.map(done, compute=ray.data.TaskPoolStrategy(size=workers)).iter_rows():
                yield str(row["said"])

    return spread
