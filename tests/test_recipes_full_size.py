"""X-Portrait's stages at full size, on nets of the published kind a few thousand times smaller."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import published_made as made
import pytest
import torch

from understudy import models, weights
from understudy.generator.generator import Generator, part
from understudy.recipes import named
from understudy.recipes.exam import places
from understudy.recipes.portrayal import prepare
from understudy.recipes.x_portrait import LEARNERS, XPortraitRecipe, task, x_portrait_stage
from understudy.train.loop import train

KNOWN = ("backbone", "autoencoder", "context")
"""What Stable Diffusion has, once it is converted."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion of chance, and pictures and films that were drawn ahead."""
    folder = tmp_path_factory.mktemp("full")
    net = made.generator(made.x_portrait)
    tensors = {name: value for name, value in net.state_dict().items() if part(name) in KNOWN}
    about = weights.About(name="sd", config=None, recipe={}, commit="", figures={}, storage="fp32")
    weights.save(folder / "sd.safetensors", tensors, about)
    for stage in ("spatial", "time"):
        list(prepare(toy(stage, folder), folder))
    return folder


def toy(stage: str, folder: Path, start: str = "sd.safetensors") -> XPortraitRecipe:
    recipe = x_portrait_stage(stage)
    return replace(
        recipe, plan=replace(recipe.plan, steps=2, batch=2, judge_every=2, save_every=2, warm_up=0, average=0.0),
        config=made.x_portrait(), start="+".join(str(folder / name) for name in start.split("+")),
        autoencoder=str(folder / "sd.safetensors"), pictures=10 if stage == "time" else 32,
        frames=4 if stage == "time" else 1, judged=1, storage="fp32", manner=replace(recipe.manner, steps=2),
    )  # fmt: skip


def learnt(recipe: XPortraitRecipe, ground: Path, out: Path) -> dict[str, torch.Tensor]:
    with closing(train(task(recipe, ground), out, device="cpu")) as going:
        for _ in going:
            pass
    return dict(weights.load(out / f"{recipe.name}.safetensors").tensors)


def test_what_is_new_begins_as_stable_diffusion(ground: Path) -> None:
    net = task(toy("spatial", ground), ground).model
    assert isinstance(net, Generator)
    state = net.state_dict()
    for home in ("reference.", "controls.0."):
        own = {name: state.get(f"unet.{name.removeprefix(home)}") for name in state if name.startswith(home)}
        alike = {name: value for name, value in own.items() if value is not None}
        assert len(alike) > 60 and all(torch.equal(state[name], value) for name, value in alike.items())
    assert not state["controls.0.controlnet_mid_block.weight"].any(), "and controls are silent at first"


def test_every_stage_goes_on_from_the_one_before_and_moves_its_own_parts_only(ground: Path, tmp_path: Path) -> None:
    start = "sd.safetensors"
    for stage in ("spatial", "local", "time"):
        recipe = toy(stage, ground, start)
        before = task(recipe, ground).model.state_dict()
        after = learnt(recipe, ground, tmp_path / stage)
        moved = {part(name) for name, value in after.items() if not torch.equal(before[name], value)}
        assert moved <= set(LEARNERS[stage]) and moved, stage
        (ground / f"{stage}.safetensors").write_bytes((tmp_path / stage / f"{recipe.name}.safetensors").read_bytes())
        start = f"{stage}.safetensors"
    assert {part(name) for name in after} == {part(name) for name in made.generator(made.x_portrait).state_dict()} - {
        "autoencoder"
    }


def test_motion_modules_may_come_from_another_file(ground: Path) -> None:
    """AnimateDiff's, beside what was learnt in the stages before."""
    tensors = {n: v for n, v in made.generator(made.x_portrait, 1).state_dict().items() if part(n) == "time"}
    about = weights.About(name="along", config=None, recipe={}, commit="", figures={}, storage="fp32")
    weights.save(ground / "along.safetensors", tensors, about)
    state = task(toy("time", ground, "sd.safetensors+along.safetensors"), ground).model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in tensors.items())
    assert torch.equal(state["reference.conv_in.weight"], state["unet.conv_in.weight"]), "new in both files"


def test_it_is_the_published_model_that_learns() -> None:
    for stage in ("spatial", "local", "time"):
        recipe = named(f"x-portrait-{stage}").recipe()  # type: ignore[union-attr]
        assert isinstance(recipe, XPortraitRecipe) and recipe.config == models.x_portrait()
        assert recipe.manner == models.published_manner()
    with torch.device("meta"):
        net = Generator(models.x_portrait())
    counted = {name: sum(v.numel() for v in net.get_submodule(name).parameters(recurse=False)) for name in
               places(net, LEARNERS["time"])}  # fmt: skip
    assert sum(counted.values()) == 417_137_600, "AnimateDiff's motion modules, and nothing else"
