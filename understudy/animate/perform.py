"""The verb: portrait and driver in, film out; stopped and resumed at will."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from understudy.animate import record
from understudy.animate.choices import Choices, choose
from understudy.animate.driving import open_driving
from understudy.animate.pace import Pace, Tell, nobody
from understudy.clip import AnyPath
from understudy.clip.landing import refuse_existing
from understudy.clip.media import existing, once
from understudy.face.portrait import Portrait
from understudy.generator.warp import Warp

DRAWN: Final = 4  # frames that wait between drawing and encoding
STILLS: Final = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was made. These are the fields of `--json`."""

    output: str
    model: str
    seed: int
    frames: int
    fps: float
    seconds: float  # that it took
    frames_per_second: float  # of the whole job; of a resumed film, of what was drawn now
    peak_memory_mb: float
    reference_frame: int | None  # of the driver, counted from 0; none where the motion is absolute
    warnings: list[str]
    width: int
    height: int
    faceless_frames: int  # of the driver, in which the last expression was held
    cuts: int  # in the driver
    resumed_at: int  # the frame at which this run went on; 0: it began
    watching_seconds: float  # first pass
    drawing_seconds: float  # second pass


class Stopped(KeyboardInterrupt):
    """Stopped by hand. Its words say where things are and how to go on; `partial` is the film so far, if there is one."""

    def __init__(self, words: str, partial: Path | None) -> None:
        super().__init__(words)
        self.partial = partial


def animate(
    portrait: AnyPath,
    driving: AnyPath,
    *,
    out: AnyPath | None = None,
    model: str = "auto",
    seed: int = 0,
    steps: int | None = None,
    strength: float = 1.0,
    only: tuple[str, ...] | None = None,
    relative: bool | None = None,
    mouth: Literal["own", "driver"] | None = None,
    driver: str | None = None,
    reference_frame: int | Literal["auto"] = "auto",
    face: int | None = None,
    max_size: int = 1920,
    crop: bool = False,
    device: str = "auto",
    force: bool = False,
    progress: Tell | None = None,
    command: str = "",
) -> Result:
    """The portrait performs what the driver does; the result is written to `out`, by default PORTRAIT-DRIVING.mp4 here.

    `driving` is a film, a picture (the result is a picture), a motion file, or Live Link Face CSV. `relative`: move as
    the driver moves away from its best-matching frame (films), or take its expression outright (a picture, which does
    not move). The rest is described by `understudy animate --help`; `command` goes into the result's metadata.

    Stopped and called again with the same arguments, it goes on, and the film's frames are those of a run that was
    never stopped. Raises `Stopped` on Ctrl-C, and everything in `understudy.errors`."""
    begun = time.perf_counter()
    choices = Choices(
        strength=strength, only=only, relative=relative, mouth=mouth, reference_frame=reference_frame, crop=crop,
        max_size=max_size, face=face, seed=seed,
    )  # fmt: skip
    chosen, why = choose(model, device=device, steps=steps, driver=driver)
    said: list[str] = []
    warn = once(said.append)
    who, how = existing(portrait), existing(driving)
    source = open_driving(how, warn=warn)
    target = _target(who, source, out)
    refuse_existing(target, force)
    warp = Warp(Portrait.read(who, which=face, max_size=max_size, warn=warn), choices.options(source.still))
    hashes = {"portrait": record.content(who), "driving": record.content(how)}
    job = _Job(
        source=source, warp=warp, choices=choices, out=target, force=force, pace=Pace(progress or nobody),
        opening=f"{chosen.name} {why}", warnings=said, hashes=hashes,
        words=record.words(chosen.name, seed, who, how, command or f"animate({who.name!r}, {how.name!r})", hashes),
    )  # fmt: skip
    if target.suffix.lower() in STILLS:
        job.picture()
    else:
        job.film()
    ended = time.perf_counter()
    ...
