"""Crops: the square that is drawn, and the way back into the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.face.crop import Crop, even, inside
from understudy.face.find import Face
from understudy.face.square import Picture, Square

WIDTH, HEIGHT = 320, 200
SIZE = (WIDTH, HEIGHT)


def noise(height: int = HEIGHT, width: int = WIDTH, seed: int = 1) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth() -> Picture:
    """Nothing in it is finer than some ten pixels."""
    blurred = cv2.GaussianBlur(noise().astype(np.float32), (0, 0), 10)
    low, high = blurred.min(), blurred.max()
    return np.asarray((blurred - low) / (high - low) * 255, np.uint8)


def face(x: float = 160, y: float = 100, size: float = 60, roll: float = 0.0) -> Face:
    """An ellipse of points with its eyes level, or turned."""
    angle = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    points = np.stack([0.4 * np.cos(angle), 0.5 * np.sin(angle), 0 * angle], axis=-1) * size
    points[33], points[263] = (-0.25 * size, -0.1 * size, 0), (0.25 * size, -0.1 * size, 0)
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    points[:, :2] = points[:, :2] @ turn.T
    return Face((points + np.array([x, y, 0])).astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(st.floats(-30, 350), st.floats(-30, 230), st.floats(4, 150), st.floats(0, 2))
def test_an_unchanged_cut_comes_back_bit_for_bit(x: float, y: float, size: float, margin: float) -> None:
    picture = noise()
    crop = Crop.around(face(x, y, size), SIZE, margin)
    assert crop.corner is not None
    assert np.array_equal(crop.paste(picture, crop.cut(picture)), picture)


@settings(max_examples=40, deadline=None)
@given(st.floats(-30, 350), st.floats(-30, 230), st.floats(4, 150), st.booleans(), st.sampled_from([None, 32, 256]))
def test_pixels_outside_the_square_stay(x: float, y: float, size: float, upright: bool, pixels: int | None) -> None:
    picture = noise()
    crop = Crop.around(face(x, y, size, roll=0.3), SIZE, 0.5, pixels, upright)
    drawn = noise(crop.size, crop.size, seed=2)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    places = crop.to_frame(np.stack([columns, rows], axis=-1).astype(np.float32))
    outside = ((places < -1) | (places > crop.size)).any(-1)
    assert np.array_equal(crop.paste(picture, drawn)[outside], picture[outside])


def test_pixels_outside_a_given_mask_stay_bit_for_bit() -> None:
    picture = noise()
    crop = Crop.around(face(), SIZE)
    mask = np.zeros((crop.size, crop.size), np.float32)
    mask[20:50, 30:60] = 1
    drawn = noise(crop.size, crop.size, seed=2)
    assert crop.corner is not None
    left, top = crop.corner
    expected = picture.copy()
    expected[top + 20 : top + 50, left + 30 : left + 60] = drawn[20:50, 30:60]
    assert np.array_equal(crop.paste(picture, drawn, mask), expected)


@pytest.mark.parametrize("kind", [{"size": 256}, {"size": 90}, {"upright": True}, {"upright": True, "size": 300}])
def test_other_cuts_come_back_within_one(kind: dict[str, int | bool]) -> None:
    """Enlarged, shrunk and turned, as far as the picture has nothing finer than the frame's pixels."""
    picture = smooth()
    crop = Crop.around(face(roll=0.4), SIZE, 0.5, **kind)  # type: ignore[arg-type]
    assert crop.corner is None
    back = crop.paste(picture, crop.cut(picture))
    assert np.abs(back.astype(int) - picture).max() <= 1


def test_the_mask_rises_softly_from_borders_inside_the_picture() -> None:
    mask = Crop.around(face(), SIZE, 0.5).mask
    assert mask.dtype == np.float32 and mask.min() >= 0 and mask.max() == 1
    for border in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert border.max() < 0.05
    assert np.abs(np.diff(mask, axis=0)).max() < 0.25 and np.abs(np.diff(mask, axis=1)).max() < 0.25
    middle = len(mask) // 2
    assert mask[middle, middle] == 1
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = 1


