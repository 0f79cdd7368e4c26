"""Ensembles made of footage: one real person in several moments, and others who are made to do the same.

They are read as `data.ensemble.Ensembles` are, so recipes learn from them with the same words. The first person of an
ensemble is real in all moments, and all questions are about that one; the others are portraits from other films, bent
by warp to do what the first one does. They are X-Portrait's F(another person, driving frame), for whose lack of looks
in common the control nets learn to follow movement alone; they never are answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.cast.how import INDEX, How
from understudy.data.drawn import FINE, HELD_OUT
from understudy.data.ensemble import CALM
from understudy.data.gather import SIDE
from understudy.data.takes import ABOUT, Stored, split, takes_in
from understudy.diffusion.noise import chance
from understudy.errors import BadOption
from understudy.face.crop import Crop
from understudy.face.find import Face
from understudy.face.lips import cut_inside
from understudy.face.mesh import Floats
from understudy.face.parts import PARTS, centres, outline
from understudy.face.person import person
from understudy.face.portrait import Portrait
from understudy.face.square import Square
from understudy.generator.warp import Warp
from understudy.generator.warp.transfer import best_frame, transfer
from understudy.motion.mesh import MotionMesh, whole

Bytes = npt.NDArray[np.uint8]

CALMEST: Final = 4  # one part in so many of the frames counts as calm
RATE: Final = 25  # frames a second of a film, about
_OTHER, _WHEN = range(0x666F_6F74, 0x666F_6F76)


class Shown(NamedTuple):
    """A picture (s, s, 3), and the points (478, 2 or 3) of the face in it, in pixels (the middle of the first is 0)."""

    picture: Bytes
    points: Floats


@dataclass(frozen=True, kw_only=True)
class Footage:
    """As `Ensembles`, from the shards in `folder`. `first`: from `HELD_OUT` on, of films that are held out."""

    folder: Path
    size: int
    people: int
    moments: int = 8
    filmed: bool = False
    first: int = 0
    real: bool = True
    """The first person of each ensemble is real, and the others are made."""

    @property
    def kind(self) -> str:
        """What a folder of them is called."""
        return f"footage-{'films' if self.filmed else 'moments'}-{self.people}"

    @property
    def pictures(self) -> int:
        """In an ensemble."""
        return self.people * self.moments

    @property
    def about(self) -> dict[str, object]:
        """What they depend on."""
        told = hashlib.sha256((self.folder / ABOUT).read_bytes()).hexdigest()[:16]
        return {"shards": told, "size": self.size, "people": self.people, "moments": self.moments,
                "filmed": self.filmed, "first": self.first}  # fmt: skip

    @property
    def looks(self) -> str:
        """A word for headers of weights."""
        return f"footage {self.about['shards']}"

    @cached_property
    def takes(self) -> list[Stored]:
        """Those that are long enough."""
        mine = split(takes_in(self.folder), self.first >= HELD_OUT)
        least = self.moments if self.filmed else 2
        found = [take for take in mine if take.frames >= least]
        if not found:
            seen = f"{len(mine)} takes, the longest of {max((take.frames for take in mine), default=0)} frames"
            raise BadOption(
                f"{self.folder} has no take of {least} frames", seen, "longer films, or a larger --shortest"
            )
        return found

    @cached_property
    def portraits(self) -> list[Stored]:
        """Whom others are made of: takes, held out or not as these."""
        return split(takes_in(self.folder), self.first >= HELD_OUT)

    def take(self, ensemble: int) -> Stored:
        """Whose moments they are: all takes in turn."""
        return self.takes[ensemble % len(self.takes)]

    def when(self, ensemble: int) -> list[int]:
        """The frames of the take that are an ensemble's moments: calm ones first."""
        take = self.take(ensemble)
        calm = calmest(take.motion)
        dice = chance(self.first + ensemble, 0, _WHEN)

        def throw(sides: int) -> int:
            return int(torch.randint(max(sides, 1), (), generator=dice))

        if not self.filmed:
            chosen = [calm[throw(max(len(calm) // CALMEST, 1))] for _ in range(min(CALM, self.moments))]
            return chosen + [throw(take.frames) for _ in range(self.moments - len(chosen))]
        wanted = self.moments - 1
        step = max(1, min(round(float(take.motion.rate) / RATE), take.frames // wanted))
        begin = throw(take.frames - step * (wanted - 1))
        return [calm[0], *range(begin, begin + step * wanted, step)]

    def moment(self, ensemble: int, number: int) -> How:
        """What is done there, by the curves that a mesh can tell (0 where it cannot)."""
        motion, frame = self.take(ensemble).motion, self.when(ensemble)[number]
        curves = torch.zeros(1, len(INDEX))
        for name, value in zip(motion.names, motion.curves[frame].tolist(), strict=True):
            curves[0, INDEX[name]] = min(max(value, 0.0), 1.0)
        yaw, pitch, roll = motion.pose.angles[frame].tolist()
        return How(curves, torch.tensor([[yaw, -pitch, roll]]), torch.tensor([[0.0, 0.0, 1.0]]))

    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """As `Ensembles.batch`."""
        found = [self._sample(*divmod(n, self.pictures)) for n in numbers]
        return {name: torch.stack([one[name] for one in found]) for name in found[0]}

    def shown(self, ensemble: int, one: int, moment: int) -> Shown:
        """Person `one` of an ensemble in a moment."""
        take, frame = self.take(ensemble), self.when(ensemble)[moment]
        if one == 0:
            return resized(take.picture(frame), take.motion.points[frame], self.size)
        return _bent(self, ensemble, one)[moment]

    def _sample(self, ensemble: int, rest: int) -> dict[str, Tensor]:
        picture, points = self.shown(ensemble, *divmod(rest, self.moments))
        nobody = cv2.resize(1 - person(picture), [self.size // 2] * 2, interpolation=cv2.INTER_AREA)
        corner = points[:, :2] + np.float32(0.5)
        return {
            "picture": torch.from_numpy(picture.transpose(2, 0, 1).copy()),
            "ground": torch.from_numpy(np.round(np.clip(nobody, 0, 1) * 255).astype(np.uint8)),
            "fine": torch.from_numpy(fine(points, self.size)),
            "centres": torch.from_numpy(centres(corner)),
            "outline": torch.from_numpy(outline(corner).copy()),
        }


@lru_cache(maxsize=8)
def _bent(footage: Footage, ensemble: int, one: int) -> tuple[Shown, ...]:
    """Another person doing what is done in all moments of an ensemble."""
    take, frames = footage.take(ensemble), footage.when(ensemble)
    theirs = other(footage, take, ensemble, one)
    frame = calmest(theirs.motion)[0]
    return bent(resized(theirs.picture(frame), theirs.motion.points[frame], footage.size), take, frames)


def other(footage: Footage, take: Stored, ensemble: int, one: int) -> Stored:
    """The take that person `one` of an ensemble is made of: from another film, if there is one."""
    strangers = [each for each in footage.portraits if each.film != take.film]
    strangers = strangers or [each for each in footage.portraits if each.key != take.key]
    if not strangers:
        strangers = [each for each in takes_in(footage.folder) if each.key != take.key]
    if not strangers:
        raise BadOption(
            "Pictures of other people need another person",
            f"one take in {footage.folder}",
            "more films, or cross=false",
        )
    pick = torch.randint(len(strangers), (), generator=chance(footage.first + ensemble, one, _OTHER))
    return strangers[int(pick)]


def bent(portrait: Shown, take: Stored, frames: Sequence[int]) -> tuple[Shown, ...]:
    """F: a portrait doing what is done in some frames of a take, its mouth filled with what the take shows there."""
    size = len(portrait.picture)
    middle = (size - 1) / 2
    crop = Crop(Square(middle, middle, float(size)), size, (size, size))
    warp = Warp(Portrait(portrait.picture, Face(portrait.points), crop, "another person"))
    reference = best_frame([take.motion], warp.figure.shape)
    assert reference is not None  # a take shows its face in every frame
    motion = _chosen(take, frames)
    targets = transfer(warp.figure.shape, reference, motion, warp.options.amounts)
    drawn = warp.draw_crops([motion], reference)
    return tuple(Shown(picture, points) for picture, points in zip(drawn, targets.points, strict=True))


def _chosen(take: Stored, frames: Sequence[int]) -> MotionMesh:
    """Some frames of a take's motion, in any order, with what is inside the mouths."""
    motion = whole([take.motion[frame : frame + 1] for frame in frames])
    mouths = [cut_inside(take.picture(frame), take.motion.points[frame]) for frame in frames]
    return replace(motion, mouths=np.stack(mouths))


def resized(picture: Bytes, points: Floats, size: int) -> Shown:
    """A take's picture and its points at another size."""
    scale = size / SIDE
    shrunk = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    moved = points * np.float32(scale)
    moved[:, :2] += np.float32((scale - 1) / 2)  # pixels' middles
    return Shown(shrunk, moved)


def calmest(motion: MotionMesh) -> list[int]:
    """All frames, those first in which the head faces the camera and the mouth is shut."""
    shapes, angles = motion.shapes, np.abs(motion.pose.angles)
    gap = np.linalg.norm(shapes[:, 13] - shapes[:, 14], axis=-1)
    return [int(k) for k in np.argsort((angles[:, 0] + angles[:, 1]) / 30 + 4 * gap, kind="stable")]


def fine(points: Floats, size: int) -> Bytes:
    """(size/4, size/4), 255 where eyes and mouth are."""
    mask = np.zeros((size, size), np.uint8)
    for part in PARTS:
        hull = cv2.convexHull(np.round(points[list(part), :2]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 255)
    mask = np.asarray(cv2.dilate(mask, np.ones([size // 32 | 1] * 2, np.uint8)), np.uint8)  # lashes, rims of lips
    return np.asarray(mask.reshape(size // FINE, FINE, size // FINE, FINE).max((1, 3)), np.uint8)


__all__ = ["Footage", "Shown", "bent", "calmest", "resized"]
