"""What a face does besides shaping sounds: moods that come and go, brows and nods on stress, blinks, gaze, sway.

All of it is a function of time: any frame can be computed alone, at any rate. Some of it follows what is said and how;
some is chance, keyed by a seed, as people are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.cast.film import BROW, DRIFT, NOD, TURNED, Channel, follow
from understudy.cast.how import INDEX
from understudy.cast.speak.mouth import VOWELS, smooth
from understudy.cast.speak.voice import HOP, MOODS, Mood, Span, Speech

Floats = npt.NDArray[np.float64]

FACES: Final[Mapping[Mood, Mapping[str, float]]] = MappingProxyType({
    "neutral": {},
    "happy": {"mouthSmile": 0.62, "cheekSquint": 0.45, "browOuterUp": 0.18, "browInnerUp": 0.10, "eyeSquint": 0.12,
              "mouthUpperUp": 0.06},
    "sad": {"mouthFrown": 0.60, "browInnerUp": 0.70, "browDown": 0.08, "eyeBlink": 0.16, "mouthShrugLower": 0.25,
            "eyeLookDown": 0.15},
    "angry": {"browDown": 0.80, "eyeSquint": 0.38, "noseSneer": 0.34, "mouthFrown": 0.16, "mouthPress": 0.18,
              "jawForward": 0.15, "mouthUpperUp": 0.10},
    "surprised": {"browInnerUp": 0.75, "browOuterUp": 0.80, "eyeWide": 0.65, "mouthShrugUpper": 0.06},
})  # fmt: skip
"""Coefficients of a face that is in a mood altogether."""
HEADS: Final[Mapping[Mood, tuple[float, float, float]]] = MappingProxyType({
    "neutral": (0, 0, 0), "happy": (0, 1.5, 1.5), "sad": (-2, -6.5, -2.5), "angry": (0, -3.0, 0.5),
    "surprised": (0, 3.5, 0),
})  # fmt: skip
"""Degrees of yaw, pitch and roll that a mood adds."""
LIVELY: Final[Mapping[Mood, float]] = MappingProxyType(
    {"neutral": 1.0, "happy": 1.25, "sad": 0.55, "angry": 1.35, "surprised": 1.15}
)
"""How much more a mood moves."""
_EARLY: Final = 0.25  # seconds by which a face shows a mood before the voice does
_GAZE: Final = 30


@dataclass(frozen=True)
class Temper:
    """How somebody acts: `lively` times the usual movement, `blinks` a minute, `looks` away a minute."""

    lively: float = 1.0
    blinks: float = 18.0
    looks: float = 22.0

    @staticmethod
    def of(seed: int) -> Temper:
        """Somebody's own."""
        chance = np.random.default_rng([0x74656D70, seed])
        return Temper(
            lively=float(np.exp(chance.normal(0, 0.3)).clip(0.45, 1.8)),
            blinks=float(np.exp(chance.normal(np.log(17), 0.4)).clip(6, 40)),
            looks=float(np.exp(chance.normal(np.log(20), 0.4)).clip(7, 45)),
        )


def chance_of(seed: int, purpose: int, number: int) -> np.random.Generator:
    """Chance of one event of one purpose."""
    return np.random.default_rng([0x61637473, seed, purpose, number + 1000])


# --- moods ---------------------------------------------------------------------------------------------------------


def moods(phrases: Sequence[Span], seconds: Floats, seed: int) -> Floats:
    """(frames, 5) how much of each mood there is, in the order of `MOODS`: it comes with its phrase and stays until
    another does; neutral is what the others leave."""
    found = np.zeros((len(seconds), len(MOODS)))
    found[:, 0] = 1
    for number, phrase in enumerate(phrases):
        takes = 0.5 + 0.7 * float(chance_of(seed, 1, number).random())
        share = smooth((seconds - (phrase.start - _EARLY)) / takes)[:, None]
        target = np.zeros(len(MOODS))
        target[MOODS.index(phrase.mood)] = phrase.strength
        target[0] += 1 - target.sum()
        found = found + share * (target - found)
    return found


def expression(mood: Floats) -> tuple[Floats, Floats]:
    """Coefficients (frames, 52) and degrees of the head (frames, 3) of moods (frames, 5)."""
    faces, heads = np.zeros((len(MOODS), len(INDEX))), np.array([HEADS[name] for name in MOODS], np.float64)
    for row, name in zip(faces, MOODS, strict=True):
        for curve, value in FACES[name].items():
            for whole in _sides(curve):
                row[INDEX[whole]] = value
    return mood @ faces, mood @ heads


def moods_of(curves: Floats) -> Floats:
    """(frames, 5) how much of each mood there is in faces (frames, 52): `expression` the other way, by least squares
    over shares that add up to 1. What speech moves too counts little."""
    names = sorted({whole for face in FACES.values() for curve in face for whole in _sides(curve)})
    columns = [INDEX[name] for name in names]
    weight = np.array([0.3 if name.startswith(("mouthUpper", "mouthShrug", "mouthPress", "jaw")) else 1.0
                       for name in names])  # fmt: skip
    faces = expression(np.eye(len(MOODS)))[0][:, columns] * weight
    aim, form = curves[:, columns] * weight @ faces.T, faces @ faces.T
    step, shares = 1 / float(np.linalg.eigvalsh(form)[-1]), np.full((len(curves), len(MOODS)), 1 / len(MOODS))
    for _ in range(300):
        shares = _to_shares(shares - step * (shares @ form - aim))
    return shares


