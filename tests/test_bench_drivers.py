"""The bench of real drivers draws every pair once, asks the yardstick, and counts a pair that failed as nothing."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import animate_made as made
import pytest
import torch
from toy import SMALL, by_chance, store

from understudy import models
from understudy.clip import read

YARDSTICK = """
import json, sys
driver, film = sys.argv[1:]
if "bridge" in film:
    sys.exit("nothing can be seen in " + film)
print("measuring")
print(json.dumps({"expression": 0.5, "pose": 0.25, "gain_expression": 1.0, "gain_pose": None, "more": 3}))
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The bench, and weights of chance."""
    path = Path(__file__).resolve().parent.parent / "bench" / "drivers.py"
    spec = importlib.util.spec_from_file_location("bench_drivers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    store(tmp_path / "weights", by_chance(), {"psnr": 4.0})
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "nothing shipped")
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path / "weights"))
    yield module
    torch.set_num_threads(threads)


def test_every_pair_is_drawn_once_and_measured(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, yardstick, out = tmp_path / "clip.mp4", tmp_path / "yardstick.py", tmp_path / "out"
    made.driver(clip, 8)
    yardstick.write_text(YARDSTICK)
    asked = [str(clip), "--yardstick", str(yardstick), "--portraits", "2", "--seconds", "0.2", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["drivers.py", *asked, "--model", SMALL])
    bench.main()
    rows = json.loads((out / "figures.json").read_text())
    assert [(row["way"], row["portrait"]) for row in rows] == [
        (way, f"who-{bench.FIRST + k}") for way in ("direct", "bridge") for k in (0, 1)
    ]
    assert all(row["expression"] == 0.5 and row["gain_pose"] is None for row in rows[:2])
    assert all(row["error"].startswith("nothing can be seen") for row in rows[2:])
    said = capsys.readouterr().out
    assert "direct: pose 0.250" in said and "bridge: pose 0.000" in said and "direct: gain_pose" not in said
    films = sorted(out.glob("who-*-clip-part-*.mp4"))
    assert len(films) == 4 and sum(1 for _ in read(films[0])) == 5
    times = [film.stat().st_mtime_ns for film in films]
    bench.main()
    assert [film.stat().st_mtime_ns for film in films] == times, "what is there is not drawn again"
