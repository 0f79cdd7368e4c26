"""What drives: a film, a picture, or motion that was kept; all become a stream of motion chunks.

`open_driving` follows a driver's mesh. `open_frames` takes the driver's pictures, as they are (direct) or played by one
of the cast (bridge).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from understudy.ahead import ahead
from understudy.clip import AnyPath, Clip, Warn, read
from understudy.clip.media import existing
from understudy.errors import WrongMotion
from understudy.motion.file import read as motion_parts
from understudy.motion.file import read_frames as picture_parts
from understudy.motion.file import read_header
from understudy.motion.frames import MotionFrames
from understudy.motion.kinds import FRAMES, MESH
from understudy.motion.livelink import livelink_chunks
from understudy.motion.mesh import MotionMesh
from understudy.motion.motion import Motion
from understudy.motion.read import read_frames, read_mesh

DECODED: Final = 4  # frames that wait between the decoder and the face
SHOWN: Final = 4  # moments that a warning names

M = TypeVar("M")
A = TypeVar("A", bound=Motion)
Bridging = Literal["direct", "bridge"]


@dataclass(frozen=True, kw_only=True)
class Driving(Generic[M]):
    """A performance that can be watched as often as one likes."""

    path: Path
    fps: Fraction
    frames: int | None  # what the file promises
    still: bool  # a picture
    sounds: bool
    kept: bool  # motion from a file: nothing has to be watched
    chunks: Callable[[], Iterator[M]] = field(repr=False)
    driver: Bridging | None = None  # how pictures of the driver are come by, where pictures are followed
    rest: M | None = field(default=None, repr=False)  # one frame at rest, where it is known: motion is measured from it
    mark: str = ""  # what the motion depends on besides the file
    in_place: bool = False  # expressions take the place of the portrait's own; its head moves from its own pose
    live: bool = False  # it comes once, while the file is still growing: nothing of it can be watched before

    def __iter__(self) -> Iterator[M]:
        """The motion from its beginning."""
        return self.chunks()

    @property
    def single(self) -> bool:
        """One frame, whatever kind of file it is in."""
        return self.still or self.frames == 1


def open_driving(path: AnyPath, *, warn: Warn) -> Driving[MotionMesh]:
    """By what the file is: a motion file, Live Link Face CSV, a picture, or else a film.

    Errors: those of reading each, before anything is watched."""
    path = existing(path)
    if path.suffix.lower() == ".safetensors":
        header = read_header(path)
        if header.kind != MESH.name:
            next(motion_parts(path))  # which says what is wrong
        return kept(path, header.rate, len(header), lambda: motion_parts(path))
    if path.suffix.lower() == ".csv":
        first = next(livelink_chunks(path, warn=warn))
        return kept(path, first.rate, None, lambda: livelink_chunks(path, warn=_silently))
    clip = read(path, warn=warn)
    return Driving(
        path=path,
        fps=clip.fps,
        frames=clip.frames,
        still=clip.still,
        sounds=clip.has_sound,
        kept=False,
        chunks=lambda: watched(clip, path.name),
    )


def open_frames(
    path: AnyPath, *, driver: Bridging | None, warn: Warn, which: int | None = None
) -> Driving[MotionFrames]:
    """Pictures of the driver, from a film, a picture, or a motion file of them; by the bridge also from a mesh.

    Without `driver`: direct where there are pictures of the driver, and the bridge for a mesh, which has none.
    Errors: those of reading each; `WrongMotion` for a mesh, direct, and for pictures, by the bridge."""
    path = existing(path)
    if path.suffix.lower() == ".safetensors" and read_header(path).kind == FRAMES.name:
        if driver == "bridge":
            next(motion_parts(path))  # which says what is wrong
        header = read_header(path)
        return replace(kept(path, header.rate, len(header), lambda: picture_parts(path)), driver="direct")
    if path.suffix.lower() in (".safetensors", ".csv"):
        if driver == "direct":
            raise WrongMotion(
                f"{path} has no pictures of the driver", "a mesh or curves", "--driver bridge, or the film itself"
            )
        return bridged(open_driving(path, warn=warn))
    if driver == "bridge":
        return bridged(open_driving(path, warn=warn))
    clip = read(path, warn=warn)
    return Driving(
        path=path,
        fps=clip.fps,
        frames=clip.frames,
        still=clip.still,
        sounds=clip.has_sound,
        kept=False,
        chunks=lambda: pictured(clip, path.name, which),
        driver="direct",
    )


def pictured(
    clip: Clip, name: str, which: int | None = None, provenance: Mapping[str, str] | None = None
) -> Iterator[MotionFrames]:
    """The driver's pictures in a clip, decoded by one thread while another looks for the face."""
    about = {"source": name, **(provenance or {})}
    return read_frames(ahead(clip.timed(), DECODED), clip.fps, which=which, name=name, provenance=about)


