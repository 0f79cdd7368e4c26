"""A picture of `who` doing `how`, and the exact truth about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.cast import hair, wear
from understudy.cast.body import body, ear
from understudy.cast.feature import Paint, Spot, beard, brow, eye, mouth, nostrils, skin
from understudy.cast.how import How
from understudy.cast.rig import Face, pose_face
from understudy.cast.scene import background
from understudy.cast.shade import cast_shadow, doubled, hair_lit, halved, light, lit
from understudy.cast.shape import CENTRE, bake, face_point
from understudy.cast.soft import GRAIN, cover, mix, noise, step
from understudy.cast.style import Plate, finished
from understudy.cast.view import look_up, march, pixels, rays, view
from understudy.cast.who import Who


@dataclass(frozen=True)
class Picture:
    image: Tensor  # (b, 3, h, w) sRGB in [0, 1]


def draw(who: Who, how: How, size: int = 256) -> Picture:
    w = who.broad()
    face = pose_face(w, how)
    v = view(how, size, size)
    n = min(512, max(144, size * 9 // 16))
    solid = bake(w, face, n, lambda d, s: hair.cover(w, d, s, -v.turn[:, 1]))
    right, up = pixels(v)
    r = rays(v, right, up)
    hit = march(solid, r, 16)
    more = look_up(solid.more, hit.direction)
    over, normal, hollow, hat = more[:, 0], more[:, 1:4], more[:, 4], more[:, 5]
    normal = normal * torch.rsqrt((normal * normal).sum(1, keepdim=True) + 1e-6)
    origin = torch.tensor(CENTRE, device=normal.device)[None, :, None, None]
    from_centre = torch.stack(hit.point, 1)
    point = from_centre + origin
    fx, fy = face_point(*hit.direction)
    fx = torch.where(hit.direction[2] > 0.05, fx, fx + 9)
    spot = Spot(fx, fy, hit.direction, point, r.way, v.pixel)
    lamp = light(w, v)

    paint = skin(w, face, spot, normal, hollow)
    paint = beard(w, face, spot, paint)
    paint = nostrils(w, face, spot, paint)
    squash = torch.rsqrt((from_centre * from_centre).sum(1))
    k = face_point(*hit.direction)
    squash = (k[1] - CENTRE[1]) / (from_centre[:, 1]).clamp_max(-0.05)
    paint = mouth(w, face, spot, paint, squash)
    for e in face.eyes:
        paint = eye(w, face, e, spot, paint, lamp.key_in_head[:, :, None, None])
    paint = paint.shaded(wear.shadow(w, fx, fy))
    for b in face.brows:
        paint = brow(w, b, spot, paint)

    shadow = doubled(cast_shadow(solid, lamp, halved(from_centre)), size, size)
    turned = torch.einsum("bij,bjhw->bihw", v.turn, paint.normal)
    head = lit(paint, turned, lamp, shadow)

    fine, broad = hair.texture(w, hit.direction, hit.point, normal, v.pixel)
    nrm = torch.einsum("bij,bjhw->bihw", v.turn, normal)
    tan = torch.einsum("bij,bjhw->bihw", v.turn, hair.tangent(hit.direction, normal))
    length = step(-0.1, 0.5, 0.5 + 0.5 * fine)
    albedo = hair.colour(w, fine, broad, length)
    shade = 1 - 3.0 * hollow.clamp(0, 0.2)
    hairs = hair_lit(albedo, tan, nrm, lamp, shadow, shade, fine)
    ragged = 0.012 * step(-0.3, 0.3, hit.direction[1]) + 0.002
    wisp = step(-0.004, 0.016 + v.pixel * 0.4, over + ragged * fine)
    head = mix(head, hairs, wisp)
    head_flat = mix(paint.colour, albedo, wisp)

    if bool((w.hat > 0).any()):
        knit, stitch = hair.knit(w, hit.direction, v.pixel)
        wool = Paint(knit, normal, 0.02 + 0 * over, 0 * over, 0.25 + 0 * over, shade * stitch)
        capped = step(-0.002, 0.012 + v.pixel * 0.3, hat) * (hat > over - 0.02)
        head = mix(head, lit(wool, nrm, lamp, shadow), capped)
        head_flat = mix(head_flat, knit, capped)
    bare = step(1.0, 0.0, hit.miss / v.pixel)
    head_depth = -hit.far

    colour = background(w, v)
    flat = colour
    bx, by = right - v.shift[:, 0, None, None], up - v.shift[:, 1, None, None]
    torso = body(w, bx, by, v.pixel)
    spot_body = torch.stack([bx, by, torso.depth], 1)
    pivot = torch.tensor((0.0, -0.80, -0.22))[None, :, None, None]
    in_head = torch.einsum("bji,bjhw->bihw", v.turn, spot_body - pivot) + pivot - origin
    dim = doubled(cast_shadow(solid, lamp, halved(in_head), 0.08), size, size)
    body_lit = lit(torso.paint, torso.paint.normal, lamp, dim)
    body_far = (spot_body - torch.stack([0 * bx, 0 * by - 0.16, 0 * bx + 8.5], 1)).norm(dim=1)
    before = step(-0.03, 0.03, hit.far - body_far)
    body_share = torso.share
    colour = mix(colour, body_lit, body_share)
    flat = mix(flat, torso.paint.colour, body_share)
    person = body_share
    depth = mix(torch.full_like(bx, -3.0), torso.depth, body_share)
    head_share = bare * (1 - before * body_share)
    ears = []
    for side in (1, -1):
        layer, _ = ear(w, r, side, v.pixel)
        nn = torch.einsum("bij,bjhw->bihw", v.turn, layer.paint.normal)
        shown = lit(layer.paint, nn, lamp, 0.55 + 0.45 * shadow)
        front = step(-0.01, 0.01, hit.far + layer.depth) * bare + (1 - bare)
        colour = mix(colour, shown, layer.share * (1 - bare))
        flat = mix(flat, layer.paint.colour, layer.share * (1 - bare))
        head = mix(head, shown, layer.share * front)
        head_flat = mix(head_flat, layer.paint.colour, layer.share * front)
        person = torch.maximum(person, layer.share * (1 - bare))
        depth = mix(depth, layer.depth + 8.5, layer.share * (1 - bare))
    colour = mix(colour, head, head_share)
    flat = mix(flat, head_flat, head_share)
    if bool((w.earrings > 0).any()):
        colour, flat = wear.earrings(w, v, hit, (right, up), colour, flat, lamp)
    if bool((w.glasses > 0).any()):
        colour, flat, worn = wear.glasses(w, face, v, r, hit, (right, up), colour, flat, lamp)
    person = torch.maximum(person, head_share)
    depth = mix(depth, head_depth + 8.5, head_share)
    plate = Plate(developed(colour), developed(flat), person, depth)
    return Picture(finished(w, plate, who.style))


def developed(colour: Tensor) -> Tensor:
    """Linear light to sRGB in [0, 1], highlights rolled off."""
    c = colour.clamp_min(0) * 1.02
    c = c * (1 + c / 6.0) / (1 + 0.42 * c)
    c = c.clamp(0, 1)
    return torch.where(c <= 0.0031308, c * 12.92, 1.055 * c.clamp_min(1e-6) ** (1 / 2.4) - 0.055)
