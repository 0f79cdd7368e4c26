"""Where the features of one face are when it does one thing: lids, brows, lips, jaw, as curves on the face.

Curves live in *face coordinates*: x to the right of the picture and y up, as the head is seen from the front, about
10 cm to the unit, eyes at y = 0, chin near y = -1.05. `side` is +1 for the person's left (right of the picture).
All numbers are (b, 1, 1), so that they meet pictures (b, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.cast.how import INDEX, How
from understudy.cast.soft import turn
from understudy.cast.who import Who


@dataclass(frozen=True)
class Eye:
    """One eye: its opening between two lid curves, and where the eyeball looks."""

    side: int
    x: Tensor
    y: Tensor
    wide: Tensor  # half of the opening's width
    tilt: Tensor
    upper: Tensor  # height of the upper lid's edge over the axis, in the middle
    lower: Tensor  # depth of the lower lid's edge below the axis
    fold: Tensor  # height of the crease above the upper lid's edge
    shut: Tensor  # 0 open to 1 shut
    squint: Tensor
    yaw: Tensor  # radians, + to the right of the picture
    pitch: Tensor  # radians, + up

    def gaze(self) -> tuple[Tensor, Tensor]:
        """Yaw and pitch of the iris. Eyes that look ahead look at somebody near: they converge a little."""
        return self.yaw - 0.03 * self.side, self.pitch

    def local(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Along the opening (-1 inner corner, +1 outer) and above its axis, from face coordinates."""
        along, above = turn((x - self.x) * self.side, y - self.y, self.tilt)
        return along / self.wide, above

    def placed(self, along: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
        """Face coordinates, from local ones."""
        x, y = turn(along * self.wide, above, -self.tilt)
        return self.x + x * self.side, self.y + y

    def edges(self, along: Tensor) -> tuple[Tensor, Tensor]:
        """Heights of the upper and the lower lid's edge at `along`, which is taken into [-1, 1]."""
        a = along.clamp(-1, 1)
        arch = (1 - a * a).clamp_min(0)
        upper = self.upper * arch * (1 - 0.20 * a) * (1 + 0.25 * a * a)
        lower = -self.lower * arch * (1 + 0.28 * a) * (1 + 0.2 * a * a)
        return torch.maximum(upper, lower), lower


@dataclass(frozen=True)
class Brow:
    """One eyebrow: three points of a parabola, thick inside and thin outside."""

    side: int
    inner: tuple[Tensor, Tensor]
    middle: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]
    thick: Tensor
    frown: Tensor  # 0 to 1, for the folds between the brows
    raised: Tensor

    def along(self, x: Tensor) -> Tensor:
        """0 at the inner end, 1 at the outer."""
        return (x * self.side - self.inner[0]) / (self.outer[0] - self.inner[0])

    def height(self, a: Tensor) -> Tensor:
        """Height of the middle line: the parabola through the three points."""
        m = (self.middle[0] - self.inner[0]) / (self.outer[0] - self.inner[0])
        y0, y1, y2 = self.inner[1], self.middle[1], self.outer[1]
        bend = ((y1 - y0) / m - (y2 - y0)) / (m - 1)
        return y0 + (y2 - y0 - bend) * a + bend * a * a

    def half(self, a: Tensor) -> Tensor:
        """Half of the thickness."""
        b = a.clamp(0, 1)
        return self.thick * (0.62 + 1.3 * b - 1.85 * b * b).clamp_min(0.08)


