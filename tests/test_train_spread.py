"""Several processes learn what one would have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch
from train_made import task

from understudy.errors import BadOption
from understudy.train.loop import train
from understudy.train.spread import Alone, share, spread
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


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    alone = [step.values for step in train(task(), tmp_path / "alone", device="cpu")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(HERE / "train_made.py"), str(tmp_path / "two")],
        capture_output=True, text=True, env=environment, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads((tmp_path / "two" / "losses.json").read_text())
    assert len(two) == len(alone)
    for one, other in zip(alone, two, strict=True):
        assert other == pytest.approx(one, rel=1e-5, abs=1e-7)
