"""What the released scripts do to pictures and boxes before anything is drawn, faults included: see `parity`."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.errors import BadOption
from understudy.generator.hints import BLACK

Floats = npt.NDArray[np.float64]

SMALL: Final = 256
"""Sides of the pictures in which X-Portrait's script looks for landmarks."""
SHIFTED: Final = ((43, 48), (37, 42), (49, 68))
"""The landmarks, of 68, whose means its patches are put around: left eye, right eye, mouth; each one too late."""
WHOLE: Final = ((42, 48), (36, 42), (48, 68))
"""The landmarks that are eyes and mouth."""
MOST_FRAMES: Final = 500
RATE: Final = 25
ROOM: Final = 1.1
SMOOTH: Final = 5.0  # frames


# fmt: off
SIXTY_EIGHT: Final = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)
# fmt: on
"""Those of MediaPipe's 478 points that stand for the published 68: jaw, brows, nose, eyes, lips."""


def frames_taken(count: int, *, start: int = 0, out_frames: int = 0, skip: int = 1) -> range:
    """Which of `count` driving frames X-Portrait's script draws: all for 0; for -1, which its own example has, all but
    the last."""
    end = count if out_frames == 0 else start + min(count, out_frames) * skip
    return range(count)[start:end][::skip]


def centres(points: Tensor, side: int, *, shifted: bool) -> Tensor:
    """Where patches go, (n, 3, 2) in pixels of a picture of `side`, from 68 landmarks (n, 68, 2) in one of 256:
    rounded, pushed inside and only then enlarged, so always even. `shifted` as released, or where the parts are."""
    edge = SMALL // 8
    parts = [points[:, first:end].mean(1) for first, end in (SHIFTED if shifted else WHOLE)]
    near = torch.stack(parts, 1).round().clamp(edge, SMALL - 1 - edge)
    return (near * (side / SMALL)).trunc()


def patched(pictures: Tensor, middles: Tensor) -> Tensor:
    """Pictures (n, 3, s, s) in [-1, 1], black but for squares of s/4 around the middles (n, k, 2), their last row and
    column one short of the middle's other side, as slices are."""
    half, shown = pictures.shape[-1] // 8, torch.full_like(pictures, BLACK)
    for one, middle, of in zip(shown, middles.long().tolist(), pictures, strict=True):
        for x, y in middle:
            rows, columns = slice(y - half, y + half), slice(x - half, x + half)
            one[:, rows, columns] = of[:, rows, columns]
    return shown


def landmarks(points: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """68 points (..., 68, 2) in pixels of a picture squeezed to 256x256, from MediaPipe's 478 (..., 478, 2 or 3) in
    pixels of one of that height and width."""
    scale = np.array([SMALL / width, SMALL / height], np.float32)
    return np.asarray((points[..., SIXTY_EIGHT, :2] + 0.5) * scale - 0.5, np.float32)


def squeezed(picture: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.float32]:
    """A picture (h, w, 3) as a square one, in [0, 1], whatever its shape: as scikit-image's `resize` does it, blurred
    where it shrinks, then read between pixels."""
    high, wide = (_reading(length, side) for length in picture.shape[:2])
    return np.asarray(np.einsum("yh,hwc,xw->yxc", high, picture / 255.0, wide, optimize=True), np.float32)


def left_square(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What X-NeMo's script keeps of a driving frame (h, w, 3): as many columns as there are rows, from the left."""
    return picture[:, : picture.shape[0]]


def portrait_square(box: Floats, height: int, width: int) -> tuple[int, int, int, int, int]:
    """The square that X-NeMo's script shows of a portrait whose face is in a box (left, top, right, bottom): left, top,
    right, bottom, in a picture that has been given a black border of the last number; twice as wide as the face."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    across, down = max(0.5, (2 * high - wide) / (2 * wide)), max(0.5, (2 * wide - high) / (2 * high))
    square = [int(left - across * wide), int(top - down * high), int(right + across * wide), int(bottom + down * high)]
    for low, far, length in ((0, 2, width), (1, 3, height)):
        before, after = -square[low], square[far] - length
        if before + after <= 0 and max(before, after) > 0:  # it fits, moved
            shift = before if before > 0 else -after
            square[low], square[far] = square[low] + shift, square[far] + shift
    border = max(-square[0], -square[1], square[2] - width, square[3] - height, 0)
    return square[0] + border, square[1] + border, square[2] + border, square[3] + border, border


def widened(box: Floats, height: int, width: int) -> Floats:
    """A face's box (left, top, right, bottom) as a square of 1.1 times its longer side; as it was where that square
    would leave the picture."""
    middle, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max() * ROOM
    square = np.concatenate([middle - side / 2, middle + side / 2])
    return box if _outside(square, height, width) else square


def driving_boxes(boxes: Floats, height: int, width: int) -> Floats:
    """The squares (f, 4) that X-NeMo's script cuts out of driving frames, from the detector's boxes (f, 4): of the size
    of the first, widened and made even, along the smoothed middles, and pushed inside."""
    if not len(boxes):
        raise BadOption("there is no driving frame", "0 boxes")
    first = widened(boxes[0], height, width)
    size = np.array([round(first[2] - first[0]) // 2 * 2, round(first[3] - first[1]) // 2 * 2], np.float64)
    middles = np.stack([(first[:2] + first[2:]) / 2, *((box[:2] + box[2:]) / 2 for box in boxes[1:])])
    return np.stack([_placed(middle, size, height, width) for middle in smoothed(middles)])


def smoothed(values: Floats) -> Floats:
    """(f, k) under a bell of 5 frames that ends after 4 deviations; beyond its ends a film is mirrored."""
    reach = int(4 * SMOOTH + 0.5)
    away = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 * (away / SMOOTH) ** 2)
    longer = np.pad(values, ((reach, reach), (0, 0)), mode="symmetric")
    each = [np.convolve(column, bell / bell.sum(), mode="valid") for column in longer.T]
    return np.stack(each, 1)


def _placed(middle: Floats, size: Floats, height: int, width: int) -> Floats:
    box = np.concatenate([middle - size / 2, middle + size / 2])
    right = max(-box[0], 0) + min(width - 1 - box[2], 0)
    down = max(-box[1], 0) + min(height - 1 - box[3], 0)
    return np.asarray(box + np.array([right, down, right, down]), np.float64)


def _outside(box: Floats, height: int, width: int) -> bool:
    left, top, right, bottom = box
    return bool(left < 0 or top < 0 or right > width - 1 or bottom > height - 1)


def _reading(length: int, side: int) -> npt.NDArray[np.float64]:
    """(side, length): how much each pixel of a row counts in each pixel of the shorter or longer row."""
    factor = length / side
    at = (np.arange(side) + 0.5) * factor - 0.5
    low = np.floor(at).astype(np.intp)
    read = np.zeros((side, length))
    for offset, share in ((0, 1 - (at - low)), (1, at - low)):
        np.add.at(read, (np.arange(side), _mirrored(low + offset, length)), share)
    deviation = max(0.0, (factor - 1) / 2)
    if deviation == 0:
        return read
    reach = int(4 * deviation + 0.5)
    away = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 * (away / deviation) ** 2)
    blurred = np.zeros((length, length))
    for step, share in zip(away, bell / bell.sum(), strict=True):
        np.add.at(blurred, (np.arange(length), _mirrored(np.arange(length) + step, length)), share)
    return np.asarray(read @ blurred, np.float64)


def _mirrored(index: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """Places beyond the ends of a row, mirrored about the middles of its outermost pixels."""
    if length == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * length - 2)
    return np.asarray(np.where(index < length, index, 2 * length - 2 - index), np.intp)
