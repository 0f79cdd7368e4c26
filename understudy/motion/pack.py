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
            tensors |= coded("mouths", part.mouths)
    return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def unpack(
    tensors: Tensors, rate: Fraction, names: tuple[str, ...], provenance: dict[str, str], frames: int | None
) -> MotionMesh:
    """The frames of a part. ValueError, with what was seen, if the tensors are not what `pack` makes."""
    times = times_in(tensors, frames)
    f = len(times)
    pose = Pose(
        tensor_in(tensors, "rotation", np.float32, (f, 3, 3)),
        tensor_in(tensors, "scale", np.float32, (f,)),
        tensor_in(tensors, "shift", np.float32, (f, 3)),
    )
    within("rotation", pose.rotation, 1.001)
    within("scale", pose.scale, _FARTHEST)
    within("shift", pose.shift, _FARTHEST)
    if (pose.scale <= 0).any() or np.abs(pose.rotation @ pose.rotation.transpose(0, 2, 1) - np.eye(3)).max() > 1e-2:
        raise ValueError("poses that are none")
    exact = "points" in tensors
    points = tensor_in(tensors, "points", np.float32, (f, POINTS, 3)) if exact else _unstepped(tensors, f)
    within("points", points, _FARTHEST)
    curves = tensor_in(tensors, "curves", np.float32, (f, len(names)))
    within("curves", curves, 100.0)
    return MotionMesh(
        times=times,
        points=points,
        pose=pose,
        curves=curves,
        names=names,
        seen=tensor_in(tensors, "seen", np.uint8, (f,)) != 0,
        shots=tensor_in(tensors, "shots", np.int32, (f,)),
        rate=rate,
        mouths=_mouths(tensors, f),
        provenance=dict(provenance),
    )


def times_in(tensors: Tensors, frames: int | None) -> npt.NDArray[np.float64]:
    """When the frames of a part are, which must be as many as the header says. ValueError."""
    times = tensor_in(tensors, "times", np.float64, (None,))
    f = len(times)
    if not 0 < f <= _LONGEST or (frames is not None and f != frames):
        raise ValueError(f"a part of {f} frames where the header says {frames}")
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("times that do not increase")
    return times


def tensor_in(tensors: Tensors, name: str, kind: type[np.generic], shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """The tensor of that name, which must be of this kind and shape (None: any length). ValueError."""
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f"no {name}")
    if tensor.dtype != kind or len(tensor.shape) != len(shape):
        raise ValueError(f"{name} of {tensor.dtype} {tensor.shape}")
    if any(want is not None and have != want for have, want in zip(tensor.shape, shape, strict=True)):
        raise ValueError(f"{name} of shape {tensor.shape} where {shape} belongs")
    return tensor


def within(name: str, tensor: npt.NDArray[Any], limit: float) -> None:
    """ValueError for what are not numbers, or too large."""
    if not np.isfinite(tensor).all() or (tensor.size and np.abs(tensor).max() > limit):
        raise ValueError(f"{name} that are not numbers, or beyond {limit:g}")


# --- points in 16 bits ----------------------------------------------------------------------------------------------


def _steps(points: Floats) -> Tensors:
    low, high = points.min(axis=1).astype(np.float64), points.max(axis=1).astype(np.float64)
    step = np.maximum(high - low, 1e-3) / _STEPS
    steps = np.round((points - low[:, None]) / step[:, None]).astype(np.uint16)
    return {"points.steps": steps, "points.low": low, "points.step": step}


def _unstepped(tensors: Tensors, f: int) -> Floats:
    steps = tensor_in(tensors, "points.steps", np.uint16, (f, POINTS, 3))
    low = tensor_in(tensors, "points.low", np.float64, (f, 3))
    step = tensor_in(tensors, "points.step", np.float64, (f, 3))
    within("points", low, _FARTHEST)
    within("points", step, _FARTHEST)
    values = low[:, None] + steps * step[:, None]
    return np.asarray(np.round(values * 1024) / 1024, np.float32)


# --- pictures -------------------------------------------------------------------------------------------------------


def coded(name: str, pictures: Bytes, *, exact: bool = False) -> Tensors:
    """Pictures (f, h, w, 3) end to end, as JPEGs, or as PNGs if `exact`."""
    ending, options = (
        (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]) if exact else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    )
    codes = [cv2.imencode(ending, picture[..., ::-1], options)[1].reshape(-1) for picture in pictures]
    return {
        f"{name}.{'png' if exact else 'jpeg'}": np.concatenate(codes),
        f"{name}.ends": np.cumsum([len(code) for code in codes]).astype(np.int64),
        f"{name}.size": np.array(pictures.shape[1:3], np.int64),
    }


def decoded(name: str, tensors: Tensors, f: int) -> Bytes:
    """What `coded` has packed. ValueError."""
    kind = "png" if f"{name}.png" in tensors else "jpeg"
    data = tensor_in(tensors, f"{name}.{kind}", np.uint8, (None,))
    ends = tensor_in(tensors, f"{name}.ends", np.int64, (f,))
    height, width = (int(side) for side in tensor_in(tensors, f"{name}.size", np.int64, (2,)))
    starts = np.concatenate([[0], ends[:-1]])
    if not (0 < height <= _LARGEST and 0 < width <= _LARGEST) or (ends < starts).any() or ends[-1] != len(data):
        raise ValueError(f"{name} of {width}x{height}, or in disorder")
    pictures = np.empty((f, height, width, 3), np.uint8)
    declared = _png_size if kind == "png" else _jpeg_size
    for frame, (start, end) in enumerate(zip(starts, ends, strict=True)):
        code = data[start:end]
        if declared(code.tobytes()) != (height, width):
            raise ValueError(f"a picture of {name} that is of another size")
        picture = cv2.imdecode(code, cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (height, width, 3):
            raise ValueError(f"a picture of {name} that cannot be decoded")
        pictures[frame] = picture[..., ::-1]
    return pictures


def _mouths(tensors: Tensors, f: int) -> Bytes | None:
    if "mouths" in tensors:
        mouths = tensor_in(tensors, "mouths", np.uint8, (f, None, None, 3))
        return mouths
    return decoded("mouths", tensors, f) if "mouths.jpeg" in tensors else None


def _png_size(code: bytes) -> tuple[int, int] | None:
    """(height, width) as a PNG declares them."""
    if code[:8] != b"\x89PNG\r\n\x1a\n" or code[12:16] != b"IHDR":
        return None
    return int.from_bytes(code[20:24], "big"), int.from_bytes(code[16:20], "big")


def _jpeg_size(code: bytes) -> tuple[int, int] | None:
    """(height, width) as a JPEG declares them, so that a small file cannot ask for a huge picture."""
    at = 2 if code[:2] == b"\xff\xd8" else len(code)
    while at + 9 <= len(code) and code[at] == 0xFF:
        mark, size = code[at + 1], int.from_bytes(code[at + 2 : at + 4], "big")
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(code[at + 5 : at + 7], "big"), int.from_bytes(code[at + 7 : at + 9], "big")
        at += 2 + size
    return None
