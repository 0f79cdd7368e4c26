"""What the studio's page does, without the page: from what a person has set, to what is shown. `page_film` only lays it
out."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar

from understudy import __version__
from understudy.animate import Progress
from understudy.animate.choices import DRAWING, PARTS, TAG, Choices
from understudy.animate.motions import about
from understudy.animate.voice import Acting
from understudy.clip import Picture, write_picture, write_sound
from understudy.data.check import check
from understudy.errors import BadOption, UnderstudyError
from understudy.models import X_PORTRAIT_SMALL, missing_from
from understudy.motion.retouch import Retouch
from understudy.service.studio import order, words
from understudy.service.studio.editing import taken_in
from understudy.service.studio.glimpse import glimpse
from understudy.service.studio.order import Order, Turns, carried_out
from understudy.service.studio.room import House, Kept, Room
from understudy.service.studio.voices import GREETING, SPEAKERS, can_speak, said, spoken

SHIPPED: Final = ("portrait-realistic.jpg", "portrait-painted.jpg")
DRIVER: Final = "driver.mp4"
DRAWN: Final = (1_000_114, 1_000_201)  # of the cast; nobody from a million on is trained on
FILM, VOICE, MOTION = "film", "voice", "motion"  # kinds of performance
DRAWN_SIDE: Final = 256  # pixels: of a frame of X-Portrait small

Empty = TypeVar("Empty")


@dataclass(frozen=True)
class Set:
    """What the page's controls say, in their order."""

    model: str = "warp"  # what the preview shows; it is there at once
    strength: float = 1.0
    only: Sequence[str] = PARTS
    gaze: float = 0.0
    gaze_up: float = 0.0
    blink: float = 0.0
    smile: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    best: str = ""  # frame of the driver that counts as the portrait's own; empty: found by itself
    face: str = ""  # empty: the largest
    crop: bool = False
    mood: str = ""  # of a voice; empty: as it sounds
    lively: float = 1.0  # of a voice; 1: left to chance, as by `understudy act`
    take: float | None = 0  # of a voice: chance

    @property
    def choices(self) -> Choices:
        """Errors: `BadOption`."""
        whole = set(self.only) >= set(PARTS)
        retouch = Retouch(
            gaze=self.gaze,
            gaze_up=self.gaze_up,
            blink=self.blink,
            smile=self.smile,
            yaw=self.yaw,
            pitch=self.pitch,
            roll=self.roll,
        )
        return Choices(
            strength=self.strength,
            only=None if whole else tuple(part for part in PARTS if part in self.only),
            reference_frame=_number(self.best, "the best frame", "auto"),
            face=_number(self.face, "the face", None),
            crop=self.crop,
            seed=int(self.take or 0),
            retouch=retouch,
        )

    @property
    def acting(self) -> Acting:
        """Of a voice."""
        return Acting(mood=self.mood or None, lively=None if self.lively == 1 else self.lively)


@dataclass(frozen=True)
class Performance:
    """What drives: what each kind has been given, and which kind was chosen."""

    kind: str = FILM
    film: str | None = None
    voice: str | None = None
    motion: str | None = None

    @property
    def file(self) -> Path | None:
        """Where it is."""
        found = {FILM: self.film, VOICE: self.voice, MOTION: self.motion}.get(self.kind)
        return Path(found) if found else None

    @property
    def called(self) -> str:
        """For people."""
        return {VOICE: "a voice", MOTION: "a motion file"}.get(self.kind, "a performance")


def _number(text: str, what: str, empty: Empty) -> int | Empty:
    """What was typed, as a number from 0. Errors: `BadOption`."""
    if not text.strip():
        return empty
    if not text.strip().isdecimal():
        raise BadOption(f"{what} is no number", repr(text), "a number from 0 on, or nothing")
    return int(text)


def models() -> list[str]:
    """What can draw here."""
    return ["auto", *(model.name for model in DRAWING if model.here)]


def advised(file: str | None, room: Room) -> Iterator[str]:
    """What `check` says of an upload, as it says it; nothing of nothing."""
    if not file:
        yield ""
        return
    yield words.looking(Path(file).name)
    try:
        kept = room.keep(Path(file))
        if kept.suffix.lower() in order.MOTION:
            yield words.motion(about(taken_in(kept, room)))
            return
        report = check(kept, sheet=kept.with_name(f"{kept.stem}-check.png"))
        yield words.advice(report)
    except Exception as error:
        yield refused(error, room)


