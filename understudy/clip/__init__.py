"""Films, pictures and sounds: read and written as bounded streams.

    clip = read("driving.mp4")
    written = write("out.mp4", (draw(frame) for frame in clip), fps=clip.fps, sound="driving.mp4")

What is not an error and yet should be known is a sentence given to `warn`; by default it becomes a Python warning of
the class `MediaWarning`.
"""

from understudy.clip.clip import Clip, frame_rate
from understudy.clip.film import Film, Written, write
from understudy.clip.media import AnyPath, MediaWarning, Picture, Timed, Warn
from understudy.clip.read import read, read_metadata
from understudy.clip.sound import Samples, Sound, read_sound, write_sound
from understudy.clip.soundtrack import SoundFrom
from understudy.clip.still import read_picture, read_picture_rgba, write_picture

__all__ = [
    "AnyPath",
    "Clip",
    "Film",
    "MediaWarning",
    "Picture",
    "Samples",
    "Sound",
    "SoundFrom",
    "Timed",
    "Warn",
    "Written",
    "frame_rate",
    "read",
    "read_metadata",
    "read_picture",
    "read_picture_rgba",
    "read_sound",
    "write",
    "write_picture",
    "write_sound",
]
