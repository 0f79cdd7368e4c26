"""Where to compute: the wish of a person, turned into a device of this machine. torch is imported only when asked."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

from understudy.errors import BadOption
from understudy.extras import absent

if TYPE_CHECKING:
    import torch

DEVICES: Final = ("auto", "cpu", "cuda", "mps")
_BF16: Final = ("avx512_bf16", "amx_bf16")
_KEEPING: Final = ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20))
"""mallopt's M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD: all from one heap, which never shrinks and grows by much."""


def choose(wish: str = "auto") -> torch.device:
    """The device for a wish: "auto" (the fastest there is), "cpu", "cuda", "cuda:N" or "mps".

    Raises BadOption for a wish that this machine cannot fulfil, and MissingExtra where torch is not installed."""
    kind, colon, number = wish.partition(":")
    if kind not in DEVICES or (colon and not (kind == "cuda" and number.isdecimal())):
        raise BadOption("This is not a device", f"--device {wish}", "one of auto, cpu, cuda, cuda:N or mps")
    library = _torch()
    cards, metal = _cards(library), _metal(library)
    if kind == "auto":
        wish = "cuda" if cards else "mps" if metal else "cpu"
    elif kind == "cuda" and int(number or 0) >= cards:
        raise BadOption(f"There is no GPU for --device {wish}", _what_is_there(library), _nearest(cards))
    elif kind == "mps" and not metal:
        raise BadOption("There is no Apple GPU for --device mps", _what_is_there(library), "--device auto")
    device: torch.device = library.device(wish)
    return device


def describe(device: torch.device) -> str:
    """A device in words, for reports: "cpu, 2 threads" or "cuda:0, NVIDIA H200, 139 GiB"."""
    library = _torch()
    if device.type == "cuda":
        card = library.cuda.get_device_properties(device)
        return f"cuda:{device.index or 0}, {card.name}, {card.total_memory / 2**30:.0f} GiB"
    if device.type == "cpu":
        count = library.get_num_threads()
        return f"cpu, {count} thread{'' if count == 1 else 's'}"
    return str(device.type)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left: torch's own, and what its allocators for CPUs and Apple's
    GPUs say, which have no name for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in said or "MPS backend out of memory" in said)


def rough(device: torch.device) -> AbstractContextManager[object]:
    """Within it, what need not be exact is computed in bf16, where that is quicker: on CPUs that multiply in it."""
    library = _torch()
    says = hasattr(library.cpu, "get_capabilities")  # not every torch that is allowed does
    if device.type == "cpu" and says and any(library.cpu.get_capabilities().get(name) for name in _BF16):
        found: AbstractContextManager[object] = library.autocast("cpu", library.bfloat16)
        return found
    return nullcontext()


def let_go(device: torch.device) -> None:
    """Gives back what the device's allocator keeps for later."""
    library = _torch()
    if device.type == "cuda":
        library.cuda.empty_cache()
    elif device.type == "mps":
        library.mps.empty_cache()


def keep_memory() -> bool:
    """Has this process keep for itself the memory that it gives back, and says whether it does: glibc alone can.

    A step of training, or a batch of the cast, takes and gives back hundreds of megabytes; fetching them anew from the
    system, page by page, is up to half of its time on a CPU. For processes that do nothing else: what is kept is not
    there for others. Whoever has told glibc otherwise (`MALLOC_...`) is left alone."""
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    tell = ctypes.CDLL(None).mallopt
    return all(tell(*option) == 1 for option in _KEEPING)


def _torch() -> ModuleType:
    try:
        return import_module("torch")
    except ImportError as error:
        raise absent(error, "Everything but --model warp") from error


def _cards(library: ModuleType) -> int:
    return int(library.cuda.device_count()) if library.cuda.is_available() else 0


def _metal(library: ModuleType) -> bool:
    return bool(library.backends.mps.is_available())


def _what_is_there(library: ModuleType) -> str:
    build = f"CUDA {library.version.cuda}" if library.version.cuda else "no CUDA"
    return f"{_cards(library)} CUDA GPUs, PyTorch {library.__version__} built with {build}"


def _nearest(cards: int) -> str:
    if cards:
        return f"--device cuda:0 to cuda:{cards - 1}"
    return "--device auto; where there is an NVIDIA card, look at its driver and at which PyTorch was installed"
