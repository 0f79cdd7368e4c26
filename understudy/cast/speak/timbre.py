"""What a mood does to the sound of a voice, beside its pitch and pace: how bright it is, how long the throat is, how it
trembles, how much of it is breath.

Anger tightens the throat and sadness lets it go, which shows as energy above and below a kilohertz (Scherer 1986,
"Vocal affect expression"); a smile shortens the way from the throat to the lips and so raises all formants (Ohala
1980); rage is rough (Arnal et al. 2015: loudness that changes 30 to 150 times a second), and a sob trembles 5 times a
second. Whoever catches their breath lets some of it through: noise that takes the place of the harmonics above two
kilohertz or so, and falls with them (Klatt and Klatt 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_FROM, _TO = 500.0, 4000.0  # hertz between which a voice is bright or dull
_TREMBLES: Final = 5.5  # times a second
_ROUGH: Final = 37.0
_BREATH: Final = 1500.0  # hertz over which breath falls by 6 dB an octave, and under which by 12
_QUICK: Final = 0.02  # seconds in which breath follows the voice


@dataclass(frozen=True)
class Timbre:
    """All are nothing at their defaults."""

    bright: float = 0.0
    """dB for each octave from 500 Hz to 4 kHz."""
    short: float = 1.0
    """Times as high are the formants, and the pitch with them."""
    trembling: float = 0.0
    """Of the loudness, how much comes and goes."""
    rough: float = 0.0
    """The same, fast."""
    breath: float = 0.0
    """Noise, of the voice's own size: 0.02 is breathy."""

    def at(self, strength: float) -> Timbre:
        """So much of it."""
        return Timbre(
            bright=self.bright * strength,
            short=self.short**strength,
            trembling=self.trembling * strength,
            rough=self.rough * strength,
            breath=self.breath * strength,
        )

    def on(self, own: Timbre) -> Timbre:
        """This, of a voice that has a timbre of its own."""
        return Timbre(
            bright=self.bright + own.bright,
            short=self.short * own.short,
            trembling=self.trembling + own.trembling,
            rough=self.rough + own.rough,
            breath=self.breath + own.breath,
        )


PLAIN: Final = Timbre()


def coloured(wave: Floats, rate: int, timbre: Timbre, *, seed: int = 0) -> Floats:
    """A voice (n,) with that timbre, as loud as before (root mean square), and `timbre.short` times shorter."""
    if timbre == PLAIN or not len(wave):
        return wave
    made = _shortened(wave, timbre.short)
    before = _size(made)
    made = _tilted(made, rate, timbre.bright)
    if timbre.breath:
        made = made + timbre.breath * _aspiration(made, rate, seed)
    seconds = np.arange(len(made)) / rate
    for depth, often in ((timbre.trembling, _TREMBLES), (timbre.rough, _ROUGH)):
        made = made * (1 + depth * np.sin(2 * np.pi * often * seconds))
    return made * (before / max(_size(made), 1e-9))


def _size(wave: Floats) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def _shortened(wave: Floats, times: float) -> Floats:
    """Played faster: by its spectrum, which numpy cuts, or continues with nothing."""
    count = round(len(wave) / times)
    if count == len(wave) or count < 2:
        return wave
    return np.asarray(np.fft.irfft(np.fft.rfft(wave), count) * (count / len(wave)), np.float64)


def _tilted(wave: Floats, rate: int, bright: float) -> Floats:
    hertz = np.fft.rfftfreq(len(wave), 1 / rate)
    octaves = np.log2(np.clip(hertz, _FROM, _TO) / _FROM)
    return np.asarray(np.fft.irfft(np.fft.rfft(wave) * 10 ** (bright * octaves / 20), len(wave)), np.float64)


def _aspiration(wave: Floats, rate: int, seed: int) -> Floats:
    """Noise that is as loud as the voice at any moment."""
    noise = np.random.default_rng([0x74696D62, seed]).standard_normal(len(wave))
    times = np.fft.rfftfreq(len(wave), 1 / rate) / _BREATH
    noise = np.fft.irfft(np.fft.rfft(noise) * times**2 / (1 + times**3), len(wave))
    window = max(round(_QUICK * rate), 1)
    power = np.convolve(wave**2, np.ones(window) / window, "same")
    return np.asarray(noise / max(_size(noise), 1e-9) * np.sqrt(power), np.float64)
