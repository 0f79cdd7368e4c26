"""Writing films: every container, true times, sound in step, words, sizes; and what stands in the way."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time as clock
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clip_made import RATE, click_times, clicks, film, made, numbered, numbers, psnr, tone
from hypothesis import example, given, settings
from hypothesis import strategies as st

from understudy.clip import (
    Clip,
    Film,
    Picture,
    Sound,
    read,
    read_metadata,
    read_sound,
    write,
    write_picture,
    write_sound,
)
from understudy.clip.film import Fit
from understudy.clip.partial import Clock
from understudy.clip.soundtrack import cut
from understudy.errors import BadOption, Exists, MissingFile, NoPicture, NoSound, Unwritable

NTSC = Fraction(24000, 1001)
ENDINGS = [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif"]
WORDS = {"model": "warp", "Seed Nr": "12", "command": 'animate "Ä\nö"', "comment": "mine"}


@pytest.fixture
def said() -> list[str]:
    return []


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("fps", [Fraction(25), NTSC])
def test_every_kind_of_film(tmp_path: Path, said: list[str], ending: str, fps: Fraction) -> None:
    """Frames, times, sound and words come back; nothing else is left in the folder."""
    path = tmp_path / f"out{ending}"
    sound = None if ending == ".gif" else clicks([0.0, 1.0], 3.0)
    written = write(path, made(50), fps=fps, sound=sound, metadata=WORDS, warn=said.append)
    assert (written.path, written.frames, written.size, written.warnings) == (path, 50, (64, 48), ())
    assert written.seconds == pytest.approx(50 / fps)
    assert names(tmp_path) == [path.name] and said == []
    clip = read(path)
    assert (clip.fps, clip.size, clip.variable) == (fps, (64, 48), False)
    times, frames = zip(*clip.timed(), strict=True)
    assert list(times) == [number / fps for number in range(50)]
    assert numbers(frames) == list(range(50))
    assert psnr(frames[20], numbered(20)) > 30
    assert clip.seconds == pytest.approx(50 / fps, abs=float(1 / fps))
    assert read_metadata(path) == WORDS
    if sound:
        heard = read_sound(path)
        assert click_times(heard) == pytest.approx([0.0, 1.0], abs=0.002)
        assert heard.seconds == pytest.approx(50 / fps, abs=float(1 / fps))


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("size", [(64, 48), (65, 49), (17, 31)])
def test_lossless_films_keep_every_number(tmp_path: Path, ending: str, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (30, size[1], size[0], 3), dtype=np.uint8)
    written = write(tmp_path / f"l{ending}", frames, fps=25, lossless=True, sound=tone(2))
    assert written.size == size and written.warnings == ()
    assert (np.stack(list(read(tmp_path / f"l{ending}"))) == frames).all()
    assert read_sound(tmp_path / f"l{ending}").seconds == pytest.approx(1.2, abs=0.03)


def test_lossless_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"\.webm.*\.mkv"):
        write(tmp_path / "l.webm", made(1), fps=25, lossless=True)


def test_players_find_the_index_first(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", made(50), fps=25)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


# Times


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_true_times_are_written(tmp_path: Path, ending: str) -> None:
    times = [Fraction(number, 100) for number in (0, 4, 6, 16, 18, 25, 30, 34, 50, 52)]
    write(tmp_path / f"v{ending}", zip(times, made(10), strict=True), fps=Fraction(20))
    clip = read(tmp_path / f"v{ending}")
    assert clip.variable
    assert [time for time, _ in clip.timed()] == times
    assert clip.seconds == pytest.approx(0.57, abs=0.051)


def test_an_avi_has_places_instead_of_times(tmp_path: Path, said: list[str]) -> None:
    times = [Fraction(number, 100) for number in (0, 4, 12, 13, 20)]
    write(tmp_path / "v.avi", zip(times, made(5), strict=True), fps=25, warn=said.append)
    assert [time for time, _ in read(tmp_path / "v.avi").timed()] == [Fraction(n, 25) for n in (0, 1, 3, 4, 5)]
    assert len(said) == 1 and "AVI has no times" in said[0]


def test_a_clip_written_is_a_clip_read(tmp_path: Path) -> None:
    """From a film of variable rate to another: durations agree within a frame."""
    milliseconds = [0, 40, 60, 160, 170, 250, 300, 301, 500, 520]
    first = film(tmp_path / "a.mp4", times=milliseconds, tick=Fraction(1, 1000), options={"bf": "0"})
    clip = read(first)
    written = write(tmp_path / "b.mp4", clip, sound=first)
    again = read(tmp_path / "b.mp4")
    assert [time for time, _ in again.timed()] == [time for time, _ in clip.timed()]
    assert written.seconds == pytest.approx(0.52 + float(1 / clip.fps))


def test_times_must_grow(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not come after"):
        write(tmp_path / "a.mp4", zip([0.0, 0.1, 0.1], made(3), strict=True), fps=25)


@given(fps=st.fractions(min_value=Fraction(1, 10), max_value=240, max_denominator=1001))
def test_a_frame_is_a_whole_number_of_ticks(fps: Fraction) -> None:
    clock = Clock.of(fps)
    assert clock.step * clock.tick == 1 / fps
    assert clock.tick <= Fraction(1, 90_000) and clock.tick.denominator < 2**31


@pytest.mark.parametrize("fps", [24, 50, 60, 100, Fraction(120)])
def test_gifs_are_never_faster_than_browsers(tmp_path: Path, said: list[str], fps: Fraction) -> None:
    write(tmp_path / "a.gif", made(60), fps=fps, warn=said.append)
    times = [time for time, _ in read(tmp_path / "a.gif").timed()]
    assert min(b - a for a, b in itertools.pairwise(times)) >= Fraction(2, 100)
    assert times[-1] == pytest.approx(59 / fps, abs=0.02)
    assert bool(said) == (fps > 50)


# Sizes


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
def test_odd_sizes_lose_a_pixel_and_say_so(tmp_path: Path, said: list[str], ending: str) -> None:
    written = write(tmp_path / f"o{ending}", made(5, 65, 49), fps=25, warn=said.append)
    assert written.size == read(tmp_path / f"o{ending}").size == (64, 48)
    assert len(said) == 1 and "65x49" in said[0] and written.warnings == tuple(said)
    assert numbers(read(tmp_path / f"o{ending}")) == list(range(5))


@pytest.mark.parametrize("ending", [".webm", ".avi", ".gif"])
def test_odd_sizes_stay_where_they_can(tmp_path: Path, said: list[str], ending: str) -> None:
    write(tmp_path / f"o{ending}", made(5, 65, 49), fps=25, warn=said.append)
    assert read(tmp_path / f"o{ending}").size == (65, 49) and said == []


def test_large_films_are_scaled_so_that_any_player_opens_them(tmp_path: Path, said: list[str]) -> None:
    written = write(tmp_path / "big.mp4", made(4, 400, 300), fps=25, max_size=160, warn=said.append)
    assert written.size == (160, 120) and "400x300 are written as 160x120" in said[0]
    assert numbers(read(tmp_path / "big.mp4")) == list(range(4))


@given(width=st.integers(2, 5000), height=st.integers(2, 5000), even=st.booleans())
def test_fitting_keeps_the_aspect(width: int, height: int, even: bool) -> None:
    fit = Fit.of((width, height), 1920, even, lambda text: None)
    assert max(fit.written) <= 1920
    assert not even or all(side % 2 == 0 for side in fit.written)
    if fit.scaled:
        for side in (0, 1):
            assert abs(fit.written[side] - (width, height)[side] * 1920 / max(width, height)) <= 2
    else:
        assert all(0 <= given - written <= 1 for given, written in zip((width, height), fit.written, strict=True))


def test_frames_must_be_frames_of_one_size(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="this one is"):
        write(tmp_path / "a.mp4", [numbered(0), numbered(1, 32, 48)], fps=25)
    with pytest.raises(ValueError, match="uint8"):
        write(tmp_path / "b.mp4", [numbered(0).astype(np.float32)], fps=25)  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="too small"):
        write(tmp_path / "c.mp4", [numbered(0)[:1, :1]], fps=25)


def test_frames_may_be_reused_by_their_maker(tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)

    def painter() -> Iterator[Picture]:
        for number in range(40):
            frame[:] = numbered(number)
            yield frame

    write(tmp_path / "a.mp4", painter(), fps=25)
    assert numbers(read(tmp_path / "a.mp4")) == list(range(40))


def test_views_are_taken_as_they_look(tmp_path: Path) -> None:
    write(tmp_path / "a.mkv", [numbered(n)[:, ::-1] for n in range(3)], fps=25, lossless=True)
    assert (next(iter(read(tmp_path / "a.mkv"))) == numbered(0)[:, ::-1]).all()


# Sound


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds with a tone at 0.5, 1 and 1.5 seconds, in every kind of file."""
    folder = tmp_path_factory.mktemp("voices")
    sound = clicks([0.5, 1.0, 1.5], 3.0)
    found = {ending: write_sound(folder / f"v{ending}", sound) for ending in (".wav", ".flac", ".mp3", ".m4a", ".ogg")}
    black = [np.zeros((48, 64, 3), np.uint8)] * 75
    for ending in (".mp4", ".webm"):
        found[ending] = folder / f"f{ending}"
        write(found[ending], black, fps=25, sound=sound)
    return found


