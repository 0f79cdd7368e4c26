"""`understudy evaluate x-actor-small`: held-out voices and words, performed, and measured against true takes.

What is measured is what is shown: voices are brought to a level, somebody at rest performs, and performances are
steadied, as `act` does it (drift is that of what is not steadied yet). Every part says what it cost.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from understudy import __version__, models
from understudy.animate.pace import Pace, Tell, nobody
from understudy.animate.record import machine
from understudy.animate.voice import Acting, actor_in, trained
from understudy.cast.speak.lines import HELD_OUT, take
from understudy.cast.speak.take import Take
from understudy.clip import write_picture
from understudy.device import choose
from understudy.evaluate import acting, changes, endless, voices
from understudy.evaluate.acting import Floats, MoodJudge
from understudy.evaluate.speed import commit
from understudy.motion import likeness, played
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo, performances
from understudy.motion.space import rows_of
from understudy.motion.speech import FPS, Rows, rows_of_voice
from understudy.motion.steadied import steadied
from understudy.recipes.x_actor_exam import drawn

REGRESSION: Final = "x-actor-small-regression.safetensors"
"""Weights of the same net, trained with objective=regression; measured beside it where they are."""
Figures = Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Audition:
    """What an actor is asked: so many held-out takes, of so many seconds, with so many seeds; how many true takes teach
    what moods look like; how many moods change; how many times a minute of speech is repeated, with how many seeds;
    who draws it."""

    takes: int = 20
    seconds: int = 14
    seeds: int = 8
    teachers: int = 60
    others: int = 8
    changes: int = 10
    minutes: int = 30
    endless: int = 4
    draws: str = models.WARP.name
    longest: float = 20.0
    """Seconds of each recording, at most."""
    seed: int = 0
    """Any other seed asks other voices to say other things."""

    @property
    def first(self) -> int:
        """The number of the first take; the one before it is a minute of speech that is acted without end."""
        return HELD_OUT + 1000 + 10_000 * self.seed

    def __len__(self) -> int:
        """Steps of the work."""
        return self.takes + self.teachers + self.others + 2 * self.changes + self.minutes


@dataclass(frozen=True, kw_only=True)
class Auditioned:
    """All that was measured; what could not be is none, and `warnings` says why."""

    model: str
    audition: Audition
    version: str
    commit: str
    date: str
    machine: str
    figures: Figures
    regression: Mapping[str, float] | None
    speech: Mapping[str, Mapping[str, float]]
    """Of each recording, see `voices.heard_through`."""
    seconds: float
    cpu_seconds: Mapping[str, float]
    """What each part has cost."""
    curves: npt.NDArray[np.uint8]
    """A sheet (h, w, 3) of some curves of some takes: true ones grey, performed ones red."""
    warnings: list[str] = field(default_factory=list)


class _Bill:
    """What parts of the work cost, in seconds of CPUs, those of children included."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._before = self._now()

    def to(self, part: str) -> None:
        """All since the last time was for this part."""
        now = self._now()
        self.parts[part] = round(self.parts.get(part, 0.0) + now - self._before, 1)
        self._before = now

    @staticmethod
    def _now() -> float:
        return sum(os.times()[:4])


def audition(
    model: str,
    asked: Audition,
    *,
    device: str = "auto",
    file: Path | None = None,
    rival: Path | None = None,
    speech: Path | None = None,
    progress: Tell = nobody,
) -> Auditioned:
    """Perform and measure. `file`: other weights than the model's own; `rival`: those of a plain regression; `speech`:
    a folder of recordings. Errors: those of loading the weights; `ImportError` without espeakng_loader."""
    begun = time.perf_counter()
    net, tempo, _ = actor_in(file, str(choose(device))) if file else trained(Acting(actor=model), device)
    pace = Pace(progress)
    pace.begin("measuring", len(asked))
    ticks = iter(range(1, len(asked) + 1))

    def tick() -> None:
        pace.at(next(ticks, len(asked)))

    said: list[str] = []
    bill = _Bill()
    paths = voices.recordings(speech) if speech else []
    judge = mood_judge(asked, tick)
    bill.to("what moods look like")
    figures: dict[str, float | None] = {
        **performed(net, tempo, asked, judge, tick),
        "realtime_factor": pace_of(net, tempo),
    }
    bill.to("held-out takes")
    figures |= changes.followed(net, tempo, judge, asked.changes, asked.seed, tick) | changes.silent(net, tempo)
    bill.to("changes of mood, silence")
    figures |= other_synthesiser(net, tempo, asked, said, tick)
    bill.to("another synthesiser")
    figures |= _endless(net, tempo, asked, bill, tick)
    beside = _beside(rival or models.weights_file(REGRESSION), device, asked, judge, said)
    figures["energy_distance_regression"] = None if beside is None else beside["energy_distance"]
    bill.to("regression")
    heard = voices.heard_through(net, tempo, paths, said, asked.longest)
    figures |= _worst(heard)
    bill.to("recordings")
    return Auditioned(
        model=model,
        audition=asked,
        version=__version__,
        commit=commit(),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine(),
        figures=figures,
        regression=beside,
        speech=heard,
        seconds=round(time.perf_counter() - begun, 1),
        cpu_seconds=bill.parts,
        curves=curves(net, tempo, asked),
        warnings=said,
    )


