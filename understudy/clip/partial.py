"""The film that grows: `OUT.partial.mp4`, playable at any moment, and `OUT.partial.json`: how much of it is safe.

A film is encoded in segments of about two seconds, each by an encoder of its own, so that the bits of a segment depend
on nothing but its frames. Each becomes one fragment of a fragmented MP4, made in memory and then appended; the state
file follows when the disk has it. To go on after a crash is to cut the film after its last safe segment and to append.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.clip.coding import THREADS, Coding
from understudy.clip.colour import SCREEN
from understudy.clip.landing import beside, unwritable
from understudy.clip.media import Warn
from understudy.clip.soundtrack import TimedPacket, Track
from understudy.errors import Unwritable

if sys.platform != "win32":
    import fcntl

_VERSION = 1


@dataclass(frozen=True)
class Clock:
    """The clock of a film: its rate, its tick, and how many ticks a frame lasts at that rate."""

    fps: Fraction
    tick: Fraction
    step: int

    @staticmethod
    def of(fps: Fraction) -> Clock:
        """Ticks of a 90000th of a second or finer, of which a frame is a whole number."""
        finer = -(-90_000 // fps.numerator)
        return Clock(fps, 1 / Fraction(fps.numerator * finer), fps.denominator * finer)


class SoundSoFar:
    """The sound of the growing film, taken as far as its picture has come."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self._packets = track.packets(None)
        self._next: TimedPacket | None = next(self._packets, None)

    def until(self, time: Fraction) -> Iterator[Packet[Any]]:
        """The packets that begin before `time` and were not taken before."""
        while self._next is not None and self._next[0] < time:
            yield self._next[1]
            self._next = next(self._packets, None)


class Segment:
    """Some frames on their way to one fragment of MP4. They can be decoded without any other."""

    def __init__(
        self, coding: Coding, clock: Clock, size: tuple[int, int], tags: Mapping[str, str], sound: SoundSoFar | None
    ) -> None:
        self.frames, self.last = 0, 0  # how many, and the time of the last, in ticks
        self._clock, self._sound = clock, sound
        self._bytes = io.BytesIO()
        options = {
            "movflags": "+frag_custom+empty_moov+default_base_moof+frag_discont+skip_trailer+use_metadata_tags",
            "use_editlist": "0",
            "avoid_negative_ts": "disabled",
            "video_track_timescale": str(clock.tick.denominator),
        }
        self._container = av.open(self._bytes, "w", format="mp4", options=options)
        self._container.metadata.update(tags)
        self._video = _video(self._container, coding, clock, size)
        self._voice = sound.track.declare(self._container) if sound else None

    def add(self, frame: VideoFrame) -> None:
        """Encode one frame, converted to the coding's pixel format, whose `pts` is in ticks of the clock."""
        self.frames, self.last = self.frames + 1, frame.pts or 0
        frame.time_base = self._clock.tick
        self._mux(self._video.encode(frame))

    def finish(self) -> bytes:
        """The whole segment: the header of a fragmented MP4, and one fragment."""
        self._mux(self._video.encode(None))
        if self._sound and self._voice:
            for packet in self._sound.until((self.last + self._clock.step) * self._clock.tick):
                if packet.pts is not None and packet.pts >= 0:
                    packet.stream = self._voice
                    with contextlib.suppress(av.error.InvalidDataError, av.error.ArgumentError):  # told in the end
                        self._container.mux(packet)
        self._container.close()
        return self._bytes.getvalue()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._clock.step
            self._container.mux(packet)


def _video(container: av.container.OutputContainer, coding: Coding, clock: Clock, size: tuple[int, int]) -> VideoStream:
    stream = container.add_stream(coding.codec, rate=clock.fps, options=dict(coding.options))
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = coding.pixels
    stream.time_base = clock.tick
    encoder = stream.codec_context
    encoder.time_base = clock.tick
    encoder.thread_count, encoder.thread_type = THREADS, "FRAME"
    encoder.colorspace, encoder.color_range = coding.matrix, coding.span
    encoder.color_primaries = encoder.color_trc = SCREEN
    return stream


def header_length(segment: bytes) -> int:
    """How many bytes of a fragmented MP4 come before its first fragment."""
    at = 0
    while segment[at + 4 : at + 8] != b"moof":
        at += int.from_bytes(segment[at : at + 4], "big")
    return at


