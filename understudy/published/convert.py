"""Other people's weights, as a file of ours: `understudy weights convert FILE... -o NAME`.

Files are opened one beside the other, their tensors read, checked, renamed and written one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from understudy import weights
from understudy.errors import BadOption, BadWeights, Exists
from understudy.published import text, unpickle
from understudy.published.fetch import check
from understudy.published.reading import Foreign, opened
from understudy.published.sources import Published
from understudy.published.tables import Sorted, explained

CONTEXT: Final = "context"
LISTED: Final = 12  # names that a warning lists before it only counts
Storage = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Converted:
    """What came of it."""

    output: Path
    tensors: int
    dropped: int
    warnings: list[str]


@dataclass(frozen=True)
class Found:
    """A foreign file and what its names mean."""

    file: Foreign
    sorted: Sorted


def convert(
    paths: Iterable[Path],
    published: Published,
    out: Path,
    *,
    storage: Storage = "fp32",
    strict: bool = False,
    force: bool = False,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> Converted:
    """Writes `out` from all files of something published; whole or not at all.

    Errors: those of `reading.opened`; `Exists`; `BadWeights` that lists what is missing, names the tensor that has
    another shape or type or is not a number, and, if `strict`, lists what is unknown."""
    if out.exists() and not force:
        raise Exists(f"{out} is already there", remedy="--force, which replaces it")
    if not published.converted:
        raise BadOption(f"{published.name} is not converted", published.what, "fetching it is enough")
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = list(paths)
    for path in paths:
        if path.is_file():
            check(path)
    with ExitStack() as stack:
        files = [stack.enter_context(opened(path, out.parent)) for path in paths]
        found = [Found(file, explained(published.tables(), file.shapes)) for file in files]
        warnings = _strange(found, strict)
        sources = _homes(found, warnings)
        places = published.places()
        context = _context(found, places)
        _check(published, places, sources, given={CONTEXT} if context is not None else set())
        get = _checked(places, sources, context, storage)
        kept = {name: (_kind(dtype, shape, storage), shape) for name, (shape, dtype) in places.items()}
        partial = out.with_name(f".{out.name}.partial")
        try:
            total = len(places)
            done = iter(range(1, total + 1))

            def told(name: str) -> Tensor:
                step(next(done), total)
                return get(name)

            unpickle.write(partial, kept, told, {"understudy": json.dumps(_header(published, found, storage))})
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
    return Converted(out, len(places), sum(len(one.sorted.dropped) for one in found), warnings)


def _strange(found: Iterable[Found], strict: bool) -> list[str]:
    """A warning for each file that has names which nobody knows. Errors: `BadWeights` if `strict`."""
    warnings = []
    for one in found:
        unknown = one.sorted.unknown
        if not unknown:
            continue
        if strict:
            raise BadWeights(
                f"{one.file.path} has {len(unknown)} names that {one.sorted.table.what} does not",
                ", ".join(unknown),
                "leaving out --strict, if they may be left out",
            )
        rest = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
        warnings.append(f"{one.file.path} has weights that nothing takes: {', '.join(unknown[:LISTED])}{rest}")
    return warnings


def _homes(found: Iterable[Found], warnings: list[str]) -> dict[str, tuple[Foreign, str]]:
    """Where what lives in each home comes from. What two files have is taken from the later, as released."""
    sources: dict[str, tuple[Foreign, str]] = {}
    for one in found:
        twice = sources.keys() & one.sorted.homes.keys()
        if twice:
            warnings.append(f"{len(twice)} weights are in two files and were taken from {one.file.path}")
        sources |= {home: (one.file, name) for home, name in one.sorted.homes.items()}
    return sources


def _context(found: Iterable[Found], places: Mapping[str, Any]) -> Tensor | None:
    """What the text tower says to an empty prompt, if somebody here is told that and some file has a tower."""
    for one in found if CONTEXT in places else ():
        if one.sorted.text:
            before = f"{one.sorted.table.text}text_model."
            layers = {int(number) for name in one.sorted.text for number in re.findall(r"layers\.(\d+)\.", name)}

            def get(name: str, one: Found = one, before: str = before) -> Tensor:
                if before + name not in one.file.shapes:
                    raise BadWeights(f"{one.file.path} has half a text tower", f"no {before}{name}", "the whole file")
                return one.file.get(before + name)

            return text.of_nothing(get, max(layers, default=-1) + 1)
    return None


def _check(
    published: Published, places: Mapping[str, Any], sources: Mapping[str, tuple[Foreign, str]], given: set[str]
) -> None:
    """Errors: `BadWeights` for homes that stay empty, and for weights of another shape or type."""
    missing = [name for name in places if name not in sources and name not in given]
    if missing:
        named = ", ".join(name if name != CONTEXT else "context (what CLIP's text tower answers)" for name in missing)
        raise BadWeights(
            f"These files leave {len(missing)} of {len(places)} places of {published.name} empty",
            named,
            f"all of {', '.join(file.name for file in published.files)}",
        )
    for home, (file, name) in sources.items():
        if home in places and not _same_shape(file.shapes[name], places[home][0]):
            raise BadWeights(
                f"{name} in {file.path} has another shape than {published.name} has",
                f"{file.shapes[name]} instead of {places[home][0]}",
                "the file that was published",
            )


def _same_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """A matrix and a convolution of 1x1 are the same: latent diffusion has the one where we have the other."""
    longer, shorter = sorted((found, wanted), key=len, reverse=True)
    return longer[: len(shorter)] == shorter and set(longer[len(shorter) :]) <= {1} and len(shorter) in (len(longer), 2)


def _checked(
    places: Mapping[str, Any],
    sources: Mapping[str, tuple[Foreign, str]],
    context: Tensor | None,
    storage: Storage,
) -> Callable[[str], Tensor]:
    """Tensors of ours, one at a time. Errors: `BadWeights` that names the tensor."""

    def get(home: str) -> Tensor:
        shape, dtype = places[home]
        if home == CONTEXT and home not in sources:
            assert context is not None
            tensor, name, path = context, "the text tower's answer", ""
            if tuple(context.shape) != shape:
                raise BadWeights(f"{name} has another shape", f"{tuple(context.shape)} instead of {shape}")
        else:
            file, name = sources[home]
            tensor, path = file.get(name), f" in {file.path}"
        if tensor.is_floating_point() != dtype.is_floating_point:
            raise BadWeights(
                f"{name}{path} has another type of numbers than it should have",
                f"{tensor.dtype} instead of {dtype}",
                "the file that was published, and not one that was made smaller",
            )
        if not bool(tensor.isfinite().all()):
            raise BadWeights(f"{name}{path} has numbers that are none", "NaN or infinity", "fetching it again")
        return tensor.reshape(shape).to(_kind(dtype, shape, storage))

    return get


def _kind(dtype: torch.dtype, shape: tuple[int, ...], storage: Storage) -> torch.dtype:
    """How a tensor is stored: biases and norms, which are few and matter, as they are."""
    if not dtype.is_floating_point:
        return dtype
    return torch.bfloat16 if storage == "bf16" and len(shape) >= 2 else torch.float32


def _header(published: Published, found: Iterable[Found], storage: Storage) -> dict[str, Any]:
    """What the file says of itself, as `weights.save` writes it."""
    about = weights.About(
        name=published.name,
        config=weights.as_json(published.config()),
        recipe={"converted": [one.file.path.name for one in found], "licence": published.licence},
        commit=weights.commit(),
        figures={},
        storage=storage,
    )
    return {"format": weights.FORMAT, **{field.name: getattr(about, field.name) for field in fields(about)}}
