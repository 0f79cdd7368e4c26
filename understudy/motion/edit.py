"""The motion desk: performances cut, looped, mixed, held, redirected; every edit a function from motion to motion.

What is cut (`trim`, `faster`) works on any kind. What is mixed or moved works on meshes alone: a picture of a driver
in which the jaw opens half as far would have to be drawn, and is not motion any more.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from understudy.errors import BadOption, WrongMotion
from understudy.face.mesh import Floats
from understudy.face.neutral import neutral_shape
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import CARRIED, UPPER, Rig
from understudy.face.turns import average, between
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames
from understudy.motion.mesh import MotionMesh, on_grid, whole

M = TypeVar("M", MotionMesh, MotionFrames, MotionCode)

ACROSS: Final = 0.60  # radians of an eye whose eyeLookIn or eyeLookOut is 1: see `motion.livelink`
DOWN: Final = 0.55  # likewise eyeLookUp and eyeLookDown
GAZE: Final = tuple(name for name in CARRIED if name.startswith("eyeLook"))
_A_MOMENT: Final = 1e-6  # seconds


# --- cut --------------------------------------------------------------------------------------------------------------


def trim(motion: M, start: float = 0.0, end: float | None = None) -> M:
    """From second `start` to second `end`, beginning at 0 again. Errors: `BadOption` where nothing is left."""
    last = float("inf") if end is None else end
    times = motion.times - (motion.times[0] if len(motion) else 0)
    wanted = np.flatnonzero((times >= start - _A_MOMENT) & (times < last - _A_MOMENT))
    if not len(wanted):
        long = f"it lasts {times[-1] + float(1 / motion.rate):.2f} s" if len(motion) else "it has no frames"
        raise BadOption(f"nothing is left between {start:g} and {last:g} s", long, "other moments")
    part = motion[int(wanted[0]) : int(wanted[-1]) + 1]
    return replace(part, times=part.times - part.times[0], shots=part.shots - part.shots[0])


def faster(motion: M, factor: float) -> M:
    """The same frames in less time; 0.5 is half as fast. Errors: `BadOption`."""
    if not 0.01 <= factor <= 100:
        raise BadOption(f"a speed of {factor:g} is out of range", remedy="0.01 to 100; 1 is as it was")
    if factor == 1:
        return motion
    exact = Fraction(factor).limit_denominator(1000)
    return replace(motion, times=motion.times / float(exact), rate=motion.rate * exact)


def repeat(motion: MotionMesh, times: int) -> MotionMesh:
    """One after the other without a cut, which is seamless after `loop`."""
    if times < 1:
        raise BadOption(f"{times} times is no number of times", remedy="1 or more")
    long = motion.times[-1] - motion.times[0] + float(1 / motion.rate)
    shots = int(motion.shots[-1] - motion.shots[0])
    return whole(
        replace(motion, times=motion.times + k * long, shots=motion.shots + np.int32(k * shots)) for k in range(times)
    )


# --- mixed ------------------------------------------------------------------------------------------------------------


def blend(one: MotionMesh, other: MotionMesh, share: float | Floats) -> MotionMesh:
    """Two performances at once, as long as the shorter one, at the rate of the first: `share`, a number or (f,), is how
    much of it is the other's, from 0 to 1. At 0 and 1 frames are exactly those of the one or the other.

    Where only one of them shows a face, that one alone. Errors: `BadOption`."""
    if other.rate != one.rate:
        other = other.retime(one.rate)
    frames = min(len(one), len(other))
    if not frames:
        raise BadOption("a motion without frames cannot be blended", remedy="another motion file")
    part = np.broadcast_to(np.asarray(share, np.float64), (len(one) if np.ndim(share) else frames,))[:frames]
    if not ((part >= 0) & (part <= 1)).all():
        raise BadOption("the share of a blend is out of range", f"{part.min():g} to {part.max():g}", "0 to 1")
    return mixed(one[:frames], other[:frames], part)


def mixed(one: MotionMesh, other: MotionMesh, share: npt.NDArray[np.float64]) -> MotionMesh:
    """As many frames of each, frame by frame; `share (f,)` of the other."""
    here = np.arange(len(one))
    share = np.where(~one.seen & other.seen, 1.0, np.where(one.seen & ~other.seen, 0.0, share))
    both = Pose(
        np.concatenate([one.pose.rotation, other.pose.rotation]),
        np.concatenate([one.pose.scale, other.pose.scale]),
        np.concatenate([one.pose.shift, other.pose.shift]),
    )
    pose = between(both, here, here + len(one), share)
    pose = replace(pose, shift=on_grid(pose.shift))
    part = share.astype(np.float32)[:, None]
    shapes = one.shapes * (1 - part[..., None]) + other.shapes * part[..., None]
    names = tuple(name for name in one.names if name in other.names)
    theirs = other.curves[:, [other.names.index(name) for name in names]]
    ours = one.curves[:, [one.names.index(name) for name in names]]
    points = np.where((share == 0)[:, None, None], one.points, on_grid(pose.put(shapes)))
    cut = (np.diff(one.shots, prepend=one.shots[:1]) != 0) | (np.diff(other.shots, prepend=other.shots[:1]) != 0)
    return replace(
        one,
        points=np.where((share == 1)[:, None, None], other.points, points),
        pose=pose,
        curves=ours * (1 - part) + theirs * part,
        names=names,
        seen=one.seen | other.seen,
        shots=np.cumsum(cut).astype(np.int32),
        mouths=_mouths(one, other, share),
    )


def _mouths(one: MotionMesh, other: MotionMesh, share: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8] | None:
    """Pictures are not mixed: of each frame, the mouth of whoever has the larger share."""
    if one.mouths is None or other.mouths is None or one.mouths.shape[1:] != other.mouths.shape[1:]:
        return one.mouths if share.max() < 0.5 else other.mouths if share.min() > 0.5 else None
    return np.where((share < 0.5)[:, None, None, None], one.mouths, other.mouths)


def loop(motion: MotionMesh, seconds: float) -> MotionMesh:
    """Shorter by `seconds`, and seamless: its beginning grows out of what came after its end.

    Errors: `BadOption` where it is shorter than twice that; `WrongMotion` where it is cut, or nobody is seen."""
    over = round(seconds * float(motion.rate))
    if not 1 <= over <= len(motion) // 2:
        raise BadOption(
            f"a seam of {seconds:g} s does not fit",
            f"the motion lasts {len(motion) / float(motion.rate):.2f} s",
            f"{float(1 / motion.rate):.2g} to {len(motion) / float(motion.rate) / 2:.2g} s",
        )
    if motion.shots[0] != motion.shots[-1] or not motion.seen.all():
        raise WrongMotion(
            "only a performance without cuts and gaps can be looped",
            f"{int(motion.shots[-1] - motion.shots[0])} cuts, {int((~motion.seen).sum())} frames without a face",
            "--start and --end, to take a part of it",
        )
    kept = len(motion) - over
    ease = (np.arange(over) + 0.5) / over
    ease = ease * ease * (3 - 2 * ease)
    seam = mixed(motion[kept:], motion[:over], ease)
    return whole([replace(seam, times=motion.times[:over], shots=motion.shots[:over]), motion[over:kept]])


# --- moved ------------------------------------------------------------------------------------------------------------


def hold_head(motion: MotionMesh, at: float | None = None) -> MotionMesh:
    """The head keeps one pose: the one of second `at`, or else its average. The face goes on acting."""
    return motion.scaled(pose=0.0, still=usual(motion.pose) if at is None else pose_at(motion, at))


def pose_at(motion: MotionMesh, second: float) -> Pose:
    """The pose (1) of the frame that is shown at a second."""
    k = int(np.clip(np.searchsorted(motion.times - motion.times[0], second + _A_MOMENT) - 1, 0, len(motion) - 1))
    return motion.pose[k : k + 1]


def usual(pose: Pose) -> Pose:
    """The pose (1) that a head has on average."""
    scale = np.exp(np.log(np.maximum(pose.scale, _A_MOMENT)).mean(keepdims=True))
    rotation = average(pose.rotation.mean(0, keepdims=True))
    return Pose(rotation, scale.astype(np.float32), pose.shift.mean(0, keepdims=True))


def look_at_camera(motion: MotionMesh, amount: float = 1.0, neutral: Floats | None = None) -> MotionMesh:
    """The eyes stay on the camera, however the head turns, as far as eyes can: `amount` 1 all the way, 0 not at all.

    A head that faces the camera has eyes that look straight ahead, and every curve of gaze at 0."""
    if not 0 <= amount <= 1:
        raise BadOption(f"looking at the camera by {amount:g} is out of range", remedy="0 to 1")
    missing = [name for name in GAZE if name not in motion.names]
    if missing:
        raise WrongMotion("a motion without curves of gaze cannot be told where to look", ", ".join(missing))
    aim = gaze_at_camera(motion.pose)
    columns = [motion.names.index(name) for name in GAZE]
    curves = motion.curves.copy()
    curves[:, columns] += np.float32(amount) * (aim - curves[:, columns])
    return recurved(motion, curves, neutral)


def gaze_at_camera(pose: Pose) -> Floats:
    """(f, 8): the curves of gaze, in the order of `GAZE`, of eyes that look along the line of sight of the camera."""
    yaw, pitch = np.radians(pose.angles[:, 0]), np.radians(pose.angles[:, 1])
    across, down = np.clip(yaw / ACROSS, -1, 1), np.clip(-pitch / DOWN, -1, 1)
    # Where the head has turned to the picture's right, eyes turn back: the left one inwards, the right one outwards.
    way = {"InLeft": across, "OutLeft": -across, "OutRight": across, "InRight": -across}
    way |= {f"{turn}{side}": sign * down for side in ("Left", "Right") for turn, sign in (("Down", 1), ("Up", -1))}
    return np.stack([np.maximum(way[name.removeprefix("eyeLook")], 0) for name in GAZE], -1).astype(np.float32)


def recurved(motion: MotionMesh, curves: Floats, neutral: Floats | None = None) -> MotionMesh:
    """With other curves (f, c): points move as the rig of this face says that they do between the two. What the rig
    does not explain of the face, such as what it looks like, stays.

    neutral: (478, 3) the face at rest; without it, it is estimated from these frames."""
    if not len(motion):
        return motion
    rest = neutral
    if rest is None:
        rest = neutral_shape(motion.points[motion.seen] if motion.seen.any() else motion.points)
    wanted = np.clip(curves, 0, UPPER).astype(np.float32)
    changed = (wanted != motion.curves).any(axis=1)
    if not changed.any():
        return motion
    rig = Rig.fit(rest)
    before, after = (rig.shapes(_carried(each[changed], motion.names)) for each in (motion.curves, wanted))
    shapes = motion.shapes[changed] + (after - before)
    shapes = shapes + rig.kept_apart(shapes)
    pose = Pose(motion.pose.rotation[changed], motion.pose.scale[changed], motion.pose.shift[changed])
    points = motion.points.copy()
    points[changed] = on_grid(pose.put(np.asarray(shapes, np.float32)))
    return replace(motion, points=points, curves=wanted)


def _carried(curves: Floats, names: tuple[str, ...]) -> Floats:
    """(f, c) by these names -> (f, k) as the rig has them; what is absent is 0."""
    found = np.zeros((len(curves), len(CARRIED)), np.float32)
    for column, name in enumerate(names):
        if name in CARRIED:
            found[:, CARRIED.index(name)] = curves[:, column]
    return found


def turned(motion: MotionMesh, angles: Floats) -> MotionMesh:
    """With other head poses (f, 3), yaw, pitch and roll in degrees, about the point that a head turns about."""
    same = np.abs(angles - motion.pose.angles).max(axis=1) < _A_MOMENT
    rotation = np.where(same[:, None, None], motion.pose.rotation, rotation_of(angles))
    loose = Pose(rotation.astype(np.float32), motion.pose.scale, np.zeros_like(motion.pose.shift))
    pose = replace(loose, shift=on_grid(motion.pose.pivot - loose.pivot))
    points = np.where(same[:, None, None], motion.points, on_grid(pose.put(motion.shapes)))
    return replace(
        motion, points=points, pose=replace(pose, shift=np.where(same[:, None], motion.pose.shift, pose.shift))
    )
