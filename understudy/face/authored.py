"""The authored shapes: where every point of a face goes when one of ARKit's coefficients is 1.

Each shape is authored once, for the person's right side or for both, as a few *handles* (points with a displacement
that is measured on the face at hand: its own lid gap, mouth, brow height, chin), spread over the skin by a field that
dies out at a given reach. The left is the mirror image of the right. So nothing here is a table of one face:
`author(shape)` gives the shapes of any face, whose `eyeBlink` of 1 closes exactly its own lids.

Sources: Apple's descriptions of the coefficients; angles of gaze measured on Live Link Face recordings (`eyeLookIn` of
1 is 0.60 rad, `eyeLookDown` of 1 is 0.55 rad); an eyeball of 12 mm radius behind a lid opening of 29 mm, a lateral
excursion of the jaw of 9 mm, an opening of 40 mm between the lips (textbook anatomy).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.face.arkit import CARRIED, LOWER_LIP, UPPER_LIP
from understudy.face.mesh import CHIN, POINTS, RIGHT_EYE, RIGHT_IRIS, RIGHT_LOWER, RIGHT_UPPER, Floats, canonical
from understudy.face.skin import spread

# fmt: off
# Skin around the right eye, column by column as the lids without their corners: the crease and the skin above the
# upper lid, the skin below the lower one.
_CREASE = (247, 30, 29, 27, 28, 56, 190)
_ABOVE = (113, 225, 224, 223, 222, 221, 189)
_BELOW = (25, 110, 24, 23, 22, 26, 112)
_BAG = (31, 228, 229, 230, 231, 232, 233)
CHIN_SKIN: Final = (18, 83, 313, 182, 406, 200, 201, 421, 194, 418, 199, 208, 428, 175, 171, 396, 152, 148,
                    377, 176, 400, 149, 378, 150, 379, 136, 365, 172, 397, 32, 262, 140, 369, 170, 395, 211, 431, 169,
                    394)
# fmt: on
_NOSE_BASE, _EARS = 2, (234, 454)
_GAZE_ACROSS, _GAZE_DOWN = 0.60, 0.55  # radians at 1
_EYEBALL = 0.42  # radius, of the width of the lid opening
_MEET = 0.8  # where closing lids meet: of the way from the upper to the lower

Vector = npt.NDArray[np.float64]
Moves = dict[int, Vector]


def author(shape: Floats) -> Floats:
    """The authored shapes `(k, 478, 3)` of the face `shape (478, 3)` at rest, both in eye units; k as in `CARRIED`."""
    mirror = canonical().mirror
    own = np.asarray(shape, np.float64)
    other = own[mirror] * (-1.0, 1.0, 1.0)
    right, left = _sided(own), _sided(other)
    both, swapped = _both(own), _both(other)
    found: dict[str, Vector] = {}
    for name, move in right.items():
        found[f"{name}Right"] = move
        found[f"{name}Left"] = left[name][mirror] * (-1.0, 1.0, 1.0)
    for name, move in both.items():
        found[name] = (move + swapped[name][mirror] * (-1.0, 1.0, 1.0)) / 2
    return np.stack([found[name] for name in CARRIED]).astype(np.float32)


def around_lids() -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Columns of both eyes that close: (upper lid, crease above it), (lower lid, skin below it)."""
    columns = zip(RIGHT_UPPER[1:-1], _CREASE, RIGHT_LOWER[1:-1], _BELOW, strict=True)
    right = [((a, b), (c, d)) for a, b, c, d in columns]
    mirror = [int(point) for point in canonical().mirror]
    return (*right, *(((mirror[a], mirror[b]), (mirror[c], mirror[d])) for (a, b), (c, d) in right))


# --- measures -------------------------------------------------------------------------------------------------------


def _axes(from_point: Vector, to_point: Vector) -> tuple[Vector, Vector, Vector]:
    """Unit vectors along a feature (in the picture plane), down from it, and away from the camera."""
    along = to_point - from_point
    along = along * (1.0, 1.0, 0.0)
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0], 0.0]) * (1.0 if along[0] > 0 else -1.0)
    return along, down, np.array([0.0, 0.0, 1.0])


