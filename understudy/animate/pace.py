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
        self._marks: deque[tuple[float, int]] = deque(maxlen=RECENT)
        self._stage, self._total, self._after = "", None, 0.0

    def begin(self, stage: str, total: int | None, after: float = 0.0) -> None:
        """A stage of `total` frames begins; `after` is what later stages will take, in seconds."""
        self._stage, self._total, self._after = stage, total, after
        self._marks.clear()
        self.at(0)

    def expect(self, after: float) -> None:
        """What later stages will take is known better now."""
        self._after = after

    def at(self, done: int) -> None:
        """So many frames of the stage are done."""
        now = time.perf_counter()
        self._marks.append((now, done))
        if now - self._told >= self._often or done == self._total:
            self._told = now
            self._tell(Progress(self._stage, done, self._total, self.left))

    def say(self, note: str) -> None:
        """A sentence for the person."""
        self._tell(Progress(self._stage, self._marks[-1][1] if self._marks else 0, self._total, self.left, note))

    @property
    def each(self) -> float | None:
        """Seconds a frame, lately."""
        (first, before), (last, done) = self._marks[0], self._marks[-1]
        return (last - first) / (done - before) if done > before else None

    @property
    def left(self) -> float | None:
        """Seconds to the end of the job, as far as that can be known."""
        each = self.each if self._marks else None
        if each is None or self._total is None:
            return None
        return max(self._total - self._marks[-1][1], 0) * each + self._after
