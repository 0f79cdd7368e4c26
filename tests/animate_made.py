"""Made material for tests of whole jobs: portraits and drivers of people who do not exist, and one astronaut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from importlib import resources
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from understudy.clip import Picture, Sound, read, read_picture, write, write_picture
from understudy.face.portrait import Portrait
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import CARRIED, Rig
from understudy.generator.warp import Warp
from understudy.motion.mesh import MotionMesh

FPS = 25


def shipped(name: str, size: int) -> Picture:
    """A picture of the package's assets, scaled."""
    with resources.as_file(resources.files("understudy") / "assets" / name) as path:
        return scaled(read_picture(path), size)


def scaled(picture: Picture, size: int) -> Picture:
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def portrait(path: Path, size: int = 256) -> Path:
    """The shipped realistic portrait."""
    return write_picture(path, shipped("portrait-realistic.jpg", size))


def astronaut() -> Picture:
    """The photograph that scikit-image carries: Eileen Collins, NASA, public domain; (512, 512, 3)."""
    import skimage.data

    return np.asarray(skimage.data.astronaut(), np.uint8)


def driver_frames(count: int, size: int = 256) -> Iterator[Picture]:
    """The shipped driver: opens and shuts mouth and eyes, turns; at most 150 frames."""
    with resources.as_file(resources.files("understudy") / "assets" / "driver.mp4") as path:
        for frame in islice(read(path), count):
            yield scaled(frame, size)


def driver(path: Path, frames: int | Iterable[Picture] = 30, sound: bool = True, size: int = 256) -> Path:
    """A driving film at 25 frames a second, with a tone."""
    pictures = list(driver_frames(frames, size)) if isinstance(frames, int) else list(frames)
    tone = np.sin(np.arange(round(16_000 * len(pictures) / FPS)) * 0.1).astype(np.float32)[:, None] * 0.3
    write(path, pictures, fps=FPS, sound=Sound(tone, 16_000) if sound else None)
    return path


def acted(who: Portrait, frames: int = 30) -> MotionMesh:
    """A performance by the rig, where the portrait's own face is: the jaw opens, the left eye winks, the head turns."""
    points = who.face.points
    beat = np.linspace(0, 2 * np.pi, frames)
    curves = np.zeros((frames, len(CARRIED)), np.float32)
    curves[:, CARRIED.index("jawOpen")] = 0.35 * (1 - np.cos(beat))
    curves[:, CARRIED.index("eyeBlinkLeft")] = np.maximum(np.sin(beat), 0)
    angles = np.stack([12 * np.sin(beat), 5 * np.sin(2 * beat), 0 * beat], -1)
    scale = float(np.hypot(*(points[33, :2] - points[263, :2])))
    middle = (points[33] + points[263]) / 2
    pose = Pose(
        rotation_of(angles), np.full(frames, scale, np.float32), np.repeat(middle[None], frames, 0).astype(np.float32)
    )
    rig = Rig.canonical()
    return MotionMesh.from_points(np.arange(frames) / FPS, rig.points(curves, pose), Fraction(FPS), neutral=rig.shape)


def astronaut_acting(frames: int = 30) -> list[Picture]:
    """The astronaut moved by the rig through the warp: a driver whose performance is known."""
    who = Portrait.of(astronaut(), "the astronaut")
    motion = acted(who, frames)
    warp = Warp(who)
    return list(warp.draw([motion], warp.reference_at(motion, 0, 0)))


def decoded(path: Path) -> list[Picture]:
    return list(read(path))


def decibels(one: Picture, other: Picture) -> float:
    """Peak signal to noise."""
    error = float(((one.astype(np.float64) - other.astype(np.float64)) ** 2).mean())
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
