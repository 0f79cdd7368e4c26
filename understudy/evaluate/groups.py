"""What is hard for one driver or another, by itself: fast heads, winks, bitten lips, tongues, cheeks, glances."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from torch import Tensor

from understudy.cast import how, who
from understudy.cast.draw import Drawn
from understudy.cast.how import How
from understudy.cast.who import STYLES, TRAINING_STYLES
from understudy.evaluate.scenes import Programme, Scene, Snippet, drawn, scene, taken

FAST: Final = 10.0  # degrees from frame to frame
_FIRST: Final = 0.5  # of a whole, with which a change begins


def _curves(**most: float) -> Callable[[How, Tensor, float], How]:
    def done(rest: How, share: Tensor, side: float) -> How:
        return rest.having(**{name: value * share for name, value in most.items()})

    return done


def _wink(rest: How, share: Tensor, side: float) -> How:
    return rest.having(**{"eyeBlinkLeft" if side < 0 else "eyeBlinkRight": share})


def _glance(rest: How, share: Tensor, side: float) -> How:
    curves = rest.curves.clone()
    how.look(curves, share * side, 0.5 * share * side)
    return replace(rest, curves=curves)


def _fast(rest: How, share: Tensor, side: float) -> How:
    frames = torch.arange(len(rest)) - (len(rest) - 1) / 2
    turn = rest.turn.clone()
    turn[:, 0] = (frames * FAST * side).clamp(-how.YAW, how.YAW)
    return replace(rest, turn=turn)


GROUPS: Final[Mapping[str, Callable[[How, Tensor, float], How]]] = MappingProxyType({
    "fast head": _fast,
    "wink": _wink,
    "lip bite": _curves(mouthRollLower=1.0, jawOpen=0.1),
    "tongue": _curves(jawOpen=0.55, tongueOut=1.0),
    "puffed cheeks": _curves(cheekPuff=1.0, mouthPucker=0.3),
    "pucker": _curves(mouthPucker=1.0),
    "gaze": _glance,
})  # fmt: skip


def doing(group: str, frames: int, seed: int) -> How:
    """A face that does one thing, ever more of it, its head turned a little."""
    chance = np.random.default_rng([0x67726F75, seed])
    yaw, pitch, roll = (float(angle) for angle in chance.normal(0, (10.0, 4.0, 3.0)).clip(-20, 20))
    rest = how.neutral(frames).held(yaw=yaw, pitch=pitch, roll=roll)
    share = torch.linspace(_FIRST, 1, frames)
    return GROUPS[group](rest, share, float(chance.choice([-1.0, 1.0])))


def group_scenes(programme: Programme) -> Iterator[Scene]:
    """Every group, by every third person; the label `group` says which."""
    for person in range(-(-programme.people // 3)):
        for number, group in enumerate(GROUPS):
            base = scene(programme, person, number)
            labels = {"group": (group,) * programme.frames}
            moves = doing(group, programme.frames, base.number)
            driver = who.sample([base.number + 1], programme.style)
            yield replace(base, driver=driver, other=None, how=moves, labels=labels)


def style_scenes(programme: Programme) -> Iterator[tuple[Scene, Scene]]:
    """Some scenes twice: with a driver in the portrait's own style, and with the same person in another."""
    for person in range(-(-programme.people // 3)):
        for number in range(-(-programme.motions // 2)):
            base = scene(programme, person, number)
            own = int(base.portrait.style) % len(TRAINING_STYLES)
            other = STYLES[(own + 1 + number % (len(TRAINING_STYLES) - 1)) % len(TRAINING_STYLES)]
            alike, unlike = (
                replace(base, driver=who.sample([base.number + 1], style), other=None)
                for style in (STYLES[int(base.portrait.style)], other)
            )
            yield alike, unlike


def shots(scenes: Iterator[Scene]) -> Iterator[Snippet]:
    """Scenes, drawn; a person's portrait once."""
    known: tuple[int, Drawn] | None = None
    for each in scenes:
        if known is None or known[0] != each.person:
            known = each.person, taken(each.portrait, each.rest, each.size)
        yield drawn(each, known[1])
