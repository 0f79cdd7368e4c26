"""Sound: any file, any rate; what is heard when; resampling without shift; what does not sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clip_made import RATE, click_times, clicks, film, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.clip import Sound, read_sound, write_sound
from understudy.clip.sound import resampled
from understudy.errors import BadOption, Exists, MissingFile, NoSound, TooLarge, UnreadableMedia, Unwritable

LOSSLESS = (".wav", ".flac")


@pytest.mark.parametrize("ending", [".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_kind_of_file(tmp_path: Path, ending: str, channels: int) -> None:
    """Tones begin when they did; lossless files keep every sample to 16 bits."""
    sound = clicks([0.0, 0.25, 0.9], 1.1, channels)
    path = write_sound(tmp_path / f"s{ending}", sound)
    back = read_sound(path)
    assert (back.rate, back.channels) == (RATE, channels)
    assert back.samples.dtype == np.float32 and np.abs(back.samples).max() <= 1
    assert click_times(back) == pytest.approx([0.0, 0.25, 0.9], abs=0.002)
    assert back.seconds == pytest.approx(1.1, abs=0.03)
    if ending in LOSSLESS:
        assert np.abs(back.samples - sound.samples).max() <= 1 / 32767
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("ending", [".wav", ".m4a", ".mp3", ".opus"])
def test_every_rate(tmp_path: Path, rate: int, ending: str) -> None:
    """An encoder that does not know a rate gets the next higher one, and that is said."""
    said: list[str] = []
    back = read_sound(write_sound(tmp_path / f"s{ending}", tone(0.5, rate=rate), warn=said.append))
    assert back.rate >= min(rate, 44100)
    if ending != ".opus":  # which is decoded at 48 kHz whatever it was
        assert bool(said) == (back.rate != rate)
    assert back.seconds == pytest.approx(0.5, abs=0.03 + 1024 / back.rate)  # a packet of AAC has 1024 samples
    assert pitch(back) == pytest.approx(440, abs=6)


def pitch(sound: Sound) -> float:
    """The strongest frequency in the middle of a sound."""
    wave = sound.mono().samples[len(sound.samples) // 4 : 3 * len(sound.samples) // 4, 0]
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(np.argmax(spectrum) * sound.rate / len(wave))


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_mulaw"]
)
def test_every_kind_of_sample(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "s.wav"
    wave = tone(0.2, rate=16000)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave.samples.T), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    coarse = {"pcm_u8": 1 / 100, "pcm_mulaw": 1 / 40}.get(codec, 1 / 30000)
    assert np.abs(read_sound(path).samples - wave.samples).max() < coarse


def test_many_channels(tmp_path: Path) -> None:
    sound = Sound(np.concatenate([tone(0.2, 200.0 * (n + 1)).samples for n in range(6)], axis=1), RATE)
    back = read_sound(write_sound(tmp_path / "six.wav", sound))
    assert np.abs(back.samples - sound.samples).max() <= 1 / 32767
    assert back.mono().channels == 1
    assert read_sound(tmp_path / "six.wav", mono=True).channels == 1


@given(
    rate=st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    new=st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000]),
    count=st.integers(1, 70_000),
    channels=st.sampled_from([1, 2, 3, 6, 9]),
)
@settings(max_examples=40, deadline=None)
def test_resampling_keeps_length_and_channels(rate: int, new: int, count: int, channels: int) -> None:
    sound = Sound(np.full((count, channels), 0.25, np.float32), rate)
    other = sound.resample(new)
    assert (other.rate, other.channels, len(other.samples)) == (new, channels, round(count * Fraction(new, rate)))
    if count > 4000:
        middle = other.samples[len(other.samples) // 4 : -len(other.samples) // 4]
        assert np.abs(middle - 0.25).max() < 1e-3


@pytest.mark.parametrize("new", [8000, 16000, 24000, 44100])
def test_resampling_does_not_shift(new: int) -> None:
    """A slow wave at another rate is the same wave at the same times."""
    other = tone(1, 100).resample(new)
    wanted = 0.3 * np.sin(2 * np.pi * 100 * np.arange(new) / new)
    assert np.abs(other.samples[200:-200, 0] - wanted[200:-200]).max() < 2e-3


def test_resampling_filters_what_the_new_rate_cannot_hold() -> None:
    other = tone(1, 11_000).resample(16_000)
    assert np.abs(other.samples[500:-500]).max() < 0.01


def test_resampling_in_chunks_is_resampling_whole() -> None:
    wave = tone(2, 300).samples
    whole = np.concatenate(list(resampled([wave], RATE, 16000)))
    parts = np.concatenate(list(resampled(np.array_split(wave, 17), RATE, 16000)))
    assert np.abs(whole - parts).max() < 1e-6


def test_rate_and_mono_while_reading(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "s.wav", tone(1, channels=2))
    voice = read_sound(path, rate=16000, mono=True)
    assert (voice.rate, voice.channels) == (16000, 1)
    assert len(voice.samples) == pytest.approx(16000, abs=2)
    assert np.abs(voice.samples[200:15000] - tone(1).resample(16000).samples[200:15000]).max() < 1e-3


def test_a_sound_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="float32"):
        Sound(np.zeros((4, 1)), 48000)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(n, channels\)"):
        Sound(np.zeros(4, np.float32), 48000)
    with pytest.raises(ValueError, match="rate"):
        Sound(np.zeros((4, 1), np.float32), 0)
    assert repr(tone(1, channels=2)) == "Sound(1.000 s, 2 channels, 48000 Hz)"


# The sound of a film begins with its picture


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("late", [Fraction(0), Fraction(1, 2), Fraction(-1, 5)])
def test_sound_that_begins_late_or_early(tmp_path: Path, ending: str, late: Fraction) -> None:
    if late < 0 and ending == ".mkv":
        pytest.skip("Matroska would shift the picture instead")
    heard = clicks([0.3, 0.6], 1.0)
    path = film(tmp_path / f"f{ending}", frames=[np.zeros((48, 64, 3), np.uint8)] * 40, sound=heard, sound_late=late)
    assert click_times(read_sound(path)) == pytest.approx([0.3 + late, 0.6 + late], abs=0.003)


def test_picture_that_begins_late(tmp_path: Path) -> None:
    """Cut out of a longer film, picture and sound both begin far from zero."""
    frames = [np.zeros((48, 64, 3), np.uint8)] * 25
    path = film(
        tmp_path / "f.mkv",
        frames=frames,
        times=list(range(250, 275)),
        sound=clicks([0.3], 1.0),
        sound_late=Fraction(10),
    )
    assert click_times(read_sound(path)) == pytest.approx([0.3], abs=0.003)


def test_gaps_are_silence(tmp_path: Path) -> None:
    """A recorder that lost half a second of sound leaves a gap in the timestamps."""
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for start in (0.0, 1.0):
            sound = clicks([0.2], 0.5)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.samples.T), "fltp", "mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), round(start * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert click_times(read_sound(path)) == pytest.approx([0.2, 1.2], abs=0.003)


def test_damage_is_said_and_stays_in_its_place(tmp_path: Path) -> None:
    said: list[str] = []
    path = write_sound(tmp_path / "s.mp3", clicks([0.2, 3.8], 4.0))
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    back = read_sound(path, warn=said.append)
    assert click_times(back)[0] == pytest.approx(0.2, abs=0.003)
    assert 2 < back.seconds < 4.2


# What does not sound


def test_what_has_no_sound(tmp_path: Path) -> None:
    with pytest.raises(NoSound, match="pictures only"):
        read_sound(film(tmp_path / "silent.mp4"))
    with pytest.raises(MissingFile):
        read_sound(tmp_path / "none.wav")
    (tmp_path / "text.wav").write_text("hello, hello")
    with pytest.raises(UnreadableMedia, match="text that begins 'hello, hello'"):
        read_sound(tmp_path / "text.wav")


def test_an_empty_sound_track(tmp_path: Path) -> None:
    with pytest.raises(NoSound, match="without samples"):
        write_sound(tmp_path / "empty.wav", Sound(np.zeros((0, 1), np.float32), RATE))
    path = write_sound(tmp_path / "cut.wav", tone(1))
    path.write_bytes(path.read_bytes()[:78])  # the header alone
    with pytest.raises((NoSound, UnreadableMedia), match="cut"):
        read_sound(path)


def test_too_much_sound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.clip.sound.MAX_BYTES", 100_000)
    path = write_sound(tmp_path / "s.wav", tone(2))
    with pytest.raises(TooLarge, match="too long"):
        read_sound(path)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"ending '\.xyz'"):
        write_sound(tmp_path / "s.xyz", tone(0.1))
    with pytest.raises(Unwritable, match="folder does not exist"):
        write_sound(tmp_path / "none" / "s.wav", tone(0.1))
    write_sound(tmp_path / "s.wav", tone(0.1))
    with pytest.raises(Exists):
        write_sound(tmp_path / "s.wav", tone(0.2))
    assert write_sound(tmp_path / "s.wav", tone(0.2), overwrite=True).exists()
    assert read_sound(tmp_path / "s.wav").seconds == pytest.approx(0.2)
