"""What a crew is asked to do in tests: no films, but deaths."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

from understudy.service.batch import Done, Row

DEADLY, HURT, BROKEN = 3, 5, 7


def row(number: int) -> Row:
    return Row(number, Path("face.png"), Path("driver.mp4"), Path(f"{number}.mp4"), {})


def one(row: Row, folder: str) -> Done:
    """One row kills whoever takes it up, one the first who does, one is our fault."""
    mark = Path(folder) / f"{row.number}-{os.getpid()}"
    mark.touch()
    tries = len(list(mark.parent.glob(f"{row.number}-*")))
    if row.number == DEADLY or (row.number == HURT and tries == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if row.number == BROKEN:
        raise ZeroDivisionError("ours")
    return Done(row.number, str(row.out), "made")


def make(folder: Path) -> partial[Done]:
    return partial(one, folder=str(folder))
