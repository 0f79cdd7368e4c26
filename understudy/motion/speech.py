"""Sound to what an actor hears: one row for each frame of 25 a second.

A row has 4 log-mel spectra, 10 ms apart, around the frame's moment, and how high the voice is and how sure that is.
It is computed from the samples within 30 ms of that moment and from nothing else, at whatever rate they come, so that a
stream's rows are a file's, bit for bit. Powers are per hertz and integrated over bands in hertz: all that shows of the
rate is that there is nothing above half of it.

`Wav2Vec2` is what the full size listens with; it hears in windows of its own that begin every second, for the same
reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from understudy.clip.level import levelled

if TYPE_CHECKING:
    import torch

Rows = npt.NDArray[np.float32]
Samples = npt.NDArray[np.float32]

FPS: Final = 25
BANDS: Final = 40
HOPS: Final = 4
WIDTH: Final = HOPS * BANDS + 2
"""Numbers in a row: spectra, hop after hop; then pitch, and how periodic the sound is."""
LOWEST, HIGHEST = 60.0, 7600.0  # hertz of the bands
HOP: Final = 0.01
"""Seconds from one spectrum to the next."""
_OFFSETS: Final = (-0.015, -0.005, 0.005, 0.015)  # seconds from a frame's moment to the middle of each window
_WINDOW: Final = 0.025  # seconds
REACH: Final = 0.030
"""Seconds of sound that a row needs after its moment (and before it)."""
NOTHING: Final = -9.0
"""log10 of power, a hertz and band: what is quieter is silence."""
MIDDLE, SPREAD = -5.5, 1.5
"""Of log10 powers of speech, about: what rows have in units of."""
_DEEPEST, _HIGHEST_VOICE = 60.0, 500.0  # hertz
_AS_GOOD: Final = 0.88  # of the best: a shorter period that is nearly as good is the period
_BLOCK: Final = 25  # rows computed together, always as many: sums of other sizes round otherwise
SILENCE: Final = (NOTHING - MIDDLE) / SPREAD
"""What a band of a row says when there is nothing."""


def rows_of(samples: Samples, rate: int, *, gain: float = 0.0) -> Rows:
    """(f, WIDTH) of a whole sound `(n,)` or `(n, channels)`: ceil(n / rate * 25) rows. `gain` in dB."""
    parts = list(heard([samples], rate, gain=gain))
    return np.concatenate(parts) if parts else np.zeros((0, WIDTH), np.float32)


def heard(chunks: Iterable[Samples], rate: int, *, gain: float = 0.0) -> Iterator[Rows]:
    """The rows of a sound that comes in chunks `(n, channels)` or `(n,)`, as soon as they are known: blocks of 25, and
    what is left at the end. Before its beginning and after its end there is silence."""
    margin = round(REACH * rate) + 1
    held = np.zeros(margin, np.float32)  # from `begin` on, in samples; the beginning is preceded by silence
    begin, done, total = -margin, 0, 0
    factor = np.float32(10 ** (gain / 20))
    for chunk in chunks:
        mono = _mono(chunk) * factor
        total += len(mono)
        held = np.concatenate([held, mono])
        while _place(done + _BLOCK - 1, rate) + margin <= total:
            yield _block(held, begin, done, rate)
            done += _BLOCK
            keep = _place(done, rate) - margin
            held, begin = held[keep - begin :], keep
    frames = -(-total * FPS // rate)
    while done < frames:
        need = _place(done + _BLOCK - 1, rate) + margin - (begin + len(held))
        padded = np.concatenate([held, np.zeros(max(need, 0), np.float32)])
        yield _block(padded, begin, done, rate)[: frames - done]
        done += _BLOCK
        keep = _place(done, rate) - margin
        held, begin = padded[keep - begin :], keep


def listened(chunks: Iterable[Samples], rate: int) -> Iterator[Rows]:
    """What an actor hears of a voice that comes in chunks: `heard`, brought to a loudness that it knows."""
    return heard(levelled(chunks, rate), rate)


def rows_of_voice(samples: Samples, rate: int) -> Rows:
    """The same of a whole voice."""
    parts = list(listened([samples], rate))
    return np.concatenate(parts) if parts else np.zeros((0, WIDTH), np.float32)


def silence(count: int) -> Rows:
    """Rows of nothing."""
    rows = np.full((count, WIDTH), SILENCE, np.float32)
    rows[:, -2:] = 0
    return rows


def level_of(rows: Rows) -> npt.NDArray[np.float32]:
    """(f,) how loud each frame is, log10 of power."""
    power = 10 ** (rows[:, :-2].astype(np.float64) * SPREAD + MIDDLE)
    return np.asarray(np.log10(power.reshape(len(rows), HOPS, BANDS).sum(2).mean(1)), np.float32)


def _mono(chunk: Samples) -> Samples:
    return np.asarray(chunk if chunk.ndim == 1 else chunk.mean(1), np.float32)


def _place(frame: int, rate: int) -> int:
    """The sample at a frame's moment."""
    return round(frame * rate / FPS)


def _block(samples: Samples, begin: int, first: int, rate: int) -> Rows:
    """Rows `first` to `first + 25`, of samples that are known from number `begin` on."""
    window, size, bank = _bank(rate)
    moments = [_place(first + k, rate) - begin for k in range(_BLOCK)]
    half = len(window) // 2
    starts = [at + round(offset * rate) - half for at in moments for offset in _OFFSETS]
    cut = np.stack([samples[max(start, 0) : start + len(window)] for start in starts]).astype(np.float64)
    power = np.abs(np.fft.rfft(cut * window, size)) ** 2
    powers = np.log10(np.maximum(power @ bank, 10.0**NOTHING))
    spectra = ((powers - MIDDLE) / SPREAD).reshape(_BLOCK, HOPS * BANDS)
    return np.concatenate([spectra, _pitch(samples, moments, rate)], 1).astype(np.float32)


