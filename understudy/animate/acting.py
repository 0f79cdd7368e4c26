"""The verb `act(portrait, voice)`: a picture performs what a voice says, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from understudy.animate.choices import Choices
from understudy.animate.driving import Driving
from understudy.animate.pace import Tell
from understudy.animate.perform import Result, perform
from understudy.animate.voice import Acting, open_voice
from understudy.clip import AnyPath, Warn
from understudy.clip.coming import Coming
from understudy.clip.media import existing
from understudy.face.portrait import Portrait
from understudy.models import Model
from understudy.motion.retouch import Retouch


def act(
    portrait: AnyPath,
    voice: AnyPath | Coming,
    *,
    out: AnyPath | None = None,
    model: str = "auto",
    actor: str = "x-actor-small",
    seed: int = 0,
    mood: str | Path | None = None,
    lively: float | None = None,
    blinks: float | None = None,
    looks: float | None = None,
    guidance: float | None = None,
    steps: int | None = None,
    strength: float = 1.0,
    only: tuple[str, ...] | None = None,
    relative: bool | None = None,
    face: int | None = None,
    max_size: int = 1920,
    crop: bool = False,
    device: str = "auto",
    retouch: Retouch | None = None,
    license: Literal["any", "commercial"] = "any",
    sign: bool = True,
    force: bool = False,
    progress: Tell | None = None,
    command: str = "",
) -> Result:
    """The portrait speaks and acts with `voice`, the sound of any file that has one; the film, with that sound, is
    written to `out`, by default PORTRAIT-VOICE.mp4 here.

    A voice that is still `Coming` is acted while it comes; the film is the one that its file would have given, and
    cannot be gone on with.

    `mood` is a label, labels with their seconds ("0 happy, 8 sad"), or the `Path` of a film, picture or motion file of
    somebody whose mood is followed. `mood`, `lively` (1 is usual), `blinks` and `looks` away (a minute) are the
    voice's and chance's unless given.
    `relative`: on top of the portrait's own expression; without it, in its place: the film sets out from it.
    `seed` decides what is chance: another one gives another performance of the voice. The rest is as for `animate`.

    Stopped and called again with the same arguments, it goes on. Raises everything in `understudy.errors`."""
    acting = Acting(actor=actor, mood=mood, lively=lively, blinks=blinks, looks=looks, guidance=guidance)
    choices = Choices(
        strength=strength,
        only=only,
        relative=relative,
        crop=crop,
        max_size=max_size,
        face=face,
        seed=seed,
        steps=steps,
        driver=None,
        device=device,
        retouch=retouch or Retouch(),
    )
    heard = voice.path if isinstance(voice, Coming) else existing(voice)

    def opened(chosen: Model, shown: Portrait, warn: Warn) -> Driving[Any]:
        own = None if relative else shown.face.points
        return open_voice(voice, acting, model=chosen, choices=choices, warn=warn, begins=own)

    return perform(
        portrait,
        heard,
        choices,
        opened,
        model=model,
        out=out,
        license=license,
        sign=sign,
        force=force,
        progress=progress,
        command=command or f"act({existing(portrait).name!r}, {heard.name!r})",
        about={"acted": f"{actor}, seed {seed}"},
    )
