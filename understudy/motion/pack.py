"""A part of a performance as tensors for a file, and back; what comes back is checked as if an enemy had written it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import POINTS, Floats
from understudy.face.pose import Pose
from understudy.motion.mesh import Bytes, MotionMesh

Tensors = dict[str, npt.NDArray[Any]]
_STEPS: Final = 65_000  # across a frame's box, along each axis
_QUALITY: Final = 92  # of JPEG
_LARGEST: Final = 256  # pixels along the side of the inside of a mouth
_LONGEST: Final = 1024  # frames in one part: with the largest mouths, 200 MB
_FARTHEST: Final = 1e6  # pixels


def pack(part: MotionMesh, exact: bool) -> Tensors:
    """The tensors of some frames. `exact` stores every number as it is; else points and mouths are made small."""
    tensors: Tensors = {
        "times": part.times,
        "rotation": part.pose.rotation,
        "scale": part.pose.scale,
        "shift": part.pose.shift,
        "curves": part.curves,
        "seen": part.seen.astype(np.uint8),
        "shots": part.shots,
    }
    if exact:
        tensors["points"] = part.points
        if part.mouths is not None:
            tensors["mouths"] = part.mouths
    else:
        tensors |= _steps(part.points)
        if part.mouths is not None:
            tensors |= _pictures(part.mouths)
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def unpack(
    tensors: Tensors, rate: Fraction, names: tuple[str, ...], provenance: dict[str, str], frames: int | None
) -> MotionMesh:
    """The frames of a part. ValueError, with what was seen, if the tensors are not what `pack` makes."""
    times = _tensor(tensors, "times", np.float64, (None,))
    f = len(times)
    if not 0 < f <= _LONGEST or (frames is not None and f != frames):
        raise ValueError(f"a part of {f} frames where the header says {frames}")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("times that do not increase")
    pose = Pose(
        _tensor(tensors, "rotation", np.float32, (f, 3, 3)),
        _tensor(tensors, "scale", np.float32, (f,)),
        _tensor(tensors, "shift", np.float32, (f, 3)),
    )
    _within("rotation", pose.rotation, 1.001)
    _within("scale", pose.scale, _FARTHEST)
    _within("shift", pose.shift, _FARTHEST)
    if (pose.scale <= 0).any() or np.abs(pose.rotation @ pose.rotation.transpose(0, 2, 1) - np.eye(3)).max() > 1e-2:
        raise ValueError("poses that are none")
    exact = "points" in tensors
    points = _tensor(tensors, "points", np.float32, (f, POINTS, 3)) if exact else _unstepped(tensors, f)
    _within("points", points, _FARTHEST)
    curves = _tensor(tensors, "curves", np.float32, (f, len(names)))
    _within("curves", curves, 100.0)
    return MotionMesh(
        times=times,
        points=points,
        pose=pose,
        curves=curves,
        names=names,
        seen=_tensor(tensors, "seen", np.uint8, (f,)) != 0,
        shots=_tensor(tensors, "shots", np.int32, (f,)),
        rate=rate,
        mouths=_mouths(tensors, f),
        provenance=dict(provenance),
    )


def _tensor(tensors: Tensors, name: str, kind: type[np.generic], shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f"no {name}")
    if tensor.dtype != kind or len(tensor.shape) != len(shape):
        raise ValueError(f"{name} of {tensor.dtype} {tensor.shape}")
    if any(want is not None and have != want for have, want in zip(tensor.shape, shape, strict=True)):
        raise ValueError(f"{name} of shape {tensor.shape} where {shape} belongs")
    return tensor


def _within(name: str, tensor: npt.NDArray[Any], limit: float) -> None:
    if not np.isfinite(tensor).all() or (tensor.size and np.abs(tensor).max() > limit):
        raise ValueError(f"{name} that are not numbers, or beyond {limit:g}")


# --- points in 16 bits ----------------------------------------------------------------------------------------------


def _steps(points: Floats) -> Tensors:
    low, high = points.min(axis=1).astype(np.float64), points.max(axis=1).astype(np.float64)
    step = np.maximum(high - low, 1e-3) / _STEPS
    steps = np.round((points - low[:, None]) / step[:, None]).astype(np.uint16)
    return {"points.steps": steps, "points.low": low, "points.step": step}


def _unstepped(tensors: Tensors, f: int) -> Floats:
    steps = _tensor(tensors, "points.steps", np.uint16, (f, POINTS, 3))
    low = _tensor(tensors, "points.low", np.float64, (f, 3))
    step = _tensor(tensors, "points.step", np.float64, (f, 3))
    _within("points", low, _FARTHEST)
    _within("points", step, _FARTHEST)
    values = low[:, None] + steps * step[:, None]
    return np.asarray(np.round(values * 1024) / 1024, np.float32)


# --- insides of mouths ----------------------------------------------------------------------------------------------


def _pictures(mouths: Bytes) -> Tensors:
    """As JPEGs end to end."""
    coded = [cv2.imencode(".jpg", mouth[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1] for mouth in mouths]
    ends = np.cumsum([len(code) for code in coded]).astype(np.int64)
    return {
        "mouths.jpeg": np.concatenate(coded).reshape(-1),
        "mouths.ends": ends,
        "mouths.size": np.array(mouths.shape[1:3], np.int64),
    }


def _mouths(tensors: Tensors, f: int) -> Bytes | None:
    if "mouths" in tensors:
        mouths = _tensor(tensors, "mouths", np.uint8, (f, None, None, 3))
        return mouths
    if "mouths.jpeg" not in tensors:
        return None
    data = _tensor(tensors, "mouths.jpeg", np.uint8, (None,))
    ends = _tensor(tensors, "mouths.ends", np.int64, (f,))
    height, width = (int(side) for side in _tensor(tensors, "mouths.size", np.int64, (2,)))
    starts = np.concatenate([[0], ends[:-1]])
    if not (0 < height <= _LARGEST and 0 < width <= _LARGEST) or (ends < starts).any() or ends[-1] != len(data):
        raise ValueError(f"insides of mouths of {width}x{height}, or in disorder")
    mouths = np.empty((f, height, width, 3), np.uint8)
    for frame, (start, end) in enumerate(zip(starts, ends, strict=True)):
        code = data[start:end]
        if _jpeg_size(code.tobytes()) != (height, width):
            raise ValueError("an inside of a mouth of another size")
        picture = cv2.imdecode(code, cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (height, width, 3):
            raise ValueError("an inside of a mouth that cannot be decoded")
        mouths[frame] = picture[..., ::-1]
    return mouths


def _jpeg_size(code: bytes) -> tuple[int, int] | None:
    """(height, width) as a JPEG declares them, so that a small file cannot ask for a huge picture."""
    at = 2 if code[:2] == b"\xff\xd8" else len(code)
    while at + 9 <= len(code) and code[at] == 0xFF:
        mark, size = code[at + 1], int.from_bytes(code[at + 2 : at + 4], "big")
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(code[at + 5 : at + 7], "big"), int.from_bytes(code[at + 7 : at + 9], "big")
        at += 2 + size
    return None
