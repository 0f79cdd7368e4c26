"""A decoder that learns from what generators say, at a toy width."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy import SMALL, by_chance, store
from toy_code import by_chance as coded_by_chance

from understudy import weights
from understudy.data import shards
from understudy.data.ensemble import Ensembles
from understudy.errors import BadOption
from understudy.generator.autoencoder import Autoencoder
from understudy.recipes import autoencoder, finish
from understudy.recipes.finish import EACH, FOLDER, FinishRecipe, finish_small, prepare, task
from understudy.train.loop import Step, train

SIZE = 32


def toy(folder: Path, **others: object) -> FinishRecipe:
    recipe = finish_small()
    net = by_chance()
    store(folder, net, {})
    rest = {name: value for name, value in coded_by_chance().state_dict().items() if not name.startswith("autoencoder")}
    about = weights.load(folder / f"{SMALL}.safetensors").about
    about = replace(about, name="coded", config=coded_by_chance().config, storage="fp32")
    weights.save(folder / "coded.safetensors", rest, about)
    plan = replace(recipe.plan, steps=4, batch=4, judge_every=4, save_every=2, warm_up=0)
    return replace(
        recipe, plan=plan, size=SIZE, pictures=32, config=net.config.autoencoder, start=str(folder / "autoencoder-small"
        ".safetensors"), critic=replace(recipe.critic, widths=(8, 16), groups=4), said=EACH + 32, judged=32,
        generators=f"{folder / f'{SMALL}.safetensors'}+{folder / 'coded.safetensors'}", storage="fp32", **others,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two generators of chance, and what they have said."""
    folder = tmp_path_factory.mktemp("finish")
    recipe = toy(folder)
    assert [*prepare(recipe, folder)][-1] == (recipe.said, recipe.said)
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn for every exam."""
    monkeypatch.setattr(finish, "_JUDGED", 3)


def run(recipe: FinishRecipe, folder: Path, out: Path) -> list[Step]:
    with closing(train(task(recipe, folder), out, device="cpu")) as going:  # type: ignore[type-var]
        return list(going)


def test_only_the_decoder_learns_and_half_of_what_it_hears_is_said(ground: Path, tmp_path: Path) -> None:
    recipe = toy(ground)
    said = shards.Shards(ground / FOLDER).at(range(recipe.said))
    one, other = said["latent"][:32], said["latent"][32:64]  # an ensemble each, of two generators
    assert not torch.equal(one, other) and said["picture"].shape == (recipe.said, 3, SIZE, SIZE)
    learnt = Ensembles(size=SIZE).batch(range(32))["picture"]
    assert not any((picture == learnt).flatten(1).all(1).any() for picture in said["picture"])  # other people
    batch = task(recipe, ground).data.batch(range(4))
    assert batch["said"].tolist() == [False, True, False, True]
    assert not batch["latent"][0].any() and batch["latent"][1].any()
    last = run(recipe, ground, tmp_path / "out")[-1]
    assert {"psnr", "sharpness", "said_psnr", "said_psnr_fine", "said_sharpness"} <= set(last.scores)
    before, after = (
        weights.load(path) for path in (Path(recipe.start), tmp_path / "out" / f"{recipe.name}.safetensors")
    )
    moved = {name for name, value in before.tensors.items() if not torch.equal(value, after.tensors[name])}
    assert moved and all(name.startswith(("decoder", "post_quant_conv")) for name in moved)
    assert weights.fill(Autoencoder(after.about.config), after) == []
    assert after.about.config.scale == before.about.config.scale


def test_what_is_kept_lies_between_what_was_and_what_was_learnt(ground: Path, tmp_path: Path) -> None:
    recipe = toy(ground)
    found = [weights.load(Path(recipe.start)).tensors]
    for kept in (0.0, 0.25, 1.0):
        run(replace(recipe, kept=kept), ground, tmp_path / str(kept))
        found.append(weights.load(tmp_path / str(kept) / f"{recipe.name}.safetensors").tensors)
    name = "decoder.conv_in.weight"
    begun, none, some, all_of_it = (tensors[name].float() for tensors in found)
    assert torch.allclose(none, begun, atol=1e-6) and not torch.allclose(all_of_it, begun, atol=1e-4)
    assert torch.allclose(some, torch.lerp(begun, all_of_it, 0.25), atol=1e-5)


def test_what_was_said_is_decoded_as_drawing_decodes_it(ground: Path) -> None:
    """The latents that a decoder is given in training are those that it is given in films."""
    whole = task(toy(ground), ground)
    batch, net = whole.data.batch([0, 1]), whole.model.autoencoder
    assert net.config.scale == pytest.approx(0.7)
    own = torch.randn(2, 2, 8, 8)
    given = autoencoder.given(own, batch, net.config)
    assert torch.equal(given[0], own[0])  # what the encoder says stays as it is
    assert torch.equal(net.decode(batch["latent"][1:].float()), net.reconstruct(given[1:]).float())


def test_answers_of_others_are_refused(ground: Path) -> None:
    recipe = toy(ground)
    (ground / "another.safetensors").write_bytes((ground / "coded.safetensors").read_bytes())
    list(prepare(replace(recipe, generators=recipe.generators.replace("coded", "another")), ground))  # the same net
    with pytest.raises(BadOption, match="other samples"):
        list(prepare(replace(recipe, generators=recipe.generators.split("+")[0]), ground))


def test_too_few_answers_are_refused(tmp_path: Path) -> None:
    for wrong in ({"said": 32}, {"judged": 24}, {"pictures": 0}):
        with pytest.raises(BadOption, match="in groups of 32"):
            task(replace(toy(tmp_path), **wrong), tmp_path)
    with pytest.raises(BadOption, match="not a generator"):
        list(prepare(replace(toy(tmp_path), generators=str(tmp_path / "autoencoder-small.safetensors")), tmp_path))
