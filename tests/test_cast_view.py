"""What the camera sees of heads that are not in the middle of the picture."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from understudy.cast import how
from understudy.cast.how import How
from understudy.cast.shape import CENTRE
from understudy.cast.view import DISTANCE, HALF, LOW, PIVOT, project, seen_turn, view


def face(moves: How) -> Tensor:
    """Some points of a head as a picture shows them (b, n, 2), whatever their place and size there."""
    points = torch.tensor(CENTRE) + torch.tensor(
        [[-0.3, 0.1, 0.5], [0.3, 0.1, 0.5], [0.0, -0.4, 0.6], [0.0, -0.1, 0.8], [-0.6, 0.0, 0.0], [0.6, 0.0, 0.0]]
    )
    seen, _ = project(view(moves, 256, 256), points.expand(len(moves), -1, -1))
    seen = seen - seen.mean(1, keepdim=True)
    return seen / seen.square().mean((1, 2), keepdim=True).sqrt()


def on_axis(moves: How) -> How:
    """The same, put so that the middles of heads are straight ahead of the camera."""
    v, pivot = view(moves, 2, 2), torch.tensor(PIVOT)
    middle = torch.einsum("bij,j->bi", v.turn, torch.tensor(CENTRE) - pivot) + pivot
    aside = torch.stack([-middle[:, 0], LOW - middle[:, 1]], 1) / HALF
    return replace(moves, place=torch.cat([aside, moves.place[:, 2:]], 1))


def test_a_head_straight_ahead_is_seen_as_it_is_turned() -> None:
    moves = on_axis(how.sample([*range(40)]))
    assert torch.allclose(seen_turn(moves), moves.turn, atol=1e-3)


def test_a_head_beside_the_middle_looks_like_one_that_is_turned_as_it_is_seen() -> None:
    aside = how.sample([*range(40)])
    dice = torch.Generator().manual_seed(0)
    aside = replace(aside, turn=0.7 * aside.turn, place=aside.place + 0.3 * torch.rand(40, 3, generator=dice) - 0.15)
    ahead = on_axis(aside)
    as_seen = on_axis(replace(ahead, turn=seen_turn(aside)))
    apart, near = ((face(aside) - face(each)).square().mean().sqrt() for each in (ahead, as_seen))
    assert near < 0.2 * apart


def test_how_much_is_geometry() -> None:
    """To the right by as much as the camera is away, and the head is seen from 45 degrees to its left."""
    moves = on_axis(how.neutral(1))
    shifted = replace(moves, place=moves.place + torch.tensor([[DISTANCE / HALF, 0.0, 0.0]]))
    yaw, pitch, _ = seen_turn(shifted)[0].tolist()
    assert abs(yaw - 45) < 2 and abs(pitch) < 1
