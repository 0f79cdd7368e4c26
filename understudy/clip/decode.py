"""The frames of a film file, in order, with their times; what is damaged is passed over and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.error
import av.filter
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from understudy.clip.clip import STILL_RATE, usual_rates
from understudy.clip.media import MAX_PIXELS, decodable, fraction, open_media, ticks
from understudy.errors import NoPicture, UnreadableMedia

_SAMPLED = 5000  # timestamps by which the rhythm of a film is judged, where its index lists them
_SAMPLED_BLIND = 300  # where it has none, and packets must be read


@dataclass
class Damage:
    """What could not be read while a film was."""

    packets: int = 0
    broken_off: str = ""


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The film's moving picture; not the cover of an album. Errors: `NoPicture`, `UnreadableMedia`."""
    films = [
        stream
        for stream in container.streams.video
        if decodable(stream) and not stream.disposition & Disposition.attached_pic
    ]
    if films:
        return max(films, key=lambda film: (bool(film.disposition & Disposition.default), film.width * film.height))
    if container.streams.audio:
        raise NoPicture(f"{path} has no picture", "sound only", "give a film or a picture here")
    raise UnreadableMedia(f"{path} holds nothing that can be shown", f"a file of the kind {container.format.long_name}")


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """What decodes a stream. FFmpeg's own VP9 decoder leaves transparency out; libvpx does not."""
    decoder = stream.codec_context
    if decoder.name == "vp9" and stream.metadata.get("alpha_mode") == "1" and "libvpx-vp9" in av.codecs_available:
        decoder = av.CodecContext.create("libvpx-vp9", "r")
    decoder.thread_type = "AUTO"
    decoder.options = {"max_pixels": str(MAX_PIXELS)}  # a film may begin small, and grow
    return decoder


def decoded(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Every frame that can be decoded, in order of presentation."""
    decoder = decoder_of(stream)
    for packet in packets_of(container, stream, damage):
        try:
            frames = decoder.decode(packet if packet.size else None)
        except av.error.FFmpegError:
            damage.packets += 1
            continue
        for frame in frames:
            if fraction(frame.time_base) is None:  # PyAV forgets it where the decoder gives up its last frames
                frame.time_base = ticks(stream.time_base)
            yield frame


def packets_of(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[Packet[VideoStream]]:
    """Every packet of one stream; a file that breaks off ends there. An empty last one tells the decoder to finish."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError) as error:
            damage.broken_off = str(error)
            return
        if packet is None:
            return
        yield packet


def progressive(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Interlaced frames with their two halves joined to one moment (bwdif); all others as they are."""
    graph: Deinterlacer | None = None
    for frame in frames:
        if graph is not None and not graph.fits(frame):
            yield from graph.rest()
            graph = None
        if graph is None and frame.interlaced_frame:
            graph = Deinterlacer(frame)
        if graph is None:
            yield frame
        else:
            yield from graph.take(frame)
    if graph is not None:
        yield from graph.rest()


class Deinterlacer:
    """FFmpeg's bwdif filter, for frames of one size and format."""

    def __init__(self, frame: VideoFrame) -> None:
        self._kind = (frame.width, frame.height, frame.format.name)
        self._graph = av.filter.Graph()
        tick = ticks(frame.time_base)
        source = self._graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=tick)
        self._graph.link_nodes(
            source, self._graph.add("bwdif", "mode=send_frame:deint=interlaced"), self._graph.add("buffersink")
        ).configure()

    def fits(self, frame: VideoFrame) -> bool:
        return self._kind == (frame.width, frame.height, frame.format.name)

    def take(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        self._graph.push(frame)
        yield from self._ready()

    def rest(self) -> Iterator[VideoFrame]:
        self._graph.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, VideoFrame)
            yield frame


@dataclass(frozen=True)
class Rhythm:
    """How the frames of a film follow each other."""

    fps: Fraction
    variable: bool = False
    counted: bool = False  # timestamps are of no use; frames are counted


def rhythm_of(path: Path, limit: Fraction | None) -> Rhythm:
    """The rhythm of a film file, judged by its index, or by its first 300 packets where it has none.

    Timestamps `limit` seconds after the first are damaged."""
    with open_media(path) as container:
        stream = picture_stream(container, path)
        declared = [fraction(stream.guessed_rate), fraction(stream.average_rate)]
        tick = ticks(stream.time_base)
        reordered = bool(stream.codec_context.has_b_frames)
        stamps = [entry.timestamp for entry in islice(stream.index_entries, _SAMPLED)]
        if reordered or len(stamps) < min(_SAMPLED, stream.frames or _SAMPLED):  # an index lists times of decoding
            sample = islice(packets_of(container, stream, Damage()), _SAMPLED_BLIND)
            stamps = [packet.pts for packet in sample if packet.pts is not None]
        # AVI has no times of presentation: where frames are reordered its timestamps are in the wrong order.
        counted = container.format.name == "avi" and reordered
    if limit is not None and stamps:
        end = min(stamps) + limit / tick
        stamps = [stamp for stamp in stamps if stamp < end]
    return rhythm(stamps, tick, [rate for rate in declared if rate], counted)


def rhythm(stamps: Sequence[int], tick: Fraction, declared: Sequence[Fraction], counted: bool = False) -> Rhythm:
    """The simplest rate that explains every timestamp to within one tick of the clock; without one, it is variable."""
    if len(stamps) < 2 or counted:
        return Rhythm(declared[0] if declared else STILL_RATE, counted=counted)
    at = np.sort(np.asarray(stamps, np.float64))
    at -= at[0]
    if not at[-1]:
        return Rhythm(declared[0] if declared else STILL_RATE)
    mean = Fraction(len(at) - 1) / (Fraction(int(at[-1])) * tick)
    step = Fraction(max(1, round(float(np.median(np.diff(at)))))) * tick
    for rate in (*declared, *usual_rates(mean), 1 / step):
        if rate > 0 and _explains(rate, at, tick):
            return Rhythm(rate)
    return Rhythm(mean.limit_denominator(1001), variable=True)


def _explains(rate: Fraction, at: np.ndarray[tuple[int], np.dtype[np.float64]], tick: Fraction) -> bool:
    """Whether timestamps `at` (in ticks) are the frames of a constant rate, up to the rounding of a coarse clock."""
    frame = float(1 / (rate * tick))  # ticks
    return bool(np.abs(at - frame * np.arange(len(at))).max() <= min(1.0, frame / 4) + 1e-6)


def times_of(
    frames: Iterable[VideoFrame], rhythm: Rhythm, limit: Fraction | None = None
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Frames with seconds since the first one, growing.

    At a constant rate times are exact multiples of a frame, although the file may have rounded them to milliseconds.
    A frame whose timestamp is missing, goes back, or lies beyond `limit` follows the last one at the film's rate."""
    first: int | None = None
    last = -1 / rhythm.fps
    for frame in frames:
        time = last + 1 / rhythm.fps
        if frame.pts is not None and not rhythm.counted:
            first = frame.pts if first is None else first
            tick = ticks(frame.time_base)
            told = (frame.pts - first) * tick
            grid = round(told * rhythm.fps) / rhythm.fps
            told = grid if not rhythm.variable and abs(told - grid) <= tick else told
            time = told if told > last and (limit is None or told < limit) else time
        yield time, frame
        last = time
