"""Work ahead: what yields, yielded by a thread of its own, a few items before they are asked for.

Decoding, finding faces, drawing and encoding each let go of Python's lock while they compute, so a chain of generators
with `ahead` between them keeps as many cores busy as it has links; the buffers are bounded, so memory stays flat.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
PATIENCE: Final = 0.2  # seconds between looks at whether the other side is still there


class _End(Generic[Item]):
    """The last thing in a queue: nothing more comes, perhaps because something went wrong."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterable[Item], buffer: int = 2) -> Generator[Item, None, None]:
    """The same items in the same order; at most `buffer` of them wait. An error of theirs is raised here, in its place.

    When the caller stops early (`close`, an exception, Ctrl-C), the thread ends and `items` is closed."""
    waiting: queue.Queue[Item | _End[Item]] = queue.Queue(max(buffer, 1))
    enough = threading.Event()

    def put(item: Item | _End[Item]) -> bool:
        while not enough.is_set():
            try:
                waiting.put(item, timeout=PATIENCE)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                if not put(item):
                    break
        except BaseException as raised:  # handed over whole: the caller raises it
            error = raised
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
        put(_End(error))

    worker = threading.Thread(target=work, name="ahead", daemon=True)
    worker.start()
    try:
        while True:
            try:
                item = waiting.get(timeout=PATIENCE)  # not for ever: Windows hears Ctrl-C only in between
            except queue.Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        enough.set()
        worker.join()
