"""Is this film a good driver?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from understudy.animate.driving import Met, watched
from understudy.animate.pace import Pace
from understudy.clip import Clip, Picture, Timed, Warn, read
from understudy.data.check.finding import Finding, graded
from understudy.data.check.look import Look, look
from understudy.data.check.portrait import of_look, size_of
from understudy.data.sheet import Tile
from understudy.face.mesh import EYES, Floats
from understudy.face.mesh_finder import MeshFinder
from understudy.motion.mesh import MotionMesh

SAMPLES: Final = 16  # frames that are looked at closely
SMALL: Final = 240  # pixels high: pictures for the sheet
FAST: Final = 0.35  # eye distances that a head moves from one frame to the next when it is blurred


@dataclass
class Album:
    """Small pictures of the frames that stand out, and the closely looked at ones; bounded however long the film is."""

    step: int
    waiting: dict[int, Picture] = field(default_factory=dict)  # full size, until their motion is known
    small: dict[int, Picture] = field(default_factory=dict)
    best: dict[str, tuple[float, Picture, float]] = field(default_factory=dict)

    def along(self, clip: Clip) -> Clip:
        """The same clip; its frames are remembered as they go by."""

        def opened() -> Iterator[Timed]:
            for count, (when, frame) in enumerate(clip.timed()):
                self.small[count] = _small(frame)
                if count % self.step == 0:
                    self.waiting[count] = frame
                yield when, frame

        return replace(clip, opened=opened)

    def judge(self, name: str, scores: Floats, first: int, times: npt.NDArray[np.float64]) -> None:
        """Keep the frame that scores most under a name; NaN never does."""
        if np.isnan(scores).all():
            return
        k = int(np.nanargmax(scores))
        if name not in self.best or scores[k] > self.best[name][0]:
            self.best[name] = (float(scores[k]), self.small[first + k], float(times[k]))

    def forget(self, before: int) -> None:
        """Frames whose motion is known and which do not stand out."""
        for kept in (self.small, self.waiting):
            for count in [count for count in kept if count < before]:
                del kept[count]


@dataclass
class Seen:
    """What was measured, a few numbers a frame."""

    met: Met = field(default_factory=Met)
    angles: list[Floats] = field(default_factory=list)  # (f, 3) each, degrees
    eyes: list[Floats] = field(default_factory=list)  # (f,) pixels an eye distance
    pace: list[Floats] = field(default_factory=list)  # (f,) eye distances a frame
    gaps: list[Floats] = field(default_factory=list)  # (f,) open mouth, eye distances
    lids: list[Floats] = field(default_factory=list)  # (f,) open eyes, eye widths
    looks: list[Look] = field(default_factory=list)
    people: list[int] = field(default_factory=list)


def judge(path: Path, which: int | None, warn: Warn, pace: Pace) -> tuple[list[Finding], list[Tile]]:
    """Findings about a driving film, and pictures for the sheet. Errors: those of reading it."""
    clip = read(path, warn=warn)
    album, seen = Album(max((clip.frames or 600) // SAMPLES, 1)), Seen()
    pace.begin("checking", clip.frames)
    with MeshFinder() as finder:
        for chunk in seen.met.along(watched(album.along(clip), path.name, which)):
            _measure(chunk, seen, album, finder)
            pace.at(seen.met.frames)
    return _findings(clip, seen), _tiles(album)


def _measure(chunk: MotionMesh, seen: Seen, album: Album, finder: MeshFinder) -> None:
    """Add a chunk; `seen.met` has counted it already."""
    first = seen.met.frames - len(chunk)
    shape = chunk.pose.take(chunk.points)
    gap = np.linalg.norm(shape[:, 13] - shape[:, 14], axis=-1)
    lids = np.mean([_open(shape, eye) for eye in ("Left", "Right")], axis=0)
    moved = np.linalg.norm(np.diff(chunk.pose.pivot[:, :2], axis=0), axis=-1) / chunk.pose.scale[1:]
    for kept, values in ((seen.angles, chunk.pose.angles), (seen.eyes, chunk.pose.scale), (seen.pace, moved),
                         (seen.gaps, gap), (seen.lids, lids)):  # fmt: skip
        rows = chunk.seen[1:] if values is moved else chunk.seen
        kept.append(np.asarray(values[rows], np.float32))
    nobody = np.where(chunk.seen, np.nan, 1.0).astype(np.float32)
    yaw, pitch = (np.where(chunk.seen, chunk.pose.angles[:, i], np.nan) for i in (0, 1))
    calm = -(np.abs(yaw) + np.abs(pitch)) / 30 - 4 * gap
    for name, scores in (
        ("calm", calm), ("turned left", -yaw), ("turned right", yaw), ("looking up", -pitch), ("looking down", pitch),
        ("mouth open", np.where(chunk.seen, gap, np.nan)), ("eyes shut", np.where(chunk.seen, -lids, np.nan)),
        ("no face", nobody),
    ):  # fmt: skip
        album.judge(name, np.asarray(scores, np.float32), first, chunk.times)
    for count, frame in list(album.waiting.items()):
        if first <= count < first + len(chunk) and chunk.seen[count - first]:
            seen.looks.append(look(frame, chunk.points[count - first]))
            seen.people.append(len(finder.find(frame, thorough=False)))
    album.forget(first + len(chunk))


def _open(shape: Floats, side: str) -> Floats:
    eye = EYES[side]
    gap = np.linalg.norm(shape[:, eye.upper[2:7]] - shape[:, eye.lower[2:7]], axis=-1).mean(-1)
    return np.asarray(
        gap / np.maximum(np.linalg.norm(shape[:, eye.outer] - shape[:, eye.inner], axis=-1), 1e-6), np.float32
    )


def _findings(clip: Clip, seen: Seen) -> list[Finding]:
    found = [_frames(clip, seen.met.frames), _faceless(seen.met)]
    if seen.met.unseen == seen.met.frames:
        return found
    angles, eyes = np.concatenate(seen.angles), np.concatenate(seen.eyes)
    found += [_others(seen.people), size_of(float(np.median(eyes)), ", in the middle"), _cuts(seen.met), _turn(angles)]
    found += [
        _liveliness(np.concatenate(seen.gaps), np.concatenate(seen.lids), angles),
        _speed(np.concatenate(seen.pace)),
    ]
    if seen.looks:
        found += of_look(_middle(seen.looks))
    return found


def _frames(clip: Clip, count: int) -> Finding:
    rate, seconds = float(clip.fps), count / float(clip.fps)
    seen = f"{count}, {rate:.4g} a second, {seconds:.1f} s, {clip.size[0]} x {clip.size[1]} pixels"
    if count == 1:
        return Finding("note", "frames", seen, "one frame gives one frame: its expression, outright")
    if clip.fps < 12:
        return Finding("poor", "frames", seen, "a film of 24 frames a second or more: blinks fall between frames")
    if clip.fps < 20:
        return Finding("note", "frames", seen, "quick blinks and words will be coarse")
    return Finding("good", "frames", seen + (", at varying distances" if clip.variable else ""))


def _faceless(met: Met) -> Finding:
    if met.unseen == met.frames:
        return Finding("unusable", "face", "no face in any frame", "a film of one face, from the front, well lit")
    if not met.unseen:
        return Finding("good", "face", "in every frame")
    seen = f"none in {met.unseen} of {met.frames} frames, first at {met.gaps[0][0]:.1f} s"
    advice = "there the last expression is held; keep the face in view and hands away from it"
    return Finding(graded(met.unseen / met.frames, poor=0.1, note=0.0), "face", seen, advice)


def _others(people: list[int]) -> Finding:
    several = sum(count > 1 for count in people)
    if not several:
        return Finding("good", "people", "one")
    seen = f"more than one face in {several} of {len(people)} frames looked at"
    return Finding(
        "note", "people", seen, "the largest is followed from the first frame on; cut the film to one person"
    )


def _cuts(met: Met) -> Finding:
    if not met.cuts:
        return Finding("good", "cuts", "none")
    times = ", ".join(f"{when:.1f}" for when in met.cuts[:6])
    return Finding("note", "cuts", f"{len(met.cuts)}, at {times} s", "one take: at a cut the head may jump")


def _turn(angles: Floats) -> Finding:
    far = np.percentile(np.abs(angles - np.median(angles, axis=0)), 98, axis=0)
    low, high = np.percentile(angles, 2, axis=0), np.percentile(angles, 98, axis=0)
    seen = ", ".join(
        f"{name} {least:+.0f} to {most:+.0f}"
        for name, least, most in zip(("turns", "nods", "tilts"), low, high, strict=True)
    )
    severity = graded(max(float(far[0]) / 34, float(far[1]) / 24), poor=1.0, note=0.7)
    advice = "smaller turns of the head: a bent picture follows about 30 degrees and is softly limited beyond"
    return Finding(severity, "head", seen, "" if severity == "good" else advice)


def _liveliness(gaps: Floats, lids: Floats, angles: Floats) -> Finding:
    mouth, eyes, head = (float(np.ptp(np.percentile(each, (3, 97)))) for each in (gaps, lids, angles[:, 0]))
    if len(gaps) > 1 and mouth < 0.02 and eyes < 0.06 and head < 3:
        return Finding("note", "motion", "hardly any", "the result will be almost a still picture")
    return Finding(
        "good", "motion", f"mouth opens by {mouth:.2f} and lids by {eyes:.2f}, of the eyes' distance and width"
    )


def _speed(pace: Floats) -> Finding:
    quick = float((pace > FAST).mean()) if len(pace) else 0.0
    if quick > 0.03:
        return Finding(
            "note", "speed", f"the head jumps in {quick:.0%} of the frames", "slower moves: quick ones are blurred"
        )
    return Finding("good", "speed", "the head moves smoothly")


def _middle(looks: list[Look]) -> Look:
    """The median of each measure."""
    names = Look.__dataclass_fields__
    return Look(**{name: float(np.median([getattr(each, name) for each in looks])) for name in names})


def _tiles(album: Album) -> list[Tile]:
    return [Tile(picture, f"{name}, {when:.1f} s") for name, (_, picture, when) in album.best.items()]


def _small(frame: Picture) -> Picture:
    width = max(round(frame.shape[1] * SMALL / frame.shape[0]), 1)
    return np.asarray(cv2.resize(frame, (width, SMALL), interpolation=cv2.INTER_AREA), np.uint8)
