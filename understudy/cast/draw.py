"""A picture of `who` doing `how`, and the exact truth about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast import hair, shape, soft, wear
from understudy.cast.body import Layer, body, ear
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
from understudy.cast.style import Plate, developed, finished
from understudy.cast.view import (
    DISTANCE,
    HALF,
    LOW,
    PIVOT,
    Hit,
    Rays,
    View,
    look_up,
    meet,
    pixels,
    rays,
    view,
)
from understudy.cast.who import Who
from understudy.errors import BadOption

SMALLEST = 16


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
class Drawn:
    """b pictures with the truth about them."""

    image: Tensor  # (b, 3, h, w) sRGB in [0, 1]
    landmarks: Landmarks
    masks: Masks
    curves: Tensor  # (b, 52), as given


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


def plan(how: How, height: int, width: int) -> Plan:
    """Windows just large enough for the nearest head of the batch, in steps so that shapes repeat."""
    scale = math.ceil(float(how.place[:, 2].clamp(0.4, 2.5).max()) * 8 - 1e-4) / 8
    unit = height / (2 * HALF) * scale * 1.12  # pixels per head unit; perspective enlarges what is near
    lowest = float(((-0.52 - LOW + how.place[:, 1] * HALF) / (HALF / how.place[:, 2].clamp(0.4, 2.5))).max())
    row = int((1 - lowest) * height / 2) // 8 * 8

    def side(units: float) -> int:
        return math.ceil(units * unit / 4) * 4

    table = min(512, max(112, height * 9 // 16))
    return Plan(height, width, table, side(1.90), side(0.76), side(0.92), side(0.62), min(max(row, 0), height - 8))


def draw(
    who: Who,
    how: How,
    height: int,
    width: int | None = None,
    render: Callable[..., tuple[Plate, Masks, Landmarks]] | None = None,
) -> Drawn:
    """Draw `how[i]` as `who[i]`. `render` may be a compiled version of `render_plate`."""
    width = height if width is None else width
    if min(height, width) < SMALLEST:
        raise BadOption(
            "a picture that small shows nobody", f"{width}x{height}", f"at least {SMALLEST} pixels each way"
        )
    if len(who) != len(how):
        raise BadOption(
            "each person needs one expression", f"{len(who)} people and {len(how)} expressions", "who.repeated(n)"
        )
    sizes = plan(how, height, width)
    soft.ready(who.skin.device)
    shape.ready(sizes.table, who.skin.device)
    plate, masks, points = (render or render_plate)(who, how, sizes)
    image = finished(who.broad(), plate, who.style)
    return Drawn(image, points, masks, how.curves)


def render_plate(who: Who, how: How, p: Plan) -> tuple[Plate, Masks, Landmarks]:
    """Everything before style. Free of decisions that depend on values, so that it can be compiled."""
    w = who.broad()
    face = pose_face(w, how)
    v = view(how, p.height, p.width)
    lamp = light(w, v)
    solid = bake(w, face, p.table, lambda d, s: hair.cover(w, d, s, -v.turn[:, 1]))
    flat = pixels(v)
    r = rays(v, *flat)
    hit = meet(solid, r)
    points = landmarks(w, face, v, solid)
    head = _head(w, face, v, r, hit, solid, lamp, p, points)
    head = _with_ears(w, v, r, hit, lamp, p, head, points)
    back = background(w, v)
    stage = _with_body(w, v, flat, solid, lamp, p, back)
    return (*_composed(w, face, v, r, hit, flat, lamp, head, stage), points)


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


def _head(w: Who, face: Face, v: View, r: Rays, hit: Hit, solid: Solid, lamp: Light, p: Plan, points: Landmarks) -> Lit:
    more = look_up(solid.more, hit.direction)
    over, normal, hollow, hat = more[:, 0], more[:, 1:4], more[:, 4], more[:, 5]
    normal = normal * torch.rsqrt((normal * normal).sum(1, keepdim=True) + 1e-6)
    spot = _spot(v, r, hit)
    paint = _features(w, face, lamp, spot, plain(w, spot, normal, hollow), p, points)
    from_centre = torch.stack(hit.point, 1)
    shadow = doubled(cast_shadow(solid, lamp, halved(from_centre)), p.height, p.width)
    colour = lit(paint, _seen(v, paint.normal), lamp, shadow)
    facing = _seen(v, normal)
    fine, broad = hair.texture(w, hit.direction, hit.point, normal, v.pixel)
    albedo = hair.colour(w, fine, broad)
    shade = 1 - 3.0 * hollow.clamp(0, 0.2)
    strands = hair_lit(
        albedo, _seen(v, hair.tangent(w, hit.direction, hit.point, normal)), facing, lamp, shadow, shade, fine
    )
    ragged = 0.012 * step(-0.3, 0.3, hit.direction[1]) + 0.002
    grown = step(-0.004, 0.016 + v.pixel * 0.4, over + ragged * fine)
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


def _features(w: Who, face: Face, lamp: Light, spot: Spot, paint: Paint, p: Plan, points: Landmarks) -> Paint:
    """The face's paint, each feature in a window of its own."""
    where, coat = spot.packed(), paint.packed()
    key = lamp.key_in_head[:, :, None, None]

    def within(coat: Tensor, middle: Tensor, side: int, painter: Callable[[Spot, Paint], Paint]) -> Tensor:
        cut = window(middle, side, p.height, p.width)
        patch = painter(Spot.unpacked(cut.cut(where), spot.pixel), Paint.unpacked(cut.cut(coat)))
        return cut.pasted(coat, patch.packed())

    def all_over(s: Spot, q: Paint) -> Paint:
        q = nostrils(w, face, s, beard(w, face, s, skin(w, face, s, q)))
        return q.shaded(wear.shadow(w, s.x, s.y))

    coat = within(coat, points.middle("face"), p.face, all_over)
    coat = within(coat, points.middle("mouth"), p.mouth, lambda s, q: mouth(w, face, s, q))
    for i, name in enumerate(("eye_left", "eye_right")):

        def looking(s: Spot, q: Paint, i: int = i) -> Paint:
            return brow(w, face.brows[i], s, eye(w, face, face.eyes[i], s, q, key))

        coat = within(coat, points.middle(name), p.eye, looking)
    return Paint.unpacked(coat)


