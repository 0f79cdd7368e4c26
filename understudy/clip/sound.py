"""Sound: samples with a rate. From any file that sounds, at any rate, and back into files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from understudy.clip.landing import landing, refuse_existing
from understudy.clip.media import AnyPath, Warn, beginning, decodable, existing, fraction, open_media, say, ticks
from understudy.clip.still import opener
from understudy.errors import BadOption, NoSound, TooLarge, UnreadableMedia

Samples: TypeAlias = npt.NDArray[np.float32]
"""`(n, channels) float32`, silence at 0, full scale at -1 and 1."""

MAX_BYTES = 2 << 30  # of samples in memory: 1.5 hours in stereo at 48 kHz, 9 hours of a mono voice at 16 kHz
_RATES = (1000, 1_000_000)  # samples a second that make sense
_SOUNDING = "give a film that sounds, or a sound file"
_JUMP = 0.03  # seconds by which a timestamp must be off before it is a gap and not a rounded number
_KINDS = {
    ".wav": ("wav", "pcm_s16le"),
    ".flac": ("flac", "flac"),
    ".mp3": ("mp3", "libmp3lame"),
    ".m4a": ("ipod", "aac"),
    ".ogg": ("ogg", "libopus"),
    ".opus": ("opus", "libopus"),
}


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples `(n, channels) float32` in [-1, 1], and how many there are in a second."""

    samples: Samples
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32 or not self.samples.shape[1]:
            raise ValueError(f"samples are (n, channels) float32; these are {self.samples.shape} {self.samples.dtype}")
        if not _RATES[0] <= self.rate <= _RATES[1]:
            raise ValueError(f"{self.rate} samples a second is not a rate for sound")

    def __repr__(self) -> str:
        return f"Sound({self.seconds:.3f} s, {self.channels} channels, {self.rate} Hz)"

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def mono(self) -> Sound:
        """All channels as one, their mean."""
        return self if self.channels == 1 else Sound(_mono(self.samples), self.rate)

    def resample(self, rate: int) -> Sound:
        """At another rate: `round(n * rate / self.rate)` samples, what lies above half the new rate filtered out."""
        if rate == self.rate:
            return self
        parts = list(resampled(blocks(self.samples, self.rate), self.rate, rate))
        out = np.concatenate(parts) if parts else self.samples[:0]
        count = round(len(self.samples) * Fraction(rate, self.rate))
        return Sound(np.pad(out[:count], ((0, max(0, count - len(out))), (0, 0))), rate)


def read_sound(path: AnyPath, *, rate: int | None = None, mono: bool = False, warn: Warn = say) -> Sound:
    """The sound of a sound file or a film, at its own rate or at `rate`, with its own channels or as one.

    The sound of a film begins with the film's first frame: what was before is cut, what comes late is late here too.
    Errors: `MissingFile`, `UnreadableMedia`, `NoSound`, `TooLarge` beyond 2 GB of samples."""
    path = existing(path)
    with open_sound(path) as container:
        stream = sound_stream(container, path)
        own = stream.rate
        chunks = placed(container, stream, warn, path)
        if mono:
            chunks = map(_mono, chunks)
        if rate is not None and rate != own:
            chunks = resampled(chunks, own, rate)
        parts, size = [], 0
        for chunk in chunks:
            parts.append(chunk)
            size += chunk.nbytes
            if size > MAX_BYTES:
                raise TooLarge(f"the sound of {path} is too long", "over 2 GB of samples", "cut it into parts")
    if not size:
        raise NoSound(f"{path} has no sound that can be decoded", "an empty sound track", "record or download it again")
    return Sound(np.clip(np.concatenate(parts), -1, 1), rate or own)


