"""The footage mill: films to shards that recipes learn from. Killed anywhere and run again, it makes the same shards.

    gather   each film to a part: takes that are good as members of a tar, and what is said of all its takes
    thin     takes that were taken before are left out
    pack     what is left, in the order of the films, into shards of about the same size
    tell     manifest.parquet, a row a take, good or not and why; about.json, last

A film is the unit of work, done by one process, and its part takes its name when it is whole; so nothing that is there
is done again, and who does what in which order does not matter. Films are ordered by name and content, whatever the
order in which they were given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from understudy.clip.landing import unwritable
from understudy.data import tars
from understudy.data.alike import Print, repeated
from understudy.data.gather import Take, gather
from understudy.data.manifest import Row, write_manifest
from understudy.data.sieve import Limits
from understudy.errors import BadOption, BadRun, MissingFile, UnderstudyError

FORMAT: Final = "understudy-shards"
VERSION: Final = 2
PARTS: Final = ".parts"
ABOUT: Final = "about.json"
MANIFEST: Final = "manifest.parquet"
FILMS: Final = frozenset([".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".gif"])

Record = dict[str, Any]


@dataclass(frozen=True)
class Film:
    """A film to be gathered from. `sha`: of its bytes, as hexadecimal digits."""

    path: str
    sha: str

    @property
    def name(self) -> str:
        """Without the folder that it happens to be in."""
        return os.path.basename(self.path)

    @property
    def key(self) -> str:
        """The beginning of its takes' keys."""
        return self.sha[:16]


@dataclass(frozen=True)
class Step:
    """How far it is: films gathered, and of how many; `note`: something to be known."""

    done: int
    films: int
    note: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came out. `why`: how often each reason was given."""

    shards: str
    films: int
    takes: int
    kept: int
    seconds: float
    why: dict[str, int]


Spread = Callable[[Sequence[Film], Callable[[Film], str]], Iterator[str]]
"""(films, work): does the work of all films anywhere, in any order; yields what comes back."""


def films_in(paths: Iterable[Path]) -> list[Film]:
    """Films named by a person, and those in folders that are named, in the mill's order. Errors: `MissingFile`."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise MissingFile(f"there is no film or folder {path}", remedy="look at the name")
        inside = sorted(each for each in path.rglob("*") if each.suffix.lower() in FILMS) if path.is_dir() else [path]
        found += [each for each in inside if each.is_file()]
    if not found:
        raise MissingFile("there are no films to prepare", f"none in {', '.join(map(str, paths))}", "other folders")
    films = [Film(os.path.abspath(path), digest(path)) for path in dict.fromkeys(found)]
    return sorted(films, key=lambda film: (film.name, film.sha, film.path))


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def prepare(
    films: Sequence[Film], folder: Path, limits: Limits, shard_bytes: int, spread: Spread
) -> Iterator[Step | Outcome]:
    """Steps, and at the end what came out; at once, if it is all there.

    Errors: BadOption where the folder holds shards of other films, or under other limits; BadRun."""
    asked = {
        "format": FORMAT, "version": VERSION, "limits": asdict(limits), "shard_bytes": shard_bytes,
        "films": [[film.name, film.sha] for film in films],
    }  # fmt: skip
    told = _told(folder, asked)
    if told is None:
        parts = folder / PARTS
        _settle(parts, asked)
        yield from _gathered(films, parts, limits, spread)
        told = _packed(films, folder, parts, shard_bytes, asked)
    shutil.rmtree(folder / PARTS, ignore_errors=True)  # also what a run left that was killed just here
    counts = told["counts"]
    yield Outcome(
        str(folder), len(films), counts["takes"], counts["kept"], counts["seconds"], dict(counts["why"])
    )  # fmt: skip


