"""Does a mouth move with the sound? A mouth that opens makes the sound louder, so the two curves lie over each other.

It is not a network that knows words, and says so where it cannot tell: music, other voices, mouths that hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Verdict = Literal["none", "unclear", "in sync", "out of sync"]

RATE: Final = 50  # a second: both curves are compared at this
REACH: Final = 0.5  # seconds by which the sound may be early or late
SLACK: Final = 0.12  # seconds that are still in sync: a loud vowel comes a little after the mouth has opened
CLEAR: Final = 0.3  # least correlation that says anything
AHEAD: Final = 0.1  # by so much more it must fit elsewhere than in sync
QUIET: Final = -50.0  # dB of full scale; what is never louder is silence
STILL: Final = 0.02  # eye units by which a mouth that speaks opens at least
SLOW: Final = 1.0  # seconds: slower changes are of the take, not of syllables


@dataclass(frozen=True)
class Sync:
    """What was found. `lag`: seconds by which the sound comes late (early if negative) where it fits best; `fit`: the
    correlation there, -1 to 1."""

    verdict: Verdict
    lag: float
    fit: float


SILENT: Final = Sync("none", 0.0, 0.0)


def sync(gaps: npt.NDArray[np.float32], fps: float, samples: npt.NDArray[np.float32], rate: int) -> Sync:
    """`gaps` (f,) how far the lips are apart, eye units, at `fps`; `samples` (n,) of the same time."""
    loud = loudness(samples, rate)
    if len(loud) < RATE or not len(gaps) or loud.max(initial=-np.inf) < QUIET:
        return SILENT
    mouth = np.interp(np.arange(len(loud)) / RATE, np.arange(len(gaps)) / fps, gaps.astype(np.float64))
    low, high = np.percentile(mouth, (5, 95))
    if high - low < STILL:
        return Sync("unclear", 0.0, 0.0)
    lags, fits = correlations(brisk(mouth), brisk(np.maximum(loud, QUIET)))
    best = int(fits.argmax())
    near = float(fits[np.abs(lags) <= SLACK].max())
    lag, fit = float(lags[best]), float(fits[best])
    if fit < CLEAR:
        return Sync("unclear", lag, fit)
    if near > fit - AHEAD:
        return Sync("in sync", lag, fit)
    return Sync("out of sync", lag, fit) if fit > CLEAR + AHEAD else Sync("unclear", lag, fit)


def loudness(samples: npt.NDArray[np.float32], rate: int) -> Numbers:
    """dB of full scale, `RATE` values a second, each of the samples around its moment."""
    count = int(len(samples) / rate * RATE)
    edges = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    at = np.arange(count) * rate // RATE
    first, last = np.maximum(at - rate // (2 * RATE), 0), np.minimum(at + rate // RATE, len(samples))
    power = (edges[last] - edges[first]) / np.maximum(last - first, 1)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-10)), np.float64)


def brisk(curve: Numbers) -> Numbers:
    """A curve without its slow changes, softened over three values."""
    size = int(SLOW * RATE) | 1
    padded = np.pad(curve, size // 2, mode="edge")
    slow = np.convolve(padded, np.full(size, 1 / size), "valid")
    return np.asarray(np.convolve(curve - slow, np.full(3, 1 / 3), "same"), np.float64)


def correlations(mouth: Numbers, loud: Numbers) -> tuple[Numbers, Numbers]:
    """Lags in seconds, and the correlation of both curves where the sound is late by that much."""
    reach = int(REACH * RATE)
    shifts = np.arange(-reach, reach + 1)
    found = []
    for shift in shifts.tolist():
        ours = mouth[max(-shift, 0) : len(mouth) - max(shift, 0)]
        theirs = loud[max(shift, 0) : len(loud) - max(-shift, 0)]
        found.append(_correlation(ours, theirs))
    return shifts / RATE, np.array(found)


def _correlation(one: Numbers, other: Numbers) -> float:
    if len(one) < RATE // 2:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), 1e-9))
