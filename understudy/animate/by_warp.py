"""Drawing by `warp`: see `artist.Artist`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np

from understudy.animate.artist import Drawn, Way
from understudy.animate.choices import Choices
from understudy.animate.driving import Driving, open_driving
from understudy.clip import AnyPath, Warn
from understudy.face.portrait import Portrait
from understudy.face.pose import fit_pose
from understudy.face.rig import Rig
from understudy.generator.warp import Reference, Warp
from understudy.generator.warp.transfer import transfer
from understudy.models import Model
from understudy.motion.kinds import MESH
from understudy.motion.mesh import MotionMesh
from understudy.motion.retouch import Retouch

TRIED: Final = 4  # frames drawn at first, to know how long the rest will take


class Bending:
    """A portrait that is bent."""

    def __init__(self, warp: Warp, retouch: Retouch) -> None:
        self.warp, self.retouch = warp, retouch

    @property
    def portrait(self) -> Portrait:
        return self.warp.portrait

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.portrait.picture.shape[:2]
        return width, height

    @property
    def about(self) -> Mapping[str, str]:
        return {}

    @property
    def warnings(self) -> list[str]:
        return self.warp.warnings

    @property
    def expected(self) -> str:
        return ""

    def relent(self) -> None:
        """It needs hardly any."""

    def reference(self, motion: Iterable[MotionMesh]) -> Reference | None:
        return self.warp.reference(motion)

    def reference_at(self, chunk: MotionMesh, k: int, frame: int) -> Reference:
        return self.warp.reference_at(chunk, k, frame)

    def seconds(self, frames: int) -> float:
        return frames * seconds_a_frame(self.warp) if frames else 0.0

    def draw(
        self,
        motion: Iterable[MotionMesh],
        reference: Reference,
        *,
        crop: bool = False,
        done: int = 0,
        kept: Path | None = None,
        told: Callable[[float], None] = lambda frames: None,
    ) -> Generator[Drawn, None, None]:
        """Every frame depends on itself alone: what was drawn is left out, and nothing has to be kept."""
        times: deque[float] = deque()
        if not self.retouch.nothing:
            rig = Rig.fit(reference.shape)
            motion = (self.retouch.of(chunk, rig) for chunk in motion)

        def timed() -> Iterator[MotionMesh]:
            for chunk in after(self.warp, motion, reference, done):
                times.extend(chunk.times.tolist())
                yield chunk

        for frame in (self.warp.draw_crops if crop else self.warp.draw)(timed(), reference):
            yield times.popleft(), frame


def after(warp: Warp, motion: Iterable[MotionMesh], reference: Reference, frames: int) -> Iterator[MotionMesh]:
    """A motion without its first `frames`, which an earlier run has drawn; what was limited in them is counted."""
    for chunk in motion:
        if frames:
            known = chunk[:frames]
            warp.limited += transfer(warp.figure.shape, reference, known, warp.options.amounts).limited
        if frames < len(chunk):
            yield chunk[frames:]
        frames = max(frames - len(chunk), 0)


def seconds_a_frame(warp: Warp) -> float:
    """How long drawing takes, from letting the portrait perform itself for a few frames."""
    frames = TRIED + 1
    points = np.repeat(warp.portrait.face.points[None], frames, axis=0)
    itself = MotionMesh(
        times=np.arange(frames) / 25,
        points=points,
        pose=fit_pose(points),
        curves=np.zeros((frames, 0), np.float32),
        names=(),
        seen=np.ones(frames, bool),
        shots=np.zeros(frames, np.int32),
        rate=Fraction(25),
    )
    drawing = warp.draw([itself], warp.reference_at(itself, 0, 0))
    next(drawing)  # what is made once is made now
    begun = time.perf_counter()
    for _ in drawing:
        pass
    return (time.perf_counter() - begun) / TRIED


def opened(path: AnyPath, choices: Choices, warn: Warn) -> Driving[MotionMesh]:
    """The driver's mesh."""
    return open_driving(path, warn=warn)


def bending(model: Model, portrait: Portrait, choices: Choices, driving: Driving[Any] | None, cast: bool) -> Bending:
    """A portrait to be bent; what its file says of it does not matter."""
    return Bending(Warp(portrait, choices.options(driving is not None and driving.single)), choices.retouch)


WAY: Final = Way(MESH, opened, bending)
