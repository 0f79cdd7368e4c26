"""Voices that nobody has: characters for espeak-ng by number, each of its own throat, pitch and way of speaking.

What espeak-ng brings are about a hundred characters, and who learns from some of them knows each by heart: it hears a
mood by how *that* voice sounds in it. Of voices that are never heard again, only what moods do to all of them can be
learnt. Formants go with pitch as they do from men to children, whose formants are a third higher at twice the pitch
(Peterson and Barney 1952), each voice and each formant off by something of its own; what the lines mean is in
espeak-ng's docs/voices.md, and their values are within what its own characters have.
"""

from __future__ import annotations

from typing import Final

import numpy as np

NAME: Final = "made"
"""A variant called so, with a number, is one of these: "en-us+made17"."""
_PURPOSE: Final = 0x6D616465
_FORMANTS: Final = 9
_LOWEST, _HIGHEST = 62.0, 230.0  # hertz, where a melody is lowest: moods and `Voice.pitch` may double them


def name(number: int) -> str:
    """Its variant."""
    return f"{NAME}{number}"


def number_of(variant: str) -> int | None:
    """Which of them a variant is; None: it is none of them."""
    number = variant.removeprefix(NAME)
    return int(number) if variant.startswith(NAME) and number.isascii() and number.isdigit() else None


def character(number: int) -> str:
    """The file of a variant, as espeak-ng reads it."""
    chance = np.random.default_rng([_PURPOSE, number])
    pitch = float(np.exp(chance.uniform(np.log(_LOWEST), np.log(_HIGHEST))))
    throat = float(np.clip((pitch / 110) ** 0.4 * np.exp(chance.normal(0, 0.06)), 0.8, 1.4))
    slope, width = chance.normal(0, 0.06), float(np.exp(chance.normal(0, 0.2)))
    lines = [f"pitch {pitch:.0f} {pitch * chance.uniform(1.2, 1.8):.0f}"]
    for formant in range(_FORMANTS):
        higher = 100 * throat * np.exp(chance.normal(0, 0.04))
        louder = 80 * np.exp(slope * (formant - 2) + chance.normal(0, 0.15))
        wider = 105 * width * np.exp(chance.normal(0, 0.2))
        lines.append(f"formant {formant} {higher:.0f} {np.clip(louder, 20, 160):.0f} {np.clip(wider, 50, 220):.0f}")
    for share, line, value in (
        (0.5, "flutter", f"{chance.integers(1, 12)}"),
        (0.5, "roughness", f"{chance.integers(1, 6)}"),
        (0.7, "voicing", f"{chance.integers(60, 150)}"),
        (0.7, "consonants", f"{chance.integers(60, 140)} {chance.integers(60, 140)}"),
        (0.5, "intonation", f"{chance.integers(1, 3)}"),  # 3 and 4 are tunes in which no question is heard
        (0.25, "breath", " ".join(str(chance.integers(0, 6)) for _ in range(8))),
        (0.15, "echo", f"{chance.integers(80, 150)} {chance.integers(5, 16)}"),
        (0.3, "stressAdd", " ".join(str(place) for place in _stresses(chance))),
        (0.3, "tone", f"100 255 600 {chance.integers(60, 255)} 2000 {chance.integers(20, 200)} 4000 20"),
    ):
        if chance.random() < share:
            lines.append(f"{line} {value}")
    return "\n".join(["language variant", f"name {name(number)}", *lines, ""])


def _stresses(chance: np.random.Generator) -> list[int]:
    """How much longer syllables are by their stress, eight of which the fifth and the sixth are none."""
    longer = [int(value) for value in chance.integers(-25, 50, 8)]
    return [*longer[:4], 0, 0, *longer[6:]]
