"""Samples made ahead: each once in every pass, in an order that a number decides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from understudy.cast import who
from understudy.data.drawn import HELD_OUT, Drawing, looks
from understudy.data.shards import Joined, OtherLooks, Samples, Shards, Shuffled, complete, fill, reused, shared
from understudy.errors import BadOption, MediaError, MissingFile

ABOUT = {"size": 4}


def made(numbers: range) -> Samples:
    values = torch.tensor(list(numbers), dtype=torch.uint8)
    return {"picture": values[:, None, None].expand(-1, 4, 4), "number": values}


def test_every_sample_comes_once_in_every_pass_and_passes_differ(tmp_path: Path) -> None:
    assert list(fill(tmp_path, 10, 4, ABOUT, made)) == [4, 8, 10]
    source = Shuffled(Shards(tmp_path), seed=1)
    passes = [source.batch(range(10 * turn, 10 * turn + 10))["number"].tolist() for turn in range(3)]
    assert [sorted(one) for one in passes] == [list(range(10))] * 3
    assert len({tuple(one) for one in passes}) == 3
    whole = source.batch([7, 23])
    assert whole["picture"].shape == (2, 4, 4) and whole["picture"][:, 0, 0].tolist() == whole["number"].tolist()
    assert Shuffled(Shards(tmp_path), seed=1).batch([23])["number"].tolist() == whole["number"][1:].tolist()
    assert Shuffled(Shards(tmp_path), seed=2).batch(range(10))["number"].tolist() != passes[0]


def test_joined_folders_are_one_after_the_other(tmp_path: Path) -> None:
    for name, count in (("one", 5), ("other", 3)):
        list(fill(tmp_path / name, count, 4, ABOUT, made))
    both = Joined([Shards(tmp_path / "one"), Shards(tmp_path / "other", 2)])
    assert len(both) == 7
    assert both.at(range(7))["number"].tolist() == [0, 1, 2, 3, 4, 0, 1]
    assert list(both.at([6], ["number"])) == ["number"]


def test_what_is_there_is_not_made_again_and_work_can_be_shared(tmp_path: Path) -> None:
    asked: list[range] = []

    def watched(numbers: range) -> Samples:
        asked.append(numbers)
        return made(numbers)

    list(fill(tmp_path, 10, 4, ABOUT, watched, mine=lambda shard: shard % 2 == 1))
    assert asked == [range(4, 8)] and not complete(tmp_path, 10, 4)
    list(fill(tmp_path, 10, 4, ABOUT, watched))
    assert asked[1:] == [range(0, 4), range(8, 10)] and complete(tmp_path, 10, 4)


def test_one_of_several_waits_for_the_others(tmp_path: Path) -> None:
    mine = shared(tmp_path, 10, 4, ABOUT, made, 0, 2)
    assert [next(mine) for _ in range(3)] == [4, 8, 10] and not complete(tmp_path, 10, 4)
    assert next(mine) == 10, "not over yet"
    list(fill(tmp_path, 10, 4, ABOUT, made))
    assert list(mine) == [] and complete(tmp_path, 10, 4)


def test_other_samples_are_refused(tmp_path: Path) -> None:
    list(fill(tmp_path, 8, 4, ABOUT, made))
    with pytest.raises(BadOption, match="other samples"):
        list(fill(tmp_path, 8, 4, {"size": 5}, made))
    with pytest.raises(MissingFile):
        Shards(tmp_path / "none")
    (tmp_path / "00001.safetensors").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="damaged"):
        Shards(tmp_path)


def test_samples_of_another_cast_are_learnt_from_and_that_is_said(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    list(fill(tmp_path, 8, 4, {**ABOUT, "looks": "then"}, made))
    reused(tmp_path, ABOUT, "then")
    assert not recwarn.list
    with pytest.warns(OtherLooks, match="another version of the cast"):
        reused(tmp_path, ABOUT, "now")
    with pytest.raises(BadOption, match="other samples"):
        reused(tmp_path, {"size": 5}, "then")


def test_a_drawing_depends_on_its_number_only() -> None:
    many, one = Drawing(32, at_once=2).batch([3, 4, 5]), Drawing(32).batch([4])
    assert many["picture"].shape == (3, 3, 32, 32) and many["fine"].shape == (3, 8, 8)
    assert many["picture"].dtype == torch.uint8
    assert int((many["picture"][1].int() - one["picture"][0].int()).abs().max()) <= 1  # batches round otherwise
    assert not torch.equal(many["picture"][0], many["picture"][1])
    assert 0 < float((many["fine"] > 128).float().mean()) < 0.5


def test_nobody_is_trained_on_in_the_style_that_measures() -> None:
    styles = who.sample(range(200)).style.tolist() + who.sample(range(HELD_OUT, HELD_OUT + 50)).style.tolist()
    assert {who.STYLES[number] for number in styles} == set(who.TRAINING_STYLES)
    assert "ink" not in who.TRAINING_STYLES


def test_looks_have_a_word() -> None:
    assert len(looks()) == 16 and looks() == looks()
