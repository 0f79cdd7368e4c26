"""Frames with their capture times in, performing frames out, in two threads that never wait for each other.

One thread reads a frame's motion, the other draws it; before each is a place for one item (`Latest`). So when drawing
takes longer than the camera's frames are apart, frames are left out and latency stays what two frames take. Every frame
that is given is answered, by `Drawn` or by `Dropped`: whoever gives frames may count those on their way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from understudy.service.live.latest import Latest

Given = TypeVar("Given")
Read = TypeVar("Read")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Shot(Generic[Given]):
    """A camera's frame on its way: its `number` and capture time `stamp` are the giver's and go through untouched."""

    number: int
    stamp: float
    time: float  # seconds by our own clock, when it came
    what: Given


@dataclass(frozen=True)
class Drawn(Generic[Out]):
    """The answer to a shot."""

    number: int
    stamp: float
    picture: Out


@dataclass(frozen=True)
class Dropped:
    """The answer to a shot that something newer replaced."""

    number: int
    stamp: float


Answer: TypeAlias = "Drawn[Out] | Dropped"


class Pipeline(Generic[Given, Read, Out]):
    """See the module.

    `read`: shots -> what is read of them, one for one, in order; it is iterated by a thread of its own, and pulls.
    `draw`: what was read -> a picture, in a second thread. `tell`: hears every answer, from either thread, and must not
    block. What `read` or `draw` raise goes to `fail`, and ends the pipeline."""

    def __init__(
        self,
        read: Callable[[Iterable[Shot[Given]]], Iterator[Read]],
        draw: Callable[[Read], Out],
        tell: Callable[[Drawn[Out] | Dropped], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._read, self._draw, self._tell, self._fail = read, draw, tell, fail
        self._given: Latest[Shot[Given]] = Latest()
        self._seen: Latest[tuple[Shot[Given], Read]] = Latest()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), daemon=True) for work in (self._reads, self._draws)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, shot: Shot[Given]) -> None:
        """A new frame; never blocks."""
        self._drop(self._given.put(shot))

    def close(self) -> None:
        """End both threads and wait for them; frames on their way are answered."""
        self._shut()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _shut(self) -> None:
        self._drop(self._given.close())
        left = self._seen.close()
        self._drop(left[0] if left else None)

    def _drop(self, shot: Shot[Given] | None) -> None:
        if shot is not None:
            self._tell(Dropped(shot.number, shot.stamp))

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            self._fail(error)
        finally:
            self._shut()

    def _reads(self) -> None:
        current: list[Shot[Given]] = []

        def tapped() -> Iterator[Shot[Given]]:
            for shot in self._given:
                current.append(shot)
                yield shot

        for read in self._read(tapped()):
            shot = current.pop(0)
            displaced = self._seen.put((shot, read))
            self._drop(displaced[0] if displaced else None)

    def _draws(self) -> None:
        for shot, read in self._seen:
            self._tell(Drawn(shot.number, shot.stamp, self._draw(read)))
