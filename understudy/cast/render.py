"""From numbers to a developed picture, in stages: solid, rays, paint in windows, light, layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast import hair, wear
from understudy.cast.body import Layer, body, depth, ear, half_width
from understudy.cast.eye import brow, eye
from understudy.cast.how import How
from understudy.cast.landmarks import Landmarks, landmarks
from understudy.cast.looks import Looks, looks
from understudy.cast.mouth import mouth
from understudy.cast.paint import Paint, Spot, Window, chosen, window
from understudy.cast.plate import Plate
from understudy.cast.rig import Face, pose_face
from understudy.cast.scene import background
from understudy.cast.shade import Light, cast_shadow, doubled, hair_lit, halved, light, lit
from understudy.cast.shape import CENTRE, Solid, bake, face_point
from understudy.cast.skin import beard, nostrils, plain, skin
from understudy.cast.soft import either, mix, step
from understudy.cast.style import developed
from understudy.cast.view import (
    DISTANCE,
    HALF,
    LOW,
    PIVOT,
    Hit,
    Rays,
    Step,
    View,
    look_up,
    meet,
    one_step,
    pixels,
    rays,
    view,
)
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
    eye: int  # windows around features
    mouth: int
    ear: int
    shoulders: int  # the row where necks may begin
    looks: Looks


def plan(who: Who, how: How, height: int, width: int) -> Plan:
    """Windows just large enough for the nearest head of the batch, in steps so that shapes repeat."""
    scale = math.ceil(float(how.place[:, 2].clamp(0.4, 2.5).max()) * 8 - 1e-4) / 8
    unit = height / (2 * HALF) * scale * 1.12  # pixels per head unit; perspective enlarges what is near
    lowest = float(((-0.52 - LOW + how.place[:, 1] * HALF) / (HALF / how.place[:, 2].clamp(0.4, 2.5))).max())
    row = int((1 - lowest) * height / 2) // 8 * 8

    def side(units: float) -> int:
        return math.ceil(units * unit / 4) * 4

    table = min(512, max(112, height * 9 // 16))
    row = min(max(row, 0), height - 8)
    return Plan(height, width, table, side(0.76), side(0.92), side(0.62), row, looks(who))


@dataclass(frozen=True)
class Stages:
    """The functions that take the time. None decides by a tensor's values, so each can be compiled."""

    solid: Callable[[Who, Face, View, Plan], Solid]
    step: Step  # of the search along rays
    points: Callable[[Who, Face, View, Solid], Landmarks]
    skin: Callable[[Who, Face, Spot, Paint, Looks], Paint]
    mouth: Callable[[Who, Face, Spot, Paint], Paint]
    left_eye: Callable[[Who, Face, Light, Spot, Paint], Paint]
    right_eye: Callable[[Who, Face, Light, Spot, Paint], Paint]
    ground: Callable[[Who, View, Hit, Tensor], tuple[Spot, Paint, Strands]]
    finish: Callable[[Who, View, Hit, Tensor, Paint, Strands, Tensor, Light, Looks], Tensor]
    ear: Callable[[Who, View, Rays, Light, Tensor, int], Tensor]
    body: Callable[[Who, View, Tensor, Tensor, Tensor, Light, Tensor], Tensor]
    compose: Callable[[Who, Face, View, Rays, Hit, tuple[Tensor, Tensor], Light, Lit, Lit, Looks], tuple[Plate, Masks]]


def render(who: Who, how: How, p: Plan, do: Stages) -> tuple[Plate, Masks, Landmarks]:
    """Everything before style."""
    w = who.broad()
    face = pose_face(w, how)
    v = view(how, p.height, p.width)
    lamp = light(w, v)
    solid = do.solid(w, face, v, p)
    flat = pixels(v)
    r = rays(v, *flat)
    hit = meet(solid, r, v.pixel, do.step)
    points = do.points(w, face, v, solid)
    more = look_up(solid.more, hit.direction)
    spot, paint, strands = do.ground(w, v, hit, more)
    paint = _featured(w, v, face, lamp, hit, strands, spot, paint, p, points, do)
    shadow = _shadow(solid, lamp, r, hit, p)
    row = do.finish(w, v, hit, more, paint, strands, hit.where.cut(shadow[:, None])[:, 0], lamp, p.looks)
    head = _with_ears(w, v, r, lamp, p, _whole(v, hit, row, shadow), points, do)
    stage = _stage(w, v, flat, solid, lamp, p, background(w, v), do)
    return (*do.compose(w, face, v, r, hit, flat, lamp, head, stage, p.looks), points)


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


