"""A voice that says phrases in moods: samples, and what sounds when."""

# ruff: noqa: RUF001, RUF002 - letters of the International Phonetic Alphabet

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from understudy.cast.speak import espeak, festival, invented
from understudy.cast.speak.espeak import Raw, Said, Unspoken
from understudy.cast.speak.timbre import PLAIN, Timbre, coloured
from understudy.errors import BadOption

Floats = npt.NDArray[np.float64]
Mood = Literal["neutral", "happy", "sad", "angry", "surprised"]
MOODS: Final[tuple[Mood, ...]] = get_args(Mood)
PEAK: Final = 0.9  # of the loudest sample of a film
HOP: Final = 0.01  # seconds between two values of loudness
_LONGEST: Final = 36  # letters of a variant, or espeak-ng writes where it must not
_SHORTEST: Final = 0.012  # seconds: sounds that espeak-ng says are shorter are as long as this


@dataclass(frozen=True)
class Delivery:
    """What a mood does to a voice, at full strength."""

    rate: float
    """Times as fast."""
    pitch: float
    """Steps of espeak-ng's pitch higher."""
    range: float
    """Times as much melody."""
    gain: float
    """dB louder."""
    ending: str
    """The mark that ends a phrase: its melody follows it."""
    pause: float
    """Times as long between phrases."""
    timbre: Timbre


DELIVERIES: Final[Mapping[Mood, Delivery]] = MappingProxyType({
    "neutral": Delivery(1.0, 0, 1.0, 0.0, ".", 1.0, PLAIN),
    "happy": Delivery(1.12, 14, 1.6, 2.5, "!", 0.8, Timbre(bright=2.0, short=1.08)),
    "sad": Delivery(0.76, -14, 0.35, -6.0, ".", 1.8, Timbre(bright=-4.0, short=0.96, trembling=0.3)),
    "angry": Delivery(1.14, 2, 1.1, 6.0, "!", 0.6, Timbre(bright=4.0, short=0.95, rough=0.5)),
    "surprised": Delivery(1.0, 26, 2.0, 2.5, "?", 1.1, Timbre(bright=-1.5, short=1.04, breath=0.02)),
})  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """Somebody's voice. `language` as espeak-ng calls it ("en-us", "de"), `variant` one of its characters ("f2", "m3",
    "" for its plain one), one that is `invented` ("made17") or one of `festival.SPEAKERS` ("ked"), `rate` words a
    minute, `pitch` and `range` 0 to 99, `timbre` what it sounds like without any mood."""

    language: str
    variant: str
    rate: int = 165
    pitch: int = 50
    range: int = 50
    timbre: Timbre = PLAIN

    @property
    def recorded(self) -> bool:
        """Whether it is one of festival's, which were recorded from people, and not computed by espeak-ng."""
        return self.variant in festival.SPEAKERS

    @property
    def name(self) -> str:
        """As espeak-ng is asked for it."""
        return f"{self.language}+{self.variant}" if self.variant else self.language


@dataclass(frozen=True)
class Phrase:
    """Words said in one breath. `strength` of the mood, 0 to 1; `pause` seconds of silence before it."""

    text: str
    mood: Mood = "neutral"
    strength: float = 1.0
    pause: float = 0.3


@dataclass(frozen=True)
class Phone:
    """One sound of speech. `symbol` in IPA, without marks of stress; `stress` 0 none, 1 secondary, 2 primary."""

    symbol: str
    start: float
    """Seconds."""
    end: float
    stress: int
    phrase: int
    """The number of its phrase."""


@dataclass(frozen=True)
class Span:
    """When a phrase is said, seconds, and how."""

    start: float
    end: float
    mood: Mood
    strength: float


@dataclass(frozen=True)
class Speech:
    """What was said: samples `(n,) float32` in [-1, 1], and all that is known of them."""

    samples: npt.NDArray[np.float32]
    rate: int
    phones: tuple[Phone, ...]
    """In the order of time; between phrases there are none."""
    phrases: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def loudness(self) -> Floats:
        """(n,) every `HOP` seconds, 0 to about 1: root mean square over 30 ms, of the speech's own loudest."""
        window = round(self.rate * 0.03)
        power = np.convolve(self.samples.astype(np.float64) ** 2, np.ones(window) / window, "same")
        moments = np.arange(0, self.seconds, HOP) * self.rate  # no whole number of samples apart
        power = power[np.minimum(moments.round().astype(int), len(power) - 1)]
        return np.asarray(np.sqrt(power) / max(float(np.sqrt(power).max(initial=0)), 1e-6), np.float64)


