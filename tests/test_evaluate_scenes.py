"""What is performed: made from numbers alone, held out, spread over all bins, and true."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from itertools import islice, product

import pytest
import torch

from understudy.cast.who import STYLES, TRAINING_STYLES
from understudy.data.drawn import HELD_OUT
from understudy.data.ensemble import OUTLINE, centres
from understudy.errors import BadOption
from understudy.evaluate.drawers import hinted
from understudy.evaluate.scenes import (
    DRIVERS,
    SPEEDS,
    YAWS,
    Programme,
    Scene,
    Snippet,
    drawn,
    scene,
    snippets,
    taken,
    yaw_bin,
)
from understudy.generator.hints import moved

SMALL = Programme(people=2, motions=3, frames=2, size=64)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def same(one: Scene, other: Scene) -> bool:
    people = ((one.portrait, other.portrait), (one.driver, other.driver))
    numbers = all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for a, b in people for f in fields(a))
    return numbers and torch.equal(one.how.turn, other.how.turn) and torch.equal(one.rest.curves, other.rest.curves)


def test_more_people_or_motions_leave_the_others_as_they_are() -> None:
    few = {(each.person, each.motion): each for each in SMALL.scenes()}
    more = {(each.person, each.motion): each for each in replace(SMALL, people=3, motions=4).scenes()}
    assert len(few) == len(SMALL) == 6 and len(more) == 12
    assert all(same(each, more[where]) and each.number == more[where].number for where, each in few.items())


def test_another_seed_is_other_people_and_motions_and_all_are_held_out() -> None:
    numbers: set[int] = set()
    for seed in range(3):
        scenes = list(replace(SMALL, seed=seed).scenes())
        numbers |= {each.number for each in scenes}
        assert not same(scenes[0], scene(replace(SMALL, seed=seed + 1), 0, 0))
    assert len(numbers) == 18 and min(numbers) > HELD_OUT


def test_all_bins_are_filled_alike() -> None:
    scenes = list(Programme(people=6).scenes())
    for kind, bins in (("yaw", YAWS), ("speed", SPEEDS)):
        counts = Counter(label for each in scenes for label in each.labels[kind])
        assert set(counts) == set(bins)
        assert min(counts.values()) > 0.85 * max(counts.values())
    kinds = Counter(each.labels["driver"][0] for each in scenes)
    assert kinds == {"cross": 48, "self": 12} and set(kinds) == set(DRIVERS)
    leaks = [each for each in scenes if each.other is not None]
    assert len(leaks) == 12 and all(each.labels["driver"][0] == "cross" for each in leaks)
    met = Counter((each.labels["speed"][0], each.labels["yaw"][0]) for each in scenes)
    assert set(met) == set(product(SPEEDS, YAWS))
    assert {each.labels["style"][0] for each in scenes} <= set(TRAINING_STYLES)


@pytest.mark.parametrize(
    ("degrees", "name"), [(0, "0-15"), (-14.9, "0-15"), (15, "15-30"), (-30, "30-45"), (45, "30-45")]
)
def test_bins_of_yaw(degrees: float, name: str) -> None:
    assert yaw_bin(degrees) == name


def test_a_snippet_is_true() -> None:
    """The truth is the portrait's person doing what the driver does; who drives oneself does it elsewhere."""
    found = {each.scene.labels["driver"][0]: each for each in snippets(replace(SMALL, motions=5, people=1))}
    for kind, snippet in found.items():
        here = snippet.scene
        alone = taken(here.portrait, here.how[[0]], here.size)
        assert (snippet.truth[0] - alone.image[0]).abs().mean() < 1e-3
        assert (snippet.drive.pictures[0] - taken(here.driver, here.how[[0]], here.size).image[0]).abs().mean() < 1e-3
        assert (snippet.portrait - taken(here.portrait, here.rest, here.size).image[0]).abs().mean() < 1e-3
        assert torch.equal(here.portrait.head_width, here.driver.head_width) == (kind == "self")
        assert (snippet.drive.pictures - snippet.truth).abs().mean() > 0.02
        assert snippet.face.shape == snippet.fine.shape == (2, 64, 64)
        assert snippet.fine.amax() > 0.5 and (snippet.fine > 0.5).sum() < (snippet.face > 0.5).sum()


def test_the_driver_is_laid_over_the_portrait() -> None:
    here = scene(SMALL, 0, 1)
    driver, portrait = (taken(each, here.rest, 256).landmarks for each in (here.driver, here.portrait))
    snippet = drawn(replace(here, size=256))
    laid = moved(driver.pixels[:, OUTLINE], snippet.drive.map[None])
    wanted = portrait.pixels[:, OUTLINE]
    assert torch.allclose(wanted.mean(1), laid.mean(1), atol=0.05)
    assert torch.allclose(wanted.amax(1) - wanted.amin(1), laid.amax(1) - laid.amin(1), atol=0.05)
    eyes_and_mouth = moved(centres(driver.pixels), snippet.drive.map[None])
    assert (eyes_and_mouth - centres(portrait.pixels)).norm(dim=2).max() < 10
    cues = hinted(snippet.drive, snippet.portrait)
    whole, patches = cues.hints
    assert whole.shape == patches.shape == (2, 3, 256, 256) and patches.amin() == -1
    shown = (patches > -1).any(1)
    assert 0.1 < shown.float().mean() < 3 / 16 + 1e-6 and torch.equal(
        patches[:, :, shown[0]][0], whole[:, :, shown[0]][0]
    )


def test_centres_are_where_eyes_and_mouth_are() -> None:
    snippet = drawn(replace(scene(SMALL, 0, 0), size=128))
    picture = taken(snippet.scene.driver, snippet.scene.how[[0]], 128)
    left, right, mouth = snippet.drive.centres[0]
    assert left[0] > right[0] and mouth[1] > left[1] and right[0] < mouth[0] < left[0]
    for mask, (x, y) in ((picture.masks.eyes, left), (picture.masks.eyes, right), (picture.masks.mouth, mouth)):
        row, column = int(y), int(x)
        assert mask[0, row - 8 : row + 9, column - 8 : column + 9].amax() > 0.5


def test_a_held_driver_holds_and_another_one_replaces() -> None:
    snippet = next(each for each in snippets(replace(SMALL, motions=3, people=1)) if each.other is not None)
    held = snippet.held()
    assert torch.equal(held.drive.pictures[0], held.drive.pictures[1])
    assert torch.equal(held.drive.pictures[0], snippet.drive.pictures[0])
    assert snippet.other is not None
    other: Snippet = snippet.driven(snippet.other)
    assert torch.equal(other.truth, snippet.truth) and not torch.equal(other.drive.pictures, snippet.drive.pictures)


def test_a_style_for_everybody() -> None:
    inked = next(islice(replace(SMALL, style="ink").scenes(), 1))
    plain = next(islice(SMALL.scenes(), 1))
    assert {int(inked.portrait.style), int(inked.driver.style)} == {STYLES.index("ink")}
    assert torch.equal(inked.how.curves, plain.how.curves) and torch.equal(inked.portrait.skin, plain.portrait.skin)


@pytest.mark.parametrize("wrong", [{"people": 0}, {"motions": 1001}, {"frames": 1}, {"seed": -1}])
def test_programmes_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(BadOption):
        Programme(**wrong)  # type: ignore[arg-type]
