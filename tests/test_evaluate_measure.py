"""Measures: what they say of equal pictures, of known changes, and what others say of the same."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast import stage
from understudy.evaluate import measure


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1, 3, 96, 96): a face."""
    return torch.from_numpy(stage.portrait(7, 3, "realistic", 96)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def spoilt(photo: Tensor) -> Tensor:
    noise = torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    return (photo + 0.05 * noise).clamp(0, 1)


def softened(pictures: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(pictures, [2] * 4, mode="replicate"), 5, stride=1)


def test_equal_pictures(photo: Tensor) -> None:
    both = photo.repeat(2, 1, 1, 1)
    assert measure.psnr(both, both).tolist() == [math.inf, math.inf]
    assert torch.allclose(measure.ssim(both, both), torch.ones(2), atol=1e-6)
    for zero in (measure.l1, measure.unlikeness, measure.flicker):
        assert zero(both, both).abs().max() == 0
    assert measure.change(both).tolist() == [0]


def test_others_say_the_same(photo: Tensor, spoilt: Tensor) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    one, other = (picture[0].permute(1, 2, 0).numpy() for picture in (photo, spoilt))
    wanted = metrics.peak_signal_noise_ratio(one, other, data_range=1)
    assert float(measure.psnr(spoilt, photo)) == pytest.approx(wanted, 1e-4)
    kind = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    wanted = metrics.structural_similarity(one, other, channel_axis=2, **kind)
    assert float(measure.ssim(spoilt, photo)) == pytest.approx(float(wanted), abs=1e-4)


def test_a_known_shift_of_brightness() -> None:
    grey = torch.full((3, 3, 16, 16), 0.5)
    lighter = grey + torch.tensor([0.1, 0.01, 0.2])[:, None, None, None]
    assert torch.allclose(measure.psnr(lighter, grey), torch.tensor([20.0, 40.0, 13.979]), atol=1e-3)
    assert torch.allclose(measure.l1(lighter, grey), torch.tensor([0.1, 0.01, 0.2]), atol=1e-6)
    assert torch.allclose(measure.change(lighter), torch.tensor([0.09, 0.19]) * 255, atol=1e-3)
    assert torch.allclose(measure.flicker(lighter, grey), torch.tensor([0.09, 0.19]) * 255, atol=1e-3)


def test_only_what_is_in_the_face_counts_there() -> None:
    truth = torch.zeros(1, 3, 20, 20)
    mask = torch.zeros(1, 20, 20)
    mask[0, 5, 7] = mask[0, 14, 12] = 1
    face = measure.box(mask)
    assert face.sum() == 10 * 6 and face[0, 5:15, 7:13].all()
    outside, inside = truth.clone(), truth.clone()
    outside[..., 0] = 1
    inside[:, :, 5:15, 7:13] = 0.1
    assert float(measure.psnr(outside, truth, face)) == math.inf
    assert float(measure.psnr(inside, truth, face)) == pytest.approx(20, abs=1e-3)
    assert float(measure.psnr(inside, truth)) == pytest.approx(20 + 10 * math.log10(400 / 60), abs=1e-3)
    assert not measure.box(torch.zeros(1, 20, 20)).any()
    assert torch.isnan(measure.psnr(outside, truth, measure.box(torch.zeros(1, 20, 20)))).all()


def test_sharpness_falls_with_blur_and_rises_with_contrast(photo: Tensor) -> None:
    where = torch.ones(1, 96, 96)
    where[:, :, 48:] = 0
    blurred = softened(photo)
    truth = measure.energy(photo, where)
    assert float(measure.energy(blurred, where) / truth) < 0.5
    assert float(measure.energy(0.5 * photo, where) / truth) == pytest.approx(0.25, rel=1e-4)
    elsewhere = torch.cat([photo[..., :50], torch.rand(1, 3, 96, 46)], dim=3)
    assert torch.equal(measure.energy(elsewhere, where), truth)


def test_features_hear_blur_and_shift_more_than_shade(photo: Tensor) -> None:
    """Of changes with the same PSNR."""
    blurred = softened(photo)
    change = float((blurred - photo).square().mean().sqrt())
    shade = photo + change
    assert float(measure.psnr(shade, photo)) == pytest.approx(float(measure.psnr(blurred, photo)), abs=1e-3)
    assert float(measure.unlikeness(blurred, photo)) > 2 * float(measure.unlikeness(shade, photo)) > 0
    assert float(measure.unlikeness(1 - photo, photo)) <= 2


def test_stripes_answer_to_their_own_direction_only() -> None:
    even, odd = measure.stripes()
    assert even.shape == odd.shape == (measure.ANGLES, 1, 9, 9)
    assert even.sum((1, 2, 3)).abs().max() < 1e-5 and odd.sum((1, 2, 3)).abs().max() < 1e-5
    right = torch.arange(9.0).expand(9, 9)
    for phase in (0.0, 1.0):
        wave = torch.sin(2 * math.pi * right / 4 + phase)[None, None]
        strength = [float((wave * e).sum() ** 2 + (wave * o).sum() ** 2) ** 0.5 for e, o in zip(even, odd, strict=True)]
        assert strength[0] == pytest.approx(1, abs=0.05) and max(strength[1:]) < 0.4


def test_leak_is_what_the_results_differ_by_over_what_the_drivers_do(photo: Tensor, spoilt: Tensor) -> None:
    assert float(measure.leak(photo, photo, photo, spoilt)) == 0
    assert float(measure.leak(photo, spoilt, photo, spoilt)) == pytest.approx(1)
    assert float(measure.leak(photo, (photo + spoilt) / 2, photo, spoilt)) == pytest.approx(0.5, abs=1e-5)
