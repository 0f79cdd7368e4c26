"""Stopped and begun again: the same command goes on, and the whole film is the one that was never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import animate_made as made
import numpy as np
import pytest

from understudy.animate import Stopped, animate
from understudy.animate.driving import Driving
from understudy.animate.perform import Job
from understudy.clip import Film, Picture, read
from understudy.errors import Unwritable

FRAMES = 130  # more than two of the segments that a crash may cost


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    return made.portrait(place / "portrait.png", 192)


@pytest.fixture(scope="module")
def driver(place: Path) -> Path:
    return made.driver(place / "driver.mp4", FRAMES, size=160)


@pytest.fixture(scope="module")
def whole(place: Path, portrait: Path, driver: Path) -> list[Picture]:
    """The film of a run that nobody stopped."""
    return made.decoded(Path(animate(portrait, driver, out=place / "whole.mp4").output))


def command(portrait: Path, driver: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "understudy", "animate", str(portrait), str(driver), "-o", str(out), "--json"]


def heard() -> None:
    """Ctrl-C is not ignored, as it is by what a shell has begun in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begun(portrait: Path, driver: Path, out: Path, until: int) -> subprocess.Popen[str]:
    """A run that has so many frames safely on the disk."""
    run = subprocess.Popen(
        command(portrait, driver, out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heard,
    )
    state = out.with_name(f"{out.stem}.partial.json")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and run.poll() is None:
        try:
            if json.loads(state.read_text())["frames"] >= until:
                return run
        except (OSError, ValueError):
            pass
        time.sleep(0.005)
    raise AssertionError(f"ended with {run.returncode} before it could be stopped: {run.communicate()}")


def same(one: list[Picture], other: list[Picture]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_killed_and_resumed_is_whole(
    place: Path, portrait: Path, driver: Path, whole: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place / "killed.mp4"
    run = begun(portrait, driver, out, until=50)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert not out.exists() and read(place / "killed.partial.mp4").size == (192, 192)
    watched = []
    monkeypatch.setattr("understudy.animate.driving.read_mesh", lambda *_, **__: watched.append(1))
    result = animate(portrait, driver, out=out)
    assert not watched, "a finished first pass is not redone"
    assert result.resumed_at >= 50 and result.frames == FRAMES
    assert same(made.decoded(out), whole)
    assert read(out).has_sound
    assert not list(place.glob("killed.partial*"))


def test_killed_while_watching_begins_again(place: Path, portrait: Path, driver: Path, whole: list[Picture]) -> None:
    out = place / "early.mp4"
    run = subprocess.Popen(command(portrait, driver, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    spool = place / "early.partial.motion"
    deadline = time.monotonic() + 120
    while not (spool.exists() and spool.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.005)
    run.kill()
    run.wait()
    assert spool.exists() and not out.exists()
    result = animate(portrait, driver, out=out)
    assert result.resumed_at == 0 and result.frames == FRAMES
    assert same(made.decoded(out), whole)
    assert not list(place.glob("early.partial*"))


def test_ctrl_c_says_where_things_are(place: Path, portrait: Path, driver: Path, whole: list[Picture]) -> None:
    out = place / "stopped.mp4"
    run = begun(portrait, driver, out, until=50)
    run.send_signal(signal.SIGINT)
    said, chatter = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "stopped.partial.mp4, which plays; the same command goes on" in chatter
    last = json.loads(said.splitlines()[-1])
    assert last["kind"] == "Stopped" and "stopped.partial.mp4" in last["error"]
    so_far = made.decoded(place / "stopped.partial.mp4")
    assert 50 <= len(so_far) < FRAMES
    again = subprocess.run(command(portrait, driver, out), capture_output=True, text=True, check=True)
    assert json.loads(again.stdout)["resumed_at"] >= 50
    assert same(made.decoded(out), whole)


def interrupted_after(frames: int, error: BaseException) -> object:
    """A `Film.add` that fails once so many frames are in."""
    add = Film.add

    def failing(film: Film, frame: Picture, when: object = None) -> None:
        if film.frames >= frames:
            raise error
        add(film, frame, when)  # type: ignore[arg-type]

    return failing


def test_in_one_process(
    place: Path, portrait: Path, driver: Path, whole: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place / "twice.mp4"
    for frames in (60, 110):
        with monkeypatch.context() as patch, pytest.raises(Stopped) as stopped:
            patch.setattr(Film, "add", interrupted_after(frames, KeyboardInterrupt()))
            animate(portrait, driver, out=out)
        assert stopped.value.partial == place / "twice.partial.mp4"
    assert animate(portrait, driver, out=out).resumed_at == 100
    assert same(made.decoded(out), whole)


def test_other_options_begin_anew(place: Path, portrait: Path, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = place / "other.mp4"
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Film, "add", interrupted_after(60, KeyboardInterrupt()))
        animate(portrait, driver, out=out)
    result = animate(portrait, driver, out=out, strength=0.5)
    assert result.resumed_at == 0 and any("other settings" in warning for warning in result.warnings)


def test_stopped_before_anything_was_drawn_leaves_nothing(
    place: Path, portrait: Path, driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "_watching", never)
    with pytest.raises(Stopped, match="before anything was drawn") as stopped:
        animate(portrait, driver, out=place / "nothing.mp4")
    assert stopped.value.partial is None
    assert not list(place.glob("nothing*"))


def test_a_full_disk_keeps_what_there_is(
    place: Path, portrait: Path, driver: Path, whole: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.clip.partial import Partial

    append, room = Partial._append, [1]

    def full(partial: Partial, segment: bytes) -> None:
        if not room:
            raise OSError(28, "No space left on device")
        room.pop()
        append(partial, segment)

    out = place / "full.mp4"
    with monkeypatch.context() as patch, pytest.raises(Unwritable, match="the disk is full"):
        patch.setattr(Partial, "_append", full)
        animate(portrait, driver, out=out)
    assert not out.exists()
    assert animate(portrait, driver, out=out).resumed_at == 50
    assert same(made.decoded(out), whole)


def test_warnings_of_the_first_pass_are_not_forgotten(
    place: Path, portrait: Path, driver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said while the driver was watched reaches the result of the run that goes on."""
    cut = place / "cut-short.mp4"
    _truncated(driver, cut)
    out = place / "warned.mp4"
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Film, "add", interrupted_after(20, KeyboardInterrupt()))
        animate(portrait, cut, out=out)
    result = animate(portrait, cut, out=out)
    assert any("breaks off" in warning for warning in result.warnings)


def _truncated(film: Path, path: Path) -> None:
    """A recording that stopped: a fragmented MP4 without its second half, which still promises the whole length."""
    import av

    with av.open(str(film)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_motion_file_is_not_spooled(place: Path, portrait: Path, driver: Path) -> None:
    from understudy.animate.motions import keep

    keep(driver, place / "kept.safetensors")
    found: list[str] = []
    chunks = Driving.__iter__
    assert callable(chunks)
    result = animate(
        portrait, place / "kept.safetensors", out=place / "kept.mp4", progress=lambda step: found.append(step.stage)
    )
    assert result.frames == FRAMES and "watching" not in found
