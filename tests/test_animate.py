"""The verb, end to end, on made people: what comes out is what the driver did, and nothing about the film is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import animate_made as made
import numpy as np
import pytest

import understudy
from understudy.animate import Progress, Result, animate, load
from understudy.animate.choices import Choices
from understudy.animate.driving import open_driving
from understudy.animate.record import peak_memory
from understudy.clip import Clip, Film, Picture, read, read_metadata, read_picture, read_sound, write_picture
from understudy.errors import BadOption, UnknownModel
from understudy.face.mesh import EYES
from understudy.face.portrait import Portrait
from understudy.generator.warp import Warp, WarpOptions
from understudy.generator.warp.transfer import aperture, transfer
from understudy.motion.file import save
from understudy.motion.livelink import write_livelink
from understudy.motion.mesh import MotionMesh, whole
from understudy.motion.read import read_mesh

FRAMES = 30


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("animate")


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    return made.portrait(place / "portrait.png")


@pytest.fixture(scope="module")
def driver(place: Path) -> Path:
    return made.driver(place / "driver.mp4", FRAMES)


@pytest.fixture(scope="module")
def motion(driver: Path) -> MotionMesh:
    return whole(open_driving(driver, warn=pytest.fail))


@pytest.fixture(scope="module")
def result(place: Path, portrait: Path, driver: Path) -> Result:
    return animate(portrait, driver, out=place / "film.mp4", seed=7, command="understudy animate a b")


def test_the_film_keeps_what_the_driver_and_the_portrait_have(result: Result, portrait: Path, driver: Path) -> None:
    film, driving = read(result.output), read(driver)
    assert film.fps == driving.fps == made.FPS
    assert len(list(film)) == len(list(driving)) == FRAMES
    assert film.size == read(portrait).size == (result.width, result.height)
    assert film.has_sound
    heard, played = read_sound(driver), read_sound(result.output)
    assert abs(heard.seconds - played.seconds) <= 1 / made.FPS
    assert [float(when) for when, _ in film.timed()] == [float(when) for when, _ in driving.timed()]


def test_nothing_is_left_beside_it(result: Result, place: Path) -> None:
    assert not list(place.glob("*partial*")) and not list(place.glob("*.spool"))


def test_memory_of_a_film_by_itself(portrait: Path, driver: Path, tmp_path: Path) -> None:
    """In a process in which nothing else has been."""
    command = [sys.executable, "-m", "understudy", "animate", str(portrait), str(driver), "-o", str(tmp_path / "a.mp4")]
    done = subprocess.run([*command, "--model", "warp", "--json"], capture_output=True, text=True, check=True)
    assert 50 < json.loads(done.stdout.splitlines()[-1])["peak_memory_mb"] < 1200


def test_the_result_says_what_happened(result: Result) -> None:
    assert (result.model, result.seed, result.frames, result.fps) == ("warp", 7, FRAMES, 25.0)
    assert result.reference_frame is not None and 0 <= result.reference_frame < FRAMES
    assert result.seconds > 0 and result.frames_per_second > 0
    # The process's, in which other tests may have run before; said in tenths, so a rounding may lift it.
    assert 50 < result.peak_memory_mb <= round(peak_memory(), 1)
    assert result.watching_seconds + result.drawing_seconds == pytest.approx(result.seconds, abs=0.01)
    assert (result.faceless_frames, result.cuts, result.resumed_at, result.warnings) == (0, 0, 0, [])
    json.dumps(asdict(result))


def test_the_film_says_that_it_is_made(result: Result, portrait: Path, driver: Path) -> None:
    words = read_metadata(result.output)
    assert "AI-generated" in words["synthetic"] and "synthetic media" in words["synthetic"]
    assert words["software"] == f"Understudy {understudy.__version__}"
    assert (words["model"], words["seed"], words["command"]) == ("warp", "7", "understudy animate a b")
    assert {"understudy", "mediapipe", "numpy", "opencv", "av"} <= set(json.loads(words["versions"]))
    assert words["portrait"].startswith(f"{portrait.name} sha256:") and words["driving"].startswith(driver.name)


def test_the_result_performs(result: Result, motion: MotionMesh) -> None:
    """Read back, the portrait's jaw and lids do what the driver's did."""
    back = whole(open_driving(result.output, warn=pytest.fail))
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight"):
        asked = motion.curves[:, motion.names.index(name)]
        given = back.curves[:, back.names.index(name)]
        if asked.std() > 0.05:
            assert np.corrcoef(asked, given)[0, 1] > 0.7, name
    turned, turns = (each.pose.angles[:, 0] for each in (back, motion))
    assert np.corrcoef(turned, turns)[0, 1] > 0.9


def test_a_picture_as_driver_gives_a_picture(place: Path, portrait: Path) -> None:
    frames = list(made.driver_frames(60))
    still = write_picture(place / "still.png", frames[_widest(_read(frames))])
    found = animate(portrait, still, out=place / "picture.png")
    assert (found.frames, found.fps, found.reference_frame) == (1, 0.0, None)
    drawn, own = read_picture(found.output), read_picture(portrait)
    assert drawn.shape == own.shape and np.abs(drawn.astype(int) - own).max() > 30, "absolute: the mouth opens"
    assert "AI-generated" in read_metadata(found.output)["synthetic"]


def _widest(motion: MotionMesh) -> int:
    """The frame in which the mouth is open widest."""
    return int(np.linalg.norm(motion.points[:, 13] - motion.points[:, 14], axis=-1).argmax())


def test_a_motion_file_drives_as_its_film_did(place: Path, portrait: Path, result: Result, motion: MotionMesh) -> None:
    save([motion], place / "motion.safetensors", exact=True)
    found = animate(portrait, place / "motion.safetensors", out=place / "from-motion.mp4")
    assert found.reference_frame == result.reference_frame and found.fps == result.fps
    assert not read(found.output).has_sound
    for one, other in zip(made.decoded(Path(found.output)), made.decoded(Path(result.output)), strict=True):
        assert np.array_equal(one, other)


def test_live_link_drives(place: Path, portrait: Path, motion: MotionMesh) -> None:
    write_livelink(place / "take.csv", motion)
    found = animate(portrait, place / "take.csv", out=place / "from-csv.mp4")
    assert (found.frames, found.fps) == (FRAMES, 25.0)
    frames = made.decoded(Path(found.output))
    assert max(np.abs(frames[0].astype(int) - frame).max() for frame in frames) > 40, "it moves"


def test_the_portrait_as_its_own_driver_returns_the_portrait() -> None:
    picture = made.astronaut()
    who = Portrait.of(picture)
    motion = list(read_mesh([(Fraction(k, 25), picture) for k in range(6)], Fraction(25)))
    warp = Warp(who)
    reference = warp.reference(motion)
    assert reference is not None
    for drawn in warp.draw_crops(motion, reference):
        own = who.crop.cut(picture)
        inside = who.crop.mask > 0
        assert made.decibels(drawn[inside], own[inside]) >= 42


def test_a_mirrored_driver_gives_mirrored_motion() -> None:
    """What is read from the mirrored astronaut is the mirror image of what was read from the astronaut, who winks with
    the left eye and turns; and drawn, the other eye shuts."""
    frames = made.astronaut_acting(24)
    one, other = (_read(each) for each in (frames, [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]))
    mirrored = one.mirror(frames[0].shape[1])
    size = float(one.pose.scale.mean())
    assert np.abs(mirrored.points[..., :2] - other.points[..., :2]).mean() / size < 0.02
    np.testing.assert_allclose(other.pose.angles[:, 0], -one.pose.angles[:, 0], atol=4)
    left, right = (one.names.index(f"eyeBlink{side}") for side in ("Left", "Right"))
    assert one.curves[:, left].max() > 0.4 > one.curves[:, right].max()
    assert other.curves[:, right].max() > 0.4 > other.curves[:, left].max()
    who = Portrait.of(made.shipped("portrait-realistic.jpg", 384))
    warp = Warp(who, Choices(only=("eyes",)).options(still=False))
    shut = int(one.curves[:, left].argmax())
    for motion, side in ((one, "Left"), (other, "Right")):
        rest, drawn = (
            next(warp.draw([motion[k : k + 1]], warp.reference_at(motion, 0, 0))).astype(int) for k in (0, shut)
        )
        changed = {name: _around(np.abs(drawn - rest), who, name) for name in EYES}
        open_side = {"Left": "Right", "Right": "Left"}[side]
        reference = warp.reference_at(motion, 0, 0)
        shape = transfer(warp.figure.shape, reference, motion[shut : shut + 1], warp.options.amounts).shape
        assert aperture(shape, EYES[side])[0] < 0.02 and aperture(shape, EYES[open_side])[0] > 0.2
        # The open eye's pixels change too: it looks elsewhere meanwhile.
        assert changed[side] > 1.2 * changed[open_side]


def _read(frames: list[Picture]) -> MotionMesh:
    return whole(read_mesh([(Fraction(k, 25), frame) for k, frame in enumerate(frames)], Fraction(25)))


def _around(difference: np.ndarray, who: Portrait, side: str) -> float:
    eye = EYES[side]
    x, y = who.face.points[[eye.outer, eye.inner], :2].mean(0).astype(int)
    reach = int(who.face.eye_distance / 7)
    return float(difference[y - reach : y + reach, x - reach : x + reach].mean())


def test_chunked_is_whole(portrait: Path, motion: MotionMesh) -> None:
    warp = Warp(Portrait.read(portrait))
    reference = warp.reference([motion])
    assert reference is not None
    parts = [motion[k : k + 7] for k in range(0, len(motion), 7)]
    assert warp.reference(parts) is not None and warp.reference(parts).frame == reference.frame  # type: ignore[union-attr]
    for one, other in zip(warp.draw(parts, reference), warp.draw([motion], reference), strict=True):
        assert np.array_equal(one, other)


def test_strength_nothing_moves_nothing(place: Path, portrait: Path, driver: Path) -> None:
    found = animate(portrait, driver, out=place / "still.mp4", strength=0)
    own = read_picture(portrait)
    for frame in made.decoded(Path(found.output)):
        assert made.decibels(frame, own) > 36


def test_only_the_head(portrait: Path, motion: MotionMesh, driver: Path) -> None:
    """With `--only pose` the mouth stays, and the head moves."""
    options = Choices(only=("pose",)).options(still=False)
    assert (options.amounts.mouth, options.amounts.eyes, options.amounts.brows, options.amounts.rest) == (0, 0, 0, 0)
    assert options.amounts.pose == 1
    assert Choices(only=("mouth", "eyes", "brows"), strength=2).options(still=False).amounts.rest == 2
    assert Choices().options(still=True).relative is False and Choices().options(still=False).relative is True
    assert Choices(mouth="own").options(still=False) == WarpOptions(mouth="own")


def test_crop_gives_the_square(place: Path, driver: Path) -> None:
    wide = np.full((300, 500, 3), 90, np.uint8)
    wide[:256, 100:356] = made.shipped("portrait-realistic.jpg", 256)
    path = write_picture(place / "wide.png", wide)
    found = animate(path, driver, out=place / "square.mp4", crop=True)
    assert found.width == found.height == Portrait.read(path).crop.size


def test_large_portraits_are_scaled_down(place: Path, portrait: Path, driver: Path) -> None:
    found = animate(portrait, driver, out=place / "small.mp4", max_size=128)
    assert (found.width, found.height) == (128, 128)
    assert any("was scaled" in warning for warning in found.warnings)


def test_the_reference_frame_may_be_named(place: Path, portrait: Path, driver: Path) -> None:
    found = animate(portrait, driver, out=place / "named.mp4", reference_frame=3)
    assert found.reference_frame == 3
    own = read_picture(portrait)
    assert made.decibels(made.decoded(Path(found.output))[3], own) > 36, "there the portrait is as it was"
    with pytest.raises(BadOption, match="has no frame 99"):
        animate(portrait, driver, out=place / "never.mp4", reference_frame=99)
    assert not list(place.glob("never*"))


def test_where_nobody_is_seen_the_last_expression_is_held(place: Path, portrait: Path) -> None:
    frames = list(made.driver_frames(50))
    frames[16:40] = [np.full_like(frames[0], 40)] * 24
    gone = made.driver(place / "gone.mp4", frames)
    found = animate(portrait, gone, out=place / "held.mp4")
    assert found.frames == 50 and 20 <= found.faceless_frames <= 26
    assert any("shows no face in" in warning and "held" in warning for warning in found.warnings)
    film = made.decoded(Path(found.output))
    assert made.decibels(film[24], film[36]) > 38


def test_cuts_are_said_and_gone_over(place: Path, portrait: Path) -> None:
    rows = list(made.driver_frames(24))
    others = [made.scaled(frame, 256) for frame in made.astronaut_acting(24)]
    found = animate(portrait, made.driver(place / "cut.mp4", rows + others), out=place / "cut-out.mp4")
    assert (found.frames, found.cuts) == (48, 1)
    assert any("is cut once" in warning for warning in found.warnings)


def test_uneven_times_are_kept(place: Path, portrait: Path) -> None:
    path, times = place / "uneven.mp4", [0.0, 0.04, 0.12, 0.16, 0.2, 0.32, 0.36, 0.4, 0.6, 0.64, 0.68, 0.72]
    with Film(path, fps=25) as film:
        for when, frame in zip(times, made.driver_frames(len(times)), strict=True):
            film.add(frame, Fraction(when).limit_denominator(100))
    found = animate(portrait, path, out=place / "uneven-out.mp4")
    np.testing.assert_allclose([float(when) for when, _ in read(found.output).timed()], times, atol=1e-3)


def test_one_frame_works(place: Path, portrait: Path) -> None:
    path = made.driver(place / "one.mp4", 1, sound=False)
    found = animate(portrait, path, out=place / "one-out.mp4")
    assert found.frames == 1 and len(made.decoded(Path(found.output))) == 1


def test_the_default_name(place: Path, portrait: Path, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    short = made.driver(place / "short.mp4", 6)
    assert animate(portrait, short).output == "portrait-short.mp4"
    assert (folder / "portrait-short.mp4").exists()


def test_progress_is_told_and_honest(place: Path, portrait: Path, driver: Path) -> None:
    told: list[Progress] = []
    animate(portrait, driver, out=place / "told.mp4", progress=told.append)
    stages = [each.stage for each in told]
    assert stages.index("drawing") > stages.index("watching")
    assert [each.done for each in told if each.stage == "drawing"][-1] == FRAMES
    notes = [each.note for each in told if each.note]
    assert len(notes) == 1 and notes[0].startswith("warp draws it: ") and "frames" in notes[0]
    assert all(each.left is None or each.left >= 0 for each in told)


def test_three_lines(place: Path, portrait: Path, driver: Path) -> None:
    model = understudy.load("warp")
    frames = model.draw(portrait, model.read(driver))
    written = understudy.write(place / "three.mp4", frames, sound=driver)
    assert isinstance(frames, Clip) and frames.fps == made.FPS
    assert (written.frames, written.size) == (FRAMES, (256, 256))
    assert len(list(frames)) == FRAMES, "a clip may be watched again"


def test_a_film_begins_before_it_is_finished(portrait: Path, motion: MotionMesh) -> None:
    """The first frames come from the first chunk; the second is not asked for."""
    asked = []

    def chunks() -> object:
        for k in range(0, len(motion), 10):
            asked.append(k)
            yield motion[k : k + 10]

    frames = iter(load("warp").draw(portrait, chunks()))  # type: ignore[arg-type]
    next(frames)
    assert asked == [0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 8}, "--steps"),
        ({"driver": "bridge"}, "--driver"),
        ({"device": "cuda"}, "--device cuda"),
        ({"strength": 9.0}, "--strength"),
        ({"strength": float("nan")}, "--strength"),
        ({"only": ("ears",)}, "ears"),
        ({"only": ()}, "--only"),
        ({"reference_frame": -1}, "--reference-frame"),
        ({"reference_frame": 1, "relative": False}, "contradict"),
        ({"max_size": 8}, "--max-size"),
        ({"model": "x-portrait"}, "x-portrait"),
        ({"out": "film.txt"}, "film.txt"),
        ({"out": "film.png"}, "is a picture"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, object], said: str, portrait: Path, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadOption, match=said.replace("-", r"\-")):
        animate(portrait, driver, **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_not(portrait: Path, driver: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        animate(portrait, driver, model="wrap", out=tmp_path / "never.mp4")


def test_a_run_never_imports_torch(place: Path, portrait: Path) -> None:
    short = made.driver(place / "torchless.mp4", 3)
    code = (
        "import sys; from understudy.cli import main; "
        f"code = main(['animate', {str(portrait)!r}, {str(short)!r}, '-o', {str(place / 'torchless-out.mp4')!r}]); "
        "print(code, sorted({'torch', 'diffusers', 'transformers', 'einops'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[-2] == "0 []"


@pytest.mark.slow
def test_memory_does_not_grow_with_length(place: Path, portrait: Path) -> None:
    """Six times the driver, the same memory."""
    frames = list(made.driver_frames(150))
    peaks = []
    for times in (1, 6):
        path = made.driver(place / f"long-{times}.mp4", frames * times)
        command = [sys.executable, "-m", "understudy", "animate", str(portrait), str(path), "--json", "--force"]
        run = subprocess.run([*command, "-o", str(place / "long-out.mp4")], capture_output=True, text=True, check=True)
        peaks.append(json.loads(run.stdout)["peak_memory_mb"])
    assert peaks[1] < 1.03 * peaks[0] and peaks[1] < 1200


def test_absolute_takes_the_drivers_face_outright() -> None:
    """The head then faces where the driver's does, and not as far from the portrait's own as the driver moved."""
    who = Portrait.of(made.shipped("portrait-realistic.jpg", 256))
    motion = _read(made.astronaut_acting(12))
    warp = Warp(who, Choices(relative=False).options(still=False))
    reference = warp.reference([motion[:6], motion[6:]])
    assert reference is not None and reference.frame < 0
    drawn = list(warp.draw([motion[:6], motion[6:]], reference))
    assert len(drawn) == len(motion) and drawn[0].shape == who.picture.shape
    assert made.decibels(drawn[0], drawn[-1]) < 40
