"""Tar files that depend on nothing but what is in them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from understudy.data import tars
from understudy.errors import MediaError


def test_any_tar_reads_it_and_members_are_found_by_their_places(tmp_path: Path) -> None:
    wanted = {f"take-{n}.{n:04d}.jpg": bytes([n]) * (n * 300) for n in range(5)}
    path = tmp_path / "00000.tar"
    with tars.written(path) as file:
        for name, data in wanted.items():
            file.write(tars.member(name, data))
        file.write(tars.END)
    with tarfile.open(path) as file:
        assert {each.name: file.extractfile(each).read() for each in file} == wanted  # type: ignore[union-attr]
    assert {each.name: tars.read(path, each) for each in tars.members(path)} == wanted


def test_members_say_nothing_of_when_or_by_whom() -> None:
    assert tars.member("a.jpg", b"x") == tars.member("a.jpg", b"x")
    about = tarfile.TarInfo.frombuf(tars.member("a.jpg", b"x")[:512], "utf-8", "strict")
    assert (about.mtime, about.uid, about.gid, about.uname, about.gname) == (0, 0, 0, "", "")


def test_a_file_that_is_not_whole_does_not_get_its_name(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tars.written(tmp_path / "a.tar") as file:
        file.write(b"x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_short_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "00000.tar"
    path.write_bytes((tars.member("a.jpg", b"x" * 4000))[:2000])
    with pytest.raises(MediaError):
        tars.members(path)
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(MediaError):
        tars.members(path)


def test_sounds_are_ordinary_wav_files() -> None:
    samples = np.arange(-50, 50, dtype="<i2")
    data = tars.wave(samples.tobytes(), 16_000)
    assert data[:4] == b"RIFF" and data.endswith(samples.tobytes())
