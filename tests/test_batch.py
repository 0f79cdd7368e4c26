"""Many films from a table: done once, gone on with, and one that fails stops nobody else."""

from __future__ import annotations

import json
from pathlib import Path

import animate_made as made
import pytest

from understudy.cli import main
from understudy.clip import read_metadata, write_picture
from understudy.errors import BadOption, MissingFile
from understudy.service.batch import batch, rows_of


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
