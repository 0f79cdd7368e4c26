"""Drawing by diffusion, from a driver's motion codes: see `artist.Artist`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from understudy.animate.artist import Way
from understudy.animate.choices import Choices
from understudy.animate.driving import Driving, kept, open_frames
from understudy.animate.imagined import Imagined, made, tensor_of
from understudy.clip import AnyPath, Warn
from understudy.clip.media import existing
from understudy.errors import WrongMotion
from understudy.face.mesh import Floats
from understudy.face.parts import centres
from understudy.face.portrait import Portrait
from understudy.generator.generator import Cues, Sitter, together
from understudy.models import Model
from understudy.motion.code import ENCODER, MotionCode
from understudy.motion.encoder import Encoder, boxed
from understudy.motion.file import read_codes, read_header
from understudy.motion.kinds import CODE
from understudy.motion.reading import read_code


@dataclass(frozen=True)
class Placed:
    """The driver's frame that counts as the portrait's own, and for every shot the box (3,) that the driver's is
    measured against. Of a driver that is taken as it is, frame -1: then the portrait's head keeps its place."""

    frame: int
    boxes: dict[int, Floats] = field(default_factory=dict)


class Following(Imagined[MotionCode, Placed]):
    """A portrait that is imagined anew in every frame, from what the driver does."""

    @property
    def encoder(self) -> Encoder:
        """Of the codes that the generator was trained with."""
        encoder = self.known.generator.encoder
        assert encoder is not None  # or it would follow something else
        return encoder

    @cached_property
    def sitter(self) -> Sitter:
        """The portrait, as the encoder sees it."""
        with torch.no_grad():
            inside = boxed(torch.from_numpy(centres(self.points))[None]).to(self.device)
            picture = tensor_of(self.own)[None].to(self.device)
            return Sitter(picture, self.encoder.seen(picture, inside).float(), inside)

    def reference(self, motion: Iterable[MotionCode]) -> Placed | None:
        """The frame whose code is most like the portrait's; of the other shots such frames as well."""
        own = self.sitter.code.cpu().numpy()
        best: dict[int, tuple[float, int, Floats]] = {}
        first = 0
        for chunk in motion:
            costs = np.square(self._ours(chunk).code - own).mean(1)
            for k in np.flatnonzero(chunk.seen).tolist():
                shot = int(chunk.shots[k])
                if shot not in best or costs[k] < best[shot][0]:
                    best[shot] = float(costs[k]), first + k, chunk.box[k].copy()
            first += len(chunk)
        if not best:
            return None
        if not self.aligns:
            return Placed(-1)
        _, frame, _ = min(best.values(), key=lambda each: each[:2])
        return Placed(frame, {shot: box for shot, (_, _, box) in best.items()})

    def reference_at(self, chunk: MotionCode, k: int, frame: int) -> Placed:
        return Placed(frame, {int(chunk.shots[k]): chunk.box[k].copy()})

    def cues(self, motion: Iterable[MotionCode], reference: Placed) -> Iterator[Cues]:
        """Frame by frame, so that no number depends on the chunks."""
        known, strength = dict(reference.boxes), self.strength
        neutral = self.neutral if strength != 1 else None
        for chunk in motion:
            chunk = self._ours(chunk) if neutral is None else self._ours(chunk).scaled(strength, neutral)
            told: list[Cues] = []
            for code, box, shot in zip(chunk.code, chunk.box, chunk.shots.tolist(), strict=True):
                to = box if reference.frame < 0 else known.setdefault(shot, box)
                told.append(self._cue(code, to + strength * (box - to), to))
            yield together(told)

    def trial(self, frames: int) -> Cues:
        return together([self.at_rest] * frames)

    @property
    def at_rest(self) -> Cues:
        """The portrait's own code, its head where it is."""
        one = np.ones(3, np.float32)
        return self._cue(self.sitter.code[0].cpu().numpy(), one, one)

    @property
    def strength(self) -> float:
        """Of all that the driver does."""
        return self.choices.strength

    @property
    def neutral(self) -> Floats:
        """The code (d,) of a face at rest. Errors: `WrongMotion` where the encoder does not know it."""
        if self.encoder.probe is None:
            raise WrongMotion(
                f"{self.model.name} does not know the code of a face at rest", remedy="leave out --strength"
            )
        return np.asarray(self.encoder.probe.neutral.cpu().numpy(), np.float32)

    @torch.no_grad()
    def _cue(self, code: Floats, box: Floats, to: Floats) -> Cues:
        """Of one frame."""
        now, there, own = (torch.from_numpy(np.ascontiguousarray(row))[None].to(self.device) for row in (code, box, to))
        return self.known.generator.coded(now, there, own, self.sitter)

    def _ours(self, chunk: MotionCode) -> MotionCode:
        """The chunk, if its codes are of this encoder. Errors: `WrongMotion`."""
        if not isinstance(chunk, MotionCode):
            raise WrongMotion(
                f"this model draws from motion codes and was given {type(chunk).__name__}",
                remedy="reading the driver with this model's `read`",
            )
        same(chunk.provenance, self.known.encoder_mark, self.model)
        return chunk


def same(provenance: dict[str, str], mark: str, model: Model) -> None:
    """Errors: `WrongMotion` for codes that another encoder made: they mean something else."""
    theirs = provenance.get(ENCODER, "")
    if theirs != mark:
        raise WrongMotion(
            f"these motion codes are not of the encoder of {model.name}",
            f"of {theirs or 'nobody knows which'}, not of {mark}",
            "the film that they were read from",
        )


def opened(model: Model, path: AnyPath, choices: Choices, warn: Warn) -> Driving[MotionCode]:
    """A driver's codes: from a file of them, or read from pictures, which are the driver's or of one of the cast.

    Errors: those of `open_frames` and of `trained`; `WrongMotion` for codes of another encoder."""
    known, _, _ = made(model, choices)
    encoder, path = known.generator.encoder, existing(path)
    assert encoder is not None
    if path.suffix.lower() == ".safetensors" and (header := read_header(path)).kind == CODE.name:
        same(header.provenance, known.encoder_mark, model)
        if choices.driver == "bridge":
            raise WrongMotion(f"{path} has no mesh that one of the cast could play", "motion codes", "no --driver")
        return kept(path, header.rate, len(header), lambda: read_codes(path))
    source = open_frames(path, driver=choices.driver, warn=warn)
    return Driving(
        path=source.path,
        fps=source.fps,
        frames=source.frames,
        still=source.still,
        sounds=source.sounds,
        kept=False,  # read once, not twice
        chunks=lambda: read_code(source.chunks(), encoder, known.encoder_mark),
        driver=source.driver,
        mark=known.encoder_mark,
    )


def following(
    model: Model, portrait: Portrait, choices: Choices, driving: Driving[Any] | None, cast: bool
) -> Following:
    """A portrait to be imagined. Errors: those of `trained`, and of `device.choose`."""
    known, manner, plan = made(model, choices)
    return Following(model, known, portrait, manner, choices, cast, plan)


def way(model: Model) -> Way:
    """The way of a model that follows codes."""
    return Way(CODE, partial(opened, model), following)
