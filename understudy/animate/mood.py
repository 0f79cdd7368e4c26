"""The mood that is asked for: by its name, by names with their seconds, or read off somebody who is in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np

from understudy.animate.driving import open_driving
from understudy.cast.how import ARKIT_NAMES
from understudy.cast.speak.acting import moods_of
from understudy.clip import Warn
from understudy.errors import NoFace
from understudy.motion.mesh import whole
from understudy.motion.wishes import Felt, course

EVERY: Final = 1.0  # seconds
_OVER: Final = 2.0  # seconds of a face from which its mood at a moment is read: mouths speak meanwhile
_ROUND: Final = 3  # decimals of a share: so that the same clip is the same wish


def asked(mood: str | os.PathLike[str], warn: Warn) -> tuple[Felt, ...]:
    """Names, or a path of a performance whose mood is followed, second by second; after its end, its last. A name is
    never taken for a path: it may come from a stranger. Errors: `BadOption`; those of reading a file, `NoFace` where
    nobody is in it."""
    return course(mood) if isinstance(mood, str) else read(Path(mood), warn)


def read(path: Path, warn: Warn) -> tuple[Felt, ...]:
    """The moods of whoever is in a film, picture or motion file."""
    motion = whole(open_driving(path, warn=warn))
    if not motion.seen.any():
        raise NoFace(f"{path} shows no face, so no mood either", f"{len(motion)} frames", "another clip of somebody")
    columns = [motion.names.index(name) if name in motion.names else -1 for name in ARKIT_NAMES]
    curves = np.where(np.array(columns) < 0, 0.0, motion.curves[:, columns]).astype(np.float64)
    times, seen = motion.times - motion.times[0], motion.seen
    moments = np.arange(0, float(times[-1]) + 1e-6, EVERY)
    felt = []
    for moment in moments:
        near = seen & (np.abs(times - moment) <= _OVER / 2)
        if near.any():
            felt.append(Felt(float(moment), _rounded(moods_of(curves[near].mean(0, keepdims=True))[0])))
    return tuple(felt) or (Felt(0.0, _rounded(moods_of(curves[seen].mean(0, keepdims=True))[0])),)


def _rounded(shares: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(share), _ROUND) for share in shares)
