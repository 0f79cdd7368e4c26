"""The sound of a film that is being written: another film's or a voice's, beginning with its first frame.

Packets are copied where the new file can hold them: nothing is lost, and it costs no time. Else it is encoded anew.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol, TypeAlias

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from understudy.clip.coding import Coding
from understudy.clip.media import AnyPath, Warn, existing, ticks
from understudy.clip.sound import (
    Samples,
    Sound,
    beginning_of,
    blocks,
    codec_channels,
    codec_rate,
    frames_of,
    layout,
    open_sound,
    placed,
    resampled,
    sound_stream,
)
from understudy.errors import NoSound, UnreadableMedia

SoundFrom: TypeAlias = AnyPath | Sound
TimedPacket: TypeAlias = "tuple[Fraction, Packet[AudioStream]]"
"""Seconds since the first frame of the picture, and the packet with its stamps on the same clock."""

_BITS = {"aac": 96_000, "libopus": 64_000, "libmp3lame": 96_000}  # a second, for each channel
_NAMES = {"aac": "AAC", "libopus": "Opus", "libmp3lame": "MP3", "flac": "FLAC", "pcm_s16le": "PCM"}
_EDITED = ("mp4", "mov")  # containers that can say: play from here on, with an edit list
_DELAYED = ("matroska", "webm")  # and those that can say how many samples an encoder puts first


class Track(Protocol):
    """A sound track on its way into a file. The source is open as long as it is used."""

    def declare(self, out: OutputContainer) -> AudioStream: ...

    def packets(self, until: Fraction | None) -> Iterator[TimedPacket]: ...


@dataclass(frozen=True)
class Soundtrack:
    """Where the sound comes from, and what it is encoded with; none: it is copied."""

    source: Path | Sound
    codec: str | None
    warn: Warn

    @contextlib.contextmanager
    def opened(self) -> Iterator[Track]:
        """The sound from its beginning. It is opened twice: for the film that grows, and for the whole one."""
        if isinstance(self.source, Sound):
            sound = self.source
            chunks = partial(blocks, sound.samples, sound.rate)
            yield _Encoded(chunks, sound.rate, sound.channels, self.codec or "aac")
            return
        with open_sound(self.source) as container:
            stream = sound_stream(container, self.source)
            zero = beginning_of(container, stream)
            if self.codec is None:
                yield _Copied(stream, zero)
            else:
                path = self.source
                chunks = partial(placed, container, stream, self.warn, path)
                yield _Encoded(chunks, stream.rate, stream.channels, self.codec)


def soundtrack(source: SoundFrom | None, coding: Coding, warn: Warn) -> Soundtrack | None:
    """How this sound goes into that kind of file; none where the source is silent or the file can have no sound.

    Errors: `MissingFile`, `UnreadableMedia`."""
    if source is None:
        return None
    if isinstance(source, Sound):
        found: Path | Sound = source
        own, fits, name = "", False, "the sound"
    else:
        found = existing(source)
        name = f"the sound of {found}"
        try:
            own, fits = _codec_in(found, coding.container)
        except NoSound:
            return None
    if coding.voice is None:
        warn(f"{name} is left out: a {coding.container.upper()} has none")
        return None
    if fits and own in coding.sounds:
        return Soundtrack(found, None, warn)
    if own:
        warn(f"{name} is encoded anew, as {_NAMES[coding.voice]}: this kind of file cannot hold its {own}")
    chosen = Soundtrack(found, coding.voice, warn)
    try:
        with chosen.opened() as track:
            next(track.packets(None), None)  # what cannot be encoded fails now, not when the film is drawn
    except av.error.FFmpegError as error:
        raise UnreadableMedia(f"{name} cannot be encoded", str(error), "convert it to stereo first") from error
    return chosen


def _codec_in(path: Path, container: str) -> tuple[str, bool]:
    """The codec of a file's sound, and whether its packets could be copied: a few of them are, into memory."""
    with open_sound(path) as source:
        stream = sound_stream(source, path)
        codec = stream.codec_context.codec.canonical_name
        if (
            codec == "aac" and not stream.codec_context.extradata
        ):  # ADTS, as in .aac and .ts: it would have to be taken apart
            return codec, False
        try:
            with av.open(io.BytesIO(), "w", format=container) as target:
                track = _Copied(stream, beginning_of(source, stream))
                voice = track.declare(target)
                for _, packet in islice(track.packets(None), 3):
                    packet.stream = voice
                    target.mux(packet)
        except (av.error.FFmpegError, ValueError):  # PyAV's ValueError: the container knows no such codec
            return codec, False
    return codec, True


