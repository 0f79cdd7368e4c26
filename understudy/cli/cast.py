"""`understudy cast`: made-up people, drawn from numbers; pictures and films of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy import __version__
from understudy.cli import say
from understudy.cli.options import Force, Json, Out
from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.clip import Picture

app = typer.Typer(name="cast", help="Made-up people: pictures, films, talking films.", no_args_is_help=True)
Who = Annotated[int, typer.Option("--who", min=0, help="Seed of the person.")]
Style = Annotated[
    str | None,
    typer.Option("--style", help="realistic, cartoon, pencil, paint or ink.", show_default="the person's own"),
]
Size = Annotated[int, typer.Option("--size", min=64, max=2048, help="Pixels along each side.")]


@app.command()
def portrait(
    who: Who,
    how: Annotated[
        int | None, typer.Option("--how", min=0, help="Seed of the expression.", show_default="at rest")
    ] = None,
    style: Style = None,
    size: Size = 512,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Refuse formats that lose something: .png keeps every number.")
    ] = False,
    out: Out = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """A picture of somebody who does not exist, by default cast-WHO.png here."""
    from understudy.cast import stage
    from understudy.clip import write_picture

    path = out or Path(f"cast-{who}.png")
    if lossless and path.suffix.lower() in (".jpg", ".jpeg", ".webp"):
        raise BadOption(f"{path.suffix} loses something", str(path), "a name that ends in .png")
    picture = stage.portrait(who, how, style, size, samples=2)
    write_picture(path, picture, metadata=_words(who, how, style), overwrite=force)
    _told(path, 1, size, json)


@app.command()
def film(
    who: Who,
    how: Annotated[int, typer.Option("--how", min=0, help="Seed of the performance.")],
    seconds: Annotated[float, typer.Option("--seconds", min=0.04, help="How long.")] = 10.0,
    fps: Annotated[float, typer.Option("--fps", min=1, max=120, help="Frames a second.")] = 25.0,
    style: Style = None,
    size: Size = 512,
    lossless: Annotated[bool, typer.Option("--lossless", help="Keep every number (.mkv, .mp4, .mov).")] = False,
    out: Out = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """A film of somebody who does not exist, by default cast-WHO-HOW.mp4 here."""
    from understudy.animate.pace import Pace
    from understudy.cast import stage
    from understudy.clip import write

    path = out or Path(f"cast-{who}-{how}.mp4")
    count = round(seconds * fps)
    with say.progress() as show:
        pace = Pace(show)
        pace.begin("drawing", count)

        def frames() -> Iterator[Picture]:
            for number, frame in enumerate(stage.film(who, how, seconds, fps, style, size), 1):
                yield frame
                pace.at(number)

        words = _words(who, how, style)
        write(path, frames(), fps=fps, metadata=words, lossless=lossless, overwrite=force, warn=say.line)
    _told(path, count, size, json)


@app.command()
def speak(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="What is said. [happy], [sad], [angry], [surprised] change the mood.")
    ],
    who: Who = 7,
    how: Annotated[int, typer.Option("--how", min=0, help="Seed of what is chance in the acting.")] = 0,
    voice: Annotated[
        str,
        typer.Option(
            "--voice",
            help="Language and character of espeak-ng, such as en-us+f2, de, fr+m3; one that nobody has, en-us+made17; "
            "or of festival, fi+lj.",
        ),
    ] = "en-us",
    mood: Annotated[str, typer.Option("--mood", help="neutral, happy, sad, angry or surprised.")] = "neutral",
    rate: Annotated[int, typer.Option("--rate", min=80, max=400, help="Words a minute.")] = 165,
    fps: Annotated[float, typer.Option("--fps", min=1, max=120, help="Frames a second.")] = 25.0,
    style: Style = None,
    size: Size = 512,
    out: Out = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """A talking film of somebody who does not exist, cast-WHO-speaks.mp4; with -o VOICE.wav, the voice alone."""
    from understudy.animate.pace import Pace
    from understudy.cast import stage
    from understudy.cast.speak.acting import Temper
    from understudy.cast.speak.lines import phrases_of
    from understudy.cast.speak.take import Take
    from understudy.cast.speak.voice import Voice
    from understudy.cast.speak.voice import speak as said
    from understudy.clip import write, write_sound

    path = out or Path(f"cast-{who}-speaks.mp4")
    language, _, variant = voice.partition("+")
    phrases = phrases_of(text, mood)  # type: ignore[arg-type]
    take = Take(said(Voice(language, variant, rate), phrases), Temper.of(how), how)
    if path.suffix.lower() in (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus"):
        write_sound(path, take.sound, overwrite=force)
        say.line(f"{path}: {take.seconds:.1f} s")
        if json:
            say.object_last({"output": str(path), "seconds": take.seconds})
        return
    count = take.frames(fps)
    with say.progress() as show:
        pace = Pace(show)
        pace.begin("drawing", count)

        def frames() -> Iterator[Picture]:
            for number, frame in enumerate(stage.performed(who, take.how(0, count, fps), style, size), 1):
                yield frame
                pace.at(number)

        words = _words(who, how, style) | {"said": text, "voice": voice}
        write(path, frames(), fps=fps, sound=take.sound, metadata=words, overwrite=force, warn=say.line)
    _told(path, count, size, json)


def _words(who: int, how: int | None, style: str | None) -> dict[str, str]:
    """Metadata: that nobody is shown."""
    return {
        "synthetic": "AI-generated: a made-up person of Understudy's cast; nobody who exists is shown.",
        "software": f"Understudy {__version__}",
        "cast": f"who {who}, how {'at rest' if how is None else how}, style {style or 'own'}",
    }


def _told(path: Path, frames: int, size: int, json: bool) -> None:
    say.line(f"{path}: {frames} frame{'s' if frames != 1 else ''}, {size}x{size}")
    if json:
        say.object_last({"output": str(path), "frames": frames, "width": size, "height": size})
