"""A performance before it is shown: what has mass does not tremble, and eyes do not glide.

A small actor's head shakes by a third of a degree from frame to frame, which true heads do not; its expressions shiver;
and where true eyes stay, jump and stay, its own wander. Heads and expressions are smoothed over a few frames to each
side; gazes are held until they have really left. Lips and lids stay as they are. Everything depends on a few frames
before and after: a stream is steadied as a whole is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.cast.how import ARKIT_NAMES, INDEX, look
from understudy.cast.speak import acting
from understudy.cast.speak.acting import Temper
from understudy.motion.space import CURVES, DEGREES, PLAYED
from understudy.motion.speech import FPS

Values = npt.NDArray[np.float64]

REACH: Final = 8
"""Frames before and after on which a steadied one depends."""
_HEAD: Final = np.hanning(11)[1:-1]  # nods on stressed syllables take 12 frames
_FACE: Final = np.hanning(7)[1:-1]  # brows rise within 4
_SHOWING: Final = tuple(
    INDEX[name]
    for name in ARKIT_NAMES
    if name.startswith(("brow", "cheek", "nose", "mouthSmile", "mouthFrown", "eyeWide", "eyeSquint"))
)
_LEFT: Final = 0.10  # how far a gaze must have gone from where it was held
_SOON: Final = 3  # frames after a jump in which there is no other
_FOLLOWS: Final = 0.04  # of what is left, each frame: gazes that drift are not held for ever
_COUNTER: Final = (0.010, 0.012)  # of a gaze, for each degree of the head: eyes stay on what they look at


def steadied(chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Rows (f, 58) of the cast's, chunk after chunk; as many come out as go in, up to `REACH` frames later. Rows of
    another kind go through as they are."""
    eyes = _Eyes()
    held: Tensor | None = None  # from `REACH` frames before the next that is to come out
    for chunk in chunks:
        if chunk.shape[1] != PLAYED:
            yield chunk
            continue
        rows = chunk.double().cpu()
        held = torch.cat([rows[:1].expand(REACH, -1), rows] if held is None else [held, rows])
        if len(held) > 2 * REACH:
            yield _settled(held, eyes)
            held = held[-2 * REACH :]
    if held is not None and len(held) > REACH:
        yield _settled(torch.cat([held, held[-1:].expand(REACH, -1)]), eyes)


def looking(chunks: Iterable[Tensor], looks: float, seed: int) -> Iterator[Tensor]:
    """Rows (f, 58) whose eyes look away so many times a minute, as the cast's do (`acting.gaze`), in the place of what
    an actor has imagined of them: gazes go with no sound, and an actor hardly learns to count them."""
    temper, done = Temper(looks=looks), 0
    for chunk in chunks:
        rows = chunk.clone()
        seconds = np.arange(done, done + len(rows)) / FPS
        at = acting.gaze(temper, seed, seconds) - _countered(rows.double().cpu())
        look(rows, torch.from_numpy(at[:, 0]).to(rows), torch.from_numpy(at[:, 1]).to(rows))
        done += len(rows)
        yield rows


def _settled(rows: Tensor, eyes: _Eyes) -> Tensor:
    """(f - 2 REACH, 58) of the frames in the middle."""
    found = rows[REACH:-REACH].clone()
    for columns, window in ((range(CURVES, PLAYED), _HEAD), (_SHOWING, _FACE)):
        found[:, list(columns)] = _smooth(rows[:, list(columns)], window)
    at = eyes.held(gaze(rows[REACH:]) + _countered(rows[REACH:])) - _countered(found)
    look(found, torch.from_numpy(at[:, 0]), torch.from_numpy(at[:, 1]))
    return found.float()


def _smooth(rows: Tensor, window: Values) -> Tensor:
    """Summed offset by offset, so that no sum depends on how many frames there are."""
    half, count = len(window) // 2, len(rows) - 2 * REACH
    total = torch.zeros(count, rows.shape[1], dtype=rows.dtype)
    for offset, weight in zip(range(-half, half + 1), window / window.sum(), strict=True):
        total += float(weight) * rows[REACH + offset : REACH + offset + count]
    return total


def _countered(rows: Tensor) -> Values:
    """(f, 2) by how much eyes turn against their head."""
    return np.asarray(rows[:, CURVES : CURVES + 2].numpy() * DEGREES * np.array(_COUNTER), np.float64)


def gaze(rows: Tensor) -> Values:
    """(f, 2) right and up: `how.look` the other way, the mean of both eyes."""

    def of(*names: str) -> Values:
        return np.asarray(rows[:, [INDEX[name] for name in names]].clamp_min(0).mean(1).numpy(), np.float64)

    right = of("eyeLookOutLeft", "eyeLookInRight") - of("eyeLookInLeft", "eyeLookOutRight")
    up = of("eyeLookUpLeft", "eyeLookUpRight") - of("eyeLookDownLeft", "eyeLookDownRight")
    return np.stack([right, up], 1)


class _Eyes:
    """Where eyes are held. One for a performance."""

    def __init__(self) -> None:
        self._at: Values | None = None
        self._rest = 0

    def held(self, ahead: Values) -> Values:
        """(f, 2) for gazes (f + REACH, 2): a jump goes where the gaze will be."""
        found = np.empty((len(ahead) - REACH, 2))
        for k in range(len(found)):
            aim = np.median(ahead[k : k + REACH - 1], 0)  # of an odd number: none between two fixations
            if self._at is None:
                self._at = aim
            self._rest -= 1
            if self._rest < 0 and np.abs(aim - self._at).max() > _LEFT:
                self._at, self._rest = np.median(ahead[k + REACH - 3 : k + REACH], 0), _SOON
            else:
                self._at = self._at + _FOLLOWS * (aim - self._at)
            found[k] = self._at
        return found
