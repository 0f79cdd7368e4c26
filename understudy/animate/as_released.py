"""Drawing as the released scripts draw, from their first look at the pictures on: `--parity`, see `published.parity`.

All of a film is in memory, as there. Not theirs are: who says where the 68 landmarks are (MediaPipe here, X-Portrait's
script asks face-alignment, and asks again after every frame was moved, where the points are moved here), and chance,
which is keyed by the seed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from understudy.ahead import ahead
from understudy.animate.artist import Drawn, Way
from understudy.animate.choices import Choices
from understudy.animate.driving import DECODED, Driving
from understudy.animate.imagined import made, pictures_of
from understudy.animate.manners import expected, manner_of, released_of
from understudy.animate.trained import Trained
from understudy.clip import AnyPath, Clip, Picture, Warn, read
from understudy.clip.media import existing
from understudy.errors import BadOption, NoFace
from understudy.face.networks import Detector
from understudy.face.portrait import Portrait
from understudy.face.square import Square
from understudy.generator import hints
from understudy.generator.generator import Cues
from understudy.models import Model
from understudy.motion.kinds import CODE, FRAMES
from understudy.motion.read import pictured
from understudy.published import footage, parity
from understudy.published.plan import Plan

SURE: Final = 0.5
"""The least score of a face that X-NeMo's detector reports."""
TOGETHER: Final = 16  # faces that are encoded at once


@dataclass(frozen=True)
class Footage:
    """What a script keeps of a driver, all of it: for X-Portrait whole frames, squeezed, for X-NeMo faces."""

    times: npt.NDArray[np.float64]  # (f,)
    pictures: npt.NDArray[np.float32]  # (f, s, s, 3) in [0, 1]
    points: npt.NDArray[np.float32]  # (f, 68, 2) pixels of a frame of 256x256; or (f, 0, 2)
    seen: npt.NDArray[np.bool_]  # (f,)
    shots: npt.NDArray[np.int32]  # (f,)
    rate: Fraction

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Best:
    """The driver's frame that counts as the portrait's own, and its 68 points; -1 where none does."""

    frame: int
    points: npt.NDArray[np.float32]


class AsReleased(ABC):
    """See `artist.Artist`."""

    def __init__(self, model: Model, known: Trained, portrait: Portrait, choices: Choices, plan: Plan) -> None:
        self.model, self.known, self.portrait, self.choices, self.plan = model, known, portrait, choices, plan
        self.how = released_of(model, choices)

    @property
    def size(self) -> tuple[int, int]:
        return self.side, self.side

    @property
    def about(self) -> Mapping[str, str]:
        words = {"steps": f"{self.how.steps} as released, guidance {self.how.guidance:g}", "weights": self.known.mark}
        return words | {"torch": torch.__version__, "device": str(self.device)}

    @property
    def warnings(self) -> list[str]:
        return list(self.known.warnings)

    @property
    def expected(self) -> str:
        return expected(manner_of(self.model, self.choices), self.choices, self.plan)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.known.generator.unet.conv_in.weight.device

    @property
    def side(self) -> int:
        """Pixels of a frame."""
        return self.known.generator.config.picture

    def relent(self) -> str | None:
        """The scripts have no other way."""
        return None

    def seconds(self, frames: int) -> float:
        """As planned."""
        return frames * self.plan.seconds

    def reference(self, motion: Iterable[Footage]) -> Best | None:
        """The first frame of those that the script finds best; None if nobody is seen."""
        for chunk in motion:
            frames = np.flatnonzero(chunk.seen)
            if len(frames):
                k = int(frames[np.argmin(self.cost(chunk)[frames])])
                return self.reference_at(chunk, k, k)
        return None

    def reference_at(self, chunk: Footage, k: int, frame: int) -> Best:
        return Best(frame, chunk.points[k])

    @torch.no_grad()
    def draw(
        self,
        motion: Iterable[Footage],
        reference: Best,
        *,
        crop: bool = False,
        done: int = 0,
        kept: Path | None = None,
        told: Callable[[float], None] = lambda frames: None,
    ) -> Generator[Drawn, None, None]:
        """The square alone, whether `crop` or not. Of a film that was stopped all is drawn again."""
        net, seed = self.known.generator, self.choices.seed
        for chunk in motion:  # there is one, which is all
            stepped = self._stepped(len(chunk), told)
            latents = parity.film(
                net, self.own.to(self.device), self.cues(chunk, reference), self.how, seed=seed,
                context=self.context, still=self.still, stepped=stepped,
            )  # fmt: skip
            frame = 0
            for some in parity.shown(net, latents, self.how):
                for picture in pictures_of(some):
                    if frame >= done:
                        yield float(chunk.times[frame]), picture
                    frame += 1

    def _stepped(self, count: int, told: Callable[[float], None]) -> Callable[[int], None]:
        """Tells how many of so many frames are as good as drawn after a step; the last step's time goes to decoding."""
        return lambda step: told(count * (step + 1) / (self.how.steps + 2))

    @property
    @abstractmethod
    def own(self) -> Tensor:
        """The portrait as the script shows it, (1, 3, s, s) in [-1, 1]."""

    @property
    def context(self) -> Tensor | None:
        """What the nets are told of the portrait besides."""
        return None

    @property
    def still(self) -> Cues | None:
        """What the portrait does itself."""
        return None

    @abstractmethod
    def cost(self, chunk: Footage) -> npt.NDArray[np.float32]:
        """How unlike the portrait each frame is, (f,)."""

    @abstractmethod
    def cues(self, chunk: Footage, reference: Best) -> Cues:
        """What the nets are told of every frame."""


