"""Who somebody is: every number that shapes a made-up person, and a sampler of people. Nothing here moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from understudy.errors import BadOption

STYLES: tuple[str, ...] = ("realistic", "cartoon", "pencil", "paint", "ink")
TRAINING_STYLES: tuple[str, ...] = STYLES[:4]  # "ink" is never trained on: it measures how far a model carries
CUTS: tuple[str, ...] = ("bald", "buzz", "short", "side part", "quiff", "curly", "afro", "bob", "long", "bun", "wavy")
BALD, BUZZ, SHORT, SIDE, QUIFF, CURLY, AFRO, BOB, LONG, BUN, WAVY = range(len(CUTS))
GLASSES: tuple[str, ...] = ("none", "round", "square", "browline")
HATS: tuple[str, ...] = ("none", "beanie")
CLOTHES: tuple[str, ...] = ("crew", "v-neck", "shirt", "turtleneck", "hoodie", "jacket")
BACKGROUNDS: tuple[str, ...] = ("studio", "bokeh", "wall", "window", "sky", "paper", "stripes")


@dataclass(frozen=True)
class Who:
    """b people. Lengths are in units of about 10 cm of a head; colours are linear RGB; kinds index the tuples above."""

    # head
    head_width: Tensor  # (b,) multipliers of the usual head, about 0.92 to 1.08
    head_height: Tensor
    head_depth: Tensor
    jaw_width: Tensor
    jaw_length: Tensor
    chin_width: Tensor
    chin_forward: Tensor  # (b,) added, -0.06 to 0.06
    cheeks: Tensor  # (b,) fullness, -1 to 1
    cheekbones: Tensor
    # eyes
    eye_apart: Tensor  # (b,) from the middle of the face to the middle of an eye
    eye_height: Tensor
    eye_wide: Tensor  # (b,) half of the width of the opening
    eye_open: Tensor  # (b,) upper lid above the eye's axis
    eye_tilt: Tensor  # (b,) radians, + lifts the outer corner
    lid_fold: Tensor  # (b,) 0 single lid to 1 deep crease
    iris_size: Tensor
    iris: Tensor  # (b, 3)
    lashes: Tensor  # (b,) 0 to 1
    bags: Tensor
    # brows
    brow_height: Tensor
    brow_arch: Tensor
    brow_slope: Tensor
    brow_thick: Tensor
    brow_dense: Tensor
    brow_colour: Tensor  # (b, 3)
    # nose
    nose_long: Tensor
    nose_wide: Tensor
    nose_out: Tensor
    nose_bridge: Tensor
    nose_tip: Tensor
    nose_hump: Tensor
    # mouth
    mouth_height: Tensor
    mouth_wide: Tensor
    lip_upper: Tensor
    lip_lower: Tensor
    lip_bow: Tensor
    lip: Tensor  # (b, 3)
    # ears and skin
    ear_size: Tensor
    ear_out: Tensor
    skin: Tensor  # (b, 3)
    blush: Tensor
    freckles: Tensor
    wrinkles: Tensor
    shine: Tensor
    mole: Tensor  # (b, 3): place x, y and strength
    # hair
    cut: Tensor  # (b,) long, index of CUTS
    hair: Tensor  # (b, 3)
    hair_grey: Tensor
    hair_full: Tensor  # (b,) volume
    hair_long: Tensor
    hair_wave: Tensor
    hair_part: Tensor  # (b,) -1 to 1, side of the parting
    hairline: Tensor
    fringe: Tensor  # (b,) 0 or 1
    beard: Tensor  # (b,) 0 to 1
    moustache: Tensor
    stubble: Tensor
    # worn
    shadow: Tensor  # (b, 3) eye shadow
    make_up: Tensor  # (b,) 0 to 1
    glasses: Tensor  # (b,) long, index of GLASSES
    glasses_colour: Tensor
    hat: Tensor  # (b,) long
    hat_colour: Tensor
    earrings: Tensor
    clothes: Tensor  # (b,) long
    cloth: Tensor  # (b, 3)
    cloth_second: Tensor
    # around
    background: Tensor  # (b,) long
    ground: Tensor  # (b, 3)
    ground_second: Tensor
    light: Tensor  # (b, 2) radians: to the right of the picture, and up
    warmth: Tensor  # (b,) -1 cold to 1 warm
    soft: Tensor  # (b,) how much comes from all sides, 0 to 1
    grain: Tensor  # (b,) film grain, 0 to 1
    shift: Tensor  # (b, 2) where in the noise this person's texture begins
    style: Tensor  # (b,) long, index of STYLES

    def __len__(self) -> int:
        return len(self.style)

    def __getitem__(self, rows: slice | Tensor | list[int]) -> Who:
        return Who(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def to(self, device: torch.device | str) -> Who:
        return Who(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def repeated(self, count: int) -> Who:
        """Each person `count` times, in order: a, a, b, b."""
        return Who(**{f.name: getattr(self, f.name).repeat_interleave(count, 0) for f in fields(self)})

    def styled(self, style: str) -> Who:
        """The same people in another style."""
        return replace(self, style=torch.full_like(self.style, style_index(style)))

    def broad(self) -> Who:
        """Shaped to meet pictures: numbers (b, 1, 1), colours (b, 3, 1, 1)."""
        return Who(**{f.name: getattr(self, f.name)[..., None, None] for f in fields(self)})


def style_index(style: str) -> int:
    if style not in STYLES:
        raise BadOption("no such style", style, "one of " + ", ".join(STYLES))
    return STYLES.index(style)


def joined(people: Sequence[Who]) -> Who:
    """One batch of several."""
    return Who(**{f.name: torch.cat([getattr(p, f.name) for p in people]) for f in fields(Who)})


def sample(seeds: Sequence[int], style: str | None = None) -> Who:
    """Made-up people, one per seed; a seed gives the same person alone or in company.

    Without `style`, each is drawn in one of the training styles, which is the seed's too."""
    people = [_one(seed) for seed in seeds]
    return joined(people) if style is None else joined(people).styled(style)


