"""`understudy act`: read the arguments, call `act`, report."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from understudy.cli import say
from understudy.cli.options import Device, Face, Force, Json, License, Licensed, MaxSize, Model, Out, Sign
from understudy.cli.perform import Portrait, parts

if TYPE_CHECKING:
    from understudy.clip.coming import Coming, Pipe

STREAM = Path("-")
Voice = Annotated[
    Path,
    typer.Argument(metavar="VOICE", help="Who speaks: a sound file, a film, or - for standard input."),
]


def act(
    portrait: Portrait,
    voice: Voice,
    out: Out = None,
    model: Model = "auto",
    actor: Annotated[str, typer.Option("--actor", help="What acts.")] = "x-actor-small",
    seed: Annotated[int, typer.Option("--seed", help="Chance: another seed is another performance.")] = 0,
    mood: Annotated[
        str | None,
        typer.Option(
            "--mood",
            help="neutral, happy, sad, angry or surprised; '0 happy, 8 sad, 20 voice'; or a film of a mood.",
            show_default="the voice's",
        ),
    ] = None,
    lively: Annotated[
        float | None, typer.Option("--lively", min=0, max=4, help="Times the usual movement.", show_default="chance")
    ] = None,
    blinks: Annotated[
        float | None, typer.Option("--blinks", min=0, max=90, help="A minute.", show_default="chance")
    ] = None,
    looks: Annotated[
        float | None, typer.Option("--looks", min=0, max=120, help="Away, a minute.", show_default="chance")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", min=0, max=6, help="How much more the voice counts.", show_default="the model's"),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", help="Denoising steps, for diffusion models.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", min=0, max=3, help="How much is drawn of it.")] = 1.0,
    only: Annotated[
        str | None, typer.Option("--only", help="These parts only, of mouth,eyes,brows,pose.", show_default=False)
    ] = None,
    relative: Annotated[
        bool,
        typer.Option("--relative/--absolute", help="On top of the portrait's own expression, or in its place."),
    ] = False,
    crop: Annotated[
        bool, typer.Option("--crop/--paste", help="The face's square alone, or the whole picture.")
    ] = False,
    face: Face = None,
    max_size: MaxSize = 1920,
    device: Annotated[Device, typer.Option("--device", help="Where it is computed.")] = Device.auto,
    license: Licensed = License.any,
    sign: Sign = True,
    force: Force = False,
    json: Json = False,
) -> None:
    """PORTRAIT says what VOICE says, and acts it. The same command goes on where a stopped one ended."""
    from understudy.animate import Stopped
    from understudy.animate import act as perform

    try:
        with say.progress() as show, _heard(voice) as heard:
            result = perform(
                portrait,
                heard,
                out=out or (Path(f"{portrait.stem}-voice.mp4") if voice == STREAM else None),
                model=model,
                actor=actor,
                seed=seed,
                mood=Path(mood) if mood and Path(mood).is_file() else mood,
                lively=lively,
                blinks=blinks,
                looks=looks,
                guidance=guidance,
                steps=steps,
                strength=strength,
                only=parts(only),
                relative=relative or None,
                face=face,
                max_size=max_size,
                crop=crop,
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
    pace = f"{result.frames_per_second:.1f} frames/s"
    size = f"{result.width}x{result.height}"
    say.line(f"{result.output}: {result.frames} frames, {size}, in {say.duration(result.seconds)} ({pace})")
    if json:
        say.object_last(result)


@contextmanager
def _heard(voice: Path) -> Iterator[Path | Coming]:
    """The voice: a file, or standard input while it comes."""
    if voice != STREAM:
        yield voice
        return
    from understudy.clip.coming import Coming

    with (
        tempfile.TemporaryDirectory(prefix="understudy-", ignore_cleanup_errors=True) as folder,
        Coming(cast("Pipe", sys.stdin.buffer), Path(folder) / "voice") as coming,
    ):
        yield coming
