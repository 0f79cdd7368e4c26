"""From the film that has grown to the file that was asked for: packets copied, sound joined, the index put first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import av
import av.error
import av.filter
from av.container import InputContainer, OutputContainer
from av.filter.context import FilterContext
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.clip.coding import Coding
from understudy.clip.media import Warn, open_media, ticks
from understudy.clip.metadata import append_gif_comment, tags_of
from understudy.clip.partial import Clock
from understudy.clip.soundtrack import Soundtrack, Track

_Placed: TypeAlias = "tuple[Fraction, Packet[Any], Stream]"  # seconds, packet, where it goes
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
        refused = _copy(source, target, clock, until, track)
    if refused:
        warn(f"{refused} packets of the sound are damaged and are silent")


def _copy(source: InputContainer, target: OutputContainer, clock: Clock, until: Fraction, track: Track | None) -> int:
    """Picture and sound into one file, by time. Returns how many packets of sound the file refused."""
    film = source.streams.video[0]
    video = target.add_stream_from_template(film, opaque=True)
    video.codec_context.framerate = clock.fps
    counted = target.format.name == "avi"  # it has no times: frames are counted
    if counted:
        video.time_base = 1 / clock.fps
    pictures = ((time, packet, video) for time, packet in _pictures(source, film, clock, counted))
    sounds: Iterable[_Placed] = ()
    if track:
        voice = track.declare(target)
        sounds = ((time, packet, voice) for time, packet in track.packets(until))
    refused = 0
    for _, packet, stream in heapq.merge(pictures, sounds, key=lambda placed: placed[0]):
        packet.stream = stream
        try:
            target.mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError):
            if stream is video:
                raise
            refused += 1
    return refused


def _pictures(
    source: InputContainer, film: VideoStream, clock: Clock, counted: bool
) -> Iterator[tuple[Fraction, Packet[VideoStream]]]:
    for packet in source.demux(film):
        if packet.pts is None:
            continue
        time = packet.pts * clock.tick
        if counted:
            packet.pts = packet.dts = round(time * clock.fps)
            packet.time_base, packet.duration = 1 / clock.fps, 1
        yield time, packet


def _gif(grown: Path, out: Path, warn: Warn) -> None:
    """An animated GIF with one palette made for this film: a first pass counts its colours, a second uses them."""
    palette = _palette(grown)
    with open_media(grown) as source, av.open(str(out), "w", format="gif", options={"loop": "0"}) as target:
        film = source.streams.video[0]
        picture = target.add_stream("gif", rate=film.average_rate)
        assert isinstance(picture, VideoStream)
        picture.width, picture.height, picture.pix_fmt = film.width, film.height, "pal8"
        picture.codec_context.time_base = Fraction(1, 100)
        last, left_out = -_FASTEST_GIF, 0
        for frame in _painted(source.decode(film), film, palette):
            at = round((frame.pts or 0) * ticks(frame.time_base) * 100)
            if at - last < _FASTEST_GIF:
                left_out += 1
                continue
            frame.pts, frame.time_base, last = at, Fraction(1, 100), at
            target.mux(picture.encode(frame))
        target.mux(picture.encode(None))
    if left_out:
        warn(f"{left_out} frames are left out: browsers slow a GIF of more than 50 frames a second down")


def _palette(grown: Path) -> VideoFrame:
    """The 256 colours that suit a film best, as a picture of 16x16."""
    with open_media(grown) as source:
        film = source.streams.video[0]
        graph = av.filter.Graph()
        graph.link_nodes(
            _buffer(graph, film.width, film.height, _format(film), film),
            graph.add("palettegen", "reserve_transparent=0"),
            graph.add("buffersink"),
        ).configure()
        for frame in source.decode(film):
            graph.push(frame)
        graph.push(None)
        palette = graph.pull()
        assert isinstance(palette, VideoFrame)
        return palette


def _painted(frames: Iterable[VideoFrame], film: VideoStream, palette: VideoFrame) -> Iterator[VideoFrame]:
    """Frames in the colours of a palette, dithered where that helps; what does not move is left as it is."""
    graph = av.filter.Graph()
    pictures = _buffer(graph, film.width, film.height, _format(film), film)
    colours = _buffer(graph, palette.width, palette.height, palette.format.name, film)
    paint, sink = graph.add("paletteuse", "dither=sierra2_4a:diff_mode=rectangle"), graph.add("buffersink")
    pictures.link_to(paint, 0, 0)
    colours.link_to(paint, 0, 1)
    paint.link_to(sink)
    graph.configure()
    palette.pts = 0
    colours.push(palette)
    colours.push(None)
    for frame in chain(frames, (None,)):
        pictures.push(frame)
        yield from _ready(sink)


def _ready(sink: FilterContext) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, VideoFrame)
        yield frame


def _buffer(graph: av.filter.Graph, width: int, height: int, pixels: str, film: VideoStream) -> FilterContext:
    return graph.add_buffer(width=width, height=height, format=av.VideoFormat(pixels), time_base=ticks(film.time_base))


def _format(film: VideoStream) -> str:
    return film.codec_context.pix_fmt or "gbrp"
