"""How the command line speaks: progress and sentences on stderr, one object of JSON on stdout."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from understudy import __version__
from understudy.errors import BadOption, UnderstudyError

if TYPE_CHECKING:
    from rich.console import Console

    from understudy.animate.pace import Progress


def console() -> Console:
    """Where chatter goes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One line of chatter."""
    print(text, file=sys.stderr, flush=True)


def object_last(value: Any) -> None:
    """One JSON object, alone on the last line of stdout. Dataclasses become objects."""
    print(json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value), flush=True)


def warnings(found: list[str]) -> None:
    """Everything that is different from what was asked for."""
    for warning in found:
        line(f"warning: {warning}")


def error(problem: UnderstudyError, as_json: bool) -> None:
    """What happened, what was seen, what to try."""
    line(f"error: {problem.happened.rstrip('.')}.")
    if problem.seen:
        line(f"  seen: {problem.seen}")
    if problem.remedy:
        line(f"  try:  {problem.remedy}")
    if as_json:
        object_last({"error": str(problem), "kind": type(problem).__name__})


def usage(problem: Exception, as_json: bool) -> None:
    """The command itself was not understood."""
    show: Callable[[], None] | None = getattr(problem, "show", None)
    if show is not None:
        show()
    else:
        line(str(problem))
    if as_json:
        told: Callable[[], str] = getattr(problem, "format_message", problem.__str__)
        object_last({"error": told(), "kind": "Usage"})


def stopped(message: str, as_json: bool) -> None:
    """Ctrl-C: where things stand and how to go on."""
    line(message)
    if as_json:
        object_last({"error": message, "kind": "Stopped"})


def our_fault(problem: Exception, words: list[str], as_json: bool, debug: bool) -> None:
    """An apology, and everything that a report needs, in a file."""
    trace = "".join(traceback.format_exception(problem))
    told = f"{type(problem).__name__}: {problem}"
    with tempfile.NamedTemporaryFile("w", prefix="understudy-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(f"understudy {__version__}, Python {platform.python_version()}, {platform.platform()}\n")
        file.write(f"understudy {' '.join(words)}\n\n{trace}")
    if debug:
        line(trace.rstrip())
    line(f"This is our fault, sorry: {told}")
    line(f"  Everything about it was written to {file.name}")
    line("  Please open an issue with that file; it names your files' paths and contains nothing of their content.")
    if as_json:
        object_last({"error": told, "kind": "Internal", "trace": file.name})


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A bar that shows what is being done, how far it is, and how long it will honestly take.

    Where stderr is no terminal, one line a stage."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _plain()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.fields[whole]}"),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console(), transient=True) as bars:
        task = bars.add_task("", total=None, whole="?", left="")

        def show(step: Any) -> None:
            if step.note:
                bars.console.print(step.note, markup=False)
            left = "" if step.left is None else f"{duration(step.left)} left"
            bars.update(
                task,
                description=step.stage,
                completed=step.done,
                total=step.total,
                whole=step.total or "?",
                left=left,
            )

        yield show


def _plain() -> Callable[[Progress], None]:
    def show(step: Progress) -> None:
        if step.note:
            line(step.note)

    return show


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    from understudy.animate.pace import spoken

    return spoken(seconds)


def numbers(words: str, option: str) -> tuple[float, ...]:
    """`10,60` -> (10.0, 60.0)."""
    try:
        return tuple(float(word) for word in words.split(","))
    except ValueError:
        raise BadOption(f"{option} is a list of numbers", repr(words), f"{option} 10,60") from None


def command(words: list[str]) -> str:
    """The command as it was typed, for the result's metadata."""
    return shlex.join(["understudy", *words])
