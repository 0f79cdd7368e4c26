"""A driver's pictures to motion codes: the driver of X-Portrait 2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from understudy.face.mesh import Floats
from understudy.face.parts import centres
from understudy.motion.code import ENCODER, MotionCode
from understudy.motion.encoder import TOGETHER, Encoder, boxed, cut
from understudy.motion.frames import MotionFrames


def read_code(chunks: Iterable[MotionFrames], encoder: Encoder, mark: str) -> Iterator[MotionCode]:
    """The codes of pictures, in their chunks; `mark` names the encoder. Faces are encoded `TOGETHER` at a time, counted
    from the first, so that chunks change nothing. Where nobody was seen, a picture is the last that showed somebody."""
    waiting: list[MotionFrames] = []
    for chunk in chunks:
        waiting.append(chunk)
        count = sum(map(len, waiting))
        while count >= TOGETHER:
            group, waiting = _first(waiting, TOGETHER)
            count -= TOGETHER
            yield _read(group, encoder, mark)
    if waiting and sum(map(len, waiting)):
        group, _ = _first(waiting, TOGETHER)
        yield _read(group, encoder, mark)


def _first(chunks: list[MotionFrames], count: int) -> tuple[list[MotionFrames], list[MotionFrames]]:
    """The first so many frames, and the rest."""
    taken: list[MotionFrames] = []
    for index, chunk in enumerate(chunks):
        if len(chunk) >= count:
            return [*taken, chunk[:count]], [*([chunk[count:]] if len(chunk) > count else []), *chunks[index + 1 :]]
        taken.append(chunk)
        count -= len(chunk)
    return taken, []


@torch.no_grad()
def _read(parts: list[MotionFrames], encoder: Encoder, mark: str) -> MotionCode:
    config, device = encoder.config, encoder.final_proj.weight.device
    points = np.concatenate([part.points for part in parts])
    inside = boxed(torch.from_numpy(centres(points)))
    pictures = torch.cat([tensor_of(part) for part in parts])
    faces = cut(pictures, inside, config.side, config.room)
    padded = torch.cat([faces, faces.new_zeros(TOGETHER - len(faces), *faces.shape[1:])])  # other sizes round otherwise
    code = encoder.encode(padded.to(device)).float().cpu()[: len(faces)]
    squares = np.concatenate([part.squares for part in parts])
    first = parts[0]
    return MotionCode(
        times=np.concatenate([part.times for part in parts]),
        code=code.numpy(),
        box=in_the_film(inside.numpy(), squares, pictures.shape[-1]),
        seen=np.concatenate([part.seen for part in parts]),
        shots=np.concatenate([part.shots for part in parts]),
        rate=first.rate,
        provenance={**first.provenance, ENCODER: mark},
    )


def in_the_film(boxes: Floats, squares: Floats, side: int) -> Floats:
    """Boxes (f, 3) in pictures of `side` pixels, as boxes in the film that squares (f, 3) were cut out of."""
    scale = squares[:, 2:] / side
    corner = squares[:, :2] - squares[:, 2:] / 2 + 0.5  # squares count from the middle of the first pixel
    return np.asarray(np.concatenate([corner + boxes[:, :2] * scale, boxes[:, 2:] * scale], 1), np.float32)


def tensor_of(chunk: MotionFrames) -> Tensor:
    """(f, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(chunk.pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
