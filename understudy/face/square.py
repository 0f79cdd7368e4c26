"""A square of a picture, perhaps turned: the geometry that looking, cropping and pasting back share.

Coordinates are OpenCV's: the middle of the top-left pixel is (0, 0), x runs to the right, y down. A square of `side`
picture pixels that is cut to `size` pixels has edges on pixel edges, so cutting twice as large is exactly twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Square:
    """Centre, side (picture pixels) and turn (radians, clockwise as seen) of a square of a picture."""

    x: float
    y: float
    side: float
    turn: float = 0.0

    def grown(self, factor: float) -> Square:
        """The same centre and turn, another side."""
        return replace(self, side=self.side * factor)

    def matrix(self, size: int) -> Matrix:
        """(2, 3): picture coordinates to those of a frame of `size` pixels."""
        scale = size / self.side
        c, s = math.cos(self.turn) * scale, math.sin(self.turn) * scale
        linear = np.array([[c, s], [-s, c]])
        middle = (size - 1) / 2  # of the frame, as its pixels count
        return np.column_stack([linear, middle - linear @ (self.x, self.y)])

    def to_frame(self, points: Points, size: int) -> Points:
        """(..., 2 or 3) points of the picture as points of the frame; a third coordinate is only scaled."""
        matrix = self.matrix(size)
        flat = points[..., :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([flat, points[..., 2:] * (size / self.side)], axis=-1).astype(np.float32)

    def to_picture(self, points: Points, size: int) -> Points:
        """The inverse of `to_frame`."""
        matrix = cv2.invertAffineTransform(self.matrix(size))
        flat = points[..., :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([flat, points[..., 2:] * (self.side / size)], axis=-1).astype(np.float32)

    def corners(self) -> Points:
        """(4, 2) where its outer corners are in the picture: top left, top right, bottom right, bottom left."""
        return self.to_picture(np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], np.float32), 1)

    def cut(self, picture: Picture, size: int, border: int = cv2.BORDER_REPLICATE) -> Picture:
        """(size, size, 3): what is seen through the square; beyond the picture its `border` goes on."""
        return resampled(picture, self.matrix(size), (size, size), border)


def resampled(source: Picture, matrix: Matrix, size: Sequence[int], border: int) -> Picture:
    """`source` under a similarity `matrix` (2, 3), as a picture of `size` (width, height), without aliasing.

    Shrinking to less than half first takes area means over whole blocks. The blocks lie on a grid that does not move
    with the square: a square that glides over a still picture must not see it shimmer."""
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    block = int(1 / scale + 1e-6)
    if block >= 2:
        source, matrix = _shrunk(source, matrix, size, block)
    method = cv2.INTER_CUBIC if scale > 1 + 1e-6 else cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(source, matrix, tuple(size), flags=method, borderMode=border), np.uint8)


def _shrunk(source: Picture, matrix: Matrix, size: Sequence[int], block: int) -> tuple[Picture, Matrix]:
    """The part of `source` that the result shows, shrunk by `block`, and the matrix that goes with it."""
    height, width = source.shape[:2]
    ends = np.array([(x, y, 1) for x in (-1, size[0]) for y in (-1, size[1])], np.float64)
    seen = ends @ cv2.invertAffineTransform(matrix).T
    left, top = _span(seen[:, 0], width, block), _span(seen[:, 1], height, block)
    part = source[top[0] : top[1], left[0] : left[1]]
    across, down = -(-part.shape[1] // block), -(-part.shape[0] // block)
    over, under = across * block - part.shape[1], down * block - part.shape[0]
    if over or under:  # the last blocks are not whole
        part = np.asarray(cv2.copyMakeBorder(part, 0, under, 0, over, cv2.BORDER_REPLICATE), np.uint8)
    small = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
    offset = matrix[:, 2] + matrix[:, :2] @ (left[0] + (block - 1) / 2, top[0] + (block - 1) / 2)
    return np.asarray(small, np.uint8), np.column_stack([matrix[:, :2] * block, offset])


def _span(seen: npt.NDArray[np.float64], length: int, block: int) -> tuple[int, int]:
    """First and last (exclusive) pixel of the whole blocks that cover `seen`, within a picture of `length`."""
    first = int(np.clip(math.floor(seen.min()) // block * block, 0, (length - 1) // block * block))
    last = int(np.clip((math.ceil(seen.max()) // block + 1) * block, first + 1, length))
    return first, last
