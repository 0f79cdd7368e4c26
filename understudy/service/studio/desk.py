"""What the page does, without the page: from what a person has set, to what is shown. `page` only lays it out."""

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
from understudy.clip import Picture, write_picture
from understudy.data.check import check
from understudy.errors import BadOption, UnderstudyError
from understudy.models import X_PORTRAIT_SMALL, missing_from
from understudy.motion.retouch import Retouch
from understudy.service.studio import words
from understudy.service.studio.glimpse import glimpse
from understudy.service.studio.order import Order, Turns, carried_out
from understudy.service.studio.room import House, Kept, Room

SHIPPED: Final = ("portrait-realistic.jpg", "portrait-painted.jpg")
DRIVER: Final = "driver.mp4"
DRAWN: Final = (1_000_114, 1_000_201)  # of the cast; nobody from a million on is trained on
DRAWN_SIDE: Final = 256  # pixels: of a frame of X-Portrait small


Empty = TypeVar("Empty")


@dataclass(frozen=True)
class Set:
    """What the page's controls say, in their order."""

    model: str = "auto"
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
            retouch=retouch,
        )


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
        report = check(kept, sheet=kept.with_name(f"{kept.stem}-check.png"))
        yield words.advice(report)
    except Exception as error:
        yield refused(error, room)


def glimpsed(portrait: str | None, driving: str | None, controls: Set) -> Picture | None:
    """A glimpse of the film; None where there is none, which the advice or the film itself will explain."""
    if not portrait or not driving:
        return None
    try:
        return glimpse(Path(portrait), Path(driving), controls.choices)
    except (UnderstudyError, ImportError):
        return None


def performed(
    portrait: str | None, driving: str | None, controls: Set, room: Room, turns: Turns
) -> Iterator[tuple[str, Kept | None]]:
    """What is to be said while the film is made, and last the film; a problem is said, not raised."""
    if not portrait or not driving:
        missing = "a portrait" if not portrait else "a performance"
        yield words.problem(UnderstudyError(f"{missing} is missing", remedy=f"drop {missing} or take an example")), None
        return
    opening = ""
    try:
        yield words.progress(Progress("")), None
        order = Order(
            portrait=room.keep(Path(portrait)),
            driving=room.keep(Path(driving)),
            model=controls.model,
            choices=controls.choices,
        )
        for heard in carried_out(order, room, turns):
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
    return words.problem(error, hidden=f"{room.folder / 'given'}/")


def examples(house: House) -> tuple[list[str], list[str]]:
    """Portraits and performances by the cast, in the house's folder: those shipped, and, for the diffusion model that
    knows the cast, some that are drawn at the first start.

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
    return [*shipped[:-1], *drawn], shipped[-1:]


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
