"""Who makes the films of a table: several processes of this machine, or a Ray cluster.

Whoever dies over a film loses that film alone, and it is given to another, who goes on with what is on the disk; after
so many deaths in a row it is the film's fault, and it fails by name.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, TypeAlias

from understudy.service.batch import Done, Row
from understudy.service.refusals import Crashed, as_json, internal

TRIES: Final = 3
"""Deaths over one film."""
Make: TypeAlias = Callable[[Row], Done]


def local(workers: int) -> Callable[[Sequence[Row], Make], Iterator[Done]]:
    """So many processes of this machine. What it gives may be asked for the films of a table, in any order."""

    def spread(rows: Sequence[Row], make: Make) -> Iterator[Done]:
        waiting, deaths = deque(rows), Counter[int]()
        hands = [_Hand(make) for _ in range(min(workers, len(rows)))]
        try:
            while waiting or any(hand.row for hand in hands):
                for hand in hands:
                    if hand.row is None and waiting:
                        hand.give(waiting.popleft())
                for number, hand in _heard(hands):
                    row, done = hand.taken()
                    if done is None:
                        deaths[row.number] += 1
                        hands[number] = _Hand(make)
                        if deaths[row.number] < TRIES:
                            waiting.appendleft(row)
                            continue
                        done = crashed(row)
                    yield done
        finally:
            for hand in hands:
                hand.end()

    return spread


def over_ray(address: str | None, workers: int | None) -> Callable[[Sequence[Row], Make], Iterator[Done]]:
    """The cluster at `address`, or one that is begun here; `workers` films at once, or as many as there are CPUs. All
    its machines must see the files. Errors: `ImportError` without Ray."""

    def spread(rows: Sequence[Row], make: Make) -> Iterator[Done]:
        from understudy.data.cluster import cluster

        ray: Any = import_module("ray")  # half of it has types

        def work(row: Row) -> Done:
            return make(row)

        with cluster(address, workers):
            task: Any = ray.remote(num_cpus=1, max_retries=TRIES - 1)(work)
            most = workers or int(ray.cluster_resources().get("CPU", 1))
            waiting, going = deque(rows), dict[Any, Row]()
            while waiting or going:
                while waiting and len(going) < most:  # a table may have more rows than Ray would like to hold
                    row = waiting.popleft()
                    going[task.remote(row)] = row
                (first, *_), _ = ray.wait(list(going), num_returns=1)
                row = going.pop(first)
                try:
                    yield ray.get(first)
                except ray.exceptions.RayTaskError:
                    yield Done(row.number, str(row.out), "failed", error=internal())
                except ray.exceptions.RayError:
                    yield crashed(row)

    return spread


def crashed(row: Row) -> Done:
    """What is said of a film over which too many have died."""
    error = Crashed(
        "the film has killed whoever worked on it", f"{TRIES} times", "another portrait or driver, or more memory"
    )
    return Done(row.number, str(row.out), "failed", error=as_json(error))


class _Hand:
    """A process that makes one film after another."""

    def __init__(self, make: Make) -> None:
        context = get_context("spawn")  # MediaPipe does not survive a fork
        self.pipe: Connection[Any, Any]
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_works, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()  # so that its death is heard
        self.row: Row | None = None

    def give(self, row: Row) -> None:
        """If it is dead, that is heard when it is listened to."""
        self.row = row
        with suppress(OSError):
            self.pipe.send(row)

    def taken(self) -> tuple[Row, Done | None]:
        """Its row, and how it went; None where the process died over it."""
        row, self.row = self.row, None
        assert row is not None
        try:
            done: Done = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return row, None
        return row, done

    def end(self) -> None:
        self._process.kill()  # what is on the disk is safe at any moment
        self._process.join()
        self.pipe.close()


def _heard(hands: Sequence[_Hand]) -> list[tuple[int, _Hand]]:
    """Those of whom there is news, and their places."""
    news = wait([hand.pipe for hand in hands if hand.row is not None])
    return [(number, hand) for number, hand in enumerate(hands) if hand.pipe in news]


def _works(pipe: Connection[Any, Any], make: Make) -> None:
    """In the process: what `pipe` asks for, until there is nobody at its other end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the command, which ends us
    rows: SimpleQueue[Row] = SimpleQueue()

    def listen() -> None:
        while True:
            try:
                rows.put(pipe.recv())
            except (EOFError, OSError):
                os._exit(1)  # the command was killed; the next one goes on with the film

    Thread(target=listen, daemon=True).start()
    while True:
        row = rows.get()
        try:
            done = make(row)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            done = Done(row.number, str(row.out), "failed", error=internal())
        pipe.send(done)
