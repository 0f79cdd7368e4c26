"""Takes, read from the shards that the mill has made: nothing is unpacked, each picture is read by its place."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from understudy.clip import Sound
from understudy.data.gather import SIDE, decoded
from understudy.data.tars import Member, members, read
from understudy.errors import MediaError, MissingFile
from understudy.face.mesh import Floats
from understudy.motion.mesh import MotionMesh

Bytes = npt.NDArray[np.uint8]

ABOUT: Final = "about.json"
EVERY: Final = 10
"""One film in so many is held out: those whose hashes begin so."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A take in a shard. Its pictures are squares of `SIDE` pixels, and its motion is in pixels of those."""

    key: str
    path: Path
    parts: dict[str, Member]  # by what follows the key and a dot

    @property
    def film(self) -> str:
        """Which film it is from: the beginning of its hash."""
        return self.key.rpartition("-")[0]

    @cached_property
    def frames(self) -> int:
        return sum(name.endswith(".jpg") for name in self.parts)

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the mill has said of it."""
        told: dict[str, Any] = json.loads(self._bytes("json"))
        return told

    def picture(self, frame: int) -> Bytes:
        """(SIDE, SIDE, 3) RGB."""
        found = decoded(self._bytes(f"{frame:04d}.jpg"))
        if found.shape != (SIDE, SIDE, 3):
            raise MediaError(f"a picture of {self.key} has another size", str(found.shape), "preparing it again")
        return found

    @cached_property
    def motion(self) -> MotionMesh:
        """How the face moves, in pixels of the pictures."""
        with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
            path = Path(folder) / "motion.safetensors"
            path.write_bytes(self._bytes("motion.safetensors"))
            motion = MotionMesh.load(path)
        if len(motion) != self.frames:
            raise MediaError(f"{self.key} is not whole", f"{len(motion)} frames of motion, {self.frames} pictures")
        return motion

    @property
    def sound(self) -> Sound | None:
        """16 kHz, mono, if it is in sync as far as can be told."""
        if "wav" not in self.parts:
            return None
        import wave

        with wave.open(io.BytesIO(self._bytes("wav"))) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return Sound((samples / 32767).astype(np.float32)[:, None], file.getframerate())

    @property
    def speech(self) -> Floats | None:
        """(f, 162) what an actor hears, 25 rows a second (see `motion.speech`), where there is sound."""
        if "speech.npy" not in self.parts:
            return None
        return np.asarray(np.load(io.BytesIO(self._bytes("speech.npy")), allow_pickle=False), np.float32)

    def _bytes(self, name: str) -> bytes:
        if name not in self.parts:
            raise MediaError(f"{self.key} is not whole", f"no {name} in {self.path}", "preparing it again")
        return read(self.path, self.parts[name])


def takes_in(folder: Path) -> list[Stored]:
    """All takes, in the order of the shards. Errors: `MissingFile`, `MediaError` where shards are damaged."""
    if not (folder / ABOUT).is_file():
        seen = "no about.json, which the mill writes last"
        raise MissingFile(f"{folder} holds no finished shards", seen, "understudy prepare VIDEOS... -o " + str(folder))
    found: dict[str, Stored] = {}
    for path in sorted(folder.glob("[0-9]*.tar")):
        for each in members(path):
            key, _, name = each.name.partition(".")
            found.setdefault(key, Stored(key, path, {})).parts[name] = each
    if not found:
        raise MissingFile(f"no take in {folder} was good enough", "empty shards", "its manifest says why; other films")
    return list(found.values())


def split(takes: Sequence[Stored], held_out: bool) -> list[Stored]:
    """Those of films that are held out, or those of all others. Where chance holds out no film, the last one is; where
    there is but one film, its last take; a single take is both."""
    films = sorted({take.film for take in takes})
    apart = {film for film in films if int(film[:8], 16) % EVERY == 0}
    if not apart or len(apart) == len(films):
        apart = set(films[-1:])
    if len(films) == 1:
        return list(takes[-1:]) if held_out else list(takes[:-1] or takes)
    return [take for take in takes if (take.film in apart) == held_out]
