"""Muon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_train_loop import run, tensors
from torch import nn
from train_made import task

from understudy.train.muon import Muon, inner, orthogonal


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_the_orthogonal_matrix_keeps_directions_and_forgets_sizes(shape: tuple[int, int]) -> None:
    chance = torch.Generator().manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape, generator=chance), full_matrices=False)
    sizes = torch.linspace(0.2, 3, min(shape))
    result = orthogonal((left @ torch.diag(sizes) @ right)[None])[0]
    assert (torch.linalg.svdvals(result) - 1).abs().max() < 0.4
    inside = left.T @ result @ right.T  # diagonal, if no direction was turned
    assert (inside - torch.diag(inside.diagonal())).abs().max() < 0.06


def test_first_and_last_layers_and_vectors_are_not_inner() -> None:
    kernel, vector = torch.zeros(8, 4, 3, 3), torch.zeros(8)
    assert inner("decoder.up.conv1.weight", kernel)
    assert not inner("decoder.conv_in.weight", kernel)
    assert not inner("decoder.conv_out.weight", kernel)
    assert not inner("decoder.up.norm1.weight", vector)


def test_it_finds_what_is_to_be_found() -> None:
    torch.manual_seed(0)
    truth, net = nn.Linear(12, 6), nn.Linear(12, 6)
    optimiser = Muon(dict(net.named_parameters()), lr=0.05, betas=(0.9, 0.99), weight_decay=0.0)
    x = torch.randn(256, 12)
    for step in range(300):
        for group in optimiser.param_groups:
            group["lr"] = 0.05 * (1 - step / 300)
        loss = (net(x) - truth(x)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 1e-3


def test_a_run_with_it_resumes_bit_for_bit(tmp_path: Path) -> None:
    def made():  # type: ignore[no-untyped-def]
        one = task()
        return replace(one, turns=tuple(replace(turn, optimiser="muon") for turn in one.turns))

    whole = run(made(), tmp_path / "whole")
    begun = run(made(), tmp_path / "parts", 2)
    assert [step.values for step in begun + run(made(), tmp_path / "parts")] == [step.values for step in whole]
    first, second = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert any("momentum" in name for name in first) and any("square" in name for name in first)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
