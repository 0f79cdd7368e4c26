"""Who: a picture, the face in it, and the square in which it will be drawn."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from understudy.clip import AnyPath, Picture, Warn, read_picture
from understudy.clip.media import say
from understudy.face.crop import MARGIN, Crop
from understudy.face.find import Face, Finder, pick
from understudy.face.mesh_finder import MeshFinder


@dataclass(frozen=True, eq=False)
class Portrait:
    """`picture (h, w, 3) uint8`, the `face` found in it, the `crop` round it, and a `name` for people."""

    picture: Picture
    face: Face
    crop: Crop
    name: str

    @classmethod
    def read(
        cls,
        path: AnyPath,
        which: int | None = None,
        max_size: int = 1920,
        finder: Finder | None = None,
        warn: Warn = say,
    ) -> Portrait:
        """The portrait in a picture file; `which` face of several, counted from the largest, which is 0.

        A picture with a side beyond `max_size` is scaled down. Errors: those of reading a picture, and of `pick`."""
        picture = read_picture(path, warn=warn)
        name = Path(os.fspath(path)).name
        smaller = within(picture, max_size)
        if smaller is not picture:
            warn(f"{name} was scaled from {extent(picture)} to {extent(smaller)}: no side may exceed {max_size}")
        return cls.of(smaller, name, which, finder)

    @classmethod
    def of(
        cls,
        picture: Picture,
        name: str = "the picture",
        which: int | None = None,
        finder: Finder | None = None,
        margin: float = MARGIN,
    ) -> Portrait:
        """The portrait in a picture, with `margin` sizes of the face around it. Errors: see `pick`."""
        if finder is None:
            with MeshFinder() as finder:
                return cls.of(picture, name, which, finder, margin)
        face = pick(finder.find(picture, doubtful=True), which, name)
        height, width = picture.shape[:2]
        return cls(picture, face, Crop.around(face, (width, height), margin), name)


def within(picture: Picture, max_size: int) -> Picture:
    """The picture, scaled down so that neither side is longer than `max_size`; itself if it fits."""
    height, width = picture.shape[:2]
    factor = max_size / max(width, height)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def extent(picture: Picture) -> str:
    """Width and height, for people."""
    return f"{picture.shape[1]}x{picture.shape[0]}"
