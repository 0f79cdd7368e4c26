"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from understudy.errors import Unwritable


def put(path: Path, data: bytes) -> None:
    """Write a file in one go."""
    made(path, lambda partial: partial.write_bytes(data))


def made(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then rename it: a kill or a full disk leaves no half file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise Unwritable(f"{path} cannot be written", str(error), "another folder, or more room on the disk") from error
    finally:
        partial.unlink(missing_ok=True)