def _length(shape: Vector, a: int, b: int) -> float:
    return float(np.linalg.norm(shape[a] - shape[b]))


def _rows(moves: Moves, points: Sequence[int], vectors: Vector, share: float = 1.0) -> None:
    for point, vector in zip(points, vectors, strict=True):
        moves[point] = moves.get(point, np.zeros(3)) + share * vector


def _put(moves: Moves, vector: Vector, shares: Mapping[int, float]) -> None:
    for point, share in shares.items():
        moves[point] = moves.get(point, np.zeros(3)) + share * vector


# --- one side -------------------------------------------------------------------------------------------------------


def _sided(shape: Vector) -> dict[str, Vector]:
    return {**_eye(shape), **_brow(shape), **_corner(shape), **_half_lips(shape), **_sideways(shape)}


def _eye(shape: Vector) -> dict[str, Vector]:
    """Lids that meet, lids that follow the gaze, an iris that turns on its eyeball."""
    upper, lower = RIGHT_UPPER[1:-1], RIGHT_LOWER[1:-1]
    gap = shape[list(lower)] - shape[list(upper)]  # (7, 3) from upper to lower lid
    corners = (RIGHT_EYE.outer, RIGHT_EYE.inner)
    middle = np.mean(gap[2:5], axis=0)
    width = _length(shape, *corners)
    out, down, _ = _axes(shape[RIGHT_EYE.inner], shape[RIGHT_EYE.outer])
    rise = np.hanning(9)[1:-1, None] * middle  # the same at the middle of the lids, less towards the corners

    def lids(top: float, bottom: float, bag: float = 0.3, *, even: bool = False) -> Vector:
        """Shares of the lid gap by which the upper lid goes down and the lower lid goes down."""
        step, moves = (gap if not even else rise), Moves()
        _rows(moves, upper, step, top)
        _rows(moves, _CREASE, step, 0.55 * top)
        _rows(moves, _ABOVE, step, 0.1 * top)
        _rows(moves, lower, step, bottom)
        _rows(moves, _BELOW, step, 0.75 * bottom)
        _rows(moves, _BAG, step, bag * bottom)
        return spread(moves, 0.12, hold=corners)

    def gaze(towards: Vector, angle: float) -> Vector:
        radius, moved = _EYEBALL * width, np.zeros((POINTS, 3))
        iris = shape[list(RIGHT_IRIS)]
        front = iris - iris[0] + (0.0, 0.0, -radius)  # from the middle of the eyeball
        along = front @ towards
        moved[list(RIGHT_IRIS)] = np.outer(along * (np.cos(angle) - 1) - front[:, 2] * np.sin(angle), towards)
        moved[list(RIGHT_IRIS), 2] += front[:, 2] * (np.cos(angle) - 1) + along * np.sin(angle)
        return moved

    return {
        "eyeBlink": lids(_MEET, _MEET - 1),
        "eyeSquint": lids(0.14, -0.4, 0.55),
        "eyeWide": lids(-0.4, 0.08, even=True),
        "eyeLookDown": gaze(down, _GAZE_DOWN) + lids(0.45, 0.15, even=True),
        "eyeLookUp": gaze(-down, _GAZE_DOWN) + lids(-0.22, -0.12, even=True),
        "eyeLookIn": gaze(-out, _GAZE_ACROSS),
        "eyeLookOut": gaze(out, _GAZE_ACROSS),
    }


