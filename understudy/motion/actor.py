"""X-Actor's net: from noisy motion, and a voice, to clean motion.

What is unusual about it: every frame has a noise level of its own, which is told to that frame alone (adaptive norms,
silent at first: one matrix for all blocks, and a bias in each); attention along the film is full inside a chunk and
causal from chunk to chunk; a frame listens to the sound of itself and of two frames to each side, and to no other.
Clean motion is answered, in units of its own deviation.

`b` films, `f` frames, `d` numbers of a frame's motion, `a` of its sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.diffusion.noise import Schedule
from understudy.errors import BadOption
from understudy.motion.space import FARTHEST

MOODS: Final = 5
KNOBS: Final = 3
"""Numbers besides the mood that a person may wish for: see `wishes.Wishes`."""
WISHES: Final = MOODS + 2 * KNOBS
_SINUSOIDS: Final = 64


@dataclass(frozen=True, kw_only=True)
class ActorConfig:
    """Every number that shapes the weights, and none that does not."""

    motion: int
    """Numbers in a frame of motion."""
    sound: int
    """Numbers in a frame of sound."""
    bands: int
    """Of the sound's numbers, how many make a spectrum, of which there are several; 0: it is no spectra (wav2vec2)."""
    ear: int
    """Channels of the first convolution over spectra."""
    width: int
    depth: int
    heads: int
    chunk: int
    """Frames that are imagined together."""
    context: int
    """Frames before its chunk that a frame remembers: whole chunks."""
    listens: int
    """Frames to each side whose sound a frame hears."""
    schedule: Schedule
    """How motion and noise are mixed."""

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width // self.heads % 2:
            raise BadOption(f"width {self.width} does not divide into {self.heads} heads of even size")
        if self.context % self.chunk:
            raise BadOption(f"a context of {self.context} frames is not a number of chunks of {self.chunk}")
        if self.bands and self.sound < self.bands:
            raise BadOption(f"{self.sound} numbers of sound do not hold a spectrum of {self.bands} bands")


class Memory(NamedTuple):
    """What a layer remembers of finished frames: keys and values (b, heads, f, d), keys turned to their places."""

    key: Tensor
    value: Tensor


