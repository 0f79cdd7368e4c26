"""The portrait turned as the driver is: nothing to do changes nothing, and what is done is what the cast does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_code import by_chance

from understudy.cast import how, who
from understudy.cast.draw import draw
from understudy.cast.view import seen_turn
from understudy.data.ensemble import centres
from understudy.errors import BadOption
from understudy.generator.generator import Sitter
from understudy.generator.hints import BLACK
from understudy.generator.turning import turned
from understudy.models import cast_head, x_portrait_2_small, x_portrait_small
from understudy.motion.code import TURN, TURNS
from understudy.motion.encoder import boxed, carried
from understudy.motion.probing import curves_of

SIZE = 96


def seen(seeds: list[int], hows: how.How) -> tuple[Tensor, Tensor]:
    """Pictures in [-1, 1], and boxes."""
    with torch.no_grad():
        drawn = draw(who.sample(seeds), hows, SIZE)
    return drawn.image * 2 - 1, boxed(centres(drawn.landmarks.pixels))


def held(*turns: tuple[float, float, float]) -> how.How:
    """Nobody does anything but hold their heads so, in degrees."""
    return how.joined([how.neutral(1).held(yaw=yaw, pitch=pitch, roll=roll) for yaw, pitch, roll in turns])


def radians(hows: how.How) -> Tensor:
    return hows.turn.deg2rad()


def test_who_does_not_move_is_not_changed() -> None:
    turns = held((20, -5, 10), (0, 0, 0))
    picture, box = seen([5, 6], turns)
    same = turned(picture, radians(turns), box, radians(turns), box, cast_head())
    assert (same - picture).abs().max() < 0.02


def test_a_head_goes_where_its_box_goes() -> None:
    """Twice as large and aside: what was at a place of the box is at that place of the other."""
    turns = held((10, 0, 0))
    picture, box = seen([7], turns)
    there = torch.cat([box[:, :2] + torch.tensor([6.0, -4.0]), box[:, 2:] * 1.25], 1)
    result = turned(picture, radians(turns), box, radians(turns), there, cast_head())
    size = float(box[0, 2])
    for right, down in ((-0.2, -0.2), (0.2, -0.2), (0.0, 0.2), (0.3, 0.1)):
        offset = torch.tensor([right, down]) * size
        x, y = (box[0, :2] + offset).int().tolist()
        u, v = (there[0, :2] + offset * 1.25).int().tolist()
        assert (result[0, :, v, u] - picture[0, :, y, x]).abs().max() < 0.35


@pytest.mark.parametrize("turn", [(35, 0, 0), (-30, 10, 0), (0, 20, -15), (5, -15, 20)])
def test_the_cast_turns_like_that(turn: tuple[float, float, float]) -> None:
    seeds = [11, 12, 13, 14]
    before, after = held(*[(0, 0, 0)] * 4), held(*[turn] * 4)
    (picture, box), (truth, there) = seen(seeds, before), seen(seeds, after)
    result = turned(picture, radians(before), box, radians(after), there, cast_head())
    shown = (result != BLACK).any(1, keepdim=True)
    assert shown.float().mean() > 0.9
    left, before_it = (((each - truth).square() * shown).mean() for each in (result, picture))
    assert left < 0.8 * before_it


def test_what_nobody_has_seen_is_black_or_the_other_side() -> None:
    ahead, aside, across = held((0, 0, 0)), held((45, 0, 0)), held((-45, 0, 0))
    (picture, box), (other, there) = seen([21], ahead), seen([21], aside)
    _, beyond = seen([21], across)

    def black(*told: Tensor) -> float:
        return float((turned(*told, cast_head()) == BLACK).all(1).float().mean())

    assert black(picture, radians(ahead), box, radians(ahead), box) == 0
    assert 0.005 < black(picture, radians(ahead), box, radians(aside), there) < 0.1, "the back of the head"
    assert black(other, radians(aside), there, radians(across), beyond) < 0.005, "the left half is like the right one"


def test_rows_are_each_their_own() -> None:
    before, after = held((0, 0, 0), (20, 0, 0)), held((30, 0, 0), (-10, 10, 5))
    (picture, box), (_, there) = seen([31, 32], before), seen([31, 32], after)
    both = turned(picture, radians(before), box, radians(after), there, cast_head())
    one = turned(picture[1:], radians(before)[1:], box[1:], radians(after)[1:], there[1:], cast_head())
    assert torch.allclose(both[1:], one, atol=1e-5)


def test_what_a_box_does_another_does() -> None:
    boxes, to, own = torch.tensor([[60.0, 50, 20]]), torch.tensor([[50.0, 50, 40]]), torch.tensor([[30.0, 20, 80]])
    assert torch.allclose(carried(boxes, to, own), torch.tensor([[50.0, 20, 40]]))
    assert torch.allclose(carried(to, to, own), own)


def test_a_generator_is_shown_the_portrait_as_its_encoder_reads_the_driver() -> None:
    """Both turns come from codes; a map that reads yaw off the first number turns by that number."""
    net = by_chance()
    assert net.encoder is not None and net.encoder.probe is not None and net.config.turning is not None
    side = net.config.picture
    net.encoder.probe.rest.zero_()
    net.encoder.probe.reading.zero_()
    net.encoder.probe.reading[-3, 0] = 1.0
    code = torch.zeros(2, net.encoder.config.code)
    code[1, 0] = 0.5  # half of 45 degrees
    assert torch.allclose(net.encoder.turns(code)[:, 0], torch.tensor([0.0, math.radians(22.5)]))
    picture = torch.rand(1, 3, side, side) * 2 - 1
    box = torch.tensor([[side / 2, side / 2, side / 3]])
    cues = net.coded(code, box.expand(2, -1), box, Sitter(picture, code[:1], box))
    assert len(cues.hints) == 1 and cues.hints[0].shape == (2, 3, side, side)
    assert (cues.hints[0][0] - picture[0]).abs().max() < 0.05
    wanted = turned(picture, torch.zeros(1, 3), box, net.encoder.turns(code)[1:], box, net.config.turning)
    assert torch.allclose(cues.hints[0][1:], wanted, atol=1e-5)
    with pytest.raises(BadOption, match="given none"):
        net.coded(code, box.expand(2, -1), box)


def test_who_is_turned_needs_names_and_is_the_only_hint() -> None:
    small = x_portrait_2_small()
    with pytest.raises(BadOption, match="turned"):
        replace(small, controls=x_portrait_small().controls)
    assert small.encoder is not None
    with pytest.raises(BadOption, match="turned"):
        replace(small, encoder=replace(small.encoder, named=0))
    turn = seen_turn(held((45, 0, 0)))
    assert torch.equal(curves_of(held((45, 0, 0)))[:, -TURNS:], turn / TURN) and abs(turn[0, 0] - 45) < 5
