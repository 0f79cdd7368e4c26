"""Sound that is still coming, from a pipe: a thread writes it to a file, and whoever reads waits for what is not there
yet. When it has ended, it is a file like any other."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

import av
import av.error
from av.container import InputContainer

from understudy.clip.media import SAFE, UNTAGGED, beginning
from understudy.errors import NoSound

_AT_ONCE: Final = 1 << 16  # bytes
_SIMPLE: Final = (b"RIFF", b"RF64", b"RIFX", b"FORM", b".snd", b"fLaC")
_SOON: Final = {"probesize": "8192", "analyzeduration": "100000"}
"""Sounds that say at once what they are: FFmpeg need not hear seconds of them before."""
_BUFFER: Final = 4096  # bytes
_MP4: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class Pipe(Protocol):
    """What bytes come out of, as many as are there; none when it has ended."""

    def read1(self, size: int = ..., /) -> bytes: ...


class Coming:
    """Bytes of a pipe on their way into a file.

    with Coming(sys.stdin.buffer, folder / "voice") as coming:
        container = coming.opened()
    """

    def __init__(self, pipe: Pipe, path: Path) -> None:
        """Waits for the first bytes. Errors: `NoSound` where none come."""
        self.path = path
        self._pipe, self._size, self._ended = pipe, 0, False
        self._news = threading.Condition()
        self._reader: _From | None = None
        self._closed = False
        path.touch()
        threading.Thread(target=self._pour, name="listening", daemon=True).start()
        if not self._there(1):
            raise NoSound("the stream has no sound", "nothing came", "understudy act portrait.jpg - < voice.wav")

    def opened(self) -> InputContainer | None:
        """The stream as media, while it comes; None for a kind of file that can only be read when it is whole: MP4,
        whose index may be at its end, and what is damaged."""
        self._there(8)
        start = beginning(self.path, 8)
        if start[4:] in _MP4:
            return None
        options = SAFE | (_SOON if start[:4] in _SIMPLE else {})
        self._reader = _From(self)
        try:
            return av.open(self._reader, "r", options=options, buffer_size=_BUFFER, **UNTAGGED)  # type: ignore[no-any-return]
        except (av.error.FFmpegError, OSError):
            return None

    def wait(self) -> Path:
        """The whole file, when it is there."""
        with self._news:
            self._news.wait_for(lambda: self._ended)
        return self.path

    def close(self) -> None:
        """Nobody listens any more."""
        self._closed = True
        if self._reader is not None:
            self._reader.file.close()

    def __enter__(self) -> Coming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _there(self, size: int) -> int:
        """Wait until there are so many bytes; how many there are, at the end perhaps fewer."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._size >= size)
            return self._size

    def _pour(self) -> None:
        """The thread."""
        try:
            with self.path.open("wb", buffering=0) as file:
                while not self._closed and (part := self._pipe.read1(_AT_ONCE)):
                    file.write(part)
                    with self._news:
                        self._size += len(part)
                        self._news.notify_all()
        except (OSError, ValueError):  # a broken pipe or a closed one: what came is what there is
            pass
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()


class _From:
    """A reader from the beginning, as PyAV wants one; it cannot go back, as a pipe cannot."""

    def __init__(self, coming: Coming) -> None:
        self._coming, self._at = coming, 0
        self.file = coming.path.open("rb")

    def read(self, size: int) -> bytes:
        there = self._coming._there(self._at + 1) - self._at
        if there <= 0:
            return b""
        part = self.file.read(min(size, there))
        self._at += len(part)
        return part
