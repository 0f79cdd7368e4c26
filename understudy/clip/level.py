"""A voice brought to one loudness while it comes: by what was heard of it so far, and nothing else.

So a stream is as loud as the file that it will have been. In pieces of half a second: each is measured before it is
passed on, so that the first word is not quieter than the second. What is heard in the pauses is hushed, or a mouth
would mumble to a room's noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.clip.hear import FLOOR, WINDOW

Samples = npt.NDArray[np.float32]
Decibels = npt.NDArray[np.float64]

LEVEL: Final = -20.5  # dB of full scale: how loud calm voices are that actors learn from
MOST_GAIN: Final = 25.0  # dB
PIECE: Final = 0.5  # seconds
_RAMP: Final = 0.2  # seconds in which a gain becomes another
_BELIEVED: Final = 10.0  # windows of speech that count as much as what is believed before any is heard: a usual level
_HUSHED: Final = 20.0  # dB by which pauses are made quieter
_NEAR: Final = 4  # windows to each side of a quiet one that have to be quiet: what is shorter is a p, and no pause
_ABOVE: Final = (6.0, 10.0)  # dB above the quietest: up to the one a pause, from the other on speech
_CONTRAST: Final = 20.0  # dB between loudest and quietest, without which pauses are not known
_WORDLESS: Final = -38.0  # dB of full scale: what is quieter, and always as loud, is a room
_BINS: Final = int(-FLOOR) + 1  # one a dB
_DB: Final = FLOOR + np.arange(_BINS)


def levelled(chunks: Iterable[Samples], rate: int) -> Iterator[Samples]:
    """A sound (n, channels) or (n,) in chunks of any length, as one channel (n,): pieces of half a second, and what is
    left at the end. The pieces do not depend on the chunks."""
    size, level = round(PIECE * rate), _Level(rate)
    held = np.zeros(0, np.float32)
    for chunk in chunks:
        mono = np.asarray(chunk if chunk.ndim == 1 else chunk.mean(1), np.float32)
        held = np.concatenate([held, mono])
        while len(held) >= size:
            yield level.raised(held[:size])
            held = held[size:]
    if len(held):
        yield level.raised(held)


class _Level:
    """How loud a voice is, and by how much it is raised: a histogram of its windows, as long as it may be."""

    def __init__(self, rate: int) -> None:
        self._rate, self._window = rate, max(round(rate * WINDOW), 1)
        self._counts = np.zeros(_BINS)
        self._gain: float | None = None
        self._last = np.full(_NEAR, FLOOR)  # dB of the windows before

    def raised(self, piece: Samples) -> Samples:
        """A piece, measured and then made louder or quieter."""
        cut = piece[: max(len(piece) // self._window, 1) * self._window]
        power = (cut.reshape(-1, min(self._window, len(cut))).astype(np.float64) ** 2).mean(1)
        decibels = 10 * np.log10(np.maximum(power, 10 ** (FLOOR / 10)))
        np.add.at(self._counts, np.clip(np.round(decibels - FLOOR).astype(int), 0, _BINS - 1), 1)
        before, self._gain = self._gain, self._wanted()
        share = np.minimum(np.arange(len(piece)) / (_RAMP * self._rate), 1)
        start = self._gain if before is None else before
        gain = start + share * (self._gain - start) + self._hush(decibels, len(piece))
        return np.asarray(piece * (10 ** (gain / 20)).astype(np.float32), np.float32)

    def _hush(self, decibels: Decibels, count: int) -> Decibels:
        """dB for every sample: less where it is a pause, of windows `decibels` loud."""
        around = np.concatenate([self._last, decibels, np.repeat(decibels[-1:], _NEAR)])
        self._last = around[: len(around) - _NEAR][-_NEAR:]
        loudest, noise = self._ends()
        if loudest - noise < _CONTRAST:  # no word was heard yet, or no pause
            return np.full(count, -_HUSHED if loudest < _WORDLESS else 0.0)
        loud = np.lib.stride_tricks.sliding_window_view(around, 2 * _NEAR + 1).max(1)
        quiet = np.clip((noise + _ABOVE[1] - loud) / (_ABOVE[1] - _ABOVE[0]), 0, 1)
        middles = (np.arange(len(decibels)) + 0.5) * self._window
        return np.asarray(-_HUSHED * np.interp(np.arange(count), middles, quiet), np.float64)

    def _ends(self) -> tuple[float, float]:
        """dB of the loudest window so far, and of the quietest tenth."""
        loudest = float(_DB[self._counts > 0].max())
        return loudest, float(_DB[np.searchsorted(np.cumsum(self._counts), 0.1 * self._counts.sum())])

    def _wanted(self) -> float:
        """dB. A voice is told from a noise by its pauses; before there was one, nothing is raised, or a quiet hiss
        would be spoken along with."""
        there = self._counts > 0
        loudest, noise = self._ends()
        paused = loudest - noise >= 14
        speaks = there & (max(noise + 9, loudest - 34, -55.0) < _DB if paused else _DB > -55.0)
        if not speaks.any():
            return 0.0 if self._gain is None else self._gain
        count = float(self._counts[speaks].sum())
        level = 10 * np.log10(float((self._counts * 10 ** (_DB / 10))[speaks].sum()) / count)
        wanted = (LEVEL - level) * count / (count + _BELIEVED)
        return float(np.clip(wanted, -MOST_GAIN, MOST_GAIN if paused else 0.0))
