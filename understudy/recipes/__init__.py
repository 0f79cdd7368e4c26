"""What is trained here, by name: values only, so that listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.recipes.recipe import Recipe
    from understudy.train.task import Task


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recipe that a person can ask for."""

    name: str
    makes: str
    recipe: Callable[[], Recipe]
    prepare: Callable[[Any, Path, int, int, str], Iterator[tuple[int, int]]]
    """(recipe, shards, rank, world, device): make this process's share of the data that is not there yet, and wait for
    the others; yields (made, wanted)."""
    task: Callable[[Any, Path], Task]
    """(recipe, shards): what the loop needs to know."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """Trainings one after the other, each beginning with what the one before has learnt."""

    name: str
    makes: str
    stages: tuple[tuple[str, float], ...]
    """Their names, and what share of the time each is given."""
    needless: tuple[tuple[str, str], ...] = ()
    """Changes of fields with which a stage has nothing to learn, and that stage."""


def _autoencoder_small() -> Recipe:
    from understudy.recipes.autoencoder import autoencoder_small

    return autoencoder_small()


def _autoencoder_data(recipe: Any, shards: Path, rank: int, world: int, device: str) -> Iterator[tuple[int, int]]:
    from understudy.recipes.autoencoder import prepare

    yield from prepare(recipe, shards, rank, world, device)


def _autoencoder_task(recipe: Any, shards: Path) -> Task:
    from understudy.recipes.autoencoder import task

    return task(recipe, shards)


def _finish_small() -> Recipe:
    from understudy.recipes.finish import finish_small

    return finish_small()


def _finish_data(recipe: Any, shards: Path, rank: int, world: int, device: str) -> Iterator[tuple[int, int]]:
    from understudy.recipes.finish import prepare

    yield from prepare(recipe, shards, rank, world, device)


def _finish_task(recipe: Any, shards: Path) -> Task:
    from understudy.recipes.finish import task

    return task(recipe, shards)


def _x_portrait_small(stage: str) -> Recipe:
    from understudy.recipes.x_portrait import x_portrait_small_stage

    return x_portrait_small_stage(stage)


def _x_portrait(stage: str) -> Recipe:
    from understudy.recipes.x_portrait import x_portrait_stage

    return x_portrait_stage(stage)


def _portrayal_data(recipe: Any, shards: Path, rank: int, world: int, device: str) -> Iterator[tuple[int, int]]:
    from understudy.recipes.portrayal import prepare

    yield from prepare(recipe, shards, rank, world, device)


def _x_portrait_task(recipe: Any, shards: Path) -> Task:
    from understudy.recipes.x_portrait import task

    return task(recipe, shards)


def _x_actor_small(own: bool) -> Recipe:
    from understudy.recipes.x_actor import x_actor_small_own_recipe, x_actor_small_recipe

    return x_actor_small_own_recipe() if own else x_actor_small_recipe()


def _x_actor_data(recipe: Any, shards: Path, rank: int, world: int, device: str) -> Iterator[tuple[int, int]]:
    from understudy.recipes.x_actor import prepare

    yield from prepare(recipe, shards, rank, world, device)


def _x_actor_task(recipe: Any, shards: Path) -> Task:
    from understudy.recipes.x_actor import task

    return task(recipe, shards)


def _x_portrait_2_small(stage: str) -> Recipe:
    from understudy.recipes.x_portrait_2 import x_portrait_2_small_stage

    return x_portrait_2_small_stage(stage)


def _x_portrait_2_data(recipe: Any, shards: Path, rank: int, world: int, device: str) -> Iterator[tuple[int, int]]:
    from understudy.recipes.x_portrait_2 import prepare

    yield from prepare(recipe, shards, rank, world, device)


def _x_portrait_2_task(recipe: Any, shards: Path) -> Task:
    from understudy.recipes.x_portrait_2 import task

    return task(recipe, shards)


def _stage_2(stage: str, makes: str) -> Training:
    return Training(
        name=f"x-portrait-2-small-{stage}",
        makes=makes,
        recipe=partial(_x_portrait_2_small, stage),
        prepare=_x_portrait_2_data,
        task=_x_portrait_2_task,
    )


def _stage(stage: str, makes: str, small: bool = True) -> Training:
    return Training(
        name=f"x-portrait-small-{stage}" if small else f"x-portrait-{stage}",
        makes=makes,
        recipe=partial(_x_portrait_small if small else _x_portrait, stage),
        prepare=_portrayal_data,
        task=_x_portrait_task,
    )


ALL = (
    Training(
        name="autoencoder-small",
        makes="pictures of the cast to latents and back, 256x256; needed by all small models",
        recipe=_autoencoder_small,
        prepare=_autoencoder_data,
        task=_autoencoder_task,
    ),
    Training(
        name="autoencoder-small-finish",
        makes="the same, its decoder taught by what small generators say (generators=FILE+FILE)",
        recipe=_finish_small,
        prepare=_finish_data,
        task=_finish_task,
    ),
    _stage("prior", "X-Portrait small, stage 1: a backbone that knows what pictures look like"),
    _stage("spatial", "stage 2: notes on the portrait, and the driver's face"),
    _stage("local", "stage 3: the driver's eyes and mouth"),
    _stage("together", "stage 4: all of it at once"),
    _stage("time", "stage 5: films"),
    _stage("clear", "between the last two, if wanted: pictures as they are seen in the end, and a critic; it leaks"),
    Training(
        name="x-actor-small",
        makes="X-Actor small: a voice to motion",
        recipe=partial(_x_actor_small, False),
        prepare=_x_actor_data,
        task=_x_actor_task,
    ),
    Training(
        name="x-actor-small-own",
        makes="X-Actor small, a second stage (start=FILE): goes on from what it has imagined itself",
        recipe=partial(_x_actor_small, True),
        prepare=_x_actor_data,
        task=_x_actor_task,
    ),
    _stage_2("expression", "X-Portrait 2 small, stage 1: an encoder of what faces do, by itself"),
    _stage_2("together", "stage 2: the generator, which follows it; without close-ups both, end to end"),
    _stage_2("clear", "stage 3: the same, by pictures as they are seen in the end, and a critic"),
    _stage_2("time", "stage 4: films"),
    _stage("spatial", "X-Portrait at full size, on GPUs, stage 1: notes on the portrait, and the driver's face", False),
    _stage("local", "stage 2: the driver's eyes and mouth", False),
    _stage("time", "stage 3: films", False),
)


COURSES = (
    Course(
        name="x-portrait-small",
        makes="X-Portrait small, all stages",
        stages=(
            ("x-portrait-small-prior", 0.05),
            ("x-portrait-small-spatial", 0.03),
            ("x-portrait-small-local", 0.02),
            ("x-portrait-small-together", 0.78),
            ("x-portrait-small-time", 0.12),
        ),
        needless=(("local=false", "x-portrait-small-local"),),
    ),
    Course(
        name="x-portrait",
        makes="X-Portrait at full size, on GPUs, all stages (data=SHARDS)",
        stages=(("x-portrait-spatial", 0.4), ("x-portrait-local", 0.4), ("x-portrait-time", 0.2)),
    ),
    Course(
        name="x-portrait-2-small",
        makes="X-Portrait 2 small, all stages",
        stages=(
            ("x-portrait-2-small-expression", 0.25),
            ("x-portrait-2-small-together", 0.5),
            ("x-portrait-2-small-clear", 0.15),
            ("x-portrait-2-small-time", 0.1),
        ),
    ),
)


def named(name: str) -> Training | Course:
    """The training or course of that name."""
    known = [training.name for training in (*ALL, *COURSES)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise BadOption(
            f"No recipe is called {name}",
            f"there are {', '.join(known)}",
            f"understudy train {near[0] if near else known[0]}",
        )
    return (*ALL, *COURSES)[known.index(name)]
