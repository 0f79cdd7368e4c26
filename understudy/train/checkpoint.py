"""Checkpoints: one file that is the whole run. Tensors as safetensors, all else as JSON in its header; no pickles."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from understudy.errors import BadRun
from understudy.train.files import made
from understudy.train.spread import parted

FORMAT: Final = 1
_NAME: Final = re.compile(r"step-(\d{7,})\.safetensors")


@dataclass
class State:
    """What changes in a run, besides tensors. All chance and the place in the data follow from the step and the
    recipe's seed (see `Chance` and `Data`), so this is all of it."""

    step: int = 0
    """Steps that are done."""
    seconds: float = 0.0
    """Time spent."""
    taken: dict[str, int] = field(default_factory=dict)
    """How often each turn was taken."""


def newest(folder: Path) -> Path | None:
    """The checkpoint to go on from, if there is one."""
    found = _all(folder)
    return found[-1] if found else None


def tensors_of(
    model: nn.Module, average: Mapping[str, Tensor], optimisers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """All tensors of a run, by the names that they have in a checkpoint."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    for turn, optimiser in optimisers.items():
        for number, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{turn}.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
    return tensors


def save(folder: Path, state: State, identity: Mapping[str, Any], tensors: Mapping[str, Tensor], keep: int) -> Path:
    """Write the run as it stands, then remove all but the newest `keep`."""
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    header = {"format": FORMAT, "state": asdict(state), "recipe": identity}
    path = folder / f"step-{state.step:07d}.safetensors"
    made(path, lambda partial: save_file(whole, partial, {"run": json.dumps(header)}))
    for old in _all(folder)[:-keep]:
        old.unlink()
    return path


def load(
    path: Path,
    identity: Mapping[str, Any],
    model: nn.Module,
    average: Mapping[str, Tensor],
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> State:
    """Put a run back as it stood, bit for bit. Raises BadRun if it is another recipe's, or damaged."""
    header, tensors = _read(path)
    _same(path, header["recipe"], json.loads(json.dumps(identity)))
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimiser": {}}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        parts.setdefault(kind, {})[rest] = value
    try:
        own = model.state_dict()
        model.load_state_dict({n: parted(v, own[n]) if n in own else v for n, v in parts["model"].items()})
        with torch.no_grad():
            for name, place in average.items():
                place.copy_(parted(parts["average"][name], place))
        for turn, optimiser in optimisers.items():
            _restore(optimiser, turn, parts["optimiser"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise BadRun(f"{path} does not fit this recipe's nets", str(error), "another --out, to begin anew") from error
    return State(**header["state"])


def _restore(optimiser: torch.optim.Optimizer, turn: str, saved: Mapping[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        owner, index, name = key.rsplit(".", 2)
        if owner == turn:
            states.setdefault(int(index), {})[name] = value
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for number, values in states.items():  # laid out in memory as the parameter is: fused optimisers rely on it
        like = parameters[number]
        values |= {
            name: torch.empty_like(like, dtype=value.dtype).copy_(parted(value, like))
            for name, value in values.items()
            if value.shape == like.shape and like.ndim
        }
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BadRun(
            f"{path} is not a checkpoint, or damaged", str(error), f"rm {path}, and the same command"
        ) from error
    if header.get("format") != FORMAT:
        raise BadRun(
            f"{path} is of another version of Understudy",
            f"format {header.get('format')}",
            "another --out, to begin anew",
        )
    return header, tensors


def _same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    before, now = _flat(theirs), _flat(ours)
    changed = [
        f"{name}: {before.get(name, 'nothing')} then, {now.get(name, 'nothing')} now"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise BadRun(
            f"{path} was begun with another recipe", "; ".join(changed), "the same fields again, or another --out"
        )


def _flat(values: Any, name: str = "") -> dict[str, Any]:
    """{"plan": {"steps": 3}} -> {"plan.steps": 3}."""
    if not isinstance(values, Mapping):
        return {name: values}
    return {
        key: leaf for part, inner in values.items() for key, leaf in _flat(inner, f"{name}.{part}".lstrip(".")).items()
    }


def _all(folder: Path) -> list[Path]:
    """Oldest first. What a kill left half written has another name."""
    found = [(int(match[1]), path) for path in folder.glob("step-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]
