"""Paint before light falls on it, where on the head it is, and windows cut out of pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast.soft import mix


@dataclass(frozen=True)
class Paint:
    """What a patch of the face is like before light falls on it."""

    colour: Tensor  # (b, 3, h, w) albedo
    normal: Tensor  # (b, 3, h, w) in head space
    gloss: Tensor  # (b, h, w) strength of the shine
    sharp: Tensor  # (b, h, w) 0 broad shine to 1 a point of light
    glow: Tensor  # (b, h, w) light let through: 1 skin, 0 hair and cloth
    shade: Tensor  # (b, h, w) painted shadow: light is multiplied by this
    eyes: Tensor  # (b, h, w) 1 where an eye shows between its lids
    mouth: Tensor  # (b, h, w) 1 on lips, teeth and tongue

    def over(
        self,
        colour: Tensor,
        share: Tensor,
        gloss: float | Tensor | None = None,
        sharp: float | None = None,
        glow: float | None = None,
        normal: Tensor | None = None,
    ) -> Paint:
        """With a coat of something else where `share` says so."""

        def coat(old: Tensor, new: float | Tensor | None) -> Tensor:
            return old if new is None else old + (new - old) * share

        return replace(
            self, colour=mix(self.colour, colour, share), gloss=coat(self.gloss, gloss), sharp=coat(self.sharp, sharp),
            glow=coat(self.glow, glow), normal=self.normal if normal is None else mix(self.normal, normal, share),
        )  # fmt: skip

    def shaded(self, by: Tensor) -> Paint:
        return replace(self, shade=self.shade * by)

    def replaced(self, by: Paint, share: Tensor) -> Paint:
        """Another paint altogether where `share` says so; whose part it is stays."""
        return Paint(
            mix(self.colour, by.colour, share), mix(self.normal, by.normal, share), mix(self.gloss, by.gloss, share),
            mix(self.sharp, by.sharp, share), mix(self.glow, by.glow, share), mix(self.shade, by.shade, share),
            self.eyes, self.mouth,
        )  # fmt: skip

    def packed(self) -> Tensor:
        """(b, 12, h, w): all of it, to be cut into windows."""
        rest = torch.stack([self.gloss, self.sharp, self.glow, self.shade, self.eyes, self.mouth], 1)
        return torch.cat([self.colour, self.normal, rest], 1)

    @staticmethod
    def unpacked(pack: Tensor) -> Paint:
        return Paint(pack[:, 0:3], pack[:, 3:6], *pack[:, 6:].unbind(1))


@dataclass(frozen=True)
class Spot:
    """Where a patch of the face is: face coordinates, head space from the head's origin, and the rays that see it."""

    x: Tensor
    y: Tensor
    direction: tuple[Tensor, Tensor, Tensor]
    point: Tensor  # (b, 3, h, w)
    way: Tensor  # (b, 3, h, w)
    pixel: Tensor  # size of a pixel on the face

    def packed(self) -> Tensor:
        """(b, 11, h, w)."""
        return torch.cat([torch.stack([self.x, self.y, *self.direction], 1), self.point, self.way], 1)

    @staticmethod
    def unpacked(pack: Tensor, pixel: Tensor) -> Spot:
        x, y, dx, dy, dz = pack[:, :5].unbind(1)
        return Spot(x, y, (dx, dy, dz), pack[:, 5:8], pack[:, 8:11], pixel)


def colour3(*rgb: float, like: Tensor) -> Tensor:
    return torch.tensor(rgb, device=like.device, dtype=like.dtype)[None, :, None, None]


@dataclass(frozen=True)
class Window:
    """As many places in every picture of a batch, each picture's own: a rectangle, or a row of chosen ones."""

    index: Tensor  # (b, height * width) flat indices into a picture
    height: int
    width: int
    own: Tensor  # (b, height, width) bool: not one that is there already

    def cut(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c, height, width)."""
        b, c = x.shape[:2]
        index = self.index[:, None].expand(-1, c, -1)
        return x.reshape(b, c, -1).gather(2, index).reshape(b, c, self.height, self.width)

    def paste(self, x: Tensor, patch: Tensor) -> Tensor:
        """`x` (b, c, h, w) with the window's contents replaced. It is changed itself, as far as its memory allows: a
        copy of whole pictures costs more than what is drawn in them. Go on with what is returned."""
        b, c, h, w = x.shape
        index = self.index[:, None].expand(-1, c, -1)
        return x.reshape(b, c, -1).scatter_(2, index, patch.reshape(b, c, -1)).reshape(b, c, h, w)

    def cut_each(self, layers: Sequence[Tensor]) -> Tensor:
        """(b, c, h, w) each to (b, all of their c, height, width)."""
        return torch.cat([self.cut(layer) for layer in layers], 1)

    def paste_each(self, layers: Sequence[Tensor], patch: Tensor) -> list[Tensor]:
        """Back into where `cut_each` has cut it from."""
        parts = patch.split([layer.shape[1] for layer in layers], 1)  # type: ignore[no-untyped-call]
        return [self.paste(layer, part) for layer, part in zip(layers, parts, strict=True)]


def chosen(where: Tensor) -> Window:
    """The places where `where` (b, h, w) is true, in a row of the same length for all pictures: those with fewer have
    some twice, which does no harm where all that is done to a place depends on the place alone."""
    flat = where.flatten(1)
    count = flat.sum(1)
    places = flat.nonzero()[:, 1]
    n = max(1, int(count.max()))
    if len(places) == 0:
        return Window(count.new_zeros(len(flat), 1), 1, 1, torch.zeros_like(flat[:, None, :1]))
    first = count.cumsum(0) - count
    turn = torch.arange(n, device=where.device)[None]
    step = torch.minimum(turn, (count - 1).clamp_min(0)[:, None])
    index = places[(first[:, None] + step).clamp_max(len(places) - 1)]
    return Window(index, 1, n, (turn < count[:, None])[:, None])


def window(middle: Tensor, side: int, height: int, width: int) -> Window:
    """A window of at most `side` pixels each way around `middle` (b, 2) pixels, moved to lie inside the picture."""
    h, w = min(side, height), min(side, width)
    left = (middle[:, 0] - w / 2).round().clamp(0, width - w).long()
    top = (middle[:, 1] - h / 2).round().clamp(0, height - h).long()
    rows = top[:, None] + torch.arange(h, device=middle.device)
    columns = left[:, None] + torch.arange(w, device=middle.device)
    index = rows[:, :, None] * width + columns[:, None, :]
    return Window(index.flatten(1), h, w, torch.ones_like(index, dtype=torch.bool))
