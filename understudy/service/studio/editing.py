"""The motion desk without its page: a performance becomes a motion file, edits become another one, and both are shown
in somebody's face. All work is that of `animate.motions`, which `understudy motion` calls, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from understudy.animate import Progress
from understudy.animate.choices import Choices
from understudy.animate.motions import (
    About,
    Edits,
    about,
    edited,
    export_livelink,
    import_livelink,
    keep,
    keep_keys,
)
from understudy.animate.pace import Pace, Tell, nobody
from understudy.animate.record import fingerprint
from understudy.animate.voice import Acting, open_voice
from understudy.clip import Picture
from understudy.clip.landing import unwritable
from understudy.errors import BadOption, NoPicture
from understudy.models import WARP
from understudy.motion import file as motion_file
from understudy.motion.mesh import MotionMesh
from understudy.provenance.hashes import content
from understudy.service.studio.glimpse import LARGE, evenly, known, laid, shown_by
from understudy.service.studio.order import Order, told
from understudy.service.studio.room import Room, called

FREE, USUAL, THEN = "moves", "keeps its usual place", "keeps the place of a moment"
HELD: Final = (FREE, USUAL, THEN)
KEYED: Final = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "yaw", "pitch", "roll")
EVERY: Final = 0.5  # seconds from one key to the next


@dataclass(frozen=True)
class Cut:
    """What the desk's controls say, in their order; one untouched, or emptied, leaves a motion as it is."""

    start: float | None = 0.0  # seconds
    end: float | None = 0.0  # 0: to its end
    speed: float = 1.0
    rate: float | None = 0.0  # frames a second; 0: its own
    loop: float = 0.0  # seconds of seam
    repeat: float | None = 1
    mirror: bool = False
    smooth: float = 0.0  # seconds
    strength: float = 1.0
    mouth: float = 1.0
    eyes: float = 1.0
    brows: float = 1.0
    pose: float = 1.0
    held: str = FREE
    at: float | None = 0.0  # the moment, seconds
    look: float = 0.0  # how far the eyes stay on the camera
    blend: str | None = None  # a motion file, or what becomes one
    share: float = 0.5  # of it
    keys: str = ""  # JSON

    def edits(self, room: Room) -> Edits:
        """For `animate.motions.edited`; keyframes are laid into the room as the file that it reads.

        Errors: `BadOption`, those of taking what is blended in, `Unwritable`."""
        if self.held not in HELD:
            raise BadOption("a head cannot do this", self.held[:40], f"one of: {', '.join(HELD)}")
        return Edits(
            start=self.start or 0.0,
            end=self.end or None,
            speed=self.speed,
            rate=self.rate or None,
            blend=None if not self.blend else taken_in(Path(self.blend), room),
            share=self.share,
            mirror=self.mirror,
            smooth=self.smooth,
            strength=self.strength,
            mouth=self.mouth,
            eyes=self.eyes,
            brows=self.brows,
            pose=self.pose,
            hold_head={FREE: None, USUAL: -1.0, THEN: self.at or 0.0}[self.held],
            keys=self._keys(room),
            look_at_camera=self.look,
            loop=self.loop,
            repeat=int(self.repeat or 1),
        )

    def _keys(self, room: Room) -> Path | None:
        if not self.keys.strip():
            return None
        path = motions(room) / f"keys-{fingerprint(keys=self.keys)[:8]}.json"
        try:
            path.write_text(self.keys, "utf-8")
        except OSError as error:
            raise unwritable(path, error) from error
        return path


def motions(room: Room) -> Path:
    """The folder of a room's motion files. Errors: `Unwritable`."""
    folder = room.folder / "motions"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def taken_in(file: Path, room: Room, tell: Tell = nobody) -> Path:
    """A film, a picture, a voice, a motion file or Live Link CSV as a motion file of the room; what was taken in before
    is not read again. Errors: those of reading it; `Unwritable`."""
    kept = file if file.parent == motions(room) else room.keep(file)
    if kept.suffix.lower() == ".safetensors":
        about(kept)  # which says what is wrong with it
        return kept
    out = motions(room) / f"{kept.stem}.safetensors"
    if not out.is_file():
        if kept.suffix.lower() == ".csv":
            import_livelink(kept, out, force=True)
        else:
            _watched(kept, out, tell)
    return out


def _watched(file: Path, out: Path, tell: Tell) -> None:
    """The motion of a film; what has no picture is taken for a voice, and acted."""
    try:
        keep(file, out, force=True, progress=tell)
    except NoPicture:
        acted = open_voice(file, Acting(), model=WARP, choices=Choices(), warn=lambda text: None)
        pace = Pace(tell)
        pace.begin("acting", acted.frames)
        motion_file.save(_counted(acted, pace), out, overwrite=True)


def _counted(motion: Iterable[MotionMesh], pace: Pace) -> Iterator[MotionMesh]:
    done = 0
    for chunk in motion:
        yield chunk
        done += len(chunk)
        pace.at(done)


def taken(file: Path, room: Room) -> Iterator[Progress | tuple[Path]]:
    """The same while it can be watched and stopped; see `order.told`."""
    yield from told(lambda tell: taken_in(file, room, tell), room)


def changed(motion: Path, cut: Cut, room: Room) -> tuple[Path, About]:
    """A motion file of the room with all edits, as another one; untouched controls give the file itself.

    Errors: those of `animate.motions.edited`."""
    edits = cut.edits(room)
    if edits == Edits():
        return motion, about(motion)
    marks = {name: content(path) for name in ("blend", "keys") if (path := getattr(edits, name)) is not None}
    mark = fingerprint(motion=content(motion), edits=asdict(edits) | marks)
    out = motions(room) / f"{called(motion.name)}-{mark[:8]}.safetensors"
    return out, about(out) if out.is_file() else edited(motion, out, edits, force=True)


def strip(motion: Path, result: Path, portrait: Path) -> Picture:
    """(2 * SIDE, MOMENTS * SIDE, 3): the portrait as the motion was, above; below as it is after the edits, at the same
    shares of their lengths. Errors: those of reading them; `NoFace`."""
    photo, how = known(portrait), Choices(max_size=LARGE, crop=True)
    return laid(*(shown_by(photo, evenly(each), how, each.name) for each in (motion, result)))


def played(motion: Path, portrait: Path, room: Room) -> Order:
    """The order for a film of it, small and by warp: to look at it."""
    choices = Choices(crop=True, max_size=LARGE)
    return Order(portrait=room.keep(portrait), driving=motion, model="warp", choices=choices)


def livelink(motion: Path) -> Path:
    """The motion file as Live Link Face CSV, beside it. Errors: those of `export_livelink`."""
    out = motion.with_suffix(".csv")
    export_livelink(motion, out, force=True)
    return out


def written_down(motion: Path, room: Room) -> str:
    """What it does as keyframes, to be changed by hand. Errors: those of `keep_keys`."""
    out = motions(room) / f"{called(motion.name)}-keys.json"
    keep_keys(motion, out, KEYED, EVERY, force=True)
    return out.read_text("utf-8")
