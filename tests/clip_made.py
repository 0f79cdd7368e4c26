"""Media made on the fly for the tests of `understudy.clip`: small, and every frame says its own number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.clip import Picture, Sound

BITS = 6
RATE = 48000


def numbered(number: int, width: int = 64, height: int = 48) -> Picture:
    """A frame whose upper half says its number in six black or white fields, over a coloured slope."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(40, 200, width)
    picture[..., 1] = np.linspace(60, 180, height)[:, None]
    picture[..., 2] = 120
    for bit in range(BITS):
        picture[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 230 if number >> bit & 1 else 20
    return picture


def number_of(picture: Picture) -> int:
    """The number that a frame says."""
    height, width = picture.shape[:2]
    middles = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if picture[height // 4, x].mean() > 128)


def numbers(frames: Iterable[Picture]) -> list[int]:
    return [number_of(frame) for frame in frames]


def made(count: int, width: int = 64, height: int = 48) -> Iterator[Picture]:
    return (numbered(number, width, height) for number in range(count))


def film(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    frames: Sequence[npt.NDArray[Any]] | None = None,
    fps: Fraction = Fraction(25),
    times: Sequence[int] | None = None,
    tick: Fraction | None = None,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    convert: Callable[[VideoFrame], VideoFrame] | None = None,
    stream: Callable[[VideoStream], object] | None = None,
    sound: Sound | None = None,
    sound_codec: str = "aac",
    sound_late: Fraction = Fraction(0),
) -> Path:
    """A film file written with PyAV alone. `times` are in `tick`s, by default frame numbers; `stream` may set more."""
    frames = list(made(10)) if frames is None else frames
    tick = tick or 1 / fps
    with av.open(str(path), "w", options=muxing or {}) as container:
        video = container.add_stream(codec, rate=fps, options=options or {})
        assert isinstance(video, VideoStream)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt, video.codec_context.time_base = pixels, tick
        if stream:
            stream(video)
        voice: Any = None
        if sound is not None:
            voice = container.add_stream(sound_codec, rate=sound.rate, layout=LAYOUTS[sound.channels])
        for number, picture in enumerate(frames):
            kind = {2: "gray", 3: "rgb24", 4: "rgba"}[picture.ndim if picture.ndim == 2 else picture.shape[2]]
            frame = VideoFrame.from_ndarray(picture, kind)
            frame = convert(frame) if convert else frame.reformat(format=pixels)
            frame.pts, frame.time_base = (times[number] if times else number), tick
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for packet in _sounding(voice, sound, sound_late):
                container.mux(packet)
    return path


LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def _sounding(voice: Any, sound: Sound, late: Fraction) -> Iterator[Any]:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.samples.T), "fltp", LAYOUTS[sound.channels])
    frame.sample_rate, frame.time_base, frame.pts = sound.rate, Fraction(1, sound.rate), round(late * sound.rate)
    yield from voice.encode(frame)
    yield from voice.encode(None)


def clicks(times: Sequence[float], seconds: float, channels: int = 1, rate: int = RATE) -> Sound:
    """Silence with a short tone at each of some times."""
    samples = np.zeros((round(seconds * rate), channels), np.float32)
    tone = 0.8 * np.sin(2 * np.pi * 2000 * np.arange(round(0.005 * rate)) / rate)
    for time in times:
        at = round(time * rate)
        samples[at : at + len(tone)] = tone[: len(samples) - at, None]
    return Sound(samples, rate)


def click_times(sound: Sound) -> list[float]:
    """When the tones begin."""
    loud = np.flatnonzero(np.abs(sound.mono().samples[:, 0]) > 0.25)
    if not len(loud):
        return []
    fresh = np.concatenate([[True], np.diff(loud) > 0.05 * sound.rate])
    return [float(at / sound.rate) for at in loud[fresh]]


def tone(seconds: float, hertz: float = 440, channels: int = 1, rate: int = RATE) -> Sound:
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Sound(np.repeat(wave.astype(np.float32)[:, None], channels, axis=1), rate)


def psnr(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    error = np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