class XPortrait(AsReleased):
    """core/test_xportrait.py: portrait and driver squeezed into squares, one map for the whole film."""

    @cached_property
    def own(self) -> Tensor:
        return _tensor(footage.squeezed(self.portrait.picture, self.side)[None])

    @cached_property
    def points(self) -> npt.NDArray[np.float32]:
        """The portrait's 68."""
        return footage.landmarks(self.portrait.face.points, *self.portrait.picture.shape[:2])

    def cost(self, chunk: Footage) -> npt.NDArray[np.float32]:
        return np.asarray(np.abs(chunk.points - self.points).sum((1, 2)), np.float32)

    def cues(self, chunk: Footage, reference: Best) -> Cues:
        scale = self.side / footage.SMALL
        theirs, ours = (torch.from_numpy(points * scale)[None] for points in (reference.points, self.points))
        onto = hints.between(theirs, ours)
        matrix, size = onto[0].double().numpy(), (self.side, self.side)
        whole = _tensor(np.stack([cv2.warpAffine(picture, matrix, size) for picture in chunk.pictures]))
        moved = hints.moved(torch.from_numpy(chunk.points * scale), onto) / scale
        local = footage.patched(whole, footage.centres(moved, self.side, shifted=True))
        return Cues((whole.to(self.device), local.to(self.device)))


class XNemo(AsReleased):
    """pose2vid_xnemo.py: the portrait twice as wide as its face, the driver's face in a square of fixed size."""

    @cached_property
    def box(self) -> footage.Floats:
        """The portrait's face, as BlazeFace has it."""
        with _Looking() as look:
            found = look(self.portrait.picture)
        if found is None:
            raise NoFace(f"BlazeFace, which --parity asks, sees no face in {self.portrait.name}", remedy="no --parity")
        return found

    @cached_property
    def own(self) -> Tensor:
        picture = self.portrait.picture
        left, top, right, bottom, border = footage.portrait_square(self.box, *picture.shape[:2])
        around = ((border, border), (border, border), (0, 0))
        seen = np.pad(picture, around)[top:bottom, left:right]
        return _tensor(np.asarray((footage.squeezed(seen, self.side) * 255).round()[None] / 255, np.float32))

    @cached_property
    def context(self) -> Tensor | None:
        sight = self.known.sight
        return None if sight is None else sight(self.own.to(self.device))

    @cached_property
    def still(self) -> Cues:
        picture, encoder = self.portrait.picture, self.known.generator.encoder
        assert encoder is not None
        face = _cut(picture, footage.widened(self.box, *picture.shape[:2]), encoder.config.side)
        return parity.constant_boxes(self.known.generator, self._code(_tensor(face[None])))

    def cost(self, chunk: Footage) -> npt.NDArray[np.float32]:
        return np.zeros(len(chunk), np.float32)

    def reference_at(self, chunk: Footage, k: int, frame: int) -> Best:
        """Nothing is measured from any frame."""
        return Best(-1, chunk.points[k])

    def cues(self, chunk: Footage, reference: Best) -> Cues:
        code = torch.cat([self._code(some) for some in _tensor(chunk.pictures).split(TOGETHER)])  # type: ignore[no-untyped-call]
        return parity.constant_boxes(self.known.generator, code)

    @torch.no_grad()
    def _code(self, faces: Tensor) -> Tensor:
        encoder = self.known.generator.encoder
        assert encoder is not None
        kind = encoder.final_proj.weight.dtype
        return encoder.encode(faces.to(self.device, kind)).float()


class _Looking:
    """BlazeFace over a whole picture: the best box (left, top, right, bottom) in whole pixels, none below 0."""

    def __init__(self) -> None:
        self._detector = Detector(far=False)

    def __enter__(self) -> _Looking:
        return self

    def __exit__(self, *_: object) -> None:
        self._detector.close()

    def __call__(self, picture: Picture) -> footage.Floats | None:
        height, width = picture.shape[:2]
        square = Square((width - 1) / 2, (height - 1) / 2, float(max(height, width)))
        found = self._detector(square.cut(picture, self._detector.size, cv2.BORDER_CONSTANT))
        if not found or found[0].score < SURE:
            return None
        best = found[0]
        middle = square.to_picture(np.array([[best.x, best.y]], np.float32), self._detector.size)[0] + 0.5
        half = best.side * square.side / self._detector.size / 2
        corner = np.trunc(middle - half)
        return np.asarray(np.maximum(np.concatenate([corner, corner + np.trunc(2 * half)]), 0), np.float64)


