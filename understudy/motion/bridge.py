"""The bridge: anybody's motion as one of the cast would do it.

X-Portrait learns from pictures of another person doing what the driver does. Of real people there are none; but the
driver's mesh can be read as `How`, and somebody of the cast be drawn with it, of whom everything is known exactly.

Where heads are and which way they face is geometry. What faces do is read by the rig, coefficient by coefficient, whose
shapes on real faces and on the cast's are nearly the same (`READINGS` says how nearly). That is a cautious reading:
what it leaves over of mouth, jaw and brows is fitted, by least squares, with what the cast's own coefficients do to the
same points. How lids are shut and where eyes look is taken as read: there the size of the eye is what counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from understudy.cast.draw import draw
from understudy.cast.how import ARKIT_NAMES, INDEX, PITCH, ROLL, YAW, How
from understudy.cast.landmarks import Landmarks
from understudy.cast.stage import to_bytes
from understudy.cast.view import DISTANCE, HALF, LOW, PIVOT, view
from understudy.cast.who import Who
from understudy.errors import NoFace
from understudy.face.arkit import CARRIED
from understudy.face.mesh import CHIN, Floats
from understudy.face.neutral import neutral_shape
from understudy.face.pose import Pose, fit_pose
from understudy.face.rig import Rig
from understudy.motion.mesh import Bytes, MotionMesh, whole

Values = npt.NDArray[np.float64]

ENOUGH: Final = 150  # frames from which the driver's face at rest is estimated, if there are as many
FLIP: Final = np.array([1.0, -1.0, -1.0])  # a mesh's axes (right, down, away) and the cast's (right, up, near)
EYE_UNIT: Final = 0.97  # head units of the cast between the outer corners of the eyes
MIDDLE: Final = np.array([0.0, -0.41, 0.12])  # `face.pose.PIVOT` in the cast's head
PLACES: Final = np.array([0.22, 0.18])  # how far a head may go from the middle, half picture heights
NEAREST, FARTHEST = 1.3, 0.75  # scales
# The cast's heads, level, are read as nodding 12 degrees down, and turned ones as turned 1.3 times as far
# (`runs/bridge.py`). How much of that is the cast's and how much the tracker's own is not known; some is made up for.
LEVEL: Final = 6.0
YAW_GAIN: Final = 0.9
SHUT: Final = 0.06  # lips that are no farther apart than this, of the mouth's width
LONGER: Final = 0.02  # eye units between nose and chin
NOSE_BASE: Final = 2
ALIKE, WINK = 0.15, 0.5  # differences of two eyes that do the same, and that do not
SLOPES: Final = 60  # steps of the least squares
TRUST: Final = 0.05  # in the reading, against what is left over, both as shares of what a coefficient moves

READINGS: Final[Mapping[str, float]] = MappingProxyType({
    # how large a coefficient of the cast moves its points as far as the rig's does at 1 (`runs/bridge.py`)
    "browDown": 0.77, "browInnerUp": 0.84, "browOuterUp": 0.82, "eyeSquint": 1.41, "jawLeft": 0.64, "jawRight": 0.64,
    "mouthClose": 1.60, "mouthFrown": 1.39, "mouthPucker": 0.90, "mouthRollLower": 0.73, "mouthShrugLower": 0.75,
    "mouthShrugUpper": 0.72, "mouthStretch": 1.89, "mouthUpperUp": 1.13, "noseSneer": 0.35,
    # lids are read by their share of the eye's own opening; shut ones as a little less than they are
    "eyeBlink": 1.10,
})  # fmt: skip


@dataclass(frozen=True)
class Rest:
    """The driver at rest: what is measured from it. There the stand-in is in the middle, and of the usual size."""

    shape: Floats  # (478, 3) eye units
    pivot: Floats  # (2,) where the head turned about, pixels of the driver's picture
    scale: float  # pixels per eye unit


def rest_of(motion: MotionMesh, frame: int | None = None) -> Rest:
    """From some frames of a driver; place and size as in `frame`, or in the first that shows somebody.

    Errors: `NoFace` where none does."""
    if not motion.seen.any():
        raise NoFace("there is nobody in this motion", f"{len(motion)} frames without a face", "another driver")
    at = int(np.argmax(motion.seen)) if frame is None else frame
    shape = neutral_shape(_unstretched(motion.points[motion.seen]))
    return Rest(shape, motion.pose.pivot[at, :2].copy(), float(motion.pose.scale[at]))


def _unstretched(points: Floats) -> Floats:
    """(f, 478, 3) without the frames in which the lips are shut but the jaw is down: a face that is long at rest would
    have its mouth too high ever after, which is a grin."""
    shapes = fit_pose(points).take(points)
    wide = np.maximum(np.linalg.norm(shapes[:, 61] - shapes[:, 291], axis=1), 1e-3)
    shut = shapes[:, 14, 1] - shapes[:, 13, 1] < SHUT * wide
    if not shut.any():
        return points
    long = shapes[:, CHIN, 1] - shapes[:, NOSE_BASE, 1]
    kept = ~(shut & (long > np.quantile(long[shut], 0.25) + LONGER))
    return np.asarray(points[kept], np.float32)


def how_of(motion: MotionMesh, rest: Rest | None = None) -> How:
    """The same expressions and poses, for the cast: one `How` for all frames, within what the cast is drawn for.

    Without `rest`, these frames tell it; with it, a frame does not depend on those it came with."""
    rest = rest_of(motion) if rest is None else rest
    read, pose = Rig.fit(rest.shape).track(motion.points)
    turn = turns(pose)
    straight = How(torch.zeros(len(motion), len(ARKIT_NAMES)), torch.from_numpy(turn), torch.ones(len(motion), 3))
    rotation = view(straight, 2, 2).turn.numpy().astype(np.float64)
    return How(
        curves=torch.from_numpy(_curves(read, pose.take(motion.points) - rest.shape)),
        turn=torch.from_numpy(turn),
        place=torch.from_numpy(_places(pose, rotation, rest)),
    )


def turns(pose: Pose) -> Floats:
    """(f, 3): yaw, pitch and roll in degrees as the cast counts them, within its limits.

    The cast turns its heads about other axes, and in another order, than `face.pose` takes rotations apart."""
    level = np.radians(LEVEL)
    up = np.array([[1, 0, 0], [0, np.cos(level), np.sin(level)], [0, -np.sin(level), np.cos(level)]])
    r = (pose.rotation.astype(np.float64) @ up) * np.outer(FLIP, FLIP)
    yaw = np.degrees(np.arcsin(np.clip(-r[:, 2, 0], -1, 1))) * YAW_GAIN
    pitch = np.degrees(np.arctan2(-r[:, 2, 1], r[:, 2, 2]))
    roll = np.degrees(np.arctan2(-r[:, 1, 0], r[:, 0, 0]))
    limit = np.array([YAW, PITCH, ROLL])
    return np.asarray(np.clip(np.stack([yaw, pitch, roll], 1), -limit, limit), np.float32)


# --- where the head is --------------------------------------------------------------------------------------------


def _places(pose: Pose, rotation: Values, rest: Rest) -> Floats:
    """(f, 3): right, up and scale, such that the middle of the head goes where the driver's goes.

    The cast turns on its neck; what that moves the head by is no part of its place."""
    scale = np.clip(pose.scale / rest.scale, FARTHEST, NEAREST).astype(np.float64)[:, None]
    moved = (pose.pivot[:, :2] - rest.pivot) / rest.scale * (FLIP[:2] * EYE_UNIT)
    neck, middle = np.array(PIVOT), np.array([0, LOW])
    turned = (rotation @ (MIDDLE - neck)) + neck
    wanted = _larger(MIDDLE[2:]) * (MIDDLE[:2] - middle + _within(moved, PLACES * HALF))
    shift = wanted / (scale * _larger(turned[:, 2:])) - (turned[:, :2] - middle)
    return np.concatenate([_within(shift / HALF, PLACES), scale], 1).astype(np.float32)


def _larger(near: Values) -> Values:
    """How much larger something is seen than in the plane through the middle of the head."""
    return np.asarray(DISTANCE / (DISTANCE - near), np.float64)


def _within(moved: Values, most: Values) -> Values:
    """Small moves as they are, large ones kept within `most`, without a corner between."""
    far = np.abs(moved) / most
    return np.sign(moved) * most * np.where(far < 0.5, far, 0.5 + 0.5 * np.tanh(2 * far - 1))


# --- what the face does -------------------------------------------------------------------------------------------


def _curves(read: Floats, moved: Floats) -> Floats:
    """Coefficients of the cast (f, 52), from those of the rig (f, k) and what points moved by (f, 478, 3)."""
    first = np.clip(read.astype(np.float64) * _gains(), 0, 1)
    found = _problem().solve(first, moved.astype(np.float64))
    # the rig's lips shut when they close as far as the jaw has opened, the cast's when they close all the way
    close, jaw = CARRIED.index("mouthClose"), CARRIED.index("jawOpen")
    found[:, close] = np.clip(read[:, close] / np.maximum(found[:, jaw], 0.1), 0, 1)
    for lids in ("eyeBlink", "eyeWide"):
        _paired(found, CARRIED.index(f"{lids}Left"), CARRIED.index(f"{lids}Right"))
    curves = np.zeros((len(read), len(ARKIT_NAMES)), np.float32)
    curves[:, [INDEX[name] for name in CARRIED]] = found
    return curves


def _paired(found: Values, left: int, right: int) -> None:
    """Eyes open and shut together, but for a wink: small differences are the tracker's. In place."""
    middle, off = (found[:, left] + found[:, right]) / 2, (found[:, left] - found[:, right]) / 2
    wink = off * np.clip((2 * np.abs(off) - ALIKE) / (WINK - ALIKE), 0, 1)
    found[:, left], found[:, right] = middle + wink, middle - wink


