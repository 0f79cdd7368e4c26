"""The bench of the full models runs, at small width; and our loop gives what the released one gives."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def full() -> ModuleType:
    path = Path(__file__).resolve().parent.parent / "bench" / "full.py"
    spec = importlib.util.spec_from_file_location("bench_full", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_full"] = module
    spec.loader.exec_module(module)
    return module


def asked(full: ModuleType, measure: str, model: str = "x-portrait", dtype: str = "float32", frames: int = 19) -> Any:
    return full.Asked(measure, model, True, 32, frames, 2, "cpu", dtype, True, True)


@pytest.mark.parametrize("model", ["x-portrait", "x-portrait-2"])
@pytest.mark.parametrize("frames", [19, 40])
def test_everything_computed_once_gives_the_same_film(full: ModuleType, model: str, frames: int) -> None:
    """Cached equals uncached, to a relative 1e-5 in fp32."""
    what = asked(full, "naive", model, frames=frames)
    net = full.made(what)
    given = full.Material(net, frames)
    how = full.replace(full.parity.released(net), steps=2)
    one, other = full.naive(net, given, how), full.ours(net, given, how)
    assert float((one - other).abs().max() / one.abs().max()) < 1e-5
    assert float(one.std()) > 0.1


@pytest.mark.parametrize(
    "measure",
    ["naive", "ours", "published", "20 steps", "8 steps", "4 steps", "2 steps tiny", "1 step tiny", "half film"],
)
def test_each_measure(full: ModuleType, measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full.plan, "PROBED", 64)
    monkeypatch.setattr(full.plan, "PROBING", 0.01)
    found = full.measure(asked(full, measure, dtype="bfloat16"))
    assert found.frames == (9 if measure == "half film" else 19)
    assert found.seconds > 0 and found.step_ms > 0 and found.teraflop >= 0 and found.peak_mb > 50
    assert found.checksum > 0 and torch.isfinite(torch.tensor(found.checksum))
    table = full.table([found])
    assert measure in table and full.limit(found) in table
    assert "--compile is for GPUs" in table, "on a CPU it falls back, and says so"
    if "step" in measure or "film" in measure:
        assert 0 < found.first <= found.seconds and 0 < found.decoding < 1


def test_the_table_compares(full: ModuleType) -> None:
    def found(measure: str, seconds: float, peak: float) -> object:
        return full.Found(measure, 16, seconds, 16 / seconds, 0.1, 1.0, 0.1, 1.0, 0.3, peak, 2.0, [])

    runs = found("naive", 13.0, 900), found("ours", 10.0, 300), found("half film", 1, 100), found("whole film", 2, 101)
    assert [full.limit(full.replace(runs[0], **more)) for more in ({}, {"decoding": 0.6}, {"share": 0.1})] == [
        "arithmetic", "decoding", "the device waits for its next kernel",
    ]  # fmt: skip
    text = full.table([*runs])
    assert "naive / ours: 1.30 in time, 3.00 in memory" in text and "1.010 times the memory" in text
