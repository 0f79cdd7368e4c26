"""The nodes, used as ComfyUI uses nodes: classes by name, inputs by their types, tuples back."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from animate_made import astronaut, driver_frames

from understudy.errors import BadOption

FOLDER = Path(__file__).resolve().parent.parent / "integrations" / "comfyui"
KINDS = {"IMAGE", "AUDIO", "INT", "FLOAT", "STRING", "BOOLEAN", "UNDERSTUDY_MOTION"}


@pytest.fixture(scope="module")
def nodes() -> ModuleType:
    """As ComfyUI's `load_custom_node` imports a folder."""
    spec = importlib.util.spec_from_file_location(
        "custom_nodes_understudy", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def image(pictures: list[np.ndarray]) -> Any:
    return torch.stack([torch.from_numpy(picture.copy()).float() / 255 for picture in pictures])


def test_every_node_says_what_it_takes_and_gives(nodes: ModuleType) -> None:
    assert set(nodes.NODE_CLASS_MAPPINGS) == set(nodes.NODE_DISPLAY_NAME_MAPPINGS)
    for node in nodes.NODE_CLASS_MAPPINGS.values():
        assert isinstance(node.CATEGORY, str) and len(node.RETURN_NAMES) == len(node.RETURN_TYPES)
        assert set(node.RETURN_TYPES) <= KINDS
        wanted = {}
        for group in node.INPUT_TYPES().values():
            wanted |= group
        for kind, *options in wanted.values():
            assert isinstance(kind, list) or kind in KINDS
            if isinstance(kind, list):
                assert options[0]["default"] in kind
        taken = set(inspect.signature(getattr(node, node.FUNCTION)).parameters) - {"self"}
        assert taken == set(wanted)


def call(nodes: ModuleType, name: str, **given: Any) -> tuple[Any, ...]:
    """As ComfyUI's executor does: an instance, the function by its name, inputs by theirs."""
    node = nodes.NODE_CLASS_MAPPINGS[name]()
    found = getattr(node, node.FUNCTION)(**given)
    assert isinstance(found, tuple) and len(found) == len(node.RETURN_TYPES)
    for value, kind in zip(found, node.RETURN_TYPES, strict=True):
        if kind == "IMAGE":
            assert value.dtype == torch.float32 and value.ndim == 4 and value.shape[-1] == 3
            assert float(value.min()) >= 0 and float(value.max()) <= 1
    return found


def test_a_picture_performs_and_motion_read_once_gives_the_same(nodes: ModuleType) -> None:
    portrait, driving = image([astronaut()]), image(list(driver_frames(8)))
    common = {"portrait": portrait, "strength": 1.0}
    frames, fps = call(nodes, "UnderstudyAnimate", **common, driving=driving, fps=24.0, model="warp", seed=0)
    assert frames.shape == (8, 512, 512, 3) and fps == 24.0
    moved = (frames - portrait).abs().mean((1, 2, 3))
    assert float(moved.max()) > 0.003  # it performs
    (motion,) = call(nodes, "UnderstudyReadMotion", driving=driving, fps=24.0)
    again, rate = call(nodes, "UnderstudyPlay", **common, motion=motion)
    assert rate == 24.0 and float((again - frames).abs().mean()) < 0.002  # kept motion is rounded to 16 bits
    Path(motion).unlink()


def test_what_is_no_picture_is_refused_in_words(nodes: ModuleType) -> None:
    two = image([astronaut(), astronaut()])
    with pytest.raises(BadOption):
        call(nodes, "UnderstudyAnimate", portrait=two, driving=two, fps=25.0, model="warp", strength=1.0, seed=0)
    with pytest.raises(BadOption):
        call(nodes, "UnderstudyReadMotion", driving=torch.zeros(3, 8, 8), fps=25.0)


def test_sounds_are_what_comfyui_means_by_them(nodes: ModuleType) -> None:
    module = sys.modules["custom_nodes_understudy.nodes"]
    waves = torch.linspace(-2, 2, 100).reshape(1, 2, 50)
    sound = module.sound({"waveform": waves, "sample_rate": 16_000})
    assert sound.samples.shape == (50, 2) and sound.rate == 16_000
    assert np.allclose(sound.samples[:, 0], waves[0, 0].clamp(-1, 1).numpy())
    with pytest.raises(BadOption):
        module.sound({"waveform": waves[0], "sample_rate": 16_000})


def test_a_picture_speaks(nodes: ModuleType) -> None:
    tone = 0.3 * torch.sin(torch.arange(16_000) * 0.1) * (torch.sin(torch.arange(16_000) * 0.002) > 0)
    voice = {"waveform": tone[None, None], "sample_rate": 16_000}
    frames, fps, sound = call(
        nodes, "UnderstudyAct", portrait=image([astronaut()]), voice=voice, model="warp", strength=1.0, seed=0
    )
    assert abs(len(frames) / fps - 1) < 0.1 and sound is voice