def mood_judge(asked: Audition, tick: Callable[[], None]) -> MoodJudge:
    """What moods look like, from true takes that are learnt from."""
    features, found = [], []
    for number in range(asked.teachers):
        told = take(number, float(asked.seconds))
        features.append(acting.windows(true_rows(told)))
        found.append(acting.labels(told.moods(np.arange(told.frames()) / FPS)))
        tick()
    return MoodJudge.of(np.concatenate(features), np.concatenate(found))


def true_rows(told: Take) -> Floats:
    """(f, 58) of a take."""
    return np.asarray(rows_of(told.how(0, told.frames(), FPS)).double().numpy(), np.float64)


def shown(net: Actor, tempo: Tempo, heard: Rows, seeds: Sequence[int]) -> list[Floats]:
    """(f, 58) for each seed, as it is shown."""
    made = torch.cat(list(performances(net, [heard], tempo, seeds=seeds, start=played.start())))
    each = (torch.cat(list(steadied([made[:, number]]))) for number in range(len(seeds)))
    return [np.asarray(rows.double().cpu().numpy(), np.float64) for rows in each]


def pace_of(net: Actor, tempo: Tempo, seconds: int = 20) -> float:
    """Seconds of one performance that are made in a second."""
    heard = np.random.default_rng(0).normal(size=(seconds * FPS, net.config.sound)).astype(np.float32)
    begun = time.perf_counter()
    shown(net, tempo, heard, [0])
    return seconds / max(time.perf_counter() - begun, 1e-9)


def performed(
    net: Actor, tempo: Tempo, asked: Audition, judge: MoodJudge, tick: Callable[[], None]
) -> dict[str, float]:
    """Means over held-out takes."""
    deviation = net.deviation.double().cpu().numpy()
    found: dict[str, list[float]] = {}
    marks: list[tuple[float, int]] = []
    beats: list[acting.Stressed] = []
    true_beats: list[acting.Stressed] = []
    for number in range(asked.takes):
        told = take(asked.first + number, float(asked.seconds))
        true = true_rows(told)
        heard = rows_of_voice(told.speech.samples, told.speech.rate)[: len(true)]
        made = shown(net, tempo, heard, range(asked.seeds))
        others = [true_rows(Take(told.speech, told.temper, told.seed + 7919 * (k + 1))) for k in range(asked.seeds)]
        length = min(len(true), len(made[0]))
        made, others, true = [m[:length] for m in made], [o[:length] for o in others], true[:length]
        moods = acting.labels(told.moods(np.arange(length) / FPS))
        figures = alike(made[0], true, told)
        units = [[rows / deviation for rows in some] for some in (made, others)]
        figures["spread"], figures["energy_distance"] = acting.spread(*units), acting.energy_distance(*units)
        marks += [(judge.accuracy(acting.windows(m), moods), int((moods >= 0).sum())) for m in made]
        beats += [acting.stressed(m, told.speech.phones, seed=number) for m in made]
        true_beats.append(acting.stressed(true, told.speech.phones, seed=number))
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
        tick()
    result = {name: float(np.mean(values)) for name, values in found.items()}
    result["mood_accuracy"] = sum(a * n for a, n in marks) / max(sum(n for _, n in marks), 1)
    return result | {"stress_p": acting.stress(beats), "stress_p_true": acting.stress(true_beats)}


def curves(net: Actor, tempo: Tempo, asked: Audition, count: int = 3) -> npt.NDArray[np.uint8]:
    """The first takes, to look at."""
    pages = []
    for number in range(count):
        told = take(asked.first + number, float(asked.seconds))
        heard = rows_of_voice(told.speech.samples, told.speech.rate)[: asked.seconds * FPS]
        made, true = shown(net, tempo, heard, [0])[0], true_rows(told)
        length = min(len(made), len(true), asked.seconds * FPS)
        page = drawn(true[:length], made[:length]).numpy()
        pages.append(np.pad(page, ((0, 12), (0, asked.seconds * FPS * 3 - page.shape[1]), (0, 0)), constant_values=255))
    return np.concatenate(pages)


def as_object(found: Auditioned) -> dict[str, Any]:
    """What `--json` prints last and what is kept beside the sheet."""
    about = {entry.name: getattr(found, entry.name) for entry in fields(found)}
    del about["figures"], about["audition"], about["curves"]
    return {**about, "asked": asdict(found.audition), **found.figures}


