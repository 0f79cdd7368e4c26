"""Under which licence everything stands that a film is made with."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from typing import Final


@dataclass(frozen=True)
class Part:
    """Something that is not ours, or not code."""

    name: str
    does: str
    packages: tuple[str, ...]  # by which pip may know it; none: it comes with another part
    licence: str  # of what the package does not say itself, or where it says it unclearly


PARTS: Final = (
    Part("Understudy's weights", "draw and read faces; learned from the cast alone", (), "Apache-2.0"),
    Part("MediaPipe", "finds faces and their 478 points", ("mediapipe",), "Apache-2.0, its networks included"),
    Part(
        "OpenCV", "bends pictures",
        ("opencv-python-headless", "opencv-contrib-python", "opencv-python"), "Apache-2.0",
    ),
    Part("PyAV", "reads and writes films", ("av",), ""),
    Part(
        "FFmpeg, x264, x265", "are in PyAV's wheels", (),
        "GPL-2.0-or-later: asks something of those who pass these programs on, nothing of films",
    ),
    Part("NumPy", "counts", ("numpy",), ""),
    Part("Pillow", "reads and writes pictures", ("pillow",), ""),
    Part("safetensors", "holds weights and motion", ("safetensors",), "Apache-2.0"),
    Part("PyTorch", "runs the diffusion models", ("torch",), "BSD-3-Clause"),
    Part("diffusers", "has the autoencoders of full models", ("diffusers",), "Apache-2.0"),
    Part("c2pa-python", "signs results", ("c2pa-python",), "Apache-2.0 or MIT"),
    Part("FastAPI", "serves", ("fastapi",), ""),
)  # fmt: skip


def in_use() -> list[dict[str, str]]:
    """What is installed of these, as rows of a table: name, version, what it does, licence."""
    rows = []
    for part in PARTS:
        found = [each for each in map(_installed, part.packages) if each]
        if part.packages and not found:
            continue
        version, own = found[0] if found else ("", "")
        rows.append({"name": part.name, "version": version, "does": part.does, "licence": part.licence or own})
    return rows


def _installed(package: str) -> tuple[str, str] | None:
    """Version and licence of a package, as it says itself."""
    try:
        known = metadata(package)
    except PackageNotFoundError:
        return None
    said = [str(known[key]).partition("\n")[0] for key in ("License-Expression", "License") if key in known]
    return known["Version"], next(filter(None, said), "not stated")