def speak(voice: Voice, phrases: Sequence[Phrase], *, after: float = 0.6) -> Speech:
    """Phrases one after the other, each in its mood; `after` seconds of silence at the end.

    Errors: `ImportError` without espeakng_loader, if it is to speak; `BadOption` for a voice that there is not here."""
    if not phrases or not any(phrase.text.strip() for phrase in phrases):
        raise BadOption("there is nothing to say", "no words", "some words in quotes")
    for phrase in phrases:
        if phrase.mood not in MOODS:
            raise BadOption(f"no mood is called {phrase.mood}", remedy=f"one of {', '.join(MOODS)}")
    if voice.recorded and (own := festival.SPEAKERS[voice.variant].language) != voice.language:
        raise BadOption(f"{voice.variant} does not speak {voice.language}", remedy=f"{own}+{voice.variant}")
    if len(voice.variant) > _LONGEST:
        raise BadOption("no voice has a name as long as that", f"{len(voice.variant)} letters", "en-us or de+f2")
    asked = [_asked(voice, phrase) for phrase in phrases]
    try:
        raw = festival.said(asked) if voice.recorded else espeak.said(asked, _characters(voice))
    except Unspoken as error:
        raise BadOption(
            f"{'festival' if voice.recorded else 'espeak-ng'} did not speak as {voice.name}",
            str(error),
            "another voice, such as en-us or de+f2",
        ) from error
    return _joined(voice, raw, phrases, after)


def _characters(voice: Voice) -> dict[str, str]:
    number = invented.number_of(voice.variant)
    return {} if number is None else {voice.variant: invented.character(number)}


def _timbre(voice: Voice, phrase: Phrase) -> Timbre:
    return DELIVERIES[phrase.mood].timbre.at(phrase.strength).on(voice.timbre)


def _asked(voice: Voice, phrase: Phrase) -> Said:
    how, much = DELIVERIES[phrase.mood], phrase.strength
    pace = how.rate**much / _timbre(voice, phrase).short
    text = phrase.text.strip()
    if not text.endswith((".", "!", "?", ",", ";", ":", "…")):
        text += how.ending if much > 0.3 else "."
    return Said(
        text=text,
        voice=voice.variant if voice.recorded else voice.name,
        rate=int(np.clip(round(voice.rate * pace), 80, 400)),
        pitch=int(np.clip(round(voice.pitch + how.pitch * much), 0, 99)),
        range=int(np.clip(round(voice.range * how.range**much), 0, 99)),
    )


def _joined(voice: Voice, raw: Sequence[Raw], phrases: Sequence[Phrase], after: float) -> Speech:
    rate = raw[0].rate
    parts: list[npt.NDArray[np.float64]] = []
    phones: list[Phone] = []
    spans: list[Span] = []
    done = 0
    for number, (sound, phrase) in enumerate(zip(raw, phrases, strict=True)):
        how = DELIVERIES[phrase.mood]
        silence = round(rate * max(phrase.pause, 0) * (1 + (how.pause - 1) * phrase.strength))
        gain = 10 ** (how.gain * phrase.strength / 20) / 32768
        timbre = _timbre(voice, phrase)
        wave = coloured(np.frombuffer(sound.samples, np.int16).astype(np.float64) * gain, rate, timbre, seed=number)
        parts += [np.zeros(silence), wave]
        begin = done + silence
        found = list(_phones(sound, begin, rate, number, timbre.short))
        phones += found
        start, end = (found[0].start, found[-1].end) if found else (begin / rate, (begin + len(wave)) / rate)
        spans.append(Span(start, end, phrase.mood, phrase.strength))
        done = begin + len(wave)
    whole = np.concatenate([*parts, np.zeros(round(rate * max(after, 0)))])
    loudest = float(np.abs(whole).max(initial=0))
    return Speech((whole * (PEAK / max(loudest, PEAK))).astype(np.float32), rate, tuple(phones), tuple(spans))


def _phones(sound: Raw, begin: int, rate: int, phrase: int, short: float) -> Iterator[Phone]:
    """The sounds of a phrase that is said `short` times faster than it was. Each ends where the next one
    begins."""
    last = round(len(sound.samples) / 2 / short)
    events = [
        (round(at / short), name)
        for at, name in sound.sounds
        if not name.startswith("(")  # "(en)": another language
    ]
    for (at, name), (until, _) in zip(events, [*events[1:], (last, "")], strict=True):
        symbol = bare(name)
        if symbol:
            start = (begin + min(at, last)) / rate
            end = min(max((begin + until) / rate, start + _SHORTEST), (begin + last) / rate)
            stress = 2 if "ˈ" in name else 1 if "ˌ" in name else 0
            if end > start:
                yield Phone(symbol, start, end, stress, phrase)


def bare(symbol: str) -> str:
    """A sound without stress, length, tone and small marks: "ˈɑ̃ː" is "ɑ"."""
    plain = unicodedata.normalize("NFD", symbol)
    return "".join(letter for letter in plain if letter.isalpha() and unicodedata.category(letter) != "Lm")
