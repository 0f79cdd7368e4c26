"""Footage as recipes see it: moments of a real person, and others who are made to do the same."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow")

from animate_made import astronaut_acting, driver
from mill_made import LIMITS
from test_recipes_x_portrait import autoencoder
from test_recipes_x_portrait import toy as toy_x_portrait
from test_recipes_x_portrait_2 import toy as toy_x_portrait_2

from understudy import weights
from understudy.data.drawn import HELD_OUT
from understudy.data.footage import Footage, Shown, bent, calmest, resized
from understudy.data.mill import films_in, here, prepare
from understudy.data.takes import split, takes_in
from understudy.errors import BadOption
from understudy.face.mesh_finder import MeshFinder
from understudy.generator.autoencoder import Autoencoder
from understudy.recipes import portrayal, x_portrait, x_portrait_2
from understudy.recipes.recipe import Recipe
from understudy.train.loop import train

SIZE = 64


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, a take each; and an autoencoder of chance for the recipes."""
    folder = tmp_path_factory.mktemp("footage")
    driver(folder / "one.mp4", 15)
    driver(folder / "two.mp4", astronaut_acting(15))
    limits = replace(LIMITS, longest=2.0)
    list(prepare(films_in([folder]), folder / "shards", limits, 1 << 20, here))
    torch.manual_seed(0)
    about = weights.About(name="toy", config=autoencoder(), recipe={}, commit="", figures={}, storage="fp32")
    weights.save(folder / "autoencoder.safetensors", Autoencoder(autoencoder()).state_dict(), about)
    return folder / "shards"


def footage(shards: Path, **others: object) -> Footage:
    return replace(Footage(folder=shards, size=256, people=2, moments=4), **others)  # type: ignore[arg-type]


def test_whoever_is_made_does_what_the_take_does(shards: Path) -> None:
    """Found again by the mesh network, the made picture's mouth opens where the take's does."""
    take, other = takes_in(shards)
    frame = calmest(other.motion)[0]
    portrait = resized(other.picture(frame), other.motion.points[frame], 256)
    gap = np.linalg.norm(take.motion.shapes[:, 13] - take.motion.shapes[:, 14], axis=-1)
    shut, opened = int(gap.argmin()), int(gap.argmax())
    made = bent(portrait, take, [shut, opened])
    with MeshFinder() as finder:
        found = [finder.find(shown.picture, doubtful=True)[0] for shown in made]
    for face, shown in zip(found, made, strict=True):
        apart = np.linalg.norm(face.points[:, :2] - shown.points[:, :2], axis=-1)
        assert np.median(apart) < 0.06 * face.eye_distance  # points are where they are said to be
    gaps = [float(np.linalg.norm(face.points[13] - face.points[14]) / face.eye_distance) for face in found]
    assert gaps[1] - gaps[0] > 0.3 * (gap[opened] - gap[shut])


def test_a_portrait_that_does_what_it_did_stays_as_it_was(shards: Path) -> None:
    take = takes_in(shards)[0]
    calm = calmest(take.motion)[0]
    portrait = resized(take.picture(calm), take.motion.points[calm], 256)
    (same,) = bent(portrait, take, [calm])
    assert np.abs(same.picture.astype(int) - portrait.picture).mean() < 3


def test_the_first_person_is_real_and_the_others_are_not(shards: Path) -> None:
    made = footage(shards)
    for moment in range(4):
        take, frame = made.take(0), made.when(0)[moment]
        assert np.array_equal(
            made.shown(0, 0, moment).picture, resized(take.picture(frame), take.motion.points[frame], 256)[0]
        )
    real, bent_ = made.shown(0, 0, 0), made.shown(0, 1, 0)
    assert np.abs(real.picture.astype(int) - bent_.picture).mean() > 10


