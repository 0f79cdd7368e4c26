"""From snippets to figures: every frame is measured, and means are taken over frames, of all and of every bin."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from understudy.evaluate import faces, measure
from understudy.evaluate.drawers import Drawer
from understudy.evaluate.scenes import Snippet
from understudy.face.find import Face, Finder

MEANS: Final = ("psnr", "psnr_face", "ssim", "l1", "feature_distance", "landmark_error", "landmark_error_fine", "found",
                "flicker", "flicker_still", "leak")  # fmt: skip
"""Figures that are means of what was measured in single frames."""
SHARPNESS: Final = "sharpness"  # a ratio of means: shut eyes have next to no gradients to divide by
EQUAL: Final = 100.0
"""dB, that a frame counts which does not differ from the truth at all."""

Figures = dict[str, float | None]
"""By name; None where nothing was measured. `pictures`: how many frames."""


@dataclass
class Tally:
    """What was measured, frame by frame."""

    columns: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0

    def add(self, measured: Mapping[str, Tensor], labels: Mapping[str, Sequence[str]]) -> None:
        """Some frames: `measured`, by name one number for each, NaN for none; `labels`, by kind the bin of each."""
        count = len(next(iter(measured.values())))
        for name in {*self.columns, *measured}:
            column = self.columns[name]
            column += [math.nan] * (self.frames - len(column))
            column += measured[name].tolist() if name in measured else [math.nan] * count
        for kind, bins in labels.items():
            self.labels[kind] += bins
        self.frames += count

    def figures(self, kind: str = "", name: str = "") -> Figures:
        """Of all frames, or of those in one bin."""
        chosen = [i for i in range(self.frames) if not kind or self.labels[kind][i] == name]

        def mean(column: str) -> float | None:
            known = [value for i in chosen if not math.isnan(value := self.columns[column][i])]
            return sum(known) / len(known) if known else None

        found: Figures = {column: mean(column) if column in self.columns else None for column in MEANS}
        result, truth = mean("energy"), mean("true_energy")
        found[SHARPNESS] = None if result is None or not truth else result / truth
        return found | {"pictures": len(chosen)}

    def bins(self) -> dict[str, dict[str, Figures]]:
        """Of every bin of every kind."""
        return {
            kind: {name: self.figures(kind, name) for name in sorted(set(bins))} for kind, bins in self.labels.items()
        }


@dataclass(frozen=True)
class Sight:
    """MediaPipe, and what it finds in the truth of one snippet."""

    finder: Finder
    faces: Sequence[Face | None]

    @staticmethod
    def of(finder: Finder, snippet: Snippet) -> Sight:
        return Sight(finder, faces.found(finder, snippet.truth))


def compared(result: Tensor, snippet: Snippet, sight: Sight | None = None) -> dict[str, Tensor]:
    """Everything that a result (f, 3, s, s) and the truth tell, by name, (f,) each; landmarks with `sight`."""
    truth = snippet.truth
    measured = {
        "psnr": measure.psnr(result, truth).clamp(max=EQUAL),
        "psnr_face": measure.psnr(result, truth, measure.box(snippet.face)).clamp(max=EQUAL),
        "ssim": measure.ssim(result, truth),
        "l1": measure.l1(result, truth),
        "feature_distance": measure.unlikeness(result, truth),
        "energy": measure.energy(result, snippet.fine),
        "true_energy": measure.energy(truth, snippet.fine),
        "flicker": _steps(measure.flicker(result, truth)),
    }
    if sight is not None:
        whole, fine, seen = faces.errors(sight.finder, result, truth, sight.faces)
        measured |= {"landmark_error": whole, "landmark_error_fine": fine, "found": seen}
    return measured


def probed(draw: Drawer, result: Tensor, snippet: Snippet) -> dict[str, Tensor]:
    """What takes more drawing, in the scenes that are for it: leak, and flicker where the driver keeps still."""
    measured: dict[str, Tensor] = {}
    if snippet.other is not None:
        again = draw(snippet.driven(snippet.other))
        measured["leak"] = measure.leak(result, again, snippet.drive.pictures, snippet.other.pictures)
    if snippet.scene.motion == 0:
        measured["flicker_still"] = _steps(measure.change(draw(snippet.held())))
    return measured


def _steps(between: Tensor) -> Tensor:
    """What is said of steps (f - 1,), as of frames: of the first, nothing."""
    return torch.cat([between.new_full((1,), math.nan), between])
