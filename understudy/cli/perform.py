"""`understudy animate`: read the arguments, call `animate`, report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from understudy.cli import say
from understudy.cli.options import (
    Device,
    Driver,
    Face,
    Force,
    Inside,
    Json,
    License,
    Licensed,
    MaxSize,
    Model,
    Out,
    Sampler,
    Seed,
    Sign,
)
from understudy.errors import BadOption

Portrait = Annotated[Path, typer.Argument(metavar="PORTRAIT", help="The picture of somebody who shall perform.")]
Driving = Annotated[
    Path, typer.Argument(metavar="DRIVING", help="The performance: a film, a picture, a motion file or Live Link CSV.")
]


def animate(
    portrait: Portrait,
    driving: Driving,
    out: Out = None,
    model: Model = "auto",
    seed: Seed = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Denoising steps, for diffusion models.", show_default=False)
    ] = None,
    sampler: Annotated[
        Sampler | None,
        typer.Option(
            "--sampler",
            help="From noise to pictures, for diffusion models; dpm_solver and unipc need 15 to 20 steps, lcm 4 to 8 "
            "(with LCM-LoRA, which `understudy fetch lcm-lora` gets).",
            show_default=False,
        ),
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(
            "--guidance", help="How far to follow portrait and driver; 1 halves the work.", show_default=False
        ),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Published models: with the tiny decoder, quicker and softer.")
    ] = False,
    parity: Annotated[
        bool, typer.Option("--parity", help="Published models: as their released scripts draw, faults included.")
    ] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Published models on a GPU: some minutes first, then quicker.")
    ] = False,
    crop: Annotated[
        bool, typer.Option("--crop/--paste", help="The face's square alone, or the whole picture.")
    ] = False,
    relative: Annotated[
        bool | None,
        typer.Option(
            "--relative/--absolute",
            help="Move as the driver moves from its best-matching frame, or take its expression outright "
            "(which is the default where the driver is a picture).",
            show_default=False,
        ),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", min=0, max=3, help="How much; 1 is as the driver.")] = 1.0,
    only: Annotated[
        str | None, typer.Option("--only", help="Carry these parts only, of mouth,eyes,brows,pose.", show_default=False)
    ] = None,
    mouth: Annotated[
        Inside | None,
        typer.Option(
            "--mouth", help="Inside of an opening mouth: own is painted, driver borrowed.", show_default=False
        ),
    ] = None,
    driver: Annotated[
        Driver | None,
        typer.Option(
            "--driver",
            help="For X-Portrait: direct shows it the driver's own pictures, bridge one of the cast who plays them.",
            show_default=False,
        ),
    ] = None,
    reference_frame: Annotated[
        str, typer.Option("--reference-frame", help="The driver's frame that counts as the portrait's own: auto or N.")
    ] = "auto",
    face: Face = None,
    max_size: MaxSize = 1920,
    device: Annotated[Device, typer.Option("--device", help="Where it is computed.")] = Device.auto,
    license: Licensed = License.any,
    sign: Sign = True,
    force: Force = False,
    json: Json = False,
) -> None:
    """PORTRAIT performs what DRIVING does. The same command goes on where a stopped one ended."""
    from understudy.animate import Stopped
    from understudy.animate import animate as perform

    try:
        with say.progress() as show:
            result = perform(
                portrait,
                driving,
                out=out,
                model=model,
                seed=seed,
                steps=steps,
                sampler=None if sampler is None else sampler.value,
                guidance=guidance,
                preview=preview,
                parity=parity,
                compile=compile,
                crop=crop,
                relative=relative,
                strength=strength,
                only=parts(only),
                mouth=None if mouth is None else mouth.value,
                driver=None if driver is None else driver.value,
                reference_frame=frame_number(reference_frame),
                face=face,
                max_size=max_size,
                device=device.value,
                license=license.value,
                sign=sign,
                force=force,
                progress=show,
                command=say.command(sys.argv[1:]),
            )
    except Stopped as stopped:
        say.stopped(str(stopped), json)
        raise typer.Exit(130) from stopped
    say.warnings(result.warnings)
    frames = "one picture" if not result.fps else f"{result.frames} frame{'s' if result.frames > 1 else ''}"
    pace = f" ({result.frames_per_second:.1f} frames/s)" if result.fps else ""
    say.line(f"{result.output}: {frames}, {result.width}x{result.height}, in {say.duration(result.seconds)}{pace}")
    if json:
        say.object_last(result)


def parts(words: str | None) -> tuple[str, ...] | None:
    """`mouth,eyes` -> ("mouth", "eyes")."""
    return None if words is None else tuple(word.strip() for word in words.split(",") if word.strip())


def frame_number(word: str) -> int | Literal["auto"]:
    """`12` -> 12; `auto` stays."""
    if word == "auto":
        return "auto"
    if not word.isdecimal():
        raise BadOption(
            "--reference-frame is neither auto nor a frame number", repr(word), "auto, or a number from 0 on"
        )
    return int(word)
