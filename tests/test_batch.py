"""Many films from a table: done once, gone on with, and one that fails stops nobody else."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from multiprocessing import active_children
from pathlib import Path

import animate_made as made
import crew_made as crew
import pytest

from understudy.cli import main
from understudy.clip import read, read_metadata, write_picture
from understudy.errors import BadOption, MissingFile
from understudy.service.batch import Spread, batch, rows_of
from understudy.service.crew import TRIES, local, over_ray

FILMS, FRAMES = 50, 2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made.portrait(tmp_path / "face.png", 128)
    made.driver(tmp_path / "driver.mp4", 4, size=128)
    write_picture(tmp_path / "nobody.png", made.shipped("portrait-realistic.jpg", 128)[:20, :20])
    return tmp_path


def table(place: Path, *lines: str) -> Path:
    path = place / "jobs.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_films_are_made_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(
        place, "portrait,driving,out,strength,only", "face.png,driver.mp4,,,", "nobody.png,driver.mp4,b.mp4,,",
        "face.png,driver.mp4,c.mp4,0.5,\"mouth,eyes\"", "face.png,gone.mp4,d.mp4,,",
    )  # fmt: skip
    first = list(batch(path))
    assert [row.state for row in first] == ["made", "failed", "made", "failed"]
    kinds = [row.error["kind"] for row in first if row.error]
    assert kinds[0] in ("NoFace", "FaceTooSmall") and kinds[1] == "MissingFile"
    assert (place / "face-driver.mp4").exists() and not (place / "b.mp4").exists()
    written = {name: (place / name).stat().st_mtime_ns for name in ("face-driver.mp4", "c.mp4")}
    assert main(["batch", str(path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["state"] for row in told["films"]] == ["was there", "failed", "was there", "failed"]
    assert {name: (place / name).stat().st_mtime_ns for name in written} == written
    assert '"strength": 0.5' in read_metadata(place / "c.mp4")["command"]


def test_a_film_of_other_files_or_options_is_not_taken_for_it(place: Path) -> None:
    list(batch(table(place, "portrait,driving,strength", "face.png,driver.mp4,1")))
    changed = table(place, "portrait,driving,strength", "face.png,driver.mp4,2")
    assert [row.error["kind"] for row in batch(changed) if row.error] == ["Exists"]
    assert [row.state for row in batch(changed, force=True)] == ["made"]
    assert [row.state for row in batch(changed)] == ["was there"]
    (place / "face.png").unlink()
    made.portrait(place / "face.png", 160)
    assert [row.state for row in batch(changed)] == ["failed"], "another portrait under the same name"


def test_tables_that_make_no_sense_are_refused_before_any_work(place: Path) -> None:
    for lines in (
        ("",), ("portrait,driving",), ("portrait,drivng", "a,b"), ("portrait,driving,colour", "a,b,red"),
        ("portrait,driving", "face.png,driver.mp4", "face.png,"), ("portrait,driving", "a,b,c,d"),
        ("portrait,driving,strength", "face.png,driver.mp4,much"), ("portrait,driving", "a,b", "a,b"),
    ):  # fmt: skip
        with pytest.raises(BadOption):
            list(batch(table(place, *lines)))
    with pytest.raises(MissingFile):
        rows_of(place / "nothing.csv")
    assert not list(place.glob("*-driver.mp4"))


# --- by others ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_whoever_dies_is_replaced_and_what_kills_all_fails_by_name(tmp_path: Path) -> None:
    seen = {done.row: done for done in local(2)([crew.row(number) for number in range(2, 12)], crew.make(tmp_path))}
    assert sorted(seen) == list(range(2, 12))
    failed = {number: done.error["kind"] for number, done in seen.items() if done.error}
    assert failed == {crew.DEADLY: "Crashed", crew.BROKEN: "Internal"}
    tries = {number: len(list(tmp_path.glob(f"{number}-*"))) for number in range(2, 12)}
    assert tries == {**dict.fromkeys(range(2, 12), 1), crew.DEADLY: TRIES, crew.HURT: 2}
    assert not active_children()


def test_who_stops_leaves_nobody_behind(tmp_path: Path) -> None:
    going = local(2)([crew.row(number) for number in (8, 9, 10)], crew.make(tmp_path))
    next(going)
    assert active_children()
    going.close()  # type: ignore[attr-defined]
    assert not active_children()


def test_the_command_shares_a_table_out(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(place, "portrait,driving,out", "face.png,driver.mp4,a.mp4", "nobody.png,driver.mp4,b.mp4")
    assert main(["batch", str(path), "--workers", "2", "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["films"]
    assert {row["row"]: row["state"] for row in told} == {2: "made", 3: "failed"}
    assert [row.state for row in batch(path)] == ["was there", "failed"]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes there")
@pytest.mark.parametrize("where", ["here", "ray"])
def test_fifty_films_survive_the_death_of_who_makes_them(tmp_path: Path, where: str) -> None:
    if where == "ray":
        pytest.importorskip("ray")
    made.portrait(tmp_path / "face.png", 128)
    made.driver(tmp_path / "driver.mp4", FRAMES, size=128)
    lines = [f"face.png,driver.mp4,film-{number}.mp4,{1 + number / 100}" for number in range(FILMS)]
    path = table(tmp_path, "portrait,driving,out,strength", *lines)
    stop, wrong = threading.Event(), list[str]()
    watching = threading.Thread(target=_watch_names, args=(tmp_path, stop, wrong), daemon=True)
    watching.start()
    spread: Spread = over_ray(None, 2) if where == "ray" else local(2)
    seen = []
    for done in batch(path, spread=spread):
        seen.append(done)
        if len(seen) in (5, 20):
            os.kill(_somebody(where), signal.SIGKILL)
    stop.set()
    watching.join()
    assert sorted(done.row for done in seen) == list(range(2, FILMS + 2)), "complete, and none twice"
    assert not [done.error for done in seen if done.error]
    assert sum(done.state == "was there" for done in seen) <= 2, "their makers died before they could say so"
    assert wrong == []
    assert {each.name for each in tmp_path.glob("*.mp4")} == {"driver.mp4", *(f"film-{n}.mp4" for n in range(FILMS))}
    written = {each: each.stat().st_mtime_ns for each in tmp_path.glob("film-*")}
    assert {done.state for done in batch(path, spread=local(2))} == {"was there"}
    assert {each: each.stat().st_mtime_ns for each in tmp_path.glob("film-*")} == written


def _somebody(where: str) -> int:
    """The number of a process that makes films now."""
    if where == "here":
        return next(child.pid for child in active_children() if child.pid is not None)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for known in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if known.read_bytes().startswith(b"ray::work"):
                    return int(known.parent.name)
            except OSError:
                continue
    raise TimeoutError("nobody works")


def _watch_names(folder: Path, stop: threading.Event, wrong: list[str]) -> None:
    """Whatever bears the name of a film is one, at any moment."""
    seen: set[Path] = set()
    while not stop.is_set():
        for path in {path for path in folder.glob("film-*.mp4") if ".partial" not in path.name} - seen:
            seen.add(path)
            try:
                if len(list(read(path))) != FRAMES:
                    wrong.append(f"{path} is not whole")
            except Exception as error:
                wrong.append(repr(error))
        time.sleep(0.05)
