"""`MotionMesh`: how a face moves, as 478 points, a head pose and ARKit-named curves per frame.

It is what the warp engine draws, what motion files hold, what is edited, exported and measured. It stays in the
driver's own frame and knows nothing of any portrait: what depends on the portrait happens when it is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.errors import WrongMotion
from understudy.face.mesh import Floats, canonical
from understudy.face.neutral import neutral_shape
from understudy.face.pose import Pose
from understudy.face.rig import CARRIED, UPPER, Rig
from understudy.face.turns import average, between, powered

Bytes = npt.NDArray[np.uint8]

# Coordinates are whole 1024ths of a pixel: mirroring twice is then exactly nothing, in pictures up to 8192 pixels.
_GRID: Final = np.float32(1024)
_REGIONS: Final = {"eyes": ("eye", "cheekSquint"), "brows": ("brow",), "mouth": ("mouth", "jaw", "nose")}


@dataclass(frozen=True)
class MotionMesh:
    """`f` consecutive frames of a performance. Slices share memory with the whole."""

    times: npt.NDArray[np.float64]  # (f,) seconds since the driver's first frame, increasing
    points: Floats  # (f, 478, 3) pixels of the driver's picture; the last known ones where nobody was seen
    pose: Pose  # (f,)
    curves: Floats  # (f, c) ARKit coefficients, 0 to 1 (people reach 1.2), one column per name
    names: tuple[str, ...]  # (c,) ARKit names; what a mesh cannot tell is absent, not zero
    seen: npt.NDArray[np.bool_]  # (f,) False where no face was found for longer than can be bridged
    shots: npt.NDArray[np.int32]  # (f,) counts the cuts before each frame
    rate: Fraction  # frames a second, nominal
    mouths: Bytes | None = None  # (f, h, w, 3) inside of the driver's mouth, cut along the lips, or None
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, frames: slice) -> MotionMesh:
        """Consecutive frames, at the times they had."""
        if frames.step not in (None, 1):
            raise ValueError(f"a slice of a motion has consecutive frames; a step of {frames.step} was asked for")
        mouths = None if self.mouths is None else self.mouths[frames]
        return replace(
            self,
            times=self.times[frames],
            points=self.points[frames],
            pose=self.pose[frames],
            curves=self.curves[frames],
            seen=self.seen[frames],
            shots=self.shots[frames],
            mouths=mouths,
        )

    @property
    def shapes(self) -> Floats:
        """(f, 478, 3) in eye units of the head: identity and expression, without the pose."""
        return self.pose.take(self.points)

    @staticmethod
    def from_points(
        times: npt.ArrayLike,
        points: Floats,
        rate: Fraction,
        *,
        neutral: Floats | None = None,
        seen: npt.ArrayLike | None = None,
        shots: npt.ArrayLike | None = None,
        mouths: Bytes | None = None,
        provenance: dict[str, str] | None = None,
    ) -> MotionMesh:
        """From tracked points (f, 478, 3) in pixels: finds poses and curves.

        `neutral (478, 3)` is the person's face at rest in eye units; without it, it is estimated from these frames.
        With it, a frame's motion does not depend on the frames it came with."""
        points = on_grid(points)
        found = np.ones(len(points), bool) if seen is None else np.asarray(seen, bool)
        if neutral is None:
            neutral = neutral_shape(points[found] if found.any() else points) if len(points) else canonical().points
        curves, pose = Rig.fit(neutral).track(points)
        return MotionMesh(
            times=np.asarray(times, np.float64),
            points=points,
            pose=replace(pose, shift=on_grid(pose.shift)),
            curves=curves,
            names=CARRIED,
            seen=found,
            shots=np.zeros(len(points), np.int32) if shots is None else np.asarray(shots, np.int32),
            rate=Fraction(rate),
            mouths=mouths,
            provenance=dict(provenance or {}),
        )

    def save(self, path: str | os.PathLike[str], *, exact: bool = False, overwrite: bool = False) -> None:
        """Writes a motion file: about 6 MB a minute, or 12 and lossless if `exact`.

        Errors: `Exists`, `Unwritable`."""
        from understudy.motion.file import save

        save([self], path, exact=exact, overwrite=overwrite)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> MotionMesh:
        """Reads a whole motion file. Errors: `MissingFile`, `BadMotionFile`."""
        from understudy.motion.file import read

        return whole(read(path))

    # --- edits ------------------------------------------------------------------------------------------------------

    def mirror(self, width: int) -> MotionMesh:
        """As if the driver's picture, `width` pixels wide, had been mirrored. Twice is exactly nothing."""
        swap = canonical().mirror
        flip = np.array([-1, 1, 1], np.float32)
        edge = np.array([width, 0, 0], np.float32)
        columns = [self.names.index(other) if other in self.names else -1 for other in map(_other_side, self.names)]
        if -1 in columns:
            alone = [name for name, column in zip(self.names, columns, strict=True) if column < 0]
            raise WrongMotion("to be mirrored, each curve of a motion needs its other side", f"only {', '.join(alone)}")
        pose = replace(
            self.pose,
            rotation=self.pose.rotation * np.outer(flip, flip),
            shift=on_grid(self.pose.shift) * flip + edge,
        )
        return replace(
            self,
            points=on_grid(self.points[:, swap]) * flip + edge,
            pose=pose,
            curves=self.curves[:, columns],
            mouths=None if self.mouths is None else self.mouths[:, :, ::-1],
        )

    def retime(self, rate: Fraction | int) -> MotionMesh:
        """The same performance at another rate: as long, and as fast. Between two frames heads turn along the shortest
        way and shapes change evenly; across a cut, or where nobody was seen, the nearer frame is taken."""
        rate = Fraction(rate)
        if rate <= 0:
            raise ValueError(f"a rate is positive; {rate} was asked for")
        if not len(self):
            return replace(self, rate=rate)
        long = self.times[-1] - self.times[0] + float(1 / self.rate)
        count = max(1, round(long * float(rate)))
        times = self.times[0] + np.arange(count) / float(rate)
        before = np.clip(np.searchsorted(self.times, times + 1e-9, side="right") - 1, 0, len(self) - 1)
        after = np.minimum(before + 1, len(self) - 1)
        share = (times - self.times[before]) / np.maximum(self.times[after] - self.times[before], 1e-9)
        share = np.where(share < 1e-6, 0, np.minimum(share, 1)) * (after > before)
        whole_only = (self.shots[before] != self.shots[after]) | ~self.seen[before] | ~self.seen[after]
        share = np.where(whole_only, np.round(share), share)
        nearest = np.where(share < 0.5, before, after)
        part = share[:, None].astype(np.float32)
        pose = between(self.pose, before, after, share)
        shapes = self.shapes
        mixed = shapes[before] * (1 - part[..., None]) + shapes[after] * part[..., None]
        as_is = (share == 0) | (share == 1)
        return replace(
            self,
            times=times,
            points=np.where(as_is[:, None, None], self.points[nearest], on_grid(pose.put(mixed))),
            pose=replace(pose, shift=on_grid(pose.shift)),
            curves=self.curves[before] * (1 - part) + self.curves[after] * part,
            seen=self.seen[nearest],
            shots=self.shots[nearest],
            rate=rate,
            mouths=None if self.mouths is None else self.mouths[nearest],
        )

    def smooth(self, seconds: float) -> MotionMesh:
        """Quieter: averaged with its neighbours in time under a bell of this standard deviation, never across a cut."""
        reach = int(np.ceil(3 * seconds * float(self.rate)))
        if reach < 1 or not len(self):
            return self
        scale = np.exp(self._averaged(np.log(np.maximum(self.pose.scale, 1e-6)), seconds, reach))
        shift = on_grid(self._averaged(self.pose.shift, seconds, reach))
        pose = Pose(average(self._averaged(self.pose.rotation, seconds, reach)), scale, shift)
        return replace(
            self,
            points=on_grid(pose.put(self._averaged(self.shapes, seconds, reach))),
            pose=pose,
            curves=self._averaged(self.curves, seconds, reach),
        )

    def _averaged(self, values: Floats, seconds: float, reach: int) -> Floats:
        """(f, ...) each with up to `reach` neighbours of its shot on both sides; where nobody was seen, as it was."""
        here, trailing = np.arange(len(self)), (1,) * (values.ndim - 1)
        gathered, total = np.zeros(values.shape), np.zeros(len(self))
        for offset in range(-reach, reach + 1):
            there = np.clip(here + offset, 0, len(self) - 1)
            weight = np.exp(-0.5 * ((self.times[there] - self.times) / seconds) ** 2)
            weight *= (there == here + offset) & (self.shots[there] == self.shots) & self.seen[there] & self.seen
            gathered += weight.reshape(-1, *trailing) * values[there]
            total += weight
        mean = gathered / np.where(total > 0, total, 1).reshape(-1, *trailing)
        return np.where((total > 0).reshape(-1, *trailing), mean, values).astype(np.float32)

    def scaled(
        self,
        strength: float = 1.0,
        *,
        mouth: float = 1.0,
        eyes: float = 1.0,
        brows: float = 1.0,
        pose: float = 1.0,
        neutral: Floats | None = None,
        still: Pose | None = None,
    ) -> MotionMesh:
        """More or less of it: the expression times `strength`, and times a weight for each region; head poses, which
        `strength` leaves alone, times `pose`. 0 is nothing of it, 1 as it is.

        What is scaled is the difference to `neutral (478, 3)`, the face at rest, and to the one pose of `still`; both
        are estimated from these frames unless given, as they must be for chunks to agree."""
        weights = {"mouth": strength * mouth, "eyes": strength * eyes, "brows": strength * brows}
        if not len(self) or (pose == 1 and all(weight == 1 for weight in weights.values())):
            return self
        rest = neutral_shape(self.points[self.seen] if self.seen.any() else self.points) if neutral is None else neutral
        amount = sum(weight * region_share(name) for name, weight in weights.items())
        shapes = rest + np.asarray(amount, np.float32)[:, None] * (self.shapes - rest)
        if max(weights.values()) > 1:
            shapes = shapes + Rig.fit(rest).kept_apart(shapes)
        turned = self.pose if pose == 1 else powered(self.pose, self._usual() if still is None else still, pose)
        gains = np.array([weights[_region(name)] for name in self.names], np.float32)
        return replace(
            self,
            points=on_grid(turned.put(np.asarray(shapes, np.float32))),
            pose=replace(turned, shift=on_grid(turned.shift)),
            curves=np.clip(self.curves * gains, 0, UPPER),
        )

    def _usual(self) -> Pose:
        """The pose (1) that the head has on average."""
        pose = self.pose
        scale = np.exp(np.log(np.maximum(pose.scale, 1e-6)).mean(keepdims=True))
        rotation = average(pose.rotation.mean(0, keepdims=True))
        return Pose(rotation, scale.astype(np.float32), pose.shift.mean(0, keepdims=True))


