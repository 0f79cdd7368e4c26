"""Driving pictures: they slice, join, save and load; a stream of them is the same however it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest

from understudy.errors import BadMotionFile, NoFace, WrongMotion
from understudy.face.find import Face
from understudy.face.mesh import canonical
from understudy.face.pose import Pose, rotation_of
from understudy.face.square import Picture
from understudy.motion import file as motion_file
from understudy.motion.file import MotionFile, read_header
from understudy.motion.frames import MotionFrames, join, whole
from understudy.motion.kinds import FRAMES, PICTURES
from understudy.motion.read import CHUNK, read_frames

RATE = Fraction(25)


def made(frames: int = 10, rate: Fraction = RATE, seed: int = 0) -> MotionFrames:
    """Coloured noise, with a face that wanders."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 255, (frames, 16, 16, 3), np.uint8)
    points = np.tile(canonical().points[None, :, :2] * 60 + 128, (frames, 1, 1)).astype(np.float32)
    return MotionFrames(
        times=np.arange(frames) / float(rate),
        pictures=coarse.repeat(16, 1).repeat(16, 2),
        points=points + chance.normal(0, 2, (frames, 1, 2)).astype(np.float32),
        squares=np.tile(np.array([[100, 90, 300]], np.float32), (frames, 1)),
        seen=np.arange(frames) % 7 != 3,
        shots=(np.arange(frames) // 6).astype(np.int32),
        rate=rate,
        provenance={"source": "noise"},
    )


def same(one: MotionFrames, other: MotionFrames) -> bool:
    def alike(a: object, b: object) -> bool:
        return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b  # type: ignore[arg-type]

    return all(alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(MotionFrames))


def test_slices_put_together_are_the_whole() -> None:
    motion = made()
    assert same(whole([motion[:3], motion[3:4], motion[4:]]), motion)
    assert len(motion[8:20]) == 2 and motion[2:5].times[0] == motion.times[2]
    assert np.shares_memory(motion[2:5].pictures, motion.pictures)
    with pytest.raises(ValueError, match="consecutive"):
        motion[::2]
    with pytest.raises(WrongMotion, match="different performances"):
        whole([motion, replace(motion, rate=Fraction(30))])
    assert motion.square(0).side == 300


def test_joined_there_is_a_cut_between() -> None:
    one, other = made(5), made(6, Fraction(50), seed=1)
    joined = join(one, other)
    assert joined.rate == RATE and len(joined) == 5 + 3, "the second lasts as long as before"
    assert (np.diff(joined.times) > 0).all() and joined.shots[5] == joined.shots[4] + 1
    np.testing.assert_array_equal(joined.pictures[5:], other.pictures[::2])
    assert same(join(one), one)
    with pytest.raises(WrongMotion, match="no motion"):
        join()


def test_a_film_shown_slower_has_every_frame_again() -> None:
    motion = made(5)
    twice = motion.retime(50)
    assert len(twice) == 10 and twice.rate == 50
    np.testing.assert_array_equal(twice.pictures[::2], motion.pictures)
    np.testing.assert_array_equal(twice.pictures[1::2], motion.pictures)


def test_exact_files_are_exact(tmp_path: Path) -> None:
    motion = made(70)
    path = tmp_path / "frames.safetensors"
    motion.save(path, exact=True)
    assert same(MotionFrames.load(path), motion)
    header = read_header(path)
    assert (header.kind, header.rate, header.frames) == ("frames", RATE, (PICTURES, PICTURES, 70 - 2 * PICTURES))
    assert header.provenance == {"source": "noise"}
    assert [len(part) for part in motion_file.read_frames(path)] == [32, 32, 6], "never a whole film at once"


def test_other_files_are_small_and_nearly_exact(tmp_path: Path) -> None:
    motion = made(20)
    paths = [tmp_path / "small.safetensors", tmp_path / "exact.safetensors"]
    for path, exact in zip(paths, (False, True), strict=True):
        motion.save(path, exact=exact)
    back = MotionFrames.load(paths[0])
    assert same(replace(back, pictures=motion.pictures), motion), "only pictures lose anything"
    assert np.abs(back.pictures.astype(int) - motion.pictures).mean() < 6


def test_a_growing_file_goes_on(tmp_path: Path) -> None:
    motion = made(9)
    with MotionFile(tmp_path / "a.motion", exact=True, kind=FRAMES) as file:
        file.append(motion[:4])
    with MotionFile(tmp_path / "a.motion", exact=True, kind=FRAMES) as file:
        assert len(file) == 4
        file.append(motion[4:])
        assert same(whole(file), motion)
    with pytest.raises(BadMotionFile, match="pictures of a driver"):
        MotionFile(tmp_path / "a.motion")


def test_kinds_are_not_mixed_up(tmp_path: Path) -> None:
    path = tmp_path / "frames.safetensors"
    made(3).save(path)
    with pytest.raises(WrongMotion, match="pictures of a driver, not points") as caught:
        next(motion_file.read(path))
    assert "x-portrait-small" in caught.value.remedy


@pytest.mark.parametrize("harm", ["pictures", "points", "size", "rubbish", "names"])
def test_files_of_strangers_are_distrusted(harm: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "frames.safetensors"
    made(3).save(path)
    tensors = {name: tensor.copy() for name, tensor in load_file(path).items()}
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        about = file.metadata()
    if harm == "pictures":
        del tensors["0000/pictures.jpeg"]
    elif harm == "points":
        tensors["0000/points"][0, 0, 0] = np.nan
    elif harm == "size":
        tensors["0000/pictures.size"][:] = 60_000
    elif harm == "rubbish":
        tensors["0000/pictures.jpeg"][:] = 7
    else:
        about["names"] = '["jawOpen"]'
    save_file(tensors, path, about)
    with pytest.raises(BadMotionFile, match="damaged"):
        MotionFrames.load(path)


# --- reading a driver -----------------------------------------------------------------------------------------------


class Told:
    """A finder that is told where the face is: in the red of the first pixel, eighths of the picture to the right."""

    def find(self, picture: Picture, *, thorough: bool = True, doubtful: bool = False) -> list[Face]:
        shift = int(picture[0, 0, 0])
        if shift == 255:
            return []
        size = picture.shape[0]
        pose = Pose(
            rotation_of(np.zeros((1, 3))),
            np.array([size * 0.2], np.float32),
            np.array([[size * (0.5 + shift / 100), size * 0.45, 0]], np.float32),
        )
        return [Face(pose.put(canonical().points)[0])]

    def track(self, picture: Picture, last: Face) -> Face | None:
        return next(iter(self.find(picture)), None)

    def close(self) -> None: ...

    def __enter__(self) -> Told:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def film(shifts: Sequence[int], size: int = 320, shade: int = 120) -> Iterator[tuple[Fraction, Picture]]:
    """Frames with the face shifted by hundredths, or without one (255)."""
    for number, shift in enumerate(shifts):
        picture = np.full((size, size * 16 // 9, 3), shade, np.uint8)
        picture[:, number % size] = 200
        picture[0, 0] = shift
        yield Fraction(number, 25), picture


def read(shifts: Sequence[int]) -> list[MotionFrames]:
    return list(read_frames(film(shifts), RATE, Told(), provenance={"source": "told"}))


def test_a_driver_is_read_in_chunks_with_one_square() -> None:
    chunks = read([k % 5 for k in range(75)])
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 75 - 2 * CHUNK]
    motion = whole(chunks)
    assert motion.pictures.shape == (75, 256, 256, 3) and motion.points.shape == (75, 478, 2)
    assert len(np.unique(motion.squares, axis=0)) == 1, "the head moves in it"
    assert np.ptp(motion.points[:, 1, 0]) > 3
    assert motion.seen.all() and motion.provenance == {"source": "told"}
    np.testing.assert_allclose(motion.times, np.arange(75) / 25)


def test_points_count_from_the_corner() -> None:
    """The face's points, through the square, half a pixel from where OpenCV counts."""
    motion = read([0] * 5)[0]
    square = motion.square(0)
    face = Told().find(next(film([0]))[1])[0]
    np.testing.assert_allclose(motion.points[0], square.to_frame(face.points, 256)[:, :2] + 0.5, atol=0.05)


def test_where_nobody_is_seen_the_last_picture_stands() -> None:
    motion = whole(read([255] * 4 + [0] * 10 + [255] * 30 + [3] * 5))
    assert len(motion) == 49 and not motion.seen[:4].any() and motion.seen[4:14].all()
    np.testing.assert_array_equal(motion.pictures[:4], motion.pictures[[4] * 4])
    held = np.flatnonzero(~motion.seen[14:]) + 14
    assert len(held) > 20
    np.testing.assert_array_equal(motion.pictures[held], motion.pictures[[13] * len(held)])
    np.testing.assert_array_equal(motion.points[held], motion.points[[13] * len(held)])


def test_nobody_at_all() -> None:
    with pytest.raises(NoFace, match="no face was found in the driver"):
        read([255] * 6)
