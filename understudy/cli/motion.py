"""`understudy motion`: performances as files of their own: kept, looked at, edited, exchanged with other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Face, Force, Json, Out
from understudy.errors import BadOption

app = typer.Typer(name="motion", help="Performances as files: read, look at, edit, exchange.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(metavar="FILE", help="A motion file (.safetensors).")]


@app.command()
def read(
    driving: Annotated[Path, typer.Argument(metavar="DRIVING", help="A film or a picture.")],
    out: Out = None,
    face: Face = None,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Keep pictures of the driver, for models that follow those.")
    ] = False,
    codes: Annotated[
        bool, typer.Option("--codes", help="Keep motion codes, which x-portrait-2-small draws on any portrait.")
    ] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Watch a driver once and keep its motion, by default as NAME.safetensors here."""
    from understudy.animate.motions import keep

    with say.progress() as show:
        path = out or Path(f"{driving.stem}.safetensors")
        kept = keep(driving, path, face=face, pictures=pictures, codes=codes, force=force, progress=show)
    _told(kept, json)


@app.command()
def info(file: File, json: Json = False) -> None:
    """What is in a motion file: length, rate, curves, where it is from."""
    from understudy.animate.motions import about

    _told(about(file), json)


@app.command()
def export(file: File, out: Out = None, force: Force = False, json: Json = False) -> None:
    """Write it as Live Link Face CSV, which Unreal, Blender and Maya read; by default as NAME.csv here."""
    from understudy.animate.motions import export_livelink

    _told(export_livelink(file, out or Path(f"{file.stem}.csv"), force=force), json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file of Live Link Face.")],
    out: Out = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Frames a second, instead of the timecodes'.", show_default=False)
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Take a Live Link Face recording in as a motion file, by default as NAME.safetensors here."""
    from understudy.animate.motions import import_livelink

    _told(import_livelink(file, out or Path(f"{file.stem}.safetensors"), rate=rate, force=force), json)


@app.command()
def edit(
    file: File,
    out: Out = None,
    start: Annotated[float, typer.Option("--start", min=0, help="Seconds to leave out at the beginning.")] = 0.0,
    end: Annotated[
        float | None, typer.Option("--end", min=0, help="The second at which to stop.", show_default=False)
    ] = None,
    join: Annotated[
        list[Path] | None, typer.Option("--join", help="Motion files to put behind it.", show_default=False)
    ] = None,
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=10, help="2: twice as fast.")] = 1.0,
    rate: Annotated[
        float | None, typer.Option("--rate", min=1, help="Frames a second; it lasts as long.", show_default=False)
    ] = None,
    blend: Annotated[
        Path | None, typer.Option("--blend", help="A motion file to mix it with.", show_default=False)
    ] = None,
    share: Annotated[float, typer.Option("--share", min=0, max=1, help="How much of it is the other's.")] = 0.5,
    mirror: Annotated[bool, typer.Option("--mirror", help="Left for right.")] = False,
    smooth: Annotated[float, typer.Option("--smooth", min=0, max=2, help="Seconds over which to quieten it.")] = 0.0,
    strength: Annotated[float, typer.Option("--strength", min=0, max=3, help="Of the whole expression.")] = 1.0,
    mouth: Annotated[float, typer.Option("--mouth", min=0, max=3, help="Of the mouth alone.")] = 1.0,
    eyes: Annotated[float, typer.Option("--eyes", min=0, max=3, help="Of lids and gaze.")] = 1.0,
    brows: Annotated[float, typer.Option("--brows", min=0, max=3, help="Of the brows.")] = 1.0,
    pose: Annotated[float, typer.Option("--pose", min=0, max=3, help="Of the moves of the head.")] = 1.0,
    curve: Annotated[
        list[str] | None,
        typer.Option(
            "--curve", metavar="NAME=X", help="Codes: add to a curve, such as jawOpen=0.3.", show_default=False
        ),
    ] = None,
    hold_head: Annotated[bool, typer.Option("--hold-head", help="The head keeps still; the face goes on.")] = False,
    hold_at: Annotated[
        float | None,
        typer.Option("--hold-at", min=0, help="... as it is at this second.", show_default="its average"),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="Keyframes (JSON): see `motion keys`.", show_default=False)
    ] = None,
    look_at_camera: Annotated[
        float, typer.Option("--look-at-camera", min=0, max=1, help="How far the eyes stay on the camera: 0 to 1.")
    ] = 0.0,
    loop: Annotated[float, typer.Option("--loop", min=0, help="Seconds of a seam that makes it a loop.")] = 0.0,
    repeat: Annotated[int, typer.Option("--repeat", min=1, max=10000, help="How often.")] = 1,
    force: Force = False,
    json: Json = False,
) -> None:
    """Change it: all of this in the order of the options; by default into NAME-edited.safetensors here."""
    from understudy.animate.motions import Edits, edited

    held = hold_at if hold_at is not None else -1.0 if hold_head else None
    edits = Edits(
        start=start, end=end, join=tuple(join or ()), speed=speed, rate=rate, blend=blend, share=share, mirror=mirror,
        smooth=smooth, strength=strength, mouth=mouth, eyes=eyes, brows=brows, pose=pose, hold_head=held, keys=keys,
        look_at_camera=look_at_camera, loop=loop, repeat=repeat,
        curves=tuple(_named(word) for word in curve or ()),
    )  # fmt: skip
    _told(edited(file, out or Path(f"{file.stem}-edited.safetensors"), edits, force=force), json)


def _named(word: str) -> tuple[str, float]:
    """ "jawOpen=0.3"."""
    name, _, amount = word.partition("=")
    try:
        return name, float(amount)
    except ValueError:
        raise BadOption(f"--curve {word} says no amount", remedy="such as --curve jawOpen=0.3") from None


@app.command()
def keys(
    file: File,
    out: Out = None,
    names: Annotated[
        str, typer.Option("--names", help="Which: curves of ARKit, and yaw, pitch, roll.")
    ] = "jawOpen,eyeBlinkLeft,eyeBlinkRight,yaw,pitch,roll",
    every: Annotated[float, typer.Option("--every", min=0.001, help="Seconds from one key to the next.")] = 0.5,
    force: Force = False,
    json: Json = False,
) -> None:
    """Write what it does as keyframes (JSON), to be changed by hand and given to `edit --keys`."""
    from understudy.animate.motions import keep_keys

    path = out or Path(f"{file.stem}-keys.json")
    count = keep_keys(file, path, tuple(name.strip() for name in names.split(",")), every, force=force)
    say.line(f"{path}: {count} keys")
    if json:
        say.object_last({"output": str(path), "keys": count})


@app.command()
def sheet(
    files: Annotated[list[Path], typer.Argument(metavar="FILES...", help="Motion files, or anything that drives.")],
    out: Out = None,
    portrait: Annotated[
        Path | None, typer.Option("--portrait", help="Who performs them.", show_default="a made-up person")
    ] = None,
    moments: Annotated[int, typer.Option("--moments", min=2, max=20, help="Pictures of each.")] = 8,
    force: Force = False,
    json: Json = False,
) -> None:
    """A contact sheet: the same portrait performs each of them, a row a file; by default motions.png here."""
    from understudy.data.acting import acting_sheet

    path = acting_sheet(files, out or Path("motions.png"), portrait=portrait, moments=moments, force=force)
    say.line(f"contact sheet: {path}")
    if json:
        say.object_last({"output": str(path)})


def _told(about: object, json: bool) -> None:
    """A summary of a motion: sentences for people, or one object."""
    from understudy.animate.motions import About

    assert isinstance(about, About)
    say.warnings(about.warnings)
    holds = {"frames": "driving pictures", "code": "motion codes"}.get(about.kind, f"{len(about.curves)} curves")
    say.line(
        f"{about.file}: {about.frames} frames, {about.fps:.4g} a second, {about.seconds:.1f} s; "
        f"{holds}; a face in {about.faces} frames, {about.cuts} cuts"
    )
    for name, value in about.provenance.items():
        say.line(f"  {name}: {value}")
    if json:
        say.object_last(about)
