"""What is trained here, by name: values only, so that listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.recipes.autoencoder import AutoencoderRecipe
    from understudy.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recipe that a person can ask for."""

    name: str
    makes: str
    recipe: Callable[[], AutoencoderRecipe]
    prepare: Callable[[AutoencoderRecipe, Path, int, int], Iterator[tuple[int, int]]]
    """(recipe, shards, rank, world): make this process's share of the data that is not there yet, and wait for the
    others; yields (made, wanted)."""
    task: Callable[[AutoencoderRecipe, Path], Task]
    """(recipe, shards): what the loop needs to know."""


def _autoencoder_small() -> AutoencoderRecipe:
    from understudy.recipes.autoencoder import autoencoder_small

    return autoencoder_small()


def _prepare_autoencoder(recipe: AutoencoderRecipe, shards: Path, rank: int, world: int) -> Iterator[tuple[int, int]]:
    from understudy.recipes.autoencoder import prepare

    yield from prepare(recipe, shards, rank, world)


def _autoencoder_task(recipe: AutoencoderRecipe, shards: Path) -> Task:
    from understudy.recipes.autoencoder import task

    return task(recipe, shards)


ALL = (
    Training(
        name="autoencoder-small",
        makes="pictures of the cast to latents and back, 256x256; needed by all small models",
        recipe=_autoencoder_small,
        prepare=_prepare_autoencoder,
        task=_autoencoder_task,
    ),
)


def named(name: str) -> Training:
    """The training of that name."""
    known = [training.name for training in ALL]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise BadOption(
            f"No recipe is called {name}",
            f"there are {', '.join(known)}",
            f"understudy train {near[0] if near else known[0]}",
        )
    return ALL[known.index(name)]
