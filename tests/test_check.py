"""`check`: spoilt pictures, films and voices are told from good ones, and it is said what to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import animate_made as made
import cv2
import numpy as np
import pytest

from understudy.clip import Film, Picture, Sound, read_picture, write_picture, write_sound
from understudy.clip.hear import hear
from understudy.data.check import Finding, Report, check
from understudy.data.check.finding import verdict_on
from understudy.data.check.look import look
from understudy.data.sheet import Tile, sheet
from understudy.errors import Exists, MissingFile, NoFace
from understudy.face.portrait import Portrait

RATE = 16_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("check")


@pytest.fixture(scope="module")
def astronaut() -> Portrait:
    return Portrait.of(made.astronaut())


def found(report: Report, about: str) -> Finding:
    return next(finding for finding in report.findings if finding.about == about)


def checked(place: Path, picture: Picture, name: str) -> Report:
    return check(write_picture(place / f"{name}.png", picture), sheet=place / f"{name}-sheet.png")


def test_a_good_portrait(place: Path, astronaut: Portrait) -> None:
    report = checked(place, astronaut.picture, "good")
    assert (report.kind, report.verdict) == ("portrait", "good")
    assert {finding.severity for finding in report.findings} <= {"good", "note"}
    assert found(report, "faces").seen == "one" and found(report, "eyes").seen == "open"
    json.dumps(asdict(report))
    page = read_picture(report.sheet)
    assert page.shape[1] >= 640 and page.std() > 10


@pytest.mark.parametrize(
    ("name", "about"), [("blurred", "sharpness"), ("dark", "light"), ("burnt", "light"), ("small", "face size"),
                        ("cut", "frame")],
)  # fmt: skip
def test_a_spoilt_portrait(name: str, about: str, place: Path, astronaut: Portrait) -> None:
    picture = astronaut.picture
    left, top, right, _ = (int(side) for side in astronaut.face.box)
    ways: dict[str, Callable[[], Any]] = {
        "blurred": lambda: cv2.GaussianBlur(picture, (0, 0), 6),
        "dark": lambda: (picture * 0.2).astype(np.uint8),
        "burnt": lambda: np.clip(picture.astype(float) * 1.5 + 60, 0, 255).astype(np.uint8),
        "small": lambda: made.scaled(picture, 230),
        "cut": lambda: np.ascontiguousarray(picture[top + 20 :, left - 60 : right + 60]),
    }
    report = checked(place, np.asarray(ways[name](), np.uint8), name)
    assert report.verdict == "usable" and about in report.summary
    assert found(report, about).severity == "poor" and found(report, about).advice


def test_two_people(place: Path, astronaut: Portrait) -> None:
    page = np.hstack([astronaut.picture, made.scaled(astronaut.picture, 512)])
    finding = found(checked(place, page, "two"), "faces")
    assert finding.severity == "note" and finding.seen.startswith("2;") and "--face" in finding.advice


def test_glasses_are_perhaps_seen(place: Path, astronaut: Portrait) -> None:
    picture, points = astronaut.picture.copy(), astronaut.face.points
    unit = astronaut.face.eye_distance
    for corner in ((33, 133), (263, 362)):
        x, y = points[list(corner), :2].mean(0)
        cv2.ellipse(picture, (round(x), round(y + 0.04 * unit)), (round(0.26 * unit), round(0.22 * unit)), 0, 0, 360,
                    (20, 20, 20), 2, cv2.LINE_AA)  # fmt: skip
    one, other = (points[list(corner), :2].mean(0) for corner in ((33, 133), (263, 362)))
    middle = (one + other) / 2
    cv2.line(picture, (round(middle[0] - 0.14 * unit), round(middle[1])),
             (round(middle[0] + 0.14 * unit), round(middle[1])), (20, 20, 20), 2, cv2.LINE_AA)  # fmt: skip
    assert look(picture, points).rims > 2 * look(astronaut.picture, points).rims
    assert found(checked(place, picture, "glasses"), "glasses").seen == "perhaps"


def test_measures_do_not_depend_on_size_or_turn(astronaut: Portrait) -> None:
    """Twice as large and on its side, the same face is as sharp and as bright."""
    picture, points = astronaut.picture, astronaut.face.points
    turned = np.ascontiguousarray(np.rot90(picture))
    moved = np.stack([points[:, 1], picture.shape[1] - 1 - points[:, 0], points[:, 2]], -1)
    one, other = look(picture, points), look(turned, moved)
    assert other.blur == pytest.approx(one.blur, abs=0.02) and other.light == pytest.approx(one.light, abs=1)
    assert other.rims == pytest.approx(one.rims, abs=0.05)
    large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert look(np.asarray(large, np.uint8), points * 2).blur == pytest.approx(one.blur, abs=0.08)


def test_nobody_is_an_error(place: Path) -> None:
    with pytest.raises(NoFace):
        checked(place, np.full((200, 200, 3), 128, np.uint8), "nobody")
    with pytest.raises(MissingFile):
        check(place / "not-there.png")


def test_a_good_driver(place: Path) -> None:
    report = check(made.driver(place / "driver.mp4", 60), sheet=place / "driver-sheet.png")
    assert (report.kind, report.verdict) == ("driving", "good")
    assert found(report, "face").seen == "in every frame" and found(report, "cuts").seen == "none"
    assert found(report, "frames").seen.startswith("60, 25 a second, 2.4 s")
    assert "--" not in found(report, "motion").seen and found(report, "motion").severity == "good"
    assert read_picture(report.sheet).shape[0] > 500, "two rows of frames that stand out"


def test_a_spoilt_driver(place: Path) -> None:
    """Slow, cut, and for a second without a face."""
    frames = list(made.driver_frames(30))
    gone = [np.full_like(frames[0], 60)] * 12
    path = place / "spoilt.mp4"
    with Film(path, fps=8) as film:
        for frame in [*frames[::3], *gone, *[made.scaled(each, 256) for each in made.astronaut_acting(8)]]:
            film.add(frame)
    report = check(path, sheet=place / "spoilt-sheet.png")
    assert report.verdict == "usable"
    assert found(report, "frames").severity == "poor" and "24 frames" in found(report, "frames").advice
    assert found(report, "face").severity == "poor" and "none in 1" in found(report, "face").seen
    assert found(report, "cuts").severity == "note"
    assert found(report, "sound").seen == "none"


def test_a_driver_that_does_nothing(place: Path) -> None:
    path = made.driver(place / "still.mp4", [next(made.driver_frames(1))] * 12)
    report = check(path, sheet=place / "still-sheet.png")
    assert found(report, "motion").seen == "hardly any"


def voice(seconds: float = 4.0, level: float = 0.3, noise: float = 0.0005) -> np.ndarray:
    """Syllables of a buzz with pauses, over a noise floor; (n, 1)."""
    chance = np.random.default_rng(0)
    at = np.arange(round(seconds * RATE)) / RATE
    buzz = np.sign(np.sin(2 * np.pi * 140 * at)) * np.exp(-((at * 4 % 1 - 0.4) ** 2) / 0.03)
    speaks = (at % 1.6) < 1.1
    return np.asarray(buzz * speaks * level + chance.normal(0, noise, len(at)), np.float32)[:, None]


@pytest.mark.parametrize(
    ("name", "samples", "about", "severity"),
    [
        ("good", voice(), "noise", "good"),
        ("quiet", voice(level=0.006, noise=0.00001), "level", "poor"),
        ("noisy", voice(noise=0.05), "noise", "poor"),
        ("clipped", np.clip(voice(level=3.0), -1, 1), "clipping", "poor"),
        ("silent", np.zeros((RATE * 2, 1), np.float32), "level", "unusable"),
        ("short", voice(0.3), "length", "unusable"),
    ],
)
def test_voices(name: str, samples: np.ndarray, about: str, severity: str, place: Path) -> None:
    path = write_sound(place / f"{name}.wav", Sound(samples, RATE))
    report = check(path, sheet=place / f"{name}-voice.png")
    assert report.kind == "voice" and found(report, about).severity == severity
    expected = {"good": "good", "poor": "usable", "unusable": "unusable"}[severity]
    assert report.verdict == expected


def test_hearing_does_not_depend_on_how_the_sound_comes() -> None:
    samples = voice(3.0)
    whole = hear([samples], RATE)
    parts = hear([samples[k : k + 777] for k in range(0, len(samples), 777)], RATE)
    np.testing.assert_allclose(whole.loudness, parts.loudness, atol=1e-4)
    assert (whole.speaking, whole.longest_silence, whole.seconds) == (
        parts.speaking, parts.longest_silence, parts.seconds
    )  # fmt: skip
    assert whole.longest_silence == pytest.approx(0.5, abs=0.15)


def test_a_sheet_replaces_sheets_only(place: Path, astronaut: Portrait, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "sheets"
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = write_picture(folder / "me.png", astronaut.picture)
    assert check(path).sheet == "me-check.png"
    assert check(path).sheet == "me-check.png", "its own sheet is replaced"
    precious = write_picture(folder / "precious.png", astronaut.picture)
    with pytest.raises(Exists):
        check(path, sheet=precious)
    assert np.array_equal(read_picture(precious), astronaut.picture)


def test_verdicts() -> None:
    good, poor = Finding("good", "a", "1"), Finding("poor", "b", "2", "c")
    bad = Finding("unusable", "d", "3")
    assert verdict_on([good]) == ("good", "nothing to change")
    assert verdict_on([good, poor])[0] == "usable" and "b" in verdict_on([good, poor])[1]
    assert verdict_on([good, poor, bad]) == ("unusable", "3")


def test_a_sheet_never_squashes() -> None:
    tall = np.zeros((400, 100, 3), np.uint8)
    tall[:, :50] = 255
    page = sheet([[Tile(tall, "a"), Tile(tall, "b" * 200)]], "title", ["a long line " * 40], height=200)
    white = page[45:200, 10:60] == 255
    assert abs(white.all(-1).mean(1) - 0.5).max() < 0.05, "50 pixels wide, half of them white"
