"""What X-Portrait 2 learns from: its recipe's fields, its nets, and how a driver's face is shown to the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.data import shards
from understudy.data.ensemble import Ensembles
from understudy.data.vary import FOOTAGE, varied
from understudy.diffusion.noise import chance
from understudy.errors import BadOption
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.motion.encoder import Encoder, EncoderConfig, FaceNetConfig, boxed, cut
from understudy.motion.probing import curves_mirrored, curves_of, ridge
from understudy.recipes.autoencoder import Critic
from understudy.recipes.head import Head, HeadRecipe
from understudy.recipes.portrayal import PortrayalRecipe, Question, Questions, pictured
from understudy.train.task import Batch, Chance

if TYPE_CHECKING:
    from understudy.data.footage import Footage

BENDS: Final = 4
"""Places along a side of a face's picture that are moved by chance; between them it is bent evenly."""
CLOSEUPS: Final = Ensembles(size=144, people=2, moments=2, near=True)
"""Few moments of many people: an encoder shall learn faces and expressions, and few ones it learns by heart."""
_VARIED, _ZOOM, _ASIDE, _BEND = range(0x7880, 0x78C0, 16)
_PAIRS: Final = 0x78F0


@dataclass(frozen=True, kw_only=True)
class XPortrait2Recipe(PortrayalRecipe):
    """All that a stage of X-Portrait 2 depends on."""

    stage: Literal["expression", "together", "clear", "time"]
    closeups: int
    """Faces of the cast drawn near, ahead, from which `expression` learns by curves and by `alike` alone, and there are
    many of them. 0, and wherever what they teach by is not to be had (see `exact`): from whole pictures, and with the
    head."""
    settled: bool
    """Whether the encoder stays in `together` as close-ups have taught it: it has seen more faces than the generator
    will, and would learn those by heart."""
    varied: float
    """Share of the drivers' faces that are varied as footage is: the published colour jitter, and more."""
    zoom: float
    """The most by which a driver's face is larger or smaller in its picture, as a share."""
    bend: float
    """How far places of it are moved, in halves of its picture: standard deviation."""
    aside: float
    """How far from its middle it is, in sizes of the face: standard deviation."""
    masked: float
    """Share of the notes on the portrait that is kept from the net (reference feature masking)."""
    directions: int
    """Of a code, how many stay when what close-ups have taught is kept: those in which what is done counts most against
    who does it (see `probing.blinding`). What tells people is in the others: an identity filter. 0: all."""
    dropout: float
    """Share of a code's numbers that is kept from all who read it: an identity filter."""
    alike: float
    """How much it costs that two people who do the same have different codes, of how different codes are (see
    `blindness`): an identity filter, for the cast alone (`cross`)."""
    read: float
    """How much it costs that curves cannot be read off codes by straight lines, as a share of how much they move: for
    the cast alone, whose curves are known. 0: nobody says what there is to see, as published."""
    turns: float
    """How many times as much each of the head's three turns counts in `read` as a curve does. They decide where
    everything goes: of what a reading misses, a degree of a turn is next to nothing, and of a picture it is much."""
    adversary: float
    """How strongly the encoder is pushed against a net that tells people by their codes (gradient reversal)."""
    head: HeadRecipe

    def __post_init__(self) -> None:
        if not 0 <= self.varied <= 1:
            raise BadOption("A share is from 0 to 1", f"varied={self.varied}", "0.3")
        if self.closeups != 0 and self.closeups < CLOSEUPS.pictures:
            raise BadOption("Close-ups are drawn in fours", f"closeups={self.closeups}", "0, or some thousands")
        net = self.config.encoder and self.config.encoder.net
        if self.directions and not isinstance(net, FaceNetConfig):
            raise BadOption("Directions are taken from the small net's codes", f"directions={self.directions}", "0")

    @property
    def exact(self) -> bool:
        """Whether others do exactly the same, it is told what, and no net is to tell them apart."""
        return self.cross and self.read > 0 and not self.data and not self.adversary

    @property
    def near(self) -> bool:
        """Whether close-ups are learnt from."""
        return self.stage == "expression" and self.closeups > 0 and self.exact

    @property
    def still(self) -> bool:
        """Whether the encoder reads, and does not learn."""
        taught = self.closeups > 0 and self.exact
        return self.stage in ("clear", "time") or (self.stage == "together" and self.settled and taught)


