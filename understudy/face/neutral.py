"""A person's face at rest, from a clip in which they act, or from one picture.

The rig needs to know a face as it is when nothing moves: eyes open, mouth shut, looking ahead. Nobody poses for that,
so it is estimated: the frames that express least are averaged, and what even they do not show is put right: lips that
never close are closed by the rig, eyes that never open are opened, irises are put where they would look ahead.

What faces are like at rest is taken from anatomy (Farkas 1994: mouth 50 mm, outer corners of the eyes 92 mm apart, lid
openings 30 x 10 mm).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.face.arkit import CARRIED
from understudy.face.authored import around_lids
from understudy.face.mesh import EYES, Eye, Floats
from understudy.face.pose import fit_pose
from understudy.face.rig import Rig

_SHARE: Final = 0.1  # of the frames are averaged
_FEWEST: Final = 3
_OPEN: Final = 0.7  # eyes at rest are as open as in this share of the frames, lids being shut more often than wide
_MOUTH: Final = {"gap": 0.0, "width": 0.54, "corner": 0.03}  # at rest; see `_mouth`
_LIDS: Final = 0.33  # height of the opening at rest, of its width
_AHEAD: Final = (0.53, -0.075)  # where irises look ahead; see `_gaze`
_PARTED: Final = 0.02  # lips farther apart than this, of the width of the mouth, are not at rest
_BARELY: Final = 0.17  # eyes less open than this, of their width, are not at rest
# A difference of this size (of the eye or mouth it belongs to, eye units else) is as bad for each measure.
_SCALES: Final = {"lid": 0.06, "gap": 0.04, "width": 0.04, "corner": 0.05, "brow": 0.02, "turn": 12.0}


def neutral_shape(points: Floats) -> Floats:
    """`points (f, 478, 3)` pixels of one person, at least one frame -> the face at rest `(478, 3)` in eye units."""
    pose = fit_pose(points)
    shapes = pose.take(points)
    turn = np.abs(pose.angles[:, :2] - np.median(pose.angles[:, :2], axis=0)).max(1) if len(points) > 1 else None
    calm = _calmest(shapes, turn)
    shape = shapes[calm].mean(axis=0)
    shape = _looking_ahead(shape, shapes)
    return _mouth_shut(_eyes_open(shape))


class Neutral:
    """The face at rest while a film is still coming in: the estimate is made once enough frames were seen, then kept.

    Until then `shape` is the estimate from what there is. Memory is bounded by `enough` frames."""

    def __init__(self, enough: int = 150) -> None:
        self.enough = enough
        self._kept: list[Floats] = []
        self._seen = 0
        self._shape: Floats | None = None

    @property
    def fixed(self) -> bool:
        """Enough was seen; the shape changes no more."""
        return self._seen >= self.enough and not self._kept

    @property
    def shape(self) -> Floats | None:
        """(478, 3), or None before the first frame."""
        if self._shape is None and self._kept:
            self._shape = neutral_shape(np.concatenate(self._kept))
        return self._shape

    def feed(self, points: Floats) -> Floats | None:
        """Takes the next frames (f, 478, 3) in, and returns the estimate."""
        if not self.fixed and len(points):
            self._kept.append(np.asarray(points[: self.enough - self._seen], np.float32))
            self._seen += len(self._kept[-1])
            self._shape = None
            if self._seen >= self.enough:
                self._shape = neutral_shape(np.concatenate(self._kept))
                self._kept = []
        return self.shape


def _calmest(shapes: Floats, turn: Floats | None) -> npt.NDArray[np.intp]:
    """The frames that express least. Lids and brows are judged by what is usual in the clip; the mouth by what mouths
    are like at rest, because a clip may be one long grin."""
    off = np.zeros(len(shapes)) if turn is None else np.asarray(turn, np.float64) / _SCALES["turn"]
    for name, values in _mouth(shapes):
        off += np.minimum(np.abs(values - _MOUTH[name]) / _SCALES[name], 6.0)
    for eye in EYES.values():
        lids, brow = _openness(shapes, eye), shapes[:, list(eye.brow), 1].mean(1)
        brow = brow - shapes[:, [eye.outer, eye.inner], 1].mean(1)
        off += np.minimum(np.abs(lids - np.quantile(lids, _OPEN)) / _SCALES["lid"], 4.0)
        off += np.minimum(np.abs(brow - np.median(brow)) / _SCALES["brow"], 4.0)
    return np.argsort(off, kind="stable")[: max(int(_SHARE * len(shapes)), min(_FEWEST, len(shapes)))]


def _mouth(shapes: Floats) -> list[tuple[str, Floats]]:
    """How open the mouth is (of its width), how wide (eye units), and how far its corners are below the line where the
    lips meet (of its width); one value a frame."""
    width = np.linalg.norm(shapes[:, 61] - shapes[:, 291], axis=1)
    corners = shapes[:, [61, 291], 1].mean(1) - shapes[:, [13, 14], 1].mean(1)
    gap = shapes[:, 14, 1] - shapes[:, 13, 1]
    wide = np.maximum(width, 1e-3)
    return [("gap", gap / wide), ("width", width), ("corner", corners / wide)]


def _openness(shapes: Floats, eye: Eye) -> Floats:
    """(f,): between the middles of the lids, of the eye's width."""
    width = np.linalg.norm(shapes[:, eye.outer] - shapes[:, eye.inner], axis=1)
    gap = shapes[:, eye.lower[3:6], 1].mean(1) - shapes[:, eye.upper[3:6], 1].mean(1)
    return np.asarray(gap / np.maximum(width, 1e-3), np.float32)


