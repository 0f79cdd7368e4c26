"""From the picture that a file holds to the picture that is shown: rotation, mirroring, pixels that are not square."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from understudy.clip.media import Picture


@dataclass(frozen=True)
class Turn:
    """One of the eight ways in which a picture can lie on its side: transposed first, then mirrored."""

    transpose: bool = False
    left_right: bool = False
    up_down: bool = False

    def __call__(self, picture: Picture) -> Picture:
        """The picture as shown, `(h, w, c)`, contiguous."""
        if self.transpose:
            picture = np.asarray(cv2.transpose(picture), np.uint8)
        if self.left_right or self.up_down:
            axis = -1 if self.left_right and self.up_down else int(self.left_right)
            picture = np.asarray(cv2.flip(picture, axis), np.uint8)
        return picture

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after the turn."""
        return (height, width) if self.transpose else (width, height)

    @staticmethod
    def of_matrix(matrix: bytes) -> Turn:
        """From a film's display matrix (nine 32-bit integers: `x' = a x + c y`, `y' = b x + d y`), to quarter turns."""
        a, b, _, c, d = struct.unpack_from("=5i", matrix)
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return Turn(False, a < 0, d < 0)
        return Turn(True, c < 0, b < 0)

    @staticmethod
    def of_exif(orientation: int) -> Turn:
        """From a picture's EXIF orientation, 1 to 8; anything else is upright."""
        return _EXIF.get(orientation, Turn())


_EXIF = {
    2: Turn(False, True, False),
    3: Turn(False, True, True),
    4: Turn(False, False, True),
    5: Turn(True, False, False),
    6: Turn(True, True, False),
    7: Turn(True, True, True),
    8: Turn(True, False, True),
}


@dataclass(frozen=True)
class Upright:
    """Brings decoded frames to the one shape in which a film is shown."""

    coded: tuple[int, int]  # width, height of the decoded frame
    aspect: Fraction = Fraction(1)  # width of a pixel over its height
    turn: Turn = Turn()

    @property
    def square(self) -> tuple[int, int]:
        """Width and height with square pixels, before the turn. The longer side of the pixel grows: nothing is lost."""
        width, height = self.coded
        return (round(width * self.aspect), height) if self.aspect >= 1 else (width, round(height / self.aspect))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as shown."""
        return self.turn.size(*self.square)

    def __call__(self, picture: Picture) -> Picture:
        """A decoded frame `(h, w, 3)` as it is shown. A film may change its frame size midway: such are fitted."""
        if picture.shape[1::-1] != self.coded:
            picture = letterboxed(picture, self.coded)
        if self.aspect != 1:
            picture = np.asarray(cv2.resize(picture, self.square, interpolation=cv2.INTER_LINEAR), np.uint8)
        return self.turn(picture)


def letterboxed(picture: Picture, size: tuple[int, int]) -> Picture:
    """The whole picture, not squashed, in the middle of a black one of `size` (width, height)."""
    scale = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    width = min(size[0], max(1, round(picture.shape[1] * scale)))
    height = min(size[1], max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.zeros((size[1], size[0], picture.shape[2]), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    out[top : top + height, left : left + width] = small
    return out
