"""The warp engine on a made picture with the canonical face laid into it: no face needs to be found."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.face.mesh import EYES, INNER_LOWER, INNER_UPPER, LEFT_EYE, OVAL, RIGHT_EYE, canonical
from understudy.face.pose import PIVOT, Pose, angles_of, fit_pose, rotation_of
from understudy.generator.warp.draw import Target, draw
from understudy.generator.warp.figure import Figure, fill_behind, within
from understudy.generator.warp.raster import PARTS, fine_mesh, paint
from understudy.generator.warp.transfer import (
    YAW,
    Amounts,
    aperture,
    best_frame,
    lip_gap,
    reference_at,
    soft_limit,
    transfer,
)
from understudy.motion.mesh import MotionMesh

SIZE, UNIT = 256, 64.0


def open_face() -> np.ndarray:
    """The canonical face, eyes open and lips just touching."""
    return canonical().points.copy()


def pose_of(angles: tuple[float, float, float] = (0, 0, 0), scale: float = UNIT, frames: int = 1) -> Pose:
    rotation = np.repeat(rotation_of(angles)[None], frames, 0)
    centre = np.array([SIZE / 2, SIZE * 0.42, 0], np.float32)
    return Pose(rotation, np.full(frames, scale, np.float32), np.repeat(centre[None], frames, 0))


def texture(seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(chance.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 2.0)
    return np.clip((noise - 127) * 4 + 127, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def figure() -> Figure:
    points = pose_of().put(open_face())[0]
    person = np.zeros((SIZE, SIZE), np.float32)
    cv2.ellipse(person, (SIZE // 2, SIZE // 2), (70, 100), 0, 0, 360, 1.0, -1)
    return Figure.of(texture(), points, cv2.GaussianBlur(person, (0, 0), 2.0))


def motion_of(shapes: np.ndarray, angles: np.ndarray | None = None) -> MotionMesh:
    """What a driver's camera would see of these shapes (f, 478, 3) under these angles (f, 3)."""
    frames = len(shapes)
    base = pose_of(frames=frames, scale=90.0)
    pose = base if angles is None else Pose(rotation_of(angles), base.scale, base.shift)
    points = pose.put(shapes)
    return MotionMesh(
        np.arange(frames) / 25.0, points, fit_pose(points), np.zeros((frames, 0), np.float32), (),
        np.ones(frames, bool), np.zeros(frames, np.int32), Fraction(25),
    )  # fmt: skip


def at_rest(figure: Figure) -> Target:
    pose = figure.shape.pose
    return Target(figure.points, pose.rotation[0], float(pose.scale[0]), pose.pivot[0], figure.shape.shape)


def turned(figure: Figure, yaw: float, pitch: float = 0.0) -> Target:
    pose = figure.shape.pose
    rotation = rotation_of(pose.angles[0] + np.array([yaw, pitch, 0]))
    points = (figure.shape.shape - PIVOT) @ rotation.T * pose.scale[0] + pose.pivot[0]
    return Target(points.astype(np.float32), rotation, float(pose.scale[0]), pose.pivot[0], figure.shape.shape)


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    error = float(((one.astype(float) - other.astype(float)) ** 2).mean())
    return 10 * np.log10(255**2 / max(error, 1e-9))


def test_angles_are_what_they_are_called() -> None:
    chance = np.random.default_rng(1)
    angles = chance.uniform(-50, 50, (20, 3))
    np.testing.assert_allclose(angles_of(rotation_of(angles)), angles, atol=1e-4)
    nose = np.array([0, 0, -1.0], np.float32)
    assert (rotation_of((20, 0, 0)) @ nose)[0] > 0.3, "yaw turns the nose to the right"
    assert (rotation_of((0, 20, 0)) @ nose)[1] > 0.3, "pitch turns it down"
    assert (rotation_of((0, 0, 20)) @ np.array([1, 0, 0], np.float32))[1] > 0.3, "roll is clockwise"


def test_pose_is_found_again() -> None:
    pose = pose_of((25, -10, 5), scale=77.0)
    found = fit_pose(pose.put(open_face()))
    np.testing.assert_allclose(found.angles, pose.angles, atol=0.05)
    np.testing.assert_allclose(found.scale, pose.scale, rtol=1e-3)
    np.testing.assert_allclose(found.take(found.put(open_face()))[0], open_face(), atol=1e-4)


def test_mirror_pairs_are_an_involution_that_keeps_the_mesh() -> None:
    face = canonical()
    assert (face.mirror[face.mirror] == np.arange(468)).all() if len(face.mirror) == 468 else True
    np.testing.assert_allclose(face.points[face.mirror] * [-1, 1, 1], face.points, atol=1e-4)


