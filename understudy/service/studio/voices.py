"""What is typed becomes a voice: espeak-ng says it, and the studio acts it like any other recording."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from understudy.animate.record import fingerprint
from understudy.cast.speak.voice import MOODS
from understudy.clip import Sound, write_sound
from understudy.errors import BadOption
from understudy.models import X_ACTOR_SMALL, missing_from
from understudy.service.studio.room import Room

SPEAKERS: Final = {
    "English (US), her": "en-us+f2",
    "English (US), him": "en-us+m3",
    "English (UK)": "en-gb-x-rp",
    "Deutsch": "de+f2",
    "Español": "es+f2",
    "Français": "fr+f2",
    "Italiano": "it+f2",
    "Nederlands": "nl+m3",
    "Polski": "pl+f2",
    "Português": "pt-br+f2",
    "Suomi": "fi+f2",
    "Svenska": "sv+f2",
    "Türkçe": "tr+m3",
}
"""What the page calls a voice, and what espeak-ng does."""
LONGEST: Final = 2000  # letters: two minutes
GREETING: Final = "Hello. I am only a picture. But give me a voice, [happy] and I shall say what you like!"
FEELINGS: Final = tuple(f"[{mood}]" for mood in MOODS)  # which in a text are not said, but change the mood


def lacking() -> str | None:
    """What is not installed here and has to be, for a voice to be acted; None where it can be."""
    return missing_from(X_ACTOR_SMALL)


def can_speak() -> bool:
    """Whether what is typed can be said here."""
    return find_spec("espeakng_loader") is not None


def said(text: str, speaker: str, room: Room) -> Path:
    """A text as a sound file in the room, said as one of `SPEAKERS`; what was said before is not said again.

    Errors: `BadOption` for nothing, too much, or a strange speaker; `ImportError` without espeakng_loader;
    `Unwritable`."""
    if speaker not in SPEAKERS:
        raise BadOption("nobody here speaks like that", speaker[:40], f"one of {', '.join(SPEAKERS)}")
    if len(text) > LONGEST:
        raise BadOption("this is too long to be said at once", f"{len(text)} letters", f"at most {LONGEST}")
    path = room.folder / "given" / f"said-{fingerprint(text=text, speaker=speaker)[:8]}.wav"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sound(path, spoken(text, SPEAKERS[speaker]), overwrite=True)
    return path


def spoken(text: str, voice: str) -> Sound:
    """Errors: `BadOption` for nothing; `ImportError` without espeakng_loader."""
    from understudy.cast.speak.lines import phrases_of
    from understudy.cast.speak.voice import Voice, speak

    language, _, variant = voice.partition("+")
    speech = speak(Voice(language, variant), phrases_of(text))
    return Sound(speech.samples[:, None], speech.rate)
