"""Reading films: every container, rhythm, orientation and colour; and what is damaged, hostile or not a film at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from clip_made import clicks, film, made, number_of, numbered, numbers, psnr, tone
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from understudy.clip import Clip, MediaWarning, Picture, frame_rate, read, read_sound
from understudy.clip.decode import rhythm
from understudy.clip.read import webp_lengths
from understudy.clip.upright import Turn, Upright, letterboxed
from understudy.errors import MediaError, MissingFile, NoPicture, NoSound, TooLarge, UnreadableMedia

NTSC = Fraction(24000, 1001)

MATRIX: list[tuple[str, str, str, dict[str, str]]] = [
    (".mp4", "libx264", "yuv420p", {}),
    (".mp4", "libx264", "yuv420p10le", {}),
    (".mp4", "libx264", "yuv444p", {}),
    (".mp4", "libx264", "gray", {}),
    (".mp4", "libx265", "yuv420p", {"x265-params": "log-level=none"}),
    (".mp4", "mpeg4", "yuv420p", {}),
    (".mov", "libx264", "yuv422p", {}),
    (".mov", "prores_ks", "yuv422p10le", {}),
    (".mov", "qtrle", "rgb24", {}),
    (".mkv", "libx264", "yuv420p", {}),
    (".mkv", "libvpx-vp9", "yuv420p", {}),
    (".mkv", "ffv1", "bgr0", {}),
    (".webm", "libvpx-vp9", "yuv420p", {}),
    (".webm", "libvpx-vp9", "yuv444p", {}),
    (".avi", "mpeg4", "yuv420p", {}),
    (".avi", "mjpeg", "yuvj420p", {}),
    (".avi", "libx264", "yuv420p", {}),
    (".ts", "libx264", "yuv420p", {}),
]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.parametrize(("ending", "codec", "pixels", "options"), MATRIX)
@pytest.mark.parametrize("fps", [Fraction(25), NTSC])
def test_every_kind_of_film(
    tmp_path: Path, said: list[str], ending: str, codec: str, pixels: str, options: dict[str, str], fps: Fraction
) -> None:
    """Frames in order, all of them, at exact times, with colours as they were."""
    path = film(tmp_path / f"film{ending}", codec, pixels, fps=fps, options=options)
    clip = read(path, warn=said.append)
    assert (clip.fps, clip.size, clip.variable, clip.still, clip.has_sound) == (fps, (64, 48), False, False, False)
    assert clip.seconds == pytest.approx(10 / fps, abs=0.045)
    times, frames = zip(*clip.timed(), strict=True)
    assert list(times) == [number / fps for number in range(10)]
    assert numbers(frames) == list(range(10))
    assert frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8
    if pixels != "gray":
        assert psnr(frames[3][24:], numbered(3)[24:]) > 28
    assert said == []


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_variable_rate_keeps_true_times(tmp_path: Path, ending: str) -> None:
    times = [0, 40, 60, 160, 170, 250, 300, 301, 500, 520]  # milliseconds
    codec = "libvpx-vp9" if ending == ".webm" else "libx264"
    clip = read(film(tmp_path / f"v{ending}", codec, times=times, tick=Fraction(1, 1000)))
    assert clip.variable
    assert [time for time, _ in clip.timed()] == [Fraction(time, 1000) for time in times]
    assert float(clip.fps) == pytest.approx(9 / 0.52, rel=0.01)


def test_a_clip_can_be_watched_again(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "a.mp4"))
    assert numbers(clip) == numbers(clip) == list(range(10))
    first, second = iter(clip), iter(clip)  # and twice at once
    assert [number_of(next(first)), number_of(next(first)), number_of(next(second))] == [0, 1, 0]


def test_one_frame(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "one.mp4", frames=list(made(1))))
    assert clip.fps == 25 and not clip.variable
    assert [time for time, _ in clip.timed()] == [0]


def test_frames_belong_to_the_caller(tmp_path: Path) -> None:
    """A decoder that hands out its own memory would show what was painted over an earlier frame."""
    path = film(tmp_path / "own.mov", "qtrle", "rgb24", frames=[numbered(1)] * 4)
    for frame in read(path):
        assert (frame == numbered(1)).all()
        frame[:] = 0


@pytest.mark.parametrize(
    ("fps", "exact"), [(23.976, NTSC), (29.97, Fraction(30000, 1001)), (25, Fraction(25)), (12.5, Fraction(25, 2))]
)
def test_rates_are_the_fractions_that_are_meant(fps: float, exact: Fraction) -> None:
    assert frame_rate(fps) == exact


@given(
    fps=st.sampled_from([NTSC, Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(25, 2), Fraction(120)]),
    tick=st.sampled_from([Fraction(1, 1000), Fraction(1, 90000), Fraction(1, 12800)]),
    count=st.integers(3, 300),
    start=st.integers(-50, 50),
)
@settings(max_examples=60, deadline=None)
def test_rhythm_finds_the_rate_behind_rounded_stamps(fps: Fraction, tick: Fraction, count: int, start: int) -> None:
    stamps = [start + round(number / fps / tick) for number in range(count)]
    found = rhythm(stamps, tick, [fps])
    assert (found.fps, found.variable) == (fps, False)
    if count > 20:  # and without being told
        assert rhythm(stamps, tick, []).fps == pytest.approx(fps, rel=1e-3)
    stamps[-1] += round(2 / fps / tick)
    assert rhythm(stamps, tick, [fps]).variable


# How a picture lies in its file


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_is_undone(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    """The display matrix says how a player turns the picture: counterclockwise, and then mirrored."""
    path = film(tmp_path / "r.mp4", stream=lambda video: video.set_display_rotation(degrees, hflip=mirrored))
    clip = read(path)
    shown = np.rot90(numbered(5), degrees // 90)
    shown = shown[:, ::-1] if mirrored else shown
    frame = list(clip)[5]
    assert clip.size == (shown.shape[1], shown.shape[0]) == (frame.shape[1], frame.shape[0])
    assert psnr(frame, shown) > 28


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(4, 3), (85, 48)), (Fraction(1, 2), (64, 96)), (Fraction(1), (64, 48))]
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    def squeeze(video: VideoStream) -> None:
        video.codec_context.sample_aspect_ratio = aspect

    clip = read(film(tmp_path / "s.mp4", stream=squeeze))
    frames = list(clip)
    assert clip.size == size == (frames[0].shape[1], frames[0].shape[0])
    assert numbers(frames) == list(range(10))


def test_an_absurd_pixel_shape_is_not_believed(tmp_path: Path, said: list[str]) -> None:
    def squeeze(video: VideoStream) -> None:
        video.codec_context.sample_aspect_ratio = Fraction(8)

    assert read(film(tmp_path / "s.mkv", stream=squeeze), warn=said.append).size == (64, 48)
    assert "not believed" in said[0]


@given(transpose=st.booleans(), left_right=st.booleans(), up_down=st.booleans(), width=st.integers(1, 9))
def test_turns_keep_every_pixel(transpose: bool, left_right: bool, up_down: bool, width: int) -> None:
    picture = np.arange(4 * width * 3, dtype=np.uint8).reshape(4, width, 3)
    turn = Turn(transpose, left_right, up_down)
    turned = turn(picture)
    assert turn.size(width, 4) == (turned.shape[1], turned.shape[0])
    assert sorted(turned.reshape(-1, 3).tolist()) == sorted(picture.reshape(-1, 3).tolist())
    assert (
        Turn(up_down=up_down, left_right=left_right)(turned) == (picture.swapaxes(0, 1) if transpose else picture)
    ).all()


def test_odd_sizes_are_read_whole(tmp_path: Path) -> None:
    path = film(tmp_path / "odd.webm", "libvpx-vp9", frames=list(made(5, 65, 49)))
    clip = read(path)
    assert clip.size == (65, 49)
    assert numbers(clip) == list(range(5))


def test_a_change_of_size_midway_is_fitted_and_said(tmp_path: Path, said: list[str]) -> None:
    one = film(tmp_path / "one.ts", frames=list(made(5)))
    two = film(tmp_path / "two.ts", frames=list(made(5, 96, 48)))
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    frames = list(read(both, warn=said.append))
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert len(frames) >= 9
    assert [text for text in said if "changes its picture size" in text]
    assert (letterboxed(np.full((10, 20, 3), 9, np.uint8), (20, 20))[[0, 4, 15]] == 0).all()


def test_interlaced_frames_are_joined(tmp_path: Path, said: list[str]) -> None:
    """A bar that moves between the two halves of a frame leaves a comb; afterwards there is none."""

    def woven(number: int) -> Picture:
        frame = np.full((48, 64, 3), 30, np.uint8)
        frame[0::2, 4 * number : 4 * number + 8] = 220
        frame[1::2, 4 * number + 6 : 4 * number + 14] = 220
        return frame

    def fields(video: VideoStream) -> None:
        video.codec_context.flags |= av.codec.context.Flags.interlaced_dct

    path = film(
        tmp_path / "i.mkv",
        frames=[woven(n) for n in range(10)],
        stream=fields,
        options={"x264-params": "tff=1", "crf": "4"},
    )
    clip = read(path, warn=said.append)
    frames = list(clip)
    comb = [np.abs(np.diff(frame[..., 1].astype(int), axis=0)).mean() for frame in frames[2:-2]]
    raw = np.abs(np.diff(woven(4)[..., 1].astype(int), axis=0)).mean()
    assert len(frames) == 10
    assert max(comb) < raw / 2
    assert "interlaced" in said[0]


# Transparency, animations


@pytest.mark.parametrize(
    ("ending", "codec", "pixels"),
    [
        (".webm", "libvpx-vp9", "yuva420p"),
        (".mov", "prores_ks", "yuva444p10le"),
        (".mov", "qtrle", "argb"),
        (".mkv", "ffv1", "bgra"),
    ],
)
def test_transparent_films_lie_on_the_background(tmp_path: Path, ending: str, codec: str, pixels: str) -> None:
    frame = np.zeros((48, 64, 4), np.uint8)
    frame[..., 0] = 200
    frame[:, 32:, 3] = 255
    path = film(tmp_path / f"alpha{ending}", codec, pixels, frames=[frame] * 3)
    for background, left in [((255, 255, 255), (255, 255, 255)), ((0, 90, 0), (0, 90, 0))]:
        shown = next(iter(read(path, background=background)))
        assert np.abs(shown[24, 8].astype(int) - left).max() <= 6
        assert np.abs(shown[24, 56].astype(int) - (200, 0, 0)).max() <= 6


@pytest.mark.parametrize(("ending", "options"), [(".gif", {}), (".webp", {"lossless": True}), (".png", {})])
def test_animated_pictures_are_films(tmp_path: Path, ending: str, options: dict[str, Any]) -> None:
    lengths = [40, 80, 40, 40, 120, 40, 40, 40, 40, 200]
    frames = [Image.fromarray(frame) for frame in made(10)]
    path = tmp_path / f"a{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=lengths, loop=0, **options)
    clip = read(path)
    assert not clip.still and clip.variable and clip.size == (64, 48)
    times, pictures = zip(*clip.timed(), strict=True)
    assert list(times) == [Fraction(sum(lengths[:number]), 1000) for number in range(10)]
    assert numbers(pictures) == list(range(10))
    assert clip.frames in (10, None) or ending == ".png"


def test_a_webp_that_lies_about_its_chunks(tmp_path: Path) -> None:
    assert webp_lengths(b"RIFF\xff\xff\xff\xffWEBPANMF\xff\xff\xff\x7f" + bytes(20)) == [100]


# Containers


def test_covers_are_no_films(tmp_path: Path) -> None:
    """An album's cover is an attached picture: a file with sound and a cover has no film in it."""
    with_cover, cover = tmp_path / "song.mp3", tmp_path / "cover.png"
    Image.fromarray(numbered(1)).save(cover)
    sound = tone(1)
    with av.open(str(with_cover), "w", format="mp3") as out, av.open(str(cover)) as picture:
        voice: Any = out.add_stream("libmp3lame", rate=sound.rate, layout="mono")
        image: Any = out.add_stream_from_template(picture.streams.video[0], opaque=True)
        image.disposition = av.stream.Disposition.attached_pic
        packet = next(picture.demux(picture.streams.video[0]))
        packet.stream = image
        out.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.samples.T), "fltp", "mono")
        frame.sample_rate = sound.rate
        out.mux(voice.encode(frame))
        out.mux(voice.encode(None))
    assert len(av.open(str(with_cover)).streams.video) == 1
    with pytest.raises(NoPicture, match="sound only"):
        read(with_cover)
    assert read_sound(with_cover).seconds == pytest.approx(1, abs=0.03)


