"""The content of a file, as one word."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