def _solid(w: Who, face: Face, v: View, p: Plan) -> Solid:
    return bake(w, face, p.table, lambda d, s: hair.cover(w, d, s, -v.turn[:, 1], p.looks))


def _shadow(solid: Solid, lamp: Light, r: Rays, hit: Hit, p: Plan) -> Tensor:
    """How much of the key light reaches the head, (b, h, w), computed at half the size."""
    at = torch.stack(Rays(r.start, halved(r.way)).at(halved(hit.far)), 1)
    return doubled(cast_shadow(solid, lamp, at), p.height, p.width)


@dataclass(frozen=True)
class Strands:
    """What hair is like, (b, 1, n) each: its fine and its broad pattern, and how much of the skin it covers."""

    fine: Tensor
    broad: Tensor
    grown: Tensor


def _ground(w: Who, v: View, hit: Hit, more: Tensor) -> tuple[Spot, Paint, Strands]:
    """Bare skin all over the head, where it is, and how much hair grows on it."""
    spot = _spot(v, hit)
    normal = _unit(more[:, 1:4])
    fine, broad = hair.texture(w, hit.direction, hit.point, normal, v.pixel)
    strands = Strands(fine, broad, hair.grown(w, hit.direction, more[:, 0], fine, v.pixel))
    return spot, plain(w, spot, normal, more[:, 4]), strands


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt((x * x).sum(1, keepdim=True) + 1e-6)


def _finish(
    w: Who, v: View, hit: Hit, more: Tensor, paint: Paint, strands: Strands, shadow: Tensor, lamp: Light, worn: Looks
) -> Tensor:
    """Light on the painted head, then hair and hat over it: (b, 9, 1, n) colour, albedo, hair, eyes, mouth."""
    over, normal, hollow, hat = more[:, 0], _unit(more[:, 1:4]), more[:, 4], more[:, 5]
    colour = lit(paint, _seen(v, paint.normal), lamp, shadow)
    facing = _seen(v, normal)
    fine, grown = strands.fine, strands.grown
    albedo = hair.colour(w, fine, strands.broad)
    shade = 1 - 3.0 * hollow.clamp(0, 0.2)
    locks = hair_lit(
        albedo,
        _seen(v, hair.tangent(w, hit.direction, hit.point, normal)),
        facing,
        lamp,
        shadow,
        shade,
        fine,
        hair.sheen(w),
    )
    colour, albedo, bare = mix(colour, locks, grown), mix(paint.colour, albedo, grown), 1 - grown
    if worn.hats:
        knit, stitch = hair.knit(w, hit.direction, v.pixel)
        none = torch.zeros_like(over)
        wool = Paint(knit, normal, none + 0.02, none, none + 0.25, shade * stitch, none, none)
        capped = step(-0.002, 0.012 + v.pixel * 0.3, hat) * (hat > over - 0.02) * (w.hat > 0)
        colour, albedo = mix(colour, lit(wool, facing, lamp, shadow), capped), mix(albedo, knit, capped)
        bare = bare * (1 - capped)
    return torch.cat([colour, albedo, torch.stack([1 - bare, paint.eyes * bare, paint.mouth * bare], 1)], 1)


def _whole(v: View, hit: Hit, row: Tensor, shadow: Tensor) -> Lit:
    """The head back in its place in the picture."""
    b, h, w = hit.far.shape
    pack = hit.where.paste(row.new_zeros(b, 9, h, w), row)
    share = step(1.0, 0.0, hit.miss / v.pixel)
    hairy, eyes, lips = pack[:, 6:9].unbind(1)
    return Lit(pack[:, 0:3], pack[:, 3:6], share, hit.far, hairy, eyes, lips, shadow)