def test_samples_depend_on_their_numbers_alone(shards: Path) -> None:
    made = footage(shards, size=SIZE)
    together = made.batch([0, 3, 5, 9])
    alone = [footage(shards, size=SIZE).batch([n]) for n in (0, 3, 5, 9)]
    for name, value in together.items():
        assert torch.equal(value, torch.cat([one[name] for one in alone])), name
    shapes = {name: tuple(value.shape[1:]) for name, value in together.items()}
    assert shapes == {"picture": (3, SIZE, SIZE), "ground": (SIZE // 2,) * 2, "fine": (SIZE // 4,) * 2,
                      "centres": (3, 2), "outline": (41, 2)}  # fmt: skip


def test_eyes_and_mouth_are_where_they_are_said_to_be(shards: Path) -> None:
    sample = footage(shards).batch([0])
    fine = sample["fine"][0]
    for x, y in (sample["centres"][0] / 4).long().tolist():
        assert fine[y, x] == 255
    assert 0.002 < float((fine > 0).float().mean()) < 0.2
    assert float(sample["ground"][0, :8, :8].float().mean()) > float(sample["ground"][0, 60:70, 60:70].float().mean())


def test_films_are_consecutive_frames_after_a_calm_one(shards: Path) -> None:
    made = footage(shards, filmed=True, moments=9)
    for ensemble in range(4):
        calm, *others = made.when(ensemble)
        assert calm == calmest(made.take(ensemble).motion)[0]
        assert (
            np.array_equal(np.diff(others), np.ones(7)) and others[0] >= 0 and others[-1] < made.take(ensemble).frames
        )
    with pytest.raises(BadOption):
        footage(shards, filmed=True, moments=99).when(0)


def test_films_that_are_held_out_are_not_learnt_from(shards: Path) -> None:
    takes = takes_in(shards)
    ours, theirs = split(takes, held_out=False), split(takes, held_out=True)
    assert {take.film for take in ours} & {take.film for take in theirs} == set()
    assert len(ours) + len(theirs) == len(takes)
    assert footage(shards, first=HELD_OUT).take(0).film != footage(shards).take(0).film


def test_points_move_with_the_picture_when_it_is_made_smaller() -> None:
    picture = np.zeros((512, 512, 3), np.uint8)
    picture[100:104, 200:204] = 255
    shown: Shown = resized(picture, np.array([[201.5, 101.5, 0.0]], np.float32), 128)
    y, x = np.unravel_index(int(shown.picture[..., 0].argmax()), (128, 128))
    assert shown.points[0, :2].tolist() == [x, y] == [50, 25]


@pytest.mark.parametrize("cross", [True, False])
@pytest.mark.parametrize("kind", ["x-portrait", "x-portrait-2"])
def test_recipes_learn_from_footage_and_go_on_as_if_never_stopped(
    shards: Path, tmp_path: Path, kind: str, cross: bool
) -> None:
    make, module = {"x-portrait": (toy_x_portrait, x_portrait), "x-portrait-2": (toy_x_portrait_2, x_portrait_2)}[kind]
    recipe = replace(make("together", shards.parent), data=str(shards), cross=cross, pictures=16)
    list(portrayal.prepare(recipe, tmp_path))

    def run(out: Path, stop: int | None) -> list[float]:
        return _steps(module.task(recipe, tmp_path), out, stop)  # type: ignore[attr-defined]

    whole = run(tmp_path / "whole", None)
    assert len(whole) == recipe.plan.steps and np.isfinite(whole).all()
    first = run(tmp_path / "halves", 2)
    assert first + run(tmp_path / "halves", None) == whole


def _steps(task: object, out: Path, stop: int | None) -> list[float]:
    losses = []
    with closing(train(task, out, device="cpu")) as going:  # type: ignore[arg-type,type-var]
        for step in going:
            if step.values:  # not of a step that only judges
                losses.append(float(step.values["draw.total"]))
            if step.number == stop:
                break
    return losses


def test_questions_are_about_the_real_person(shards: Path) -> None:
    recipe = replace(toy_x_portrait("together", shards.parent), data=str(shards), pictures=16)
    made = portrayal.source(recipe)
    for number in range(40):
        q = portrayal.question(recipe, made, 3, number)
        assert all(n % made.pictures // made.moments == 0 for n in (q.portrait, *q.answers))
        assert all(n % made.pictures // made.moments == 1 for n in (q.driver_then, *q.drivers))
    assert isinstance(recipe, Recipe)
