"""Live Link Face recordings: what goes out comes back, what comes in can be drawn, and nonsense is refused."""

from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from faces import mixes, performance

from understudy.errors import BadMotionFile, Exists, MissingFile, Unwritable
from understudy.face.arkit import ABSENT, ARKIT_NAMES, CARRIED
from understudy.face.mesh import LEFT_EYE
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import Rig
from understudy.motion.livelink import COLUMNS, PICTURE, livelink_chunks, read_livelink, timecode, write_livelink
from understudy.motion.mesh import MotionMesh, whole


def quiet(text: str) -> None:
    """Nothing may be worth a warning."""
    raise AssertionError(text)


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open() as file:
        rows = list(csv.reader(file))
    return rows[0], rows[1:]


def rewritten(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """A second and a half at 60 a second, written by us."""
    write_livelink(tmp_path / "take.csv", performance(1, 90, Fraction(60)))
    return tmp_path / "take.csv"


def test_columns_are_those_of_the_app() -> None:
    assert len(COLUMNS) == 2 + 61 and COLUMNS[:4] == ("Timecode", "BlendShapeCount", "EyeBlinkLeft", "EyeLookDownLeft")
    assert COLUMNS[16:20] == ("JawForward", "JawRight", "JawLeft", "JawOpen")
    assert COLUMNS[23:25] == ("MouthRight", "MouthLeft")
    assert COLUMNS[53:57] == ("TongueOut", "HeadYaw", "HeadPitch", "HeadRoll") and COLUMNS[-1] == "RightEyeRoll"
    assert {name.lower() for name in ARKIT_NAMES} <= {name.lower() for name in COLUMNS}


def test_what_goes_out_comes_back(take: Path) -> None:
    motion = performance(1, 90, Fraction(60))
    back = read_livelink(take, warn=quiet)
    assert back.names == CARRIED and back.rate == 60 and len(back) == 90
    assert np.abs(back.curves - motion.curves).max() < 1e-6
    assert np.abs(back.pose.angles - motion.pose.angles).max() < 1e-3
    assert np.abs(back.times - motion.times).max() < 1e-4
    assert back.seen.all() and back.provenance["source"] == "take.csv"


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(120)])
def test_rates_and_hours_survive(rate: Fraction, tmp_path: Path) -> None:
    motion = performance(2, 40, rate)
    late = replace(motion, times=motion.times + 3 * 3600 + 59 * 60 + 59.5)
    write_livelink(tmp_path / "a.csv", late)
    assert table(tmp_path / "a.csv")[1][0][0] == "03:59:59:30.000"
    back = read_livelink(tmp_path / "a.csv", warn=quiet)
    assert back.rate == rate and back.times[0] == 0
    assert np.abs(back.times - motion.times).max() < 1e-4


def test_timecodes_count_sixtieths() -> None:
    assert timecode(0) == "00:00:00:00.000" and timecode(1 / 60) == "00:00:00:01.000"
    assert timecode(3725.5) == "01:02:05:30.000" and timecode(1 / 30000 * 1001) == "00:00:00:02.002"
    assert timecode(0.9999999) == "00:00:01:00.000" and timecode(24 * 3600) == "00:00:00:00.000"


def test_midnight_passes(tmp_path: Path) -> None:
    motion = performance(2, 60)
    write_livelink(tmp_path / "a.csv", replace(motion, times=motion.times + 24 * 3600 - 1))
    assert np.abs(read_livelink(tmp_path / "a.csv", warn=quiet).times - motion.times).max() < 1e-4


def test_what_comes_in_can_be_drawn(take: Path) -> None:
    motion = read_livelink(take)
    assert motion.points.shape == (90, 478, 3) and np.isfinite(motion.points).all()
    assert motion.points[..., :2].min() > 0 and motion.points[..., :2].max() < PICTURE
    again = Rig.canonical().coefficients(motion.points, motion.pose)
    shown = Rig.canonical().shapes(again) - Rig.canonical().shapes(motion.curves)
    assert np.abs(shown).max() < 0.03, "the points perform the curves"
    seen = MotionMesh.from_points(motion.times, motion.points, motion.rate, neutral=Rig.canonical().shape)
    assert np.abs(seen.pose.angles - motion.pose.angles).max() < 0.5


