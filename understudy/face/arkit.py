"""ARKit's 52 coefficients: their names in ARKit's order, and which of them 478 points can tell.

Source: Apple's ARFaceAnchor.BlendShapeLocation. "Left" is the person's own left.
"""

from __future__ import annotations

from typing import Final

# fmt: off
ARKIT_NAMES: Final = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft", "eyeSquintLeft",
    "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel",
    "mouthPucker", "mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft",
    "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut")
# fmt: on
# What the mesh has no points for, or cannot tell from a mixture of others. Their curves are absent, never zero.
ABSENT: Final = {
    "tongueOut": "the mesh has no tongue",
    "cheekPuff": "the cheeks are a few points of smooth skin, whose depth a single camera does not measure",
    "jawForward": "moves along the line of sight",
    "mouthDimpleLeft": "smile and stretch together move the corner of the mouth to the same place",
    "mouthDimpleRight": "as on the left",
    "mouthPressLeft": "half of both lips rolled in, a little",
    "mouthPressRight": "as on the left",
}
CARRIED: Final = tuple(name for name in ARKIT_NAMES if name not in ABSENT)

# fmt: off
# The lips as rows of 11 columns, from the person's right corner to the left one, from the outer edge to the inner.
UPPER_LIP: Final = ((61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
                    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
                    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
                    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308))
LOWER_LIP: Final = ((61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
                    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
                    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
                    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308))
# fmt: on