COPIED = {
    ".mp4": {".flac", ".mp3", ".m4a", ".ogg", ".mp4", ".webm"},
    ".mov": {".wav", ".mp3", ".m4a", ".mp4"},
    ".mkv": {".wav", ".flac", ".mp3", ".m4a", ".ogg", ".mp4", ".webm"},
    ".webm": {".ogg", ".webm"},
    ".avi": {".wav", ".mp3"},
}


@pytest.mark.parametrize("ending", sorted(COPIED))
@pytest.mark.parametrize("source", [".wav", ".flac", ".mp3", ".m4a", ".ogg", ".mp4", ".webm"])
def test_sound_is_copied_where_it_can_be_and_in_step(
    tmp_path: Path, said: list[str], voices: dict[str, Path], source: str, ending: str
) -> None:
    path = tmp_path / f"out{ending}"
    write(path, made(50), fps=25, sound=voices[source], warn=said.append)
    heard = read_sound(path)
    assert click_times(heard) == pytest.approx([0.5, 1.0, 1.5], abs=0.003)
    assert heard.seconds == pytest.approx(2.0, abs=0.04)  # cut to the picture, which lasts two
    if source in COPIED[ending]:
        assert said == []
        assert codec_of(path) == codec_of(voices[source])
    else:
        assert len(said) == 1 and "encoded anew" in said[0] and str(voices[source]) in said[0]
        assert codec_of(path) == {".webm": "opus", ".avi": "pcm_s16le"}.get(ending, "aac")


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name


