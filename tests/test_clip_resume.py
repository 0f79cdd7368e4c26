"""A film that was killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clip_made import click_times, clicks, numbered

from understudy.clip import Film, Picture, Warn, Written, read, read_metadata, read_sound

FPS = Fraction(30000, 1001)
COUNT = 150  # two and a half segments


def drawn(number: int) -> Picture:
    """A frame that depends on its number alone, with noise, so that rate control has something to decide."""
    noise = np.random.default_rng(number).integers(-20, 20, (48, 64, 3))
    return np.asarray(np.clip(numbered(number % 64).astype(np.int16) + noise, 0, 255), np.uint8)


def shot(number: int, variable: bool) -> Fraction | None:
    """When a frame is shown: unevenly, or with the film's rate."""
    return number / FPS + Fraction(number % 3, 200) if variable else None


def begun(path: Path, fingerprint: str = "one", warn: Warn = print) -> Film:
    sound, words = clicks([0.5, 2.5, 4.5], 6.0), {"seed": "7"}
    return Film(path, fps=FPS, sound=sound, metadata=words, resume=True, fingerprint=fingerprint, warn=warn)


def draw(film: Film, variable: bool, until: int) -> None:
    """The work of a program that can be killed: look how far the film is, and go on from there."""
    for number in range(film.done, until):
        film.add(drawn(number), shot(number, variable))


def perform(path: Path, *, variable: bool = False, until: int = COUNT, warn: Warn = print) -> Written:
    """The whole film, or an error on the way."""
    with begun(path, warn=warn) as film:
        draw(film, variable, until)
        if until < COUNT:
            raise InterruptedError
    return film.close()


CHILD = """
    import sys, time
    sys.path[:0] = {path!r}
    from pathlib import Path
    from test_clip_resume import begun, draw
    draw(begun(Path({out!r})), {variable}, 140)
    time.sleep(60)
"""


def frames_of(path: Path) -> list[tuple[Fraction, bytes]]:
    return [(moment, frame.tobytes()) for moment, frame in read(path).timed()]


def state_of(out: Path) -> Path:
    return out.with_name(f"{out.stem if out.suffix == '.mp4' else out.name}.partial.json")


def safe_in(state: Path) -> int:
    return int(json.loads(state.read_text())["frames"]) if state.exists() else 0


@pytest.mark.parametrize(
    ("ending", "variable", "kills"), [(".mp4", False, 2), (".mp4", True, 1), (".webm", False, 1), (".gif", False, 1)]
)
def test_killed_and_resumed_is_uninterrupted(tmp_path: Path, ending: str, variable: bool, kills: int) -> None:
    """SIGKILL at moments of no one's choosing; decoded frames are the same, bit for bit."""
    whole, broken = tmp_path / f"whole{ending}", tmp_path / f"broken{ending}"
    perform(whole, variable=variable, warn=lambda text: None)
    state, path = state_of(broken), [*sys.path, str(Path(__file__).parent)]
    script = textwrap.dedent(CHILD).format(path=path, out=str(broken), variable=variable)
    safe = 0
    for _ in range(kills):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while safe_in(state) <= safe and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.kill()
        child.wait()
        assert not broken.exists()
        assert safe_in(state) > safe
        safe = safe_in(state)
    assert len(frames_of(state.with_suffix(".mp4"))) >= safe
    said: list[str] = []
    written = perform(broken, variable=variable, warn=said.append)
    assert written.frames == COUNT
    assert not [text for text in said if "anew" in text and "sound" not in text]
    assert frames_of(broken) == frames_of(whole)
    assert read_metadata(broken) == {"seed": "7"}
    if ending != ".gif":
        assert click_times(read_sound(broken)) == pytest.approx([0.5, 2.5, 4.5], abs=0.003)
        assert broken.stat().st_size == whole.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([whole.name, broken.name])


def interrupted(path: Path, until: int) -> int:
    """Stop after some frames; how many are safe."""
    with pytest.raises(InterruptedError):
        perform(path, until=until)
    return safe_in(state_of(path))


