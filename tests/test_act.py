"""The verb `act`, end to end: a voice in, a film of a photo with that voice out. The actor's weights are of chance."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import replace
from pathlib import Path

import animate_made as made
import numpy as np
import pytest
import torch

from understudy import models, weights
from understudy.animate import load
from understudy.animate.acting import act
from understudy.animate.by_warp import Bending
from understudy.animate.choices import Choices
from understudy.animate.mood import asked
from understudy.animate.voice import Acting, open_voice
from understudy.cast.how import How, neutral
from understudy.cli import main
from understudy.clip import Sound, read, read_metadata, read_sound, write_sound
from understudy.clip.coming import Coming
from understudy.clip.level import levelled
from understudy.errors import BadOption, MissingFile, NoSound, UnderstudyError, UnknownModel
from understudy.face.rig import Rig
from understudy.generator.warp import Reference
from understudy.motion import bridge, played
from understudy.motion.actor import Actor
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames
from understudy.motion.mesh import MotionMesh, whole
from understudy.motion.space import PLAYED

SECONDS = 1.1


def voice(rate: int = 16_000, channels: int = 1, seconds: float = SECONDS, loud: float = 0.3) -> Sound:
    at = np.arange(round(seconds * rate)) / rate
    buzz = np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2 * at) > 0) * loud
    return Sound(np.repeat(buzz[:, None], channels, 1).astype(np.float32), rate)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("act")


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    return made.portrait(place / "portrait.png", 160)


@pytest.fixture
def weighty(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights of chance, small movements about a face at rest."""
    folder = place / "weights"
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(folder))
    if not (folder / "x-actor-small.safetensors").exists():
        config = replace(models.x_actor_small(), width=16, depth=1, heads=2, ear=4, chunk=8, context=16)
        torch.manual_seed(0)
        net = Actor(config)
        torch.nn.init.normal_(net.motion_out.weight, std=0.3)
        net.deviation.fill_(0.05)
        about = weights.About(name="x-actor-small", config=config, recipe={}, commit="", figures={}, storage="fp32")
        weights.save(folder / "x-actor-small.safetensors", net.state_dict(), about)
    return folder


def test_without_weights_it_says_how_to_train(portrait: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(place / "nowhere"))
    monkeypatch.setattr(models, "SHIPPED", place / "nowhere")
    write_sound(place / "none.wav", voice())
    with pytest.raises(MissingFile, match="understudy train x-actor-small"):
        act(portrait, place / "none.wav", out=place / "none.mp4")
    assert not (place / "none.mp4").exists()


@pytest.mark.usefixtures("weighty")
def test_the_film_has_the_voice_and_its_length(portrait: Path, place: Path) -> None:
    heard = write_sound(place / "say.flac", voice(44_100, 2))
    result = act(portrait, heard, out=place / "say.mp4", seed=3)
    film = read(result.output)
    assert result.frames == 28 and result.fps == 25 and film.fps == 25 and result.model == "warp"
    assert result.reference_frame is None and result.faceless_frames == 0
    sound = read_sound(result.output).mono()
    assert abs(sound.seconds - 28 / 25) < 0.1
    at = np.abs(sound.resample(1000).samples[:, 0])
    assert at[20:220].mean() > 10 * at[300:450].mean()  # aligned: it buzzes, and then does not
    said = read_metadata(result.output)
    assert "x-actor-small, seed 3" in said["acted"] and "AI-generated" in said["synthetic"]
    frames = list(film)
    assert np.abs(np.diff(np.stack(frames[:20]).astype(float), axis=0)).mean() > 0.05  # somebody moves


@pytest.mark.usefixtures("weighty")
@pytest.mark.parametrize("ending", [".wav", ".mp3", ".m4a", ".ogg"])
def test_every_kind_of_sound_is_heard(place: Path, ending: str) -> None:
    heard = write_sound(place / f"kind{ending}", voice(48_000 if ending == ".ogg" else 22_050), overwrite=True)
    driving = open_voice(heard, Acting(), model=models.WARP, choices=Choices(), warn=lambda text: None)
    assert abs(len(whole(driving)) - 28) <= 3 and driving.sounds and not driving.still


