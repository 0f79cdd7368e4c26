"""Motion files: a performance on disk, as safetensors with a header that says what it is.

A file holds its performance in parts of some seconds, `0000/points`, `0000/times`, ..., each a tensor, so that it is
read and written part by part and a film of hours passes through a bounded memory. The header has, as JSON in strings:
`format`, `version`, `kind` ("mesh", "frames" or "code"), `rate` ("30000/1001"), `names`, `frames` (of each part) and
`provenance`. Points of a mesh are stored as 16-bit steps within each frame's box (0.02 pixels for a face of 1000),
pictures as JPEG; an exact file has both as they are. `MotionFile` is one that grows: see there.

Files come from strangers: what is read is checked for kind, size and sense before it is used, and no small file can
fill the memory.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final, Generic, overload

from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_part
from safetensors.numpy import save as save_part

from understudy.clip.landing import landing, refuse_existing, unwritable
from understudy.errors import BadMotionFile, MissingFile, WrongMotion
from understudy.motion.code import MotionCode
from understudy.motion.frames import MotionFrames
from understudy.motion.kinds import CODE, FRAMES, KINDS, MESH, Kind, M, kind_of
from understudy.motion.mesh import MotionMesh
from understudy.motion.pack import Tensors

FORMAT: Final = "understudy-motion"
VERSION: Final = 1
_RECORD: Final = struct.Struct("<4sQI")  # mark, bytes, checksum
_MARK: Final = b"USMO"


@dataclass(frozen=True)
class Header:
    """What a motion file says of itself."""

    rate: Fraction
    names: tuple[str, ...]
    frames: tuple[int, ...]  # of each part
    provenance: dict[str, str]
    kind: str = "mesh"

    def __len__(self) -> int:
        return sum(self.frames)


# --- whole files ----------------------------------------------------------------------------------------------------


def save(chunks: Iterable[M], path: str | os.PathLike[str], *, exact: bool = False, overwrite: bool = False) -> None:
    """Writes chunks of one performance as a motion file, which takes its name when it is whole.

    Errors: `Exists`, `Unwritable`, `WrongMotion` if they are not of one performance."""
    path = Path(path)
    refuse_existing(path, overwrite)
    spool = path.with_name(f".{path.name[:100]}.{os.getpid()}.spool")
    file: MotionFile[Any] | None = None
    try:
        for chunk in chunks:
            file = file or MotionFile(path, exact=exact, spool=spool, kind=kind_of(chunk))
            file.append(chunk)
        file = file or MotionFile(path, exact=exact, spool=spool)
        file.finish(overwrite=overwrite)
    finally:
        if file is not None:
            file.discard()


def read(path: str | os.PathLike[str]) -> Iterator[MotionMesh]:
    """The parts of a file of meshes, one after the other. Errors: `MissingFile`, `BadMotionFile`; `WrongMotion` if it
    is of another kind."""
    yield from parts_of(path, MESH)


def read_frames(path: str | os.PathLike[str]) -> Iterator[MotionFrames]:
    """The parts of a file of driving pictures, at most 32 frames each; errors as of `read`."""
    yield from parts_of(path, FRAMES)


def read_codes(path: str | os.PathLike[str]) -> Iterator[MotionCode]:
    """The parts of a file of motion codes; errors as of `read`."""
    yield from parts_of(path, CODE)


def parts_of(path: str | os.PathLike[str], kind: Kind[M]) -> Iterator[M]:
    """The parts of a file of that kind, one after the other; errors as of `read`."""
    path = Path(path)
    header = read_header(path)
    if header.kind != kind.name:
        other = KINDS[header.kind]
        raise WrongMotion(f"{path} is of another kind of motion", f"{other.holds}, not {kind.holds}", other.remedy)
    try:
        with safe_open(path, framework="numpy") as file:
            names: dict[str, list[str]] = {}
            for key in file.keys():  # noqa: SIM118 it is not a dict
                part, _, name = key.partition("/")
                names.setdefault(part, []).append(name)
            for index, frames in enumerate(header.frames):
                part = f"{index:04d}"
                tensors = {name: file.get_tensor(f"{part}/{name}") for name in names.get(part, [])}
                yield _part(path, kind, header, frames, tensors)
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise _damaged(path, str(error)) from error


def read_header(path: str | os.PathLike[str]) -> Header:
    """What a motion file says of itself. Errors: `MissingFile`, `BadMotionFile`."""
    path = Path(path)
    if not path.exists():
        raise MissingFile(f"there is no motion file {path}", remedy="look at the name")
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error
    return _header(path, about)


# --- files that grow ------------------------------------------------------------------------------------------------


class MotionFile(Generic[M]):
    """A motion file while it grows: chunks are appended to a spool beside it, `NAME.spool`, and can be read again at
    any time; `finish` makes the file of them.

    A spool that is there already is gone on with: `len()` says how many frames it has, and a part that was being
    written when the power went is dropped. What is appended must be of the same `kind` (a mesh, unless another is
    said) and the same performance (rate, names, provenance). Closing without finishing keeps the spool.

    Errors: `Unwritable`, `BadMotionFile` for a spool of something else."""

    @overload
    def __init__(
        self: MotionFile[MotionMesh],
        path: str | os.PathLike[str],
        *,
        exact: bool = ...,
        spool: str | os.PathLike[str] | None = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        exact: bool = ...,
        spool: str | os.PathLike[str] | None = ...,
        kind: Kind[M],
    ) -> None: ...

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        exact: bool = False,
        spool: str | os.PathLike[str] | None = None,
        kind: Kind[Any] = MESH,
    ) -> None:
        self.kind: Kind[M] = kind
        self.path = Path(path)
        self.spool = self.path.with_name(self.path.name + ".spool") if spool is None else Path(spool)
        self.exact = exact
        self.header: Header | None = None
        self._parts: list[tuple[int, int]] = []  # where each part is in the spool, and its bytes
        try:
            self._file: BinaryIO = self.spool.open("r+b" if self.spool.exists() else "w+b")
        except OSError as error:
            raise unwritable(self.spool, error) from error
        self._recover()

    def __enter__(self) -> MotionFile[M]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.header) if self.header else 0

    def append(self, chunk: M) -> None:
        """Takes the next frames; they are on disk when this returns."""
        for first in range(0, len(chunk), self.kind.part):
            self._append(chunk[first : first + self.kind.part])

    def _append(self, part: M) -> None:
        names = part.names if isinstance(part, MotionMesh) else ()
        same = Header(part.rate, names, (), dict(part.provenance), self.kind.name)
        if self.header is None:
            self._write(_about(same, self.exact))
        elif (same.rate, same.names) != (self.header.rate, self.header.names):
            raise BadMotionFile(
                f"{self.spool} holds another performance",
                f"{len(self.header.names)} curves at {self.header.rate} a second",
                "remove it to begin again",
            )
        start = self._write(save_part(self.kind.pack(part, self.exact)))
        self._parts.append(start)
        before: Header = self.header or same
        self.header = replace(before, frames=(*before.frames, len(part)))

    def __iter__(self) -> Iterator[M]:
        """What is in so far, part by part."""
        if self.header is None:
            return
        for index in range(len(self._parts)):
            tensors = load_part(self._bytes(index))
            yield _part(self.spool, self.kind, self.header, self.header.frames[index], tensors)

    def finish(self, *, overwrite: bool = False) -> Path:
        """Makes the motion file, under its final name once whole, and removes the spool.

        Errors: `Exists`, `Unwritable`, `BadMotionFile` when nothing was appended."""
        if self.header is None:
            raise BadMotionFile(f"{self.path} would hold no motion", "no frames")
        with landing(self.path, overwrite) as temporary, temporary.open("wb") as file:
            lead, spans = self._plan()
            file.write(lead)
            for index, (start, _) in enumerate(spans):
                data = self._bytes(index)
                file.write(data[start:])
        self.discard()
        return self.path

    def discard(self) -> None:
        """Forgets what was appended: removes the spool."""
        self.close()
        self.spool.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of the spool, which stays."""
        self._file.close()

    # --- the spool: marked, sized and checked records; the first is the header, each other one a part ----------------

    def _write(self, data: bytes) -> tuple[int, int]:
        try:
            at = self._file.seek(0, os.SEEK_END)
            self._file.write(_RECORD.pack(_MARK, len(data), zlib.crc32(data)) + data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(self.spool, error, "what was there before is kept") from error
        return at + _RECORD.size, len(data)

    def _bytes(self, index: int) -> bytes:
        at, size = self._parts[index]
        self._file.seek(at)
        return self._file.read(size)

    def _recover(self) -> None:
        """Reads the spool's records up to the first that is not whole, and cuts it there."""
        good = 0
        while (found := self._record(good)) is not None:
            data, after = found
            if self.header is None:
                self.header = self._first(data)
            else:
                self.header = self._longer(self.header, data)
                self._parts.append((good + _RECORD.size, len(data)))
            good = after
        try:
            self._file.truncate(good)
        except OSError as error:
            raise unwritable(self.spool, error) from error

    def _first(self, data: bytes) -> Header:
        """The header, of a performance without parts so far."""
        header = _header(self.spool, _strings(self.spool, data))
        if header.kind != self.kind.name:
            raise _damaged(self.spool, f"{KINDS[header.kind].holds}, not {self.kind.holds}")
        return replace(header, frames=())

    def _longer(self, header: Header, data: bytes) -> Header:
        """The header, with one part more."""
        try:
            frames = len(_part(self.spool, self.kind, header, None, load_part(data)))
        except (SafetensorError, TypeError, KeyError) as error:
            raise _damaged(self.spool, str(error)) from error
        return replace(header, frames=(*header.frames, frames))

    def _record(self, at: int) -> tuple[bytes, int] | None:
        self._file.seek(at)
        head = self._file.read(_RECORD.size)
        if at == 0 and not _MARK.startswith(head[: len(_MARK)]):
            raise _damaged(self.spool, f"it begins with {head[:4]!r}")
        if len(head) < _RECORD.size:
            return None
        mark, size, check = _RECORD.unpack(head)
        if mark != _MARK or size > self.spool.stat().st_size - at - _RECORD.size:
            return None
        data = self._file.read(size)
        return (data, at + _RECORD.size + size) if zlib.crc32(data) == check else None

    def _plan(self) -> tuple[bytes, list[tuple[int, int]]]:
        """The head of the file to come, and which span of each part's bytes its tensors are."""
        assert self.header is not None
        table: dict[str, Any] = {"__metadata__": json.loads(_about(self.header, self.exact))}
        spans, at = [], 0
        for index in range(len(self._parts)):
            data = self._bytes(index)
            (lead,) = struct.unpack("<Q", data[:8])
            for name, entry in json.loads(data[8 : 8 + lead]).items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    table[f"{index:04d}/{name}"] = {**entry, "data_offsets": [at + begin, at + end]}
            spans.append((8 + lead, len(data) - 8 - lead))
            at += spans[-1][1]
        text = json.dumps(table, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text, spans


# --- headers and parts, distrusted ----------------------------------------------------------------------------------


def _about(header: Header, exact: bool) -> bytes:
    """The header as the JSON of an object of strings."""
    about = {
        "format": FORMAT,
        "version": str(VERSION),
        "kind": header.kind,
        "rate": str(header.rate),
        "names": json.dumps(header.names),
        "frames": json.dumps(header.frames),
        "exact": json.dumps(exact),
        "provenance": json.dumps(header.provenance),
    }
    return json.dumps(about).encode()


def _header(path: Path, about: Mapping[str, str]) -> Header:
    if about.get("format") != FORMAT:
        seen = f"a safetensors file of {', '.join(list(about)[:5]) or 'nothing in particular'}"
        raise BadMotionFile(f"{path} is not a motion file", seen, "make one with `understudy motion read`")
    if about.get("version") != str(VERSION) or about.get("kind") not in KINDS:
        raise BadMotionFile(
            f"{path} is a motion file of another version",
            f"version {about.get('version', 'unknown')[:40]}, kind {about.get('kind', 'unknown')[:40]}",
            f"this program reads version {VERSION} of the kinds {' and '.join(KINDS)}: make the file again, or use the "
            "program that made it",
        )
    try:
        rate = Fraction(about["rate"])
        names, frames, provenance = (json.loads(about[key]) for key in ("names", "frames", "provenance"))
    except (KeyError, ValueError, ZeroDivisionError, RecursionError) as error:
        raise _damaged(path, f"a header without sense ({type(error).__name__}: {error})") from error
    sound = (
        0 < rate <= 10_000
        and isinstance(names, list)
        and all(isinstance(name, str) and len(name) < 100 for name in names)
        and len(set(names)) == len(names) <= 1000
        and isinstance(frames, list)
        and all(type(count) is int and count > 0 for count in frames)
        and isinstance(provenance, dict)
        and all(isinstance(value, str) for value in provenance.values())
    )
    if not sound:
        raise _damaged(path, f"a header without sense: rate {rate}, {len(about['names'])} characters of names")
    return Header(rate, tuple(names), tuple(frames), provenance, about["kind"])


def _strings(path: Path, data: bytes) -> dict[str, str]:
    try:
        about = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "a header that is not JSON") from error
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise _damaged(path, "a header that is not an object of strings")
    return about


def _part(path: Path, kind: Kind[M], header: Header, frames: int | None, tensors: Tensors) -> M:
    try:
        return kind.unpack(tensors, header.rate, header.names, header.provenance, frames)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, seen: str) -> BadMotionFile:
    return BadMotionFile(f"{path} is damaged, or not a motion file", seen[:300], "make it again from the driving video")
