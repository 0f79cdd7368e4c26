"""The shipped weights: small enough, and each with a card that is not older than it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted((ROOT / "understudy" / "pretrained").glob("*.safetensors"))
MIB = 2**20


@pytest.fixture(scope="module")
def cards() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cards", ROOT / "runs" / "cards.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cards"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_all_of_them_are_small_enough_to_travel() -> None:
    sizes = {path.name: path.stat().st_size for path in SHIPPED}
    assert max(sizes.values()) <= 15 * MIB, sizes
    assert sum(sizes.values()) <= 40 * MIB, sizes


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_card_says_what_its_file_says(path: Path, cards: ModuleType) -> None:
    assert path.with_suffix(".md").read_text(encoding="utf-8") == cards.card(path), "python runs/cards.py"


def test_nothing_else_lies_there() -> None:
    folder = ROOT / "understudy" / "pretrained"
    strange = [path.name for path in folder.iterdir() if path.suffix not in (".safetensors", ".md")]
    assert strange == [] and {path.stem for path in folder.glob("*.md")} == {path.stem for path in SHIPPED}
