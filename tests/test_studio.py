"""The studio without its page: rooms keep films, orders are carried out, stopped and taken up again, words are safe."""

from __future__ import annotations

import threading
from dataclasses import replace
from importlib import resources
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from understudy.animate import Progress
from understudy.animate.choices import Choices
from understudy.animate.perform import Stopped
from understudy.animate.voice import Acting
from understudy.clip import Sound, read, read_metadata, read_picture, read_sound, write, write_picture, write_sound
from understudy.data.check import Finding, Report
from understudy.errors import BadOption, NoFace, UnreadableMedia
from understudy.motion.retouch import Retouch
from understudy.service.studio import desk, voices, words
from understudy.service.studio.glimpse import MOMENTS, SIDE, glimpse, moments, unlike
from understudy.service.studio.order import Order, Turns, carried_out
from understudy.service.studio.room import ROOMS, TOKEN, House, Kept, Room

FRAMES = 14
SAID = 0.8  # seconds of voice
SOMEBODY = next(iter(voices.SPEAKERS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A portrait and a short performance, both small."""
    folder = tmp_path_factory.mktemp("made")
    with resources.as_file(resources.files("understudy") / "assets") as assets:
        who = read_picture(assets / "portrait-realistic.jpg")[::3, ::3]
        write_picture(folder / "who.png", np.ascontiguousarray(who))
        clip = read(assets / "driver.mp4")
        write(folder / "how.mp4", (frame[::2, ::2] for frame in islice(clip, FRAMES)), fps=clip.fps)
    return folder / "who.png", folder / "how.mp4"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return House(tmp_path).room(None)


def filmed(made: tuple[Path, Path]) -> desk.Performance:
    return desk.Performance(film=str(made[1]))


def order_in(room: Room, made: tuple[Path, Path], choices: Choices | None = None) -> Order:
    return Order(
        portrait=room.keep(made[0]), driving=room.keep(made[1]), model="warp", choices=choices or Choices(crop=True)
    )


def test_a_room_is_found_again_and_no_other_word_opens_one(tmp_path: Path) -> None:
    house = House(tmp_path)
    room = house.room("")
    assert TOKEN.fullmatch(room.token) and room.folder.is_dir()
    assert house.room(room.token) is room
    for word in ("../..", "x" * 32, room.token[:-1], None):
        other = house.room(word)
        assert other.token not in (word, room.token) and other.folder.parent == tmp_path
    for _ in range(ROOMS):
        house.room(None)
    again = house.room(room.token)
    assert again is not room and again.folder == room.folder  # forgotten, and still there


def test_uploads_keep_a_harmless_name(room: Room, tmp_path: Path) -> None:
    upload = tmp_path / "we ird' <b>.PNG"
    upload.write_bytes(b"something")
    kept = room.keep(upload)
    assert kept.parent == room.folder / "given" and kept.read_bytes() == b"something"
    assert kept.name.startswith("we-ird-b-") and kept.suffix == ".png"
    assert room.keep(upload) == kept == room.keep(kept)


def test_an_order_becomes_a_film_once(room: Room, made: tuple[Path, Path]) -> None:
    order, turns = order_in(room, made), Turns()
    heard = list(carried_out(order, room, turns))
    kept = heard[-1]
    assert isinstance(kept, Kept) and kept.beside is not None
    assert {each.stage for each in heard[:-1] if isinstance(each, Progress)} >= {"watching", "drawing"}
    film, both = read(kept.film), read(kept.beside)
    assert film.frames == both.frames == FRAMES and film.fps == both.fps
    assert both.size == (2 * film.size[0], film.size[1])  # both are square here
    assert (
        "AI-generated" in read_metadata(kept.film)["synthetic"]
        and "AI-generated" in read_metadata(kept.beside)["synthetic"]
    )
    assert room.history() == [kept] and kept.title == "who as how, warp"
    before = kept.film.stat().st_mtime_ns
    assert list(carried_out(order, room, turns)) == [kept]
    assert kept.film.stat().st_mtime_ns == before
    other = replace(order, choices=Choices(crop=True, retouch=Retouch(smile=0.5)))
    assert other.name != order.name and room.known(room.folder / other.name) is None


def test_a_stopped_order_leaves_the_room_free_and_goes_on(room: Room, made: tuple[Path, Path]) -> None:
    order, turns = order_in(room, made), Turns()
    with pytest.raises(Stopped):
        for heard in carried_out(order, room, turns):
            if isinstance(heard, Progress) and heard.stage == "drawing":
                room.stop.set()
    assert room.history() == []
    room.stop.clear()
    assert isinstance(list(carried_out(order, room, turns))[-1], Kept)


def test_a_listener_that_leaves_ends_the_work(room: Room, made: tuple[Path, Path]) -> None:
    turns = Turns()
    work = carried_out(order_in(room, made), room, turns)
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert room.busy.acquire(blocking=False) and room.history() == []
    assert list(turns.wait(threading.Event())) == []  # its turn was given back


def test_others_wait_for_their_turn_and_may_leave() -> None:
    turns, stop = Turns(), threading.Event()
    assert list(turns.wait(stop)) == []
    waiting = turns.wait(stop)
    assert next(waiting) == 1
    stop.set()
    with pytest.raises(Stopped):
        list(waiting)
    turns.give_back()
    assert list(turns.wait(threading.Event())) == []


def test_problems_reach_the_order_and_are_told_without_folders(
    room: Room, made: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture at all")
    with pytest.raises(UnreadableMedia):
        list(carried_out(order_in(room, (bad, made[1])), room, Turns()))
    said = [said for said, _ in desk.performed(str(bad), filmed(made), desk.Set(), room, Turns())][-1]
    assert "UnreadableMedia" in said and str(tmp_path) not in said and "bad-" in said
    nobody = list(desk.performed(None, filmed(made), desk.Set(), room, Turns()))
    assert len(nobody) == 1 and "a portrait is missing" in nobody[0][0]
    *_, (said, film) = desk.performed(str(made[0]), filmed(made), desk.Set(only=()), room, Turns())
    assert film is None and "BadOption" in said


def test_advice_is_given_of_whatever_is_dropped(room: Room, made: tuple[Path, Path], tmp_path: Path) -> None:
    assert list(desk.advised(None, room)) == [""]
    looking, judged = desk.advised(str(made[0]), room)
    assert "Looking at who.png" in looking and "data-verdict" in judged
    empty = tmp_path / "empty.png"
    write_picture(empty, np.full((300, 300, 3), 90, np.uint8))
    assert "NoFace" in list(desk.advised(str(empty), room))[-1]


def test_a_glimpse_shows_moments_that_differ_and_follows_the_sliders(made: tuple[Path, Path], tmp_path: Path) -> None:
    plain = glimpse(*made, Choices())
    assert plain.shape == (2 * SIDE, MOMENTS * SIDE, 3)
    happy = glimpse(*made, Choices(retouch=Retouch(smile=1.0)))
    assert np.array_equal(happy[:SIDE], plain[:SIDE]) and not np.array_equal(happy[SIDE:], plain[SIDE:])
    about = made[1].stat()
    seen = moments((str(made[1]), about.st_mtime_ns, about.st_size))
    assert list(seen.shown) == sorted(set(seen.shown)) and len(seen.shown) == len(seen.pictures)
    assert unlike(replace(seen.motion, seen=np.zeros(len(seen.motion), bool))) == ()
    write(tmp_path / "grey.mp4", [np.full((128, 128, 3), 90, np.uint8)] * 6, fps=25)
    with pytest.raises(NoFace):
        glimpse(made[0], tmp_path / "grey.mp4", Choices())
    assert desk.glimpsed(str(made[0]), filmed((made[0], tmp_path / "grey.mp4")), desk.Set()) is None
    assert desk.glimpsed(None, filmed(made), desk.Set()) is None


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody hums, with pauses."""
    at = np.arange(round(SAID * 16_000)) / 16_000
    hum = np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2 * at) > 0) * 0.3
    return write_sound(tmp_path_factory.mktemp("voice") / "hum.wav", Sound(hum[:, None].astype(np.float32), 16_000))


