"""Drawing by diffusion, whatever is followed: see `artist.Artist`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from understudy import device as devices
from understudy.animate.artist import Drawn, Frame
from understudy.animate.choices import Choices
from understudy.animate.kept import Kept
from understudy.animate.manners import expected, fitted, manner_of
from understudy.animate.trained import Besides, Trained, trained, weights_of, whole
from understudy.clip import Picture
from understudy.diffusion.windows import Begun, Window
from understudy.errors import TooLittleMemory
from understudy.face.framing import framed
from understudy.face.mesh import Floats
from understudy.face.portrait import Portrait
from understudy.generator.generator import Cues, Likeness, Manner, first_cue
from understudy.models import PUBLISHED, Model
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames
from understudy.published import loading
from understudy.published.plan import Plan, least, placed
from understudy.published.thrifty import Thrifty

TRIED: Final = 4  # part of a window that is drawn at first, to know how long the rest will take
CORNER: Final = np.float32(0.5)  # from the middle of the first pixel to its corner

M = TypeVar("M", MotionFrames, MotionCode)
R = TypeVar("R", bound=Frame)


class Imagined(ABC, Generic[M, R]):
    """A portrait that is imagined anew in every frame, in windows of frames."""

    relented = False
    """Whether it draws with less memory than was planned."""

    def __init__(
        self,
        model: Model,
        known: Trained,
        portrait: Portrait,
        manner: Manner,
        choices: Choices,
        cast: bool,
        plan: Plan | None = None,
    ) -> None:
        """`plan`: how the model keeps within its memory, where that was planned."""
        self.model, self.known, self.portrait, self.manner = model, known, portrait, manner
        self.choices, self.aligns, self.plan = choices, choices.relative is not False, plan
        height, width = portrait.picture.shape[:2]
        self.crop = framed(portrait.face, (width, height), self.side)
        self.own = self.crop.cut(portrait.picture)
        self.points: Floats = self.crop.to_frame(portrait.face.points)[:, :2] + CORNER
        self._strange = self._strangeness(cast)

    @property
    def side(self) -> int:
        """Pixels of a frame."""
        return self.known.generator.config.picture

    @property
    def size(self) -> tuple[int, int]:
        """See `artist.Artist`."""
        height, width = self.portrait.picture.shape[:2]
        return width, height

    @property
    def about(self) -> Mapping[str, str]:
        manner = self.manner
        how = f"{manner.steps} {manner.sampler}, guidance {manner.guidance:g}"
        about = {"steps": how, "weights": self.known.mark, "torch": torch.__version__, "device": str(self.device)}
        if self.plan is not None:
            about["windows"] = f"{self.window} frames, {manner.decoded_together} decoded at once, {self.plan.dtype}"
        return about

    @property
    def expected(self) -> str:
        """See `artist.Artist`."""
        return expected(self.manner, self.choices, self.plan)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.known.generator.unet.conv_in.weight.device

    @property
    def window(self) -> int:
        """Frames that are drawn together."""
        return self.known.generator.window(self.manner)

    @property
    def warnings(self) -> list[str]:
        return [*self.known.warnings, *self._strange]

    @cached_property
    def likeness(self) -> Likeness:
        """What the generator knows of the portrait, computed when it is first drawn."""
        with torch.no_grad():
            own, sight = tensor_of(self.own)[None].to(self.device), self.known.sight
            return self.known.generator.likeness(own, None if sight is None else sight(own))

    @abstractmethod
    def reference(self, motion: Iterable[M]) -> R | None:
        """See `artist.Artist`."""

    @abstractmethod
    def reference_at(self, chunk: M, k: int, frame: int) -> R:
        """See `artist.Artist`."""

    @abstractmethod
    def cues(self, motion: Iterable[M], reference: R) -> Iterator[Cues]:
        """What the generator is told of every frame."""

    @property
    def at_rest(self) -> Cues | None:
        """What a driver does who does what the portrait does, if guidance shall draw away from it."""
        return None

    @abstractmethod
    def trial(self, frames: int) -> Cues:
        """Something to be told, in so many frames, to see how long that takes."""

    def seconds(self, frames: int) -> float:
        """From the second step of a few frames, and from decoding them: the first step is never like the others."""
        if not frames:
            return 0.0
        if self.plan is not None:  # a trial would take minutes
            return frames * self.plan.seconds
        generator, config = self.known.generator, self.known.generator.config
        tried, marks = max(config.window // TRIED, 1), list[float]()
        told = self.trial(tried).to(self.device)
        trial = replace(self.manner, steps=2)
        latents = next(
            generator.latents(self.likeness, [told], trial, stepped=lambda *_: marks.append(time.perf_counter()))
        )
        begun = time.perf_counter()
        shown = next(generator.decoded(latents, trial))
        decoding, step = (time.perf_counter() - begun) / len(shown), (marks[1] - marks[0]) / tried
        windows = 1 + -(-max(frames - config.window, 0) // (config.window - config.overlap))
        drawn = windows * min(config.window, frames)  # some of them twice
        return self.manner.steps * drawn * step + frames * decoding

    def relent(self) -> str | None:
        """See `artist.Artist`."""
        if self.plan is None or self.relented or not isinstance(self.known.generator, Thrifty):
            return None
        config = self.known.generator.config
        smaller = least(self.plan, config, replace(self.manner, window=None))
        if smaller.memory >= self.plan.memory:
            return None
        self.relented, self.plan = True, smaller
        self.manner = fitted(self.manner, smaller, config.window)
        self.known.generator.sent_away(smaller.offload)
        devices.let_go(self.device)
        return f"goes on with less, more slowly: {placed(smaller)}"

    def draw(
        self,
        motion: Iterable[M],
        reference: R,
        *,
        crop: bool = False,
        done: int = 0,
        kept: Path | None = None,
        told: Callable[[float], None] = lambda frames: None,
    ) -> Generator[Drawn, None, None]:
        """Windows are drawn from the last latents of the window before; `kept` has those of a film that is gone on
        with. Without it, what was drawn is drawn again, and left out. Windows that are crossfaded need none of it."""
        try:
            yield from self._drawn(motion, reference, crop, done, kept, told)
        except (RuntimeError, MemoryError) as error:
            if not devices.ran_out(error):
                raise
            raise TooLittleMemory(
                f"{self.model.name} ran out of memory on {self.device}",
                str(error),
                f"understudy plan {self.model.name}",
            ) from error

    def _drawn(
        self,
        motion: Iterable[M],
        reference: R,
        crop: bool,
        done: int,
        kept: Path | None,
        told: Callable[[float], None],
    ) -> Iterator[Drawn]:
        generator, config = self.known.generator, self.known.generator.config
        decode = None if self.known.tiny is None else self.known.tiny.decode
        with ExitStack() as stack:
            file: Kept | None = None
            begun: Begun | None = None
            if config.crossfaded:
                begun = generator.looked_again(done, self.manner) if done else None
            elif kept:
                file = stack.enter_context(Kept(kept, self.likeness.latents.shape[1:], done))
                exactly = self.relented  # the window that ended there was another one
                begun = file.begun(self.window, config.overlap, self.device, exactly=exactly)
            frame = begun.start if begun else 0
            times: deque[float] = deque()
            cues = self.cues(_gone_on_with(motion, begun, times), reference)
            here = (group.to(self.device) for group in cues)

            def stepped(window: Window, step: int) -> None:
                share = (step + 1) / (self.manner.steps + 1)  # decoding takes about a step's time
                told(max(window.new.start + share * len(window.new), done))

            still = None if self.manner.guidance == 1 else self.at_rest
            for latents in generator.latents(
                self.likeness, here, self.manner, still=still, stepped=stepped, begun=begun
            ):
                if file:
                    file.append(latents)
                for pictures in generator.decoded(latents, self.manner, decode):
                    for picture in pictures_of(pictures):
                        when = times.popleft()
                        if frame >= done:
                            yield when, picture if crop else self.crop.paste(self.portrait.picture, picture)
                        frame += 1

    def _strangeness(self, cast: bool) -> list[str]:
        """What is to be said of somebody whom the model does not know."""
        if cast or self.model in PUBLISHED:
            return []
        name, advice = self.portrait.name, "--model warp draws photos and paintings"
        least = self.known.foreign_below
        if least is None:
            return [f"whether {self.model.name} knows people like {name} was never measured; it knows only the cast"]
        found = self.known.strangeness(tensor_of(self.own).to(self.device))
        if found >= least:
            return []
        return [
            f"{name} is not one of the cast, and {self.model.name} knows nobody else: it will not look like {name} "
            f"(its autoencoder gives {found:.1f} dB of it, and {least:.1f} or more of the cast's); {advice}"
        ]


def _gone_on_with(motion: Iterable[M], begun: Begun | None, times: deque[float]) -> Iterator[M]:
    """A motion from the first frame whose cues are needed; `times` are those of the frames that will be drawn."""
    first, start, at = (first_cue(begun), begun.start, 0) if begun else (0, 0, 0)
    for chunk in motion:
        times.extend(chunk.times[max(start - at, 0) :].tolist())
        if at + len(chunk) > first:
            yield chunk[max(first - at, 0) :]
        at += len(chunk)


def tensor_of(picture: Picture) -> Tensor:
    """(h, w, 3) bytes to (3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 127.5 - 1


def pictures_of(frames: Tensor) -> Iterator[Picture]:
    """(f, 3, h, w), about [-1, 1], as pictures (h, w, 3)."""
    for frame in ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy():
        yield np.ascontiguousarray(frame)


def made(model: Model, choices: Choices) -> tuple[Trained, Manner, Plan | None]:
    """A model's generator, how it draws, and, of a published one, how it keeps within its memory.

    Errors: those of `trained`, and of `device.choose`; `TooLittleMemory` where nothing would fit."""
    device, manner = devices.choose(choices.device), manner_of(model, choices)
    if model not in PUBLISHED:
        return trained(model, device), manner, None
    found = planned(model, device, replace(manner, seed=0), choices.preview)
    manner = fitted(manner, found, loading.config(weights_of(model)).window)
    besides = Besides(
        offload=() if choices.parity else found.offload,
        distilled=choices.sampler == "lcm",
        preview=choices.preview,
        compiled=choices.compile,
    )
    known = whole(model, device, besides)
    if isinstance(known.generator, Thrifty):
        known.generator.sent_away(besides.offload)  # an earlier film may have been short of memory
    return known, manner, found


@cache
def planned(model: Model, device: torch.device, manner: Manner, preview: bool) -> Plan:
    """The plan for a published model, made once: later there is less free, as the model is there already.

    Errors: `TooLittleMemory` where nothing would fit."""
    from understudy.published.plan import plan

    config = loading.config(weights_of(model))
    found = plan(model, device=str(device), config=config, manner=manner, preview=preview)
    if found.available and found.memory > found.available:
        raise TooLittleMemory(
            f"{model.name} does not fit into the memory of {found.device}",
            f"{found.memory / 2**30:.1f} GB at least, {found.available / 2**30:.1f} GB are free",
            "--model warp, which needs none of it, or a device with more",
        )
    return found
