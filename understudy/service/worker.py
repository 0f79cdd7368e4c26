"""The process that draws: it takes a job up, and animates. It may be killed at any moment; the next one goes on.

    python -m understudy.service.worker FOLDER LIMITS        (started by the server, which holds its stdin)

When the server is gone, stdin ends, and so does the worker, leaving its film so far to whoever comes next.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from understudy.animate import Progress, Stopped, act, animate
from understudy.clip import read, read_metadata
from understudy.errors import TooLarge, UnderstudyError
from understudy.service import logs
from understudy.service.limits import Limits
from understudy.service.place import VOICE, Lock, Place
from understudy.service.refusals import Crashed, as_json, internal
from understudy.service.store import Job, Store

IDLE: Final = 0.1  # seconds between looks for work
TELL: Final = 0.2  # seconds between notes on how far it is


class Halt(KeyboardInterrupt):
    """A job shall not go on now. `animate` keeps what it has, as it does on Ctrl-C."""


@dataclass
class Worker:
    """See the module."""

    place: Place
    limits: Limits
    leaving: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.store = Store(self.place.database)

    def run(self) -> None:
        """Until the server is gone."""
        while not self.leaving.is_set():
            if not self.one():
                self.leaving.wait(IDLE)

    def one(self) -> bool:
        """Take up the oldest job that nobody works on; whether there was one."""
        for candidate in self.store.open():
            lock = Lock(self.place.of(candidate.id) / "lock")
            if not lock.take():
                continue
            try:
                job = self.store.begin(candidate.id, os.getpid())
                if job is not None:
                    self._work(job)
                    return True
            finally:
                lock.release()
        return False

    def _work(self, job: Job) -> None:
        """One job, to its end or to a halt."""
        logs.event("job begun", job=job.id, tries=job.tries)
        begun = time.perf_counter()
        try:
            if job.tries > self.limits.tries:
                raise Crashed(
                    "the job has killed whoever worked on it", f"{job.tries - 1} times", "another portrait or driver"
                )
            self._end(job, "done", result=self._drawn(job))
        except (Halt, Stopped):
            kept = self.store.get(job.id)
            if kept is not None and not kept.cancelled:
                self.store.give_back(job.id)
                logs.event("job handed on", job=job.id)
                return
            self._end(job, "cancelled")
        except UnderstudyError as error:
            self._end(job, "failed", error=without(self.place.of(job.id), as_json(error)))
        except Exception:
            logs.LOG.exception("job broke", extra={"facts": {"job": job.id}})
            self._end(job, "failed", error=internal())
        logs.event("job over", job=job.id, seconds=round(time.perf_counter() - begun, 3))

    def _end(
        self, job: Job, state: str, result: dict[str, Any] | None = None, error: dict[str, str] | None = None
    ) -> None:
        """Note it, then tidy up: a worker that dies between the two leaves files and not a job."""
        self.store.end(job.id, state, result, error)
        self.place.strip(job.id, result=state == "done")

    def _drawn(self, job: Job) -> dict[str, Any]:
        """What was made. A result that a killed worker has finished, and not noted, is whole, and is not made again."""
        folder, found = self.place.of(job.id), self.place.result(job.id)
        if found is not None:
            return finished(found)
        options = dict(job.options)
        if options.get("only") is not None:
            options["only"] = tuple(options["only"])
        perform = act if job.driving == VOICE else animate
        result = perform(
            folder / "portrait",
            folder / job.driving,
            out=folder / ("result.png" if job.still else "result.mp4"),
            progress=Teller(self, job),
            command="understudy serve",
            **options,
        )
        told = asdict(result)
        del told["output"]
        return told


@dataclass
class Teller:
    """Passes on how far a job is, and brings the word that it shall stop. Called by `animate`."""

    worker: Worker
    job: Job
    told: float = 0.0
    note: str = ""

    def __call__(self, progress: Progress) -> None:
        if self.worker.leaving.is_set():
            raise Halt
        self.note = progress.note or self.note
        now = time.monotonic()
        if now - self.told < TELL and not progress.note:
            return
        self.told = now
        if self.worker.store.advance(
            self.job.id, progress.stage, progress.done, progress.total, progress.left, self.note
        ):
            raise Halt
        self._refuse_long(progress)

    def _refuse_long(self, progress: Progress) -> None:
        """What a file promises about its length need not be true."""
        most = self.worker.limits.seconds * MOST_FPS
        if progress.done > most:
            raise TooLarge("the driver is longer than a job may be", f"more than {most:.0f} frames", "a part of it")


MOST_FPS: Final = 120  # frames a second of which a film is believed


def finished(path: Path) -> dict[str, Any]:
    """What can be known of a result that is whole from the file alone."""
    clip, words = read(path, warn=lambda text: None), read_metadata(path)
    return {
        "model": words.get("model", ""),
        "seed": int(words.get("seed", 0)),
        "frames": clip.frames or 1,
        "fps": 0.0 if clip.still else float(clip.fps),
        "width": clip.size[0],
        "height": clip.size[1],
        "warnings": [],
    }


def without(folder: Path, told: dict[str, str]) -> dict[str, str]:
    """An error that does not say where on this machine the job lies."""
    return {part: words.replace(f"{folder}{os.sep}", "") for part, words in told.items()}


def main(words: list[str]) -> None:
    logs.begin()
    logging.captureWarnings(True)
    worker = Worker(Place(Path(words[0])), Limits(**json.loads(words[1])))

    def watch() -> None:
        sys.stdin.buffer.read()
        worker.leaving.set()

    threading.Thread(target=watch, name="is the server there", daemon=True).start()
    with suppress(KeyboardInterrupt):
        worker.run()


if __name__ == "__main__":
    main(sys.argv[1:])
