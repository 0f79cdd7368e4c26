"""Other people's pickles, opened in a process of their own, which has nothing to lose.

This file is run by itself (`python -I unpickle.py FROM TO`), so it imports torch and nothing of this package. torch
opens pickles with `weights_only=True`, which builds tensors and plain containers and refuses everything else; there
is no other attempt. Before that the process gives up what it does not need: other programs, large files, memory
beyond what the file can fill. It writes plain safetensors, one tensor at a time, and one line of JSON.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors call the types that they know."""
ROOM = 4 << 30
"""Bytes of memory that Python and torch may take beside the file."""
SECONDS = 1800
"""Of computing: many times what the largest of these files takes."""
MOST_FILES = 64


def write(
    path: Path,
    places: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    get: Callable[[str], Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Safetensors of many tensors, of which no more than one is in memory. `get` is asked for each in turn."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in places.items():
        start, end = end, end + _bytes(dtype, shape)
        header[name] = {"dtype": TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    said = json.dumps(header).encode()
    said += b" " * (-len(said) % 8)
    with path.open("wb") as file:
        file.write(len(said).to_bytes(8, "little") + said)
        for name, (dtype, shape) in places.items():
            tensor = get(name)
            if tensor.dtype != dtype or tuple(tensor.shape) != shape:
                raise ValueError(f"{name} was announced as {dtype} {shape} and is {tensor.dtype} {tuple(tensor.shape)}")
            _put(file, tensor)


def _put(file: BinaryIO, tensor: Tensor) -> None:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if flat.numel():
        file.write(flat.view(torch.uint8).numpy().data)


def _bytes(dtype: torch.dtype, shape: Iterable[int]) -> int:
    count = torch.empty((), dtype=dtype).element_size()
    for side in shape:
        count *= side
    return count


def restrict(size: int) -> None:
    """Gives up what opening a file of `size` bytes does not need. Where the system knows no limits, there are none."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_FSIZE: size + size // 4 + (64 << 20),
        resource.RLIMIT_DATA: 2 * size + ROOM,
        resource.RLIMIT_NOFILE: MOST_FILES,
    }
    if hasattr(resource, "RLIMIT_NPROC"):
        limits[resource.RLIMIT_NPROC] = 0
    for kind, least in limits.items():
        _, hard = resource.getrlimit(kind)
        bound = least if hard == resource.RLIM_INFINITY else min(least, hard)
        resource.setrlimit(kind, (bound, bound))


def opened(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name; what else is in it is left. Raises what torch raises."""
    with path.open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    found = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping):
        raise TypeError(f"a {type(found).__name__} instead of named tensors")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def main(source: Path, target: Path) -> dict[str, str]:
    """What happened: {} for nothing bad, or the kind of problem, what was seen, and in which tensor."""
    torch.set_num_threads(1)
    restrict(source.stat().st_size)
    try:
        tensors = opened(source)
    except pickle.UnpicklingError as error:
        return {"problem": "code", "seen": _first_line(error)}
    except (RuntimeError, EOFError, OSError, ValueError, TypeError, KeyError, IndexError, MemoryError) as error:
        return {"problem": "damaged", "seen": _first_line(error)}
    if not tensors:
        return {"problem": "empty", "seen": "no tensors"}
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES or tensor.layout != torch.strided or tensor.is_quantized:
            return {"problem": "type", "seen": f"{tensor.dtype}, {tensor.layout}", "tensor": name}
    places = {name: (value.dtype, tuple(value.shape)) for name, value in tensors.items()}
    write(target, places, lambda name: tensors[name])
    return {}


def _first_line(error: BaseException) -> str:
    """What torch says, without its advice to open the file all the same: where it refused something, what that was."""
    text = " ".join(str(error).split())
    refused = re.search(r"GLOBAL (\S+)", text)
    return f"it calls for {refused[1]}" if refused else text[-300:] or type(error).__name__


if __name__ == "__main__":
    said = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.write(json.dumps(said))
    sys.stdout.flush()
    os._exit(0)  # nothing of what was loaded gets a chance to run on the way out
