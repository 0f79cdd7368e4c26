"""What every reader and writer here shares: what a picture is, how a warning travels, how a file is opened with care.

Files come from strangers. FFmpeg would happily follow a playlist that calls itself `.mp4` to other files and to the
network, so only plain media formats and only local files are allowed.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Stream

from understudy.errors import MissingFile, UnreadableMedia

Picture: TypeAlias = npt.NDArray[np.uint8]
"""`(h, w, 3) uint8`, sRGB, row 0 at the top."""

Timed: TypeAlias = tuple[Fraction, Picture]
"""Seconds since the first frame, exactly, and the frame."""

AnyPath: TypeAlias = str | os.PathLike[str]

Warn: TypeAlias = Callable[[str], None]
"""Where that is said which is not an error and yet should be known: one sentence, without a final full stop."""

MAX_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded: 64 million are 192 MB."""

WHITE = (255, 255, 255)

_FORMATS = (
    "mov,matroska,avi,gif,apng,mpegts,mpeg,mpegvideo,flv,asf,ogg,ivf,h264,hevc,obu,dv,mxf,nut,yuv4mpegpipe,rm,"
    "wav,w64,aiff,au,caf,mp3,aac,flac,ac3,eac3,amr,ape,wv,tta,truehd,dts"
)
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
# PyAV 19 always forgives tags that are not UTF-8; older ones have to be asked.
UNTAGGED: dict[str, Any] = {} if int(av.__version__.split(".")[0]) >= 19 else {"metadata_errors": "replace"}
SAFE = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
"""FFmpeg's options by which it follows no file to another, and to no network."""


class MediaWarning(UserWarning):
    """Something about a medium that did not stop the work."""


class Rational(Protocol):
    """A fraction, whichever class PyAV of the day uses for it."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def say(text: str) -> None:
    """The warning channel of those who named no other: Python's own warnings."""
    warnings.warn(text, MediaWarning, stacklevel=3)


def once(warn: Warn) -> Warn:
    """The same channel, on which no sentence is said twice: a clip may be watched many times."""
    said: set[str] = set()

    def first(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return first


def fraction(value: Rational | None) -> Fraction | None:
    """A fraction of PyAV's as Python's own; none for its 0, 0/0 and 1/0, which all mean 'not known'."""
    if value is None or not value.numerator or not value.denominator:
        return None
    return Fraction(value.numerator, value.denominator)


def ticks(value: Rational | None) -> Fraction:
    """The length of one tick of a stream's clock, in seconds."""
    return fraction(value) or Fraction(1, av.time_base)


def decodable(stream: Stream) -> bool:
    """Whether there is a decoder for a stream at all."""
    return getattr(stream, "codec_context", None) is not None


def existing(path: AnyPath) -> Path:
    """The path, if it leads to a file with something in it.

    Errors: `MissingFile`; `UnreadableMedia` for a folder, a device, an empty file, or one that may not be read."""
    path = Path(path)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"{path} does not exist", remedy="check the spelling, and the folder it is in") from None
    except (OSError, ValueError) as error:  # no permission on the folder; a name that no file can have
        raise UnreadableMedia(f"{path} cannot be looked at", str(error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableMedia(f"{path} is a folder", remedy="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableMedia(f"{path} is not a regular file", remedy="save it to a file first")
    if not status.st_size:
        raise UnreadableMedia(f"{path} is empty", "0 bytes", "copy or download it again")
    return path


def beginning(path: Path, length: int = 64) -> bytes:
    """The first bytes of a file, by which its kind is known. Errors: `UnreadableMedia` when it may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(length)
    except OSError as error:
        seen = error.strerror or str(error)
        raise UnreadableMedia(f"{path} cannot be read", seen, "check its permissions") from error


def open_media(path: Path) -> InputContainer:
    """Open a film or sound file of a plain format, reading nothing but that file. Errors: `UnreadableMedia`."""
    start = beginning(path)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        raise UnreadableMedia(
            f"{path} is a HEIC picture", "Apple's picture format", "save it as JPEG or PNG, which every program can do"
        )
    try:
        # "file:" because FFmpeg takes what stands before a colon in a name for a protocol.
        container: InputContainer = av.open(f"file:{path}", "r", options=SAFE, **UNTAGGED)
        return container
    except (av.error.FFmpegError, OSError) as error:
        seen, remedy = _why(path, start)
        raise UnreadableMedia(f"{path} cannot be read as a film or sound", seen, remedy) from error


def _why(path: Path, start: bytes) -> tuple[str, str]:
    """What such a file looks like, and what may help."""
    size = path.stat().st_size
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return f"{size} bytes of MP4 without a usable index", "record or download it again: it was cut short"
    if start[:4] in (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"fLaC"):
        return f"{size} bytes with a good beginning and a damaged rest", "copy or download it again"
    text = start.decode("utf-8", "replace")
    if text.isprintable() or not any(byte < 9 for byte in start):
        first = next(iter(text.splitlines()), "")
        return f"text that begins {first[:40]!r}", "give a film, a picture or a sound file"
    return f"a file that begins with the bytes {start[:8].hex(' ')}", "convert it to MP4, PNG or WAV"
