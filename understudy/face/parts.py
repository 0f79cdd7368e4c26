"""Parts of a face: where eyes and mouth are, and the points by which one face is laid over another.

Pixels are those of whatever picture the points are in; what is computed here moves with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from understudy.face.mesh import (
    INNER_LOWER,
    INNER_UPPER,
    LEFT_BROW,
    LEFT_LOWER,
    LEFT_UPPER,
    OUTER_LOWER,
    OUTER_UPPER,
    RIGHT_BROW,
    RIGHT_LOWER,
    RIGHT_UPPER,
    Floats,
)

RIGHT_LIDS: Final = tuple(sorted({*RIGHT_UPPER, *RIGHT_LOWER}))
LEFT_LIDS: Final = tuple(sorted({*LEFT_UPPER, *LEFT_LOWER}))
LIPS: Final = tuple(sorted({*INNER_UPPER, *INNER_LOWER, *OUTER_UPPER, *OUTER_LOWER}))
# fmt: off
# From ear to ear along the jaw; the picture's left first.
JAW: Final = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
# Its ridge from between the eyes to the tip, then its wings and base.
NOSE: Final = (168, 6, 197, 195, 5, 4, 98, 97, 2, 326, 327)
# fmt: on
OUTLINE: Final = (*JAW, *RIGHT_BROW, *LEFT_BROW)
"""What the extents of a face are taken from: as far as the published 68 points reach. The forehead is not among them:
hair hides it."""
FEATURES: Final = (*OUTLINE, *NOSE, *RIGHT_LIDS, *LEFT_LIDS, *LIPS)
"""What a face is compared by: all parts that the published 68 points stand for."""
PARTS: Final = (RIGHT_LIDS, LEFT_LIDS, LIPS)


def centres(points: Floats) -> Floats:
    """(..., 478, 2 or 3) -> (..., 3, 2): the middles of the person's right eye, left eye, and mouth."""
    return np.stack([points[..., part, :2].mean(-2) for part in PARTS], -2).astype(np.float32)


def outline(points: Floats) -> Floats:
    """(..., 478, 2 or 3) -> (..., 41, 2): jaw and brows."""
    return np.asarray(points[..., OUTLINE, :2], np.float32)


def likeness(points: Floats) -> Floats:
    """(..., 478, 2 or 3) -> (..., k, 2): the features, without where the face is, and how wide and how high.

    What is taken off is what a map with a scale for each axis can mend; what is left is pose, expression, proportions.
    """
    edge = outline(points)
    low, high = edge.min(-2, keepdims=True), edge.max(-2, keepdims=True)
    middle = edge.mean(-2, keepdims=True)
    return np.asarray((points[..., FEATURES, :2] - middle) / np.maximum(high - low, 1e-3), np.float32)


def unlikeness(points: Floats, other: Floats) -> Floats:
    """(..., 478, 2 or 3), (478, 2 or 3) -> (...,): how far their features are apart on average, in faces."""
    return np.asarray(np.linalg.norm(likeness(points) - likeness(other), axis=-1).mean(-1), np.float32)
