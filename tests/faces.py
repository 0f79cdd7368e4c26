"""Made faces and performances for tests: nobody's, and all different."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from understudy.face.mesh import EYES, Floats, canonical
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import CARRIED, Rig
from understudy.motion.mesh import MotionMesh

K = len(CARRIED)


def somebody(seed: int) -> Floats:
    """A face at rest of no symmetry: longer or shorter, deeper or flatter, with other eyes, bent smoothly."""
    chance = np.random.default_rng(seed)
    model = canonical().points.astype(np.float64)
    face = model * (1, chance.uniform(0.8, 1.3), chance.uniform(0.5, 1.4))
    for _ in range(4):
        wave, size, phase = chance.normal(0, 1.6, 3), chance.normal(0, 0.035, 3), chance.uniform(0, 2 * np.pi)
        face += np.sin(model @ wave + phase)[:, None] * size
    wide = chance.uniform(0.5, 1.6)
    for eye in EYES.values():
        for above, below in zip(eye.upper[1:-1], eye.lower[1:-1], strict=True):
            middle = (face[above] + face[below]) / 2
            face[[above, below]] = middle + (face[[above, below]] - middle) * wide
    corners = face[[33, 263]]
    return np.asarray((face - corners.mean(0)) / np.linalg.norm(corners[0] - corners[1]), np.float32)


def mixes(seed: int, frames: int, share: float) -> Floats:
    """(frames, k): each coefficient is on with this chance, anywhere between 0 and 1."""
    chance = np.random.default_rng(seed)
    return np.asarray((chance.random((frames, K)) < share) * chance.random((frames, K)), np.float32)


def one(**values: float) -> Floats:
    """(1, k): the named coefficients; `smile=1` style names without a side mean both."""
    found = np.zeros((1, K), np.float32)
    for name, value in values.items():
        places = [i for i, carried in enumerate(CARRIED) if carried in (name, f"{name}Left", f"{name}Right")]
        assert places, name
        found[0, places] = value
    return found


def poses(seed: int, frames: int) -> Pose:
    """Heads that turn slowly."""
    chance = np.random.default_rng(seed)
    beat = np.linspace(0, 2 * np.pi, frames)[:, None] * chance.uniform(0.5, 2, 3) + chance.uniform(0, 6, 3)
    drift = np.cumsum(chance.normal(0, 0.5, (frames, 3)), axis=0)
    return Pose(
        rotation_of(np.sin(beat) * (25, 12, 8)),
        np.linspace(180, 220, frames).astype(np.float32),
        np.asarray(drift + np.array((300, 250, 10)), np.float32),
    )


def performance(
    seed: int = 0, frames: int = 60, rate: Fraction = Fraction(30), face: Floats | None = None
) -> MotionMesh:
    """Somebody acting: random expressions eased into one another under a moving head."""
    face = somebody(seed) if face is None else face
    keys = mixes(seed + 1, frames // 10 + 2, 0.2)
    at = np.arange(frames) / 10
    low = at.astype(int)
    ease = (1 - np.cos(np.pi * (at - low)))[:, None] / 2
    curves = keys[low] * (1 - ease) + keys[low + 1] * ease
    points = Rig.fit(face).points(curves, poses(seed + 2, frames))
    return MotionMesh.from_points(np.arange(frames) / float(rate), points, rate, neutral=face)


def mouths(frames: int, height: int = 40, width: int = 64) -> npt.NDArray[np.uint8]:
    """Smooth pictures that change."""
    y, x, frame = np.mgrid[0:height, 0:width, 0:frames]
    wave = 128 + 60 * np.sin(x / 9 + frame / 5) + 40 * np.cos(y / 7)
    return np.asarray(np.stack([wave, wave * 0.7, wave * 0.5], -1).transpose(2, 0, 1, 3), np.uint8)
