"""What can draw a snippet: a trained generator, and what it is compared with. Each takes a snippet and gives frames
(f, 3, s, s) in [0, 1]; none looks at the truth but the autoencoder, which says how good a generator could be at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.cast.stage import to_bytes
from understudy.errors import FaceError
from understudy.evaluate.scenes import Drive, Snippet
from understudy.face.find import Finder
from understudy.face.portrait import Portrait
from understudy.generator.autoencoder import Autoencoder, TemporalAutoencoder
from understudy.generator.generator import Cues, Generator, Likeness, Manner, Sitter
from understudy.generator.hints import aligned, moved, patched
from understudy.generator.warp import Warp
from understudy.motion.encoder import boxed
from understudy.motion.mesh import MotionMesh
from understudy.motion.read import read_mesh

Drawer = Callable[[Snippet], Tensor]
Performer = Callable[[Tensor, Iterable[Drive], int], Iterator[Tensor]]
"""A portrait (3, s, s), a driver's performance piece by piece, a seed: the frames, piece by piece."""


def still(snippet: Snippet) -> Tensor:
    """Do not move."""
    return snippet.portrait.expand_as(snippet.truth)


def paste(snippet: Snippet) -> Tensor:
    """Show the driver."""
    return snippet.drive.pictures


class Bent:
    """The warp engine: the portrait bent to the driver's mesh, as MediaPipe sees it, from the driver's best frame."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._known: tuple[Tensor, Warp] | None = None
        self.drawn = 0
        self.unseen = 0

    def __call__(self, snippet: Snippet) -> Tensor:
        """Where MediaPipe finds no face, it does not move."""
        self.drawn += 1
        try:
            return self._bent(snippet)
        except FaceError:
            self.unseen += 1
            return still(snippet)

    @property
    def warnings(self) -> list[str]:
        """What the person should know about what was drawn so far."""
        said = f"warp: no face was found in {self.unseen} of {self.drawn} snippets; there it does not move"
        return [said] if self.unseen else []

    def _bent(self, snippet: Snippet) -> Tensor:
        if self._known is None or self._known[0] is not snippet.portrait:
            picture = to_bytes(snippet.portrait[None])[0]
            self._known = snippet.portrait, Warp(Portrait.of(picture, "the portrait", finder=self._finder))
        warp = self._known[1]
        (rest,) = self._watched(to_bytes(snippet.drive.rest[None]))
        frames = warp.draw(self._watched(to_bytes(snippet.drive.pictures)), warp.reference_at(rest, 0, 0))
        drawn = np.stack(list(frames))
        return torch.from_numpy(drawn).permute(0, 3, 1, 2).float() / 255

    def _watched(self, pictures: npt.NDArray[np.uint8]) -> list[MotionMesh]:
        timed = ((Fraction(k, 25), picture) for k, picture in enumerate(pictures))
        return list(read_mesh(timed, Fraction(25), self._finder))


def reconstructed(net: Autoencoder | TemporalAutoencoder, device: torch.device | str = "cpu") -> Drawer:
    """The truth, encoded and decoded."""

    @torch.no_grad()
    def draw(snippet: Snippet) -> Tensor:
        return _seen(net.decode(net.encode((snippet.truth * 2 - 1).to(device))))

    return draw


def performed(generator: Generator, manner: Manner, device: torch.device | str = "cpu") -> Performer:
    """A trained generator that follows driving frames or motion codes, in windows if the performance is long."""
    known: list[tuple[Tensor, Likeness]] = []

    def draw(portrait: Tensor, drives: Iterable[Drive], seed: int) -> Iterator[Tensor]:
        if not known or known[0][0] is not portrait:
            with torch.no_grad():
                known[:] = [(portrait, generator.likeness((portrait * 2 - 1).to(device)[None]))]
        told = hinted if generator.encoder is None else partial(coded, generator)
        cues = (told(drive, portrait).to(device) for drive in drives)
        for frames in generator.draw(known[0][1], cues, replace(manner, seed=seed)):
            yield _seen(frames)

    return draw


def drawer(performer: Performer) -> Drawer:
    """What performs long films performs short ones."""
    return lambda snippet: torch.cat([*performer(snippet.portrait, [snippet.drive], snippet.scene.number)])


def hinted(drive: Drive, portrait: Tensor) -> Cues:
    """What a control net is told of a driver: its pictures brought onto the portrait, and eyes and mouth alone."""
    maps = drive.map[None]
    whole = aligned(drive.pictures * 2 - 1, maps, portrait.shape[-1])
    return Cues(hints=(whole, patched(whole, moved(drive.centres, maps))))


@torch.no_grad()
def coded(generator: Generator, drive: Drive, portrait: Tensor) -> Cues:
    """What a generator is told that follows codes: what its encoder makes of the driver's face, and where that is
    against where it was at rest; and of the portrait (3, s, s) the same."""
    assert generator.encoder is not None
    device = generator.encoder.final_proj.weight.device
    boxes, rest, own = (
        boxed(points).to(device) for points in (drive.centres, drive.rest_centres[None], drive.own_centres[None])
    )
    code = generator.encoder.seen((drive.pictures * 2 - 1).to(device), boxes)
    if generator.config.turning is None:
        return generator.coded(code, boxes, rest)
    picture = (portrait * 2 - 1)[None].to(device)
    return generator.coded(code, boxes, rest, Sitter(picture, generator.encoder.seen(picture, own), own))


def _seen(frames: Tensor) -> Tensor:
    """From about [-1, 1] to [0, 1]."""
    return (frames.float().cpu() / 2 + 0.5).clamp(0, 1)
