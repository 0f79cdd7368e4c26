"""How far a job is and how long it will still take, measured and not guessed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

RECENT: Final = 150  # frames over which the pace is taken


@dataclass(frozen=True)
class Progress:
    """What a caller is told now and then. `note` is a sentence for the person; the rest is for a bar."""

    stage: str
    done: int = 0
    total: int | None = None  # frames
    left: float | None = None  # seconds to the end of the whole job
    note: str = ""


Tell = Callable[[Progress], None]
"""Where progress goes."""


def nobody(progress: Progress) -> None:
    """For callers who do not ask."""


class Pace:
    """The pace of one stage after another, from the clock."""

    def __init__(self, tell: Tell, often: float = 0.1) -> None:
        self._tell, self._often = tell, often
        self._told = 0.0
        self._marks: deque[tuple[float, float]] = deque(maxlen=RECENT)
        self._stage, self._after = "", 0.0
        self._total: int | None = None
        self.announced = False

    def begin(self, stage: str, total: int | None, *, done: int = 0, after: float = 0.0) -> None:
        """A stage of `total` frames begins, `done` of which were done by an earlier run; what comes after it will take
        `after` seconds.

        The clock runs from when the first frames come out: until then networks are loaded, once."""
        self._stage, self._total, self._after = stage, total, after
        self._marks.clear()
        self._tell(Progress(stage, done, total))

    def at(self, done: float) -> None:
        """So many frames of the stage are done, or as good as done: where frames are made many at a time, a part of
        them is. What was told before is not taken back."""
        now = time.perf_counter()
        if self._marks and done < self._marks[-1][1]:
            return
        self._marks.append((now, done))
        if now - self._told >= self._often or done == self._total:
            self._told = now
            self._tell(Progress(self._stage, int(done), self._total, self.left))

    def announce(self, opening: str) -> None:
        """Say once what is being done and how long it will take, as soon as that could be measured."""
        left = self.left
        if self.announced or (left is None and self._total is not None):
            return
        self.announced = True
        total = f" for {self._total} frames" if self._total else ""
        expected = "" if left is None else f"; about {spoken(left)}{total}"
        self._tell(Progress(self._stage, self._done, self._total, left, f"{opening}{expected}"))

    def say(self, opening: str) -> None:
        """Say at once what is being done, and not again."""
        self.announced = True
        self._tell(Progress(self._stage, note=opening))

    @property
    def _done(self) -> int:
        return int(self._marks[-1][1]) if self._marks else 0

    @property
    def left(self) -> float | None:
        """Seconds to the end of the job, as far as that can be known."""
        if self._total is None or not self._marks:
            return None
        (first, before), (last, done) = self._marks[0], self._marks[-1]
        if done <= before:
            return None
        return max(self._total - done, 0) * (last - first) / (done - before) + self._after


def spoken(seconds: float) -> str:
    """Seconds as people say them: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
