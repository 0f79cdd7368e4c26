"""The project itself: what is committed, what is pinned, and that the places which say the same thing agree."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tempfile
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import understudy
from understudy.extras import INSTALLED_BY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12")
MACHINES = (("linux", "x86_64"), ("darwin", "arm64"), ("win32", "AMD64"))
PLACES = list(product(PYTHONS, MACHINES))
# What MediaPipe declares and never imports: the lists for `pip install --no-deps` leave it out.
SURPLUS = {"jax", "jaxlib", "sentencepiece", "sounddevice", "opencv-contrib-python"}
# Older in the constraints, because MediaPipe declares numpy<2 and protobuf<5.
HELD_BACK = {"numpy", "protobuf", "opencv-python-headless", "opentelemetry-proto"}
LISTS = ("requirements/run.txt", "requirements/test.txt", "requirements/all.txt")
NOT_RUNNING = {"test", "docs", "dev"}  # extras for those who work on Understudy, not for those who run it


@cache
def files() -> list[Path]:
    """All that is, or is about to be, committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    """The committed files that are text, with their text."""
    found = [(path, path.read_bytes()) for path in files()]
    return [(path, data.decode("utf-8", "replace")) for path, data in found if b"\0" not in data]


@cache
def project() -> dict[str, Any]:
    """pyproject.toml's table [project]."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def requirements_in(file: str) -> list[Requirement]:
    """The requirements that a file lists."""
    lines = [line.strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def environment(python: str, machine: tuple[str, str]) -> dict[str, str]:
    """What markers are evaluated against."""
    system, processor = machine
    return {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system,
            "platform_machine": processor, "platform_python_implementation": "CPython", "extra": ""}  # fmt: skip


def declared() -> list[Requirement]:
    """Every requirement of the core and of all extras, but those that only name other extras."""
    extras = project()["optional-dependencies"].values()
    lines = [*project()["dependencies"], *(line for extra in extras for line in extra)]
    return [one for one in map(Requirement, lines) if canonicalize_name(one.name) != "understudy"]


def test_files_are_small() -> None:
    sizes = {path: path.stat().st_size for path in files()}
    assert [(path.name, size) for path, size in sizes.items() if size > 15 * 2**20] == []
    assert sum(sizes.values()) < 52 * 2**20


def test_no_path_of_a_machine_is_committed() -> None:
    """Nobody else has this home or this checkout; what is under /tmp may be anybody's."""
    here = {Path.home(), ROOT, ROOT.parent} - {Path("/"), Path(tempfile.gettempdir())}
    patterns = [re.escape(f"{path}/") for path in here if len(path.parts) > 1]
    patterns += [r"/home/[a-z][\w.-]*/", r"/Users/[A-Za-z][\w.-]*/", r"[A-Z]:\\Users\\"]
    found = re.compile("|".join(patterns))
    others = [(path.name, text) for path, text in texts() if path != Path(__file__)]
    assert [(name, found.findall(text)) for name, text in others if found.search(text)] == []


def test_no_package_index_is_committed() -> None:
    """Where packages come from is the business of whoever installs; a lock file would say it, too."""
    said = re.compile(r"--(extra-)?index-url|--find-links|find-links *=|index-url *=")
    assert [path.name for path, text in texts() if path != Path(__file__) and said.search(text)] == []
    assert [path.name for path in files() if path.name in ("uv.lock", "poetry.lock", "Pipfile.lock")] == []


