"""The numbers that an actor performs: a motion as plain rows (f, d), whatever they stand for.

They are the cast's own: 52 coefficients, 3 degrees of the head, 3 of its place. The paper's are X-Portrait 2's code and
box; nothing but what draws them would have to be another, as an actor is told only how many numbers there are, and
their means and deviations.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from understudy.cast.how import ARKIT_NAMES, PITCH, ROLL, YAW, How

CURVES: Final = len(ARKIT_NAMES)
PLAYED: Final = CURVES + 6
"""Numbers in a row of the cast's."""
LEAST: Final = 0.02
"""A deviation smaller than this is taken for it: what hardly moves should not count as much as a jaw."""
FARTHEST: Final = 5.0  # deviations from the mean, at most
_PLACES: Final = (0.15, 0.15, 0.2)
DEGREES: Final = 10.0  # of the head's turns, to bring them to the size of coefficients
_UNIT: Final = 0.1  # of its place


def rows_of(how: How) -> Tensor:
    """(f, 58): coefficients, turns in tens of degrees, place and size in tenths about the usual."""
    middle = how.place.new_tensor([0, 0, 1])
    return torch.cat([how.curves, how.turn / DEGREES, (how.place - middle) / _UNIT], 1)


def how_of(rows: Tensor) -> How:
    """The other way, (f, 58), within what the cast is drawn for."""
    turn, place = rows[:, CURVES : CURVES + 3] * DEGREES, rows[:, CURVES + 3 :] * _UNIT
    limit, most = turn.new_tensor([YAW, PITCH, ROLL]), place.new_tensor(_PLACES)
    middle = place.new_tensor([0, 0, 1])
    return How(rows[:, :CURVES].clamp(0, 1), torch.clamp(turn, -limit, limit), torch.clamp(place, -most, most) + middle)


def spread_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Means and deviations (d,) of many rows (n, d)."""
    return rows.mean(0), rows.std(0).clamp_min(LEAST)
