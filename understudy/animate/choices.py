"""What a person may choose, checked before any work; and which model draws, with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args

from understudy.clip import AnyPath, read_metadata
from understudy.errors import BadOption, MediaError
from understudy.generator.warp import Amounts, WarpOptions
from understudy.models import (
    ALL,
    LCM_LORA,
    PUBLISHED,
    TINY,
    WARP,
    X_PORTRAIT_2,
    X_PORTRAIT_2_SMALL,
    X_PORTRAIT_SMALL,
    Model,
    missing_from,
    named,
    weights_file,
)
from understudy.motion.retouch import Retouch

Sampler = Literal["ddim", "euler", "heun", "dpm_solver", "unipc", "lcm"]
SAMPLERS: Final[tuple[str, ...]] = get_args(Sampler)
STRONGEST: Final = 20.0  # of guidance
LCM_GUIDANCE: Final = 2.0
LCM_STEPS: Final = 50  # that it was distilled at
PARTS: Final = ("mouth", "eyes", "brows", "pose")
MOST: Final = 3.0  # of strength
STEPS: Final = 1000  # of denoising, at most
DRAWING: Final = (WARP, X_PORTRAIT_SMALL, X_PORTRAIT_2_SMALL, *PUBLISHED)  # what this version can draw with
KNOWING: Final = (X_PORTRAIT_2_SMALL, X_PORTRAIT_SMALL)  # what draws the cast, the better one first, as measured
TAG: Final = "cast"  # the word in a picture's metadata by which the cast's pictures are known


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Everything that changes the drawn frames, besides the inputs.

    Errors: `BadOption` for values out of range and for choices that contradict each other."""

    strength: float = 1.0
    only: tuple[str, ...] | None = None
    relative: bool | None = None  # none: relative for films, absolute for one picture
    mouth: Literal["own", "driver"] | None = None  # none: the engine's default
    reference_frame: int | Literal["auto"] = "auto"
    crop: bool = False
    max_size: int = 1920
    face: int | None = None
    seed: int = 0
    steps: int | None = None  # none: the model's own
    driver: Literal["direct", "bridge"] | None = None  # none: what suits the driver
    device: str = "auto"
    sampler: Sampler | None = None  # none: the model's own
    guidance: float | None = None  # none: the model's own
    preview: bool = False  # decode with the tiny decoder
    parity: bool = False  # draw as the released script does, faults included
    compile: bool = False  # make a GPU quicker, after some minutes
    retouch: Retouch = Retouch()  # noqa: RUF009 (a frozen value)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and 0 <= self.strength <= MOST):
            raise BadOption(
                f"--strength {self.strength} is out of range", remedy=f"0 to {MOST:g}; 1 is as the driver does"
            )
        wrong = [part for part in self.only or () if part not in PARTS]
        if wrong or self.only == ():
            raise BadOption(
                "--only names no part of a face", ", ".join(wrong) or "nothing", f"some of {','.join(PARTS)}"
            )
        if self.reference_frame != "auto" and self.reference_frame < 0:
            raise BadOption(
                f"--reference-frame {self.reference_frame} is before the first frame", remedy="auto, or 0 on"
            )
        if self.reference_frame != "auto" and self.relative is False:
            raise BadOption(
                "--absolute and --reference-frame contradict each other",
                "absolute motion is not measured from any frame of the driver",
                "one of them",
            )
        if self.max_size < 64:
            raise BadOption(
                f"--max-size {self.max_size} is too small to see a face", remedy="1920 is usual, 64 the least"
            )
        if self.face is not None and self.face < 0:
            raise BadOption(f"--face {self.face} is no number of a face", remedy="0, the largest, or more")
        if self.mouth not in (None, "own", "driver"):
            raise BadOption(f"--mouth {self.mouth} is not known", remedy="own or driver")
        if self.steps is not None and not 1 <= self.steps <= STEPS:
            raise BadOption(
                f"--steps {self.steps} is out of range", remedy=f"1 to {STEPS}; without it, the model's own"
            )
        if self.driver not in (None, "direct", "bridge"):
            raise BadOption(f"--driver {self.driver} is not known", remedy="direct or bridge")
        self._check_drawing()

    def _check_drawing(self) -> None:
        """Errors: as the whole."""
        if self.sampler is not None and self.sampler not in SAMPLERS:
            raise BadOption(f"--sampler {self.sampler} is not known", remedy=", ".join(SAMPLERS))
        if self.guidance is not None and not (math.isfinite(self.guidance) and 1 <= self.guidance <= STRONGEST):
            raise BadOption(
                f"--guidance {self.guidance} is out of range",
                remedy=f"1, which is none and half the work, to {STRONGEST:g}",
            )
        if self.sampler == "lcm":
            if self.guidance is not None and self.guidance > LCM_GUIDANCE:
                raise BadOption(
                    f"--guidance {self.guidance:g} is too much for LCM-LoRA, which has its guidance inside",
                    remedy=f"1 to {LCM_GUIDANCE:g}; without --guidance, 1",
                )
            if self.steps is not None and self.steps > LCM_STEPS:
                raise BadOption(f"--steps {self.steps} is too much for LCM-LoRA", remedy="4 to 8")
        if self.parity:
            others = {
                "--sampler": self.sampler,
                "--guidance": self.guidance,
                "--preview": self.preview or None,
                "--strength": None if self.strength == 1 else self.strength,
                "--absolute": None if self.relative is not False else True,
            }
            used = [name for name, value in others.items() if value is not None]
            if used:
                raise BadOption(
                    f"--parity draws as the released script does, and so without {' and '.join(used)}",
                    remedy="one of them",
                )

    def options(self, still: bool) -> WarpOptions:
        """For the warp engine; `still`: the driver is one picture."""
        part = {name: self.strength if self.only is None or name in self.only else 0.0 for name in PARTS}
        face = self.only is None or {"mouth", "eyes", "brows"} <= set(self.only)
        amounts = Amounts(rest=self.strength if face else 0.0, **part)
        relative = not still if self.relative is None else self.relative
        if self.mouth is None:
            return WarpOptions(amounts=amounts, relative=relative)
        return WarpOptions(amounts=amounts, relative=relative, mouth=self.mouth)


