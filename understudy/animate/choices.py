"""What a person may choose, checked before any work; and which model draws, with the reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from understudy.errors import BadOption
from understudy.generator.warp import Amounts, WarpOptions
from understudy.models import WARP, X_PORTRAIT_2, Model, named

PARTS: Final = ("mouth", "eyes", "brows", "pose")
MOST: Final = 3.0  # of strength


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

    def options(self, still: bool) -> WarpOptions:
        """For the warp engine; `still`: the driver is one picture."""
        part = {name: self.strength if self.only is None or name in self.only else 0.0 for name in PARTS}
        face = self.only is None or {"mouth", "eyes", "brows"} <= set(self.only)
        amounts = Amounts(rest=self.strength if face else 0.0, **part)
        relative = not still if self.relative is None else self.relative
        if self.mouth is None:
            return WarpOptions(amounts=amounts, relative=relative)
        return WarpOptions(amounts=amounts, relative=relative, mouth=self.mouth)


def choose(model: str, *, device: str, steps: int | None, driver: str | None) -> tuple[Model, str]:
    """The model that draws, and why, as the rest of a sentence that begins with its name.

    Errors: `UnknownModel`; `BadOption` for a model that cannot draw here, and for options that it does not have."""
    if model == "auto":
        chosen, why = WARP, "draws it: built in, for photos and paintings"
        if X_PORTRAIT_2.here:
            why += " (x-portrait-2 is installed, and this version cannot draw with it yet)"
    else:
        chosen, why = named(model), "draws it, as asked"
    if chosen is not WARP:
        raise BadOption(
            f"{chosen.name} cannot draw here"
            if not chosen.here
            else f"this version cannot draw with {chosen.name} yet",
            f"it needs {chosen.needs}",
            "--model warp, which needs nothing; `understudy models` lists all",
        )
    if steps is not None:
        raise BadOption("warp takes no --steps: it bends the picture and denoises nothing", remedy="leave it out")
    if driver is not None:
        raise BadOption(
            "warp takes no --driver: it follows the driver's mesh, directly",
            f"--driver {driver}, which is for models that follow a motion code",
            "leave it out",
        )
    if device not in ("auto", "cpu"):
        raise BadOption("warp computes on the CPU and needs nothing else", f"--device {device}", "--device auto or cpu")
    return chosen, why
