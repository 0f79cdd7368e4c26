"""Write `constraints.txt`, and the lists in this folder, from pyproject.toml.

    python requirements/pin.py            (needs uv, which the extra `dev` brings)

`constraints.txt` holds one exact version for every package that any extra brings in, on every Python and system. Each
pair of Python and system is resolved by itself, with all extras together, and the answers are merged: a version that
holds everywhere is one plain line, one that does not gets a marker. Versions already in the file are kept where they
still fit, so that the difference shows only what pyproject.toml now demands. Delete the file first to move everything.

`run.txt`, `test.txt` and `all.txt` are whole lists for `pip install --no-deps`: all that the core, the tests, or the
core with all extras need while running, resolved as if MediaPipe declared what it really needs (`REALLY`). They differ
from the constraints in nothing else. torch is left to `torch.txt`, which installs it with whatever its build for that
machine asks for.
"""

from __future__ import annotations

import os
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
HEADLESS = "opencv-python-headless>=4.11,<5\n"  # in the place of the opencv-contrib-python that MediaPipe declares
# MediaPipe 0.10.21 declares numpy<2, protobuf<5 and five more packages. It runs with these (with protobuf 5.29 and 7.36
# it does not), and never imports the others.
REALLY = """\
numpy>=2,<2.5
protobuf>=6.33,<7
opencv-python-headless>=4.12,<5
opentelemetry-proto>=1.28
""" + "".join(
    f"{name}; sys_platform == 'never'\n"
    for name in ("jax", "jaxlib", "sentencepiece", "sounddevice", "opencv-contrib-python")
)
# torch names its own CUDA libraries exactly, and which ones depends on the build (CPU or CUDA) that a person chose.
TORCHS_OWN = ("nvidia-", "cuda-", "triton==")
HEAD = """\
# Exact versions of everything that the core or any extra brings in: made by requirements/pin.py, not by hand.
# They fit what each package declares, MediaPipe included (numpy<2, protobuf<5, an OpenCV that needs libGL), for
#     pip install -c constraints.txt .          or ".[all]", or any other extra
"""
LIST_HEAD = """\
# Made by requirements/pin.py, not by hand: all that is needed and no more, on any Python and system. To be installed by
#     pip install --no-deps -r requirements/{}
"""

Place = tuple[str, str]  # (Python, system), such as ("3.11", "linux")
Table = dict[str, dict[Place, str]]  # package -> where -> its version there


def resolve(place: Place, known: str, options: Iterable[str], **files: str) -> dict[str, str]:
    """Name -> version of all that is installed in one place.

    known: lines "name==version" to keep where they fit. files: the texts of further files that uv reads, by option."""
    python, system = place
    with tempfile.TemporaryDirectory() as folder:
        texts = {"constraint": FIXED, "output-file": known, **files}  # uv prefers what its output file says already
        command = ["uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header", *options]
        command += [f"--python-version={python}", f"--python-platform={SYSTEMS[system]}"]
        for option, text in texts.items():
            Path(folder, option).write_text(text)
            command.append(f"--{option}={Path(folder, option)}")
        also = Path(folder, "also.in")
        also.write_text(HEADLESS)
        environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
        subprocess.run([*command, str(ROOT / "pyproject.toml"), str(also)], check=True, env=environment)
        answer = Path(folder, "output-file").read_text().splitlines()
    pins = [line.split(";")[0].strip() for line in answer if "==" in line and not line.startswith(TORCHS_OWN)]
    return {name: version.split("+")[0] for name, version in (pin.split("==") for pin in pins)}


def everywhere(known: str, options: Iterable[str], **files: str) -> Table:
    """`resolve` in every place; the first one leads where nothing is known yet."""
    table: Table = {}
    for place in PLACES:
        found = resolve(place, known, options, **files)
        known = known or "".join(f"{name}=={version}\n" for name, version in found.items())
        for name, version in found.items():
            table.setdefault(name, {})[place] = version
        print(f"Python {place[0]} on {place[1]}: {len(found)} packages", file=sys.stderr)
    return table


def marker(word: str, values: set[str], every: set[str]) -> str:
    """The plainest condition under which `word` is one of `values`, where it can be any of `every`."""
    rest = every - values
    if len(rest) == 1 < len(values):
        return f'{word} != "{rest.pop()}"'
    return " or ".join(f'{word} == "{value}"' for value in sorted(values))


def marked(versions: Mapping[Place, str]) -> dict[str, str]:
    """Version -> its condition ("" for none), the plainest ones that tell the versions of one package apart."""
    if len(set(versions.values())) == 1:
        return dict.fromkeys(versions.values(), "")
    for axis, word in enumerate(("python_version", "sys_platform")):
        where: dict[str, set[str]] = {}  # version -> the Pythons, or the systems, that have it
        for place, version in versions.items():
            where.setdefault(version, set()).add(place[axis])
        every = {place[axis] for place in versions}
        if sum(map(len, where.values())) == len(every):
            return {version: marker(word, values, every) for version, values in sorted(where.items())}
    each = {version: [place for place in versions if versions[place] == version] for version in versions.values()}
    spelled = 'python_version == "{}" and sys_platform == "{}"'
    return {version: " or ".join(spelled.format(*place) for place in places) for version, places in each.items()}


def lines(table: Table) -> str:
    """The text of a file of pins, in order. A package is not listed for a place where its version is ""."""
    return "".join(
        f"{name}=={version}" + (f"; {condition}" if condition else "") + "\n"
        for name in sorted(table)
        for version, condition in marked(table[name]).items()
        if version
    )


def whole(table: Table) -> Table:
    """The same without torch, and with "" for the places in which a package is not needed."""
    return {name: {place: table[name].get(place, "") for place in PLACES} for name in table if name != "torch"}


if __name__ == "__main__":
    if shutil.which("uv") is None:
        sys.exit("uv is not on the PATH: pip install uv, or the extra `dev`, brings it")
    target = ROOT / "constraints.txt"
    kept = target.read_text() if target.exists() else ""
    target.write_text(HEAD + lines(everywhere(kept, ["--extra=all", "--extra=dev"])))
    for list_name, extras in {"run.txt": [], "test.txt": ["test"], "all.txt": ["all"]}.items():
        choice = [f"--extra={extra}" for extra in extras]
        pins = lines(whole(everywhere(target.read_text(), choice, override=REALLY)))
        (ROOT / "requirements" / list_name).write_text(LIST_HEAD.format(list_name) + pins)