def _seen(v: View, direction: Tensor) -> Tensor:
    """Head directions (b, 3, h, w) as the picture sees them."""
    b, _, height, width = direction.shape
    return torch.bmm(v.turn, direction.reshape(b, 3, -1)).reshape(b, 3, height, width)


def _with_ears(w: Who, v: View, r: Rays, hit: Hit, lamp: Light, p: Plan, head: Lit, points: Landmarks) -> Lit:
    """The head with both ears: each in front of it or behind, whichever is nearer along the ray."""
    scalars = torch.stack([head.share, head.far, head.hair, head.eyes, head.mouth, head.shadow], 1)
    pack = torch.cat([head.colour, head.flat, scalars], 1)
    for side, name in ((1, "ear_left"), (-1, "ear_right")):
        cut = window(points.middle(name), p.ear, p.height, p.width)
        patch = cut.cut(pack)
        share, far, hairy, eyes, lips, shadow = patch[:, 6:].unbind(1)
        layer = ear(w, Rays(r.start, cut.cut(r.way)), side, v.pixel)
        shown = lit(layer.paint, _seen(v, layer.paint.normal), lamp, 0.55 + 0.45 * shadow)
        nearer = mix(torch.ones_like(share), step(-0.01, 0.01, far - layer.far), share)
        on = layer.share * nearer
        rest = [
            torch.maximum(share, layer.share),
            mix(far, layer.far, on),
            hairy * (1 - on),
            eyes * (1 - on),
            lips * (1 - on),
            shadow,
        ]
        colours = [mix(patch[:, 0:3], shown, on), mix(patch[:, 3:6], layer.paint.colour, on)]
        pack = cut.pasted(pack, torch.cat([*colours, torch.stack(rest, 1)], 1))
    return Lit(pack[:, 0:3], pack[:, 3:6], *pack[:, 6:].unbind(1))


def _with_body(w: Who, v: View, flat: tuple[Tensor, Tensor], solid: Solid, lamp: Light, p: Plan, back: Tensor) -> Lit:
    """Neck and shoulders before the background. Only the rows where they can be are computed."""
    top = p.shoulders
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
    return Plate(developed(colour), developed(albedo), person, depth), masks
