"""Who and how: seeded, independent, of the right shape; films: smooth, and the same from wherever they begin."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.cast import how as hows
from understudy.cast import who as people
from understudy.cast.film import motion
from understudy.cast.how import ARKIT_NAMES, INDEX, PITCH, ROLL, YAW
from understudy.cast.stage import film
from understudy.errors import BadOption


def test_arkit_has_52_names() -> None:
    assert len(set(ARKIT_NAMES)) == 52
    for name in ("jawOpen", "eyeBlinkLeft", "mouthRollLower", "cheekPuff", "noseSneerRight", "tongueOut"):
        assert name in INDEX
    swapped = {n.replace("Left", "#").replace("Right", "Left").replace("#", "Right") for n in ARKIT_NAMES}
    assert swapped == set(ARKIT_NAMES)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_a_seed_is_somebody(one: int, other: int) -> None:
    pair = people.sample([one, other])
    for f in fields(pair):
        alone = getattr(people.sample([other]), f.name)
        assert torch.equal(getattr(pair, f.name)[1:], alone)
        assert torch.isfinite(getattr(pair, f.name).float()).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_expressions_are_in_range(seed: int) -> None:
    how = hows.sample([seed])
    assert how.curves.shape == (1, 52) and how.curves.min() >= 0 and how.curves.max() <= 1
    assert (how.turn.abs() <= torch.tensor([YAW, PITCH, ROLL])).all()


def test_who_and_how_are_independent() -> None:
    """The same seeds used for both must not tie looks to expressions."""
    seeds = list(range(300))
    who, how = people.sample(seeds), hows.sample(seeds)
    looks = torch.stack([getattr(who, f.name).float() for f in fields(who) if getattr(who, f.name).dim() == 1], 1)
    acts = torch.cat([how.curves, how.turn], 1)
    looks, acts = looks[:, looks.std(0) > 0], acts[:, acts.std(0) > 0]
    looks, acts = (looks - looks.mean(0)) / looks.std(0), (acts - acts.mean(0)) / acts.std(0)
    assert (looks.T @ acts / len(seeds)).abs().max() < 0.30  # 5 standard errors: the most of some 3,000 pairs


def test_people_differ() -> None:
    who = people.sample(range(400))
    assert set(who.cut.tolist()) == set(range(len(people.CUTS)))
    assert set(who.style.tolist()) == set(range(len(people.TRAINING_STYLES)))
    assert set(who.background.tolist()) == set(range(len(people.BACKGROUNDS)))
    assert set(who.clothes.tolist()) == set(range(len(people.CLOTHES)))
    assert set(who.glasses.tolist()) == set(range(len(people.GLASSES)))
    light = who.skin.mean(1)
    assert light.min() < 0.06 and light.max() > 0.6


def test_style_changes_nothing_else() -> None:
    who = people.sample([4])
    other = who.styled("ink")
    assert all(torch.equal(getattr(who, f.name), getattr(other, f.name)) for f in fields(who) if f.name != "style")


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 300), st.integers(1, 20), st.sampled_from([24.0, 25.0, 30.0]))
def test_any_stretch_of_a_film_can_be_computed_alone(seed: int, start: int, count: int, fps: float) -> None:
    whole, part = motion(seed, 0, start + count, fps), motion(seed, start, count, fps)
    assert torch.equal(whole.curves[start:], part.curves)
    assert torch.equal(whole.turn[start:], part.turn)
    assert torch.equal(whole.place[start:], part.place)


def test_films_are_alive_and_smooth() -> None:
    for seed in range(4):
        how = motion(seed, 0, 1500, 100.0)
        assert how.curves.min() >= 0 and how.curves.max() <= 1
        assert (how.turn.abs() <= torch.tensor([YAW, PITCH, ROLL])).all()
        assert how.curve("eyeBlinkLeft").max() > 0.8
        assert how.curve("jawOpen").max() > 0.2
        assert (how.turn.amax(0) - how.turn.amin(0)).min() > 5
        assert (how.turn[1:] - how.turn[:-1]).abs().max() < 1.6  # degrees in 10 ms
        speed = how.turn[1:] - how.turn[:-1]
        kept = (speed[1:] * speed[:-1]).sum() / (speed * speed).sum()
        assert kept > 0.9  # white noise would give -0.5


def test_doubling_the_rate_keeps_the_motion() -> None:
    slow, fast = motion(3, 0, 50, 25.0), motion(3, 0, 100, 50.0)
    assert torch.allclose(slow.curves, fast.curves[::2], atol=1e-6)


def test_lids_follow_the_gaze_over_a_film() -> None:
    how = motion(1, 0, 500, 25.0)
    up, down = how.curve("eyeLookUpLeft"), how.curve("eyeLookDownLeft")
    assert (up * down == 0).all()


def test_a_late_start_gives_the_same_frames() -> None:
    torch.set_num_threads(1)
    whole = list(film(2, 7, seconds=0.2, fps=25, size=48))
    late = list(film(2, 7, seconds=0.2, fps=25, size=48, start=3))
    assert len(whole) == 5 and len(late) == 2
    assert all(np.array_equal(a, b) for a, b in zip(whole[3:], late, strict=True))
    assert whole[0].dtype == np.uint8 and whole[0].shape == (48, 48, 3)


def test_refusals() -> None:
    with pytest.raises(BadOption, match="at least one frame"):
        motion(1, 0, 0)
    with pytest.raises(BadOption, match="longer film"):
        next(film(1, 1, seconds=0.0))
