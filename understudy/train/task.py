"""The words in which recipes and the loop speak to each other: values and signatures only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from understudy.diffusion.noise import chance
from understudy.errors import BadOption

Batch = dict[str, Tensor]
"""Tensors whose first axis counts samples."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast a run learns. `batch` is of all processes and all parts of a step together."""

    steps: int
    batch: int
    accumulate: int
    """Parts into which a batch is cut, to fit in memory."""
    clip: float
    """The longest that a gradient may be."""
    warm_up: int
    """Steps in which the rate grows to its full size; then it falls as a cosine, to `floor` of it."""
    floor: float
    average: float
    """How much of the averaged weights is kept from one step to the next."""
    bf16: bool
    seed: int
    judge_every: int
    save_every: int
    keep: int
    """The newest checkpoints; older ones are removed."""

    def __post_init__(self) -> None:
        whole = ("steps", "batch", "accumulate", "judge_every", "save_every", "keep")
        for name in whole:
            if getattr(self, name) < 1:
                raise BadOption("A plan counts from one", f"{name}={getattr(self, name)}", f"{name}=1 or more")
        if self.batch % self.accumulate:
            raise BadOption(
                "A batch must fall into equal parts",
                f"batch={self.batch}, accumulate={self.accumulate}",
                "a batch that is a multiple of accumulate",
            )
        if not (0 <= self.average < 1 and 0 <= self.floor <= 1 and self.clip > 0 and self.warm_up >= 0):
            raise BadOption(
                "A plan is out of range",
                f"average={self.average}, floor={self.floor}, clip={self.clip}, warm_up={self.warm_up}",
                "average from 0 to under 1, floor from 0 to 1, clip above 0, warm_up from 0 on",
            )


@dataclass(frozen=True)
class Chance:
    """All the chance there is in a loss: one stream per sample, so that a sample's does not depend on its neighbours,
    on how a batch is cut, or on how many processes share it."""

    seed: int
    numbers: tuple[int, ...]
    """The samples, as they are numbered in the whole run."""

    def normal(self, *shape: int, purpose: int = 0) -> Tensor:
        """Gaussian numbers (samples, *shape), fp32, on the CPU. Different purposes are independent."""
        return torch.stack([torch.randn(shape, generator=chance(self.seed, n, purpose)) for n in self.numbers])

    def uniform(self, *shape: int, purpose: int = 0) -> Tensor:
        """Numbers in [0, 1), as `normal`."""
        return torch.stack([torch.rand(shape, generator=chance(self.seed, n, purpose)) for n in self.numbers])


@dataclass(frozen=True)
class Moment:
    """When a loss is asked for: its chance, and how much of the run is over, from 0 to 1."""

    chance: Chance
    progress: float


@dataclass(frozen=True)
class Loss:
    """What is made smaller, and what it consists of: scalars, for the journal."""

    total: Tensor
    parts: Mapping[str, Tensor]


Objective = Callable[[Any, Batch, Moment], Loss]
"""(model, batch, moment) -> Loss: the mean over the samples of a batch."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Who learns what. In every step all turns are taken, in order, each from where the one before left the model."""

    name: str
    learns: tuple[str, ...]
    """Submodules of the model that move; all others stand still in this turn."""
    objective: Objective
    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.01
    start: float = 0.0
    """The progress at which this turn is first taken."""
    averaged: bool = True
    """Whether what it learns is part of the averaged weights."""
    optimiser: Literal["adamw", "muon"] = "adamw"


class Data(Protocol):
    """Samples by number, without end. A number gives the same sample on every machine, whenever it is asked for."""

    def batch(self, numbers: Sequence[int]) -> Batch:
        """The samples of these numbers, on the CPU."""
        ...


@dataclass(frozen=True)
class Judgement:
    """What a model is worth on what it has not seen: scores, and sheets (h, w, 3) uint8 to look at."""

    scores: Mapping[str, float]
    sheets: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that the loop needs to know."""

    identity: Mapping[str, Any]
    """The recipe, as JSON: a run goes on only under the recipe that it was begun with."""
    plan: Plan
    model: nn.Module
    turns: tuple[Turn, ...]
    data: Data
    show: Callable[[Any, Batch], Mapping[str, Tensor]]
    """Sheets of a batch, for a person to see what the model is really given."""
    judge: Callable[[Any], Judgement]
    """Called with the averaged weights in place."""
    keep: Callable[[Any, Path, int], None]
    """(model, folder, step): write what others shall use. Called with the averaged weights in place."""
