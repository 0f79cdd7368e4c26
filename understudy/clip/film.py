"""Writing a film, frame by frame, for as long as it takes.

It grows as `OUT.partial.mp4` and becomes `OUT` when it is whole. Encoding has a thread of its own: the next frame is
drawn while the last one is encoded, and a short queue between them keeps memory flat.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import cv2
import numpy as np
from av.video.frame import VideoFrame

from understudy.clip.clip import Clip, frame_rate
from understudy.clip.coding import coding_of, growing
from understudy.clip.colour import FromPicture
from understudy.clip.finish import finish
from understudy.clip.landing import beside, landing, refuse_existing, unwritable
from understudy.clip.media import AnyPath, Picture, Warn, once, say
from understudy.clip.metadata import tags_of
from understudy.clip.partial import Clock, Partial, Segment, SoundSoFar
from understudy.clip.read import read
from understudy.clip.sound import Sound
from understudy.clip.soundtrack import SoundFrom, soundtrack
from understudy.errors import BadOption, NoPicture

_SEGMENT = 2  # seconds of film in a segment: what a crash may cost
_LOSSLESS_SEGMENT = Fraction(1, 2)  # a segment is held in memory
_WAITING_BYTES = 48 << 20
_PATIENCE = 0.1  # seconds between looks at whether the encoder is still there


@dataclass(frozen=True)
class Written:
    """A film that is whole."""

    path: Path
    frames: int
    seconds: float
    size: tuple[int, int]  # width, height
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """How frames of one size are brought to one that is written: scaled down, or a pixel left out, or as they are."""

    given: tuple[int, int]  # width, height
    written: tuple[int, int]
    scaled: bool

    def __call__(self, frame: Picture) -> Picture:
        if self.scaled:
            return np.asarray(cv2.resize(frame, self.written, interpolation=cv2.INTER_AREA), np.uint8)
        return frame[: self.written[1], : self.written[0]]

    @staticmethod
    def of(given: tuple[int, int], max_size: int, even: bool, warn: Warn) -> Fit:
        """To at most `max_size` on the longer side, and to even sides where the codec wants them."""
        step = 2 if even else 1
        scale = Fraction(max_size, max(given))
        if scale < 1:
            width, height = (max(step, round(side * scale / step) * step) for side in given)
            warn(f"frames of {given[0]}x{given[1]} are written as {width}x{height}, for any player opens that")
            return Fit(given, (width, height), True)
        written = (given[0] // step * step, given[1] // step * step)
        if 0 in written:
            raise BadOption(f"frames of {given[0]}x{given[1]} are too small for a film", remedy="draw larger ones")
        if written != given:
            warn(f"frames of {given[0]}x{given[1]} become {written[0]}x{written[1]}: the codec wants even sizes")
        return Fit(given, written, False)


class Film:
    """A film that is being written.

        with Film("out.mp4", fps=clip.fps, sound="driving.mp4") as film:
            for time, frame in drawn:
                film.add(frame, time)
        film.written

    Left by an exception (Ctrl-C too), `OUT.partial.mp4` stays, playable, with its sound so far; so it does when the
    machine dies, up to the last two seconds. Begun again with `resume=True` and the same `fingerprint` (which names
    everything that the frames depend on), the film goes on: `done` frames are there, and the next one to add is frame
    number `done`. The whole film is then, bit by bit, the one that would have been written without the break."""

    def __init__(
        self,
        path: AnyPath,
        *,
        fps: Fraction | float,
        size: tuple[int, int] | None = None,
        sound: SoundFrom | None = None,
        metadata: Mapping[str, str] | None = None,
        max_size: int = 1920,
        quality: int = 16,
        lossless: bool = False,
        overwrite: bool = False,
        resume: bool = False,
        fingerprint: str = "",
        seal: Callable[[Path], None] | None = None,
        warn: Warn = say,
    ) -> None:
        """`size` is that of the frames (width, height), by default the first one's; `quality` 0 (best) to 51;
        `lossless` keeps every number of every frame (.mkv, .mp4, .mov). `sound` may be longer than the film: it is cut.
        `seal` is given the finished file before it takes its name, and may change it in place.

        Errors, all before any work: `BadOption`, `Exists` unless `overwrite`, `Unwritable`, and of the sound
        `MissingFile`, `UnreadableMedia`."""
        self.path = Path(path)
        self.warnings: list[str] = []
        self._warn = once(self._collect(warn))
        self._coding = coding_of(self.path, quality, lossless)
        self._clock = Clock.of(frame_rate(fps))
        if max_size < 16:
            raise BadOption(f"a film of at most {max_size} pixels cannot be seen", remedy="1920 is usual")
        self._max_size, self._overwrite, self._metadata, self._seal = max_size, overwrite, dict(metadata or {}), seal
        self._fit: Fit | None = Fit.of(size, max_size, self._coding.even, self._warn) if size else None
        refuse_existing(self.path, overwrite)
        self._sound = soundtrack(sound, self._coding, self._warn)
        self._preview = soundtrack(sound, growing(self._coding), _silently) if self._sound else None
        settings = {
            "fingerprint": fingerprint,
            "fps": str(self._clock.fps),
            "max_size": str(max_size),
            "encoder": f"av {av.__version__}",
            **self._coding.words,
        }
        self._partial = Partial(self.path, settings, resume, self._warn)
        self.done = self._partial.safe.frames
        self.frames = self.done
        self.written: Written | None = None
        self._last = self._partial.safe.last if self.done else -self._clock.step  # in ticks
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._whole = True  # whether the last segment is kept
        length = _LOSSLESS_SEGMENT if lossless or self._coding.lossless else _SEGMENT
        self._segment_frames = max(1, round(self._clock.fps * length))

    @property
    def fps(self) -> Fraction:
        return self._clock.fps

    @property
    def seconds(self) -> Fraction:
        """How long the film is so far."""
        return (self._last + self._clock.step) * self._clock.tick

    def add(self, frame: Picture, time: Fraction | float | None = None) -> None:
        """Add a frame `(h, w, 3) uint8`, copied at once. `time` is in seconds from the film's beginning; without it
        the frame follows the last one at the film's rate.

        Errors of the encoder and of the disk come up here, or in `close`: `Unwritable`."""
        self._raise()
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"a frame is (h, w, 3) uint8; this is {frame.shape} {frame.dtype}")
        size = (frame.shape[1], frame.shape[0])
        if self._fit is None:
            self._fit = Fit.of(size, self._max_size, self._coding.even, self._warn)
        if self.done and self._fit.written != self._partial.safe.size:
            raise ValueError(f"this film was begun with {self._partial.safe.size} and goes on with {self._fit.written}")
        if size != self._fit.given:
            raise ValueError(f"frames of this film are {self._fit.given} (width, height); this one is {size}")
        coded = VideoFrame.from_ndarray(np.ascontiguousarray(self._fit(frame)), "rgb24")
        coded.pts = self._last = self._stamp(time)
        self.frames += 1
        self._put(coded)

    def tell(self, metadata: Mapping[str, str]) -> None:
        """What the file shall say besides, where that is known only at the end."""
        self._metadata |= metadata

    def close(self) -> Written:
        """Finish: encode the rest, and give the film its name. Errors: `NoPicture` without frames, `Exists` when
        something has come there meanwhile, `Unwritable`; what was encoded stays in `OUT.partial.mp4`."""
        if self.written:
            return self.written
        try:
            self._end(whole=True)
            if not self.frames:
                self._partial.discard()
                raise NoPicture(f"{self.path} has not been written", "no frames", "give a film with a picture")
            kept = f"all its frames are safe in {self._partial.film}"
            with landing(self.path, self._overwrite, beside(self.path, f".whole{self.path.suffix}"), kept) as out:
                finish(
                    self._partial.film, out, self._coding, self._clock, self.seconds, self._sound, self._metadata,
                    self._warn,
                )  # fmt: skip
                if self._seal:
                    self._seal(out)
        finally:
            self._partial.close()
        size = self._partial.safe.size
        assert size is not None  # frames have been kept
        self._partial.discard()
        self.written = Written(self.path, self.frames, float(self.seconds), size, tuple(self.warnings))
        return self.written

    def abandon(self) -> None:
        """Stop. What there is can be seen in `OUT.partial.mp4`, and gone on with; without a frame nothing is left."""
        try:
            self._end(whole=False)
        finally:
            if self.frames:
                self._partial.close()
            else:
                self._partial.discard()

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def _collect(self, warn: Warn) -> Warn:
        def both(text: str) -> None:
            self.warnings.append(text)
            warn(text)

        return both

    def _stamp(self, time: Fraction | float | None) -> int:
        """The time of the next frame in ticks."""
        if time is None:
            return self._last + self._clock.step
        stamp = round(Fraction(time) / self._clock.tick)
        if self._coding.container == "avi":
            count = max(round(stamp / self._clock.step), self._last // self._clock.step + 1)
            if abs(count * self._clock.step - stamp) > 1:
                self._warn("an AVI has no times, so its frames are put on the nearest places of a constant rate")
            return count * self._clock.step
        if stamp <= self._last:
            raise ValueError(f"time {float(time):.6f} s does not come after that of the frame before")
        return stamp

    def _put(self, item: VideoFrame | None) -> None:
        """Hand on to the thread, unless it has failed."""
        if self._thread is None:
            assert self._fit is not None
            width, height = self._fit.written
            self._queue: queue.Queue[VideoFrame | None] = queue.Queue(
                max(2, min(8, _WAITING_BYTES // (3 * width * height)))
            )
            self._thread = threading.Thread(target=self._encode, name=f"encoding {self.path.name}", daemon=True)
            self._thread.start()
        while self._thread.is_alive():
            try:
                self._queue.put(item, timeout=_PATIENCE)
                return
            except queue.Full:
                continue
        self._raise()

    def _end(self, whole: bool) -> None:
        """Let the thread finish what it has."""
        self._whole = whole
        if self._thread is not None:
            if self._thread.is_alive():
                self._put(None)
            self._thread.join()
        if whole:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _encode(self) -> None:
        """The thread."""
        try:
            with ExitStack() as stack:
                sound = SoundSoFar(stack.enter_context(self._preview.opened())) if self._preview else None
                self._encode_segments(sound)
        except (av.error.FFmpegError, OSError) as error:
            self._error = unwritable(self.path, error)
        except Exception as error:  # whatever it is, it is the caller's, whose thread is another
            self._error = error

    def _encode_segments(self, sound: SoundSoFar | None) -> None:
        assert self._fit is not None
        size = self._fit.written
        convert = FromPicture(self._coding.pixels, self._coding.matrix, self._coding.span)
        tags, frames = tags_of(self._metadata), self.done
        if sound and self.done:
            for _ in sound.until((self._partial.safe.last + self._clock.step) * self._clock.tick):
                pass  # heard already
        segment: Segment | None = None
        while (frame := self._queue.get()) is not None:
            segment = segment or Segment(self._coding, self._clock, size, tags, sound)
            segment.add(convert(frame))
            if segment.frames == self._segment_frames:
                frames += segment.frames
                self._partial.keep(segment.finish(), frames, segment.last, size)
                segment = None
        if segment and self._whole:
            self._partial.keep(segment.finish(), frames + segment.frames, segment.last, size)
        elif segment:
            self._partial.show(segment.finish())


def write(
    path: AnyPath,
    frames: Clip | Iterable[Picture] | Iterable[tuple[Fraction | float, Picture]],
    *,
    fps: Fraction | float | None = None,
    sound: SoundFrom | None = None,
    metadata: Mapping[str, str] | None = None,
    max_size: int = 1920,
    quality: int = 16,
    lossless: bool = False,
    overwrite: bool = False,
    warn: Warn = say,
) -> Written:
    """Write a stream of frames as a film: MP4, MOV, MKV, WebM, AVI or GIF, by the name's ending.

    `frames` are pictures, or pairs of seconds and picture, as a clip's `timed()` gives them; a `Clip` is written with
    its own times. Without `fps`, the rate is that of `frames` where they have one, else of the film that `sound` names.
    Options and errors are those of `Film`."""
    if fps is None:
        fps = _rate(frames, sound)
    with Film(
        path, fps=fps, sound=sound, metadata=metadata, max_size=max_size, quality=quality, lossless=lossless,
        overwrite=overwrite, warn=warn,
    ) as film:  # fmt: skip
        for item in frames.timed() if isinstance(frames, Clip) else frames:
            if isinstance(item, tuple):
                film.add(item[1], item[0])
            else:
                film.add(item)
    return film.close()


def _rate(frames: object, sound: SoundFrom | None) -> Fraction | float:
    """The rate of the frames, or of the film that gives the sound."""
    own = getattr(frames, "fps", None)
    if isinstance(own, Fraction | float | int):
        return own
    if sound is not None and not isinstance(sound, Sound):
        try:
            return read(sound, warn=_silently).fps
        except NoPicture:
            pass
    raise BadOption("the frame rate of the film is not known", remedy="give fps, or frames that have one, as clips do")


def _silently(text: str) -> None:
    """For a warning that is given elsewhere."""
