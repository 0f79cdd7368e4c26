"""`python -m understudy.recipes RECIPE [FIELD=VALUE ...]`: as `understudy train`, with Python's own parser."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from understudy.errors import UnderstudyError
from understudy.recipes import ALL, COURSES
from understudy.recipes.run import Wish, run, seconds


def main(words: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m understudy.recipes", description="Train. Again: go on training.")
    parser.add_argument("recipe", help=", ".join(one.name for one in (*COURSES, *ALL)))
    parser.add_argument("changes", nargs="*", metavar="FIELD=VALUE")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shards", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--budget", help="such as 2h or 25m")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--spread", default="ddp", help="among processes: ddp, or fsdp, which shares weights")
    asked = parser.parse_intermixed_args(words)  # fields may come before options, and after them
    try:
        wish = Wish(**{**vars(asked), "budget": seconds(asked.budget)})
        outcome = run(wish, lambda line: print(line, flush=True))
    except UnderstudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 130 if outcome.stopped else 0


if __name__ == "__main__":
    sys.exit(main())
