"""Pictures of the cast by number, for nets that learn what people look like."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy import cast
from understudy.cast import draw, how, who

HELD_OUT = 1_000_000
"""People from this number on are never trained on."""
FINE = 4  # pixels to a side of one place of the map of eyes and mouth


@dataclass(frozen=True)
class Drawing:
    """Drawn when asked for: picture n is person n, with expression and pose n. `style` for all, or each its own (one
    of those that may be trained on)."""

    size: int
    style: str | None = None
    at_once: int = 8

    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """`picture` (n, 3, size, size) uint8, and `fine` (n, size/4, size/4) uint8: where eyes and mouth are."""
        parts = [self._drawn([*numbers[i : i + self.at_once]]) for i in range(0, len(numbers), self.at_once)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    @torch.no_grad()
    def _drawn(self, seeds: list[int]) -> dict[str, Tensor]:
        drawn = draw.draw(who.sample(seeds, self.style), how.sample(seeds), self.size)
        fine = torch.maximum(drawn.masks.eyes, drawn.masks.mouth)
        fine = F.max_pool2d(fine[:, None], FINE)[:, 0]
        return {"picture": to_bytes(drawn.image), "fine": to_bytes(fine)}


@cache
def looks(files: str = "*.py") -> str:
    """A word that changes when the cast is drawn otherwise: pictures of different casts do not belong together. With
    "**/*.py", when it speaks otherwise, too."""
    found = hashlib.sha256()
    for path in sorted(Path(str(cast.__file__)).parent.glob(files)):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def to_bytes(values: Tensor) -> Tensor:
    """[0, 1] to bytes."""
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)
