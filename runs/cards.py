"""Write the cards of the shipped weights, `understudy/pretrained/NAME.md`, from their headers and the words below.

    python runs/cards.py

Numbers are never typed: steps, figures, commit and recipe are read from the file that they are about. A test says that
no card is older than its file.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SHIPPED: Final = Path(__file__).resolve().parent.parent / "understudy" / "pretrained"
MIB: Final = 2**20


@dataclass(frozen=True)
class Words:
    """What no header says."""

    purpose: str
    data: str
    time: str
    limits: str


CAST: Final = (
    "made-up people drawn by this project's own program (`understudy cast`), and nothing else; no person and no "
    "picture of one had a part in it, and of models only this project's own, which learnt from the same"
)
NOBODY: Final = "It knows the cast. On photos it is out of its world. It is not to be used to deceive (see the README)."
WORDS: Final[Mapping[str, Words]] = {
    "autoencoder-small": Words(
        "Pictures of 256x256 to 32 channels of 16x16 latents and back; shared by all small models.",
        "made-up people drawn by this project's own program (`understudy cast`), and what X-Portrait small and "
        "X-Portrait 2 small, which learnt from the same, answer about others of them; no person and no picture of one "
        "had a part in it",
        "44 minutes on one CPU core, and the decoder alone 52 more, three tenths of which are kept (docs/training.md)",
        NOBODY + " What generators are unsure of it draws sharper than they know it.",
    ),
    "x-portrait-small": Words(
        "A portrait of the cast performs what the pictures of a driver show, by diffusion: X-Portrait at a small size.",
        CAST,
        "3 h 25 min on two CPU cores, most of it shared with other programs (docs/training.md)",
        NOBODY + " Irises, teeth and glasses are soft; heads turned beyond 30 degrees are less certain.",
    ),
    "x-portrait-2-small": Words(
        "A portrait of the cast does what codes say, which an encoder reads off a driver's face: X-Portrait 2 at a "
        "small size.",
        CAST,
        "eleven and a half hours on two CPU cores, six of them shared with other programs, from the backbone and "
        "reference net of X-Portrait small",
        NOBODY + " Glasses and curls are painted over; what codes say of single curves is in docs/x-portrait-2.md.",
    ),
    "x-actor-small": Words(
        "A voice to a performance without end: 58 numbers a frame (ARKit's coefficients, turn and place).",
        "takes of 16 s acted by this project's own program: 1,600 spoken by espeak-ng, then 4,800 others, seven in ten "
        "with voices made by number; and lips from 1,200 spoken by seven of Festival's synthesisers, which are made "
        "from recordings of people (free packages of Debian's, docs/x-actor.md); nobody's face had a part in it",
        "four hours and 50 minutes on two CPU cores, in seven goes (docs/x-actor.md), the last 66 minutes from mouths "
        "that follow loudness; no second stage",
        "Its voices were synthesised: what it makes of people's moods is a guess. It is not to be used to put words "
        "into anybody's mouth (see the README).",
    ),
    "x-actor-small-regression": Words(
        "What X-Actor small has to be better than: the same net, which answers with the mean of all performances. It "
        "is here so that `understudy evaluate x-actor-small` can set the two side by side; it is no actor.",
        "the takes of x-actor-small, and nothing else",
        "8 minutes on one CPU core from the weights of x-actor-small (`runs/actor_ablations.sh regression`)",
        "It moves as little as a mean does.",
    ),
    "bridge": Words(
        "What the cast's coefficients do to 95 points of the mesh, by which `--driver bridge` reads a driver.",
        CAST,
        "minutes on one CPU core, by `runs/bridge.py`",
        "It is as modest about brows and glances as MediaPipe is.",
    ),
    "canonical_face": Words(
        "478 points of a face at rest, its triangles and its mirror pairs: what the rig is authored on.",
        "faces drawn by this project's own program, found by MediaPipe's face mesh, whose numbers and triangles "
        "it has; no person and no picture of one had a part in it",
        "minutes on one CPU core, by `runs/canonical_face.py`",
        "One face's proportions; the rig fits them to others.",
    ),
}


def main() -> None:
    for path in sorted(SHIPPED.glob("*.safetensors")):
        path.with_suffix(".md").write_text(card(path), encoding="utf-8")
        print(f"{path.stem}: {path.stat().st_size / MIB:.1f} MiB")


def header(path: Path) -> dict[str, Any]:
    """What a file of safetensors says before its numbers."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        found: dict[str, Any] = json.loads(file.read(length))
    return found


def card(path: Path) -> str:
    """The whole page."""
    said, words = header(path), WORDS[path.stem]
    told = said.pop("__metadata__", {})
    about = json.loads(told["understudy"]) if "understudy" in told else told
    count = sum(math.prod(entry["shape"]) for name, entry in said.items() if not name.endswith(".scale"))
    lines = [
        f"# {path.stem}",
        "",
        words.purpose,
        "",
        "| | |",
        "|---|---|",
        f"| file | `{path.name}`, {path.stat().st_size / MIB:.1f} MiB, {count:,} numbers |",
        "| licence | Apache-2.0 |",
        f"| learnt from | {words.data} |",
        f"| learnt in | {words.time} |",
    ]
    for name in ("storage", "version", "commit", "made_by", "people"):
        if about.get(name):
            lines.append(f"| {name.replace('_', ' ')} | {about[name]} |")
    figures = about.get("figures", {})
    lines += [f"| {name} | {value:.4g} |" for name, value in figures.items()]
    lines += ["", words.limits, ""]
    if {"psnr", "jaw_correlation"} & figures.keys():
        lines += [
            "Figures are those of the last exam while learning, on people, voices and doings never learnt from.",
            "",
        ]
    if about.get("recipe"):
        lines += ["## Recipe", "", "```", *flat(about["recipe"]), "```", ""]
    return "\n".join(lines)


def flat(value: Any, name: str = "") -> Iterator[str]:
    """`field.field=value`, as `understudy train` takes them."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "kind":
                yield from flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from flat(inner, f"{name}.{number}")
    else:
        told = ",".join(str(inner) for inner in value) if isinstance(value, list) else value
        yield f"{name}={told}"


if __name__ == "__main__":
    main()
