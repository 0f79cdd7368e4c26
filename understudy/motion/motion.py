"""What every kind of motion has: consecutive frames with their times. Nothing of any portrait."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt


class Motion(Protocol):
    """`MotionMesh`, `MotionFrames`: how somebody moves in `f` frames."""

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """(f,) seconds since the driver's first frame, increasing."""

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(f,) False where no face was found for longer than can be bridged."""

    @property
    def shots(self) -> npt.NDArray[np.int32]:
        """(f,) counts the cuts before each frame."""

    @property
    def rate(self) -> Fraction:
        """Frames a second, nominal."""

    @property
    def provenance(self) -> dict[str, str]:
        """Where it is from, in words."""

    def __len__(self) -> int: ...


M = TypeVar("M", bound=Motion)
