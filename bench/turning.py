"""How near the portrait turned by geometry comes to the truth, and what it costs.

People of the cast who do nothing are drawn in two turns each, up to 22 degrees of yaw and up to 45; the first picture
is turned like the second. Pixels that are shown black count for nothing.

    python bench/turning.py
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from understudy.cast import how, who
from understudy.cast.draw import draw
from understudy.cast.how import How
from understudy.cast.view import seen_turn
from understudy.data.drawn import HELD_OUT
from understudy.data.ensemble import centres
from understudy.generator.hints import BLACK
from understudy.generator.turning import turned
from understudy.models import cast_head
from understudy.motion.encoder import boxed

FARTHEST = torch.tensor([45.0, 25.0, 20.0])
AT_ONCE = 8


def held(count: int, share: float, seed: int) -> How:
    """People who hold their heads anyhow, up to a share of `FARTHEST`."""
    dice = torch.Generator().manual_seed(seed)
    turns = (torch.rand(count, 3, generator=dice) * 2 - 1) * FARTHEST * share
    return how.joined([how.neutral(1).held(yaw=yaw, pitch=pitch, roll=roll) for yaw, pitch, roll in turns.tolist()])


@torch.no_grad()
def seen(hows: How, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures in [-1, 1], boxes, and where the person is (n, 1, s, s)."""
    found = []
    for start in range(0, len(hows), AT_ONCE):
        some = hows[slice(start, start + AT_ONCE)]
        drawn = draw(who.sample([HELD_OUT + start + n for n in range(len(some))]), some, size)
        there = 1 - drawn.masks.background[:, None]
        found.append((drawn.image * 2 - 1, boxed(centres(drawn.landmarks.pixels)), there))
    pictures, boxes, there = (torch.cat(parts) for parts in zip(*found, strict=True))
    return pictures, boxes, there


def decibels(result: Tensor, truth: Tensor, weight: Tensor) -> float:
    """PSNR where `weight` is, averaged over pictures."""
    error = ((result - truth).square() * weight).mean((1, 2, 3)) / weight.mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


def main() -> None:
    """Prints three lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=80)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    before, after = held(asked.people, 0.5, 1), held(asked.people, 1.0, 2)
    (portrait, own, _), (truth, box, there) = seen(before, asked.size), seen(after, asked.size)
    turns = seen_turn(before).deg2rad(), seen_turn(after).deg2rad()
    begun = time.perf_counter()
    rows = [slice(n, n + 1) for n in range(asked.people)]
    result = torch.cat([turned(portrait[n], turns[0][n], own[n], turns[1][n], box[n], cast_head()) for n in rows])
    took = time.perf_counter() - begun
    shown = (result != BLACK).any(1, keepdim=True).float().expand_as(result)
    for name, weight in (("whole pictures", shown), ("people", shown * there)):
        print(
            f"{name}: turned {decibels(result, truth, weight):.2f} dB, still {decibels(portrait, truth, weight):.2f} dB"
        )
    print(f"black: {1 - float(shown.mean()):.3f}; {1000 * took / asked.people:.1f} ms a frame, {asked.threads} threads")


if __name__ == "__main__":
    main()
