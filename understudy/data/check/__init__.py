"""Is this portrait, driving film or voice good for the job, and what should be changed?

Each check measures and says what it saw; limits stand beside the sentence they lead to. `unusable` is what the engines
refuse, `poor` what will show in the result, `note` what may be good to know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from av.stream import Disposition

from understudy.animate.pace import Pace, Tell, nobody
from understudy.clip import AnyPath, Picture, Warn, read, read_metadata, write_picture
from understudy.clip.landing import refuse_existing
from understudy.clip.media import beginning, existing, once, open_media
from understudy.clip.still import opener
from understudy.data.check import driving, portrait, voice
from understudy.data.check.finding import ORDER, Finding, Kind, Report, verdict_on
from understudy.data.sheet import Tile
from understudy.data.sheet import sheet as sheet_of
from understudy.errors import NoSound

__all__ = ["Finding", "Report", "check"]


WORDS: Final = {"portrait": "a portrait", "driving": "a driving film", "voice": "a voice"}
OURS: Final = "Understudy check"


def check(file: AnyPath, *, sheet: AnyPath | None = None, face: int | None = None, progress: Tell = nobody) -> Report:
    """Judge a file by what it is: a picture as portrait, a film as driver (with its sound), a sound as voice.

    A contact sheet is written to `sheet`, by default NAME-check.png here. Errors: those of reading the file, `NoFace`
    and its like for a portrait, `Exists` where `sheet` is something that no check has written, `Unwritable`."""
    path = existing(file)
    page = Path(sheet) if sheet is not None else Path(f"{path.stem}-check.png")
    refuse_existing(page, overwrite=_is_ours(page))
    said: list[str] = []
    warn, pace = once(said.append), Pace(progress)
    kind, findings, rows = _judged(path, face, warn, pace)
    findings += [Finding("note", "file", text) for text in said]
    findings.sort(key=lambda finding: ORDER.index(finding.severity))
    verdict, summary = verdict_on(findings)
    lines = [
        f"{each.severity}: {each.about}: {each.seen}{'; ' if each.advice else ''}{each.advice}" for each in findings
    ]
    _write(page, sheet_of(rows, f"{path.name} as {WORDS[kind]}: {verdict}", lines))
    return Report(str(path), kind, verdict, summary, findings, str(page))


def _judged(path: Path, face: int | None, warn: Warn, pace: Pace) -> tuple[Kind, list[Finding], list[list[Tile]]]:
    """What it is, what was found, and pictures."""
    if _is_still(path):
        findings, tiles = portrait.judge(path, face, warn)
        return "portrait", findings, [tiles]
    if not _has_picture(path):
        heard = voice.listen(path, warn)
        return "voice", voice.judge(heard), [[Tile(voice.curve_of(heard), "loudness over time")]]
    findings, tiles = driving.judge(path, face, warn, pace)
    rows = [tiles[:4], tiles[4:]] if len(tiles) > 4 else [tiles]
    return "driving", findings + _sound_of(path, warn), rows


def _sound_of(path: Path, warn: Warn) -> list[Finding]:
    """A driver's sound is only carried along: nothing about it makes the film worse than a note."""
    try:
        heard = voice.listen(path, warn)
    except NoSound:
        return [Finding("note", "sound", "none", "the result will be silent")]
    if not heard.speaking:
        return [Finding("note", "sound", "a silent track", "the result will be silent")]
    judged = [each for each in voice.judge(heard) if each.severity in ("poor", "unusable")]
    return [Finding("note", f"sound, {each.about}", each.seen, each.advice) for each in judged] or [
        Finding("good", "sound", f"speech at {heard.level:.0f} dB of full scale")
    ]


def _is_still(path: Path) -> bool:
    return opener(beginning(path)) is not None and read(path, warn=_silently).still


def _has_picture(path: Path) -> bool:
    if opener(beginning(path)) is not None:
        return True
    with open_media(path) as container:
        return any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video)


def _silently(text: str) -> None:
    """It is said again when the file is read for good."""


def _is_ours(page: Path) -> bool:
    """Whether a sheet of ours is there, which may be replaced."""
    return page.is_file() and opener(beginning(page)) is not None and read_metadata(page).get("software") == OURS


def _write(page: Path, picture: Picture) -> None:
    write_picture(page, picture, metadata={"software": OURS}, overwrite=True)