def test_a_voice_becomes_a_film_with_its_sound(room: Room, made: tuple[Path, Path], voice: Path) -> None:
    pytest.importorskip("torch")
    assert voices.lacking() is None
    said = desk.Performance(desk.VOICE, film=str(made[1]), voice=str(voice))
    controls = desk.Set(crop=True, mood="happy")
    film = list(desk.performed(str(made[0]), said, controls, room, Turns()))[-1][1]
    assert film is not None and film.beside is None and film.title == "who as hum, warp"
    clip = read(film.film)
    assert clip.has_sound and clip.frames == round(25 * SAID) and abs(read_sound(film.film).seconds - SAID) < 0.1
    other = list(desk.performed(str(made[0]), said, replace(controls, smile=0.8), room, Turns()))[-1][1]
    assert other is not None and not np.array_equal(next(iter(read(other.film))), next(iter(clip))), "it is retouched"
    orders = [
        Order(portrait=made[0], driving=voice, model="warp", choices=each.choices, acting=each.acting)
        for each in (controls, replace(controls, take=1), replace(controls, mood="sad"), replace(controls, lively=2.0))
    ]
    assert len({order.name for order in orders}) == 4, "another take is another film"
    *_, (refusal, none) = desk.performed(str(made[0]), said, replace(controls, best="3"), room, Turns())
    assert none is None and "no best frame" in refusal


