"""Still pictures: every mode and orientation as upright 8-bit sRGB; bombs refused by their header."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from clip_made import numbered
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from understudy.clip import read, read_metadata, read_picture, read_picture_rgba, write_picture
from understudy.errors import BadOption, Exists, MediaError, MissingFile, TooLarge, UnreadableMedia, Unwritable

WORDS = {"model": "warp", "Seed Nr": "12", "command": 'animate "Ä\nö"'}


@pytest.mark.parametrize("ending", [".png", ".webp", ".bmp", ".tiff", ".gif", ".jpg"])
def test_every_kind_of_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p{ending}"
    by_ending: dict[str, dict[str, Any]] = {".webp": {"lossless": True}, ".jpg": {"quality": 95, "subsampling": 0}}
    options = by_ending.get(ending, {})
    Image.fromarray(numbered(5)).save(path, **options)
    picture = read_picture(path)
    assert picture.shape == (48, 64, 3) and picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - numbered(5)).mean() < (8 if ending in (".gif", ".jpg") else 0.01)
    clip = read(path)
    assert (clip.still, clip.frames, clip.size, clip.has_sound, clip.fps) == (True, 1, (64, 48), False, Fraction(25))
    assert [(time, (frame == picture).all()) for time, frame in clip.timed()] == [(Fraction(0), True)]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_cameras_are_held_in_every_way(tmp_path: Path, orientation: int, ending: str) -> None:
    """What is stored is the scene, turned; Pillow's own transposition is the witness."""
    from PIL import ImageOps

    path = tmp_path / f"p{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if ending == ".webp" else {"quality": 95}
    Image.fromarray(numbered(5)).save(path, exif=exif, **options)
    with Image.open(path) as image:
        witness = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert (read_picture(path) == witness).all()
    assert read(path).size == (witness.shape[1], witness.shape[0])


