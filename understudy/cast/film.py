"""Plausible motion over time: `how` for any frame, from a seed, computed without the frames before it.

Everything is held, then changed: time is cut into cells, a cell's target is drawn from (seed, channel, cell), and the
change from one target to the next takes as long as that part of a face takes. So any stretch can be computed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from understudy.cast.how import BROWS, INDEX, MOUTHS, PITCH, ROLL, YAW, How, look
from understudy.errors import BadOption

Floats = npt.NDArray[np.float64]
WARM_UP = 1000  # cells before time 0 exist too, so that a film does not begin with a jerk


@dataclass(frozen=True)
class Channel:
    """One thing that is held and changed. `every` and `takes` in seconds; `draw` makes a cell's target."""

    number: int
    every: float
    takes: float
    draw: Callable[[np.random.Generator], Floats]


def _chance(seed: int, number: int, cell: int) -> np.random.Generator:
    return np.random.default_rng([0x66696C6D, seed, number, cell + WARM_UP])


def _ease(s: Floats) -> Floats:
    s = np.clip(s, 0, 1)
    return s * s * s * (s * (6 * s - 15) + 10)


def follow(seed: int, channel: Channel, seconds: Floats) -> Floats:
    """The channel's value (frames, values): a minimum-jerk step from target to target."""

    @cache
    def cell(k: int) -> tuple[float, Floats]:
        chance = _chance(seed, channel.number, k)
        begins = (k + 0.55 * chance.random()) * channel.every
        return begins, channel.draw(chance)

    out = []
    for now in seconds:
        k = int(np.floor(now / channel.every))
        if now < cell(k)[0]:
            k -= 1
        begins, target = cell(k)
        before = cell(k - 1)[1]
        share = _ease(np.array((now - begins) / channel.takes))
        out.append(before + (target - before) * share)
    return np.stack(out)


def _sway(number: int, every: float, values: int, spread: float) -> Channel:
    return Channel(
        number,
        every,
        every * 0.45 * 0.98,
        lambda chance: np.clip(chance.normal(0, spread, values), -2.2 * spread, 2.2 * spread),
    )


def _gaze(chance: np.random.Generator) -> Floats:
    if chance.random() < 0.55:  # most of the time people look at whom they talk to
        return chance.normal(0, 0.05, 2)
    return np.clip(chance.normal(0, [0.5, 0.28]), -0.9, 0.9)


def _turned(chance: np.random.Generator) -> Floats:
    wide = 1.0 if chance.random() < 0.75 else 1.9
    return chance.normal(0, np.array([9.0, 4.0, 4.0]) * wide)


def _group(groups: tuple[tuple[tuple[str, float], ...], ...], rest: float) -> Callable[[np.random.Generator], Floats]:
    def draw(chance: np.random.Generator) -> Floats:
        target = np.zeros(52)
        if chance.random() > rest:
            strength = 0.35 + 0.65 * chance.random()
            for name, value in groups[chance.integers(len(groups))]:
                target[INDEX[name]] = value * strength * (1 + 0.3 * (chance.random() - 0.5))
        return target

    return draw


# What speaking mouths pass through: open, rounded, spread, pressed, lip to teeth, and half shapes.
SPOKEN: tuple[dict[str, float], ...] = (
    {"jawOpen": 0.55, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25},
    {"jawOpen": 0.32, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3, "mouthUpperUpLeft": 0.15,
     "mouthUpperUpRight": 0.15},
    {"jawOpen": 0.28, "mouthFunnel": 0.6},
    {"jawOpen": 0.12, "mouthPucker": 0.65},
    {"mouthPressLeft": 0.35, "mouthPressRight": 0.35, "mouthRollLower": 0.25, "mouthRollUpper": 0.2},
    {"jawOpen": 0.06, "mouthRollLower": 0.6, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2},
    {"jawOpen": 0.18, "mouthLowerDownLeft": 0.4, "mouthLowerDownRight": 0.4, "mouthStretchLeft": 0.2,
     "mouthStretchRight": 0.2},
    {"jawOpen": 0.22, "mouthShrugUpper": 0.2},
    {"jawOpen": 0.42},
)  # fmt: skip


def _syllable(chance: np.random.Generator) -> Floats:
    target = np.zeros(52)
    strength = 0.65 + 0.5 * chance.random()
    for name, value in SPOKEN[chance.integers(len(SPOKEN))].items():
        target[INDEX[name]] = value * strength
    return target


def _talks(chance: np.random.Generator) -> Floats:
    return np.array([1.0 if chance.random() < 0.68 else 0.0])


