"""`understudy check`, `models`, `bench`, `demo`: what is here, how good it is, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Face, Json


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A portrait, a driving film, or a voice.")],
    sheet: Annotated[
        Path | None, typer.Option("-o", "--sheet", help="Where the contact sheet goes.", show_default=False)
    ] = None,
    face: Face = None,
    json: Json = False,
) -> None:
    """Is FILE good for the job? What to change, and a contact sheet. Exits with 1 when it cannot be used."""
    from understudy.data.check import check as examine

    with say.progress() as show:
        report = examine(file, sheet=sheet, face=face, progress=show)
    for finding in report.findings:
        say.line(
            f"{finding.severity:<8} {finding.about}: {finding.seen}" + f"; {finding.advice}" * bool(finding.advice)
        )
    say.line(f"{report.verdict}: {report.summary}")
    say.line(f"contact sheet: {report.sheet}")
    if json:
        say.object_last(report)
    if report.verdict == "unusable":
        raise typer.Exit(1)


def models(
    name: Annotated[
        str | None, typer.Argument(help="One model, counted part by part on no memory at all.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """What can draw here, what can be had, and under which licence."""
    from understudy.models import listing
    from understudy.provenance.licences import in_use

    if name is not None:
        _parts(name, json)
        return
    found, beneath = listing(), in_use()
    if json:
        say.object_last({"models": found, "in_use": beneath})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "here", "draws", "needs", "licence", box=None, pad_edge=False)
    for model in found:
        here = "yes" if model["here"] else "no"
        table.add_row(str(model["name"]), here, *(str(model[column]) for column in ("draws", "needs", "licence")))
    Console().print(table)
    parts = Table("in use beneath them", "version", "does what", "licence", box=None, pad_edge=False)
    for part in beneath:
        parts.add_row(*part.values())
    Console().print("", parts)


def _parts(name: str, json: bool) -> None:
    """A model's parameters and tensors."""
    from understudy.models import named
    from understudy.published.counts import counted

    found = counted(named(name))
    if json:
        say.object_last(found)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("part", box=None, pad_edge=False)
    for column in ("parameters", "tensors"):
        table.add_column(column, justify="right")
    for part in found.parts:
        table.add_row(part.name, f"{part.parameters:,}", f"{part.entries:,}")
    table.add_row(found.model, f"{found.parameters:,}", f"{found.entries:,}", style="bold")
    for part in found.published:
        table.add_row(f"as published: {part.name}", f"{part.parameters:,}", f"{part.entries:,}")
    Console().print(table)


def bench(
    lengths: Annotated[str, typer.Option("--seconds", help="Lengths of driving, to compare memory.")] = "10,60",
    json: Json = False,
) -> None:
    """Frames a second end to end, milliseconds a stage, peak memory, and memory against length; on made material."""
    from understudy.evaluate.speed import measure, table

    with say.progress() as show:
        speed = measure(lengths=say.numbers(lengths, "--seconds"), progress=show)
    print(table(speed))
    if json:
        say.object_last(speed)


def demo(
    folder: Annotated[Path, typer.Option("-o", "--out", help="Where the films and the sheet go.")] = Path(
        "understudy-demo"
    ),
    json: Json = False,
) -> None:
    """The first minute: made-up portraits perform a made-up driver, two by warp and, where torch is, one by diffusion.
    Nothing is downloaded."""
    from understudy.demo import demo as show_off

    with say.progress() as show:
        shown = show_off(folder, progress=show)
    say.warnings(shown.warnings)
    for film in shown.films:
        say.line(f"film:  {film}")
    say.line(f"sheet: {shown.sheet}")
    say.line(f"{say.duration(shown.seconds)}. Now yours: understudy animate photo.jpg {shown.driving}")
    if json:
        say.object_last(shown)
