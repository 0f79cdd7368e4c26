"""What a run says of itself: lines of JSON and PNG sheets always, TensorBoard where it is installed."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.train.files import put


class Journal:
    """A folder with `journal.jsonl`, `sheets/*.png` and, for TensorBoard, `events/`. Lines after `step` are of a
    future that did not come to be, because the run was resumed from there: they are removed."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.folder = folder
        (folder / "sheets").mkdir(parents=True, exist_ok=True)
        self.lines = folder / "journal.jsonl"
        self._forget(step)
        self._events = _events(folder / "events", step)

    def note(self, step: int, values: Mapping[str, float | str]) -> None:
        """One line."""
        with self.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step} | dict(values)) + "\n")
        if self._events is not None:
            for name, value in values.items():
                if not isinstance(value, str):
                    self._events.add_scalar(name, value, step)

    def sheet(self, step: int, name: str, picture: Tensor) -> Path:
        """One sheet, (h, w, 3) uint8."""
        path = self.folder / "sheets" / f"{step:07d}-{name}.png"
        put(path, png(picture))
        if self._events is not None and find_spec("PIL") is not None:
            self._events.add_image(name, picture, step, dataformats="HWC")
            self._events.flush()
        return path

    def read(self) -> list[dict[str, Any]]:
        """All lines so far."""
        if not self.lines.exists():
            return []
        return [json.loads(line) for line in self.lines.read_text(encoding="utf-8").splitlines() if line.strip()]

    def close(self) -> None:
        """Nothing more will be said."""
        if self._events is not None:
            self._events.close()

    def _forget(self, step: int) -> None:
        if not self.lines.exists():
            return
        kept = []
        for line in self.lines.read_text(encoding="utf-8").splitlines():
            try:
                happened = json.loads(line)["step"] <= step
            except json.JSONDecodeError:  # the last line of a killed run may be half a line
                happened = False
            kept += [line + "\n"] if happened else []
        put(self.lines, "".join(kept).encode())


def _events(folder: Path, step: int) -> Any:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)


def tiled(rows: Sequence[Tensor], side: int | None = None) -> Tensor:
    """Pictures (n, 1 or 3, h, w) in [0, 1], row by row, as one sheet (h, w, 3) uint8; all `side` pixels high and wide
    (the first row's height, if not said), so that small ones can be compared with large ones."""
    side = side or rows[0].shape[-1]
    most = max(len(row) for row in rows)
    laid = []
    for row in rows:
        row = row.detach().float().cpu().expand(-1, 3, -1, -1)
        if row.shape[-2:] != (side, side):
            row = F.interpolate(row, size=(side, side), mode="nearest")
        row = torch.cat([row, row.new_ones(most - len(row), 3, side, side)])
        laid.append(torch.cat(list(row), dim=2))
    return (torch.cat(laid, dim=1).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()


def png(picture: Tensor) -> bytes:
    """(h, w, 3) uint8 as a PNG file: written out, because the machines that train may have nothing but torch."""
    height, width, _ = picture.shape
    rows = torch.cat([torch.zeros(height, 1, dtype=torch.uint8), picture.cpu().reshape(height, -1)], dim=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows.numpy().tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
