"""The verb by diffusion, end to end, at a toy width with weights of chance: what is promised of any weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import animate_made as made
import numpy as np
import pytest
import torch
from toy import SMALL, TOY, by_chance, store

from understudy import models, weights
from understudy.animate import Progress, Result, Stopped, animate, load
from understudy.animate.aligning import AS_IT_IS, best_frame, cues, map_of, matched_at, regrouped
from understudy.animate.by_diffusion import Imagining, imagining, tensor_of
from understudy.animate.choices import Choices, choose, of_the_cast
from understudy.animate.driving import open_driving, open_frames
from understudy.animate.kept import Kept
from understudy.animate.trained import SLACK, trained
from understudy.cli import main
from understudy.clip import Film, Picture, read, read_metadata, read_picture, write_picture
from understudy.errors import BadOption, BadWeights, MissingExtra, MissingFile, WrongMotion
from understudy.face.portrait import Portrait
from understudy.generator.generator import Generator
from understudy.models import WARP, X_PORTRAIT_SMALL
from understudy.motion.frames import MotionFrames, whole

FRAMES = 54  # a segment of film that is safe, and a few frames more
STEPS = 2


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diffusion")


@pytest.fixture(scope="module", autouse=True)
def toy(place: Path) -> Iterator[None]:
    """Weights of a generator in which nothing is silent, where fetched ones are looked for; and none are shipped."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # nothing here is worth a second one
    store(place / "weights", by_chance(), {"psnr": 4.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "SHIPPED", place / "nothing shipped")
        patch.setenv("UNDERSTUDY_WEIGHTS", str(place / "weights"))
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    """One of the cast, who says so."""
    return write_picture(
        place / "somebody.png", made.shipped("portrait-realistic.jpg", 256), metadata={"cast": "who 117"}
    )


@pytest.fixture(scope="module")
def driver(place: Path) -> Path:
    return made.driver(place / "driver.mp4", FRAMES)


@pytest.fixture(scope="module")
def motion(driver: Path) -> MotionFrames:
    return whole(open_frames(driver, driver=None, warn=pytest.fail))


@pytest.fixture(scope="module")
def result(place: Path, portrait: Path, driver: Path) -> Result:
    return animate(
        portrait, driver, out=place / "film.mp4", model=SMALL, seed=5, steps=STEPS, command="understudy animate a b"
    )


@pytest.fixture(scope="module")
def frames(result: Result) -> list[Picture]:
    return made.decoded(Path(result.output))


def artist_of(portrait: Path, **choices: object) -> Imagining:
    chosen = Choices(**{"steps": STEPS, **choices})  # type: ignore[arg-type]
    return imagining(X_PORTRAIT_SMALL, Portrait.read(portrait), chosen, None, True)


def pictures(artist: Imagining, chunks: Sequence[MotionFrames], **how: object) -> list[Picture]:
    reference = artist.reference_at(chunks[0], 0, 0)
    return [picture for _, picture in artist.draw(chunks, reference, **how)]  # type: ignore[arg-type]


def same(one: Sequence[Picture], other: Sequence[Picture]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# --- alignment ------------------------------------------------------------------------------------------------------


def acting_as(picture: Picture, points: np.ndarray, frames: int = 1) -> MotionFrames:
    """A driver who is the portrait."""
    return MotionFrames(
        times=np.arange(frames) / 25,
        pictures=np.repeat(picture[None], frames, 0),
        points=np.repeat(points[None].astype(np.float32), frames, 0),
        squares=np.tile(np.array([[127.5, 127.5, 256]], np.float32), (frames, 1)),
        seen=np.ones(frames, bool),
        shots=np.zeros(frames, np.int32),
        rate=Fraction(25),
    )


def test_a_portrait_laid_over_itself_is_itself(portrait: Path) -> None:
    picture = read_picture(portrait)
    points = Portrait.read(portrait).face.points[:, :2] + 0.5
    itself = acting_as(picture, points)
    onto = map_of(matched_at(itself, 0, 0), points, 256)
    assert torch.allclose(onto, torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), atol=1e-4)
    (told,) = cues([itself], onto, 256)
    shown, patches = told.hints
    assert (shown[0] - tensor_of(picture)).abs().max() < 1e-2
    inside = patches[0].amax(0) > -1
    assert 0.1 < inside.float().mean() <= 3 / 16 + 1e-6
    assert torch.equal(patches[0][:, inside], shown[0][:, inside]), "the same pixels, or black"
    x, y = points[[159, 145], :2].mean(0).astype(int)
    assert inside[y, x], "an eye is among them"


def test_what_is_taken_as_it_is_is_only_scaled() -> None:
    points = np.zeros((478, 2), np.float32)
    assert torch.equal(map_of(AS_IT_IS, points, 256), torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]))
    assert torch.equal(map_of(AS_IT_IS, points, 64), torch.tensor([[[0.25, 0, 0], [0, 0.25, 0]]]))


