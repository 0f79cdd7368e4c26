"""From numbers to a developed picture, in stages: solid, rays, paint in windows, light, layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from understudy.cast import hair, wear
from understudy.cast.body import Layer, body, ear
from understudy.cast.edges import settled
from understudy.cast.eye import brow, eye
from understudy.cast.how import How
from understudy.cast.landmarks import Landmarks, landmarks
from understudy.cast.mouth import mouth
from understudy.cast.paint import Paint, Spot, window
from understudy.cast.rig import Face, pose_face
from understudy.cast.scene import background
from understudy.cast.shade import Light, cast_shadow, doubled, hair_lit, halved, light, lit
from understudy.cast.shape import CENTRE, Solid, bake, face_point
from understudy.cast.skin import beard, nostrils, plain, skin
from understudy.cast.soft import mix, step
from understudy.cast.style import Plate, developed
from understudy.cast.view import DISTANCE, HALF, LOW, PIVOT, Hit, Rays, View, look_up, meet, pixels, rays, view
from understudy.cast.who import Who


@dataclass(frozen=True)
class Masks:
    """Whose a pixel is, (b, h, w) in [0, 1]. Eyes and mouth are also part of the face; with hair, body and
    background the face makes up the whole picture, glasses and hats counting as face and hair."""

    face: Tensor
    hair: Tensor
    body: Tensor
    background: Tensor
    eyes: Tensor
    mouth: Tensor


@dataclass(frozen=True)
class Plan:
    """Sizes that must be the same for a whole batch: all in pixels."""

    height: int
    width: int
    table: int  # side of the head's map
    face: int  # windows around features
    eye: int
    mouth: int
    ear: int
    shoulders: int  # the row where necks may begin


def plan(how: How, height: int, width: int, roomy: bool = False) -> Plan:
    """Windows just large enough for the nearest head of the batch, in steps so that shapes repeat. A `roomy` plan is
    the same for all that `how.sample` draws: what is compiled for it is compiled once."""
    scale = math.ceil(float(how.place[:, 2].clamp(0.4, 2.5).max()) * 8 - 1e-4) / 8
    scale = max(scale, 1.25) if roomy else scale
    unit = height / (2 * HALF) * scale * 1.12  # pixels per head unit; perspective enlarges what is near
    lowest = float(((-0.52 - LOW + how.place[:, 1] * HALF) / (HALF / how.place[:, 2].clamp(0.4, 2.5))).max())
    lowest = max(lowest, 0.05) if roomy else lowest
    row = int((1 - lowest) * height / 2) // 8 * 8

    def side(units: float) -> int:
        return math.ceil(units * unit / 4) * 4

    table = min(512, max(112, height * 9 // 16))
    return Plan(height, width, table, side(1.90), side(0.76), side(0.92), side(0.62), min(max(row, 0), height - 8))


@dataclass(frozen=True)
class Stages:
    """The functions that take the time. None decides by a tensor's values, so each can be compiled."""

    solid: Callable[[Who, Face, View, int], Solid]
    meet: Callable[[Solid, Rays], Hit]
    points: Callable[[Who, Face, View, Solid], Landmarks]
    skin: Callable[[Who, Face, Spot, Paint], Paint]
    mouth: Callable[[Who, Face, Spot, Paint], Paint]
    left_eye: Callable[[Who, Face, Light, Spot, Paint], Paint]
    right_eye: Callable[[Who, Face, Light, Spot, Paint], Paint]
    ground: Callable[[Who, View, Rays, Hit, Tensor], tuple[Spot, Paint]]
    finish: Callable[[Who, View, Hit, Tensor, Paint, Solid, Light], Lit]
    ear: Callable[[Who, View, Rays, Light, Tensor, int], Tensor]
    body: Callable[[Who, View, tuple[Tensor, Tensor], Solid, Light, int, Tensor], Lit]
    compose: Callable[[Who, Face, View, Rays, Hit, tuple[Tensor, Tensor], Light, Lit, Lit], tuple[Plate, Masks]]


def render(who: Who, how: How, p: Plan, do: Stages) -> tuple[Plate, Masks, Landmarks]:
    """Everything before style."""
    w = who.broad()
    face = pose_face(w, how)
    v = view(how, p.height, p.width)
    lamp = light(w, v)
    solid = do.solid(w, face, v, p.table)
    flat = pixels(v)
    r = rays(v, *flat)
    hit = do.meet(solid, r)
    points = do.points(w, face, v, solid)
    more = look_up(solid.more, hit.direction)
    spot, paint = do.ground(w, v, r, hit, more)
    paint = _featured(w, face, lamp, spot, paint, p, points, do)
    head = _with_ears(w, v, r, lamp, p, do.finish(w, v, hit, more, paint, solid, lamp), points, do)
    stage = do.body(w, v, flat, solid, lamp, p.shoulders, background(w, v))
    return (*do.compose(w, face, v, r, hit, flat, lamp, head, stage), points)