def _spot(v: View, hit: Hit) -> Spot:
    x, y = face_point(*hit.direction)
    x = either(hit.direction[2] > 0.05, x, x + 9)  # behind the ears there is no face
    origin = v.turn.new_tensor(CENTRE)[None, :, None, None]
    return Spot(x, y, hit.direction, torch.stack(hit.point, 1) + origin, hit.way, v.pixel)


def _featured(
    w: Who, v: View, face: Face, lamp: Light, hit: Hit, strands: Strands, spot: Spot, paint: Paint, p: Plan,
    points: Landmarks, do: Stages,
) -> Paint:  # fmt: skip
    """The face's paint: skin where it shows, and each feature in a window of its own."""
    where, coat = spot.packed(), paint.packed()
    shows = (spot.direction[2] > 0.05) & (strands.grown < 0.999) & hit.where.own
    row, column = hit.where.index // v.width, hit.where.index % v.width

    def within(coat: Tensor, cut: Window, painter: Callable[[Spot, Paint], Paint]) -> Tensor:
        patch = painter(Spot.unpacked(cut.cut(where), spot.pixel), Paint.unpacked(cut.cut(coat)))
        return cut.paste(coat, patch.packed())

    def around(part: str, side: int) -> Window:
        middle = points.middle(part)[:, None]
        near = torch.maximum((column + 0.5 - middle[..., 0]).abs(), (row + 0.5 - middle[..., 1]).abs()) < side / 2
        return chosen(near[:, None] & shows)

    worn = p.looks if do.skin is _skin else Looks()  # what is compiled is compiled once, for everybody
    coat = within(coat, chosen(shows), lambda s, q: do.skin(w, face, s, q, worn))
    coat = within(coat, around("mouth", p.mouth), lambda s, q: do.mouth(w, face, s, q))
    coat = within(coat, around("eye_left", p.eye), lambda s, q: do.left_eye(w, face, lamp, s, q))
    coat = within(coat, around("eye_right", p.eye), lambda s, q: do.right_eye(w, face, lamp, s, q))
    return Paint.unpacked(coat)


def _skin(w: Who, face: Face, spot: Spot, paint: Paint, worn: Looks) -> Paint:
    paint = skin(w, face, spot, paint)
    if worn.beards:
        paint = beard(w, face, spot, paint)
    paint = nostrils(w, face, spot, paint)
    return paint.shaded(wear.shadow(w, spot.x, spot.y)) if worn.glasses else paint


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
    rest = (head.share, head.far.clone(), head.hair, head.eyes, head.mouth, head.shadow)
    layers = [head.colour, head.flat, *(one[:, None] for one in rest)]
    for side, name in ((1, "ear_left"), (-1, "ear_right")):
        cut = window(points.middle(name), p.ear, p.height, p.width)
        patch = do.ear(w, v, Rays(r.start, cut.cut(r.way)), lamp, cut.cut_each(layers), side)
        layers = cut.paste_each(layers, patch)
    return Lit(*layers[:2], *(one[:, 0] for one in layers[2:]))


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


def _stage(
    w: Who, v: View, flat: tuple[Tensor, Tensor], solid: Solid, lamp: Light, p: Plan, back: Tensor, do: Stages
) -> Lit:
    """Neck and shoulders before the background. Only where they can be are they computed."""
    top = p.shoulders
    x = flat[0][:, top:] - v.shift[:, 0, None, None]
    y = flat[1][:, top:] - v.shift[:, 1, None, None]
    at = chosen((x.abs() < half_width(w, y[:, :, :1]) + 1.5 * v.pixel) & (y < -0.55))
    shadow = _shadow_on_body(w, v, x, y, solid, lamp)
    right, up, shade = at.cut(torch.stack([x, y, shadow], 1)).unbind(1)
    at = replace(at, index=at.index + top * v.width)
    none = torch.zeros_like(flat[0])
    layers = [back, back.clone(), none.clone()[:, None], (none + 99)[:, None]]
    layers = at.paste_each(layers, do.body(w, v, right, up, shade, lamp, at.cut(back)))
    colour, albedo, share, far = layers
    return Lit(colour, albedo, share[:, 0], far[:, 0], none, none, none, none)


