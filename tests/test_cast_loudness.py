"""Who speaks up opens the mouth for it."""

from __future__ import annotations

import numpy as np

from understudy.cast.how import INDEX
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.take import Take
from understudy.cast.speak.voice import Phone, Span, Speech

RATE = 16_000
VOWELS = (0.4, 1.2)  # seconds in which the same vowel begins
LASTS = 0.3


def jaws(*loud: float) -> list[float]:
    """How far the jaw is down in the middle of each vowel, said so loudly."""
    samples = np.zeros(2 * RATE, np.float32)
    for begin, size in zip(VOWELS, loud, strict=True):
        part = slice(round(begin * RATE), round((begin + LASTS) * RATE))
        samples[part] = size * np.sin(np.arange(part.stop - part.start) * 0.08)
    phones = tuple(Phone("a", begin, begin + LASTS, 0, 0) for begin in VOWELS)
    take = Take(Speech(samples, RATE, phones, (Span(0.0, 2.0, "neutral", 1.0),)), Temper.of(3), 3)
    middles = np.array([begin + LASTS / 2 for begin in VOWELS])
    return [float(value) for value in take.at(middles).curves[:, INDEX["jawOpen"]]]


def test_a_vowel_that_is_louder_is_wider_whichever_comes_first() -> None:
    for quiet, loud in (jaws(0.3, 0.8), jaws(0.8, 0.3)[::-1]):
        assert loud > 1.5 * quiet


def test_it_is_loudness_among_its_own_that_counts() -> None:
    assert np.allclose(jaws(0.1, 0.3), jaws(0.3, 0.9), atol=0.02)
    first, second = jaws(0.5, 0.5)
    assert abs(first - second) < 0.1 * first


def test_nothing_heard_opens_hardly_a_mouth() -> None:
    assert max(jaws(0.0, 0.0)) < 0.5 * min(jaws(0.5, 0.5))
