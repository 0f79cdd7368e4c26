"""Weights on disk say what they are, and nothing is silently different."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from understudy import models, weights
from understudy.errors import BadOption, BadWeights, MissingFile
from understudy.generator.autoencoder import Autoencoder

TOY = replace(models.small_autoencoder(), widths=(16, 32), groups=8)


def about(storage: weights.Storage, config: object = TOY) -> weights.About:
    return weights.About(
        name="toy", config=config, recipe={"plan": {"steps": 3}}, commit="abc", figures={"psnr": 28.5}, storage=storage
    )


def toy() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(TOY).eval()


def psnr(one: Tensor, other: Tensor) -> float:
    return float(10 * torch.log10(4 / ((one - other) ** 2).mean()))


@pytest.mark.parametrize(("storage", "at_most", "least"), [("fp32", 4.1, 200), ("bf16", 2.2, 50), ("int8", 1.4, 45)])
def test_what_storage_costs(tmp_path: Path, storage: weights.Storage, at_most: float, least: float) -> None:
    """Bytes a number, and how near (dB) the stored net's answer is to the net's. Independent errors add up: a net that
    is 28 dB from the truth loses 10 log10(1 + 10^-1.7) = 0.09 dB by another error at 45 dB; so 0.1 dB is kept to."""
    net = toy()
    path = tmp_path / "toy.safetensors"
    weights.save(path, net.state_dict(), about(storage))
    again = Autoencoder(TOY).eval()
    assert weights.fill(again, weights.load(path)) == []
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        near = psnr(again.decode(again.encode(pictures)), net.decode(net.encode(pictures)))
    assert near > least
    numbers = sum(value.numel() for value in net.state_dict().values())
    assert path.stat().st_size < at_most * numbers + 20_000


def test_every_channel_has_its_own_scale(tmp_path: Path) -> None:
    """A channel a thousand times smaller than its neighbour keeps as many digits."""
    matrix = torch.randn(4, 50, generator=torch.Generator().manual_seed(2)) * torch.tensor([1e-3, 1, 0, 1e3])[:, None]
    weights.save(tmp_path / "m.safetensors", {"m": matrix}, about("int8"))
    back = weights.load(tmp_path / "m.safetensors").tensors["m"]
    assert float(((back - matrix).abs() / matrix.abs().amax(1, keepdim=True).clamp_min(1e-9)).max()) <= 0.5 / 127 + 1e-6
    assert not back[2].any()


def test_names_that_end_in_scale_are_names(tmp_path: Path) -> None:
    given = {"a": torch.ones(3), "a.scale": torch.ones(2), "n": torch.tensor([3, 4])}
    weights.save(tmp_path / "m.safetensors", given, about("int8"))
    back = weights.load(tmp_path / "m.safetensors").tensors
    assert back.keys() == given.keys() and torch.equal(back["n"], given["n"])


@pytest.mark.parametrize("config", [models.x_portrait(), models.x_portrait_2_small(), models.small_autoencoder(), None])
def test_the_header_says_everything(tmp_path: Path, config: object) -> None:
    path = tmp_path / "m.safetensors"
    weights.save(path, {"m": torch.ones(2, 2)}, about("bf16", config))
    read = weights.load(path).about
    assert read == about("bf16", config)
    with safe_open(path, "pt") as file:  # and says it to anybody, in JSON
        assert json.loads(file.metadata()["understudy"])["figures"] == {"psnr": 28.5}


def test_configs_that_nobody_knows_are_refused() -> None:
    with pytest.raises(ValueError, match="Popen"):
        weights.from_json({"kind": "Popen", "args": "ls"}, weights.configs())
    with pytest.raises(TypeError, match="Path"):
        weights.as_json({"here": Path()})


def test_what_is_missing_is_listed_and_what_is_unknown_too(tmp_path: Path) -> None:
    net = nn.ModuleDict({"one": nn.Linear(2, 2), "two": nn.Linear(2, 2)})
    state = net.state_dict()
    few = weights.Weights(about("fp32"), {k: v for k, v in state.items() if not k.startswith("two")})
    with pytest.raises(BadWeights, match=r"2 of 4 .*two\.weight, two\.bias"):
        weights.fill(net, few)
    more = weights.Weights(about("fp32"), state | {"three": torch.ones(1)})
    (warning,) = weights.fill(net, more)
    assert "three" in warning and "two" not in warning
    with pytest.raises(BadWeights, match=r"one\.weight: \(3, 2\) for \(2, 2\)"):
        weights.fill(net, weights.Weights(about("fp32"), state | {"one.weight": torch.ones(3, 2)}))


def test_damaged_foreign_and_absent_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(MissingFile):
        weights.load(tmp_path / "none.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(BadWeights, match="not a file of Understudy"):
        weights.load(tmp_path / "foreign.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "foreign.safetensors").read_bytes()[:-2])
    with pytest.raises(BadWeights, match="damaged"):
        weights.load(tmp_path / "half.safetensors")


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    weights.save(tmp_path / "m.safetensors", {"m": torch.ones(2)}, about("fp32"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors"]


def test_weights_between_two_are_either_at_the_ends_and_refuse_strangers(tmp_path: Path) -> None:
    one, other = (weights.Weights(about("fp32"), {"m": torch.randn(3, 4), "b": torch.randn(3)}) for _ in range(2))
    for share, like in ((0.0, one), (1.0, other)):
        found = weights.between(one, other, share)
        assert all(torch.equal(value, like.tensors[name]) for name, value in found.tensors.items())
    middle = weights.between(one, other, 0.25)
    assert torch.allclose(middle.tensors["b"], 0.75 * one.tensors["b"] + 0.25 * other.tensors["b"])
    assert middle.about.recipe["between"]["share"] == 0.25 and "psnr" not in middle.about.figures
    weights.save(tmp_path / "between.safetensors", middle.tensors, middle.about)
    assert weights.load(tmp_path / "between.safetensors").about.recipe == middle.about.recipe
    with pytest.raises(BadOption, match="from 0 to 1"):
        weights.between(one, other, 1.5)
    with pytest.raises(BadWeights, match="not weights of one net"):
        weights.between(one, weights.Weights(about("fp32"), {"m": torch.randn(3, 5), "b": torch.randn(3)}), 0.5)
