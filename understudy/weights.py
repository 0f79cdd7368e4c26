"""Weights on disk: safetensors whose header says what they are, by which recipe and commit they came to be.

`save` and `load` are for the weights that this project trains. Matrices are stored in 2 bytes a number, or in one, with
a scale for every output channel.
"""

from __future__ import annotations

import json
import subprocess
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from understudy import __version__
from understudy.errors import BadOption, BadWeights, MissingFile

Storage = Literal["fp32", "bf16", "int8"]
FORMAT: Final = 1
_SCALE: Final = ".scale"  # of "conv.weight", stored in 8 bits: "conv.weight.scale", (out,)


@dataclass(frozen=True, kw_only=True)
class About:
    """What a file of weights says of itself."""

    name: str
    """Of the model."""
    config: Any
    """The frozen value above the model's class, with which it is built; None where there is none."""
    recipe: Mapping[str, Any]
    """All that the training depended on, as JSON."""
    commit: str
    figures: Mapping[str, float]
    """What was measured when it was kept: steps, seconds, scores."""
    storage: Storage
    version: str = __version__


@dataclass(frozen=True)
class Weights:
    """A file, read: fp32 tensors by name."""

    about: About
    tensors: Mapping[str, Tensor]


def save(path: Path, tensors: Mapping[str, Tensor], about: About) -> None:
    """Write weights whole or not at all. `about.storage` decides how many bytes a number of a matrix takes."""
    stored = {
        name: value for key, tensor in tensors.items() for name, value in _packed(key, tensor, about.storage).items()
    }
    said = {
        "format": FORMAT,
        **{f.name: getattr(about, f.name) for f in fields(about)},
        "config": as_json(about.config),
    }
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(stored, partial, {"understudy": json.dumps(said)})
        partial.chmod(0o644)  # safetensors writes for the owner alone; packages are for everybody
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> Weights:
    """Read weights. Raises MissingFile, and BadWeights for what is damaged or not ours."""
    if not path.is_file():
        raise MissingFile(f"There are no weights at {path}", remedy="understudy models, which says what is here")
    try:
        with safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {})["understudy"])
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
        if said.pop("format") != FORMAT:
            raise BadWeights(
                f"{path} is of another version of Understudy", f"version {said.get('version')}", "a newer one"
            )
        about = About(**{**said, "config": from_json(said["config"], configs())})
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise BadWeights(
            f"{path} is not a file of Understudy's weights, or damaged", str(error), "fetching or training it again"
        ) from error
    return Weights(about, _unpacked(stored))


def fill(net: nn.Module, weights: Weights) -> list[str]:
    """Put weights into a net. Returns warnings: the names that it has no place for.

    Raises BadWeights that lists what is missing, or of another shape."""
    places = net.state_dict()
    missing = [name for name in places if name not in weights.tensors]
    if missing:
        raise BadWeights(
            f"The weights of {weights.about.name} leave {len(missing)} of {len(places)} places empty",
            ", ".join(missing),
            "weights of this very model: their header says their config",
        )
    unfit = [
        f"{name}: {tuple(weights.tensors[name].shape)} for {tuple(place.shape)}"
        for name, place in places.items()
        if weights.tensors[name].shape != place.shape
    ]
    if unfit:
        raise BadWeights(
            f"The weights of {weights.about.name} do not fit", ", ".join(unfit), "building it from its own config"
        )
    net.load_state_dict({name: weights.tensors[name] for name in places})
    unknown = [name for name in weights.tensors if name not in places]
    return [f"{weights.about.name} has weights that nothing here takes: {', '.join(unknown)}"] if unknown else []


def between(one: Weights, other: Weights, share: float) -> Weights:
    """Weights that lie between two of one net, `share` of the way from one to the other, number by number (Wortsman et
    al. 2022): of two of which one comes from the other, nearly the best of both. They say of themselves what the other
    says, and between what they lie; what was measured of either is true of neither.

    Raises BadOption for a share that is not from 0 to 1, and BadWeights for weights of two nets."""
    if not 0 <= share <= 1:
        raise BadOption("Between is from 0 to 1", f"a share of {share:g}", "0.5")
    shapes = [{name: value.shape for name, value in each.tensors.items()} for each in (one, other)]
    if shapes[0] != shapes[1] or one.about.config != other.about.config:
        raise BadWeights(
            f"{one.about.name} and {other.about.name} are not weights of one net",
            f"{len(set(shapes[0].items()) ^ set(shapes[1].items()))} tensors are in one of them, or of another shape",
            "two of which one was learnt from the other",
        )
    tensors = {name: torch.lerp(one.tensors[name], value, share) for name, value in other.tensors.items()}
    told = {"share": share, "from": {"name": one.about.name, "commit": one.about.commit}}
    steps = {name: value for name, value in other.about.figures.items() if name == "step"}
    return Weights(replace(other.about, recipe={**other.about.recipe, "between": told}, figures=steps), tensors)


