"""The second pass: frames of the performing portrait with their times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Final, TypeAlias

from understudy.clip import Picture
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


def seconds_a_frame(warp: Warp, chunk: MotionMesh) -> float | None:
    """How long drawing will take, from drawing a few frames; None where nobody is seen yet."""
    reference = warp.reference([chunk])
    if reference is None or len(chunk) < 2:
        return None
    limited = warp.limited
    moments = [time.perf_counter() for _ in warp.draw([chunk[:TRIED]], reference)]
    warp.limited = limited  # they will be drawn, and counted, again
    return (moments[-1] - moments[0]) / (len(moments) - 1)  # the first one also makes what is made once
