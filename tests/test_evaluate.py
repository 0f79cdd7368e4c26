"""Models are drawn, measured and shown: baselines that are known exactly, a toy generator, films with made joins."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_generator_draw import FRAMES, made
from torch import Tensor
from typer.testing import CliRunner

from understudy import models
from understudy.cli import app
from understudy.errors import BadOption, MissingFile, UnknownModel
from understudy.evaluate import drawers, evaluation, show
from understudy.evaluate.evaluation import BASELINES, Contestant, entered, evaluate, styled
from understudy.evaluate.films import films, following, joined, summed
from understudy.evaluate.scenes import Drive, Programme, Snippet, snippets
from understudy.evaluate.score import EQUAL, MEANS, Sight, Tally, compared, probed
from understudy.face.mesh_finder import MeshFinder
from understudy.generator.generator import Generator, Manner

SIZE = 32
PROGRAMME = Programme(people=1, motions=3, frames=2, size=SIZE)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def shot() -> list[Snippet]:
    torch.set_num_threads(1)
    return list(snippets(PROGRAMME))


@pytest.fixture(scope="module")
def seen() -> Iterator[tuple[Snippet, Sight]]:
    """A snippet large enough for MediaPipe."""
    torch.set_num_threads(1)
    with MeshFinder() as finder:
        snippet = next(snippets(replace(PROGRAMME, size=192)))
        yield snippet, Sight.of(finder, snippet)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Generator:
    """A toy generator in the place of the one that is trained."""
    toy = made(FRAMES)
    monkeypatch.setattr("understudy.animate.trained.generator", lambda model, device: toy)
    manner = Manner(steps=1, sampler="ddim", spacing="even", guidance=1.0)
    small = replace(models.X_PORTRAIT_SMALL, manner=lambda: manner)
    monkeypatch.setattr(models, "ALL", (models.WARP, small, models.X_PORTRAIT_2_SMALL))
    monkeypatch.setattr(models, "weights_file", lambda name: None)
    return toy


def truth(snippet: Snippet) -> Tensor:
    return snippet.truth


def test_the_truth_is_perfect_and_found(seen: tuple[Snippet, Sight]) -> None:
    snippet, sight = seen
    measured = compared(snippet.truth, snippet, sight)
    assert measured["psnr"].tolist() == measured["psnr_face"].tolist() == [EQUAL, EQUAL]
    assert torch.allclose(measured["ssim"], torch.ones(2), atol=1e-5)
    for name in ("l1", "feature_distance", "landmark_error", "landmark_error_fine"):
        assert measured[name].abs().max() == 0, name
    assert measured["found"].tolist() == [1, 1]
    assert math.isnan(measured["flicker"][0]) and measured["flicker"][1] == 0


def test_landmarks_move_with_the_picture_and_nobody_counts_twenty(seen: tuple[Snippet, Sight]) -> None:
    snippet, sight = seen
    face = sight.faces[0]
    assert face is not None
    aside = compared(snippet.truth.roll(4, dims=3), snippet, sight)
    assert aside["landmark_error"][0] == pytest.approx(400 / face.eye_distance, rel=0.3)
    nobody = compared(torch.full_like(snippet.truth, 0.5), snippet, sight)
    assert nobody["landmark_error"].tolist() == nobody["landmark_error_fine"].tolist() == [20, 20]
    assert nobody["found"].tolist() == [0, 0]


def test_leak_is_nothing_for_who_ignores_the_driver_and_all_for_who_shows_it(shot: list[Snippet]) -> None:
    snippet = next(each for each in shot if each.other is not None)
    for draw, wanted in ((drawers.still, 0), (drawers.paste, 1), (truth, 0)):
        leaked = probed(draw, draw(snippet), snippet)["leak"]
        assert torch.allclose(leaked, torch.full((2,), float(wanted)))


def test_a_still_driver_is_drawn_for_each_person_once(shot: list[Snippet]) -> None:
    flickers = ["flicker_still" in probed(drawers.paste, drawers.paste(each), each) for each in shot]
    assert flickers == [True, False, False]
    assert probed(drawers.paste, drawers.paste(shot[0]), shot[0])["flicker_still"][1] == 0


def test_means_are_over_frames_and_bins_sum_up() -> None:
    tally = Tally()
    tally.add({"psnr": torch.tensor([10.0, 20.0, 30.0]), "leak": torch.tensor([0.5] * 3)}, {"yaw": ("a", "b", "b")})
    tally.add({"psnr": torch.tensor([40.0]), "energy": torch.tensor([1.0]), "true_energy": torch.tensor([4.0])},
              {"yaw": ("b",)})  # fmt: skip
    whole, bins = tally.figures(), tally.bins()["yaw"]
    assert whole["psnr"] == 25 and whole["leak"] == 0.5 and whole["sharpness"] == 0.25 and whole["l1"] is None
    assert bins["a"]["psnr"] == 10 and bins["b"]["psnr"] == 30 and bins["a"]["sharpness"] is None
    assert sum(figures["pictures"] or 0 for figures in bins.values()) == whole["pictures"] == 4
    assert sum((figures["psnr"] or 0) * (figures["pictures"] or 0) for figures in bins.values()) == 25 * 4


def test_the_order_of_snippets_changes_nothing(shot: list[Snippet]) -> None:
    forth, back = Tally(), Tally()
    for tally, order in ((forth, shot), (back, shot[::-1])):
        for each in order:
            tally.add(compared(drawers.still(each), each), each.scene.labels)
    one, other = forth.figures(), back.figures()
    assert {name: pytest.approx(value) if value is not None else None for name, value in one.items()} == other


def test_warp_bends_towards_the_truth(seen: tuple[Snippet, Sight]) -> None:
    snippet, sight = seen
    bent = drawers.Bent(sight.finder)
    result = bent(snippet)
    assert result.shape == snippet.truth.shape and not bent.warnings
    moved = float(compared(result, snippet, sight)["landmark_error"].mean())
    assert moved < 0.7 * float(compared(drawers.still(snippet), snippet, sight)["landmark_error"].mean())


def test_where_nobody_is_seen_warp_keeps_still_and_says_so(shot: list[Snippet]) -> None:
    with MeshFinder() as finder:
        bent = drawers.Bent(finder)
        assert torch.equal(bent(shot[0]), drawers.still(shot[0]))
    assert bent.warnings == ["warp: no face was found in 1 of 1 snippets; there it does not move"]


def test_a_generator_draws_snippets_alike_in_any_order(shot: list[Snippet]) -> None:
    manner = Manner(steps=2, sampler="ddim", spacing="even", guidance=1.0)
    forth, back = (drawers.drawer(drawers.performed(made(FRAMES), manner)) for _ in range(2))
    results = [forth(each) for each in shot]
    assert all(torch.equal(a, b) for a, b in zip(results, [back(each) for each in shot[::-1]][::-1], strict=True))
    assert all(result.shape == each.truth.shape for result, each in zip(results, shot, strict=True))
    assert all(0 <= float(result.min()) <= float(result.max()) <= 1 for result in results)
    snippet = next(each for each in shot if each.other is not None)
    leaked = probed(forth, forth(snippet), snippet)["leak"]
    assert (leaked > 0).all()  # with random weights the hints do something


def test_a_model_is_measured_from_end_to_end(trained: Generator, tmp_path: Path) -> None:
    found = evaluate("x-portrait-small", replace(PROGRAMME, people=2), device="cpu")
    told = show.as_object(found)
    for name in (*MEANS, "sharpness", "reconstruction_psnr", "still_psnr", "pictures", "seconds", "unseen_loss_db"):
        assert name in told, name
    assert told["pictures"] == 2 * 3 * 2 and told["size"] == SIZE
    assert set(told["baselines"]) == set(BASELINES)
    assert told["still_psnr"] == told["baselines"]["still"]["psnr"] > 5
    assert told["reconstruction_psnr"] == told["baselines"]["autoencoder-small"]["psnr"]
    for bins in told["bins"].values():
        assert sum(figures["pictures"] for figures in bins.values()) == told["pictures"]
    part = (found.unseen, found.counterpart, found.still_unseen, found.still_counterpart)
    assert {figures["pictures"] for figures in part} == {len(styled(found.programme)) * 2}
    lost = (found.still_counterpart["psnr"] or 0) - (found.still_unseen["psnr"] or 0)
    assert told["unseen_still_loss_db"] == pytest.approx(lost) and lost > 1, "ink is harder, whoever draws"
    picture, kept = show.keep(found, show.place(tmp_path / "new"))
    assert picture.stat().st_size > 1000
    assert json.loads(kept.read_text(), parse_constant=pytest.fail)["psnr"] == pytest.approx(told["psnr"])
    rows = [name for name, _ in show.lines(found)]
    assert rows[0] == "x-portrait-small" and "yaw 30-45" in rows and "unseen style" in rows
    assert show.table(found).row_count == len(rows)
    assert {"portrait", "driver", "x-portrait-small", "truth", "warp"} == set(found.rows[0].pictures)


def test_the_command(trained: Generator, tmp_path: Path) -> None:
    line = ["evaluate", "x-portrait-small", "--people", "1", "--motions", "2", "--steps", "1", "--device", "cpu",
            "-o", str(tmp_path), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["people"] == 1 and told["steps"] == 1 and Path(told["sheet"]).is_file() and Path(told["kept"]).is_file()


def test_what_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(models, "weights_file", lambda name: None)
    monkeypatch.setattr("understudy.animate.trained.weights_file", lambda name: None)
    with MeshFinder() as finder:
        with pytest.raises(UnknownModel):
            entered("x-portrait-tiny", None, cpu, finder)
        with pytest.raises(MissingFile, match="x-portrait-2-small has no weights"):
            entered("x-portrait-2-small", None, cpu, finder)
        with pytest.raises(BadOption, match="denoises nothing"):
            entered("warp", 4, cpu, finder)
        with pytest.raises(MissingFile, match="autoencoder-small"):
            entered("autoencoder-small", None, cpu, finder)
    with pytest.raises(BadOption, match="every frame by itself"):
        films("warp", device="cpu")


def jumpy(every: Callable[[int], float]) -> drawers.Performer:
    """Draws the driver, brighter by so much in its k-th frame."""

    def draw(portrait: Tensor, drives: Iterable[Drive], seed: int) -> Iterator[Tensor]:
        number = 0
        for drive in drives:
            lifts = torch.tensor([every(number + k) for k in range(len(drive.pictures))])
            number += len(lifts)
            yield drive.pictures + lifts[:, None, None, None]

    return draw


def test_films_tell_joins_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 6 that overlap by 2 join at frames 6, 10, 14: there, and only there, the picture grows lighter."""
    assert list(joined((6, 2), 15)) == [6, 10, 14]
    performer = jumpy(lambda frame: 0.02 * sum(frame >= first for first in (6, 10, 14)))
    contestant = Contestant("jumpy", drawers.still, SIZE, performer, (6, 2))
    monkeypatch.setattr("understudy.evaluate.films.entered", lambda *_: contestant)
    found = films("jumpy", Programme(people=2), length=0.6, device="cpu")
    assert found.frames == 15 and found.people == 2
    assert found.still.joins == pytest.approx(5.1, abs=1e-3) and found.still.elsewhere == pytest.approx(0, abs=1e-4)
    assert found.still.mean == pytest.approx(5.1 * 3 / 14, abs=1e-3)
    assert found.moving.joins is not None and found.moving.joins > found.moving.elsewhere + 2