@pytest.mark.parametrize("late", [Fraction(1, 2), Fraction(-1, 5)])
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi"])
def test_sound_keeps_its_distance_to_the_picture(tmp_path: Path, late: Fraction, ending: str) -> None:
    """Copied or encoded anew, a sound that began late begins late, and one that began early is cut."""
    black = [np.zeros((48, 64, 3), np.uint8)] * 50
    source = film(tmp_path / "source.mp4", frames=black, sound=clicks([0.3, 0.6], 1.0), sound_late=late)
    path = tmp_path / f"out{ending}"
    write(path, made(50), fps=25, sound=source, warn=lambda text: None)
    assert click_times(read_sound(path)) == pytest.approx([0.3 + late, 0.6 + late], abs=0.004)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi"])
def test_channels_are_kept(tmp_path: Path, channels: int, ending: str) -> None:
    write(tmp_path / f"c{ending}", made(10), fps=25, sound=tone(1, channels=channels))
    heard = read_sound(tmp_path / f"c{ending}")
    assert heard.channels == channels
    assert np.abs(heard.samples[4000:12000]).max() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 96000])
@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_any_rate_goes_in(tmp_path: Path, rate: int, ending: str) -> None:
    write(tmp_path / f"r{ending}", made(25), fps=25, sound=clicks([0.5], 2.0, rate=rate))
    assert click_times(read_sound(tmp_path / f"r{ending}")) == pytest.approx([0.5], abs=0.004)


