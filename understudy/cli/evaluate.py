"""`understudy evaluate`: how good a model is, against the exact truth of people and motions it has never seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Device, Json
from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.evaluate.actors import Audition
    from understudy.evaluate.scenes import Programme


def evaluate(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="What is measured: a model, or still, paste, warp, autoencoder-small by themselves."
        ),
    ],
    people: Annotated[
        int | None, typer.Option("--people", min=1, help="Held-out people. [12; 1 for --films]", show_default=False)
    ] = None,
    motions: Annotated[int, typer.Option("--motions", min=1, help="Held-out motions of each.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Any other seed draws other people and motions.")] = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Denoising steps, if not the model's own.", show_default=False)
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where it is computed.")] = Device.auto,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder of sheet and figures, by default evaluated.", show_default=False),
    ] = None,
    films: Annotated[
        bool, typer.Option("--films", help="Instead, films of 10 s: does it keep still, do windows join?")
    ] = False,
    speech: Annotated[
        Path | None,
        typer.Option("--speech", help="Of an actor: a folder of recordings to act.", show_default=False),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Of an actor: another file of weights.", show_default=False)
    ] = None,
    rival: Annotated[
        Path | None,
        typer.Option("--rival", help="Of an actor: weights of a plain regression, beside it.", show_default=False),
    ] = None,
    draws: Annotated[str, typer.Option("--draws", help="Of an actor: who draws what is acted without end.")] = "warp",
    minutes: Annotated[int, typer.Option("--minutes", min=2, help="Of an actor: how long that is.")] = 30,
    json: Json = False,
) -> None:
    """Draw MODEL's answer to motions of made-up people, and measure it against the truth, which is known exactly."""
    from understudy.evaluate.scenes import Programme

    if is_actor(model):
        from understudy.evaluate.actors import Audition

        _refuse(context, model, "people", "motions", "steps", "films")
        asked = Audition(minutes=minutes, draws=draws, seed=seed)
        _audition(model, asked, {"file": weights, "rival": rival, "speech": speech}, device, out, json)
        return
    _refuse(context, model, "weights", "rival", "speech", "draws", "minutes")
    if films:
        _refuse(context, model, "motions", "out")
        _films(model, Programme(people=people or 1, seed=seed), steps, device, json)
        return
    from rich.console import Console

    from understudy.evaluate import evaluation as evaluating
    from understudy.evaluate import show

    programme = Programme(people=people or Programme.people, motions=motions, seed=seed)
    folder = show.place(out or Path("evaluated"))
    with say.progress() as told:
        found = evaluating.evaluate(model, programme, steps=steps, device=device.value, progress=told)
    say.warnings(found.warnings)
    Console(width=max(Console().width, show.WIDTH)).print(show.table(found))
    for sentence in show.sentences(found):
        say.line(sentence)
    sheet, kept = show.keep(found, folder)
    say.line(f"sheet: {sheet}")
    if json:
        say.object_last({**show.as_object(found), "sheet": str(sheet), "kept": str(kept)})


def _refuse(context: typer.Context, model: str, *options: str) -> None:
    """Errors: `BadOption` for what was asked for and would be ignored."""
    for name in options:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "-o" if name == "out" else f"--{name}"
            raise BadOption(f"{option} says nothing about {model}", remedy="understudy evaluate --help")


def is_actor(model: str) -> bool:
    """Whether a model acts, and draws nothing."""
    from understudy import models

    return any(known.name == model and known.follows == "voice" for known in models.ALL)


def _audition(
    model: str, asked: Audition, files: dict[str, Path | None], device: Device, out: Path | None, json: bool
) -> None:
    from understudy.evaluate import actors, show

    folder = show.place(out or Path("evaluated"))
    with say.progress() as told:
        found = actors.audition(model, asked, device=device.value, progress=told, **files)
    say.warnings(found.warnings)
    for line in actors.table(found):
        say.line(line)
    sheet, kept = actors.keep(found, folder)
    say.line(f"curves: {sheet}")
    if json:
        say.object_last({**actors.as_object(found), "sheet": str(sheet), "kept": str(kept)})


def _films(model: str, programme: Programme, steps: int | None, device: Device, json: bool) -> None:
    from understudy.evaluate.films import films as measure

    with say.progress() as told:
        found = measure(model, programme, steps=steps, device=device.value, progress=told)
    say.line(f"{model}, commit {found.commit}: {found.people} x 2 films of {found.frames} frames; change in 255ths")
    for name, seen in (("still driver", found.still), ("moving driver, against the truth", found.moving)):
        joins = "-" if seen.joins is None else f"{seen.joins:.3f}"
        say.line(f"{name}: {seen.mean:.3f} a frame; where windows join {joins}, elsewhere {seen.elsewhere:.3f}")
    if json:
        say.object_last(found)
