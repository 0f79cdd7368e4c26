"""Films of ten seconds: whether a result keeps still when its driver does, and whether one sees where windows join."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from understudy.ahead import ahead
from understudy.animate.pace import Pace, Tell, nobody
from understudy.cast import film
from understudy.device import choose
from understudy.errors import BadOption
from understudy.evaluate.drawers import Performer
from understudy.evaluate.evaluation import entered
from understudy.evaluate.measure import change, flicker
from understudy.evaluate.scenes import Drive, Programme, Scene, acted, scene, taken
from understudy.evaluate.speed import commit
from understudy.face.mesh_finder import MeshFinder

SECONDS: Final = 10.0
PIECE: Final = 8  # frames that are drawn at once


@dataclass(frozen=True)
class Steps:
    """How frames follow each other, in 255ths: on the whole, where windows join, and elsewhere."""

    mean: float
    joins: float | None
    elsewhere: float


@dataclass(frozen=True)
class Films:
    """These are the fields of `--json`. On a still driver: the change from frame to frame. On a moving one: how far
    that change is from the truth's, which is 0 for a film that moves just as it should."""

    model: str
    commit: str
    people: int
    frames: int
    still: Steps
    moving: Steps
    seconds: float


def films(
    model: str,
    programme: Programme | None = None,
    *,
    length: float = SECONDS,
    steps: int | None = None,
    device: str = "auto",
    progress: Tell = nobody,
) -> Films:
    """For each person of the programme two films, one of a driver who keeps still, one of a driver who does not.

    Errors: as of `evaluate`; `BadOption` for a model that draws frame by frame, and so has no windows."""
    begun, code = time.perf_counter(), commit()
    with MeshFinder() as finder:
        contestant = entered(model, steps, choose(device), finder)
    if contestant.performer is None:
        raise BadOption(
            f"{model} draws every frame by itself: there are no windows that could join badly",
            remedy="--films for a model that is trained, such as x-portrait-small",
        )
    programme = replace(programme or Programme(people=1), size=contestant.size)
    frames = round(length * programme.fps)
    pace = Pace(progress)
    pace.begin("films", 2 * programme.people * (frames - 1))
    still: list[list[float]] = []
    moving: list[list[float]] = []
    done = 0
    for person in range(programme.people):
        played = scene(programme, person, 0)
        both = (
            (still, kept_still(contestant.performer, played, frames)),
            (moving, on_the_move(contestant.performer, played, frames, programme.fps)),
        )
        for kept, measured in both:
            kept.append([])
            for step in measured:
                kept[-1].append(step)
                done += 1
                pace.at(done)
                pace.announce(f"{model}: films of {frames} frames")
    return Films(
        model=model,
        commit=code,
        people=programme.people,
        frames=frames,
        still=summed(still, contestant.windows),
        moving=summed(moving, contestant.windows),
        seconds=round(time.perf_counter() - begun, 1),
    )


def summed(films: list[list[float]], windows: tuple[int, int]) -> Steps:
    """Each film as its steps, from frame 0 to 1 first."""
    joins = [set(joined(windows, len(film) + 1)) for film in films]
    at = [step for film, first in zip(films, joins, strict=True) for k, step in enumerate(film, 1) if k in first]
    away = [step for film, first in zip(films, joins, strict=True) for k, step in enumerate(film, 1) if k not in first]
    return Steps(
        mean=sum(at + away) / max(len(at + away), 1),
        joins=sum(at) / len(at) if at else None,
        elsewhere=sum(away) / max(len(away), 1),
    )


def joined(windows: tuple[int, int], frames: int) -> range:
    """The frames that are the first of a window but for a film's first, see `diffusion.windows.overlapped`."""
    size, overlap = windows
    return range(size, frames, size - overlap)


def following(frames: Iterator[Tensor], truth: Iterator[Tensor] | None = None) -> Iterator[float]:
    """What changes from frame to frame, in 255ths, of frames that come in pieces; with the truth, frame by frame, how
    far that is from what changes there. Holds a piece at a time."""
    single = (frame for piece in frames for frame in piece)
    before: tuple[Tensor, Tensor | None] | None = None
    for frame in single:
        true = None if truth is None else next(truth)
        if before is not None:
            pair = torch.stack([before[0], frame])
            known = before[1]
            step = change(pair) if true is None or known is None else flicker(pair, torch.stack([known, true]))
            yield float(step)
        before = frame, true


def kept_still(performer: Performer, played: Scene, frames: int) -> Iterator[float]:
    """Steps of a film in which the driver holds the first frame of a scene."""
    portrait = taken(played.portrait, played.rest, played.size)
    one = acted(played.driver, played.how[:1], played.rest, portrait)

    def pieces() -> Iterator[Drive]:
        for start in range(0, frames, PIECE):
            yield one.held(min(PIECE, frames - start))

    return following(performer(portrait.image[0], pieces(), played.number))


def on_the_move(performer: Performer, played: Scene, frames: int, fps: float) -> Iterator[float]:
    """Steps, against the truth's, of a film in which the driver does what the scene's number says, from the start."""
    portrait = taken(played.portrait, played.rest, played.size)
    truths: deque[Tensor] = deque()  # as many as the performer looks ahead

    def pieces() -> Iterator[Drive]:
        for start in range(0, frames, PIECE):
            moves = film.motion(played.number, start, min(PIECE, frames - start), fps)
            truths.extend(taken(played.portrait.repeated(len(moves)), moves, played.size).image)
            yield acted(played.driver, moves, played.rest, portrait)

    def true() -> Iterator[Tensor]:
        while True:
            yield truths.popleft()

    return following(performer(portrait.image[0], ahead(pieces(), 1), played.number), true())
