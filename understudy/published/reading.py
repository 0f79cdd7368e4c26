"""Other people's files of weights, opened: names, shapes and types at once, tensors one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from torch import Tensor

from understudy.errors import BadWeights, MissingFile
from understudy.published import unpickle

PICKLES: Final = (".pth", ".pt", ".th", ".ckpt", ".bin")
KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""What the other process may know of the surroundings."""
PROBLEMS: Final = {
    "code": "holds more than weights, and what it holds could be a program; nothing of it was run",
    "damaged": "is not a file of weights, or damaged",
    "empty": "has no weights in it",
    "type": "has a kind of numbers that nothing here takes",
}


@dataclass(frozen=True)
class Foreign:
    """A file of weights that is open."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    get: Callable[[str], Tensor]


@contextmanager
def opened(path: Path, workplace: Path | None = None) -> Iterator[Foreign]:
    """A file of weights: safetensors as they are, pickles by way of a process of their own, which writes what is in
    them into `workplace` (as large as they are; thrown away afterwards).

    Errors: `MissingFile`; `BadWeights` for what is no file of weights, is damaged, or holds more than weights."""
    if not path.is_file():
        raise MissingFile(f"There are no weights at {path}", remedy="understudy fetch, which says where they are")
    with ExitStack() as stack:
        plain = path
        if not _is_safetensors(path):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".understudy-", dir=workplace))
            plain = Path(folder) / "plain.safetensors"
            _unpickled(path, plain)
        try:
            file = stack.enter_context(safe_open(plain, "pt"))
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
        except (SafetensorError, OSError, ValueError) as error:
            raise BadWeights(
                f"{path} {PROBLEMS['damaged']}", str(error), "fetching it again, and its size and hash"
            ) from error
        yield Foreign(path, shapes, file.get_tensor)


def _is_safetensors(path: Path) -> bool:
    """By its name; without one that says, by eight bytes that count the header, and the header's first brace."""
    if path.suffix.lower() in (".safetensors", *PICKLES):
        return path.suffix.lower() == ".safetensors"
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:9] == b"{"


def _unpickled(source: Path, target: Path) -> None:
    """`source` as plain safetensors, by a process that may do little else. Errors: `BadWeights`."""
    command = [sys.executable, "-I", str(Path(unpickle.__file__)), str(source.resolve()), str(target.resolve())]
    surroundings = {name: os.environ[name] for name in KEPT if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, cwd=target.parent, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    try:
        said = json.loads(run.stdout)
    except ValueError:
        last = run.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise BadWeights(
            f"{source} could not be opened within the limits for files of its size",
            f"the process that read it ended with {run.returncode}: {last or 'no word'}",
            "fetching it again, and room on the disk for as much again",
        ) from None
    if said:
        tensor = f"{said['tensor']}: " if "tensor" in said else ""
        raise BadWeights(
            f"{source} {PROBLEMS[said['problem']]}",
            tensor + said["seen"],
            "the file from its publisher, and never a pickle from anybody else",
        )
