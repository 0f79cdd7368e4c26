"""A part of a performance in codes as tensors for a file, and back; checked as in `pack`."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from understudy.motion.code import MotionCode
from understudy.motion.pack import Tensors, tensor_in, times_in, within

_WIDEST: Final = 4096  # numbers of a code
_LARGEST: Final = 1e4  # such a number
_FARTHEST: Final = 1e6  # pixels


def pack(part: MotionCode, exact: bool) -> Tensors:
    """The tensors of some frames: codes as they are if `exact`, else in 16 bits."""
    tensors: Tensors = {
        "times": part.times,
        "code": part.code if exact else part.code.astype(np.float16),
        "box": part.box,
        "seen": part.seen.astype(np.uint8),
        "shots": part.shots,
    }
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def unpack(
    tensors: Tensors, rate: Fraction, names: tuple[str, ...], provenance: dict[str, str], frames: int | None
) -> MotionCode:
    """The frames of a part. ValueError, with what was seen, if the tensors are not what `pack` makes."""
    times = times_in(tensors, frames)
    f = len(times)
    if names:
        raise ValueError(f"codes with {len(names)} curves")
    short = "code" in tensors and tensors["code"].dtype == np.float16
    code = tensor_in(tensors, "code", np.float16 if short else np.float32, (f, None)).astype(np.float32)
    if not 0 < code.shape[1] <= _WIDEST:
        raise ValueError(f"codes of {code.shape[1]} numbers")
    within("code", code, _LARGEST)
    box = tensor_in(tensors, "box", np.float32, (f, 3))
    within("box", box, _FARTHEST)
    if (box[:, 2] <= 0).any():
        raise ValueError("boxes without a size")
    return MotionCode(
        times=times,
        code=code,
        box=box,
        seen=tensor_in(tensors, "seen", np.uint8, (f,)) != 0,
        shots=tensor_in(tensors, "shots", np.int32, (f,)),
        rate=rate,
        provenance=dict(provenance),
    )
