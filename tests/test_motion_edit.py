"""The motion desk: every edit does what it says and nothing else, and can be undone where it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from faces import mouths, performance, poses, somebody
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.animate.motions import Edits, edited
from understudy.cli import main
from understudy.clip import read_picture
from understudy.errors import BadOption, Exists, UnderstudyError, WrongMotion
from understudy.face.mesh import EYES
from understudy.face.rig import CARRIED, Rig
from understudy.motion.edit import (
    GAZE,
    blend,
    faster,
    gaze_at_camera,
    hold_head,
    look_at_camera,
    loop,
    recurved,
    repeat,
    trim,
    turned,
)
from understudy.motion.frames import MotionFrames
from understudy.motion.frames import whole as whole_frames
from understudy.motion.keys import HEAD, Keys, keyed, keys_in, keys_of, read_keys, write_keys
from understudy.motion.livelink import livelink_chunks, write_livelink
from understudy.motion.mesh import MotionMesh, join, whole

RATE = Fraction(30)
FACE = somebody(4)
MOTION = performance(4, 60, RATE, FACE)
OTHER = performance(9, 60, RATE, somebody(2))


def same(one: MotionMesh, other: MotionMesh) -> bool:
    """Bit for bit."""
    arrays = [
        (a.times, a.points, a.pose.rotation, a.pose.scale, a.pose.shift, a.curves, a.seen, a.shots)
        for a in (one, other)
    ]
    return (one.rate, one.names) == (other.rate, other.names) and all(map(np.array_equal, *arrays))


def column(motion: MotionMesh, name: str) -> np.ndarray:
    return motion.curves[:, motion.names.index(name)]


# --- cut --------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 59))
def test_what_was_cut_joins_to_the_whole(k: int) -> None:
    at = k / 30
    parts = (trim(MOTION, 0, at), trim(MOTION, at))
    assert [len(part) for part in parts] == [k, 60 - k] and parts[1].times[0] == 0
    joined = join(*parts)
    assert np.array_equal(joined.points, MOTION.points) and np.array_equal(joined.curves, MOTION.curves)
    assert np.allclose(joined.times, MOTION.times)
    assert same(trim(MOTION), MOTION)


def test_cuts_that_leave_nothing_are_refused() -> None:
    for start, end in ((5, None), (1, 1), (1, 0.5)):
        with pytest.raises(BadOption, match="nothing is left"):
            trim(MOTION, start, end)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.1, 0.5, 0.75, 2.0, 3.0, 10.0]))
def test_retimed_there_and_back_is_as_before(factor: float) -> None:
    there = faster(MOTION, factor)
    assert np.allclose(there.times, MOTION.times / factor, rtol=1e-3) and np.array_equal(there.points, MOTION.points)
    back = faster(there, 1 / factor)
    assert np.allclose(back.times, MOTION.times, atol=2e-3) and abs(float(back.rate / RATE) - 1) < 2e-3
    fine = MOTION.retime(RATE * 4).retime(RATE)
    assert np.array_equal(fine.points, MOTION.points) and np.allclose(fine.curves, MOTION.curves)
    for wrong in (0.0, -1.0, 1000.0, float("nan")):
        with pytest.raises(BadOption):
            faster(MOTION, wrong)


def test_mirrored_twice_is_nothing_after_any_edit() -> None:
    for motion in (MOTION, blend(MOTION, OTHER, 0.5), loop(MOTION, 0.4), look_at_camera(MOTION), hold_head(MOTION)):
        assert same(motion.mirror(640).mirror(640), motion)


# --- mixed ------------------------------------------------------------------------------------------------------------


def test_a_blend_begins_with_the_one_and_ends_with_the_other() -> None:
    assert same(blend(MOTION, OTHER, 0.0), MOTION)
    assert same(blend(MOTION, OTHER, 1.0), OTHER)
    ramp = blend(MOTION, OTHER, np.linspace(0, 1, 60))
    assert np.array_equal(ramp.points[0], MOTION.points[0]) and np.array_equal(ramp.points[-1], OTHER.points[-1])
    half = blend(MOTION, OTHER, 0.5)
    assert np.allclose(half.curves, (MOTION.curves + OTHER.curves) / 2, atol=1e-6)
    assert np.abs(half.shapes - (MOTION.shapes + OTHER.shapes) / 2).max() < 0.01
    r = half.pose.rotation.astype(np.float64)
    assert np.abs(r @ r.transpose(0, 2, 1) - np.eye(3)).max() < 1e-5


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 1))
def test_a_blend_is_the_same_from_either_side_and_of_one_with_itself_nothing(share: float) -> None:
    one, other = MOTION[:12], OTHER[:12]
    there, back = blend(one, other, share), blend(other, one, 1 - share)
    assert np.abs(there.points - back.points).max() < 0.02 and np.allclose(there.curves, back.curves, atol=1e-5)
    itself = blend(one, one, share)
    assert np.abs(itself.points - one.points).max() < 0.02 and np.allclose(itself.curves, one.curves, atol=1e-5)


def test_a_blend_is_as_long_as_the_shorter_and_takes_who_is_seen() -> None:
    assert len(blend(MOTION, OTHER[:20], 0.3)) == len(blend(MOTION[:20], OTHER, 0.3)) == 20
    assert len(blend(MOTION, OTHER.retime(15), 0.3)) == 60
    hidden = replace(OTHER, seen=np.arange(60) < 30)
    mixed = blend(MOTION, hidden, 1.0)
    assert np.array_equal(mixed.points[30:], MOTION.points[30:]) and mixed.seen.all()
    assert np.array_equal(mixed.points[:30], OTHER.points[:30])
    cut = blend(replace(MOTION, shots=(np.arange(60) >= 10).astype(np.int32)), OTHER, 0.5)
    assert np.flatnonzero(np.diff(cut.shots)).tolist() == [9], "cuts stay"
    lips, teeth = replace(MOTION, mouths=mouths(60)), replace(OTHER, mouths=255 - mouths(60))
    shown = blend(lips, teeth, np.linspace(0, 1, 60)).mouths
    assert (
        shown is not None and np.array_equal(shown[0], lips.mouths[0]) and np.array_equal(shown[-1], teeth.mouths[-1])
    )
    few = replace(OTHER, names=OTHER.names[:5], curves=OTHER.curves[:, :5])
    assert blend(MOTION, few, 0.5).names == OTHER.names[:5]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadOption):
            blend(MOTION, OTHER, wrong)


@settings(max_examples=10, deadline=None)
@given(st.integers(3, 30))
def test_a_loop_has_no_seam(over: int) -> None:
    """From its last frame to its first it is no farther than from any frame to the next."""
    motion, looped = MOTION, loop(MOTION, over / 30)
    assert len(looped) == 60 - over
    twice = repeat(looped, 2)
    assert np.allclose(np.diff(twice.times), 1 / 30) and (twice.shots == 0).all()
    steps = np.abs(np.diff(twice.points, axis=0)).max(axis=(1, 2))
    seam, usual = steps[len(looped) - 1], np.abs(np.diff(motion.points, axis=0)).max(axis=(1, 2)).max()
    apart = np.abs(motion.points[-1] - motion.points[0]).max()
    assert seam <= 1.5 * usual + apart / over, (seam, usual)
    kept = looped.points[over:], motion.points[over : 60 - over]
    assert np.array_equal(*kept), "the rest is as it was"


def test_what_cannot_be_looped_says_why() -> None:
    with pytest.raises(BadOption, match="does not fit"):
        loop(MOTION, 1.5)
    for motion in (join(MOTION[:20], MOTION[30:]), replace(MOTION, seen=np.arange(60) != 7)):
        with pytest.raises(WrongMotion, match="cuts and gaps"):
            loop(motion, 0.2)


# --- moved ------------------------------------------------------------------------------------------------------------


def test_more_of_a_region_is_more_and_as_it_is_is_nothing() -> None:
    assert same(MOTION.scaled(mouth=1, eyes=1, brows=1, pose=1), MOTION)
    loud = MOTION.scaled(mouth=1.5, neutral=FACE)
    assert np.allclose(column(loud, "jawOpen"), np.clip(column(MOTION, "jawOpen") * 1.5, 0, 1.2))
    assert np.array_equal(column(loud, "browInnerUp"), column(MOTION, "browInnerUp"))


def test_a_held_head_keeps_one_pose_and_the_face_goes_on() -> None:
    for held, still in ((hold_head(MOTION), None), (hold_head(MOTION, 0.5), MOTION.pose[15:16])):
        assert np.ptp(held.pose.rotation, axis=0).max() < 1e-6 and np.ptp(held.pose.pivot, axis=0).max() < 0.01
        assert np.ptp(held.pose.scale) < 1e-3
        assert np.array_equal(held.curves, MOTION.curves)
        assert np.abs(held.shapes - MOTION.shapes).max() < 0.01
        if still is not None:
            assert np.abs(held.pose.rotation[0] - still.rotation[0]).max() < 1e-6
    assert np.abs(hold_head(hold_head(MOTION)).points - hold_head(MOTION).points).max() < 0.05, "held is held"


def test_eyes_on_the_camera() -> None:
    """Of a head that faces it, all curves of gaze are 0; of one that does not, the eyes turn back by as much."""
    facing = turned(MOTION, np.zeros((60, 3), np.float32))
    ahead = look_at_camera(facing, neutral=FACE)
    assert max(np.abs(column(ahead, name)).max() for name in GAZE) < 1e-5
    others = [name for name in CARRIED if name not in GAZE]
    assert all(np.array_equal(column(ahead, name), column(facing, name)) for name in others)
    read_back = Rig.fit(FACE).coefficients(ahead.points, ahead.pose)
    assert np.abs(read_back[:, [CARRIED.index(name) for name in GAZE]]).mean() < 0.05, "and the points say so, too"
    assert same(look_at_camera(MOTION, 0.0), MOTION)
    assert same(look_at_camera(ahead, neutral=FACE), ahead)


@pytest.mark.parametrize(("angles", "way"), [((20, 0, 0), (-1, 0)), ((-20, 0, 0), (1, 0)), ((0, 15, 0), (0, -1)),
                                             ((0, -15, 0), (0, 1))])  # fmt: skip
def test_eyes_turn_against_the_head(angles: tuple[float, ...], way: tuple[int, int]) -> None:
    """A nose to the picture's right, irises to its left; a nose down, irises up."""
    rig = Rig.fit(FACE)
    still = MotionMesh.from_points(
        [0.0], rig.points(np.zeros((1, len(CARRIED)), np.float32), poses(0, 1)), RATE, neutral=FACE
    )
    head = turned(replace(still, curves=np.zeros_like(still.curves)), np.array([angles], np.float32))
    seen = look_at_camera(head, neutral=FACE)
    for eye in EYES.values():
        moved = (seen.shapes - head.shapes)[0, list(eye.iris)].mean(0)[:2]
        assert np.dot(moved, way) > 0.02, (moved, way)
    assert gaze_at_camera(seen.pose).max() > 0.4


