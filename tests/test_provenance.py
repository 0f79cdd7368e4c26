"""Films that are signed: true ones are known again, edited and foreign ones are told from them."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import animate_made as made
import av
import clip_made
import numpy as np
import pytest
from PIL import Image

from understudy.animate import animate, record
from understudy.animate.choices import Choices, choose
from understudy.cli import main
from understudy.clip import Film, read_metadata, write, write_picture
from understudy.errors import BadOption
from understudy.models import ALL, WARP, listing
from understudy.provenance import manifest
from understudy.provenance.licences import in_use
from understudy.provenance.verify import Verdict, verify

CAPTURED = {
    "label": "c2pa.actions.v2",
    "data": {
        "actions": [
            {
                "action": "c2pa.created",
                "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
            }
        ]
    },
}
WORDS = {"synthetic": record.MADE, "software": "Understudy 0.1.0", "model": "warp", "seed": "7"}


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of this test's own."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("UNDERSTUDY_DATA", str(folder))
    return folder


@pytest.fixture
def signing() -> None:
    pytest.importorskip("c2pa")
    pytest.importorskip("cryptography")


def facts(place: Path) -> dict[str, Any]:
    return record.facts(WARP, 7, place, place, "understudy animate a b", {"portrait": "aa", "driving": "bb"})


def film(path: Path, frames: int = 12, sound: bool = False, **options: Any) -> Path:
    heard = clip_made.clicks([0.1], frames / 25) if sound else None
    seal = manifest.sealing(facts(path), pytest.fail)
    with Film(path, fps=25, sound=heard, metadata=WORDS, seal=seal, **options) as out:
        for picture in clip_made.made(frames):
            out.add(picture)
    return path


def picture(path: Path, number: int = 1, size: int = 64) -> Path:
    seal = manifest.sealing(facts(path), pytest.fail)
    return write_picture(path, clip_made.numbered(number, size, size), metadata=WORDS, seal=seal)


def plain(path: Path, words: dict[str, str] | None = None) -> Path:
    """The same without Understudy."""
    if path.suffix in (".png", ".jpg", ".webp"):
        return write_picture(path, clip_made.numbered(3), metadata=words)
    write(path, clip_made.made(12), fps=25, metadata=words)
    return path


# --- true ---------------------------------------------------------------------------------------------------------


def true_ones(place: Path) -> Iterator[Path]:
    """Twenty, of every kind that can be signed."""
    for count in (1, 2, 12, 25, 60):
        yield film(place / f"{count}.mp4", count)
    for ending in (".mp4", ".mov"):
        yield film(place / f"sound{ending}", 25, sound=True)
        yield film(place / f"exact{ending}", 5, lossless=True)
    for ending in (".gif", ".avi"):
        yield film(place / f"film{ending}")
    for ending in (".png", ".jpg", ".jpeg", ".webp"):
        yield picture(place / f"one{ending}")
        yield picture(place / f"large{ending}", 5, 300)
    yield film(place / "a name.with dots, é and ☺.mp4")


def test_true_ones_are_known(tmp_path: Path, signing: None) -> None:
    found = [verify(path) for path in true_ones(tmp_path)]
    assert len(found) == 20
    assert [each.origin for each in found] == ["here"] * 20, [each for each in found if each.origin != "here"]
    assert all(each.vouched and not each.problems for each in found)
    assert all(each.made["model"] == "warp" and each.made["licence"] == "Apache-2.0" for each in found)
    assert all("synthetic media" in read_metadata(each.file)["synthetic"] for each in found)


# --- edited -------------------------------------------------------------------------------------------------------


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def flipped(place: Path, at: float) -> Path:
    """One bit of the coded pictures, from their beginning (0) to their end (1)."""
    path = film(place / f"flip-{at}.mp4", 25)
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    where = start + int(at * (len(data) - 1 - start))
    return changed(path, lambda data: data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])


def swapped(path: Path, old: bytes, new: bytes) -> Path:
    assert len(old) == len(new) and old in path.read_bytes()
    return changed(path, lambda data: data.replace(old, new))


def moved(place: Path) -> Path:
    """The manifest of one film, in another."""
    one, other = film(place / "moved.mp4", 12), plain(place / "taken.mp4", WORDS)
    data, theirs = one.read_bytes(), other.read_bytes()
    at = data.index(b"uuid") - 4
    box = data[at : at + struct.unpack(">I", data[at : at + 4])[0]]
    head = struct.unpack(">I", theirs[:4])[0]
    other.write_bytes(theirs[:head] + box + theirs[head:])
    return other


def repainted(path: Path) -> Path:
    """A PNG whose pixels are another's, chunk by chunk."""
    other = picture(path.with_name("other.png"), 9).read_bytes()
    return changed(path, lambda data: _chunks_but(data, b"IDAT", _chunk(other, b"IDAT")))