class Ear(nn.Module):
    """A frame's sound, as a token: convolutions over the bands of its spectra, and the rest beside them."""

    def __init__(self, config: ActorConfig) -> None:
        super().__init__()
        self.bands = config.bands
        self.spectra = config.sound // config.bands if config.bands else 0
        rest = config.sound - self.spectra * self.bands
        if self.spectra:
            self.conv_1 = nn.Conv1d(self.spectra, config.ear, 5, stride=2, padding=2)
            self.conv_2 = nn.Conv1d(config.ear, 2 * config.ear, 5, stride=2, padding=2)
            places = ((self.bands + 1) // 2 + 1) // 2
            rest += 2 * config.ear * places
        self.out = nn.Linear(rest, config.width)

    def forward(self, sound: Tensor) -> Tensor:
        """(b, f, a) -> (b, f, width)."""
        count = self.spectra * self.bands
        parts = [sound[..., count:]]
        if self.spectra:
            x = sound[..., :count].reshape(-1, self.spectra, self.bands)
            x = F.silu(self.conv_2(F.silu(self.conv_1(x))))
            parts = [x.reshape(*sound.shape[:2], -1), *parts]
        heard: Tensor = self.out(torch.cat(parts, -1))
        return heard


class Block(nn.Module):
    """What was and is, what is heard, a thought: each behind a norm that the frame's noise level adapts."""

    def __init__(self, config: ActorConfig) -> None:
        super().__init__()
        width, near = config.width, 2 * config.listens + 1
        each = width // config.heads
        self.heads, self.near = config.heads, near
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_size = nn.Parameter(torch.ones(each))
        self.key_size = nn.Parameter(torch.ones(each))
        self.out = nn.Linear(width, width)
        self.ask = nn.Linear(width, width, bias=False)
        self.hear = nn.Linear(width, 2 * width, bias=False)
        self.ask_size = nn.Parameter(torch.ones(each))
        self.hear_size = nn.Parameter(torch.ones(each))
        self.offsets = nn.Parameter(torch.zeros(2, near, config.heads, each))
        self.heard = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.adapted = nn.Parameter(torch.zeros(9 * width))

    def forward(
        self, x: Tensor, sound: Tensor, told: Tensor, turns: Tensor, seen: Tensor, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """x (b, f, w), sound (b, f + 2 listens, w), told (b, f, 9 w): shifts, scales and gates for the level and all
        that is wished. `turns`: the rotations of places, `seen` (f, m + f): what each frame may look at, `memory`: m
        frames before these."""
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2, shift_3, scale_3, gate_3 = (told + self.adapted).chunk(
            9, -1
        )
        look, kept = self._look(_normed(x, shift_1, scale_1), turns, seen, memory)
        x = x + gate_1 * look
        x = x + gate_2 * self._listen(_normed(x, shift_2, scale_2), sound)
        x = x + gate_3 * self.down(F.gelu(self.up(_normed(x, shift_3, scale_3)), approximate="tanh"))
        return x, kept

    def _look(self, x: Tensor, turns: Tensor, seen: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, b, heads, f, each)
        sizes = torch.stack([self.query_size, self.key_size])[:, None, None, None]
        query, key = rotated(_sized(parts[:2], sizes), turns)
        value = parts[2]
        kept = Memory(key, value)
        if memory is not None:
            key, value = torch.cat([memory.key, key], 2), torch.cat([memory.value, value], 2)
        looked = F.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.out(looked.transpose(1, 2).flatten(2)), kept

    def _listen(self, x: Tensor, sound: Tensor) -> Tensor:
        """Each frame attends to its own few frames of sound."""
        query = _sized(self._split(self.ask(x)), self.ask_size)  # (b, f, heads, each)
        key, value = (self._split(part) for part in self.hear(sound).chunk(2, -1))
        key = _sized(key, self.hear_size).unfold(1, self.near, 1).permute(0, 1, 4, 2, 3) + self.offsets[0]
        value = value.unfold(1, self.near, 1).permute(0, 1, 4, 2, 3) + self.offsets[1]  # (b, f, near, heads, each)
        weight = (query[:, :, None] * key).sum(-1, keepdim=True) * query.shape[-1] ** -0.5
        heard: Tensor = self.heard((weight.softmax(2) * value).sum(2).flatten(2))
        return heard

    def _split(self, x: Tensor) -> Tensor:
        """(b, f, w) -> (b, f, heads, each)."""
        return x.reshape(*x.shape[:2], self.heads, -1)


class Actor(nn.Module):
    """See the module. `mean` and `deviation` of the motion it has learnt travel with its weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: ActorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.register_buffer("mean", torch.zeros(config.motion))
        self.register_buffer("deviation", torch.ones(config.motion))
        self.motion_in = nn.Linear(config.motion, width)
        self.ear = Ear(config)
        self.unheard = nn.Parameter(torch.zeros(width))
        self.level_1 = nn.Linear(_SINUSOIDS, width)
        self.level_2 = nn.Linear(width, width)
        self.wished = nn.Linear(WISHES, width)
        self.adapted = nn.Linear(width, 9 * width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.adapted_out = nn.Linear(width, 2 * width)
        self.motion_out = nn.Linear(width, config.motion)
        for layer in (self.adapted, self.adapted_out, self.motion_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def normal(self, motion: Tensor) -> Tensor:
        """Motion (..., d) in units of its deviation."""
        return ((motion - self.mean) / self.deviation).clamp(-FARTHEST, FARTHEST)

    def natural(self, motion: Tensor) -> Tensor:
        """The other way."""
        return motion * self.deviation + self.mean

    def listen(self, sound: Tensor, told: Tensor | None = None) -> Tensor:
        """(b, f, a) -> tokens (b, f, w); `told` (b,) False: this film's sound is kept from the net."""
        heard: Tensor = self.ear(sound)
        return heard if told is None else torch.where(told[:, None, None], heard, self.unheard.to(heard.dtype))

    def forward(
        self,
        noisy: Tensor,
        level: Tensor,
        sound: Tensor,
        wishes: Tensor,
        first: int = 0,
        memories: Sequence[Memory] | None = None,
    ) -> tuple[Tensor, list[Memory]]:
        """noisy (b, f, d), level (b, f), sound (b, f + 2 listens, w) from `listen`, wishes (b, f, WISHES).

        `first`: the number of the first of these frames, -1 for a portrait's own row; `memories`: of the frames just
        before it, one for each layer. Returns the clean motion, and what each layer remembers of these frames."""
        config = self.config
        known = 0 if memories is None else memories[0].key.shape[2]
        frames = torch.arange(first - known, first + noisy.shape[1], device=noisy.device)
        seen = visible(frames[known:], frames, config.chunk, config.context)
        turns = rotations(frames[known:], config.width // config.heads)
        told = self.level_2(F.silu(self.level_1(_waves(level).to(noisy.dtype)))) + self.wished(wishes)
        told = F.silu(told)
        x, adapted = self.motion_in(noisy), self.adapted(told)
        kept = []
        for number, block in enumerate(self.blocks):
            x, memory = block(x, sound, adapted, turns, seen, None if memories is None else memories[number])
            kept.append(memory)
        shift, scale = self.adapted_out(told).chunk(2, -1)
        return self.motion_out(_normed(x, shift, scale)), kept


def visible(asking: Tensor, frames: Tensor, chunk: int, context: int) -> Tensor:
    """(f, m) whether each of `asking` frames may look at each of `frames`, all by number: those of its own chunk, and
    those up to `context` frames before it. A portrait's row, number -1, is a chunk of its own."""
    mine, theirs = asking.div(chunk, rounding_mode="floor")[:, None], frames.div(chunk, rounding_mode="floor")[None]
    return (theirs <= mine) & (frames[None] >= mine * chunk - context)


def rotations(frames: Tensor, size: int) -> Tensor:
    """(2, f, size / 2): cosines and sines of how far the keys and queries of a frame are turned (Su et al. 2021). In
    doubles, because a film may be hours long."""
    speed = 10_000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64, device=frames.device) / size)
    angle = frames.double()[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotated(x: Tensor, turns: Tensor) -> Tensor:
    """(..., f, d), turned to their places."""
    cos, sin = turns.to(x.dtype)
    one, other = x.chunk(2, -1)
    return torch.addcmul(x * cos.repeat(1, 2), torch.cat([other, one], -1), torch.cat([-sin, sin], -1))


def _sized(x: Tensor, size: Tensor) -> Tensor:
    """Queries and keys of one length, so that no dot product grows too large (Henry et al. 2020)."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).clamp_min(1e-12)
    sized: Tensor = (x / length).to(x.dtype) * (size * x.shape[-1] ** 0.5).to(x.dtype)
    return sized


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def _waves(level: Tensor) -> Tensor:
    """(b, f) -> (b, f, _SINUSOIDS), fp32: cosines and sines of the level, from a thousandth of it on."""
    half = _SINUSOIDS // 2
    speed = 1000.0 * 1e-4 ** (torch.arange(half, dtype=torch.float32, device=level.device) / half)
    angle = level.float()[..., None] * speed
    return torch.cat([angle.cos(), angle.sin()], -1)
