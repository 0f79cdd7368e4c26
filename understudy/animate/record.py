"""What a result says about itself, and what must be the same for a stopped film to go on."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from understudy import __version__
from understudy.models import Model

LIBRARIES: Final = {  # import name -> the names by which pip may know it
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-contrib-python", "opencv-python"),
    "mediapipe": ("mediapipe",),
    "av": ("av",),
}
MADE: Final = "AI-generated: synthetic media, made by Understudy. The person shown did not do what is shown."


def versions() -> dict[str, str]:
    """What the decoded frames depend on besides the inputs."""
    return {"understudy": __version__, "python": ".".join(map(str, sys.version_info[:2]))} | {
        name: installed for name, known in LIBRARIES.items() if (installed := _installed(known))
    }


def _installed(names: Iterable[str]) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def fingerprint(**parts: object) -> str:
    """One word that differs when any of the parts does."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def words(
    model: str, seed: int, portrait: Path, driving: Path, command: str, hashes: Mapping[str, str]
) -> dict[str, str]:
    """The metadata of a result: that it is made, by what, and from what."""
    return {
        "title": f"{portrait.stem} as {driving.stem}",
        "synthetic": MADE,
        "software": f"Understudy {__version__}",
        "model": model,
        "seed": str(seed),
        "versions": json.dumps(versions(), sort_keys=True),
        "command": command,
        "portrait": f"{portrait.name} sha256:{hashes['portrait']}",
        "driving": f"{driving.name} sha256:{hashes['driving']}",
    }


def facts(
    model: Model, seed: int, portrait: Path, driving: Path, command: str, hashes: Mapping[str, str]
) -> dict[str, Any]:
    """What the signature of a result vouches for, as JSON values: the words, and the licence of what drew it."""
    inputs = {"portrait": portrait, "driving": driving}
    return {
        "title": f"{portrait.stem} as {driving.stem}",
        "synthetic": MADE,
        "model": model.name,
        "licence": model.licence,
        "commercial": model.commercial,
        "seed": seed,
        "versions": versions(),
        "command": command,
        "inputs": [{"role": role, "name": path.name, "sha256": hashes[role]} for role, path in inputs.items()],
    }


def peak_memory() -> float:
    """The most memory that this process has used so far, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        return _windows_peak()
    if sys.platform == "linux":  # getrusage counts the memory of who has started this process, too
        try:
            told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
            return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6
        except (OSError, StopIteration):
            pass
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def _windows_peak() -> float:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in "abcdefgh"),
        )

    counters = Counters(cb=ctypes.sizeof(Counters))
    library = ctypes.WinDLL("psapi")  # type: ignore[attr-defined, unused-ignore]
    library.GetProcessMemoryInfo(ctypes.c_void_p(-1), ctypes.byref(counters), counters.cb)
    return float(counters.a) / 1e6  # PeakWorkingSetSize


def machine() -> str:
    """This machine in words: "AMD EPYC 9B14, 2 cores, 24 GB, Linux"."""
    import platform

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text("utf-8").splitlines() if "model name" in line
        ]
        name = names[0] if names else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.0f} GB"
    return f"{name}, {cores} cores{memory}, {platform.system()}"
