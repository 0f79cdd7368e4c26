"""The arithmetic from one laptop to a thousand GPUs, from a few named numbers: the tables of docs/scale.md.

    python bench/scale.py                             with the numbers below
    python bench/scale.py mill_cpu=0.03 gpu_hour=4    with others

A number is measured, by the command that is named; counted, from the published networks; or assumed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A number that everything else follows from."""

    name: str
    value: float
    unit: str
    origin: str


NUMBERS = (
    Number("film", 10, "s", "assumed: the length of a film"),
    Number("rate", 25, "frames/s", "assumed: of films and of footage"),
    Number("warp_cpu", 0.04, "CPU s/frame", "assumed until measured: `understudy bench`, all stages of a 512 px film"),
    Number("mill_cpu", 0.028, "CPU s/frame", "measured, 3,597 frames of eleven clips: `python bench/mill.py CLIPS`"),
    Number("published", 164, "TFLOP/frame", "counted: X-Portrait as its script runs it, 30 steps, guidance"),
    Number("few_steps", 6.7, "TFLOP/frame", "counted: 4 steps, no guidance, notes kept; needs distilled weights"),
    Number("gpu", 790, "TFLOP/s", "published: an H200 in bf16, without sparsity"),
    Number("used", 0.35, "of it", "assumed: what compiled networks of this kind reach"),
    Number("core_hour", 0.04, "$", "assumed: a rented core"),
    Number("gpu_hour", 3.0, "$", "assumed: a rented H200"),
    Number("load", 0.7, "of the time", "assumed: how busy machines are kept"),
    Number("shard_frame", 50_000, "bytes", "measured, 184 MB of 3,597 frames: the same"),
    Number("kept", 0.3, "of footage", "assumed: what the mill keeps; its manifest says it of yours"),
    Number("film_bits", 3e6, "bit/s", "assumed: of films that come and go"),
    Number("training", 30, "samples/s", "assumed: a GPU, full X-Portrait 2, 512x512, bf16"),
)


@dataclass(frozen=True)
class Place:
    """Machines."""

    name: str
    cores: int
    gpus: int


PLACES = (
    Place("a laptop", 8, 0),
    Place("a workstation, one GPU", 16, 1),
    Place("a machine of 8 GPUs", 128, 8),
    Place("16 of them", 2048, 128),
    Place("125 of them", 16_000, 1000),
)
DAY = 86_400


def capacity(place: Place, n: dict[str, float]) -> dict[str, float]:
    """What a place does in a day: films by each means, hours of footage milled, and what goes through its network."""
    frames = n["film"] * n["rate"]
    cores, gpus = place.cores * n["load"] * DAY, place.gpus * n["load"] * DAY * n["gpu"] * n["used"]
    warp = cores / (n["warp_cpu"] * frames)
    milled = cores / n["mill_cpu"] / n["rate"] / 3600
    return {
        "warp": warp,
        "published": gpus / (n["published"] * frames),
        "few": gpus / (n["few_steps"] * frames),
        "milled": milled,
        "footage_mb": milled * 3600 * n["film_bits"] / 8 / DAY / 1e6,
        "shards_mb": milled * 3600 * n["rate"] * n["kept"] * n["shard_frame"] / DAY / 1e6,
        "films_mb": warp * n["film"] * n["film_bits"] / 8 / DAY / 1e6,
        "reading_mb": place.gpus * n["training"] * n["shard_frame"] * 2 / 1e6,
    }


def costs(n: dict[str, float]) -> dict[str, float]:
    """Dollars for a minute of film by each means, and for an hour of footage."""
    frames = 60 * n["rate"]
    core, gpu = n["core_hour"] / 3600 / n["load"], n["gpu_hour"] / 3600 / n["load"]
    flops = n["gpu"] * n["used"]
    return {
        "warp": frames * n["warp_cpu"] * core,
        "published": frames * n["published"] / flops * gpu,
        "few": frames * n["few_steps"] / flops * gpu,
        "footage": 60 * frames * n["mill_cpu"] * core,
    }


def million(n: dict[str, float]) -> dict[str, float]:
    """What a million films a day need: cores for warp, or GPUs; and films a second."""
    frames = 1e6 * n["film"] * n["rate"] / DAY / n["load"]
    flops = n["gpu"] * n["used"]
    return {
        "cores": frames * n["warp_cpu"], "published": frames * n["published"] / flops,
        "few": frames * n["few_steps"] / flops, "films": 1e6 / DAY,
    }  # fmt: skip


def tables(n: dict[str, float]) -> str:
    """The tables, in Markdown."""
    lines = ["| number | value | where it is from |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {n[each.name]:,g} {each.unit} | {each.origin} |" for each in NUMBERS]
    lines += ["", "| in a day | films, warp | films, as published | films, 4 steps | hours of footage |",
              "|---|---|---|---|---|"]  # fmt: skip
    through = ["", "| through the network, MB/s | footage in | shards out | films out, warp | training reads |",
               "|---|---|---|---|---|"]  # fmt: skip
    for place in PLACES:
        found = capacity(place, n)
        named = f"| {place.name}: {place.cores} cores, {place.gpus} GPUs | "
        lines.append(named + " | ".join(said(found[k]) for k in ("warp", "published", "few", "milled")) + " |")
        names = ("footage_mb", "shards_mb", "films_mb", "reading_mb")
        through.append(named + " | ".join(said(found[k]) for k in names) + " |")
    cost, day = costs(n), million(n)
    lines += through
    lines += [
        "", "| cost | $ |", "|---|---|",
        f"| a minute of film, warp | {cost['warp']:.4f} |",
        f"| a minute of film, X-Portrait as published | {cost['published']:.2f} |",
        f"| a minute of film, 4 steps | {cost['few']:.3f} |",
        f"| an hour of footage, milled | {cost['footage']:.2f} |",
        "", f"A million films a day are {day['films']:.1f} a second: {said(day['cores'])} cores by warp, "
        f"{said(day['published'])} GPUs as published, {said(day['few'])} GPUs in 4 steps.",
    ]  # fmt: skip
    return "\n".join(lines)


def said(value: float) -> str:
    """Two digits that count."""
    if value == 0:
        return "0"
    if value < 10:
        return f"{value:.2g}"
    digits = max(len(str(int(value))) - 2, 0)
    return f"{round(value / 10**digits) * 10**digits:,.0f}"


def main() -> None:
    n = {each.name: each.value for each in NUMBERS}
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name not in n:
            sys.exit(f"no number is called {name}; there are {', '.join(n)}")
        n[name] = float(value)
    print(tables(n))


if __name__ == "__main__":
    main()
