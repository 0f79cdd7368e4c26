"""Festival (Black, Taylor and Caley 1998), in a process of its own: voices that are glued together from recordings of
people, or learnt from them, where espeak-ng's are computed. It tells when each sound is, as espeak-ng does.

Festival and its voices are programs of their own, asked for by name (Debian: festival, and the packages in `SPEAKERS`).
Whoever flite, the synthesiser that actors are measured with, has as a voice is none of them.
"""

# ruff: noqa: RUF001 - letters of the International Phonetic Alphabet

from __future__ import annotations

import shutil
import subprocess
import tempfile
import unicodedata
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from understudy.cast.speak.espeak import Raw, Said, Unspoken

FESTIVAL: Final = "festival"
PATIENCE: Final = 120  # seconds
_USUAL: Final = 165.0  # words a minute: espeak-ng's own rate
_LOWEST: Final = 0.75  # of a speaker's own pitch: under 0.6 of it, festival writes where it must not, and falls
_EDGE: Final = 0.03  # seconds of silence that are kept before and after a phrase
_NUKTA: Final = MappingProxyType(
    {f"{letter}\u093c": chr(0x0958 + k) for k, letter in enumerate("\u0915\u0916\u0917\u091c\u0921\u0922\u092b")}
)
"""Letters of Hindi that Unicode takes apart, and festival knows in one piece."""
_SILENCES: Final = frozenset({"pau", "#", "##", "_", "h#", "brth"})

ARPABET: Final[Mapping[str, str]] = MappingProxyType({
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "ay": "aɪ", "b": "b", "ch": "tʃ", "d": "d",
    "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɚ", "axr": "ɚ", "ey": "eɪ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ",
    "nx": "n", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ",
    "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
})  # fmt: skip
"""The sounds of American English, as festival and flite call them, in IPA."""
_FINNISH: Final = MappingProxyType({
    "@": "æ", "7": "ø", "&": "ə", "T": "θ", "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", "L": "ʎ", "v": "ʋ", "a": "ɑ",
})  # fmt: skip
_CATALAN: Final = MappingProxyType({
    "ax": "ə", "E": "ɛ", "O": "ɔ", "J": "ɲ", "L": "ʎ", "N": "ŋ", "rr": "r", "r": "ɾ", "S": "ʃ", "Z": "ʒ", "b": "β",
})  # fmt: skip
_INDIAN: Final = MappingProxyType({
    "a": "ɐ", "@": "ɐ", "aa": "ɑ", "ih": "ɪ", "iy": "i", "uh": "ʊ", "uw": "u", "eh": "e", "ee": "e", "ay": "aɪ",
    "oh": "o", "oo": "o", "aw": "aʊ", "ch": "tʃ", "T": "ʈ", "D": "ɖ", "N": "ɳ", "th": "t", "dh": "d", "y": "j",
    "v": "ʋ", "L": "ɭ", "R": "ɽ", "sh": "ʃ", "j": "dʒ", "ksh": "kʃ", "sri": "ʃɾi", "x": "h", "kh": "k", "gh": "ɡ",
    "td": "t", "tth": "t", "ddh": "d", "bh": "b", "zh": "ʒ", "r": "ɾ",
})  # fmt: skip
_RUSSIAN: Final = MappingProxyType({
    "ii": "i", "yy": "ɨ", "uu": "u", "ee": "e", "oo": "o", "aa": "a", "a": "ɐ", "e": "ɪ", "i": "ɪ", "y": "ɨ", "u": "ʊ",
    "ae": "ɪ", "ay": "ə", "ur": "ʊ", "c": "ts", "ch": "tɕ", "sch": "ɕ", "sh": "ʂ", "zh": "ʐ", "h": "x", "hh": "x",
    "l": "ɫ", "ll": "l", **{2 * letter: letter for letter in "pbtdkgfvszmnr"},
})  # fmt: skip


@dataclass(frozen=True)
class Speaker:
    """A voice of festival's. `language` as espeak-ng calls it; `asked` as festival does; `package` is Debian's."""

    language: str
    asked: str
    package: str
    sounds: Mapping[str, str]
    """In IPA, where they are not called so already."""
    letters: str = "utf-8"
    """The encoding that it reads."""
    stress: str = "1"
    """What it calls primary stress; "" where it tells none, and each word's first vowel has it."""


SPEAKERS: Final[Mapping[str, Speaker]] = MappingProxyType({
    "ked": Speaker("en-us", "voice_ked_diphone", "festvox-kdlpc16k", ARPABET),
    "lj": Speaker("fi", "voice_suo_fi_lj_diphone", "festvox-suopuhe-lj", _FINNISH, "latin-1", "2"),
    "mv": Speaker("fi", "voice_hy_fi_mv_diphone", "festvox-suopuhe-mv", _FINNISH, "latin-1", "2"),
    "ona": Speaker("ca", "voice_upc_ca_ona_hts", "festvox-ca-ona-hts", _CATALAN, "iso-8859-15"),
    "hindi": Speaker("hi", "voice_hindi_NSK_diphone", "festvox-hi-nsk", _INDIAN, stress=""),
    "telugu": Speaker("te", "voice_telugu_NSK_diphone", "festvox-te-nsk", _INDIAN, stress=""),
    "nsh": Speaker("ru", "voice_msu_ru_nsh_clunits", "festvox-ru", _RUSSIAN),
})  # fmt: skip
"""By the name of the character: "fi+lj" is a voice."""