def _looking_ahead(shape: Floats, shapes: Floats) -> Floats:
    """Irises where they look ahead: to the sides as far as both eyes agree (they may squint, not both look left),
    up and down half-way between where they mostly were and where irises usually are."""
    seen = np.array([_gaze(shapes, eye) for eye in EYES.values()])  # (2, f, 2)
    ahead = np.median(seen, axis=1)
    ahead[:, 0] = np.clip(ahead[:, 0].mean(), _AHEAD[0] - 0.15, _AHEAD[0] + 0.15)
    ahead[:, 1] = (ahead[:, 1] + _AHEAD[1]) / 2
    placed = shape.copy()
    for eye, goal in zip(EYES.values(), ahead, strict=True):
        along, down, width = _eye_axes(shape, eye)
        off = goal - _gaze(shape[None], eye)[0]
        placed[list(eye.iris)] += width * (off[0] * along + off[1] * down)
    return placed


def _gaze(shapes: Floats, eye: Eye) -> Floats:
    """(f, 2): where the iris is, from the inner to the outer corner and below that line, of the eye's width."""
    across = shapes[:, eye.outer, :2] - shapes[:, eye.inner, :2]
    width = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-3)
    along = across / width
    down = np.stack([-along[:, 1], along[:, 0]], 1) * np.where(along[:, :1] < 0, -1, 1)
    iris = shapes[:, eye.iris[0], :2] - shapes[:, eye.inner, :2]
    return np.asarray(np.stack([(iris * along).sum(1), (iris * down).sum(1)], 1) / width, np.float32)


def _eye_axes(shape: Floats, eye: Eye) -> tuple[Floats, Floats, float]:
    """Unit vectors from the inner to the outer corner and down from that line, in the picture plane; the width."""
    across = (shape[eye.outer] - shape[eye.inner]) * np.array([1, 1, 0], np.float32)
    width = max(float(np.linalg.norm(across)), 1e-3)
    along = across / width
    down = np.array([-along[1], along[0], 0], np.float32) * (1 if along[0] > 0 else -1)
    return along, down, width


def _eyes_open(shape: Floats) -> Floats:
    """Lids that are all but shut are opened, mostly by the upper one, to a lens."""
    opened = shape.copy()
    for eye in EYES.values():
        if float(_openness(shape[None], eye)[0]) >= _BARELY:
            continue
        along, down, width = _eye_axes(shape, eye)
        for upper, lower in around_lids():
            if upper[0] not in eye.upper:
                continue
            across = float((shape[upper[0]] - shape[eye.inner]) @ along) / width
            gap = _LIDS * width * max(1 - (2 * across - 1) ** 2, 0.0) ** 0.75
            lack = gap - float((shape[lower[0]] - shape[upper[0]]) @ down)
            for point, share in zip((*upper, *lower), (-0.8, -0.44, 0.2, 0.15), strict=True):
                opened[point] += share * lack * down
    return opened


def _mouth_shut(shape: Floats) -> Floats:
    """Lips that are apart are closed by taking back as much of an open jaw."""
    shut, jaw = shape.copy(), CARRIED.index("jawOpen")
    for _ in range(2):
        gap = float(shut[14, 1] - shut[13, 1])
        width = float(np.linalg.norm(shut[61] - shut[291]))
        if gap <= _PARTED * width:
            return shut
        opening = Rig.fit(shut).basis[jaw]
        shut = shut - opening * ((gap - _PARTED / 2 * width) / max(float(opening[14, 1] - opening[13, 1]), 1e-3))
    return shut
