"""From the film that has grown to the file that was asked for: packets are copied, its sound joined, its index put first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.clip.coding import Coding
from understudy.clip.media import Warn, open_media, ticks
from understudy.clip.metadata import append_gif_comment, tags_of
from understudy.clip.partial import Clock
from understudy.clip.soundtrack import Soundtrack, Track

_FASTEST_GIF = 2  # hundredths of a second a frame: faster ones are shown ten times slower by browsers


def finish(
    grown: Path, out: Path, coding: Coding, clock: Clock, until: Fraction, sound: Soundtrack | None,
    metadata: Mapping[str, str], warn: Warn,
) -> None:  # fmt: skip
    """Make `out` of the grown film, which lasts `until` seconds. Errors of the disk are PyAV's and Python's own."""
    if coding.container == "gif":
        _gif(grown, out, warn)
        append_gif_comment(out, metadata)
        return
    options = {}
    if coding.container in ("mp4", "mov"):
        options = {"movflags": "+faststart+use_metadata_tags", "video_track_timescale": str(clock.tick.denominator)}
    with ExitStack() as stack:
        source = stack.enter_context(open_media(grown))
        track = stack.enter_context(sound.opened()) if sound else None
        target = stack.enter_context(av.open(str(out), "w", format=coding.container, options=options))
        target.metadata.update(tags_of(metadata))
        _copy(source, target, clock, until, track)


def _copy(source: InputContainer, target: OutputContainer, clock: Clock, until: Fraction, track: Track | None) -> None:
    """Picture and sound into one file, by time."""
    film = source.streams.video[0]
    video = target.add_stream_from_template(film, opaque=True)
    video.codec_context.framerate = clock.fps
    grid = 1 / clock.fps if target.format.name == "avi" else None  # AVI counts frames
    if grid:
        video.time_base = grid
    voice = track.declare(target) if track else None
    pictures = _pictures(source, film, clock, grid)
    sounds = track.packets(until) if track else iter(())
    for start, packet in heapq.merge(pictures, sounds, key=lambda timed: timed[0]):
        if isinstance(packet.stream, VideoStream) or voice is None:
            packet.stream = video
        else:
            packet.stream = voice
        target.mux(packet)