def grey16() -> npt.NDArray[np.uint16]:
    return np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.fromarray(grey16()), "16.png", grey16() / 257),
        (Image.fromarray(grey16()), "16.tiff", grey16() / 257),
        (Image.fromarray((grey16() / 65535).astype(np.float32)), "f.tiff", grey16() / 257),
        (Image.fromarray((grey16() // 257).astype(np.uint8)), "8.png", grey16() // 257),
        (Image.fromarray(grey16() > 30000), "1.png", (grey16() > 30000) * 255),
    ],
)
def test_greys_of_any_depth(tmp_path: Path, image: Image.Image, name: str, expected: npt.NDArray[Any]) -> None:
    image.save(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert np.abs(picture - expected[..., None]).max() <= 1
    assert (picture[..., 0] == picture[..., 2]).all()


def test_sixteen_bits_a_colour(tmp_path: Path) -> None:
    """Pillow cannot write this kind of PNG, so it is put together by hand."""
    values = np.zeros((2, 3, 3), ">u2")
    values[0, 0], values[1, 2] = (65535, 32896, 0), (257, 514, 771)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    (tmp_path / "48.png").write_bytes(png(3, 2, 16, 2, zlib.compress(rows)))
    picture = read_picture(tmp_path / "48.png")
    assert picture[0, 0].tolist() == [255, 128, 0] and picture[1, 2].tolist() == [1, 2, 3]


def png(width: int, height: int, bits: int, kind: int, data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_palettes_cmyk_and_luminance_with_alpha(tmp_path: Path) -> None:
    rgb = Image.fromarray(numbered(5))
    rgb.quantize(64).save(tmp_path / "p.png")
    assert np.abs(read_picture(tmp_path / "p.png").astype(int) - numbered(5)).mean() < 8
    Image.fromarray(np.full((8, 8, 3), (200, 80, 40), np.uint8)).convert("CMYK").save(tmp_path / "c.jpg", quality=98)
    assert np.abs(read_picture(tmp_path / "c.jpg").astype(int) - (200, 80, 40)).max() <= 4
    Image.merge("LA", [Image.new("L", (4, 4), 50), Image.new("L", (4, 4), 51)]).save(tmp_path / "la.png")
    assert read_picture_rgba(tmp_path / "la.png")[0, 0].tolist() == [50, 50, 50, 51]


@pytest.mark.parametrize("ending", [".png", ".webp", ".gif", ".tiff"])
def test_transparency(tmp_path: Path, ending: str) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0], rgba[:, 4:, 3] = 200, 255
    options: dict[str, Any] = {"lossless": True, "exact": True} if ending == ".webp" else {}
    Image.fromarray(rgba).save(tmp_path / f"t{ending}", **options)
    seen = read_picture_rgba(tmp_path / f"t{ending}")
    assert seen.shape == (8, 8, 4)
    assert seen[0, 0, 3] == 0 and seen[0, 7].tolist() == [200, 0, 0, 255]
    assert read_picture(tmp_path / f"t{ending}")[0, [0, 7]].tolist() == [[255, 255, 255], [200, 0, 0]]
    green = read_picture(tmp_path / f"t{ending}", background=(0, 90, 0))
    assert green[0, [0, 7]].tolist() == [[0, 90, 0], [200, 0, 0]]


def test_a_transparent_colour(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "k.png", transparency=(9, 9, 9))
    assert read_picture_rgba(tmp_path / "k.png")[0, 0, 3] == 0


def test_opaque_pictures_have_full_alpha(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "k.png")
    assert read_picture_rgba(tmp_path / "k.png")[..., 3].min() == 255


def test_colour_profiles_are_obeyed(tmp_path: Path) -> None:
    """A profile whose red and blue are exchanged would be obeyed; sRGB and greys change nothing; rubbish is said."""
    said: list[str] = []
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.new("RGB", (4, 4), (200, 30, 90))
    image.save(tmp_path / "s.png", icc_profile=srgb)
    assert read_picture(tmp_path / "s.png", warn=said.append)[0, 0].tolist() == [200, 30, 90]
    Image.new("L", (4, 4), 99).save(tmp_path / "g.png", icc_profile=srgb)
    assert read_picture(tmp_path / "g.png", warn=said.append)[0, 0].tolist() == [99, 99, 99]
    assert said == []
    wide = wide_gamut()
    image.save(tmp_path / "w.png", icc_profile=wide)
    source = ImageCms.ImageCmsProfile(io.BytesIO(wide))
    witness = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert witness is not None
    assert read_picture(tmp_path / "w.png", warn=said.append).tolist() == np.asarray(witness).tolist()
    assert np.abs(np.asarray(witness)[0, 0].astype(int) - (200, 30, 90)).max() > 10
    image.save(tmp_path / "b.png", icc_profile=b"no profile at all")
    assert read_picture(tmp_path / "b.png", warn=said.append)[0, 0].tolist() == [200, 30, 90]
    assert len(said) == 1 and "colour profile" in said[0]


def wide_gamut() -> bytes:
    """An sRGB profile whose red primary has been made stronger, under another name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * index)
        if name == b"rXYZ":
            struct.pack_into(">3i", data, offset + 8, int(0.6 * 65536), int(0.3 * 65536), 0)
        if name == b"desc":
            data[offset + 12 : offset + size] = (
                data[offset + 12 : offset + size].replace(b"R", b"X").replace(b"\0s", b"\0x")
            )
    return bytes(data)


@pytest.mark.parametrize("side", [30_000, 2**31 - 1])
def test_bombs_are_refused_by_their_header(tmp_path: Path, side: int) -> None:
    """The header of a PNG may say anything; 67 bytes can ask for 2.7 GB."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 2, zlib.compress(bytes(100))))
    for reader in (read_picture, read_picture_rgba, read):
        with pytest.raises(TooLarge) as caught:
            reader(path)
        assert str(path) in caught.value.happened
        assert f"{side}x{side}" in caught.value.seen
        assert "scale it down" in caught.value.remedy


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    with pytest.raises(TooLarge, match="100x100"):
        read_picture(tmp_path / "a.png", max_pixels=9999)
    assert read_picture(tmp_path / "a.png", max_pixels=10000).shape == (100, 100, 3)


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "head.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(MissingFile):
        read_picture(tmp_path / "none.png")
    for name in ("text.png", "empty.png", "head.png"):
        with pytest.raises(UnreadableMedia, match=name):
            read_picture(tmp_path / name)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".gif", ".bmp", ".tiff"])