@pytest.mark.parametrize("until", [1, 59, 60, 61, 130, 149])
def test_wherever_it_stops(tmp_path: Path, until: int) -> None:
    """A segment has 60 frames here: what is safe is a whole number of them, and what was drawn can be seen."""
    whole, broken = tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    perform(whole)
    safe = interrupted(broken, until)
    assert safe == until // 60 * 60
    partial = frames_of(tmp_path / "broken.partial.mp4")
    assert len(partial) == until
    assert partial[:safe] == frames_of(whole)[:safe]
    if until > 61:
        assert click_times(read_sound(tmp_path / "broken.partial.mp4"))[0] == pytest.approx(0.5, abs=0.03)
    perform(broken)
    assert frames_of(broken) == frames_of(whole)
    assert broken.read_bytes() == whole.read_bytes()


def test_killed_while_the_whole_film_was_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All frames are there: none has to be drawn again."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("understudy.clip.film.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            perform(tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
    film = begun(tmp_path / "a.mp4")
    assert film.done == COUNT
    film.close()
    assert len(frames_of(tmp_path / "a.mp4")) == COUNT


def test_the_same_frames_make_the_same_film(tmp_path: Path) -> None:
    """x264's macroblock tree does not keep this promise on processors with AVX-512, so it is not used."""
    films = set()
    for turn in range(12):
        perform(tmp_path / f"{turn}.mp4")
        films.add((tmp_path / f"{turn}.mp4").read_bytes())
    assert len(films) == 1


def test_another_fingerprint_begins_anew_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    assert interrupted(tmp_path / "a.mp4", 130) == 120
    film = begun(tmp_path / "a.mp4", "two", said.append)
    assert film.done == 0 and len(said) == 1
    assert "fingerprint" in said[0] and "anew" in said[0]
    film.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"fps": 25}, {"quality": 30}, {"max_size": 100}])
def test_other_settings_begin_anew(tmp_path: Path, change: dict[str, int]) -> None:
    said: list[str] = []
    interrupted(tmp_path / "a.mp4", 70)
    options: dict[str, object] = {"fps": FPS, **change}
    film = Film(tmp_path / "a.mp4", resume=True, fingerprint="one", warn=said.append, **options)  # type: ignore[arg-type]
    assert film.done == 0 and said
    film.abandon()


def test_without_resume_a_film_begins_anew(tmp_path: Path) -> None:
    interrupted(tmp_path / "a.mp4", 130)
    with Film(tmp_path / "a.mp4", fps=FPS, fingerprint="one") as film:
        assert film.done == 0
        film.add(drawn(0))
    assert len(frames_of(tmp_path / "a.mp4")) == 1


@pytest.mark.parametrize("damage", ["state", "shorter", "gone", "other version"])
def test_a_damaged_state_begins_anew(tmp_path: Path, damage: str) -> None:
    said: list[str] = []
    interrupted(tmp_path / "a.mp4", 130)
    state, partial = tmp_path / "a.partial.json", tmp_path / "a.partial.mp4"
    if damage == "state":
        state.write_text("{")
    elif damage == "shorter":
        partial.write_bytes(partial.read_bytes()[:100])
    elif damage == "gone":
        partial.unlink()
    else:
        state.write_text(state.read_text().replace('"version": 1', '"version": 99'))
    written = perform(tmp_path / "a.mp4", warn=said.append)
    assert written.frames == COUNT and [text for text in said if "anew" in text]
    assert len(frames_of(tmp_path / "a.mp4")) == COUNT


def test_rubbish_after_the_safe_part_does_not_matter(tmp_path: Path) -> None:
    """A machine that dies while it writes leaves half a segment, or zeros."""
    perform(tmp_path / "whole.mp4")
    interrupted(tmp_path / "a.mp4", 130)
    with (tmp_path / "a.partial.mp4").open("ab") as file:
        file.write(bytes(5000))
    perform(tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
