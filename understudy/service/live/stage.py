"""Who performs live: a frame of the camera to motion, and motion to the portrait, one frame at a time."""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from understudy.animate.choices import Choices
from understudy.clip import Picture
from understudy.errors import TooLarge, UnreadableMedia
from understudy.face.follow import Seen, follow
from understudy.face.lips import cut_inside
from understudy.face.portrait import Portrait
from understudy.face.pose import fit_pose
from understudy.generator.warp import Reference, Warp
from understudy.motion.mesh import MotionMesh
from understudy.service.live.pipeline import Shot

RATE: Final = Fraction(25)  # nominal; live frames come when they come
SETTLING: Final = 25  # frames with a face, of which the best is measured from
CAMERA: Final = 1280 * 960  # pixels of a camera's frame, at most
LARGE: Final = 512  # pixels of a portrait's longer side
QUALITY: Final = 85  # of JPEG


def motions(shots: Iterable[Shot[Picture]]) -> Iterator[MotionMesh | None]:
    """The motion in every shot's picture, at once; None where nobody is seen. Nothing is held back, so nothing is
    smoothed with what comes later, and gaps are not bridged."""
    waiting: deque[Picture] = deque()

    def timed() -> Iterator[tuple[float, Picture]]:
        for shot in shots:
            waiting.append(shot.what)
            yield shot.time, shot.what

    for seen in follow(timed(), lookahead=0):
        yield motion_of(seen, waiting.popleft())


def motion_of(seen: Seen, picture: Picture) -> MotionMesh | None:
    """One frame. It has no curves: they would take longer than all else, and warp does not ask for them."""
    if seen.face is None:
        return None
    points = seen.face.points[None]
    return MotionMesh(
        times=np.array([seen.time]),
        points=points,
        pose=fit_pose(points),
        curves=np.zeros((1, 0), np.float32),
        names=(),
        seen=np.ones(1, bool),
        shots=np.zeros(1, np.int32),
        rate=RATE,
        mouths=cut_inside(picture, seen.face.points)[None],
    )


class Performer:
    """A portrait that does what one frame after another says; while nobody is seen it stays as it was.

    It is measured from the best of the first frames that show a face, and from better ones as they come; `again` makes
    those that come now the first."""

    def __init__(self, portrait: Portrait, choices: Choices) -> None:
        self.warp = Warp(portrait, choices.options(still=False))
        self._lock = threading.Lock()
        self._first: list[MotionMesh] = []
        self._reference: Reference | None = None
        self._last = self.warp.figure.crop

    def again(self) -> None:
        """Whoever is before the camera now looks as the portrait does."""
        with self._lock:
            self._first, self._reference = [], None

    def draw(self, motion: MotionMesh | None) -> Picture:
        """(n, n, 3): the portrait's square."""
        if motion is not None:
            self._last = next(self.warp.draw_crops([motion], self._measured(motion)))
        return self._last

    def _measured(self, motion: MotionMesh) -> Reference:
        with self._lock:
            if self._reference is None or len(self._first) < SETTLING:
                self._first.append(motion)
                self._reference = self.warp.reference(self._first)
            assert self._reference is not None  # somebody is seen in all of them
            return self._reference


def unpacked(data: bytes) -> Picture:
    """A camera's JPEG or WebP as (h, w, 3) RGB. Errors: `UnreadableMedia`; `TooLarge`, before it is decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "WEBP")) as picture:
            width, height = picture.size
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise UnreadableMedia("a frame of the camera is no JPEG or WebP", f"{len(data)} bytes") from error
    if width * height > CAMERA:
        raise TooLarge("a frame of the camera is too large", f"{width}x{height}", "640x480 is plenty")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise UnreadableMedia("a frame of the camera cannot be decoded", f"{len(data)} bytes")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)


def packed(picture: Picture) -> bytes:
    """A frame as JPEG."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"a picture of {picture.shape} was not encoded")
    return data.tobytes()
