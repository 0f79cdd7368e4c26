"""Voices that nobody has learnt from: another synthesiser, flite, with the times of its sounds; and recordings, of
which there is no truth but how loud they are. Flite is asked for by name and is no part of this package (Debian's
flite, for one).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from understudy.animate.voice import Stream, rows_of
from understudy.cast.speak.acting import Temper
from understudy.cast.speak.festival import ARPABET
from understudy.cast.speak.lines import vocabulary
from understudy.cast.speak.take import Take
from understudy.cast.speak.voice import Phone, Span, Speech
from understudy.clip import read_sound
from understudy.errors import BadOption, MediaError, MissingFile
from understudy.evaluate import acting
from understudy.evaluate.acting import Floats
from understudy.motion import played
from understudy.motion.actor import Actor
from understudy.motion.perform import Tempo, perform, whole
from understudy.motion.space import PLAYED
from understudy.motion.steadied import steadied
from understudy.motion.wishes import Wishes

FLITE: Final = "flite"
FLITE_VOICES: Final = ("slt", "rms", "awb", "kal16")
_PATIENCE: Final = 60  # seconds
_SOUNDING: Final = frozenset({".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac"})


def other_take(number: int, seconds: float) -> Take | None:
    """Held-out English words, said by one of flite's voices and acted; None where flite is not installed. Errors:
    `BadOption` where it does not speak."""
    if shutil.which(FLITE) is None:
        return None
    chance = np.random.default_rng([0x666C6974, number])
    words = [str(word) for word in chance.choice(vocabulary("en-us", unseen=True), round(2.2 * seconds))]
    text = " ".join(word + (". " if k % 7 == 6 else "") for k, word in enumerate(words))
    speech = _said(text, FLITE_VOICES[number % len(FLITE_VOICES)])
    return Take(speech, Temper.of(number), number)


def _said(text: str, voice: str) -> Speech:
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        path = Path(folder) / "said.wav"
        command = [FLITE, "-voice", voice, "-t", text, "-psdur", "-o", str(path)]
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=False)
        if done.returncode or not path.is_file():
            seen = done.stderr.decode("utf-8", "replace").strip()[:200]
            raise BadOption(f"flite did not speak as {voice}", seen, "flite -lv lists its voices")
        sound = read_sound(path, mono=True)
    phones = phones_of(done.stdout.decode("ascii", "replace"))
    start, end = (phones[0].start, phones[-1].end) if phones else (0.0, sound.seconds)
    return Speech(sound.samples[:, 0], sound.rate, phones, (Span(start, end, "neutral", 1.0),))


def phones_of(said: str) -> tuple[Phone, ...]:
    """ "pau:0.224 m:0.252 ey:0.410": every sound and when it ends. Stress is not told."""
    found, start = [], 0.0
    for piece in said.split():
        name, _, until = piece.rpartition(":")
        end = float(until)
        if name in ARPABET and end > start:
            found.append(Phone(ARPABET[name], start, end, 0, 0))
        start = end
    return tuple(found)


def recordings(folder: Path) -> list[Path]:
    """The sound files in a folder. Errors: `MissingFile`."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SOUNDING)
    if not found:
        raise MissingFile(f"{folder} holds no sound files", remedy="--speech, a folder with wav, flac, mp3, m4a or ogg")
    return found


def heard_through(
    net: Actor, tempo: Tempo, paths: Sequence[Path], said: list[str], longest: float
) -> dict[str, dict[str, float]]:
    """Of each recording: how far mouths follow its loudness, frames by which they are late, how open they are in its
    pauses. What cannot be read is left out, and `said`."""
    found = {}
    for path in paths:
        try:
            rows = _first(path, longest)
        except MediaError as error:
            said.append(str(error))
            continue
        made = rows_in(net, tempo, rows)
        level = acting.level(rows)
        follows, lag = acting.follows_loudness(made, level)
        found[path.name] = {"loudness": follows, "lag_frames": float(lag), "rest": acting.rests(made, level)}
    return found


def _first(path: Path, seconds: float) -> np.ndarray:
    held: list[np.ndarray] = []
    with Stream(path) as stream:
        for rows in rows_of(stream):
            held.append(rows)
            if sum(map(len, held)) >= seconds * 25:
                break
    return np.concatenate(held)[: round(seconds * 25)]


def rows_in(net: Actor, tempo: Tempo, heard: np.ndarray, seed: int = 0, wishes: Wishes | None = None) -> Floats:
    """(f, 58): one performance as it is shown, by a portrait at rest."""
    rest = played.start() if net.config.motion == PLAYED else None
    made = whole(steadied(perform(net, [heard], tempo, seed=seed, wishes=wishes, start=rest)))
    return np.asarray(made.double().cpu().numpy(), np.float64)