@lru_cache(maxsize=1)
def _gains() -> Values:
    return np.array([READINGS.get(kind(name), 1.0) for name in CARRIED])


def kind(name: str) -> str:
    """What both sides of the face have in common: eyeBlinkLeft is an eyeBlink. Jaw and mouth move as a whole."""
    if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return name
    return name.removesuffix("Left").removesuffix("Right")


def _fitted(name: str) -> bool:
    """Whether least squares may change it: lips that are rolled in or pressed shut are not seen from where they are."""
    return name.startswith(("mouth", "jaw", "brow")) and not name.startswith(("mouthRoll", "mouthClose"))


@dataclass(frozen=True)
class _Problem:
    """min over 0 <= c <= 1 of |moves c - moved|^2 + trust |c - first|^2: the same for all frames."""

    points: list[int]  # (p,) of the mesh, which the cast's landmarks have too
    free: list[int]  # (c,) columns that are looked for
    held: Values  # (k - c, 3 p) what the others move
    moves: Values  # (c, 3 p)
    weight: Values  # (3 p,) of an error
    form: Values  # (c, c)
    trust: Values  # (c,)
    step: float

    def solve(self, first: Values, moved: Values) -> Values:
        """(f, k) first guesses and (f, 478, 3) what points moved by -> (f, k). Frame by frame, by accelerated
        projected gradients (Beck and Teboulle 2009): products of other sizes would round differently."""
        found = first.copy()
        others = [column for column in range(first.shape[1]) if column not in self.free]
        for row, guess, points in zip(found, first, moved, strict=True):
            left = points[self.points].ravel() - guess[others] @ self.held
            aim = self.moves @ (left * self.weight) + self.trust * guess[self.free]
            here = ahead = guess[self.free]
            pace = 1.0
            for _ in range(SLOPES):
                there = np.clip(ahead - (self.form @ ahead - aim) * self.step, 0, 1)
                quicker = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
                ahead = there + (pace - 1) / quicker * (there - here)
                here, pace = there, quicker
            row[self.free] = here
        return found