def test_a_film_that_moves_as_it_should_does_not_flicker() -> None:
    frames = torch.rand(7, 3, 8, 8)
    assert list(following(iter(frames.split(3)), iter(frames))) == [0] * 6
    steps = list(following(iter(frames.split(2))))
    assert steps == pytest.approx((255 * frames.diff(dim=0).abs().mean((1, 2, 3))).tolist(), rel=1e-4)
    assert summed([[1.0, 2.0]], (6, 2)).joins is None and summed([[1.0, 3.0]], (6, 2)).elsewhere == 2


def test_a_toy_generator_makes_films(trained: Generator) -> None:
    found = films("x-portrait-small", length=0.4, device="cpu")
    assert found.frames == 10 and found.still.joins is not None and math.isfinite(found.moving.mean)


def test_sheets_show_every_person_and_no_more_rows_than_there_is_room_for() -> None:
    for people, motions in ((1, 10), (4, 10), (12, 10), (40, 10), (12, 2)):
        programme = Programme(people=people, motions=motions)
        scenes = [types.SimpleNamespace(scene=each) for each in _numbers(people, motions)]
        rows = [each.scene.person for each in scenes if evaluation.shown(each, programme, evaluation.SHOWN)]  # type: ignore[arg-type]
        assert min(people * motions, 6) <= len(rows) <= evaluation.SHOWN + 2
        assert people > evaluation.SHOWN or set(rows) == set(range(people))


def _numbers(people: int, motions: int) -> list[types.SimpleNamespace]:
    return [types.SimpleNamespace(person=p, motion=m) for p in range(people) for m in range(motions)]
