"""What is shown of an actor while it learns: held-out takes, performed from their sound alone, and sheets of curves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy import weights
from understudy.cast.speak.lines import HELD_OUT, take
from understudy.cast.speak.take import Take
from understudy.motion import likeness, played
from understudy.motion.actor import Actor
from understudy.motion.perform import perform, whole
from understudy.motion.space import PLAYED
from understudy.motion.space import rows_of as motion_of
from understudy.motion.speech import FPS, Rows, rows_of_voice
from understudy.recipes.recipe import public
from understudy.train.task import Judgement

if TYPE_CHECKING:
    from understudy.recipes.x_actor import XActorRecipe

Floats = npt.NDArray[np.float64]


class Exam:
    """Held-out takes, performed from their sound and a face at rest."""

    def __init__(self, recipe: XActorRecipe) -> None:
        self.recipe = recipe
        self.scores: Mapping[str, float] = {}

    @cached_property
    def takes(self) -> list[tuple[Take, Tensor, Rows]]:
        """Each with its true rows and what is heard."""
        made = []
        for number in range(self.recipe.judged):
            told = take(HELD_OUT + number, float(self.recipe.judged_seconds))
            heard = rows_of_voice(told.speech.samples, told.speech.rate)[: self.recipe.judged_seconds * FPS]
            made.append((told, motion_of(told.how(0, len(heard), FPS)), heard))
        return made

    def judge(self, model: Actor) -> Judgement:
        """Correlations of jaw and lips, closures, and a sheet of curves."""
        if self.recipe.config.motion != PLAYED:
            return Judgement({}, {})
        found: dict[str, list[float]] = {}
        shown = []
        for number, (told, true, heard) in enumerate(self.takes):
            acted = whole(perform(model, [heard], self.recipe.tempo, seed=number, start=played.start()))
            made = acted.double().cpu().numpy()
            truth = true.double().numpy()
            phones = [phone for phone in told.speech.phones if phone.end < len(truth) / FPS]
            hit, wrong = likeness.closures(made, truth, phones)
            jaws = (likeness.column(made, "jawOpen"), likeness.column(truth, "jawOpen"))
            for name, value in {
                "jaw_correlation": likeness.correlation(*jaws),
                "lips_correlation": likeness.lip_correlation(made, truth),
                "offset_frames": float(abs(likeness.offset(*jaws))),
                "closures": hit,
                "false_closures": wrong,
                "movement": float(made.std(0).mean() / truth.std(0).mean()),
            }.items():
                found.setdefault(name, []).append(value)
            shown += [drawn(truth, made)] if number < 4 else []
        self.scores = {name: float(np.mean(values)) for name, values in found.items()}
        return Judgement(self.scores, {"held-out": torch.cat(shown)})

    def keep(self, model: Actor, folder: Path, step: int) -> None:
        """The actor, with the spread of the motion that it has learnt."""
        about = weights.About(
            name=self.recipe.name,
            config=self.recipe.config,
            recipe=public(self.recipe),
            commit=weights.commit(),
            figures={"step": float(step), **self.scores},
            storage=self.recipe.storage,
        )
        weights.save(folder / f"{self.recipe.name}.safetensors", model.state_dict(), about)


SHOWN: Final = ("jawOpen", "mouthClose", "mouthPucker", "mouthSmileLeft", "browInnerUp", "browDownLeft")
_TALL, _WIDE = 60, 3  # pixels of a curve, and of a frame


def drawn(true: Floats, made: Floats) -> Tensor:
    """Some curves over time, (h, w, 3) uint8: true ones grey, made ones red."""
    rows = []
    for name in SHOWN:
        page = np.full((_TALL, len(true) * _WIDE, 3), 255, np.uint8)
        for curve, ink in ((true, (150, 150, 150)), (made, (200, 30, 30))):
            height = (_TALL - 3 - np.clip(likeness.column(curve, name), 0, 1) * (_TALL - 4)).round().astype(int)
            for frame in range(1, len(height)):
                low, high = sorted((height[frame - 1], height[frame]))
                page[low : high + 1, (frame - 1) * _WIDE] = ink
                page[height[frame] : height[frame] + 2, (frame - 1) * _WIDE : frame * _WIDE] = ink
        page[-1] = 220
        rows.append(page)
    return torch.from_numpy(np.concatenate(rows))
