"""Many films, from a table: what is done is not done again, what was stopped goes on, what fails stops nobody else.

The table is CSV with the columns `portrait`, `driving`, perhaps `out`, and options of `understudy animate` by their
names (`strength`, `only`, `model`, ...). Paths are seen from the table's folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from understudy.animate import animate
from understudy.animate.pace import Tell, nobody
from understudy.clip import AnyPath, read_metadata
from understudy.clip.media import existing
from understudy.errors import BadOption, Exists, MediaError, UnderstudyError
from understudy.provenance.hashes import content
from understudy.service.options import OPTIONS, read_options
from understudy.service.refusals import as_json

COLUMNS: Final = ("portrait", "driving", "out")
_REMEDY: Final = "a first line such as portrait,driving,out,strength"


@dataclass(frozen=True)
class Row:
    """One film that is wanted. `number` is the line's in the table, as editors count."""

    number: int
    portrait: Path
    driving: Path
    out: Path
    options: Mapping[str, Any]

    @property
    def command(self) -> str:
        """What goes into the film's metadata, and says whether a film is the one that is wanted."""
        return f"understudy batch {json.dumps(dict(self.options), sort_keys=True)}"


@dataclass(frozen=True)
class Done:
    """How a row went. These are the fields of `--json`."""

    row: int
    output: str
    state: Literal["made", "was there", "failed"]
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None


Spread: TypeAlias = Callable[[Sequence[Row], Callable[[Row], Done]], Iterator[Done]]
"""(rows, make): makes all rows somewhere, in any order; yields how each went. See `crew`."""


def rows_of(table: AnyPath) -> list[Row]:
    """The whole table, before any work. Errors: `MissingFile`, `UnreadableMedia`; `BadOption` with the line."""
    path = existing(table)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
            first = lines[0].keys() if lines else ()
    except (OSError, ValueError, csv.Error) as error:
        raise BadOption(f"{path} is no table", str(error), _REMEDY) from error
    wrong = [str(name) for name in first if name not in (*COLUMNS, *OPTIONS)]
    if not lines or wrong or not {"portrait", "driving"} <= set(first):
        seen = f"unknown columns: {', '.join(wrong)}" if wrong else f"{len(lines)} rows, columns {', '.join(first)}"
        raise BadOption(f"{path} is no table of films", seen, _REMEDY)
    rows = [_row(number, line, path.parent) for number, line in enumerate(lines, 2)]
    outs: set[Path] = set()
    for row in rows:
        if row.out.resolve() in outs:
            raise BadOption(
                f"line {row.number} of {path} writes what an earlier one writes", str(row.out), "a column out"
            )
        outs.add(row.out.resolve())
    return rows


def _row(number: int, line: Mapping[str | None, str | None], folder: Path) -> Row:
    words = {str(name): (value or "").strip() for name, value in line.items() if name is not None}
    if not words["portrait"] or not words["driving"] or None in line:
        raise BadOption(f"line {number} has too few or too many columns", remedy=_REMEDY)
    portrait, driving = folder / words["portrait"], folder / words["driving"]
    out = folder / (words.get("out") or f"{portrait.stem}-{driving.stem}.mp4")
    try:
        options = read_options({name: word for name, word in words.items() if name in OPTIONS and word})
    except BadOption as error:
        raise BadOption(f"line {number}: {error.happened}", error.seen, error.remedy) from error
    return Row(number, portrait, driving, out, options)


def batch(
    table: AnyPath,
    *,
    force: bool = False,
    spread: Spread | None = None,
    progress: Tell = nobody,
    begun: Callable[[Row], None] = lambda row: None,
) -> Iterator[Done]:
    """Make the films of a table, in its order; yields how each went. Raises `Stopped` on Ctrl-C: called again, it goes
    on. With a `spread` they are made by others, in any order, and nobody hears of one before it is done. Errors: those
    of `rows_of`, before any work."""
    rows = rows_of(table)
    if spread is not None:
        yield from spread([_anywhere(row) for row in rows], partial(tried, force=force))
        return
    for row in rows:
        begun(row)
        yield tried(row, force, progress)


def _anywhere(row: Row) -> Row:
    """The same, for a process in another folder."""
    return replace(row, portrait=row.portrait.absolute(), driving=row.driving.absolute(), out=row.out.absolute())


def tried(row: Row, force: bool, progress: Tell = nobody) -> Done:
    """One film, and what became of it."""
    try:
        return _made(row, force, progress)
    except UnderstudyError as error:
        return Done(row.number, str(row.out), "failed", error=as_json(error))


def _made(row: Row, force: bool, progress: Tell) -> Done:
    """Errors: those of `animate`; `Exists` for another film of that name."""
    if row.out.exists() and not force:
        if not _is_it(row):
            raise Exists(f"{row.out} is there, and another film", remedy="another name in the column out, or --force")
        return Done(row.number, str(row.out), "was there")
    options = dict(row.options)
    if options.get("only") is not None:
        options["only"] = tuple(options["only"])
    result = animate(
        row.portrait, row.driving, out=row.out, force=force, progress=progress, command=row.command, **options
    )
    return Done(row.number, str(row.out), "made", result.seconds, result.warnings)


def _is_it(row: Row) -> bool:
    """Whether a film is what a row asks for: made from these files with these options."""
    try:
        words = read_metadata(row.out)
    except MediaError:
        return False
    inputs = (("portrait", row.portrait), ("driving", row.driving))
    return words.get("command") == row.command and all(
        words.get(name, "").endswith(f"sha256:{content(existing(path))}") for name, path in inputs
    )
