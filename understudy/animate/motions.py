"""Motion files, from end to end: what `understudy motion` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from understudy.errors import BadOption, WrongMotion
from understudy.motion import edit
from understudy.motion import file as motion_file
from understudy.motion.code import MotionCode
from understudy.motion.code import join as join_codes
from understudy.motion.frames import MotionFrames
from understudy.motion.frames import join as join_frames
from understudy.motion.keys import keyed, keys_of, read_keys, write_keys
from understudy.motion.kinds import CODE, FRAMES, KINDS
from understudy.motion.livelink import PICTURE, livelink_chunks, write_livelink
from understudy.motion.mesh import MotionMesh, join

M = TypeVar("M", MotionMesh, MotionFrames, MotionCode)

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
    speed: float = 1.0
    rate: float | None = None
    blend: Path | None = None  # with this one
    share: float = 0.5  # of it
    mirror: bool = False
    smooth: float = 0.0  # seconds
    strength: float = 1.0
    mouth: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    pose: float = 1.0
    curves: tuple[tuple[str, float], ...] = ()  # added to codes, by name
    hold_head: float | None = None  # as it is at this second; below 0: its average
    keys: Path | None = None
    look_at_camera: float = 0.0  # how far
    loop: float = 0.0  # seconds of seam
    repeat: int = 1

    @property
    def cuts_alone(self) -> bool:
        """Whether nothing is asked for but what can be done to pictures of a driver, too."""
        left = replace(self, start=0.0, end=None, join=(), speed=1.0, rate=None)
        return left == Edits()


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
    """A motion file, edited, as another. The whole motion is in memory meanwhile: 40 MB a minute, and of pictures 300.

    Errors: `MissingFile`, `BadMotionFile`, `BadOption` where nothing is left, `WrongMotion` for pictures that were to
    be changed, `Exists`, `Unwritable`."""
    refuse_existing(Path(out), force)
    kind = motion_file.read_header(path).kind
    if kind == CODE.name:
        return _edited_codes(path, out, edits)
    if edits.curves:
        raise BadOption("--curve is for motion codes", f"{path} has none", "`motion read --codes`; or --keys")
    if kind == FRAMES.name:
        if not edits.cuts_alone:
            raise WrongMotion(
                f"{path} holds pictures of a driver, which can be cut, joined and retimed, and not changed",
                remedy="`understudy motion read` without --pictures, which keeps points and curves",
            )
        pictures = _timed(MotionFrames.load(path), [MotionFrames.load(each) for each in edits.join], edits, join_frames)
        pictures.save(out, overwrite=force)
        return about(out)
    motion = _timed(MotionMesh.load(path), [MotionMesh.load(other) for other in edits.join], edits, join)
    if edits.blend is not None:
        motion = edit.blend(motion, MotionMesh.load(edits.blend), edits.share)
    _changed(motion, edits).save(out, overwrite=force)
    return about(out)


def _timed(motion: M, others: list[M], edits: Edits, together: Callable[..., M]) -> M:
    """What changes when frames are shown, and none of them."""
    motion = edit.trim(motion, edits.start, edits.end)
    motion = together(motion, *others) if others else motion
    rate = motion.rate if edits.rate is None else _rate(edits.rate)
    motion = edit.faster(motion, edits.speed)
    return motion.retime(rate) if motion.rate != rate else motion


def _changed(motion: MotionMesh, edits: Edits) -> MotionMesh:
    """What changes the frames themselves."""
    if edits.mirror:
        motion = motion.mirror(int(motion.provenance.get(PICTURE_WIDTH, PICTURE)))
    motion = motion.smooth(edits.smooth) if edits.smooth else motion
    motion = motion.scaled(edits.strength, mouth=edits.mouth, eyes=edits.eyes, brows=edits.brows, pose=edits.pose)
    if edits.hold_head is not None:
        motion = edit.hold_head(motion, None if edits.hold_head < 0 else edits.hold_head)
    if edits.keys is not None:
        motion = keyed(motion, read_keys(edits.keys))
    if edits.look_at_camera:
        motion = edit.look_at_camera(motion, edits.look_at_camera)
    motion = edit.loop(motion, edits.loop) if edits.loop else motion
    return edit.repeat(motion, edits.repeat) if edits.repeat != 1 else motion


def _edited_codes(path: AnyPath, out: AnyPath, edits: Edits) -> About:
    """As `edited`, for codes."""
    code_files.refuse(edits)
    motion = _timed(MotionCode.load(path), [MotionCode.load(each) for each in edits.join], edits, join_codes)
    code_files.changed(motion, edits).save(out, overwrite=True)
    return about(out)


def keep_keys(path: AnyPath, out: AnyPath, names: tuple[str, ...], every: float, *, force: bool = False) -> int:
    """What some curves of a motion file do, as keyframes to be changed by hand; returns how many.

    Errors: `MissingFile`, `BadMotionFile`, `BadOption`, `Exists`, `Unwritable`."""
    keys = keys_of(MotionMesh.load(path), names, every)
    write_keys(out, keys, overwrite=force)
    return len(keys.keys)


def _rate(rate: float) -> Fraction:
    try:
        return frame_rate(rate)
    except ValueError as error:
        raise BadOption(str(error), remedy="a number between 1 and 120") from None
