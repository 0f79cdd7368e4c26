"""A clip: frames that come one after another, with their times. Never a list of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from understudy.clip.media import Picture, Timed
from understudy.clip.sound import Sound, read_sound
from understudy.errors import NoPicture, NoSound

STILL_RATE = Fraction(25)
"""Frames a second of what has no rate of its own: a still picture, a film of one frame."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Clip:
    """A stream of frames `(h, w, 3) uint8`, opened when it is watched, and again when it is watched again.

        for frame in clip: ...
        for time, frame in clip.timed(): ...        # seconds since the first frame, exact

    Where `variable`, frames do not come at equal distances: `fps` is their mean, and `timed()` tells the truth."""

    fps: Fraction
    size: tuple[int, int]  # width, height as shown: after rotation and with square pixels
    frames: int | None  # what the file promises; none where it does not say
    seconds: float | None
    has_sound: bool = False
    still: bool = False
    variable: bool = False
    path: Path | None = None
    opened: Callable[[], Iterator[Timed]] = field(repr=False)

    def __iter__(self) -> Iterator[Picture]:
        for _, frame in self.timed():
            yield frame

    def timed(self) -> Iterator[Timed]:
        """Every frame with its time in seconds since the first one. Times grow."""
        return self.opened()

    def sound(self) -> Sound:
        """The clip's sound, beginning with its first frame. Errors: `NoSound`."""
        if self.path is None or not self.has_sound:
            raise NoSound(f"{self.path or 'this clip'} has no sound", remedy="give a film that sounds, or a sound file")
        return read_sound(self.path)

    @staticmethod
    def from_frames(
        make: Callable[[], Iterable[Picture]], fps: Fraction | float, *, size: tuple[int, int] | None = None
    ) -> Clip:
        """A clip of frames that are made: by a webcam, by a program. `make` is called each time the clip is watched.

        Without `size` (width, height), `make` is called once more, now, for the first frame alone."""
        rate = frame_rate(fps)
        if size is None:
            first = next(iter(make()), None)
            if first is None:
                raise NoPicture("a clip was to be made of frames, and there were none")
            size = (first.shape[1], first.shape[0])

        def opened() -> Iterator[Timed]:
            for count, frame in enumerate(make()):
                yield count / rate, frame

        return Clip(fps=rate, size=size, frames=None, seconds=None, opened=opened)


def frame_rate(fps: Fraction | float) -> Fraction:
    """A frame rate as the fraction that is meant: 29.97 is 30000/1001, 23.976 is 24000/1001, 25.0 is 25."""
    if isinstance(fps, Fraction | int):
        rate = Fraction(fps).limit_denominator(100_000)
    else:
        meant = (rate for rate in usual_rates(fps) if abs(rate / fps - 1) < 1e-4)
        rate = next(meant, Fraction(fps).limit_denominator(1001))
    if not Fraction(1, 1000) <= rate <= 1000:
        raise ValueError(f"{fps} frames a second is not a rate for a film")
    return rate


def usual_rates(near: float | Fraction) -> tuple[Fraction, Fraction]:
    """The two rates in use near a number: a whole one, and one of the NTSC family."""
    return Fraction(round(near)), Fraction(1000 * round(near * 1001 / 1000), 1001)