def test_a_silent_source_gives_a_silent_film(tmp_path: Path, said: list[str]) -> None:
    silent = film(tmp_path / "silent.mp4")
    write(tmp_path / "out.mp4", made(5), fps=25, sound=silent, warn=said.append)
    assert not read(tmp_path / "out.mp4").has_sound and said == []


def test_a_picture_as_source_is_silent(tmp_path: Path, said: list[str]) -> None:
    picture = write_picture(tmp_path / "still.png", numbered(1))
    write(tmp_path / "out.mp4", made(5), fps=25, sound=picture, warn=said.append)
    assert not read(tmp_path / "out.mp4").has_sound and said == []
    with pytest.raises(NoSound, match="a picture"):
        read_sound(picture)


def test_writing_is_quiet(tmp_path: Path) -> None:
    """FFmpeg and PyAV have much to say; a person at a terminal sees none of it."""
    script = """
        import sys
        sys.path[:0] = {path!r}
        from clip_made import made, tone
        from understudy.clip import write
        for ending in {endings!r}:
            write({folder!r} + "/q" + ending, made(5), fps=25, sound=None if ending == ".gif" else tone(1))
    """
    code = textwrap.dedent(script).format(path=sys.path, endings=ENDINGS, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == done.stderr == ""


def test_a_gif_says_that_it_has_no_sound(tmp_path: Path, said: list[str], voices: dict[str, Path]) -> None:
    write(tmp_path / "out.gif", made(5), fps=25, sound=voices[".mp4"], warn=said.append)
    assert len(said) == 1 and "left out" in said[0]


def test_a_short_sound_does_not_shorten_the_film(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", made(50), fps=25, sound=tone(0.5))
    assert len(list(read(tmp_path / "out.mp4"))) == 50


def test_a_film_may_take_the_place_of_its_own_source(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write(path, made(50), fps=25, sound=clicks([1.0], 2.0))
    clip = read(path)
    write(path, (frame[:, ::-1] for frame in clip), fps=25, sound=path, overwrite=True)
    assert click_times(read_sound(path)) == pytest.approx([1.0], abs=0.002)


@given(sizes=st.lists(st.integers(0, 50), max_size=8), count=st.integers(0, 200))
def test_cut(sizes: list[int], count: int) -> None:
    whole = np.arange(sum(sizes), dtype=np.float32)[:, None]
    chunks = np.split(whole, np.cumsum(sizes)[:-1]) if sizes else []
    parts = list(cut(chunks, count))
    assert (np.concatenate([whole[:0], *parts]) == whole[:count]).all()


def test_without_a_rate_the_sounding_film_gives_it(tmp_path: Path, voices: dict[str, Path]) -> None:
    """The public program in three lines: `write("out.mp4", frames, sound="driving.mp4")`."""
    source = tmp_path / "driving.mp4"
    write(source, made(12), fps=NTSC, sound=tone(1))
    write(tmp_path / "out.mp4", made(12), sound=source)
    assert read(tmp_path / "out.mp4").fps == NTSC
    write(tmp_path / "clip.mp4", Clip.from_frames(lambda: made(3), 12))
    assert read(tmp_path / "clip.mp4").fps == 12
    for sound in (None, tone(1), voices[".wav"]):
        with pytest.raises(BadOption, match="frame rate"):
            write(tmp_path / "no.mp4", made(3), sound=sound)


# Words


@given(words=st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
                             st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
                             max_size=4))  # fmt: skip
@example(words={"title-en": "A film", "-ar": ""})
@settings(max_examples=15, deadline=None)
def test_any_words_come_back(tmp_path_factory: pytest.TempPathFactory, words: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("words")
    for ending in (".mp4", ".mkv", ".avi", ".gif"):
        write(folder / f"w{ending}", made(1), fps=25, metadata=words)
        assert read_metadata(folder / f"w{ending}") == words


def test_other_programs_see_the_words_too(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", made(1), fps=25, metadata={"model": "warp", "title": "A film"})
    with av.open(str(tmp_path / "a.mp4")) as container:
        tags = container.metadata
    assert (tags["model"], tags["title"]) == ("warp", "A film")
    assert json.loads(tags["comment"]) == {"model": "warp", "title": "A film"}


# What stands in the way


def test_nothing_is_replaced_without_leave(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("precious")

    def never() -> Iterator[Picture]:
        raise AssertionError("no work before the check")
        yield numbered(0)

    with pytest.raises(Exists, match="exists already") as caught:
        write(path, never(), fps=25)
    assert path.read_text() == "precious" and names(tmp_path) == ["a.mp4"] and caught.value.remedy
    write(path, made(3), fps=25, overwrite=True)
    assert numbers(read(path)) == [0, 1, 2]


def test_nor_what_comes_while_the_film_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    film = Film(path, fps=25)
    for frame in made(3):
        film.add(frame)
    path.write_text("precious")
    with pytest.raises(Exists):
        film.close()
    assert path.read_text() == "precious"
    assert numbers(read(tmp_path / "a.partial.mp4")) == [0, 1, 2]  # and the work is not lost


def test_endings_and_numbers_that_make_no_sense(tmp_path: Path) -> None:
    for name, options, words in [
        ("a.xyz", {}, "ending '.xyz'"),
        ("film", {}, "ending ''"),
        ("a.mp4", {"quality": 52}, "quality 52"),
        ("a.mp4", {"max_size": 0}, "at most 0 pixels"),
    ]:
        with pytest.raises(BadOption, match=words):
            Film(tmp_path / name, fps=25, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frames a second"):
        Film(tmp_path / "a.mp4", fps=0)
    with pytest.raises(MissingFile):
        Film(tmp_path / "a.mp4", fps=25, sound=tmp_path / "none.wav")
    assert names(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    for path, words in [
        (tmp_path / "none" / "a.mp4", "folder does not exist"),
        (tmp_path / "file" / "a.mp4", "not a folder"),
        (tmp_path / "folder.mp4", "that is a folder"),
        (tmp_path / ("x" * 300 + ".mp4"), "name is too long"),
        (Path("/proc/a.mp4"), "cannot be written"),
    ]:
        with pytest.raises(Unwritable, match=words):
            Film(path, fps=25)
    assert names(tmp_path) == ["file", "folder.mp4"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Unwritable, match="may not write"):
        Film(tmp_path / "a.mp4", fps=25)
    tmp_path.chmod(0o700)


def test_a_film_without_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoPicture, match="no frames"):
        write(tmp_path / "a.mp4", [], fps=25)
    assert names(tmp_path) == []


def test_two_runs_do_not_write_one_film(tmp_path: Path) -> None:
    with Film(tmp_path / "a.mp4", fps=25) as film:
        film.add(numbered(0))
        with pytest.raises(Unwritable, match="another run"):
            Film(tmp_path / "a.mp4", fps=25)
    assert names(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("count", [0, 1, 70])
def test_an_interrupted_film_can_be_seen(tmp_path: Path, error: type[BaseException], count: int) -> None:
    """Ctrl-C leaves everything that was drawn, with its sound; an error before the first frame leaves nothing."""

    def broken() -> Iterator[Picture]:
        yield from (numbered(number % 64) for number in range(count))
        raise error("stop")

    with pytest.raises(error):
        write(tmp_path / "a.mkv", broken(), fps=25, sound=clicks([0.5, 1.5, 2.7], 4.0))
    if count == 0:
        assert names(tmp_path) == []
        return
    partial = tmp_path / "a.mkv.partial.mp4"
    assert partial in tmp_path.iterdir() and not (tmp_path / "a.mkv").exists()
    assert numbers(read(partial)) == [number % 64 for number in range(count)]
    if count == 70:
        assert click_times(read_sound(partial)) == pytest.approx([0.5, 1.5, 2.7], abs=0.03)


def test_a_growing_film_is_playable_while_it_grows(tmp_path: Path) -> None:
    seen = 0
    with Film(tmp_path / "a.mp4", fps=25, sound=tone(10)) as film:
        for number in range(160):
            film.add(numbered(number % 64))
            if number == 130:
                deadline = clock.monotonic() + 10
                while not (tmp_path / "a.partial.json").exists() and clock.monotonic() < deadline:
                    clock.sleep(0.01)
                seen = len(list(read(tmp_path / "a.partial.mp4", warn=lambda text: None)))
    assert seen >= 50
    assert names(tmp_path) == ["a.mp4"]


def test_errors_of_the_encoder_come_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the encoder broke")

    monkeypatch.setattr("understudy.clip.partial.Segment.add", fail)
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="the encoder broke"):
        write(tmp_path / "a.mp4", (numbered(0) for _ in range(1000)), fps=25)
    assert threading.active_count() == before


LIMITED = """
    import resource, sys
    sys.path[:0] = {path!r}
    import numpy as np
    from understudy.clip import write
    from understudy.errors import Unwritable
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    noise = np.random.default_rng(0).integers(0, 255, (100, 96, 128, 3), dtype=np.uint8)
    try:
        write({out!r}, noise, fps=25, overwrite=True)
    except Unwritable as error:
        print(error)
        sys.exit(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("ending", [".mp4", ".webm", ".gif"])
def test_a_file_that_may_not_grow(tmp_path: Path, ending: str) -> None:
    """As with a full disk: an error with a remedy, nothing under the name, and the frames before are safe."""
    out = tmp_path / f"a{ending}"
    out.write_text("precious")
    limit = 150_000
    script = textwrap.dedent(LIMITED).format(path=sys.path, limit=limit, out=str(out))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "larger than is allowed" in done.stdout and "Try:" in done.stdout
    assert out.read_text() == "precious"
    partial = next(path for path in tmp_path.iterdir() if path.name.endswith(".partial.mp4"))
    assert partial.stat().st_size <= limit
    assert names(tmp_path) == sorted({out.name, partial.name, *[n for n in names(tmp_path) if n.endswith(".json")]})


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A disk of so many bytes, where the machine lets us have one."""
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(("share", "safe"), [(0.6, 100), (1.5, 200)])
def test_a_full_disk(tmp_path: Path, share: float, safe: int) -> None:
    """It fills while the film grows, or when the whole film is copied beside the grown one."""
    noise = np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3), dtype=np.uint8)

    def frames() -> Iterator[Picture]:
        return (noise[number % 50] for number in range(200))

    write(tmp_path / "a.mp4", frames(), fps=25, quality=10)
    with small_disk(tmp_path, int(share * (tmp_path / "a.mp4").stat().st_size)) as disk:
        with pytest.raises(Unwritable, match="disk is full") as caught:
            write(disk / "a.mp4", frames(), fps=25, quality=10)
        assert "free some space" in caught.value.remedy and "safe" in caught.value.remedy
        assert set(names(disk)) <= {"a.partial.mp4", "a.partial.json"}
        assert len(list(read(disk / "a.partial.mp4"))) == safe


MEASURED = """
    import resource, sys
    sys.path[:0] = {path!r}
    from itertools import repeat
    from fractions import Fraction
    import numpy as np
    from understudy.clip import read, write
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    write({out!r}, repeat(picture, {count}), fps=25)
    write({out!r}, iter(read({out!r})), fps=25, sound={out!r}, overwrite=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """Ten times as many frames, read and written, in the memory of the first 150. All of them would be 70 MB."""
    peaks = []
    for count in (150, 1500):
        script = textwrap.dedent(MEASURED).format(path=sys.path, out=str(tmp_path / f"{count}.mp4"), count=count)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 10_000  # kB


def test_a_film_object_tells_how_far_it_is(tmp_path: Path) -> None:
    with Film(tmp_path / "a.mp4", fps=NTSC, size=(64, 48)) as film:
        assert (film.done, film.frames, float(film.seconds)) == (0, 0, 0.0)
        for frame in made(3):
            film.add(frame)
        assert (film.frames, film.seconds) == (3, 3 / NTSC)
    assert film.written is not None and film.written == film.close()


def test_sound_of_one_sample(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", made(3), fps=25, sound=Sound(np.zeros((1, 1), np.float32), RATE))
    assert len(list(read(tmp_path / "a.mp4"))) == 3
