"""What is performed when a model is measured: held-out people, held-out motions, and the exact truth about both.

A scene is a few consecutive frames of somebody (the driver) doing something, and a calm portrait of somebody who shall
do it too; a snippet is the scene drawn, with the truth: the portrait's own person doing it. A scene is made from its
seed, person and motion alone, so more people or more motions leave those that were there as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import numpy as np
import torch
from torch import Tensor

from understudy.cast import film, how, who
from understudy.cast.draw import Drawn, draw
from understudy.cast.how import YAW, How
from understudy.cast.who import STYLES, Who
from understudy.data.drawn import HELD_OUT
from understudy.data.ensemble import OUTLINE, centres
from understudy.errors import BadOption
from understudy.generator.hints import between

YAWS: Final = ("0-15", "15-30", "30-45")  # degrees, either way: as many frames of each as can be
SPEEDS: Final = ("slow", "fast")
FAST: Final = 30.0  # degrees a second; see `pace`
REACH: Final = 4.0  # degrees of head that move as many pixels as a whole coefficient does, roughly
DRIVERS: Final = ("cross", "self")
MOST: Final = 1000  # people, and motions of each: beyond, one seed's people would be another's
_ROOM: Final = 10 * MOST * MOST
_CELLS: Final = len(YAWS) * len(SPEEDS)
_TAKES: Final = 12  # stretches of a film from which a slow or a fast one is chosen
_MINUTE: Final = 1500  # frames of a film that stretches are taken from


@dataclass(frozen=True, kw_only=True)
class Programme:
    """How much is performed. `style`: of everybody, or None for each person's own, of those that are trained on."""

    people: int = 12
    motions: int = 10
    frames: int = 4
    seed: int = 0
    size: int = 256
    fps: float = 25.0
    style: str | None = None

    def __post_init__(self) -> None:
        for name in ("people", "motions"):
            if not 1 <= getattr(self, name) <= MOST:
                raise BadOption(f"--{name} is out of range", str(getattr(self, name)), f"1 to {MOST}")
        if self.frames < 2:
            raise BadOption("what flickers shows in two frames or more", f"{self.frames} frames", "4")
        if self.seed < 0:
            raise BadOption("a seed is a whole number", str(self.seed), "0 or more")

    def __len__(self) -> int:
        return self.people * self.motions

    def scenes(self) -> Iterator[Scene]:
        """All of them, person by person."""
        for person in range(self.people):
            for motion in range(self.motions):
                yield scene(self, person, motion)


@dataclass(frozen=True)
class Scene:
    """A snippet in numbers. `labels`: for every kind of bin, the bin of each frame."""

    number: int
    """Its own, whatever the size of the programme: the seed of its motion and of what is drawn in it."""
    person: int
    motion: int
    size: int
    portrait: Who  # one person each
    driver: Who
    other: Who | None
    """Another driver, in the scenes in which it is asked how much of the driver shows in the result."""
    rest: How  # (1): what the portrait does
    how: How  # (f)
    labels: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Drive:
    """A driver as a camera sees it, f frames; and where in it things are, exactly."""

    pictures: Tensor  # (f, 3, s, s) in [0, 1]
    rest: Tensor  # (3, s, s): the driver doing what the portrait does, which is the best frame there can be
    map: Tensor  # (2, 3): lays the driver at rest over the portrait, see `generator.hints`
    centres: Tensor  # (f, 3, 2) pixels: the eyes, the person's left one first, and the mouth
    rest_centres: Tensor  # (3, 2) the same, of the driver at rest
    own_centres: Tensor  # (3, 2) the same, of the portrait

    def held(self, count: int) -> Drive:
        """The first frame, so many times."""
        return replace(
            self,
            pictures=self.pictures[:1].expand(count, -1, -1, -1),
            centres=self.centres[:1].expand(count, -1, -1),
        )


@dataclass(frozen=True)
class Snippet:
    """A scene, drawn: f frames in [0, 1]."""

    scene: Scene
    portrait: Tensor  # (3, s, s)
    drive: Drive
    other: Drive | None
    truth: Tensor  # (f, 3, s, s)
    face: Tensor  # (f, s, s) where in the truth the face is
    fine: Tensor  # (f, s, s) eyes and mouth

    def driven(self, drive: Drive) -> Snippet:
        """The same, with another driver."""
        return replace(self, drive=drive, other=None)

    def held(self) -> Snippet:
        """The same with a driver who keeps still, as in the first frame."""
        return self.driven(self.drive.held(len(self.drive.pictures)))


def scene(programme: Programme, person: int, motion: int) -> Scene:
    """The `motion`-th scene of the `person`-th person."""
    first = HELD_OUT + _ROOM * (programme.seed + 1)  # none of those whom recipes judge by
    turn = 11 * person + motion  # kinds take turns; their numbers have no common divisor, so all meet
    number = first + 2 * MOST + 4 * (MOST * person + motion)
    cast = who.sample([first + person, number + 1, number + 2], programme.style)
    itself, driver, other = cast[[0]], cast[[1]], cast[[2]]
    kind = DRIVERS[turn % 5 == 4]
    moves = moving(number, programme.frames, programme.fps, turn % len(YAWS), turn % _CELLS >= len(YAWS))
    count = programme.frames
    labels = {
        "yaw": tuple(yaw_bin(degrees) for degrees in moves.turn[:, 0].tolist()),
        "speed": (SPEEDS[int(pace(moves, programme.fps) > FAST)],) * count,
        "style": (STYLES[int(itself.style)],) * count,
        "driver": (kind,) * count,
    }
    return Scene(
        number=number,
        person=person,
        motion=motion,
        size=programme.size,
        portrait=itself,
        driver=elsewhere(itself, driver) if kind == "self" else driver,
        other=other if turn % 5 == 1 else None,
        rest=calm(first + person),
        how=moves,
        labels=labels,
    )


