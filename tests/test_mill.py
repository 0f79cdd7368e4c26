"""The mill: what goes in, what comes out, and that kills do not show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import itertools

import numpy as np
from animate_made import driver_frames
from mill_made import FRAMES, LIMITS, films, gathered

from understudy.cli import main
from understudy.clip import write
from understudy.data import mill, tars
from understudy.data.gather import gather
from understudy.data.manifest import read_manifest
from understudy.data.mill import Film, Outcome, Step, films_in, here, local, prepare
from understudy.data.takes import takes_in
from understudy.errors import BadOption, MissingFile

SHARD = 600_000
"""Bytes: so few that there are several shards."""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> list[Film]:
    return films(tmp_path_factory.mktemp("films"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Films are looked at once in all these tests."""

    def gather(path: Path, name: str, limits: object) -> Iterator[object]:
        yield from gathered(path, name)

    monkeypatch.setattr(mill, "gather", gather)
    monkeypatch.setattr(mill, "local", lambda workers: here)


def run(footage: list[Film], folder: Path, spread: mill.Spread | None = None) -> Outcome:
    *_, last = prepare(footage, folder, LIMITS, SHARD, spread or here)
    assert isinstance(last, Outcome)
    return last


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_take_is_accounted_for(footage: list[Film], tmp_path: Path, quick: None) -> None:
    outcome = run(footage, tmp_path)
    rows = read_manifest(tmp_path / "manifest.parquet")
    by_film = {name: [row for row in rows if row["source"] == name] for name in ("one.mp4", "two.mp4", "zmall.mp4")}
    assert [row["frames"] for row in by_film["zmall.mp4"]] == [25, FRAMES - 25]
    assert [row["status"] for row in by_film["one.mp4"]] == ["kept", "kept"]
    assert sum(row["frames"] for row in by_film["one.mp4"]) == FRAMES
    assert by_film["two.mp4"][0]["reasons"] == ["duplicate: the film is one.mp4"]
    assert all(row["reasons"][0].startswith("duplicate: of ") for row in by_film["zmall.mp4"] if row["frames"] == 25)
    (broken,) = [row for row in rows if row["source"] == "broken.mp4"]
    assert broken["status"] == "rejected" and broken["reasons"][0].startswith("unreadable") and "/" not in broken["key"]
    kept = [row for row in rows if row["status"] == "kept"]
    assert outcome.kept == len(kept) and outcome.films == len(footage) == 4
    assert [take.key for take in takes_in(tmp_path)] == [row["key"] for row in kept]
    for row in kept:
        with (tmp_path / row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            assert mill.hashlib.sha256(file.read(row["size"])).hexdigest() == row["sha256"]


def test_takes_come_back_as_they_were(footage: list[Film], tmp_path: Path, quick: None) -> None:
    run(footage, tmp_path)
    take = takes_in(tmp_path)[0]
    picture, motion = take.picture(3), take.motion
    assert picture.shape == (512, 512, 3) and len(motion) == take.frames == take.about["frames"]
    assert motion.points[..., :2].min() > 0 and motion.points[..., :2].max() < 512  # in pixels of the pictures
    assert take.sound is not None and take.sound.seconds == pytest.approx(take.about["seconds"], abs=0.01)
    assert take.speech is not None and take.speech.shape == (25, 162)


class Killed(BaseException):
    """As sudden as can be."""


@pytest.mark.parametrize("when", range(1, 12, 2))
def test_killed_anywhere_and_run_again_it_makes_the_same(
    footage: list[Film], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    run(footage, tmp_path / "whole")
    whole, calls = contents(tmp_path / "whole"), [0]
    honest = Path.replace

    def dying(path: Path, to: Path) -> Path:
        calls[0] += 1
        if calls[0] == when:
            raise Killed
        return honest(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        try:
            run(footage, tmp_path / "again")
        except Killed:
            pass
        else:
            assert calls[0] < when
    assert not (tmp_path / "again" / "about.json").exists() or calls[0] < when
    run(footage, tmp_path / "again")
    assert contents(tmp_path / "again") == whole


def test_what_is_done_is_not_done_again(
    footage: list[Film], tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(footage, tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("gathered again")

    monkeypatch.setattr(mill, "gather", never)
    assert run(footage, tmp_path) == first
    assert not list(tmp_path.rglob("*.partial")) and not (tmp_path / ".parts").exists()


def test_a_shard_that_was_lost_is_made_again(footage: list[Film], tmp_path: Path, quick: None) -> None:
    run(footage, tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "00000.tar").unlink()
    run(footage, tmp_path)
    assert contents(tmp_path) == whole


def test_other_films_or_limits_need_another_folder(footage: list[Film], tmp_path: Path, quick: None) -> None:
    run(footage, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(BadOption, match="films"):
        list(prepare(footage[:-1], tmp_path, LIMITS, SHARD, here))
    with pytest.raises(BadOption, match="limits"):
        list(prepare(footage, tmp_path, replace(LIMITS, side=99), SHARD, here))
    assert contents(tmp_path) == before


def test_the_order_in_which_films_are_done_does_not_matter(footage: list[Film], tmp_path: Path, quick: None) -> None:
    def backwards(some: list[Film], work: Callable[[Film], str]) -> Iterator[str]:
        yield from map(work, reversed(some))

    run(footage, tmp_path / "a")
    run(footage, tmp_path / "b", backwards)  # type: ignore[arg-type]
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_folders_are_searched_and_names_decide_the_order(footage: list[Film], tmp_path: Path) -> None:
    folder = Path(footage[0].path).parent
    (folder / "notes.txt").write_text("no film")
    assert [film.name for film in films_in([folder])] == ["broken.mp4", "one.mp4", "two.mp4", "zmall.mp4"]
    assert films_in([folder / "two.mp4", folder]) == films_in([folder])
    for none in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFile):
            films_in([none])


def test_limits_reject_and_say_why(footage: list[Film], tmp_path: Path) -> None:
    one = [film for film in footage if film.name == "one.mp4"]
    strict = replace(LIMITS, side=2000, dark=254.0, shortest=0.7, speech=True)
    *_, last = prepare(one, tmp_path, strict, SHARD, here)
    assert isinstance(last, Outcome) and last.kept == 0
    assert set(last.why) >= {"small", "dark", "short", "sound"}
    with pytest.raises(MissingFile):
        takes_in(tmp_path)


@pytest.mark.slow
def test_processes_killed_outright_leave_nothing_that_shows(footage: list[Film], tmp_path: Path) -> None:
    """SIGKILL to the command and its workers at five moments."""
    words = [sys.executable, "-m", "understudy", "prepare", *(film.path for film in footage), "--workers", "2"]
    subprocess.run([*words, "-o", str(tmp_path / "whole")], check=True)
    for seconds in (1.5, 3, 6, 9, 12):
        with subprocess.Popen([*words, "-o", str(tmp_path / "again")], start_new_session=True) as going:
            time.sleep(seconds)
            if going.poll() is None:
                os.killpg(going.pid, signal.SIGKILL)
    subprocess.run([*words, "-o", str(tmp_path / "again")], check=True)
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_over_ray_the_shards_are_the_same(footage: list[Film], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from understudy.data.cluster import over_ray

    run(footage, tmp_path / "here", local(2))
    run(footage, tmp_path / "there", over_ray(None, 2))
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


def test_the_command_tells_how_it_went(
    footage: list[Film], tmp_path: Path, quick: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["prepare", footage[1].path, "-o", str(tmp_path / "shards"), "--workers", "1", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["films"] == 1 and told["takes"] == told["kept"] == 2
    assert main([*words[:2], "-o", str(tmp_path / "other"), "--shortest", "9", "--longest", "2"]) == 1


def test_steps_count_films(footage: list[Film], tmp_path: Path, quick: None) -> None:
    *steps, _ = prepare(footage, tmp_path, LIMITS, SHARD, here)
    assert [(step.done, step.films) for step in steps if isinstance(step, Step)] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_members_of_a_take_stand_together(footage: list[Film], tmp_path: Path, quick: None) -> None:
    """As WebDataset wants it: samples are runs of members with one key."""
    run(footage, tmp_path)
    for path in sorted(tmp_path.glob("*.tar")):
        keys = [each.name.partition(".")[0] for each in tars.members(path)]
        assert len(set(keys)) == 1 + sum(one != other for one, other in itertools.pairwise(keys))


def test_a_face_that_leaves_the_picture_is_one_take_and_left_out(tmp_path: Path) -> None:
    frames = [np.array(frame) for frame in driver_frames(16)]
    low = round(0.35 * len(frames[0]))  # so far that the chin is out
    for frame in frames[5:11]:
        frame[low:] = frame[:-low].copy()
        frame[:low] = frame[low]
    write(tmp_path / "film.mp4", frames, fps=25)
    takes = list(gather(tmp_path / "film.mp4", "film", LIMITS))
    cut_off = [any(words.startswith("cut off") for words in take.reasons) for take in takes]
    assert [take.frames for take in takes] == [5, 6, 5] and cut_off == [False, True, False]
    assert not takes[1].members