def test_a_glimpse_of_a_voice_is_acted(made: tuple[Path, Path], voice: Path) -> None:
    pytest.importorskip("torch")
    plain = glimpse(made[0], voice, Choices(), Acting())
    assert plain.shape == (2 * SIDE, MOMENTS * SIDE, 3)
    assert not np.array_equal(plain, glimpse(made[0], voice, Choices(), Acting(mood="angry")))
    assert desk.glimpsed(str(made[0]), desk.Performance(desk.VOICE, film=str(made[1])), desk.Set()) is None


def test_what_is_typed_is_said_once(room: Room) -> None:
    pytest.importorskip("espeakng_loader")
    said, file = desk.typed("Hello. [happy] Good morning!", SOMEBODY, room)
    assert said == "" and file is not None and read_sound(file).seconds > 1
    before = Path(file).stat().st_mtime_ns
    assert desk.typed("Hello. [happy] Good morning!", SOMEBODY, room) == ("", file)
    assert Path(file).stat().st_mtime_ns == before
    for text, speaker in ((" ", SOMEBODY), ("Hello", "<b>"), ("a" * 3000, SOMEBODY)):
        said, file = desk.typed(text, speaker, room)
        assert file is None and "BadOption" in said and "<span><b>" not in said


def test_without_espeak_it_is_said_what_to_install(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.cast.speak import espeak

    monkeypatch.setattr(espeak, "find_spec", lambda name: None)
    said, file = desk.typed("Never said before.", SOMEBODY, room)
    assert file is None and "understudy[tts]" in said


def test_what_is_set_becomes_choices() -> None:
    assert desk.Set().choices == Choices()
    some = desk.Set(strength=0.5, only=["pose", "mouth"], smile=0.3, best=" 12 ", face="1").choices
    assert some.only == ("mouth", "pose") and some.reference_frame == 12 and some.face == 1
    assert some.retouch == Retouch(smile=0.3)
    for wrong in (desk.Set(best="soon"), desk.Set(face="-1"), desk.Set(yaw=90)):
        with pytest.raises(BadOption):
            _ = wrong.choices
    assert desk.Set(mood="sad", lively=1.5, take=4).acting == Acting(mood="sad", lively=1.5)
    assert (
        desk.Set().acting == Acting() and desk.Set(take=4).choices.seed == 4 and desk.Set(take=None).choices.seed == 0
    )
    assert desk.models()[:2] == ["auto", "warp"]


def test_words_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    report = Report(
        evil, "portrait", "usable", evil, [Finding("poor", evil, evil, evil), Finding("note", evil, evil)], ""
    )
    kept = Kept(film=Path("f"), beside=None, poster=Path("p"), title=evil, warnings=[evil])
    for said in (
        words.advice(report), words.looking(evil), words.progress(Progress("waiting", note=evil), evil),
        words.done(kept, evil), words.problem(UnreadableMedia(evil, evil, evil)),
    ):  # fmt: skip
        assert "<script" not in said and "&lt;script" in said
    fault = words.problem(ValueError(evil))
    assert "script" not in fault and "our fault" in fault
    assert "goes on where it stopped" in words.problem(Stopped("stopped", Path("x.partial.mp4")))
    assert "12 of 50 frames" in words.progress(Progress("drawing", 12, 50, 3.2)) and "about 3 s left" in words.progress(
        Progress("drawing", 12, 50, 3.2)
    )


def test_examples_are_by_the_cast(tmp_path: Path) -> None:
    found = desk.examples(House(tmp_path))
    assert len(found.portraits) >= 2 and len(found.films) == 1
    assert all("cast" in read_metadata(file) for file in found.portraits)
    assert len(found.voices) == voices.can_speak()