def calm(seed: int) -> How:
    """How people look in a portrait: nearly at rest, nearly straight ahead."""
    chance = np.random.default_rng([0x63616C6D, seed])
    smile, brows, lids, jaw = (chance.normal((0.05, 0.0, 0.05, -0.05), (0.2, 0.12, 0.08, 0.08))).clip(0, 0.5)
    held = how.neutral(1).having(
        mouthSmileLeft=smile, mouthSmileRight=smile, browInnerUp=brows, eyeSquintLeft=lids, eyeSquintRight=lids,
        jawOpen=jaw,
    )  # fmt: skip
    right, up = chance.normal(0, 0.06, 2)
    how.look(held.curves, float(right), float(up))
    yaw, pitch, roll = chance.normal(0, (9.0, 4.0, 2.5)).clip(-20, 20)
    return held.held(yaw=float(yaw), pitch=float(pitch), roll=float(roll))


def moving(seed: int, frames: int, fps: float, wide: int, fast: bool) -> How:
    """A stretch of the seed's film, slow or fast, with the head turned to one side as far as `YAWS[wide]` says.

    Of some stretches the first that is slow or fast is taken; if none is, the slowest or the fastest."""
    chance = np.random.default_rng([0x6D6F7665, seed])
    starts = chance.integers(0, _MINUTE, _TAKES).tolist()
    takes = [film.motion(seed, start, frames, fps) for start in starts]
    fit = [take for take in takes if (pace(take, fps) > FAST) == fast]
    take = fit[0] if fit else (max if fast else min)(takes, key=lambda each: pace(each, fps))
    low, high = (float(edge) for edge in YAWS[wide].split("-"))
    wanted = chance.uniform(low, min(high, YAW - 2)) * chance.choice([-1.0, 1.0])  # room for what moves on
    turn = take.turn.clone()
    turn[:, 0] = (turn[:, 0] + wanted - turn[:, 0].mean()).clamp(-YAW, YAW)
    return replace(take, turn=turn)


def pace(moves: How, fps: float) -> float:
    """How fast it goes: degrees of head a second, expressions counting `REACH` degrees for a coefficient."""
    turned = moves.turn.diff(dim=0).norm(dim=1).mean()
    changed = moves.curves.diff(dim=0).norm(dim=1).mean()
    return float((turned + REACH * changed) * fps)


def yaw_bin(degrees: float) -> str:
    """The bin of a head turned so far."""
    return next((name for name in YAWS if abs(degrees) < float(name.split("-")[1])), YAWS[-1])


def elsewhere(person: Who, other: Who) -> Who:
    """The same head with the other's background, light and clothes: a film of oneself, made elsewhere."""
    places = ("clothes", "cloth", "cloth_second", "background", "ground", "ground_second", "light", "warmth", "soft")
    return replace(person, **{name: getattr(other, name) for name in places})


def snippets(programme: Programme) -> Iterator[Snippet]:
    """All scenes, drawn one by one; a person's portrait once."""
    for _, scenes in groupby(programme.scenes(), lambda scene: scene.person):
        portrait: Drawn | None = None
        for each in scenes:
            portrait = portrait or taken(each.portrait, each.rest, each.size)
            yield drawn(each, portrait)


def drawn(scene: Scene, portrait: Drawn | None = None) -> Snippet:
    """One scene, drawn; `portrait`, if it is there already."""
    portrait = portrait or taken(scene.portrait, scene.rest, scene.size)
    count = len(scene.how)
    both = taken(
        who.joined([scene.portrait.repeated(count), scene.driver.repeated(count + 1)]),
        how.joined([scene.how, scene.how, scene.rest]),
        scene.size,
    )
    fine = torch.maximum(both.masks.eyes[:count], both.masks.mouth[:count])
    return Snippet(
        scene=scene,
        portrait=portrait.image[0],
        drive=_drive(both, count, portrait),
        other=None if scene.other is None else acted(scene.other, scene.how, scene.rest, portrait),
        truth=both.image[:count],
        face=both.masks.face[:count],
        fine=fine,
    )


def acted(driver: Who, moves: How, rest: How, portrait: Drawn) -> Drive:
    """One driver's performance, for a portrait that is drawn already."""
    own = taken(driver.repeated(len(moves) + 1), how.joined([moves, rest]), portrait.image.shape[-1])
    return _drive(own, 0, portrait)


def _drive(played: Drawn, first: int, portrait: Drawn) -> Drive:
    """From pictures from `first` on: f frames and, last, the driver at rest."""
    pictures, outline = played.image[first:], played.landmarks.pixels[-1:, OUTLINE]
    laid = between(outline, portrait.landmarks.pixels[:, OUTLINE])
    where, own = (centres(each.landmarks.pixels) for each in (played, portrait))
    return Drive(pictures[:-1], pictures[-1], laid[0], where[first:-1], where[-1], own[0])


@torch.no_grad()
def taken(person: Who, moves: How, size: int) -> Drawn:
    """Pictures and the truth about them."""
    return draw(person, moves, size)
