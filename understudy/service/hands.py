"""The processes that a server has: one that examines, some that draw; started, watched, replaced when they die."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from understudy.service import logs
from understudy.service.limits import Limits
from understudy.service.place import Place
from understudy.service.refusals import Crashed, from_json
from understudy.service.store import Store

EXAMINING: Final = 30.0  # seconds that a look at a portrait and a driver may take
GRACE: Final = 20.0  # seconds that a worker has to leave
BACKOFF: Final = (0.2, 1.0, 5.0, 15.0)  # seconds before the next start, after so many quick deaths
_LIVED: Final = 10.0  # seconds after which a death is not a quick one


async def _started(module: str, *words: str, answers: bool) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE if answers else asyncio.subprocess.DEVNULL,
        env={"MALLOC_ARENA_MAX": "2", **os.environ},  # else one a thread, for ever: 20 % more memory
        start_new_session=True,  # Ctrl-C is for the server, which tells them
    )  # fmt: skip


class Examiner:
    """Looks at inputs, one job at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Before the first question, so that it need not wait for imports."""
        async with self._turn:
            await self._alive()

    async def ask(self, folder: Path, driving: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """What `examine` found. Errors: what it raised; `Crashed` where it died, or took too long."""
        question = {
            "folder": str(folder),
            "driving": driving,
            "options": dict(options),
            "seconds": self._limits.seconds,
            "pixels": self._limits.pixels,
        }
        async with self._turn:
            process = await self._alive()
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await asyncio.wait_for(process.stdout.readline(), EXAMINING)
            except (ConnectionError, asyncio.TimeoutError):
                line = b""
            except asyncio.CancelledError:  # the answer would be taken for another's
                await self._kill()
                raise
            if not line:
                await self._kill()
                logs.event("examiner died", logging.WARNING)
                raise Crashed("the input has killed the program that looked at it", remedy="another file")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise from_json(told["error"])
        return dict(told["found"])

    async def stop(self) -> None:
        async with self._turn:
            await self._kill()

    async def _alive(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await _started("understudy.service.examine", answers=True)
        return self._process

    async def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None


class Workers:
    """As many as were asked for, always."""

    def __init__(self, place: Place, limits: Limits, count: int, died: Callable[[], None]) -> None:
        self._words = (str(place.folder), json.dumps(asdict(limits)))
        self._count, self._died = count, died
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._leaving = False

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep()) for _ in range(self._count)]

    @property
    def alive(self) -> int:
        return len(self._processes)

    def kill(self, process: int) -> bool:
        """End one of ours that says nothing any more; another takes its place."""
        if process not in self._processes:
            return False
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        return True

    async def stop(self) -> None:
        """They keep what they have and leave; the next start goes on."""
        self._leaving = True
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*self._tasks, return_exceptions=True), GRACE)
        for process in list(self._processes.values()):
            with suppress(ProcessLookupError):
                process.kill()

    async def _keep(self) -> None:
        """One worker after another."""
        quick = 0
        while not self._leaving:
            begun = time.monotonic()
            process = await _started("understudy.service.worker", *self._words, answers=False)
            self._processes[process.pid] = process
            code = await process.wait()
            del self._processes[process.pid]
            if self._leaving:
                return
            self._died()
            quick = 0 if time.monotonic() - begun > _LIVED else min(quick + 1, len(BACKOFF) - 1)
            logs.event("worker died", logging.WARNING, worker=process.pid, code=code)
            await asyncio.sleep(BACKOFF[quick])


def tidy(place: Place, store: Store, limits: Limits, workers: Workers) -> None:
    """What has to be looked after now and then: jobs nobody wants, results too old, workers that hang."""
    now = time.time()
    for job in (*store.unwanted(), *store.ended_before(now - limits.kept)):
        if store.forget(job.id):
            place.remove(job.id)
            logs.event("job forgotten", job=job.id)
    for job in store.silent_since(now - limits.stall):
        if job.worker is not None and workers.kill(job.worker):
            logs.event("worker hangs", logging.WARNING, worker=job.worker, job=job.id)
