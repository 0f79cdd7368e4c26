"""Options that several commands share, described once."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path | None, typer.Option("-o", "--out", help="Where the result goes.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object last, on standard output.")]
Face = Annotated[
    int | None, typer.Option("--face", min=0, help="Which face, counted from 0 = the largest.", show_default=False)
]
Seed = Annotated[int, typer.Option("--seed", help="Chance; warp uses none.")]
Model = Annotated[str, typer.Option("--model", help="What draws: `understudy models` lists them.")]
Host = Annotated[str, typer.Option("--host", help="The address of this machine that is listened at.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="The port.")]
Browser = Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")]
RayAddress = Annotated[
    str | None,
    typer.Option("--address", help="Of a Ray cluster, or auto; without, one on this machine.", show_default=False),
]
MaxSize = Annotated[int, typer.Option("--max-size", help="The result's longer side, at most, in pixels.")]


class Device(str, Enum):
    """Where it is computed."""

    auto, cpu, cuda, mps = "auto", "cpu", "cuda", "mps"


class Inside(str, Enum):
    """Whose the inside of an opening mouth is."""

    own, driver = "own", "driver"


class Driver(str, Enum):
    """Whose pictures X-Portrait follows: the driver's own, or those of one of the cast who plays the driver."""

    direct, bridge = "direct", "bridge"


class Sampler(str, Enum):
    """What leads from noise to a picture."""

    ddim, euler, heun, dpm_solver, unipc, lcm = "ddim", "euler", "heun", "dpm_solver", "unipc", "lcm"


class License(str, Enum):
    """What the film shall be free for."""

    any, commercial = "any", "commercial"


Licensed = Annotated[License, typer.Option("--license", help="commercial refuses models whose licence forbids that.")]
Sign = Annotated[
    bool, typer.Option("--sign/--no-sign", help="Sign the result, where the extra provenance is installed.")
]
