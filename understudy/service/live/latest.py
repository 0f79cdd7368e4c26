"""A place for one item, between two threads: a newer one takes the place of one that nobody has taken yet.

It is the only buffer that live work has. A queue would keep every frame, and so add its length to the latency of all
that follow; here a slow stage costs frames and no time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Latest(Generic[Item]):
    """See the module. Many may put, one takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> Item | None:
        """Leave an item; returns the one that it displaces, or the item itself where nobody takes any more."""
        with self._changed:
            if self._closed:
                return item
            displaced, self._item = self._item, item
            self._changed.notify()
            return displaced

    def take(self) -> Item | None:
        """The item, once there is one; None when the place was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> Item | None:
        """Nothing more comes; returns what was left."""
        with self._changed:
            left, self._item, self._closed = self._item, None, True
            self._changed.notify_all()
            return left

    def __iter__(self) -> Iterator[Item]:
        """What is there whenever somebody looks, until the place is closed."""
        while (item := self.take()) is not None:
            yield item
