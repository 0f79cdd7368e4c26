"""An order: this portrait, this performance, these choices. `animate` or `act` carries it out; it can be watched and
stopped.

A worker thread makes the film and the caller hears of it by iterating, so a page can be told what happens and can ask
for the end at any time. As many films are made at once as the machine has turns for; the others wait, and may leave.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import cv2
import numpy as np

from understudy.animate import Progress, Result, act, animate
from understudy.animate.choices import Choices
from understudy.animate.pace import Tell
from understudy.animate.perform import Stopped
from understudy.animate.record import fingerprint
from understudy.animate.voice import Acting
from understudy.clip import Picture, read, read_metadata, write, write_picture
from understudy.errors import BadOption
from understudy.provenance.hashes import content
from understudy.service.studio.room import Kept, Room, called

OFTEN: Final = 0.2  # seconds between looks
POSTER: Final = 320  # pixels of its longer side
HIGHEST: Final = 720  # pixels of the film with the driver beside
MOTION: Final = (".safetensors", ".csv")  # endings of files of motion
UNSEEN: Final = ("mouth", "driver", "reference_frame", "sampler", "guidance", "preview", "parity", "compile")
"""Choices that a voice does not have."""

T = TypeVar("T")


class Turns:
    """How many films are made at once, and who waits. Work is not shared out fairly; it is done in turn."""

    def __init__(self, at_once: int = 1) -> None:
        self._free = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._waiting = 0

    def wait(self, stop: threading.Event) -> Iterator[int]:
        """How many wait, now and then, until it is one's turn, which is then to be given back. Errors: `Stopped`."""
        with self._lock:
            self._waiting += 1
        try:
            while not self._free.acquire(timeout=OFTEN):
                if stop.is_set():
                    raise Stopped("stopped before its turn came; nothing was begun", None)
                yield self._waiting
        finally:
            with self._lock:
                self._waiting -= 1

    def give_back(self) -> None:
        """The turn is over."""
        self._free.release()


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person has asked for. The files are in the room already (`Room.keep`)."""

    portrait: Path
    driving: Path
    model: str
    choices: Choices
    acting: Acting | None = None  # of a voice

    @property
    def filmed(self) -> bool:
        """Whether there are pictures of the driver."""
        return self.acting is None and self.driving.suffix.lower() not in MOTION

    @property
    def name(self) -> str:
        """One name for the same order, whenever it is given: by it a stopped film is found again."""
        mark = fingerprint(
            portrait=content(self.portrait),
            driving=content(self.driving),
            model=self.model,
            choices=asdict(self.choices),
            **({"acting": asdict(self.acting)} if self.acting else {}),
        )
        return f"{called(self.portrait.name)}-{called(self.driving.name)}-{mark[:8]}.mp4"


def carried_out(order: Order, room: Room, turns: Turns) -> Iterator[Progress | Kept]:
    """Progress, now and then; last the film. An order that was carried out before is not carried out again.

    Errors: `Stopped` after `room.stop` was set, and those of `animate`. Whoever stops listening ends the work."""
    film = room.folder / order.name
    known = room.known(film)
    if known is not None:
        yield known
        return
    with ExitStack() as stack:
        while not room.busy.acquire(timeout=OFTEN):
            if room.stop.is_set():
                raise Stopped("stopped before its turn came; nothing was begun", None)
            yield Progress("waiting", note="another film is being made in this room; this one is next")
        stack.callback(room.busy.release)
        for others in turns.wait(room.stop):
            before = "another film" if others == 1 else f"{others} films"
            yield Progress("waiting", note=f"waiting for its turn: {before} of others first")
        stack.callback(turns.give_back)
        for heard in told(lambda tell: _made(order, film, room, tell), room):
            yield heard if isinstance(heard, Progress) else heard[0]


def told(work: Callable[[Tell], T], room: Room) -> Iterator[Progress | tuple[T]]:
    """Some work in a thread, and what it says; last what has come of it. Errors: `Stopped` after `room.stop` was set,
    and those of the work. Whoever stops listening ends it."""
    said: queue.Queue[Progress | tuple[T] | BaseException] = queue.Queue()
    left = threading.Event()  # the listener is gone

    def tell(progress: Progress) -> None:
        if room.stop.is_set() or left.is_set():
            raise KeyboardInterrupt
        said.put(progress)

    def worked() -> None:
        try:
            said.put((work(tell),))
        except BaseException as error:  # handed over whole: the listener raises it
            said.put(error)

    worker = threading.Thread(target=worked, name="order", daemon=True)
    worker.start()
    try:
        while True:
            with suppress(queue.Empty):
                heard = said.get(timeout=OFTEN)
                if isinstance(heard, BaseException):
                    raise _as_stopped(heard)
                yield heard
                if isinstance(heard, tuple):
                    return
    finally:
        left.set()
        worker.join()


def _as_stopped(error: BaseException) -> BaseException:
    """A stop that came while nothing could be kept is a stop all the same."""
    if isinstance(error, KeyboardInterrupt) and not isinstance(error, Stopped):
        return Stopped("stopped; the same order begins again", None)
    return error


def _made(order: Order, film: Path, room: Room, tell: Tell) -> Kept:
    """The film, its poster, and the film with the driver beside it."""
    perform, wanted = _verb(order)
    result = perform(
        order.portrait,
        order.driving,
        out=film,
        model=order.model,
        force=True,
        progress=tell,
        command="the studio",
        **wanted,
    )
    both = None
    if order.filmed:
        tell(Progress("laying the driver beside", 0, result.frames))
        both = beside(film, order.driving, film.with_name(f"{film.stem}-beside.mp4"), tell, result)
    poster = film.with_suffix(".jpg")
    write_picture(poster, _within(_middle(film, result.frames), POSTER), overwrite=True)
    kept = Kept(
        film=film,
        beside=both,
        poster=poster,
        title=f"{called(order.portrait.name)} as {called(order.driving.name)}, {result.model}",
        warnings=result.warnings,
    )
    room.note(result, kept)
    return kept


def _verb(order: Order) -> tuple[Callable[..., Result], dict[str, Any]]:
    """What is done, and how: `animate` or, with a voice, `act`. Errors: `BadOption` for what a voice does not have."""
    wanted = {each.name: getattr(order.choices, each.name) for each in fields(Choices)}
    if order.acting is None:
        return animate, wanted
    if order.choices.reference_frame != "auto":
        raise BadOption("a voice has no best frame", f"frame {order.choices.reference_frame}", "leaving it empty")
    return act, {name: value for name, value in wanted.items() if name not in UNSEEN} | asdict(order.acting)


def beside(film: Path, driving: Path, out: Path, tell: Tell, result: Result) -> Path:
    """The driver at the left, the film at the right, as one film with its sound: always in step, and plays anywhere."""
    clip = read(film)
    high = min(clip.size[1], HIGHEST) // 2 * 2
    begun = time.perf_counter()

    def pairs() -> Iterator[tuple[Fraction, Picture]]:
        both = zip(read(driving).timed(), clip.timed(), strict=False)
        for done, ((_, driver), (when, drawn)) in enumerate(both, 1):
            yield when, np.hstack([_tall(driver, high), _tall(drawn, high)])
            left = (time.perf_counter() - begun) / done * (result.frames - done)
            tell(Progress("laying the driver beside", done, result.frames, left))

    words = {key: value for key, value in read_metadata(film).items() if key in ("synthetic", "software", "title")}
    write(
        out, pairs(), fps=clip.fps, sound=film if clip.has_sound else None, metadata=words, quality=20, overwrite=True
    )
    return out


def _middle(film: Path, frames: int) -> Picture:
    """The frame in the middle."""
    return next(islice(read(film), frames // 2, None))


def _tall(picture: Picture, high: int) -> Picture:
    """Scaled to a height, the width even."""
    wide = max(2, round(picture.shape[1] * high / picture.shape[0] / 2) * 2)
    how = cv2.INTER_AREA if high < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (wide, high), interpolation=how), np.uint8)


def _within(picture: Picture, side: int) -> Picture:
    """No side longer than that."""
    return _tall(picture, max(2, round(picture.shape[0] * min(1.0, side / max(picture.shape[:2])))))
