"""Opening whatever a person names: a film, an animation, a still picture; and the words that it carries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, PngImagePlugin

from understudy.clip.clip import STILL_RATE, Clip
from understudy.clip.colour import ToPicture, is_hdr, over
from understudy.clip.decode import Damage, Rhythm, decoded, picture_stream, progressive, rhythm, rhythm_of, times_of
from understudy.clip.media import (
    MAX_PIXELS,
    WHITE,
    AnyPath,
    Timed,
    Warn,
    beginning,
    decodable,
    existing,
    fraction,
    once,
    open_media,
    say,
    ticks,
)
from understudy.clip.metadata import DESCRIPTION, described, gif_comment, words_in
from understudy.clip.still import opened, opener, read_picture, refuse_large
from understudy.clip.upright import Turn, Upright
from understudy.errors import NoPicture, UnreadableMedia


def read(
    path: AnyPath,
    *,
    max_pixels: float = MAX_PIXELS,
    background: tuple[int, int, int] = WHITE,
    warn: Warn = say,
) -> Clip:
    """A film, an animated GIF, WebP or PNG, or a still picture (one frame) as a `Clip`.

    One frame is decoded here, so that what cannot be read fails now. What is transparent shows `background`; what is
    not an error but should be known goes to `warn`, here and while the clip is watched.
    Errors: `MissingFile`, `UnreadableMedia`, `NoPicture` (sound only, or no frames), `TooLarge` (before decoding)."""
    path, warn = existing(path), once(warn)
    if opener(beginning(path)) is None:
        return _film(path, max_pixels, background, warn)
    with opened(path, max_pixels) as picture:
        size, kind, moves = picture.size, picture.format, _moves(picture)
    if moves and kind == "WEBP":
        return _webp(path, size, background)
    if moves and kind in ("GIF", "PNG"):
        return _film(path, max_pixels, background, warn)
    return _still(path, max_pixels, background, warn)


def read_metadata(path: AnyPath) -> dict[str, str]:
    """The words in a film, sound or picture: as they were given to the writer, and other programs' in lower case.

    Errors: `MissingFile`, `UnreadableMedia`, `TooLarge`."""
    path = existing(path)
    start = beginning(path)
    if start.startswith(b"GIF8"):
        return gif_comment(path)
    if opener(start) is None:
        with open_media(path) as container:
            return words_in(container.metadata)
    with opened(path) as picture:  # a PNG has words after its pixels, so they are decoded
        if isinstance(picture, PngImagePlugin.PngImageFile):
            return words_in({key: str(value) for key, value in picture.text.items()})
        return described(str(picture.getexif().get(DESCRIPTION, "")))


def _moves(picture: Image.Image) -> bool:
    return bool(getattr(picture, "is_animated", False))


def _still(path: Path, max_pixels: float, background: tuple[int, int, int], warn: Warn) -> Clip:
    height, width = read_picture(path, max_pixels=max_pixels, background=background, warn=warn).shape[:2]

    def frames() -> Iterator[Timed]:
        yield Fraction(0), read_picture(path, max_pixels=max_pixels, background=background, warn=warn)

    return Clip(
        fps=STILL_RATE,
        size=(width, height),
        frames=1,
        seconds=float(1 / STILL_RATE),
        still=True,
        path=path,
        opened=frames,
    )


def _webp(path: Path, size: tuple[int, int], background: tuple[int, int, int]) -> Clip:
    """An animated WebP, by Pillow: FFmpeg before version 9 cannot."""
    lengths = webp_lengths(path.read_bytes())
    starts = np.cumsum([0, *lengths])
    pace = rhythm(starts.tolist(), Fraction(1, 1000), [])

    def frames() -> Iterator[Timed]:
        with opened(path) as picture:
            for count, start in enumerate(starts[:-1].tolist()):
                picture.seek(count)
                rgba = np.asarray(picture.convert("RGBA"))
                yield Fraction(start, 1000), over(rgba, background)

    return Clip(
        fps=pace.fps,
        size=size,
        frames=len(lengths),
        seconds=sum(lengths) / 1000,
        variable=pace.variable,
        path=path,
        opened=frames,
    )


def webp_lengths(data: bytes) -> list[int]:
    """How long each frame of an animated WebP is shown, in milliseconds: the third field of its ANMF chunks.

    Ten or less is a tenth of a second, as in every browser."""
    lengths, at = [], 12
    while at + 8 <= len(data):
        if data[at : at + 4] == b"ANMF":
            shown = int.from_bytes(data[at + 20 : at + 23], "little")
            lengths.append(shown if shown > 10 else 100)
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return lengths


@dataclass(frozen=True)
class _Film:
    """What is known of a film file once its first frame has been seen."""

    path: Path
    rhythm: Rhythm
    upright: Upright
    background: tuple[int, int, int]
    promised: Fraction | None  # seconds
    warn: Warn

    def frames(self) -> Iterator[Timed]:
        damage, pictures = Damage(), ToPicture(self.background)
        end = Fraction(0)
        with open_media(self.path) as container:
            stream = picture_stream(container, self.path)
            frames = progressive(decoded(container, stream, damage))
            for time, frame in times_of(frames, self.rhythm, _limit(self.promised)):
                end = time + 1 / self.rhythm.fps
                try:
                    picture = pictures(frame)
                except av.error.FFmpegError:
                    damage.packets += 1
                    continue
                if (frame.width, frame.height) != self.upright.coded:
                    self.warn(f"{self.path} changes its picture size on the way; all of it is fitted to the first")
                yield time, self.upright(picture)
        self._tell(damage, end)

    def _tell(self, damage: Damage, end: Fraction) -> None:
        """Say what was missing at the end."""
        missing = (self.promised or 0) - end
        if damage.broken_off or missing > max(Fraction(1, 2), 3 / self.rhythm.fps):
            promise = f" of the {float(self.promised):.1f} s that it promises" if self.promised else ""
            self.warn(f"{self.path} breaks off: its picture could be read for {float(end):.1f} s{promise}")
        if damage.packets:
            self.warn(f"{self.path} is damaged: frames passed over that could not be decoded: {damage.packets}")


def _film(path: Path, max_pixels: float, background: tuple[int, int, int], warn: Warn) -> Clip:
    """A film file, by FFmpeg."""
    with open_media(path) as container:
        stream = picture_stream(container, path)
        refuse_large(path, (stream.width, stream.height), max_pixels)
        first = _first_frame(container, stream, path)
        upright = _upright(first, fraction(stream.sample_aspect_ratio), path, warn)
        refuse_large(path, upright.size, max_pixels)
        promised = _promised(container, stream)
        count = stream.frames
        sounds = any(decodable(audio) for audio in container.streams.audio)
    pace = rhythm_of(path, _limit(promised))
    if not count and promised:
        count = max(1, round(promised * pace.fps))
    if is_hdr(first):
        warn(f"{path} is a film of high dynamic range; its colours are brought to the standard range")
    if first.interlaced_frame:
        warn(f"{path} is interlaced; the two halves of each frame are joined")
    film = _Film(path, pace, upright, background, promised, warn)
    return Clip(
        fps=pace.fps,
        size=upright.size,
        frames=count or None,
        seconds=float(promised) if promised else None,
        has_sound=sounds,
        variable=pace.variable,
        path=path,
        opened=film.frames,
    )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    """Errors: `NoPicture` where there is none, `UnreadableMedia` where there are some and none can be decoded."""
    damage = Damage()
    frame = next(decoded(container, stream, damage), None)
    if frame is not None:
        try:
            ToPicture(WHITE)(frame)
        except av.error.FFmpegError as error:
            seen = f"pictures of the kind {frame.format.name}, with the colours {frame.colorspace}"
            raise UnreadableMedia(f"{path} cannot be shown", seen, "convert it to an ordinary MP4") from error
        return frame
    if damage.packets or damage.broken_off or _promised(container, stream):
        seen = damage.broken_off or "a good beginning, and frames that are damaged or missing"
        raise UnreadableMedia(f"no frame of {path} can be decoded", seen, "record or download it again")
    raise NoPicture(f"{path} has no frames", "a film of no length", "record or download it again")


def _upright(frame: VideoFrame, aspect: Fraction | None, path: Path, warn: Warn) -> Upright:
    """How the film lies in its file, by its first frame."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload,unused-ignore]
    turn = Turn.of_matrix(bytes(matrix)) if matrix is not None else Turn()
    aspect = aspect or Fraction(1)
    if not Fraction(1, 4) <= aspect <= 4:
        warn(f"{path} says that its pixels are {float(aspect):.3g} times as wide as high, which is not believed")
        aspect = Fraction(1)
    return Upright((frame.width, frame.height), aspect, turn)


def _promised(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """How long the picture lasts by what the file says, in seconds."""
    if container.format.name == "avi" and stream.frames:  # FFmpeg guesses the length anew when the file is cut short
        return stream.frames / (fraction(stream.average_rate) or STILL_RATE)
    if stream.duration and stream.duration > 0:
        return stream.duration * ticks(stream.time_base)
    if not container.duration or container.duration <= 0:
        return None
    whole = Fraction(container.duration, av.time_base)
    if container.format.name.startswith("matroska") and stream.start_time:  # its duration counts from the clock's zero
        whole -= stream.start_time * ticks(stream.time_base)
    return whole if whole > 0 else None


def _limit(promised: Fraction | None) -> Fraction | None:
    """The time after which no frame can be, in seconds; what is later is a damaged timestamp."""
    return promised and promised * 2 + 10