def test_fine_mesh_keeps_points_and_plane_pictures() -> None:
    mesh = fine_mesh()
    np.testing.assert_allclose(mesh.refine.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(mesh.refine[:478], np.eye(478, dtype=np.float32))
    linear = np.random.default_rng(0).normal(size=(478, 2)).astype(np.float32) @ np.eye(2, dtype=np.float32)
    np.testing.assert_allclose(mesh.refine @ (linear * 0 + 3), 3, atol=1e-4)


def test_painting_nothing_moved_is_nothing() -> None:
    vertices = fine_mesh().refine @ pose_of().put(open_face())[0]
    away, reached = paint(fine_mesh().whole, vertices, vertices, (0, 0), (SIZE, SIZE), 1.0)
    assert reached.mean() > 0.15
    np.testing.assert_allclose(away, 0, atol=1e-4)


def test_painting_a_shift_is_a_shift_inside() -> None:
    vertices = (fine_mesh().refine @ pose_of().put(open_face())[0]).astype(np.float32)
    moved = vertices + np.array([7, -3, 0], np.float32)
    away, reached = paint(fine_mesh().whole, vertices, moved, (0, 0), (SIZE, SIZE), 1.0)
    np.testing.assert_allclose(away[reached], np.broadcast_to([-7, 3], (int(reached.sum()), 2)), atol=1e-3)


def test_parts_cover_lids_and_lips() -> None:
    for name, points in PARTS.items():
        assert set(points) <= set(fine_mesh().parts[name].ravel().tolist())


def test_at_rest_the_portrait_is_the_portrait(figure: Figure) -> None:
    assert decibels(draw(figure, at_rest(figure)), figure.crop) > 60


def test_background_stays_when_the_head_turns(figure: Figure) -> None:
    drawn = draw(figure, turned(figure, 20))
    far = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(far, (SIZE // 2, SIZE // 2), (112, 126), 0, 0, 360, 1, -1)
    assert decibels(drawn[far == 0], figure.crop[far == 0]) > 50
    assert decibels(drawn[far == 1], figure.crop[far == 1]) < 30, "and the head did turn"


@pytest.mark.parametrize("yaw", [-30, -15, 10, 25])
def test_field_backward_undoes_forward(figure: Figure, yaw: float) -> None:
    target = turned(figure, yaw)
    forward = figure.field.forward(target.points, target.rotation, 1.0, target.pivot)
    back = figure.field.backward(forward)
    x, y = figure.field._at(figure.field.nodes + back)
    there = cv2.remap(forward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = np.linalg.norm(there + back, axis=-1)
    assert np.quantile(off, 0.98) < 1.0, "pixels"
    edge = np.concatenate([forward[0], forward[-1], forward[:, 0], forward[:, -1]])
    assert np.abs(edge).max() < 0.6, "nothing moves at the border of the crop"


def test_mirrored_portrait_and_motion_give_the_mirrored_picture() -> None:
    points = pose_of().put(open_face())[0]
    person = np.ones((SIZE, SIZE), np.float32)
    crop = cv2.GaussianBlur(texture(3), (0, 0), 1.5)  # the mesh is symmetric but for some diagonals
    one = Figure.of(crop, points, person)
    flipped = points[canonical().mirror] * np.array([-1, 1, 1], np.float32) + np.array([SIZE - 1, 0, 0], np.float32)
    other = Figure.of(np.ascontiguousarray(crop[:, ::-1]), flipped.astype(np.float32), person)
    drawn, mirrored = draw(one, turned(one, 12, 5)), draw(other, turned(other, -12, 5))
    middle = np.s_[60:200, 70:186]
    assert decibels(drawn[middle], mirrored[:, ::-1][middle]) > 32


def test_the_reference_frame_changes_nothing(figure: Figure) -> None:
    shapes = np.stack([open_face(), open_face() * [1.02, 0.98, 1]]).astype(np.float32)
    motion = motion_of(shapes, np.array([[3, 4, 5], [10, -6, 2]], float))
    found = transfer(figure.shape, reference_at(motion, 1, 1), motion, Amounts())
    np.testing.assert_allclose(found.points[1], figure.points, atol=0.15)
    assert np.abs(found.points[0] - figure.points).max() > 2


def test_chunked_is_whole(figure: Figure) -> None:
    chance = np.random.default_rng(5)
    shapes = open_face() + chance.normal(0, 0.01, (9, 478, 3)).astype(np.float32)
    motion = motion_of(shapes, chance.uniform(-20, 20, (9, 3)))
    reference = reference_at(motion, 0, 0)
    whole = transfer(figure.shape, reference, motion, Amounts()).points
    parts = [transfer(figure.shape, reference, motion_slice(motion, k, k + 3), Amounts()).points for k in (0, 3, 6)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


def motion_slice(motion: MotionMesh, start: int, stop: int) -> MotionMesh:
    part = slice(start, stop)
    return replace(
        motion, times=motion.times[part], points=motion.points[part], pose=motion.pose[part],
        curves=motion.curves[part], seen=motion.seen[part], shots=motion.shots[part],
    )  # fmt: skip


def test_shut_is_shut_and_lips_part(figure: Figure) -> None:
    rest, shut, gaping = open_face(), open_face(), open_face()
    for eye in EYES.values():
        shut[list(eye.upper[1:-1])] = shut[list(eye.lower[1:-1])]
    gaping[list(INNER_LOWER[1:-1]), 1] += 0.25
    motion = motion_of(np.stack([rest, shut, gaping]))
    found = transfer(figure.shape, reference_at(motion, 0, 0), motion, Amounts())
    for eye in (LEFT_EYE, RIGHT_EYE):
        assert aperture(found.shape[1], eye) < 0.02 < 0.1 < aperture(found.shape[2], eye)
    assert lip_gap(found.shape[2]) > lip_gap(found.shape[0]) + 0.15


def test_lips_do_not_pass_through_each_other(figure: Figure) -> None:
    pressed = open_face()
    pressed[list(INNER_LOWER[1:-1]), 1] -= 0.2
    motion = motion_of(np.stack([open_face(), pressed]))
    found = transfer(figure.shape, reference_at(motion, 0, 0), motion, Amounts()).shape[1]
    gaps = found[list(INNER_LOWER[1:-1]), 1] - found[list(INNER_UPPER[1:-1]), 1]
    assert gaps.min() > -0.03


def test_amounts_choose_regions(figure: Figure) -> None:
    gaping = open_face()
    gaping[list(INNER_LOWER[1:-1]), 1] += 0.2
    motion = motion_of(np.stack([open_face(), gaping]), np.array([[0, 0, 0], [15, 0, 0]], float))
    reference = reference_at(motion, 0, 0)
    only_pose = transfer(figure.shape, reference, motion, Amounts(mouth=0, eyes=0, brows=0, rest=0))
    only_mouth = transfer(figure.shape, reference, motion, Amounts(eyes=0, brows=0, rest=0, pose=0))
    assert lip_gap(only_pose.shape[1]) == pytest.approx(float(lip_gap(figure.shape.shape)), abs=1e-3)
    assert lip_gap(only_mouth.shape[1]) > 0.1
    np.testing.assert_allclose(only_mouth.rotation[1], figure.shape.pose.rotation[0], atol=1e-4)
    assert angles_of(only_pose.rotation[1])[0] > 10


def test_large_turns_are_softly_limited_and_counted(figure: Figure) -> None:
    angles = np.array([[0, 0, 0], [20, 0, 0], [70, 0, 0]], float)
    motion = motion_of(np.repeat(open_face()[None], 3, 0), angles)
    found = transfer(figure.shape, reference_at(motion, 0, 0), motion, Amounts())
    yaw = angles_of(found.rotation)[:, 0]
    assert yaw[0] < yaw[1] < yaw[2] <= YAW + 0.5
    assert found.limited == 1


def test_soft_limit_is_odd_monotone_and_bounded() -> None:
    values = np.linspace(-100, 100, 401)
    limited = soft_limit(values, 30.0)
    np.testing.assert_allclose(limited, -limited[::-1], atol=1e-9)
    assert (np.diff(limited) >= 0).all()
    assert np.abs(limited).max() <= 30
    np.testing.assert_allclose(soft_limit(values[np.abs(values) < 18], 30.0), values[np.abs(values) < 18])


def test_best_frame_is_the_one_like_the_portrait(figure: Figure) -> None:
    gaping, shut = open_face(), open_face()
    gaping[list(INNER_LOWER[1:-1]), 1] += 0.3
    for eye in EYES.values():
        shut[list(eye.upper[1:-1])] = shut[list(eye.lower[1:-1])]
    motion = motion_of(np.stack([gaping, shut, open_face(), gaping]))
    whole = best_frame([motion], figure.shape)
    parts = best_frame([motion_slice(motion, 0, 2), motion_slice(motion, 2, 4)], figure.shape)
    assert whole is not None and parts is not None
    assert whole.frame == parts.frame == 2
    unseen = replace(motion, seen=np.zeros(4, bool))
    assert best_frame([unseen], figure.shape) is None


def test_background_is_filled_from_what_is_known() -> None:
    crop = np.full((64, 64, 3), 200, np.uint8)
    person = np.zeros((64, 64), np.float32)
    person[16:48, 16:48] = 1
    crop[16:48, 16:48] = 10
    assert np.abs(fill_behind(crop, person).astype(int) - 200).max() <= 2


def test_points_beside_the_person_are_brought_back() -> None:
    person = np.zeros((SIZE, SIZE), np.float32)
    person[:, : SIZE // 2] = 1
    points = pose_of().put(open_face())[0]
    moved = within(points, person)
    inside = points[:, 0] < SIZE / 2 - 2
    np.testing.assert_array_equal(moved[inside], points[inside])
    just_beside = (points[:, 0] > SIZE / 2 + 1) & (points[:, 0] < SIZE / 2 + 8)
    assert (moved[just_beside, 0] <= SIZE / 2).all()


def test_a_shut_outline_has_no_holes(figure: Figure) -> None:
    """Turned far, every pixel within the face's outline comes from somewhere in the person."""
    drawn = draw(figure, turned(figure, 28, 10))
    assert drawn.shape == figure.crop.shape and drawn.dtype == np.uint8
    outline = turned(figure, 28, 10).points[list(OVAL), :2]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    assert drawn[mask > 0].std() > 20
