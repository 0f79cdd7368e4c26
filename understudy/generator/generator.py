"""A generator: a portrait's likeness and the driver's cues in, frames out.

X-Portrait and X-Portrait 2, full and small, are values of `GeneratorConfig`. What differs is how cues reach the U-Net:
as hint pictures through control nets, or as a motion code that it attends to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.device import rough
from understudy.diffusion import samplers
from understudy.diffusion.guidance import guided
from understudy.diffusion.noise import (
    Denoise,
    Prediction,
    RectifiedFlow,
    Schedule,
    VariancePreserving,
    alike_noise,
    denoiser,
    keyed_noise,
    noised,
)
from understudy.diffusion.windows import Begun, Window, crossfaded, held, looked_again, overlapped
from understudy.errors import BadOption
from understudy.generator.autoencoder import AutoencoderConfig, TemporalAutoencoderConfig, autoencoder
from understudy.generator.blocks import Note
from understudy.generator.control import ControlConfig, ControlNet, added
from understudy.generator.embedding import EmbeddingConfig, PictureEmbedding
from understudy.generator.layers import silent
from understudy.generator.reference import ReferenceConfig, ReferenceNet, as_one
from understudy.generator.turning import TurningConfig, turned
from understudy.generator.unet import UNet, UNetConfig
from understudy.motion.encoder import Encoder, EncoderConfig, carried, relative

SAMPLERS: dict[str, Callable[[Denoise, Tensor, Tensor, Schedule], Iterator[Tensor]]] = {
    "ddim": samplers.ddim,
    "euler": samplers.euler,
    "heun": samplers.heun,
    "dpm_solver": samplers.dpm_solver,
    "unipc": samplers.unipc,
}
SPACINGS: dict[str, Callable[[int], Tensor]] = {
    "even": samplers.even_levels,
    "latent_diffusion": samplers.latent_diffusion_levels,
    "leading": samplers.leading_levels,
    "trailing": samplers.trailing_levels,
    "lcm": samplers.lcm_levels,
}
FRESH = 0xF2E5
"""The purpose of a step's own noise: of the steps after it as well, counted on."""
HINTS_TOGETHER = 8
"""Frames whose hints are encoded at once: a fixed number, so that the chunks in which cues come change nothing."""


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """Films begin from the portrait's own latents, noised, and not from noise alone: X-Portrait as they are (`blur`
    1), X-NeMo blurred by a Gaussian of that many latents and deviation."""

    blur: int
    deviation: float


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Every number that shapes a generator's weights, and what they were trained to mean.

    `shared_context`: tokens of context that are the same for everybody (CLIP's 77 of an empty prompt; one of
    zeros, which says nothing, in the small generators), or 0 if every portrait brings its own (CLIP's embedding of it).
    `reference_level`: the level that the reference net is told, or None for that of the frames being drawn.
    `window`, `overlap`: frames that are drawn together, and how many of them windows share. `crossfaded`: windows agree
    about those at every step; if not, they are finished when the next window begins, and held. See `windows`.
    `encoder`: of the motion code that the U-Net follows. It is the driver's, but codes mean something to the generator
    alone that was trained with it, so they are kept together.
    `embedding`: reads of a portrait what is added to the shared context; None where nothing is.
    `turning`: the shape of a head, by which the portrait is turned as the driver is, which is then the only hint, and
    its latents are what the U-Net is told. None: hints are the driver's, or there are none.
    """

    picture: int
    autoencoder: AutoencoderConfig | TemporalAutoencoderConfig
    unet: UNetConfig
    reference: ReferenceConfig
    controls: tuple[ControlConfig, ...]
    shared_context: int
    schedule: VariancePreserving | RectifiedFlow
    prediction: Prediction
    reference_level: float | None
    start: StartConfig | None
    window: int
    overlap: int
    crossfaded: bool = False
    encoder: EncoderConfig | None = None
    embedding: EmbeddingConfig | None = None
    turning: TurningConfig | None = None

    def __post_init__(self) -> None:
        code = self.unet.code
        if self.encoder is not None and (code is None or code.width != self.encoder.width):
            raise BadOption(f"tokens of {self.encoder.width} numbers do not fit a U-Net with {code}")
        if self.embedding is not None and not self.shared_context:
            raise BadOption("a picture embedding is added to a shared context, and there is none", "shared_context=0")
        if self.turning is not None and (self.encoder is None or not self.encoder.named or self.controls):
            raise BadOption(
                "a portrait is turned as an encoder's named codes say, and there are no other hints",
                f"{len(self.controls)} control nets, and {self.encoder}",
            )
        for name, net in self._nets():
            if net.channels != self.autoencoder.channels:
                raise BadOption(f"{name} has {net.channels} channels, the autoencoder {self.autoencoder.channels}")
            if net.context != self.unet.context:
                raise BadOption(f"{name} is told {net.context} numbers of context, the U-Net {self.unet.context}")
        for control in self.controls:
            if control.into != (*self.unet.skips, self.unet.widths[-1]):
                raise BadOption(f"a control net for {control.into} does not fit a U-Net with {self.unet.skips}")
            if control.hint.downscale != self.autoencoder.downscale:
                raise BadOption(f"hints shrink {control.hint.downscale} times, pictures {self.autoencoder.downscale}")
        if self.unet.time and self.window > self.unet.time.longest:
            raise BadOption(f"windows of {self.window} frames are longer than {self.unet.time.longest}")

    @property
    def side(self) -> int:
        """Latents to a side of a picture."""
        return self.picture // self.autoencoder.downscale

    def _nets(self) -> Iterator[tuple[str, UNetConfig]]:
        yield "the U-Net", self.unet
        yield "the reference net", self.reference.unet
        for index, control in enumerate(self.controls):
            yield f"control net {index}", control.unet


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How to draw: nothing of it shapes the weights. `guidance` 1 is none, and half the work; `alike`: how much of the
    noise is the same in all frames, see `alike_noise`; `window`: frames that are drawn together, where that is not as
    many as the generator has learnt, and less memory."""

    steps: int
    sampler: Literal["ddim", "euler", "heun", "dpm_solver", "unipc", "consistency"]
    spacing: Literal["even", "latent_diffusion", "leading", "trailing", "lcm"]
    guidance: float
    seed: int = 0
    alike: float = 0.0
    decoded_together: int = 4
    window: int | None = None


@dataclass(frozen=True)
class Likeness:
    """What a generator knows of a portrait."""

    latents: Tensor  # (p, c, h, w) of one or more pictures of one person
    context: Tensor  # (1, k, d)


@dataclass(frozen=True)
class Sitter:
    """A portrait as an encoder sees it: one for all frames, or one for each."""

    picture: Tensor  # (1 or f, 3, H, W) in [-1, 1]
    code: Tensor  # (1 or f, d)
    box: Tensor  # (1 or f, 3) pixels


@dataclass(frozen=True)
class Cues:
    """What the driver does in some frames, as a generator is told it, fitted to the portrait."""

    hints: tuple[Tensor, ...] = ()  # each (f, 3, H, W) in [-1, 1]
    code: Tensor | None = None  # (f, k, d)

    def __len__(self) -> int:
        return len(self.hints[0]) if self.hints else 0 if self.code is None else len(self.code)

    def __getitem__(self, frames: slice) -> Cues:
        return Cues(tuple(hint[frames] for hint in self.hints), None if self.code is None else self.code[frames])

    def to(self, device: torch.device | str) -> Cues:
        """The same, there."""
        return Cues(tuple(hint.to(device) for hint in self.hints), None if self.code is None else self.code.to(device))


def together(cues: Sequence[Cues]) -> Cues:
    """Cues one after the other, as one."""
    hints = tuple(torch.cat(parts) for parts in zip(*(each.hints for each in cues), strict=True))
    codes = [each.code for each in cues if each.code is not None]
    return Cues(hints, torch.cat(codes) if codes else None)


def regrouped(cues: Iterable[Cues], size: int) -> Iterator[Cues]:
    """The same frames in groups of `size`, whatever chunks they came in; the last may be smaller."""
    waiting: Cues | None = None
    for chunk in cues:
        waiting = chunk if waiting is None else together([waiting, chunk])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting is not None and len(waiting):
        yield waiting


def first_cue(begun: Begun) -> int:
    """The frame from which on cues are needed to go on with a film: hints are then encoded in the groups in which they
    were, and come out the same to the last bit."""
    return begun.first // HINTS_TOGETHER * HINTS_TOGETHER


class Generator(nn.Module):
    """Portrait and motion to frames."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = autoencoder(config.autoencoder)
        self.unet = UNet(config.unet)
        self.reference = ReferenceNet(config.reference)
        self.controls = nn.ModuleList(ControlNet(control) for control in config.controls)
        self.encoder = Encoder(config.encoder) if config.encoder else None
        channels, width = config.unet.channels, config.unet.widths[0]
        self.turned = silent(nn.Conv2d(channels, width, 3, padding=1)) if config.turning else None
        shared = torch.zeros(1, config.shared_context, config.unet.context)
        self.context = nn.Parameter(shared) if config.shared_context else None
        seen = config.embedding
        self.embedding = PictureEmbedding(seen, config.unet.channels, config.unet.context) if seen else None

    @property
    def control_nets(self) -> list[ControlNet]:
        """One for each hint of a frame."""
        return [cast(ControlNet, net) for net in self.controls]

    def coded(self, code: Tensor, boxes: Tensor, to: Tensor, sitter: Sitter | None = None) -> Cues:
        """The cues of f frames: their codes (f, c), and boxes (f, 3) measured against another (f or 1, 3); see
        `motion.encoder.relative`. `sitter` is needed where the portrait is shown turned (`GeneratorConfig.turning`).
        Raises BadOption for a generator that follows no code, and where there is nobody to turn."""
        if self.encoder is None:
            raise BadOption("this generator follows no motion code", f"{len(self.controls)} hints a frame")
        tokens = self.encoder.tokens(code, relative(boxes, to))
        if self.config.turning is None:
            return Cues(code=tokens)
        if sitter is None:
            raise BadOption("this generator is shown the portrait, turned, and was given none", "sitter=None")
        frames = len(code)
        with torch.no_grad(), torch.autocast(code.device.type, enabled=False):
            picture = sitter.picture.expand(frames, -1, -1, -1)
            held, own = (each.float().expand(frames, -1) for each in (self.encoder.turns(sitter.code), sitter.box))
            box = carried(boxes.float(), to.float(), own)
            hint = turned(picture, held, own, self.encoder.turns(code), box, self.config.turning)
        return Cues((hint,), tokens)

    def likeness(
        self, pictures: Tensor, context: Tensor | None = None, chance: torch.Generator | None = None
    ) -> Likeness:
        """One person's pictures (p, 3, H, W) in [-1, 1], and their context (1, k, d) if the generator shares none.

        With chance, latents are sampled, as X-Portrait does; without, they are the mean.
        """
        if context is None and self.context is None:
            raise BadOption("This generator must be told a context of the portrait", remedy="CLIP's embedding of it")
        latents = self.autoencoder.encode(pictures, chance)
        return Likeness(latents, self.told_of(latents).mean(0, keepdim=True) if context is None else context)

    def told_of(self, latents: Tensor) -> Tensor:
        """The context (b or 1, k, d) of portraits' latents (b, c, h, w), in a generator that shares one."""
        assert self.context is not None
        return self.context if self.embedding is None else self.context + self.embedding(latents)

    def notes(self, likeness: Likeness, level: Tensor) -> list[Tensor]:
        """The reference net's notes on one person, for frames at `level` (a single number)."""
        fixed = self.config.reference_level
        told = level.reshape(1) if fixed is None else torch.full((1,), fixed, device=level.device)
        return as_one(self.reference(likeness.latents, told, likeness.context))

    def forward(
        self,
        noisy: Tensor,
        level: Tensor,
        *,
        portrait: Tensor | None,
        cues: Cues | None,
        context: Tensor | None = None,
        altered: Callable[[list[Tensor]], Sequence[Note]] | None = None,
    ) -> Tensor:
        """What the U-Net answers, (b, f, c, h, w): all nets in one call, so that training can be spread.

        noisy (b, f, c, h, w), level (b, f); latents of a portrait for each film (b, c, h, w), or None for untold;
        cues of b*f frames, or None; context (b, k, d) if none is shared; `altered`: what becomes of notes on the way.
        """
        if context is None and self.context is not None:
            context = self.context if portrait is None else self.told_of(portrait)
        if context is None:
            raise BadOption("This generator must be told a context of every portrait")
        notes: Sequence[Note] | None = None
        if portrait is not None:
            fixed = self.config.reference_level
            told = level[:, 0] if fixed is None else torch.full_like(level[:, 0], fixed)
            taken = self.reference(portrait, told, context)
            notes = taken if altered is None else altered(taken)
        hints = () if cues is None else self.encoded(cues.hints)
        code = None if cues is None or cues.code is None else cues.code.reshape(*noisy.shape[:2], *cues.code.shape[1:])
        return self.informed(noisy, level, context, hints, notes, code)

    def encoded(self, hints: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Hints (n, 3, H, W) in [-1, 1], as they are told: once per frame, whatever the steps and windows. Without
        local control, the first alone is seen."""
        if self.turned is None:
            return tuple(net.encode(hint) for net, hint in zip(self.control_nets, hints, strict=False))
        with torch.no_grad(), rough(self.turned.weight.device):  # where things go is all that is taken from it
            latents = [self.autoencoder.encode(hint) for hint in hints]
        return tuple(self.turned(each.to(self.turned.weight.dtype)) for each in latents)

    @torch.no_grad()
    def draw(
        self,
        likeness: Likeness,
        cues: Iterable[Cues],
        manner: Manner,
        *,
        still: Cues | None = None,
        stepped: Callable[[Window, int], None] | None = None,
    ) -> Iterator[Tensor]:
        """Frames (f, 3, H, W), about [-1, 1], some at a time, as soon as they are finished; cues may never end.

        `still` and `stepped` are those of `latents`."""
        for latents in self.latents(likeness, cues, manner, still=still, stepped=stepped):
            yield from self.decoded(latents, manner)

    @torch.no_grad()
    def decoded(
        self, latents: Tensor, manner: Manner, decode: Callable[[Tensor], Tensor] | None = None
    ) -> Iterator[Tensor]:
        """The frames of what `latents` yields, some at a time; `decode`: by another decoder of the same latents."""
        for some in torch.split(latents, manner.decoded_together):
            yield self.autoencoder.decode(some) if decode is None else decode(some)

    @torch.no_grad()
    def latents(
        self,
        likeness: Likeness,
        cues: Iterable[Cues],
        manner: Manner,
        *,
        still: Cues | None = None,
        stepped: Callable[[Window, int], None] | None = None,
        begun: Begun | None = None,
    ) -> Iterator[Tensor]:
        """The latents (f, c, h, w) of window after window, finished.

        `still`: cues of one frame in which the driver does what the portrait does; guidance draws away from it, as in
        X-Portrait 2. `stepped` is called after each step of each window. `begun`: a film that is gone on with; cues
        then come from the frame `first_cue(begun)` on.
        """
        config = self.config
        levels = SPACINGS[manner.spacing](manner.steps).to(likeness.latents.device)
        shape = likeness.latents.shape[1:]
        notes_at = self._reader(likeness, levels)
        begin = self._beginning(likeness)

        def noise(frames: range) -> Tensor:
            return alike_noise(manner.seed, frames, shape, manner.alike, device=levels.device)

        def walk(frames: range, denoise: Denoise) -> Iterator[Tensor]:
            noisy = noise(frames)
            if begin is not None:
                noisy = noised(begin, noisy, levels[:1].expand(len(noisy)), config.schedule)
            if manner.sampler != "consistency":
                return SAMPLERS[manner.sampler](denoise, noisy, levels, config.schedule)

            def fresh(step: int) -> Tensor:  # distilled nets are noised afresh after every step
                return keyed_noise(manner.seed, frames, shape, purpose=FRESH + step, device=levels.device)

            return samplers.consistency(denoise, noisy, levels, config.schedule, fresh)

        def denoises(told: list[Cues]) -> Denoise:
            return self._denoise(likeness, notes_at, together(told), still, manner.guidance)

        def look(told: list[Cues], noisy: Tensor, level: Tensor) -> Tensor:
            return denoises(told)(noisy, level)

        def sample(window: Window, told: list[Cues], known: Tensor | None) -> Tensor:
            denoise = denoises(told)
            if known is not None:
                denoise = held(denoise, known, noise(window.frames[: len(known)]), config.schedule)
            latents = samplers.last(_watched(walk(window.frames, denoise), window, stepped))
            return latents if known is None else torch.cat([known, latents[len(known) :]])

        told = self._frame_by_frame(cues)
        if begun is not None:
            told = islice(told, begun.first - first_cue(begun), None)
        size = self.window(manner)
        if config.crossfaded:
            yield from crossfaded(walk, look, told, size=size, overlap=config.overlap, begun=begun, stepped=stepped)
        else:
            yield from overlapped(sample, told, size=size, overlap=config.overlap, begun=begun)

    def looked_again(self, done: int, manner: Manner) -> Begun:
        """How a film is gone on with whose windows are crossfaded, and of which `done` frames are there."""
        most = 2 * manner.steps  # Heun's; what is not asked for is not computed either
        return looked_again(done, size=self.window(manner), overlap=self.config.overlap, calls=most)

    def window(self, manner: Manner) -> int:
        """Frames that are drawn together."""
        return self.config.window if manner.window is None else manner.window

    def _frame_by_frame(self, cues: Iterable[Cues]) -> Iterator[Cues]:
        """Cues of single frames, their hints encoded: once, for all windows and steps."""
        for group in regrouped(cues, HINTS_TOGETHER):
            least = len(self.controls) if self.turned is None else 1
            if len(group.hints) < least:
                raise BadOption(f"this generator follows {least} hints a frame, given {len(group.hints)}")
            encoded = Cues(self.encoded(group.hints), group.code)
            for frame in range(len(group)):
                yield encoded[frame : frame + 1]

    def _reader(self, likeness: Likeness, levels: Tensor) -> Callable[[Tensor], list[Note]]:
        """Notes for one of some levels, as the keys and values that the U-Net sees in them: read once for each, when it
        is first asked for."""
        kept: dict[float, list[Note]] = {}

        def notes_at(level: Tensor) -> list[Note]:
            key = self.config.reference_level if self.config.reference_level is not None else float(level.max())
            if key not in kept:
                kept[key] = [*self.unet.remembered(self.notes(likeness, level.max()))]
            return kept[key]

        return notes_at

    def _beginning(self, likeness: Likeness) -> Tensor | None:
        """What films begin from besides noise, (1, c, h, w)."""
        start = self.config.start
        return None if start is None else blurred(likeness.latents[:1], start.blur, start.deviation)

    def _denoise(
        self,
        likeness: Likeness,
        notes_at: Callable[[Tensor], list[Note]],
        encoded: Cues,
        still: Cues | None,
        guidance: float,
    ) -> Denoise:
        """The clean guess for a window of one film, whose cues' hints are encoded already."""
        context = likeness.context
        code = None if encoded.code is None else encoded.code[None]
        still_code = code if still is None or still.code is None else still.code[:1].expand(len(encoded), -1, -1)[None]
        nobody = torch.zeros_like(context) if self.context is None else self.context

        def told(noisy: Tensor, level: Tensor) -> Tensor:
            return self.informed(noisy[None], level[None], context, encoded.hints, notes_at(level), code)[0]

        def untold(noisy: Tensor, level: Tensor) -> Tensor:
            return self.uninformed(noisy[None], level[None], nobody, still_code)[0]

        schedule, prediction = self.config.schedule, self.config.prediction
        return guided(denoiser(told, schedule, prediction), denoiser(untold, schedule, prediction), guidance)

    def informed(
        self,
        noisy: Tensor,
        level: Tensor,
        context: Tensor,
        hints: tuple[Tensor, ...],
        notes: Sequence[Note] | None,
        code: Tensor | None,
    ) -> Tensor:
        """What the U-Net answers where it is told everything: see its `forward`; `hints` are encoded, or none."""
        if self.turned is not None:
            turned = hints[0] if hints else None
            return cast(Tensor, self.unet(noisy, level, context, notes=notes, hint=turned, code=code))
        nets = zip(self.control_nets, hints, strict=True) if hints else ()
        controls = added([net(noisy, level, context, hint) for net, hint in nets])
        return cast(Tensor, self.unet(noisy, level, context, notes=notes, controls=controls, code=code))

    def uninformed(self, noisy: Tensor, level: Tensor, context: Tensor, code: Tensor | None) -> Tensor:
        """What it answers without portrait and controls."""
        answer: Tensor = self.unet(noisy, level, context, code=code)
        return answer


def _watched(
    states: Iterator[Tensor], window: Window, stepped: Callable[[Window, int], None] | None
) -> Iterator[Tensor]:
    """The states of a sampler, each reported."""
    for step, state in enumerate(states):
        if stepped is not None:
            stepped(window, step)
        yield state


def part(name: str) -> str:
    """Which part of a generator a parameter belongs to, for freezing, counting and rates of learning: autoencoder,
    backbone, time, motion, reference, control 0, control 1, context, embedding, turned or encoder."""
    owner, _, rest = name.partition(".")
    if owner == "unet":
        return "time" if "temporal_modules" in rest else "motion" if "motion_modules" in rest else "backbone"
    return f"control {rest.partition('.')[0]}" if owner == "controls" else owner


def blurred(latents: Tensor, size: int, deviation: float) -> Tensor:
    """A Gaussian blur of `size` (odd) latents, reflected at the edges."""
    away = torch.arange(size, device=latents.device) - size // 2
    kernel = (-0.5 * (away / deviation).square()).exp()
    kernel = kernel / kernel.sum()
    channels, edge = latents.shape[1], size // 2
    padded = F.pad(latents, (edge, edge, edge, edge), mode="reflect")
    across = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
    return F.conv2d(across, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
