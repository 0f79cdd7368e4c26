"""`MotionMesh`: how a face moves, as 478 points, a head pose and ARKit-named curves per frame.

It is what the warp engine draws, what motion files hold, what is edited, exported and measured. It stays in the
driver's own frame and knows nothing of any portrait: what depends on the portrait happens when it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import Floats
from understudy.face.pose import Pose

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MotionMesh:
    """`f` consecutive frames of a performance. Slices share memory with the whole."""

    times: npt.NDArray[np.float64]  # (f,) seconds since the driver's first frame, increasing
    points: Floats  # (f, 478, 3) pixels of the driver's picture; the last known ones where nobody was seen
    pose: Pose  # (f,)
    curves: Floats  # (f, c) ARKit coefficients, 0 to 1, one column per name
    names: tuple[str, ...]  # (c,) ARKit names; what a mesh cannot tell is absent, not zero
    seen: npt.NDArray[np.bool_]  # (f,) False where no face was found for longer than can be bridged
    shots: npt.NDArray[np.int32]  # (f,) counts the cuts before each frame
    rate: Fraction  # frames a second, nominal
    mouths: Bytes | None = None  # (f, h, w, 3) inside of the driver's mouth, cut along the lips, or None
    provenance: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times)