def write_sound(path: AnyPath, sound: Sound, *, overwrite: bool = False, warn: Warn = say) -> Path:
    """Write as WAV (16 bits), FLAC, MP3, M4A (AAC), OGG or OPUS, by the name's ending.

    Errors: `BadOption` for another ending, `NoSound` without a sample, `Exists` unless `overwrite`, `Unwritable`; then
    nothing bears the name."""
    path = Path(path)
    if path.suffix.lower() not in _KINDS:
        remedy = f"end it in one of {', '.join(_KINDS)}"
        raise BadOption(f"{path} cannot be written as sound", f"the ending {path.suffix!r}", remedy)
    if not len(sound.samples):
        raise NoSound(f"{path} has not been written", "a sound without samples", "give one that lasts")
    refuse_existing(path, overwrite)
    kind, codec = _KINDS[path.suffix.lower()]
    with landing(path, overwrite) as temporary, av.open(str(temporary), "w", format=kind) as container:
        rate, channels = codec_rate(codec, sound.rate), codec_channels(codec, sound.channels)
        if (rate, channels) != (sound.rate, sound.channels):
            told = f"{sound.rate} Hz and {sound.channels} channels as {rate} Hz and {channels}"
            warn(f"{path} is written with {told}: that is what this kind of file can hold")
        stream = container.add_stream(codec, rate=rate, layout=layout(channels))
        assert isinstance(stream, AudioStream)
        for frame in frames_of(blocks(sound.samples, sound.rate), sound.rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def open_sound(path: Path) -> InputContainer:
    """Open a film or sound file. Errors: `NoSound` for a picture, `UnreadableMedia`."""
    if opener(beginning(path)) is not None:
        raise NoSound(f"{path} has no sound", "a picture", _SOUNDING)
    return open_media(path)


def sound_stream(container: InputContainer, path: Path) -> AudioStream:
    """The stream of sound that a player would play. Errors: `NoSound`, `UnreadableMedia`."""
    tracks = [stream for stream in container.streams.audio if decodable(stream)]
    if not tracks:
        raise NoSound(f"{path} has no sound", "pictures only", _SOUNDING)
    track = max(tracks, key=lambda track: bool(track.disposition & Disposition.default))
    if not (_RATES[0] <= track.rate <= _RATES[1] and track.layout.nb_channels):
        seen = f"{track.rate} samples a second in {track.layout.nb_channels} channels"
        raise UnreadableMedia(f"the sound of {path} is damaged", seen, "record or download it again")
    return track


def beginning_of(container: InputContainer, stream: AudioStream) -> Fraction:
    """When sound begins, on the file's clock: with the first frame, or without a picture with itself."""
    for film in container.streams.video:
        if film.start_time is not None and not film.disposition & Disposition.attached_pic:
            return film.start_time * ticks(film.time_base)
    return (stream.start_time or 0) * ticks(stream.time_base)


def placed(container: InputContainer, stream: AudioStream, warn: Warn, path: Path) -> Iterator[Samples]:
    """Decoded samples from the beginning on, without gaps: where the file has none there is silence, and what the file
    gives twice is given once. What cannot be decoded is a gap, and said."""
    rate, zero, done = stream.rate, beginning_of(container, stream), 0
    damaged = 0
    convert = _converter(stream.layout.name, stream.layout.nb_channels, rate)  # a damaged stream changes them midway
    for frame in _decoded(container, stream):
        if frame is None:
            damaged += 1
            continue
        try:
            samples = convert(frame)
        except av.error.FFmpegError as error:
            seen = f"{stream.layout.nb_channels} channels as {stream.layout.name!r}"
            raise UnreadableMedia(
                f"the sound of {path} cannot be converted", seen, "convert it to stereo first"
            ) from error
        tick = fraction(frame.time_base)
        due = done if frame.pts is None or tick is None else round((frame.pts * tick - zero) * rate)
        if done == 0 or abs(due - done) > _JUMP * rate:
            yield from silence(due - done, samples.shape[1], rate)
            samples = samples[max(0, done - due) :]
            done = max(done, due)
        done += len(samples)
        yield samples
    if damaged:
        warn(f"the sound of {path} is damaged: {damaged} of its packets could not be decoded and are silent")


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame | None]:
    """Frames of sound; none in the place of a packet that cannot be decoded. A file that breaks off ends there."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            yield None
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            yield None


def _converter(layout: str, channels: int, rate: int) -> Callable[[AudioFrame], Samples]:
    """Frames of sound, of whatever kind each of them is, to samples of one rate with the same channels."""
    last: tuple[str, str, int] | None = None
    resampler: AudioResampler | None = None

    def convert(frame: AudioFrame) -> Samples:
        nonlocal last, resampler
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != last:
            resampler = AudioResampler("flt", layout, rate)
            last = kind
        assert resampler is not None
        return _samples(resampler.resample(frame), channels)

    return convert


def _samples(frames: Iterable[AudioFrame], channels: int) -> Samples:
    """Frames of interleaved samples as `(n, channels)`."""
    parts = [np.asarray(frame.to_ndarray(), np.float32).reshape(-1, channels) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros((0, channels), np.float32)


def resampled(chunks: Iterable[Samples], rate: int, new: int) -> Iterator[Samples]:
    """The same sound at another rate, chunk by chunk (libswresample: aligned, low-pass filtered)."""
    resampler: AudioResampler | None = None
    channels = 1
    for frame in frames_of(chunks, rate):
        if resampler is None:
            channels = frame.layout.nb_channels
            resampler = AudioResampler("flt", frame.layout.name, new)
        yield _samples(resampler.resample(frame), channels)
    if resampler is not None:
        yield _samples(resampler.resample(None), channels)


def frames_of(chunks: Iterable[Samples], rate: int) -> Iterator[AudioFrame]:
    """Chunks of samples as frames with their places in time."""
    done = 0
    for chunk in chunks:
        if not len(chunk):
            continue
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(chunk).reshape(1, -1), "flt", layout(chunk.shape[1]))
        frame.sample_rate, frame.pts, frame.time_base = rate, done, Fraction(1, rate)
        done += len(chunk)
        yield frame


def blocks(samples: Samples, rate: int) -> Iterator[Samples]:
    """Samples by the second."""
    for start in range(0, len(samples), rate):
        yield samples[start : start + rate]


def silence(count: int, channels: int, rate: int) -> Iterator[Samples]:
    """So many samples of silence, by the second: a damaged file may ask for a year of it."""
    while count > 0:
        yield np.zeros((min(count, rate), channels), np.float32)
        count -= rate


def _mono(samples: Samples) -> Samples:
    return np.asarray(samples.mean(axis=1, keepdims=True, dtype=np.float32))


def layout(channels: int) -> str:
    """FFmpeg's name of the usual arrangement of so many channels."""
    usual = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return usual.get(channels, f"{channels} channels")


def codec_rate(codec: str, rate: int) -> int:
    """The rate that an encoder takes nearest to one wanted, rather higher than lower."""
    rates = av.Codec(codec, "w").audio_rates or [rate]
    return min((known for known in rates if known >= rate), default=max(rates))


def codec_channels(codec: str, channels: int) -> int:
    """How many of so many channels an encoder takes: all up to 8, of MP3 two."""
    return min(channels, 2 if codec == "libmp3lame" else 8)
