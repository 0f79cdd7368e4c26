"""What a speaking mouth does: every sound has targets, and pulls at them for a while before and after it is heard.

Co-articulation by dominance (Cohen and Massaro 1993): at any moment a mouth is the mean of the targets of all sounds
near it, weighted by how much each insists just now. Lips round early, jaws come late; what must touch (p b m, f v)
touches whatever its neighbours want.
"""

# ruff: noqa: RUF001, RUF002 - letters of the International Phonetic Alphabet

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.cast.how import INDEX
from understudy.cast.speak.voice import Phone

Floats = npt.NDArray[np.float64]

ARTICULATORS: Final = ("jaw", "round", "funnel", "spread", "upper", "lower", "roll", "tongue")
_BEFORE: Final = np.array([0.055, 0.10, 0.095, 0.075, 0.06, 0.06, 0.055, 0.05])
"""Seconds that each sets out before a sound; and after it, lets go."""
_AFTER: Final = np.array([0.065, 0.075, 0.075, 0.07, 0.06, 0.06, 0.045, 0.045])
_REST: Final = 0.055  # how much a mouth insists on being at rest
_LIPS: Final = frozenset("pbmɓʙ")
_TEETH: Final = frozenset("fvɱ")
_BITE: Final = 0.8  # how far lips go to the teeth for f and v, whatever their neighbours want
_SILENT_LIPS: Final = 0.09  # seconds in which lips that have to touch come together, and part
_HELD: Final = 0.045  # seconds that they touch, at least: more than a frame of 25 a second


@dataclass(frozen=True)
class Shape:
    """Where a sound wants each articulator, and how much it insists; in the order of `ARTICULATORS`."""

    targets: tuple[float, ...]
    insists: tuple[float, ...]


def _shape(weak: str = "", **targets: float) -> Shape:
    """Named articulators are insisted on, others a little; those in `weak` follow their neighbours."""
    wants = [targets.get(name, 0.0) for name in ARTICULATORS]
    firm = [0.25 if name in weak.split() else 1.0 if name in targets else 0.45 for name in ARTICULATORS]
    return Shape(tuple(wants), tuple(firm))


_VOWELS: Final = {
    "aɑæɶ": _shape(jaw=0.62, lower=0.35, spread=0.10),
    "ɐʌɒ": _shape(jaw=0.46, lower=0.25),
    "ɛeɘ": _shape(jaw=0.33, spread=0.32, lower=0.25, upper=0.12),
    "əɨɜɞɤɵ": _shape("round spread", jaw=0.22, lower=0.12),
    "iɪɯ": _shape(jaw=0.12, spread=0.5, upper=0.12, lower=0.2),
    "yʏ": _shape(jaw=0.12, round=0.85, funnel=0.15),
    "øœ": _shape(jaw=0.26, round=0.45, funnel=0.45),
    "ɔo": _shape(jaw=0.38, funnel=0.55, round=0.3),
    "uʊʉ": _shape(jaw=0.13, round=0.85, funnel=0.2),
    "ɚɝ": _shape(jaw=0.2, funnel=0.3),
}
_CONSONANTS: Final = {
    "pbmɓʙ": _shape("round spread funnel", jaw=0.06, roll=0.12, upper=0.0, lower=0.0),
    "fvɱ": _shape("round spread funnel", jaw=0.07, roll=0.75, upper=0.22, lower=0.0),
    "wʍɥ": _shape(jaw=0.12, round=0.9, funnel=0.15),
    "ʋβɸ": _shape("spread", jaw=0.10, roll=0.35, round=0.2),
    "szcʦʣ": _shape("round funnel", jaw=0.04, spread=0.25, lower=0.3, upper=0.1),
    "ʃʒɕʑʂʐʧʤ": _shape(jaw=0.07, funnel=0.65, lower=0.2, upper=0.15),
    "tdnɲʈɖɳɗʎ": _shape("round spread funnel", jaw=0.12, lower=0.15, tongue=0.0),
    "lɫɭɾrɽʀ": _shape("round spread funnel", jaw=0.2, lower=0.15, tongue=0.10),
    "ɹɻ": _shape("spread", jaw=0.13, funnel=0.42, round=0.15),
    "θð": _shape("round funnel", jaw=0.16, tongue=0.38, lower=0.15),
    "kɡgŋxɣqχʁɢ": _shape("round spread funnel lower upper", jaw=0.2),
    "jʝ": _shape(jaw=0.12, spread=0.4),
    "hɦʔħʕ": _shape("jaw round spread funnel upper lower roll", jaw=0.2),
}
SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {letter: shape for group in (_VOWELS, _CONSONANTS) for letters, shape in group.items() for letter in letters}
)
VOWELS: Final = frozenset("".join(_VOWELS))
_UNKNOWN: Final = SHAPES["ə"]


