"""How fast the cast is drawn: frames a second with one thread and with two, and CPU milliseconds a picture.

    python bench/cast.py [--size 256] [--batch 8] [--rounds 4] [--style realistic] [--compiled]

The best of several rounds counts, so that what else the machine does disturbs less; a busy machine still gives lower
numbers. Compiling is done before the clock starts, and its time is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from understudy.cast import how, who
from understudy.cast.draw import draw
from understudy.cast.render import PLAIN, compiled


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size", type=int, default=256)
    asked.add_argument("--batch", type=int, default=8)
    asked.add_argument("--rounds", type=int, default=4)
    asked.add_argument("--style", choices=who.STYLES)
    asked.add_argument("--compiled", action="store_true")
    asked.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    said = asked.parse_args()
    people = who.sample(range(2000, 2000 + said.batch), said.style)
    faces = how.sample(range(2000, 2000 + said.batch))
    stages = compiled() if said.compiled else PLAIN
    with torch.no_grad():
        for threads in said.threads:
            torch.set_num_threads(threads)
            started = time.process_time()
            draw(people, faces, said.size, stages=stages)
            first = time.process_time() - started
            rounds = []
            for _ in range(said.rounds):
                wall, cpu = time.perf_counter(), time.process_time()
                draw(people, faces, said.size, stages=stages)
                rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
            wall, cpu = (min(column) / said.batch for column in zip(*rounds, strict=True))
            print(
                f"{threads} thread(s): {1 / wall:6.1f} frames/s, {cpu * 1e3:6.1f} CPU ms a picture"
                f" (first batch: {first:.1f} CPU s)"
            )


if __name__ == "__main__":
    main()
