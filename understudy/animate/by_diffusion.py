"""Drawing by diffusion, from a driver's pictures: see `artist.Artist`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from understudy.animate.aligning import AS_IT_IS, Matched, best_frame, cues, map_of, matched_at
from understudy.animate.artist import Way
from understudy.animate.choices import Choices
from understudy.animate.driving import Driving, open_frames
from understudy.animate.imagined import Imagined, made, tensor_of
from understudy.clip import AnyPath, Warn
from understudy.face.portrait import Portrait
from understudy.generator.generator import Cues
from understudy.models import Model
from understudy.motion.frames import MotionFrames
from understudy.motion.kinds import FRAMES


class Imagining(Imagined[MotionFrames, Matched]):
    """A portrait that is imagined anew in every frame, from what the driver looks like."""

    def reference(self, motion: Iterable[MotionFrames]) -> Matched | None:
        if self.aligns:
            return best_frame(motion, self.points)
        return AS_IT_IS if any(chunk.seen.any() for chunk in motion) else None

    def reference_at(self, chunk: MotionFrames, k: int, frame: int) -> Matched:
        return matched_at(chunk, k, frame)

    def cues(self, motion: Iterable[MotionFrames], reference: Matched) -> Iterator[Cues]:
        return cues(motion, map_of(reference, self.points, self.side), self.side)

    def trial(self, frames: int) -> Cues:
        hint = tensor_of(self.own)[None].expand(frames, -1, -1, -1)
        return Cues(tuple(hint for _ in self.known.generator.config.controls))


def opened(path: AnyPath, choices: Choices, warn: Warn) -> Driving[MotionFrames]:
    """The driver's pictures."""
    return open_frames(path, driver=choices.driver, warn=warn)


def imagining(
    model: Model, portrait: Portrait, choices: Choices, driving: Driving[Any] | None, cast: bool
) -> Imagining:
    """A portrait to be imagined. Errors: those of `trained`, and of `device.choose`."""
    known, manner, plan = made(model, choices)
    return Imagining(model, known, portrait, manner, choices, cast, plan)


WAY: Final = Way(FRAMES, opened, imagining)