@dataclass(frozen=True)
class Lit:
    """A layer after light has fallen on it."""

    colour: Tensor  # (b, 3, h, w)
    flat: Tensor  # (b, 3, h, w) without light
    share: Tensor  # (b, h, w)
    far: Tensor  # (b, h, w) from the camera
    hair: Tensor  # (b, h, w)
    eyes: Tensor
    mouth: Tensor
    shadow: Tensor


def _solid(w: Who, face: Face, v: View, side: int) -> Solid:
    return bake(w, face, side, lambda d, s: hair.cover(w, d, s, -v.turn[:, 1]))


def _ground(w: Who, v: View, r: Rays, hit: Hit, more: Tensor) -> tuple[Spot, Paint]:
    """Bare skin all over the head, and where it is."""
    spot = _spot(v, r, hit)
    return spot, plain(w, spot, _unit(more[:, 1:4]), more[:, 4])


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).sum(1, keepdim=True) + 1e-6)


def _finish(w: Who, v: View, hit: Hit, more: Tensor, paint: Paint, solid: Solid, lamp: Light) -> Lit:
    """Light on the painted head, then hair and hat over it."""
    over, normal, hollow, hat = more[:, 0], _unit(more[:, 1:4]), more[:, 4], more[:, 5]
    from_centre = torch.stack(hit.point, 1)
    shadow = doubled(cast_shadow(solid, lamp, halved(from_centre)), v.height, v.width)
    colour = lit(paint, _seen(v, paint.normal), lamp, shadow)
    facing = _seen(v, normal)
    fine, broad = hair.texture(w, hit.direction, hit.point, normal, v.pixel)
    albedo = hair.colour(w, fine, broad)
    shade = 1 - 3.0 * hollow.clamp(0, 0.2)
    strands = hair_lit(
        albedo,
        _seen(v, hair.tangent(w, hit.direction, hit.point, normal)),
        facing,
        lamp,
        shadow,
        shade,
        fine,
        hair.sheen(w),
    )
    grown = hair.grown(w, hit.direction, over, fine, v.pixel)
    knit, stitch = hair.knit(w, hit.direction, v.pixel)
    none = torch.zeros_like(over)
    wool = Paint(knit, normal, none + 0.02, none, none + 0.25, shade * stitch, none, none)
    capped = step(-0.002, 0.012 + v.pixel * 0.3, hat) * (hat > over - 0.02) * (w.hat > 0)
    colour = mix(mix(colour, strands, grown), lit(wool, facing, lamp, shadow), capped)
    bare_skin = (1 - grown) * (1 - capped)
    return Lit(
        colour, mix(mix(paint.colour, albedo, grown), knit, capped), step(1.0, 0.0, hit.miss / v.pixel), hit.far,
        1 - bare_skin, paint.eyes * bare_skin, paint.mouth * bare_skin, shadow,
    )  # fmt: skip


def _spot(v: View, r: Rays, hit: Hit) -> Spot:
    x, y = face_point(*hit.direction)
    x = torch.where(hit.direction[2] > 0.05, x, x + 9)  # behind the ears there is no face
    origin = v.turn.new_tensor(CENTRE)[None, :, None, None]
    return Spot(x, y, hit.direction, torch.stack(hit.point, 1) + origin, r.way, v.pixel)


def _featured(
    w: Who, face: Face, lamp: Light, spot: Spot, paint: Paint, p: Plan, points: Landmarks, do: Stages
) -> Paint:
    """The face's paint, each feature in a window of its own."""
    where, coat = spot.packed(), paint.packed()

    def within(coat: Tensor, part: str, side: int, painter: Callable[[Spot, Paint], Paint]) -> Tensor:
        cut = window(points.middle(part), side, p.height, p.width)
        patch = painter(Spot.unpacked(cut.cut(where), spot.pixel), Paint.unpacked(cut.cut(coat)))
        return cut.pasted(coat, patch.packed())

    coat = within(coat, "face", p.face, lambda s, q: do.skin(w, face, s, q))
    coat = within(coat, "mouth", p.mouth, lambda s, q: do.mouth(w, face, s, q))
    coat = within(coat, "eye_left", p.eye, lambda s, q: do.left_eye(w, face, lamp, s, q))
    coat = within(coat, "eye_right", p.eye, lambda s, q: do.right_eye(w, face, lamp, s, q))
    return Paint.unpacked(coat)


def _skin(w: Who, face: Face, spot: Spot, paint: Paint) -> Paint:
    paint = nostrils(w, face, spot, beard(w, face, spot, skin(w, face, spot, paint)))
    return paint.shaded(wear.shadow(w, spot.x, spot.y))


def _left_eye(w: Who, face: Face, lamp: Light, spot: Spot, paint: Paint) -> Paint:
    return _eye(w, face, lamp, spot, paint, 0)


def _right_eye(w: Who, face: Face, lamp: Light, spot: Spot, paint: Paint) -> Paint:
    return _eye(w, face, lamp, spot, paint, 1)


def _eye(w: Who, face: Face, lamp: Light, spot: Spot, paint: Paint, i: int) -> Paint:
    seen = eye(w, face, face.eyes[i], spot, paint, lamp.key_in_head[:, :, None, None])
    return brow(w, face.brows[i], spot, seen)