def test_other_curves_move_the_points_as_the_rig_does() -> None:
    curves = MOTION.curves.copy()
    curves[10:20, CARRIED.index("jawOpen")] = 1.0
    opened = recurved(MOTION, curves, FACE)
    assert np.array_equal(opened.points[:10], MOTION.points[:10]) and np.array_equal(
        opened.points[20:], MOTION.points[20:]
    )
    read_back = Rig.fit(FACE).coefficients(opened.points[10:20], opened.pose[10:20])
    assert read_back[:, CARRIED.index("jawOpen")].min() > 0.8
    back = recurved(opened, MOTION.curves, FACE)
    assert np.abs(back.points - MOTION.points).max() < 1.0, "there and back"


# --- keyframes --------------------------------------------------------------------------------------------------------


def test_keys_say_what_happens_between_the_first_and_the_last_and_nothing_elsewhere() -> None:
    told = [(0.5, None), (1.0, 0.8), (1.5, None)]
    keys = keys_in({"keys": [{"time": time, "jawOpen": value} for time, value in told]})
    acted = keyed(MOTION, keys, FACE)
    assert np.array_equal(acted.points[:15], MOTION.points[:15]) and np.array_equal(
        acted.points[46:], MOTION.points[46:]
    )
    assert column(acted, "jawOpen")[30] == pytest.approx(0.8)
    assert np.allclose(acted.curves[[15, 45]], MOTION.curves[[15, 45]], atol=1e-6)
    turn = keyed(MOTION, keys_in({"ease": "linear", "keys": [{"time": 0, "yaw": -20}, {"time": 1.9, "yaw": 20}]}), FACE)
    assert turn.pose.angles[[0, 57], 0].tolist() == pytest.approx([-20, 20], abs=0.01)
    assert np.abs(turn.pose.angles[:57, 1:] - MOTION.pose.angles[:57, 1:]).max() < 0.02, "the head nods as it did"
    assert np.abs(turn.pose.pivot - MOTION.pose.pivot).max() < 0.05 and np.array_equal(turn.curves, MOTION.curves)
    assert same(keyed(MOTION, Keys(())), MOTION)


