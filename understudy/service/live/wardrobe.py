"""The portraits that can be worn live: those shipped, and the last few that were uploaded; in memory, nowhere else."""

from __future__ import annotations

import secrets
import tempfile
import threading
from collections import OrderedDict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

from understudy.errors import MissingFile
from understudy.face.portrait import Portrait
from understudy.service.live.stage import LARGE

SHIPPED: Final = {"realistic": "portrait-realistic.jpg", "painted": "portrait-painted.jpg"}
KEPT: Final = 8
UPLOAD: Final = 40 << 20  # bytes


class Wardrobe:
    """See the module."""

    def __init__(self) -> None:
        self._own: OrderedDict[str, Portrait] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, data: bytes) -> str:
        """A word for an uploaded picture. Errors: those of reading a portrait."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "the picture")
            file.write_bytes(data)
            portrait = Portrait.read(file, max_size=LARGE, warn=_silently)
        word = secrets.token_hex(8)
        with self._lock:
            self._own[word] = portrait
            while len(self._own) > KEPT:
                self._own.popitem(last=False)
        return word

    def portrait(self, word: str) -> Portrait:
        """Errors: `MissingFile`."""
        if word in SHIPPED:
            return shipped(word)
        with self._lock:
            if word not in self._own:
                raise MissingFile("this portrait is not here any more", remedy="choose it again")
            self._own.move_to_end(word)
            return self._own[word]


@lru_cache(maxsize=len(SHIPPED))
def shipped(word: str) -> Portrait:
    """A portrait of the package."""
    with resources.as_file(resources.files("understudy") / "assets" / SHIPPED[word]) as file:
        return Portrait.read(file, max_size=LARGE, warn=_silently)


def _silently(text: str) -> None:
    """That a picture was scaled is of no use to know here."""
