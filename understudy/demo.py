"""The first minute: made-up portraits perform a made-up driver; a sheet shows them side by side. No downloads."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from understudy.animate.pace import Progress, Tell, nobody
from understudy.animate.perform import animate
from understudy.clip import AnyPath, Picture, read, write_picture
from understudy.clip.landing import unwritable
from understudy.data.sheet import Tile, sheet

PORTRAITS: Final = {"painted": "portrait-painted.jpg", "realistic": "portrait-realistic.jpg"}
DRIVER: Final = "driver.mp4"
MOMENTS: Final = 6  # of the film, in the sheet
MADE_UP: Final = "Everybody here is made up: Understudy drew them from numbers, with `understudy cast`."


@dataclass(frozen=True)
class Shown:
    """What the demo left. These are the fields of `--json`."""

    folder: str
    films: list[str]
    sheet: str
    driving: str
    seconds: float  # that it took
    warnings: list[str]


def demo(folder: AnyPath = "understudy-demo", *, progress: Tell = nobody) -> Shown:
    """Animate a painted and a realistic portrait, and leave films and a sheet in `folder`; replaces an earlier demo's.

    Errors: `Unwritable`."""
    begun = time.perf_counter()
    folder = Path(folder)
    driving = folder / DRIVER
    films, said = [driving], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        asset(DRIVER, driving)
        for name in PORTRAITS.values():
            asset(name, folder / name)
    except OSError as error:
        raise unwritable(folder, error) from error
    for kind, name in PORTRAITS.items():
        progress(Progress("", note=f"a {kind} portrait performs:"))
        result = animate(
            folder / name, driving, out=folder / f"{kind}.mp4", model="warp", force=True, progress=progress
        )
        films.append(Path(result.output))
        said += result.warnings
    page = folder / "side-by-side.png"
    rows = [side_by_side(film, "the driver" if film == driving else film.stem) for film in films]
    write_picture(page, sheet(rows, "Understudy: one performance, two portraits", [MADE_UP]), overwrite=True)
    seconds = round(time.perf_counter() - begun, 1)
    return Shown(str(folder), [str(film) for film in films[1:]], str(page), str(driving), seconds, said)


def asset(name: str, to: Path) -> Path:
    """A copy of a file that is shipped with the package."""
    with resources.as_file(resources.files("understudy") / "assets" / name) as shipped:
        shutil.copyfile(shipped, to)
    return to


def side_by_side(film: Path, name: str) -> list[Tile]:
    """Moments of a film, evenly spaced."""
    clip = read(film)
    total = clip.frames or sum(1 for _ in clip)
    wanted = {round((k + 0.5) * total / MOMENTS - 0.5) for k in range(MOMENTS)}
    found: list[Picture] = []
    times: list[float] = []
    for count, (when, frame) in enumerate(clip.timed()):
        if count in wanted:
            found.append(frame)
            times.append(float(when))
    return [
        Tile(picture, f"{name}, {when:.1f} s" if not k else f"{when:.1f} s")
        for k, (picture, when) in enumerate(zip(found, times, strict=True))
    ]
