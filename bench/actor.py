"""How fast an actor acts: seconds of motion a second, the first chunk, and memory, with and without what it remembers.

    python bench/actor.py [--weights FILE] [--seconds 30] [--threads 1 2] [--memory]

Without weights, those of chance: they take the same time. The best of three rounds counts. `--memory` also performs 1
and 30 minutes, one after the other, and says how much the process has grown.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from understudy import models, weights
from understudy.motion.actor import Actor
from understudy.motion.perform import perform
from understudy.motion.speech import WIDTH, Rows, rows_of


def sound(frames: int) -> Iterator[Rows]:
    """Rows by the second, of chance."""
    chance = np.random.default_rng(0)
    for _ in range(frames // 25):
        yield chance.normal(size=(25, WIDTH)).astype(np.float32)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--weights", type=Path)
    asked.add_argument("--seconds", type=int, default=30)
    asked.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked.add_argument("--memory", action="store_true")
    said = asked.parse_args()
    net = Actor(models.x_actor_small())
    if said.weights:
        stored = weights.load(said.weights)
        net = Actor(stored.about.config)
        weights.fill(net, stored)
    net.eval()
    tempo, frames = models.small_tempo(), said.seconds * 25
    samples = np.random.default_rng(1).normal(0, 0.1, 16_000 * said.seconds).astype(np.float32)
    begun = time.perf_counter()
    rows_of(samples, 16_000)
    print(f"hearing: {said.seconds / (time.perf_counter() - begun):.0f} times real time")
    for threads in said.threads:
        torch.set_num_threads(threads)
        rounds, firsts = [], []
        for _ in range(3):
            begun = time.perf_counter()
            chunks = perform(net, sound(frames), tempo)
            next(chunks)
            firsts.append(time.perf_counter() - begun)
            for _ in chunks:
                pass
            rounds.append(time.perf_counter() - begun)
        print(f"{threads} thread(s): {said.seconds / min(rounds):.1f} times real time, first chunk {min(firsts):.2f} s")
    if said.memory:
        peaks = []
        for minutes in (1, 30):
            for _ in perform(net, sound(minutes * 1500), tempo):
                pass
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(f"memory: {peaks[0]:.0f} MB after 1 minute, {peaks[1]:.0f} MB after 30 ({peaks[1] / peaks[0] - 1:+.1%})")


if __name__ == "__main__":
    main()
