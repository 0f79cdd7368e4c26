"""The verb by motion codes, end to end, at a toy width with weights of chance: what is promised of any weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import animate_made as made
import numpy as np
import pytest
import torch
from toy_code import SMALL_2, by_chance, store

from understudy import models
from understudy.animate import Result, animate, load
from understudy.animate.by_code import Following, Placed, following, opened
from understudy.animate.choices import Choices, choose
from understudy.animate.motions import Edits, about, edited, keep
from understudy.animate.trained import trained
from understudy.cli import main
from understudy.clip import Picture, read_metadata, write_picture
from understudy.errors import BadOption, MissingFile, WrongMotion
from understudy.face.portrait import Portrait
from understudy.models import WARP, X_PORTRAIT_2_SMALL
from understudy.motion.code import MotionCode, column, whole
from understudy.motion.mesh import MotionMesh

FRAMES = 26
STEPS = 2


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codes")


@pytest.fixture(scope="module", autouse=True)
def toy(place: Path) -> Iterator[None]:
    """Weights of a generator in which nothing is silent, where fetched ones are looked for; and none are shipped."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
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
def motion(driver: Path) -> MotionCode:
    return whole(opened(X_PORTRAIT_2_SMALL, driver, Choices(), pytest.fail))


@pytest.fixture(scope="module")
def result(place: Path, portrait: Path, driver: Path) -> Result:
    return animate(portrait, driver, out=place / "film.mp4", seed=5, steps=STEPS)


def artist_of(portrait: Path, **choices: object) -> Following:
    chosen = Choices(**{"steps": STEPS, **choices})  # type: ignore[arg-type]
    return following(X_PORTRAIT_2_SMALL, Portrait.read(portrait), chosen, None, True)


def pictures(artist: Following, chunks: Sequence[MotionCode], **how: object) -> list[Picture]:
    reference = artist.reference_at(chunks[0], 0, 0)
    return [picture for _, picture in artist.draw(chunks, reference, **how)]  # type: ignore[arg-type]


