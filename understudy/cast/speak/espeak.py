"""espeak-ng in a process of its own: phrases in, samples and the times of their sounds out.

A process of its own, because espeak-ng remembers what it said before (the same phrase, said again, has other samples),
and because it must be started only once in a process: so a list of phrases always sounds the same.

    python espeak.py DATA < phrases.json > what-was-said          which is what `said` runs
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Final

PATIENCE: Final = 120  # seconds
_VARIANTS: Final = Path("voices", "!v")
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_UTF8: Final = 1
_SILENT: Final = 2  # espeak_AUDIO_OUTPUT: give samples, play nothing
_IPA: Final = 3  # events for phonemes, named as in the International Phonetic Alphabet
_SEED: Final = 1
_PHONEME, _WORD = 7, 1  # espeak_EVENT_TYPE


@dataclass(frozen=True)
class Said:
    """A phrase to be said: the words, espeak-ng's name of a voice ("de+f2"; where festival is asked, its), words a
    minute (80 to 450), pitch and its range (0 to 99, 50 is usual)."""

    text: str
    voice: str
    rate: int
    pitch: int
    range: int


@dataclass(frozen=True)
class Raw:
    """What came out: samples, and (sample, symbol in IPA) where each sound begins, "" for silence."""

    rate: int
    samples: bytes
    """int16, as this machine has them."""
    sounds: tuple[tuple[int, str], ...]
    words: tuple[int, ...]
    """Samples at which words begin."""


class Unspoken(Exception):
    """It did not speak. The words say why."""


def said(phrases: Sequence[Said], characters: Mapping[str, str]) -> list[Raw]:
    """All phrases, in order, by one process. `characters`: files of variants that espeak-ng does not bring, by name.
    Raises `ImportError` where espeakng_loader is not installed, and `Unspoken`."""
    if find_spec("espeakng_loader") is None:
        raise ModuleNotFoundError("No module named 'espeakng_loader'", name="espeakng_loader")
    import espeakng_loader

    asked = json.dumps([asdict(phrase) for phrase in phrases]).encode()
    try:
        with with_characters(Path(espeakng_loader.get_data_path()), characters) as folder:
            for phrase in phrases:
                _, _, character = phrase.voice.partition("+")
                if not (folder / _VARIANTS / character).exists():
                    raise Unspoken(f"it has no character {character}")
            command = [sys.executable, str(Path(__file__)), str(folder)]
            done = subprocess.run(command, input=asked, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unspoken(str(error)) from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unspoken(last[-1] if last else f"it ended with {done.returncode}")
    return list(_parsed(done.stdout, len(phrases)))


@contextmanager
def with_characters(brought: Path, characters: Mapping[str, str]) -> Iterator[Path]:
    """espeak-ng's data as it brings them; with other characters, a folder of links to them and these."""
    if not characters:
        yield brought
        return
    with tempfile.TemporaryDirectory(prefix="understudy-voices-") as place:
        folder = Path(place)
        (folder / _VARIANTS).mkdir(parents=True)
        for name, text in characters.items():
            (folder / _VARIANTS / name).write_text(text, encoding="utf-8")
        for part in (Path(), _VARIANTS.parent, _VARIANTS):
            for one in (brought / part).iterdir():
                _lent(one, folder / part / one.name)
        yield folder


def _lent(one: Path, where: Path) -> None:
    """There is `one` at `where`, too, unless something is: by a link, or, where there are none, by a copy."""
    if where.exists():
        return
    try:
        where.symlink_to(one)
    except OSError:
        (shutil.copytree if one.is_dir() else shutil.copy2)(one, where)


def _parsed(data: bytes, count: int) -> list[Raw]:
    found, place = [], 0
    for _ in range(count):
        end = data.index(b"\n", place)
        head = json.loads(data[place:end])
        place = end + 1 + head["bytes"]
        sounds = tuple((int(at), str(name)) for at, name in head["sounds"])
        found.append(Raw(head["rate"], data[end + 1 : place], sounds, tuple(head["words"])))
    return found


# --- in the other process: nothing but the standard library and espeak-ng --------------------------------------------


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_ubyte * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


def _speak(phrases: Sequence[Said], out: BinaryIO, data: str) -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SILENT, 0, data.encode(), _IPA)
    if rate <= 0:
        raise SystemExit(f"espeak-ng could not be started: {rate}")
    parts: list[bytes] = []
    events: list[tuple[int, int, str]] = []

    def take(wave: Any, count: int, event: Any) -> int:
        if wave and count > 0:
            parts.append(ctypes.string_at(wave, 2 * count))
        number = 0
        while event[number].type:
            one = event[number]
            name = bytes(one.id.string).split(b"\0")[0].decode("utf-8", "ignore") if one.type == _PHONEME else ""
            events.append((one.type, one.sample, name))
            number += 1
        return 0

    signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
    callback = signature(take)  # kept, or it would be collected while it is called
    library.espeak_SetSynthCallback(callback)
    for phrase in phrases:
        parts.clear()
        events.clear()
        if library.espeak_SetVoiceByName(phrase.voice.encode()):
            raise SystemExit(f"espeak-ng has no voice {phrase.voice}")
        for parameter, value in (
            (_RATE, phrase.rate), (_VOLUME, 100), (_PITCH, phrase.pitch), (_RANGE, phrase.range),
        ):  # fmt: skip
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))  # or breath and flutter are those of the clock
        words = phrase.text.replace("\0", " ").encode() + b"\0"
        library.espeak_Synth(words, len(words), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
        wave = b"".join(parts)
        head = {
            "rate": rate,
            "bytes": len(wave),
            "sounds": [(at, name) for kind, at, name in events if kind == _PHONEME],
            "words": [at for kind, at, _ in events if kind == _WORD],
        }
        out.write(json.dumps(head).encode() + b"\n" + wave)


if __name__ == "__main__":
    _speak([Said(**one) for one in json.load(sys.stdin)], sys.stdout.buffer, sys.argv[1])
    sys.stdout.buffer.flush()