def test_keys_of_every_frame_are_the_performance(tmp_path: Path) -> None:
    keys = keys_of(MOTION, (*CARRIED, *HEAD), 1 / 30)
    assert len(keys.keys) == 60
    path = write_keys(tmp_path / "keys.json", keys)
    assert read_keys(path) == keys
    again = keyed(MOTION, keys, FACE)
    assert np.abs(again.points - MOTION.points).max() < 0.05 and np.abs(again.curves - MOTION.curves).max() < 1e-5
    few = keys_of(MOTION, ("jawOpen",), 0.5)
    assert [key.time for key in few.keys] == pytest.approx([0, 0.5, 1, 1.5, 59 / 30])
    with pytest.raises(Exists):
        write_keys(path, keys)


@pytest.mark.parametrize("told", [
    [], {}, {"keys": {}}, {"keys": [], "more": 1}, {"keys": [], "ease": "wildly"}, {"keys": [{"jawOpen": 1}]},
    {"keys": [{"time": -1}]}, {"keys": [{"time": "1"}]}, {"keys": [{"time": True}]},
    {"keys": [{"time": 0, "jawOpen": 9}]},
    {"keys": [{"time": 0, "yaw": 120}]}, {"keys": [{"time": 0, "jawOpen": "x"}]}, {"keys": [{"time": 1}, {"time": 1}]},
    {"keys": [7]}, {"keys": [{"time": float("nan")}]},
])  # fmt: skip
def test_keys_that_make_no_sense_are_refused(tmp_path: Path, told: object) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(told))
    with pytest.raises(BadOption):
        read_keys(tmp_path / "keys.json")