def same(one: Sequence[Picture], other: Sequence[Picture]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def tokens(artist: Following, motion: MotionCode, reference: Placed) -> torch.Tensor:
    told = [cue.code for cue in artist.cues([motion], reference)]
    assert told[0] is not None
    return told[0]


def test_it_is_chosen_for_the_cast(result: Result) -> None:
    """Without being asked for; and its film says so."""
    assert (result.model, result.driver, result.frames) == (SMALL_2, "direct", FRAMES)
    assert read_metadata(result.output)["model"] == SMALL_2
    chosen, _ = choose("auto", Choices(strength=1.5), cast=True)
    assert chosen is X_PORTRAIT_2_SMALL, "which has a --strength"
    chosen, why = choose("auto", Choices(only=("mouth",)), cast=True)
    assert chosen is WARP and f"{SMALL_2} takes no --only" in why
    assert choose("auto", Choices(), cast=False)[0] is WARP
    with pytest.raises(BadOption, match="codes are of whole faces"):
        choose(SMALL_2, Choices(only=("mouth",)))


def test_codes_are_read_from_films(motion: MotionCode, driver: Path) -> None:
    assert len(motion) == FRAMES and motion.code.shape == (FRAMES, 10) and motion.seen.all()
    assert motion.provenance["encoder"] == trained(X_PORTRAIT_2_SMALL).encoder_mark
    assert np.abs(np.diff(motion.code, axis=0)).max() > 1e-3, "the driver counts"
    assert (motion.box[:, 2] > 30).all() and (motion.box[:, :2] > 60).all() and (motion.box[:, :2] < 200).all()


def test_chunks_change_nothing(portrait: Path, motion: MotionCode) -> None:
    artist = artist_of(portrait)
    drawn = pictures(artist, [motion])
    assert len(drawn) == FRAMES and drawn[0].shape == (256, 256, 3)
    assert same(pictures(artist, [motion[k : k + 7] for k in range(0, FRAMES, 7)]), drawn)
    assert np.abs(drawn[0].astype(int) - drawn[20]).max() > 3, "the driver counts"


def test_gone_on_with_it_is_the_same_film(portrait: Path, motion: MotionCode, tmp_path: Path) -> None:
    artist, kept = artist_of(portrait), tmp_path / "kept"
    drawn = pictures(artist, [motion], kept=kept, crop=True)
    for done in (7, 20):
        assert same(pictures(artist, [motion[:9], motion[9:]], kept=kept, done=done, crop=True), drawn[done:])


def test_a_file_of_codes_gives_the_same_film(place: Path, portrait: Path, driver: Path, result: Result) -> None:
    """Read once, drawn on any portrait: exact but for what 16 bits lose."""
    told = keep(driver, place / "driver.safetensors", codes=True)
    assert (told.kind, told.frames, told.faces, told.curves) == ("code", FRAMES, FRAMES, [])
    again = animate(portrait, place / "driver.safetensors", out=place / "again.mp4", seed=5, steps=STEPS)
    assert (again.model, again.driver, again.frames) == (SMALL_2, None, FRAMES)
    assert again.reference_frame == result.reference_frame
    for one, other in zip(made.decoded(Path(again.output)), made.decoded(Path(result.output)), strict=True):
        assert made.decibels(one, other) > 30


def test_the_best_frame_has_the_portrait_s_code(portrait: Path, motion: MotionCode) -> None:
    artist = artist_of(portrait)
    code = motion.code.copy()
    code[11] = artist.sitter.code[0].numpy()
    shots = np.repeat(np.array([0, 1], np.int32), [FRAMES // 2, FRAMES - FRAMES // 2])
    played = replace(motion, code=code, shots=shots)
    found = artist.reference([played[:9], played[9:]])
    assert found is not None and found.frame == 11 and set(found.boxes) == {0, 1}
    np.testing.assert_array_equal(found.boxes[0], motion.box[11])
    assert artist.reference([replace(played, seen=np.zeros(FRAMES, bool))]) is None
    absolute = artist_of(portrait, relative=False).reference([played])
    assert absolute is not None and absolute.frame == -1


def test_only_the_relative_box_is_told(portrait: Path, motion: MotionCode) -> None:
    """The driver nearer the camera, and elsewhere: the same tokens. Moved against its own rest: others."""
    artist = artist_of(portrait)
    moved = replace(motion, box=np.asarray(motion.box * 2 + np.array([9, -4, 0]), np.float32))
    here, there = (tokens(artist, each, artist.reference_at(each, 0, 0)) for each in (motion, moved))
    assert torch.allclose(here, there, atol=1e-4)
    other = tokens(artist, replace(motion, box=motion.box + np.float32(20)), artist.reference_at(motion, 0, 0))
    assert not torch.allclose(here, other, atol=1e-3)
    still = tokens(artist_of(portrait, relative=False), motion, Placed(-1))
    assert torch.allclose(still, tokens(artist, replace(motion, box=motion.box[:1].repeat(FRAMES, 0)),
                                        artist.reference_at(motion, 0, 0)), atol=1e-5)  # fmt: skip


def test_strength_is_in_codes_and_boxes(portrait: Path, motion: MotionCode) -> None:
    plain, none, twice = (artist_of(portrait, strength=amount) for amount in (1.0, 0.0, 2.0))
    reference = plain.reference_at(motion, 0, 0)
    nothing = tokens(none, motion, reference)
    assert torch.allclose(nothing, nothing[:1].expand_as(nothing), atol=1e-5), "a face at rest, that keeps its place"
    neutral = replace(motion, code=np.repeat(plain.neutral[None], FRAMES, 0), box=motion.box[:1].repeat(FRAMES, 0))
    assert torch.allclose(nothing, tokens(plain, neutral, reference), atol=1e-4)
    assert not torch.allclose(tokens(twice, motion, reference), tokens(plain, motion, reference), atol=1e-2)


def test_codes_of_another_encoder_are_refused(portrait: Path, motion: MotionCode, tmp_path: Path) -> None:
    strange = replace(motion, provenance={"encoder": "x-portrait-3 f00"})
    artist = artist_of(portrait)
    with pytest.raises(WrongMotion, match="not of the encoder"):
        list(artist.cues([strange], Placed(0)))
    strange.save(tmp_path / "strange.safetensors")
    with pytest.raises(WrongMotion, match="x-portrait-3 f00"):
        animate(portrait, tmp_path / "strange.safetensors", out=tmp_path / "a.mp4", model=SMALL_2)
    with pytest.raises(WrongMotion, match="given dict"):
        next(artist.cues([{}], Placed(0)))  # type: ignore[list-item]
    motion.save(tmp_path / "ours.safetensors")
    with pytest.raises(WrongMotion, match="no mesh"):
        animate(portrait, tmp_path / "ours.safetensors", out=tmp_path / "a.mp4", model=SMALL_2, driver="bridge")
    with pytest.raises(WrongMotion, match="motion codes, not points"):
        animate(portrait, tmp_path / "ours.safetensors", out=tmp_path / "a.mp4", model="warp")


def test_the_bridge_plays_a_mesh(portrait: Path, tmp_path: Path) -> None:
    """A motion file of points has no pictures: one of the cast plays it, and is read."""
    who = Portrait.read(portrait)
    made.acted(who, 8).save(tmp_path / "mesh.safetensors")
    assert len(MotionMesh.load(tmp_path / "mesh.safetensors")) == 8
    told = animate(portrait, tmp_path / "mesh.safetensors", out=tmp_path / "a.mp4", model=SMALL_2, steps=1)
    assert (told.driver, told.frames) == ("bridge", 8)


def test_the_public_program(portrait: Path, driver: Path) -> None:
    model = load(SMALL_2, steps=1)
    frames = list(model.draw(portrait, model.read(driver)))
    assert len(frames) == FRAMES and frames[0].shape == (256, 256, 3)


def test_codes_are_edited(motion: MotionCode, place: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    motion.save(path, exact=True)
    probe = trained(X_PORTRAIT_2_SMALL).generator.encoder.probe  # type: ignore[union-attr]
    assert probe is not None
    neutral, smile = probe.neutral.numpy(), probe.making[column("mouthSmileLeft")].numpy()
    told = edited(path, out, Edits(start=0.2, end=0.6, strength=0.5, curves=(("mouthSmileLeft", 0.3),)))
    assert (told.kind, told.frames) == ("code", 10)
    back, part = MotionCode.load(out), motion[5:15]
    assert np.allclose(back.code, neutral + 0.5 * (part.code - neutral) + 0.3 * smile, atol=2e-2)
    edited(path, out, Edits(join=(path,), rate=50, smooth=0.1), force=True)
    assert about(out).frames == 4 * FRAMES and about(out).cuts == 1
    other = replace(motion, code=motion.code + 1)
    other.save(tmp_path / "c.safetensors")
    edited(path, out, Edits(blend=tmp_path / "c.safetensors", share=0.25), force=True)
    assert np.allclose(MotionCode.load(out).code, motion.code + 0.25, atol=1e-2)
    with pytest.raises(BadOption, match="whole faces: --mouth"):
        edited(path, out, Edits(mouth=0.5), force=True)
    with pytest.raises(BadOption, match="no curve is called"):
        edited(path, out, Edits(curves=(("smile", 1.0),)), force=True)
    replace(motion, provenance={}).save(tmp_path / "d.safetensors")
    with pytest.raises(WrongMotion, match="not known here"):
        edited(tmp_path / "d.safetensors", out, Edits(strength=2.0), force=True)


def test_points_are_not_edited_as_codes_are(portrait: Path, tmp_path: Path) -> None:
    made.acted(Portrait.read(portrait), 4).save(tmp_path / "mesh.safetensors")
    with pytest.raises(BadOption, match="for motion codes"):
        edited(tmp_path / "mesh.safetensors", tmp_path / "a.safetensors", Edits(curves=(("jawOpen", 0.3),)))


def test_the_commands(driver: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    assert main(["motion", "read", str(driver), "--codes", "-o", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["kind"] == "code"
    assert main(["motion", "edit", str(path), "--strength", "0.5", "--curve", "jawOpen=0.2", "-o", str(out)]) == 0
    assert main(["motion", "edit", str(path), "--curve", "jawOpen", "-o", str(out), "--force"]) == 1
    assert "says no amount" in capsys.readouterr().err


def test_without_weights_it_says_how_to_have_them(portrait: Path, driver: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(MissingFile, match="x-portrait-2-small has no weights") as caught:
        animate(portrait, driver, out=tmp_path / "a.mp4", model=SMALL_2)
    assert "understudy train" in caught.value.remedy
    chosen, why = choose("auto", Choices(), cast=True)
    assert chosen is WARP and f"{SMALL_2} lacks its weights" in why


def test_guidance_draws_away_from_the_portrait_s_own_motion(portrait: Path, motion: MotionCode) -> None:
    artist = artist_of(portrait)
    plain = pictures(artist, [motion[:4]], crop=True)
    artist.manner = replace(artist.manner, guidance=2.5)
    guided = pictures(artist, [motion[:4]], crop=True)
    assert not same(guided, plain)
    artist.sitter = replace(artist.sitter, code=artist.sitter.code + 1)  # type: ignore[misc]
    assert not same(pictures(artist, [motion[:4]], crop=True), guided)
