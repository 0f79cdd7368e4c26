"""What can be told of a face's picture by measuring it: how blurred, how it is lit, whether glasses are worn.

All on the face turned upright and scaled so that the outer corners of its eyes are `UNIT` pixels apart, so that numbers
mean the same on every picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import LEFT_EYE, RIGHT_EYE, Floats

Bytes = npt.NDArray[np.uint8]
UNIT: Final = 100  # pixels between the outer corners of the eyes
SIDE: Final = 320
EYES: Final = (160, 128)  # where the middle between the eyes comes to lie
BLURRED, SOFT = 0.80, 0.70  # of `Look.blur`; sharp faces of photos, paintings and films measure 0.33 to 0.60
GLASSES: Final = 0.4  # of `Look.rims`; faces with glasses measured 0.58 to 1.44, without 0.05 to 0.25


@dataclass(frozen=True)
class Look:
    """Measures of one face."""

    eye_distance: float  # pixels of the picture between the outer corners of the eyes
    blur: float  # 0 sharp to 1: how little a further blur changes (Crete et al. 2007)
    light: float  # mean brightness of the face, 0 to 255
    burnt: float  # share of the face at 254 or more
    drowned: float  # share of the face at 3 or less
    rims: float  # how strong thin lines over the bridge of the nose and under both eyes are


def look(picture: Bytes, points: Floats) -> Look:
    """Measure the face with `points (478, 3)` pixels in `picture (h, w, 3)`."""
    upright, scale = aligned(picture, points)
    grey = cv2.cvtColor(upright, cv2.COLOR_RGB2GRAY).astype(np.float32)
    face = grey[60:300, 60:260]
    skin = grey[90:270, 85:235]
    return Look(
        UNIT / scale,
        _blur(face),
        float(skin.mean()),
        float((skin >= 254).mean()),
        float((skin <= 3).mean()),
        _rims(grey),
    )


def aligned(picture: Bytes, points: Floats) -> tuple[Bytes, float]:
    """The face upright in a square of `SIDE`, and the factor by which it was scaled."""
    right, left = points[RIGHT_EYE.outer, :2], points[LEFT_EYE.outer, :2]
    across = left - right
    scale = UNIT / max(float(np.hypot(*across)), 1e-3)
    angle = -np.arctan2(across[1], across[0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    place = np.hstack([turn, (np.array(EYES) - turn @ ((right + left) / 2))[:, None]])
    low, high = _around(place, picture.shape)
    part = picture[low[1] : high[1], low[0] : high[0]]
    place[:, 2] += turn @ low
    if scale < 1:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.4 / scale), np.uint8)
    method = cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC
    drawn = cv2.warpAffine(part, place, (SIDE, SIDE), flags=method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn, np.uint8), scale


def _around(place: npt.NDArray[np.float64], shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], ...]:
    """The part of the picture that the square shows, with a margin, never empty."""
    corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]], np.float64)
    seen = (corners - place[:, 2]) @ np.linalg.inv(place[:, :2]).T
    size = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(seen.min(0)).astype(int) - 4, 0, size - 1)
    return low, np.clip(np.ceil(seen.max(0)).astype(int) + 4, low + 1, size)


def _blur(grey: Floats) -> float:
    """The larger of both directions: 1 - (what a strong blur takes of the differences of neighbours) / (all of it)."""
    found = []
    for kernel, axis in (((1, 9), 0), ((9, 1), 1)):
        steps = np.abs(np.diff(grey, axis=axis))
        lost = np.maximum(steps - np.abs(np.diff(cv2.blur(grey, kernel), axis=axis)), 0).sum()
        found.append(1 - float(lost) / max(float(steps.sum()), 1e-6))
    return max(found)


def _rims(grey: Floats) -> float:
    contrast = float(grey[90:280, 70:250].std()) + 8
    fine = np.asarray(cv2.GaussianBlur(grey, (0, 0), sigmaX=2.0, sigmaY=0.8), np.float32)
    x, y = EYES
    bridge = _line(fine[y - 22 : y + 16, x - 8 : x + 9])
    under = min(_line(fine[y + 12 : y + 44, x + side - 12 : x + side + 13]) for side in (-38, 38))
    return float(np.sqrt(bridge * under)) / contrast


def _line(strip: Floats) -> float:
    """How strong the strongest thin line from left to right is: median over the columns."""
    return float(np.median(np.abs(cv2.Sobel(strip, cv2.CV_32F, 0, 2, ksize=3))[2:-2].max(0)))
