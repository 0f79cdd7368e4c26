"""A form that is read while it comes in: files go to the disk under names of our own, and too many bytes are refused
at the first that is too many."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from understudy.errors import BadOption
from understudy.service.refusals import BadRequest, TooMuch, TooSlow

FILES: Final = ("portrait", "driving", "motion", "voice")
LONGEST: Final = 2000  # bytes of an option
MOST: Final = 40  # parts of a form
_HELP: Final = "a form (multipart/form-data) with the files portrait and driving, motion or voice; see /openapi.json"


@dataclass
class Form:
    """What was sent."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)  # SHA-256 by file

    @property
    def digest(self) -> str:
        """One word that differs when a file or an option does."""
        return hashlib.sha256(repr((sorted(self.hashes.items()), sorted(self.options.items()))).encode()).hexdigest()


async def receive(
    content_type: str, length: str | None, body: AsyncIterator[bytes], folder: Path, most: int, patience: float
) -> Form:
    """Read a form of at most `most` bytes into `folder`, within `patience` seconds.

    Errors: `BadRequest`, `TooMuch`, `TooSlow`, `BadOption` for a field that there is not."""
    kind, words = parse_options_header(content_type)
    boundary = words.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadRequest("this is not a form with files", f"content of type {content_type[:80]!r}", _HELP)
    if length is not None and length.isdecimal() and int(length) > most:
        raise _too_much(most)
    reader = _Reader(Form(folder))
    parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type, unused-ignore]
    try:
        await asyncio.wait_for(_feed(parser, body, most), patience)
    except FormParserError as error:
        raise BadRequest("the form is damaged", str(error)[:200], _HELP) from error
    except asyncio.TimeoutError:
        raise TooSlow("the form took too long to come in", f"more than {patience:.0f} s", "a faster line") from None
    finally:
        reader.close()
    if not reader.whole:
        raise BadRequest("the form breaks off", "no closing boundary", _HELP)
    return reader.form


async def _feed(parser: MultipartParser, body: AsyncIterator[bytes], most: int) -> None:
    count = 0
    async for block in body:
        count += len(block)
        if count > most:
            raise _too_much(most)
        parser.write(block)
    parser.finalize()


def _too_much(most: int) -> TooMuch:
    return TooMuch("the files are larger than a job may have", f"the most are {most / 1e6:.0f} MB", "smaller files")


class _Reader:
    """What the parser calls as it goes through a form."""

    def __init__(self, form: Form) -> None:
        self.form, self.whole = form, False
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""
        self._name = ""
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._text = b""

    def callbacks(self) -> dict[str, Any]:
        """By the parser's names."""
        names = (
            "on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_headers_finished",
            "on_part_data", "on_part_end", "on_end",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def on_part_begin(self) -> None:
        self._headers, self._field, self._value = {}, b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def on_headers_finished(self) -> None:
        """A part's name is looked up and goes nowhere; what it says of a file's name is not even read."""
        _, words = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = words.get(b"name", b"").decode("utf-8", "replace")
        if self._name in self.form.files or self._name in self.form.options:
            raise BadRequest(f"the form has {self._name} twice", remedy="one of each")
        if len(self.form.files) + len(self.form.options) >= MOST:
            raise BadRequest("the form has too many fields", f"more than {MOST}", _HELP)
        if self._name in FILES:
            path = self.form.files[self._name] = self.form.folder / self._name
            self._file, self._hash = path.open("xb"), hashlib.sha256()
        else:
            self.form.options[self._name], self._text = "", b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            self._hash.update(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > LONGEST:
            raise BadOption(f"{self._name[:40]} is no option, or a very long one", f"more than {LONGEST} bytes", _HELP)

    def on_part_end(self) -> None:
        if self._file is not None:
            self.close()
            self.form.hashes[self._name] = self._hash.hexdigest()
        else:
            self.form.options[self._name] = self._text.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.whole = True