# Skin from light to dark, sRGB: the whole human range, cool and warm.
SKINS = ("f6dccb", "f3d2bb", "efc8ab", "e9bd9d", "e3b08c", "d9a27c", "cf9670", "c28660", "b27650", "a06845", "8c583a",
         "774a32", "643d2b", "523225", "43291f")  # fmt: skip
DARK_HAIR = ("15110f", "1d1512", "2a1d17", "38251b")
FAIR_HAIR = ("4a3120", "6a4527", "8a5c33", "a9793f", "c79a57", "dcb878", "8a3f1d", "a8502a", "6b2b1a")
DYED_HAIR = ("c05a7a", "4f6fae", "5a9a8a", "8a62b0", "d8d8de")
IRISES = ("2c1a10", "3b2414", "51331b", "6b4623", "7a6a35", "5d7a4a", "4c7f86", "4f7fae", "6f8fb0", "7d8790")
CLOTH = ("2f3e55", "7a2f35", "3f5b4a", "c9b99a", "d8d5cc", "33302f", "8a6a4a", "b5533c", "4a6fa0", "6d4f7a", "cfa445",
         "92a8a0", "1f2b38", "e6dfd2", "5c6b3a", "c98a8a")  # fmt: skip
GROUNDS = ("b9c4cc", "d9cfc0", "8f9ca6", "c7b7a5", "a9b8a4", "d6c3c0", "6f7f8c", "4d5866", "e2ddd2", "7d6f62", "b3a6bb",
           "5b6f62", "99b5c9", "cdb38b", "363d48")  # fmt: skip
SHADOWS = ("7a4a3a", "5a4a6a", "4a5a6a", "8a5a5a", "6a5a3a")


Colour = npt.NDArray[np.float64]  # (3,) linear RGB


def rgb(code: str) -> Colour:
    """'rrggbb' in sRGB to linear light."""
    srgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


