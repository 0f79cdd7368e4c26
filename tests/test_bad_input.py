"""Bad input: each kind has an error of its own, which names the file, the cause and what to do; and nothing is left."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import animate_made as made
import numpy as np
import pytest

from understudy import errors
from understudy.animate import animate
from understudy.animate.driving import open_driving
from understudy.cli import main
from understudy.clip import Sound, write_picture, write_sound
from understudy.motion.file import save


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    return made.portrait(place / "portrait.png", 192)


@pytest.fixture(scope="module")
def driver(place: Path) -> Path:
    return made.driver(place / "driver.mp4", 20, size=160)


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("To be, or not to be: that is the question.\n" * 40)
    return path


def headless(path: Path, film: Path) -> Path:
    """A film whose index is gone: nothing can be read."""
    whole = film.read_bytes()
    path.write_bytes(b"\0\0\0\x18ftypisom" + whole[-len(whole) // 3 :])
    return path


def truncated(path: Path, film: Path) -> Path:
    """The second half was never copied; the index stands in front."""
    whole = film.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    return path


def sound_only(path: Path) -> Path:
    return write_sound(path, Sound(np.zeros((16_000, 1), np.float32) + 0.1, 16_000))


def frameless(path: Path) -> Path:
    """An MP4 with a video stream in which there is nothing."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        container.start_encoding()
    return path


def enormous(path: Path) -> Path:
    """A PNG that says it has 30000 x 30000 pixels; its file is small."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    body = b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data)
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def nobody(path: Path) -> Path:
    chance = np.random.default_rng(0)
    return write_picture(path, np.asarray(chance.integers(0, 255, (300, 300, 3)), np.uint8))


def far_away(path: Path) -> Path:
    """Somebody of 14 pixels from eye to eye."""
    page = np.full((400, 400, 3), 120, np.uint8)
    page[180:230, 180:230] = made.scaled(made.shipped("portrait-realistic.jpg", 300), 50)
    return write_picture(path, page)


def empty_room(path: Path) -> Path:
    chance = np.random.default_rng(0)
    return made.driver(path, [np.asarray(chance.integers(90, 110, (120, 160, 3)), np.uint8) for _ in range(8)])


def of_tomorrow(path: Path, driver: Path) -> Path:
    """A motion file of another version."""
    save(open_driving(driver, warn=print), path)
    whole = path.read_bytes()
    changed = whole.replace(b'"version":"1"', b'"version":"9"')
    assert changed != whole
    path.write_bytes(changed)
    return path


Inputs = tuple[Path | None, Path]
BAD: dict[str, tuple[type[errors.UnderstudyError], Callable[[Path, Path], Inputs], str]] = {
    "missing portrait": (errors.MissingFile, lambda at, driver: (at / "none.png", driver), "none.png"),
    "missing driver": (errors.MissingFile, lambda at, driver: (None, at / "none.mp4"), "none.mp4"),
    "empty portrait": (errors.UnreadableMedia, lambda at, driver: (empty(at / "empty.png"), driver), "0 bytes"),
    "empty driver": (errors.UnreadableMedia, lambda at, driver: (None, empty(at / "empty.mp4")), "0 bytes"),
    "text named .mp4": (errors.UnreadableMedia, lambda at, driver: (None, text(at / "text.mp4")), "text"),
    "text named .png": (errors.UnreadableMedia, lambda at, driver: (text(at / "text.png"), driver), "not a picture"),
    "a film as portrait": (errors.UnreadableMedia, lambda at, driver: (driver, driver), "not a picture"),
    "no index": (
        errors.UnreadableMedia,
        lambda at, driver: (None, headless(at / "headless.mp4", driver)),
        "headless.mp4",
    ),
    "sound only": (errors.NoPicture, lambda at, driver: (None, sound_only(at / "sound.wav")), "sound.wav"),
    "no frames": (errors.MediaError, lambda at, driver: (None, frameless(at / "frameless.mp4")), "frameless.mp4"),
    "enormous": (errors.TooLarge, lambda at, driver: (enormous(at / "enormous.png"), driver), "30000x30000"),
    "nobody": (errors.NoFace, lambda at, driver: (nobody(at / "nobody.png"), driver), "no human face"),
    "nobody drives": (errors.NoFace, lambda at, driver: (None, empty_room(at / "room.mp4")), "room.mp4"),
    "far away": (errors.FaceTooSmall, lambda at, driver: (far_away(at / "far.png"), driver), "pixels"),
    "motion of tomorrow": (
        errors.BadMotionFile,
        lambda at, driver: (None, of_tomorrow(at / "tomorrow.safetensors", driver)),
        "another version",
    ),
    "no motion file": (errors.BadMotionFile, lambda at, driver: (None, text(at / "no.safetensors")), "no.safetensors"),
    "no Live Link": (errors.BadMotionFile, lambda at, driver: (None, text(at / "no.csv")), "Live Link"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str, place: Path, portrait: Path, driver: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kind, make, said = BAD[name]
    who, how = make(place, driver)
    out = place / "out" / "never.mp4"
    out.parent.mkdir(exist_ok=True)
    with pytest.raises(kind) as raised:
        animate(who or portrait, how, out=out)
    assert said in str(raised.value)
    assert raised.value.remedy or raised.value.seen
    assert not list(out.parent.iterdir()), "nothing under the final name, nor beside it"
    assert main(["animate", str(who or portrait), str(how), "-o", str(out), "--json"]) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"error": str(raised.value), "kind": type(raised.value).__name__}
    assert not list(out.parent.iterdir())


def test_face_by_number(place: Path, portrait: Path, driver: Path) -> None:
    with pytest.raises(errors.NoSuchFace, match="face 3"):
        animate(portrait, driver, face=3, out=place / "never.mp4")


def test_what_can_be_read_of_a_truncated_film_is_used(place: Path, portrait: Path) -> None:
    film = made.driver(place / "film.mp4", 40, sound=False, size=160)
    result = animate(portrait, truncated(place / "truncated.mp4", film), out=place / "from-truncated.mp4")
    assert 4 < result.frames < 40
    assert any("truncated.mp4" in warning for warning in result.warnings)


def test_what_is_there_is_not_replaced(place: Path, portrait: Path, driver: Path) -> None:
    out = place / "there.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(errors.Exists, match=r"there\.mp4"):
        animate(portrait, driver, out=out)
    assert out.read_bytes() == b"precious"
    assert animate(portrait, driver, out=out, force=True).frames == 20
    assert out.read_bytes() != b"precious"


@pytest.mark.parametrize("where", ["no-such-folder/film.mp4", "file/film.mp4", "folder.mp4"])
def test_where_nothing_can_be_written(where: str, place: Path, portrait: Path, driver: Path) -> None:
    (place / "file").write_bytes(b"x")
    (place / "folder.mp4").mkdir(exist_ok=True)
    with pytest.raises(errors.Unwritable, match=Path(where).name):
        animate(portrait, driver, out=place / where)


@pytest.mark.skipif(
    sys.platform == "win32" or os.environ.get("UNDERSTUDY_NO_RLIMIT") == "1", reason="needs RLIMIT_FSIZE"
)
def test_where_there_is_no_room(place: Path, portrait: Path, driver: Path) -> None:
    """A disk on which files may have 100 kB: the spool of the first pass fits, or not; the film does not."""
    out = place / "room" / "film.mp4"
    out.parent.mkdir()
    code = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from understudy.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "animate", str(portrait), str(driver), "-o", str(out), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert json.loads(run.stdout.splitlines()[-1])["kind"] == "Unwritable"
    assert not out.exists()
