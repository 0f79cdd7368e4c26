"""The first pass: the driver's motion, spooled beside the result, and the frame that all else is measured from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from understudy.ahead import ahead
from understudy.animate.artist import Artist, Frame
from understudy.animate.driving import Driving, Met
from understudy.clip.landing import beside, unwritable
from understudy.errors import BadMotionFile, BadOption, NoFace
from understudy.motion.file import MotionFile
from understudy.motion.kinds import Kind
from understudy.motion.motion import Motion

CHUNKS: Final = 2  # that wait between the face and the disk


M = TypeVar("M", bound=Motion)
R = TypeVar("R", bound=Frame)


class Spool(Generic[M]):
    """The driver's motion on the disk beside the result, until the result is whole. Read part by part, never mapped.

    `mark` names what it was made from and with what. A state file is put beside it when it is finished: that, with the
    same mark, is what another run can go on with."""

    def __init__(self, out: Path, mark: str, kind: Kind[Any]) -> None:
        self.kind = kind
        self.path, self.state = beside(out, ".motion"), beside(out, ".motion.json")
        self.mark = mark
        self._file: MotionFile[Any] | None = None

    def finished(self) -> list[str] | None:
        """What was said while an earlier run made it; None where there is nothing to go on with."""
        try:
            state = json.loads(self.state.read_text("utf-8"))
            if state["mark"] != self.mark or not self.path.exists():
                return None
            self._file = self._opened()
            return [str(text) for text in state["said"]] if len(self._file) == state["frames"] else None
        except (OSError, ValueError, LookupError, TypeError, BadMotionFile):
            return None

    def make(self, source: Driving[M], done: Callable[[int], None], said: list[str]) -> None:
        """Watch the driver; `done` is told how many frames are. What is `said` meanwhile is kept with the motion.

        Stopped halfway, nothing is left: what is half watched is watched again. Errors: `NoFace`, `Unwritable`."""
        self.discard()  # of a run that was killed halfway, or of another driver
        self._file = self._opened()
        try:
            with closing(ahead(source.chunks(), CHUNKS)) as chunks:
                for chunk in chunks:
                    self._file.append(chunk)
                    done(len(self._file))
            self._finish(said)
        except BaseException:
            self.discard()
            raise

    def chunks(self) -> Iterator[M]:
        """The motion from its beginning; one reader at a time."""
        assert self._file is not None  # made, or found finished
        return iter(self._file)

    def close(self) -> None:
        """Let go of it; it stays."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Remove it, as far as it is there and can be removed."""
        self.close()
        for path in (self.path, self.state):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _opened(self) -> MotionFile[Any]:
        return MotionFile(self.path, exact=True, spool=self.path, kind=self.kind)

    def _finish(self, said: list[str]) -> None:
        """Write the state in one step."""
        assert self._file is not None
        fresh = self.state.with_name(f"{self.state.name}.new")
        state = {"mark": self.mark, "frames": len(self._file), "said": said}
        try:
            fresh.write_text(json.dumps(state), "utf-8")
            os.replace(fresh, self.state)
        except OSError as error:
            raise unwritable(self.state, error) from error


def reference_in(motion: Iterable[M], artist: Artist[M, R], met: Met, asked: int | Literal["auto"], name: str) -> R:
    """The frame that counts as the portrait's own, from one pass over the whole motion, counted into `met`.

    Errors: `NoFace` where nobody is seen; `BadOption` for a frame that is not there, or shows no face."""
    chunks = met.along(motion)
    if asked == "auto":
        found = artist.reference(chunks)
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
            reference = artist.reference_at(chunk, asked - first, asked)
        first += len(chunk)
    if reference is None:
        raise BadOption(
            f"{name} has no frame {asked}", f"{first} frames", f"--reference-frame 0 to {first - 1}, or auto"
        )
    return reference