class _Dice:
    """Chance for one person: each method draws one number or colour."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng([0x77686F, seed])

    def about(self, middle: float, spread: float, most: float = 2.2) -> float:
        return middle + spread * float(np.clip(self.chance.normal(), -most, most))

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.chance.random())

    def happens(self, share: float) -> bool:
        return bool(self.chance.random() < share)

    def pick(self, weights: npt.ArrayLike) -> int:
        p = np.asarray(weights, float)
        return int(self.chance.choice(len(p), p=p / p.sum()))

    def colour(self, codes: Sequence[str], vary: float = 0.06) -> Colour:
        return np.clip(
            rgb(codes[int(self.chance.integers(len(codes)))]) * np.exp(self.chance.normal(0, vary, 3)), 0.002, 0.95
        )

    def along(self, codes: Sequence[str]) -> tuple[Colour, float]:
        """A colour anywhere on a ramp, and where: 0 the first, 1 the last."""
        at = float(self.chance.random())
        low = min(int(at * (len(codes) - 1)), len(codes) - 2)
        share = at * (len(codes) - 1) - low
        return (1 - share) * rgb(codes[low]) + share * rgb(codes[low + 1]), at


def _one(seed: int) -> Who:
    """One person. Two hidden numbers make people of a piece: how masculine the features are, and age."""
    dice = _Dice(seed)
    man = dice.between(0, 1)
    age = dice.between(0, 1) ** 1.3
    skin, tone = dice.along(SKINS)
    skin = skin * np.exp(dice.chance.normal(0, 0.025, 3))
    drawn: dict[str, object] = {}
    drawn |= _head(dice, man) | _eyes(dice, man, age, tone) | _middle(dice, man, age, tone, skin)
    drawn |= _hair(dice, man, age, tone) | _worn(dice, man, tone) | _around(dice)
    drawn["skin"] = skin
    drawn["brow_colour"] = 0.6 * np.asarray(drawn["hair"]) * (1 - 0.3 * np.asarray(drawn["hair_grey"]))
    return Who(**{name: _tensor(value) for name, value in drawn.items()})


def _tensor(value: object) -> Tensor:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return torch.as_tensor(np.asarray(value), dtype=torch.int64 if whole else torch.float32)[None]


def _head(dice: _Dice, man: float) -> dict[str, object]:
    return {
        "head_width": dice.about(1 + 0.02 * (man - 0.5), 0.03),
        "head_height": dice.about(1, 0.022),
        "head_depth": dice.about(1, 0.02),
        "jaw_width": dice.about(0.95 + 0.12 * man, 0.045),
        "jaw_length": dice.about(0.98 + 0.04 * man, 0.025),
        "chin_width": dice.about(0.82 + 0.32 * man, 0.1),
        "chin_forward": dice.about(-0.01 + 0.03 * man, 0.018),
        "cheeks": dice.about(0, 0.5),
        "cheekbones": dice.about(0, 0.5),
    }


def _eyes(dice: _Dice, man: float, age: float, tone: float) -> dict[str, object]:
    light_eyes = (
        [0.1, 0.3, 0.6, 0.8, 0.8, 0.8, 0.8, 0.9, 0.7, 0.6] if tone < 0.45 else [3, 3, 2, 0.6, 0.2, 0.1, 0, 0, 0, 0]
    )
    return {
        "eye_apart": dice.about(0.316, 0.010),
        "eye_height": dice.about(0.0, 0.012),
        "eye_wide": dice.about(0.172 - 0.010 * man, 0.007),
        "eye_open": dice.about(0.090 - 0.016 * man - 0.008 * age, 0.008),
        "eye_tilt": dice.about(0.07 - 0.05 * man, 0.06),
        "lid_fold": float(np.clip(dice.about(0.65, 0.35), 0, 1)),
        "iris_size": dice.about(0.0785, 0.0025),
        "iris": np.clip(rgb(IRISES[dice.pick(light_eyes)]) * np.exp(dice.chance.normal(0, 0.1, 3)), 0.004, 0.6),
        "lashes": float(np.clip(dice.about(0.85 - 0.6 * man, 0.15), 0.1, 1)),
        "bags": float(np.clip(dice.about(0.1 + 0.6 * age, 0.2), 0, 1)),
        "brow_height": dice.about(0.220 - 0.03 * man, 0.012),
        "brow_arch": dice.about(0.045 - 0.03 * man, 0.012),
        "brow_slope": dice.about(0.02, 0.02),
        "brow_thick": dice.about(0.026 + 0.014 * man, 0.006),
        "brow_dense": float(np.clip(dice.about(0.8, 0.12), 0.45, 1)),
    }


def _middle(dice: _Dice, man: float, age: float, tone: float, skin: Colour) -> dict[str, object]:
    made_up = float(np.clip(dice.about(0.75 - 1.2 * man, 0.3), 0, 1))
    rosy = skin * np.array([0.72, 0.385, 0.385]) * (1 - 0.12 * tone)
    natural = rosy + (skin * np.array([0.82, 0.60, 0.56]) - rosy) * 0.55 * man
    stick = dice.colour(("a02838", "b8414f", "8a2034", "c2606a", "9a4a3e", "70283c"))
    return {
        "nose_long": dice.about(1 + 0.04 * man, 0.05),
        "nose_wide": dice.about(0.92 + 0.14 * man + 0.1 * (tone - 0.4), 0.08),
        "nose_out": dice.about(0.95 + 0.08 * man, 0.09),
        "nose_bridge": dice.about(0.5 + 0.1 * man - 0.25 * (tone - 0.3), 0.2),
        "nose_tip": dice.about(0, 0.4),
        "nose_hump": dice.about(0.1 * man, 0.2),
        "mouth_height": dice.about(-0.605, 0.014),
        "mouth_wide": dice.about(0.228 + 0.014 * man, 0.014),
        "lip_upper": dice.about(0.052 - 0.014 * man + 0.016 * tone, 0.007),
        "lip_lower": dice.about(0.072 - 0.014 * man + 0.014 * tone, 0.008),
        "lip_bow": dice.about(0.5, 0.25),
        "lip": natural * (1 - 0.65 * made_up) + stick * 0.65 * made_up,
        "ear_size": dice.about(1 + 0.04 * age, 0.06),
        "ear_out": float(np.clip(dice.about(0.5, 0.3), 0, 1)),
        "blush": dice.between(0.3, 1),
        "freckles": dice.between(0.4, 1) if dice.happens(0.28 if tone < 0.4 else 0.05) else 0.0,
        "wrinkles": float(np.clip(age * 1.15 - 0.1, 0, 1)),
        "shine": dice.between(0.2, 0.8),
        "mole": np.array([dice.between(-0.5, 0.5), dice.between(-0.8, 0.6), float(dice.happens(0.25))]),
        "shadow": dice.colour(SHADOWS),
        "make_up": made_up,
    }


def _hair(dice: _Dice, man: float, age: float, tone: float) -> dict[str, object]:
    #                bald buzz short side quiff curly afro bob long bun wavy
    cuts = np.array([1.0, 1.0, 1.6, 1.6, 1.3, 1.0, 0.4, 0.2, 0.3, 0.2, 0.3]) * man + np.array(
        [0.05, 0.15, 0.5, 0.4, 0.2, 0.9, 0.7, 1.6, 1.9, 1.4, 1.7]
    ) * (1 - man)
    cuts[AFRO] *= 0.2 + 2.2 * tone
    cut = dice.pick(cuts)
    fair = dice.happens(0.75 if tone < 0.4 else 0.08)
    hair = dice.colour(DYED_HAIR) if dice.happens(0.05) else dice.colour(FAIR_HAIR if fair else DARK_HAIR)
    bearded = man > 0.55 and dice.happens(0.45)
    return {
        "cut": cut,
        "hair": hair,
        "hair_grey": float(np.clip((age - 0.55) * 2.2, 0, 1)) * dice.between(0.4, 1),
        "hair_full": dice.between(0.0, 1),
        "hair_long": dice.between(0, 1),
        "hair_wave": dice.between(0, 1),
        "hair_part": (1.0 if dice.happens(0.5) else -1.0) * dice.between(0.3, 1),
        "hairline": dice.about(0.63 + 0.05 * man * age, 0.03),
        "fringe": float(dice.happens(0.35 * (1 - man) + 0.08)),
        "beard": dice.between(0.45, 1) if bearded else 0.0,
        "moustache": dice.between(0.5, 1)
        if (bearded and dice.happens(0.85)) or (man > 0.6 and dice.happens(0.12))
        else 0.0,
        "stubble": dice.between(0.1, 0.8) if man > 0.5 and dice.happens(0.7) else 0.0,
    }


def _worn(dice: _Dice, man: float, tone: float) -> dict[str, object]:
    return {
        "glasses": 1 + dice.pick((1, 1, 0.7)) if dice.happens(0.22) else 0,
        "glasses_colour": dice.colour(("1a1716", "3a2418", "6a4a2a", "8a8f96", "2a3a55", "7a2a2a")),
        "hat": 1 if dice.happens(0.08) else 0,
        "hat_colour": dice.colour(CLOTH),
        "earrings": float(dice.happens(0.45 * (1 - man))),
        "clothes": dice.pick((1.4, 1, 1.2, 0.8, 0.9, 1.1)),
        "cloth": dice.colour(CLOTH),
        "cloth_second": dice.colour(CLOTH),
    }


def _around(dice: _Dice) -> dict[str, object]:
    return {
        "background": dice.pick((2.2, 1.6, 1, 1, 1, 0.8, 0.5)),
        "ground": dice.colour(GROUNDS),
        "ground_second": dice.colour(GROUNDS),
        "light": np.array([dice.about(0, 0.5, 1.4), dice.between(0.3, 0.85)]),
        "warmth": dice.about(0.15, 0.4),
        "soft": dice.between(0.35, 0.75),
        "grain": dice.between(0, 0.4),
        "shift": np.array([dice.between(0, 1), dice.between(0, 1)]),
        "style": dice.pick((4, 2, 1, 2)),
    }
