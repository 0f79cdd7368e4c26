"""Working ahead changes nothing but the time at which things are made."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from understudy.ahead import ahead


def numbers(made: list[int], until: int) -> Iterator[int]:
    for number in range(until):
        made.append(number)
        yield number


def test_the_same_items_in_the_same_order() -> None:
    assert list(ahead(numbers([], 1000), 3)) == list(range(1000))
    assert list(ahead([], 1)) == []


def test_made_by_another_thread_and_not_far_ahead() -> None:
    made: list[int] = []
    with closing(ahead(numbers(made, 100), 4)) as items:
        assert next(items) == 0
        time.sleep(0.2)
        assert 4 <= len(made) <= 6, "four wait, one is in the maker's hands"
    assert len(made) <= 7


def test_an_error_comes_in_its_place() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise LookupError("two is missing")

    items = ahead(failing())
    assert next(items) == 1
    with pytest.raises(LookupError, match="two is missing"):
        next(items)


def test_who_stops_early_ends_the_thread_and_closes_the_source() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    before = threading.active_count()
    for _ in range(5):
        with closing(ahead(endless(), 2)) as items:
            next(items)
    assert closed == ["ahead"] * 5, "by the thread that used it"
    assert threading.active_count() == before


def test_chains() -> None:
    items = ahead((2 * item for item in ahead(range(50), 1)), 1)
    assert list(items) == [2 * item for item in range(50)]
