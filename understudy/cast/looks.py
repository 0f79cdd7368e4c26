"""What anybody in a batch wears or has: what nobody has need not be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from understudy.cast.who import AFRO, BOB, BUN, LONG, WAVY, Who


@dataclass(frozen=True)
class Looks:
    """Whether anybody has it."""

    hats: bool = True
    glasses: bool = True
    earrings: bool = True
    beards: bool = True  # or stubble, or a moustache
    hung: bool = True  # hair that hangs
    afros: bool = True
    buns: bool = True


def looks(who: Who) -> Looks:
    """Of these people. Read from the device in one go."""
    cut = who.cut.flatten()
    hung = (cut == BOB) | (cut == LONG) | (cut == WAVY)
    bearded = (who.beard + who.moustache + who.stubble).flatten()
    has = (
        who.hat.flatten() > 0, who.glasses.flatten() > 0, who.earrings.flatten() > 0, bearded > 0, hung,
        cut == AFRO, cut == BUN,
    )  # fmt: skip
    return Looks(*torch.stack(has).any(1).tolist())
