"""The inside of a mouth that a portrait does not show.

`own`: dark, with teeth and a tongue in the portrait's tones. Upper teeth hang from the head, lower teeth and tongue
sit on the jaw: lips open over them and do not stretch them. `driver`: the inside of the driver's mouth, fitted between
the portrait's lips and brought to its tones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from understudy.face.lips import COLUMNS, EQUAL, ROWS, lip_line, skin_tone
from understudy.face.mesh import INNER_LOWER, OUTER_LOWER, Floats, floats
from understudy.generator.warp.head import smoothstep
from understudy.motion.mesh import Bytes

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SHOWN = 0.10  # eye units that the portrait's lips stand apart from which on it shows its own inside


@dataclass(frozen=True)
class Tones:
    """Colours of the portrait, (3,) RGB, 0 to 255."""

    skin: Floats
    lips: Floats
    teeth: Floats
    tongue: Floats
    dark: Floats

    @staticmethod
    def of(crop: Bytes, points: Floats) -> Tones:
        skin = skin_tone(crop, points)
        mask = np.zeros(crop.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(points[[*OUTER_LOWER, *INNER_LOWER[::-1]], :2]).astype(np.int32)], 255)
        lips = np.array(cv2.mean(crop, mask)[:3], np.float32)
        grey = float(skin @ LUMA)
        teeth = min(1.1 * grey + 30, 232.0) * (0.65 + 0.35 * skin / max(grey, 1.0))
        return Tones(skin, lips, floats(teeth), floats(lips * 0.75), floats(lips * 0.17 + (5, 1, 2)))

    @property
    def colourful(self) -> float:
        """How much redder lips are than skin, over what is usual: near 0 on a pencil drawing."""
        redness = [float(tone[0] / max(float(tone.sum()), 1.0)) for tone in (self.lips, self.skin)]
        greyness = float(np.ptp(self.skin) / max(float(self.skin.max()), 1.0))
        return float(np.clip(abs(redness[0] - redness[1]) / 0.03 + greyness / 0.2, 0.0, 1.0))


@dataclass(frozen=True)
class Opening:
    """The gap between the lips of the result, with its own coordinates."""

    low: tuple[int, int]
    mask: Floats  # (h, w) 0 to 1
    along: Floats  # (h, w) -1 at the picture's left corner of the mouth, 1 at the right one
    down: Floats  # (h, w) eye units below the middle of the corners
    top: Floats  # (h, w) height of the upper lip there
    bottom: Floats
    middle: Floats  # (2,) pixels
    normal: Floats  # (2,) unit vector down

    @staticmethod
    def between(target: Floats, size: int, unit: float) -> Opening | None:
        above, below = lip_line(target)
        outline = np.concatenate([above, below[-2:0:-1]])
        low = np.maximum(np.floor(outline.min(0)).astype(int) - 3, 0)
        high = np.minimum(np.ceil(outline.max(0)).astype(int) + 4, size)
        width, height = (int(n) for n in high - low)
        if width < 4 or height < 4:
            return None
        filled = np.zeros((height, width), np.uint8)
        cv2.fillPoly(filled, [np.round((outline - low) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        mask = floats(cv2.GaussianBlur(filled, (0, 0), max(unit * 0.006, 0.6))) / 255
        across = above[-1] - above[0]
        length = max(float(np.hypot(*across)), 1.0)
        normal = np.array([-across[1], across[0]], np.float32) / length
        middle = (above[0] + above[-1]) / 2
        places = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1) - middle
        along = (places @ across / (length * length / 2)).astype(np.float32)

        def edge(line: Floats) -> Floats:
            u, v = (line - middle) @ across / (length * length / 2), (line - middle) @ normal / unit
            order = np.argsort(u)
            return floats(np.interp(along, u[order], v[order]))

        down = (places @ normal / unit).astype(np.float32)
        return Opening(
            (int(low[0]), int(low[1])),
            floats(mask),
            along,
            down,
            edge(above),
            edge(below),
            floats(middle),
            floats(normal),
        )

    def height_of(self, place: Floats, unit: float) -> float:
        """How far below the middle of the corners a place of the result lies, eye units."""
        return float((place - self.middle) @ self.normal / unit)


def fill(drawn: Bytes, opening: Opening, amount: float, picture: Floats) -> None:
    """Lay `picture (h, w, 3)` between the lips (in place)."""
    x, y = opening.low
    window = drawn[y : y + opening.mask.shape[0], x : x + opening.mask.shape[1]]
    window[:] = np.clip(window + (opening.mask * amount)[..., None] * (picture - window) + 0.5, 0, 255).astype(np.uint8)


def of_driver(opening: Opening, patch: Bytes, tones: Tones) -> Floats:
    """(h, w, 3): the driver's inside in the portrait's shape and tones; `patch` as `face.lips.cut_inside` makes it."""
    column = (opening.along + 1) * (COLUMNS / 2) - 0.5
    height = (opening.down - opening.top) / np.maximum(opening.bottom - opening.top, 1e-3)
    laid = cv2.remap(
        patch, column, (height * ROWS - 0.5).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    ratio = floats(laid) / EQUAL
    grey = (ratio @ LUMA)[..., None]
    ratio = grey + tones.colourful * (ratio - grey)
    found = ratio * np.maximum(tones.skin, 30)
    bright = (found @ LUMA)[..., None]
    # What is brighter than skin is teeth, and has their tone: over a warm, dark skin white counts as blue.
    white = smoothstep(grey, 0.9, 1.4)
    found = found + white * (bright * (tones.teeth / max(float(tones.teeth @ LUMA), 1.0)) - found)
    # Teeth are not brighter than the picture's light.
    most = min(1.08 * max(float(tones.skin @ LUMA), 40.0) + 12, 228.0)
    knee = 0.75 * most
    bent = np.where(bright > knee, knee + (most - knee) * np.tanh((bright - knee) / (most - knee)), bright)
    return floats(found * (bent / np.maximum(bright, 1)))


def of_its_own(opening: Opening, tones: Tones, upper: float, lower: float) -> Floats:
    """(h, w, 3): dark, teeth and tongue. `upper`, `lower`: where the portrait's lips meet at rest, carried by the head
    and by the jaw, eye units below the middle of the corners."""
    u, v = opening.along, opening.down
    depth = np.clip((v - opening.top) / np.maximum(opening.bottom - opening.top, 1e-3), 0, 1)
    picture = tones.dark * (0.7 + 0.7 * depth[..., None])
    arch = 1 - 0.5 * u * u
    drop = max(lower - upper, 0.0)
    floor = np.float32(lower + 0.03)
    tall = np.float32(max(0.42 * drop, 0.03))
    mound = smoothstep(1.1 - np.hypot(u / 0.7, (v - floor) / tall), 0.0, 0.5)
    lit = 0.5 + 0.4 * smoothstep(v, float(floor - tall), float(floor))
    picture = picture + (0.85 * mound)[..., None] * (tones.tongue * lit[..., None] - picture)
    inward = smoothstep(0.95 - np.abs(u), 0.0, 0.3)
    for edge, sign, bright in ((upper + 0.045 * arch, 1.0, 0.95), (lower - 0.015 * arch, -1.0, 0.7)):
        row = smoothstep(sign * (edge - v), -0.008, 0.01) * inward
        bent = np.arcsin(np.clip(u * 0.97, -1, 1)) * 3.4
        seams = 1 - 0.1 * np.exp(-(((bent - np.floor(bent) - 0.5) / 0.05) ** 2))
        near_lip = np.abs(v - (opening.top if sign > 0 else opening.bottom))
        shade = (
            bright
            * (0.5 + 0.5 * np.sqrt(np.clip(1 - u * u, 0, 1)))
            * seams
            * (0.6 + 0.4 * smoothstep(near_lip, 0.0, 0.05))
        )
        picture = picture + row[..., None] * (tones.teeth * shade[..., None] - picture)
    return np.asarray(picture, np.float32)