def test_the_best_frame_is_the_one_most_like_the_portrait(motion: MotionFrames) -> None:
    """Wherever the face is, and however large."""
    asked = motion.points[23] * np.float32(0.4) + np.float32(31)
    found = best_frame([motion[:10], motion[10:]], asked)
    assert found is not None and found.frame == 23
    unseen = replace(motion, seen=np.zeros(len(motion), bool))
    assert best_frame([unseen], asked) is None


def test_groups_do_not_depend_on_chunks(motion: MotionFrames) -> None:
    for size in (1, 5, 8, 31):
        groups = list(regrouped((motion[k : k + size] for k in range(0, len(motion), size)), 8))
        assert [len(group) for group in groups] == [8] * (FRAMES // 8) + [FRAMES % 8]
        np.testing.assert_array_equal(whole(groups).pictures, motion.pictures)
    with pytest.raises(WrongMotion, match="dict"):
        next(regrouped([{}], 8))  # type: ignore[list-item]


# --- drawing --------------------------------------------------------------------------------------------------------


def test_chunks_change_nothing(portrait: Path, motion: MotionFrames) -> None:
    artist, some = artist_of(portrait), motion[:25]
    drawn = pictures(artist, [some])
    assert len(drawn) == 25 and drawn[0].shape == (256, 256, 3)
    for size in (1, 7):
        assert same(pictures(artist, [some[k : k + size] for k in range(0, 25, size)]), drawn)
    assert np.abs(drawn[0].astype(int) - drawn[20]).max() > 3, "the driver counts"
    assert not same(pictures(artist_of(portrait, seed=1), [some]), drawn), "so does chance"


def test_gone_on_with_it_is_the_same_film(portrait: Path, motion: MotionFrames, tmp_path: Path) -> None:
    """From what was kept; from what was kept and cut short; and from nothing."""
    artist, some, kept = artist_of(portrait), motion[:30], tmp_path / "kept"
    drawn = pictures(artist, [some], kept=kept, crop=True)
    stored = kept.read_bytes()
    for done, harm in (
        (1, "none"), (7, "none"), (20, "none"), (29, "none"), (20, "cut short"), (20, "damaged"), (20, "gone"),
    ):  # fmt: skip
        if harm == "cut short":
            kept.write_bytes(stored[: len(stored) // 3])
        elif harm == "damaged":
            kept.write_bytes(bytes(len(stored)))
        elif harm == "gone":
            kept.unlink()
        rest = pictures(artist, [some[:9], some[9:]], kept=kept, done=done, crop=True)
        assert same(rest, drawn[done:]), (done, harm)
        assert kept.read_bytes() == stored, "and what is kept is as if it had not been stopped"


def test_going_on_saves_the_work(portrait: Path, motion: MotionFrames, tmp_path: Path) -> None:
    artist, some = artist_of(portrait), motion[:30]
    pictures(artist, [some], kept=tmp_path / "kept")
    steps: list[float] = []
    pictures(artist, [some], kept=tmp_path / "kept", done=24, told=steps.append)
    assert len(steps) == STEPS * 2, "frames 22 to 29: two windows"
    assert steps == sorted(steps) and steps[0] >= 24 and steps[-1] <= 30


def test_crossfaded_windows_go_on_without_anything_kept(
    portrait: Path, motion: MotionFrames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artist, some, kept = artist_of(portrait), motion[:30], tmp_path / "kept"
    joined = pictures(artist, [some], crop=True)
    net = artist.known.generator
    monkeypatch.setattr(net, "config", replace(net.config, crossfaded=True))
    drawn = pictures(artist, [some], kept=kept, crop=True)
    assert len(drawn) == 30 and not same(drawn, joined) and not kept.exists()
    for done in (1, 7, 20, 29):
        steps: list[float] = []
        rest = pictures(artist, [some[:9], some[9:]], kept=kept, done=done, told=steps.append, crop=True)
        assert same(rest, drawn[done:]), done
        assert steps == sorted(steps) and steps[0] >= done and steps[-1] <= 30


def test_what_is_kept_is_checked(tmp_path: Path) -> None:
    latents = torch.randn(12, 2, 3, 3)
    with Kept(tmp_path / "a", (2, 3, 3), 0) as file:
        assert file.begun(7, 2) is None
        file.append(latents[:7])
        file.append(latents[7:])
    with Kept(tmp_path / "a", (2, 3, 3), 12) as file:
        begun = file.begun(7, 2)
    assert begun is not None and begun.start == 12 and torch.equal(begun.latents, latents[5:])
    with Kept(tmp_path / "a", (2, 3, 3), 11) as file:
        begun = file.begun(7, 2)
    assert begun is not None and begun.start == 7 and torch.equal(begun.latents, latents[:7])


# --- the verb -------------------------------------------------------------------------------------------------------


def test_a_film(result: Result, frames: list[Picture], driver: Path, place: Path) -> None:
    film, driving = read(result.output), read(driver)
    assert (film.fps, film.size, film.has_sound) == (driving.fps, (256, 256), True)
    assert len(frames) == result.frames == FRAMES
    assert (result.model, result.seed, result.driver, result.resumed_at) == (SMALL, 5, "direct", 0)
    assert result.reference_frame is not None and 0 <= result.reference_frame < FRAMES
    assert result.warnings == [] and result.seconds > 0
    json.dumps(asdict(result))
    assert not list(place.glob("*partial*")), "nothing is left beside it"


def test_the_film_says_how_it_was_made(result: Result) -> None:
    words = read_metadata(result.output)
    assert "AI-generated" in words["synthetic"]
    assert (words["model"], words["seed"], words["driver"]) == (SMALL, "5", "direct")
    assert words["steps"].startswith("2 dpm_solver") and words["torch"]
    assert [word.split()[0] for word in words["weights"].split("; ")] == ["autoencoder-small", SMALL]


def interrupted_after(frames: int, error: BaseException) -> Callable[[Film, Picture, float | None], None]:
    add = Film.add

    def adding(film: Film, frame: Picture, time: float | None = None) -> None:
        if film.frames >= frames:
            raise error
        add(film, frame, time)

    return adding


@pytest.mark.parametrize("kept", [True, False])
def test_stopped_and_resumed_is_whole(
    kept: bool, place: Path, portrait: Path, driver: Path, frames: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place / "stopped.mp4"
    with monkeypatch.context() as patch, pytest.raises(Stopped) as stopped:
        patch.setattr(Film, "add", interrupted_after(52, KeyboardInterrupt()))
        animate(portrait, driver, out=out, model=SMALL, seed=5, steps=STEPS)
    assert stopped.value.partial == place / "stopped.partial.mp4"
    drawn = place / "stopped.partial.drawn"
    assert drawn.exists()
    if not kept:
        drawn.unlink()
    found = animate(portrait, driver, out=out, model=SMALL, seed=5, steps=STEPS, force=True)
    assert found.resumed_at == 50 and same(made.decoded(out), frames)
    assert not list(place.glob("stopped.partial*"))
    out.unlink()


def test_a_motion_file_of_pictures_drives(
    place: Path,
    portrait: Path,
    motion: MotionFrames,
    result: Result,
    frames: list[Picture],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is watched, and the film is the one of the driver that it was read from, stopped or not."""
    motion.save(place / "kept.safetensors", exact=True)
    out = place / "kept.mp4"
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Film, "add", interrupted_after(52, KeyboardInterrupt()))
        animate(portrait, place / "kept.safetensors", out=out, model=SMALL, seed=5, steps=STEPS)
    told: list[Progress] = []
    found = animate(
        portrait, place / "kept.safetensors", out=out, model=SMALL, seed=5, steps=STEPS, progress=told.append
    )
    assert (found.reference_frame, found.driver, found.resumed_at) == (result.reference_frame, "direct", 50)
    assert "watching" not in [each.stage for each in told]
    assert same(made.decoded(out), frames)
    with pytest.raises(WrongMotion, match="pictures of a driver"):
        animate(portrait, place / "kept.safetensors", out=place / "never.mp4", model="warp")


def test_other_steps_begin_anew(
    place: Path, portrait: Path, motion: MotionFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place / "anew.mp4"
    motion.save(place / "anew.safetensors", exact=True)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Film, "add", interrupted_after(52, KeyboardInterrupt()))
        animate(portrait, place / "anew.safetensors", out=out, model=SMALL, steps=STEPS)
    found = animate(portrait, place / "anew.safetensors", out=out, model=SMALL, steps=1)
    assert found.resumed_at == 0 and any("other settings" in warning for warning in found.warnings)


def test_a_picture_drives_a_picture(place: Path, portrait: Path) -> None:
    still = write_picture(place / "still.png", next(made.driver_frames(1)))
    found = animate(portrait, still, out=place / "picture.png", model=SMALL, steps=STEPS)
    assert (found.frames, found.fps, found.reference_frame) == (1, 0.0, 0)
    assert read_picture(found.output).shape == (256, 256, 3)
    assert read_metadata(found.output)["model"] == SMALL


def test_it_is_pasted_back_or_left_alone(place: Path) -> None:
    wide = np.full((300, 640, 3), 90, np.uint8)
    wide[:256, 200:456] = made.shipped("portrait-realistic.jpg", 256)
    path = write_picture(place / "wide.png", wide, metadata={"cast": "who 117"})
    short = made.driver(place / "short.mp4", 3)
    whole_picture = animate(path, short, out=place / "pasted.mkv", model=SMALL, steps=STEPS)
    assert (whole_picture.width, whole_picture.height) == (640, 300)
    shown = made.decoded(place / "pasted.mkv")[1]
    assert made.decibels(shown[:, :100], wide[:, :100]) > 40 and made.decibels(shown, wide) < 30
    square = animate(path, short, out=place / "square.mp4", model=SMALL, steps=STEPS, crop=True)
    assert square.width == square.height == TOY.picture


def test_reference_frames_may_be_named_or_none(place: Path, portrait: Path) -> None:
    short = made.driver(place / "short2.mp4", 6)
    named = animate(portrait, short, out=place / "named.mp4", model=SMALL, steps=STEPS, reference_frame=4)
    assert named.reference_frame == 4
    none = animate(portrait, short, out=place / "none.mp4", model=SMALL, steps=STEPS, relative=False)
    assert none.reference_frame is None
    with pytest.raises(BadOption, match="has no frame 99"):
        animate(portrait, short, out=place / "never.mp4", model=SMALL, steps=STEPS, reference_frame=99)


def test_how_long_it_takes_is_said_before_the_wait(place: Path, portrait: Path) -> None:
    told: list[Progress] = []
    short = made.driver(place / "told-driver.mp4", 12)
    animate(portrait, short, out=place / "told.mp4", model=SMALL, steps=STEPS, progress=told.append)
    notes = [(each.stage, each.note) for each in told if each.note]
    assert len(notes) == 1, "once"
    said = next(number for number, each in enumerate(told) if each.note)
    assert told[said].stage == "watching" or told[said].done < TOY.window, "before the first window is drawn"
    assert notes[0][1].startswith(f"{SMALL} draws it, as asked, following the driver's own pictures (--driver direct)")
    assert "about " in notes[0][1] and "for 12 frames" in notes[0][1]
    drawing = [each for each in told if each.stage == "drawing"]
    assert drawing[-1].done == 12 and [each.done for each in drawing] == sorted(each.done for each in drawing)


def test_three_lines(portrait: Path, motion: MotionFrames, frames: list[Picture]) -> None:
    model = load(SMALL, seed=5, steps=STEPS)
    clip = model.draw(portrait, [motion[:30], motion[30:]], warn=pytest.fail)
    drawn = list(clip)
    assert len(drawn) == FRAMES and clip.fps == motion.rate and drawn[0].shape == frames[0].shape


def test_the_bridge(place: Path, portrait: Path) -> None:
    """A mesh has no pictures: one of the cast plays it."""
    short = made.driver(place / "short3.mp4", 4)
    from understudy.animate.motions import keep

    keep(short, place / "mesh.safetensors")
    found = animate(portrait, place / "mesh.safetensors", out=place / "mesh.mp4", model=SMALL, steps=STEPS)
    assert (found.driver, found.frames) == ("bridge", 4)
    assert read_metadata(found.output)["driver"] == "bridge"
    with pytest.raises(WrongMotion, match="no pictures") as caught:
        animate(portrait, place / "mesh.safetensors", out=place / "never.mp4", model=SMALL, driver="direct")
    assert "--driver bridge" in caught.value.remedy
    played = whole(open_frames(short, driver="bridge", warn=pytest.fail))
    assert played.pictures.shape == (4, 256, 256, 3)
    mesh = whole_mesh(short)
    np.testing.assert_array_equal(played.times, mesh.times)


def whole_mesh(path: Path) -> object:
    from understudy.motion.mesh import whole as whole_of

    return whole_of(open_driving(path, warn=pytest.fail))


# --- who, what with, and what cannot be -----------------------------------------------------------------------------


def test_strangers_are_warned_of(place: Path, portrait: Path, toy: None) -> None:
    """By the metadata, else by what the autoencoder makes of the picture."""
    assert of_the_cast(portrait)
    unsaid = write_picture(place / "unsaid.png", read_picture(portrait))
    assert not of_the_cast(unsaid) and not of_the_cast(place / "nothing.png")
    known = trained(X_PORTRAIT_SMALL)
    seen = known.strangeness(tensor_of(artist_of(portrait).own))
    assert known.foreign_below == 4.0 - SLACK, "the mean of those it was scored on, less a margin"
    for figures, cast, warned in (
        ({"psnr": 4.0, "foreign_below": seen - 1}, False, None),
        ({"psnr": 4.0, "foreign_below": seen + 1}, False, "not one of the cast"),
        ({"psnr": 4.0, "foreign_below": seen + 1}, True, None),
        ({"psnr": seen + SLACK + 1, "foreign_below": seen - 1}, False, "not one of the cast"),  # the stricter counts
        ({}, False, "never measured"),
    ):
        about = (replace(known.abouts[0], figures=figures), known.abouts[1])
        artist = Imagining(
            X_PORTRAIT_SMALL,
            replace(known, abouts=about),
            Portrait.read(unsaid),
            models.small_manner(),
            Choices(),
            cast,
        )
        assert [warned in said for said in artist.warnings] == ([] if warned is None else [True])  # type: ignore[operator]


def test_auto_takes_it_for_the_cast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen, why = choose("auto", Choices(), cast=True)
    assert chosen is X_PORTRAIT_SMALL and "one of the cast" in why
    assert choose("auto", Choices(), cast=False)[0] is WARP
    chosen, why = choose("auto", Choices(only=("mouth",)), cast=True)
    assert chosen is WARP and "takes no --only" in why
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    chosen, why = choose("auto", Choices(), cast=True)
    assert chosen is WARP and "lacks its weights, autoencoder-small.safetensors" in why


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strength": 0.5}, "--strength"),
        ({"only": ("mouth",)}, "--only"),
        ({"mouth": "own"}, "--mouth"),
        ({"steps": 0}, "--steps 0"),
        ({"driver": "sideways"}, "--driver sideways"),
        ({"device": "toaster"}, "toaster"),
        ({"reference_frame": 1, "relative": False}, "contradict"),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, object], said: str, portrait: Path, driver: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadOption) as caught:
        animate(portrait, driver, model=SMALL, out=tmp_path / "never.mp4", **options)  # type: ignore[arg-type]
    assert said in str(caught.value) and not list(tmp_path.iterdir())


def test_without_weights(
    portrait: Path, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingFile, match=r"autoencoder-small\.safetensors") as caught:
        animate(portrait, driver, model=SMALL, out=tmp_path / "never.mp4")
    assert "understudy train autoencoder-small" in caught.value.remedy
    out = str(tmp_path / "never.mp4")
    assert main(["animate", str(portrait), str(driver), "--model", SMALL, "-o", out, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "MissingFile"


def test_without_torch(portrait: Path, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("by_diffusion", "by_code", "imagined"):
        monkeypatch.delitem(sys.modules, f"understudy.animate.{name}", raising=False)
        monkeypatch.delattr(f"understudy.animate.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="x-portrait-small needs torch"):
        animate(portrait, driver, model=SMALL, out=tmp_path / "never.mp4")


def test_weights_that_do_not_fit(portrait: Path, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Generator(TOY)
    store(tmp_path, net, {})
    loaded = weights.load(tmp_path / "x-portrait-small.safetensors")
    fewer = {name: value for name, value in loaded.tensors.items() if "conv_in" not in name}
    weights.save(tmp_path / "x-portrait-small.safetensors", fewer, loaded.about)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(BadWeights, match="places empty"):
        trained(X_PORTRAIT_SMALL)


def test_on_the_command_line(place: Path, portrait: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = made.driver(place / "short4.mp4", 5)
    out = place / "line.mp4"
    words = ["animate", str(portrait), str(short), "-o", str(out), "--steps", "2", "--seed", "3", "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["model"], told["driver"], told["seed"], told["frames"]) == (SMALL, "direct", 3, 5)
    assert "the portrait is one of the cast" in said.err and "--driver direct" in said.err