def choose(model: str, choices: Choices, *, cast: bool = False, commercial: bool = False) -> tuple[Model, str]:
    """The model that draws, and why, as the rest of a sentence that begins with its name. `cast`: whether the
    portrait's file says that it shows one of the cast; `commercial`: whether the film shall be of use in commerce.

    Errors: `UnknownModel`; `BadOption` for a model that cannot draw here, or whose licence forbids what is wanted, and
    for options that it does not have."""
    chosen, why = _automatic(choices, cast) if model == "auto" else (named(model), "draws it, as asked")
    if commercial and not chosen.commercial:
        free = ", ".join(each.name for each in ALL if each.commercial)
        raise BadOption(
            f"the licence of {chosen.name} does not allow commercial use", chosen.licence, f"--model, of {free}"
        )
    if chosen not in DRAWING or (chosen in PUBLISHED and not chosen.here):
        raise BadOption(
            f"{chosen.name} cannot draw here"
            if not chosen.here
            else f"this version cannot draw with {chosen.name} yet",
            f"it needs {chosen.needs}" + (f"; it lacks {lacking}" if (lacking := missing_from(chosen)) else ""),
            "--model warp, which needs nothing; `understudy models` lists all, `understudy fetch` gets them",
        )
    for option, problem, remedy in _strange_to(chosen, choices):
        raise BadOption(f"{chosen.name} takes no {option}: {problem}", remedy=remedy)
    if chosen is WARP and choices.device not in ("auto", "cpu"):
        raise BadOption(
            "warp computes on the CPU and needs nothing else", f"--device {choices.device}", "--device auto or cpu"
        )
    return chosen, why


def of_the_cast(path: AnyPath) -> bool:
    """Whether a file says that it shows one of the cast. One that cannot be read does not; who reads it says why."""
    try:
        return TAG in read_metadata(path)
    except MediaError:
        return False