@dataclass(frozen=True)
class Mouth:
    """Lips between two corners: the inner edges part when it opens."""

    left: tuple[Tensor, Tensor]  # the person's left corner, +x
    right: tuple[Tensor, Tensor]
    middle: Tensor  # x of the lips' middle
    upper: Tensor  # y of the upper lip's inner edge in the middle
    lower: Tensor  # y of the lower lip's inner edge
    lift: tuple[Tensor, Tensor]  # the upper lip drawn up, at the left and at the right
    drop: tuple[Tensor, Tensor]  # the lower lip drawn down, at the left and at the right
    upper_thick: Tensor
    lower_thick: Tensor
    bow: Tensor
    round: Tensor  # 0 to 1, puckered or funnelled
    forward: Tensor  # lips pushed out
    roll_upper: Tensor
    roll_lower: Tensor
    press: Tensor
    puff: Tensor
    tongue: Tensor
    jaw: Tensor  # how far the jaw has gone down

    def along(self, x: Tensor) -> Tensor:
        """-1 at the right corner, 0 in the middle, 1 at the left corner; beyond outside."""
        off = x - self.middle
        return torch.where(off > 0, off / (self.left[0] - self.middle), off / (self.middle - self.right[0]))

    def ease(self, a: Tensor) -> Tensor:
        """How near to the corner's height the lips are: 0 in the middle, 1 at the corners."""
        return 1 - (1 - a * a).clamp_min(1e-6) ** (1.0 - 0.35 * self.round)

    def edges(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Heights at `a`: upper lip outer, upper lip inner, lower lip inner, lower lip outer."""
        a = a.clamp(-1, 1)
        e = self.ease(a)
        corner = torch.where(a > 0, self.left[1], self.right[1])
        arch = (1 - a * a).clamp_min(1e-6)
        left, right = (0.5 + a).clamp(0, 1), (0.5 - a).clamp(0, 1)
        lift = (self.lift[0] * left + self.lift[1] * right) * arch
        drop = (self.drop[0] * left + self.drop[1] * right) * arch
        inner_upper = self.upper + (corner - self.upper) * e + lift
        inner_lower = torch.minimum(self.lower + (corner - self.lower) * e - drop, inner_upper)
        bow = self.bow * torch.exp(-((a / 0.2) ** 2)) * (1 - 0.6 * self.round)
        thick = arch**0.75 * (1 - 0.3 * bow) * (1 + 0.12 * torch.exp(-(((a.abs() - 0.27) / 0.16) ** 2)))
        outer_upper = inner_upper + self.upper_thick * thick
        outer_lower = inner_lower - self.lower_thick * arch**0.62
        return outer_upper, inner_upper, inner_lower, outer_lower


@dataclass(frozen=True)
class Face:
    """All features of b faces, in the order of the batch."""

    eyes: tuple[Eye, Eye]  # left (+x), right
    brows: tuple[Brow, Brow]
    mouth: Mouth
    jaw_open: Tensor
    jaw_side: Tensor
    jaw_forward: Tensor
    puff: Tensor
    shrug: Tensor
    smile: tuple[Tensor, Tensor]
    frown: tuple[Tensor, Tensor]
    dimple: tuple[Tensor, Tensor]
    squint: tuple[Tensor, Tensor]  # cheeks raised
    sneer: tuple[Tensor, Tensor]
    brow_down: tuple[Tensor, Tensor]
    brow_up: Tensor  # inner
    brow_out: tuple[Tensor, Tensor]


def pose_face(who: Who, how: How) -> Face:
    """The features of `who` (already broad) doing `how`."""
    curve = _curves(how)

    def both(name: str) -> tuple[Tensor, Tensor]:
        return curve(name + "Left"), curve(name + "Right")

    return Face(
        eyes=(_eye(who, curve, 1), _eye(who, curve, -1)),
        brows=(_brow(who, curve, 1), _brow(who, curve, -1)),
        mouth=_mouth(who, curve),
        jaw_open=curve("jawOpen"),
        jaw_side=curve("jawLeft") - curve("jawRight"),
        jaw_forward=curve("jawForward"),
        puff=curve("cheekPuff"),
        shrug=curve("mouthShrugLower"),
        smile=both("mouthSmile"),
        frown=both("mouthFrown"),
        dimple=both("mouthDimple"),
        squint=both("cheekSquint"),
        sneer=both("noseSneer"),
        brow_down=both("browDown"),
        brow_up=curve("browInnerUp"),
        brow_out=both("browOuterUp"),
    )


class _curves:
    """Coefficients by name, shaped (b, 1, 1)."""

    def __init__(self, how: How) -> None:
        self.values = how.curves.clamp(0, 1)

    def __call__(self, name: str) -> Tensor:
        return self.values[:, INDEX[name], None, None]


def _eye(who: Who, curve: _curves, side: int) -> Eye:
    own = "Left" if side > 0 else "Right"
    blink, squint, wide = curve("eyeBlink" + own), curve("eyeSquint" + own), curve("eyeWide" + own)
    cheek, smile = curve("cheekSquint" + own), curve("mouthSmile" + own)
    up = curve("eyeLookUp" + own) - curve("eyeLookDown" + own)
    out = curve("eyeLookOut" + own) - curve("eyeLookIn" + own)
    upper = who.eye_open * (1 + 0.42 * wide - 0.22 * squint - 0.1 * cheek) + 0.014 * up - 0.018 * (-up).clamp_min(0)
    upper = upper - 0.014 * curve("browDown" + own)
    lower = who.eye_open * 0.52 * (1 + 0.12 * wide - 0.55 * squint - 0.4 * cheek - 0.18 * smile) - 0.010 * up
    lower = lower.clamp_min(0.006)
    upper = upper.clamp_min(0.02)
    shut = blink.clamp(0, 1)
    meet = lower * (1 - 0.35 * shut)  # the lower lid comes up a little, the upper lid does the way
    closed = upper + (-meet * 1.02 - upper) * shut
    return Eye(
        side=side,
        x=side * who.eye_apart,
        y=who.eye_height,
        wide=who.eye_wide * (1 - 0.03 * squint),
        tilt=who.eye_tilt,
        upper=closed,
        lower=meet,
        fold=0.012 + 0.022 * who.lid_fold - 0.3 * (closed - who.eye_open).clamp(-0.2, 0.02),
        shut=shut,
        squint=(squint + 0.6 * cheek + 0.35 * smile).clamp(0, 1),
        yaw=out * side * 0.55,
        pitch=up * 0.50,
    )


def _brow(who: Who, curve: _curves, side: int) -> Brow:
    own = "Left" if side > 0 else "Right"
    down, outer_up = curve("browDown" + own), curve("browOuterUp" + own)
    inner_up = curve("browInnerUp")
    y = who.brow_height + who.eye_height
    squeeze = 0.05 * down
    return Brow(
        side=side,
        inner=(0.118 - 0.7 * squeeze, y - 0.012 - 0.085 * down + 0.105 * inner_up + 0.015 * outer_up),
        middle=(
            who.eye_apart + 0.06 - 0.5 * squeeze,
            y + who.brow_arch + 0.4 * who.brow_slope - 0.06 * down + 0.045 * inner_up + 0.09 * outer_up,
        ),
        outer=(who.eye_apart + 0.225 - 0.2 * squeeze, y - 0.02 + who.brow_slope - 0.025 * down + 0.095 * outer_up),
        thick=who.brow_thick * (1 + 0.1 * down),
        frown=down,
        raised=(inner_up + outer_up).clamp(0, 1),
    )


def _mouth(who: Who, curve: _curves) -> Mouth:
    opened = curve("jawOpen")
    close, funnel, pucker = curve("mouthClose"), curve("mouthFunnel"), curve("mouthPucker")
    roll_upper, roll_lower = curve("mouthRollUpper"), curve("mouthRollLower")
    shrug_upper, shrug_lower = curve("mouthShrugUpper"), curve("mouthShrugLower")
    jaw = 0.30 * opened
    side = 0.075 * (curve("mouthLeft") - curve("mouthRight")) + 0.05 * (curve("jawLeft") - curve("jawRight"))
    y = who.mouth_height
    gap = (jaw * 0.92 + 0.045 * funnel) * (1 - 0.97 * close) - 0.02 * roll_lower * opened
    press = 0.5 * (curve("mouthPressLeft") + curve("mouthPressRight"))
    round_ = (pucker + 0.85 * funnel).clamp(0, 1)

    def corner(own: str, sign: int) -> tuple[Tensor, Tensor]:
        smile, frown = curve("mouthSmile" + own), curve("mouthFrown" + own)
        stretch, dimple = curve("mouthStretch" + own), curve("mouthDimple" + own)
        reach = who.mouth_wide * (
            1 + 0.25 * smile + 0.05 * frown + 0.2 * stretch + 0.1 * dimple - 0.40 * pucker - 0.26 * funnel
            - 0.10 * opened + 0.03 * curve("mouthPress" + own) - 0.04 * curve("cheekPuff")
        )  # fmt: skip
        toward = sign * (curve("mouthLeft") - curve("mouthRight"))
        reach = reach * (1 + 0.06 * toward.clamp(-1, 1))
        height = (
            y
            + 0.010
            + 0.095 * smile
            - 0.080 * frown
            - 0.022 * stretch
            + 0.012 * dimple
            - 0.42 * jaw * (1 - 0.3 * smile)
        )
        return side + sign * reach, height + 0.02 * curve("noseSneer" + own) + 0.3 * close * jaw * 0.2

    def lift(own: str) -> Tensor:
        return 0.062 * curve("mouthUpperUp" + own) + 0.03 * curve("noseSneer" + own)

    smiles = 0.5 * (curve("mouthSmileLeft") + curve("mouthSmileRight"))
    upper = y + 0.022 * funnel + 0.012 * smiles + 0.05 * shrug_upper + 0.034 * shrug_lower - 0.014 * roll_upper
    upper = upper - 0.86 * close * jaw * 0.5
    lower = upper - gap.clamp_min(0)
    return Mouth(
        left=corner("Left", 1),
        right=corner("Right", -1),
        middle=side,
        upper=upper,
        lower=lower,
        lift=(lift("Left"), lift("Right")),
        drop=(0.10 * curve("mouthLowerDownLeft"), 0.10 * curve("mouthLowerDownRight")),
        upper_thick=who.lip_upper
        * (1 - 0.85 * roll_upper)
        * (1 - 0.4 * press)
        * (1 + 0.25 * pucker + 0.35 * funnel)
        * (1 - 0.16 * smiles)
        * (1 - 0.12 * opened),
        lower_thick=who.lip_lower
        * (1 - 0.8 * roll_lower)
        * (1 - 0.4 * press)
        * (1 + 0.15 * pucker + 0.3 * funnel + 0.12 * shrug_lower)
        * (1 - 0.12 * smiles),
        bow=who.lip_bow,
        round=round_,
        forward=0.09 * pucker
        + 0.07 * funnel
        + 0.04 * shrug_lower
        - 0.035 * press
        - 0.04 * (roll_upper + roll_lower) * 0.5,
        roll_upper=roll_upper,
        roll_lower=roll_lower,
        press=press,
        puff=curve("cheekPuff"),
        tongue=curve("tongueOut"),
        jaw=jaw,
    )
