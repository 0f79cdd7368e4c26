"""Recipes are values, and fields are changed by name."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from understudy import recipes
from understudy.errors import BadOption
from understudy.recipes.autoencoder import autoencoder_small
from understudy.recipes.recipe import changed, names, public


def test_listing_is_quick() -> None:
    """Nothing heavy is imported to say what can be trained."""
    script = "import sys; from understudy import recipes; [r.name for r in recipes.ALL]; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "numpy", "cv2"} & set(eval(done.stdout))


def test_near_misses_are_named() -> None:
    assert recipes.named("autoencoder-small").name == "autoencoder-small"
    with pytest.raises(BadOption, match="understudy train autoencoder-small"):
        recipes.named("autoencoder-smal")


def test_fields_are_changed_and_keep_their_types() -> None:
    words = [
        "plan.steps=1_000",
        "kl=1e-5",
        "config.widths=8,16",
        "plan.bf16=no",
        "start=a=b.safetensors",
        "storage=int8",
    ]
    value = changed(autoencoder_small(), words)
    assert (value.plan.steps, value.kl, value.config.widths) == (1000, 1e-5, (8, 16))
    assert (value.plan.bf16, value.start, value.storage) == (False, "a=b.safetensors", "int8")
    assert value.plan.batch == autoencoder_small().plan.batch
    assert value.name == "autoencoder-small"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("plan.step=3", r"Try: plan\.steps="),
        ("stps=3", r"plan\.steps"),
        ("plan=3", "no field plan"),
        ("kl.x=3", "no field"),
        ("plan.steps=many", "many.*int"),
        ("plan.bf16=maybe", "maybe.*bool"),
        ("plan.steps", "no = in it"),
        ("plan.steps=0", "steps=0"),
        ("storage=int4", "int4.*fp32, bf16, int8"),
    ],
)
def test_what_cannot_be_changed_is_explained(word: str, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        changed(autoencoder_small(), [word])


def test_every_field_has_a_name_and_recipes_are_frozen() -> None:
    value = autoencoder_small()
    assert {"plan.steps", "config.scale", "critic.widths", "rate", "name"} <= set(names(value))
    assert len(names(value)) == len(set(names(value)))
    with pytest.raises(AttributeError):
        value.rate = 1.0  # type: ignore[misc]
    assert hash(value) == hash(autoencoder_small())


def test_weights_do_not_say_where_files_lay() -> None:
    recipe = replace(autoencoder_small(), start=f"{os.sep}somewhere{os.sep}before.safetensors")
    assert public(recipe)["start"] == "before.safetensors" and public(recipe)["rate"] == recipe.rate
    two = replace(recipe, start=f"{os.sep}old{os.sep}films.safetensors+{os.sep}new{os.sep}pictures.safetensors")
    assert public(two)["start"] == "films.safetensors+pictures.safetensors"
