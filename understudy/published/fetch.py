"""Public files, downloaded: `understudy fetch NAME`. Nothing here imports torch.

A download that broke off goes on where it was. The first time that a file is whole, its hash is written down beside it;
ever after, a file with another hash is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from understudy import __version__
from understudy.errors import BadWeights, FetchFailed
from understudy.published.sources import File, Published

LOCK: Final = "hashes.json"
CHUNK: Final = 1 << 20
WAIT: Final = 30.0  # seconds without a word from the other side
WHOLE, PART, BEYOND = 200, 206, 416
LOCKED_UP: Final = (401, 403)

Told = Callable[[str, int, int | None], None]
"""(file, bytes there, bytes in all, where that is known)"""


@dataclass(frozen=True)
class Fetched:
    """What is here, and what a person still has to get."""

    here: list[Path]
    by_hand: list[str]


def folder() -> Path:
    """Where fetched files are: $UNDERSTUDY_WEIGHTS, or ~/.cache/understudy."""
    return Path(os.environ.get("UNDERSTUDY_WEIGHTS") or Path.home() / ".cache" / "understudy")


def fetch(published: Published, into: Path, told: Told = lambda name, done, total: None) -> Fetched:
    """Downloads what has a public address; of the rest, says how a person gets it.

    Errors: `FetchFailed` where the other side does not answer, and for a file that is shorter than announced;
    `BadWeights` for one that is not what it was at first."""
    here, by_hand = [], []
    for file in published.files:
        path = into / file.name
        if path.is_file():
            check(path)
            here.append(path)
        elif file.address is None:
            by_hand.append(f"{file.name}: {file.by_hand}; put it into {into}")
        else:
            download(file, into, told)
            here.append(path)
    return Fetched(here, by_hand)


def check(path: Path) -> None:
    """Errors: `BadWeights` for a file that is not what it was when it was fetched. Of others nothing is known."""
    known = _lock(path.parent).get(path.name)
    if known is not None and (path.stat().st_size != known["size"] or hash_of(path) != known["sha256"]):
        raise BadWeights(
            f"{path} is not what it was when it was fetched",
            f"{path.stat().st_size} bytes, {known['size']} then; or another hash",
            f"deleting it and fetching again; if it was replaced on purpose, its line in {path.parent / LOCK} too",
        )


def download(file: File, into: Path, told: Told) -> None:
    """One file, whole or not at all; what there is of it stays for the next time. Errors: see `fetch`."""
    assert file.address is not None
    into.mkdir(parents=True, exist_ok=True)
    path, partial = into / file.name, into / f"{file.name}.partial"
    begun = partial.stat().st_size if partial.exists() else 0
    with _answer(file, begun) as answer:
        start = begun if answer.status == PART else 0  # some servers know no parts, and begin again
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        done = _save(answer, partial, start, lambda done: told(file.name, done, total), file)
    if total is not None and done != total:
        raise FetchFailed(
            f"{file.name} broke off", f"{done} of {total} bytes", "the same command again, which goes on from there"
        )
    pin(partial, file)
    partial.replace(path)


def pin(partial: Path, file: File) -> None:
    """Writes down what a file is, the first time; afterwards compares. Errors: `BadWeights`, and the file is gone."""
    lock, found = _lock(partial.parent), hash_of(partial)
    known = lock.get(file.name)
    if known is not None and known["sha256"] != found:
        partial.unlink()
        raise BadWeights(
            f"{file.name} is not the file that was fetched before",
            f"sha256 {found}, {known['sha256']} then",
            f"asking its publisher; if it is a new release, deleting its line in {partial.parent / LOCK}",
        )
    lock[file.name] = {"sha256": found, "size": partial.stat().st_size, "address": file.address}
    place = partial.parent / LOCK
    beside = place.with_name(f".{LOCK}.partial")
    beside.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    beside.replace(place)


def hash_of(path: Path) -> str:
    """sha256, read in pieces."""
    found = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _lock(at: Path) -> dict[str, dict[str, object]]:
    try:
        return cast("dict[str, dict[str, object]]", json.loads((at / LOCK).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadWeights(f"{at / LOCK} is damaged", str(error), "deleting it: files are then pinned anew") from error


def _answer(file: File, begun: int) -> HTTPResponse:
    """The other side's answer to a question for all of a file but what is here. Errors: `FetchFailed`."""
    assert file.address is not None
    asked = {"User-Agent": f"understudy/{__version__}"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        return cast(HTTPResponse, urlopen(Request(file.address, headers=asked), timeout=WAIT))
    except HTTPError as error:
        if error.code == BEYOND and begun:
            return _answer(file, 0)  # what is here is longer than the file: begin again
        locked = "signing in where it is published and accepting its licence, then putting the file there by hand"
        raise FetchFailed(
            f"{file.name} could not be fetched",
            f"{error.code} {error.reason} from {file.address}",
            locked if error.code in LOCKED_UP else "later, or by hand",
        ) from error
    except (URLError, OSError) as error:
        raise FetchFailed(
            f"{file.name} could not be fetched", f"{error} from {file.address}", "a network, or by hand"
        ) from error


def _save(answer: HTTPResponse, partial: Path, start: int, told: Callable[[int], None], file: File) -> int:
    """Puts an answer behind what is there; returns how much there is then."""
    done = start
    with partial.open("r+b" if start else "wb") as out:
        out.seek(start)
        try:
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                done += len(chunk)
                told(done)
        except (HTTPException, OSError) as error:
            raise FetchFailed(
                f"{file.name} broke off", f"{done} bytes; {error}", "the same command again, which goes on from there"
            ) from error
    return done
