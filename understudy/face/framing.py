"""How faces are framed in the world that the small models learn from, and the same framing for other pictures."""

from __future__ import annotations

from typing import Final

from understudy.face.crop import Crop
from understudy.face.find import Face
from understudy.face.square import Square

SHARE: Final = 0.57
"""Height of the mesh in the cast's pictures, of the picture's: measured on 12 people at rest, 0.55 to 0.58."""
LOW: Final = 0.53
"""Where its middle is, from the top: 0.52 to 0.54."""
LEAST, MOST = 0.38, 0.85
"""Shares with which a picture counts as framed so already: the cast's heads come nearer, turn and open their mouths."""
ASIDE: Final = 0.25
"""How far from there the middle may be, of the picture's side."""
SIDE: Final = 256
"""Pixels to a side of a driver's pictures, and of the small models' frames."""


def framed(face: Face, picture_size: tuple[int, int], size: int = SIDE) -> Crop:
    """The square of a picture that shows the face as large as the cast's pictures do; a frame of it has `size` pixels.

    A square picture that shows it about so is taken whole."""
    width, height = picture_size
    share = face.size / max(width, height)
    x, y = (at / max(width, height) for at in face.centre)
    if width == height and LEAST <= share <= MOST and abs(x - 0.5) <= ASIDE and abs(y - LOW) <= ASIDE:
        middle = (width - 1) / 2
        return Crop(Square(middle, middle, float(width)), size, picture_size)
    return Crop.around(face, picture_size, margin=(1 / SHARE - 1) / 2, size=size)
