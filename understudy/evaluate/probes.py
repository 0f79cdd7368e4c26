"""What an encoder's codes tell: of what a face does, as much as can be; of whose face it is, nothing at best.

All on held-out people. Curves, all of which move, are read by a straight line (ridge), learnt from some people and
measured on others. *Who*: a linear classifier; and whether the mean codes of two clips are nearer for one person than
for two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast import film, how, who
from understudy.cast.draw import draw
from understudy.cast.how import ARKIT_NAMES, How
from understudy.data.drawn import HELD_OUT
from understudy.data.ensemble import centres
from understudy.motion.code import NAMES
from understudy.motion.encoder import Encoder, boxed
from understudy.motion.probing import curves_of, ridge

FOLDS: Final = 5
PULLS: Final = (1e-4, 1e-3, 1e-2, 1e-1)  # of a classifier's weights to zero: the one that tells most is taken
_FIRST: Final = HELD_OUT + 40_000_000  # none of those whom scenes are about
_AT_ONCE: Final = 8
_MOMENTS: Final = 4.0  # frames a second of a clip: neighbours shall differ


@dataclass(frozen=True, kw_only=True)
class Probing:
    """How much is asked."""

    people: int = 20
    training: int = 50
    testing: int = 20
    """Frames of each person."""
    strangers: int = 100
    frames: int = 8
    """Of each of two clips of each stranger."""
    seed: int = 0

    @property
    def pictures(self) -> int:
        """That are drawn."""
        return self.people * (self.training + self.testing) + 2 * self.strangers * self.frames


@dataclass(frozen=True)
class Told:
    """What codes tell."""

    r2: dict[str, float | None]
    """By curve, with `mean` and `worst`; None where it does not move."""
    who_accuracy: float
    who_auc: float


Reader = Callable[[Tensor, Tensor], Tensor]
"""Pictures (n, 3, s, s) in [-1, 1] and boxes (n, 3) to codes (n, d)."""


def reader(encoder: Encoder, device: torch.device | str) -> Reader:
    """An encoder that is used as it is."""

    @torch.no_grad()
    def read(pictures: Tensor, boxes: Tensor) -> Tensor:
        return encoder.seen(pictures.to(device), boxes.to(device)).float().cpu()

    return read


def probed(read: Reader, size: int, probing: Probing, done: Callable[[int], None] = lambda pictures: None) -> Told:
    """Draw, read and ask; `done` is told how many pictures are."""
    each, first = probing.training + probing.testing, _FIRST + probing.seed * 1_000_000
    drawn = 0

    def codes(seeds: list[int], hows: How) -> Tensor:
        nonlocal drawn
        found = []
        for start in range(0, len(seeds), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            found.append(_read(read, seeds[rows], hows[rows], size))
            drawn += len(found[-1])
            done(drawn)
        return torch.cat(found)

    people = [first + person for person in range(probing.people) for _ in range(each)]
    hows = moving([first + n for n in range(len(people))])
    known = codes(people, hows)
    owner = torch.arange(probing.people).repeat_interleave(each)
    frame = torch.arange(each).repeat(probing.people)
    strangers = [first + 10_000 + stranger for stranger in range(probing.strangers)]
    clips = []
    for clip in range(2):
        moves = how.joined([film.motion(2 * seed + clip, 0, probing.frames, _MOMENTS) for seed in strangers])
        seen = codes([seed for seed in strangers for _ in range(probing.frames)], moves)
        clips.append(seen.reshape(-1, probing.frames, seen.shape[1]).mean(1))
    return Told(
        r2=straight(known, curves_of(hows), owner),
        who_accuracy=accuracy(known, owner, frame < probing.training),
        who_auc=auc(clips[0], clips[1]),
    )


def moving(seeds: list[int]) -> How:
    """As the cast does, one curve more in each, so that all of them move."""
    found = how.sample(seeds)
    curves = found.curves.clone()
    for row, seed in enumerate(seeds):
        chance = np.random.default_rng([0x6D6F7665, seed])
        column = int(chance.integers(len(ARKIT_NAMES)))
        if not ARKIT_NAMES[column].startswith("eyeLook"):  # which how.sample moves, both eyes together
            curves[row, column] = max(float(curves[row, column]), float(chance.uniform(0.2, 1)))
    return How(curves, found.turn, found.place)


@torch.no_grad()
def _read(read: Reader, seeds: list[int], hows: How, size: int) -> Tensor:
    drawn = draw(who.sample(seeds), hows, size)
    return read(drawn.image * 2 - 1, boxed(centres(drawn.landmarks.pixels)))


def straight(codes: Tensor, curves: Tensor, owner: Tensor) -> dict[str, float | None]:
    """R^2 of every curve (n, 55) of codes (n, d), each person's frames read by a line that was learnt from others."""
    people = int(owner.max()) + 1
    left, there = torch.zeros_like(curves), curves - curves.mean(0)
    for fold in range(min(FOLDS, people)):
        held = owner % min(FOLDS, people) == fold
        matrix, rest = ridge(codes[~held], curves[~held])
        left[held] = curves[held] - (codes[held] @ matrix.T + rest)
    moves = there.square().sum(0) > 1e-4 * len(curves)
    r2 = 1 - left.square().sum(0) / there.square().sum(0).clamp_min(1e-12)
    found: dict[str, float | None] = {
        name: float(value) if moved else None for name, value, moved in zip(NAMES, r2, moves.tolist(), strict=True)
    }
    known = [value for value in found.values() if value is not None]
    return {**found, "mean": sum(known) / max(len(known), 1), "worst": min(known, default=0.0)}


def accuracy(codes: Tensor, owner: Tensor, training: Tensor) -> float:
    """Of a linear classifier (logistic regression) of people, on frames that it has not seen: the best of `PULLS`, so
    that nothing is hidden behind a bad one."""
    x = (codes - codes[training].mean(0)) / codes[training].std(0).clamp_min(1e-6)
    best = 0.0
    for pull in PULLS:
        weight = _classifier(x[training], owner[training], pull)
        said = (_with_one(x[~training]) @ weight).argmax(1)
        best = max(best, float((said == owner[~training]).float().mean()))
    return best


def _classifier(x: Tensor, owner: Tensor, pull: float) -> Tensor:
    """(d + 1, people)."""
    x = _with_one(x).double()
    weight = torch.zeros(x.shape[1], int(owner.max()) + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        total = F.cross_entropy(x @ weight, owner) + pull * weight[:-1].square().sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach().float()


def _with_one(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_ones(len(x), 1)], 1)


def auc(one: Tensor, other: Tensor) -> float:
    """How often two clips (p, d each) of one person are nearer than two of different people: 0.5 where codes know
    nothing of people."""
    both = torch.cat([one, other])
    scale = both.std(0).clamp_min(1e-6)
    apart = torch.cdist((one - both.mean(0)) / scale, (other - both.mean(0)) / scale)
    own = apart.diagonal()
    others = apart[~torch.eye(len(apart), dtype=torch.bool)]
    nearer = (own[:, None] < others).float() + 0.5 * (own[:, None] == others).float()
    return float(nearer.mean())
