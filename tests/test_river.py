"""The river: data flows one way through the folders, and so do imports. The whole architecture, held by a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "understudy"

# Downstream is downwards: a stage imports from itself and from those above it.
FLOW = [
    "errors", "extras", "device", "ahead",
    "clip", "face", "cast", "diffusion", "motion", "generator", "weights", "models", "published", "provenance",
    "animate",
    "data", "train", "recipes", "demo", "evaluate", "service", "cli", "__main__",
]  # fmt: skip
DEAF = {"diffusion", "train"}  # mathematics and the loop: they have never heard of faces
FACES = {"clip", "face", "cast", "motion", "generator", "data"}
NETWORKS = {"torch", "diffusers", "transformers"}
HEAVY = NETWORKS | {"cv2", "mediapipe", "av", "skimage", "scipy"}  # what `understudy --help` must not wait for
# What draws a photo without any network, and so without torch.
LIGHT = ["clip", "face", "motion.motion", "motion.mesh", "generator.warp"]


def name_of(path: Path, root: Path) -> str:
    """understudy/face/find.py -> "understudy.face.find"; a folder's __init__.py goes by the folder's name."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package, by name."""
    return {name_of(path, PACKAGE): path for path in sorted(PACKAGE.rglob("*.py"))}


def statements(tree: ast.AST, at_once: bool) -> Iterator[ast.AST]:
    """All nodes; with `at_once` only what runs at import: nothing inside functions, nothing for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if at_once and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if at_once and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from (found for other in node.orelse for found in statements(ast.Module([other], []), at_once))
            continue
        yield node
        yield from statements(node, at_once)


def imports(source: str, module: str, is_folder: bool, at_once: bool = False) -> set[str]:
    """The dotted names that a source imports. `from a import b` gives "a.b": whether b is a module is settled later."""
    found: set[str] = set()
    for node in statements(ast.parse(source, module), at_once):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = module.split(".")[: None if is_folder else -1]
            above = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found |= {str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant)}
    return found


@cache
def imported(module: str, at_once: bool = False) -> frozenset[str]:
    """What a module of the package imports: our modules by their full names, all others by their first word."""
    path = modules()[module]
    found = set()
    for name in imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py", at_once):
        if name.split(".")[0] != PACKAGE.name:
            found.add(name.split(".")[0])
        else:  # "understudy.errors.NoFace" -> "understudy.errors"
            found.add(name if name in modules() else name.rpartition(".")[0])
    return frozenset(found)


def ours(module: str, at_once: bool = False) -> set[str]:
    """Of what a module imports, the modules of this package."""
    return {name for name in imported(module, at_once) if name.split(".")[0] == PACKAGE.name}


def stage(module: str) -> str:
    """understudy.face.find -> "face"; the package itself is "", upstream of everything."""
    return module.split(".")[1] if "." in module else ""


def within(stages: list[str]) -> list[str]:
    """The modules of some places, such as "face" (all of it) or "motion.mesh"."""
    places = tuple(f"{PACKAGE.name}.{place}" for place in stages)
    return [module for module in modules() if f"{module}.".startswith(tuple(f"{place}." for place in places))]


def drawn_in(module: str) -> set[str]:
    """All that is imported, at once, when `module` is: through our own modules, and the folders above each of them."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in modules():
            todo += imported(name, at_once=True)
            todo += [name.rpartition(".")[0]] if "." in name else []
    return seen


def test_the_finder_finds_every_kind_of_import() -> None:
    source = """
from __future__ import annotations
import numpy as np, os.path
from . import near
from .near import thing
from ..errors import NoFace
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import for_types
else:
    import otherwise
try:
    import tried
except ImportError:
    import instead
class Late:
    import in_class
    def method(self):
        import torch
        importlib.import_module("by_name")
"""
    everything = imports(source, "understudy.face.find", is_folder=False)
    assert {"numpy", "os.path", "for_types", "otherwise", "tried", "instead"} <= everything
    assert {"in_class", "torch", "by_name"} <= everything
    assert {"understudy.face.near", "understudy.face.near.thing", "understudy.errors.NoFace"} <= everything
    at_once = imports(source, "understudy.face.find", is_folder=False, at_once=True)
    assert everything - at_once == {"for_types", "torch", "by_name"}
    assert imports("from . import find", "understudy.face", is_folder=True) == {"understudy.face.find"}


def test_every_module_has_its_place() -> None:
    assert {stage(module) for module in modules()} - {""} <= set(FLOW)


def test_imports_flow_one_way() -> None:
    against = []
    for module in modules():
        upstream = {"", *FLOW[: FLOW.index(stage(module)) + 1]} if stage(module) else set(FLOW)
        against += [(module, name) for name in ours(module) if stage(name) not in upstream]
    assert against == []


def test_mathematics_and_training_have_never_heard_of_faces() -> None:
    heard = [(module, name) for module in within(sorted(DEAF)) for name in ours(module) if stage(name) in FACES]
    assert heard == []


def test_the_package_itself_imports_nothing_but_errors() -> None:
    assert ours(PACKAGE.name, at_once=True) <= {PACKAGE.name, f"{PACKAGE.name}.errors"}


def test_nobody_inside_takes_the_long_way_round() -> None:
    """`from understudy import load` inside the package would be a hidden import from downstream."""
    allowed = {f"{PACKAGE.name}.{place}" for place in FLOW} | {f"{PACKAGE.name}.__version__"}
    hidden = []
    for module, path in modules().items():
        names = imports(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")
        direct = {name for name in names if name.startswith(f"{PACKAGE.name}.") and name.count(".") == 1}
        hidden += [(module, name) for name in direct - allowed]
    assert hidden == []


def test_a_photo_is_drawn_without_networks() -> None:
    light = within(LIGHT)
    assert light
    heavy = [(module, name) for module in light for name in (imported(module) | drawn_in(module)) & NETWORKS]
    assert heavy == []


def test_the_command_line_answers_before_anything_heavy_is_imported() -> None:
    assert (drawn_in(f"{PACKAGE.name}.cli") | drawn_in(f"{PACKAGE.name}.__main__")) & HEAVY == set()


@pytest.mark.parametrize(("places", "banned"), [(LIGHT, NETWORKS), (["cli"], HEAVY)], ids=["light", "cli"])
def test_so_it_is_when_they_run(places: list[str], banned: set[str]) -> None:
    """The same, asked of Python itself: what the libraries that we import bring along counts too."""
    names = within(places)
    assert names
    code = f"import sys, {', '.join(names)}; print(*sorted(set(sys.modules) & {banned!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
