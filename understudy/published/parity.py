"""The algorithms that the two models were released with, faults included, for comparison: `--parity`.

`Generator.latents` is how we draw. This is how the released scripts draw, number for number but for chance, which is
keyed by a seed here and left to the card there:

- X-Portrait (core/test_xportrait.py, ddim.py) mixes noise as for training step 999 and begins to denoise at 991; reads
  for every frame another sample of the portrait's posterior; draws windows that begin anywhere, joined in a ring, and
  believes, where a short film has a frame twice in one window, the later answer; asks for the untold answer without any
  control; ends at alpha .99957.
- X-NeMo (pose2vid_xnemo.py and its pipeline) begins from the blurred mean; reads the portrait once, at step 0; closes
  the ring; tells the untold branch the portrait's own motion and a CLIP of zeros; and says of all boxes [0, 0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from understudy.diffusion.guidance import guided
from understudy.diffusion.noise import Denoise, VariancePreserving, chance, denoiser, keyed_noise, noised
from understudy.diffusion.samplers import ddim, last
from understudy.diffusion.windows import circular_windows
from understudy.errors import BadOption
from understudy.generator.blocks import Note
from understudy.generator.control import added
from understudy.generator.generator import SPACINGS, Cues, Generator, blurred

START: Final = 0x57A27
PORTRAIT: Final = 0x9027
RING: Final = 0x0FF5E7
CONSTANT_BOX: Final = (0.0, 0.0, 1.0)
"""What X-NeMo's script overwrites every box with, driver's and portrait's."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """What the two scripts do differently. `mixed_at`: the training step for which noise is mixed in, or None for that
    of the first step; `sampled`: the portrait's latents are sampled for every frame, not their mean once; `closed`:
    see `circular_windows`; `together`: frames that are decoded at once."""

    steps: int
    spacing: Literal["latent_diffusion", "leading"]
    guidance: float
    mixed_at: int | None
    sampled: bool
    closed: bool
    together: int


X_PORTRAIT: Final = Released(
    steps=30, spacing="latent_diffusion", guidance=5.0, mixed_at=999, sampled=True, closed=False, together=16
)
X_NEMO: Final = Released(
    steps=35, spacing="leading", guidance=2.5, mixed_at=None, sampled=False, closed=True, together=25
)


def released(generator: Generator) -> Released:
    """The script of a generator's kind: those with control nets are X-Portrait's."""
    return X_PORTRAIT if generator.config.controls else X_NEMO


@torch.no_grad()
def film(
    generator: Generator,
    picture: Tensor,
    cues: Cues,
    how: Released,
    *,
    seed: int,
    context: Tensor | None = None,
    still: Cues | None = None,
    stepped: Callable[[int], None] = lambda step: None,
) -> Tensor:
    """The latents (f, c, h, w) of a whole film, all of whose frames are in memory, as in the scripts.

    `picture` (1, 3, H, W) in [-1, 1]; `context` of the portrait, and `still`, what it does itself, for X-NeMo.
    Errors: `BadOption` for what the scripts fail at: X-Portrait with 4 frames or fewer, or guidance 1."""
    config, count = generator.config, len(cues)
    assert isinstance(config.schedule, VariancePreserving)
    if not how.closed and count <= config.overlap:
        raise BadOption(f"the released X-Portrait makes {count} frames of nothing", remedy="5 or more, or no --parity")
    if not how.closed and how.guidance == 1:
        raise BadOption("the released X-Portrait draws nothing with a guidance of 1", remedy="2 or more")
    portraits = _portraits(generator, picture, how, seed, count, PORTRAIT)
    levels = SPACINGS[how.spacing](how.steps).to(picture.device)
    mixed = levels[0] if how.mixed_at is None else levels.new_tensor(config.schedule.level(how.mixed_at))
    noise = keyed_noise(seed, range(count), portraits.shape[1:], device=picture.device)
    noisy = noised(_begun(generator, picture, how, seed, count), noise, mixed.expand(count), config.schedule)
    parts = _Parts(generator, portraits, cues, how, context, still)
    step = -1

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        nonlocal step
        step += 1
        stepped(step)
        rings = windows(count, config.window, config.overlap, offset(seed, step, count, how, config.window), how)
        return averaged(parts.of, noisy, level, rings)

    return last(ddim(denoise, noisy, levels, config.schedule))


@torch.no_grad()
def shown(generator: Generator, latents: Tensor, how: Released) -> Iterator[Tensor]:
    """The frames of a film's latents, as many at once as in the scripts."""
    for some in latents.split(how.together):  # type: ignore[no-untyped-call]
        yield generator.autoencoder.decode(some).clamp(-1, 1)


def windows(count: int, size: int, overlap: int, begin: int, how: Released) -> list[list[int]]:
    """Frame numbers of each window. X-Portrait's are always as long as they can be: a shorter film goes round."""
    if how.closed:
        return circular_windows(count, size, overlap, begin, closed=True) if count > size else [list(range(count))]
    starts = range(begin, begin + count - overlap, size - overlap)
    return [[(start + frame) % count for frame in range(size)] for start in starts]


def offset(seed: int, step: int, count: int, how: Released, size: int) -> int:
    """Where the ring begins at a step: X-Portrait's anywhere in the film, X-NeMo's within one window."""
    return int(torch.randint(size if how.closed else count, (), generator=chance(seed, step, RING)))