def test_start_times_do_not_matter(tmp_path: Path) -> None:
    """A film cut out of a longer one begins late on its own clock, or with an edit list."""
    late = film(tmp_path / "late.mkv", times=list(range(250, 260)))
    edited = film(tmp_path / "edited.mp4", options={"bf": "2"}, times=list(range(7, 17)))
    for path in (late, edited):
        clip = read(path)
        assert [time for time, _ in clip.timed()] == [Fraction(number, 25) for number in range(10)]
        assert clip.fps == 25 and not clip.variable


def test_sound_is_seen(tmp_path: Path) -> None:
    clip = read(film(tmp_path / "a.mp4", sound=clicks([0.1], 0.4)))
    assert clip.has_sound and clip.sound().seconds == pytest.approx(0.4, abs=0.03)
    with pytest.raises(NoSound):
        read(film(tmp_path / "b.mp4")).sound()


def test_high_dynamic_range_becomes_standard(tmp_path: Path, said: list[str]) -> None:
    """Reference white of PQ (58 % of the code) and HLG (75 %) is light but not burnt out, and black is black."""

    def coded(level: float) -> int:
        return round(64 + 876 * level)

    for transfer, white in [(16, 0.58), (18, 0.75)]:

        def convert(frame: VideoFrame, white: float = white) -> VideoFrame:
            out = VideoFrame(64, 48, "yuv420p10le")
            luma = np.full((48, 64), coded(white), np.uint16)
            luma[:, :32] = coded(0)
            for plane, values in zip(out.planes, (luma, *[np.full((24, 32), 512, np.uint16)] * 2), strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            return out

        def tag(video: VideoStream, transfer: int = transfer) -> None:
            context = video.codec_context
            context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1

        path = film(
            tmp_path / f"hdr{transfer}.mp4", pixels="yuv420p10le", convert=convert, stream=tag, options={"crf": "4"}
        )
        frame = next(iter(read(path, warn=said.append)))
        assert frame[24, 8].max() <= 3
        assert 225 <= frame[24, 56].min() <= frame[24, 56].max() <= 252
    assert len(said) == 2 and "dynamic range" in said[0]


# What is not a film, or not a whole one


def test_missing_empty_folder_device(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path, error, words in [
        (tmp_path / "none.mp4", MissingFile, "does not exist"),
        (empty, UnreadableMedia, "is empty"),
        (tmp_path, UnreadableMedia, "is a folder"),
        (Path("/dev/zero"), UnreadableMedia, "not a regular file"),
        (Path("a\0b.mp4"), UnreadableMedia, "cannot be looked at"),
    ]:
        with pytest.raises(error, match=words):
            read(path)
        with pytest.raises(error, match=words):
            read_sound(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Dear diary,\nthis is no film.\n" * 40, "text that begins 'Dear diary,'"),
        (bytes(range(3, 256)) * 40, "begins with the bytes 03 04"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC"),
        (b"#EXTM3U\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n", "text"),
        (b"ffconcat version 1.0\nfile real.mp4\n", "text"),
    ],
)
def test_other_things_by_the_name_of_a_film(tmp_path: Path, content: bytes, words: str) -> None:
    """Playlists, which FFmpeg would follow to other files, are among them."""
    film(tmp_path / "real.mp4")
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    with pytest.raises(UnreadableMedia, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value) and caught.value.remedy


def test_names_that_ffmpeg_takes_for_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(film(tmp_path / "a.mp4"), tmp_path / "concat:12:30.mp4")
    monkeypatch.chdir(tmp_path)
    assert numbers(read("concat:12:30.mp4")) == list(range(10))


def test_sound_only(tmp_path: Path) -> None:
    from understudy.clip import write_sound

    with pytest.raises(NoPicture, match="sound only"):
        read(write_sound(tmp_path / "voice.wav", tone(1)))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm", ".avi", ".ts"])
def test_a_film_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, said: list[str], ending: str) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mjpeg"}.get(ending, "libx264")
    frames = list(np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3), dtype=np.uint8))
    muxing = {"movflags": "+faststart"} if ending == ".mp4" else {}
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    whole = film(tmp_path / f"whole{ending}", codec, pixels, frames=frames, muxing=muxing, options={"g": "5"})
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    got = list(read(cut, warn=said.append))
    assert 20 <= len(got) <= 40
    if ending != ".ts":  # which promises nothing
        assert [text for text in said if "breaks off" in text]


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_an_index_that_is_missing_is_an_error(tmp_path: Path, share: float) -> None:
    """An ordinary MP4 keeps its index at the end: cut short, it has none."""
    whole = film(tmp_path / "whole.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(UnreadableMedia, match=r"without a usable index|no frame of"):
        read(cut)


def test_an_index_without_frames_is_an_error(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", muxing={"movflags": "+faststart"})
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.index(b"mdat") + 6])
    with pytest.raises(UnreadableMedia, match="no frame of"):
        read(cut)


