"""A part of driving pictures as tensors for a file, and back; checked as in `pack`."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from understudy.face.framing import SIDE
from understudy.face.mesh import POINTS
from understudy.motion.frames import MotionFrames
from understudy.motion.pack import Tensors, coded, decoded, tensor_in, times_in, within

_FARTHEST: Final = 1e6  # pixels


def pack(part: MotionFrames, exact: bool) -> Tensors:
    """The tensors of some frames: pictures as PNG if `exact`, else as JPEG; numbers as they are."""
    tensors: Tensors = {
        "times": part.times,
        "points": part.points,
        "squares": part.squares,
        "seen": part.seen.astype(np.uint8),
        "shots": part.shots,
        **coded("pictures", part.pictures, exact=exact),
    }
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def unpack(
    tensors: Tensors, rate: Fraction, names: tuple[str, ...], provenance: dict[str, str], frames: int | None
) -> MotionFrames:
    """The frames of a part. ValueError, with what was seen, if the tensors are not what `pack` makes."""
    times = times_in(tensors, frames)
    f = len(times)
    if names:
        raise ValueError(f"driving pictures with {len(names)} curves")
    points = tensor_in(tensors, "points", np.float32, (f, POINTS, 2))
    squares = tensor_in(tensors, "squares", np.float32, (f, 3))
    within("points", points, _FARTHEST)
    within("squares", squares, _FARTHEST)
    pictures = decoded("pictures", tensors, f)
    if pictures.shape[1:3] != (SIDE, SIDE):
        raise ValueError(f"driving pictures of {pictures.shape[2]}x{pictures.shape[1]}")
    return MotionFrames(
        times=times,
        pictures=pictures,
        points=points,
        squares=squares,
        seen=tensor_in(tensors, "seen", np.uint8, (f,)) != 0,
        shots=tensor_in(tensors, "shots", np.int32, (f,)),
        rate=rate,
        provenance=dict(provenance),
    )
