"""How fast it is here, and how much memory it takes: end to end, stage by stage, and against the length of the driver.

All on made material that is shipped with the package, so that numbers from two machines can be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from understudy import __version__
from understudy.animate.pace import Progress, Tell, nobody
from understudy.animate.record import machine
from understudy.clip import Film, Picture, read, read_picture, write, write_picture
from understudy.demo import DRIVER, PORTRAITS
from understudy.errors import UnderstudyError
from understudy.face.portrait import Portrait
from understudy.generator.warp import Warp
from understudy.motion.mesh import MotionMesh
from understudy.motion.read import read_mesh

FPS: Final = 25
FRAMES: Final = 96  # over which a stage is timed
CROP: Final = 512  # pixels
LARGE: Final = (1080, 1920)
LARGE_SECONDS: Final = 5.0
"""A talking head filmed with a telephone."""


@dataclass(frozen=True)
class Run:
    """One film, from command to file, by a process of its own."""

    what: str
    frames: int
    seconds: float
    frames_per_second: float
    watching_seconds: float
    drawing_seconds: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Speed:
    """These are the fields of `--json`."""

    version: str
    commit: str
    date: str
    machine: str
    runs: list[Run]
    stages: dict[str, float]  # milliseconds a frame, one thread each, 512x512
    memory_growth: float  # peak memory of the longest run over that of the shortest of the same kind, less 1


def measure(*, lengths: Iterable[float] = (10.0, 60.0), progress: Tell = nobody) -> Speed:
    """Run everything. `lengths`: seconds of driving, for memory against length."""
    lengths = sorted(lengths)
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as folder:
        place = Path(folder)
        portrait = portrait_of(place / "portrait.png")
        runs = []
        for seconds in lengths:
            progress(Progress("bench", note=f"{seconds:g} s of 512x512"))
            driver = driver_of(place / f"driver-{seconds:g}.mp4", seconds)
            runs.append(run(f"512x512 driver, {CROP}-pixel crop, {seconds:g} s", portrait, driver, place))
            driver.unlink()
        progress(Progress("bench", note=f"{LARGE_SECONDS:g} s of {LARGE[0]}x{LARGE[1]}"))
        large = driver_of(place / "large.mp4", LARGE_SECONDS, LARGE)
        runs.append(
            run(f"{LARGE[0]}x{LARGE[1]} driver, {CROP}-pixel crop, {LARGE_SECONDS:g} s", portrait, large, place)
        )
        progress(Progress("bench", note="stage by stage"))
        measured = stages(portrait, place)
    growth = runs[len(lengths) - 1].peak_memory_mb / runs[0].peak_memory_mb - 1
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return Speed(__version__, commit(), date, machine(), runs, measured, round(growth, 4))


def run(what: str, portrait: Path, driver: Path, place: Path) -> Run:
    """`understudy animate` as a person would start it, the start of Python and its imports included.

    Errors: `UnderstudyError`, with what the command said."""
    command = [sys.executable, "-m", "understudy", "animate", str(portrait), str(driver), "--model", "warp"]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, "-o", str(place / "out.mp4"), "--force", "--json"], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise UnderstudyError(
            "a run of the benchmark failed", done.stderr.strip()[-500:], "understudy demo, which says more"
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    names = ("watching_seconds", "drawing_seconds", "peak_memory_mb")
    return Run(
        what, found["frames"], round(seconds, 2), round(found["frames"] / seconds, 1), *(found[name] for name in names)
    )


def stages(portrait: Path, place: Path) -> dict[str, float]:
    """Milliseconds a frame of each stage alone."""
    driver = driver_of(place / "stages.mp4", FRAMES / FPS)
    who = Portrait.read(portrait)
    found: dict[str, float] = {}
    frames = timed("decode", found, lambda: list(read(driver).timed()))
    motion: list[MotionMesh] = timed("face", found, lambda: list(read_mesh(frames, Fraction(FPS), name=driver.name)))
    begun = time.perf_counter()
    warp = Warp(who)
    found["portrait, once"] = round(1000 * (time.perf_counter() - begun), 1)
    reference = timed("best frame", found, lambda: warp.reference(motion))
    if reference is None:
        raise UnderstudyError("the made driver shows no face", str(driver))
    crops = timed("draw", found, lambda: list(warp.draw_crops(motion, reference)))
    pasted = timed("paste", found, lambda: [who.crop.paste(who.picture, crop) for crop in crops])
    timed("encode", found, lambda: encode(place / "encoded.mp4", pasted))
    return found


def timed(stage: str, found: dict[str, float], work: Callable[[], Any]) -> Any:
    """Do it, and note milliseconds a frame."""
    begun = time.perf_counter()
    made = work()
    found[stage] = round(1000 * (time.perf_counter() - begun) / FRAMES, 2)
    return made


def encode(path: Path, frames: Iterable[Picture]) -> None:
    """Write a film of frames that are there already."""
    with Film(path, fps=FPS, overwrite=True) as film:
        for frame in frames:
            film.add(frame)


def driver_of(path: Path, seconds: float, size: tuple[int, int] | None = None) -> Path:
    """The shipped driver, to and fro until it is so long; `size` (width, height) puts it into a larger film."""
    with resources.as_file(resources.files("understudy") / "assets" / DRIVER) as shipped:
        clip = read(shipped)
        write(path, islice(to_and_fro(clip), round(seconds * FPS)) if size is None else
              (within(frame, size) for frame in islice(to_and_fro(clip), round(seconds * FPS))),
              fps=FPS, overwrite=True)  # fmt: skip
    return path


def to_and_fro(clip: Iterable[Picture]) -> Iterator[Picture]:
    """A film without end and without a cut: forwards, backwards, forwards."""
    frames = list(clip)
    while True:
        yield from frames
        yield from frames[-2:0:-1]


def within(frame: Picture, size: tuple[int, int]) -> Picture:
    """A square frame as wide as a larger picture, its edges going on above and below."""
    width, height = size
    scaled = cv2.resize(frame, (width, width), interpolation=cv2.INTER_CUBIC)
    above = (height - width) // 2
    return np.asarray(cv2.copyMakeBorder(scaled, above, height - width - above, 0, 0, cv2.BORDER_REPLICATE), np.uint8)


def portrait_of(path: Path) -> Path:
    """The shipped realistic portrait, scaled so that its crop is `CROP` pixels."""
    with resources.as_file(resources.files("understudy") / "assets" / PORTRAITS["realistic"]) as shipped:
        picture = read_picture(shipped)
    scale = CROP / Portrait.of(picture, "the shipped portrait").crop.size
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return write_picture(
        path, np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), overwrite=True
    )


def commit() -> str:
    """The commit of the checkout that this runs from, with a + where files differ from it; else the version."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return f"release {__version__}"
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"], cwd=root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def table(speed: Speed) -> str:
    """The numbers as a table in Markdown."""
    lines = [
        f"Understudy {speed.version}, commit {speed.commit}, {speed.date}",
        speed.machine,
        "",
        "| end to end | frames | seconds | frames/s | watching s | drawing s | peak MB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {run.what} | {run.frames} | {run.seconds} | {run.frames_per_second} | {run.watching_seconds} "
        f"| {run.drawing_seconds} | {run.peak_memory_mb:.0f} |"
        for run in speed.runs
    ]
    lines += [
        "",
        f"Peak memory, longest over shortest: {speed.memory_growth:+.1%}",
        "",
        "| stage alone | ms a frame |",
        "|---|---:|",
    ]
    lines += [f"| {name} | {value} |" for name, value in speed.stages.items()]
    return "\n".join(lines)