def _brow(shape: Vector) -> dict[str, Vector]:
    """The outer brow up; the whole brow down and together."""
    out, down, _ = _axes(shape[RIGHT_EYE.inner], shape[RIGHT_EYE.outer])
    height = _brow_height(shape)
    raised, lowered = Moves(), Moves()
    _put(raised, -0.38 * height * down, {46: 0.8, 70: 0.85, 53: 1, 63: 1, 52: 0.8, 105: 0.85, 65: 0.3, 66: 0.35})
    _put(raised, -0.38 * height * down, {224: 0.3, 225: 0.35, 223: 0.25, 113: 0.2, 71: 0.5, 68: 0.6, 104: 0.55})
    frown = 0.30 * height * down - 0.10 * height * out
    _put(lowered, frown, {55: 1, 107: 1, 65: 0.95, 66: 0.95, 52: 0.75, 105: 0.75, 53: 0.5, 63: 0.5, 46: 0.3, 70: 0.3})
    _put(lowered, frown, {221: 0.6, 222: 0.55, 223: 0.4, 224: 0.25, 189: 0.35, 108: 0.35, 69: 0.25})
    return {
        "browOuterUp": spread(raised, 0.28, hold=(*RIGHT_UPPER, 9)),
        "browDown": spread(lowered, 0.22, hold=(*RIGHT_UPPER, 168)),
    }


def _brow_height(shape: Vector) -> float:
    """From the upper lid's crease to the brow, doubled: what a brow can travel grows with it, within reason."""
    return float(np.clip(np.mean([_length(shape, a, b) for a, b in ((105, 159), (66, 158), (63, 160))]), 0.15, 0.35))


def _corner(shape: Vector) -> dict[str, Vector]:
    """What pulls at a corner of the mouth, and what lifts the cheek and the wing of the nose."""
    inwards, down, away = _axes(shape[61], shape[291])
    half = _length(shape, 61, 291) / 2
    smile, frown, stretch, squint, sneer = Moves(), Moves(), Moves(), Moves(), Moves()
    # the corner leads, the columns behind it follow along a curve that flattens towards the middle
    fade = np.array([1, 0.86, 0.64, 0.4, 0.18, 0.05])
    for rows in (UPPER_LIP, LOWER_LIP):
        lag = 1.0 if rows is UPPER_LIP else 0.92
        for row in rows:
            for column, share in enumerate(fade):
                lift = lag * share**1.3
                smile[row[column]] = half * (-0.33 * share * inwards - 0.36 * lift * down + 0.16 * share * away)
                frown[row[column]] = half * (-0.06 * share * inwards + 0.36 * share**1.2 * down)
                stretch[row[column]] = half * (-0.36 * share * inwards + 0.10 * share * down + 0.14 * share * away)
    up_out = half * (-0.24 * inwards - 0.30 * down + 0.14 * away)
    _put(smile, up_out, {186: 0.95, 216: 0.85, 212: 0.9, 92: 0.6, 206: 0.5, 207: 0.7, 205: 0.55})
    _put(smile, up_out, {50: 0.42, 36: 0.3, 187: 0.5, 202: 0.5, 214: 0.4, 101: 0.2, 118: 0.18, 117: 0.15, 165: 0.3})
    _put(smile, half * (-0.1 * inwards - 0.06 * down), {129: 1, 102: 1, 64: 0.9, 98: 0.8, 49: 0.8, 203: 1.6, 142: 0.9})
    _put(frown, half * 0.30 * down, {186: 0.65, 202: 0.85, 212: 0.7, 204: 0.5, 106: 0.5, 210: 0.4})
    _put(stretch, half * (-0.3 * inwards + 0.1 * down + 0.1 * away), {186: 0.8, 202: 0.7, 212: 0.75, 216: 0.5})
    for moves in (smile, frown, stretch):  # the skin beside the corner goes with it
        _put(moves, moves[61], {57: 0.86, 43: 0.7})
    up = -half * down
    _put(squint, up, {50: 0.2, 101: 0.19, 118: 0.17, 117: 0.16, 119: 0.15, 36: 0.14, 205: 0.13, 123: 0.1, 100: 0.12})
    _put(squint, up, {228: 0.1, 229: 0.1, 230: 0.1, 231: 0.08, 31: 0.08, 24: 0.05, 23: 0.05, 22: 0.05, 111: 0.1})
    _put(sneer, up, {129: 0.15, 102: 0.15, 49: 0.13, 48: 0.13, 64: 0.14, 98: 0.12, 131: 0.11, 115: 0.1, 240: 0.1})
    _put(sneer, up, {203: 0.15, 206: 0.12, 142: 0.12, 36: 0.1, 165: 0.13, 92: 0.11, 209: 0.1, 126: 0.09, 97: 0.07})
    _put(sneer, up, {39: 0.1, 40: 0.09, 37: 0.06, 73: 0.08, 74: 0.07, 72: 0.05, 198: 0.06, 217: 0.06, 188: 0.04})
    below_eye = (*RIGHT_LOWER, *_BELOW)
    return {
        "mouthSmile": spread(smile, 0.34, hold=(*below_eye, 1, 2, 152)),
        "mouthFrown": spread(frown, 0.26, hold=(2, 98)),
        "mouthStretch": spread(stretch, 0.28, hold=(2, 98)),
        "cheekSquint": spread(squint, 0.2, hold=RIGHT_LOWER),
        "noseSneer": spread(sneer, 0.16, hold=(*below_eye, 1, 4, 61)),
    }


