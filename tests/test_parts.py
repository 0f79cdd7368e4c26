"""Where the parts of a face are, and how alike two faces are."""

from __future__ import annotations

import numpy as np
import pytest

from understudy.face import mesh
from understudy.face.find import Face
from understudy.face.framing import LOW, SHARE, SIDE, framed
from understudy.face.mesh import canonical
from understudy.face.parts import FEATURES, JAW, OUTLINE, centres, likeness, outline, unlikeness
from understudy.face.pose import Pose, rotation_of


def face(yaw: float = 0.0, scale: float = 80.0, at: tuple[float, float] = (128.0, 110.0)) -> mesh.Floats:
    """The canonical face somewhere in a picture, (478, 3)."""
    pose = Pose(rotation_of(np.array([[yaw, 0, 0]])), np.array([scale], np.float32), np.array([[*at, 0]], np.float32))
    return pose.put(canonical().points)[0]


def test_centres_lie_within_what_they_are_centres_of() -> None:
    points = face()
    right, left, mouth = centres(points)
    for eye, middle in ((mesh.RIGHT_EYE, right), (mesh.LEFT_EYE, left)):
        lids = points[[*eye.upper, *eye.lower], :2]
        assert (lids.min(0) < middle).all() and (middle < lids.max(0)).all()
    assert right[0] < left[0], "the person's right eye is on the picture's left"
    lips = points[[*mesh.OUTER_UPPER, *mesh.OUTER_LOWER], :2]
    assert (lips.min(0) < mouth).all() and (mouth < lips.max(0)).all()
    assert mouth[1] > max(right[1], left[1])


def test_centres_of_many_frames_are_those_of_each() -> None:
    frames = np.stack([face(yaw) for yaw in (-20, 0, 30)])
    np.testing.assert_allclose(centres(frames)[2], centres(frames[2]))
    assert centres(frames[..., :2]).shape == (3, 3, 2)


def test_outlines_are_symmetrical_and_leave_the_forehead_out() -> None:
    swap = canonical().mirror
    for part in (JAW, OUTLINE, FEATURES):
        assert {int(swap[point]) for point in part} == set(part)
        assert len(set(part)) == len(part)
    points = face()
    assert mesh.FOREHEAD not in OUTLINE and outline(points)[:, 1].min() > points[mesh.FOREHEAD, 1] + 10
    assert outline(points)[:, 1].max() == pytest.approx(points[mesh.CHIN, 1])


def test_size_and_place_do_not_count_and_what_a_face_does_does() -> None:
    here, there = face(), face(scale=33.0, at=(40.0, 70.0))
    assert unlikeness(here, there) == pytest.approx(0, abs=1e-5)
    wide = here * np.array([1.3, 1, 1], np.float32)
    assert unlikeness(here, wide) == pytest.approx(0, abs=1e-5), "a map with a scale for each axis mends that"
    turned = [float(unlikeness(face(yaw), here)) for yaw in (0, 10, 20, 40)]
    assert turned == sorted(turned) and turned[1] > 0.005
    opened = here.copy()
    opened[list(mesh.INNER_LOWER), 1] += 12
    assert unlikeness(opened, here) > 0.005
    assert likeness(np.stack([here, there])).shape == (2, len(FEATURES), 2)


def test_pictures_framed_as_the_casts_are_taken_whole() -> None:
    points = face(scale=87.0)
    tall = float(np.ptp(points[:, 1]))
    side = tall / SHARE
    points[:, :2] += [side / 2, side * LOW] - (points[:, :2].max(0) + points[:, :2].min(0)) / 2
    size = (round(side), round(side))
    crop = framed(Face(points), size)
    assert crop.square.side == size[0] and crop.size == SIDE
    picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    assert np.array_equal(framed(Face(points * (256 / side)), (256, 256)).cut(picture), picture), "copied"


def test_other_pictures_are_cut_to_show_faces_as_large() -> None:
    points = face(scale=60.0, at=(300.0, 200.0))
    crop = framed(Face(points), (1280, 720))
    assert Face(points).size / crop.square.side == pytest.approx(SHARE, rel=0.02)
    small = framed(Face(face(scale=20.0, at=(100.0, 100.0))), (256, 256))
    assert small.square.side < 200, "a square picture with a small face is not taken whole"
