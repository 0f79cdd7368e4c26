"""Contact sheets: pictures side by side with a word under each, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Bytes = npt.NDArray[np.uint8]
GAP: Final = 10  # pixels between pictures
PAPER: Final = (250, 249, 246)
INK: Final = (40, 40, 44)


@dataclass(frozen=True)
class Tile:
    """One picture (h, w, 3) and what is said under it."""

    picture: Bytes
    words: str = ""


def sheet(rows: Sequence[Sequence[Tile]], title: str = "", below: Sequence[str] = (), height: int = 240) -> Bytes:
    """All rows under each other, (h, w, 3); pictures `height` high and never squashed; `below`: lines of text."""
    scaled = [[Tile(_fit(tile.picture, height), tile.words) for tile in row] for row in rows]
    width = max([sum(tile.picture.shape[1] + GAP for tile in row) for row in scaled], default=0) + GAP
    font, large = ImageFont.load_default(15), ImageFont.load_default(20)
    lines = [line for text in below for line in _wrap(text, font, max(width, 640) - 2 * GAP)]
    width = max(width, 640)
    top = 40 if title else GAP
    page = Image.new("RGB", (width, top + len(rows) * (height + 32) + len(lines) * 21 + GAP), PAPER)
    pen = ImageDraw.Draw(page)
    if title:
        pen.text((GAP, 9), title, INK, large)
    y = top
    for row in scaled:
        x = GAP
        for tile in row:
            page.paste(Image.fromarray(tile.picture), (x, y))
            pen.text((x, y + height + 4), _cut(tile.words, font, tile.picture.shape[1]), INK, font)
            x += tile.picture.shape[1] + GAP
        y += height + 32
    for number, line in enumerate(lines):
        pen.text((GAP, y + 21 * number), line, INK, font)
    return np.asarray(page, np.uint8)


def _fit(picture: Bytes, height: int) -> Bytes:
    """Scaled to `height`; wide panoramas are shown with their middle only."""
    high, wide = picture.shape[:2]
    width = max(round(wide * height / high), 1)
    method = cv2.INTER_AREA if height < high else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
    spare = max(width - 3 * height, 0) // 2
    return scaled[:, spare : width - spare]


_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _cut(words: str, font: _Font, width: int) -> str:
    while words and font.getlength(words) > width:
        words = words[:-2].rstrip() + "…" if len(words) > 2 else ""
    return words


def _wrap(text: str, font: _Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(f"    {word}")
    return lines