def averaged(
    part: Callable[[Tensor, Tensor, Sequence[int]], Tensor],
    noisy: Tensor,
    level: Tensor,
    rings: Sequence[Sequence[int]],
) -> Tensor:
    """The mean of what windows say of each frame. Of a frame that is in one window twice the later answer counts, and
    once: that is what adding to a selection of rows does."""
    total = torch.zeros_like(noisy, dtype=torch.float32)
    times = torch.zeros(len(noisy), device=noisy.device)
    for frames in rings:
        index = torch.tensor(frames, device=noisy.device)
        said = part(noisy[index], level[index], frames).float()
        latest = {frame: place for place, frame in enumerate(frames)}
        for frame, place in latest.items():
            total[frame] += said[place]
            times[frame] += 1
    return total / times.reshape(-1, *[1] * (total.ndim - 1))


def constant_boxes(generator: Generator, code: Tensor) -> Cues:
    """The cues of codes (f, c) as X-NeMo's script tells them: whatever the boxes were."""
    assert generator.encoder is not None
    return Cues(code=generator.encoder.tokens(code, code.new_tensor(CONSTANT_BOX).expand(len(code), 3)))


def _portraits(generator: Generator, picture: Tensor, how: Released, seed: int, count: int, purpose: int) -> Tensor:
    """The portrait's latents for each frame (f, c, h, w), each a sample of its own; or the mean, once (1, c, h, w)."""
    if not how.sampled:
        return generator.autoencoder.encode(picture)
    samples = [generator.autoencoder.encode(picture, chance(seed, frame, purpose)) for frame in range(count)]
    return torch.cat(samples)


def _begun(generator: Generator, picture: Tensor, how: Released, seed: int, count: int) -> Tensor:
    """What noise is mixed into (f, c, h, w): the portrait, encoded again."""
    start = generator.config.start
    assert start is not None
    latents = _portraits(generator, picture, how, seed, count, START)
    return blurred(latents, start.blur, start.deviation).expand(count, *latents.shape[1:])


class _Parts:
    """The guided answer for some frames of a film, by their numbers."""

    def __init__(
        self,
        generator: Generator,
        portraits: Tensor,
        cues: Cues,
        how: Released,
        context: Tensor | None,
        still: Cues | None,
    ) -> None:
        self.generator, self.portraits, self.cues, self.how, self.still = generator, portraits, cues, how, still
        shared = generator.context if context is None else context
        if shared is None:
            raise BadOption("This generator must be told a context of the portrait", remedy="CLIP's embedding of it")
        self.context: Tensor = shared
        self.nobody = self.context if context is None else torch.zeros_like(self.context)
        nets = zip(generator.control_nets, cues.hints, strict=True)
        self.hints = [torch.cat([net.encode(some) for some in hint.split(8)]) for net, hint in nets]  # type: ignore[no-untyped-call]
        self.notes: tuple[float, list[Note]] | None = None

    def of(self, noisy: Tensor, level: Tensor, frames: Sequence[int]) -> Tensor:
        """noisy (f, c, h, w) at level (f,) to the guided guess of what is clean."""
        config = self.generator.config
        told, untold = (
            denoiser(one, config.schedule, config.prediction) for one in (self._told(frames), self._untold(frames))
        )
        return guided(told, untold, self.how.guidance)(noisy, level)

    def _told(self, frames: Sequence[int]) -> Denoise:
        net, code = self.generator, self._code(frames)

        def answer(noisy: Tensor, level: Tensor) -> Tensor:
            encoded = [hint[list(frames)] for hint in self.hints]
            nets = zip(net.control_nets, encoded, strict=True)
            controls = added([one(noisy[None], level[None], self.context, hint) for one, hint in nets])
            notes = self._notes(level, frames)
            found: Tensor = net.unet(noisy[None], level[None], self.context, notes=notes, controls=controls, code=code)
            return found[0]

        return answer

    def _untold(self, frames: Sequence[int]) -> Denoise:
        """Neither portrait nor controls; of motion what the portrait does itself."""
        code = self._code(frames)
        if code is not None and self.still is not None and self.still.code is not None:
            code = self.still.code[:1].expand(len(frames), -1, -1)[None]

        def answer(noisy: Tensor, level: Tensor) -> Tensor:
            found: Tensor = self.generator.unet(noisy[None], level[None], self.nobody, code=code)
            return found[0]

        return answer

    def _code(self, frames: Sequence[int]) -> Tensor | None:
        return None if self.cues.code is None else self.cues.code[list(frames)][None]

    def _notes(self, level: Tensor, frames: Sequence[int]) -> list[Note]:
        """What the reference net says of each frame's portrait at this level, or once for all."""
        fixed = self.generator.config.reference_level
        now = float(level.max()) if fixed is None else fixed
        if self.notes is None or self.notes[0] != now:
            told = level.new_tensor([now])
            net = self.generator.reference
            each = [net(some, told, self.context) for some in self.portraits.split(self.generator.config.window)]  # type: ignore[no-untyped-call]
            notes = [torch.cat(parts) for parts in zip(*each, strict=True)]
            self.notes = now, [*self.generator.unet.remembered(notes)] if len(notes[0]) == 1 else [*notes]
        kept = self.notes[1]
        return [note[list(frames)] if isinstance(note, Tensor) else note for note in kept]
