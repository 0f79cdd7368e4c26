"""`MotionCode`: how a face moves, as an encoder's numbers, which know of nobody's looks; X-Portrait 2 draws from it.

Beside the code of a frame is the face's box: its centre and size in the driver's own picture. What depends on a
portrait (where its face is, and how large) happens when it is drawn. Codes mean something only to the encoder that made
them: `provenance["encoder"]` says which.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.errors import BadOption, WrongMotion
from understudy.face.arkit import ARKIT_NAMES
from understudy.face.mesh import Floats

ENCODER: Final = "encoder"  # in the provenance
NAMES: Final = (*ARKIT_NAMES, "yaw", "pitch", "roll")
"""What codes are read as: ARKit's coefficients, and the head's turn."""
TURNS: Final = 3
"""So many of `NAMES`, the last, are the head's turn."""
TURN: Final = 45.0
"""Degrees of yaw, pitch or roll that count as one whole."""


@dataclass(frozen=True)
class MotionCode:
    """`f` consecutive frames of a performance. Slices share memory with the whole.

    Where nobody was seen, code and box are those of the last frame that showed somebody."""

    times: npt.NDArray[np.float64]  # (f,) seconds since the driver's first frame, increasing
    code: Floats  # (f, d)
    box: Floats  # (f, 3) centre x, y and size of the face, pixels of the driver's picture, from the corner
    seen: npt.NDArray[np.bool_]  # (f,) False where no face was found for longer than can be bridged
    shots: npt.NDArray[np.int32]  # (f,) counts the cuts before each frame
    rate: Fraction  # frames a second, nominal
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, frames: slice) -> MotionCode:
        """Consecutive frames, at the times they had."""
        if frames.step not in (None, 1):
            raise ValueError(f"a slice of a motion has consecutive frames; a step of {frames.step} was asked for")
        return replace(
            self,
            times=self.times[frames],
            code=self.code[frames],
            box=self.box[frames],
            seen=self.seen[frames],
            shots=self.shots[frames],
        )

    def retime(self, rate: Fraction | int) -> MotionCode:
        """The same performance at another rate: as long, and as fast. Between two frames codes and boxes change evenly;
        across a cut, or where nobody was seen, the nearer frame is taken."""
        rate = Fraction(rate)
        if rate <= 0:
            raise ValueError(f"a rate is positive; {rate} was asked for")
        if not len(self):
            return replace(self, rate=rate)
        long = self.times[-1] - self.times[0] + float(1 / self.rate)
        times = self.times[0] + np.arange(max(1, round(long * float(rate)))) / float(rate)
        before = np.clip(np.searchsorted(self.times, times + 1e-9, side="right") - 1, 0, len(self) - 1)
        after = np.minimum(before + 1, len(self) - 1)
        share = (times - self.times[before]) / np.maximum(self.times[after] - self.times[before], 1e-9)
        share = np.where(share < 1e-6, 0, np.minimum(share, 1)) * (after > before)
        apart = (self.shots[before] != self.shots[after]) | ~self.seen[before] | ~self.seen[after]
        share = np.where(apart, np.round(share), share)
        nearest, part = np.where(share < 0.5, before, after), share[:, None].astype(np.float32)
        return replace(
            self,
            times=times,
            code=self.code[before] * (1 - part) + self.code[after] * part,
            box=self.box[before] * (1 - part) + self.box[after] * part,
            seen=self.seen[nearest],
            shots=self.shots[nearest],
            rate=rate,
        )

    # --- edits ------------------------------------------------------------------------------------------------------

    def scaled(self, strength: float, neutral: Floats) -> MotionCode:
        """More or less of all of it, the head's turns as well: 0 is the face at rest, whose code is `neutral` (d,), 1
        as it is, 2 twice as much."""
        if strength == 1:
            return self
        return replace(self, code=np.asarray(neutral + strength * (self.code - neutral), np.float32))

    def moved(self, directions: Floats, amounts: Sequence[float]) -> MotionCode:
        """With so much more of some curves: `directions` (k, d), what one whole of each adds to a code."""
        return replace(self, code=np.asarray(self.code + np.asarray(amounts, np.float32) @ directions, np.float32))

    def blended(self, other: MotionCode, share: float) -> MotionCode:
        """A `share` of another performance, frame by frame, and the rest of this one; as long as the shorter one, where
        this one's boxes are. Errors: `WrongMotion` for codes of another encoder."""
        alike([self, other])
        other = other if other.rate == self.rate else other.retime(self.rate)
        count = min(len(self), len(other))
        mixed = self.code[:count] * (1 - share) + other.code[:count] * share
        return replace(self[:count], code=np.asarray(mixed, np.float32), seen=self.seen[:count] & other.seen[:count])

    def smooth(self, seconds: float) -> MotionCode:
        """Quieter: averaged with its neighbours in time under a bell of this standard deviation, never across a cut."""
        reach = int(np.ceil(3 * seconds * float(self.rate)))
        if reach < 1 or not len(self):
            return self
        return replace(
            self, code=self._averaged(self.code, seconds, reach), box=self._averaged(self.box, seconds, reach)
        )

    def _averaged(self, values: Floats, seconds: float, reach: int) -> Floats:
        """(f, k) each with up to `reach` neighbours of its shot on both sides; where nobody was seen, as it was."""
        here = np.arange(len(self))
        gathered, total = np.zeros(values.shape), np.zeros((len(self), 1))
        for offset in range(-reach, reach + 1):
            there = np.clip(here + offset, 0, len(self) - 1)
            weight = np.exp(-0.5 * ((self.times[there] - self.times) / seconds) ** 2)
            weight *= (there == here + offset) & (self.shots[there] == self.shots) & self.seen[there] & self.seen
            gathered += weight[:, None] * values[there]
            total += weight[:, None]
        return np.asarray(np.where(total > 0, gathered / np.where(total > 0, total, 1), values), np.float32)

    # --- files ------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, exact: bool = False, overwrite: bool = False) -> None:
        """Writes a motion file: codes in 16 bits, 0.4 MB a minute, or as they are if `exact`.

        Errors: `Exists`, `Unwritable`."""
        from understudy.motion.file import save

        save([self], path, exact=exact, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> MotionCode:
        """Reads a whole motion file. Errors: `MissingFile`, `BadMotionFile`, `WrongMotion`."""
        from understudy.motion.file import read_codes

        return whole(read_codes(path))


def alike(motions: Sequence[MotionCode]) -> None:
    """Errors: `WrongMotion` where codes are not of one encoder."""
    first = motions[0]
    for other in motions[1:]:
        ours, theirs = (each.provenance.get(ENCODER, "") for each in (first, other))
        if first.code.shape[1] != other.code.shape[1] or ours != theirs:
            raise WrongMotion(
                "codes of different encoders do not go together",
                f"{first.code.shape[1]} numbers of {ours or 'nobody knows whom'}, "
                f"then {other.code.shape[1]} of {theirs or 'nobody knows whom'}",
                "reading both films with one model",
            )


def whole(chunks: Iterable[MotionCode]) -> MotionCode:
    """Consecutive chunks of one performance as one. Errors: `WrongMotion` if they are not of one."""
    parts = list(chunks)
    if not parts:
        raise WrongMotion("there is no motion in what was to be put together", "no chunks")
    alike(parts)
    rates = {part.rate for part in parts}
    if len(rates) > 1:
        raise WrongMotion("chunks of different performances cannot be one", f"rates {sorted(map(str, rates))}", "join")
    return replace(
        parts[0],
        times=np.concatenate([part.times for part in parts]),
        code=np.concatenate([part.code for part in parts]),
        box=np.concatenate([part.box for part in parts]),
        seen=np.concatenate([part.seen for part in parts]),
        shots=np.concatenate([part.shots for part in parts]),
    )


def join(*motions: MotionCode) -> MotionCode:
    """Performances one after the other, with a cut between, at the rate of the first. Errors: `WrongMotion`."""
    parts = [motion for motion in motions if len(motion)]
    if not parts:
        raise WrongMotion("there is no motion in what was to be joined", f"{len(motions)} empty motions")
    start, shots, placed = 0.0, 0, []
    for part in parts:
        moved = part if part.rate == parts[0].rate else part.retime(parts[0].rate)
        times, shown = moved.times - moved.times[0] + start, moved.shots - moved.shots[0] + np.int32(shots)
        placed.append(replace(moved, times=times, shots=shown))
        start, shots = float(times[-1] + 1 / float(moved.rate)), int(shown[-1]) + 1
    return whole(placed)


def column(name: str) -> int:
    """Which curve of `NAMES` that is. Errors: `BadOption`."""
    if name not in NAMES:
        raise BadOption(f"no curve is called {name}", remedy="one of ARKit's 52, such as jawOpen, or yaw, pitch, roll")
    return NAMES.index(name)
