"""The 478-point face mesh: what its numbers mean, its triangles, its mirror image, its canonical shape.

The numbering is MediaPipe's (468 points of skin, then 5 of each iris). The canonical shape, the triangles and the
mirror pairs are stored in `pretrained/canonical_face.safetensors`, which `runs/canonical_face.py` makes: the mean mesh
of many frontal, neutral people of the cast, symmetrised, in *eye units*: the origin half-way between the outer
corners of the eyes, whose distance is 1; x to the right of the picture, y down, z away from the camera.

"Left" and "right" are the person's own, as ARKit and MediaPipe use them: the left eye is on the picture's right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

POINTS: Final = 478
SKIN: Final = 468

# fmt: off
OVAL: Final = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
               148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)
# Lid edges from the outer to the inner corner; the i-th of UPPER stands above the i-th of LOWER.
RIGHT_UPPER: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_LOWER: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_UPPER: Final = (263, 466, 388, 387, 386, 385, 384, 398, 362)
LEFT_LOWER: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362)
# Edges of the lips that meet when the mouth shuts, from the person's right corner to the left one.
INNER_UPPER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LOWER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_UPPER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
OUTER_LOWER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
RIGHT_BROW: Final = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55)
LEFT_BROW: Final = (300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
RIGHT_IRIS: Final = (468, 469, 470, 471, 472)
LEFT_IRIS: Final = (473, 474, 475, 476, 477)
# What hardly moves with expressions: forehead, temples, bridge of the nose, corners of the eyes.
STABLE: Final = (10, 338, 297, 332, 284, 251, 389, 127, 162, 21, 54, 103, 67, 109, 168, 6, 197, 195, 33, 133, 362, 263,
                 234, 454, 151, 9, 8, 107, 336, 5, 4, 1, 356, 139, 368, 71, 301)
# fmt: on
NOSE_TIP: Final = 1
CHIN: Final = 152
FOREHEAD: Final = 10


def floats(values: npt.ArrayLike) -> Floats:
    """The values as 32-bit floats, without a copy where they are."""
    return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Eye:
    """The points of one eye. `outer` and `inner` are its corners."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    iris: tuple[int, ...]
    brow: tuple[int, ...]

    @property
    def outer(self) -> int:
        return self.upper[0]

    @property
    def inner(self) -> int:
        return self.upper[-1]


RIGHT_EYE: Final = Eye(RIGHT_UPPER, RIGHT_LOWER, RIGHT_IRIS, RIGHT_BROW)
LEFT_EYE: Final = Eye(LEFT_UPPER, LEFT_LOWER, LEFT_IRIS, LEFT_BROW)
EYES: Final = {"Right": RIGHT_EYE, "Left": LEFT_EYE}


@dataclass(frozen=True)
class Canonical:
    """The canonical face: `points (478, 3)` in eye units, `triangles (t, 3)` over the skin, `mirror (478,)`.

    Triangles leave holes for eyes and mouth, and wind clockwise as seen from the camera (y is down)."""

    points: Floats
    triangles: Ints
    mirror: Ints


@lru_cache(maxsize=1)
def canonical() -> Canonical:
    """The canonical face that is shipped with the package."""
    from safetensors.numpy import load

    stored = load((resources.files("understudy") / "pretrained" / "canonical_face.safetensors").read_bytes())
    return Canonical(stored["points"], stored["triangles"], stored["mirror"])
