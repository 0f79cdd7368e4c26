"""Colours: what a film says, in every dialect that films speak, comes out as the same sRGB; and goes back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame
from clip_made import film

from understudy.clip import read, write
from understudy.clip.colour import BT601, BT709, BT2020, FULL, LIMITED, FromPicture, ToPicture, over

WEIGHTS = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}
UNTOLD = 2


def coded(rgb: npt.NDArray[np.float64], matrix: int, span: int, bits: int) -> npt.NDArray[np.uint16]:
    """Colours in [0, 1] as Y'CbCr code values, by the definition of BT.601, BT.709 and BT.2020."""
    red, blue = WEIGHTS[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = np.stack([(rgb[..., 2] - luma) / (2 * (1 - blue)), (rgb[..., 0] - luma) / (2 * (1 - red))], -1)
    unit = 2 ** (bits - 8)
    if span == FULL:
        top = 2**bits - 1
        values = np.concatenate([luma[..., None] * top, chroma * top + 128 * unit], -1)
    else:
        values = np.concatenate([luma[..., None] * 219 * unit + 16 * unit, chroma * 224 * unit + 128 * unit], -1)
    return np.asarray(np.clip(np.rint(values), 0, 2**bits - 1), np.uint16)


def patches(count: int = 6) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, count, 3), dtype=np.uint8)


def frame_of(values: npt.NDArray[np.uint16], pixels: str, matrix: int, span: int) -> VideoFrame:
    """A frame of flat patches of 16x16 pixels."""
    count = values.shape[0]
    frame = VideoFrame(16 * count, 16 * count, pixels)
    kind = np.uint16 if "10" in pixels else np.uint8
    for index, plane in enumerate(frame.planes):
        side = plane.width // count
        rows = np.zeros((plane.height, plane.line_size // np.dtype(kind).itemsize), kind)
        rows[:, : plane.width] = values[..., index].repeat(side, 0).repeat(side, 1)
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = matrix, span
    return frame


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize(("pixels", "bits"), [("yuv420p", 8), ("yuv444p", 8), ("yuv420p10le", 10), ("yuv444p10le", 10)])
def test_every_dialect_means_the_same_colours(matrix: int, span: int, pixels: str, bits: int) -> None:
    wanted = patches()
    frame = frame_of(coded(wanted / 255, matrix, span, bits), pixels, matrix, span)
    seen = ToPicture((255, 255, 255))(frame)[8::16, 8::16]
    assert np.abs(seen.astype(int) - wanted).max() <= (2 if bits == 8 else 1)


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), BT601), ((1280, 720), BT709), ((1080, 1920), BT709)])
def test_a_film_that_does_not_say_is_taken_as_players_take_it(size: tuple[int, int], matrix: int) -> None:
    """High definition is BT.709, smaller is BT.601; the range of Y'CbCr is limited."""
    green = coded(np.array([[[0.1, 0.8, 0.2]]]), matrix, LIMITED, 8)
    frame = VideoFrame(*size, "yuv420p")
    for index, plane in enumerate(frame.planes):
        plane.update(np.full(plane.buffer_size, green[0, 0, index], np.uint8).tobytes())
    frame.colorspace = UNTOLD
    seen = ToPicture((0, 0, 0))(frame)[100, 100]
    assert np.abs(seen.astype(int) - [26, 204, 51]).max() <= 1


def test_a_matrix_that_nobody_knows_is_guessed_too() -> None:
    """SMPTE 2085 and its like cannot be converted; a damaged header names them."""
    frame = frame_of(coded(patches() / 255, BT601, LIMITED, 8), "yuv420p", 11, LIMITED)
    assert np.abs(ToPicture((0, 0, 0))(frame)[8::16, 8::16].astype(int) - patches()).max() <= 2


@pytest.mark.parametrize(("matrix", "span"), [(BT709, LIMITED), (BT601, FULL)])
def test_what_is_encoded_is_what_the_definition_says(matrix: int, span: int) -> None:
    given = patches().repeat(16, 0).repeat(16, 1)
    frame = FromPicture("yuv420p", matrix, span)(VideoFrame.from_ndarray(given, "rgb24"))
    wanted = coded(patches() / 255, matrix, span, 8)
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
        side = plane.width // 6
        middles = rows[side // 2 :: side, side // 2 : plane.width : side].astype(int)
        assert np.abs(middles - wanted[..., index]).max() <= 1


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif"])
def test_colours_survive_writing_and_reading(tmp_path: Path, ending: str) -> None:
    """Flat patches come back within 5 of 255 from any lossy film at its best, and all but exactly from a GIF."""
    given = patches(4).repeat(32, 0).repeat(32, 1)
    write(tmp_path / f"c{ending}", [given] * 3, fps=25, quality=2)
    seen = list(read(tmp_path / f"c{ending}"))[-1]
    assert np.abs(seen[16::32, 16::32].astype(int) - patches(4)).max() <= (1 if ending == ".gif" else 5)


def test_films_say_which_colours_they_mean(tmp_path: Path) -> None:
    import av

    write(tmp_path / "c.mp4", [np.zeros((48, 64, 3), np.uint8)], fps=25)
    with av.open(str(tmp_path / "c.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (1, 1, 1, 1)


def test_generations_do_not_drift(tmp_path: Path) -> None:
    """Ten times written and read, the mean colour stays: conversions have no bias."""
    frame = np.random.default_rng(0).integers(60, 190, (8, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    start = frame.mean((0, 1))
    for generation in range(10):
        write(tmp_path / f"{generation}.mp4", [frame], fps=25, quality=4)
        frame = next(iter(read(tmp_path / f"{generation}.mp4")))
    assert np.abs(frame.mean((0, 1)) - start).max() < 1


def test_over_is_exact_at_both_ends() -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, :3] = (10, 20, 30)
    rgba[0, :, 3] = (0, 255, 128)
    assert over(rgba, (200, 100, 0)).tolist() == [[[200, 100, 0], [10, 20, 30], [105, 60, 15]]]


def test_untagged_full_range_jpeg_films(tmp_path: Path) -> None:
    given = patches(4).repeat(32, 0).repeat(32, 1)
    path = film(
        tmp_path / "m.avi",
        "mjpeg",
        "yuvj420p",
        frames=[given] * 2,
        fps=Fraction(10),
        options={"qmin": "1", "qmax": "1"},
    )
    seen = next(iter(read(path)))
    assert np.abs(seen[16::32, 16::32].astype(int) - patches(4)).max() <= 6