def test_the_licence_is_there_and_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project()["license"] == "Apache-2.0"
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    parts = [text.index(part) for part in ("1. Definitions.", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS")]
    assert parts == sorted(parts)


def test_the_version_is_said_once() -> None:
    assert str(Version(understudy.__version__)) == understudy.__version__
    assert "version" in project()["dynamic"]
    try:
        installed = importlib.metadata.version("understudy")
    except importlib.metadata.PackageNotFoundError:
        return  # run from a checkout: there is no second place
    assert installed == understudy.__version__


def test_every_error_is_public() -> None:
    """Whoever catches what we raise finds it where they found the rest."""
    errors = {name for name, kind in vars(understudy.errors).items() if isinstance(kind, type)}
    assert errors == {name for name in understudy.__all__ if name not in understudy.HOME}


def test_every_public_name_is_there() -> None:
    assert understudy.__all__ == sorted(understudy.__all__)
    assert [name for name in understudy.__all__ if getattr(understudy, name, None) is None] == []
    assert set(understudy.__all__) <= set(dir(understudy))
    with pytest.raises(AttributeError, match="nobody"):
        getattr(understudy, "nobody")  # noqa: B009


def pins_in(file: str, here: dict[str, str]) -> dict[str, str]:
    """Name -> version that a file of pins has for one Python on one machine."""
    pins = [pin for pin in requirements_in(file) if pin.marker is None or pin.marker.evaluate(here)]
    names = [canonicalize_name(pin.name) for pin in pins]
    assert len(set(names)) == len(names), "a package is pinned twice"
    return {name: str(pin.specifier).removeprefix("==") for name, pin in zip(names, pins, strict=True)}


@pytest.mark.parametrize("file", ["constraints.txt", *LISTS])
def test_pins_are_exact(file: str) -> None:
    assert {one.operator for pin in requirements_in(file) for one in pin.specifier} == {"=="}
    assert {len(pin.specifier) for pin in requirements_in(file)} == {1}


@pytest.mark.parametrize(("python", "machine"), PLACES, ids=str)
def test_constraints_cover_what_is_declared(python: str, machine: tuple[str, str]) -> None:
    here = environment(python, machine)
    pins = pins_in("constraints.txt", here)
    assert pins["torch"] == "2.13.0"
    wanted = [one for one in declared() if one.marker is None or one.marker.evaluate(here)]
    assert [str(one) for one in wanted if canonicalize_name(one.name) not in pins] == []
    assert [str(one) for one in wanted if not one.specifier.contains(pins[canonicalize_name(one.name)])] == []


@pytest.mark.parametrize(("python", "machine"), PLACES, ids=str)
def test_lists_and_constraints_are_the_same_but_for_what_is_held_back(python: str, machine: tuple[str, str]) -> None:
    here = environment(python, machine)
    constraints = pins_in("constraints.txt", here)
    run, *more = (pins_in(file, here) for file in LISTS)
    for pins in (run, *more):
        assert {name for name in pins if pins[name] != constraints[name]} == HELD_BACK & set(pins)
        assert not SURPLUS & set(pins)
        assert run.items() <= pins.items()
    assert {"mediapipe", "opencv-python-headless"} <= set(run)


@pytest.mark.parametrize("file", ["requirements/run.txt", "requirements/test.txt"])
def test_lists_leave_out_nothing_that_is_needed(file: str) -> None:
    """`pip install --no-deps` does not look; so look here: what the listed packages require is listed too."""
    listed = [one.name for one in requirements_in(file) if one.marker is None or one.marker.evaluate()]
    if importlib.util.find_spec("jax") is not None:
        pytest.skip("an environment of plain pip, which looks by itself")
    known = {canonicalize_name(name) for name in listed} | SURPLUS | {"torch"}
    missing = []
    for name in listed:
        for need in map(Requirement, importlib.metadata.requires(name) or []):
            here = need.marker is None or need.marker.evaluate({"extra": ""})
            missing += [(name, need.name)] if here and canonicalize_name(need.name) not in known else []
    assert missing == []


def test_all_means_all() -> None:
    extras = project()["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras == set(extras) - NOT_RUNNING - {"all"}


def test_advice_names_extras_that_exist() -> None:
    """Import names that no extra brings would send a person in circles."""
    advised = {extra for advice in INSTALLED_BY.values() for extra in re.findall(r"understudy\[(\w+)\]", advice)}
    assert advised <= set(project()["optional-dependencies"])


def test_papers_names_files_that_exist() -> None:
    """In docs/papers.md every file is there."""
    lines = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()
    named = [name for line in lines for name in re.findall(r"`((?:\w+/)*\w+\.py|\w+/(?:\w+/)*)`", line)]
    assert len(named) > 20
    assert [name for name in named if not (ROOT / "understudy" / name).exists()] == []
