"""Where a service keeps its jobs, and who may touch one: a folder, and locks that die with whoever held them.

jobs.sqlite         what is known of every job
jobs/ID/            its files, under names of our own: portrait, driving or motion or voice, result
incoming/ID/        a job that is being sent
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

ID: Final = re.compile(r"[0-9a-f]{32}")
VOICE: Final = "voice"  # the name of the file, where one drives
RESULTS: Final = ("result.mp4", "result.png")


@dataclass(frozen=True)
class Place:
    """The folder."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / "jobs.sqlite"

    @property
    def jobs(self) -> Path:
        return self.folder / "jobs"

    @property
    def incoming(self) -> Path:
        return self.folder / "incoming"

    def make(self) -> None:
        """The folders, for their owner alone."""
        for folder in (self.folder, self.jobs, self.incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def of(self, job: str) -> Path:
        """The folder of one job. Only a job's number makes a path: nothing that a stranger has named."""
        if not ID.fullmatch(job):
            raise ValueError(f"{job!r} is no number of a job")
        return self.jobs / job

    def fresh(self) -> tuple[str, Path]:
        """A new number, and a folder for what is being sent."""
        job = secrets.token_hex(16)
        folder = self.incoming / job
        folder.mkdir(mode=0o700)
        return job, folder

    def accept(self, job: str) -> None:
        """What was sent becomes a job, in one step."""
        os.rename(self.incoming / job, self.of(job))

    def result(self, job: str) -> Path | None:
        """The finished result, if there is one."""
        return next((path for name in RESULTS if (path := self.of(job) / name).is_file()), None)

    def strip(self, job: str, *, result: bool) -> None:
        """Remove what a job that is over needs no more: all but the lock and, where `result`, the result."""
        keep = {"lock", *(RESULTS if result else ())}
        with suppress(FileNotFoundError):
            for path in self.of(job).iterdir():
                if path.name not in keep:
                    path.unlink(missing_ok=True)

    def remove(self, job: str) -> None:
        """All of a job's files."""
        shutil.rmtree(self.of(job), ignore_errors=True)

    def sweep(self, known: set[str]) -> None:
        """Remove what a killed server left: half-sent jobs, and folders that no job knows."""
        for folder in self.incoming.iterdir():
            shutil.rmtree(folder, ignore_errors=True)
        for folder in self.jobs.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


class Lock:
    """Held by this process until it lets go or dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Whether it is ours now; False where another process has it, or the folder is gone."""
        try:
            file = self.path.open("a+b")
        except OSError:
            return False
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
