"""Tar files that are the same, byte for byte, whenever and wherever they are written: WebDataset's shards.

A member is a header of 512 bytes that depends on its name and size alone, its bytes, and zeros up to the next 512. So
members may be copied from one file to another as they are, and read by their place without being unpacked.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from understudy.clip.landing import unwritable
from understudy.errors import MediaError

BLOCK: Final = 512
END: Final = b"\0" * (2 * BLOCK)


@dataclass(frozen=True)
class Member:
    """Where the bytes of a member are in its file."""

    name: str
    offset: int
    size: int


def member(name: str, data: bytes) -> bytes:
    """A whole member. Nothing is said of when, or by whom."""
    about = tarfile.TarInfo(name)
    about.size, about.mode, about.mtime = len(data), 0o644, 0
    header = about.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    return header + data + b"\0" * (-len(data) % BLOCK)


def members(path: Path) -> list[Member]:
    """All members of a file, in order. Errors: `MediaError` for what is no tar, or was cut short."""
    try:
        with tarfile.open(path, "r:") as file:
            found = [Member(each.name, each.offset_data, each.size) for each in file if each.isfile()]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MediaError(
            f"{path} is not a shard, or damaged", str(error), f"rm {path}, and prepare it again"
        ) from error
    if found and found[-1].offset + found[-1].size > path.stat().st_size:
        raise MediaError(f"{path} was cut short", f"{found[-1].name} is not whole", f"rm {path}, and prepare it again")
    return found


def read(path: Path, place: Member) -> bytes:
    """The bytes of a member."""
    with path.open("rb") as file:
        file.seek(place.offset)
        return file.read(place.size)


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when it is whole and on disk; whoever is killed leaves nothing of that name."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """A small file, in one step."""
    with written(path) as file:
        file.write(data)


def copy(source: Path, first: int, size: int, to: BinaryIO) -> None:
    """Bytes of one file to the end of another, a bounded number at a time."""
    with source.open("rb") as file:
        file.seek(first)
        while size:
            block = file.read(min(size, 1 << 20))
            if not block:
                raise MediaError(f"{source} was cut short", f"{size} bytes are missing", f"rm {source}, and again")
            to.write(block)
            size -= len(block)


def wave(samples: bytes, rate: int) -> bytes:
    """A WAV file of mono 16-bit samples."""
    import wave as waves

    held = io.BytesIO()
    with waves.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return held.getvalue()
