"""`understudy fetch`, `weights`, `plan`: models, from their files to what fits here."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Device, Force, Json

weights = typer.Typer(name="weights", help="Files of weights: published ones, and our own.", no_args_is_help=True)
NAME = "What was published: x-portrait, x-portrait-2, clip-pictures, tiny-autoencoder, lcm-lora, ..."


class Stored(str, Enum):
    """How numbers are stored."""

    fp32, bf16 = "fp32", "bf16"


@weights.callback()
def _weights() -> None:
    pass


@weights.command()
def convert(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="All files of it.", show_default=False)],
    name: Annotated[str, typer.Option("-o", "--name", help=NAME, show_default=False)],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where it goes. [$UNDERSTUDY_WEIGHTS]", show_default=False)
    ] = None,
    storage: Annotated[
        Stored, typer.Option("--storage", help="fp32 loses nothing, bf16 is half as large.")
    ] = Stored.fp32,
    strict: Annotated[bool, typer.Option("--strict", help="Names that nobody knows are an error.")] = False,
    force: Force = False,
    json: Json = False,
) -> None:
    """Turn published FILEs into NAME.safetensors. Pickles are opened in a process of their own, which runs nothing."""
    from understudy.animate.pace import Pace
    from understudy.published import convert as converting
    from understudy.published import fetch as fetching
    from understudy.published.sources import named

    published = named(name)
    out = (folder or fetching.folder()) / f"{published.name}.safetensors"
    with say.progress() as show:
        pace = Pace(show)
        pace.begin("converting", None)
        done = converting.convert(
            files,
            published,
            out,
            storage=storage.value,
            strict=strict,
            force=force,
            step=lambda done, total: pace.at(done),
        )
    say.warnings(done.warnings)
    say.line(f"{done.output}: {done.tensors} tensors; {done.dropped} known ones dropped. Licence: {published.licence}")
    if json:
        say.object_last({"output": str(done.output), "tensors": done.tensors, "warnings": done.warnings})


@weights.command()
def between(
    one: Annotated[Path, typer.Argument(metavar="ONE", help="Weights of ours.", show_default=False)],
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="What it has become.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", help="Where it goes.", show_default=False)],
    share: Annotated[float, typer.Option("--share", help="0 is ONE, 1 is OTHER.")] = 0.5,
    force: Force = False,
) -> None:
    """Weights that lie between ONE and OTHER: much of what was learnt last, and little of what it cost."""
    from understudy import weights as files
    from understudy.clip.landing import refuse_existing

    refuse_existing(out, force)
    found = files.between(files.load(one), files.load(other), share)
    files.save(out, found.tensors, found.about)
    say.line(f"{out}: {len(found.tensors)} tensors, {share:g} of the way")


def fetch(
    name: Annotated[str, typer.Argument(help=NAME)],
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where it goes. [$UNDERSTUDY_WEIGHTS]", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Download what NAME has public addresses for; say how a person gets the rest, and under which licence."""
    from understudy.animate.pace import Pace
    from understudy.published import fetch as fetching
    from understudy.published.sources import named

    published, into = named(name), folder or fetching.folder()
    say.line(f"{published.what}. Licence: {published.licence}")
    with say.progress() as show:
        pace, begun = Pace(show), set[str]()

        def told(file: str, done: int, total: int | None) -> None:
            if file not in begun:
                pace.begin(file, None if total is None else total >> 20)
                begun.add(file)
            pace.at(done >> 20)

        found = fetching.fetch(published, into, told)
    for path in found.here:
        say.line(f"here: {path}")
    for words in found.by_hand:
        say.line(f"by hand: {words}")
    if not found.by_hand and published.converted:
        say.line(f"then: understudy weights convert {' '.join(map(str, found.here))} -o {published.name}")
    if json:
        here = [str(path) for path in found.here]
        say.object_last({"name": published.name, "here": here, "by_hand": found.by_hand, "licence": published.licence})
    if found.by_hand:
        raise typer.Exit(1)


def plan(
    model: Annotated[str, typer.Argument(help="The model that shall draw.")] = "x-portrait",
    memory: Annotated[
        str | None, typer.Option("--memory", help="What it may use, such as 12GB.", show_default="all there is")
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where it is computed.")] = Device.auto,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Denoising steps, if not the model's own.", show_default=False)
    ] = None,
    teraflops: Annotated[
        float | None,
        typer.Option("--teraflops", help="What the device computes in a second, if not measured.", show_default=False),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="With the tiny decoder.")] = False,
    json: Json = False,
) -> None:
    """What fits into so much memory, and how fast it would draw."""
    from understudy.models import named
    from understudy.published import plan as planning

    found = planning.plan(
        named(model),
        memory=None if memory is None else planning.in_bytes(memory),
        device=device.value,
        steps=steps,
        teraflops=teraflops,
        preview=preview,
    )
    for sentence in planning.sentences(found):
        say.line(sentence)
    if json:
        say.object_last(planning.as_object(found))