def _half_lips(shape: Vector) -> dict[str, Vector]:
    """Half of the upper lip up, half of the lower lip down: the lips part."""
    inwards, down, away = _axes(shape[61], shape[291])
    half = _length(shape, 61, 291) / 2
    lifted, lowered = Moves(), Moves()
    profile = np.array([0.0, 0.42, 0.82, 1.0, 0.85, 0.5, 0.15])  # the other side takes over beyond the middle
    for depth, (upper, lower) in enumerate(zip(UPPER_LIP, LOWER_LIP, strict=True)):
        lead = 1 - 0.06 * (3 - depth)  # the edges that part lead
        for column, share in enumerate(profile):
            if column == 0:
                continue
            lifted[upper[column]] = half * lead * share * (-0.34 * down + 0.05 * away)
            lowered[lower[column]] = half * lead * share * (0.36 * down - 0.04 * inwards + 0.05 * away)
    up = -half * down
    _put(lifted, up, {92: 0.22, 165: 0.25, 167: 0.2, 164: 0.11, 206: 0.16, 203: 0.13, 98: 0.07, 216: 0.12, 186: 0.15})
    _put(lowered, -up, {106: 0.26, 182: 0.24, 83: 0.24, 18: 0.16, 43: 0.14, 204: 0.12, 194: 0.1, 201: 0.08})
    corners = tuple(row[0] for row in UPPER_LIP)
    return {
        "mouthUpperUp": spread(lifted, 0.2, hold=(*corners, *_interior(LOWER_LIP), 1, 2)),
        "mouthLowerDown": spread(lowered, 0.2, hold=(*corners, *_interior(UPPER_LIP), CHIN)),
    }


