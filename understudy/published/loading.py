"""Full-size nets with their weights in, and no more memory than they take: built without any, filled one tensor at a
time, each in the type in which it will be computed with and on the device where."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from understudy import weights
from understudy.errors import BadWeights
from understudy.generator.generator import GeneratorConfig
from understudy.generator.sight import Sight, SightConfig
from understudy.generator.tiny import TinyAutoencoder, TinyAutoencoderConfig
from understudy.motion.encoder import Encoder
from understudy.published.thrifty import PARTS, Thrifty


def config(path: Path) -> GeneratorConfig:
    """What a converted file's generator is. Errors: `BadWeights` for what is no file of ours, or not of a generator."""
    with _file(path) as (found, _):
        if not isinstance(found, GeneratorConfig):
            raise BadWeights(f"{path} is not of a generator", f"{type(found).__name__}", "understudy weights convert")
        return found


def generator(path: Path, dtype: torch.dtype, device: torch.device | str, offload: tuple[str, ...] = ()) -> Thrifty:
    """A converted file's generator; what is in `offload` is not on the device, see `thrifty`. An encoder of motion
    stays in fp32: it is small, and what it reads is kept in motion files. Errors: `BadWeights` as `config`, and one
    that lists what is missing or does not fit."""
    known = config(path)

    def refill(name: str, where: torch.device) -> None:
        with _file(path) as (_, tensors):
            own = {key.removeprefix(f"{name}."): get for key, get in tensors.items() if key.startswith(f"{name}.")}
            _fill(net.get_submodule(name), own, path, dtype, where)

    with torch.device("meta"):
        net = Thrifty(replace(known, encoder=None), refill)
    net.config = known
    net.encoder = Encoder(known.encoder) if known.encoder else None  # it has tables that no file holds
    away = tuple(f"{PARTS[part]}." for part in offload)
    with _file(path) as (_, tensors):
        _fill(net, tensors, path, dtype, device, away, exact=("encoder.",))
    net.sent_away(offload)
    return net.eval()


def sight(path: Path, dtype: torch.dtype, device: torch.device | str) -> Sight:
    """CLIP's picture tower, converted. Errors: as `generator`."""
    with _file(path) as (config, tensors):
        if not isinstance(config, SightConfig):
            raise BadWeights(f"{path} is not CLIP's picture tower", f"{type(config).__name__}", "weights convert")
        net = Sight(config)
        _fill(net, tensors, path, dtype, device)
    return net.eval()


def tiny(path: Path, dtype: torch.dtype, device: torch.device | str) -> TinyAutoencoder:
    """The tiny decoder, converted. Errors: as `generator`."""
    with _file(path) as (found, tensors):
        if not isinstance(found, TinyAutoencoderConfig):
            raise BadWeights(f"{path} is not the tiny decoder", f"{type(found).__name__}", "weights convert")
        net = TinyAutoencoder(found)
        _fill(net, tensors, path, dtype, device)
    return net.eval()


def mark(path: Path) -> str:
    """A word that differs when a file's weights do, but for such as were changed within it: files of gigabytes are not
    read twice."""
    with path.open("rb") as file:
        header = file.read(8 + int.from_bytes(file.read(8), "little"))
        file.seek(-min(path.stat().st_size, 1 << 20), 2)
        found = sha256(header + file.read())
    return f"{path.stem} {path.stat().st_size} bytes, sha256 of both ends {found.hexdigest()[:16]}"


def _fill(
    net: nn.Module,
    tensors: Mapping[str, Any],
    path: Path,
    dtype: torch.dtype,
    device: torch.device | str,
    away: tuple[str, ...] = (),
    exact: tuple[str, ...] = (),
) -> None:
    """Puts weights where they belong, one at a time; those whose names begin with one of `away` belong nowhere now,
    those that begin with one of `exact` stay in fp32."""
    places = {name: value for name, value in net.state_dict().items() if "position_ids" not in name}
    missing = [name for name in places if name not in tensors]
    if missing:
        raise BadWeights(
            f"{path} leaves {len(missing)} of {len(places)} places empty", ", ".join(missing), "another file"
        )
    for name, place in places.items():
        if name.startswith(away):
            continue
        value: Tensor = tensors[name]()
        if value.shape != place.shape:
            raise BadWeights(f"{path} does not fit", f"{name}: {tuple(value.shape)} for {tuple(place.shape)}")
        kind = torch.float32 if name.startswith(exact) else dtype
        value = value.to(device, kind if value.is_floating_point() else value.dtype)
        net.load_state_dict({name: value}, strict=False, assign=True)
    for part in net.modules():  # what no file holds
        for name, value in part.named_buffers(recurse=False):
            if not value.is_meta:
                setattr(part, name, value.to(device))
    for parameter in net.parameters():
        parameter.requires_grad_(False)


@contextmanager
def _file(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A file's config, and how to get each of its tensors. Errors: `BadWeights`."""
    try:
        with safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {})["understudy"])
            config = weights.from_json(said["config"], weights.configs())
            names = list(file.keys())
            yield config, {name: (lambda name=name: file.get_tensor(name)) for name in names}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadWeights(
            f"{path} is not a file of Understudy's weights, or damaged", str(error), "converting it again"
        ) from error