@dataclass(frozen=True)
class Safe:
    """How much of a growing film is on the disk for good."""

    frames: int = 0
    last: int = 0  # time of the last frame, in ticks
    bytes: int = 0
    size: tuple[int, int] | None = None  # of the written picture: width, height


class Partial:
    """The growing film and its state, on the disk. One run at a time."""

    def __init__(self, out: Path, settings: Mapping[str, str], resume: bool, warn: Warn) -> None:
        """`settings` are all that the frames and their coding depend on; only a film begun with the same is resumed.

        Errors: `Unwritable`, also while another run is writing the same film."""
        self.film, self.state = beside(out, ".mp4"), beside(out, ".json")
        self._settings = dict(settings)
        try:
            self.film.touch()
            self._file = self.film.open("r+b", buffering=0)  # a full disk must not leave anything to be written later
        except OSError as error:
            raise unwritable(out, error) from error
        self._lock(out)
        self.safe = self._found(warn) if resume else Safe()
        try:
            if not self.safe.frames:
                self.state.unlink(missing_ok=True)
            self._rewind()
        except OSError as error:
            raise unwritable(out, error) from error

    def keep(self, segment: bytes, frames: int, last: int, size: tuple[int, int]) -> None:
        """Append a segment for good; the film then has `frames` frames. Errors: `Unwritable`, and what was safe is."""
        try:
            self._append(segment)
            os.fsync(self._file.fileno())
            self.safe = Safe(frames, last, self._file.tell(), size)
            self._note()
        except OSError as error:
            self._undo()
            raise unwritable(self.film, error, f"the first {self.safe.frames} frames are safe there") from error

    def show(self, segment: bytes) -> None:
        """Append an unfinished segment, so that it can be seen; a resumed film makes it again."""
        try:
            self._append(segment)
        except OSError as error:
            self._undo()
            raise unwritable(self.film, error, f"the first {self.safe.frames} frames are safe there") from error

    def close(self) -> None:
        """Leave both files as they are."""
        with contextlib.suppress(OSError):  # a full disk refuses once more what it refused before
            self._file.close()

    def discard(self) -> None:
        """Remove both files."""
        self.close()
        self.film.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def _append(self, segment: bytes) -> None:
        rest = memoryview(segment)[header_length(segment) if self._file.tell() else 0 :]
        while rest:
            rest = rest[self._file.write(rest) :]

    def _rewind(self) -> None:
        self._file.seek(self.safe.bytes)
        self._file.truncate()

    def _undo(self) -> None:
        with contextlib.suppress(OSError):
            self._rewind()

    def _note(self) -> None:
        """Write the state file in one step."""
        state = {"version": _VERSION, "settings": self._settings, **asdict(self.safe)}
        fresh = self.state.with_name(f"{self.state.name}.new")
        fresh.write_text(json.dumps(state, indent=1), "utf-8")
        os.replace(fresh, self.state)

    def _found(self, warn: Warn) -> Safe:
        """What an earlier run left, if it can be gone on with; else nothing, and why is said."""
        try:
            state = json.loads(self.state.read_text("utf-8"))
            width, height = state["size"]
            safe = Safe(int(state["frames"]), int(state["last"]), int(state["bytes"]), (int(width), int(height)))
            settings = dict(state["settings"])
        except FileNotFoundError:
            return Safe()
        except (OSError, ValueError, LookupError, TypeError):
            warn(f"{self.state} is damaged, so the film is begun anew")
            return Safe()
        if state.get("version") != _VERSION or settings != self._settings:
            differing = sorted(key for key in self._settings if settings.get(key) != self._settings[key])
            warn(f"{self.film} was begun with other settings ({', '.join(differing)}), so the film is begun anew")
            return Safe()
        if self.film.stat().st_size < safe.bytes:
            warn(f"{self.film} is shorter than {self.state.name} says, so the film is begun anew")
            return Safe()
        return safe

    def _lock(self, out: Path) -> None:
        """Held by this process until it closes the film or dies."""
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Unwritable(
                f"{out} is being written by another run", f"{self.film} is in use", "wait for it, or name another file"
            ) from None
        except OSError:  # a disk without locks, on a network
            return
