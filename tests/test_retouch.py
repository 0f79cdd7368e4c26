"""Retouching: each slider does what it says, and nothing else; what is added reaches the portrait."""

from __future__ import annotations

import numpy as np
import pytest
from faces import performance, somebody

from understudy.animate.choices import Choices, choose
from understudy.errors import BadOption
from understudy.face.mesh import EYES, STABLE
from understudy.face.rig import Rig
from understudy.generator.warp.transfer import aperture, lip_gap
from understudy.motion.mesh import MotionMesh
from understudy.motion.retouch import FURTHEST, WAYS, Retouch


@pytest.fixture(scope="module")
def motion() -> MotionMesh:
    return performance(4, 40)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return Rig.fit(somebody(4))


def gap(motion: MotionMesh) -> float:
    """How far the lids stand open, on average."""
    return float(np.mean([aperture(motion.shapes, eye).mean() for eye in EYES.values()]))


def iris(motion: MotionMesh) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Where the irises are in the head, (3,)."""
    return np.mean([motion.shapes[:, eye.iris[0]].mean(0) for eye in EYES.values()], axis=0)


def test_nothing_is_nothing(motion: MotionMesh, rig: Rig) -> None:
    assert Retouch().nothing and Retouch().of(motion, rig) is motion
    assert not Retouch(smile=0.1).nothing


def test_every_slider_has_both_ways_in_the_rig() -> None:
    for name, ways in WAYS.items():
        for amount, curves in zip((1.0, -1.0), ways, strict=True):
            assert set(curves) <= set(Rig.names)
            assert Retouch(**{name: amount}).coefficients == dict.fromkeys(curves, 1.0)


def test_lids_shut_and_open(motion: MotionMesh, rig: Rig) -> None:
    shut, usual, wide = (gap(Retouch(blink=by).of(motion, rig)) for by in (1.0, 0.0, -1.0))
    assert shut < 0.3 * usual < usual < wide


def test_eyes_look_where_they_are_told(motion: MotionMesh, rig: Rig) -> None:
    right, up = Retouch(gaze=0.8).of(motion, rig), Retouch(gaze_up=0.8).of(motion, rig)
    assert iris(right)[0] > iris(motion)[0] + 0.02  # to the picture's right
    assert iris(up)[1] < iris(motion)[1] - 0.01


def test_a_smile_lifts_the_corners_and_leaves_the_rest(motion: MotionMesh, rig: Rig) -> None:
    happy, sad = Retouch(smile=0.7).of(motion, rig), Retouch(smile=-0.7).of(motion, rig)
    corners = [61, 291]
    assert (happy.shapes[:, corners, 1] < motion.shapes[:, corners, 1]).all()
    assert (sad.shapes[:, corners, 1] > motion.shapes[:, corners, 1]).all()
    assert gap(happy) == pytest.approx(gap(motion), rel=0.2)
    assert lip_gap(happy.shapes).min() >= -1e-4
    name = motion.names.index("mouthSmileLeft")
    assert (happy.curves[:, name] >= motion.curves[:, name]).all()


def test_a_head_turns_about_itself_by_so_many_degrees(motion: MotionMesh, rig: Rig) -> None:
    turned = Retouch(yaw=9, pitch=-4, roll=3).of(motion, rig)
    assert np.allclose(turned.pose.angles - motion.pose.angles, [9, -4, 3], atol=0.02)
    assert np.allclose(turned.pose.pivot, motion.pose.pivot, atol=0.05)
    assert np.allclose(turned.shapes[:, list(STABLE)], motion.shapes[:, list(STABLE)], atol=1e-3)


def test_a_part_is_retouched_like_the_whole(motion: MotionMesh, rig: Rig) -> None:
    retouch = Retouch(smile=0.5, yaw=5)
    assert np.array_equal(retouch.of(motion[8:12], rig).points, retouch.of(motion, rig).points[8:12])


def test_nonsense_is_refused_and_diffusion_has_no_sliders() -> None:
    for wrong in ({"smile": 1.5}, {"yaw": FURTHEST + 1}, {"gaze": float("nan")}):
        with pytest.raises(BadOption, match="out of range"):
            Retouch(**wrong)
    with pytest.raises(BadOption):
        choose("x-portrait-small", Choices(retouch=Retouch(smile=0.5)))
    assert choose("auto", Choices(retouch=Retouch(smile=0.5)), cast=True)[0].name == "warp"
