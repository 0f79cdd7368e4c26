"""The kinds of motion that files hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Generic, TypeVar

from understudy.motion import pack, pack_code, pack_frames
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames
from understudy.motion.mesh import MotionMesh
from understudy.motion.pack import Tensors

PART: Final = 256  # frames of a mesh
PICTURES: Final = 32  # frames of pictures, which are 200 kB each
CODES: Final = 1024  # frames of codes, which are a few hundred bytes each

M = TypeVar("M", MotionMesh, MotionFrames, MotionCode)


@dataclass(frozen=True)
class Kind(Generic[M]):
    """A kind of motion, as files have it."""

    name: str
    holds: str  # for people
    motion: type[M]
    part: int  # frames, at most
    pack: Callable[[M, bool], Tensors]
    unpack: Callable[[Tensors, Fraction, tuple[str, ...], dict[str, str], int | None], M]
    remedy: str  # where it is not what is needed


MESH: Final = Kind(
    "mesh", "points and curves", MotionMesh, PART, pack.pack, pack.unpack,
    "another model, --driver bridge, or the film that it was read from",
)  # fmt: skip
FRAMES: Final = Kind(
    "frames", "pictures of a driver", MotionFrames, PICTURES, pack_frames.pack, pack_frames.unpack,
    "--model x-portrait-small, or the film that it was read from",
)  # fmt: skip
CODE: Final = Kind(
    "code", "motion codes", MotionCode, CODES, pack_code.pack, pack_code.unpack,
    "--model x-portrait-2-small, or the film that it was read from",
)  # fmt: skip
KINDS: Final[dict[str, Kind[Any]]] = {kind.name: kind for kind in (MESH, FRAMES, CODE)}


def kind_of(motion: MotionMesh | MotionFrames | MotionCode) -> Kind[Any]:
    """The kind that a motion is of."""
    return next(kind for kind in KINDS.values() if isinstance(motion, kind.motion))
