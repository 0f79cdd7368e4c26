"""Portraits and films of the cast, from seeds: the same seeds give the same pixels on the same kind of machine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast import how as hows
from understudy.cast import who as people
from understudy.cast.draw import draw
from understudy.cast.film import motion
from understudy.cast.how import How
from understudy.cast.who import Who
from understudy.errors import BadOption

Frame = npt.NDArray[np.uint8]  # (h, w, 3) sRGB


def portrait(
    who_seed: int,
    how_seed: int | None = None,
    style: str | None = None,
    size: int = 512,
    samples: int = 1,
    device: torch.device | str = "cpu",
) -> Frame:
    """One made-up person, (size, size, 3). Without `how_seed`, at rest; without `style`, in the person's own.

    `samples` pixels each way are averaged into one: 2 gives smoother edges for four times the work."""
    who = people.sample([who_seed], style)
    how = hows.neutral(1) if how_seed is None else hows.sample([how_seed])
    return next(frames(who, how, size, samples, device))


def film(
    who_seed: int,
    how_seed: int,
    seconds: float = 10.0,
    fps: float = 25.0,
    style: str | None = None,
    size: int = 512,
    start: int = 0,
    samples: int = 1,
    device: torch.device | str = "cpu",
) -> Iterator[Frame]:
    """A made-up person doing what the seed `how_seed` does, frame by frame. `start` begins at a later frame: the
    frames are those of the whole film."""
    count = round(seconds * fps) - start
    if count < 1:
        raise BadOption(
            "a film needs frames", f"{seconds} s at {fps} frames per second from frame {start}", "a longer film"
        )
    who = people.sample([who_seed], style)
    for first in range(start, start + count, 64):
        yield from frames(who, motion(how_seed, first, min(64, start + count - first), fps), size, samples, device)


def performed(who_seed: int, how: How, style: str | None = None, size: int = 512) -> Iterator[Frame]:
    """A made-up person doing what is known already, frame by frame."""
    yield from frames(people.sample([who_seed], style), how, size)


def frames(who: Who, how: How, size: int, samples: int = 1, device: torch.device | str = "cpu") -> Iterator[Frame]:
    """`who` (one person) doing each of `how`. Drawn one at a time: a frame does not depend on its neighbours."""
    if samples < 1:
        raise BadOption("a pixel needs a sample", f"samples={samples}", "1 or 2")
    who = who.to(device)
    for i in range(len(how)):
        with torch.no_grad():
            image = draw(who, how[[i]].to(device), size * samples).image
        if samples > 1:
            image = F.avg_pool2d(image, samples)
        yield to_bytes(image)[0]


def to_bytes(image: Tensor) -> npt.NDArray[np.uint8]:
    """(b, 3, h, w) in [0, 1] to (b, h, w, 3) bytes."""
    return (image.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
