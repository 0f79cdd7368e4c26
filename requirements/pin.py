"""Write `constraints.txt`, and the lists in this folder, from pyproject.toml.

    python requirements/pin.py            (needs uv, which the extra `dev` brings)

`constraints.txt` holds one exact version for every package that any extra brings in, on every Python and system. Each
pair of Python and system is resolved by itself, with all extras together, and the answers are merged: a version that
holds everywhere is one plain line, one that does not gets a marker. Versions already in the file are kept where they still
fit, so the difference shows only what a change of pyproject.toml demands. Delete the file first to move everything.

`run.txt`, `test.txt` and `all.txt` are lists of names for `pip install --no-deps`: all that the core, the tests, or the
core with all extras need while running. They leave out what MediaPipe declares and never imports (`SURPLUS`), name the
headless OpenCV, and leave torch to `torch.txt`, which installs it with whatever its build for that machine asks for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.10", "3.12")  # the first one leads: the others follow its versions where they can
SYSTEMS = {"linux": "x86_64-manylinux_2_28", "darwin": "aarch64-apple-darwin", "win32": "x86_64-pc-windows-msvc"}
PLACES = [(python, system) for system in SYSTEMS for python in PYTHONS]
FIXED = "torch==2.13.0\n"  # the release that everything here was measured with
SURPLUS = ("jax", "jaxlib", "sentencepiece", "sounddevice")
HEADLESS = "opencv-python-headless>=4.11,<5"  # in the place of the opencv-contrib-python that MediaPipe declares
# torch names its own CUDA libraries exactly, and which ones depends on the build (CPU or CUDA) that a person chose.
NOT_OURS = re.compile(r"nvidia-|cuda-|triton$")
HEAD = """\
# Exact versions of everything that the core or any extra brings in: made by requirements/pin.py, not by hand.
# They hold for both ways of installing (see pyproject.toml) and fit what each package declares, MediaPipe included
# (numpy<2, protobuf<5), so that `pip install -c constraints.txt ".[all]"` resolves.
"""
LIST_HEAD = """\
# Made by requirements/pin.py, not by hand. For `pip install --no-deps -r`: all that is needed, and no more.
-c ../constraints.txt
"""

Place = tuple[str, str]  # (Python, system), such as ("3.11", "linux")


def resolve(place: Place, known: str, *options: str) -> dict[str, str]:
    """Name -> version of all that is installed in one place. `known` holds versions to keep where they fit."""
    python, system = place
    with tempfile.TemporaryDirectory() as folder:
        answer, fixed, headless = (Path(folder, name) for name in ("answer.txt", "fixed.txt", "headless.in"))
        answer.write_text(known)  # uv prefers the versions that it finds in its output file
        fixed.write_text(FIXED)
        headless.write_text(HEADLESS)
        command = ["uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header", f"--constraint={fixed}", *options]
        command += [f"--python-version={python}", f"--python-platform={SYSTEMS[system]}", f"--output-file={answer}"]
        environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
        subprocess.run([*command, str(ROOT / "pyproject.toml"), str(headless)], check=True, env=environment)
        pairs = [line.split(";")[0].strip().split("==") for line in answer.read_text().splitlines() if "==" in line]
    return {name: version.split("+")[0] for name, version in pairs if not NOT_OURS.match(name)}


def marker(word: str, values: set[str], every: set[str]) -> str:
    """The plainest condition under which `word` is one of `values`, where it can be any of `every`."""
    rest = every - values
    if len(rest) == 1 < len(values):
        return f'{word} != "{rest.pop()}"'
    return " or ".join(f'{word} == "{value}"' for value in sorted(values))


def marked(versions: Mapping[Place, str]) -> dict[str, str]:
    """Line part -> condition ("" for none), with the plainest conditions that tell the versions of one package apart."""
    if len(set(versions.values())) == 1:
        return dict.fromkeys(versions.values(), "")
    for axis, word in enumerate(("python_version", "sys_platform")):
        where: dict[str, set[str]] = {}  # version -> the Pythons, or the systems, that have it
        for place, version in versions.items():
            where.setdefault(version, set()).add(place[axis])
        every = {place[axis] for place in versions}
        if sum(map(len, where.values())) == len(every):
            return {version: marker(word, values, every) for version, values in sorted(where.items())}
    raise SystemExit(f"these versions differ by Python and by system, which this script cannot write yet: {versions}")


def lines(head: str, table: Mapping[str, Mapping[Place, str]]) -> str:
    """The text of one file; a version of "-" stands for a place in which the package is not installed at all."""
    found = [f"{name}{version}" + (f"; {condition}" if condition else "")
             for name in sorted(table)
             for version, condition in marked(table[name]).items() if version != "-"]
    return head + "\n".join(found) + "\n"


def pin() -> str:
    """Resolve everything everywhere, and write `constraints.txt`; its text."""
    target = ROOT / "constraints.txt"
    known = target.read_text() if target.exists() else ""
    table: dict[str, dict[Place, str]] = {}
    for place in PLACES:
        found = resolve(place, known, "--extra=all", "--extra=dev")
        known = known or "".join(f"{name}=={version}\n" for name, version in found.items())
        for name, version in found.items():
            table.setdefault(name, {})[place] = f"=={version}"
        print(f"Python {place[0]} on {place[1]}: {len(found)} packages", file=sys.stderr)
    target.write_text(lines(HEAD, table))
    return target.read_text()


def list_names(target: str, known: str, extras: Iterable[str]) -> None:
    """Write the names that the core and `extras` need, without versions (`known`, the constraints, has those)."""
    with tempfile.TemporaryDirectory() as folder:
        never = Path(folder, "never.txt")
        surplus = (*SURPLUS, "opencv-contrib-python")
        never.write_text("".join(f"{name}; sys_platform == 'never'\n" for name in surplus))
        options = [f"--override={never}", *(f"--extra={extra}" for extra in extras)]
        found = {place: set(resolve(place, known, *options)) - {"torch"} for place in PLACES}
    names = set().union(*found.values())
    table = {name: {place: "" if name in found[place] else "-" for place in PLACES} for name in names}
    (ROOT / "requirements" / target).write_text(lines(LIST_HEAD, table))


if __name__ == "__main__":
    if shutil.which("uv") is None:
        sys.exit("uv is not on the PATH: pip install uv, or the extra `dev`, brings it")
    versions = pin()
    list_names("run.txt", versions, [])
    list_names("test.txt", versions, ["test"])
    list_names("all.txt", versions, ["all"])