def bridged(source: Driving[MotionMesh]) -> Driving[MotionFrames]:
    """A driver played by one of the cast."""

    def played() -> Iterator[MotionFrames]:
        from understudy.motion.standing import played_by_the_cast

        return played_by_the_cast(source.chunks())

    return Driving(
        path=source.path,
        fps=source.fps,
        frames=source.frames,
        still=source.still,
        sounds=source.sounds,
        kept=False,  # drawn once, not twice
        chunks=played,
        driver="bridge",
        mark=source.mark,
    )


def watched(
    clip: Clip, name: str, which: int | None = None, provenance: Mapping[str, str] | None = None
) -> Iterator[MotionMesh]:
    """The motion in a clip, decoded by one thread while another looks for the face."""
    about = {"source": name, **(provenance or {})}
    return read_mesh(ahead(clip.timed(), DECODED), clip.fps, which=which, name=name, provenance=about)


def kept(path: Path, fps: Fraction, frames: int | None, chunks: Callable[[], Iterator[M]]) -> Driving[M]:
    """A performance from a file, which need not be watched."""
    return Driving(path=path, fps=fps, frames=frames, still=False, sounds=False, kept=True, chunks=chunks)


def _silently(text: str) -> None:
    """For what was said before."""


@dataclass
class Met:
    """What was met in a motion, counted as it goes by."""

    frames: int = 0
    unseen: int = 0
    gaps: list[tuple[float, float]] = field(default_factory=list)  # seconds, first and last frame without a face
    cuts: list[float] = field(default_factory=list)  # seconds

    def along(self, motion: Iterable[A]) -> Iterator[A]:
        """The same chunks."""
        shot, gone = None, False
        for chunk in motion:
            for when, seen, now in zip(chunk.times.tolist(), chunk.seen.tolist(), chunk.shots.tolist(), strict=True):
                if shot is not None and now != shot:
                    self.cuts.append(when)
                if not seen:
                    start = self.gaps.pop()[0] if gone else when
                    self.gaps.append((start, when))
                shot, gone = now, not seen
                self.unseen += not seen
                self.frames += 1
            yield chunk

    def warnings(self, name: str) -> list[str]:
        """Sentences about it, for the person."""
        said = []
        if self.gaps:
            spans = [f"{first:.1f}" if first == last else f"{first:.1f} to {last:.1f}" for first, last in self.gaps]
            said.append(
                f"{name} shows no face in {self.unseen} of {self.frames} frames (at {_few(spans)} s); "
                "there the last expression is held"
            )
        if self.cuts:
            cuts = "cut once" if len(self.cuts) == 1 else f"cut {len(self.cuts)} times"
            said.append(
                f"{name} is {cuts} (at {_few([f'{when:.1f}' for when in self.cuts])} s); "
                "every shot is judged against the same frame, so the head may jump there"
            )
        return said


def _few(words: list[str]) -> str:
    more = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {more} more" if more > 0 else "")
