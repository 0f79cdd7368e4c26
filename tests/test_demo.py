"""The first minute: the films that there are, and what is said of the one that cannot be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import animate_made as made
import numpy as np
import pytest

from understudy import demo, models
from understudy.animate.pace import nobody
from understudy.cli import main
from understudy.clip import read_metadata, read_picture
from understudy.models import X_PORTRAIT_2_SMALL, missing_from

FRAMES = 8


@pytest.fixture(autouse=True)
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short driver and small portraits; no weights, shipped or fetched."""

    def asset(name: str, to: Path) -> Path:
        to.unlink(missing_ok=True)
        return made.driver(to, FRAMES, sound=False) if name == demo.DRIVER else made.portrait(to, 192)

    monkeypatch.setattr(demo, "asset", asset)
    monkeypatch.setattr(demo, "PORTRAITS", {kind: f"{kind}.png" for kind in demo.PORTRAITS})
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "nothing shipped")
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """What `understudy demo` tells programs and people."""
    assert main(["demo", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    for path in (*told["films"], told["sheet"], told["driving"]):
        assert Path(path).stat().st_size > 5_000
        assert path in said.err
    return told, said.err


def rows(told: dict[str, Any]) -> int:
    """Of the sheet."""
    return read_picture(told["sheet"]).shape[0] // 272


def test_without_weights_it_goes_on_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):  # the second replaces what the first left
        told, said = shown(capsys)
    assert told["folder"] == "understudy-demo" and told["warnings"] == []
    assert [Path(film).name for film in told["films"]] == ["painted.mp4", "realistic.mp4"]
    lacking = missing_from(X_PORTRAIT_2_SMALL)
    assert lacking is not None and lacking in told["left_out"]
    assert said.count(told["left_out"]) == 1 and "error" not in said
    assert rows(told) == 3 and not Path("understudy-demo/imagined.mp4").exists()


@pytest.mark.parametrize("broken", [False, True])
def test_without_torch_it_says_so(broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is none, and where there is one that cannot be loaded."""
    (tmp_path / "weights").mkdir()
    for name in X_PORTRAIT_2_SMALL.weights:
        (tmp_path / "weights" / name).write_bytes(b"not looked into")
    monkeypatch.delitem(sys.modules, "understudy.cast.stage", raising=False)
    monkeypatch.delattr("understudy.cast.stage", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    if broken:
        monkeypatch.setattr(models, "find_spec", lambda name: object())
    driver = made.driver(tmp_path / "driver.mp4", 2, sound=False)
    said = demo.by_diffusion(tmp_path, driver, tmp_path / "part.mp4", nobody)
    assert isinstance(said, str) and "torch, which is not installed" in said
    assert ("cannot be loaded" in said) == broken
    assert not (tmp_path / "part.mp4").exists()


def test_with_weights_somebody_is_imagined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    from toy_code import SMALL_2, by_chance, store

    store(tmp_path / "weights", by_chance(), {"psnr": 4.0})
    monkeypatch.setattr(demo, "PART", FRAMES - 2)
    told, said = shown(capsys)
    assert [Path(film).name for film in told["films"]] == ["painted.mp4", "realistic.mp4", "imagined.mp4"]
    assert told["left_out"] is None and told["warnings"] == [] and "--driver direct" in said
    frames = made.decoded(Path(told["films"][2]))
    assert len(frames) == FRAMES - 2 and frames[0].shape == (demo.SIDE, demo.SIDE, 3)
    words = read_metadata(told["films"][2])
    assert (words["model"], words["driver"]) == (SMALL_2, "direct")
    assert rows(told) == 5
    portrait = Path(told["folder"]) / "portrait-imagined.png"
    assert f"who {demo.SOMEBODY}" in read_metadata(portrait)["cast"]
    assert "nobody who exists" in read_metadata(portrait)["synthetic"]


def test_whoever_is_imagined_was_never_trained_on() -> None:
    pytest.importorskip("torch")
    from understudy.cast import stage
    from understudy.data.drawn import HELD_OUT

    assert demo.SOMEBODY >= HELD_OUT
    config = X_PORTRAIT_2_SMALL.config
    assert config is not None and config().picture == demo.SIDE
    one, other = (stage.portrait(demo.SOMEBODY, size=64) for _ in range(2))
    assert np.array_equal(one, other)


@pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="there is no make here")
@pytest.mark.parametrize(("torch", "arguments"), [("had", []), ("not to be had", []), ("not wanted", ["TORCH=no"])])
def test_make_demo_needs_no_torch(torch: str, arguments: list[str], tmp_path: Path) -> None:
    """With a pip that succeeds or fails, and a demo that only says that it was called."""
    root = Path(__file__).resolve().parent.parent
    for name in ("Makefile", "constraints.txt", "pyproject.toml", "requirements/run.txt", "requirements/torch.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(root / name, tmp_path / name)
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, does in (("python", f"echo pip; exit {int(torch != 'had')}"), ("understudy", "echo demo")):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    (tmp_path / ".venv" / "run.done").touch()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "demo", *arguments], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "demo" in done.stdout.splitlines(), done.stderr
    assert ("pip" in done.stdout.splitlines()) == (torch != "not wanted")
    assert ("could not be installed" in done.stderr) == (torch == "not to be had")
    assert (tmp_path / ".venv" / "torch.done").exists() == (torch == "had")


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first minute, with nothing but what is in the package; with a film by diffusion it takes three, at most."""
    monkeypatch.undo()
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "demo", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert all((tmp_path / path).stat().st_size > 10_000 for path in (*told["films"], told["sheet"], told["driving"]))
    whole = missing_from(X_PORTRAIT_2_SMALL) is None
    assert len(told["films"]) == (3 if whole else 2) and (told["left_out"] is None) == whole
    assert told["seconds"] < (180 if whole else 60)