def _heard(packets: Iterable[Packet[AudioStream]], hidden: Fraction | None) -> Iterator[TimedPacket]:
    """Packets with their times, without those that come before the picture.

    Sound begins with a packet that is there only to make the next one sound right. It comes along where the file can
    say that it is not to be heard, for `hidden` seconds (none: for a whole packet); other files would begin earlier,
    picture and all, for its sake."""
    for packet in packets:
        if packet.pts is None or packet.dts is None:
            continue
        tick = ticks(packet.time_base)
        start, length = packet.pts * tick, (packet.duration or 0) * tick
        if start >= -max(length / 2, length if hidden is None else hidden + tick):
            yield start, packet


class _Copied:
    """Packets as they are, on the clock of the picture."""

    def __init__(self, stream: AudioStream, zero: Fraction) -> None:
        self._stream, self._zero = stream, zero
        self._hidden: Fraction | None = Fraction(0)

    def declare(self, out: OutputContainer) -> AudioStream:
        if out.format.name in _EDITED:
            self._hidden = None
        elif out.format.name in _DELAYED:  # the delay goes into the file's header; before PyAV 19 it is not known
            self._hidden = Fraction(getattr(self._stream.codec_context, "initial_padding", 0), self._stream.rate)
        return out.add_stream_from_template(self._stream, opaque=True)

    def packets(self, until: Fraction | None) -> Iterator[TimedPacket]:
        for start, packet in _heard(self._shifted(), self._hidden):
            if until is not None and packet.duration:
                tick = ticks(packet.time_base)
                if start + packet.duration * tick / 2 >= until:
                    return
                packet.duration = min(packet.duration, max(1, round((until - start) / tick)))
            yield start, packet

    def _shifted(self) -> Iterator[Packet[AudioStream]]:
        shift, last = round(self._zero / ticks(self._stream.time_base)), None
        for packet in _readable(self._stream):
            if packet.pts is None or packet.dts is None or (last is not None and packet.dts <= last):
                continue  # the end, or damage: no container takes packets that go back
            last = packet.dts
            packet.pts -= shift
            packet.dts -= shift
            yield packet


def _readable(stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Packets up to where the file breaks off."""
    container = stream.container
    assert isinstance(container, av.container.InputContainer)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            return
        if packet is None:
            return
        yield packet


class _Encoded:
    """Samples through an encoder. `chunks` gives the samples from the first frame of the picture on."""

    def __init__(self, chunks: Callable[[], Iterable[Samples]], rate: int, channels: int, codec: str) -> None:
        self._chunks, self._own_rate = chunks, rate
        self._codec = codec
        self._rate = codec_rate(codec, rate)
        self._channels = codec_channels(codec, channels)
        self._hidden: Fraction | None = Fraction(0)

    def declare(self, out: OutputContainer) -> AudioStream:
        if out.format.name in _EDITED + _DELAYED:
            self._hidden = None
        # The stream's own encoder stays unused: it gives the file its header, the same that ours would give.
        stream = out.add_stream(self._codec, rate=self._rate, layout=layout(self._channels))
        assert isinstance(stream, AudioStream)
        if self._codec in _BITS:
            stream.bit_rate = _BITS[self._codec] * self._channels
        return stream

    def packets(self, until: Fraction | None) -> Iterator[TimedPacket]:
        return _heard(self._encoded(until), self._hidden)

    def _encoded(self, until: Fraction | None) -> Iterator[Packet[AudioStream]]:
        encoder = self._encoder()
        chunks = self._chunks()
        if self._own_rate != self._rate:
            chunks = resampled(chunks, self._own_rate, self._rate)
        if until is not None:
            chunks = cut(chunks, round(until * self._rate))
        for frame in chain(frames_of(chunks, self._rate), (None,)):
            yield from encoder.encode(frame)

    def _encoder(self) -> AudioCodecContext:
        encoder = av.CodecContext.create(self._codec, "w")
        assert isinstance(encoder, AudioCodecContext)
        formats = encoder.codec.audio_formats
        assert formats
        encoder.rate, encoder.layout, encoder.format = self._rate, layout(self._channels), formats[0]
        encoder.time_base = Fraction(1, self._rate)
        if self._codec in _BITS:
            encoder.bit_rate = _BITS[self._codec] * self._channels
        return encoder


def cut(chunks: Iterable[Samples], count: int) -> Iterator[Samples]:
    """The first `count` samples."""
    for chunk in chunks:
        yield chunk[:count]
        count -= len(chunk)
        if count <= 0:
            return
