"""The options of a job, as they come in a form: those of `understudy animate` or, of a voice, `understudy act`, and no
others."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from understudy.animate.voice import MOST_GUIDANCE
from understudy.cast.speak.voice import MOODS
from understudy.errors import BadOption


@dataclass(frozen=True)
class Option:
    """One."""

    read: Callable[[str], Any]  # raises ValueError
    wanted: str  # for people
    help: str
    schema: dict[str, Any]  # JSON Schema, for OpenAPI


def _yes(word: str) -> bool:
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(word.lower())
    if found is None:
        raise ValueError(word)
    return found


def _whole(word: str) -> int:
    if not word.isascii() or not word.isdecimal() or len(word) > 12:
        raise ValueError(word)
    return int(word)


def _real(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(word)
    return value


def _up_to(most: float, help: str) -> Option:
    def read(word: str) -> float:
        value = _real(word)
        if not 0 <= value <= most:
            raise ValueError(word)
        return value

    return Option(read, f"a number from 0 to {most:g}", help, {"type": "number", "minimum": 0, "maximum": most})


def _one_of(*words: str) -> Option:
    def read(word: str) -> str:
        if word not in words:
            raise ValueError(word)
        return word

    return Option(read, " or ".join(words), "", {"type": "string", "enum": list(words)})


def _helped(option: Option, help: str) -> Option:
    return Option(option.read, option.wanted, help, option.schema)


_WHOLE: Final = {"type": "integer", "minimum": 0}
_YES: Final = {"type": "boolean"}
OPTIONS: Final[dict[str, Option]] = {
    "model": Option(str, "a name", "what draws: auto, warp, ...", {"type": "string", "default": "auto"}),
    "seed": Option(_whole, "a number from 0 on", "chance; warp uses none", {**_WHOLE, "default": 0}),
    "steps": Option(_whole, "a number from 1 on", "denoising steps, for diffusion models", _WHOLE),
    "strength": Option(
        _real, "a number", "how much; 1 is as the driver", {"type": "number", "minimum": 0, "maximum": 3, "default": 1}
    ),
    "only": Option(
        lambda word: [part.strip() for part in word.split(",")],
        "a list",
        "carry these parts only, of mouth,eyes,brows,pose",
        {"type": "string"},
    ),
    "relative": Option(_yes, "true or false", "move as the driver moves, or take its expression outright", _YES),
    "mouth": _helped(_one_of("own", "driver"), "inside of an opening mouth: painted, or borrowed"),
    "driver": _helped(_one_of("direct", "bridge"), "for X-Portrait: whose pictures it follows"),
    "reference_frame": Option(
        lambda word: word if word == "auto" else _whole(word),
        "auto, or a number from 0 on",
        "the driver's frame that counts as the portrait's own",
        {"type": "string", "default": "auto"},
    ),
    "face": Option(_whole, "a number from 0 on", "which face; 0 is the largest", _WHOLE),
    "max_size": Option(
        _whole, "a number from 64 on", "the result's longer side, at most, in pixels",
        {"type": "integer", "minimum": 64, "maximum": 4096, "default": 1920},
    ),
    "crop": Option(_yes, "true or false", "the face's square alone", {**_YES, "default": False}),
    "license": _helped(_one_of("any", "commercial"), "commercial refuses models whose licence forbids that"),
}  # fmt: skip
MOST_LIVELY, MOST_BLINKS, MOST_LOOKS = 4.0, 90.0, 120.0  # as `motion.perform.Wishes` has it, which needs torch
ACTING: Final[dict[str, Option]] = {
    "mood": _helped(_one_of(*MOODS), "how the voice feels; without it, as it sounds"),
    "lively": _up_to(MOST_LIVELY, "times the usual movement"),
    "blinks": _up_to(MOST_BLINKS, "a minute"),
    "looks": _up_to(MOST_LOOKS, "away, a minute"),
    "guidance": _up_to(MOST_GUIDANCE, "how much more the voice counts"),
}
"""What only a voice has."""
WATCHED: Final = ("mouth", "driver", "reference_frame")  # what it has not, because nobody is seen
HEARD: Final = {name: option for name, option in OPTIONS.items() if name not in WATCHED} | ACTING
LARGEST: Final = 4096  # of max_size


def read_options(words: Mapping[str, str], known: Mapping[str, Option] = OPTIONS) -> dict[str, Any]:
    """Options as `animate` takes them or, of those that are `HEARD`, `act`. Errors: `BadOption`, for what is none and
    for what cannot be read."""
    found: dict[str, Any] = {}
    for name, word in words.items():
        option = known.get(name)
        if option is None:
            raise _strange(name, known)
        try:
            found[name] = option.read(word)
        except ValueError:
            raise BadOption(f"{name} has a value that it cannot have", repr(word[:80]), option.wanted) from None
    if found.get("max_size", 0) > LARGEST:
        raise BadOption(f"max_size is at most {LARGEST}", str(found["max_size"]), "a smaller one")
    return found


def _strange(name: str, known: Mapping[str, Option]) -> BadOption:
    """What to say of an option that this job does not have."""
    if name in OPTIONS or name in ACTING:
        of = "voices" if name in ACTING else "drivers that are seen"
        return BadOption(f"{name} is an option of {of} alone", remedy="leave it out")
    near = get_close_matches(name, known, n=1)
    return BadOption(f"{name[:40]!r} is no option", remedy=near[0] if near else f"one of {', '.join(sorted(known))}")
