"""Films longer than the network can look along: overlapped windows.

`overlapped` is ours and the default: one window after another, each given the last finished latents of the one before,
so nothing that was already shown changes, memory does not grow, and a film may have no end. `circular` is how the
released programs do it, for comparison: windows of the whole film at every step, joined in a ring, averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from understudy.diffusion.noise import Denoise, Schedule, chance, noised, spread
from understudy.errors import BadOption

Item = TypeVar("Item")

Part = Callable[[Tensor, Tensor, Sequence[int]], Tensor]
"""(noisy (f, ...), level (f,), frames) -> clean (f, ...): a Denoise that is told which frames of the film it has."""


@dataclass(frozen=True)
class Window:
    """Frames [start, stop) of a film, the first `known` of which are finished already."""

    start: int
    stop: int
    known: int

    @property
    def frames(self) -> range:
        """All of its frames."""
        return range(self.start, self.stop)

    @property
    def new(self) -> range:
        """The frames that it is for."""
        return range(self.start + self.known, self.stop)


Sample = Callable[[Window, list[Item], Tensor | None], Tensor]
"""(window, what each of its frames is told, latents (known, ...) of the finished ones) -> latents (f, ...) of all."""


@dataclass(frozen=True)
class Begun:
    """A film that is gone on with: `start` frames are finished, of which the last `min(start, size)` latents are given.

    `start` must be where a window ended (see `ended`): then what follows is what would have followed."""

    start: int
    latents: Tensor

    @property
    def first(self) -> int:
        """The first frame that has to be told again."""
        return self.start - len(self.latents)


def ended(frames: int, *, size: int, overlap: int) -> int:
    """Where the last window ended within the first `frames` of a film that goes on."""
    _check(size, overlap)
    return 0 if frames < size else size + (frames - size) // (size - overlap) * (size - overlap)


def overlapped(
    sample: Sample[Item], told: Iterable[Item], *, size: int, overlap: int, begun: Begun | None = None
) -> Iterator[Tensor]:
    """Draws a film window by window; yields the new latents of each, (f, ...). `told` has one item per frame, and
    begins at frame `begun.first` of a film that was begun before.

    The last window reaches further back, so that it too looks along `size` frames. Holds `size` frames at most.
    """
    _check(size, overlap)
    coming = iter(told)
    items = [] if begun is None else list(islice(coming, len(begun.latents)))
    finished = begun.latents if begun is not None and items else None
    start = 0 if begun is None else begun.start
    while fresh := list(islice(coming, size - (overlap if items else 0))):
        known = min(size - len(fresh), len(items))
        window = Window(start - known, start + len(fresh), known)
        latents = sample(window, items[len(items) - known :] + fresh, finished[-known:] if known else None)  # type: ignore[index]
        yield latents[known:]
        start += len(fresh)
        items = (items + fresh)[-size:]
        finished = latents[known:] if finished is None else torch.cat([finished, latents[known:]])[-size:]


def held(denoise: Denoise, known: Tensor, noise: Tensor, schedule: Schedule) -> Denoise:
    """A `Denoise` whose first frames are finished: given again at every level, re-noised with their own `noise`.

    The network sees them as it would have on the way to them; whatever it says of them is not believed.
    """
    count = len(known)

    def denoise_rest(noisy: Tensor, level: Tensor) -> Tensor:
        given = noised(known, noise, level[:count], schedule)
        clean = denoise(torch.cat([given, noisy[count:]]), level)
        return torch.cat([known.to(clean), clean[count:]])

    return denoise_rest


def circular(part: Part, *, size: int, overlap: int, seed: int, closed: bool) -> Denoise:
    """The released scheme: at every step windows of the whole film, starting anywhere, joined in a ring, averaged.

    `closed` as in `circular_windows`. Where they begin depends on the seed and the level, where the released programs
    leave it to chance, so a run that is taken up again sees the same windows.
    """
    _check(size, overlap)

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        total = len(noisy)
        begin = _offset(seed, level, total)
        clean = torch.zeros_like(noisy, dtype=torch.float32)
        count = torch.zeros(total, device=noisy.device)
        for frames in circular_windows(total, size, overlap, begin, closed=closed):
            index = torch.tensor(frames, device=noisy.device)
            clean.index_add_(0, index, part(noisy[index], level[index], frames).float())
            count.index_add_(0, index, torch.ones(len(frames), device=noisy.device))
        return clean / spread(count, clean)

    return denoise


def circular_windows(total: int, size: int, overlap: int, offset: int = 0, *, closed: bool) -> list[list[int]]:
    """Frame numbers of each window. X-Portrait is open: it stops once all frames are covered. X-NeMo is `closed`: it
    goes on until a window begins in each stretch of `size - overlap` frames, and leaves a film of one window unturned.

    Films shorter than a window are one window; the released X-Portrait then repeats frames, and fails under 5.
    """
    _check(size, overlap)
    if total < size or (closed and total == size):
        return [list(range(total))]
    starts = range(0, total if closed else total - overlap, size - overlap)
    return [[(offset + start + frame) % total for frame in range(size)] for start in starts]


def _offset(seed: int, level: Tensor, total: int) -> int:
    """Where a ring of windows begins at this level, in [0, total)."""
    step = round(float(level.max()) * 1_000_000)
    return int(torch.randint(total, (), generator=chance(seed, step, purpose=0x0FF5E7)))


def _check(size: int, overlap: int) -> None:
    if not 0 <= overlap < size:
        raise BadOption(
            "Windows must move on", f"a size of {size} and an overlap of {overlap}", "an overlap of 0 to size - 1"
        )
