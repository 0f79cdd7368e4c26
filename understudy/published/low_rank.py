"""Low-rank changes (LoRA): small pairs of matrices whose product is added to the weights. LCM-LoRA is one.

In files each pair goes by the name of the diffusers module that it changes, which is the name of ours: with
underscores for dots in the older files, which LCM-LoRA's is; with dots and `lora_A`, `lora_B` in the newer ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from understudy.errors import BadWeights
from understudy.published.reading import opened

CHANGED: Final = (
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "proj_in",
    "proj_out",
    "ff.net.0.proj",
    "ff.net.2",
    "conv1",
    "conv2",
    "conv_shortcut",
    "downsamplers.0.conv",
    "upsamplers.0.conv",
    "time_emb_proj",
)
"""The ends of the names of what LCM-LoRA changes (its training script)."""
KINDS: Final = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "alpha": "alpha",
}
_NAME: Final = re.compile(r"(?P<module>.+?)\.(?P<kind>" + "|".join(re.escape(kind) for kind in KINDS) + ")")


@dataclass(frozen=True)
class Change:
    """One pair: up (out, r, ...) times down (r, in, ...), times alpha / r."""

    down: Tensor
    up: Tensor
    alpha: float

    def weight(self) -> Tensor:
        """What is added, in the shape of the weight, fp32."""
        rank = self.down.shape[0]
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return (self.alpha / rank) * product.reshape(self.up.shape[0], *self.down.shape[1:])


def homes(modules: Iterable[str]) -> dict[str, str]:
    """The modules of a U-Net by the names that they have in files: with underscores, and with dots."""
    found: dict[str, str] = {}
    for module in modules:
        for foreign in (f"lora_unet_{module.replace('.', '_')}", f"unet.{module}", f"base_model.model.{module}"):
            if foreign in found:
                raise BadWeights(f"{found[foreign]} and {module} go by one name in files of LoRA", foreign)
            found[foreign] = module
    return found


def changeable(unet: nn.Module) -> dict[str, nn.Module]:
    """What a LoRA for Stable Diffusion's U-Net may change: every matrix and convolution of its own, none of motion's
    and time's."""
    return {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and "temporal_modules" not in name and "motion_modules" not in name
    }


def read(path: Path, modules: Iterable[str]) -> tuple[dict[str, Change], list[str]]:
    """The changes in a file by our module's name, and the names in it that nothing here goes by.

    Errors: `BadWeights` for a pair of which one half is missing; those of `reading.opened`."""
    known, parts, unknown = homes(modules), dict[str, dict[str, Tensor]](), list[str]()
    with opened(path) as file:
        for name in file.shapes:
            found = _NAME.fullmatch(name)
            module = known.get(found["module"]) if found else None
            if found is None or module is None:
                unknown.append(name)
                continue
            parts.setdefault(module, {})[KINDS[found["kind"]]] = file.get(name)
    halves = [module for module, pair in parts.items() if not {"down", "up"} <= pair.keys()]
    if halves:
        raise BadWeights(f"{path} has halves of changes", ", ".join(halves), "fetching it again")
    if not parts:
        raise BadWeights(f"{path} changes nothing here", f"names such as {', '.join(unknown[:3]) or 'none'}")
    changes = {
        module: Change(pair["down"], pair["up"], float(pair.get("alpha", torch.tensor(pair["down"].shape[0]))))
        for module, pair in parts.items()
    }
    return changes, unknown


@torch.no_grad()
def add(unet: nn.Module, changes: Mapping[str, Change], strength: float = 1.0) -> None:
    """Puts changes into the weights of a U-Net, in fp32 and rounded once. `strength` -1 takes them out again.

    Errors: `BadWeights` that lists what does not fit; then nothing was changed."""
    places = {name: unet.get_parameter(f"{name}.weight") for name in changes}
    added = {name: change.weight() for name, change in changes.items()}
    unfit = [
        f"{name}: {tuple(value.shape)} for {tuple(places[name].shape)}"
        for name, value in added.items()
        if not _fits(value, places[name]) or not bool(value.isfinite().all())
    ]
    if unfit:
        raise BadWeights("these changes do not fit the net, or are no numbers", ", ".join(unfit), "a LoRA for SD 1.5")
    for name, value in added.items():
        place = places[name]
        place.copy_((place.float() + strength * value.reshape(place.shape).to(place.device)).to(place.dtype))


def _fits(value: Tensor, place: Tensor) -> bool:
    """A matrix and a convolution of 1x1 are the same."""
    return value.numel() == place.numel() and value.shape[:2] == place.shape[:2]
