"""The public program: a model is loaded, reads a driver, and draws a portrait.

    model = understudy.load("warp")
    frames = model.draw(portrait, model.read("driving.mp4"))
    understudy.write("out.mp4", frames, sound="driving.mp4")

Here everything yields: a film begins before it is finished, and may never end. So the driver is measured from the
best of the first frames that show a face; `animate`, which has time for a pass over the whole driver, chooses among all
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any

from understudy.animate.artist import Artist, way_of
from understudy.animate.choices import Choices, choose, of_the_cast
from understudy.animate.driving import Driving
from understudy.clip import AnyPath, Clip, Timed, Warn
from understudy.clip.media import say
from understudy.errors import NoFace
from understudy.face.portrait import Portrait
from understudy.models import Model


@dataclass(frozen=True)
class Engine:
    """A driver and a generator: what `load` returns."""

    model: Model
    choices: Choices

    def read(self, driving: AnyPath, *, warn: Warn = say) -> Driving[Any]:
        """A film, picture, motion file or Live Link CSV as a stream of the motion that this model follows, watched
        while it is iterated.

        Errors: those of reading it; `NoFace` while it is watched."""
        return way_of(self.model, parity=self.choices.parity).open(driving, self.choices, warn)

    def hear(self, voice: AnyPath, *, warn: Warn = say, **acting: Any) -> Driving[Any]:
        """The sound of a file, acted: a stream of the motion that this model follows, imagined while it is iterated.
        `acting`: the fields of `animate.voice.Acting`, such as mood and lively; chance is the choices' seed.

        Errors: see `animate.voice.open_voice`."""
        from understudy.animate.voice import Acting, open_voice

        return open_voice(voice, Acting(**acting), model=self.model, choices=self.choices, warn=warn)

    def draw(
        self, portrait: AnyPath | Portrait, motion: Iterable[Any], *, reference: Any = None, warn: Warn = say
    ) -> Clip:
        """The performing portrait as a clip with the motion's rate and times, drawn while it is watched.

        `reference`: the driver's frame that counts as the portrait's own, if it is known, as the artist of this model
        finds it. Errors: those of reading the portrait; `NoFace` while it is watched."""
        cast = False
        if not isinstance(portrait, Portrait):
            cast = of_the_cast(portrait)
            portrait = Portrait.read(portrait, which=self.choices.face, max_size=self.choices.max_size)
        driving = motion if isinstance(motion, Driving) else None
        way = way_of(self.model, parity=self.choices.parity)
        artist = way.artist(self.model, portrait, self.choices, driving, cast)
        for text in artist.warnings:
            warn(text)
        if reference is None and driving is not None and driving.rest is not None:
            reference = artist.reference_at(driving.rest, 0, 0 if self.choices.relative else -1)
        motion, fps = _rate_of(motion)
        return Clip(
            fps=fps, size=artist.size, frames=None, seconds=None, opened=lambda: _draw(artist, motion, reference)
        )


def load(model: str = "auto", **choices: Any) -> Engine:
    """A model by name, ready to read drivers and to draw portraits. `choices` are the fields of `Choices`.

    Errors: `UnknownModel`, `BadOption`."""
    chosen = Choices(**choices)
    return Engine(choose(model, chosen)[0], chosen)


def _rate_of(motion: Iterable[Any]) -> tuple[Iterable[Any], Fraction]:
    """The motion, untouched, and its rate."""
    if isinstance(motion, Driving):
        return motion, motion.fps
    chunks = iter(motion)
    first = next(chunks, None)
    if first is None:
        raise NoFace("there is nothing to draw", "a motion without frames")
    return (motion if chunks is not motion else chain([first], chunks)), first.rate


def _draw(artist: Artist[Any, Any], motion: Iterable[Any], reference: Any) -> Iterator[Timed]:
    chunks, waiting = iter(motion), list[Any]()
    while reference is None:
        chunk = next(chunks, None)
        if chunk is None:
            raise NoFace("there is nobody in this motion", f"{sum(map(len, waiting))} frames without a face")
        waiting.append(chunk)
        reference = artist.reference([chunk])
    for when, frame in artist.draw(chain(waiting, chunks), reference):
        yield Fraction(when).limit_denominator(1_000_000), frame
