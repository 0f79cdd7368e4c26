"""What motions look like: one portrait performs each of them, and moments of that stand side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from understudy.animate.driving import open_driving
from understudy.clip import AnyPath, Picture, write_picture
from understudy.clip.landing import refuse_existing
from understudy.data.sheet import Tile, sheet
from understudy.errors import NoFace
from understudy.face.portrait import Portrait
from understudy.generator.warp import Warp
from understudy.motion.mesh import MotionMesh, whole

SIDE: Final = 384  # pixels of the portrait's longer side


def acting_sheet(
    drivers: Iterable[AnyPath], out: AnyPath, *, portrait: AnyPath | None = None, moments: int = 8, force: bool = False
) -> Path:
    """Draw `moments` of every driver by warp and write them as one picture, a row each.

    Each is measured from its own best frame, as `animate` does it: what is seen here is what a film would show.

    Errors: those of reading drivers and portrait; `Exists`, `Unwritable`."""
    refuse_existing(Path(out), force)
    named = {Path(driver).name: whole(open_driving(driver, warn=_silently)) for driver in drivers}
    with _portrait(portrait) as path:
        who = Portrait.read(path, max_size=SIDE, warn=_silently)
    rows = [_row(name, motion, pictures) for name, motion, pictures in _drawn(who, named, moments)]
    title = f"{who.name} performs {', '.join(named)}"
    return write_picture(out, sheet(rows, title=title[:120]), overwrite=force)


def _drawn(
    who: Portrait, named: dict[str, MotionMesh], moments: int
) -> Iterator[tuple[str, MotionMesh, list[Picture]]]:
    """Of each driver the moments, and the pictures of them."""
    warp = Warp(who)
    for name, motion in named.items():
        reference = warp.reference([motion])
        if reference is None:
            raise NoFace(f"{name} shows no face", f"{len(motion)} frames without one", "another motion")
        at = np.linspace(0, len(motion) - 1, moments).round().astype(int)
        chosen = whole(motion[int(k) : int(k) + 1] for k in at)
        yield name, chosen, list(warp.draw([chosen], reference))


def _row(name: str, motion: MotionMesh, pictures: list[Picture]) -> list[Tile]:
    seconds = motion.times.tolist()
    words = chain([f"{name}: {seconds[0]:.2f} s"], (f"{second:.2f} s" for second in seconds[1:]))
    return [Tile(picture, word) for picture, word in zip(pictures, words, strict=True)]


@contextmanager
def _portrait(path: AnyPath | None) -> Iterator[Path]:
    """The picture, or that of a made-up person."""
    if path is not None:
        yield Path(path)
        return
    with resources.as_file(resources.files("understudy") / "assets" / "portrait-realistic.jpg") as own:
        yield own


def _silently(text: str) -> None:
    """A sheet is looked at."""
