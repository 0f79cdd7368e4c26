"""A room: one person's films, in a folder, and the sign by which work in it is stopped.

What a film was made from is kept beside it under a name that says its content, so the same order, given again, goes on
where it was stopped, and a film is still whole when the page's uploads are gone.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from understudy.animate import Result
from understudy.clip.landing import unwritable
from understudy.provenance.hashes import content

TOKEN: Final = re.compile(r"[0-9a-f]{32}")
ROOMS: Final = 64  # that are remembered; the folders of all others stay
SHOWN: Final = 24  # films in the history
NAME: Final = 40  # letters of a file's name that are kept


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A film in a room."""

    film: Path
    beside: Path | None  # the same with the driver beside it
    poster: Path
    title: str
    warnings: list[str]


@dataclass
class Room:
    """See the module. `stop` is set by whoever wants the work to end; `busy` is held while a film is made."""

    token: str
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, file: Path) -> Path:
        """A copy of an upload, named by what it was called and what is in it; of a copy, that. Errors: `Unwritable`."""
        if file.parent == self.folder / "given":
            return file
        stem = re.sub(r"[^\w-]+", "-", file.stem).strip("-")[:NAME] or "file"
        ending = file.suffix.lower() if re.fullmatch(r"\.\w{1,11}", file.suffix) else ""
        kept = self.folder / "given" / f"{stem}-{content(file)[:8]}{ending}"
        if not kept.exists():
            fresh = kept.with_name(f".{secrets.token_hex(4)}-{kept.name}")
            try:
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, fresh)
                fresh.replace(kept)
            except OSError as error:
                fresh.unlink(missing_ok=True)
                raise unwritable(kept, error) from error
        return kept

    def note(self, result: Result, kept: Kept) -> None:
        """Write beside a film what is to be known of it; from then on it is in the history. Errors: `Unwritable`."""
        known = {
            "title": kept.title,
            "beside": kept.beside.name if kept.beside else None,
            "poster": kept.poster.name,
            "result": asdict(result) | {"output": kept.film.name},
        }
        page = kept.film.with_suffix(".json")
        try:
            page.write_text(json.dumps(known, indent=1), "utf-8")
        except OSError as error:
            raise unwritable(page, error) from error

    def known(self, film: Path) -> Kept | None:
        """A film that is finished, with what was noted of it; None if there is no such film."""
        with suppress(OSError, ValueError, LookupError, TypeError):
            known = json.loads(film.with_suffix(".json").read_text("utf-8"))
            beside = film.with_name(known["beside"]) if known["beside"] else None
            warnings = [str(text) for text in known["result"]["warnings"]]
            kept = Kept(
                film=film,
                beside=beside if beside is not None and beside.is_file() else None,
                poster=film.with_name(known["poster"]),
                title=str(known["title"]),
                warnings=warnings,
            )
            return kept if film.is_file() and kept.poster.is_file() else None
        return None

    def history(self) -> list[Kept]:
        """The films, the newest first."""
        pages = sorted(self.folder.glob("*.json"), key=lambda page: page.stat().st_mtime, reverse=True)
        found = (self.known(page.with_suffix(".mp4")) for page in pages)
        return [kept for kept in found if kept is not None][:SHOWN]


def called(name: str) -> str:
    """What a file in a room was called by the person: without its ending, and the eight letters that were added."""
    stem = Path(name).stem
    return re.sub(r"(-[0-9a-f]{8})+$", "", stem) or stem


class House:
    """All rooms, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._lock = threading.Lock()

    def room(self, token: str | None) -> Room:
        """The room of a token, or a new one for whoever has none, or none of ours. Errors: `Unwritable`."""
        if token is None or not TOKEN.fullmatch(token):
            token = secrets.token_hex(16)
        with self._lock:
            room = self._rooms.pop(token, None) or Room(token, self.folder / token)
            self._rooms[token] = room
            while len(self._rooms) > ROOMS:
                self._rooms.popitem(last=False)
        try:
            room.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(room.folder, error) from error
        return room