def test_cut_pictures_are_errors_not_grey(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UnreadableMedia, match="damaged"):
        read_picture(path)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about what it passes over
@given(seed=st.integers(0, 100_000), ending=st.sampled_from(["png", "jpeg", "webp", "gif", "bmp", "tiff"]))
@settings(max_examples=150, deadline=None)
def test_any_damage_ends_in_a_picture_or_in_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ending: str
) -> None:
    chance = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(numbered(seed % 64)).save(buffer, format=ending)
    data = np.frombuffer(buffer.getvalue(), np.uint8).copy()
    at = chance.integers(0, len(data) if seed % 2 else min(len(data), 100), chance.integers(1, 12))
    data[at] = chance.integers(0, 256, len(at))
    path = tmp_path_factory.mktemp("damaged") / f"d.{ending}"
    path.write_bytes(data.tobytes())
    try:
        assert read_picture(path, warn=lambda text: None).ndim == 3
        read_metadata(path)
    except MediaError as error:
        assert str(path) in str(error)


# Writing


@pytest.mark.parametrize("ending", [".png", ".jpg", ".jpeg", ".webp"])
def test_pictures_are_written_with_their_words(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"w{ending}"
    assert write_picture(path, numbered(9), metadata=WORDS) == path
    assert read_metadata(path) == WORDS
    if ending in (".png", ".webp"):
        assert (read_picture(path) == numbered(9)).all()
    else:
        assert np.abs(read_picture(path).astype(int) - numbered(9)).mean() < 2
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@given(words=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=5))
@settings(max_examples=30, deadline=None)
def test_any_words_come_back(tmp_path_factory: pytest.TempPathFactory, words: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("words")
    for ending in (".png", ".jpg", ".webp"):
        write_picture(folder / f"w{ending}", numbered(1)[:4, :4], metadata=words, overwrite=True)
        assert read_metadata(folder / f"w{ending}") == words


def test_others_words_are_read_too(tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "a program")
    info.add_text("Author", "somebody")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert read_metadata(tmp_path / "a.png") == {"author": "somebody"}
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif", comment=b"hello")
    assert read_metadata(tmp_path / "a.gif") == {"comment": "hello"}
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    assert read_metadata(tmp_path / "a.jpg") == {}


def test_alpha_is_written_where_the_file_can_hold_it(tmp_path: Path) -> None:
    rgba = np.dstack([numbered(3), np.full((48, 64), 100, np.uint8)])
    for ending in (".png", ".webp"):
        write_picture(tmp_path / f"a{ending}", rgba)
        assert (read_picture_rgba(tmp_path / f"a{ending}")[..., 3] == 100).all()
    write_picture(tmp_path / "a.jpg", rgba)
    assert read_picture(tmp_path / "a.jpg").shape == (48, 64, 3)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    picture = numbered(1)
    with pytest.raises(BadOption, match=r"ending '\.xyz'"):
        write_picture(tmp_path / "a.xyz", picture)
    with pytest.raises(Unwritable, match="folder does not exist"):
        write_picture(tmp_path / "none" / "a.png", picture)
    with pytest.raises(ValueError, match="uint8"):
        write_picture(tmp_path / "a.png", picture.astype(np.float32))
    write_picture(tmp_path / "a.png", picture)
    with pytest.raises(Exists):
        write_picture(tmp_path / "a.png", numbered(2))
    assert (read_picture(tmp_path / "a.png") == picture).all()
    write_picture(tmp_path / "a.png", numbered(2), overwrite=True)
    assert (read_picture(tmp_path / "a.png") == numbered(2)).all()
