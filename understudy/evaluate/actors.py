"""`understudy evaluate x-actor-small`: held-out voices and words, performed, and measured against true takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise

import numpy as np

from understudy import __version__, models, weights
from understudy.animate.pace import Pace, Tell, nobody
from understudy.animate.record import machine
from understudy.animate.voice import Acting, trained
from understudy.cast.speak.lines import HELD_OUT, take
from understudy.cast.speak.take import Take
from understudy.device import choose
from understudy.evaluate import acting
from understudy.evaluate.acting import Floats, MoodJudge
from understudy.evaluate.speed import commit
from understudy.motion import likeness
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo, perform, whole
from understudy.motion.space import rows_of
from understudy.motion.speech import FPS
from understudy.motion.speech import rows_of as heard_of

REGRESSION = "x-actor-small-regression.safetensors"
"""Weights of the same net, trained with objective=regression; measured beside it where they are."""
MINUTE = 60 * FPS


@dataclass(frozen=True, kw_only=True)
class Audition:
    """What an actor is asked: so many held-out takes, of so many seconds, with so many seeds; how many true takes teach
    what moods look like; and how many times a minute of speech is repeated."""

    takes: int = 10
    seconds: int = 14
    seeds: int = 4
    teachers: int = 60
    minutes: int = 5
    first: int = HELD_OUT + 1000

    def __len__(self) -> int:
        """Steps of the work."""
        return self.takes * (1 + self.seeds) + self.teachers + 2 * self.minutes


@dataclass(frozen=True, kw_only=True)
class Auditioned:
    """All that was measured."""

    model: str
    audition: Audition
    version: str
    commit: str
    date: str
    machine: str
    figures: Mapping[str, float]
    regression: Mapping[str, float] | None
    seconds: float
    warnings: list[str] = field(default_factory=list)


def audition(model: str, asked: Audition, *, device: str = "auto", progress: Tell = nobody) -> Auditioned:
    """Perform and measure. Errors: those of loading the weights; `ImportError` without espeakng_loader."""
    begun = time.perf_counter()
    net, tempo, _ = trained(Acting(actor=model), device)
    pace = Pace(progress)
    pace.begin("measuring", len(asked))
    ticks = iter(range(1, len(asked) + 1))

    def tick() -> None:
        pace.at(next(ticks, len(asked)))

    judge = mood_judge(asked, tick)
    figures = {**performed(net, tempo, asked, judge, tick), **drifted(net, tempo, asked, tick)}
    rival = _regression(device)
    beside = None
    if rival is not None:
        once = Tempo(steps=1, lag=1, stabilise=0.0, guidance=1.0)
        beside = performed(rival, once, asked, judge, lambda: None)
        figures["energy_distance_regression"] = beside["energy_distance"]
    said = [] if rival is not None else [f"{REGRESSION} is not here: what a plain regression does was not measured"]
    return Auditioned(
        model=model,
        audition=asked,
        version=__version__,
        commit=commit(),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine(),
        figures=figures,
        regression=beside,
        seconds=round(time.perf_counter() - begun, 1),
        warnings=said,
    )


def _regression(device: str) -> Actor | None:
    path = models.weights_file(REGRESSION)
    if path is None:
        return None
    stored = weights.load(path)
    net = Actor(stored.about.config)
    weights.fill(net, stored)
    return net.eval().to(choose(device))


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


def performed(
    net: Actor, tempo: Tempo, asked: Audition, judge: MoodJudge, tick: Callable[[], None]
) -> dict[str, float]:
    """Means over held-out takes."""
    deviation = net.deviation.double().cpu().numpy()
    found: dict[str, list[float]] = {}
    marks: list[tuple[float, int]] = []
    spent = frames = 0.0
    for number in range(asked.takes):
        told = take(asked.first + number, float(asked.seconds))
        true = true_rows(told)
        heard = heard_of(told.speech.samples, told.speech.rate)[: len(true)]
        made = []
        for seed in range(asked.seeds):
            begun = time.perf_counter()
            made.append(_rows(whole(perform(net, [heard], tempo, seed=seed))))
            spent, frames = spent + time.perf_counter() - begun, frames + len(heard)
            tick()
        others = [true_rows(Take(told.speech, told.temper, told.seed + 7919 * (k + 1))) for k in range(asked.seeds)]
        length = min(len(true), len(made[0]))
        made, others, true = [m[:length] for m in made], [o[:length] for o in others], true[:length]
        moods = acting.labels(told.moods(np.arange(length) / FPS))
        figures = alike(made[0], true, told)
        figures["spread"] = acting.spread([m / deviation for m in made], [o / deviation for o in others])
        figures["energy_distance"] = acting.energy_distance(
            [m / deviation for m in made], [o / deviation for o in others]
        )
        marks += [(judge.accuracy(acting.windows(m), moods), int((moods >= 0).sum())) for m in made]
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
        tick()
    result = {name: float(np.mean(values)) for name, values in found.items()}
    result["mood_accuracy"] = sum(a * n for a, n in marks) / max(sum(n for _, n in marks), 1)
    result["stress_p"] = float(np.median(found["stress_p"]))
    result["realtime_factor"] = frames / FPS / max(spent, 1e-9)
    return result


def alike(made: Floats, true: Floats, told: Take) -> dict[str, float]:
    """One performance beside one truth."""
    phones = [phone for phone in told.speech.phones if phone.end < len(true) / FPS]
    hit, wrong = likeness.closures(made, phones)
    jaws = likeness.column(made, "jawOpen"), likeness.column(true, "jawOpen")
    return {
        "jaw_correlation": likeness.correlation(*jaws),
        "lips_correlation": likeness.lip_correlation(made, true),
        "offset_frames": float(likeness.offset(*jaws)),
        "closures": hit,
        "false_closures": wrong,
        "slow_correlation": acting.slow_correlation(made, true),
        "stress_p": acting.stress(made, phones),
    }


def drifted(net: Actor, tempo: Tempo, asked: Audition, tick: Callable[[], None]) -> dict[str, float]:
    """A minute of speech, again and again: the last minute's statistics against the first's; and of true minutes, the
    95th percentile of what differs between two of them."""
    told = take(asked.first - 1, 110.0)
    samples = np.resize(told.speech.samples, 60 * told.speech.rate)  # over again, should it be shorter
    heard = heard_of(samples, told.speech.rate)[:MINUTE]
    deviation = net.deviation.double().cpu().numpy()

    def again() -> Iterator[np.ndarray]:
        for _ in range(asked.minutes):
            yield heard

    minutes: list[Floats] = []
    rest: list[Floats] = []
    for chunk in perform(net, again(), tempo, seed=0):
        rest.append(_rows(chunk))
        if sum(map(len, rest)) >= MINUTE:
            held = np.concatenate(rest)
            minutes.append(held[:MINUTE])
            rest = [held[MINUTE:]]
            tick()
    true = []
    for number in range(asked.minutes):
        true.append(true_rows(Take(told.speech, told.temper, told.seed + 104_729 * (number + 1)))[:MINUTE])
        tick()
    apart = [acting.drift(a, b, deviation) for a, b in pairwise(true)] + [acting.drift(true[0], true[-1], deviation)]
    return {
        "drift": acting.drift(minutes[0], minutes[-1], deviation) if len(minutes) > 1 else 0.0,
        "drift_true": float(np.quantile(apart, 0.95)),
    }


def _rows(chunk: object) -> Floats:
    return np.asarray(chunk.double().cpu().numpy(), np.float64)  # type: ignore[attr-defined]


def table(found: Auditioned) -> Sequence[str]:
    """Lines for a person."""
    head = f"{found.model}, commit {found.commit}: {found.audition.takes} held-out takes x {found.audition.seeds} seeds"
    return [head, *(f"  {name}: {value:.3f}" for name, value in sorted(found.figures.items()))]
