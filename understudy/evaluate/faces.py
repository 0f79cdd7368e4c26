"""Landmarks of results against those of the truth, both found by MediaPipe through the very same windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.cast.stage import to_bytes
from understudy.face.find import Face, Finder
from understudy.face.mesh import INNER_LOWER, INNER_UPPER, LEFT_EYE, OUTER_LOWER, OUTER_UPPER, RIGHT_EYE, Floats

UNFOUND: Final = 20.0
"""Per cent: what a face that is not found counts; and the most that one that is found can."""
FINE: Final = sorted(
    {point for eye in (LEFT_EYE, RIGHT_EYE) for part in (eye.upper, eye.lower, eye.iris) for point in part}
    | {*INNER_LOWER, *INNER_UPPER, *OUTER_LOWER, *OUTER_UPPER}
)
"""The points of eyes and mouth."""


def found(finder: Finder, truth: Tensor) -> list[Face | None]:
    """The face in each of consecutive frames (f, 3, h, w) in [0, 1]; None where MediaPipe sees none."""
    faces: list[Face | None] = []
    last: Face | None = None
    for picture in to_bytes(truth):
        last = finder.track(picture, last) if last is not None else None
        last = last or next(iter(finder.find(picture, thorough=False, doubtful=True)), None)
        faces.append(last)
    return faces


def errors(
    finder: Finder, result: Tensor, truth: Tensor, faces: Sequence[Face | None]
) -> tuple[Tensor, Tensor, Tensor]:
    """(f,) each: mean distance of all points, and of those of eyes and mouth, in per cent of the distance between the
    outer corners of the eyes; and whether a face was found in the result.

    NaN where none was found in the truth, whose `faces` are given: MediaPipe has nothing to say there."""
    rows = [
        _error(finder, got, wanted, face) if face is not None else (np.nan, np.nan, np.nan)
        for got, wanted, face in zip(to_bytes(result), to_bytes(truth), faces, strict=True)
    ]
    whole, fine, seen = torch.tensor(rows, dtype=torch.float32).unbind(1)
    return whole, fine, seen


def _error(
    finder: Finder, result: npt.NDArray[np.uint8], truth: npt.NDArray[np.uint8], face: Face
) -> tuple[float, float, float]:
    wanted = finder.track(truth, face) or face  # once more, as the result is: where they are equal, so is the answer
    got = finder.track(result, face)
    if got is None:
        return UNFOUND, UNFOUND, 0.0
    apart = 100 * np.linalg.norm(got.points[:, :2] - wanted.points[:, :2], axis=1) / wanted.eye_distance
    return _at_most(apart), _at_most(apart[FINE]), 1.0


def _at_most(apart: Floats) -> float:
    return min(float(apart.mean()), UNFOUND)
