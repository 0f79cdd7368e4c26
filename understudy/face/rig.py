"""The rig: ARKit's coefficients and a head pose <-> 478 points, on any face.

`Rig.fit(shape)` authors the shapes of `arkit` on a face at rest. Forwards they are added up, and then lids and lips
are kept from passing through each other. Backwards is a bounded, regularised least-squares problem per frame, solved
for all frames at once by accelerated projected gradients (Beck and Teboulle 2009), in numpy.

What makes the way back robust to a tracker's noise: depth counts less than the picture plane; small errors of the
head pose are unknowns of the same problem, kept near zero, so that a nod is not taken for a jaw; opposites (a look up
and a look down) are discouraged from cancelling each other; small activity costs, so that noise stays at zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.face.arkit import ARKIT_NAMES, CARRIED, CHIN_SKIN, LOWER_LIP, UPPER_LIP, author, around_lids
from understudy.face.mesh import EYES, OVAL, POINTS, STABLE, Floats, canonical
from understudy.face.pose import Pose, fit_pose

__all__ = ["ARKIT_NAMES", "CARRIED", "UPPER", "Rig"]

UPPER: Final = 1.2  # coefficients may pass 1 a little: people do
_SIDES: Final = ("Left", "Right")
_EITHER: Final = (  # pairs of which only one is possible at a time
    *((f"eyeLookUp{side}", f"eyeLookDown{side}") for side in _SIDES),
    *((f"eyeLookIn{side}", f"eyeLookOut{side}") for side in _SIDES),
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
)
_AGAINST: Final = (  # pairs that are seldom seen together
    *((f"eyeBlink{side}", f"eyeWide{side}") for side in _SIDES),
    *((f"mouthSmile{side}", f"mouthFrown{side}") for side in _SIDES),
)
_DEPTH: Final = 0.3  # how much an error in depth counts, of one in the picture plane
_RIM: Final = 0.5  # likewise outline and chin, which trackers guess
_EYES: Final = 2.0  # likewise lids and irises, which are small, and tracked best
_LEAST_NOISE: Final = 0.001  # of tracked points, eye units; more is read off what the rig cannot explain in a frame
_ALIKE: Final = 20.0  # neighbouring points err together, about this many of them
_POSE_ERROR: Final = (0.006, 0.006, 0.01, 0.02, 0.02, 0.01, 0.006)  # shift (eye units), turn (radians), scale
# How large coefficients are before anything is seen. What faces do all the time is the first explanation.
_SPREAD: Final = 0.3
_COMMON: Final = {"jawOpen": 1.5, "eyeBlink": 1.5, "eyeLook": 1.0, "mouthSmile": 1.0, "brow": 0.8, "mouthPucker": 0.5}
_COST: Final = 0.05  # of activity: what it is worth not to raise a coefficient from 0
_ROUNDS: Final = 180
_JAW, _CLOSE = CARRIED.index("jawOpen"), CARRIED.index("mouthClose")


@dataclass(frozen=True)
class Rig:
    """The rig fitted to one face. `names` are the coefficients that it carries, in ARKit's order."""

    shape: Floats  # (478, 3) the face at rest, eye units
    basis: Floats  # (k, 478, 3) where each point goes at 1

    names = CARRIED

    @staticmethod
    def fit(shape: Floats) -> Rig:
        """The rig of a face at rest: eyes open, mouth shut, looking ahead; `shape (478, 3)` in eye units."""
        return Rig(np.asarray(shape, np.float32), author(shape))

    @staticmethod
    def canonical() -> Rig:
        """The rig of the canonical face."""
        return Rig.fit(canonical().points)

    def shapes(self, coefficients: npt.ArrayLike) -> Floats:
        """(f, k) coefficients -> (f, 478, 3) in eye units of the head."""
        wanted = _possible(np.asarray(coefficients, np.float32))
        linear = self.shape + np.tensordot(wanted, self.basis, 1)
        return np.asarray(linear + self._kept_apart(linear), np.float32)

    def points(self, coefficients: npt.ArrayLike, pose: Pose) -> Floats:
        """(f, k) coefficients and poses of as many frames -> (f, 478, 3) pixels."""
        return pose.put(self.shapes(coefficients))

    def coefficients(self, points: Floats, pose: Pose | None = None) -> Floats:
        """(f, 478, 3) pixels -> (f, k) coefficients, 0 to 1.2. `pose` is found from the points if it is not given."""
        return self.read((fit_pose(points, self.shape) if pose is None else pose).take(points))

    def read(self, shapes: Floats) -> Floats:
        """(f, 478, 3) in eye units of the head -> (f, k) coefficients, 0 to 1.2."""
        moved = np.asarray(shapes, np.float32) - self.shape
        found = self._solve(moved)
        for _ in range(2):  # lids and lips that touch move less than the sum of what moves them: solve again for that
            linear = self.shape + np.tensordot(found, self.basis, 1)
            apart = self._kept_apart(linear)
            touched = np.flatnonzero(np.abs(apart).max(axis=(1, 2)) > 1e-4)
            if not len(touched):
                break
            found[touched] = self._solve(moved[touched] - apart[touched])
        return found

    # --- forwards ---------------------------------------------------------------------------------------------------

    def _kept_apart(self, shapes: Floats) -> Floats:
        """(f, 478, 3) what must be added so that no upper lid or lip is below the lower one."""
        upper, lower, carry = _closures()
        at_rest = np.minimum(self.shape[lower, 1] - self.shape[upper, 1], 0)
        crossed = np.maximum(at_rest - (shapes[:, lower, 1] - shapes[:, upper, 1]), 0)
        pushed = np.zeros_like(shapes)
        pushed[..., 1] = crossed @ carry
        return pushed

    # --- backwards --------------------------------------------------------------------------------------------------

    @cached_property
    def _problem(self) -> _Problem:
        """What the least squares of all frames share."""
        weight = _weights()
        basis = _apart(self.basis.astype(np.float64))
        k = len(basis)
        columns = (basis * weight).reshape(k, -1)
        rigid = (_rigid(self.shape) * weight).reshape(len(_POSE_ERROR), -1)
        prior = np.diag(_ALIKE * (0.005 / np.asarray(_POSE_ERROR)) ** 2)
        # eliminate the error of the pose: what a small rigid motion explains, coefficients need not
        explained = np.linalg.solve(rigid @ rigid.T + prior, rigid)
        cleared = columns - (columns @ rigid.T) @ explained
        form = cleared @ columns.T
        form = (form + form.T) / 2
        size = np.diag(form).copy()
        for pairs, strength in ((_EITHER, 0.5), (_AGAINST, 0.1)):
            for one, other in _places(pairs):
                form[one, other] += strength * min(size[one], size[other])
                form[other, one] = form[one, other]
        return _Problem(
            gather=(cleared * weight.reshape(1, -1)).T.astype(np.float32),
            form=form.astype(np.float32),
            prior=(_ALIKE / _spreads() ** 2).astype(np.float32),
            largest=float(np.linalg.eigvalsh(form)[-1]),
            columns=columns.astype(np.float32),
        )

    def _solve(self, moved: Floats) -> Floats:
        """(f, 478, 3) displacements -> (f, k). Solved twice: what is left unexplained the first time is the noise of
        the frame, and says how much to trust it the second time."""
        problem = self._problem
        aim = moved.reshape(len(moved), -1) @ problem.gather
        noise = np.full((len(moved), 1), _LEAST_NOISE, np.float32)
        first = problem.solve(aim, noise, np.zeros_like(aim), _ROUNDS // 3)
        left = moved.reshape(len(moved), -1) * _weights().reshape(1, -1).astype(np.float32) - first @ problem.columns
        noise = np.maximum(noise, np.sqrt((left * left).mean(axis=1, keepdims=True)))
        return _join(problem.solve(aim, noise, first, _ROUNDS))


@dataclass(frozen=True)
class _Problem:
    """min over 0 <= c <= 1.2 of c form c / 2 - aim c + noise^2 prior (c^2 / 2 + cost c), the same for all frames but
    `aim` and `noise`. Its variables are those of `_apart`."""

    gather: Floats  # (1434, k) from displacements to `aim`
    form: Floats  # (k, k)
    prior: Floats  # (k,)
    largest: float  # eigenvalue of `form`
    columns: Floats  # (k, 1434) weighted displacements

    def solve(self, aim: Floats, noise: Floats, start: Floats, rounds: int) -> Floats:
        """(f, k) `aim`, (f, 1) `noise` -> (f, k)."""
        ridge = noise * noise * self.prior
        aim = aim - np.float32(_COST) * ridge
        step = 1 / (np.float32(self.largest) + ridge.max(axis=1, keepdims=True))
        here = ahead = start
        pace = 1.0
        for _ in range(rounds):
            there = np.clip(ahead - (ahead @ self.form + ridge * ahead - aim) * step, 0, UPPER)
            quicker = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
            ahead = there + np.float32((pace - 1) / quicker) * (there - here)
            here, pace = there, quicker
        return here


def _possible(coefficients: Floats) -> Floats:
    """Lips close no further than the jaw has opened; nobody looks, or moves the jaw or the mouth, both ways at once."""
    wanted = coefficients.copy()
    wanted[:, _CLOSE] = np.minimum(wanted[:, _CLOSE], wanted[:, _JAW])
    for one, other in _places(_EITHER):
        both = np.minimum(wanted[:, one], wanted[:, other])
        wanted[:, one] -= both
        wanted[:, other] -= both
    return wanted


def _apart(basis: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """In the solver's variables `mouthClose` is a jaw that opens behind closed lips: it cannot exceed `jawOpen`."""
    parted = basis.copy()
    parted[_CLOSE] += basis[_JAW]
    return parted


def _join(solved: Floats) -> Floats:
    """From the solver's variables to ARKit's."""
    joined = solved.copy()
    joined[:, _JAW] = np.minimum(solved[:, _JAW] + solved[:, _CLOSE], UPPER)
    joined[:, _CLOSE] = np.minimum(solved[:, _CLOSE], joined[:, _JAW])
    return joined


def _places(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[int, int]]:
    """Where the coefficients of each pair stand among `CARRIED`."""
    for one, other in pairs:
        yield CARRIED.index(one), CARRIED.index(other)


def _weights() -> npt.NDArray[np.float64]:
    """(478, 3): how much an error of each point counts along each axis."""
    weights = np.ones((POINTS, 3))
    weights[:, 2] = _DEPTH
    weights[[*OVAL, *set(CHIN_SKIN).difference(OVAL)]] *= _RIM
    for eye in EYES.values():
        weights[[*eye.upper, *eye.lower, *eye.iris]] *= _EYES
    return weights


def _spreads() -> npt.NDArray[np.float64]:
    """(k,): how large each coefficient is usually."""
    return np.array([next((s for kind, s in _COMMON.items() if name.startswith(kind)), _SPREAD) for name in CARRIED])


def _rigid(shape: Floats) -> npt.NDArray[np.float64]:
    """(7, 478, 3): small shifts, turns and growth of a shape about the points that the pose is found from."""
    centred = np.asarray(shape, np.float64) - np.mean(shape[list(STABLE)], axis=0)
    shifts = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
    turns = [np.cross(axis, centred) for axis in np.eye(3)]
    return np.stack([*shifts, *turns, centred])


def _closures() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Pairs of upper and lower points that may touch but not cross, and how the skin around gives way: (n, 478)."""
    pairs, carry = [], []
    for upper, lower in around_lids():
        pairs.append((upper[0], lower[0]))
        carry.append(_gives_way(upper, lower, (1.0, 0.55)))
    for column in range(1, len(UPPER_LIP[0]) - 1):
        upper = tuple(row[column] for row in reversed(UPPER_LIP))
        lower = tuple(row[column] for row in reversed(LOWER_LIP))
        pairs.append((upper[0], lower[0]))
        carry.append(_gives_way(upper, lower, (1.0, 0.9, 0.75, 0.6)))
    upper_points, lower_points = np.array(pairs).T
    return upper_points, lower_points, np.stack(carry).astype(np.float32)


def _gives_way(upper: Iterable[int], lower: Iterable[int], shares: Iterable[float]) -> npt.NDArray[np.float64]:
    way = np.zeros(POINTS)
    for above, below, share in zip(upper, lower, shares, strict=True):
        way[above], way[below] = -share / 2, share / 2
    return way