def _told(folder: Path, asked: Record) -> Record | None:
    """What a folder of finished shards says, if it holds what is asked for and all of it."""
    path = folder / ABOUT
    if not path.exists():
        return None
    told: Record = json.loads(path.read_text("utf-8"))
    _refuse(folder, told, asked, asked)
    whole = all(
        (folder / name).is_file() and (folder / name).stat().st_size == size for name, size, _ in told["shards"]
    )
    if whole and (folder / MANIFEST).is_file():
        return told
    path.unlink()  # something was lost: it is made again
    return None


def _settle(parts: Path, asked: Record) -> None:
    """Say in the folder of parts what they are made with; refuse one that says otherwise."""
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(parts, error) from error
    made_with = {name: asked[name] for name in ("format", "version", "limits")}
    path = parts / ABOUT
    if path.exists():
        _refuse(parts.parent, json.loads(path.read_text("utf-8")), asked, made_with)
    tars.write_whole(path, json.dumps(made_with, sort_keys=True).encode())


def _refuse(folder: Path, told: Record, asked: Record, names: Iterable[str]) -> None:
    wrong = [name for name in names if told.get(name) != json.loads(json.dumps(asked[name]))]
    if wrong:
        raise BadOption(
            f"{folder} holds shards that were prepared otherwise",
            f"other {', '.join(wrong)}",
            f"another folder; or, if they are not needed, rm -r {folder}",
        )


# --- gather -----------------------------------------------------------------------------------------------------------


def _gathered(films: Sequence[Film], parts: Path, limits: Limits, spread: Spread) -> Iterator[Step]:
    """Every film's part, made where it is not there."""
    different = {film.key: film for film in films}
    waiting = [film for key, film in different.items() if not (parts / f"{key}.json").exists()]
    done = len(different) - len(waiting)
    yield Step(done, len(different))
    for note in spread(waiting, partial(make_part, folder=str(parts), limits=limits)) if waiting else ():
        done += 1
        yield Step(done, len(different), note)


def make_part(film: Film, folder: str, limits: Limits) -> str:
    """One film's takes as `KEY.tar`, and what is said of them as `KEY.json`, last; returns a sentence for people.

    What cannot be read is said in the part: it will not become readable by being tried again."""
    parts, records, failed = Path(folder), [], ""
    with tars.written(parts / f"{film.key}.tar") as file:
        try:
            for take in gather(Path(film.path), film.key, limits):
                records.append(_record(take, file.tell()))
                file.write(take.members)
        except UnderstudyError as error:
            failed = str(error).replace(film.path, film.name)
    said = {"failed": failed, "takes": records}
    tars.write_whole(parts / f"{film.key}.json", json.dumps(said, sort_keys=True).encode())
    kept = sum(not record["reasons"] for record in records)
    return f"{film.name}: {failed or f'{len(records)} takes, {kept} good'}"


def _record(take: Take, offset: int) -> Record:
    return {
        "key": take.key, "start": take.start, "seconds": take.seconds, "frames": take.frames, "fps": take.fps,
        "shot": take.shot, "reasons": take.reasons, "offset": offset, "size": len(take.members),
        "sha": hashlib.sha256(take.members).hexdigest() if take.members else "",
        "measures": asdict(take.measures), "sound": asdict(take.sound),
        "print": [_coded(array) for array in (take.print.hashes, take.print.mirrored, take.print.curves)],
    }  # fmt: skip


def _coded(array: Any) -> str:
    return base64.b64encode(zlib.compress(array.tobytes(), 6)).decode()


def _print(record: Record) -> Print:
    hashes, mirrored, curves = (zlib.decompress(base64.b64decode(words)) for words in record["print"])
    return Print(
        np.frombuffer(hashes, np.uint64), np.frombuffer(mirrored, np.uint64),
        np.frombuffer(curves, np.float32).reshape(-1, 6),
    )  # fmt: skip


def here(films: Sequence[Film], work: Callable[[Film], str]) -> Iterator[str]:
    """This process itself. Numbers are those of `local` only if numpy was loaded after this package, which asks for one
    thread: sums over several round otherwise."""
    yield from map(work, films)


