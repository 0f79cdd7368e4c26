"""A mouth and a sound: whether they belong together."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.data.sync import SLACK, sync

RATE, FPS, SECONDS = 16_000, 25, 8


def speech(late: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """How a mouth opens, some four syllables a second, and a noise that is as loud, `late` seconds later."""
    chance = np.random.default_rng(seed)
    starts = np.cumsum(chance.uniform(0.15, 0.4, 60))
    starts = starts[starts < SECONDS - 0.3]
    heights = chance.uniform(0.3, 1.0, len(starts))

    def opened(at: np.ndarray) -> np.ndarray:
        return np.asarray((heights * np.exp(-(((at[:, None] - starts) / 0.06) ** 2))).sum(1))

    gaps = 0.15 * opened(np.arange(SECONDS * FPS) / FPS)
    loud = 10 ** (2 * opened(np.arange(SECONDS * RATE) / RATE - late) - 2.3)
    return gaps.astype(np.float32), (loud * chance.normal(size=len(loud)) * 0.2).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("late", [-0.08, 0.0, 0.08])
def test_what_belongs_together_is_in_sync(late: float) -> None:
    found = sync(*_at(speech(late)))
    assert found.verdict == "in sync" and abs(found.lag - late) <= SLACK


@pytest.mark.parametrize("late", [-0.4, -0.25, 0.3, 0.45])
def test_a_sound_that_is_late_or_early_is_found_out_and_by_how_much(late: float) -> None:
    found = sync(*_at(speech(late)))
    assert found.verdict == "out of sync" and found.lag == pytest.approx(late, abs=0.06)


def test_another_persons_voice_is_not_taken_for_ones_own() -> None:
    for seed in range(1, 6):
        gaps, _ = speech(0.0)
        assert sync(*_at((gaps, speech(0.0, seed)[1]))).verdict != "in sync"


def test_where_nothing_can_be_told_nothing_is_said() -> None:
    gaps, sound = speech(0.0)
    assert sync(*_at((gaps, 0 * sound))).verdict == "none"
    assert sync(*_at((0 * gaps + 0.1, sound))).verdict == "unclear"
    assert sync(*_at((gaps, sound[:0]))).verdict == "none"


def _at(both: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, float, np.ndarray, int]:
    return both[0], FPS, both[1], RATE
