"""Takes that were taken before: the same pictures doing the same thing at the same pace, whatever file they came in.

A fingerprint has, ten times a second, a perceptual hash of the picture of the face (64 signs of differences between
neighbouring places) and how the head turns, the lips part and the lids open. Hashes alone would not do: in a film of a
talking head all takes look alike. What moves alike as well, at one shift in time, is the same performance, cut
elsewhere, made smaller, compressed again, or seen in a mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import LEFT_EYE, RIGHT_EYE, Eye, Floats
from understudy.motion.mesh import MotionMesh

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]

RATE: Final = 10  # a second
SAME_LOOK: Final = 12.0  # bits of 64 that differ on average, at most
# Mean difference of the curves, at most, of how much they move. Of seven takes, 0.34 for the same one smaller, cut
# elsewhere and in a mirror; 0.51 and more for all pairs of others, at the shift that suits them best.
SAME_MOVES: Final = 0.42
OVERLAP: Final = 0.6  # share of the shorter take that must be in both
LEAST: Final = 8  # moments of it: less than that says nothing
BANDS: Final = 4  # parts of 16 bits of a hash: takes that share none are not compared
# What one of the curves moves by at least, so that noise does not count: degrees of head turns, eye units, lids.
FLOOR: Final = np.array([1.5, 1.5, 1.5, 0.02, 0.03, 0.03], np.float32)
_MIRROR: Final = np.array([-1, 1, -1, 1, 1, 1], np.float32)


@dataclass(frozen=True, eq=False)
class Print:
    """A fingerprint: `hashes` (n,) and `mirrored` (n,) of the picture and of its mirror image; `curves` (n, 6)."""

    hashes: Hashes
    mirrored: Hashes
    curves: Floats

    def __len__(self) -> int:
        return len(self.hashes)


def moments(times: npt.NDArray[np.float64]) -> list[int]:
    """The frames that a fingerprint is taken of: those shown at every tenth of a second."""
    if not len(times):
        return []
    at = times[0] + np.arange(int((times[-1] - times[0]) * RATE + 1e-6) + 1) / RATE
    return [int(k) for k in np.clip(np.searchsorted(times, at + 1e-6, side="right") - 1, 0, len(times) - 1)]


def print_of(pictures: Iterable[Bytes], motion: MotionMesh, frames: list[int]) -> Print:
    """The fingerprint of a take: its pictures (s, s, 3) at `frames`, and all of its motion."""
    both = [(hash_of(small), hash_of(small[:, ::-1])) for small in map(shrunk, pictures)]
    shapes = motion.shapes[frames]
    gap = np.linalg.norm(shapes[:, 13] - shapes[:, 14], axis=-1)
    curves = np.column_stack([motion.pose.angles[frames], gap, _lids(shapes, RIGHT_EYE), _lids(shapes, LEFT_EYE)])
    hashes = np.array(both, np.uint64).reshape(-1, 2)
    return Print(hashes[:, 0], hashes[:, 1], curves.astype(np.float32))


def shrunk(picture: Bytes) -> Bytes:
    """(8, 9) grey: the middle of a take's picture, where the face is."""
    edge = len(picture) // 8
    middle = cv2.cvtColor(picture[edge:-edge, edge:-edge], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(middle, (9, 8), interpolation=cv2.INTER_AREA), np.uint8)


def hash_of(small: Bytes) -> int:
    """64 bits of (8, 9) grey: whether each place is brighter than the next."""
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def same(one: Print, other: Print) -> bool:
    """Whether two takes are one performance, the second perhaps in a mirror."""
    if min(len(one), len(other)) < LEAST:
        return False
    turned = np.column_stack([other.curves[:, :4], other.curves[:, [5, 4]]]) * _MIRROR
    return _same(one, other.hashes, other.curves) or _same(one, other.mirrored, turned.astype(np.float32))


def _same(one: Print, hashes: Hashes, curves: Floats) -> bool:
    for ours, theirs in overlaps(len(one), len(hashes)):
        if differing(one.hashes[ours], hashes[theirs]) > SAME_LOOK:
            continue
        mine, yours = one.curves[ours], curves[theirs]
        moves = np.maximum((mine.std(0) + yours.std(0)) / 2, FLOOR)
        apart = np.abs(mine - yours - (mine.mean(0) - yours.mean(0))).mean(0) / moves
        if float(apart.mean()) < SAME_MOVES:
            return True
    return False


def overlaps(one: int, other: int) -> Iterator[tuple[slice, slice]]:
    """All ways in which two takes of so many moments lie over each other by enough."""
    least = max(LEAST, int(np.ceil(OVERLAP * min(one, other))))
    for shift in range(least - other, one - least + 1):  # where the other begins, in the one
        first, last = max(shift, 0), min(shift + other, one)
        yield slice(first, last), slice(first - shift, last - shift)


def differing(one: Hashes, other: Hashes) -> float:
    """Mean number of bits that differ, row by row."""
    bits = np.unpackbits((one ^ other).view(np.uint8))
    return float(bits.sum()) / max(len(one), 1)


def repeated(prints: Iterable[tuple[str, Print]]) -> dict[str, str]:
    """Of takes in order, by key: which were taken before, and as what. The first of them stays.

    Only takes are compared of which some part of some hash is the same, so most pairs of strangers never are."""
    known: dict[tuple[int, int], list[int]] = {}
    kept: list[tuple[str, Print]] = []
    found: dict[str, str] = {}
    for key, taken in prints:
        near = sorted({number for place in places(taken, both=True) for number in known.get(place, ())})
        first = next((kept[number][0] for number in near if same(kept[number][1], taken)), None)
        if first is not None:
            found[key] = first
            continue
        for place in places(taken, both=False):
            known.setdefault(place, []).append(len(kept))
        kept.append((key, taken))
    return found


def places(taken: Print, both: bool) -> set[tuple[int, int]]:
    """(which band, its 16 bits) of all hashes; of those in the mirror too if `both`."""
    hashes = np.concatenate([taken.hashes, taken.mirrored]) if both else taken.hashes
    parts = hashes[:, None] >> (np.uint64(16) * np.arange(BANDS, dtype=np.uint64)) & np.uint64(0xFFFF)
    return {(band, int(bits)) for band in range(BANDS) for bits in np.unique(parts[:, band])}


def _lids(shapes: Floats, eye: Eye) -> Floats:
    gap = np.linalg.norm(shapes[:, eye.upper[2:7]] - shapes[:, eye.lower[2:7]], axis=-1).mean(-1)
    width = np.linalg.norm(shapes[:, eye.outer] - shapes[:, eye.inner], axis=-1)
    return np.asarray(gap / np.maximum(width, 1e-6), np.float32)
