"""What control nets are shown."""

from __future__ import annotations

import torch

from understudy.generator.hints import BLACK, aligned, between, moved, patched, stretched

SAME = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])


def pictures(count: int = 2, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_map_that_changes_nothing_changes_nothing() -> None:
    seen = pictures()
    assert torch.allclose(aligned(seen, SAME, 32), seen, atol=1e-5)


def test_a_whole_shift_moves_pixels_and_leaves_black_behind() -> None:
    seen = pictures()
    shift = torch.tensor([[[1.0, 0.0, 5.0], [0.0, 1.0, -3.0]]])
    result = aligned(seen, shift, 32)
    assert torch.allclose(result[:, :, :-3, 5:], seen[:, :, 3:, :-5], atol=1e-5)
    assert torch.all((result[:, :, :, :4] - BLACK).abs() < 1e-5)
    assert torch.all((result[:, :, -2:] - BLACK).abs() < 1e-5)


def test_points_and_pictures_move_alike() -> None:
    seen = torch.full((1, 3, 64, 64), -1.0)
    seen[:, :, 20:23, 40:43] = 1.0  # a dot, its middle at (41.5, 21.5)
    maps = torch.tensor([[[0.5, 0.0, 3.0], [0.0, 1.5, -10.0]]])
    bright = aligned(seen, maps, 64)[0, 0] + 1
    at = torch.arange(64) + 0.5
    middle = torch.stack([(bright.sum(0) * at).sum(), (bright.sum(1) * at).sum()]) / bright.sum()
    wanted = moved(torch.tensor([[[41.5, 21.5]]]), maps)[0, 0]
    assert torch.allclose(middle, wanted, atol=0.1)


def test_the_map_between_faces_lays_one_over_the_other() -> None:
    chance = torch.Generator().manual_seed(1)
    driver = torch.rand(3, 20, 2, generator=chance) * 50
    stretch, shift = torch.tensor([1.3, 0.8]), torch.tensor([7.0, -2.0])
    portrait = driver * stretch + shift
    assert torch.allclose(moved(driver, between(driver, portrait)), portrait, atol=1e-3)
    assert torch.allclose(between(driver, driver), SAME.expand(3, 2, 3), atol=1e-4)


def test_a_stretch_keeps_the_point_that_it_is_about() -> None:
    about = torch.tensor([[10.0, 20.0]])
    maps = stretched(torch.tensor([[1.5, 0.5]]), about)
    assert torch.allclose(moved(about[:, None], maps)[:, 0], about)


def test_patches_are_squares_and_all_else_is_black() -> None:
    seen = torch.zeros(1, 3, 64, 64)
    centres = torch.tensor([[[20.0, 30.0], [63.0, 1.0], [float("nan"), 5.0]]])
    shown = patched(seen, centres)[0, 0] > BLACK
    assert shown.sum() == 2 * 16 * 16
    assert shown[22:38, 12:28].all() and shown[:16, 48:].all()
