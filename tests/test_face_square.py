"""Squares of pictures: there and back, and cuts that neither shift nor shimmer."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.face.square import Picture, Square

squares = st.builds(
    Square,
    st.floats(-50, 300),
    st.floats(-50, 300),
    st.floats(5, 600),
    st.floats(-math.pi, math.pi),
)


def ramps(height: int = 200, width: int = 240) -> Picture:
    """A picture whose colour says where one is: red is x, green is y."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.full_like(x, 77)], axis=-1).astype(np.uint8)


def noise(height: int, width: int) -> Picture:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(squares, st.integers(1, 700))
def test_points_come_back(square: Square, size: int) -> None:
    points = np.array([[0, 0, 0], [120, 30, -40], [17.25, 260, 90]], np.float32)
    back = square.to_picture(square.to_frame(points, size), size)
    assert np.abs(back - points).max() < 1e-2


@given(squares, st.integers(2, 300))
def test_nothing_is_squashed(square: Square, size: int) -> None:
    points = np.array([[10, 20, 0], [13, 24, 12], [5, 20, -1]], np.float32)
    there = square.to_frame(points, size)
    scale = size / square.side
    for one, other in ((0, 1), (0, 2), (1, 2)):
        before, after = (float(np.linalg.norm(p[one] - p[other])) for p in (points, there))
        assert after == pytest.approx(before * scale, rel=1e-3, abs=1e-3)


def test_whole_pixels_are_copied() -> None:
    picture = noise(90, 120)
    left, top, side = 31, 12, 40
    square = Square(left + (side - 1) / 2, top + (side - 1) / 2, side)
    assert np.array_equal(square.cut(picture, side), picture[top : top + side, left : left + side])


def test_corners_are_the_outer_edges_of_pixels() -> None:
    square = Square(9.5, 9.5, 20)
    assert square.corners().tolist() == [[-0.5, -0.5], [19.5, -0.5], [19.5, 19.5], [-0.5, 19.5]]


@pytest.mark.parametrize("turn", [0.0, 0.3, -1.2, math.pi])
@pytest.mark.parametrize("size", [16, 40, 100, 230])
def test_a_cut_shows_things_where_their_points_are(turn: float, size: int) -> None:
    """Enlarged, shrunk, shrunk by blocks; turned or not: a blob's centre of gravity is where its point is."""
    y, x = np.mgrid[0:200, 0:240]
    blob = np.array([104.3, 88.6], np.float32)
    light = 255 * np.exp(-0.5 * ((x - blob[0]) ** 2 + (y - blob[1]) ** 2) / 7**2)
    square = Square(118.3, 97.8, 100, turn)
    cut = square.cut(np.repeat(light[..., None], 3, 2).round().astype(np.uint8), size)[..., 0].astype(float)
    rows, columns = np.mgrid[0:size, 0:size]
    seen = np.array([(columns * cut).sum(), (rows * cut).sum()]) / cut.sum()
    assert np.abs(seen - square.to_frame(blob, size)).max() < 0.05 * max(1, size / 100)


def test_a_turned_square_turns_the_picture_upright() -> None:
    picture = ramps()
    clockwise = Square(100, 100, 60, math.pi / 2).cut(picture, 60).astype(int)
    assert clockwise[30, 50, 1] > clockwise[30, 10, 1], "its right is the picture's bottom"


def test_shrinking_takes_means() -> None:
    """A chequerboard of single pixels becomes grey, not stripes."""
    board = np.indices((256, 256)).sum(0) % 2 * 255
    small = Square(127.5, 127.5, 256).cut(np.repeat(board[..., None], 3, 2).astype(np.uint8), 64)
    assert np.abs(small.astype(int) - 127.5).max() < 2


def test_a_gliding_square_sees_no_shimmer() -> None:
    """The same place of a noisy picture looks the same from squares that lie a little apart."""
    picture = np.asarray(cv2.GaussianBlur(noise(400, 400), (0, 0), 1.0), np.uint8)
    one = Square(200, 200, 300).cut(picture, 75).astype(np.float32)
    other = Square(204, 200, 300).cut(picture, 75).astype(np.float32)  # one pixel of the frame, four of the picture
    assert np.abs(one[:, 1:] - other[:, :-1])[:, 2:-2].max() <= 1


def test_beyond_the_picture_its_border_goes_on() -> None:
    picture = ramps()
    cut = Square(0, 0, 80).cut(picture, 80)
    assert (cut[:40, :40] == picture[0, 0]).all()
    black = Square(-500, -500, 80).cut(picture, 20, cv2.BORDER_CONSTANT)
    assert not black.any()


def test_shrinking_far_outside_works() -> None:
    for x, y in ((-900, 50), (900, 50), (50, -900), (50, 900)):
        cut: npt.NDArray[np.uint8] = Square(x, y, 500).cut(ramps(), 50)
        assert cut.shape == (50, 50, 3)
