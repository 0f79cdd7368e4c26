"""The audition of an actor: what it says, of weights of chance and of voices made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy import models, weights
from understudy.animate.voice import tempo_of
from understudy.cast.speak import acting as acted
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.take import Take
from understudy.cast.speak.voice import MOODS, Speech
from understudy.errors import MissingFile
from understudy.evaluate import actors, endless, voices
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo
from understudy.motion.space import PLAYED
from understudy.motion.speech import WIDTH
from understudy.recipes.x_actor import x_actor_small_recipe


def net() -> Actor:
    torch.manual_seed(0)
    made = Actor(replace(models.x_actor_small(), width=16, depth=1, heads=2, ear=4, chunk=8, context=16))
    torch.nn.init.normal_(made.motion_out.weight, std=0.3)
    made.deviation.fill_(0.05)
    return made.eval()


TEMPO = Tempo(steps=2, lag=2, stabilise=0.05, guidance=1.0)


def test_flites_sounds_become_phones() -> None:
    phones = voices.phones_of("pau:0.2 m:0.252 ey:0.410 ch:0.5 pau:0.7 ")
    assert [(phone.symbol, phone.start, phone.end) for phone in phones] == [
        ("m", 0.2, 0.252), ("eɪ", 0.252, 0.41), ("tʃ", 0.41, 0.5),  # noqa: RUF001 - a letter of the IPA
    ]  # fmt: skip


def test_without_flite_it_is_not_measured_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices.shutil, "which", lambda name: None)
    said: list[str] = []
    found = actors.other_synthesiser(net(), TEMPO, actors.Audition(), said, lambda: None)
    assert set(found.values()) == {None} and "flite" in said[0]


def test_moods_are_read_off_faces() -> None:
    felt = np.concatenate([np.eye(5), 0.5 * np.eye(5) + [0.5, 0, 0, 0, 0], np.full((1, 5), 0.2)])
    assert np.allclose(acted.moods_of(acted.expression(felt)[0]), felt, atol=0.02)
    speaking = acted.expression(np.eye(5))[0] + 0.1 * np.random.default_rng(0).random((5, 52))
    assert acted.moods_of(speaking).argmax(1).tolist() == list(range(len(MOODS)))


def test_a_performance_without_end_is_compared_and_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "MINUTE", 40)
    monkeypatch.setattr(endless, "EVERY", 10)
    heard = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
    ticks: list[int] = []
    found = endless.performed(net(), TEMPO, heard, 3, 2, lambda: ticks.append(1))
    assert len(ticks) == 3 and found.looks.shape == (12, PLAYED)
    assert [part.shape for part in (*found.first, *found.last)] == [(40, PLAYED)] * 4
    told = Take(Speech(np.zeros(16_000 * 2, np.float32), 16_000, (), ()), Temper(), 1)
    figures = endless.drifted(found, told, np.full(PLAYED, 0.05), actors.true_rows)
    assert 0 <= figures["drift"] <= figures["drift_worst"] and figures["drift_true"] > 0
    same = replace(found, last=found.first)
    assert endless.drifted(same, told, np.full(PLAYED, 0.05), actors.true_rows)["drift"] == 0
    pictures = endless.drawn(found, models.WARP)
    assert pictures["drawn_frames"] == 12 and 0.5 < pictures["drawn_sharpness"] < 2
    assert abs(pictures["drawn_colour"]) < 5


def test_how_one_performs_follows_from_what_was_learnt() -> None:
    known = {"tempo": {"steps": 8, "lag": 4, "stabilise": 0.0, "guidance": 1.5, "cached": True}}
    assert tempo_of(known).stabilise == 0 and tempo_of({}) == models.small_tempo()
    assert tempo_of({**known, "objective": "regression"}).steps == 1
    assert tempo_of({**known, "objective": "teacher"}).lag == 8
    said = weights.as_json(x_actor_small_recipe())  # as a file's header has it
    assert tempo_of(said) == x_actor_small_recipe().tempo


def test_a_folder_without_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no sound"):
        voices.recordings(tmp_path)