def test_a_name_that_is_almost_one_is_suggested() -> None:
    with pytest.raises(BadOption) as caught:
        keyed(MOTION, keys_in({"keys": [{"time": 0, "jawOpe": 1}, {"time": 1, "jawOpe": 1}]}))
    assert caught.value.remedy == "jawOpen"


# --- files and the command line ---------------------------------------------------------------------------------------


def test_export_then_import_is_the_same(tmp_path: Path) -> None:
    """Curves and head poses come back from CSV; edited there and here alike."""
    write_livelink(tmp_path / "a.csv", MOTION)
    back = whole(livelink_chunks(tmp_path / "a.csv"))
    assert len(back) == 60 and back.rate == RATE
    shared = [name for name in MOTION.names if name in back.names]
    ours, theirs = (np.stack([column(each, name) for name in shared], -1) for each in (MOTION, back))
    assert np.abs(np.clip(ours, 0, 1) - theirs).max() < 1e-3 or np.abs(ours - theirs).max() < 1e-3
    assert np.abs(back.pose.angles - MOTION.pose.angles).max() < 0.1
    write_livelink(tmp_path / "b.csv", back)
    again = whole(livelink_chunks(tmp_path / "b.csv"))
    assert np.abs(again.curves - back.curves).max() < 1e-4, "and the same again"


def edits(place: Path, *words: str) -> MotionMesh:
    out = place / "out.safetensors"
    assert main(["motion", "edit", str(place / "in.safetensors"), "-o", str(out), "--force", *words]) == 0
    return MotionMesh.load(out)


