"""Steadying: noise goes, movements stay, at the same time and as large."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from faces import one, somebody

from understudy.face.mesh import STABLE
from understudy.face.pose import rotation_of
from understudy.face.rig import Rig
from understudy.face.steady import Placed, Shape, similarity, steadied

Array = npt.NDArray[np.float32]

EYES = 150.0  # pixels from eye to eye
NOISE = 0.1  # pixels, along each axis: that of a camera with sigma 3, seen through the mesh network


@pytest.fixture(scope="module")
def rest() -> Array:
    """A face at rest in a picture."""
    return np.asarray(somebody(3) * EYES + (300, 250, 0), np.float32)


def noisy(points: Array, seed: int = 0) -> Array:
    """Every point by itself, and the whole face together, as landmarks do quiver."""
    chance = np.random.default_rng(seed)
    each, whole = chance.normal(0, NOISE, points.shape), chance.normal(0, NOISE, (len(points), 1, 3))
    return np.asarray(points + each + whole, np.float32)


def act(rest: Array, amounts: npt.NDArray[np.float64], **expression: float) -> Array:
    """(f, 478, 3): the face doing so much of an expression in each frame."""
    shape = (rest - (300, 250, 0)) / EYES
    rig = Rig.fit(np.asarray(shape, np.float32))
    shapes = rig.shapes(np.concatenate([one(**{name: v * a for name, v in expression.items()}) for a in amounts]))
    return np.asarray(shapes * EYES + (300, 250, 0), np.float32)


def quiver(points: Array) -> float:
    """How far points move from one frame to the next, in pixels (root mean square)."""
    return float(np.sqrt((np.diff(points, axis=0) ** 2).sum(-1).mean()))


def lids(points: Array) -> Array:
    return np.asarray(np.linalg.norm(points[:, 386] - points[:, 374], axis=-1))


def lips(points: Array) -> Array:
    return np.asarray(np.linalg.norm(points[:, 13] - points[:, 14], axis=-1))


def steady(points: Array, lookahead: int) -> Array:
    return np.stack(list(steadied(iter(points), lookahead)))


@pytest.mark.parametrize(("lookahead", "factor"), [(3, 4.0), (0, 2.5)])
def test_a_still_face_becomes_still(rest: Array, lookahead: int, factor: float) -> None:
    points = noisy(np.repeat(rest[None], 60, 0))
    calm = steady(points, lookahead)
    assert quiver(calm[8:]) * factor < quiver(points[8:])
    assert np.abs(calm[8:-3].mean(0) - rest).max() < 4 * NOISE, "and stays where it is"


@pytest.mark.parametrize("lookahead", [3, 0])
@pytest.mark.parametrize("seed", range(4))
def test_a_blink_is_as_deep_and_as_timely(rest: Array, lookahead: int, seed: int) -> None:
    amounts = np.zeros(40)
    amounts[18:23] = [0.5, 0.9, 1, 0.6, 0.2]
    truth = act(rest, amounts, eyeBlink=1.0)
    depth = lids(truth)[0] - lids(truth)[20]
    assert depth > 0.06 * EYES
    calm = lids(steady(noisy(truth, seed), lookahead))
    assert calm[:15].mean() - calm[20] >= 0.95 * depth
    assert int(np.argmin(calm)) == 20
    assert np.abs(calm - lids(truth))[17:24].max() < 0.1 * depth, "neither before nor after its time"


@pytest.mark.parametrize("lookahead", [3, 0])
def test_a_jaw_that_drops_at_once_does_so(rest: Array, lookahead: int) -> None:
    amounts = np.repeat([0.0, 0.8, 0.0], [15, 4, 15])
    truth = act(rest, amounts, jawOpen=1.0)
    calm = lips(steady(noisy(truth), lookahead))
    step = lips(truth)[16] - lips(truth)[0]
    assert calm[15] - calm[14] >= 0.95 * step and calm[18] - calm[19] >= 0.95 * step


@pytest.mark.parametrize("lookahead", [3, 0])
def test_a_turning_head_keeps_its_angle_and_its_time(rest: Array, lookahead: int) -> None:
    yaw = 25 * np.sin(np.arange(60) * 2 * np.pi / 20)  # degrees: three times there and back in two seconds
    turns = rotation_of(np.stack([yaw, 0 * yaw, 0 * yaw], -1))
    middle = rest[list(STABLE)].mean(0)
    truth = np.asarray((rest - middle) @ turns.transpose(0, 2, 1) + middle, np.float32)
    calm = steady(noisy(truth), lookahead)
    across = (calm[:, 1] - calm[:, 168])[:, 0]
    expected = (truth[:, 1] - truth[:, 168])[:, 0]
    assert np.ptp(across) >= 0.97 * np.ptp(expected)
    delays = [float(np.mean((across[10:50] - expected[10 - k : 50 - k]) ** 2)) for k in range(-2, 3)]
    assert int(np.argmin(delays)) == 2, "no delay fits better than none"


@pytest.mark.parametrize(("lookahead", "limit"), [(3, 0.1), (0, 0.35)])
def test_a_slow_drift_does_not_lag(rest: Array, lookahead: int, limit: float) -> None:
    """A twentieth of a pixel in each frame, less than the noise: only a delay would show."""
    drift = np.arange(80, dtype=np.float32)[:, None, None] * np.array([0.05, 0, 0], np.float32)
    calm = steady(noisy(rest + drift), lookahead)
    off = (calm - rest - drift)[10:-4, :, 0].mean()
    assert abs(off) < limit


def test_a_wink_leaves_the_rest_alone(rest: Array) -> None:
    amounts = np.zeros(30)
    amounts[12:18] = [0.5, 1, 1, 1, 0.6, 0.2]
    points = noisy(act(rest, amounts, eyeBlinkLeft=1.0))
    calm = steady(points, 3)
    forehead = [10, 151, 67, 297, 109, 338]
    during = slice(11, 19)
    assert quiver(calm[during][:, forehead]) * 3 < quiver(points[during][:, forehead])


def test_a_longer_run_begins_like_a_shorter_one(rest: Array) -> None:
    points = noisy(act(rest, np.abs(np.sin(np.arange(40) / 3)), jawOpen=0.5, mouthSmile=0.5))
    long, short = steady(points, 3), steady(points[:25], 3)
    assert np.array_equal(long[:22], short[:22])


@pytest.mark.parametrize("lookahead", [0, 3])
@pytest.mark.parametrize("frames", [0, 1, 2, 5])
def test_short_runs_have_all_their_frames(rest: Array, frames: int, lookahead: int) -> None:
    points = np.repeat(rest[None], frames, 0)
    found = list(steadied(iter(points), lookahead))
    assert len(found) == frames
    assert all(np.abs(each - rest).max() < 1e-2 for each in found)


def test_no_more_is_read_than_is_needed(rest: Array) -> None:
    """A frame comes as soon as the frames that it looks ahead to."""
    taken = 0

    def counted() -> Iterator[Array]:
        nonlocal taken
        for _ in range(30):
            taken += 1
            yield rest

    run = steadied(counted(), 3)
    for k in range(20):
        next(run)
        assert taken == k + 4


def test_a_similarity_is_found() -> None:
    chance = np.random.default_rng(1)
    points = chance.normal(0, 1, (30, 3)).astype(np.float32)
    turn = rotation_of([20, -10, 30])
    head = similarity(points, np.asarray(points @ (2.5 * turn).T + (4, 5, 6), np.float32))
    assert np.abs(head - np.column_stack([2.5 * turn, (4, 5, 6)])).max() < 1e-4


def test_taken_apart_and_put_together_it_is_the_same(rest: Array) -> None:
    points = act(rest, np.array([1.0]), jawOpen=0.7, eyeBlinkLeft=1.0)[0]
    assert np.abs(Placed.of(points, Shape.of(rest)).points() - points).max() < 1e-2