@pytest.mark.usefixtures("weighty")
def test_the_same_seed_is_the_same_and_another_is_not(place: Path) -> None:
    heard = write_sound(place / "seed.wav", voice(), overwrite=True)

    def moves(seed: int, **wishes: object) -> MotionMesh:
        acting = Acting(**wishes)  # type: ignore[arg-type]
        return whole(open_voice(heard, acting, model=models.WARP, choices=Choices(seed=seed), warn=lambda text: None))

    one = moves(1)
    assert np.array_equal(one.points, moves(1).points)
    assert not np.array_equal(one.points, moves(2).points)


@pytest.mark.usefixtures("weighty")
def test_an_expression_takes_the_place_of_the_portraits_own(
    portrait: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = write_sound(place / "place.wav", voice(seconds=0.1), overwrite=True)
    frames: list[int] = []
    before = Bending.reference_at

    def noted(self: Bending, chunk: MotionMesh, k: int, frame: int) -> Reference:
        frames.append(frame)
        return before(self, chunk, k, frame)

    monkeypatch.setattr(Bending, "reference_at", noted)
    for relative in (None, True):
        act(portrait, heard, out=place / "place.mp4", relative=relative, force=True, sign=False)
    assert frames == [-1, 0]


@pytest.mark.usefixtures("weighty")
def test_in_python_it_is_three_lines(portrait: Path, place: Path) -> None:
    heard = write_sound(place / "short.wav", voice(seconds=0.3), overwrite=True)
    model = load("warp", seed=4)
    frames = list(model.draw(portrait, model.hear(heard, mood="happy")))
    assert len(frames) == 8 and frames[0].shape == (160, 160, 3)


@pytest.mark.usefixtures("weighty")
def test_the_cast_plays_it_for_models_that_follow_pictures(place: Path) -> None:
    heard = write_sound(place / "played.wav", voice(seconds=0.2), overwrite=True)
    driving = open_voice(heard, Acting(), model=models.X_PORTRAIT_SMALL, choices=Choices(), warn=lambda text: None)
    chunks = list(driving)
    assert sum(map(len, chunks)) == 5 and isinstance(chunks[0], MotionFrames) and driving.driver == "bridge"
    coded = open_voice(heard, Acting(), model=models.X_PORTRAIT_2_SMALL, choices=Choices(), warn=lambda text: None)
    read = list(coded)
    assert sum(map(len, read)) == 5 and isinstance(read[0], MotionCode) and coded.driver == "bridge"


@pytest.mark.usefixtures("weighty")
def test_a_silent_file_rests_and_says_so_and_an_empty_one_is_refused(portrait: Path, place: Path) -> None:
    heard = write_sound(place / "silent.wav", voice(loud=0.0))
    said: list[str] = []
    assert len(whole(open_voice(heard, Acting(), model=models.WARP, choices=Choices(), warn=said.append))) == 28
    assert any("silent" in text for text in said)
    empty = place / "empty.wav"
    with empty.open("wb") as file:
        file.write(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\0\0\0\0")
    with pytest.raises(UnderstudyError):
        act(portrait, empty, out=place / "empty.mp4")
    with pytest.raises(NoSound):
        act(portrait, portrait, out=place / "picture.mp4")
    assert not (place / "empty.mp4").exists()


@pytest.mark.usefixtures("weighty")
def test_noise_is_remarked_on(place: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (5 * 16_000, 1)).astype(np.float32)
    heard = write_sound(place / "noise.wav", Sound(noise, 16_000))
    said: list[str] = []
    open_voice(heard, Acting(), model=models.WARP, choices=Choices(), warn=said.append)
    assert any("noise" in text for text in said)


def test_quiet_voices_are_raised() -> None:
    quiet, normal = (
        np.concatenate(list(levelled([voice(loud=loud, seconds=4).samples], 16_000))) for loud in (0.02, 0.3)
    )
    ratio = 20 * np.log10(np.abs(normal[-32_000:]).max() / np.abs(quiet[-32_000:]).max())
    assert abs(ratio) < 3.5 and np.abs(quiet).max() > 0.1  # 23.5 dB apart before
    hiss = np.random.default_rng(0).normal(0, 0.003, 64_000).astype(np.float32)
    assert np.abs(np.concatenate(list(levelled([hiss], 16_000)))).max() <= np.abs(hiss).max()


def test_a_rooms_noise_is_hushed_and_short_gaps_are_not() -> None:
    at = np.arange(4 * 16_000) / 16_000
    speaks = (at < 1.5) & ((at % 0.3) > 0.06) | (at > 3)
    noise = np.random.default_rng(0).normal(0, 0.003, len(at))
    heard = (noise + 0.3 * np.sin(2 * np.pi * 180 * at) * speaks).astype(np.float32)
    out = np.concatenate(list(levelled([heard], 16_000)))

    def decibels(samples: np.ndarray, begin: float, end: float) -> float:
        return float(10 * np.log10((samples[int(begin * 16_000) : int(end * 16_000)] ** 2).mean()))

    gain = decibels(out, 1.1, 1.15) - decibels(heard, 1.1, 1.15)
    assert decibels(out, 2, 2.8) - decibels(heard, 2, 2.8) == pytest.approx(gain - 20, abs=3)
    assert decibels(out, 1.21, 1.25) - decibels(heard, 1.21, 1.25) == pytest.approx(gain, abs=1)


@pytest.mark.parametrize("size", [1, 7_001, 50_000])
def test_a_level_does_not_depend_on_chunks(size: int) -> None:
    whole_one = voice(loud=0.05).samples
    chunks = [whole_one[k : k + size] for k in range(0, len(whole_one), size)] if size > 1 else [whole_one]
    one, other = (np.concatenate(list(levelled(some, 16_000))) for some in ([whole_one], chunks))
    assert np.array_equal(one, other) and len(one) == len(whole_one)


@pytest.mark.usefixtures("weighty")
def test_the_command_acts_standard_input(
    portrait: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = write_sound(place / "piped.wav", voice(seconds=0.5))

    class Pipe:
        buffer = io.BytesIO(heard.read_bytes())

    monkeypatch.setattr("understudy.cli.act.sys.stdin", Pipe)
    out = place / "piped.mp4"
    assert main(["act", str(portrait), "-", "-o", str(out), "--mood", "sad", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["frames"] == 13 and out.exists()
    monkeypatch.setattr(Pipe, "buffer", io.BytesIO())
    assert main(["act", str(portrait), "-", "-o", str(place / "nothing.mp4")]) == 1


class Slowly:
    """A pipe out of which sound comes bit by bit; `asked` says how often it was read from."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step, self.asked = io.BytesIO(data), step, 0
        self.held = threading.Event()

    def read1(self, size: int = -1, /) -> bytes:
        self.asked += 1
        if self._data.tell() > len(self._data.getvalue()) * 0.7:
            self.held.wait(30)
        return self._data.read(self._step)


@pytest.mark.usefixtures("weighty")
@pytest.mark.parametrize("ending", [".wav", ".flac", ".m4a"])
def test_a_stream_is_acted_as_its_file(place: Path, ending: str) -> None:
    """While it comes, where that kind of file can be heard before it is whole."""
    heard = write_sound(place / f"stream{ending}", voice(seconds=6), overwrite=True)
    kept = whole(open_voice(heard, Acting(), model=models.WARP, choices=Choices(), warn=print))
    pipe = Slowly(heard.read_bytes(), 1999)
    if ending == ".m4a":
        pipe.held.set()
    with Coming(pipe, place / f"coming{ending}") as coming:
        driving = open_voice(coming, Acting(), model=models.WARP, choices=Choices(), warn=print)
        assert driving.live == (ending != ".m4a")
        chunks = iter(driving)
        first = next(chunks)  # there, though a third of the sound is still to come
        pipe.held.set()
        live = whole([first, *chunks])
    assert np.array_equal(live.points, kept.points) and np.array_equal(live.times, kept.times)
    assert (place / f"coming{ending}").read_bytes() == heard.read_bytes()


@pytest.mark.usefixtures("weighty")
def test_a_streams_film_is_the_films_and_says_what_it_is_from(portrait: Path, place: Path) -> None:
    heard = write_sound(place / "both.wav", voice(44_100, 2, seconds=2.2))
    kept = act(portrait, heard, out=place / "kept.mp4", mood="0 happy, 1 sad", seed=1)
    with Coming(io.BytesIO(heard.read_bytes()), place / "both-coming") as coming:
        live = act(portrait, coming, out=place / "live.mp4", mood="0 happy, 1 sad", seed=1)
    assert live.frames == kept.frames == 55
    for one, other in zip(read(live.output), read(kept.output), strict=True):
        assert np.array_equal(one, other)
    assert abs(read_sound(live.output).seconds - 2.2) < 0.1
    hashes = [read_metadata(film.output)["driving"].partition("sha256:")[2] for film in (live, kept)]
    assert hashes[0] == hashes[1] != ""


@pytest.mark.usefixtures("weighty")
def test_a_mood_can_be_somebodys(portrait: Path, place: Path) -> None:
    how = neutral(80).having(browDownLeft=0.8, browDownRight=0.8, noseSneerLeft=0.4, noseSneerRight=0.4)
    how = How(torch.where(torch.arange(80)[:, None] < 40, how.curves, 0 * how.curves), how.turn, how.place)
    clip = place / "angry.safetensors"
    played.mesh_of(how).save(clip)
    felt = asked(clip, print)
    assert [round(one.at) for one in felt] == [0, 1, 2, 3]
    assert np.argmax(felt[0].shares or ()) == 3 and np.argmax(felt[-1].shares or ()) == 0
    with pytest.raises(BadOption, match="no mood"):
        asked(str(clip), print)  # what a stranger writes is no path


def test_wishes_out_of_range_are_refused(weighty: Path, place: Path) -> None:
    heard = write_sound(place / "wish.wav", voice(), overwrite=True)
    for wrong in ({"mood": "bored"}, {"lively": 9.0}, {"guidance": -1.0}):
        with pytest.raises(BadOption):
            open_voice(heard, Acting(**wrong), model=models.WARP, choices=Choices(), warn=print)  # type: ignore[arg-type]
    with pytest.raises(UnknownModel):
        Acting(actor="warp")


def test_what_the_cast_does_becomes_a_mesh_and_comes_back() -> None:
    turn = torch.tensor([[0.0, 0, 0], [15, 8, -6]])
    how = How(torch.zeros(2, 52), turn, neutral(2).place).having(
        jawOpen=torch.tensor([0, 0.5]), mouthSmileLeft=torch.tensor([0, 0.4])
    )
    mesh = played.mesh_of(how)
    back = bridge.turns(mesh.pose)
    moved = back[1] - back[0]
    assert moved == pytest.approx([15 * bridge.YAW_GAIN, 8 * played.READ_PITCH, -6], abs=0.5)
    read = Rig.canonical().coefficients(mesh.points)
    names = list(Rig.names)
    assert read[1, names.index("jawOpen")] == pytest.approx(0.5 * played.READ["jawOpen"], abs=0.05)
    assert read[1, names.index("mouthSmileLeft")] == pytest.approx(0.4, abs=0.1)
    closed = played.mesh_of(how.having(mouthClose=torch.tensor([0, 1.0])))
    gap = closed.points[:, 14, 1] - closed.points[:, 13, 1]
    assert gap[1] < 0.5 and (mesh.points[1, 14, 1] - mesh.points[1, 13, 1]) > 10
    assert played.start().shape == (PLAYED,)
