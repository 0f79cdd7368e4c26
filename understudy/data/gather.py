"""One film to takes: stretches of one person in one shot, cut out as squares of 512 pixels, measured and judged.

Everything is seen once and in order, so that a film of hours needs the memory of one take. A take ends at a cut, where
nobody is seen, where the face leaves the square that was laid round it when the take began (the framing of the cast's
pictures, and of drivers read for use), and when it is as long as it may be.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.clip import Clip, read, read_sound
from understudy.data.alike import Print, moments, print_of
from understudy.data.check.look import Look, look
from understudy.data.sieve import Limits, Measures, gaps_of, measured, reasons
from understudy.data.sync import SILENT, Sync, sync
from understudy.data.tars import member, wave
from understudy.errors import MediaError
from understudy.face.find import Face, Finder
from understudy.face.framing import framed
from understudy.face.mesh_finder import MeshFinder
from understudy.face.square import Square
from understudy.motion.mesh import MotionMesh
from understudy.motion.read import pictured
from understudy.motion.speech import rows_of

Bytes = npt.NDArray[np.uint8]

SIDE: Final = 512
QUALITY: Final = 95  # of JPEG
SOUND: Final = 16_000  # samples a second
LOOK: Final = 0.5  # seconds between two close looks: blur, light, who else is there
INSIDE: Final = 0.01  # of the square: how near to its edge a face may come
RIVAL: Final = 0.5  # sizes of the face from which somebody else counts


@dataclass(frozen=True, eq=False)
class Take:
    """A take as it goes into a shard. `members`: whole members of a tar file; those of a take are read together."""

    key: str
    start: float  # seconds into the film
    seconds: float
    frames: int
    fps: str
    shot: int
    measures: Measures
    sound: Sync
    reasons: list[str]
    print: Print
    members: bytes


@dataclass
class _Roll:
    """The take that is being seen."""

    square: Square
    shot: int
    whole: bool  # whether its square holds the face, or the picture's edge cuts it off
    times: list[float] = field(default_factory=list)
    points: list[npt.NDArray[np.float32]] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)  # JPEG
    looks: list[Look] = field(default_factory=list)
    others: list[bool] = field(default_factory=list)


def gather(path: Path, name: str, limits: Limits) -> Iterator[Take]:
    """All takes of a film, good and bad, in order. `name`: the beginning of their keys, without dots.

    Errors: those of reading the film; none where there is nobody in it (then there are no takes)."""
    clip = read(path, warn=lambda words: None)
    voice = _voice(clip)
    with MeshFinder() as finder:
        for number, roll in enumerate(_rolls(clip, finder, limits)):
            yield _take(roll, f"{name}-{number:04d}", clip, voice, limits)


def _rolls(clip: Clip, finder: Finder, limits: Limits) -> Iterator[_Roll]:
    """What takes are made of."""
    roll: _Roll | None = None
    most = max(1, int(limits.longest * float(clip.fps) + 1e-6))
    for seen, picture in pictured(clip.timed(), finder, None, 3):
        face, sides = seen.face, (picture.shape[1], picture.shape[0])
        if roll is not None and (
            face is None or seen.shot != roll.shot or len(roll.times) >= most or not _goes_on(roll, face, sides)
        ):
            yield roll
            roll = None
        if face is None:
            continue
        if roll is None:
            square = framed(face, sides).square
            roll = _Roll(square, seen.shot, _holds(square, face))
        _add(roll, seen.time, face, picture, finder)
    if roll is not None:
        yield roll


def _goes_on(roll: _Roll, face: Face, sides: tuple[int, int]) -> bool:
    """Whether a face is as the take is: inside its square; or outside of any that could be laid, frame after frame."""
    return _holds(roll.square, face) if roll.whole else not _holds(framed(face, sides).square, face)


def _holds(square: Square, face: Face) -> bool:
    """Whether a face is inside its square."""
    places = square.to_frame(face.points, SIDE)[:, :2] / (SIDE - 1)
    return bool(((places > INSIDE) & (places < 1 - INSIDE)).all())


def _add(roll: _Roll, time: float, face: Face, picture: Bytes, finder: Finder) -> None:
    if not roll.times or time - roll.times[0] >= len(roll.looks) * LOOK:
        roll.looks.append(look(picture, face.points))
        people = finder.find(picture, thorough=False)
        roll.others.append(any(not one.overlaps(face) and one.size > RIVAL * face.size for one in people))
    cut = roll.square.cut(picture, SIDE, cv2.BORDER_CONSTANT)
    _, coded = cv2.imencode(".jpg", cut[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    roll.pictures.append(coded.tobytes())
    roll.points.append(roll.square.to_frame(face.points, SIDE))
    roll.times.append(time)


def _take(roll: _Roll, key: str, clip: Clip, voice: npt.NDArray[np.float32] | None, limits: Limits) -> Take:
    """A take, measured and judged."""
    times = np.array(roll.times)
    start, fps = float(times[0]), float(clip.fps)
    seconds = float(times[-1] - times[0]) + 1 / fps
    motion = MotionMesh.from_points(times - start, np.stack(roll.points), clip.fps)
    heard = None if voice is None else voice[round(start * SOUND) : round((start + seconds) * SOUND)]
    along = SILENT if heard is None else sync(gaps_of(motion), fps, heard, SOUND)
    found = measured(motion, roll.square.side, roll.looks, roll.others, limits)
    why = reasons(seconds, motion, found, along, limits)
    if not roll.whole:
        why.append("cut off: the face leaves the picture")
    frames = moments(motion.times)
    shown = (decoded(roll.pictures[k]) for k in frames)
    take = Take(
        key, round(start, 6), round(seconds, 6), len(times), str(clip.fps), roll.shot, found, along, why,
        print_of(shown, motion, frames), b"",
    )  # fmt: skip
    return take if why else replace(take, members=_members(take, roll, motion, heard))


def _members(take: Take, roll: _Roll, motion: MotionMesh, heard: npt.NDArray[np.float32] | None) -> bytes:
    """The members of a take: what is said of it, its motion in pixels of its pictures, its sound, its pictures."""
    about: dict[str, Any] = {
        "start": take.start, "seconds": take.seconds, "frames": take.frames, "fps": take.fps,
        "square": [round(float(value), 4) for value in (roll.square.x, roll.square.y, roll.square.side)],
        "sound": take.sound.verdict, **asdict(take.measures),
    }  # fmt: skip
    parts = [(".json", json.dumps(about, sort_keys=True).encode()), (".motion.safetensors", _motion_file(motion))]
    if heard is not None and len(heard) and take.sound.verdict != "out of sync":
        loud = np.round(np.clip(heard, -1, 1) * 32767).astype("<i2").tobytes()
        parts += [(".wav", wave(loud, SOUND)), (".speech.npy", _array(rows_of(heard, SOUND)))]
    parts += [(f".{number:04d}.jpg", picture) for number, picture in enumerate(roll.pictures)]
    return b"".join(member(take.key + ending, data) for ending, data in parts)


def decoded(jpeg: bytes) -> Bytes:
    """(h, w, 3) RGB."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError("a picture in a shard cannot be decoded", f"{len(jpeg)} bytes", "preparing it again")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _voice(clip: Clip) -> npt.NDArray[np.float32] | None:
    """The film's sound (n,), if it has any that can be read."""
    if not clip.has_sound or clip.path is None:
        return None
    try:
        sound = read_sound(clip.path, rate=SOUND, mono=True, warn=lambda words: None)
    except MediaError:  # its pictures are good all the same
        return None
    return sound.samples[:, 0]


def _motion_file(motion: MotionMesh) -> bytes:
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        path = Path(folder) / "motion.safetensors"
        motion.save(path)
        return path.read_bytes()


def _array(values: npt.NDArray[np.float32]) -> bytes:
    held = io.BytesIO()
    np.save(held, values.astype(np.float16))
    return held.getvalue()


def rate_of(words: str) -> Fraction:
    """A frame rate as a take says it."""
    return Fraction(words)
