"""The square of a picture in which a portrait is drawn, and how it is pasted back.

Squares are whole pixels of the picture at its own resolution wherever they can be: then cutting copies, pasting
copies, and what was not changed comes back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.face.find import Face
from understudy.face.square import Picture, Points, Square, resampled

Mask = npt.NDArray[np.float32]

MARGIN: Final = 0.8  # room on each side of the face, in sizes of it: hair, neck and part of the shoulders are inside
FEATHER: Final = 0.1  # width of the soft border, in sides of the square


@dataclass(frozen=True)
class Crop:
    """A similarity transform between a picture and a square frame of `size` pixels, with the mask for the way back.

    square: where it is in the picture; it may reach outside, never squashes, and may be turned.
    picture_size: width and height of the picture that it belongs to.
    """

    square: Square
    size: int
    picture_size: tuple[int, int]

    @classmethod
    def around(
        cls,
        face: Face,
        picture_size: tuple[int, int],
        margin: float = MARGIN,
        size: int | None = None,
        upright: bool = False,
    ) -> Crop:
        """The square round a face, with `margin` sizes of the face on each side.

        size: pixels of the frame; without it, those of the picture, one to one.
        upright: turn the square as the face is turned. Otherwise its edges are pixels' edges, it is not larger than
        the picture's longer side, and as much of it is inside the picture as can be."""
        width, height = picture_size
        x, y = face.centre
        side = face.size * (1 + 2 * margin)
        if upright:
            return cls(Square(x, y, side, face.roll), size or even(side), picture_size)
        whole = min(even(side), max(width, height))
        left, top = inside(x, whole, width), inside(y, whole, height)
        middle = (whole - 1) / 2
        return cls(Square(left + middle, top + middle, float(whole)), size or whole, picture_size)

    @property
    def scale(self) -> float:
        """Pixels of the frame per pixel of the picture."""
        return self.size / self.square.side

    @property
    def corner(self) -> tuple[int, int] | None:
        """Left and top pixel in the picture, where the frame's pixels are pixels of the picture; else None."""
        left = self.square.x - (self.size - 1) / 2
        top = self.square.y - (self.size - 1) / 2
        native = self.square.turn == 0 and self.square.side == self.size
        return (int(left), int(top)) if native and left.is_integer() and top.is_integer() else None

    @property
    def mask(self) -> Mask:
        """(size, size) float32, read-only: 1 in the middle, 0 at borders that lie inside the picture, and beyond it."""
        return soft_mask(self)

    def to_frame(self, points: Points) -> Points:
        """(..., 2 or 3) points of the picture as points of the frame; depth, if there, is scaled too."""
        return self.square.to_frame(points, self.size)

    def to_picture(self, points: Points) -> Points:
        """The inverse of `to_frame`."""
        return self.square.to_picture(points, self.size)

    def cut(self, picture: Picture) -> Picture:
        """(size, size, 3): the frame. Beyond the picture, its border goes on."""
        self._check(picture)
        if self.corner is None:
            return self.square.cut(picture, self.size)
        left, top, right, bottom = self._inside()
        x, y = self.corner
        part = picture[top:bottom, left:right]
        beyond = (top - y, y + self.size - bottom, left - x, x + self.size - right)
        if not any(beyond):
            return part.copy()
        return np.asarray(cv2.copyMakeBorder(part, *beyond, cv2.BORDER_REPLICATE), np.uint8)

    def paste(self, picture: Picture, drawn: Picture, mask: Mask | None = None) -> Picture:
        """A new picture with `drawn (size, size, 3)` in its place, as far as the mask lets it through.

        mask: (size, size) float32 in [0, 1] instead of the crop's own; what it leaves out stays bit for bit."""
        self._check(picture)
        expected = (self.size, self.size)
        mask = self.mask if mask is None else mask
        if drawn.shape[:2] != expected or mask.shape != expected:
            raise ValueError(f"a frame and a mask of {expected} are pasted, not of {drawn.shape} and {mask.shape}")
        pasted = picture.copy()
        left, top, right, bottom = self._inside()
        if left >= right or top >= bottom:
            return pasted
        region = pasted[top:bottom, left:right]
        if self.corner is not None:
            x, y = self.corner
            frame = np.s_[top - y : bottom - y, left - x : right - x]
            region[:] = blended(region, drawn[frame], mask[frame])
            return pasted
        back = np.asarray(cv2.invertAffineTransform(self.square.matrix(self.size)), np.float64)
        back[:, 2] -= left, top
        extent = (right - left, bottom - top)
        weight = cv2.warpAffine(mask, back, extent, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        above = resampled(drawn, back, extent, cv2.BORDER_REPLICATE)
        region[:] = blended(region, above, np.asarray(weight, np.float32))
        return pasted

    def _inside(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom (exclusive) of the part of the picture that the square touches."""
        width, height = self.picture_size
        if self.corner is not None:
            (x0, y0), (x1, y1) = self.corner, (self.corner[0] + self.size, self.corner[1] + self.size)
        else:
            corners = self.square.corners() + 0.5  # pixel i is from i to i + 1 here
            (x0, y0), (x1, y1) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int)
        return max(int(x0), 0), max(int(y0), 0), min(int(x1), width), min(int(y1), height)

    def _check(self, picture: Picture) -> None:
        height, width = picture.shape[:2]
        if (width, height) != self.picture_size:
            raise ValueError(f"this crop belongs to a picture of {self.picture_size}, and was given {(width, height)}")


def blended(below: Picture, above: Picture, weight: Mask) -> Picture:
    """`below * (1 - weight) + above * weight`, rounded; exactly one of them where the weight is 0 or 1."""
    return np.asarray(cv2.blendLinear(below, above, 1 - weight, weight), np.uint8)


@lru_cache(maxsize=8)
def soft_mask(crop: Crop) -> Mask:
    """See `Crop.mask`. Borders on or beyond the picture's edge have nothing to blend with and stay hard."""
    size = crop.size
    middles = np.arange(size, dtype=np.float32) + 0.5
    rise = smoothstep(middles / (FEATHER * size))
    width, height = crop.picture_size
    (x0, y0), (x1, y1) = crop.square.corners().min(0), crop.square.corners().max(0)
    soft = [crop.square.turn != 0 or reaches for reaches in (x0 > 0, x1 < width - 1, y0 > 0, y1 < height - 1)]
    hard = np.ones_like(rise)
    across = np.minimum(rise if soft[0] else hard, rise[::-1] if soft[1] else hard)
    down = np.minimum(rise if soft[2] else hard, rise[::-1] if soft[3] else hard)
    mask = np.outer(down, across).astype(np.float32)
    where = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).astype(np.float32)
    x, y = np.moveaxis(crop.to_picture(where), -1, 0)
    mask[(x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)] = 0
    mask.setflags(write=False)
    return mask


def smoothstep(x: Mask) -> Mask:
    """0 below 0, 1 above 1, and no edge between them."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def even(length: float) -> int:
    """The nearest even number of pixels, at least 2."""
    return max(2, 2 * round(length / 2))


def inside(middle: float, side: int, length: int) -> int:
    """First pixel of a span of `side` round `middle`, pushed into `length` pixels, or over all of them."""
    first = round(middle - (side - 1) / 2)
    return min(max(first, min(0, length - side)), max(0, length - side))
