"""Made footage for tests of the mill: people of the cast and one astronaut, in films of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from animate_made import driver, driver_frames, scaled

from understudy.clip import Picture, write
from understudy.data.gather import Take, gather
from understudy.data.mill import Film, digest
from understudy.data.sieve import Limits

LIMITS = Limits(
    shortest=0.3, longest=1.0, side=100, blur=1.0, dark=0.0, burnt=1.0, yaw=90, pitch=90, away=1.0, others=1.0,
    speech=False,
)  # fmt: skip
FRAMES = 40
"""Of a film: a take of a second, and one of 15 frames, too short to be known again."""


def films(folder: Path) -> list[Film]:
    """One film with a tone, twice under different names; the same smaller; and what is no film."""
    folder.mkdir(parents=True, exist_ok=True)
    one = driver(folder / "one.mp4", FRAMES)
    (folder / "two.mp4").write_bytes(one.read_bytes())
    small: list[Picture] = [scaled(frame, 224) for frame in driver_frames(FRAMES)]
    write(folder / "zmall.mp4", small, fps=25)
    (folder / "broken.mp4").write_bytes(b"no film" * 100)
    return [Film(str(path), digest(path)) for path in sorted(folder.glob("*.mp4"))]


@cache
def gathered(path: Path, key: str) -> tuple[Take, ...]:
    """The takes of a film; each film is looked at once in a run of tests."""
    return tuple(gather(path, key, LIMITS))


def noise(seed: int, count: int) -> np.ndarray:
    """Smooth chance, (count,)."""
    raw = np.random.default_rng(seed).normal(size=count + 20)
    return np.convolve(raw, np.ones(21) / 21, "valid").astype(np.float32)