@dataclass(frozen=True)
class Sign:
    """A part of a sound that has one shape: a diphthong has two."""

    letter: str
    start: float
    end: float
    stress: int


def signs(phones: Sequence[Phone]) -> list[Sign]:
    """What a mouth passes through. "aɪ" is an a and then an ɪ, "tʃ" a t and a ʃ."""
    found = []
    for phone in phones:
        letters = [letter for letter in phone.symbol if letter in SHAPES] or ["ə"]
        edges = np.linspace(phone.start, phone.end, len(letters) + 1)
        places = zip(letters, edges[:-1], edges[1:], strict=True)
        found += [Sign(letter, float(a), float(b), phone.stress) for letter, a, b in places]
    return found


def articulated(phones: Sequence[Phone], seconds: Floats) -> tuple[Floats, Floats]:
    """Articulators (frames, 8) at some moments, and how shut the lips have to be (frames,), 0 to 1."""
    total = np.full((len(seconds), len(ARTICULATORS)), _REST)
    pulled = np.zeros_like(total)
    shut, bitten = np.zeros(len(seconds)), np.zeros(len(seconds))
    for sign in signs(phones):
        near = np.abs(seconds - (sign.start + sign.end) / 2) < (sign.end - sign.start) / 2 + 0.5
        if not near.any():
            continue
        shape = SHAPES.get(sign.letter, _UNKNOWN)
        weight = _dominance(sign, seconds[near]) * np.array(shape.insists)
        total[near] += weight
        pulled[near] += weight * np.array(shape.targets) * (1 + 0.12 * sign.stress * (sign.letter in VOWELS))
        if sign.letter in _LIPS:
            shut[near] = np.maximum(shut[near], touching(sign.start, sign.end, seconds[near]))
        if sign.letter in _TEETH:
            bitten[near] = np.maximum(bitten[near], touching(sign.start, sign.end, seconds[near]))
    mean = pulled / total
    return mean + _BITE * bitten[:, None] * (np.array(SHAPES["f"].targets) - mean), shut


def _dominance(sign: Sign, seconds: Floats) -> Floats:
    """(frames, 8): 1 while it sounds in its middle, falling to both sides."""
    middle, half = (sign.start + sign.end) / 2, (sign.end - sign.start) / 2
    off = (seconds - middle)[:, None]
    reach = np.where(off < 0, _BEFORE, _AFTER) + 0.55 * half
    return np.asarray(np.exp(-((np.abs(off) / reach) ** 1.7)) * (1 + 2 * min(half, 0.1)), np.float64)


def touching(start: float, end: float, seconds: Floats) -> Floats:
    """(frames,) how near to touching lips are that touch for a sound: 1 while it lasts, smoothly to and from it."""
    end = max(end - 0.012, start + _HELD)  # they part a little before the next sound
    before = smooth((seconds - (start - _SILENT_LIPS)) / _SILENT_LIPS)
    after = smooth(((end + _SILENT_LIPS) - seconds) / _SILENT_LIPS)
    return np.minimum(before, after)


def smooth(share: Floats) -> Floats:
    """0 to 1 with the least jerk."""
    s = np.clip(share, 0, 1)
    return np.asarray(s * s * s * (s * (6 * s - 15) + 10), np.float64)


def curves(phones: Sequence[Phone], seconds: Floats, open_by: Floats) -> Floats:
    """(frames, 52): what the mouth does, in ARKit's coefficients. `open_by` (frames,): how widely it speaks, 1 is
    usual."""
    parts, shut = articulated(phones, seconds)
    apart = 1 - shut
    value = dict(zip(ARTICULATORS, parts.T, strict=True))
    wide = np.clip(open_by, 0.3, 1.6)
    jaw = value["jaw"] * wide
    jaw = jaw * (1 - 0.8 * shut) + 0.05 * shut * np.minimum(jaw * 4, 1)
    found = np.zeros((len(seconds), len(INDEX)))

    def put(name: str, values: Floats) -> None:
        for whole in (name, f"{name}Left", f"{name}Right"):
            if whole in INDEX:
                found[:, INDEX[whole]] = values

    put("jawOpen", jaw)
    put("mouthClose", shut)
    put("mouthPucker", value["round"] * (1 - 0.5 * shut))
    put("mouthFunnel", value["funnel"] * apart)
    put("mouthStretch", value["spread"] * (1 - 0.6 * shut))
    put("mouthUpperUp", value["upper"] * apart * wide)
    put("mouthLowerDown", value["lower"] * apart * wide)
    put("mouthPress", 0.30 * shut)
    put("mouthRollLower", value["roll"] * (0.3 + 0.7 * apart) + 0.08 * shut)
    put("mouthRollUpper", 0.10 * shut)
    put("tongueOut", value["tongue"] * apart)
    return np.clip(found, 0, 1)
