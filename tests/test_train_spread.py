"""Several processes learn what one would have."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_made import task, uneven

from understudy.errors import BadOption
from understudy.train.checkpoint import newest
from understudy.train.loop import train
from understudy.train.spread import WAYS, Alone, share, spread
from understudy.train.task import Chance

HERE = Path(__file__).resolve().parent


def test_shares_are_equal_and_together_everything() -> None:
    numbers = range(40, 52)
    shares = [share(numbers, rank, 3) for rank in range(3)]
    assert list(chain(*shares)) == list(numbers)
    assert {len(one) for one in shares} == {4}
    with pytest.raises(BadOption, match="12 samples for 5"):
        share(numbers, 0, 5)


def test_chance_belongs_to_a_sample_and_not_to_its_neighbours() -> None:
    whole, part = Chance(1, (5, 6, 7)), Chance(1, (6,))
    assert torch.equal(whole.normal(2, 3)[1:2], part.normal(2, 3))
    assert not torch.equal(whole.normal(2)[0], whole.normal(2)[1])
    assert not torch.equal(part.normal(4), part.normal(4, purpose=1))
    assert not torch.equal(part.normal(4), Chance(2, (6,)).normal(4))
    assert float(whole.uniform(100).min()) >= 0 and float(whole.uniform(100).max()) < 1


def test_one_process_needs_nothing_but_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("accelerate", "tensorboard", "PIL", "cv2", "typer", "rich"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("understudy.train.journal.find_spec", lambda name: None)
    assert isinstance(spread("cpu"), Alone)
    assert [step.number for step in train(task(), tmp_path, device="cpu")] == [1, 2, 3, 4, 4]
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 3


def test_recipes_run_where_there_is_only_torch(tmp_path: Path) -> None:
    absent = (
        "accelerate",
        "tensorboard",
        "PIL",
        "cv2",
        "mediapipe",
        "av",
        "typer",
        "rich",
        "einops",
        "diffusers",
        "transformers",
    )
    toy = ["size=32", "pictures=2", "judged=1", "plan.steps=2", "plan.batch=2"]
    toy += ["config.widths=8,16", "config.groups=4", "critic.widths=8,16", "critic.groups=4"]
    script = f"""
import sys
sys.modules.update(dict.fromkeys({absent!r}))
import importlib.util
there = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {absent!r} else there(name, package)
from understudy.recipes.__main__ import main
sys.exit(main(["autoencoder-small", *{toy!r}, "--device", "cpu", "--threads", "1", "--out", {str(tmp_path)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=HERE.parent, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "step 2: psnr" in done.stdout and (tmp_path / "autoencoder-small.safetensors").exists()


PATIENCE = 1800
"""Seconds that two processes may take where the machine has much else to do."""


def two(folder: Path, way: str, *words: str, restarts: int = 0) -> list[dict[str, float]]:
    """Train in two processes; the losses of the first. Where one dies, torchrun begins again with both."""
    pytest.importorskip("accelerate")
    folder.mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts), "--monitor-interval", "0.2"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(HERE / "train_made.py"), str(folder), way, *(words or ("adamw",))],
        capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    losses: list[dict[str, float]] = json.loads((folder / "losses.json").read_text())
    return losses


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The run of two processes of which none dies, made once."""
    place = tmp_path_factory.mktemp("whole")

    def made(way: str) -> Path:
        if not (place / way).exists():
            two(place / way, way)
        return place / way

    return made


def run_of(folder: Path) -> dict[str, torch.Tensor]:
    """The whole run as it stands: weights, averages, what optimisers remember."""
    path = newest(folder / "checkpoints")
    assert path is not None
    return load_file(path)


def alike(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], most: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(
            value, other[name], rtol=1e-5, atol=most, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.parametrize("way", WAYS)
def test_two_processes_give_the_losses_of_one(tmp_path: Path, whole: Callable[[str], Path], way: str) -> None:
    """And its weights, also of a layer that only some samples pass; and none to one that none passes."""
    alone = [step.values for step in train(uneven(), tmp_path, device="cpu")]
    together = json.loads((whole(way) / "losses.json").read_text())
    assert len(together) == len(alone) == 5
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-7)
    saved = run_of(whole(way))
    alike(saved, run_of(tmp_path))
    assert torch.equal(saved["model.first.4.weight"], uneven().model.state_dict()["first.4.weight"])
    assert json.loads((whole(way) / "kept.json").read_text()) == {"step": 4}


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("way", WAYS)
def test_a_process_that_is_killed_changes_nothing(tmp_path: Path, whole: Callable[[str], Path], way: str) -> None:
    """torchrun starts all again, and they go on from the last checkpoint: the same run, bit for bit."""
    two(tmp_path / "again", way, "adamw", "die", restarts=1)
    assert (tmp_path / "again" / "died").exists()
    ours, again = run_of(whole(way)), run_of(tmp_path / "again")
    assert ours.keys() == again.keys() and all(torch.equal(ours[name], again[name]) for name in ours)


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_a_run_goes_on_with_fewer_processes(tmp_path: Path, whole: Callable[[str], Path]) -> None:
    alone = [step.values for step in train(uneven(), tmp_path / "alone", device="cpu")]
    shutil.copytree(whole("fsdp"), tmp_path / "two")
    (tmp_path / "two" / "checkpoints" / "step-0000004.safetensors").unlink()
    rest = [step.values for step in train(uneven(), tmp_path / "two", device="cpu")]
    assert [step.keys() for step in rest] == [step.keys() for step in alone[2:]]
    for one, other in zip(alone[2:], rest, strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-7)


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE)
def test_shares_of_weights_are_turned_as_whole_ones(tmp_path: Path) -> None:
    """Muon needs whole matrices. It turns them in bf16, which makes more of the last bit in which clipping differs."""
    shared, every = two(tmp_path / "shared", "fsdp", "muon"), two(tmp_path / "whole", "ddp", "muon")
    for one, other in zip(shared, every, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-7)
    alike(run_of(tmp_path / "shared"), run_of(tmp_path / "whole"), 1e-4)


def test_ways_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadOption, match="ddp, fsdp"):
        spread("cpu", "zero")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(BadOption, match="torchrun"):
        spread("cpu", "fsdp")