def keep(found: Auditioned, folder: Path) -> tuple[Path, Path]:
    """Write the sheet of curves and the object; returns where they are. What was there under these names is replaced.
    Errors: `Unwritable`."""
    name = f"{found.model}-seed-{found.audition.seed}"
    sheet = write_picture(folder / f"{name}.png", found.curves, overwrite=True)
    kept = folder / f"{name}.json"
    kept.write_text(json.dumps(as_object(found), indent=1) + "\n", encoding="utf-8")
    return sheet, kept


def alike(made: Floats, true: Floats, told: Take) -> dict[str, float]:
    """One performance beside one truth."""
    phones = [phone for phone in told.speech.phones if phone.end < len(true) / FPS]
    hit, wrong = likeness.closures(made, true, phones)
    jaws = likeness.column(made, "jawOpen"), likeness.column(true, "jawOpen")
    return {
        "jaw_correlation": likeness.correlation(*jaws),
        "lips_correlation": likeness.lip_correlation(made, true),
        "offset_frames": float(abs(likeness.offset(*jaws))),
        "closures": hit,
        "false_closures": wrong,
        "slow_correlation": acting.slow_correlation(made, true),
    }


def other_synthesiser(
    net: Actor, tempo: Tempo, asked: Audition, said: list[str], tick: Callable[[], None]
) -> dict[str, float | None]:
    """Lips on voices of flite, which nobody learns from; none where it is not installed."""
    wanted = ("jaw_correlation", "lips_correlation", "offset_frames", "closures", "false_closures")
    found: list[dict[str, float]] = []
    for number in range(asked.others):
        told = voices.other_take(number + 100 * asked.seed, float(asked.seconds))
        if told is None:
            said.append("flite is not installed (Debian: apt install flite): no other synthesiser was heard")
            return {f"other_{name}": None for name in wanted}
        true = true_rows(told)
        heard = rows_of_voice(told.speech.samples, told.speech.rate)[: len(true)]
        found.append(alike(shown(net, tempo, heard, [0])[0], true[: len(heard)], told))
        tick()
    return {f"other_{name}": float(np.mean([one[name] for one in found])) for name in wanted}


def _endless(net: Actor, tempo: Tempo, asked: Audition, bill: _Bill, tick: Callable[[], None]) -> dict[str, float]:
    told = take(asked.first - 1, 110.0)
    samples = np.resize(told.speech.samples, 60 * told.speech.rate)  # over again, should it be shorter
    heard = rows_of_voice(samples, told.speech.rate)[: endless.MINUTE]
    found = endless.performed(net, tempo, heard, asked.minutes, asked.endless, tick)
    figures = endless.drifted(found, told, net.deviation.double().cpu().numpy(), true_rows)
    bill.to(f"{asked.minutes} minutes, {asked.endless} times")
    figures |= endless.drawn(found, models.named(asked.draws))
    bill.to(f"drawn by {asked.draws}")
    return figures


def _beside(
    path: Path | None, device: str, asked: Audition, judge: MoodJudge, said: list[str]
) -> dict[str, float] | None:
    """What a plain regression does of the same takes; none where nobody has trained one."""
    if path is None:
        said.append(
            f"{REGRESSION} is not here: what a plain regression does was not measured (runs/actor_ablations.sh trains "
            "one; --rival FILE)"
        )
        return None
    return performed(*actor_in(path, str(choose(device)))[:2], asked, judge, lambda: None)


def _worst(heard: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """Of all recordings, the worst; none where there are none."""
    if not heard:
        return {"speech_loudness": None, "speech_lag_frames": None, "speech_rest": None}
    each = heard.values()
    return {
        "speech_loudness": min(one["loudness"] for one in each),
        "speech_lag_frames": max((one["lag_frames"] for one in each), key=abs),
        "speech_rest": max(one["rest"] for one in each),
    }


def table(found: Auditioned) -> Sequence[str]:
    """Lines for a person."""
    head = f"{found.model}, commit {found.commit}: {found.audition.takes} held-out takes x {found.audition.seeds} seeds"
    lines = [head]
    for name, value in sorted(found.figures.items()):
        lines.append(f"  {name}: {'not measured' if value is None else f'{value:.3f}'}")
    for name, one in found.speech.items():
        lines.append(
            f"  {name}: loudness {one['loudness']:.2f} at {one['lag_frames']:+.0f} frames, at rest {one['rest']:.2f}"
        )
    cost = ", ".join(f"{part} {seconds:.0f}" for part, seconds in found.cpu_seconds.items())
    return [*lines, f"  seconds of CPU: {cost}; {found.seconds:.0f} s in all"]