def glimpsed(portrait: str | None, played: Performance, controls: Set) -> Picture | None:
    """A glimpse of the film; None where there is none, which the advice or the film itself will explain."""
    if not portrait or played.file is None:
        return None
    acting = controls.acting if played.kind == VOICE else None
    try:
        return glimpse(Path(portrait), played.file, controls.choices, acting)
    except (UnderstudyError, ImportError):
        return None


def performed(
    portrait: str | None, played: Performance, controls: Set, room: Room, turns: Turns
) -> Iterator[tuple[str, Kept | None]]:
    """What is to be said while the film is made, and last the film; a problem is said, not raised."""
    if not portrait or played.file is None:
        missing = "a portrait" if not portrait else played.called
        yield words.problem(UnderstudyError(f"{missing} is missing", remedy=f"drop {missing} or take an example")), None
        return
    opening = ""
    try:
        yield words.progress(Progress("")), None
        wanted = Order(
            portrait=room.keep(Path(portrait)),
            driving=room.keep(played.file),
            model=controls.model,
            choices=controls.choices,
            acting=controls.acting if played.kind == VOICE else None,
        )
        for heard in carried_out(wanted, room, turns):
            if isinstance(heard, Kept):
                yield words.done(heard, opening), heard
                return
            if heard.note and heard.stage != "waiting":
                opening = heard.note.partition("; about ")[0]  # how long it takes is in the bar, and grows old here
            yield words.progress(heard, opening), None
    except (Exception, KeyboardInterrupt) as error:
        yield refused(error, room), None


def refused(error: BaseException, room: Room) -> str:
    """A problem for the page; our own faults also for the window in which the studio runs."""
    if not isinstance(error, UnderstudyError | ImportError | KeyboardInterrupt):
        traceback.print_exception(error, file=sys.stderr)
    told = words.problem(error, hidden=f"{room.folder / 'given'}/")
    return told.replace(f"{room.folder / 'motions'}/", "")


@dataclass(frozen=True)
class Examples:
    """By the cast: files in the house's folder."""

    portraits: list[str]
    films: list[str]
    voices: list[str]


def examples(house: House) -> Examples:
    """Those shipped, and what is made at the first start: for the diffusion model that knows the cast some portraits,
    and a voice where what is typed can be said.

    Errors: `Unwritable`."""
    folder = house.folder / "cast"
    folder.mkdir(parents=True, exist_ok=True)
    shipped = []
    for name in (*SHIPPED, DRIVER):
        copy = folder / name
        if not copy.is_file():
            copy.write_bytes((resources.files("understudy") / "assets" / name).read_bytes())
        shipped.append(str(copy))
    drawn = [str(_drawn(who, folder)) for who in DRAWN] if _can_draw() else []
    return Examples([*shipped[:-1], *drawn], shipped[-1:], [str(_greeting(folder))] if can_speak() else [])


def _greeting(folder: Path) -> Path:
    """Said once."""
    voice = folder / "hello.wav"
    if not voice.is_file():
        write_sound(voice, spoken(GREETING, SPEAKERS[next(iter(SPEAKERS))]), overwrite=True)
    return voice


def typed(text: str, speaker: str, room: Room) -> tuple[str, str | None]:
    """What is to be said of a text, and the sound file in which somebody says it."""
    try:
        return "", str(said(text, speaker, room))
    except Exception as error:
        return refused(error, room), None


def _can_draw() -> bool:
    return missing_from(X_PORTRAIT_SMALL) is None and find_spec("torch") is not None


def _drawn(who: int, folder: Path) -> Path:
    """One of the cast, drawn once, with the words by which the models know the cast."""
    portrait = folder / f"cast-{who}.png"
    if not portrait.is_file():
        from understudy.cast import stage

        about = {
            "synthetic": "AI-generated: a made-up person of Understudy's cast; nobody who exists is shown.",
            "software": f"Understudy {__version__}",
            TAG: f"who {who}, how at rest, style own",
        }
        write_picture(portrait, stage.portrait(who, size=DRAWN_SIDE), metadata=about, overwrite=True)
    return portrait
