"""A picture of `who` doing `how`, and the exact truth about it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from understudy.cast import shape, soft
from understudy.cast.how import How
from understudy.cast.landmarks import Landmarks
from understudy.cast.render import PLAIN, Masks, Stages, plan, render
from understudy.cast.style import finished
from understudy.cast.who import Who
from understudy.errors import BadOption

SMALLEST = 16


@dataclass(frozen=True)
class Drawn:
    """b pictures with the truth about them."""

    image: Tensor  # (b, 3, h, w) sRGB in [0, 1]
    landmarks: Landmarks
    masks: Masks
    curves: Tensor  # (b, 52), as given


def draw(who: Who, how: How, height: int, width: int | None = None, stages: Stages = PLAIN) -> Drawn:
    """Draw `how[i]` as `who[i]`, on the device that both are on. `stages`: those of `render.compiled()`,
    if not plain ones."""
    width = height if width is None else width
    if min(height, width) < SMALLEST:
        raise BadOption(
            "a picture that small shows nobody", f"{width}x{height}", f"at least {SMALLEST} pixels each way"
        )
    if len(who) != len(how):
        raise BadOption(
            "each person needs one expression", f"{len(who)} people and {len(how)} expressions", "who.repeated(n)"
        )
    sizes = plan(who, how, height, width)
    soft.ready(who.skin.device)
    shape.ready(sizes.table, who.skin.device)
    plate, masks, points = render(who, how, sizes, stages)
    return Drawn(finished(who.broad(), plate, who.style), points, masks, how.curves)