def whole(chunks: Iterable[MotionMesh]) -> MotionMesh:
    """Consecutive chunks of one performance as one. Errors: `WrongMotion` if they are not of one kind."""
    parts = list(chunks)
    if not parts:
        raise WrongMotion("there is no motion in what was to be put together", "no chunks")
    first = parts[0]
    if len(parts) == 1:
        return first
    sizes = {part.mouths.shape[1:] for part in parts if part.mouths is not None}
    for part in parts[1:]:
        if part.names != first.names or part.rate != first.rate or len(sizes) > 1:
            raise WrongMotion(
                "chunks of different performances cannot be one",
                f"{len(first.names)} curves at {first.rate} a second, then {len(part.names)} at {part.rate}",
                "join them instead",
            )
    return replace(
        first,
        times=np.concatenate([part.times for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        pose=Pose(
            np.concatenate([part.pose.rotation for part in parts]),
            np.concatenate([part.pose.scale for part in parts]),
            np.concatenate([part.pose.shift for part in parts]),
        ),
        curves=np.concatenate([part.curves for part in parts]),
        seen=np.concatenate([part.seen for part in parts]),
        shots=np.concatenate([part.shots for part in parts]),
        mouths=np.concatenate([_mouths(part, sizes) for part in parts]) if sizes else None,
    )


def _mouths(part: MotionMesh, sizes: set[tuple[int, ...]]) -> Bytes:
    """The insides of a chunk's mouths; black where nobody was seen in the whole chunk."""
    return part.mouths if part.mouths is not None else np.zeros((len(part), *min(sizes)), np.uint8)


def join(*motions: MotionMesh) -> MotionMesh:
    """Performances one after the other, with a cut between; at the rate of the first, with the curves they share.

    Insides of mouths are kept only if all have them, of one size."""
    parts = [motion for motion in motions if len(motion)]
    if not parts:
        raise WrongMotion("there is no motion in what was to be joined", f"{len(motions)} empty motions")
    first = parts[0]
    names = tuple(name for name in first.names if all(name in part.names for part in parts))
    sizes = {None if part.mouths is None else part.mouths.shape[1:] for part in parts}
    start, shots, placed = 0.0, 0, []
    for part in parts:
        moved = part if part.rate == first.rate else part.retime(first.rate)
        columns = [moved.names.index(name) for name in names]
        placed.append(
            replace(
                moved,
                times=moved.times - moved.times[0] + start,
                shots=moved.shots - moved.shots[0] + np.int32(shots),
                curves=moved.curves[:, columns],
                names=names,
                mouths=moved.mouths if len(sizes) == 1 else None,
            )
        )
        start = float(placed[-1].times[-1] + 1 / float(first.rate))
        shots = int(placed[-1].shots[-1]) + 1
    return whole(placed)


@lru_cache(maxsize=4)
def region_share(region: str) -> Floats:
    """(478,): how much each point belongs to "mouth", "eyes" or "brows", the three summing to 1: what part of what
    can move it is theirs."""
    size = np.linalg.norm(Rig.canonical().basis, axis=2)
    hold = {name: np.full(size.shape[1], 0.003) for name in _REGIONS}
    for name, moved in zip(CARRIED, size, strict=True):
        hold[_region(name)] += moved
    return np.asarray(hold[region] / sum(hold.values()), np.float32)


def _region(name: str) -> str:
    """The region that a curve belongs to."""
    return next((region for region, kinds in _REGIONS.items() if name.startswith(kinds)), "mouth")


def _other_side(name: str) -> str:
    """The curve of the mirror image."""
    for one, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(one):
            return name[: -len(one)] + other
    return name


def on_grid(values: npt.ArrayLike) -> Floats:
    """Whole 1024ths of a pixel."""
    return np.asarray(np.round(np.asarray(values, np.float32) * _GRID) / _GRID, np.float32)
