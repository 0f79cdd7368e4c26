"""The second pass: frames of the performing portrait with their times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np

from understudy.clip import Picture
from understudy.face.pose import fit_pose
from understudy.generator.warp import Reference, Warp
from understudy.generator.warp.transfer import transfer
from understudy.motion.mesh import MotionMesh

Drawn: TypeAlias = tuple[float, Picture]
"""Seconds since the driver's first frame, and the frame."""

TRIED: Final = 4  # frames drawn at first, to know how long the rest will take


def drawn(
    warp: Warp, motion: Iterable[MotionMesh], reference: Reference, *, crop: bool = False
) -> Generator[Drawn, None, None]:
    """Every frame of a motion, the whole picture or the `crop` alone."""
    times: deque[float] = deque()

    def timed() -> Iterator[MotionMesh]:
        for chunk in motion:
            times.extend(chunk.times.tolist())
            yield chunk

    for frame in (warp.draw_crops if crop else warp.draw)(timed(), reference):
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
