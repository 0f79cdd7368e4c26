"""What a file says about itself: any words, in any kind of file, and back.

Containers differ in what they keep: MP4 keeps any key when asked, Matroska puts keys in capitals, AVI knows only its
own keys, and programs that copy a film drop most of them. One key is kept by all: the comment. So every word goes there
too, together, as JSON; and that is what is read back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, PngImagePlugin

COMMENT = "comment"
DESCRIPTION = 0x010E  # EXIF ImageDescription
_OF_THE_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder", "software", "duration"}
_GIF_TAIL = 1 << 20
_SPOKEN = re.compile(r"-[a-z]{2,3}$", re.IGNORECASE)  # a language, as FFmpeg writes it behind a key


def packed(metadata: Mapping[str, str]) -> str:
    """All words in one, in ASCII."""
    return json.dumps(dict(metadata), sort_keys=True)


def unpacked(text: str) -> dict[str, str] | None:
    """The words again; none when the text is something else."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        return None
    return words


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """A film's tags: each word under its own key, for other programs, and all of them in the comment. Where a key might
    end in a language, in the comment alone: Matroska makes `title-eng` of `title-en`."""
    own = {key: value for key, value in metadata.items() if not _SPOKEN.search(key)}
    return {**own, COMMENT: packed(metadata)} if metadata else {}


def words_in(tags: Mapping[str, str]) -> dict[str, str]:
    """The words that a film's tags hold: those given when it was written, and what other programs have put there."""
    lower = {key.lower(): value for key, value in tags.items() if key.lower() not in _OF_THE_CONTAINER}
    exact = unpacked(lower.get(COMMENT, ""))
    if exact is None:
        return lower
    ours = {key.lower().replace(" ", "_") for key in exact} | {key.lower() for key in exact} | {COMMENT}
    return {key: value for key, value in lower.items() if key not in ours} | exact


def png_text(metadata: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    """The words as PNG text: each under its key, and all in the comment, since a PNG key is short and Latin."""
    info = PngImagePlugin.PngInfo()
    for key, value in tags_of(metadata).items():
        if key.isascii() and key.isprintable() and 0 < len(key) < 80:
            info.add_itxt(key, value)
    return info


def exif_of(metadata: Mapping[str, str]) -> Image.Exif:
    """The words as the description of a JPEG or WebP picture."""
    exif = Image.Exif()
    if metadata:
        exif[DESCRIPTION] = packed(metadata)
    return exif


def append_gif_comment(path: Path, metadata: Mapping[str, str]) -> None:
    """Put the words before a GIF's trailer: FFmpeg's writer has no place for them."""
    if not metadata:
        return
    text = packed(metadata).encode("ascii")
    blocks = b"".join(bytes([len(text[i : i + 255])]) + text[i : i + 255] for i in range(0, len(text), 255))
    with path.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!\xfe" + blocks + b"\0;")


def gif_comment(path: Path) -> dict[str, str]:
    """The words that `append_gif_comment` put into a GIF, or the comment that somebody else did."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _GIF_TAIL))
        tail = file.read()
    text, at = b"", tail.rfind(b"!\xfe") + 2
    while at > 1 and at < len(tail) and tail[at]:
        text += tail[at + 1 : at + 1 + tail[at]]
        at += 1 + tail[at]
    return described(text.decode("utf-8", "replace"))


def described(text: str) -> dict[str, str]:
    """The words in a comment or description: ours, or somebody's text as it is."""
    words = unpacked(text)
    if words is not None:
        return words
    return {COMMENT: text} if text else {}
