"""Ensembles: a few people of the cast who all do the same few things, everybody drawn doing everything.

So each picture is the exact answer to many questions: this person, as in that other picture, doing what a third person
does there. It is what face-vid2vid was to X-Portrait, F(other person, driver), and it is exact.

Pictures are numbered through: picture n is person n // moments % people, in moment n % moments, of ensemble
n // (people * moments).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast import draw, how, who
from understudy.cast.film import motion
from understudy.cast.how import How
from understudy.cast.landmarks import NAMES
from understudy.cast.render import PLAIN, Stages
from understudy.data import shards
from understudy.data.drawn import FINE, looks, to_bytes
from understudy.diffusion.noise import chance
from understudy.errors import BadOption

CALM: Final = 2
"""The first moments of an ensemble (of a film: the first one), in which people look as they do in portraits."""
OUTLINE: Final = tuple(index for index, name in enumerate(NAMES) if name.startswith("jaw_") or "_brow_" in name)
"""The landmarks by whose extent one face is laid over another."""
CENTRES: Final = tuple(
    tuple(index for index, name in enumerate(NAMES) if name.startswith(starts))
    for starts in (("left_upper_lid", "left_lower_lid"), ("right_upper_lid", "right_lower_lid"), ("lip_",))
)
"""The landmarks whose means are the centres of eyes and mouth."""
POINTS: Final = ("centres", "outline")
EACH: Final = 256
"""Pictures in a shard: about 70 MB at 256x256."""
NEAR: Final = 1.3
"""How much larger than usual faces are that are drawn near: what a motion encoder sees of one fills the picture."""
_SAID: Final = ("size", "people", "moments", "filmed", "first", "style")  # and near, which shards of before do not say
_PLACES, _MORE = 0x706C6163, 0x6D6F7265


@dataclass(frozen=True, kw_only=True)
class Ensembles:
    """Drawn when asked for. `moments` are anything that faces do, or, where `filmed`, a calm one and then the frames
    of a film. `near`: faces fill the picture, and whatever a face can do is done as often as anything else. `first`:
    the number from which on people and performances are taken (held-out ones)."""

    size: int
    people: int = 4
    moments: int = 8
    filmed: bool = False
    near: bool = False
    first: int = 0
    style: str | None = None
    stages: Stages = PLAIN
    at_once: int = 8
    device: str = "cpu"
    """Where they are drawn. They come from there as bytes, and go to shards."""

    def __post_init__(self) -> None:
        if self.filmed and self.near:
            raise BadOption("No films are drawn near", "filmed and near", "one of them")

    @property
    def kind(self) -> str:
        """What a folder of them is called."""
        return "films" if self.filmed else "closeups" if self.near else "ensembles"

    @property
    def pictures(self) -> int:
        """In an ensemble."""
        return self.people * self.moments

    @property
    def real(self) -> bool:
        """Whether the first person of each is (see `data.footage`); here nobody is, and anybody may be asked for."""
        return False

    @property
    def about(self) -> dict[str, object]:
        """What they depend on, besides looks."""
        return {name: getattr(self, name) for name in _SAID} | ({"near": True} if self.near else {})

    @property
    def looks(self) -> str:
        """A word that changes when the cast is drawn otherwise."""
        return looks()

    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Pictures by number, uint8: `picture` (n, 3, s, s), `ground` (n, s/2, s/2), where nobody is, and `fine` (n,
        s/4, s/4), where eyes and mouth are; in pixels, `centres` (n, 3, 2) of eyes and mouth, `outline` (n, k, 2)."""
        parts = [self._drawn([*numbers[i : i + self.at_once]]) for i in range(0, len(numbers), self.at_once)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def moment(self, ensemble: int, number: int) -> How:
        """What all people of an ensemble do at once."""
        if self.near:
            return _near(self.first + ensemble * self.moments + number)
        if not self.filmed:
            return _moment(self.first + ensemble * self.moments, number)
        if number:
            return motion(self.first + ensemble, number - 1, 1)
        calm = _moment(self.first + ensemble, 0)
        return How(calm.curves, calm.turn, motion(self.first + ensemble, 0, 1).place)

    @torch.no_grad()
    def _drawn(self, numbers: list[int]) -> dict[str, Tensor]:
        seeds = [self.first + n // self.pictures * self.people + n // self.moments % self.people for n in numbers]
        hows = how.joined([self.moment(n // self.pictures, n % self.moments) for n in numbers])
        people = who.sample(seeds, self.style).to(self.device)
        drawn = draw.draw(people, hows.to(self.device), self.size, stages=self.stages)
        fine = F.max_pool2d(torch.maximum(drawn.masks.eyes, drawn.masks.mouth)[:, None], FINE)[:, 0]
        found = {
            "picture": to_bytes(drawn.image),
            "ground": to_bytes(F.avg_pool2d(drawn.masks.background[:, None], 2)[:, 0]),
            "fine": to_bytes(fine),
            "centres": centres(drawn.landmarks.pixels),
            "outline": drawn.landmarks.pixels[:, list(OUTLINE)],
        }
        return {name: value.cpu() for name, value in found.items()}


def drawn_on(ensembles: Ensembles, device: str) -> Ensembles:
    """The same, drawn there; many at once where that is not a CPU, whose cache holds few."""
    return replace(ensembles, device=device, at_once=ensembles.at_once if device == "cpu" else 64)


def centres(pixels: Tensor) -> Tensor:
    """Of eyes and mouth, (n, 3, 2), from all landmarks (n, k, 2)."""
    return torch.stack([pixels[:, list(part)].mean(1) for part in CENTRES], 1)


def _moment(first: int, number: int) -> How:
    """Any expression and turn; as in a film, the head keeps about the same place and size in all moments."""
    base, here = how.sample([first]), how.sample([first + number])
    aside = torch.randn(3, generator=chance(first, number, _PLACES)) * torch.tensor([0.03, 0.03, 0.025])
    calm = number < CALM
    looking = torch.tensor([name.startswith("eyeLook") for name in how.ARKIT_NAMES])
    curves = torch.where(looking, here.curves, here.curves * (0.3 if calm else 1.0))
    return How(curves, here.turn * (0.6 if calm else 1.0), base.place + aside)


def _near(number: int) -> How:
    """Any expression and turn with two coefficients more, so that the rare ones are not; seen from near, and put where
    eyes and mouth are in the middle (fitted to 64 pictures)."""
    here = how.sample([number])
    dice = chance(number, 0, _MORE)
    free = torch.tensor([index for index, name in enumerate(how.ARKIT_NAMES) if not name.startswith("eyeLook")])
    which = free[torch.randperm(len(free), generator=dice)[:2]]
    curves = here.curves.clone()
    curves[0, which] = torch.maximum(curves[0, which], 0.2 + 0.8 * torch.rand(2, generator=dice))
    aside = torch.randn(3, generator=dice) * torch.tensor([0.04, 0.04, 0.08])
    yaw, pitch, roll = here.turn[0].deg2rad().sin()
    middle = torch.stack([-0.69 * yaw - 0.35 * roll, 0.15 - 0.7 * pitch, torch.tensor(NEAR)])
    return How(curves, here.turn, (middle + aside)[None])


def mirrored(samples: dict[str, Tensor], which: Tensor, size: int) -> dict[str, Tensor]:
    """Tensors of `Ensembles.batch`, those of `which` (n,) seen in a mirror. `size` of pictures, in pixels."""

    def across(points: Tensor) -> Tensor:
        return points * points.new_tensor([-1, 1]) + points.new_tensor([size, 0])

    def turned(name: str, value: Tensor) -> Tensor:
        other = across(value) if name in POINTS else value.flip(-1)
        return torch.where(which.reshape(-1, *[1] * (value.ndim - 1)), other, value)

    return {name: turned(name, value) for name, value in samples.items()}


class Drawable(Protocol):
    """Ensembles of whatever kind."""

    @property
    def about(self) -> Mapping[str, object]: ...
    @property
    def looks(self) -> str: ...
    def batch(self, numbers: Sequence[int]) -> dict[str, Tensor]: ...


def drawn_ahead(
    ensembles: Drawable, folder: Path, wanted: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[int, int]]:
    """Draw into shards what is not there yet of the first `wanted` pictures, one process of several its share; yields
    (drawn, wanted). Errors: BadOption where what is there is of another size or kind."""
    about = dict(ensembles.about)
    if shards.complete(folder, wanted, EACH):
        shards.reused(folder, about, ensembles.looks)
        return
    about |= {"looks": ensembles.looks}
    for there in shards.shared(folder, wanted, EACH, about, ensembles.batch, rank, world):
        yield there, wanted