def _pitch(samples: Samples, moments: list[int], rate: int) -> npt.NDArray[np.float64]:
    """(25, 2): octaves over 150 Hz where there is a voice (0 elsewhere), and how periodic it is, 0 to 1."""
    half = round(REACH * rate)
    size = 1 << (4 * half - 1).bit_length()
    cut = np.stack([samples[at - half + 1 : at + half + 1] for at in moments]).astype(np.float64)
    cut = (cut - cut.mean(1, keepdims=True)) * np.hanning(2 * half)
    energy = np.fft.irfft(np.abs(np.fft.rfft(cut, size)) ** 2)
    shape = np.correlate(np.hanning(2 * half), np.hanning(2 * half), "full")[2 * half - 1 :]
    lags = np.arange(int(rate / _HIGHEST_VOICE), min(int(rate / _DEEPEST), 2 * half - 1))
    kept = energy[:, lags] / np.maximum(energy[:, :1], 1e-9) * (shape[0] / np.maximum(shape[lags], shape[0] * 0.05))
    good = kept >= _AS_GOOD * kept.max(1, keepdims=True)  # what repeats after a time does so after twice that time too
    first = lags[good.argmax(1)][:, None]
    best = np.where((lags >= first) & (lags <= 1.3 * first), kept, -np.inf).argmax(1)
    sure = np.clip(kept[np.arange(_BLOCK), best], 0, 1) * (energy[:, 0] > 1e-6 * half)
    octaves = np.clip(np.log2(rate / lags[best] / 150), -1.5, 2)
    return np.stack([octaves * np.clip((sure - 0.5) / 0.2, 0, 1), sure], 1)


@lru_cache(maxsize=8)
def _bank(rate: int) -> tuple[npt.NDArray[np.float64], int, npt.NDArray[np.float64]]:
    """Window, size of the transform, and what brings its powers to bands (bins, BANDS)."""
    window = np.hanning(round(_WINDOW * rate))
    size = 1 << (2 * len(window) - 1).bit_length()
    hertz = np.fft.rfftfreq(size, 1 / rate)
    places = edges()
    low, middle, high = places[:-2], places[1:-1], places[2:]
    rising = (hertz[:, None] - low) / (middle - low)
    falling = (high - hertz[:, None]) / (high - middle)
    bank = np.clip(np.minimum(rising, falling), 0, None)
    density = 2.0 / (rate * (window**2).sum())  # one-sided power a hertz
    return window, size, bank * density * (rate / size)


def edges() -> npt.NDArray[np.float64]:
    """(BANDS + 2,) hertz: where each band begins, is highest, and ends."""
    return hertz_of(np.linspace(mel_of(LOWEST), mel_of(HIGHEST), BANDS + 2))


def mel_of(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def hertz_of(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float64)


class Wav2Vec2:
    """wav2vec2 as the ear of the full size: the mean of its hidden states, 768 numbers for each frame of 25 a second.

    It hears windows of `WINDOW` seconds that begin every second, each by itself, and the middle second of each is
    kept: a stream's rows are a file's, and it answers `(WINDOW - 1) / 2` seconds late."""

    WINDOW: Final = 3
    RATE: Final = 16_000
    WIDTH: Final = 768

    def __init__(self, folder: str, device: torch.device | str = "cpu") -> None:
        """`folder`: of the public weights, fetched before. Errors: `ImportError` without transformers."""
        from transformers import Wav2Vec2Model

        self.device = device
        self.net = Wav2Vec2Model.from_pretrained(folder, local_files_only=True).eval().to(device)

    def heard(self, chunks: Iterable[Samples]) -> Iterator[Rows]:
        """Rows, a second at a time, of a sound at 16 kHz that comes in chunks."""
        side = (self.WINDOW - 1) // 2 * self.RATE
        held, total, done = np.zeros(side, np.float32), 0, 0
        for chunk in chunks:
            mono = _mono(chunk)
            total += len(mono)
            held = np.concatenate([held, mono])
            while len(held) >= self.WINDOW * self.RATE:
                yield self._second(held[: self.WINDOW * self.RATE])
                held, done = held[self.RATE :], done + 1
        while done * self.RATE < total:
            lack = self.WINDOW * self.RATE - len(held)
            padded = np.concatenate([held, np.zeros(max(lack, 0), np.float32)])
            yield self._second(padded[: self.WINDOW * self.RATE])[: -(-(total - done * self.RATE) * FPS // self.RATE)]
            held, done = padded[self.RATE :], done + 1

    def _second(self, window: Samples) -> Rows:
        import torch
        import torch.nn.functional as F

        wave = torch.from_numpy((window - window.mean()) / (window.std() + 1e-5))[None].to(self.device)
        with torch.no_grad():
            states = torch.stack(self.net(wave, output_hidden_states=True).hidden_states[1:]).mean(0)
        even = F.interpolate(states.transpose(1, 2), self.WINDOW * FPS, mode="linear", align_corners=False)
        side = (self.WINDOW - 1) // 2 * FPS
        return np.asarray(even[0].T[side : side + FPS].float().cpu().numpy(), np.float32)
