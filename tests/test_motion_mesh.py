"""Motion of a mesh: edits with exact properties, files that survive crashes and refuse nonsense."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from faces import mouths, one, performance, poses, somebody
from safetensors.numpy import load_file, save_file

from understudy.errors import BadMotionFile, Exists, MissingFile, Unwritable, WrongMotion
from understudy.face.mesh import EYES, canonical
from understudy.face.neutral import neutral_shape
from understudy.face.rig import CARRIED, Rig
from understudy.motion.file import MotionFile, read, read_header
from understudy.motion.kinds import PART
from understudy.motion.mesh import MotionMesh, join, region_share, whole

Array = npt.NDArray[Any]
Change = Callable[[dict[str, Array], dict[str, str]], object]


@pytest.fixture(scope="module")
def motion() -> MotionMesh:
    return replace(performance(4, 80), mouths=mouths(80), provenance={"driver": "made", "seed": "4"})


def same(one_motion: MotionMesh, other: MotionMesh) -> bool:
    """Equal to the last bit."""
    numbers = ("times", "points", "curves", "seen", "shots", "mouths")
    return (
        all(np.array_equal(getattr(one_motion, name), getattr(other, name)) for name in numbers)
        and all(
            np.array_equal(getattr(one_motion.pose, n), getattr(other.pose, n)) for n in ("rotation", "scale", "shift")
        )
        and (one_motion.names, one_motion.rate) == (other.names, other.rate)
        and one_motion.provenance == other.provenance
    )


def test_points_give_poses_and_curves(motion: MotionMesh) -> None:
    rig, frames = Rig.fit(somebody(4)), slice(20, 24)
    part = motion[frames]
    again = rig.points(part.curves, part.pose)
    assert np.linalg.norm(again - part.points, axis=-1).max() < 0.03 * part.pose.scale.max()
    assert part.names == CARRIED and "tongueOut" not in part.names
    assert len(part) == 4 and part.times[0] == pytest.approx(20 / 30)
    with pytest.raises(ValueError, match="step of 2"):
        motion[::2]


def test_chunks_are_the_whole(motion: MotionMesh) -> None:
    assert same(whole([motion[:13], motion[13:14], motion[14:]]), motion)
    face = somebody(4)
    parts = [
        MotionMesh.from_points(motion.times[k : k + 9], motion.points[k : k + 9], motion.rate, neutral=face)
        for k in range(0, 80, 9)
    ]
    at_once = MotionMesh.from_points(motion.times, motion.points, motion.rate, neutral=face)
    assert same(whole(parts), at_once)
    dark = replace(motion[40:], mouths=None)
    filled = whole([motion[:40], dark]).mouths
    assert filled is not None and filled[60].max() == 0, "nobody was seen there"
    with pytest.raises(WrongMotion):
        whole([motion[:4], replace(motion[4:8], rate=Fraction(25))])
    with pytest.raises(WrongMotion):
        whole([])


def test_a_mirror_twice_is_nothing_and_once_is_the_mirrored_face(motion: MotionMesh) -> None:
    for width in (512, 1081):
        assert same(motion.mirror(width).mirror(width), motion)
    swap = canonical().mirror
    flipped = motion.mirror(600)
    assert np.allclose(flipped.points[:, :, 0], 600 - motion.points[:, swap, 0])
    assert np.allclose(flipped.pose.angles, motion.pose.angles * (-1, 1, -1), atol=1e-3)
    assert np.allclose(flipped.pose.take(flipped.points), motion.shapes[:, swap] * (-1, 1, 1), atol=1e-4)
    left, right = CARRIED.index("mouthSmileLeft"), CARRIED.index("mouthSmileRight")
    assert np.array_equal(flipped.curves[:, left], motion.curves[:, right])
    face = somebody(4)[swap] * np.array([-1, 1, 1], np.float32)
    seen = MotionMesh.from_points(motion.times, flipped.points, motion.rate, neutral=face)
    assert np.abs(seen.curves - flipped.curves).max() < 0.02, "what is seen in a mirror"
    with pytest.raises(WrongMotion, match="mouthLeft"):
        replace(motion, curves=motion.curves[:, :2], names=("jawOpen", "mouthLeft")).mirror(10)


def test_retiming_keeps_length_and_passes_through_what_was_there(motion: MotionMesh) -> None:
    assert same(motion.retime(30), motion)
    for rate in (Fraction(24000, 1001), Fraction(25), Fraction(60), Fraction(120)):
        other = motion.retime(rate)
        assert other.rate == rate and len(other) == round(80 / 30 * float(rate))
        assert (np.diff(other.times) > 0).all() and other.times[-1] <= motion.times[-1] + 1 / 30
        r = other.pose.rotation.astype(np.float64)
        assert np.abs(r @ r.transpose(0, 2, 1) - np.eye(3)).max() < 1e-5, "still rotations"
    double = motion.retime(60)
    assert np.array_equal(double.points[::2], motion.points) and np.array_equal(double.curves[::2], motion.curves)
    between = double.pose.angles[1:-1:2]
    assert np.abs(between - (motion.pose.angles[:-1] + motion.pose.angles[1:]) / 2).max() < 0.2
    half = double.retime(30)
    assert np.array_equal(half.points, motion.points)
    with pytest.raises(ValueError, match="positive"):
        motion.retime(0)


def test_nothing_is_mixed_across_a_cut_or_a_gap(motion: MotionMesh) -> None:
    here, there = motion[:10], motion[50:60].mirror(600)
    cut = join(here, there)
    assert list(cut.shots) == [0] * 10 + [1] * 10 and len(cut) == 20
    assert np.allclose(np.diff(cut.times), 1 / 30)
    for edited in (cut.retime(90), cut.smooth(0.05)):
        jump = np.flatnonzero(np.diff(edited.shots))
        assert len(jump) == 1
        near = np.abs(edited.points[:, None] - cut.points[None]).max(axis=(2, 3)).min(axis=1)
        assert near[[jump[0], jump[0] + 1]].max() < 12, "neither side knows of the other"
    gap = replace(motion, seen=np.arange(80) != 30)
    finer = gap.retime(60)
    assert np.array_equal(finer.points[61], gap.points[30]) or np.array_equal(finer.points[61], gap.points[31])
    assert np.array_equal(gap.smooth(0.1).curves[30], gap.curves[30])


def test_joining_takes_the_first_rate_and_the_shared_curves(motion: MotionMesh) -> None:
    slow = replace(motion[:20].retime(15), curves=np.zeros((10, 2), np.float32), names=("jawOpen", "tongueOut"))
    both = join(motion[:10], slow)
    assert both.rate == 30 and len(both) == 30 and both.names == ("jawOpen",)
    assert join(motion[:5]).times[0] == 0
    assert np.array_equal(join(motion[3:9], motion[9:12]).points, motion.points[3:12])
    with pytest.raises(WrongMotion):
        join()


def test_strength_scales_what_it_says_and_nothing_else(motion: MotionMesh) -> None:
    face, still = somebody(4), motion.pose[:1]
    assert same(motion.scaled(1.0), motion)
    stiff = motion.scaled(0.0, neutral=face)
    assert np.abs(stiff.pose.take(stiff.points) - face).max() < 0.005 and stiff.curves.max() == 0
    assert np.array_equal(stiff.pose.rotation, motion.pose.rotation), "strength leaves the head alone"
    half = motion.scaled(0.5, neutral=face)
    assert np.abs((half.shapes - face) - 0.5 * (motion.shapes - face)).max() < 0.005
    frozen = motion.scaled(pose=0, still=still)
    assert (
        np.abs(frozen.pose.angles - still.angles).max() < 1e-3 and np.abs(frozen.pose.pivot - still.pivot).max() < 0.01
    )
    assert np.abs(frozen.shapes - motion.shapes).max() < 0.005
    more = motion.scaled(pose=1.5, still=still)
    yaw, now = (motion.pose.angles - still.angles)[:, 0], (more.pose.angles - still.angles)[:, 0]
    far = np.abs(yaw) > 5
    assert far.any() and np.abs(now[far] / yaw[far] - 1.5).max() < 0.1
    loud = motion.scaled(2.0, neutral=face)
    for eye in EYES.values():
        gap = loud.shapes[:, eye.lower[4], 1] - loud.shapes[:, eye.upper[4], 1]
        assert gap.min() > -0.01, "lids do not pass through each other"


def test_regions_share_the_face() -> None:
    total = region_share("mouth") + region_share("eyes") + region_share("brows")
    assert np.allclose(total, 1)
    assert region_share("mouth")[[13, 61, 152]].min() > 0.9
    assert region_share("eyes")[[159, 386, 468, 473]].min() > 0.9
    assert region_share("brows")[[105, 334]].min() > 0.85
    rig, moving = Rig.canonical(), poses(0, 1)
    both = one(mouthSmile=1, eyeBlink=1, browInnerUp=1)
    motion = MotionMesh.from_points([0.0], rig.points(both, moving), Fraction(30), neutral=rig.shape)
    quiet = motion.scaled(eyes=0, brows=0, neutral=rig.shape)
    left = quiet.shapes[0] - rig.shape
    assert np.abs(left[[159, 386]]).max() < 0.02 and left[291, 1] < -0.06
    assert quiet.curves[0, CARRIED.index("eyeBlinkLeft")] == 0
    assert quiet.curves[0, CARRIED.index("mouthSmileLeft")] == motion.curves[0, CARRIED.index("mouthSmileLeft")]


def test_smoothing_quietens_noise_and_keeps_the_performance(motion: MotionMesh) -> None:
    chance = np.random.default_rng(0)
    noisy = MotionMesh.from_points(
        motion.times,
        motion.points + chance.normal(0, 1, motion.points.shape).astype(np.float32),
        motion.rate,
        neutral=somebody(4),
    )
    calm = noisy.smooth(0.04)

    def jitter(m: MotionMesh) -> float:
        return float(np.abs(np.diff(m.points, 2, axis=0)).mean())

    assert jitter(calm) < 0.45 * jitter(noisy)
    assert np.abs(calm.points - motion.points).mean() < np.abs(noisy.points - motion.points).mean()
    assert same(motion.smooth(0), motion)


# --- files ----------------------------------------------------------------------------------------------------------


def test_an_exact_file_gives_back_every_bit(motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "a.motion"
    motion.save(path, exact=True)
    assert same(MotionMesh.load(path), motion)
    header = read_header(path)
    assert (header.rate, header.names, len(header)) == (motion.rate, motion.names, 80)
    assert header.provenance == motion.provenance
    with pytest.raises(Exists):
        motion.save(path)
    motion[:3].save(path, overwrite=True)
    assert len(MotionMesh.load(path)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.motion"], "nothing else is left"


def test_a_small_file_is_small_and_close(motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "a.motion"
    motion.save(path)
    back = MotionMesh.load(path)
    assert np.abs(back.points - motion.points).max() < 0.01, "pixels"
    assert np.array_equal(back.curves, motion.curves) and np.array_equal(back.pose.rotation, motion.pose.rotation)
    assert back.mouths is not None and motion.mouths is not None
    assert np.abs(back.mouths.astype(int) - motion.mouths).mean() < 3
    replace(motion, mouths=None).save(tmp_path / "b.motion")
    assert (tmp_path / "b.motion").stat().st_size / 80 * 1800 < 7e6, "a minute"


def test_a_file_of_many_parts_is_read_part_by_part(tmp_path: Path) -> None:
    long = performance(1, 30)
    count = 2 * PART + 40
    frames = np.arange(count) % 30
    many = replace(
        long,
        times=np.arange(count) / 30,
        points=long.points[frames],
        pose=replace(long.pose, **{n: getattr(long.pose, n)[frames] for n in ("rotation", "scale", "shift")}),
        curves=long.curves[frames],
        seen=long.seen[frames],
        shots=long.shots[frames],
    )
    many.save(tmp_path / "a.motion", exact=True)
    parts = list(read(tmp_path / "a.motion"))
    assert [len(part) for part in parts] == [PART, PART, 40]
    assert same(whole(parts), many)


def test_a_file_grows_is_read_meanwhile_and_goes_on_after_a_kill(motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "film.motion"
    file = MotionFile(path, exact=True)
    file.append(motion[:30])
    file.append(motion[30:41])
    assert len(file) == 41 and same(whole(file), motion[:41])
    file.close()
    assert not path.exists()
    with file.spool.open("ab") as spool:  # the power goes while a part is being written
        spool.write(b"USMO\x00\x40\x00\x00\x00\x00\x00\x00")
    with MotionFile(path, exact=True) as again:
        assert len(again) == 41 and same(whole(again), motion[:41])
        again.append(motion[41:])
        assert again.finish() == path
    assert same(MotionMesh.load(path), motion)
    assert [p.name for p in tmp_path.iterdir()] == ["film.motion"]


def test_a_spool_cut_anywhere_keeps_whole_parts_only(motion: MotionMesh, tmp_path: Path) -> None:
    small = replace(motion, mouths=None)
    with MotionFile(tmp_path / "a.motion") as file:
        for first in range(0, 12, 4):
            file.append(small[first : first + 4])
    data = file.spool.read_bytes()
    chance = np.random.default_rng(0)
    for cut in [0, 5, 16, 40, *chance.integers(50, len(data), 12)]:
        file.spool.write_bytes(data[:cut])
        with MotionFile(tmp_path / "a.motion") as again:
            assert len(again) % 4 == 0 and len(again) <= 12
            if len(again):
                assert np.array_equal(whole(again).curves, small.curves[: len(again)])
            again.append(small[len(again) : 12]) if len(again) < 12 else None
            assert np.array_equal(whole(again).curves, small.curves[:12])


def test_a_spool_of_something_else_is_refused(motion: MotionMesh, tmp_path: Path) -> None:
    (tmp_path / "a.motion.spool").write_bytes(b"a diary, not a spool")
    with pytest.raises(BadMotionFile):
        MotionFile(tmp_path / "a.motion")
    assert (tmp_path / "a.motion.spool").read_bytes() == b"a diary, not a spool"
    with MotionFile(tmp_path / "b.motion") as file:
        file.append(motion[:2])
        with pytest.raises(BadMotionFile, match="another performance"):
            file.append(replace(motion[:2], rate=Fraction(7)))
    with pytest.raises(BadMotionFile, match="no motion"), MotionFile(tmp_path / "c.motion") as empty:
        empty.finish()


def test_where_nothing_can_be_written_it_says_so(motion: MotionMesh, tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="folder"):
        motion[:2].save(tmp_path / "no" / "a.motion")
    (tmp_path / "d").mkdir()
    with pytest.raises(Unwritable):
        motion[:2].save(tmp_path / "d", overwrite=True)
    with pytest.raises(MissingFile):
        MotionMesh.load(tmp_path / "none.motion")


def broken(change: Change, path: Path) -> Path:
    """A copy of the file with its tensors and header changed."""
    tensors = load_file(path)
    (lead,) = struct.unpack("<Q", path.read_bytes()[:8])
    about = json.loads(path.read_bytes()[8 : 8 + lead])["__metadata__"]
    change(tensors, about)
    other = path.with_name("broken.motion")
    save_file(tensors, other, about)
    return other


CHANGES: dict[str, Change] = {
    "other version": lambda t, a: a.update(version="2"),
    "other kind": lambda t, a: a.update(kind="thoughts"),
    "other format": lambda t, a: a.clear(),
    "rate of nothing": lambda t, a: a.update(rate="1/0"),
    "negative rate": lambda t, a: a.update(rate="-5"),
    "absurd rate": lambda t, a: a.update(rate="1e300"),
    "names that are none": lambda t, a: a.update(names="[1, 2]"),
    "names twice": lambda t, a: a.update(names=json.dumps(["jawOpen"] * 45)),
    "too many names": lambda t, a: a.update(names=json.dumps([str(i) for i in range(44)])),
    "deep nesting": lambda t, a: a.update(names="[" * 100_000),
    "provenance of numbers": lambda t, a: a.update(provenance='{"a": 1}'),
    "more frames than there are": lambda t, a: a.update(frames="[10]"),
    "negative frames": lambda t, a: a.update(frames="[-9]"),
    "more parts than there are": lambda t, a: a.update(frames="[9, 9]"),
    "no points": lambda t, a: t.pop("0000/points.steps"),
    "no times": lambda t, a: t.pop("0000/times"),
    "points of another mesh": lambda t, a: t.update({"0000/points.steps": t["0000/points.steps"][:, :468].copy()}),
    "curves of another length": lambda t, a: t.update({"0000/curves": t["0000/curves"][:5].copy()}),
    "curves of another type": lambda t, a: t.update({"0000/curves": t["0000/curves"].astype(np.float64)}),
    "no numbers": lambda t, a: t["0000/curves"].fill(np.nan),
    "points beyond the world": lambda t, a: t["0000/points.low"].fill(1e300),
    "steps beyond the world": lambda t, a: t["0000/points.step"].fill(np.inf),
    "times backwards": lambda t, a: t.update({"0000/times": t["0000/times"][::-1].copy()}),
    "no rotation": lambda t, a: t["0000/rotation"].fill(0),
    "negative size": lambda t, a: t["0000/scale"].fill(-1),
    "huge mouths": lambda t, a: t["0000/mouths.size"].fill(60_000),
    "mouths in disorder": lambda t, a: t.update({"0000/mouths.ends": t["0000/mouths.ends"][::-1].copy()}),
    "mouths of rubbish": lambda t, a: t["0000/mouths.jpeg"].fill(7),
    "mouths of another size": lambda t, a: t["0000/mouths.size"].fill(64),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_wrong_file_is_refused_by_name(what: str, motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "a.motion"
    motion[:9].save(path)
    other = broken(CHANGES[what], path)
    with pytest.raises(BadMotionFile) as caught:
        MotionMesh.load(other)
    assert "broken.motion" in str(caught.value) and caught.value.seen
    if what == "other version":
        assert "another version" in caught.value.happened and "version 2" in caught.value.seen


def test_a_jpeg_that_claims_a_huge_picture_is_not_decoded(motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "a.motion"
    motion[:2].save(path)

    def claim(tensors: dict[str, Array], about: dict[str, str]) -> None:
        data = tensors["0000/mouths.jpeg"].tobytes()
        at = data.index(b"\xff\xc0")
        tensors["0000/mouths.jpeg"] = np.frombuffer(data[: at + 5] + b"\xea\x60\xea\x60" + data[at + 9 :], np.uint8)

    with pytest.raises(BadMotionFile, match="another size"):
        MotionMesh.load(broken(claim, path))


def test_damage_anywhere_is_an_error_of_ours_or_harmless(motion: MotionMesh, tmp_path: Path) -> None:
    path = tmp_path / "a.motion"
    motion[:2].save(path)
    good, chance = path.read_bytes(), np.random.default_rng(1)
    (lead,) = struct.unpack("<Q", good[:8])
    refused = 0
    for trial in range(80):
        data = bytearray(good)
        kind = trial % 4
        if kind == 0:
            data = data[: chance.integers(0, len(data))]
        else:
            spot = int(chance.integers(0, 8 + lead if kind < 3 else len(data)))
            data[spot] ^= int(chance.integers(1, 256))
        path.write_bytes(bytes(data))
        try:
            MotionMesh.load(path)
        except BadMotionFile:
            refused += 1
    assert refused >= 40
    for rubbish in (b"", b"not a motion file", b"\xff" * 64, struct.pack("<Q", 2**62) + b"{}"):
        path.write_bytes(rubbish)
        with pytest.raises(BadMotionFile):
            MotionMesh.load(path)


def test_the_face_at_rest_is_estimated_when_nobody_knows_it() -> None:
    motion = performance(2, 200)
    alone = MotionMesh.from_points(motion.times, motion.points, motion.rate)
    known = MotionMesh.from_points(motion.times, motion.points, motion.rate, neutral=neutral_shape(motion.points))
    assert np.array_equal(alone.curves, known.curves)
    jaw = CARRIED.index("jawOpen")
    assert np.corrcoef(alone.curves[:, jaw], motion.curves[:, jaw])[0, 1] > 0.95
    nobody = MotionMesh.from_points(motion.times[:2], motion.points[:2], motion.rate, seen=[False, False])
    assert not nobody.seen.any()
    empty = MotionMesh.from_points([], np.zeros((0, 478, 3), np.float32), Fraction(30))
    assert len(empty) == 0 and len(empty.retime(24)) == 0 and len(empty.smooth(1)) == 0 and len(empty.scaled(2)) == 0
