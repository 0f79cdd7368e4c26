"""`understudy verify`: was this made by Understudy, how, from what?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from understudy.cli import say
from understudy.cli.options import Json


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A film or a picture.")],
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Was it made from this file? May be given twice.", show_default=False),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="The certificate.pem of another machine of yours.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Was FILE made by Understudy, how, from what? Exits with 1 unless a signature that is known here holds."""
    from understudy.provenance.verify import verify as judge

    found = judge(file, inputs=inputs or (), trust=trust)
    say.line(f"{file}: {found.summary}")
    for problem in found.problems:
        say.line(f"  problem:  {problem}")
    say.line(f"  worth:    {found.worth}")
    if found.signer:
        say.line(f"  signer:   {found.signer}")
    for name in ("software", "cast", "model", "licence", "seed", "portrait", "driving", "command"):
        if name in found.made:
            say.line(f"  {name + ':':<10}{found.made[name]}")
    for given in found.made.get("inputs", ()):
        say.line(f"  {given['role'] + ':':<10}{given['name']} sha256:{given['sha256']}")
    for name, role in found.inputs.items():
        say.line(f"  {name}: {'not made from it' if role == 'not an input' else f'its {role}'}")
    if json:
        say.object_last(found)
    if not found.vouched:
        raise typer.Exit(1)
