"""How many numbers a model has, part by part, counted on the meta device: `understudy models NAME`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from understudy.errors import UnknownModel
from understudy.generator.generator import Generator, part
from understudy.models import Model
from understudy.motion.actor import Actor
from understudy.published.sources import X_PORTRAIT, X_PORTRAIT_2, sight_config
from understudy.published.tables import NOISE, shapes_of

SAID: Final = {
    "backbone": "U-Net: Stable Diffusion's part",
    "time": "U-Net: along the film",
    "motion": "U-Net: to the motion code",
    "reference": "reference net",
    "control 0": "control net: the whole face",
    "control 1": "control net: eyes and mouth",
    "autoencoder": "autoencoder",
    "encoder": "motion encoder",
    "context": "what everybody is told (kept)",
}
ACTING: Final = {
    "motion_in": "motion: in",
    "ear": "sound",
    "unheard": "sound: what stands for none",
    "level_1": "level: in",
    "level_2": "level: out",
    "wished": "wishes",
    "adapted": "adaptive norms of all blocks",
    "blocks": "blocks",
    "adapted_out": "the last adaptive norm",
    "motion_out": "motion: out",
    "mean": "motion: its mean",
    "deviation": "motion: its deviation",
}
TEXT_TOWER: Final = ("CLIP's text tower (published, not needed here)", 123_060_480, 196)
"""X-Portrait's file has it; one answer of it is kept. A test counts it in transformers' own class."""
UNET: Final = ("backbone", "motion", "time")


@dataclass(frozen=True)
class Part:
    """`entries`: tensors in a file, buffers included."""

    name: str
    parameters: int
    entries: int


@dataclass(frozen=True)
class Counted:
    """A model's parts, and what of it was published."""

    model: str
    parts: list[Part]
    parameters: int
    entries: int
    published: list[Part]


def counted(model: Model) -> Counted:
    """Errors: `UnknownModel` for one without networks; `MissingExtra` where a part is another library's own."""
    if model.config is not None:
        with torch.device("meta"):
            found = _sums(Generator(model.config()), part)
        said, published = SAID, _published(model, found)
    elif model.actor is not None:
        with torch.device("meta"):
            found = _sums(Actor(model.actor()), lambda name: name.partition(".")[0])
        said, published = ACTING, []
    else:
        raise UnknownModel(f"{model.name} has no networks to count", remedy="x-portrait, x-portrait-2 or a small one")
    parts = [Part(words, *found[name]) for name, words in said.items() if name in found]
    parameters, entries = (sum(column) for column in zip(*found.values(), strict=True))
    return Counted(model.name, parts, parameters, entries, published)


def _sums(net: nn.Module, part_of: Callable[[str], str]) -> dict[str, list[int]]:
    """Parameters and tensors of each part of a net."""
    trained = dict(net.named_parameters())
    found: dict[str, list[int]] = {}
    for name, value in net.state_dict().items():
        numbers = found.setdefault(part_of(name), [0, 0])
        numbers[0] += value.numel() if name in trained else 0
        numbers[1] += 1
    return found


def _published(model: Model, found: dict[str, list[int]]) -> list[Part]:
    """The published files' own sums."""
    unet = Part("U-Net", *map(sum, zip(*(found[name] for name in UNET if name in found), strict=True)))
    if model.name == X_PORTRAIT.name:
        nets = [numbers for name, numbers in found.items() if name != "context"]
        text, schedule = Part(*TEXT_TOWER), Part("schedule", 0, len(NOISE))
        return [unet, text, schedule, _sum("the whole file", [Part("", *n) for n in nets] + [text, schedule])]
    if model.name == X_PORTRAIT_2.name:
        from understudy.generator.sight import Sight

        tower = shapes_of(Sight, sight_config())
        numbers = sum(torch.Size(shape).numel() for name, (shape, _) in tower.items() if "position_ids" not in name)
        return [unet, Part("CLIP's picture tower (beside it)", numbers, len(tower))]
    return []


def _sum(name: str, parts: Iterable[Part]) -> Part:
    parts = list(parts)
    return Part(name, sum(each.parameters for each in parts), sum(each.entries for each in parts))