def _cut(picture: Picture, box: footage.Floats, side: int) -> npt.NDArray[np.float32]:
    """What is in a box, as the script cuts it and its processor enlarges it: (side, side, 3) in [0, 1]."""
    left, top, right, bottom = (int(edge) for edge in box)
    whole = Image.fromarray(np.ascontiguousarray(picture[top:bottom, left:right]))
    return np.asarray(np.asarray(whole.resize((side, side), Image.Resampling.LANCZOS)) / 255, np.float32)


def _tensor(pictures: npt.NDArray[np.float32]) -> Tensor:
    """(f, h, w, 3) in [0, 1] to (f, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32)).permute(0, 3, 1, 2) * 2 - 1


def _squeezed(clip: Clip, side: int) -> Footage:
    """All frames of a driver, and the landmarks in them; where nobody is seen those of the frame before."""
    views = [
        (seen, footage.squeezed(picture, side), picture.shape[:2])
        for seen, picture in pictured(ahead(clip.timed(), DECODED), None, None, 0)
    ]
    last, points = np.zeros((68, 2), np.float32), list[npt.NDArray[np.float32]]()
    for seen, _, size in views:
        last = last if seen.face is None else footage.landmarks(seen.face.points, *size)
        points.append(last)
    return Footage(
        times=np.array([float(seen.time) for seen, _, _ in views]),
        pictures=np.stack([picture for _, picture, _ in views]),
        points=np.stack(points),
        seen=np.array([seen.face is not None for seen, _, _ in views]),
        shots=np.array([seen.shot for seen, _, _ in views], np.int32),
        rate=clip.fps,
    )


def _faces(clip: Clip, name: str, side: int) -> Footage:
    """The driver's face in its first 500 frames, whatever their rate is, at 25 a second."""
    pictures, boxes, seen = list[Picture](), list[footage.Floats](), list[bool]()
    with _Looking() as look:
        for _, picture in zip(range(footage.MOST_FRAMES), clip, strict=False):
            pictures.append(footage.left_square(picture))
            box = look(pictures[-1])
            seen.append(box is not None)
            boxes.append(box if box is not None else boxes[-1] if boxes else np.full(4, np.nan))
    if not seen or not seen[0]:
        raise NoFace(f"BlazeFace, which --parity asks, sees no face in the first frame of {name}", remedy="no --parity")
    squares = footage.driving_boxes(np.stack(boxes), *pictures[0].shape[:2])
    return Footage(
        times=np.arange(len(pictures)) / footage.RATE,
        pictures=np.stack([_cut(picture, box, side) for picture, box in zip(pictures, squares, strict=True)]),
        points=np.zeros((len(pictures), 0, 2), np.float32),
        seen=np.array(seen),
        shots=np.zeros(len(pictures), np.int32),
        rate=Fraction(footage.RATE),
    )


def opened(model: Model, path: AnyPath, choices: Choices, warn: Warn) -> Driving[Footage]:
    """A driver as the script of a model takes it. Errors: those of `read`; `BadOption` for what is no film."""
    path = existing(path)
    if path.suffix.lower() in (".safetensors", ".csv") or choices.driver == "bridge":
        raise BadOption("--parity follows a driver's own film, as the released scripts do", path.name, "no --parity")
    clip, held = read(path, warn=warn), list[Footage]()
    config = made(model, choices)[0].generator.config

    def chunks() -> Iterator[Footage]:
        if not held:
            by_code = config.encoder is not None
            side = config.encoder.side if config.encoder is not None else config.picture
            held.append(_faces(clip, path.name, side) if by_code else _squeezed(clip, side))
        return iter(held)

    fps = clip.fps if model.follows == "frames" else Fraction(footage.RATE)
    sounds = clip.has_sound and fps == clip.fps
    return Driving(
        path=path, fps=fps, frames=clip.frames, still=clip.still, sounds=sounds, kept=True, chunks=chunks,
        driver="direct" if model.follows == "frames" else None, mark="as released",
    )  # fmt: skip


def artist(model: Model, portrait: Portrait, choices: Choices, driving: Driving[Any] | None, cast: bool) -> AsReleased:
    """A portrait to be drawn by the script of its model. Errors: those of `made`."""
    known, _, plan = made(model, choices)
    assert plan is not None  # it is one of the published models
    kind = XPortrait if model.follows == "frames" else XNemo
    return kind(model, known, portrait, choices, plan)


def way(model: Model) -> Way:
    """The way of a model's released script."""
    kind: Any = FRAMES if model.follows == "frames" else CODE

    def open_it(path: AnyPath, choices: Choices, warn: Warn) -> Driving[Footage]:
        return opened(model, path, choices, warn)

    return Way(kind, open_it, artist)
