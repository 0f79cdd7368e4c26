"""Drawing by diffusion, whatever is followed: see `artist.Artist`."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from understudy import device as devices
from understudy.animate.artist import Drawn, Frame
from understudy.animate.choices import Choices
from understudy.animate.kept import Kept
from understudy.animate.trained import Trained, trained
from understudy.clip import Picture
from understudy.diffusion.windows import Begun, Window
from understudy.face.framing import framed
from understudy.face.mesh import Floats
from understudy.face.portrait import Portrait
from understudy.generator.generator import Cues, Likeness, Manner, first_cue
from understudy.models import PUBLISHED, Model
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames

TRIED: Final = 4  # part of a window that is drawn at first, to know how long the rest will take
CORNER: Final = np.float32(0.5)  # from the middle of the first pixel to its corner

M = TypeVar("M", MotionFrames, MotionCode)
R = TypeVar("R", bound=Frame)


class Imagined(ABC, Generic[M, R]):
    """A portrait that is imagined anew in every frame, in windows of frames."""

    def __init__(
        self, model: Model, known: Trained, portrait: Portrait, manner: Manner, choices: Choices, cast: bool
    ) -> None:
        self.model, self.known, self.portrait, self.manner = model, known, portrait, manner
        self.choices, self.aligns = choices, choices.relative is not False
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
    def about(self) -> Mapping[str, str]:
        manner = self.manner
        how = f"{manner.steps} {manner.sampler}, guidance {manner.guidance:g}"
        return {"steps": how, "weights": self.known.mark, "torch": torch.__version__, "device": str(self.device)}

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return next(self.known.generator.parameters()).device

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
        if self.model in PUBLISHED:  # a trial would take minutes
            from understudy.published.plan import plan

            return frames * plan(self.model, device=str(self.device), steps=self.choices.steps).seconds
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
        with. Without it, what was drawn is drawn again, and left out."""
        generator, config = self.known.generator, self.known.generator.config
        with ExitStack() as stack:
            file = stack.enter_context(Kept(kept, self.likeness.latents.shape[1:], done)) if kept else None
            begun = file.begun(config.window, config.overlap, self.device) if file else None
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
                for pictures in generator.decoded(latents, self.manner):
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


def made(model: Model, choices: Choices) -> tuple[Trained, Manner]:
    """A model's generator and how it draws. Errors: those of `trained`, and of `device.choose`."""
    assert model.manner is not None
    manner = replace(model.manner(), seed=choices.seed)
    if choices.steps is not None:
        manner = replace(manner, steps=choices.steps)
    return trained(model, devices.choose(choices.device)), manner
