"""Shards: samples drawn or gathered ahead, as files of uint8 tensors that are read by number without being unpacked."""

from __future__ import annotations

import itertools
import json
import os
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from understudy.diffusion.noise import chance
from understudy.errors import BadOption, MediaError, MissingFile

Samples = dict[str, Tensor]


def fill(
    folder: Path,
    count: int,
    each: int,
    about: Mapping[str, Any],
    make: Callable[[range], Samples],
    mine: Callable[[int], bool] = lambda shard: True,
) -> Iterator[int]:
    """Make what is not there yet of `count` samples, `each` to a shard; yields how many are there after each shard.

    `about` says what they are. A shard that says something else is refused: BadOption. `mine` says which shards this
    process makes, when several share the work."""
    folder.mkdir(parents=True, exist_ok=True)
    there = 0
    for shard, begin in enumerate(range(0, count, each)):
        numbers = range(begin, min(begin + each, count))
        path = folder / f"{shard:05d}.safetensors"
        if path.exists():
            _check(path, about, numbers)
        elif mine(shard):
            _write(path, make(numbers), about, numbers)
        there += len(numbers)
        yield there


def shared(
    folder: Path,
    count: int,
    each: int,
    about: Mapping[str, Any],
    make: Callable[[range], Samples],
    rank: int,
    world: int,
) -> Iterator[int]:
    """As `fill`, one process of several its share; ends when the others have made theirs."""
    yield from fill(folder, count, each, about, make, mine=lambda shard: shard % world == rank)
    while not complete(folder, count, each):
        time.sleep(1)
        yield count


def complete(folder: Path, count: int, each: int) -> bool:
    """Whether `count` samples are there, whatever they say they are: what a run was begun with may be gone on with."""
    paths = [folder / f"{shard:05d}.safetensors" for shard in range(-(-count // each))]
    return all(path.exists() for path in paths) and _numbers(paths[-1]).stop >= count


def said(folder: Path) -> dict[str, Any]:
    """What the shards in a folder say of themselves."""
    told: dict[str, Any] = json.loads(_said(folder / "00000.safetensors").get("about", "{}"))
    return told


def agree(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuse what is there if it says otherwise in any of `about`: BadOption."""
    there = said(folder)
    wrong = [name for name in about if there.get(name) != about[name]]
    if wrong:
        raise BadOption(
            f"{folder} holds other samples than this run asks for",
            ", ".join(f"{name}: {there.get(name)} there, {about[name]} asked for" for name in wrong),
            f"another folder, or rm -r {folder}",
        )


class OtherLooks(UserWarning):
    """What was made ahead was made by another version of the cast."""


def reused(folder: Path, about: Mapping[str, Any], looks: str) -> None:
    """As `agree`, of shards that are all there. That they were made with other looks is said, and no more: a run goes
    on with what it was begun with."""
    agree(folder, about)
    if said(folder).get("looks") != looks:
        warnings.warn(
            f"{folder} was made by another version of the cast, and is learnt from as it is; for the cast of today: rm "
            f"-r {folder}, and the same command",
            OtherLooks,
            stacklevel=3,
        )


class Shards:
    """Samples that were made ahead: the first `count` of them, or all."""

    def __init__(self, folder: Path, count: int | None = None) -> None:
        self.paths = sorted(folder.glob("[0-9]*.safetensors"))
        if not self.paths:
            raise MissingFile(f"There are no shards in {folder}", remedy="the command that makes them")
        numbers = [_numbers(path) for path in self.paths]
        self.starts = [one.start for one in numbers]
        ends = [0, *(one.stop for one in numbers)]
        if self.starts != ends[:-1]:
            gap = next(end for start, end in zip(self.starts, ends, strict=False) if start != end)
            raise MediaError(f"{folder} has gaps", f"no sample {gap}", "the command that makes shards")
        self.count = min(ends[-1], count or ends[-1])
        self._opened: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.count

    def at(self, indices: Sequence[int], names: Sequence[str] | None = None) -> Samples:
        """Samples (n, ...) by their place; `names`: the tensors wanted, if not all."""
        found = [self._one(index, names) for index in indices]
        return {name: torch.stack([sample[name] for sample in found]) for name in found[0]}

    def _one(self, index: int, names: Sequence[str] | None) -> Samples:
        shard = bisect_right(self.starts, index) - 1
        if shard not in self._opened:  # and kept so: its pages are the system's, not ours
            self._opened[shard] = safe_open(self.paths[shard], "pt")
        file = self._opened[shard]
        wanted = file.keys() if names is None else names
        return {name: file.get_slice(name)[index - self.starts[shard]] for name in wanted}


class Joined:
    """Samples of several folders, at least one, one after the other."""

    def __init__(self, parts: Sequence[Shards]) -> None:
        self.parts = parts
        self.ends = [*itertools.accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self.ends[-1]

    def at(self, indices: Sequence[int], names: Sequence[str] | None = None) -> Samples:
        """As of `Shards`."""
        found = [self._one(index, names) for index in indices]
        return {name: torch.stack([sample[name] for sample in found]) for name in found[0]}

    def _one(self, index: int, names: Sequence[str] | None) -> Samples:
        part = bisect_right(self.ends, index)
        first = self.ends[part] - len(self.parts[part])
        return {name: value[0] for name, value in self.parts[part].at([index - first], names).items()}


class Shuffled:
    """Shards, shuffled anew in every pass, without end.

    Number n is sample n % count of pass n // count, in that pass's own order."""

    def __init__(self, shards: Shards, seed: int, names: Sequence[str] | None = None) -> None:
        self.shards, self.seed, self.names = shards, seed, names
        self.order = lru_cache(maxsize=2)(self._order)

    def batch(self, numbers: Sequence[int]) -> Samples:
        """Samples (n, ...) by number."""
        count = len(self.shards)
        return self.shards.at([int(self.order(number // count)[number % count]) for number in numbers], self.names)

    def _order(self, turn: int) -> Tensor:
        return torch.randperm(len(self.shards), generator=chance(self.seed, turn, purpose=0x73686172))


def _write(path: Path, samples: Samples, about: Mapping[str, Any], numbers: range) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    said = {"about": json.dumps(dict(about), sort_keys=True), "numbers": json.dumps([numbers.start, numbers.stop])}
    try:
        save_file({name: value.contiguous() for name, value in samples.items()}, partial, said)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _said(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise MediaError(
            f"{path} is not a shard, or damaged", str(error), f"rm {path}, and the same command"
        ) from error


def _numbers(path: Path) -> range:
    return range(*json.loads(_said(path).get("numbers", "[0, 0]")))


def _check(path: Path, about: Mapping[str, Any], numbers: range) -> None:
    said = json.loads(_said(path).get("about", "{}"))
    if said != json.loads(json.dumps(dict(about))) or _numbers(path) != numbers:
        raise BadOption(
            f"{path} holds other samples than this run asks for",
            f"it says {said} and samples {_numbers(path)}, asked for were {dict(about)} and {numbers}",
            f"another folder, or rm -r {path.parent}",
        )