@cache
def commit() -> str:
    """The commit of the checkout that this runs from, with a + where files differ; "" where it is not a checkout."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return ""
    git = ["git", "--no-optional-locks"]  # asking must not get in the way of somebody who commits
    try:
        head = subprocess.check_output(
            [*git, "rev-parse", "--short=12", "HEAD"], cwd=here, text=True, stderr=subprocess.DEVNULL
        )
        changes = subprocess.check_output([*git, "status", "--porcelain", "--untracked-files=no"], cwd=here, text=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or nothing committed yet
        return ""
    return head.strip() + ("+" if changes.strip() else "")


def configs() -> tuple[type, ...]:
    """The kinds of values that may describe a model in a header."""
    from understudy.diffusion import noise
    from understudy.generator import (
        autoencoder,
        blocks,
        control,
        embedding,
        generator,
        reference,
        sight,
        tiny,
        turning,
        unet,
    )
    from understudy.motion import actor, encoder, fan

    nets = (autoencoder.AutoencoderConfig, autoencoder.TemporalAutoencoderConfig, generator.GeneratorConfig)
    parts = (unet.UNetConfig, blocks.TimeConfig, blocks.CodeConfig, reference.ReferenceConfig, generator.StartConfig)
    controls = (control.ControlConfig, control.HintConfig, turning.TurningConfig, turning.Ellipsoid)
    schedules = (noise.Linear, noise.ScaledLinear, noise.Cosine, noise.Sigmoid, noise.RectifiedFlow)
    encoders = (encoder.EncoderConfig, encoder.FaceNetConfig, fan.FanConfig)
    others = (actor.ActorConfig, embedding.EmbeddingConfig, sight.SightConfig, tiny.TinyAutoencoderConfig)
    return (*nets, *parts, *controls, *schedules, *encoders, *others)


def as_json(value: Any) -> Any:
    """A frozen value as JSON: dataclasses as objects that say their kind, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        said = {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
        return {"kind": type(value).__name__, **said}
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(inner) for inner in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def from_json(value: Any, kinds: Sequence[type]) -> Any:
    """The way back, for values of these kinds only. Raises ValueError for another kind, TypeError for other fields."""
    if isinstance(value, list):
        return tuple(from_json(inner, kinds) for inner in value)
    if not isinstance(value, dict):
        return value
    named = {kind.__name__: kind for kind in kinds}
    kind = named.get(value.get("kind", ""))
    if kind is None:
        raise ValueError(f"no config is called {value.get('kind')!r}")
    hints = typing.get_type_hints(kind)
    inner = {name: from_json(part, kinds) for name, part in value.items() if name != "kind"}
    return kind(**{name: _typed(part, hints.get(name)) for name, part in inner.items()})


def _typed(value: Any, hint: Any) -> Any:
    """JSON does not tell 1 from 1.0 everywhere: what is declared as a float becomes one."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return float(value) if float in options and isinstance(value, int) and not isinstance(value, bool) else value


def _packed(name: str, tensor: Tensor, storage: Storage) -> dict[str, Tensor]:
    """What is stored for one tensor. Biases and norms, which are few and matter, keep more than matrices do."""
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return {name: tensor.contiguous()}
    tensor = tensor.float()
    if storage == "fp32" or (tensor.ndim < 2 and storage == "bf16"):
        return {name: tensor.contiguous().clone()}
    if storage == "bf16" or tensor.ndim < 2:
        return {name: tensor.to(torch.bfloat16).contiguous()}
    scale = (tensor.flatten(1).abs().amax(1) / 127).clamp_min(torch.finfo(torch.float32).tiny)
    whole = (tensor / scale.reshape(-1, *[1] * (tensor.ndim - 1))).round().clamp(-127, 127).to(torch.int8)
    return {name: whole.contiguous(), name + _SCALE: scale}


def _unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, value in stored.items():
        if value.dtype == torch.int8:
            scale = stored[name + _SCALE]
            tensors[name] = value.float() * scale.reshape(-1, *[1] * (value.ndim - 1))
        elif not (name.endswith(_SCALE) and _is_whole(stored.get(name.removesuffix(_SCALE)))):
            tensors[name] = value.float() if value.is_floating_point() else value
    return tensors


def _is_whole(value: Tensor | None) -> bool:
    return value is not None and value.dtype == torch.int8
