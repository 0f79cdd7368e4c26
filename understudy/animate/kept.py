"""Finished latents on the disk beside a film, so that a stopped one goes on without being drawn again.

A window is drawn from the last finished latents of the one before, which cannot be had back from decoded frames.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import numpy as np
import torch
from torch import Tensor

from understudy.clip.landing import unwritable
from understudy.diffusion.windows import Begun, ended

_CHECK: Final = struct.Struct("<I")


class Kept:
    """The latents of a film's frames from the first on, one record each: checksum, numbers.

    `frames`: how many the film has, none for one that begins; what is there of others is dropped. Of a file that was
    cut short, what is whole is used. Errors: `Unwritable`."""

    def __init__(self, path: Path, shape: Sequence[int], frames: int) -> None:
        self.path, self.shape = path, tuple(shape)
        self._size = _CHECK.size + 4 * int(np.prod(self.shape))
        try:
            self._file: BinaryIO = path.open("r+b" if frames and path.exists() else "w+b")
        except OSError as error:
            raise unwritable(path, error) from error
        self._safe = min(frames, self._whole())

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def begun(
        self, size: int, overlap: int, device: torch.device | str = "cpu", *, exactly: bool = False
    ) -> Begun | None:
        """Where to go on: the end of the last window that is here; None at the beginning. Forgets what comes later.

        `exactly`: after the last frame that is here, whatever window that was in."""
        start = self._safe if exactly else ended(self._safe, size=size, overlap=overlap)
        last = [self._read(frame) for frame in range(max(start - size, 0), start)]
        self._file.truncate(start * self._size)
        self._file.seek(start * self._size)
        if not start or not all(record is not None for record in last):
            self._file.truncate(0)
            self._file.seek(0)
            return None
        return Begun(start, torch.stack([record for record in last if record is not None]).to(device))

    def append(self, latents: Tensor) -> None:
        """The next frames' latents (f, c, h, w)."""
        for latent in latents.cpu().float().numpy():
            data = np.ascontiguousarray(latent).tobytes()
            try:
                self._file.write(_CHECK.pack(zlib.crc32(data)) + data)
            except OSError as error:
                raise unwritable(self.path, error, "the frames drawn so far are kept") from error
        self._file.flush()

    def _whole(self) -> int:
        """Records that the file's length has room for."""
        return self.path.stat().st_size // self._size

    def _read(self, frame: int) -> Tensor | None:
        self._file.seek(frame * self._size)
        record = self._file.read(self._size)
        data = record[_CHECK.size :]
        if len(record) < self._size or _CHECK.unpack(record[: _CHECK.size])[0] != zlib.crc32(data):
            return None
        return torch.from_numpy(np.frombuffer(data, np.float32).reshape(self.shape).copy())