def _seen(v: View, direction: Tensor) -> Tensor:
    """Head directions (b, 3, h, w) as the picture sees them."""
    b, _, height, width = direction.shape
    return torch.bmm(v.turn, direction.reshape(b, 3, -1)).reshape(b, 3, height, width)


def _with_ears(w: Who, v: View, r: Rays, lamp: Light, p: Plan, head: Lit, points: Landmarks, do: Stages) -> Lit:
    scalars = torch.stack([head.share, head.far, head.hair, head.eyes, head.mouth, head.shadow], 1)
    pack = torch.cat([head.colour, head.flat, scalars], 1)
    for side, name in ((1, "ear_left"), (-1, "ear_right")):
        cut = window(points.middle(name), p.ear, p.height, p.width)
        patch = do.ear(w, v, Rays(r.start, cut.cut(r.way)), lamp, cut.cut(pack), side)
        pack = cut.pasted(pack, patch)
    return Lit(pack[:, 0:3], pack[:, 3:6], *pack[:, 6:].unbind(1))


def _with_ear(w: Who, v: View, r: Rays, lamp: Light, patch: Tensor, side: int) -> Tensor:
    """One ear on a window of the head: in front of it or behind, whichever is nearer along the ray."""
    share, far, hairy, eyes, lips, shadow = patch[:, 6:].unbind(1)
    layer = ear(w, r, side, v.pixel)
    shown = lit(layer.paint, _seen(v, layer.paint.normal), lamp, 0.55 + 0.45 * shadow)
    on = layer.share * mix(torch.ones_like(share), step(-0.01, 0.01, far - layer.far), share)
    left = 1 - on
    rest = [torch.maximum(share, layer.share), mix(far, layer.far, on), hairy * left, eyes * left, lips * left, shadow]
    colours = [mix(patch[:, 0:3], shown, on), mix(patch[:, 3:6], layer.paint.colour, on)]
    return torch.cat([*colours, torch.stack(rest, 1)], 1)


def _with_body(w: Who, v: View, flat: tuple[Tensor, Tensor], solid: Solid, lamp: Light, top: int, back: Tensor) -> Lit:
    """Neck and shoulders before the background. Only the rows where they can be are computed."""
    x = flat[0][:, top:] - v.shift[:, 0, None, None]
    y = flat[1][:, top:] - v.shift[:, 1, None, None]
    torso: Layer = body(w, x, y, v.pixel)
    point = torch.stack([x, y, torso.far], 1)
    pivot = v.turn.new_tensor(PIVOT)[None, :, None, None]
    centre = v.turn.new_tensor(CENTRE)[None, :, None, None]
    from_head = _seen(replace(v, turn=v.turn.transpose(1, 2)), point - pivot) + pivot - centre
    height, width = x.shape[-2:]
    shadow = doubled(cast_shadow(solid, lamp, halved(from_head), 0.08), height, width)
    shown = lit(torso.paint, torso.paint.normal, lamp, shadow)
    far = (x * x + (y - LOW) ** 2 + (DISTANCE - torso.far) ** 2).sqrt()

    def under(above: Tensor, below: Tensor) -> Tensor:
        return torch.cat([above[..., :top, :].expand(*below.shape[:-2], -1, -1), below], -2)

    colour = under(back, mix(back[:, :, top:], shown, torso.share))
    albedo = under(back, mix(back[:, :, top:], torso.paint.colour, torso.share))
    none = torch.zeros_like(flat[0])
    return Lit(colour, albedo, under(none, torso.share), under(none + 99, far), none, none, none, none)


def _composed(
    w: Who, face: Face, v: View, r: Rays, hit: Hit, flat: tuple[Tensor, Tensor], lamp: Light, head: Lit, stage: Lit
) -> tuple[Plate, Masks]:
    before = step(-0.03, 0.03, head.far - stage.far) * stage.share
    on = head.share * (1 - before)
    colour, albedo = mix(stage.colour, head.colour, on), mix(stage.flat, head.flat, on)
    colour, albedo = wear.earrings(w, v, hit, flat, colour, albedo, lamp)
    colour, albedo, framed = wear.glasses(w, face, v, r, hit, flat, colour, albedo, lamp)
    person = torch.maximum(stage.share, head.share)
    far = mix(torch.full_like(on, DISTANCE + 3), stage.far, stage.share)
    depth = DISTANCE - mix(far, head.far, on)
    hairy = on * head.hair
    masks = Masks(
        face=on - hairy, hair=hairy, body=(person - on).clamp_min(0), background=1 - person,
        eyes=on * head.eyes * (1 - framed), mouth=on * head.mouth,
    )  # fmt: skip
    return settled(Plate(developed(colour), developed(albedo), person, depth)), masks


PLAIN = Stages(
    _solid, meet, landmarks, _skin, mouth, _left_eye, _right_eye, _ground, _finish, _with_ear, _with_body, _composed
)


def compiled() -> Stages:
    """The same, compiled by torch at first use for each size of picture: minutes once, then faster."""
    return Stages(*(torch.compile(getattr(PLAIN, f.name), dynamic=False) for f in fields(Stages)))