_SCHEME: Final = """
(define (understudy_say asked text faster higher wider path)
  (eval (list (intern asked)))
  (Parameter.set 'Duration_Stretch (/ (Parameter.get 'Duration_Stretch) faster))
  (if (string-equal (Parameter.get 'Synth_Method) "HTS")
      (set! hts_engine_params (append hts_engine_params (list (list "-r" faster)))))
  (set! after_analysis_hooks
    (list (lambda (utt)
      (let ((sum 0) (count 0))
        (mapcar (lambda (x) (set! sum (+ sum (item.feat x "f0"))) (set! count (+ count 1)))
          (utt.relation.leafs utt 'Target))
        (if (> count 0)
          (mapcar (lambda (x) (item.set_feat x "f0"
              (* higher (+ (/ sum count) (* wider (- (item.feat x "f0") (/ sum count)))))))
            (utt.relation.leafs utt 'Target))))
      utt)))
  (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave utt path 'riff)
    (mapcar (lambda (x) (format t "sound %s %f %s %s %s %s\\n" (item.name x) (item.feat x "end")
        (item.feat x "ph_vc") (item.feat x "R:SylStructure.parent.stress")
        (item.feat x "R:SylStructure.parent.id") (item.feat x "R:SylStructure.parent.parent.id")))
      (utt.relation.items utt 'Segment))
    (format t "said\\n")))
"""


def said(phrases: Sequence[Said]) -> list[Raw]:
    """All phrases, in order, by one process; `Said.voice` is a key of `SPEAKERS`. A `pitch` of 50 is the speaker's own,
    60 more an octave higher; those that are learnt or cut from recordings whole (ona, nsh) keep their own, and nsh its
    own rate.

    Errors: `Unspoken` where festival or the voice is not installed, or does not speak."""
    if shutil.which(FESTIVAL) is None:
        raise Unspoken("festival is not installed (Debian: festival)")
    for phrase in phrases:
        if not any(letter.isalnum() for letter in phrase.text):  # it would fall
            raise Unspoken(f"there is nothing to say in {phrase.text!r}")
    with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
        program = Path(folder) / "say.scm"
        program.write_bytes(_SCHEME.encode() + b"".join(_asked(k, one, folder) for k, one in enumerate(phrases)))
        try:
            done = subprocess.run([FESTIVAL, "-b", str(program)], capture_output=True, timeout=PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unspoken(str(error)) from error
        told = done.stdout.decode("utf-8", "replace").split("said\n")
        if done.returncode or len(told) != len(phrases) + 1:
            raise Unspoken(_why(done.stderr.decode("utf-8", "replace"), done.returncode, SPEAKERS[phrases[0].voice]))
        return [_raw(Path(folder) / f"{k}.wav", told[k], SPEAKERS[one.voice]) for k, one in enumerate(phrases)]


def _why(stderr: str, code: int, speaker: Speaker) -> str:
    """What went wrong, from what festival said of it."""
    if f"unbound variable : {speaker.asked}" in stderr:
        return f"it has no {speaker.asked}, which Debian has in {speaker.package}"
    wrong = [line for line in stderr.splitlines() if "ERROR" in line]
    return wrong[0] if wrong else f"it ended with {code}"


def _asked(number: int, phrase: Said, folder: str) -> bytes:
    speaker = SPEAKERS[phrase.voice]
    text = unicodedata.normalize("NFC", phrase.text.replace("\\", " ").replace('"', " "))
    for apart, together in _NUKTA.items():
        text = text.replace(apart, together)
    higher = max(2 ** ((phrase.pitch - 50) / 60), _LOWEST)
    numbers = f"{phrase.rate / _USUAL:.4f} {higher:.4f} {phrase.range / 50:.4f}"
    return b'(understudy_say "%s" "%s" %s "%s")\n' % (
        speaker.asked.encode(), text.encode(speaker.letters, "replace"), numbers.encode(),
        f"{folder}/{number}.wav".encode(),
    )  # fmt: skip


def _raw(path: Path, told: str, speaker: Speaker) -> Raw:
    """Without most of the silence at both ends, of which some voices make much."""
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    sounds = list(_sounds(told, speaker))
    spoken = [k for k, (_, _, name) in enumerate(sounds) if name]
    if not spoken:
        raise Unspoken("no sound came out")
    first = max(round((sounds[spoken[0]][0] - _EDGE) * rate), 0)
    last = min(round((sounds[spoken[-1]][1] + _EDGE) * rate), len(samples) // 2)
    kept = sounds[spoken[0] : spoken[-1] + 1]
    events = [(round(start * rate) - first, name) for start, _, name in kept]
    return Raw(rate, samples[2 * first : 2 * last], (*events, (round(kept[-1][1] * rate) - first, "")), ())


def _sounds(told: str, speaker: Speaker) -> Iterator[tuple[float, float, str]]:
    """When each sound begins and ends, and what it is in IPA, "" for silence; the first vowel of a stressed syllable
    with its mark of stress."""
    start, marked, before = 0.0, set[str](), ""
    for line in told.splitlines():
        pieces = line.split()
        if len(pieces) != 7 or pieces[0] != "sound":
            continue
        name, end, vowel, stress, syllable, word = pieces[1], float(pieces[2]), *pieces[3:]
        plain = name.rstrip(":")
        plain = plain if plain in speaker.sounds else plain.rstrip("0123456789") or plain  # Catalan's stressed "e1"
        sound = "" if name in _SILENCES else speaker.sounds.get(plain, plain)
        if sound == "β" and before in ("", "m", "n"):
            sound = "b"  # only between vowels and their like do lips not touch
        before = sound
        group = syllable if speaker.stress else word
        if vowel == "+" and group not in marked and stress == (speaker.stress or stress):
            marked.add(group)
            sound = f"ˈ{sound}"
        yield start, end, sound
        start = end
