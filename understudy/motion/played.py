"""What the cast does, as a driver's mesh: so that what an actor imagines can be drawn by all that draws a mesh.

The way back is `bridge`. The face is the canonical one; what the mesh cannot tell (a tongue, puffed cheeks) is kept as
curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

import numpy as np
import torch
from torch import Tensor

from understudy.cast.how import INDEX, How, neutral
from understudy.cast.view import HALF
from understudy.face.arkit import ARKIT_NAMES, CARRIED
from understudy.face.mesh import Floats
from understudy.face.neutral import neutral_shape
from understudy.face.pose import PIVOT, Pose, fit_pose
from understudy.face.rig import Rig
from understudy.motion.bridge import EYE_UNIT, FLIP
from understudy.motion.mesh import MotionMesh
from understudy.motion.space import how_of, rows_of
from understudy.motion.speech import FPS

PICTURE: Final = 512  # pixels along the side of the picture in which the face is placed
SIZE: Final = 150.0  # pixels of an eye unit there
READ: Final = {"mouthPucker": 0.65, "mouthFunnel": 0.7, "jawOpen": 0.8, "eyeLook": 0.7, "brow": 0.85}
"""How large a tracker would read what is done, where the warp engine makes up for that (`generator.warp.transfer`): the
points are as it would read them, the curves as they are."""
READ_PITCH: Final = 0.85
_PLACE: Final = np.array([256.0, 278.0, 93.0])  # where the head turns about


def mesh_of(how: How, first: int = 0, provenance: dict[str, str] | None = None) -> MotionMesh:
    """`how` for frames from number `first` on, 25 a second, as a mesh."""
    curves = how.curves.numpy().astype(np.float32)
    carried = curves[:, [INDEX[name] for name in CARRIED]]
    # the cast's lips shut when they close all the way, the rig's when they close as far as the jaw has opened
    close, jaw = CARRIED.index("mouthClose"), CARRIED.index("jawOpen")
    carried[:, close] *= carried[:, jaw]
    carried *= _READ
    pose = _pose(how)
    return MotionMesh(
        times=(first + np.arange(len(how))) / FPS,
        points=Rig.canonical().points(carried, pose),
        pose=pose,
        curves=curves,
        names=ARKIT_NAMES,
        seen=np.ones(len(how), bool),
        shots=np.zeros(len(how), np.int32),
        rate=Fraction(FPS),
        provenance={"picture": f"{PICTURE}x{PICTURE}", **(provenance or {})},
    )


_READ: Final = np.array(
    [next((size for kind, size in READ.items() if name.startswith(kind)), 1.0) for name in CARRIED], np.float32
)
_READ[CARRIED.index("mouthClose")] = READ["jawOpen"]  # which is a share of it


def hows(chunks: Iterable[Tensor]) -> Iterator[How]:
    """A performance's rows (f, 58), chunk after chunk, as what the cast does."""
    for rows in chunks:
        yield how_of(rows.float().cpu())


def meshes(chunks: Iterable[Tensor], provenance: dict[str, str] | None = None) -> Iterator[MotionMesh]:
    """The same as meshes."""
    first = 0
    for how in hows(chunks):
        yield mesh_of(how, first, provenance)
        first += len(how)


def rest() -> MotionMesh:
    """One frame of a face at rest that looks straight ahead."""
    return mesh_of(neutral(1))


def start() -> Tensor:
    """(58,) the row of a face at rest."""
    return rows_of(neutral(1))[0]


def worn(points: Floats) -> Tensor:
    """(58,) the row of the expression on a face (478, 3), as a tracker has read it; its head is straight."""
    pose = fit_pose(points[None])
    read = Rig.fit(neutral_shape(points[None])).read(pose.take(points[None])) / _READ
    close, jaw = CARRIED.index("mouthClose"), CARRIED.index("jawOpen")
    read[:, close] = np.clip(read[:, close] * _READ[close] / np.maximum(read[:, jaw] * _READ[jaw], 0.05), 0, 1)
    how = neutral(1)
    how.curves[:, [INDEX[name] for name in CARRIED]] = torch.from_numpy(np.clip(read, 0, 1))
    return rows_of(how)[0]


def _pose(how: How) -> Pose:
    """`bridge.turns` the other way; the head turns about its middle."""
    yaw, pitch, roll = np.radians(how.turn.numpy().astype(np.float64) * np.array([1, READ_PITCH, 1])).T
    turned = _about(1, yaw)
    rotation = (_about(2, -roll) @ turned @ _about(0, -pitch)) * np.outer(FLIP, FLIP)
    place = how.place.numpy().astype(np.float64)
    scale = SIZE * place[:, 2]
    moved = place[:, :2] * HALF / EYE_UNIT * SIZE * FLIP[:2]
    pivot = _PLACE + np.concatenate([moved, np.zeros((len(how), 1))], 1)
    shift = pivot - scale[:, None] * (rotation @ PIVOT.astype(np.float64))
    return Pose(rotation.astype(np.float32), scale.astype(np.float32), _floats(shift))


def _about(axis: int, angle: np.ndarray) -> np.ndarray:
    """(f, 3, 3) rotations about an axis, by the right-hand rule."""
    one, other = [k for k in range(3) if k != axis]
    sign = -1.0 if axis == 1 else 1.0
    found = np.tile(np.eye(3), (len(angle), 1, 1))
    found[:, one, one] = found[:, other, other] = np.cos(angle)
    found[:, one, other] = -sign * np.sin(angle)
    found[:, other, one] = sign * np.sin(angle)
    return found


def _floats(values: np.ndarray) -> Floats:
    return np.asarray(values, np.float32)
