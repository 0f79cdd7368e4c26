"""How a kind of file wants its pictures and its sound: codecs, pixel formats, colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from understudy.clip.colour import BT601, BT709, FULL, LIMITED, RGB
from understudy.errors import BadOption

THREADS = 4  # of one encoder, on every machine: what x264 writes depends on it, and a resumed film must not differ


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Everything that decides how a film's pictures and sound become packets."""

    container: str  # FFmpeg's name of the format
    codec: str
    pixels: str
    options: Mapping[str, str]
    matrix: int = BT709
    span: int = LIMITED
    even: bool = False  # whether width and height must be
    lossless: bool = False
    sounds: frozenset[str] = field(default=frozenset(), repr=False)  # copied as they are
    voice: str | None = None  # what other sound is encoded with; none: the file can have no sound

    @property
    def words(self) -> dict[str, str]:
        """The coding as text, for comparison: two films with the same words can be joined."""
        return {"codec": self.codec, "pixels": self.pixels, "options": str(sorted(self.options.items()))}


_MP4_SOUNDS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"})
_PCM = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"})
_MKV_SOUNDS = _MP4_SOUNDS | _PCM | {"vorbis", "dts", "truehd", "mp2", "wavpack", "tta", "pcm_u8"}

ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".gif")


def coding_of(path: Path, quality: int, lossless: bool) -> Coding:
    """The coding for a file by its name's ending. `quality` is x264's rate factor: 0 best, 16 looks like the original,
    23 small, 51 worst; other codecs' numbers follow from it. Errors: `BadOption`."""
    if not 0 <= quality <= 51:
        raise BadOption(f"quality {quality} is out of range", remedy="0 is best and largest, 51 worst; 16 is usual")
    ending = path.suffix.lower()
    if lossless:
        return _lossless(path, ending)
    match ending:
        case ".mp4" | ".m4v":
            return _h264("mp4", _MP4_SOUNDS, quality)
        case ".mov":
            return _h264("mov", frozenset({"aac", "mp3", "ac3", "eac3", "alac"}) | _PCM, quality)
        case ".mkv":
            return _h264("matroska", _MKV_SOUNDS, quality)
        case ".webm":
            return _vp9(quality)
        case ".avi":
            return _mjpeg(quality)
        case ".gif":
            return replace(_rgb("gif"), voice=None)
    raise BadOption(
        f"{path} cannot be written as a film", f"the ending {path.suffix!r}", f"end it in one of {', '.join(ENDINGS)}"
    )


def growing(coding: Coding) -> Coding:
    """The same pictures in the MP4 in which a film grows, whatever it will be."""
    return replace(coding, container="mp4", sounds=_MP4_SOUNDS, voice=coding.voice and "aac")


def _h264(container: str, sounds: frozenset[str], quality: int) -> Coding:
    # No B-frames: packets leave in the order of presentation, so that segments can be joined by laying them end to end.
    # No macroblock tree: on processors with AVX-512, one film in fifty came out otherwise the second time.
    options = {"preset": "veryfast", "crf": str(quality), "bf": "0", "g": "600", "mbtree": "0", "rc-lookahead": "0"}
    return Coding(
        container=container, codec="libx264", pixels="yuv420p", options=options, even=True, sounds=sounds, voice="aac"
    )


def _rgb(container: str) -> Coding:
    # H.264 predicts RGB as well, and decodes to the very same numbers.
    options = {"preset": "ultrafast", "qp": "0", "bf": "0", "g": "600"}
    return Coding(
        container=container, codec="libx264rgb", pixels="rgb24", options=options, matrix=RGB, span=FULL, lossless=True
    )


def _lossless(path: Path, ending: str) -> Coding:
    match ending:
        case ".mkv":
            return replace(_rgb("matroska"), sounds=_MKV_SOUNDS, voice="flac")
        case ".mp4" | ".m4v":
            return replace(_rgb("mp4"), sounds=_MP4_SOUNDS, voice="flac")
        case ".mov":
            return replace(_rgb("mov"), sounds=_PCM | {"aac", "mp3", "ac3", "eac3", "alac"}, voice="pcm_s16le")
    raise BadOption(f"{path} cannot hold a lossless film", f"the ending {ending!r}", "end it in .mkv, .mp4 or .mov")


def _vp9(quality: int) -> Coding:
    options = {
        "deadline": "realtime", "cpu-used": "7", "crf": str(round(quality * 63 / 51)), "b": "0", "g": "600",
        "lag-in-frames": "0", "auto-alt-ref": "0", "tile-columns": "2", "row-mt": "0",
    }  # fmt: skip
    sounds = frozenset({"opus", "vorbis"})
    return Coding(
        container="webm", codec="libvpx-vp9", pixels="yuv420p", options=options, sounds=sounds, voice="libopus"
    )


def _mjpeg(quality: int) -> Coding:
    # Every player of AVI plays Motion JPEG, and its colours need no tags, for which AVI has no place.
    scale = str(max(2, round(quality / 6)))
    return Coding(
        container="avi", codec="mjpeg", pixels="yuvj420p", options={"qmin": scale, "qmax": scale}, matrix=BT601,
        span=FULL, sounds=frozenset({"mp3", "ac3", "pcm_s16le"}), voice="pcm_s16le",
    )  # fmt: skip
