"""Understudy: a picture of somebody performs what a video or a voice does.

    model = understudy.load("warp")
    frames = model.draw(portrait, model.read("driving.mp4"))
    understudy.write("out.mp4", frames, sound="driving.mp4")

Errors are here at once; everything else is imported when it is first named, so that `import understudy` costs nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from understudy.errors import (
    BadMotionFile,
    BadOption,
    BadRun,
    BadWeights,
    Exists,
    FaceError,
    FaceTooSmall,
    FetchFailed,
    MediaError,
    MissingExtra,
    MissingFile,
    MotionError,
    NoFace,
    NoPicture,
    NoSound,
    NoSuchFace,
    TooLarge,
    TooLittleMemory,
    UnderstudyError,
    UnknownModel,
    UnreadableMedia,
    Unwritable,
    WrongMotion,
)

# Faces are small matrices: a second OpenBLAS thread spends its time waiting for the first, on the core that another
# stage of the pipeline needs (measured: 2.5 times slower). Read when numpy is loaded; whoever sets it is not overruled.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from understudy.animate import load
    from understudy.clip import Clip, Sound, read, read_picture, read_sound, write, write_picture, write_sound
    from understudy.data.check import check
    from understudy.face.crop import Crop
    from understudy.face.portrait import Portrait
    from understudy.motion.frames import MotionFrames
    from understudy.motion.mesh import MotionMesh

__version__ = "0.1.0"

# Public name -> the module that it is imported from when it is first named.
HOME: Final = {
    "Clip": "understudy.clip",
    "Crop": "understudy.face.crop",
    "MotionFrames": "understudy.motion.frames",
    "MotionMesh": "understudy.motion.mesh",
    "Portrait": "understudy.face.portrait",
    "Sound": "understudy.clip",
    "check": "understudy.data.check",
    "load": "understudy.animate",
    "read": "understudy.clip",
    "read_picture": "understudy.clip",
    "read_sound": "understudy.clip",
    "write": "understudy.clip",
    "write_picture": "understudy.clip",
    "write_sound": "understudy.clip",
}

__all__ = [
    "BadMotionFile",
    "BadOption",
    "BadRun",
    "BadWeights",
    "Clip",
    "Crop",
    "Exists",
    "FaceError",
    "FaceTooSmall",
    "FetchFailed",
    "MediaError",
    "MissingExtra",
    "MissingFile",
    "MotionError",
    "MotionFrames",
    "MotionMesh",
    "NoFace",
    "NoPicture",
    "NoSound",
    "NoSuchFace",
    "Portrait",
    "Sound",
    "TooLarge",
    "TooLittleMemory",
    "UnderstudyError",
    "UnknownModel",
    "UnreadableMedia",
    "Unwritable",
    "WrongMotion",
    "check",
    "load",
    "read",
    "read_picture",
    "read_sound",
    "write",
    "write_picture",
    "write_sound",
]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