class Reading(nn.Module):
    """Curves by straight lines from codes, learnt with them."""

    middle: Tensor
    spread: Tensor

    def __init__(self, code: int, middle: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.fc = nn.Linear(code, len(spread))
        self.register_buffer("middle", middle)
        self.register_buffer("spread", spread)

    def forward(self, code: Tensor, curves: Tensor) -> Tensor:
        """The share of what each of curves (n, k) does that is not in codes (n, d), about 1 - R^2; (k,)."""
        missed: Tensor = (self.fc(code).float() - (curves - self.middle) / self.spread).square().mean(0)
        return missed

    @torch.no_grad()
    def fit(self, codes: Tensor, curves: Tensor) -> None:
        """Begin with the best lines there are for what an encoder has learnt already, from codes (n, d) and curves (n,
        k): lines that know nothing would have it forget."""
        matrix, rest = ridge(codes, (curves - self.middle) / self.spread)
        self.fc.weight.copy_(matrix)
        self.fc.bias.copy_(rest)


class Learner(nn.Module):
    """The generator, and what is there for its training alone. `moves`: see `Done`; None where curves are not read."""

    def __init__(
        self, config: GeneratorConfig, recipe: XPortrait2Recipe, people: int, moves: tuple[Tensor, Tensor] | None
    ) -> None:
        super().__init__()
        self.generator = Generator(config)
        code = self.encoder.config.code
        headed = recipe.head.weight > 0 and not recipe.near and not recipe.still
        self.head = Head(recipe.head.config, code) if headed else None
        critic = recipe.clearing.critic if recipe.stage == "clear" else recipe.head.critic if headed else None
        self.critic = Critic(critic) if critic else None
        self.reading = None if moves is None else Reading(code, *moves)
        self.guess = nn.Linear(code, people) if recipe.adversary and not recipe.still else None

    @property
    def encoder(self) -> Encoder:
        """Of motion codes."""
        if self.generator.encoder is None:
            raise BadOption("X-Portrait 2 follows codes, and this generator has no encoder", remedy="another config")
        return self.generator.encoder


class Doers(Questions):
    """Questions, with pictures of all who do something, and where their faces are."""

    recipe: XPortrait2Recipe

    def __init__(self, recipe: XPortrait2Recipe, pictures: shards.Shards, latents: shards.Shards) -> None:
        super().__init__(recipe, pictures, latents)
        self.done = Done(self.ensembles, pictures)

    def more(self, asked: Sequence[Question], turned: Tensor) -> Batch:
        """uint8 pictures: `driver` (n, f, 3, s, s) with `ground`; boxes: `box` (n, f, 3) of drivers, `then` (n, 3) of
        the driver doing what the portrait does; `shown` (n, 3, s, s) with `shown_box`, the portrait; `who` (n,), the
        driver's number. Where the encoder learns also `curves` (n, f, 55), what drivers do, as it is seen; `truth`
        (n, f, 3, s, s) with `truth_ground`, `truth_box` and `truth_fine`."""
        seen = self.seen([q.drivers for q in asked], turned, "picture", "ground", "centres")
        then = self.seen([(q.driver_then,) for q in asked], turned, "centres")["centres"][:, 0]
        portrait = self.seen([(q.portrait,) for q in asked], turned, "picture", "centres")
        moments = self.ensembles.moments
        batch = {
            "driver": seen["picture"], "ground": seen["ground"], "box": boxes(seen["centres"]), "then": boxed(then),
            "shown": portrait["picture"][:, 0], "shown_box": boxed(portrait["centres"][:, 0]),
            "who": torch.tensor([q.drivers[0] // moments for q in asked]),
        }  # fmt: skip
        if self.recipe.still:
            return batch
        if not self.recipe.data:
            curves = [self.done.curves(q.drivers, turn) for q, turn in zip(asked, turned.tolist(), strict=True)]
            batch |= {"curves": torch.stack(curves)}
        truth = self.seen([q.answers for q in asked], turned, "picture", "ground", "centres", "fine")
        return batch | {
            "truth": truth["picture"], "truth_ground": truth["ground"], "truth_box": boxes(truth["centres"]),
            "truth_fine": truth["fine"],
        }  # fmt: skip


class Done:
    """What is done in pictures of ensembles, by their numbers."""

    def __init__(self, ensembles: Ensembles | Footage, pictures: shards.Shards) -> None:
        self.ensembles, self.pictures = ensembles, pictures
        self.known: dict[tuple[int, int], Tensor] = {}

    def curves(self, numbers: Sequence[int], turned: bool) -> Tensor:
        """(n, 55), as it is seen, in a mirror or not."""
        curves = torch.cat([self._of(number) for number in numbers])
        return curves_mirrored(curves) if turned else curves

    def _of(self, number: int) -> Tensor:
        """(1, 55); all people of an ensemble do the same."""
        each, moments = self.ensembles.pictures, self.ensembles.moments
        ensemble, moment = number // each, number % moments
        if (ensemble, moment) not in self.known:
            self.known[ensemble, moment] = curves_of(self.ensembles.moment(ensemble, moment))
        return self.known[ensemble, moment]

    def moves(self, count: int) -> tuple[Tensor, Tensor]:
        """Where each curve is and how much it moves, (55,) each: mean and standard deviation, not under 0.05, over
        about so many pictures."""
        numbers = range(0, len(self.pictures), max(len(self.pictures) // count, 1) | 1)
        curves = self.curves(numbers, turned=False)
        return curves.mean(0), curves.std(0).clamp_min(0.05)

    def examples(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """About so many pictures (n, 3, s, s), uint8, from all over, their boxes, and what is done in them, (n, 55)."""
        every = max(len(self.pictures) // count, 1) | 1  # odd, so that all moments come
        numbers = range(0, len(self.pictures), every)
        return *self._seen(numbers), self.curves(numbers, turned=False)

    def pairs(self, count: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """About so many times two people who do the same: pictures (n, 3, s, s), uint8, and boxes of both."""
        each, moments = self.ensembles.pictures, self.ensembles.moments
        every = max(len(self.pictures) // each * moments // count, 1) | 1
        pairs = range(0, len(self.pictures) // each * moments, every)
        begins = [pair // moments * each + pair % moments for pair in pairs]
        return self._seen(begins), self._seen([begin + moments for begin in begins])

    def _seen(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        seen = self.pictures.at(numbers, ("picture", "centres"))
        return seen["picture"], boxed(seen["centres"])


class Closeups:
    """What two people look like from near who do the same."""

    def __init__(self, recipe: XPortrait2Recipe, pictures: shards.Shards) -> None:
        self.recipe, self.pictures, self.ensembles = recipe, pictures, CLOSEUPS
        self.count = len(pictures) // self.ensembles.pictures
        self.done = Done(self.ensembles, pictures)

    def batch(self, numbers: Sequence[int]) -> Batch:
        """Of `Doers.batch`, what concerns drivers' faces and, as `truth`, those of the others."""
        one, other, turned = (list(each) for each in zip(*map(self._pairs, numbers), strict=True))
        mirrored, names = torch.tensor(turned), ("picture", "ground", "centres")
        drivers, truth = (pictured(self.pictures, some, mirrored, self.ensembles.size, names) for some in (one, other))
        curves = [self.done.curves(some, turn) for some, turn in zip(one, turned, strict=True)]
        return {
            "driver": drivers["picture"], "ground": drivers["ground"], "box": boxes(drivers["centres"]),
            "truth": truth["picture"], "truth_ground": truth["ground"], "truth_box": boxes(truth["centres"]),
            "curves": torch.stack(curves),
        }  # fmt: skip

    def _pairs(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
        """`frames` pictures, the other person in the same moments, and whether they are seen in a mirror."""
        dice, moments = chance(self.recipe.plan.seed, number, _PAIRS), self.ensembles.moments
        which = torch.randint(self.count * moments, (self.recipe.frames,), generator=dice).tolist()
        first, *_, turned = torch.randint(2, (self.recipe.frames + 1,), generator=dice).tolist()
        begins = [pair // moments * self.ensembles.pictures + pair % moments for pair in which]
        one, other = (tuple(begin + person * moments for begin in begins) for person in (first, 1 - first))
        return one, other, bool(turned)


def boxes(centres: Tensor) -> Tensor:
    """(n, f, 3, 2) to (n, f, 3)."""
    return boxed(centres.flatten(0, 1)).reshape(*centres.shape[:2], 3)


@torch.no_grad()
def faces(
    pictures: Tensor, ground: Tensor, box: Tensor, dice: Chance, recipe: XPortrait2Recipe, config: EncoderConfig
) -> Tensor:
    """(n*f, 3, side, side): what the encoder is shown of pictures (n, f, 3, s, s), uint8; changed by chance, a film as
    a whole."""
    frames = pictures.shape[1]
    alike = recipe.stage == "time"
    each = Chance(dice.seed, tuple(n if alike else n * frames + k for n in dice.numbers for k in range(frames)))
    device, box = pictures.device, box.flatten(0, 1)
    zoom = 1 + recipe.zoom * (2 * each.uniform(1, purpose=_ZOOM) - 1).to(device)
    aside = recipe.aside * each.normal(2, purpose=_ASIDE).to(device)
    box = torch.cat([box[:, :2] + aside * box[:, 2:], box[:, 2:] / zoom], 1)
    bent = recipe.bend * each.normal(2, BENDS, BENDS, purpose=_BEND).to(device)
    bent = F.interpolate(bent, [config.side] * 2, mode="bilinear", align_corners=True)
    seen = cut(pictures.flatten(0, 1).float() / 127.5 - 1, box, config.side, config.room, bent)
    rows = (each.uniform(purpose=_VARIED) < recipe.varied).nonzero()[:, 0]
    if not len(rows):
        return seen
    there = rows.to(device)
    behind = ground.flatten(0, 1)[there, None].float() / 127.5 - 1
    scale = box.new_tensor(ground.shape[-1] / pictures.shape[-1])
    behind = cut(behind, box[there] * scale, config.side, config.room, bent[there]) / 2 + 0.5
    some = Chance(each.seed, tuple(each.numbers[row] for row in rows.tolist()))
    seen[there] = varied(seen[there], behind.clamp(0, 1), some, FOOTAGE)
    return seen


@torch.no_grad()
def small_faces(batch: Batch, recipe: XPortrait2Recipe, config: EncoderConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Faces of portraits (n, 3, s, s) and of answers (n*f, 3, s, s) as the head shall show them, and what counts."""
    side, box, fine = recipe.head.config.side, batch["truth_box"].flatten(0, 1), batch["truth_fine"].flatten(0, 1)
    with torch.autocast(box.device.type, enabled=False):
        portrait = cut(batch["shown"].float() / 127.5 - 1, batch["shown_box"], side, config.room)
        truth = cut(batch["truth"].flatten(0, 1).float() / 127.5 - 1, box, side, config.room)
        scale = fine.shape[-1] / batch["truth"].shape[-1]
        counts = cut(fine[:, None].float() / 127.5 - 1, box * scale, side, config.room) / 2 + 0.5
    return portrait, truth, 1 + recipe.head.fine * counts.clamp(0, 1)