def test_a_film_of_no_length(tmp_path: Path) -> None:
    path = film(tmp_path / "nothing.mp4", muxing={"movflags": "+frag_keyframe+empty_moov"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moof") - 4])  # the header alone
    with pytest.raises(NoPicture, match="no frames"):
        read(path)


def test_damaged_frames_are_passed_over_and_counted(tmp_path: Path, said: list[str]) -> None:
    frames = list(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8))
    path = film(tmp_path / "a.mov", "png", "rgb24", frames=frames)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 30_000, 100):
        data[at] ^= 0x5A
    path.write_bytes(data)
    clip = read(path, warn=said.append)
    times = [time for time, _ in clip.timed()]
    assert 5 <= len(times) < 20
    assert times == sorted(times)
    assert [text for text in said if "could not be decoded" in text]
    count = len(said)
    list(clip)
    assert len(said) == count  # no sentence is said twice


@given(seed=st.integers(0, 10_000), ending=st.sampled_from([".mp4", ".mkv", ".avi", ".gif"]))
@settings(max_examples=40, deadline=None)
def test_any_damage_ends_in_frames_or_in_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ending: str
) -> None:
    chance = np.random.default_rng(seed)
    data = np.frombuffer(_intact(tmp_path_factory, ending), np.uint8).copy()
    at = chance.integers(0, len(data), chance.integers(1, 60))
    data[at] = chance.integers(0, 256, len(at))
    path = tmp_path_factory.mktemp("damaged") / f"d{ending}"
    path.write_bytes(data.tobytes()[: chance.integers(len(data) // 2, len(data))])
    try:
        for frame in read(path, warn=lambda text: None):
            assert frame.ndim == 3
    except MediaError as error:
        assert str(path) in str(error)


_KEPT: dict[str, bytes] = {}


def _intact(factory: pytest.TempPathFactory, ending: str) -> bytes:
    if ending not in _KEPT:
        path = factory.mktemp("intact") / f"i{ending}"
        codec, pixels = {".avi": ("mjpeg", "yuvj420p"), ".gif": ("gif", "rgb8")}.get(ending, ("libx264", "yuv420p"))
        muxing = {"movflags": "+faststart"} if ending == ".mp4" else {}
        film(path, codec, pixels, muxing=muxing)
        _KEPT[ending] = path.read_bytes()
    return _KEPT[ending]


def test_too_large_a_film_is_refused(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    with pytest.raises(TooLarge, match="64x48 pixels"):
        read(path, max_pixels=64 * 48 - 1)
    assert read(path, max_pixels=64 * 48).size == (64, 48)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    path.chmod(0)
    with pytest.raises(UnreadableMedia, match="permission"):
        read(path)


# Clips of other origin


def test_a_clip_of_made_frames() -> None:
    calls = []

    def make() -> Iterator[Picture]:
        calls.append(1)
        return made(3)

    clip = Clip.from_frames(make, 29.97, size=(64, 48))
    assert calls == []
    assert clip.fps == Fraction(30000, 1001) and clip.frames is None and not clip.has_sound
    assert [time for time, _ in clip.timed()] == [0, Fraction(1001, 30000), Fraction(2002, 30000)]
    assert numbers(clip) == [0, 1, 2] and len(calls) == 2
    assert Clip.from_frames(make, 25).size == (64, 48)
    with pytest.raises(NoPicture):
        Clip.from_frames(lambda: [], 25)


def test_an_endless_clip_is_a_stream() -> None:
    def forever() -> Iterator[Picture]:
        while True:
            yield numbered(7)

    frames = iter(Clip.from_frames(forever, 25))
    assert [number_of(next(frames)) for _ in range(3)] == [7, 7, 7]


def test_without_a_listener_python_warns(tmp_path: Path) -> None:
    def squeeze(video: VideoStream) -> None:
        video.codec_context.sample_aspect_ratio = Fraction(8)

    with pytest.warns(MediaWarning, match="not believed"):
        read(film(tmp_path / "s.mkv", stream=squeeze))


def test_upright_grows_the_squeezed_side() -> None:
    assert Upright((64, 48), Fraction(4, 3)).size == (85, 48)
    assert Upright((64, 48), Fraction(2, 3), Turn(transpose=True)).size == (72, 64)
