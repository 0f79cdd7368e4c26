"""`MotionFrames`: how a face moves, as pictures of the driver, cut out and nothing more.

It is what X-Portrait draws from. The pictures stay in the driver's own frame: one square for a whole shot, so that the
head moves in them as it moved. What depends on the portrait (where the face has to come to lie) happens when it is
drawn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from understudy.errors import WrongMotion
from understudy.face.mesh import Floats
from understudy.face.square import Square

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MotionFrames:
    """`f` consecutive frames of a performance. Slices share memory with the whole.

    Where nobody was seen, picture and points are those of the last frame that showed somebody. Points count pixels
    of the picture from its corner: centres of pixels are at halves, as `generator.hints` and the cast have them."""

    times: npt.NDArray[np.float64]  # (f,) seconds since the driver's first frame, increasing
    pictures: Bytes  # (f, 256, 256, 3) sRGB
    points: Floats  # (f, 478, 2) pixels of its picture, from the corner
    squares: Floats  # (f, 3) centre x, y and side of what was cut out, pixels of the driver's picture; one per shot
    seen: npt.NDArray[np.bool_]  # (f,) False where no face was found for longer than can be bridged
    shots: npt.NDArray[np.int32]  # (f,) counts the cuts before each frame
    rate: Fraction  # frames a second, nominal
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, frames: slice) -> MotionFrames:
        """Consecutive frames, at the times they had."""
        if frames.step not in (None, 1):
            raise ValueError(f"a slice of a motion has consecutive frames; a step of {frames.step} was asked for")
        return self._taken(frames)

    def square(self, frame: int) -> Square:
        """Where a frame's picture is in the driver's own."""
        x, y, side = self.squares[frame].tolist()
        return Square(x, y, side)

    def retime(self, rate: Fraction | int) -> MotionFrames:
        """The same performance at another rate, as long and as fast: of each moment the frame that is shown then."""
        rate = Fraction(rate)
        if rate <= 0:
            raise ValueError(f"a rate is positive; {rate} was asked for")
        if not len(self):
            return replace(self, rate=rate)
        long = self.times[-1] - self.times[0] + float(1 / self.rate)
        times = self.times[0] + np.arange(max(1, round(long * float(rate)))) / float(rate)
        shown = np.clip(np.searchsorted(self.times, times + 1e-9, side="right") - 1, 0, len(self) - 1)
        return replace(self._taken(shown), times=times, rate=rate)

    def save(self, path: str | os.PathLike[str], *, exact: bool = False, overwrite: bool = False) -> None:
        """Writes a motion file: some 40 MB a minute, or about 130 and lossless if `exact`.

        Errors: `Exists`, `Unwritable`."""
        from understudy.motion.file import save

        save([self], path, exact=exact, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> MotionFrames:
        """Reads a whole motion file: 200 kB a frame. Errors: `MissingFile`, `BadMotionFile`, `WrongMotion`."""
        from understudy.motion.file import read_frames

        return whole(read_frames(path))

    def _taken(self, frames: slice | npt.NDArray[np.intp]) -> MotionFrames:
        return replace(
            self,
            times=self.times[frames],
            pictures=self.pictures[frames],
            points=self.points[frames],
            squares=self.squares[frames],
            seen=self.seen[frames],
            shots=self.shots[frames],
        )


def whole(chunks: Iterable[MotionFrames]) -> MotionFrames:
    """Consecutive chunks of one performance as one. Errors: `WrongMotion` if they are not of one."""
    parts = list(chunks)
    if not parts:
        raise WrongMotion("there is no motion in what was to be put together", "no chunks")
    first = parts[0]
    for part in parts[1:]:
        if part.rate != first.rate or part.pictures.shape[1:] != first.pictures.shape[1:]:
            raise WrongMotion(
                "chunks of different performances cannot be one",
                f"{first.pictures.shape[1:]} at {first.rate} a second, then {part.pictures.shape[1:]} at {part.rate}",
                "join them instead, if their pictures are of one size",
            )
    return replace(
        first,
        times=np.concatenate([part.times for part in parts]),
        pictures=np.concatenate([part.pictures for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        squares=np.concatenate([part.squares for part in parts]),
        seen=np.concatenate([part.seen for part in parts]),
        shots=np.concatenate([part.shots for part in parts]),
    )


def join(*motions: MotionFrames) -> MotionFrames:
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
