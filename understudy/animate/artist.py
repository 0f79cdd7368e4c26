"""What draws: one portrait in the hands of one model, behind the few questions that a job asks.

`warp` and the diffusion models answer them in `by_warp`, `by_diffusion` and `by_code`; a job does not know which of
them it has.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from understudy.animate.choices import Choices
from understudy.animate.driving import Driving
from understudy.clip import AnyPath, Picture, Warn
from understudy.extras import absent
from understudy.face.portrait import Portrait
from understudy.models import Model
from understudy.motion.kinds import Kind

Drawn: TypeAlias = tuple[float, Picture]
"""Seconds since the driver's first frame, and the frame."""


class Frame(Protocol):
    """The driver's frame that counts as the portrait's own."""

    @property
    def frame(self) -> int:
        """Its number in the film; -1 where motion is absolute."""


M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R", bound=Frame)


class Artist(Protocol[M_contra, R]):
    """See the module."""

    @property
    def portrait(self) -> Portrait: ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a whole frame."""

    @property
    def about(self) -> Mapping[str, str]:
        """What frames depend on besides inputs, choices and versions; for the metadata."""

    @property
    def warnings(self) -> list[str]:
        """What the person should know about the portrait, and about what was drawn so far."""

    @property
    def expected(self) -> str:
        """What should be known before the wait, as the rest of a sentence that says who draws; "" where nothing."""

    def relent(self) -> str | None:
        """After the memory ran out: draws with less from now on, and says so, for a person; None where it cannot."""

    def reference(self, motion: Iterable[M_contra]) -> R | None:
        """The frame to measure from, in one pass over the whole motion; None if nobody is seen."""

    def reference_at(self, chunk: M_contra, k: int, frame: int) -> R:
        """Frame `k` of a chunk, the film's `frame`, named by hand."""

    def seconds(self, frames: int) -> float:
        """How long so many frames will take to draw, measured here and now."""

    def draw(
        self,
        motion: Iterable[M_contra],
        reference: R,
        *,
        crop: bool = False,
        done: int = 0,
        kept: Path | None = None,
        told: Callable[[float], None] = lambda frames: None,
    ) -> Generator[Drawn, None, None]:
        """Every frame of a motion but the first `done`, which an earlier run has drawn: the whole picture, or the
        `crop` alone.

        `kept`: a file in which may be kept what a later run needs to go on. `told` how many frames are as good as
        drawn, where that can be said between frames."""


@dataclass(frozen=True)
class Way:
    """How a kind of model is used: the motion that it follows, who watches for it, who draws."""

    kind: Kind[Any]
    open: Callable[[AnyPath, Choices, Warn], Driving[Any]]
    artist: Callable[[Model, Portrait, Choices, Driving[Any] | None, bool], Artist[Any, Any]]
    """Of a model, a portrait, choices, the driver if it is known, and whether the portrait's file says that it is
    of the cast."""


def way_of(model: Model, *, parity: bool = False) -> Way:
    """The way of a model that can draw; with `parity`, that of its released script. Errors: `MissingExtra` where torch
    is needed and not installed."""
    from understudy.animate import by_warp

    if model.follows == "mesh":
        return by_warp.WAY
    try:
        from understudy.animate import as_released, by_code, by_diffusion
    except ImportError as error:
        raise absent(error, model.name) from error
    if parity:
        return as_released.way(model)
    return by_code.way(model) if model.follows == "code" else by_diffusion.WAY
