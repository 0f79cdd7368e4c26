"""Camera and rays: pixels to head space and back, and where a ray meets the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.cast.how import PITCH, ROLL, YAW, How
from understudy.cast.paint import Window, chosen
from understudy.cast.shape import CENTRE, FINER, Solid, chart
from understudy.cast.soft import beside, either, spread

DISTANCE = 8.5  # from the camera to the middle of the head: a portrait lens
HALF = 1.536  # what half of the picture's height shows at that distance
LOW = -0.16  # where the picture's middle is on the head at rest
PIVOT = (0.0, -0.80, -0.22)  # heads turn on top of the neck


@dataclass(frozen=True)
class View:
    """The camera seen from each head. `turn` takes head directions to the picture's; all else in head units."""

    turn: Tensor  # (b, 3, 3)
    shift: Tensor  # (b, 2) where the body is, right and up
    zoom: Tensor  # (b,) head units per half picture height
    height: int
    width: int

    @property
    def pixel(self) -> Tensor:
        """(b, 1, 1) the side of a pixel, in head units."""
        return (2 * self.zoom / self.height)[:, None, None]


def view(how: How, height: int, width: int) -> View:
    """The camera for `how`. Angles beyond what the cast is drawn for are taken back to the limit."""
    limit = how.turn.new_tensor([YAW, PITCH, ROLL])
    yaw, pitch, roll = torch.deg2rad(torch.minimum(torch.maximum(how.turn, -limit), limit)).unbind(1)
    one, nil = torch.ones_like(yaw), torch.zeros_like(yaw)

    def rows(*entries: Tensor) -> Tensor:
        return torch.stack(entries, 1).reshape(-1, 3, 3)

    cy, sy, cp, sp, cr, sr = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    about_y = rows(cy, nil, sy, nil, one, nil, -sy, nil, cy)
    about_x = rows(one, nil, nil, nil, cp, sp, nil, -sp, cp)
    about_z = rows(cr, sr, nil, -sr, cr, nil, nil, nil, one)
    zoom = HALF / how.place[:, 2].clamp(0.4, 2.5)
    return View(about_z @ about_y @ about_x, how.place[:, :2] * HALF, zoom, height, width)


def seen_turn(how: How) -> Tensor:
    """How heads are turned as the camera sees them, (b, 3) degrees as `How.turn`: a head that looks straight ahead, but
    beside the middle of the picture, is seen from its side. A face cut out of its picture shows this, and no more."""
    v = view(how, 2, 2)
    right, up, ahead = _in_the_room(v, v.turn.new_tensor(CENTRE).expand(len(v.turn), 1, -1))[:, 0].unbind(1)
    yaw, away = torch.atan2(-right, DISTANCE - ahead), (right.square() + (DISTANCE - ahead).square()).sqrt()
    towards = torch.stack([yaw, torch.atan2(LOW - up, away), torch.zeros_like(yaw)], 1).rad2deg()
    camera = view(replace(how, turn=towards), 2, 2).turn
    seen = camera.transpose(1, 2) @ v.turn
    return torch.stack(
        [
            -seen[:, 2, 0].clamp(-1, 1).asin(),
            torch.atan2(-seen[:, 2, 1], seen[:, 2, 2]),
            torch.atan2(-seen[:, 1, 0], seen[:, 0, 0]),
        ],
        1,
    ).rad2deg()


def pixels(v: View) -> tuple[Tensor, Tensor]:
    """Where pixel centres are on the plane through the middle of the head, (b, h, w) each: right and up."""
    device = v.turn.device
    x = (torch.arange(v.width, device=device) + 0.5 - v.width / 2) * (2 / v.height)
    y = (v.height / 2 - torch.arange(v.height, device=device) - 0.5) * (2 / v.height)
    zoom = v.zoom[:, None, None]
    return (x[None, None, :] * zoom).expand(-1, v.height, -1), (y[None, :, None] * zoom + LOW).expand(-1, -1, v.width)


