"""Takes that were taken before are known again, and others are not taken for them."""

from __future__ import annotations

import numpy as np
import pytest
from animate_made import driver_frames, scaled
from faces import performance
from mill_made import noise

from understudy.data.alike import FLOOR, Print, differing, hash_of, moments, print_of, repeated, same, shrunk


def taken(seed: int, count: int = 60, look: int = 0) -> Print:
    """A made fingerprint: the look of somebody, a little of it changing, and movements of chance."""
    chance = np.random.default_rng(look)
    base = chance.integers(0, 2**63, 1, np.uint64)
    flips = np.uint64(1) << np.random.default_rng(seed).integers(0, 64, count).astype(np.uint64)
    hashes = np.repeat(base, count) ^ flips
    curves = np.stack([20 * FLOOR[k] * noise(97 * seed + k, count) for k in range(6)], -1)
    return Print(hashes, ~hashes, curves)


def part(whole: Print, rows: slice) -> Print:
    return Print(whole.hashes[rows], whole.mirrored[rows], whole.curves[rows])


def test_a_part_of_a_take_is_known_again_and_compression_forgiven() -> None:
    whole = taken(1)
    cut = part(whole, slice(13, 50))
    rough = Print(cut.hashes ^ np.uint64(0b1011), cut.mirrored, cut.curves + 0.1 * FLOOR)
    assert same(whole, whole) and same(whole, rough) and same(rough, whole)


def test_a_mirror_image_is_known_again() -> None:
    one = taken(2)
    turned = one.curves[:, [0, 1, 2, 3, 5, 4]] * np.array([-1, 1, -1, 1, 1, 1], np.float32)
    assert same(one, Print(one.mirrored, one.hashes, turned))


def test_the_same_person_doing_something_else_is_another_take() -> None:
    assert not any(same(taken(1), taken(seed)) for seed in range(2, 20))


def test_another_person_doing_the_same_is_another_take() -> None:
    one, other = taken(1), taken(1, look=5)
    assert np.array_equal(one.curves, other.curves) and not same(one, other)


def test_the_first_stays_and_the_others_are_said_to_be_it() -> None:
    takes = [("a", taken(1)), ("b", taken(2)), ("c", part(taken(1), slice(5, 45))), ("d", taken(2)), ("e", taken(3))]
    assert repeated(takes) == {"c": "a", "d": "b"}


def test_a_moment_alone_says_nothing() -> None:
    assert not same(part(taken(1), slice(0, 4)), taken(1))


@pytest.mark.parametrize("rate", [12, 25, 30])
def test_moments_are_tenths_of_a_second_at_any_rate(rate: int) -> None:
    times = np.arange(2 * rate) / rate
    found = times[moments(times)]
    assert len(found) in (20, 19) and np.abs(found - np.arange(len(found)) / 10).max() < 1 / rate


def test_hashes_of_pictures_forgive_size_and_tell_pictures_apart() -> None:
    frames = list(driver_frames(2))
    one, other = (np.array([hash_of(shrunk(scaled(frames[0], size)))], np.uint64) for size in (256, 120))
    assert differing(one, other) <= 4
    upside = np.array([hash_of(shrunk(frames[0][::-1]))], np.uint64)
    assert differing(one, upside) > 16


def test_a_fingerprint_has_a_row_a_moment() -> None:
    motion = performance(frames=60)
    frames = moments(motion.times)
    found = print_of((scaled(frame, 128) for frame in driver_frames(len(frames))), motion, frames)
    assert len(found) == len(frames) == 20 and found.curves.shape == (20, 6)
    assert np.allclose(found.curves[:, :3], motion.pose.angles[frames])