def test_heads_and_eyes_turn_as_the_app_says(tmp_path: Path) -> None:
    """Signs measured on recordings of the app: an eye that looks towards the person's right has positive yaw."""
    looks = {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0, "eyeLookDownLeft": 0.5, "eyeLookUpRight": 0.25}
    curves = np.array([[looks.get(name, 0) for name in CARRIED]], np.float32)
    pose = Pose(rotation_of([[20, 10, 5]]), np.array([150], np.float32), np.zeros((1, 3), np.float32))
    points = Rig.canonical().points(curves, pose)
    motion = MotionMesh(
        np.zeros(1), points, pose, curves, CARRIED, np.ones(1, bool), np.zeros(1, np.int32), Fraction(30)
    )
    write_livelink(tmp_path / "a.csv", motion)
    header, rows = table(tmp_path / "a.csv")
    cells = dict(zip(header, rows[0], strict=True))
    turns = {name: float(cells[name]) for name in COLUMNS[54:]}
    assert turns["LeftEyeYaw"] == pytest.approx(0.60) and turns["RightEyeYaw"] == pytest.approx(0.60)
    assert turns["LeftEyePitch"] == pytest.approx(0.275) and turns["RightEyePitch"] == pytest.approx(-0.1375)
    # our yaw is towards the picture's right, which is the person's left; theirs towards the person's right
    assert np.degrees([turns[n] for n in ("HeadYaw", "HeadPitch", "HeadRoll")]) == pytest.approx([-20, 10, 5], abs=1e-3)
    back = read_livelink(tmp_path / "a.csv", warn=lambda text: None)
    iris = back.shapes[0][LEFT_EYE.iris[0]] - Rig.canonical().shape[LEFT_EYE.iris[0]]
    assert iris[0] < -0.05, "inwards is towards the picture's left"


def test_curves_that_a_mesh_cannot_show_are_kept_and_zeros_mean_nothing(take: Path) -> None:
    header, rows = table(take)
    assert not set(ABSENT) & set(read_livelink(take, warn=quiet).names)
    tongue = header.index("TongueOut")
    rows[7][tongue] = "0.9"
    back = read_livelink(rewritten(take, header, rows), warn=quiet)
    assert back.names == tuple(name for name in ARKIT_NAMES if name in CARRIED or name == "tongueOut")
    assert back.curves[7, -1] == pytest.approx(0.9)
    write_livelink(take, back, overwrite=True)
    assert np.allclose(read_livelink(take, warn=quiet).curves, back.curves, atol=1e-6)


def test_columns_may_be_missing_mixed_up_or_in_other_letters(take: Path) -> None:
    header, rows = table(take)
    motion = read_livelink(take)
    said: list[str] = []
    kept = [
        i for i, name in enumerate(header) if "Brow" not in name and "Yaw" not in name and name != "BlendShapeCount"
    ]
    kept = kept[::-1]
    path = rewritten(
        take, [header[i].upper() if i % 2 else f" {header[i]} " for i in kept], [[r[i] for i in kept] for r in rows]
    )
    back = read_livelink(path, warn=said.append)
    assert len(said) == 1 and "5 of 45" in said[0] and "browDownLeft" in said[0]
    assert not any(name.startswith("brow") for name in back.names)
    jaw = back.names.index("jawOpen")
    assert np.allclose(back.curves[:, jaw], motion.curves[:, CARRIED.index("jawOpen")], atol=1e-6)
    assert np.abs(back.pose.angles[:, 0]).max() < 1e-3 and np.abs(back.pose.angles[:, 1]).max() > 1


def test_a_byte_order_mark_and_blank_lines_do_no_harm(take: Path) -> None:
    motion = read_livelink(take)
    take.write_bytes(b"\xef\xbb\xbf" + take.read_bytes().replace(b"\n", b"\r\n\r\n", 5))
    assert np.array_equal(read_livelink(take, warn=quiet).curves, motion.curves)


def test_lost_frames_hold_what_was_seen(take: Path) -> None:
    header, rows = table(take)
    rows[10] = [rows[10][0], "0"]
    rows[11][1] = "0"
    said: list[str] = []
    back = read_livelink(rewritten(take, header, rows), warn=said.append)
    assert "in 2 of 90 frames" in said[0] and list(np.flatnonzero(~back.seen)) == [10, 11]
    assert np.array_equal(back.curves[11], back.curves[9])
    write_livelink(take, back, overwrite=True)
    assert list(np.flatnonzero(~read_livelink(take, warn=said.append).seen)) == [10, 11]


