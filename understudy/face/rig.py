"""The rig: ARKit's coefficients and a head pose <-> 478 points, on any face.

`Rig.fit(shape)` authors the shapes on a face at rest. Forwards they are added up, and then lids and lips are kept from
passing through each other. Backwards is a bounded, regularised least-squares problem per frame, solved for many frames
at once by accelerated projected gradients (Beck and Teboulle 2009), in numpy.

What makes the way back robust to a tracker's noise: depth counts less than the picture plane; small errors of the
head pose are unknowns of the same problem, kept near zero, so that a nod is not taken for a jaw; opposites (a look up
and a look down) are discouraged from cancelling each other; small activity costs, so that noise stays at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.face.arkit import ARKIT_NAMES, CARRIED, LOWER_LIP, UPPER_LIP
from understudy.face.authored import CHIN_SKIN, around_lids, author
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
_LIDS: Final = 2.0  # likewise lids and irises, which are small, and tracked best
# Of tracked points, eye units: what the rig cannot explain in a frame is taken for it, within these.
_LEAST_NOISE, _MOST_NOISE = 0.001, 0.03
_ALIKE: Final = 20.0  # neighbouring points err together, about this many of them
_MISFIT: Final = 0.005  # of points, eye units, when an error of the pose is weighed against it
_POSE_ERROR: Final = (0.006, 0.006, 0.01, 0.02, 0.02, 0.01, 0.006)  # shift (eye units), turn (radians), scale
# How large coefficients are before anything is seen. What faces do all the time is the first explanation.
_SPREAD: Final = 0.3
_COMMON: Final = {"jawOpen": 1.5, "eyeBlink": 1.5, "eyeLook": 1.0, "mouthSmile": 1.0, "brow": 0.8, "mouthPucker": 0.5}
_COST: Final = 0.05  # of activity: what it is worth not to raise a coefficient from 0
_FAINTEST: Final = 2e-3  # of shapes, squared: lids that are shut at rest have no blink to speak of
_STEPS, _ROUNDS = 4, 60
_BLOCK: Final = 32
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
    @lru_cache(maxsize=1)
    def canonical() -> Rig:
        """The rig of the canonical face."""
        return Rig.fit(canonical().points)

    def shapes(self, coefficients: npt.ArrayLike) -> Floats:
        """(f, k) coefficients -> (f, 478, 3) in eye units of the head."""
        return _in_blocks(self._shapes, np.asarray(coefficients, np.float32))

    def points(self, coefficients: npt.ArrayLike, pose: Pose) -> Floats:
        """(f, k) coefficients and poses of as many frames -> (f, 478, 3) pixels."""
        return pose.put(self.shapes(coefficients))

    def coefficients(self, points: Floats, pose: Pose | None = None) -> Floats:
        """(f, 478, 3) pixels -> (f, k) coefficients, 0 to 1.2. `pose` is found from the points if it is not given."""
        return self.track(points)[0] if pose is None else self.read(pose.take(points))

    def track(self, points: Floats) -> tuple[Floats, Pose]:
        """(f, 478, 3) pixels -> coefficients and poses that explain them together.

        Hardly anything on a face is quite still: brows that rise look like a nod. So the pose is found again from
        the points as they would be without the expression."""
        pose = fit_pose(points, self.shape)
        expression = self.shapes(self.read(pose.take(points))) - self.shape
        pose = fit_pose(pose.put(pose.take(points) - expression), self.shape)
        return self.read(pose.take(points)), pose

    def read(self, shapes: Floats) -> Floats:
        """(f, 478, 3) in eye units of the head -> (f, k) coefficients, 0 to 1.2."""
        return _in_blocks(self._read, np.asarray(shapes, np.float32))

    # --- forwards ---------------------------------------------------------------------------------------------------

    def _shapes(self, coefficients: Floats) -> Floats:
        linear = self.shape + _each(_possible(coefficients), self._flat).reshape(-1, *self.shape.shape)
        return np.asarray(linear + self.kept_apart(linear), np.float32)

    def kept_apart(self, shapes: Floats) -> Floats:
        """(f, 478, 3) what must be added so that no upper lid or lip is below the lower one."""
        upper, lower, carry = _closures()
        at_rest = np.minimum(self.shape[lower, 1] - self.shape[upper, 1], 0)
        crossed = np.maximum(at_rest - (shapes[:, lower, 1] - shapes[:, upper, 1]), 0)
        pushed = np.zeros_like(shapes)
        pushed[..., 1] = _each(crossed, carry)
        return pushed

    # --- backwards --------------------------------------------------------------------------------------------------

    def _read(self, shapes: Floats) -> Floats:
        """Solved in steps, each of which knows from the one before it what of the displacement is due to lids and lips
        that touch (they move less than the sum of what moves them), and how much the rig cannot explain."""
        problem = self._problem
        moved: Floats = (shapes - self.shape).reshape(len(shapes), self.shape.size)
        noise = np.full((len(shapes), 1), _LEAST_NOISE, np.float32)
        free, found = moved, problem.guess(_each(moved, problem.gather))
        for step in range(_STEPS):
            found = problem.solve(_each(free, problem.gather), noise, found)
            if step == _STEPS - 1:
                break
            linear = _each(_join(found), self._flat).reshape(shapes.shape)
            apart = self.kept_apart(self.shape + linear).reshape(moved.shape)
            free = np.asarray(moved - apart, np.float32)
            left = (free - linear.reshape(moved.shape)) * problem.weight
            level = np.sqrt((left * left).mean(axis=1, keepdims=True))
            noise = np.asarray(level.clip(_LEAST_NOISE, _MOST_NOISE), np.float32)
        return _join(found)

    @property
    def _flat(self) -> Floats:
        """(k, 1434) what coefficients do."""
        return self.basis.reshape(len(self.basis), -1)

    @cached_property
    def _problem(self) -> _Problem:
        """What the least squares of all frames share."""
        weight = _weights()
        basis = _apart(self.basis.astype(np.float64))
        k = len(basis)
        columns = (basis * weight).reshape(k, -1)
        rigid = (_rigid(self.shape) * weight).reshape(len(_POSE_ERROR), -1)
        trust = np.diag(_ALIKE * (_MISFIT / np.asarray(_POSE_ERROR)) ** 2)
        # eliminate the error of the pose: what a small rigid motion explains, coefficients need not
        explained = np.linalg.solve(rigid @ rigid.T + trust, rigid)
        cleared = columns - (columns @ rigid.T) @ explained
        form = cleared @ columns.T
        form = (form + form.T) / 2
        size = np.maximum(np.diag(form), _FAINTEST)
        for pairs, strength in ((_EITHER, 0.5), (_AGAINST, 0.05)):
            for one, other in _places(pairs):
                form[one, other] += strength * min(size[one], size[other])
                form[other, one] = form[one, other]
        scale = 1 / np.sqrt(size)
        scaled = form * scale * scale[:, None]
        prior = _ALIKE * (scale / _spreads()) ** 2
        return _Problem(
            gather=(cleared * weight.reshape(1, -1)).T.astype(np.float32) * scale.astype(np.float32),
            form=scaled.astype(np.float32),
            inverse=np.linalg.inv(scaled + np.diag(_LEAST_NOISE**2 * prior)).astype(np.float32),
            prior=prior.astype(np.float32),
            scale=scale.astype(np.float32),
            steepest=np.float32(np.linalg.eigvalsh(scaled)[-1]),
            weight=weight.reshape(1, -1).astype(np.float32),
        )


@dataclass(frozen=True)
class _Problem:
    """min over 0 <= c <= 1.2 of c form c / 2 - aim c + noise^2 prior (c^2 / 2 + cost c), the same for all frames but
    `aim` and `noise`. Its variables are those of `_apart`, each over its `scale`, so that all matter alike."""

    gather: Floats  # (1434, k) from displacements to `aim`
    form: Floats  # (k, k)
    inverse: Floats  # (k, k) of the form, with the least noise
    prior: Floats  # (k,)
    scale: Floats  # (k,)
    steepest: np.float32  # eigenvalue of the form
    weight: Floats  # (1, 1434) how much an error of each coordinate counts

    def guess(self, aim: Floats) -> Floats:
        """(f, k) `aim` -> (f, k): the answer if there were no bounds, cut to them."""
        return np.asarray(np.clip(_each(aim, self.inverse) * self.scale, 0, UPPER), np.float32)

    def solve(self, aim: Floats, noise: Floats, start: Floats) -> Floats:
        """(f, k) `aim`, (f, 1) `noise` and a first guess -> (f, k) a better one."""
        ridge = noise * noise * self.prior
        step = 1 / (self.steepest + ridge.max(axis=1, keepdims=True))
        push = (aim - np.float32(_COST) * ridge / self.scale) * step
        keep = 1 - ridge * step
        most = np.float32(UPPER) / self.scale
        here = ahead = start / self.scale
        pace = 1.0
        for _ in range(_ROUNDS):
            there = np.clip(ahead * keep - _each(ahead, self.form) * step + push, 0, most)
            quicker = (1 + np.sqrt(1 + 4 * pace * pace)) / 2
            ahead = there + np.float32((pace - 1) / quicker) * (there - here)
            here, pace = there, quicker
        return np.asarray(here * self.scale, np.float32)


def _in_blocks(function: Callable[[Floats], Floats], frames: Floats) -> Floats:
    """The function of all frames, block by block, so that what is made on the way stays small."""
    starts = range(0, max(len(frames), 1), _BLOCK)
    return np.concatenate([function(frames[first : first + _BLOCK]) for first in starts])


def _each(rows: Floats, matrix: Floats) -> Floats:
    """(f, n) @ (n, m), a product for each row: what comes out for a frame is then the same to the last bit whatever
    other frames it came with. In one product, sums are rounded by how many rows there are, and on some processors (with
    OpenBLAS for AVX2) by where a row stands among them."""
    return np.asarray(np.matmul(rows[:, None], matrix)[:, 0])


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
        weights[[*eye.upper, *eye.lower, *eye.iris]] *= _LIDS
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


@lru_cache(maxsize=1)
def _closures() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """Pairs of upper and lower points that may touch but not cross, and how the skin around gives way: (n, 478)."""
    pairs, carry = [], []
    for lid, lower_lid in around_lids():
        pairs.append((lid[0], lower_lid[0]))
        carry.append(_gives_way(lid, lower_lid, (1.0, 0.55)))
    for column in range(1, len(UPPER_LIP[0]) - 1):
        lip = [row[column] for row in reversed(UPPER_LIP)]
        lower_lip = [row[column] for row in reversed(LOWER_LIP)]
        pairs.append((lip[0], lower_lip[0]))
        carry.append(_gives_way(lip, lower_lip, (1.0, 0.9, 0.75, 0.6)))
    upper_points, lower_points = np.array(pairs).T
    return upper_points, lower_points, np.stack(carry).astype(np.float32)


def _gives_way(upper: Iterable[int], lower: Iterable[int], shares: Iterable[float]) -> npt.NDArray[np.float64]:
    way = np.zeros(POINTS)
    for above, below, share in zip(upper, lower, shares, strict=True):
        way[above], way[below] = -share / 2, share / 2
    return way
