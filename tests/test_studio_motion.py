"""The motion desk in the studio: whatever comes in is a motion file, edits are those of the command line, and the
result is shown, played and taken away."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from faces import performance

from understudy.animate.motions import Edits, edited, import_livelink
from understudy.animate.motions import about as about_file
from understudy.animate.pace import Progress
from understudy.clip import Sound, read, read_picture, write, write_picture, write_sound
from understudy.errors import BadMotionFile, BadOption
from understudy.motion.mesh import MotionMesh
from understudy.service.studio import desk, editing, words
from understudy.service.studio.editing import THEN, USUAL, Cut
from understudy.service.studio.glimpse import MOMENTS, SIDE
from understudy.service.studio.order import Turns, carried_out
from understudy.service.studio.room import House, Kept, Room

FRAMES = 10


@pytest.fixture(scope="module")
def who(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with resources.as_file(resources.files("understudy") / "assets" / "portrait-realistic.jpg") as asset:
        small = np.ascontiguousarray(read_picture(asset)[::3, ::3])
    return write_picture(tmp_path_factory.mktemp("who") / "who.png", small)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return House(tmp_path / "house").room(None)


@pytest.fixture
def motion(room: Room, tmp_path: Path) -> Path:
    """A motion file of the room, with mouth, lids, gaze and head in it."""
    performance(3, 20).save(tmp_path / "part.safetensors")
    return editing.taken_in(tmp_path / "part.safetensors", room)


def same(one: Path, other: Path) -> bool:
    first, second = MotionMesh.load(one), MotionMesh.load(other)
    return np.array_equal(first.points, second.points) and np.array_equal(first.curves, second.curves)


def test_a_film_is_read_once_and_said_to_be(room: Room, tmp_path: Path) -> None:
    with resources.as_file(resources.files("understudy") / "assets" / "driver.mp4") as asset:
        clip = read(asset)
        write(tmp_path / "how.mp4", (frame[::2, ::2] for frame in islice(clip, FRAMES)), fps=clip.fps)
    heard = list(editing.taken(tmp_path / "how.mp4", room))
    (file,) = heard[-1]  # type: ignore[misc]
    assert any(isinstance(each, Progress) and each.stage == "watching" for each in heard)
    assert len(MotionMesh.load(file)) == FRAMES and file.parent == editing.motions(room)
    before = file.stat().st_mtime_ns
    assert editing.taken_in(tmp_path / "how.mp4", room) == file and file.stat().st_mtime_ns == before
    assert f"data-motion='{FRAMES}'" in words.motion(about_file(file))


def test_a_voice_is_acted_into_a_motion_file(room: Room, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    hum = np.sin(np.arange(8000) * 0.07).astype(np.float32)[:, None] * 0.3
    file = editing.taken_in(write_sound(tmp_path / "hum.wav", Sound(hum, 16_000)), room)
    assert len(MotionMesh.load(file)) == 13 and MotionMesh.load(file).seen.all()


def test_what_is_no_performance_is_refused_by_name(room: Room, tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no motion at all")
    with pytest.raises(BadMotionFile):
        editing.taken_in(bad, room)
    said = list(desk.advised(str(bad), room))[-1]
    assert "BadMotionFile" in said and str(tmp_path) not in said


def test_untouched_controls_change_nothing(room: Room, motion: Path) -> None:
    assert Cut().edits(room) == Cut(start=None, end=None, rate=None, repeat=None, at=None).edits(room) == Edits()
    result, about = editing.changed(motion, Cut(), room)
    assert result == motion and about.frames == 20


@pytest.mark.parametrize(
    ("cut", "edits"),
    [
        (Cut(start=0.1, end=0.5), Edits(start=0.1, end=0.5)),
        (Cut(speed=2.0, rate=30), Edits(speed=2.0, rate=30)),
        (Cut(loop=0.2, repeat=3), Edits(loop=0.2, repeat=3)),
        (Cut(mirror=True, smooth=0.1), Edits(mirror=True, smooth=0.1)),
        (Cut(strength=1.5, mouth=2, eyes=0.5, brows=0, pose=0.3),
         Edits(strength=1.5, mouth=2, eyes=0.5, brows=0, pose=0.3)),
        (Cut(held=USUAL), Edits(hold_head=-1.0)),
        (Cut(held=THEN, at=0.3, look=0.8), Edits(hold_head=0.3, look_at_camera=0.8)),
    ],
)  # fmt: skip
def test_edits_are_those_of_the_command_line(room: Room, motion: Path, tmp_path: Path, cut: Cut, edits: Edits) -> None:
    result, about = editing.changed(motion, cut, room)
    own = edited(motion, tmp_path / "own.safetensors", edits)
    assert result != motion and same(result, tmp_path / "own.safetensors") and about.frames == own.frames
    assert editing.changed(motion, cut, room)[0] == result, "the same edits are the same file"


def test_blending_and_keyframes(room: Room, motion: Path, tmp_path: Path) -> None:
    performance(8, 20).save(tmp_path / "other.safetensors")
    whole, _ = editing.changed(motion, Cut(blend=str(tmp_path / "other.safetensors"), share=1.0), room)
    assert np.array_equal(MotionMesh.load(whole).curves, MotionMesh.load(tmp_path / "other.safetensors").curves)
    text = editing.written_down(motion, room)
    told = json.loads(text)
    assert {"time", *editing.KEYED} == set(told["keys"][0])
    for key in told["keys"]:
        key["jawOpen"] = 0.75
    jawed, _ = editing.changed(motion, Cut(keys=json.dumps(told)), room)
    found = MotionMesh.load(jawed)
    assert np.allclose(found.curves[:, found.names.index("jawOpen")], 0.75, atol=1e-5)
    for wrong in (Cut(keys="{"), Cut(keys='{"keys": [{"time": 0, "nose": 1}]}'), Cut(start=9.0), Cut(held="spins")):
        with pytest.raises(BadOption):
            editing.changed(motion, wrong, room)


def test_it_is_shown_before_and_after(room: Room, motion: Path, who: Path) -> None:
    plain = editing.strip(motion, motion, who)
    assert plain.shape == (2 * SIDE, MOMENTS * SIDE, 3) and np.array_equal(plain[:SIDE], plain[SIDE:])
    stronger, _ = editing.changed(motion, Cut(strength=2.0), room)
    shown = editing.strip(motion, stronger, who)
    assert np.array_equal(shown[:SIDE], plain[:SIDE]) and not np.array_equal(shown[SIDE:], plain[SIDE:])


def test_the_same_file_drives_any_portrait_and_leaves_as_csv(
    room: Room, motion: Path, who: Path, tmp_path: Path
) -> None:
    result, _ = editing.changed(motion, Cut(mirror=True), room)
    film = list(carried_out(editing.played(result, who, room), room, Turns()))[-1]
    assert isinstance(film, Kept) and film.beside is None and read(film.film).frames == 20
    given = desk.Performance(desk.MOTION, motion=str(result))
    studios = list(desk.performed(str(who), given, desk.Set(crop=True), room, Turns()))[-1][1]
    assert studios is not None and read(studios.film).frames == 20
    assert desk.glimpsed(str(who), given, desk.Set()).shape == (2 * SIDE, MOMENTS * SIDE, 3)  # type: ignore[union-attr]
    import_livelink(editing.livelink(result), tmp_path / "back.safetensors")
    back, own = MotionMesh.load(tmp_path / "back.safetensors"), MotionMesh.load(result)
    jaws = [each.curves[:, each.names.index("jawOpen")] for each in (back, own)]
    assert np.allclose(*jaws, atol=0.01)
    assert "data-motion" in list(desk.advised(str(editing.livelink(result)), room))[-1]


def test_the_page_has_a_control_for_every_edit() -> None:
    pytest.importorskip("gradio")
    import gradio as gr

    from understudy.service.studio import page_film, page_motion

    with gr.Blocks():
        controls, _, _ = page_motion._cut()
        adjust = page_film._controls(page_film._acting())
    for made, kind in ((controls, Cut), (adjust, desk.Set)):
        zero = kind()
        for control, each in zip(made, fields(kind), strict=True):
            value = getattr(zero, each.name)
            assert control.value == (list(value) if isinstance(value, tuple) else value), each.name
