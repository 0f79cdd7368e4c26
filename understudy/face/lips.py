"""The inside of a mouth: cut out between the lips of a driver, and laid between the lips of a portrait.

A patch has a column for every place along the lips, from the picture's left corner to the right one, and a row for
every height between the upper and the lower edge: the same coordinates on every face. Colours are divided by those of
the cheeks, so that what travels is teeth, tongue and dark, and not a complexion or a light.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.mesh import INNER_LOWER, INNER_UPPER, Floats

Bytes = npt.NDArray[np.uint8]
COLUMNS, ROWS = 64, 40
EQUAL = 100  # the value of a colour that is the skin's
INSET = 0.1  # of the gap, left out above and below: the mesh runs along the lips, not inside them
# fmt: off
CHEEKS = ((50, 101, 100, 126, 209, 203, 206, 216, 192, 213, 147, 123, 117),
          (280, 330, 329, 355, 429, 423, 426, 436, 416, 433, 376, 352, 346))
# fmt: on


@lru_cache(maxsize=8)
def spline(knots: int, samples: int) -> Floats:
    """(samples, knots): a Catmull-Rom curve through points, as one matrix."""
    rows = np.zeros((samples, knots), np.float32)
    for row, place in enumerate(np.linspace(0, knots - 1, samples)):
        k = min(int(place), knots - 2)
        f = place - k
        weights = (
            (-f + 2 * f**2 - f**3) / 2,
            (2 - 5 * f**2 + 3 * f**3) / 2,
            (f + 4 * f**2 - 3 * f**3) / 2,
            (f**3 - f**2) / 2,
        )
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            index = k + offset
            if index < 0:  # beyond the end the curve goes on straight
                rows[row, 0] += 2 * weight
                rows[row, 1] -= weight
            elif index >= knots:
                rows[row, -1] += 2 * weight
                rows[row, -2] -= weight
            else:
                rows[row, index] += weight
    return rows


def lip_line(points: Floats, samples: int = 33) -> tuple[Floats, Floats]:
    """The two edges that meet when the mouth shuts, (samples, 2) each, from the picture's left to its right."""
    curve = spline(len(INNER_UPPER), samples)
    return curve @ points[list(INNER_UPPER), :2], curve @ points[list(INNER_LOWER), :2]


def skin_tone(picture: Bytes, points: Floats) -> Floats:
    """(3,) mean RGB of both cheeks, the brighter one counting more: shadow is light, not complexion."""
    tones = []
    for outline in CHEEKS:
        places = points[list(outline), :2]
        low = np.maximum(np.floor(places.min(0)).astype(int), 0)
        high = np.minimum(np.ceil(places.max(0)).astype(int) + 1, picture.shape[1::-1])
        window = picture[low[1] : high[1], low[0] : high[0]]
        if not window.size:
            continue
        mask = np.zeros(window.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(places - low).astype(np.int32)], 255)
        if mask.any():
            tones.append(cv2.mean(window, mask)[:3])
    if not tones:
        return np.array([128, 128, 128], np.float32)
    found = np.array(tones, np.float32)
    weights = found.sum(1) + 1
    return np.asarray((weights / weights.sum()) @ found, np.float32)


def cut_inside(picture: Bytes, points: Floats) -> Bytes:
    """(ROWS, COLUMNS, 3): the inside of a driver's mouth, relative to the skin. `points (478, 3)` pixels."""
    above, below = lip_line(points, COLUMNS)
    height = (INSET + (1 - 2 * INSET) * (np.arange(ROWS, dtype=np.float32) + 0.5) / ROWS)[:, None, None]
    places = (above + (below - above) * height).astype(np.float32)
    patch = cv2.remap(picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    tone = np.maximum(skin_tone(picture, points), 8)
    return np.asarray(np.clip(np.round(patch * (EQUAL / tone)), 0, 255), np.uint8)
