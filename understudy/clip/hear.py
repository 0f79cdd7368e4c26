"""What can be told of a voice by measuring it: how loud, how much of it is speech, how noisy, whether it is clipped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
WINDOW: Final = 0.02  # seconds
FLOOR: Final = -96.0  # dB of full scale; digital silence
FULL: Final = 0.998  # samples at or above are counted as clipped when they come in a row


@dataclass(frozen=True)
class Heard:
    """Measures of one sound."""

    rate: int
    channels: int
    seconds: float
    peak: float  # 0 to 1
    level: float  # dB of full scale: the windows that speak
    noise: float  # dB of full scale: the quietest tenth of the windows
    speaking: float  # share of the windows that speak
    longest_silence: float  # seconds
    clipped: float  # share of the samples that stand at full scale beside another one that does
    loudness: npt.NDArray[np.float32]  # dB of full scale, one a window, for a picture of it


def hear(blocks: Iterable[Samples], rate: int) -> Heard:
    """Measure a sound given as blocks `(n, channels)` in -1 to 1, of any length; one pass, a few bytes a window."""
    window = max(round(rate * WINDOW), 1)
    left = np.zeros(0, np.float32)
    powers: list[npt.NDArray[np.float32]] = []
    samples = clipped = 0
    channels, peak, full_before = 1, 0.0, False
    for block in blocks:
        if not len(block):
            continue
        channels = block.shape[1]
        loudest = np.abs(block).max(1)
        full = loudest >= FULL
        clipped += int((full[1:] & full[:-1]).sum()) + int(full_before and bool(full[0]))
        full_before = bool(full[-1])
        peak = max(peak, float(loudest.max()))
        samples += len(block)
        left = np.concatenate([left, block.mean(1, dtype=np.float32)])
        whole = len(left) // window * window
        powers.append((left[:whole].reshape(-1, window) ** 2).mean(1))
        left = left[whole:]
    power = np.concatenate([*powers, np.zeros(0, np.float32)])
    loudness = np.maximum(10 * np.log10(np.maximum(power, 1e-10)), FLOOR).astype(np.float32)
    noise = float(np.percentile(loudness, 10)) if len(loudness) else FLOOR
    speaks = loudness > max(noise + 9, float(loudness.max(initial=FLOOR)) - 34, -55.0)
    if noise > float(loudness.max(initial=FLOOR)) - 14:  # no pauses: all of it speaks, or none
        speaks = loudness > -55.0
    level = 10 * np.log10(max(float(power[speaks].mean()), 1e-10)) if speaks.any() else FLOOR
    return Heard(
        rate,
        channels,
        samples / rate,
        peak,
        max(float(level), FLOOR),
        noise,
        float(speaks.mean()) if len(speaks) else 0.0,
        _longest(~speaks) * WINDOW,
        clipped / max(samples, 1),
        loudness,
    )


def _longest(flags: npt.NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
