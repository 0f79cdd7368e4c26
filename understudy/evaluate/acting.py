"""How good an actor is: measures of performances (f, 58) against true takes of the same voice.

The cast knows more than one truth: the same speech, acted with other chance, is as true. So it can be asked whether a
performance is right (lips, closures, moods), and also whether performances differ as much as true ones do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.cast.how import INDEX
from understudy.cast.speak.mouth import VOWELS
from understudy.cast.speak.voice import MOODS, Phone
from understudy.motion.likeness import FPS, MOODS_MOVE, column, correlation, opening, slow
from understudy.motion.space import CURVES
from understudy.motion.speech import Rows, level_of

Floats = npt.NDArray[np.float64]

SLOW: Final = ("browInnerUp", "browOuterUpLeft", "browDownLeft", "mouthSmileLeft")
WINDOW: Final = 2 * FPS  # frames by which a mood is judged
SURE: Final = 0.5  # how much of a mood there has to be to be called it
_PITCH: Final = CURVES + 1  # the column of nodding
_RIDGE: Final = 1e-3


# --- moods --------------------------------------------------------------------------------------------------------


def windows(rows: Floats) -> Floats:
    """(w, 2 * 10 + 2): mean and spread of what moods move, and of nodding, in windows of two seconds."""
    count = len(rows) // WINDOW
    kept = np.concatenate([rows[:, [INDEX[name] for name in MOODS_MOVE]], rows[:, [_PITCH]]], 1)
    cut = kept[: count * WINDOW].reshape(count, WINDOW, -1)
    return np.concatenate([cut.mean(1), cut.std(1)], 1)


def labels(moods: Floats) -> npt.NDArray[np.int64]:
    """(w,) the mood of each window, from how much of each there is (f, 5); -1 where none rules it."""
    count = len(moods) // WINDOW
    mean = moods[: count * WINDOW].reshape(count, WINDOW, -1).mean(1)
    return np.where(mean.max(1) > SURE, mean.argmax(1), -1)


@dataclass(frozen=True)
class MoodJudge:
    """Tells moods apart: a mean for each, and what they all spread by (linear discriminants, Fisher 1936)."""

    means: Floats  # (5, k)
    inverse: Floats  # (k, k)

    @staticmethod
    def of(features: Floats, found: npt.NDArray[np.int64]) -> MoodJudge:
        """From windows (w, k) and their moods (w,); those of -1 are left out. Every mood must be there."""
        means = np.stack([features[found == mood].mean(0) for mood in range(len(MOODS))])
        rest = features[found >= 0] - means[found[found >= 0]]
        spread = rest.T @ rest / max(len(rest), 1)
        return MoodJudge(means, np.linalg.inv(spread + _RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread))))

    def moods(self, features: Floats) -> npt.NDArray[np.int64]:
        """(w,) which mood each window shows."""
        off = features[:, None] - self.means
        return np.asarray(np.einsum("wmk,kl,wml->wm", off, self.inverse, off).argmin(1), np.int64)

    def accuracy(self, features: Floats, found: npt.NDArray[np.int64]) -> float:
        """The share of windows whose mood is recognised; those of -1 do not count."""
        known = found >= 0
        return float((self.moods(features[known]) == found[known]).mean()) if known.any() else 0.0


def mood_delay(judge: MoodJudge, rows: Floats, change: float, mood: int) -> float:
    """Seconds from a change of mood at `change` (seconds) until the new one is seen: until the middle of the first of
    two windows, a fifth of a second apart, that show it. Infinite if they never do."""
    before = False
    for first in range(max(math.ceil(change * FPS) - WINDOW // 2, 0), len(rows) - WINDOW + 1, 5):
        here = int(judge.moods(windows(rows[first : first + WINDOW]))[0]) == mood
        if here and before:
            return max((first - 5 + WINDOW / 2) / FPS - change, 0.0)
        before = here
    return float("inf")


def slow_correlation(made: Floats, true: Floats) -> float:
    """Mean correlation of brows and smile below 0.5 Hz, over those that move in the truth."""
    pairs = [(slow(column(made, name)), slow(column(true, name))) for name in SLOW]
    found = [correlation(a, b) for a, b in pairs if b.std() > 0.02]
    return float(np.mean(found)) if found else 0.0


# --- stress -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stressed:
    """How much goes on in brows and head at stressed syllables, in deviations: in one performance, here and at places
    shifted by chance."""

    here: float
    shifted: Floats  # (shuffles,)
    beats: int


def stressed(rows: Floats, phones: Sequence[Phone], *, shuffles: int = 400, seed: int = 0) -> Stressed:
    """Of one performance (f, 58) and what is said in it."""
    beats = [(phone.start + phone.end) / 2 for phone in phones if phone.stress == 2 and set(phone.symbol) & VOWELS]
    places = np.array([round(beat * FPS) for beat in beats if 0 <= beat * FPS < len(rows)], int)
    if not len(places):
        return Stressed(0.0, np.zeros(shuffles), 0)
    brows = column(rows, "browOuterUpLeft") - slow(column(rows, "browOuterUpLeft"))
    nods = slow(rows[:, _PITCH]) - rows[:, _PITCH]
    going_on = brows / max(brows.std(), 1e-6) + nods / max(nods.std(), 1e-6)
    chance = np.random.default_rng(seed)
    shifts = chance.integers(8, len(rows) - 8, shuffles)
    shifted = np.array([going_on[(places + shift) % len(rows)].mean() for shift in shifts])
    return Stressed(float(going_on[places].mean()), shifted, len(places))


def stress(found: Sequence[Stressed]) -> float:
    """p: how often as much goes on at the stressed syllables of all performances together, if the sound of each is
    shifted by chance."""
    beats = np.array([one.beats for one in found], np.float64)
    if not beats.sum():
        return 1.0
    here = float((np.array([one.here for one in found]) * beats).sum())
    shifted = (np.stack([one.shifted for one in found]) * beats[:, None]).sum(0)
    return float((1 + np.sum(shifted >= here)) / (1 + len(shifted)))


# --- chance -------------------------------------------------------------------------------------------------------


def distances(some: Sequence[Floats], others: Sequence[Floats]) -> Floats:
    """(n, m) root mean square differences of performances of one length; numbers of the motion must be comparable."""
    return np.array([[np.sqrt(((a - b) ** 2).mean()) for b in others] for a in some])


def spread(made: Sequence[Floats], true: Sequence[Floats]) -> float:
    """How much performances of one voice differ among themselves, over how much true ones do."""
    return _among(made) / max(_among(true), 1e-9)


def energy_distance(made: Sequence[Floats], true: Sequence[Floats]) -> float:
    """Between performances and truths of one voice (Szekely and Rizzo 2013), over the mean distance of two truths: 0
    where both are drawn from the same."""
    between = distances(made, true).mean()
    return float((2 * between - _among(made) - _among(true)) / max(_among(true), 1e-9))


def _among(some: Sequence[Floats]) -> float:
    each = distances(some, some)
    return float(each.sum() / max(len(some) * (len(some) - 1), 1))


# --- drift --------------------------------------------------------------------------------------------------------


def drift(first: Floats, later: Floats, deviation: Floats) -> float:
    """How different the statistics of two stretches are: means and spreads of every number, in deviations (d,)."""
    means = np.abs(first.mean(0) - later.mean(0)) / deviation
    spreads = np.abs(np.log((first.std(0) + 0.1 * deviation) / (later.std(0) + 0.1 * deviation)))
    return float((means + spreads).mean() / 2)


# --- real speech --------------------------------------------------------------------------------------------------


def level(heard: Rows) -> Floats:
    """(f,) how loud it is, log10 of power."""
    return np.asarray(level_of(heard), np.float64)


def follows_loudness(rows: Floats, level: Floats) -> tuple[float, int]:
    """Correlation of the mouth's opening with loudness (f,), log10 of power, at the best lag within 4 frames, and that
    lag."""
    open_by = opening(rows)
    loud = np.convolve(10 ** (np.clip(level - level.max(), -4, 0) / 2), np.hanning(7)[1:-1] / 3, "same")
    lags = {lag: _at(open_by, loud, lag) for lag in range(-4, 5)}
    best = max(lags, key=lambda lag: lags[lag])
    return lags[best], best


def _at(made: Floats, sound: Floats, lag: int) -> float:
    return correlation(made[lag:], sound[: len(sound) - lag]) if lag >= 0 else correlation(made[:lag], sound[-lag:])


def rests(rows: Floats, level: Floats, *, pause: float = 0.4) -> float:
    """The mouth's opening in pauses longer than `pause` seconds, over its 95th percentile; 0 where there are none. The
    edges of a pause, 0.15 s, are not looked at."""
    quiet = level < level.max() - 3.0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(int), [0]])))
    inside = np.zeros(len(rows), bool)
    margin = round(0.15 * FPS)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if (end - begin) / FPS > pause:
            inside[begin + margin : end - margin] = True
    open_by = opening(rows)
    return float(open_by[inside].mean() / max(np.quantile(open_by, 0.95), 1e-6)) if inside.any() else 0.0
