"""What a person types. Each command reads its arguments, calls one function, and reports; chatter goes to stderr.

Exit codes: 0 done, 1 the person can mend it, 2 the command was not understood, 70 our fault, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from understudy import __version__
from understudy.cli import (
    act,
    batch,
    cast,
    evaluate,
    full,
    live,
    look,
    motion,
    perform,
    prepare,
    say,
    serve,
    studio,
    train,
    verify,
)
from understudy.errors import UnderstudyError
from understudy.extras import absent

app = typer.Typer(
    name="understudy",
    help="A picture of somebody performs what a video does.\n\n"
    "understudy animate photo.jpg driving.mp4   makes   photo-driving.mp4",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("animate")(perform.animate)
app.command("act")(act.act)
app.add_typer(motion.app, name="motion")
app.command("check")(look.check)
app.command("models")(look.models)
app.command("bench")(look.bench)
app.command("evaluate")(evaluate.evaluate)
app.command("demo")(look.demo)
app.add_typer(cast.app, name="cast")
app.command("prepare")(prepare.prepare)
app.command("train")(train.train)
app.command("studio")(studio.studio)
app.command("live")(live.live)
app.command("serve")(serve.serve)
app.command("batch")(batch.batch)
app.command("verify")(verify.verify)
app.command("fetch")(full.fetch)
app.command("plan")(full.plan)
app.add_typer(full.weights, name="weights")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"understudy {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (may stand anywhere).")] = False,
) -> None:
    pass


def main(words: list[str] | None = None) -> int:
    """Run one command; returns the exit code and never raises."""
    words = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in words
    as_json = "--json" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = typer.main.get_command(app).main(words, prog_name="understudy", standalone_mode=False)
        return int(code or 0)
    except UnderstudyError as error:
        say.error(error, as_json)
        return 1
    except ImportError as error:
        say.error(absent(error), as_json)
        return 1
    except (KeyboardInterrupt, typer.Abort):  # older typers make the one into the other
        return 130
    except Exception as error:
        if isinstance(error, typer.BadParameter.__mro__[1]):  # the usage errors of typer's own click, old and new
            say.usage(error, as_json)
            return 2
        say.our_fault(error, words, as_json, debug)
        return 70