def _chunk(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    return data[at : at + 12 + struct.unpack(">I", data[at : at + 4])[0]]


def _chunks_but(data: bytes, kind: bytes, new: bytes) -> bytes:
    return data.replace(_chunk(data, kind), new)


def encoded_again(place: Path) -> Path:
    path = film(place / "first.mp4")
    write(place / "again.mp4", list(map(np.asarray, made.decoded(path))), fps=25, metadata=read_metadata(path))
    return place / "again.mp4"


def copied(place: Path) -> Path:
    """As a program that cuts films without coding them does: the packets, and the words."""
    path, out = film(place / "source.mp4", 25), place / "copied.mp4"
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": "use_metadata_tags"}) as target:
        target.metadata.update(source.metadata)
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.pts is not None and packet.pts < 40000:
                packet.stream = stream
                target.mux(packet)
    return out


def saved_again(path: Path) -> Path:
    with Image.open(path) as old:
        old.load()
        old.save(path, exif=old.getexif(), quality=80)
    return path


def edited_ones(place: Path) -> Iterator[tuple[Path, str]]:
    """Twenty, and what is to be said of each."""
    for at in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        yield flipped(place, at), "changed"
    yield changed(film(place / "short.mp4"), lambda data: data[:-200]), "changed"
    yield changed(film(place / "long.mp4"), lambda data: data + b"\0\0\0\x10mdatmore...."), "changed"
    yield swapped(film(place / "words.mp4"), b"The person shown did not do", b"The person shown really did"), "changed"
    yield swapped(film(place / "licence.mp4"), b"Apache-2.0", b"Apache-9.9"), "changed"
    yield moved(place), "changed"
    yield encoded_again(place), "claimed"
    yield copied(place), "claimed"
    yield repainted(picture(place / "pixels.png")), "changed"
    yield swapped(picture(place / "words.png"), b"synthetic media", b"authentic media"), "changed"
    yield changed(picture(place / "cut.png", 2, 300), lambda data: data[:-30]), "changed"
    yield changed(picture(place / "noise.jpg", 2, 300), lambda data: data[:-40] + b"\x55" * 38 + data[-2:]), "changed"
    yield swapped(picture(place / "words.jpg"), b"did not do what is shown", b"did do what is shown too"), "changed"
    yield saved_again(picture(place / "saved.jpg")), "claimed"
    yield edited_openly(place), "changed"


def edited_openly(place: Path) -> Path:
    """By a program that signs what it does, and keeps what was signed before."""
    path = film(place / "openly.mp4", 25)
    _sign(path, {"claim_generator_info": [{"name": "Cutter", "version": "1"}]}, place / "cutter", parent=path)
    return path


def _sign(path: Path, claims: dict[str, Any], home: Path, parent: Path | None = None) -> Path:
    """By somebody else, with a certificate of the same make."""
    import c2pa

    from understudy.provenance import identity

    before, os.environ["UNDERSTUDY_DATA"] = os.environ["UNDERSTUDY_DATA"], str(home)
    try:
        other = identity.identity()
    finally:
        os.environ["UNDERSTUDY_DATA"] = before
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", other.chain.encode(), other.key.encode(), None))
    builder = c2pa.Builder.from_json(json.dumps({"assertions": [CAPTURED], **claims}))
    if parent is not None:
        builder = c2pa.Builder.from_json(json.dumps(claims))
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    fresh = path.with_name(f"signed-{path.name}")
    builder.sign_file(path, fresh, signer)
    fresh.replace(path)
    return path


def test_edited_ones_are_told(tmp_path: Path, signing: None) -> None:
    cases = [(verify(path), origin) for path, origin in edited_ones(tmp_path)]
    assert len(cases) == 20
    assert [(each.file, each.origin) for each, _ in cases] == [(each.file, origin) for each, origin in cases]
    assert not any(each.vouched for each, _ in cases)
    assert all(each.problems for each, _ in cases if each.origin == "changed")


# --- foreign ------------------------------------------------------------------------------------------------------


def foreign_ones(place: Path) -> Iterator[tuple[Path, str]]:
    """Twenty, and what is to be said of each."""
    for ending in (".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".png", ".jpg", ".webp"):
        yield plain(place / f"plain{ending}"), "unknown"
    yield plain(place / "camera.mp4", {"software": "A camera", "comment": "holidays"}), "unknown"
    yield plain(place / "half.mp4", {"software": "Understudy 0.1.0"}), "unknown"
    for ending in (".mp4", ".mkv", ".png", ".jpg"):
        yield plain(place / f"words{ending}", WORDS), "claimed"
    for ending in (".mp4", ".png"):
        program = {"claim_generator_info": [{"name": "A camera", "version": "1"}]}
        yield _sign(plain(place / f"camera-signed{ending}"), program, place / "camera-home"), "other"
    named = {"claim_generator_info": [{"name": "Understudy", "version": "1"}]}
    yield _sign(plain(place / "empty.mp4"), named, place / "forger"), "other"
    for ending in (".mp4", ".jpg"):
        path = plain(place / f"forged{ending}", WORDS)
        yield _sign(path, manifest.manifest(path, facts(path)), place / "forger"), "understudy"


def test_foreign_ones_are_told(tmp_path: Path, signing: None, home: Path) -> None:
    film(tmp_path / "ours.mp4")  # so that this machine has a certificate
    cases = [(verify(path), origin) for path, origin in foreign_ones(tmp_path)]
    assert len(cases) == 20
    assert [(each.file, each.origin) for each, _ in cases] == [(each.file, origin) for each, origin in cases]
    assert not any(each.vouched for each, _ in cases)
    forged = tmp_path / "forged.mp4"
    trusted = verify(forged, trust=tmp_path / "forger" / "certificate.pem")
    assert (trusted.origin, trusted.vouched) == ("trusted", True), "unless whoever signed it is trusted by name"
    ours = verify(tmp_path / "ours.mp4", trust=tmp_path / "forger" / "certificate.pem")
    assert ours.origin == "here"


# --- the certificate ----------------------------------------------------------------------------------------------


def test_the_key_is_for_its_owner_alone_and_is_made_once(tmp_path: Path, signing: None, home: Path) -> None:
    film(tmp_path / "a.mp4")
    kept = (home / "identity.pem").read_bytes()
    film(tmp_path / "b.mp4")
    assert (home / "identity.pem").read_bytes() == kept
    assert {path.name for path in home.iterdir()} == {"identity.pem", "certificate.pem"}
    assert b"PRIVATE" in kept and b"PRIVATE" not in (home / "certificate.pem").read_bytes()
    if sys.platform != "win32":
        assert stat.S_IMODE((home / "identity.pem").stat().st_mode) == 0o600


def test_many_at_once_agree_on_one_certificate(signing: None, home: Path) -> None:
    code = "from understudy.provenance.identity import identity; print(identity().root)"
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert {path.name for path in home.iterdir()} == {"identity.pem", "certificate.pem"}


def test_a_film_is_not_lost_for_want_of_a_signature(
    tmp_path: Path, signing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("UNDERSTUDY_DATA", str(tmp_path / "file"))
    said: list[str] = []
    seal = manifest.sealing(facts(tmp_path), said.append)
    path = write_picture(tmp_path / "one.png", clip_made.numbered(1), metadata=WORDS, seal=seal)
    assert len(said) == 1 and "not signed" in said[0]
    assert verify(path).origin == "claimed"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "one.png"]


def test_without_the_extra_there_are_words_and_their_worth_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = film(tmp_path / "signed.mp4")
    for module in ("understudy.provenance.manifest", "understudy.provenance.verify"):
        monkeypatch.setattr(f"{module}.can_sign", lambda: False)
    unsigned = film(tmp_path / "unsigned.mp4")
    found = verify(unsigned)
    assert (found.origin, found.vouched, found.made["model"]) == ("claimed", False, "warp")
    assert "words can be written" in found.worth
    hints = [verify(each).problems for each in (signed, unsigned)]
    if b"c2pa.signature" in signed.read_bytes():
        assert "understudy[provenance]" in hints[0][0]
    assert hints[1] == []


# --- whole jobs, and licences -------------------------------------------------------------------------------------


def test_a_job_signs_what_it_makes(tmp_path: Path, signing: None, capsys: pytest.CaptureFixture[str]) -> None:
    portrait, driver = made.portrait(tmp_path / "p.png"), made.driver(tmp_path / "d.mp4", 6)
    signed = animate(portrait, driver, out=tmp_path / "signed.mp4")
    plainly = animate(portrait, driver, out=tmp_path / "plain.mp4", sign=False)
    for one, other in zip(made.decoded(Path(signed.output)), made.decoded(Path(plainly.output)), strict=True):
        assert np.array_equal(one, other), "the pictures are the same"
    assert verify(plainly.output).origin == "claimed"
    found: Verdict = verify(signed.output, inputs=[driver, portrait, plainly.output])
    assert list(found.inputs.values()) == ["driving", "portrait", "not an input"]
    assert not list(tmp_path.glob("*partial*")) and not list(tmp_path.glob("*signing*"))
    assert main(["verify", signed.output, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["origin"] == "here"
    assert main(["verify", plainly.output]) == 1


def test_commerce_takes_models_whose_licence_allows_it(tmp_path: Path) -> None:
    free = {model.name for model in ALL if model.commercial}
    assert free == {model.name for model in ALL if model.licence == "Apache-2.0"}
    assert choose("auto", Choices(), commercial=True)[0] is WARP
    for model in ALL:
        if not model.commercial:
            with pytest.raises(BadOption, match="does not allow commercial use"):
                choose(model.name, Choices(), commercial=True)


def test_the_licence_of_everything_in_use_is_said() -> None:
    assert all(row["licence"] for row in listing())
    rows = {row["name"]: row for row in in_use()}
    assert {"MediaPipe", "OpenCV", "PyAV", "NumPy", "Pillow", "safetensors"} <= set(rows)
    assert all(row["licence"] not in ("", "not stated") for row in rows.values())
