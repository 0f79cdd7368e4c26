"""The bridge: what the cast does, read from points as a tracker would see them, comes back as what it was."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.cast import how as hows
from understudy.cast import who as people
from understudy.cast.draw import draw
from understudy.cast.how import INDEX, PITCH, ROLL, YAW, How
from understudy.cast.view import HALF
from understudy.errors import NoFace
from understudy.face.arkit import CARRIED
from understudy.face.mesh import Floats
from understudy.face.mesh_finder import MeshFinder
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import Rig
from understudy.motion.bridge import EYE_UNIT, LEVEL, PLACES, YAW_GAIN, Rest, cast_moves, how_of, rest_of, stand_in
from understudy.motion.mesh import MotionMesh

SIZE = 256
SIDE = 400  # pixels of the made driver's picture
SEED = 3  # bald, without glasses: nothing hides the face


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def motion_of(points: Floats, seen: list[bool] | None = None) -> MotionMesh:
    neutral = Rig.canonical().shape
    return MotionMesh.from_points(np.arange(len(points)) / 25, points, Fraction(25), neutral=neutral, seen=seen)


def made(curves: dict[str, float] | None = None, turn: tuple[float, float, float] = (0, 0, 0), scale: float = 100.0,
         shift: tuple[float, float] = (0, 0)) -> Floats:  # fmt: skip
    """(1, 478, 3): the canonical face, moved by the rig and put into a picture; `turn` as `face.pose` counts."""
    values = np.zeros((1, len(CARRIED)), np.float32)
    for name, value in (curves or {}).items():
        values[0, CARRIED.index(name)] = value
    at = np.array([[SIDE / 2 + shift[0], SIDE / 2 + shift[1], 0]], np.float32)
    pose = Pose(rotation_of([turn]), np.array([scale], np.float32), at)
    return Rig.canonical().points(values, pose)


def rest() -> Rest:
    still = motion_of(made())
    return Rest(Rig.canonical().shape, still.pose.pivot[0, :2], float(still.pose.scale[0]))


def played(curves: dict[str, float] | None = None, turn: tuple[float, float, float] = (0, 0, 0), scale: float = 100.0,
           shift: tuple[float, float] = (0, 0)) -> How:  # fmt: skip
    return how_of(motion_of(made(curves, turn, scale, shift)), rest())


@pytest.mark.parametrize(
    "name",
    ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthPucker", "browDownRight", "browInnerUp",
     "browOuterUpLeft", "eyeLookUpLeft", "eyeLookInRight", "mouthUpperUpLeft", "mouthLeft"],
)  # fmt: skip
def test_a_coefficient_of_the_rig_becomes_that_of_the_cast(name: str) -> None:
    curves = played({name: 0.8}).curves[0]
    assert 0.4 < float(curves[INDEX[name]]) <= 1.0
    others = curves.clone()
    others[INDEX[name]] = 0
    assert float(others.max()) < 0.75 * float(curves[INDEX[name]])
    assert int(curves.argmax()) == INDEX[name]


def test_a_wink_stays_one_and_a_blink_is_of_both_eyes() -> None:
    wink = played({"eyeBlinkLeft": 0.9})
    assert float(wink.curve("eyeBlinkLeft")) > 0.8 and float(wink.curve("eyeBlinkRight")) < 0.15
    blink = played({"eyeBlinkLeft": 0.55, "eyeBlinkRight": 0.4})
    assert float((blink.curve("eyeBlinkLeft") - blink.curve("eyeBlinkRight")).abs()) < 0.08
    assert 0.4 < float(blink.curve("eyeBlinkRight")) < 0.65


def test_at_rest_nothing_moves() -> None:
    how = played()
    assert float(how.curves.max()) < 0.06
    assert float(how.turn[0, 0].abs()) < 1 and float(how.turn[0, 2].abs()) < 1
    assert torch.allclose(how.place[0, [0, 2]], torch.tensor([0.0, 1.0]), atol=0.01)


def test_heads_turn_the_same_way() -> None:
    """The cast's pitch is up, the mesh's down; yaw and roll are alike."""
    assert float(played(turn=(20, 0, 0)).turn[0, 0]) == pytest.approx(20 * YAW_GAIN, abs=1.5)
    assert float(played(turn=(0, 15 + LEVEL, 0)).turn[0, 1]) == pytest.approx(-15, abs=1.5)
    assert float(played(turn=(0, -15 + LEVEL, 0)).turn[0, 1]) == pytest.approx(15, abs=1.5)
    assert float(played(turn=(0, LEVEL, 12)).turn[0, 2]) == pytest.approx(12, abs=1.5)


def test_everything_stays_within_what_the_cast_is_drawn_for() -> None:
    wild = {name: 1.2 for name in CARRIED if not name.startswith(("mouthClose", "eyeLook"))}
    how = played(wild, (80, -50, 60), 260.0, (400, -300))
    assert float(how.curves.min()) >= 0 and float(how.curves.max()) <= 1
    assert (how.turn.abs()[0] <= torch.tensor([YAW, PITCH, ROLL]) + 1e-3).all()
    assert (how.place.abs()[0, :2] <= torch.tensor(PLACES) + 1e-6).all()
    assert 0.5 < float(how.place[0, 2]) < 1.5


def test_heads_move_in_the_picture_as_the_drivers_does() -> None:
    """What the driver's head does to its middle, the stand-in's does to its own, in units of the head."""
    who = people.sample([SEED], "realistic")

    def middle(how: How) -> np.ndarray:
        with torch.no_grad():
            points = draw(who, how, 64).landmarks
        ears = (points.middle("ear_left") + points.middle("ear_right")) / 2
        return np.asarray(ears[0].numpy() * (SIZE / 64))

    still = middle(played())
    right = middle(played(shift=(30, 0))) - still
    down = middle(played(shift=(0, 20))) - still
    head = SIZE / 2 / HALF * EYE_UNIT  # pixels to an eye unit
    assert right == pytest.approx([0.30 * head, 0], abs=3)
    assert down == pytest.approx([0, 0.20 * head], abs=3)
    turned = middle(played(turn=(0, LEVEL + 15, 0))) - middle(played(turn=(0, LEVEL, 0)))
    assert turned == pytest.approx([0, -0.175 * head], abs=3)  # made heads nod about their eyes, not about their middle


def test_a_mirrored_motion_is_played_mirrored() -> None:
    points = np.concatenate([
        made({"mouthSmileLeft": 0.7, "eyeBlinkRight": 0.6, "browOuterUpLeft": 0.5}, (15, 8, 5), 100, (12, 5)),
        made({"jawOpen": 0.5, "mouthLeft": 0.5, "eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}, (-20, 0, -8), 110),
    ])  # fmt: skip
    motion = motion_of(points)
    mirrored = motion.mirror(SIDE)
    base = rest()
    how = how_of(motion, base)
    other = how_of(mirrored, replace(base, pivot=np.array([SIDE - base.pivot[0], base.pivot[1]])))
    sides = [INDEX[name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")] for name in INDEX]
    assert torch.allclose(other.curves, how.curves[:, sides], atol=0.05)
    assert torch.allclose(other.turn, how.turn * torch.tensor([-1, 1, -1]), atol=0.5)
    assert torch.allclose(other.place, how.place * torch.tensor([-1, 1, 1]), atol=0.01)


def test_the_face_at_rest_is_told_by_the_frames_or_given() -> None:
    motion = motion_of(np.concatenate([made({"jawOpen": value}) for value in (0.0, 0.1, 0.0, 0.9, 0.0, 0.8)]))
    jaw = how_of(motion).curve("jawOpen")
    assert float(jaw[[0, 2, 4]].max()) < 0.2 and float(jaw[[3, 5]].min()) > 0.5
    apart = how_of(motion[3:4], rest_of(motion))
    assert torch.equal(apart.curves[0], how_of(motion).curves[3])


def test_nobody_is_an_error() -> None:
    motion = motion_of(made(), seen=[False])
    with pytest.raises(NoFace):
        rest_of(motion)
    with pytest.raises(NoFace):
        list(stand_in([motion], people.sample([SEED]), 64))


def test_a_stand_in_does_not_depend_on_chunks() -> None:
    who = people.sample([SEED], "realistic")
    motion = motion_of(np.concatenate([made({"jawOpen": value / 4}, (5 * value, 0, 0)) for value in range(4)]))
    whole = list(stand_in([motion], who, 64, rest()))
    parts = list(stand_in([motion[:1], motion[1:4]], who, 64, rest()))
    late = list(stand_in([motion[:1], motion[1:4]], who, 64))
    assert [len(part.motion) for part in late] == [1, 3]
    assert np.array_equal(whole[0].pictures, np.concatenate([part.pictures for part in parts]))
    assert whole[0].pictures.shape == (4, 64, 64, 3) and whole[0].landmarks.pixels.shape[0] == 4
    assert not np.array_equal(whole[0].pictures[0], whole[0].pictures[3])


@cache
def film() -> tuple[MotionMesh, How]:
    """Somebody of the cast, drawn and found again by the tracker, and what they really did."""
    who = people.sample([SEED], "realistic")
    still = hows.neutral(1)
    frames = [
        still, still.held(yaw=4), still.held(pitch=4), still.held(roll=3),
        still.having(jawOpen=0.7), still.having(eyeBlinkLeft=1.0, eyeBlinkRight=1.0),
        still.having(browOuterUpLeft=1.0, browOuterUpRight=1.0, browInnerUp=0.8),
        still.having(browDownLeft=1.0, browDownRight=1.0), still.having(mouthPucker=1.0),
        still.having(mouthSmileLeft=0.9, mouthSmileRight=0.9),
        still.having(eyeLookOutLeft=0.8, eyeLookInRight=0.8), still.having(eyeLookInLeft=0.8, eyeLookOutRight=0.8),
        still.held(yaw=25), still.held(yaw=-25), still.held(pitch=18), still.held(pitch=-18), still.held(roll=15),
    ]  # fmt: skip
    how = hows.joined(frames)
    points = []
    with MeshFinder() as finder, torch.no_grad():
        for i in range(len(how)):
            picture = draw(who, how[[i]], SIZE).image[0].permute(1, 2, 0)
            faces = finder.find((picture.clamp(0, 1) * 255).round().byte().numpy())
            points.append(faces[0].points)
    return MotionMesh.from_points(np.arange(len(how)) / 25, np.stack(points), Fraction(25)), how


def read() -> Iterator[tuple[str, float, float]]:
    """Coefficients that were done, what the bridge makes of them, and at most of them while nothing was done."""
    motion, how = film()
    found = how_of(motion).curves
    for row in range(4, 12):
        for name in INDEX:
            if float(how.curves[row, INDEX[name]]) >= 0.8 or (name == "jawOpen" and row == 4):
                yield name, float(found[row, INDEX[name]]), float(found[:4, INDEX[name]].mean())


def test_what_the_cast_does_is_read_from_its_pictures() -> None:
    done = list(read())
    assert len(done) == 15
    for name, found, still in done:
        assert found > still + 0.12, f"{name}: {found:.2f}, at rest {still:.2f}"
    assert np.mean([found for _, found, _ in done]) > 0.5


def test_turned_heads_are_read_from_pictures() -> None:
    motion, how = film()
    found = how_of(motion).turn
    still = found[:1]
    for row, axis in ((12, 0), (13, 0), (14, 1), (15, 1), (16, 2)):
        assert float(found[row, axis] - still[0, axis]) == pytest.approx(float(how.turn[row, axis]), rel=0.4)


def test_what_is_stored_is_what_the_cast_does() -> None:
    """`runs/bridge.py` has to be run again when the cast's features move otherwise."""
    path = Path(__file__).parent.parent / "runs" / "bridge.py"
    spec = importlib.util.spec_from_file_location("runs_bridge", path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    points, moves = cast_moves()
    assert points.tolist() == script.pairs()[1]
    now = script.cast_moves(range(1))
    size = np.linalg.norm(moves, axis=(1, 2))
    off = np.linalg.norm(now - moves, axis=(1, 2))
    assert (off < 0.35 * size + 0.02).all(), [CARRIED[i] for i in np.flatnonzero(off >= 0.35 * size + 0.02)]
