"""`warp`: a photo performs by being bent. No weights, no download, real time on a laptop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from understudy.errors import WrongMotion
from understudy.face.mesh import Floats
from understudy.face.neutral import neutral_shape
from understudy.face.person import person
from understudy.face.portrait import Portrait
from understudy.face.rig import Rig
from understudy.generator.warp.draw import Target, draw
from understudy.generator.warp.figure import Figure
from understudy.generator.warp.transfer import Amounts, Reference, Shape, best_frame, reference_at, transfer
from understudy.motion.mesh import Bytes, MotionMesh


@dataclass(frozen=True, kw_only=True)
class WarpOptions:
    """What a person may choose."""

    amounts: Amounts = field(default_factory=Amounts)
    relative: bool = True  # to the driver's best-matching frame; else the driver's face replaces the portrait's
    mouth: Literal["own", "driver"] = "driver"


class Warp:
    """Draws one portrait from any number of motions. Every frame depends on the portrait, the reference and its own
    motion alone, so it may start anywhere."""

    def __init__(self, portrait: Portrait, options: WarpOptions | None = None) -> None:
        self.portrait = portrait
        self.options = options or WarpOptions()
        crop = portrait.crop.cut(portrait.picture)
        points = portrait.crop.to_frame(portrait.face.points)
        self.figure = Figure.of(crop, points, person(crop))
        self.limited = 0  # frames drawn so far in which the head was asked to turn further than a bent picture can

    @property
    def warnings(self) -> list[str]:
        """What the person should know about what was drawn so far."""
        if not self.limited:
            return []
        return [
            f"in {self.limited} frames the driver turns the head further than a bent picture can follow; "
            "it was softly limited (a diffusion model turns further)"
        ]

    def reference(self, motion: Iterable[MotionMesh]) -> Reference | None:
        """The frame that counts as the portrait's own, from one pass over the whole motion; None if nobody is seen."""
        if self.options.relative:
            return best_frame(motion, self.figure.shape)
        return self._absolute(motion)

    def reference_at(self, chunk: MotionMesh, k: int, frame: int) -> Reference:
        """Frame `k` of a chunk, the film's `frame`, chosen by hand or for live use."""
        return reference_at(chunk, k, frame)

    def _absolute(self, motion: Iterable[MotionMesh]) -> Reference | None:
        """The driver at rest: what it does more than that, and which way it faces, is done outright."""
        kept: list[Floats] = []
        first: Reference | None = None
        for chunk in motion:
            seen = np.flatnonzero(chunk.seen)
            if len(seen):
                first = first or reference_at(chunk, int(seen[0]), -1)
                kept.append(chunk.points[seen[:: max(len(seen) // 8, 1)]])
        if first is None:
            return None
        shape = neutral_shape(np.concatenate(kept)[:400])
        return replace(first, shape=shape, angles=self.figure.shape.pose.angles[0])

    def draw_crops(self, motion: Iterable[MotionMesh], reference: Reference) -> Iterator[Bytes]:
        """The performing crop, (n, n, 3), for every frame of the motion."""
        portrait = self._at_rest() if reference.frame < 0 else self.figure.shape
        inside = self.options.mouth == "driver"
        for chunk in motion:
            if not isinstance(chunk, MotionMesh):
                raise WrongMotion(
                    f"warp draws from a motion mesh and was given {type(chunk).__name__}",
                    remedy="reading the driver again with `understudy motion read`",
                )
            targets = transfer(portrait, reference, chunk, self.options.amounts)
            self.limited += targets.limited
            for k in range(len(chunk)):
                target = Target(
                    targets.points[k], targets.rotation[k], float(targets.scale[k]), targets.pivot[k], targets.shape[k]
                )
                yield draw(self.figure, target, chunk.mouths[k] if inside and chunk.mouths is not None else None)

    def draw(self, motion: Iterable[MotionMesh], reference: Reference) -> Iterator[Bytes]:
        """The performing portrait, its whole picture (h, w, 3), for every frame of the motion."""
        for drawn in self.draw_crops(motion, reference):
            yield self.portrait.crop.paste(self.portrait.picture, drawn)

    def _at_rest(self) -> Shape:
        """The portrait with its own expression taken off."""
        own = self.figure.shape
        rig = Rig.fit(neutral_shape(self.figure.points[None]))
        worn = rig.read(own.shape[None])
        return Shape(own.pose, np.asarray(own.shape - (rig.shapes(worn) - rig.shapes(worn * 0))[0], np.float32))