def test_the_command_does_what_the_functions_do(tmp_path: Path) -> None:
    MOTION.save(tmp_path / "in.safetensors")
    OTHER.save(tmp_path / "other.safetensors")
    kept = MotionMesh.load(tmp_path / "in.safetensors")
    (tmp_path / "keys.json").write_text('{"keys": [{"time": 0, "jawOpen": 0.5}, {"time": 1.9, "jawOpen": 0.5}]}')
    cases: list[tuple[list[str], Callable[[MotionMesh], MotionMesh]]] = [
        ([], lambda motion: motion),
        (["--start", "0.5", "--end", "1.5"], lambda motion: trim(motion, 0.5, 1.5)),
        (["--speed", "2"], lambda motion: faster(motion, 2).retime(RATE)),
        (["--speed", "2", "--rate", "60"], lambda motion: faster(motion, 2)),
        (["--blend", str(tmp_path / "other.safetensors"), "--share", "1"], lambda motion: OTHER),
        (["--hold-head"], hold_head),
        (["--hold-at", "0.5"], lambda motion: hold_head(motion, 0.5)),
        (["--look-at-camera", "1"], look_at_camera),
        (["--loop", "0.5", "--repeat", "2"], lambda motion: repeat(loop(motion, 0.5), 2)),
        (["--keys", str(tmp_path / "keys.json")], lambda motion: keyed(motion, read_keys(tmp_path / "keys.json"))),
    ]
    for words, made in cases:
        found, wanted = edits(tmp_path, *words), made(kept)
        assert (len(found), found.rate) == (len(wanted), wanted.rate), words
        assert np.abs(found.points - wanted.points).max() < 0.3, words
        assert np.abs(found.curves - wanted.curves).max() < 0.01, words
    assert main(["motion", "keys", str(tmp_path / "in.safetensors"), "-o", str(tmp_path / "k.json")]) == 0
    assert len(read_keys(tmp_path / "k.json").keys) == 5


def pictures() -> MotionFrames:
    chance = np.random.default_rng(0)
    return MotionFrames(
        times=np.arange(20) / 30,
        pictures=np.repeat(chance.integers(0, 255, (20, 16, 16, 3), dtype=np.uint8), 16, 1).repeat(16, 2),
        points=chance.uniform(0, 256, (20, 478, 2)).astype(np.float32),
        squares=np.full((20, 3), 100, np.float32),
        seen=np.ones(20, bool),
        shots=np.zeros(20, np.int32),
        rate=RATE,
    )


def test_pictures_of_a_driver_are_cut_and_not_changed(tmp_path: Path) -> None:
    motion = pictures()
    parts = [trim(motion, 0, 0.3), trim(motion, 0.3)]
    assert np.array_equal(whole_frames(parts).pictures, motion.pictures)
    motion.save(tmp_path / "a.safetensors", exact=True)
    about = edited(tmp_path / "a.safetensors", tmp_path / "b.safetensors", Edits(start=0.2, speed=2, rate=60))
    assert (about.kind, about.frames, about.fps) == ("frames", 14, 60)
    for asked in (Edits(mirror=True), Edits(loop=0.1), Edits(mouth=1.5), Edits(hold_head=-1), Edits(look_at_camera=1)):
        with pytest.raises(WrongMotion, match="not changed"):
            edited(tmp_path / "a.safetensors", tmp_path / "c.safetensors", asked)
    assert not (tmp_path / "c.safetensors").exists()


def test_a_sheet_shows_every_edit(tmp_path: Path) -> None:
    MOTION.save(tmp_path / "in.safetensors")
    edits(tmp_path, "--hold-head")
    words = [str(tmp_path / name) for name in ("in.safetensors", "out.safetensors")]
    assert main(["motion", "sheet", *words, "-o", str(tmp_path / "sheet.png"), "--moments", "3"]) == 0
    page = read_picture(tmp_path / "sheet.png")
    assert page.shape[0] > 2 * 240 and page.shape[1] > 3 * 200
    with pytest.raises(UnderstudyError):
        edited(tmp_path / "in.safetensors", tmp_path / "out.safetensors", Edits())
