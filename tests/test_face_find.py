"""Finding: the astronaut in every position, and nobody where there is nobody."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from understudy.errors import FaceTooSmall, MissingExtra, NoFace, NoSuchFace
from understudy.face import networks
from understudy.face.find import HUMAN, SMALLEST_EYES, Face, pick
from understudy.face.mesh_finder import MeshFinder, apart, centres, followed, parts_of, window_of
from understudy.face.square import Picture, Square

Matrix = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def finder() -> Iterator[MeshFinder]:
    with MeshFinder() as finder:
        yield finder


@pytest.fixture(scope="module")
def astronaut() -> Picture:
    return np.asarray(data.astronaut(), np.uint8)


@pytest.fixture(scope="module")
def known(finder: MeshFinder, astronaut: Picture) -> Face:
    (face,) = finder.find(astronaut)
    return face


def moved(picture: Picture, degrees: float, scale: float, size: tuple[int, int]) -> tuple[Picture, Matrix]:
    """The picture about its middle, clockwise, in the middle of a larger one; and the matrix that did it."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, scale)
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shrunk = picture
    if scale < 0.7:  # warping alone would alias
        blur = 0.4 / scale
        shrunk = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.uint8)
    canvas = cv2.warpAffine(shrunk, matrix, size, flags=method, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(canvas, np.uint8), np.asarray(matrix, np.float64)


def off(found: Face, known: Face, matrix: Matrix) -> float:
    """Mean distance of points from where they should be, in eye distances of the found face."""
    expected = known.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return float(np.linalg.norm(found.points[:, :2] - expected, axis=-1).mean() / found.eye_distance)


def test_the_points_are_where_the_face_is(known: Face) -> None:
    assert known.points.shape == (478, 3) and known.points.dtype == np.float32
    left, top, right, bottom = known.box
    assert 165 < left < right < 285 and 60 < top < bottom < 200
    assert known.human and 0.8 < known.score <= 1
    assert 50 < known.eye_distance < 75 and abs(math.degrees(known.roll)) < 15
    right_eye, left_eye, chin = known.points[33], known.points[263], known.points[152]
    assert right_eye[0] < left_eye[0], "the person's right eye is on the picture's left"
    assert chin[1] > right_eye[1]
    nose, ear = known.points[1], known.points[234]
    assert nose[2] < ear[2], "what is nearer is smaller"


@pytest.mark.parametrize(
    ("degrees", "scale"),
    [(0, 1), (15, 1), (-15, 1), (40, 1), (0, 0.6), (0, 1.5), (90, 1), (-90, 1), (180, 1)],
)
def test_turned_and_scaled_it_is_the_same_face(
    finder: MeshFinder, astronaut: Picture, known: Face, degrees: float, scale: float
) -> None:
    picture, matrix = moved(astronaut, degrees, scale, (800, 760))
    faces = finder.find(picture)
    assert len(faces) == 1
    assert off(faces[0], known, matrix) < 0.02
    assert faces[0].score > 0.7


def test_mirrored_grey_and_compressed(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    mirrored = finder.find(np.ascontiguousarray(astronaut[:, ::-1]))[0]
    width = astronaut.shape[1]
    assert abs((width - 1 - mirrored.points[263, 0]) - known.points[33, 0]) < 0.03 * known.eye_distance
    grey = np.repeat(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    compressed = cv2.imdecode(cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    for other in (grey, compressed):
        (face,) = finder.find(np.asarray(other, np.uint8))
        assert off(face, known, np.eye(2, 3)) < 0.03 and face.score > 0.7


def test_a_small_face_in_a_large_picture(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    """Twenty-six pixels from eye to eye, in a corner of full HD: no detector sees that in the whole picture."""
    scale = 26 / known.eye_distance
    small = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full((1080, 1920, 3), 120, np.uint8)
    picture[700 : 700 + len(small), 1500 : 1500 + small.shape[1]] = small
    assert finder.find(picture, thorough=False) == []
    (face,) = finder.find(picture)
    matrix = np.array([[scale, 0, 1500 + (scale - 1) / 2], [0, scale, 700 + (scale - 1) / 2]])
    assert off(face, known, matrix) < 0.05
    assert pick([face]) is face


def test_half_hidden_by_the_pictures_edge(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    left, top, right, bottom = (round(edge) for edge in known.box)
    for part in (
        astronaut[:, left + 25 :],
        astronaut[:, : right - 25],
        astronaut[top + 30 :],
        astronaut[: bottom - 25],
    ):
        assert len(finder.find(np.ascontiguousarray(part))) == 1


def test_several_faces_the_largest_first(finder: MeshFinder, astronaut: Picture) -> None:
    picture = np.full((700, 1200, 3), 90, np.uint8)
    for k, side in enumerate((300, 400, 200)):
        shrunk = cv2.resize(astronaut[:300, 60:360], (side, side), interpolation=cv2.INTER_AREA)
        picture[100 : 100 + side, 20 + 400 * k : 20 + 400 * k + side] = shrunk
    faces = finder.find(picture)
    assert [round(face.centre[0] / 400 - 0.3) for face in faces] == [1, 0, 2]
    assert pick(faces) is faces[0] and pick(faces, 2) is faces[2]
    with pytest.raises(NoSuchFace, match=r"face 3 was asked for in them.jpg.*3 faces.*--face 0 to 2"):
        pick(faces, 3, "them.jpg")
    with pytest.raises(NoSuchFace):
        pick(faces, -1)


@pytest.mark.parametrize("degrees", [0, 15, -15, 90])
@pytest.mark.parametrize("scale", [0.6, 1.0, 1.5])
def test_a_cat_is_nobody(finder: MeshFinder, degrees: float, scale: float) -> None:
    cat, _ = moved(np.asarray(data.cat(), np.uint8), degrees, scale, (500, 420))
    assert finder.find(cat) == []
    with pytest.raises(NoFace) as error:
        pick(finder.find(cat, doubtful=True), name="cat.png")
    assert "no human face was found in cat.png" in str(error.value) and "Try: a picture of a person" in str(error.value)


def test_the_mesh_network_would_have_taken_the_cat(finder: MeshFinder) -> None:
    """Else the test before this one would not test much."""
    cat = np.asarray(data.cat(), np.uint8)
    (face,) = finder.find(cat, doubtful=True)
    assert not face.human and face.score < HUMAN - 0.2
    with pytest.raises(NoFace, match=r"something with eyes and a mouth.*sure to be human"):
        pick([face])


def made_pictures() -> Iterator[tuple[str, Picture]]:
    chance = np.random.default_rng(0)
    yield "noise", chance.integers(0, 256, (400, 500, 3), dtype=np.uint8)
    blurred = cv2.GaussianBlur(chance.normal(0, 1, (400, 500, 3)), (0, 0), 15)
    yield "clouds", np.asarray((blurred - blurred.min()) / np.ptp(blurred) * 255, np.uint8)
    yield "white", np.full((300, 300, 3), 255, np.uint8)
    yield "one pixel", np.zeros((1, 1, 3), np.uint8)
    yield "a line", np.zeros((2, 900, 3), np.uint8)
    board = np.indices((300, 300)).sum(0) // 30 % 2 * 255
    yield "chessboard", np.repeat(board[..., None], 3, 2).astype(np.uint8)
    for name in ("coffee", "rocket", "brick", "grass", "coins", "text", "page", "moon", "clock"):
        picture = np.asarray(getattr(data, name)())
        yield name, picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, 2)


@pytest.mark.parametrize(("name", "picture"), [pytest.param(*made, id=made[0]) for made in made_pictures()])
def test_things_are_nobody(finder: MeshFinder, name: str, picture: Picture) -> None:
    assert finder.find(picture) == []
    with pytest.raises(NoFace):
        pick(finder.find(picture, doubtful=True), name=name)


def test_too_small_says_how_small() -> None:
    points = np.zeros((478, 3), np.float32)
    points[33], points[263] = (10, 10, 0), (10 + SMALLEST_EYES - 1, 10, 0)
    with pytest.raises(FaceTooSmall, match=r"23 pixels from eye to eye; 24 are needed"):
        pick([Face(points)])
    points[263, 0] += 1
    assert pick([Face(points)]).eye_distance == SMALLEST_EYES


def test_the_same_picture_twice_gives_the_same_bits(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    finder.find(np.asarray(data.cat(), np.uint8))  # something else in between
    assert np.array_equal(finder.find(astronaut)[0].points, known.points)
    with MeshFinder() as another:
        assert np.array_equal(another.find(astronaut)[0].points, known.points)


def test_a_face_is_tracked_as_it_moves(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    face: Face | None = known
    for k in range(12):
        picture, matrix = moved(astronaut, 3 * k, 1 + 0.03 * k, (512, 512))
        matrix[:, 2] += 5 * k, -3 * k
        picture = np.asarray(
            cv2.warpAffine(picture, np.array([[1, 0, 5.0 * k], [0, 1, -3.0 * k]]), (512, 512)), np.uint8
        )
        assert face is not None
        face = finder.track(picture, face)
        assert face is not None and off(face, known, matrix) < 0.035


def test_a_leap_is_looked_at_again(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    """A third of the face in one frame: seen through the old window, but not exactly."""
    leap = known.size / 3
    matrix = np.array([[1, 0, leap], [0, 1, 0.0]])
    face = finder.track(np.asarray(cv2.warpAffine(astronaut, matrix, (512, 512)), np.uint8), known)
    assert face is not None and off(face, known, matrix) < 0.035


def test_a_face_that_is_gone_is_not_tracked(finder: MeshFinder, astronaut: Picture, known: Face) -> None:
    assert finder.track(np.full_like(astronaut, 128), known) is None
    assert finder.track(np.asarray(data.coffee(), np.uint8)[:400], known) is None
    assert finder.track(astronaut[:40, :40], known) is None, "its place is not in the picture any more"


def test_windows_hang_on_a_lead() -> None:
    window = Square(100, 100, 100, 0.0)
    assert followed(window, Square(101, 100, 100.5, 0.005)) == window, "a quiver moves nothing"
    far = followed(window, Square(120, 100, 130, 0.3))
    assert far.x == pytest.approx(118.5) and far.y == 100 and far.turn == pytest.approx(0.285)
    assert apart(far, Square(120, 100, 130, 0.3)) == pytest.approx(0.015, abs=0.003)
    half = followed(Square(0, 0, 10, math.pi - 0.1), Square(0, 0, 10, -math.pi + 0.1))
    assert half.turn == pytest.approx(math.pi + 0.085), "the short way round"


def test_windows_are_what_the_network_was_trained_on(known: Face) -> None:
    window = window_of(known.points)
    assert window.side == pytest.approx(1.5 * known.size) and window.turn == pytest.approx(known.roll)


def test_parts_cover_the_picture() -> None:
    for height, width in ((1080, 1920), (1920, 1080), (700, 1300)):
        count = np.zeros((height, width), int)
        for part in parts_of(np.zeros((height, width, 3), np.uint8)):
            x, y, half = part.x + 0.5, part.y + 0.5, part.side / 2
            top, left = max(0, round(y - half)), max(0, round(x - half))
            count[top : round(y + half), left : round(x + half)] += 1
        assert count.min() >= 1
    assert list(parts_of(np.zeros((500, 500, 3), np.uint8))) == [], "the whole shows every face of use"
    assert centres(100, 100) == [49.5]


def test_nothing_is_said_on_stderr() -> None:
    """The networks' C++ has much to say when it starts, below Python's own stderr; the words of others pass."""
    script = """
import os, numpy as np
from understudy.face.mesh_finder import MeshFinder
from understudy.face.networks import hushed
with MeshFinder() as finder:
    finder.find(np.zeros((64, 64, 3), np.uint8))
with hushed():
    os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\nsomebody else's words\\n")
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stderr == "somebody else's words\n"
    assert said.stdout == ""


def test_without_mediapipe_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingExtra, match=r"pip install .*mediapipe==0\.10\.21"):
        MeshFinder()


def test_a_mediapipe_without_models_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.exists", lambda path: False)
    with pytest.raises(MissingExtra, match=r"does not carry its models.*version 0"):
        networks.MeshNetwork()