def test_the_mask_is_hard_at_the_pictures_own_edge_and_nothing_beyond() -> None:
    crop = Crop.around(face(160, 100, 110), SIZE, 0.8)  # higher than the picture
    mask = crop.mask
    assert crop.corner is not None
    top = crop.corner[1]
    assert crop.size > HEIGHT and top < 0
    assert not mask[:-top].any() and not mask[HEIGHT - top :].any()
    column = mask[:, crop.size // 2]
    assert (column[-top : HEIGHT - top] == 1).all(), "nothing to blend with at the top and the bottom"


def test_what_is_pasted_goes_over_into_the_picture_without_a_step() -> None:
    """Something brighter all over leaves no edge that one could see."""
    picture = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    crop = Crop.around(face(), SIZE, 0.5)
    pasted = crop.paste(picture, crop.cut(picture) + 60).astype(int)
    assert pasted[100, 160, 0] == 160
    for axis in (0, 1):
        assert np.abs(np.diff(pasted, axis=axis)).max() <= 60 * 0.2


def test_it_is_a_square_that_stays_inside_where_it_can() -> None:
    crop = Crop.around(face(20, 100, 60), SIZE, 0.5)
    assert crop.corner is not None
    left, top = crop.corner
    assert left == 0 and top >= 0 and crop.size == 120, "pushed in from the left edge"
    large = Crop.around(face(160, 100, 150), SIZE, 2)
    assert large.size == WIDTH, "no larger than the picture's longer side"
    assert large.corner is not None and large.corner[0] == 0 and large.corner[1] + large.size >= HEIGHT


def test_the_face_has_its_margin_and_its_eyes_level() -> None:
    one = face(150, 90, 50, roll=0.35)
    crop = Crop.around(one, SIZE, 0.5, 128, upright=True)
    there = Face(crop.to_frame(one.points))
    assert abs(there.roll) < 1e-3
    x0, y0, x1, y1 = there.box
    assert min(x0, y0) > 20 and max(x1, y1) < 108, "about a quarter of the frame on each side"
    assert np.abs(crop.to_picture(there.points) - one.points).max() < 1e-3


def test_a_circle_stays_a_circle() -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    cv2.circle(picture, (160, 100), 30, (255, 255, 255), -1)
    cut = Crop.around(face(), SIZE, 0.5, 250).cut(picture)
    ys, xs = np.nonzero(cut[..., 0] > 127)
    assert abs(np.ptp(xs) - np.ptp(ys)) <= 1


def test_wrong_sizes_are_refused() -> None:
    crop = Crop.around(face(), SIZE)
    with pytest.raises(ValueError, match="belongs to a picture of"):
        crop.cut(noise(100, 100))
    with pytest.raises(ValueError, match="a frame and a mask of"):
        crop.paste(noise(), noise(10, 10))


def test_crops_are_values() -> None:
    assert Crop(Square(1, 2, 3), 4, (5, 6)) == Crop(Square(1, 2, 3), 4, (5, 6))
    assert Crop.around(face(), SIZE) == Crop.around(face(), SIZE)


@pytest.mark.parametrize(("middle", "side", "length", "first"), [(50, 20, 100, 40), (3, 20, 100, 0), (99, 20, 100, 80)])
def test_spans_are_pushed_inside(middle: float, side: int, length: int, first: int) -> None:
    assert inside(middle, side, length) == first or abs(inside(middle, side, length) - first) <= 1
    assert even(7.2) == 8 and even(0.1) == 2


def test_pasting_touches_nothing_that_was_given() -> None:
    picture, mask = noise(), None
    before = picture.copy()
    crop = Crop.around(face(), SIZE)
    drawn: npt.NDArray[np.uint8] = np.zeros((crop.size, crop.size, 3), np.uint8)
    crop.paste(picture, drawn, mask)
    assert np.array_equal(picture, before)