def local(workers: int) -> Spread:
    """So many processes of this machine."""

    def spread(films: Sequence[Film], work: Callable[[Film], str]) -> Iterator[str]:
        # spawned: MediaPipe does not survive a fork, and numpy is loaded anew, with one thread
        with ProcessPoolExecutor(min(workers, len(films)), mp_context=get_context("spawn")) as pool:
            going = [pool.submit(work, film) for film in films]
            try:
                for one in as_completed(going):
                    yield one.result()
            except BrokenProcessPool as error:
                raise BadRun(
                    "a process that gathered takes was killed, perhaps for its memory",
                    "films that were done are kept",
                    "the same command again, with fewer --workers",
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    return spread


# --- thin, pack, tell -------------------------------------------------------------------------------------------------


def _packed(films: Sequence[Film], folder: Path, parts: Path, shard_bytes: int, asked: Record) -> Record:
    """Shards and the manifest from the parts; returns what `about.json` says."""
    for old in folder.glob("[0-9]*.tar"):  # of a run that was killed while packing
        old.unlink()
    rows = _rows(films, parts)
    kept = [row for row in rows if row.status == "kept"]
    shards = []
    for number, group in enumerate(_grouped(kept, shard_bytes)):
        path = folder / f"{number:05d}.tar"
        with tars.written(path) as file:
            for row in group:
                row.shard, row.offset = path.name, file.tell()
                tars.copy(parts / f"{row.film}.tar", row.part, row.size, file)
            file.write(tars.END)
        shards.append([path.name, path.stat().st_size, digest(path)])
    write_manifest(folder / MANIFEST, rows)
    why: dict[str, int] = {}
    for row in rows:
        for reason in row.reasons:
            word = reason.partition(":")[0]
            why[word] = why.get(word, 0) + 1
    takes = [row for row in rows if row.key]
    counts = {
        "takes": len(takes), "kept": len(kept), "seconds": round(sum(row.seconds for row in kept), 3),
        "why": dict(sorted(why.items())),
    }  # fmt: skip
    told = {**asked, "counts": counts, "shards": shards, "manifest": digest(folder / MANIFEST)}
    tars.write_whole(folder / ABOUT, (json.dumps(told, sort_keys=True, indent=1) + "\n").encode())
    return json.loads(json.dumps(told))  # type: ignore[no-any-return]


def _rows(films: Sequence[Film], parts: Path) -> list[Row]:
    """A row for every take, and one for every film without; takes that were taken before are said to be."""
    rows: list[Row] = []
    prints: list[tuple[str, Print]] = []
    first: dict[str, str] = {}
    for film in films:
        if film.key in first:
            rows.append(Row.of_film(film.name, film.sha, [f"duplicate: the film is {first[film.key]}"]))
            continue
        first[film.key] = film.name
        said = json.loads((parts / f"{film.key}.json").read_text("utf-8"))
        if said["failed"]:
            rows.append(Row.of_film(film.name, film.sha, [f"unreadable: {said['failed']}"]))
        if not said["takes"] and not said["failed"]:
            rows.append(Row.of_film(film.name, film.sha, ["nobody: no face was found"]))
        for record in said["takes"]:
            rows.append(Row.of_take(film.name, film.sha, film.key, record))
            if not record["reasons"]:
                prints.append((record["key"], _print(record)))
    sides = {row.key: row.measures["side"] for row in rows if row.key}
    again = repeated(sorted(prints, key=lambda each: -sides[each[0]]))  # the one with the most pixels stays
    for row in rows:
        if row.key in again:
            row.reject(f"duplicate: of {again[row.key]}")
    return rows


def _grouped(rows: Sequence[Row], most: int) -> Iterator[list[Row]]:
    """In order, groups of not much more than so many bytes."""
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and size + row.size > most:
            yield group
            group, size = [], 0
        group.append(row)
        size += row.size
    if group:
        yield group
