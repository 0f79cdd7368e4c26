"""Does a performance stay what it was? A minute of speech, again and again; and the pictures that are drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from typing import Any, Final

import numpy as np
import torch

from understudy import models
from understudy.animate.artist import way_of
from understudy.animate.choices import Choices, of_the_cast
from understudy.cast.speak.take import Take
from understudy.clip import Picture
from understudy.evaluate import acting, measure
from understudy.evaluate.acting import Floats
from understudy.face.portrait import Portrait
from understudy.motion import played
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo, performances
from understudy.motion.speech import FPS, Rows
from understudy.motion.steadied import steadied

MINUTE: Final = 60 * FPS
EVERY: Final = 10 * FPS  # frames between two that are looked at
TRUTHS: Final = 6  # true minutes of the same speech, each acted by other chance
SIDE: Final = 384  # pixels of the portrait's longer side


@dataclass(frozen=True)
class Endless:
    """Of some performances of a minute of speech, repeated: their first and last minutes; and of the first of them,
    a frame every 10 seconds, and its beginning."""

    first: list[Floats]  # (MINUTE, 58) each
    last: list[Floats]
    looks: Floats  # (n, 58)
    begin: Floats  # (f, 58)


def performed(
    net: Actor, tempo: Tempo, heard: Rows, minutes: int, seeds: int, tick: Callable[[], None], begin: int = MINUTE
) -> Endless:
    """`heard` is a minute. What is held meanwhile is a minute too."""

    def again() -> Iterator[Rows]:
        for _ in range(minutes):
            yield heard

    ends: dict[int, list[Floats]] = {0: [], minutes - 1: []}
    looks: list[Floats] = []
    held: list[Floats] = []
    done = 0
    for chunk in performances(net, again(), tempo, seeds=range(seeds), start=played.start()):
        rows = np.asarray(chunk.double().cpu().numpy(), np.float64)  # (f, n, 58)
        for k in range(len(rows)):
            minute, frame = divmod(done + k, MINUTE)
            if minute in ends:
                held.append(rows[k])
            if frame == MINUTE - 1:
                if minute in ends:
                    ends[minute] = [np.stack([row[n] for row in held]) for n in range(seeds)]
                held = []
                tick()
            if (done + k) % EVERY == 0:
                looks.append(rows[k, 0])
        done += len(rows)
    return Endless(ends[0], ends[minutes - 1], np.stack(looks), _steady(ends[0][0])[:begin])


def _steady(rows: Floats) -> Floats:
    return torch.cat(list(steadied([torch.from_numpy(rows).float()]))).double().numpy()


def drifted(found: Endless, told: Take, deviation: Floats, true_rows: Callable[[Take], Floats]) -> dict[str, float]:
    """`drift`: how far the statistics of the last minute are from those of the first, mean over performances;
    `drift_worst`, the most; `drift_true`, the 95th percentile of what two true minutes of the speech differ by."""
    true = [
        true_rows(Take(told.speech, told.temper, told.seed + 104_729 * (number + 1)))[:MINUTE]
        for number in range(TRUTHS)
    ]
    apart = [acting.drift(a, b, deviation) for a, b in combinations(true, 2)]
    own = [acting.drift(a, b, deviation) for a, b in zip(found.first, found.last, strict=True)]
    return {"drift": float(np.mean(own)), "drift_worst": max(own), "drift_true": float(np.quantile(apart, 0.95))}


def drawn(found: Endless, model: models.Model) -> dict[str, float]:
    """The frames every 10 seconds, drawn, against the first of them: a third at the beginning, and a third at the end.

    `drawn_identity`: how unlike the first the last ones are, over how unlike the early ones are (expressions differ in
    both); `drawn_sharpness`: how sharp the last ones are, of the early ones; `drawn_colour`: how far the mean colour is
    from the first's, in 255ths, the last ones less the early ones. A model that draws frame by frame draws just these;
    one that draws in windows, which go on from each other, draws all frames of `begin`."""
    pictures = torch.from_numpy(np.stack(list(_pictures(found, model)))).permute(0, 3, 1, 2).float() / 255
    first, rest = pictures[:1], pictures[1:]
    third = max(len(rest) // 3, 1)
    everywhere = torch.ones(len(pictures), *pictures.shape[2:])
    unlike = measure.unlikeness(rest, first.expand_as(rest))
    sharp = measure.energy(pictures, everywhere)[1:]
    colour = 255 * (rest.mean((2, 3)) - first.mean((2, 3))).abs().mean(1)
    return {
        "drawn_frames": float(len(pictures)),
        "drawn_identity": float(unlike[-third:].mean() / unlike[:third].mean().clamp_min(1e-6)),
        "drawn_sharpness": float(sharp[-third:].mean() / sharp[:third].mean()),
        "drawn_colour": float(colour[-third:].mean() - colour[:third].mean()),
    }


def _pictures(found: Endless, model: models.Model) -> Iterator[Picture]:
    """Squares of the face."""
    with resources.as_file(resources.files("understudy") / "assets" / "portrait-realistic.jpg") as path:
        who, cast = Portrait.read(path, max_size=SIDE, warn=_silently), of_the_cast(path)
    artist = way_of(model).artist(model, who, Choices(crop=True), None, cast)
    alone = model.follows == "mesh"
    rows = torch.from_numpy(found.looks if alone else found.begin).float()
    if alone:
        motion: Iterator[Any] = played.meshes(torch.split(rows, 1))
        rest: Any = played.rest()
    else:
        from understudy.motion.standing import acted_by_the_cast

        motion = acted_by_the_cast(played.hows(torch.split(rows, FPS)))
        rest = next(acted_by_the_cast(played.hows([played.start()[None]])))
    frames = artist.draw(motion, artist.reference_at(rest, 0, 0), crop=True)
    for number, (_, picture) in enumerate(frames):
        if alone or number % EVERY == 0:
            yield picture


def _silently(text: str) -> None:
    """That the portrait is made smaller need not be said."""
