"""Retouching: a little more of this than the driver gave, in every frame: a gaze, a smile, a turn of the head.

What is added is said in ARKit's coefficients and in degrees, and goes through the rig, so lids and lips still meet. It
is added after the frame to measure from was chosen; a performer who measures would otherwise find no change at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np

from understudy.errors import BadOption
from understudy.face.mesh import Floats
from understudy.face.pose import PIVOT, Pose, rotation_of
from understudy.face.rig import UPPER, Rig
from understudy.motion.mesh import MotionMesh

FURTHEST: Final = 30.0  # degrees that a head is turned by hand
# Sliders -> coefficients, above and below zero. "Left" is the person's own left, which is to the picture's right.
WAYS: Final = {
    "gaze": (("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")),
    "gaze_up": (("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight")),
    "blink": (("eyeBlinkLeft", "eyeBlinkRight"), ("eyeWideLeft", "eyeWideRight")),
    "smile": (("mouthSmileLeft", "mouthSmileRight"), ("mouthFrownLeft", "mouthFrownRight")),
}


@dataclass(frozen=True, kw_only=True)
class Retouch:
    """What is added to every frame. Errors: `BadOption` for values out of range."""

    gaze: float = 0.0  # -1 to 1: to the picture's left or right
    gaze_up: float = 0.0  # -1 to 1: down or up
    blink: float = 0.0  # -1 to 1: lids wider open, or shut
    smile: float = 0.0  # -1 to 1: corners of the mouth down, or up
    yaw: float = 0.0  # degrees: the nose to the picture's right
    pitch: float = 0.0  # degrees: the nose down
    roll: float = 0.0  # degrees: clockwise as seen

    def __post_init__(self) -> None:
        for each in fields(self):
            value, most = getattr(self, each.name), 1.0 if each.name in WAYS else FURTHEST
            if not (math.isfinite(value) and abs(value) <= most):
                raise BadOption(f"a retouch of {each.name} {value} is out of range", remedy=f"{-most:g} to {most:g}")

    @property
    def nothing(self) -> bool:
        """Whether it leaves everything as it is."""
        return self == Retouch()

    @property
    def coefficients(self) -> dict[str, float]:
        """ARKit name -> what is added to it."""
        amounts = {name: getattr(self, name) for name in WAYS}
        return {
            curve: abs(amount) for name, amount in amounts.items() if amount for curve in WAYS[name][int(amount < 0)]
        }

    def of(self, motion: MotionMesh, rig: Rig) -> MotionMesh:
        """The motion, retouched; `rig` is fitted to the driver's face. Each frame depends on itself alone."""
        if self.nothing or not len(motion):
            return motion
        added = self.coefficients
        amounts = np.array([added.get(name, 0.0) for name in rig.names], np.float32)
        shapes = motion.shapes + np.tensordot(amounts, rig.basis, 1)
        shapes = np.asarray(shapes + rig.kept_apart(shapes), np.float32)
        pose = self._turned(motion.pose)
        curves = np.array([added.get(name, 0.0) for name in motion.names], np.float32)
        return replace(motion, points=pose.put(shapes), pose=pose, curves=np.clip(motion.curves + curves, 0, UPPER))

    def _turned(self, pose: Pose) -> Pose:
        """Heads turned by the same angles, each about its own pivot."""
        by = np.array([self.yaw, self.pitch, self.roll], np.float32)
        if not by.any():
            return pose
        rotation = rotation_of(pose.angles + by)
        lever: Floats = np.asarray(rotation @ PIVOT, np.float32)
        return Pose(rotation, pose.scale, np.asarray(pose.pivot - pose.scale[:, None] * lever, np.float32))
