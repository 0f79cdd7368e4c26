"""Does an actor follow a mood that changes, in the voice or by wish; and does it rest when there is nothing to say?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from understudy.cast.speak.lines import HELD_OUT, script
from understudy.cast.speak.take import Take
from understudy.cast.speak.voice import MOODS, Mood, speak
from understudy.evaluate import acting
from understudy.evaluate.acting import Floats, MoodJudge
from understudy.evaluate.voices import rows_in
from understudy.motion import likeness
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo
from understudy.motion.space import rows_of
from understudy.motion.speech import FPS, Rows, rows_of_voice, silence
from understudy.motion.wishes import Felt, Wishes, shares_of

SOON: Final = 2.0
"""Seconds within which a mood should be followed."""
FIRST: Final = HELD_OUT + 3000
_HALF: Final = 7.0  # seconds of each mood, about
_SETTLED: Final = FPS // 2  # frames in which a face comes to rest


@dataclass(frozen=True)
class Change:
    """A voice that goes from one mood into another at `at` seconds, or that has none; what the cast does of it."""

    heard: Rows
    true: Floats
    at: float
    before: Mood
    after: Mood


def changes(count: int, seed: int, in_voice: bool) -> Iterator[Change]:
    """Voices, languages and words that nobody learns from. Errors: `ImportError` without espeakng_loader."""
    for number in range(count):
        before, after = MOODS[number % 5], MOODS[(number + 1 + number // 5 % 4) % 5]
        first, second = (
            script(FIRST + 10_000 * seed + number, _HALF, mood if in_voice else "neutral") for mood in (before, after)
        )
        speech = speak(first.voice, [*first.phrases, *second.phrases])
        take = Take(speech, first.temper, first.seed)
        true = np.asarray(rows_of(take.how(0, take.frames(), FPS)).double().numpy(), np.float64)
        heard = rows_of_voice(speech.samples, speech.rate)[: len(true)]
        yield Change(heard, true, speech.phrases[len(first.phrases)].start, before, after)


def followed(
    net: Actor, tempo: Tempo, judge: MoodJudge, count: int, seed: int, tick: Callable[[], None]
) -> dict[str, float | None]:
    """`mood_delay`: median seconds until the new mood is seen (as long as the film goes on, where it never is), and the
    share that is seen `SOON`; of changes in the voice, of the true takes of them, and of changes that are wished. And,
    as `_chance`, what would be said of a mood that does not come."""
    found: dict[str, list[float]] = {"": [], "_true": [], "_told": [], "_chance": []}
    for change in changes(count, seed, in_voice=True):
        made = rows_in(net, tempo, change.heard)
        found[""].append(_delay(judge, made, change))
        others = [mood for mood in MOODS if mood not in (change.before, change.after)]
        found["_chance"] += [_delay(judge, made, replace(change, after=mood)) for mood in others]
        found["_true"].append(_delay(judge, change.true, change))
        tick()
    for change in changes(count, seed, in_voice=False):
        wish = Wishes(mood=(Felt(0.0, shares_of(change.before)), Felt(change.at, shares_of(change.after))))
        found["_told"].append(_delay(judge, rows_in(net, tempo, change.heard, wishes=wish), change))
        tick()
    figures: dict[str, float | None] = {}
    for name, delays in found.items():
        figures[f"mood_delay{name}"] = float(np.median(delays))
        figures[f"mood_followed{name}"] = float(np.mean(np.array(delays) <= SOON))
    return figures


def _delay(judge: MoodJudge, rows: Floats, change: Change) -> float:
    delay = acting.mood_delay(judge, rows, change.at, MOODS.index(change.after))
    return min(delay, len(rows) / FPS - change.at)


def silent(net: Actor, tempo: Tempo, seconds: float = 8.0) -> dict[str, float | None]:
    """`silence_opening`: how far the mouth opens, in 95 of 100 frames at most, when nothing is heard."""
    made = rows_in(net, tempo, silence(round(seconds * FPS)))
    return {"silence_opening": float(np.quantile(likeness.opening(made)[_SETTLED:], 0.95))}
