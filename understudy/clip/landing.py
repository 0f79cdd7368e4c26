"""A file takes its final name only when it is whole, and never takes another's without leave."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import av.error

from understudy.errors import Exists, Unwritable

_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space, or name a file on another disk"),
    errno.EDQUOT: ("your share of the disk is used up", "free some space, or name a file on another disk"),
    errno.EFBIG: ("the file would be larger than is allowed there", "name a file on another disk"),
    errno.EACCES: ("you may not write there", "name a file in a folder of your own"),
    errno.EPERM: ("you may not write there", "name a file in a folder of your own"),
    errno.EROFS: ("that disk can only be read", "name a file on another disk"),
    errno.ENOENT: ("the folder does not exist", "make the folder first, or name another"),
    errno.ENOTDIR: ("part of the path is not a folder", "name a file in a folder"),
    errno.EISDIR: ("that is a folder", "name a file in it"),
    errno.ENAMETOOLONG: ("the name is too long", "name it shorter"),
}


def unwritable(path: Path, error: Exception, kept: str = "") -> Unwritable:
    """The error for a file that cannot be put there: its cause, and a remedy. `kept` says what is not lost."""
    seen, remedy = _REMEDIES.get(
        getattr(error, "errno", None) or 0, (str(error), "name another file, or one of another kind")
    )
    return Unwritable(f"{path} cannot be written", seen, f"{remedy}{'; ' + kept if kept else ''}")


def refuse_existing(path: Path, overwrite: bool, kept: str = "") -> None:
    """Errors: `Exists` if something bears the name and may not be replaced, `Unwritable` if that is a folder."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise unwritable(path, IsADirectoryError(errno.EISDIR, "a folder"))
    if not overwrite:
        remedy = f"name another file, or say that it may be overwritten{'; ' + kept if kept else ''}"
        raise Exists(f"{path} exists already", remedy=remedy)


def beside(path: Path, ending: str) -> Path:
    """`film.mp4` -> `film.partial.mp4`, `film.gif` -> `film.gif.partial.mp4`: one per result, in the same folder."""
    name = path.stem if path.suffix.lower() == ".mp4" else path.name
    return path.with_name(f"{name}.partial{ending}")


@contextlib.contextmanager
def landing(path: Path, overwrite: bool, temporary: Path | None = None, kept: str = "") -> Iterator[Path]:
    """A name beside `path` to write to; what is there at the end moves to `path` in one step.

    The name is `temporary` where no two can be writing at once, so that what a killed run left there is replaced.
    Errors: `Exists` when something has come there meanwhile, `Unwritable`; then what was written is removed."""
    temporary = temporary or path.with_name(f".{path.stem[:100]}.{os.getpid()}.landing{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        refuse_existing(path, overwrite, kept)
        os.replace(temporary, path)
    except (av.error.FFmpegError, OSError) as error:
        raise unwritable(path, error, kept) from error
    finally:
        temporary.unlink(missing_ok=True)