MOOD = Channel(1, 3.1, 0.8, _group(MOUTHS, 0.35))
BROW = Channel(2, 1.9, 0.32, _group(BROWS, 0.25))
SPEECH = Channel(3, 0.205, 0.085, _syllable)
TALKS = Channel(4, 2.3, 0.35, _talks)
GAZE = Channel(5, 0.95, 0.055, _gaze)
TURNED = Channel(6, 2.7, 0.75, _turned)
NOD = _sway(7, 0.8, 2, 1.6)
DRIFT = _sway(8, 2.4, 6, 1.0)


def _blinks(seed: int, seconds: Floats) -> tuple[Floats, Floats]:
    """How shut each eye is: down in 80 ms, a moment, up in 160 ms; now and then twice, or one eye only."""
    every = 2.9
    shut = np.zeros((2, len(seconds)))
    low = int(np.floor(seconds.min() / every)) - 1
    for k in range(low, int(np.floor(seconds.max() / every)) + 2):
        chance = _chance(seed, 9, k)
        begins = (k + 0.8 * chance.random()) * every
        depth = 0.92 + 0.08 * chance.random()
        kind = chance.random()
        moments = [begins] + ([begins + 0.42] if kind < 0.14 else [])
        hold = 0.035 if kind < 0.9 else 0.45
        eyes = (1.0, 1.0)
        if 0.9 < kind < 0.95:
            eyes = (1.0, 0.08) if chance.random() < 0.5 else (0.08, 1.0)
        for begin in moments:
            s = seconds - begin
            curve = _ease(s / 0.085) * (1 - _ease((s - 0.085 - hold) / 0.17)) * depth
            for i in range(2):
                shut[i] = np.maximum(shut[i], curve * eyes[i])
    return shut[0], shut[1]


def motion(seed: int, start: int, count: int, fps: float = 25.0, calm: float = 1.0) -> How:
    """Frames `start` to `start + count` of the seed's film. `calm` scales head turns (1: about 20 degrees)."""
    if count < 1 or fps <= 0:
        raise BadOption(
            "a film needs frames", f"{count} frames at {fps} frames per second", "at least one frame, and fps over 0"
        )
    seconds = (start + np.arange(count)) / fps
    curves = follow(seed, MOOD, seconds) * 0.85
    curves = np.maximum(curves, follow(seed, BROW, seconds))
    talk = follow(seed, TALKS, seconds)
    spoken = follow(seed, SPEECH, seconds) * talk
    hush = 1 - 0.75 * talk * _mouth_rows()
    curves = np.maximum(curves * hush, spoken)
    curves[:, INDEX["browInnerUp"]] += 0.25 * talk[:, 0] * np.clip(follow(seed, NOD, seconds)[:, 0] / 2, 0, 1)
    drift = follow(seed, DRIFT, seconds)
    curves[:, INDEX["mouthSmileLeft"]] += 0.06 * np.clip(drift[:, 3], 0, 2)
    curves[:, INDEX["mouthSmileRight"]] += 0.06 * np.clip(drift[:, 4], 0, 2)
    left, right = _blinks(seed, seconds)
    aside = 1 + 0.12 * _chance(seed, 10, 0).normal(0, 1, 52).clip(-2, 2)  # nobody is symmetrical
    values = torch.tensor(np.clip(curves * aside, 0, 1), dtype=torch.float32)
    gaze = follow(seed, GAZE, seconds)
    turned = follow(seed, TURNED, seconds) * calm
    nod = follow(seed, NOD, seconds) * (0.35 + 0.65 * talk)
    # eyes stay where they look while the head turns under them
    eye_right = gaze[:, 0] - 0.010 * turned[:, 0]
    eye_up = gaze[:, 1] - 0.012 * turned[:, 1]
    look(values, torch.tensor(eye_right, dtype=torch.float32), torch.tensor(eye_up, dtype=torch.float32))
    for name, shut in (("eyeBlinkLeft", left), ("eyeBlinkRight", right)):
        i = INDEX[name]
        values[:, i] = torch.maximum(values[:, i], torch.tensor(shut, dtype=torch.float32))
    turn = turned + np.stack(
        [0.9 * drift[:, 0], 1.1 * nod[:, 0] + 0.6 * drift[:, 1], 0.7 * nod[:, 1] + 0.6 * drift[:, 2]], 1
    )
    turn = np.clip(turn, [-YAW, -PITCH, -ROLL], [YAW, PITCH, ROLL])
    place = np.stack([0.010 * drift[:, 0] + 0.0012 * turned[:, 0], 0.008 * drift[:, 5], 1 + 0.012 * drift[:, 4]], 1)
    return How(values, torch.tensor(turn, dtype=torch.float32), torch.tensor(place, dtype=torch.float32))


def _mouth_rows() -> Floats:
    rows = np.zeros((1, 52))
    for name, i in INDEX.items():
        if name.startswith(("mouth", "jaw", "tongue", "cheekPuff")):
            rows[0, i] = 0.55 if name.startswith("mouthSmile") else 1.0
    return rows
