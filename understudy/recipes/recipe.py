"""A recipe: everything that a run depends on, as one frozen value; and how a person changes its fields."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from understudy import weights
from understudy.errors import BadOption
from understudy.models import weights_file
from understudy.train.task import Plan


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all recipes say. Each kind adds its nets, its data and the weights of its losses."""

    name: str
    plan: Plan
    start: str
    """A file of weights to begin with, or the name of a shipped one, or "" for chance; X-Portrait and X-Portrait 2 take
    several, with + between them, of which the last has the last word."""


def found(name: str) -> Path:
    """A file of weights: where it is, or shipped or fetched under that name."""
    path = Path(name)
    return path if path.exists() else weights_file(name) or path


def all_found(names: str) -> list[Path]:
    """Files of weights, with + between them; which may be in a name as well."""
    return [found(name) for name in ([names] if found(names).exists() else names.split("+")) if name]


def public(recipe: Recipe) -> dict[str, Any]:
    """A recipe as weights that are given to others say it: files by their names, and not where they lay."""
    said: dict[str, Any] = weights.as_json(recipe)
    return {
        name: "+".join(Path(one).name for one in value.split("+"))
        if isinstance(value, str) and os.sep in value
        else value
        for name, value in said.items()
    }


Value = TypeVar("Value")


def changed(value: Value, words: Sequence[str]) -> Value:
    """A frozen value with fields replaced: "plan.steps=200", "kl=1e-5", "config.widths=8,16"."""
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise BadOption(f"{word} changes nothing", "no = in it", "field=value, such as plan.steps=200")
        value = _replaced(value, path.split("."), text, path)
    return value


def names(value: Any, before: str = "") -> list[str]:
    """All fields that can be changed, with dots."""
    found = []
    for field in fields(value):
        inner = getattr(value, field.name)
        found += names(inner, f"{before}{field.name}.") if is_dataclass(inner) else [before + field.name]
    return found


def _replaced(value: Any, path: list[str], text: str, whole: str, root: Any = None) -> Any:
    root = value if root is None else root
    here = {field.name for field in fields(value)}
    name, rest = path[0], path[1:]
    inner = getattr(value, name, None)
    if name not in here or bool(rest) != is_dataclass(inner):
        known = names(root)
        near = get_close_matches(whole, known, n=1, cutoff=0.4)
        raise BadOption(
            f"{type(root).__name__} has no field {whole}",
            "there are " + ", ".join(known),
            f"{near[0]}=..." if near else "",
        )
    if rest:
        return replace(value, **{name: _replaced(inner, rest, text, whole, root)})
    return replace(value, **{name: _read(text, typing.get_type_hints(type(value))[name], whole)})


def _read(text: str, hint: Any, name: str) -> Any:
    """A word as the type that a field declares."""
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_read(part, inner, name) for part in text.strip("()").split(",") if part.strip())
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = typing.get_args(hint)
        if text == "none" and type(None) in kinds:
            return None
        hint = next(kind for kind in kinds if kind is not type(None))
    if typing.get_origin(hint) is typing.Literal:
        if text not in typing.get_args(hint):
            raise BadOption(f"{name} cannot be {text}", f"it may be {', '.join(typing.get_args(hint))}")
        return text
    try:
        if hint is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if hint is int:
            return int(text.replace("_", ""))
        return hint(text)
    except (ValueError, KeyError, TypeError) as error:
        raise BadOption(f"{name} cannot be {text}", f"it must be {getattr(hint, '__name__', hint)}") from error
