"""Portraits: read from files, as large as asked for, and refused when nobody is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from understudy.errors import MissingFile, NoFace, NoSuchFace
from understudy.face.mesh_finder import MeshFinder
from understudy.face.portrait import Portrait, within
from understudy.face.square import Picture


@pytest.fixture(scope="module")
def finder() -> Iterator[MeshFinder]:
    with MeshFinder() as finder:
        yield finder


@pytest.fixture(scope="module")
def astronaut() -> Picture:
    return np.asarray(data.astronaut(), np.uint8)


def saved(picture: Picture, path: Path) -> Path:
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return path


def test_a_portrait_is_read(astronaut: Picture, finder: MeshFinder, tmp_path: Path) -> None:
    said: list[str] = []
    portrait = Portrait.read(saved(astronaut, tmp_path / "her.png"), finder=finder, warn=said.append)
    assert portrait.name == "her.png" and said == []
    assert np.array_equal(portrait.picture, astronaut)
    left, top, right, bottom = portrait.face.box
    assert portrait.crop.corner is not None, "at the picture's own resolution"
    x, y = portrait.crop.corner
    assert x < left - 0.5 * (right - left) and y + portrait.crop.size > bottom + 0.5 * (bottom - top)
    cut = portrait.crop.cut(portrait.picture)
    assert np.array_equal(portrait.crop.paste(portrait.picture, cut), astronaut)


def test_a_large_one_is_scaled_down_and_says_so(astronaut: Picture, finder: MeshFinder, tmp_path: Path) -> None:
    said: list[str] = []
    path = saved(astronaut[:400], tmp_path / "wide.png")
    portrait = Portrait.read(path, max_size=300, finder=finder, warn=said.append)
    assert portrait.picture.shape == (234, 300, 3)
    assert said == ["wide.png was scaled from 512x400 to 300x234: no side may exceed 300"]
    assert portrait.crop.picture_size == (300, 234)


def test_errors_name_the_file(astronaut: Picture, finder: MeshFinder, tmp_path: Path) -> None:
    with pytest.raises(NoFace, match=r"no human face was found in cat\.png"):
        Portrait.read(saved(np.asarray(data.cat(), np.uint8), tmp_path / "cat.png"), finder=finder)
    with pytest.raises(NoSuchFace, match=r"face 1 was asked for in her\.png"):
        Portrait.read(saved(astronaut, tmp_path / "her.png"), which=1, finder=finder)
    with pytest.raises(MissingFile):
        Portrait.read(tmp_path / "nobody.png", finder=finder)


def test_one_finder_is_made_when_none_is_given(astronaut: Picture) -> None:
    assert Portrait.of(astronaut, "her").face.human


@pytest.mark.parametrize(("size", "expected"), [(600, (512, 512)), (512, (512, 512)), (100, (100, 100))])
def test_within(astronaut: Picture, size: int, expected: tuple[int, int]) -> None:
    assert within(astronaut, size).shape[:2] == expected
    assert within(astronaut[:300], 100).shape[:2] == (59, 100)
