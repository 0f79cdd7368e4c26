"""How fast the cast is drawn: frames a second with one thread and with two, and CPU milliseconds a picture; then by two
processes at once, which is how pictures are drawn ahead for training.

    python bench/cast.py [--size 256] [--batch 8] [--rounds 4] [--style realistic] [--compiled] [--processes 2]

Of threads, the best of several rounds counts, so that what else the machine does disturbs less; of processes, all
rounds, from when all are ready until all have ended. A busy machine still gives lower numbers. Compiling is done before
the clock starts, and its time is printed; processes do not compile.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from understudy.cast import how, who
from understudy.cast.draw import draw
from understudy.cast.render import PLAIN, compiled
from understudy.device import keep_memory


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size", type=int, default=256)
    asked.add_argument("--batch", type=int, default=8)
    asked.add_argument("--rounds", type=int, default=4)
    asked.add_argument("--style", choices=who.STYLES)
    asked.add_argument("--compiled", action="store_true")
    asked.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--processes", type=int, default=2)
    said = asked.parse_args()
    people, faces = asked_for(said)
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
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(said.processes + 1)
    crew = [context.Process(target=rounds_of, args=(said, together)) for _ in range(said.processes)]
    for process in crew:
        process.start()
    together.wait()
    started = time.perf_counter()
    together.wait()
    pace = said.processes * said.rounds * said.batch / (time.perf_counter() - started)
    print(f"{said.processes} processes: {pace:.1f} frames/s")


def asked_for(said: argparse.Namespace) -> tuple[who.Who, how.How]:
    """People and what they do."""
    numbers = range(2000, 2000 + said.batch)
    return who.sample(numbers, said.style), how.sample(numbers)


def rounds_of(said: argparse.Namespace, together: Barrier) -> None:
    """What each of several processes draws."""
    torch.set_num_threads(1)
    keep_memory()
    people, faces = asked_for(said)
    with torch.no_grad():
        draw(people, faces, said.size)
        together.wait()
        for _ in range(said.rounds):
            draw(people, faces, said.size)
    together.wait()


if __name__ == "__main__":
    main()