def _to_shares(values: Floats) -> Floats:
    """The nearest values that are not negative and add up to 1, row by row (Duchi et al. 2008)."""
    falling = -np.sort(-values, 1)
    excess = (np.cumsum(falling, 1) - 1) / np.arange(1, values.shape[1] + 1)
    count = (falling > excess).sum(1)
    return np.asarray(np.clip(values - excess[np.arange(len(values)), count - 1][:, None], 0, None), np.float64)


def _sides(curve: str) -> list[str]:
    return [whole for whole in (curve, f"{curve}Left", f"{curve}Right") if whole in INDEX]


def swell(strongly: Floats, seed: int, seconds: Floats) -> Floats:
    """(frames,) how strongly a mood shows just now: it swells with the voice (`strongly` as `Take` has it), and never
    stands quite still."""
    drift = follow(seed, replace(DRIFT, number=32, every=1.7), seconds)[:, 0]
    return np.asarray(np.clip(0.70 + 0.30 * (strongly - 0.4) + 0.09 * drift, 0.45, 1.25), np.float64)


# --- what follows the speech ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beat:
    """A stressed syllable that the head or the brows go with."""

    at: float
    nod: float
    """Degrees down."""
    brows: float


def beats(speech: Speech, temper: Temper, seed: int) -> list[Beat]:
    """Some of the stressed syllables, the louder the rather."""
    loud = speech.loudness()
    found = []
    for number, phone in enumerate(speech.phones):
        if phone.stress < 2 or not set(phone.symbol) & VOWELS:
            continue
        chance = chance_of(seed, 2, number)
        here = float(loud[int(phone.start / HOP) : int(phone.end / HOP) + 1].max(initial=0))
        mood = speech.phrases[phone.phrase].mood
        likely = temper.lively * LIVELY[mood] * (0.25 + 0.6 * here)
        nods, lifts = chance.random() < min(0.75 * likely, 0.95), chance.random() < min(0.6 * likely, 0.9)
        size = (0.6 + 0.6 * chance.random()) * temper.lively * LIVELY[mood]
        if nods or lifts:
            lift = 0.0 if mood == "angry" else 0.30
            found.append(Beat((phone.start + phone.end) / 2, 4.2 * size * nods, lift * min(size, 1.6) * lifts))
    return found


def bump(seconds: Floats, at: float, rise: float, fall: float) -> Floats:
    """0 to 1 at `at` and back."""
    return np.asarray(smooth((seconds - (at - rise)) / rise) * (1 - smooth((seconds - at) / fall)), np.float64)


def stressed(all_beats: Sequence[Beat], seconds: Floats) -> tuple[Floats, Floats]:
    """Degrees of nodding (frames,), + up, and how far brows are raised (frames,)."""
    nod, brows = np.zeros(len(seconds)), np.zeros(len(seconds))
    for beat in all_beats:
        if seconds[0] - 0.6 < beat.at < seconds[-1] + 0.6:
            nod -= beat.nod * bump(seconds, beat.at + 0.02, 0.16, 0.32)
            brows += beat.brows * bump(seconds, beat.at, 0.14, 0.30)
    return nod, np.minimum(brows, 0.6)


# --- blinks, gaze, sway ---------------------------------------------------------------------------------------------


def blinks(speech: Speech, temper: Temper, seed: int, seconds: Floats) -> Floats:
    """(frames,) how shut both eyes are: at chance, and rather where a phrase ends."""
    every = 60 / max(temper.blinks, 0.5)
    moments = []
    for cell in range(int(seconds[0] / every) - 1, int(seconds[-1] / every) + 2):
        chance = chance_of(seed, 3, cell)
        moment = (cell + 0.9 * float(chance.random())) * every
        ends = [phrase.end + 0.05 for phrase in speech.phrases if abs(phrase.end - moment) < 0.45 * every]
        moments.append(min(ends, key=lambda end: abs(end - moment)) if ends and chance.random() < 0.6 else moment)
        if chance.random() < 0.1:
            moments.append(moments[-1] + 0.38)
    shut = np.zeros(len(seconds))
    for moment in moments:
        s = seconds - moment
        shut = np.maximum(shut, smooth((s + 0.09) / 0.09) * (1 - smooth((s - 0.035) / 0.17)))
    return shut


def gaze(temper: Temper, seed: int, seconds: Floats) -> Floats:
    """(frames, 2) right and up: mostly at whom one talks to, now and then away."""

    def draw(chance: np.random.Generator) -> Floats:
        away = chance.random() < 0.42
        spread = np.array([0.45, 0.26]) if away else np.array([0.05, 0.04])
        return np.clip(chance.normal(0, spread), -0.9, 0.9)

    every = 60 / max(temper.looks / 0.42, 1.0)
    return follow(seed, Channel(_GAZE, every, 0.055, draw), seconds)


def sway(temper: Temper, mood: Floats, seed: int, seconds: Floats) -> tuple[Floats, Floats]:
    """Degrees of the head (frames, 3) and its place (frames, 3): slow, and never twice the same."""
    lively = temper.lively * (mood @ np.array([LIVELY[name] for name in MOODS]))[:, None]
    drift, turned, nod = (follow(seed, channel, seconds) for channel in (DRIFT, TURNED, NOD))
    turn = turned * np.array([0.55, 0.45, 0.5]) + drift[:, :3] * np.array([0.9, 0.6, 0.6])
    turn[:, 1:] += nod * np.array([0.35, 0.3])
    place = np.stack([0.010 * drift[:, 0] + 0.0012 * turned[:, 0], 0.008 * drift[:, 5], 0.012 * drift[:, 4]], 1)
    return turn * lively, place * lively


def idle(temper: Temper, seed: int, seconds: Floats) -> Floats:
    """(frames, 52) brows that move for no reason, a little."""
    calm = replace(BROW, number=31, every=2.6)
    return follow(seed, calm, seconds) * 0.22 * temper.lively
