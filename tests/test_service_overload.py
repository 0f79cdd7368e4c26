"""Ten times what a service can do is asked of it, for a minute. See bench/service.py, which prints the same figures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

for library in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx"):
    pytest.importorskip(library)

BENCH = Path(__file__).resolve().parent.parent / "bench" / "service.py"


def bench() -> ModuleType:
    known = importlib.util.spec_from_file_location("bench_service", BENCH)
    assert known is not None and known.loader is not None
    module = sys.modules["bench_service"] = importlib.util.module_from_spec(known)
    known.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_too_much_is_refused_at_once_and_what_is_accepted_is_done(tmp_path: Path) -> None:
    seen = bench().overload(tmp_path, seconds=60, factor=10, queue=8, frames=12)
    assert seen.refused > seen.accepted > 0 and seen.other == 0, seen
    assert seen.lost == 0 and seen.done == seen.accepted, seen
    assert seen.refusal_ms_p50 < 50, "measured where nothing else runs; see bench/service.py"
    assert seen.memory_after < seen.memory_before * 1.15 + 20, seen