def _interior(rows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """Points of a lip without the corners."""
    return tuple(point for row in rows for point in row[1:-1])


def _sideways(shape: Vector) -> dict[str, Vector]:
    """Jaw and mouth towards the person's right."""
    inwards, _, _ = _axes(shape[61], shape[291])
    half, face = _length(shape, 61, 291) / 2, _length(shape, _NOSE_BASE, CHIN)
    jaw = _jaw_share() * (-0.13 * face * inwards)
    mouth = Moves()
    for rows in (UPPER_LIP, LOWER_LIP):
        _put(mouth, -half * 0.36 * inwards, dict.fromkeys({point for row in rows for point in row[1:-1]}, 1.0))
        _put(mouth, -half * 0.16 * inwards, dict.fromkeys({row[end] for row in rows for end in (0, -1)}, 1.0))
    _put(mouth, -half * 0.3 * inwards, {164: 0.5, 18: 0.55, 57: 0.96, 287: 0.96, 43: 0.9, 273: 0.9, 92: 0.5, 322: 0.5})
    return {"jaw": jaw, "mouth": spread(mouth, 0.3, hold=(2, 98, 327, CHIN))}


# --- both sides -----------------------------------------------------------------------------------------------------


def _both(shape: Vector) -> dict[str, Vector]:
    opened = _jaw_open(shape)
    return {
        "jawOpen": opened,
        "mouthClose": _close(shape, opened),
        **_round(shape),
        **_roll(shape),
        **_shrug(shape),
        "browInnerUp": _inner_brows(shape),
    }


def _jaw_share() -> Vector:
    """(478, 1): how much of the jaw's motion each point has: 1 on the lower lip, less on the skin that slides over the
    chin, 0 above the mouth."""
    moves = Moves()
    one = np.array([1.0, 0.0, 0.0])
    _put(moves, one, dict.fromkeys(CHIN_SKIN, 0.72))
    _put(moves, one, {18: 0.24, 83: 0.23, 313: 0.23, 182: 0.21, 406: 0.21, 200: 0.12, 201: 0.12, 421: 0.12})
    _put(moves, one, {194: 0.12, 418: 0.12, 199: 0.04, 208: 0.03, 428: 0.03})
    _put(moves, one, dict.fromkeys(_interior(LOWER_LIP), 1.0))
    for row in LOWER_LIP:
        _put(moves, one, {row[0]: 0.4, row[-1]: 0.4, row[1]: -0.32, row[-2]: -0.32, row[2]: -0.12, row[-3]: -0.12})
        _put(moves, one, {row[3]: -0.03, row[-4]: -0.03})
    _put(moves, one, {57: 0.42, 287: 0.42, 43: 0.65, 273: 0.65, 106: 0.86, 335: 0.86, 204: 0.76, 424: 0.76})
    _put(moves, one, {58: 0.6, 288: 0.6, 215: 0.5, 435: 0.5, 132: 0.25, 361: 0.25, 138: 0.75, 367: 0.75})
    for row in UPPER_LIP:
        _put(moves, one, {row[1]: 0.24, row[-2]: 0.24, row[2]: 0.1, row[-3]: 0.1, row[3]: 0.03, row[-4]: 0.03})
        _put(moves, one, dict.fromkeys(row[4:-4], 0.0))
    share: Vector = spread(moves, 0.3, hold=(_NOSE_BASE, *_EARS)).max(axis=1, keepdims=True)
    return share


def _jaw_open(shape: Vector) -> Vector:
    """The lower face turns about a hinge in front of the ears, which glides forwards as a jaw's does."""
    ears = np.mean(shape[list(_EARS)], axis=0)
    hinge = ears + 0.35 * (shape[172] / 2 + shape[397] / 2 - ears) * (0.0, 1.0, 0.0)
    drop = 0.55 * _length(shape, _NOSE_BASE, CHIN)
    lip = shape[14] - hinge
    arm = max(float(np.hypot(lip[1], lip[2])), drop, 1e-6)
    angle = np.arcsin(min(0.9 * drop / arm, 0.6))
    around = (shape - hinge) * (0.0, 1.0, 1.0)
    turned = np.zeros_like(shape)
    turned[:, 1] = around[:, 1] * (np.cos(angle) - 1) - around[:, 2] * np.sin(angle)
    turned[:, 2] = around[:, 2] * (np.cos(angle) - 1) + around[:, 1] * np.sin(angle)
    turned *= 0.9 * drop / max(turned[14, 1], 1e-3)
    # the joint glides down and forwards, so that the chin recedes far less than by turning alone; and skin slides over
    # the front of the bone, so that the hollow under the lip does not turn away
    front = np.clip(1.6 * (shape[:, 2] - hinge[2]) / min(lip[2], -1e-3) - 0.6, 0.0, 1.0)
    turned[:, 1] += 0.75 * front * (turned[14, 1] - turned[:, 1])
    turned = (turned - turned[14] * (0.0, 0.0, 1.0)) * (1.0, 1.0, 0.4) + drop * np.array([0.0, 0.1, 0.12])
    moved: Vector = _jaw_share() * turned
    across, _, _ = _axes(shape[61], shape[291])
    narrow = Moves()
    for row in LOWER_LIP:
        for column, share in enumerate((1.0, 0.8, 0.5, 0.25, 0.1)):
            _put(narrow, 0.1 * drop * across, {row[column]: share, row[-1 - column]: -share})
    return moved + spread(narrow, 0.2, hold=(_NOSE_BASE, CHIN))


def _close(shape: Vector, opened: Vector) -> Vector:
    """Brings the lips together again over a jaw that is open: with `jawOpen` at 1 it closes them exactly."""
    moves = Moves()
    upper, lower = list(UPPER_LIP[3][1:-1]), list(LOWER_LIP[3][1:-1])
    gap = (shape + opened)[lower] - (shape + opened)[upper]
    for row, share in enumerate((0.72, 0.85, 0.95, 1.0)):
        _rows(moves, UPPER_LIP[row][1:-1], gap, 0.3 * share)
        _rows(moves, LOWER_LIP[row][1:-1], gap, -0.7 * share)
    middle = gap[4]
    _put(moves, middle, {164: 0.12, 167: 0.1, 393: 0.1, 18: -0.33, 83: -0.3, 313: -0.3, 182: -0.25, 406: -0.25})
    corners = (row[end] for row in UPPER_LIP for end in (0, -1))
    return spread(moves, 0.16, hold=(*corners, _NOSE_BASE, CHIN, 199))


def _round(shape: Vector) -> dict[str, Vector]:
    """Funnel: the lips make an open O and come forwards. Pucker: they come forwards closed, as for a kiss."""
    across, down, away = _axes(shape[61], shape[291])
    centre = np.mean(shape[[61, 291]], axis=0)
    half = _length(shape, 61, 291) / 2
    funnel, pucker = Moves(), Moves()
    for rows, side in ((UPPER_LIP, -1.0), (LOWER_LIP, 1.0)):
        for depth, row in enumerate(rows):
            for column, point in enumerate(row):
                sideways = float((shape[point] - centre) @ across)
                bow = np.sin(np.pi * column / 10)
                lips = half * bow * side * down
                funnel[point] = -0.28 * sideways * across + (0.24 - 0.01 * depth) * lips - 0.26 * half * bow * away
                pucker[point] = -0.46 * sideways * across + (0.09, 0.06, 0.03, 0.0)[depth] * lips
                pucker[point] = pucker[point] - half * (0.12 + 0.2 * bow) * away
    beside = {57: 0.92, 43: 0.8, 186: 0.8, 92: 0.55, 106: 0.5, 212: 0.7, 202: 0.58, 216: 0.55, 207: 0.28, 214: 0.3}
    for moves, narrow, rise in ((funnel, 0.3, 0.14), (pucker, 0.4, 0.06)):
        for point, share in beside.items():
            _put(moves, narrow * half * across, {point: share, int(canonical().mirror[point]): -share})
        _put(moves, rise * half * down, {164: -0.6, 167: -0.6, 393: -0.6, 18: 0.6, 83: 0.55, 313: 0.55})
        _put(moves, -0.12 * half * away, {164: 0.8, 18: 0.8, 83: 0.7, 313: 0.7, 167: 0.7, 393: 0.7})
    hold = (_NOSE_BASE, 98, 327, CHIN)
    return {"mouthFunnel": spread(funnel, 0.3, hold=hold), "mouthPucker": spread(pucker, 0.34, hold=hold)}


def _roll(shape: Vector) -> dict[str, Vector]:
    """A lip is drawn in over the teeth: its red narrows onto the line where the lips meet, the skin follows."""

    def rolled(rows: Sequence[Sequence[int]], skin: Mapping[int, float], hold: Sequence[int]) -> Vector:
        moves = Moves()
        inner = shape[list(rows[3])]
        for depth, row in enumerate(rows[:3]):
            away = np.array([0.0, 0.0, 0.35])
            towards = inner - shape[list(row)]
            for column, point in enumerate(row[1:-1], 1):
                size = float(np.linalg.norm(towards[column] * (1, 1, 0)))
                moves[point] = 0.8 * towards[column] * (0.4, 1.0, 0.0) + away * size * (1 - 0.2 * depth)
        for column, point in enumerate(rows[3][1:-1], 1):
            moves[point] = np.array([0.0, 0.0, 0.25]) * float(np.linalg.norm(shape[rows[0][column]] - inner[column]))
        _put(moves, moves[rows[0][5]], skin)
        return spread(moves, 0.16, hold=hold)

    corners = tuple(row[end] for row in UPPER_LIP for end in (0, -1))
    chin = {18: 0.5, 83: 0.48, 313: 0.48, 182: 0.35, 406: 0.35, 106: 0.25, 335: 0.25}
    philtrum = {164: 0.45, 167: 0.42, 393: 0.42, 165: 0.28, 391: 0.28, 92: 0.18, 322: 0.18}
    return {
        "mouthRollLower": rolled(LOWER_LIP, chin, (*corners, *_interior(UPPER_LIP), 199)),
        "mouthRollUpper": rolled(UPPER_LIP, philtrum, (*corners, *_interior(LOWER_LIP), _NOSE_BASE)),
    }


def _shrug(shape: Vector) -> dict[str, Vector]:
    """Lower: the chin pushes the lower lip up and out. Upper: both lips are pushed up, the upper one bulges."""
    _, down, away = _axes(shape[61], shape[291])
    half = _length(shape, 61, 291) / 2
    up, out = -half * down, -half * away
    lower, upper = Moves(), Moves()
    for depth in range(4):
        for column in range(1, 10):
            bow = float(np.sin(np.pi * column / 10))
            _put(lower, bow * ((0.24, 0.2, 0.14, 0.08)[depth] * up + 0.16 * out), {LOWER_LIP[depth][column]: 1})
            _put(lower, bow * 0.08 * up, {UPPER_LIP[depth][column]: (0.5, 0.7, 0.9, 1)[depth]})
            _put(upper, bow * ((0.2, 0.19, 0.18, 0.17)[depth] * up + 0.12 * out), {UPPER_LIP[depth][column]: 1})
            _put(upper, bow * 0.17 * up, {LOWER_LIP[depth][column]: (0.7, 0.8, 0.9, 1)[depth]})
    _put(lower, up, {18: 0.24, 83: 0.23, 313: 0.23, 200: 0.2, 201: 0.19, 421: 0.19, 199: 0.14, 175: 0.08, 182: 0.18})
    _put(lower, up, {406: 0.18, 208: 0.12, 428: 0.12, 194: 0.12, 418: 0.12})
    _put(upper, up, {164: 0.12, 167: 0.12, 393: 0.12, 165: 0.08, 391: 0.08, 18: 0.06, 83: 0.06, 313: 0.06})
    corners = tuple(row[end] for row in UPPER_LIP for end in (0, -1))
    return {
        "mouthShrugLower": spread(lower, 0.18, hold=(*corners, _NOSE_BASE)),
        "mouthShrugUpper": spread(upper, 0.18, hold=(*corners, _NOSE_BASE, 199)),
    }


def _inner_brows(shape: Vector) -> Vector:
    """Both brows rise at their inner ends."""
    mirror, moves = canonical().mirror, Moves()
    swapped = shape[mirror] * (-1.0, 1.0, 1.0)
    for side, sign in ((shape, 1.0), (swapped, -1.0)):
        _, down, _ = _axes(side[RIGHT_EYE.inner], side[RIGHT_EYE.outer])
        rise = -0.42 * _brow_height(side) * down
        shares = {55: 0.85, 107: 1, 65: 0.72, 66: 0.85, 52: 0.3, 105: 0.38, 221: 0.4, 222: 0.25, 189: 0.2, 108: 0.7}
        for point, share in shares.items():
            moves[point if sign > 0 else int(mirror[point])] = share * rise * (sign, 1.0, 1.0)
    _put(moves, -0.42 * _brow_height(shape) * np.array([0.0, 1.0, 0.0]), {9: 0.7, 8: 0.4, 151: 0.6})
    hold = (*RIGHT_UPPER, *(int(mirror[point]) for point in RIGHT_UPPER), 168)
    return spread(moves, 0.28, hold=hold)
