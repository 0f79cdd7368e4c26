"""The first minute: made-up portraits perform a made-up driver; a sheet shows them side by side. No downloads.

Two are bent by `warp`. A third, drawn now, is imagined by X-Portrait 2 small, where torch and its weights are."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Final

from understudy import __version__
from understudy.animate.choices import TAG
from understudy.animate.pace import Progress, Tell, nobody
from understudy.animate.perform import Result, animate
from understudy.clip import AnyPath, Picture, read, read_metadata, write, write_picture
from understudy.clip.landing import unwritable
from understudy.data.sheet import Tile, sheet
from understudy.errors import MissingExtra
from understudy.extras import absent
from understudy.models import X_PORTRAIT_2_SMALL, missing_from

PORTRAITS: Final = {"painted": "portrait-painted.jpg", "realistic": "portrait-realistic.jpg"}
DRIVER: Final = "driver.mp4"
PART: Final = 50  # frames of the driver, its first two seconds, for who is drawn by diffusion
SOMEBODY: Final = 1_000_114  # of the cast; nobody from a million on is trained on
SIDE: Final = 256  # pixels of a frame of X-Portrait 2 small
MOMENTS: Final = 6  # of the film, in the sheet
MADE_UP: Final = "Everybody here is made up: Understudy drew them from numbers, with `understudy cast`."
BENT: Final = "Painted and realistic are one picture each, bent by warp."
IMAGINED: Final = (
    "Imagined: every frame of the last row was drawn anew by X-Portrait 2 small. It was shown one picture of this "
    "person and the driver of the row above, and it knows only the cast."
)


@dataclass(frozen=True)
class Shown:
    """What the demo left. These are the fields of `--json`."""

    folder: str
    films: list[str]
    sheet: str
    driving: str
    left_out: str | None  # a sentence: why there is no film by diffusion
    seconds: float  # that it took
    warnings: list[str]


def demo(folder: AnyPath = "understudy-demo", *, progress: Tell = nobody) -> Shown:
    """Animate a painted and a realistic portrait by warp and, where it can be, a drawn one by diffusion; leave films
    and a sheet in `folder`; replaces an earlier demo's.

    What the diffusion model lacks is said, and is no error. Errors: `Unwritable`."""
    begun = time.perf_counter()
    folder = Path(folder)
    driving = folder / DRIVER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        asset(DRIVER, driving)
        for name in PORTRAITS.values():
            asset(name, folder / name)
    except OSError as error:
        raise unwritable(folder, error) from error
    results: list[Result] = []
    for kind, name in PORTRAITS.items():
        progress(Progress("", note=f"a {kind} portrait performs:"))
        results.append(
            animate(folder / name, driving, out=folder / f"{kind}.mp4", model="warp", force=True, progress=progress)
        )
    films = [Path(result.output) for result in results]
    rows = [side_by_side(driving, "the driver"), *(side_by_side(film, film.stem) for film in films)]
    below = [MADE_UP, BENT]
    part = folder / "driver-part.mp4"
    imagined = by_diffusion(folder, driving, part, progress)
    if isinstance(imagined, Result):
        results.append(imagined)
        films.append(Path(imagined.output))
        rows += [side_by_side(part, "the driver, part"), side_by_side(films[-1], films[-1].stem)]
        below.append(IMAGINED)
    else:
        progress(Progress("", note=imagined))
    page = folder / "side-by-side.png"
    title = f"Understudy: one performance, {'two' if len(films) == 2 else 'three'} portraits"
    write_picture(page, sheet(rows, title, below), overwrite=True)
    return Shown(
        folder=str(folder),
        films=[str(film) for film in films],
        sheet=str(page),
        driving=str(driving),
        left_out=imagined if isinstance(imagined, str) else None,
        seconds=round(time.perf_counter() - begun, 1),
        warnings=[warning for result in results for warning in result.warnings],
    )


def by_diffusion(folder: Path, driving: Path, part: Path, progress: Tell) -> Result | str:
    """Somebody of the cast, drawn now, does what the driver does first (`part`); or why not, in a sentence."""
    name = X_PORTRAIT_2_SMALL.name
    lacking = missing_from(X_PORTRAIT_2_SMALL)
    if lacking is not None:
        remedy = "; pip install torch, and the next demo has it" if lacking.startswith("torch") else ""
        return f"no film by diffusion this time: {name} lacks {lacking}{remedy}"
    try:
        from understudy.cast import stage

        portrait = folder / "portrait-imagined.png"
        progress(Progress("", note="a portrait that is drawn now performs, by diffusion:"))
        words = {
            "synthetic": "AI-generated: a made-up person of Understudy's cast; nobody who exists is shown.",
            "software": f"Understudy {__version__}",
            TAG: f"who {SOMEBODY}, how at rest, style own",
        }
        write_picture(portrait, stage.portrait(SOMEBODY, size=SIDE), metadata=words, overwrite=True)
        clip = read(driving)
        said = {key: value for key, value in read_metadata(driving).items() if key in words}
        write(part, islice(clip, PART), fps=clip.fps, metadata=said, overwrite=True)
        return animate(portrait, part, out=folder / "imagined.mp4", model=name, force=True, progress=progress)
    except ImportError as error:
        return f"no film by diffusion this time: {absent(error, name).happened}"
    except MissingExtra as error:
        return f"no film by diffusion this time: {error.happened}"


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