@lru_cache(maxsize=1)
def _problem() -> _Problem:
    points, moves = cast_moves()
    flat = moves.reshape(len(CARRIED), -1)
    weight = np.tile([1.0, 1.0, 0.1], len(points))  # depth is what a tracker knows least of
    free = [column for column, name in enumerate(CARRIED) if _fitted(name)]
    form = (flat[free] * weight) @ flat[free].T
    trust = TRUST * np.diag(form).mean() * np.ones(len(free))
    form = form + np.diag(trust)
    return _Problem(
        points=points.tolist(),
        free=free,
        held=np.delete(flat, free, axis=0),
        moves=flat[free],
        weight=weight,
        form=form,
        trust=trust,
        step=float(1 / np.linalg.eigvalsh(form)[-1]),
    )


@lru_cache(maxsize=1)
def cast_moves() -> tuple[npt.NDArray[np.int32], Values]:
    """Points of the mesh (p,) that the cast's landmarks have too, and how each coefficient that the rig carries moves
    them on the cast at 1: (k, p, 3), in a mesh's axes and eye units. Made by `runs/bridge.py`."""
    from safetensors.numpy import load

    stored = load((resources.files("understudy") / "pretrained" / "bridge.safetensors").read_bytes())
    return stored["points"], stored["moves"].astype(np.float64)


# --- the stand-in -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StandIn:
    """`f` frames of a performance, and one of the cast doing the same."""

    motion: MotionMesh
    how: How
    pictures: Bytes  # (f, size, size, 3) sRGB
    landmarks: Landmarks


def stand_in(chunks: Iterable[MotionMesh], who: Who, size: int = 256, rest: Rest | None = None) -> Iterator[StandIn]:
    """`who` (one person) doing what is in a motion, in its chunks. Each picture is drawn alone, so that none depends
    on its neighbours. Without `rest`, nothing is drawn until `ENOUGH` frames have told it.

    Errors: `NoFace` where nobody is seen at all."""
    waiting: list[MotionMesh] = []
    for chunk in chunks:
        waiting.append(chunk)
        if rest is None and sum(int(part.seen.sum()) for part in waiting) >= ENOUGH:
            rest = rest_of(whole(waiting))
        if rest is not None:
            for part in waiting:
                yield _played(part, who, size, rest)
            waiting = []
    if waiting:
        rest = rest_of(whole(waiting))
        for part in waiting:
            yield _played(part, who, size, rest)


def _played(motion: MotionMesh, who: Who, size: int, rest: Rest) -> StandIn:
    how = how_of(motion, rest)
    return StandIn(motion, how, *drawn_as(how, who, size))


def drawn_as(how: How, who: Who, size: int) -> tuple[Bytes, Landmarks]:
    """One person doing something: pictures (f, size, size, 3), each drawn alone, and where everything is in them."""
    with torch.no_grad():
        drawn = [draw(who, how[[frame]], size) for frame in range(len(how))]
    points = [torch.cat([getattr(d.landmarks, field.name) for d in drawn]) for field in fields(Landmarks)]
    return np.concatenate([to_bytes(d.image) for d in drawn]), Landmarks(*points)