@dataclass(frozen=True)
class Rays:
    """Rays in head space, from CENTRE: `start` (b, 3) and `way` (b, 3, h, w), unit."""

    start: Tensor
    way: Tensor

    def at(self, far: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        s, w = self.start[:, :, None, None], self.way
        at = [torch.addcmul(s[:, i], w[:, i], far) for i in range(3)]
        return at[0], at[1], at[2]


def rays(v: View, right: Tensor, up: Tensor) -> Rays:
    """Camera rays through points of the middle plane."""
    b = len(v.turn)
    pivot, centre = v.turn.new_tensor(PIVOT), v.turn.new_tensor(CENTRE)
    eye = torch.stack([v.turn.new_zeros(b), v.turn.new_full((b,), LOW), v.turn.new_full((b,), DISTANCE)], 1)
    start = torch.einsum("bji,bj->bi", v.turn, eye - pivot - _moved(v)) + pivot - centre
    way = torch.stack([right, up - LOW, torch.full_like(right, -DISTANCE)], 1)
    way = way * torch.rsqrt((way * way).sum(1, keepdim=True))
    return Rays(start, torch.einsum("bji,bjhw->bihw", v.turn, way))


def project(v: View, points: Tensor) -> tuple[Tensor, Tensor]:
    """Head-space points (b, n, 3), from the head's origin, to pixels (b, n, 2) and depths towards the camera (b, n)."""
    world = _in_the_room(v, points)
    scale = DISTANCE / (DISTANCE - world[..., 2])
    x = world[..., 0] * scale / v.zoom[:, None]
    y = (world[..., 1] - LOW) * scale / v.zoom[:, None]
    half = v.height / 2
    return torch.stack([v.width / 2 + x * half, half - y * half], -1), world[..., 2]


def _in_the_room(v: View, points: Tensor) -> Tensor:
    """Head-space points (b, n, 3), turned about the neck and moved with the body: right, up and towards the camera."""
    pivot = v.turn.new_tensor(PIVOT)
    return torch.einsum("bij,bnj->bni", v.turn, points - pivot) + pivot + _moved(v)[:, None]


def _moved(v: View) -> Tensor:
    """Where the body is, (b, 3)."""
    return torch.cat([v.shift, torch.zeros_like(v.shift[:, :1])], 1)


def on_plane(v: View, point: Tensor) -> tuple[Tensor, Tensor]:
    """Head-space points (b, 1, 3) to the plane of `pixels` (b, 2, 1, 1), and their depths (b, 1, 1)."""
    pixel, depth = project(v, point)
    half = v.height / 2
    x = (pixel[:, 0, 0] - v.width / 2) / half * v.zoom
    y = (half - pixel[:, 0, 1]) / half * v.zoom + LOW
    return torch.stack([x, y], 1)[:, :, None, None], depth[:, :, None]


def look_up(table: Tensor, d: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The map's values (b, c, h, w) in unit directions (b, h, w)."""
    grid = beside(*chart(*d))
    return F.grid_sample(table, grid, mode="bilinear", padding_mode="border", align_corners=True)


@dataclass(frozen=True)
class Hit:
    """Where rays meet the head. What is known of those that do stands in a row (b, 1, n), from the places `where`."""

    far: Tensor  # (b, h, w) distance along the ray to the head, or roughly to where it passes nearest
    miss: Tensor  # (b, h, w) gap between ray and head, 0 where they meet; large where they are far apart
    where: Window
    way: Tensor  # (b, 3, 1, n) the rays
    point: tuple[Tensor, Tensor, Tensor]  # from CENTRE
    direction: tuple[Tensor, Tensor, Tensor]  # the same, unit


FAR = 1e2
CLOSE = 0.01  # places this near each other have a flat surface between them
SLACK = 0.12  # rays that a search at half the size misses by more meet nothing


def meet(solid: Solid, r: Rays, pixel: Tensor, do: Step) -> Hit:
    """Where rays first meet the head: a search at half the size, then at full size from just before what it found."""
    h, w = r.way.shape[-2:]
    first = _coarse(solid, Rays(r.start, r.way[:, :, ::2, ::2]), do)
    met = first.inside < FAR

    def full(x: Tensor) -> Tensor:
        return x.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :h, :w]

    near = -spread(-first.outside) - 0.004
    behind = spread(either(met, first.outside, -FAR)) - 0.03
    at = chosen(full(spread((met | (first.gap < SLACK)).float())) > 0)
    way, (near, behind) = at.cut(r.way), at.cut(torch.stack([full(near), full(behind)], 1)).unbind(1)
    found = _fine(solid, Rays(r.start, way), near, behind, at.own, do)
    far = at.paste(full(first.best)[:, None], found[:, :1])[:, 0]
    miss = _closed(at.paste(torch.full_like(far, FAR)[:, None], found[:, 1:])[:, 0])
    return _hit(r, far, miss, chosen(miss < pixel))


def _hit(r: Rays, far: Tensor, miss: Tensor, where: Window) -> Hit:
    way = where.cut(r.way)
    x, y, z = Rays(r.start, way).at(where.cut(far[:, None])[:, 0])
    scale = torch.rsqrt(x * x + y * y + z * z)
    return Hit(far, miss, where, way, (x, y, z), (x * scale, y * scale, z * scale))


def _coarse(solid: Solid, r: Rays, do: Step) -> _March:
    m = _begun(_entry(solid, r))
    m = _marched(solid, r, m, 10, do)
    limit = _limit(r)
    # who has met something stops when that is narrowed down well enough to start the next search from
    going = torch.where(m.inside < FAR, m.inside - m.outside > 2e-4, m.far < limit)
    at = chosen(going)
    part = _marched(solid, Rays(r.start, at.cut(r.way)), _March.unpacked(at.cut(m.packed())), 18, do)
    return _March.unpacked(at.paste(m.packed(), part.packed()))


def _fine(solid: Solid, r: Rays, near: Tensor, behind: Tensor, own: Tensor, do: Step) -> Tensor:
    """(b, 2, 1, n): how far, and by how much rays miss. `near`: where to start; `behind`: where neighbours met what is
    behind an edge that a ray slips past."""
    m = _marched(solid, r, _begun(near), 4, do)
    past = m.best < m.outside  # the edge, that is: the nearest place lies behind
    onward = either(past, torch.maximum(m.outside, behind), m.outside)
    met = m.inside < FAR
    m = replace(m, far=either(met, m.outside + (m.inside - m.outside) * 0.5, onward))
    # between two places this near each other the surface is as good as flat
    at = chosen(torch.where(met, m.inside - m.outside > CLOSE, m.far < _limit(r)) & own)
    part = _marched(solid, Rays(r.start, at.cut(r.way)), _March.unpacked(at.cut(m.packed())), 5, do)
    m = _March.unpacked(at.paste(m.packed(), part.packed()))
    met = m.inside < FAR
    return torch.stack([either(met, m.between(), m.best), either(met, 0.0, m.gap.clamp_min(0))], 1)


def _closed(miss: Tensor) -> Tensor:
    """Misses a pixel or two wide between meetings are rays that grazed something for too long: meetings too."""
    return spread(-spread(-miss))


def _nearest(r: Rays) -> Tensor:
    """How far along rays pass nearest to CENTRE."""
    return -(r.start[:, :, None, None] * r.way).sum(1)


def _limit(r: Rays) -> Tensor:
    return _nearest(r) + 1.9


def _entry(solid: Solid, r: Rays) -> Tensor:
    """Where rays enter the ball around the head, or pass nearest to its middle."""
    middle = _nearest(r)
    aside = ((r.start * r.start).sum(1)[:, None, None] - middle * middle).clamp_min(0)
    ball = solid.radius.amax((1, 2, 3))[:, None, None] ** 2
    return middle - (ball - aside).clamp_min(0).sqrt()


@dataclass(frozen=True)
class _March:
    """What a search along rays knows, (b, h, w) each: where it looks next, the nearest place so far and its gap, the
    last place outside, the first inside or FAR."""

    far: Tensor
    best: Tensor
    gap: Tensor
    outside: Tensor
    outside_gap: Tensor
    inside: Tensor
    inside_gap: Tensor

    def between(self) -> Tensor:
        """Where the surface would be if the gap closed evenly."""
        share = (self.outside_gap / (self.outside_gap - self.inside_gap)).clamp(0.0, 1.0)
        return self.outside + (self.inside - self.outside) * share

    def packed(self) -> Tensor:
        return torch.stack(
            [self.far, self.best, self.gap, self.outside, self.outside_gap, self.inside, self.inside_gap], 1
        )

    @staticmethod
    def unpacked(pack: Tensor) -> _March:
        return _March(*pack.unbind(1))


def _begun(far: Tensor) -> _March:
    unknown = torch.full_like(far, 1e3)
    return _March(far, far, unknown, far, unknown, torch.full_like(far, FAR), torch.full_like(far, -1.0))


def _marched(solid: Solid, r: Rays, m: _March, steps: int, do: Step) -> _March:
    """March on until inside, then narrow down."""
    limit = _limit(r)
    state = (m.far, m.best, m.gap, m.outside, m.outside_gap, m.inside, m.inside_gap)
    for _ in range(steps):
        state = do(_gap(solid, r, state[0]), limit, *state)
    return _March(*state)


def one_step(
    gap: Tensor, limit: Tensor, far: Tensor, best: Tensor, best_gap: Tensor, outside: Tensor, outside_gap: Tensor,
    inside: Tensor, inside_gap: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """What a march knows after it has found `gap` at `far`."""
    better = (gap.abs() < best_gap.abs()).float()
    best, best_gap = torch.lerp(best, far, better), torch.lerp(best_gap, gap, better)
    out = (gap > 0).float()
    closing = (outside_gap - gap) / (far - outside).clamp_min(1e-5)  # how fast the gap closes along the ray
    pace = either((gap < 0.06) & (closing > 0), (0.85 / closing.clamp_min(1e-3)).clamp(0.6, 2.5), 0.68)
    outside, outside_gap = torch.lerp(outside, far, out), torch.lerp(outside_gap, gap, out)
    inside, inside_gap = torch.lerp(far, inside, out), torch.lerp(gap, inside_gap, out)
    share = (outside_gap / (outside_gap - inside_gap)).clamp(0.12, 0.88)
    between = outside + (inside - outside) * share
    far = either(inside < FAR, between, torch.minimum(far + (gap * pace).clamp_min(0.028), limit))
    return far, best, best_gap, outside, outside_gap, inside, inside_gap


Step = Callable[..., tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]]


def _gap(solid: Solid, r: Rays, far: Tensor) -> Tensor:
    """How far places on rays are over the surface. The same as a `look_up` of the radius in their directions."""
    x, y, z = r.at(far)
    radius = torch.sqrt(x * x + y * y + z * z)
    ahead = z / radius
    k = torch.rsqrt((2 + 2 * ahead).clamp_min(1e-4)) / radius * (1 + FINER * (0.5 + 0.5 * ahead))
    grid = beside(x * k, y * k)
    under = F.grid_sample(solid.radius, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return radius - under[:, 0]
