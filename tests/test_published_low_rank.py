"""LoRA: changes are read under all their names, added exactly, taken out again, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import published_made as made
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from understudy.errors import BadWeights
from understudy.generator.generator import Cues, Generator, Manner
from understudy.generator.unet import UNet
from understudy.published import low_rank

RANK, ALPHA = 2, 3.0
SPELLINGS = {
    "underscores": (lambda module: f"lora_unet_{module.replace('.', '_')}", "lora_down.weight", "lora_up.weight"),
    "dots": (lambda module: f"unet.{module}", "lora_A.weight", "lora_B.weight"),
    "older": (lambda module: f"unet.{module}", "lora.down.weight", "lora.up.weight"),
}


def fresh() -> UNet:
    net = made.stirred(UNet(made.x_portrait().unet))
    assert isinstance(net, UNet)
    return net


def pairs(net: UNet, spelling: str = "underscores") -> dict[str, Tensor]:
    """A change of everything that LCM-LoRA changes, by chance."""
    chance, found = torch.Generator().manual_seed(5), dict[str, Tensor]()
    named, down, up = SPELLINGS[spelling]
    for module, part in low_rank.changeable(net).items():
        if not module.endswith(low_rank.CHANGED):
            continue
        weight = part.get_parameter("weight")
        found[f"{named(module)}.{down}"] = torch.randn(RANK, *weight.shape[1:], generator=chance) * 0.1
        found[f"{named(module)}.{up}"] = torch.randn(weight.shape[0], RANK, *[1] * (weight.ndim - 2), generator=chance)
        found[f"{named(module)}.alpha"] = torch.tensor(ALPHA)
    return found


@pytest.mark.parametrize("spelling", list(SPELLINGS))
def test_changes_are_added_and_taken_out_again(spelling: str, tmp_path: Path) -> None:
    net, before = fresh(), fresh().state_dict()
    found = pairs(net, spelling)
    save_file(found, tmp_path / "lora.safetensors")
    changes, unknown = low_rank.read(tmp_path / "lora.safetensors", low_rank.changeable(net))
    assert unknown == [] and len(changes) == len(found) // 3 > 20
    low_rank.add(net, changes)
    named, down, up = SPELLINGS[spelling]
    for module in ("down_blocks.0.resnets.0.conv1", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"):
        small, large = found[f"{named(module)}.{down}"], found[f"{named(module)}.{up}"]
        by_hand = torch.einsum("or,ri...->oi...", large.flatten(1), small) * (ALPHA / RANK)
        assert torch.allclose(net.get_parameter(f"{module}.weight"), before[f"{module}.weight"] + by_hand, atol=1e-6)
    still = [name for name, value in net.state_dict().items() if torch.equal(value, before[name])]
    assert any("temporal_modules" in name for name in still) and all(
        name.removesuffix(".weight") not in changes for name in still
    )
    low_rank.add(net, changes, -1.0)
    assert all(torch.allclose(value, before[name], atol=1e-5) for name, value in net.state_dict().items())


def test_a_changed_layer_answers_as_layer_and_branch() -> None:
    """The sum of weights is the sum of what layer and branch answer."""
    layer, chance = torch.nn.Conv2d(3, 4, 3, padding=1), torch.Generator().manual_seed(0)
    change = low_rank.Change(torch.randn(2, 3, 3, 3, generator=chance), torch.randn(4, 2, 1, 1, generator=chance), 1.0)
    x = torch.randn(1, 3, 5, 5, generator=chance)
    branch = torch.nn.functional.conv2d(torch.nn.functional.conv2d(x, change.down, padding=1), change.up) / 2
    with torch.no_grad():
        wanted = layer(x) + branch
        low_rank.add(torch.nn.ModuleDict({"layer": layer}), {"layer": change})
        assert torch.allclose(layer(x), wanted, atol=1e-5)


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    net, before = fresh(), fresh().state_dict()
    found = pairs(net)
    name = next(name for name in found if name.endswith("lora_up.weight"))
    for spoilt in (torch.zeros(3, RANK), torch.full(found[name].shape, torch.nan)):
        save_file(found | {name: spoilt}, tmp_path / "lora.safetensors")
        changes, _ = low_rank.read(tmp_path / "lora.safetensors", low_rank.changeable(net))
        with pytest.raises(BadWeights, match="do not fit the net, or are no numbers"):
            low_rank.add(net, changes)
        assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_halves_and_strangers(tmp_path: Path) -> None:
    net = fresh()
    found = pairs(net)
    name = next(name for name in found if name.endswith("lora_up.weight"))
    save_file({key: value for key, value in found.items() if key != name}, tmp_path / "half.safetensors")
    with pytest.raises(BadWeights, match="halves of changes"):
        low_rank.read(tmp_path / "half.safetensors", low_rank.changeable(net))
    save_file({"lora_te_x.lora_up.weight": torch.ones(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(BadWeights, match=r"changes nothing here.*lora_te_x"):
        low_rank.read(tmp_path / "other.safetensors", low_rank.changeable(net))
    save_file(found | {"lora_te_x.alpha": torch.ones(())}, tmp_path / "more.safetensors")
    assert low_rank.read(tmp_path / "more.safetensors", low_rank.changeable(net))[1] == ["lora_te_x.alpha"]


def drawn(net: Generator, groups: list[int], seed: int = 0) -> Tensor:
    chance = torch.Generator().manual_seed(1)
    hints = tuple(torch.rand(11, 3, 32, 32, generator=chance) * 2 - 1 for _ in range(2))
    portrait = torch.rand(1, 3, 32, 32, generator=chance) * 2 - 1
    manner = Manner(steps=3, sampler="consistency", spacing="trailing", guidance=1.0, seed=seed)
    cues, at = [], 0
    for count in groups:
        cues.append(Cues(hints)[at : at + count])
        at += count
    with torch.no_grad():
        return torch.cat([*net.draw(net.likeness(portrait), cues, manner)])


def test_films_by_a_distilled_net() -> None:
    """Noised afresh after every step, and the same film whatever the chunks."""
    net = made.generator(made.x_portrait)
    one = drawn(net, [11])
    assert len(one) == 11 and bool(one.isfinite().all())
    assert torch.equal(one, drawn(net, [3, 5, 3])) and not torch.equal(one, drawn(net, [11], seed=1))