def _automatic(choices: Choices, cast: bool) -> tuple[Model, str]:
    """What is best for a portrait, of what is here."""
    if cast:
        reasons = []
        for model in KNOWING:
            lacking = missing_from(model)
            strange = next((option for option, _, _ in _strange_to(model, choices)), None)
            if lacking is None and strange is None:
                return model, "draws it: the portrait is one of the cast, whom it knows"
            reasons.append(f"{model.name} lacks {lacking}" if lacking else f"{model.name} takes no {strange}")
        return WARP, f"draws it: built in (the portrait is one of the cast, but {'; '.join(reasons)})"
    why = "draws it: built in, for photos and paintings"
    if X_PORTRAIT_2.here:
        why += " (x-portrait-2 is installed: --model x-portrait-2 draws with it)"
    return WARP, why


def _strange_to(model: Model, choices: Choices) -> Iterator[tuple[str, str, str]]:
    """Options that were used and that a model does not have: each with the reason, and what to do."""
    return _strange_to_warp(choices) if model is WARP else _strange_to_diffusion(choices, model)


def _strange_to_warp(choices: Choices) -> Iterator[tuple[str, str, str]]:
    """Options that were used and that warp does not have: each with the reason, and what to do."""
    if choices.steps is not None:
        yield "--steps", "it bends the picture and denoises nothing", "leave it out"
    if choices.driver is not None:
        yield "--driver", "it follows the driver's mesh, directly", "leave it out"
    for option, used in _drawing(choices).items():
        if used:
            yield option, "it bends the picture and denoises nothing", "leave it out"


def _drawing(choices: Choices) -> dict[str, bool]:
    """Options of diffusion, and whether they were used."""
    return {
        "--sampler": choices.sampler is not None,
        "--guidance": choices.guidance is not None,
        "--preview": choices.preview,
        "--parity": choices.parity,
        "--compile": choices.compile,
    }


def _strange_to_diffusion(choices: Choices, model: Model) -> Iterator[tuple[str, str, str]]:
    """The same for diffusion models."""
    whole = "it sees the driver's pictures as they are, and carries all that is in them"
    if model.follows == "code":
        whole = "its codes are of whole faces"
    if choices.strength != 1 and model.follows != "code":
        yield "--strength", whole, "leave it out, or --model warp"
    if choices.only is not None:
        yield "--only", whole, "leave it out, or --model warp"
    if choices.mouth is not None:
        yield "--mouth", "it draws the inside of the mouth itself", "leave it out, or --model warp"
    if not choices.retouch.nothing:
        yield "retouching", whole, "leave it out, or --model warp"
    yield from _strange_to_published(choices) if model in PUBLISHED else _strange_to_small(choices)


def _strange_to_small(choices: Choices) -> Iterator[tuple[str, str, str]]:
    """The same for this project's own models."""
    if choices.sampler == "lcm":
        yield "--sampler lcm", "LCM-LoRA is for Stable Diffusion's U-Net", "another sampler; its own takes 3 steps"
    if choices.preview:
        yield "--preview", "the tiny decoder is for Stable Diffusion's latents", "leave it out: its decoder is small"
    if choices.parity:
        yield "--parity", "nobody has released a script for it", "leave it out, or --model x-portrait"
    if choices.compile:
        yield "--compile", "it is small, and compiling would take longer than drawing", "leave it out"


def _strange_to_published(choices: Choices) -> Iterator[tuple[str, str, str]]:
    """The same for models that others have published, and for what they need besides."""
    if choices.sampler == "lcm" and weights_file(LCM_LORA) is None:
        yield "--sampler lcm", f"LCM-LoRA ({LCM_LORA}) is not here", "`understudy fetch lcm-lora`, or another sampler"
    if choices.preview and weights_file(TINY) is None:
        remedy = "`understudy fetch tiny-autoencoder`, which says how to go on; or leave it out"
        yield "--preview", f"the tiny decoder ({TINY}) is not here", remedy
