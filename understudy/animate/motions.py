"""Motion files, from end to end: what `understudy motion` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeVar

from understudy import __version__
from understudy.animate import codes as code_files
from understudy.animate.driving import Met, pictured, watched
from understudy.animate.pace import Pace, Tell, nobody
from understudy.clip import AnyPath, frame_rate
from understudy.clip import read as read_clip
from understudy.clip.landing import refuse_existing
from understudy.clip.media import once
from understudy.errors import BadOption
from understudy.motion import file as motion_file
from understudy.motion.code import MotionCode
from understudy.motion.kinds import CODE, KINDS
from understudy.motion.livelink import PICTURE, livelink_chunks, write_livelink
from understudy.motion.mesh import MotionMesh, join

M = TypeVar("M", MotionMesh, MotionCode)

PICTURE_WIDTH: Final = "width"  # in the provenance: of the picture that the points are in, for mirroring


@dataclass(frozen=True, kw_only=True)
class About:
    """What is in a motion. These are the fields of `--json`."""

    file: str
    kind: str  # "mesh"; "frames", which are pictures of the driver; or "code"
    frames: int
    fps: float
    seconds: float
    curves: list[str]
    faces: int  # frames in which one was seen
    cuts: int
    mouths: bool  # whether the insides of mouths are in it
    provenance: dict[str, str]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Edits:
    """What to do to a motion, in this order."""

    start: float = 0.0  # seconds
    end: float | None = None
    join: tuple[Path, ...] = ()
    blend: Path | None = None  # another performance, of codes
    share: float = 0.5  # of that one
    rate: float | None = None
    speed: float = 1.0
    mirror: bool = False
    smooth: float = 0.0  # seconds
    strength: float = 1.0
    mouth: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    pose: float = 1.0
    curves: tuple[tuple[str, float], ...] = ()  # added to codes, by name


def keep(
    driving: AnyPath,
    out: AnyPath,
    *,
    face: int | None = None,
    pictures: bool = False,
    codes: bool = False,
    force: bool = False,
    progress: Tell = nobody,
) -> About:
    """Watch a film or picture and write its motion: the mesh, or `pictures` of the driver or motion `codes`, which some
    models follow.

    Errors: of reading it, `NoFace`, `Exists`, `Unwritable`; for codes those of loading an encoder."""
    if pictures and codes:
        raise BadOption("a motion file has one kind of motion", "pictures and codes", "one of them")
    said: list[str] = []
    refuse_existing(Path(out), force)
    clip = read_clip(driving, warn=once(said.append))
    name, pace = Path(driving).name, Pace(progress)
    about = {PICTURE_WIDTH: str(clip.size[0]), "software": f"Understudy {__version__}"}
    pace.begin("watching", clip.frames)

    def told() -> Iterator[Any]:
        done = 0
        seen: Iterator[Any] = (pictured if pictures or codes else watched)(clip, name, face, about)
        for chunk in code_files.read(seen) if codes else seen:
            done += len(chunk)
            pace.at(done)
            yield chunk

    motion_file.save(told(), out, overwrite=force)
    return about_file(out, said)


def about(path: AnyPath) -> About:
    """What is in a motion file. Errors: `MissingFile`, `BadMotionFile`."""
    return about_file(path, [])


def about_file(path: AnyPath, said: list[str]) -> About:
    """As `about`; with what was said on the way to it."""
    header = motion_file.read_header(path)
    met, last, mouths = Met(), 0.0, False
    for chunk in met.along(motion_file.parts_of(path, KINDS[header.kind])):
        last, mouths = float(chunk.times[-1]), mouths or getattr(chunk, "mouths", None) is not None
    return About(
        file=str(path),
        kind=header.kind,
        frames=met.frames,
        fps=float(header.rate),
        seconds=round(last + float(1 / header.rate), 3),
        curves=list(header.names),
        faces=met.frames - met.unseen,
        cuts=len(met.cuts),
        mouths=mouths,
        provenance=header.provenance,
        warnings=said,
    )


def export_livelink(path: AnyPath, out: AnyPath, *, force: bool = False) -> About:
    """A motion file as Live Link Face CSV. Errors: `MissingFile`, `BadMotionFile`, `Exists`, `Unwritable`."""
    write_livelink(out, motion_file.read(path), overwrite=force)
    return replace(about(path), file=str(out))


def import_livelink(path: AnyPath, out: AnyPath, *, rate: float | None = None, force: bool = False) -> About:
    """Live Link Face CSV as a motion file. Errors: `MissingFile`, `BadMotionFile`, `Exists`, `Unwritable`."""
    said: list[str] = []
    steady = None if rate is None else _rate(rate)
    chunks = livelink_chunks(path, rate=steady, warn=once(said.append))
    width = {PICTURE_WIDTH: str(PICTURE)}
    motion_file.save((replace(chunk, provenance=chunk.provenance | width) for chunk in chunks), out, overwrite=force)
    return about_file(out, said)


def edited(path: AnyPath, out: AnyPath, edits: Edits, *, force: bool = False) -> About:
    """A motion file, edited, as another. The whole motion is in memory meanwhile: 40 MB a minute.

    Errors: `MissingFile`, `BadMotionFile`, `BadOption` where nothing is left, `Exists`, `Unwritable`."""
    refuse_existing(Path(out), force)
    if motion_file.read_header(path).kind == CODE.name:
        return _edited_codes(path, out, edits)
    if edits.blend or edits.curves:
        raise BadOption("--blend and --curve are for motion codes", f"{path} has others", "`motion read --codes`")
    motion = _cut(MotionMesh.load(path), edits, str(path))
    if edits.join:
        motion = join(motion, *(MotionMesh.load(other) for other in edits.join))
    motion = _retimed(motion, edits)
    if edits.mirror:
        motion = motion.mirror(int(motion.provenance.get(PICTURE_WIDTH, PICTURE)))
    motion = motion.smooth(edits.smooth) if edits.smooth else motion
    motion = motion.scaled(edits.strength, mouth=edits.mouth, eyes=edits.eyes, brows=edits.brows, pose=edits.pose)
    motion.save(out, overwrite=force)
    return about(out)


def _edited_codes(path: AnyPath, out: AnyPath, edits: Edits) -> About:
    """As `edited`, for codes."""
    code_files.refuse(edits)
    motion = code_files.joined(_cut(MotionCode.load(path), edits, str(path)), edits)
    motion = code_files.changed(_retimed(motion, edits), edits)
    motion.save(out, overwrite=True)
    return about(out)


def _retimed(motion: M, edits: Edits) -> M:
    """Faster, and at another rate."""
    rate = motion.rate if edits.rate is None else _rate(edits.rate)
    if edits.speed != 1:
        faster = motion.rate * Fraction(edits.speed).limit_denominator(1000)
        motion = replace(motion, times=motion.times / edits.speed, rate=faster)
    return motion.retime(rate) if motion.rate != rate else motion


def _cut(motion: M, edits: Edits, name: str) -> M:
    """From `start` to `end`, beginning at 0 again."""
    end = float("inf") if edits.end is None else edits.end
    wanted = [k for k, when in enumerate(motion.times.tolist()) if edits.start - 1e-6 <= when < end - 1e-6]
    if not wanted:
        raise BadOption(
            f"nothing of {name} is left between {edits.start:g} and {end:g} s", f"it lasts {motion.times[-1]:.2f} s"
        )
    part = motion[wanted[0] : wanted[-1] + 1]
    return replace(part, times=part.times - part.times[0], shots=part.shots - part.shots[0])


def _rate(rate: float) -> Fraction:
    try:
        return frame_rate(rate)
    except ValueError as error:
        raise BadOption(str(error), remedy="a number between 1 and 120") from None
