"""Varied pictures: in range, each sample alone, the person in front left where it is."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from understudy.data.vary import FOOTAGE, NOTHING, Variation, varied
from understudy.errors import BadOption
from understudy.train.task import Chance

SIZE = 72  # no multiple of 16: blocks at the edge are cut
KINDS = [field.name for field in fields(Variation)]


def material(count: int = 6) -> tuple[Tensor, Tensor]:
    """Smooth coloured pictures, and a disk in front of a background."""
    place = torch.linspace(-1, 1, SIZE)
    down, right = torch.meshgrid(place, place, indexing="ij")
    number = torch.arange(count)[:, None, None]
    fine = torch.sin(30 * right * down)
    picture = torch.stack([torch.sin(3 * right + number), torch.cos(4 * down - number), fine + 0 * number], 1)
    behind = torch.sigmoid((right**2 + down**2 - 0.4) * 40)
    return picture * 0.8, behind.expand(count, 1, -1, -1).clone()


def only(kind: str) -> Variation:
    return replace(NOTHING, **{kind: 1.0})


def chance(*numbers: int) -> Chance:
    return Chance(7, numbers)


@pytest.mark.parametrize("kind", [*KINDS, "all"])
def test_a_sample_does_not_depend_on_its_neighbours(kind: str) -> None:
    pictures, behind = material()
    variation = FOOTAGE if kind == "all" else only(kind)
    together = varied(pictures, behind, chance(0, 1, 2, 3, 4, 5), variation, pictures.flip(0))
    for rows in ([0, 1], [4], [5, 2, 3]):
        apart = varied(pictures[rows], behind[rows], chance(*rows), variation, pictures.flip(0)[rows])
        assert torch.equal(apart, together[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_pictures_and_keeps_the_range(kind: str) -> None:
    pictures, behind = material()
    out = varied(pictures, behind, chance(*range(6)), only(kind))
    assert out.shape == pictures.shape and out.dtype == pictures.dtype
    assert out.abs().max() <= 1 and bool(out.isfinite().all())
    assert (out - pictures).abs().mean() > 2e-3


def test_nothing_is_nothing() -> None:
    pictures, behind = material()
    assert torch.allclose(varied(pictures, behind, chance(*range(6)), NOTHING), pictures, atol=1e-6)


def test_another_background_leaves_the_person() -> None:
    pictures, behind = material()
    out = varied(pictures, behind, chance(*range(6)), only("background"), pictures.flip(0))
    change = (out - pictures).abs().amax(1, keepdim=True)
    assert change[behind < 1e-6].max() < 1e-4
    assert change[behind > 0.99].mean() > 0.2


def test_likelihoods_are_kept() -> None:
    pictures, behind = material(1)
    count = 200
    many = varied(
        pictures.expand(count, -1, -1, -1), behind.expand(count, -1, -1, -1), chance(*range(count)),
        replace(NOTHING, light=0.3),
    )  # fmt: skip
    share = float(((many - pictures).abs().amax((1, 2, 3)) > 1e-4).float().mean())
    assert 0.2 < share < 0.4


def test_the_same_number_is_varied_alike_and_others_otherwise() -> None:
    pictures, behind = material(1)
    out = varied(pictures.expand(3, -1, -1, -1), behind.expand(3, -1, -1, -1), chance(4, 4, 9), only("colour"))
    assert torch.equal(out[0], out[1])
    assert not torch.allclose(out[0], out[2], atol=0.02)


def test_blur_moves_no_edge() -> None:
    """Edges stay where they are, within what a blur widens."""
    pictures = -torch.ones(4, 3, SIZE, SIZE)
    pictures[..., SIZE // 2 :] = 1
    behind = torch.zeros(4, 1, SIZE, SIZE)
    out = varied(pictures, behind, chance(*range(4)), only("blur")).mean(1)
    assert torch.allclose(out + out.flip(-1), torch.zeros(()), atol=1e-4)  # still odd about the edge
    assert (out[..., SIZE // 2 :] > 0).all()


def test_compression_keeps_even_pictures_and_loses_fine_ones() -> None:
    even = torch.full((2, 3, SIZE, SIZE), 0.3)
    behind = torch.zeros(2, 1, SIZE, SIZE)
    assert (varied(even, behind, chance(0, 1), only("compression")) - 0.3).abs().max() < 0.08
    fine = 0.1 * torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    kept = varied(fine, behind, chance(0, 1), only("compression"))
    assert (kept.std((1, 2, 3)) < 0.8 * fine.std((1, 2, 3))).all()


def test_bad_values_are_refused() -> None:
    with pytest.raises(BadOption, match=r"blur=1\.5"):
        replace(FOOTAGE, blur=1.5)
    pictures, behind = material()
    with pytest.raises(BadOption, match="background"):
        varied(pictures, behind[:, 0], chance(*range(6)))
