"""The first pass: the driver's motion, spooled beside the result, and the frame that all else is measured from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from understudy.ahead import ahead
from understudy.animate.driving import Driving, Met
from understudy.errors import BadMotionFile, BadOption, NoFace
from understudy.generator.warp import Reference, Warp
from understudy.motion import file as motion_file
from understudy.motion.mesh import MotionMesh

CHUNKS: Final = 2  # that wait between the face and the disk
MARK: Final = "watched"  # in the provenance of a spool: what it was made from, with what
WARNINGS: Final = "warnings"


@dataclass(frozen=True)
class Spool:
    """A finished motion file beside the result; it lives until the result is whole."""

    path: Path
    mark: str

    def chunks(self) -> Iterator[MotionMesh]:
        """The motion from its beginning."""
        return motion_file.read(self.path)

    @property
    def warnings(self) -> list[str] | None:
        """What was said while it was made; None where there is no finished spool with this mark."""
        if not self.path.exists():
            return None
        try:
            about = motion_file.read_header(self.path).provenance
        except BadMotionFile:
            return None
        if about.get(MARK) != self.mark:
            return None
        return [str(text) for text in json.loads(about.get(WARNINGS, "[]"))]

    def make(self, source: Driving, done: Callable[[int], None], said: list[str]) -> None:
        """Watch the driver; `done` is told how many frames are. What is `said` meanwhile is kept with the motion.

        Stopped halfway, nothing is left: what is half watched is watched again."""
        with motion_file.MotionFile(self.path, exact=True, spool=self.path.with_suffix(".spool")) as growing:
            try:
                if len(growing):  # of a run that was killed; perhaps of another film
                    growing.discard()
                    return self.make(source, done, said)
                with closing(ahead(source.chunks({MARK: self.mark}), CHUNKS)) as chunks:
                    for chunk in chunks:
                        growing.append(chunk)
                        done(len(growing))
                assert growing.header is not None  # a driver without a face has raised NoFace
                kept = growing.header.provenance | {WARNINGS: json.dumps(said)}
                growing.header = replace(growing.header, provenance=kept)
                growing.finish(overwrite=True)
            except BaseException:
                growing.discard()
                raise

    def discard(self) -> None:
        """Remove it, if it is there and can be removed."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def reference_in(
    motion: Iterable[MotionMesh], warp: Warp, met: Met, asked: int | Literal["auto"], name: str
) -> Reference:
    """The frame that counts as the portrait's own, from one pass over the whole motion, counted into `met`.

    Errors: `NoFace` where nobody is seen; `BadOption` for a frame that is not there, or shows no face."""
    chunks = met.along(motion)
    if asked == "auto":
        found = warp.reference(chunks)
        for _ in chunks:
            pass
        if found is None:
            raise NoFace(f"{name} shows no face", f"{met.frames} frames without one", "another driver")
        return found
    reference, first = None, 0
    for chunk in chunks:
        if first <= asked < first + len(chunk):
            if not chunk.seen[asked - first]:
                raise BadOption(
                    f"frame {asked} of {name} shows no face", remedy="--reference-frame auto, or another frame"
                )
            reference = warp.reference_at(chunk, asked - first, asked)
        first += len(chunk)
    if reference is None:
        raise BadOption(
            f"{name} has no frame {asked}", f"{first} frames", f"--reference-frame 0 to {first - 1}, or auto"
        )
    return reference
