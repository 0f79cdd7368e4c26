"""The rig: exact symmetry, lids that close, mouths in proportion, and the way there and back."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from faces import K, mixes, one, performance, poses, somebody

from understudy.face.arkit import ABSENT, ARKIT_NAMES, CARRIED, LOWER_LIP, UPPER_LIP
from understudy.face.mesh import EYES, LEFT_EYE, RIGHT_EYE, canonical
from understudy.face.neutral import Neutral, neutral_shape
from understudy.face.rig import UPPER, Rig
from understudy.face.skin import spread

Array = npt.NDArray[Any]
MIRROR = np.array([-1, 1, 1], np.float32)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig.canonical()


def apart(rig: Rig, coefficients: Array) -> float:
    """The farthest that any point of any frame is from where it was, after there and back; eye units."""
    shapes = rig.shapes(coefficients)
    return float(np.linalg.norm(rig.shapes(rig.read(shapes)) - shapes, axis=-1).max())


def test_every_coefficient_is_carried_or_has_a_reason_not_to_be() -> None:
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert ARKIT_NAMES[0] == "eyeBlinkLeft" and ARKIT_NAMES[17] == "jawOpen" and ARKIT_NAMES[-1] == "tongueOut"
    assert set(CARRIED) | set(ABSENT) == set(ARKIT_NAMES) and not set(CARRIED) & set(ABSENT)
    assert [name for name in ARKIT_NAMES if name in CARRIED] == list(CARRIED)
    assert all(len(reason) > 5 for reason in ABSENT.values())


def test_left_is_exactly_the_mirror_image_of_right(rig: Rig) -> None:
    swap = canonical().mirror
    for name, move in zip(CARRIED, rig.basis, strict=True):
        other = name.replace("Left", "#").replace("Right", "Left").replace("#", "Right")
        assert np.array_equal(move[swap] * MIRROR, rig.basis[CARRIED.index(other)]), name


def test_a_mirrored_face_has_mirrored_shapes() -> None:
    face, swap = somebody(5), canonical().mirror
    own, other = Rig.fit(face), Rig.fit(face[swap] * MIRROR)
    smile, twin = CARRIED.index("mouthSmileLeft"), CARRIED.index("mouthSmileRight")
    assert np.allclose(own.basis[smile][swap] * MIRROR, other.basis[twin], atol=1e-6)


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_a_blink_closes_exactly_that_faces_lids(seed: int | None) -> None:
    rig = Rig.fit(canonical().points if seed is None else somebody(seed))
    shut, half = rig.shapes(one(eyeBlink=1))[0], rig.shapes(one(eyeBlink=0.5))[0]
    for eye in EYES.values():
        assert np.abs(shut[list(eye.upper)] - shut[list(eye.lower)]).max() < 1e-5
        gap = np.linalg.norm(rig.shape[list(eye.upper)] - rig.shape[list(eye.lower)], axis=1)
        assert np.allclose(np.linalg.norm(half[list(eye.upper)] - half[list(eye.lower)], axis=1), gap / 2, atol=1e-5)


def test_a_wink_is_on_one_side(rig: Rig) -> None:
    moved = np.abs(rig.shapes(one(eyeBlinkLeft=1))[0] - rig.shape).max(axis=1)
    assert moved[list(LEFT_EYE.upper[2:7])].min() > 0.05 and moved[list(RIGHT_EYE.upper)].max() == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_jaw_opens_in_proportion_and_lips_can_stay_shut_over_it(seed: int) -> None:
    rig = Rig.fit(somebody(seed))
    opened, over = rig.shapes(one(jawOpen=1))[0], rig.shapes(one(jawOpen=1, mouthClose=1))[0]
    face = np.linalg.norm(rig.shape[2] - rig.shape[152])
    assert 0.45 < (opened[14, 1] - opened[13, 1]) / face < 0.65
    assert (opened[152, 1] - rig.shape[152, 1]) / face > 0.25
    upper, lower = over[list(UPPER_LIP[3][1:-1])], over[list(LOWER_LIP[3][1:-1])]
    assert np.abs(upper - lower).max() < 1e-4
    assert over[152, 1] == pytest.approx(opened[152, 1], abs=1e-3)


def test_directions_are_the_persons_own(rig: Rig) -> None:
    """x is to the picture's right, which is the person's left; y is down."""

    def moved(point: int, **values: float) -> Array:
        place: Array = (rig.shapes(one(**values))[0] - rig.shape)[point]
        return place

    left, right = LEFT_EYE.iris[0], RIGHT_EYE.iris[0]
    assert moved(left, eyeLookOutLeft=1)[0] > 0.05 and moved(left, eyeLookInLeft=1)[0] < -0.05
    assert moved(right, eyeLookOutRight=1)[0] < -0.05 and moved(right, eyeLookInRight=1)[0] > 0.05
    assert moved(left, eyeLookUpLeft=1)[1] < -0.05 and moved(left, eyeLookDownLeft=1)[1] > 0.05
    assert moved(386, eyeLookDownLeft=1)[1] > 0.02, "the upper lid follows"
    assert moved(291, mouthSmileLeft=1)[0] > 0.05 and moved(291, mouthSmileLeft=1)[1] < -0.05
    assert moved(280, mouthSmileLeft=1)[1] < -0.01, "the cheek rises"
    assert moved(61, mouthSmileLeft=1)[0] == pytest.approx(0, abs=0.005)
    assert moved(291, mouthFrownLeft=1)[1] > 0.05 and moved(291, mouthStretchLeft=1)[0] > 0.05
    assert moved(17, jawLeft=1)[0] > 0.05 and moved(0, jawLeft=1)[0] == pytest.approx(0, abs=0.01)
    assert moved(0, mouthRight=1)[0] < -0.05
    assert moved(55, browInnerUp=1)[1] < -0.05 and moved(300, browOuterUpLeft=1)[1] < -0.05
    assert moved(285, browDownLeft=1)[1] > 0.03 and moved(285, browDownLeft=1)[0] < 0
    assert moved(0, mouthPucker=1)[2] < -0.02 and moved(291, mouthPucker=1)[0] < -0.05


def test_shapes_are_smooth(rig: Rig) -> None:
    """No point leaves its neighbours behind, and no patch of skin folds back on itself."""
    triangles = canonical().triangles
    edges = np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    length = np.linalg.norm(rig.shape[edges[:, 0]] - rig.shape[edges[:, 1]], axis=1)

    def normals(shape: Array) -> tuple[Array, Array]:
        a, b, c = (shape[triangles[:, i]] for i in range(3))
        normal = np.cross(b - a, c - a)
        size = np.linalg.norm(normal, axis=1)
        return normal / np.maximum(size, 1e-9)[:, None], size

    before, area = normals(rig.shape)
    for name, move in zip(CARRIED, rig.basis, strict=True):
        strain = np.linalg.norm(move[edges[:, 0]] - move[edges[:, 1]], axis=1) / (length + 0.05)
        assert strain.max() < 1.6, name
        after, now = normals(rig.shapes(one(**{name: 1.0}))[0])
        folded = ((before * after).sum(1) < -0.2) & (np.minimum(area, now) > 3e-4)
        assert not folded.any(), (name, triangles[folded])


def test_lids_and_lips_do_not_pass_through_each_other() -> None:
    rig = Rig.fit(somebody(1))
    shapes = rig.shapes(mixes(0, 200, 0.7))
    pairs = [(a, b) for eye in EYES.values() for a, b in zip(eye.upper[1:-1], eye.lower[1:-1], strict=True)]
    pairs += list(zip(UPPER_LIP[3][1:-1], LOWER_LIP[3][1:-1], strict=True))
    upper, lower = np.array(pairs).T
    at_rest = np.minimum(rig.shape[lower, 1] - rig.shape[upper, 1], 0)
    assert (shapes[:, lower, 1] - shapes[:, upper, 1] >= at_rest - 1e-5).all()


def test_rest_is_rest(rig: Rig) -> None:
    assert np.array_equal(rig.shapes(np.zeros((3, K)))[1], rig.shape)
    assert rig.read(rig.shape[None]).max() == 0
    assert rig.shapes(np.zeros((0, K))).shape == (0, 478, 3) and rig.read(rig.shape[:0].reshape(0, 478, 3)).shape == (
        0,
        K,
    )


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3, 4])
def test_there_and_back_within_three_percent_of_the_eye_distance(seed: int | None) -> None:
    rig = Rig.fit(canonical().points if seed is None else somebody(seed))
    assert apart(rig, np.eye(K, dtype=np.float32)) < 0.006
    for share, limit in ((0.1, 0.025), (0.4, 0.03), (1.0, 0.03)):
        assert apart(rig, mixes(seed or 7, 96, share)) < limit, share


def test_sparse_coefficients_come_back_as_they_were(rig: Rig) -> None:
    single = np.eye(K, dtype=np.float32) * 0.7
    single[CARRIED.index("mouthClose")] = one(jawOpen=0.8, mouthClose=0.6)[0]
    back = rig.read(rig.shapes(single))
    assert np.abs(back - single).max() < 0.06
    wanted = mixes(3, 128, 0.1)
    for pair in (("eyeLookUp", "eyeLookDown"), ("eyeLookIn", "eyeLookOut"), ("mouthSmile", "mouthFrown")):
        for side in ("Left", "Right"):  # nobody does both
            a, b = (CARRIED.index(kind + side) for kind in pair)
            wanted[:, b] *= wanted[:, a] == 0
    wanted[:, CARRIED.index("mouthClose")] = 0
    assert np.abs(rig.read(rig.shapes(wanted)) - wanted).mean() < 0.01


@pytest.mark.parametrize("seed", range(2))
def test_there_and_back_in_pixels_under_any_pose(seed: int) -> None:
    face = somebody(seed)
    rig, moving = Rig.fit(face), poses(seed, 64)
    points = rig.points(mixes(seed, 64, 0.3), moving)
    found, pose = rig.track(points)
    off = np.linalg.norm(rig.points(found, pose) - points, axis=-1) / moving.scale[:, None]
    assert off.max() < 0.03
    assert np.abs(pose.angles - moving.angles).max() < 0.5, "brows that rise are not a nod"


def test_a_trackers_noise_stays_small(rig: Rig) -> None:
    wanted = mixes(11, 128, 0.1)
    chance = np.random.default_rng(0)
    noisy = rig.shapes(wanted) + chance.normal(0, 0.003, (128, 478, 3)).astype(np.float32)
    found = rig.read(noisy)
    assert found.min() >= 0 and found.max() <= UPPER
    assert np.abs(found - wanted).mean() < 0.03
    idle = rig.read(rig.shape + chance.normal(0, 0.002, (64, 478, 3)).astype(np.float32))
    assert idle.mean() < 0.02 and np.quantile(idle, 0.99) < 0.15


def test_opposites_are_not_both_found(rig: Rig) -> None:
    both = rig.shapes(one(eyeLookUpLeft=0.9, eyeLookDownLeft=0.4, eyeLookInRight=0.2, eyeLookOutRight=0.8, jawLeft=0.5))
    found = dict(zip(CARRIED, rig.read(both)[0], strict=True))
    assert found["eyeLookUpLeft"] == pytest.approx(0.5, abs=0.05) and found["eyeLookDownLeft"] < 0.05
    assert found["eyeLookOutRight"] == pytest.approx(0.6, abs=0.05) and found["eyeLookInRight"] < 0.05
    assert found["jawLeft"] == pytest.approx(0.5, abs=0.05) and found["jawRight"] == 0


def test_a_frame_does_not_depend_on_the_others_to_the_last_bit(rig: Rig) -> None:
    points = rig.points(mixes(2, 70, 0.3), poses(1, 70))
    found, pose = rig.track(points)
    assert rig.read(points[:0]).shape == (0, found.shape[1])
    for size in (1, 9, 32):
        parts = [rig.track(points[first : first + size]) for first in range(0, 70, size)]
        assert np.array_equal(np.concatenate([part[0] for part in parts]), found)
        assert np.array_equal(np.concatenate([part[1].rotation for part in parts]), pose.rotation)


def test_it_is_quick(rig: Rig) -> None:
    shapes = rig.shapes(mixes(2, 256, 0.3))
    rig.read(shapes[:1])
    start = time.process_time()
    rig.read(shapes)
    assert 256 / (time.process_time() - start) > 400, "frames a second of one core; thousands on an idle machine"


def test_what_spreads_takes_the_handles_with_it_and_dies_out() -> None:
    moves = {61: np.array([0.1, 0, 0]), 291: np.array([0, 0.1, 0])}
    field = spread(moves, 0.2, hold=(2,))
    assert np.array_equal(field[61], moves[61]) and np.array_equal(field[291], moves[291])
    assert np.array_equal(field[[2, 10, 33, 468]], np.zeros((4, 3)))
    near = np.linalg.norm(field[[57, 287]], axis=1)
    assert (near > 0.02).all() and (near < 0.15).all()


# --- faces at rest --------------------------------------------------------------------------------------------------


def aligned(shape: Array, truth: Array) -> float:
    """The mean distance of two faces at rest, after the pose between them is taken away; eye units."""
    from understudy.face.pose import fit_pose

    return float(np.linalg.norm(fit_pose(shape[None], truth).take(shape[None])[0] - truth, axis=-1).mean())


@pytest.mark.parametrize("seed", range(3))
def test_the_face_at_rest_is_found_in_a_performance(seed: int) -> None:
    face = somebody(seed)
    for eye in EYES.values():  # this person looks ahead as the canonical face does
        face[list(eye.iris)] += (canonical().points - face)[list(eye.iris)].mean(0) * (0, 0, 1)
    motion = performance(seed, 200, face=face)
    found = neutral_shape(motion.points)
    assert aligned(found, face) < 0.03
    curves = Rig.fit(found).coefficients(motion.points)
    jaw = CARRIED.index("jawOpen")
    assert np.corrcoef(curves[:, jaw], motion.curves[:, jaw])[0, 1] > 0.95


def test_a_mouth_that_never_shuts_and_eyes_that_never_open_are_put_right(rig: Rig) -> None:
    points = rig.points(np.repeat(one(jawOpen=0.4, eyeBlink=1), 5, axis=0), poses(0, 5))
    found = neutral_shape(points)
    assert found[14, 1] - found[13, 1] < 0.03
    for eye in EYES.values():
        assert found[eye.lower[4], 1] - found[eye.upper[4], 1] > 0.06
    curves = Rig.fit(found).coefficients(points).mean(0)
    assert curves[CARRIED.index("jawOpen")] == pytest.approx(0.4, abs=0.12)
    assert curves[CARRIED.index("eyeBlinkLeft")] > 0.6


def test_a_long_grin_is_not_the_face_at_rest(rig: Rig) -> None:
    acted = np.repeat(np.concatenate([np.zeros((1, K)), one(mouthSmile=0.9, mouthUpperUp=0.5)]), (12, 88), axis=0)
    curves = Rig.fit(neutral_shape(rig.points(acted, poses(3, 100)))).coefficients(rig.points(acted, poses(3, 100)))
    smile = curves[:, CARRIED.index("mouthSmileLeft")]
    assert smile[:12].max() < 0.2 and smile[12:].min() > 0.6


def test_while_it_streams_the_face_at_rest_becomes_fixed() -> None:
    points = performance(1, 90).points
    stream = Neutral(enough=60)
    assert stream.shape is None and not stream.fixed
    stream.feed(points[:25])
    assert stream.shape is not None and not stream.fixed
    stream.feed(points[25:70])
    assert stream.fixed and np.array_equal(stream.shape, neutral_shape(points[:60]))
    kept = stream.shape
    assert np.array_equal(stream.feed(points[70:]), kept)
