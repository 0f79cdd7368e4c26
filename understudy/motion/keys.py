"""Keyframes: what a curve or the head shall do at some moments, as JSON that a person can write.

    {"ease": "smooth",
     "keys": [{"time": 1.0, "jawOpen": null, "yaw": null},
              {"time": 1.3, "jawOpen": 0.8, "yaw": -15},
              {"time": 2.0, "jawOpen": null, "yaw": null}]}

A name is a curve of ARKit (0 to 1) or `yaw`, `pitch`, `roll` (degrees). From its first key to its last, what the
performer did with it gives way to what the keys say, eased from one to the next; `null` is what the performer does
there. Before its first key and after its last one, nothing is changed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from understudy.clip.landing import landing, refuse_existing
from understudy.clip.media import existing
from understudy.errors import BadOption
from understudy.face.rig import UPPER
from understudy.motion.edit import recurved, turned
from understudy.motion.mesh import MotionMesh

Ease = Literal["smooth", "linear"]
HEAD: Final = ("yaw", "pitch", "roll")
_MOST_DEGREES: Final = 89.0
_A_MOMENT: Final = 1e-6  # seconds: keys are written with six digits, and must still hold the frame that they are of
_REMEDY: Final = '{"keys": [{"time": 0, "jawOpen": null}, {"time": 0.5, "jawOpen": 0.8}]}'


@dataclass(frozen=True)
class Key:
    """A moment, and what shall be then; none: what the performer does."""

    time: float  # seconds
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Keys:
    """Moments in order, and how one passes from each to the next."""

    keys: tuple[Key, ...]
    ease: Ease = "smooth"


def keyed(motion: MotionMesh, keys: Keys, neutral: npt.NDArray[np.float32] | None = None) -> MotionMesh:
    """A performance with keyframes in it. Errors: `BadOption` for a curve that this motion does not have."""
    tracks = {name for key in keys.keys for name in key.values}
    times = motion.times - motion.times[0]
    curves, angles = motion.curves.astype(np.float64), motion.pose.angles.astype(np.float64)
    for name in sorted(tracks):
        if name in HEAD:
            column = HEAD.index(name)
            angles[:, column] = _followed(times, angles[:, column], _track(keys, name), keys.ease)
        elif name in motion.names:
            column = motion.names.index(name)
            curves[:, column] = _followed(times, curves[:, column], _track(keys, name), keys.ease)
        else:
            raise _unknown(name, (*motion.names, *HEAD))
    told = [name for name in HEAD if name in tracks]
    if told:
        motion = turned(motion, angles.astype(np.float32))
    return recurved(motion, curves.astype(np.float32), neutral)


def _track(keys: Keys, name: str) -> list[tuple[float, float | None]]:
    return [(key.time, key.values[name]) for key in keys.keys if name in key.values]


def _followed(
    times: npt.NDArray[np.float64],
    own: npt.NDArray[np.float64],
    track: Sequence[tuple[float, float | None]],
    ease: Ease,
) -> npt.NDArray[np.float64]:
    """(f,) what one curve does with its keys in it."""
    found = own.copy()
    for (start, one), (end, other) in pairwise(track):
        here = (times >= start - _A_MOMENT) & (times <= end + _A_MOMENT)
        share = np.clip((times[here] - start) / (end - start), 0, 1)
        share = share * share * (3 - 2 * share) if ease == "smooth" else share
        before, after = (own[here] if value is None else np.full(here.sum(), value) for value in (one, other))
        found[here] = before * (1 - share) + after * share
    return found


def keys_of(motion: MotionMesh, names: Iterable[str], every: float) -> Keys:
    """Keyframes that say what a performance does, one each `every` seconds and at its last frame; to be changed by
    hand. Errors: `BadOption` for a name that is no curve of it, and for no time at all between keys."""
    if not every > 0:
        raise BadOption(f"keys every {every:g} s are too many", remedy="a part of a second, or more")
    names = tuple(names)
    for name in names:
        if name not in (*motion.names, *HEAD):
            raise _unknown(name, (*motion.names, *HEAD))
    times = motion.times - motion.times[0]
    at = np.unique([*np.searchsorted(times, np.arange(0, times[-1], every) - 1e-9), len(times) - 1])
    angles = motion.pose.angles

    def value(k: int, name: str) -> float:
        from_ = angles[k, HEAD.index(name)] if name in HEAD else motion.curves[k, motion.names.index(name)]
        return round(float(from_), 6)

    return Keys(
        tuple(Key(round(float(times[k]), 6), {name: value(k, name) for name in names}) for k in at.tolist()), "linear"
    )


# --- files ------------------------------------------------------------------------------------------------------------


def read_keys(path: str | os.PathLike[str]) -> Keys:
    """Errors: `MissingFile`; `BadOption` for what makes no sense, with its place."""
    path = existing(path)
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadOption(f"{path} holds no keyframes", str(error)[:200], _REMEDY) from error
    return keys_in(told, path.name)


def keys_in(told: Any, name: str = "the keyframes") -> Keys:
    """Keyframes from what JSON has become. Errors: `BadOption`."""
    if not isinstance(told, dict) or not isinstance(told.get("keys"), list) or set(told) - {"keys", "ease"}:
        raise BadOption(f"{name} is no list of keyframes", remedy=_REMEDY)
    ease = told.get("ease", "smooth")
    if ease not in ("smooth", "linear"):
        raise BadOption(f"{name} passes between keys in a way that there is not", repr(ease)[:40], "smooth or linear")
    keys = tuple(_key(each, f"key {number} of {name}") for number, each in enumerate(told["keys"]))
    for one, other in pairwise(keys):
        if other.time <= one.time:
            raise BadOption(
                f"{name} goes back in time", f"{one.time:g} s, then {other.time:g} s", "keys in their order"
            )
    return Keys(keys, ease)


def _key(told: Any, name: str) -> Key:
    if not isinstance(told, dict) or not _is_number(told.get("time")) or told["time"] < 0:
        raise BadOption(f"{name} has no time", repr(told)[:60], '"time", in seconds from 0 on')
    values: dict[str, float | None] = {}
    for what, value in told.items():
        if what == "time":
            continue
        low, high = (-_MOST_DEGREES, _MOST_DEGREES) if what in HEAD else (0.0, UPPER)
        if value is not None and not (_is_number(value) and low <= value <= high):
            raise BadOption(f"{name}: {what} cannot be {str(value)[:40]}", remedy=f"{low:g} to {high:g}, or null")
        values[what] = None if value is None else float(value)
    return Key(float(told["time"]), values)


def write_keys(path: str | os.PathLike[str], keys: Keys, *, overwrite: bool = False) -> Path:
    """As JSON, a key a line. Errors: `Exists`, `Unwritable`."""
    path = Path(path)
    refuse_existing(path, overwrite)
    lines = ",\n  ".join(json.dumps({"time": key.time, **key.values}) for key in keys.keys)
    with landing(path, overwrite) as temporary:
        temporary.write_text(f'{{"ease": "{keys.ease}",\n "keys": [\n  {lines}\n ]}}\n', "utf-8")
    return path


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _unknown(name: str, known: Sequence[str]) -> BadOption:
    near = get_close_matches(name, known, n=1)
    return BadOption(f"{name} is no curve of this motion", remedy=near[0] if near else "understudy motion info")
