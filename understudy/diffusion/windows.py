"""Films longer than the network can look along: overlapped windows.

`overlapped` goes from window to window, each given the last finished latents of the one before; `crossfaded` lets
neighbours agree at every step, which shows no joins, and looks ahead for it. Of both nothing that was already shown
changes, memory does not grow, and a film may have no end. `circular` is how the released programs do it, for
comparison: windows of the whole film at every step, joined in a ring, averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

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

    `start` must be where a window ended (see `ended`): then what follows is what would have followed. `crossfaded`
    windows need no latents, but to be told `again` of so many frames, see `looked_again`."""

    start: int
    latents: Tensor | None
    again: int = 0

    @property
    def first(self) -> int:
        """The first frame that has to be told again."""
        return self.start - (self.again if self.latents is None else len(self.latents))


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
    given = None if begun is None else begun.latents
    items = [] if given is None else list(islice(coming, len(given)))
    finished = given if items else None
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


Look = Callable[[list[Item], Tensor, Tensor], Tensor]
"""(what each frame of a window is told, noisy (f, ...), level (f,)) -> clean (f, ...)."""

Walk = Callable[[range, Denoise], Iterator[Tensor]]
"""(frames, denoise) -> what a sampler has of these frames after each step, from their own noise on."""


def looked_again(done: int, *, size: int, overlap: int, calls: int) -> Begun:
    """How a film of crossfaded windows is gone on with, of which `done` frames are there, by a sampler that asks at
    most `calls` times: from the beginning of a window on, and what that owes to earlier ones is computed again."""
    _check_crossfade(size, overlap)
    step = size - overlap
    start = done // step * step
    return Begun(start, None, min(calls * step, start))


def crossfaded(
    walk: Walk,
    look: Look[Item],
    told: Iterable[Item],
    *,
    size: int,
    overlap: int,
    begun: Begun | None = None,
    stepped: Callable[[Window, int], None] | None = None,
) -> Iterator[Tensor]:
    """Draws a film whose windows agree: at every step the clean guesses of the `overlap` frames that two windows share
    are blended, from the one's to the other's (as MultiDiffusion does in pictures, Bar-Tal et al. 2023).

    Yields latents (f, ...), `size - overlap` frames at a time; `told` has one item per frame, and begins at frame
    `begun.first`. A frame depends on as many windows to each side of its own as the sampler asks times, and on no
    others: so many are in work at once, and each is looked at once. `stepped` is called when a window whose frames
    are next has been asked about, with the number of the call.
    """
    _check_crossfade(size, overlap)
    film = _Crossfade(walk, look, iter(told), 0 if begun is None else begun.first, size, overlap)
    number = 0 if begun is None else begun.start // (size - overlap)
    while film.frames(number):
        yield film.finished(number, stepped)
        film.forget(number)
        number += 1


class _Asked(Exception):
    """What a sampler wants to be told next; thrown through it, for it will be begun anew."""

    def __init__(self, noisy: Tensor, level: Tensor) -> None:
        super().__init__()
        self.noisy, self.level = noisy, level


class _Crossfade(Generic[Item]):
    """Windows in work. Window n begins with frame n * step; the frames up to the next window's are block n."""

    def __init__(
        self, walk: Walk, look: Look[Item], coming: Iterator[Item], first: int, size: int, overlap: int
    ) -> None:
        self.walk, self.look, self.coming, self.first = walk, look, coming, first
        self.size, self.overlap, self.step = size, overlap, size - overlap
        self.items: list[Item] = []
        self.seen: dict[tuple[int, int], Tensor] = {}  # what a window says when it is asked for the nth time
        self.believed: dict[tuple[int, int], Tensor] = {}  # what a block is told then

    def frames(self, number: int) -> range:
        """Of a block: none after the film's end."""
        return self._told(number * self.step, self.step)

    def _told(self, start: int, count: int) -> range:
        """Of some frames, those that there are."""
        need = start + count - self.first - len(self.items)
        self.items += islice(self.coming, max(need, 0))
        return range(start, max(min(start + count, self.first + len(self.items)), start))

    def finished(self, number: int, stepped: Callable[[Window, int], None] | None) -> Tensor:
        """The latents of a block."""
        call = 0
        while isinstance(state := self._state(number, call), _Asked):
            self._clean(number, call)
            if stepped is not None:
                stepped(self._window(number), call)
            call += 1
        return state

    def forget(self, number: int) -> None:
        """What no block after this one asks for."""
        self.seen = {key: value for key, value in self.seen.items() if key[0] >= number}
        self.believed = {key: value for key, value in self.believed.items() if key[0] > number}
        gone = number * self.step - self.first
        if gone > 0:
            self.items, self.first = self.items[gone:], self.first + gone

    def _window(self, number: int) -> Window:
        frames = self._told(number * self.step, self.size)
        return Window(frames.start, frames.stop, 0)

    def _state(self, number: int, call: int) -> _Asked | Tensor:
        """What a block's sampler asks for the nth time; or what it ends with. It is cheap, so it is begun anew."""
        count = 0

        def denoise(noisy: Tensor, level: Tensor) -> Tensor:
            nonlocal count
            if count == call:
                raise _Asked(noisy, level)
            count += 1
            return self._clean(number, count - 1)

        try:
            *_, latents = self.walk(self.frames(number), denoise)
        except _Asked as asked:
            return asked
        return latents

    def _clean(self, number: int, call: int) -> Tensor:
        """What a block believes: its window's guess, and where the window before reaches in, some of that one's."""
        key = number, call
        if key not in self.believed:
            count = len(self.frames(number))
            shared = min(self.overlap, count) if number else 0
            parts = []
            if shared:
                parts.append(self._seen(number - 1, call)[self.step : self.step + shared])
            if count > shared or not shared:
                own = self._seen(number, call)
                if shared:
                    share = spread(torch.arange(1, shared + 1, device=own.device) / (self.overlap + 1), own)
                    parts[0] = torch.lerp(parts[0], own[:shared], share)
                parts.append(own[shared:count])
            self.believed[key] = torch.cat(parts)
        return self.believed[key]

    def _seen(self, number: int, call: int) -> Tensor:
        """What a window says of its frames: those of its own block, and the first of the next."""
        key = number, call
        if key not in self.seen:
            window = self._window(number)
            states = [self._state(number, call)]
            if len(window.frames) > self.step:
                states.append(self._state(number + 1, call))
            asked = [state for state in states if isinstance(state, _Asked)]
            count = len(window.frames)
            noisy = torch.cat([state.noisy for state in asked])[:count]
            level = torch.cat([state.level for state in asked])[:count]
            items = self.items[window.start - self.first : window.stop - self.first]
            self.seen[key] = self.look(items, noisy, level)
        return self.seen[key]


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


def _check_crossfade(size: int, overlap: int) -> None:
    _check(size, overlap)
    if not 0 < overlap <= size - overlap:
        raise BadOption(
            "Windows that are crossfaded share some frames with the next one, and none with the one after that",
            f"a size of {size} and an overlap of {overlap}",
            "an overlap of 1 to size / 2",
        )


def _check(size: int, overlap: int) -> None:
    if not 0 <= overlap < size:
        raise BadOption(
            "Windows must move on", f"a size of {size} and an overlap of {overlap}", "an overlap of 0 to size - 1"
        )
