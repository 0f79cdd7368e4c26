"""Understudy: a picture of somebody performs what a video or a voice does.

    model = understudy.load("warp")
    frames = model.draw(portrait, model.read("driving.mp4"))
    understudy.write("out.mp4", frames, sound="driving.mp4")

Errors are here at once; everything else is imported when it is first named, so that `import understudy` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

from understudy.errors import (
    BadMotionFile,
    BadOption,
    Exists,
    FaceError,
    FaceTooSmall,
    MediaError,
    MissingExtra,
    MissingFile,
    MotionError,
    NoFace,
    NoPicture,
    NoSound,
    NoSuchFace,
    TooLarge,
    UnderstudyError,
    UnknownModel,
    UnreadableMedia,
    Unwritable,
    WrongMotion,
)

__version__ = "0.1.0"
