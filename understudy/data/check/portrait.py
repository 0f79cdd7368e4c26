"""Is this picture a good portrait?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from understudy.clip import Picture, Warn, read_picture
from understudy.data.check.finding import Finding, graded
from understudy.data.check.look import BLURRED, GLASSES, SOFT, Look, aligned, look
from understudy.data.sheet import Tile
from understudy.face.find import SMALLEST_EYES, Face, pick
from understudy.face.mesh import EYES, Floats
from understudy.face.mesh_finder import MeshFinder
from understudy.face.pose import fit_pose

LARGE: Final = 80.0  # pixels between the eyes from which a face looks well
SHUT: Final = 0.12  # lid gap over eye width
PARTED: Final = 0.05  # lip gap over eye distance


def judge(path: Path, which: int | None, warn: Warn) -> tuple[list[Finding], list[Tile]]:
    """Findings about a portrait, and pictures for the sheet. Errors: of reading it, and that nobody is in it."""
    picture = read_picture(path, warn=warn)
    with MeshFinder() as finder:
        faces = finder.find(picture, doubtful=True)
    face = pick(faces, which, str(path))
    seen = look(picture, face.points)
    return [*of_face(picture, faces, face), *of_look(seen)], _tiles(picture, face, seen)


def of_face(picture: Picture, faces: Sequence[Face], face: Face) -> list[Finding]:
    """What the points tell."""
    people = [each for each in faces if each.human]
    height, width = picture.shape[:2]
    found = [
        _faces(people, face),
        size_of(face.eye_distance),
        _pose(face),
        *_expression(face.points),
        *_edges(face, width, height),
    ]
    if face.score < 0.7:
        found.append(
            Finding("note", "human", f"{face.score:.0%} sure that this is a person", "paintings and statues may be so")
        )
    return found


def _faces(people: Sequence[Face], face: Face) -> Finding:
    if len(people) == 1:
        return Finding("good", "faces", "one")
    number = sorted(people, key=lambda each: -each.size).index(face)
    return Finding(
        "note", "faces", f"{len(people)}; number {number} is taken, counted from the largest", "--face N for another"
    )


def size_of(eyes: float, where: str = "") -> Finding:
    """Whether a face has enough pixels."""
    seen = f"{eyes:.0f} pixels from eye to eye{where}"
    if eyes < SMALLEST_EYES:
        return Finding("unusable", "face size", seen, f"a nearer or larger picture: {SMALLEST_EYES:.0f} are the least")
    if eyes < LARGE / 2:
        return Finding("poor", "face size", seen, f"a nearer or larger picture; {LARGE:.0f} pixels and more look well")
    return Finding(
        "note" if eyes < LARGE else "good", "face size", seen, "soft on a large screen" if eyes < LARGE else ""
    )


def _pose(face: Face) -> Finding:
    yaw, pitch, roll = (float(angle) for angle in fit_pose(face.points[None]).angles[0])
    seen = f"turned {yaw:+.0f} degrees, nodding {pitch:+.0f}, tilted {roll:+.0f}"
    bad = graded(max(abs(yaw), 1.3 * abs(pitch)), poor=32, note=20)
    advice = {
        "poor": "a picture from the front: what is turned away cannot be turned back",
        "note": "works; drivers that turn to the other side will be limited",
    }
    return Finding(bad, "head", seen, advice.get(bad, ""))


def _expression(points: Floats) -> list[Finding]:
    found = []
    lids = [
        float(np.linalg.norm(points[list(eye.upper[2:7]), :2] - points[list(eye.lower[2:7]), :2], axis=-1).mean())
        / max(float(np.linalg.norm(points[eye.outer, :2] - points[eye.inner, :2])), 1e-3)
        for eye in EYES.values()
    ]
    if max(lids) < SHUT:
        found.append(Finding("poor", "eyes", "shut", "a picture with open eyes: none can be made up"))
    elif min(lids) < SHUT:
        found.append(Finding("note", "eyes", "one is shut, or nearly", "a picture with both eyes open"))
    else:
        found.append(Finding("good", "eyes", "open"))
    gap = float(np.linalg.norm(points[13] - points[14])) / max(float(np.linalg.norm(points[33] - points[263])), 1e-3)
    if gap > PARTED:
        found.append(
            Finding("note", "mouth", "open", "lips that touch are easier: teeth that are seen must be covered")
        )
    else:
        found.append(Finding("good", "mouth", "closed"))
    return found


def _edges(face: Face, width: int, height: int) -> list[Finding]:
    left, top, right, bottom = face.box
    room = min(left, top, width - right, height - bottom) / face.size
    if room < 0:
        return [
            Finding("poor", "frame", "the face is cut off by the picture's edge", "a picture with the whole head in it")
        ]
    if room < 0.12:
        return [
            Finding("note", "frame", "the face is close to the picture's edge", "room for hair and neck moves better")
        ]
    return [Finding("good", "frame", "room on all sides")]


def of_look(seen: Look) -> list[Finding]:
    """What the pixels tell."""
    found = [_sharpness(seen.blur), _light(seen)]
    if seen.rims >= GLASSES:
        found.append(
            Finding("note", "glasses", "perhaps", "eyes behind them move less, and reflections do not move at all")
        )
    return found


def _sharpness(blur: float) -> Finding:
    if blur >= BLURRED:
        return Finding("poor", "sharpness", "blurred, or enlarged from a small picture", "a sharper original")
    if blur >= SOFT:
        return Finding("note", "sharpness", "a little soft", "a sharper original, if there is one")
    return Finding("good", "sharpness", "sharp")


def _light(seen: Look) -> Finding:
    words = f"mean brightness of the face {seen.light:.0f} of 255"
    if seen.light < 40 or seen.drowned > 0.25:
        return Finding("poor", "light", words, "more light on the face")
    if seen.light > 225 or seen.burnt > 0.1:
        return Finding("poor", "light", f"{words}, {seen.burnt:.0%} burnt out", "less light, or a shorter exposure")
    return Finding("good", "light", words)


def _tiles(picture: Picture, face: Face, seen: Look) -> list[Tile]:
    """The whole with the face marked, the face upright, and its mesh."""
    marked = picture.copy()
    left, top, right, bottom = (round(side) for side in face.box)
    thick = max(round(max(picture.shape) / 300), 1)
    cv2.rectangle(marked, (left, top), (right, bottom), (64, 200, 96), thick)
    upright, _ = aligned(picture, face.points)
    return [
        Tile(marked, f"{picture.shape[1]} x {picture.shape[0]}"),
        Tile(upright, "upright"),
        Tile(meshed(picture, face.points), "as it is followed"),
    ]


def meshed(picture: Picture, points: Floats) -> Picture:
    """The face with its 478 points."""
    low = np.maximum(points[:, :2].min(0) - 0.15 * np.ptp(points[:, 1]), 0).astype(int)
    high = (points[:, :2].max(0) + 0.15 * np.ptp(points[:, 1])).astype(int) + 1
    part = picture[low[1] : high[1], low[0] : high[0]].copy()
    scale = 480 / max(part.shape[0], 1)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    page = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=method), np.uint8)
    for x, y in (points[:, :2] - low) * scale:
        cv2.circle(page, (round(float(x)), round(float(y))), 1, (64, 255, 128), -1, cv2.LINE_AA)
    return page
