"""Measures of acting, on planted data of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.cast.how import INDEX
from understudy.cast.speak.voice import MOODS, Phone
from understudy.evaluate import acting
from understudy.motion import likeness
from understudy.motion.likeness import MOODS_MOVE
from understudy.motion.space import PLAYED

CHANCE = np.random.default_rng(0)


def rows(count: int = 400, **curves: np.ndarray) -> np.ndarray:
    found = np.zeros((count, PLAYED))
    for name, values in curves.items():
        found[:, INDEX[name]] = values
    return found


def wave(count: int = 400, seed: int = 0) -> np.ndarray:
    """Something that changes as a jaw does."""
    noise = np.random.default_rng(seed).normal(size=count + 8)
    return np.clip(np.convolve(noise, np.ones(5) / 2, "same")[4:-4], 0, 1)


def test_correlation_and_offset_of_what_is_late() -> None:
    true = wave()
    assert likeness.correlation(true, 2 * true + 1) == pytest.approx(1)
    assert abs(likeness.correlation(true, wave(seed=1))) < 0.25
    assert likeness.correlation(true, np.ones(400)) == 0
    for lag in (-3, 0, 2):
        assert likeness.offset(np.roll(true, lag), true) == lag
    both = rows(jawOpen=true, mouthFunnel=wave(seed=2))
    assert likeness.lip_correlation(both, both) == pytest.approx(1)
    assert likeness.lip_correlation(rows(jawOpen=true), both) == pytest.approx(0.5)


def test_closures_that_are_made_missed_and_false() -> None:
    phones = [Phone("p" if k % 2 else "a", 0.2 * k, 0.2 * k + 0.2, 0, 0) for k in range(40)]
    shut = np.zeros(400)
    for k in range(1, 40, 4):  # every other p
        shut[5 * k : 5 * k + 5] = 1
    true = rows(jawOpen=np.full(400, 0.4))
    hit, wrong = likeness.closures(rows(jawOpen=np.full(400, 0.4), mouthClose=shut), true, phones)
    assert hit == pytest.approx(0.5) and wrong == 0
    closed = rows(mouthClose=np.ones(400), jawOpen=np.full(400, 0.4))
    assert likeness.closures(closed, true, phones) == (1.0, 1.0)
    assert likeness.closures(true, true, phones) == (0.0, 0.0)
    assert likeness.closures(closed, closed, phones) == (1.0, 0.0)  # what is truly shut is not shut falsely


def test_moods_are_told_apart_and_changes_are_timed() -> None:
    def felt(mood: int, seed: int, count: int = 300) -> np.ndarray:
        made = np.random.default_rng(seed).normal(0, 0.05, (count, PLAYED))
        made[:, INDEX[MOODS_MOVE[mood]]] += 0.5
        return made

    features = np.concatenate([acting.windows(felt(mood, 10 * mood + k)) for mood in range(5) for k in range(4)])
    found = np.repeat(np.arange(5), len(features) // 5)
    judge = acting.MoodJudge.of(features, found)
    fresh = np.concatenate([acting.windows(felt(mood, 100 + mood)) for mood in range(5)])
    assert judge.accuracy(fresh, np.repeat(np.arange(5), len(fresh) // 5)) > 0.9
    blank = np.random.default_rng(0).normal(0, 0.05, (300, PLAYED))
    assert judge.accuracy(acting.windows(blank), np.arange(6) % 5) < 0.7
    turned = np.concatenate([felt(1, 7, 200), felt(3, 8, 200)])
    assert 0 <= acting.mood_delay(judge, turned, 8.0, 3) < 1
    assert acting.mood_delay(judge, turned, 8.0, 2) == np.inf
    moods = np.zeros((150, len(MOODS)))
    moods[:100, 2], moods[100:, 0], moods[100:, 1] = 0.9, 0.5, 0.5
    assert acting.labels(moods).tolist() == [2, 2, -1]


def test_slow_movement_is_compared_without_the_fast() -> None:
    slow = np.sin(np.arange(400) / 25 * 2 * np.pi * 0.15) * 0.3 + 0.4
    fast = 0.3 * np.sin(np.arange(400) / 25 * 2 * np.pi * 4)
    assert acting.slow_correlation(rows(browInnerUp=slow + fast), rows(browInnerUp=slow)) > 0.97
    other = 0.3 * np.cos(np.arange(400) / 25 * 2 * np.pi * 0.33) + 0.4
    assert abs(acting.slow_correlation(rows(browInnerUp=other + fast), rows(browInnerUp=slow))) < 0.3


def test_stress_is_found_where_it_is() -> None:
    phones = [Phone("a", at, at + 0.1, 2, 0) for at in (1.0, 2.4, 3.1, 5.0, 6.6, 8.2, 9.9, 11.3, 13.0, 14.1)]
    brows = np.zeros(400)
    for phone in phones:
        brows[round((phone.start + 0.05) * 25) + np.arange(-2, 3)] = 0.4
    with_it = acting.stressed(rows(browOuterUpLeft=brows), phones)
    beside = acting.stressed(rows(browOuterUpLeft=np.roll(brows, 11)), phones)
    assert with_it.beats == len(phones) and with_it.here > 1
    assert acting.stress([with_it]) < 0.01 and acting.stress([beside]) > 0.05
    assert acting.stress([with_it, with_it, beside]) < 0.05 and acting.stress([]) == 1


def test_spread_and_energy_distance_know_the_same_from_others() -> None:
    def some(count: int, size: float, off: float = 0.0) -> list[np.ndarray]:
        return [CHANCE.normal(off, size, (200, 6)) for _ in range(count)]

    true = some(8, 1.0)
    assert acting.spread(some(8, 1.0), true) == pytest.approx(1, abs=0.05)
    assert acting.spread(some(8, 0.5), true) == pytest.approx(0.5, abs=0.05)
    assert acting.energy_distance(some(8, 1.0), true) < 0.05
    mean = [np.zeros((200, 6))] * 8  # what a regression says
    assert acting.energy_distance(mean, true) > 0.3 and acting.spread(mean, true) == 0
    assert acting.energy_distance(some(8, 1.0, 1.0), true) > 0.2


def test_drift_is_seen() -> None:
    first, later = CHANCE.normal(0, 1, (1500, 6)), CHANCE.normal(0, 1, (1500, 6))
    one = np.ones(6)
    still = acting.drift(first, later, one)
    assert still < 0.1
    assert acting.drift(first, later + 0.5, one) > 4 * still and acting.drift(first, later * 0.3, one) > 4 * still


def test_mouths_follow_loudness_and_rest() -> None:
    loud = np.where(np.arange(400) // 40 % 2, 0.0, wave() + 0.05)
    level = np.log10(loud**2 + 1e-8)
    talking = rows(jawOpen=np.roll(loud, 1))
    found, lag = acting.follows_loudness(talking, level)
    assert found > 0.6 and 0 <= lag <= 2
    assert acting.rests(talking, level) < 0.05
    assert acting.rests(rows(jawOpen=np.full(400, 0.3)), level) > 0.5