def test_degrees_and_wild_values_are_understood_and_said(take: Path) -> None:
    header, rows = table(take)
    yaw, jaw = header.index("HeadYaw"), header.index("JawOpen")
    for row in rows:
        for column in range(header.index("HeadYaw"), len(header)):
            row[column] = str(np.degrees(float(row[column])))
    rows[3][jaw], rows[4][jaw] = "7", "-0.5"
    rows[0][yaw] = "-30"
    said: list[str] = []
    back = read_livelink(rewritten(take, header, rows), warn=said.append)
    assert any("degrees" in text for text in said) and any("jawOpen" in text for text in said)
    assert back.pose.angles[0, 0] == pytest.approx(30, abs=1e-3)
    assert back.curves.max() <= 1.2 and back.curves.min() >= 0


@pytest.mark.parametrize("code", ["", "soon", "17", "1:2:3:4:5"])
def test_without_timecodes_frames_are_counted(code: str, take: Path) -> None:
    header, rows = table(take)
    said: list[str] = []
    path = rewritten(take, header, [[code, *row[1:]] for row in rows])
    back = read_livelink(path, warn=said.append)
    assert "60 frames a second" in said[0] and np.allclose(back.times, np.arange(90) / 60)
    assert read_livelink(path, rate=Fraction(25), warn=quiet).times[50] == pytest.approx(2)


def test_clocks_of_other_programs(take: Path) -> None:
    header, rows = table(take)
    decimal = [[f"00:00:{k / 25:06.3f}", *row[1:]] for k, row in enumerate(rows)]
    assert read_livelink(rewritten(take, header, decimal), warn=quiet).rate == 25
    base24 = [[f"00:00:{10 + k // 24:02d}:{k % 24:02d}", *row[1:]] for k, row in enumerate(rows)]
    assert read_livelink(rewritten(take, header, base24), warn=quiet).rate == 24
    stuck = [["01:00:00:00.000", *row[1:]] for row in rows]
    assert np.allclose(read_livelink(rewritten(take, header, stuck), warn=lambda text: None).times, np.arange(90) / 60)


def test_long_takes_are_streams(tmp_path: Path) -> None:
    rig = Rig.canonical()
    curves = mixes(0, 300, 0.1)
    count = len(curves)
    pose = Pose(
        np.tile(np.eye(3, dtype=np.float32), (count, 1, 1)),
        np.full(count, 150, np.float32),
        np.full((count, 3), 200, np.float32),
    )
    motion = MotionMesh(
        np.arange(count) / 30, rig.points(curves, pose), pose, curves, CARRIED, np.ones(count, bool),
        np.zeros(count, np.int32), Fraction(30),
    )  # fmt: skip
    write_livelink(tmp_path / "a.csv", (motion[k : k + 70] for k in range(0, count, 70)))
    chunks = list(livelink_chunks(tmp_path / "a.csv", warn=quiet))
    assert [len(chunk) for chunk in chunks] == [256, 44]
    together = whole(chunks)
    assert np.allclose(together.curves, curves, atol=1e-6) and np.allclose(together.times, motion.times, atol=1e-4)


BAD = {
    "empty": b"",
    "text": b"Dear diary,\ntoday I recorded nothing.\n",
    "header only": ",".join(COLUMNS).encode() + b"\n",
    "words for numbers": b"Timecode,BlendShapeCount,JawOpen\n00:00:00:00.0,1,wide\n",
    "no numbers": b"Timecode,BlendShapeCount,JawOpen\n00:00:00:00.0,1,nan\n",
    "endless": b"Timecode,BlendShapeCount,JawOpen\n00:00:00:00.0,1,1e999\n",
    "no count": b"Timecode,BlendShapeCount,JawOpen\n00:00:00:00.0,many,0\n",
    "a film": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00" + bytes(range(256)) * 40,
    "one endless cell": b"JawOpen\n" + b"1" * 300_000,
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_recording_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(BAD[what])
    with pytest.raises(BadMotionFile) as caught:
        read_livelink(path, warn=lambda text: None)
    assert "bad.csv" in str(caught.value) and caught.value.seen and caught.value.remedy


def test_where_files_are_not_it_says_so(take: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_livelink(tmp_path / "none.csv")
    with pytest.raises(BadMotionFile):
        read_livelink(tmp_path)
    motion = performance(1, 3)
    with pytest.raises(Exists):
        write_livelink(take, motion)
    with pytest.raises(Unwritable):
        write_livelink(tmp_path / "no" / "a.csv", motion)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.csv"]
