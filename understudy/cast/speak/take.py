"""A take: somebody says something and acts; the sound, and how they are held at any moment of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from understudy.cast.how import INDEX, PITCH, ROLL, YAW, How, look
from understudy.cast.speak import acting, mouth
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.voice import HOP, Speech
from understudy.errors import BadOption

if TYPE_CHECKING:
    from understudy.clip.sound import Sound

Floats = npt.NDArray[np.float64]

_SPREADING = [INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]
_PARTED = [INDEX[f"{name}{side}"] for name in ("mouthUpperUp", "mouthLowerDown") for side in ("Left", "Right")]
_QUIET = 0.1  # of the loudest
_NARROWEST = 0.1
"""How widely is spoken where nothing is heard, to which comes loudness: who speaks up opens his mouth for it, syllable
by syllable (Schulman 1989: jaws of loud speech open further, in vowels above all)."""


@dataclass(frozen=True)
class Take:
    """A speech, acted by somebody with a temper; `seed` decides what is chance in it."""

    speech: Speech
    temper: Temper
    seed: int

    @property
    def seconds(self) -> float:
        return self.speech.seconds

    @property
    def sound(self) -> Sound:
        """What is heard, mono."""
        from understudy.clip.sound import Sound

        return Sound(self.speech.samples[:, None].copy(), self.speech.rate)

    @cached_property
    def _beats(self) -> list[acting.Beat]:
        return acting.beats(self.speech, self.temper, self.seed)

    @cached_property
    def _loud(self) -> Floats:
        """How loud it is every `HOP` seconds, of how loud it usually is while something is said, at most twice that."""
        loud = self.speech.loudness()
        said = loud[loud > _QUIET]
        usual = float(np.sqrt(np.square(said).mean())) if said.size else 1.0
        return np.asarray(np.minimum(_smoothed(loud, 0.2) / usual, 2.0), np.float64)

    @cached_property
    def _strongly(self) -> Floats:
        """How strongly is spoken, every `HOP` seconds: with loudness, not with every sound of it."""
        return np.asarray(0.72 + 0.95 * _smoothed(self.speech.loudness(), 0.4), np.float64)

    def moods(self, seconds: Floats) -> Floats:
        """(frames, 5) how much of each mood there is at some moments."""
        return acting.moods(self.speech.phrases, np.asarray(seconds, np.float64), self.seed)

    def frames(self, fps: float = 25.0) -> int:
        """How many frames it has."""
        return max(round(self.seconds * fps), 1)

    def how(self, start: int, count: int, fps: float = 25.0) -> How:
        """Frames `start` to `start + count`: frame k is the moment k / fps. The frames do not depend on which others
        are asked for."""
        if count < 1 or fps <= 0 or start < 0:
            raise BadOption("a take has frames from 0 on", f"{count} from {start} at {fps} a second", "at least one")
        return self.at((start + np.arange(count)) / fps)

    def at(self, seconds: Floats) -> How:
        """How the face is held at some moments, increasing."""
        mood = self.moods(seconds)
        felt, held = acting.expression(mood)
        moments = HOP * np.arange(len(self._loud))
        wide = _NARROWEST + np.interp(seconds, moments, self._loud)
        spoken = mouth.curves(self.speech.phones, seconds, wide)
        felt = felt * acting.swell(np.interp(seconds, moments, self._strongly), self.seed, seconds)[:, None]
        curves = self._together(felt, spoken) + acting.idle(self.temper, self.seed, seconds)
        nod, brows = acting.stressed(self._beats, seconds)
        for name, share in (("browInnerUp", 0.8), ("browOuterUpLeft", 1.0), ("browOuterUpRight", 1.0)):
            curves[:, INDEX[name]] += share * brows
        sway, place = acting.sway(self.temper, mood, self.seed, seconds)
        turn = np.clip(held + sway + np.stack([0 * nod, nod, 0 * nod], 1), [-YAW, -PITCH, -ROLL], [YAW, PITCH, ROLL])
        aside = 1 + 0.08 * acting.chance_of(self.seed, 5, 0).normal(0, 1, 52).clip(-2, 2)  # nobody is symmetrical
        aside[[INDEX["jawOpen"], INDEX["mouthClose"]]] = 1
        values = torch.tensor(np.clip(curves * aside, 0, 1), dtype=torch.float32)
        self._eyes(values, seconds, sway, mood)
        return How(
            values,
            torch.tensor(turn, dtype=torch.float32),
            torch.tensor(place + np.array([0, 0, 1.0]), dtype=torch.float32),
        )

    def _together(self, felt: Floats, spoken: Floats) -> Floats:
        """A mood's face and a speaking mouth: rounded lips smile less, and lips that touch do not part for a smile."""
        shut = spoken[:, [INDEX["mouthClose"]]]
        rounded = np.maximum(spoken[:, [INDEX["mouthPucker"]]], spoken[:, [INDEX["mouthFunnel"]]])
        felt = felt.copy()
        felt[:, _SPREADING] *= 1 - 0.55 * rounded
        felt[:, _PARTED] *= 1 - shut
        return felt + spoken

    def _eyes(self, values: torch.Tensor, seconds: Floats, sway: Floats, mood: Floats) -> None:
        """Gaze, blinks, in place. Eyes stay where they look while the head turns under them."""
        at = acting.gaze(self.temper, self.seed, seconds)
        down = 0.15 * mood[:, 2]  # who is sad looks down
        right, up = at[:, 0] - 0.010 * sway[:, 0], at[:, 1] - 0.012 * sway[:, 1] - down
        look(values, torch.tensor(right, dtype=torch.float32), torch.tensor(up, dtype=torch.float32))
        shut = torch.tensor(acting.blinks(self.speech, self.temper, self.seed, seconds), dtype=torch.float32)
        for side in ("Left", "Right"):
            lid, wide = INDEX[f"eyeBlink{side}"], INDEX[f"eyeWide{side}"]
            values[:, lid] = torch.maximum(values[:, lid], shut)
            values[:, wide] *= 1 - shut


def _smoothed(values: Floats, seconds: float) -> Floats:
    """Every `HOP` seconds a mean over so many, weighted towards the middle."""
    window = np.hanning(round(seconds / HOP) + 1)
    return np.asarray(np.convolve(values, window / window.sum(), "same")[: len(values)], np.float64)