def _shadow_on_body(w: Who, v: View, x: Tensor, y: Tensor, solid: Solid, lamp: Light) -> Tensor:
    """How much of the key light the head lets through to neck and shoulders, computed at half the size."""
    height, width = x.shape[-2:]
    x, y = halved(x), halved(y)
    pivot = v.turn.new_tensor(PIVOT)[None, :, None, None]
    centre = v.turn.new_tensor(CENTRE)[None, :, None, None]
    point = torch.stack([x, y, depth(w, x, y)], 1)
    from_head = _seen(replace(v, turn=v.turn.transpose(1, 2)), point - pivot) + pivot - centre
    return doubled(cast_shadow(solid, lamp, from_head, 0.08), height, width)


def _body(w: Who, v: View, x: Tensor, y: Tensor, shadow: Tensor, lamp: Light, back: Tensor) -> Tensor:
    """(b, 8, 1, n): colour and albedo of the body over the background, its share, how far it is."""
    torso: Layer = body(w, x, y, v.pixel)
    shown = lit(torso.paint, torso.paint.normal, lamp, shadow)
    far = (x * x + (y - LOW) ** 2 + (DISTANCE - torso.far) ** 2).sqrt()
    colours = [mix(back, shown, torso.share), mix(back, torso.paint.colour, torso.share)]
    return torch.cat([*colours, torch.stack([torso.share, far], 1)], 1)


def _composed(
    w: Who, face: Face, v: View, r: Rays, hit: Hit, flat: tuple[Tensor, Tensor], lamp: Light, head: Lit, stage: Lit,
    worn: Looks,
) -> tuple[Plate, Masks]:  # fmt: skip
    before = step(-0.03, 0.03, head.far - stage.far) * stage.share
    on = head.share * (1 - before)
    colour, albedo = mix(stage.colour, head.colour, on), mix(stage.flat, head.flat, on)
    framed = torch.zeros_like(on)
    hides = hit.far + 1e3 * (hit.miss > 0)  # how far what may hide things is
    if worn.earrings:
        colour, albedo = wear.earrings(w, v, hides, flat, colour, albedo, lamp)
    if worn.glasses:
        at = chosen(wear.about_eyes(w, face, v, flat))
        layers = [colour, albedo, framed[:, None]]
        near, right, up = at.cut_each([one[:, None] for one in (hides, *flat)]).unbind(1)
        bare, ray = at.cut_each(layers), Rays(r.start, at.cut(r.way))
        with_them = wear.glasses(w, face, v, ray, near, (right, up), bare[:, :3], bare[:, 3:6], lamp)
        colour, albedo, frames = at.paste_each(layers, torch.cat([*with_them[:2], with_them[2][:, None]], 1))
        framed = frames[:, 0]
    person = torch.maximum(stage.share, head.share)
    far = mix(torch.full_like(on, DISTANCE + 3), stage.far, stage.share)
    towards = DISTANCE - mix(far, head.far, on)
    hairy = on * head.hair
    masks = Masks(
        face=on - hairy, hair=hairy, body=(person - on).clamp_min(0), background=1 - person,
        eyes=on * head.eyes * (1 - framed), mouth=on * head.mouth,
    )  # fmt: skip
    return Plate(developed(colour), developed(albedo), person, towards), masks


PLAIN = Stages(
    _solid, one_step, landmarks, _skin, mouth, _left_eye, _right_eye, _ground, _finish, _with_ear, _body, _composed
)


FUSED = ("step", "skin")  # the others gain little, or compile for minutes


def compiled() -> Stages:
    """The same with the stages that may gain by it compiled by torch, at first use: a minute or two once, for all
    numbers of pixels. On a CPU nothing is gained (`bench/cast.py --compiled`)."""
    return replace(PLAIN, **{name: torch.compile(getattr(PLAIN, name), dynamic=True) for name in FUSED})
