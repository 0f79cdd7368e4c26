"""How a face is held: ARKit's 52 coefficients, and where the head is. Nothing here knows whose face it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from understudy.errors import BadOption

ARKIT_NAMES: tuple[str, ...] = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight",
    "eyeWideRight",
    "jawForward", "jawLeft", "jawRight", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight",
    "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
INDEX: Mapping[str, int] = {name: i for i, name in enumerate(ARKIT_NAMES)}

YAW, PITCH, ROLL = 45.0, 30.0, 30.0  # degrees: the largest turns the cast is drawn for, either way


@dataclass(frozen=True)
class How:
    """Expression and head pose for b pictures.

    Left and right are the person's own, as in ARKit: `eyeBlinkLeft` shuts the eye at the right of the picture.
    """

    curves: Tensor  # (b, 52) in [0, 1], in the order of ARKIT_NAMES
    turn: Tensor  # (b, 3) degrees: yaw (+ to the right of the picture), pitch (+ up), roll (+ clockwise)
    place: Tensor  # (b, 3): right, up (in half picture heights), and scale (1 is the usual size)

    def __len__(self) -> int:
        return len(self.curves)

    def __getitem__(self, rows: slice | Tensor | list[int]) -> How:
        return How(*(getattr(self, f.name)[rows] for f in fields(self)))

    def to(self, device: torch.device | str) -> How:
        return How(*(getattr(self, f.name).to(device) for f in fields(self)))

    def curve(self, name: str) -> Tensor:
        """One coefficient, (b,)."""
        return self.curves[:, INDEX[_known(name)]]

    def having(self, **curves: float | Tensor) -> How:
        """The same with some coefficients replaced."""
        changed = self.curves.clone()
        for name, value in curves.items():
            changed[:, INDEX[_known(name)]] = torch.as_tensor(value, dtype=changed.dtype, device=changed.device)
        return replace(self, curves=changed)

    def held(
        self,
        yaw: float | None = None,
        pitch: float | None = None,
        roll: float | None = None,
        scale: float | None = None,
    ) -> How:
        """The same with the head turned otherwise (degrees), or nearer."""
        turn, place = self.turn.clone(), self.place.clone()
        for i, value in enumerate((yaw, pitch, roll)):
            if value is not None:
                turn[:, i] = value
        if scale is not None:
            place[:, 2] = scale
        return replace(self, turn=turn, place=place)


def _known(name: str) -> str:
    if name not in INDEX:
        raise BadOption("no such coefficient", name, "one of ARKit's 52, for example jawOpen, eyeBlinkLeft, tongueOut")
    return name


def neutral(count: int = 1) -> How:
    """A face at rest, looking straight ahead."""
    return How(torch.zeros(count, 52), torch.zeros(count, 3), torch.tensor([0.0, 0.0, 1.0]).repeat(count, 1))


def joined(hows: Sequence[How]) -> How:
    """One batch of several."""
    return How(*(torch.cat([getattr(h, f.name) for h in hows]) for f in fields(How)))


# What faces do, as groups of coefficients that move together: (name, strength) lists, one drawn per face part.
MOUTHS: tuple[tuple[tuple[str, float], ...], ...] = (
    (),
    (("mouthSmileLeft", 0.8), ("mouthSmileRight", 0.8), ("cheekSquintLeft", 0.5), ("cheekSquintRight", 0.5)),
    (("mouthSmileLeft", 0.9), ("mouthSmileRight", 0.9), ("jawOpen", 0.25), ("mouthUpperUpLeft", 0.35),
     ("mouthUpperUpRight", 0.35), ("cheekSquintLeft", 0.7), ("cheekSquintRight", 0.7)),
    (("jawOpen", 0.5),),
    (("jawOpen", 1.0), ("mouthStretchLeft", 0.3), ("mouthStretchRight", 0.3)),
    (("jawOpen", 0.3), ("mouthFunnel", 0.8)),
    (("mouthPucker", 1.0),),
    (("mouthFrownLeft", 0.9), ("mouthFrownRight", 0.9), ("mouthShrugLower", 0.4)),
    (("mouthPressLeft", 0.9), ("mouthPressRight", 0.9)),
    (("mouthRollLower", 1.0), ("jawOpen", 0.1)),
    (("mouthRollLower", 0.9), ("mouthRollUpper", 0.9)),
    (("mouthStretchLeft", 0.9), ("mouthStretchRight", 0.9), ("jawOpen", 0.15)),
    (("mouthUpperUpLeft", 0.8), ("mouthUpperUpRight", 0.8), ("noseSneerLeft", 0.8), ("noseSneerRight", 0.8)),
    (("mouthLeft", 1.0),),
    (("mouthRight", 1.0),),
    (("mouthShrugLower", 0.9), ("mouthShrugUpper", 0.6)),
    (("mouthLowerDownLeft", 0.9), ("mouthLowerDownRight", 0.9), ("jawOpen", 0.15)),
    (("cheekPuff", 1.0), ("mouthPucker", 0.3)),
    (("jawOpen", 0.55), ("tongueOut", 1.0)),
    (("jawLeft", 0.9), ("jawOpen", 0.15)),
    (("jawRight", 0.9), ("jawOpen", 0.15)),
    (("jawForward", 1.0),),
    (("mouthDimpleLeft", 0.9), ("mouthDimpleRight", 0.9)),
    (("mouthSmileLeft", 0.9),),
    (("mouthSmileRight", 0.9), ("noseSneerRight", 0.4)),
    (("jawOpen", 0.45), ("mouthClose", 0.9)),
)  # fmt: skip
BROWS: tuple[tuple[tuple[str, float], ...], ...] = (
    (),
    (),
    (("browDownLeft", 1.0), ("browDownRight", 1.0)),
    (("browInnerUp", 0.9),),
    (("browInnerUp", 0.8), ("browOuterUpLeft", 0.9), ("browOuterUpRight", 0.9)),
    (("browOuterUpLeft", 1.0), ("browDownRight", 0.5)),
    (("browOuterUpRight", 1.0), ("browDownLeft", 0.5)),
    (("browInnerUp", 0.6), ("browDownLeft", 0.3), ("browDownRight", 0.3)),
)
EYES: tuple[tuple[tuple[str, float], ...], ...] = (
    (),
    (),
    (),
    (("eyeBlinkLeft", 1.0), ("eyeBlinkRight", 1.0)),
    (("eyeBlinkLeft", 1.0), ("cheekSquintLeft", 0.5)),
    (("eyeBlinkRight", 1.0), ("cheekSquintRight", 0.5)),
    (("eyeBlinkLeft", 0.5), ("eyeBlinkRight", 0.5)),
    (("eyeSquintLeft", 0.9), ("eyeSquintRight", 0.9)),
    (("eyeWideLeft", 0.9), ("eyeWideRight", 0.9)),
)


def look(curves: Tensor, right: Tensor | float, up: Tensor | float) -> None:
    """Write a gaze into coefficients, in place: `right` and `up` in [-1, 1], to the right of the picture and up."""
    right = torch.as_tensor(right, dtype=curves.dtype)
    up = torch.as_tensor(up, dtype=curves.dtype)
    for name, value in (
        ("eyeLookOutLeft", right), ("eyeLookInLeft", -right), ("eyeLookInRight", right), ("eyeLookOutRight", -right),
        ("eyeLookUpLeft", up), ("eyeLookUpRight", up), ("eyeLookDownLeft", -up), ("eyeLookDownRight", -up),
    ):  # fmt: skip
        curves[..., INDEX[name]] = value.clamp(0, 1)


def sample(seeds: Sequence[int]) -> How:
    """Expressions and poses at random, one per seed; a seed gives the same face alone or in company."""
    return joined([_one(seed) for seed in seeds])


def _one(seed: int) -> How:
    chance = np.random.default_rng([0x686F77, seed])
    curves = torch.zeros(52)
    for groups in (MOUTHS, BROWS, EYES):
        for _ in range(1 + (chance.random() < 0.35)):
            strength = float(np.clip(chance.beta(2.2, 1.3) * 1.1, 0, 1))
            for name, value in groups[chance.integers(len(groups))]:
                aside = 1 + 0.25 * (chance.random() - 0.5)
                curves[INDEX[name]] = max(float(curves[INDEX[name]]), min(1.0, value * strength * aside))
    for i in chance.integers(0, 52, size=3):  # a few coefficients nobody planned
        if not ARKIT_NAMES[i].startswith(("eyeLook", "tongue")):
            curves[i] = max(float(curves[i]), 0.35 * float(chance.random()))
    look(curves, float(np.clip(chance.normal(0, 0.4), -1, 1)), float(np.clip(chance.normal(0, 0.3), -1, 1)))
    spread = np.array([20.0, 10.0, 8.0])
    turn = np.clip(chance.normal(0, 1, 3) * spread, [-YAW, -PITCH, -ROLL], [YAW, PITCH, ROLL])
    place = [
        *np.clip(chance.normal(0, 0.05, 2), -0.15, 0.15),
        float(np.exp(np.clip(chance.normal(0, 0.07), -0.18, 0.18))),
    ]
    return How(
        curves[None],
        torch.tensor(turn, dtype=torch.float32)[None],
        torch.tensor(np.array(place), dtype=torch.float32)[None],
    )
