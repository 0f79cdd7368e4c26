"""The cast's pictures: repeatable, any size, alone or in company, and moved only where something moves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from understudy.cast import how as hows
from understudy.cast import who as people
from understudy.cast.draw import Drawn, draw
from understudy.cast.how import ARKIT_NAMES, How
from understudy.cast.landmarks import NAMES
from understudy.cast.paint import chosen
from understudy.cast.plate import blur
from understudy.cast.soft import beside, boxes, either, spread
from understudy.cast.stage import portrait
from understudy.errors import BadOption

SIZE = 96
SEED = 3  # bald, without glasses, in a turtleneck: nothing hides the face


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def drawn(how: How, seed: int = SEED, style: str = "realistic", size: int = SIZE) -> Drawn:
    with torch.no_grad():
        return draw(people.sample([seed], style).repeated(len(how)), how, size)


def having(**curves: float) -> How:
    return hows.neutral(1).having(**curves)


def opened(d: Drawn, own: str) -> torch.Tensor:
    return (d.landmarks.named(f"{own}_lower_lid_4") - d.landmarks.named(f"{own}_upper_lid_4"))[:, 1]


def changed(how: How) -> torch.Tensor:
    """Where the picture differs from the face at rest, (h, w) bool."""
    pair = drawn(hows.joined([hows.neutral(1), how]))
    return (pair.image[1] - pair.image[0]).abs().amax(0) > 0.02


def test_same_seeds_same_pixels() -> None:
    assert (portrait(5, 8, size=64) == portrait(5, 8, size=64)).all()
    assert (portrait(5, 8, size=64) != portrait(6, 8, size=64)).any()
    assert (portrait(5, 8, size=64) != portrait(5, 9, size=64)).any()


def test_company_changes_nobody() -> None:
    who, how = people.sample([1, 9, 21]), hows.sample([4, 5, 6])
    with torch.no_grad():
        together = draw(who, how, 64).image
        for i in range(3):
            alone = draw(who[[i]], how[[i]], 64).image[0]
            assert (together[i] - alone).abs().mean() < 1e-3


@pytest.mark.parametrize(("height", "width"), [(33, 33), (64, 48), (50, 90)])
def test_any_size(height: int, width: int) -> None:
    with torch.no_grad():
        d = draw(people.sample([2]), hows.sample([2]), height, width)
    assert d.image.shape == (1, 3, height, width)
    assert torch.isfinite(d.image).all() and d.image.min() >= 0 and d.image.max() <= 1


def test_size_changes_only_detail() -> None:
    small, large = drawn(hows.neutral(1), size=64), drawn(hows.neutral(1), size=128)
    shrunk = F.avg_pool2d(large.image, 2)
    assert (shrunk - small.image).abs().mean() < 0.02
    assert (large.landmarks.pixels / 2 - small.landmarks.pixels).abs().max() < 1.0


@pytest.mark.parametrize("style", people.STYLES)
def test_styles_share_the_truth(style: str) -> None:
    how = hows.sample([11])
    plain, other = drawn(how), drawn(how, style=style)
    assert (plain.landmarks.pixels == other.landmarks.pixels).all()
    assert (plain.masks.face == other.masks.face).all()
    if style != "realistic":
        assert (plain.image - other.image).abs().mean() > 0.01


def test_masks_share_out_the_picture() -> None:
    d = drawn(hows.sample([1, 2]), seed=6)
    m = d.masks
    assert torch.allclose(m.face + m.hair + m.body + m.background, torch.ones_like(m.face), atol=1e-4)
    assert (m.eyes <= m.face + 1e-4).all() and (m.mouth <= m.face + 1e-4).all()
    for part in (m.face, m.hair, m.body, m.background, m.mouth):
        assert part.flatten(1).sum(1).min() > 5


def test_landmarks_lie_on_their_features() -> None:
    d = drawn(hows.neutral(1).held(yaw=20), size=160)
    x, y = d.landmarks.named("left_iris")[0].long().tolist()
    assert d.masks.eyes[0, y, x] > 0.9
    x, y = d.landmarks.named("lip_outer_lower_5")[0].long().tolist()
    assert d.masks.mouth[0, y - 3, x] > 0.9 and d.masks.mouth[0, y + 5, x] < 0.1
    assert len(set(NAMES)) == d.landmarks.pixels.shape[1] >= 70


def test_turning_the_head_moves_the_nose_most() -> None:
    d = drawn(hows.joined([hows.neutral(1).held(yaw=y) for y in (-30, 0, 30)]))
    tip, ear = d.landmarks.named("nose_tip")[:, 0], d.landmarks.named("jaw_0")[:, 0]
    assert tip[0] < tip[1] < tip[2]
    assert (tip[2] - tip[0]) > 2 * (ear[2] - ear[0]).abs()
    nod = drawn(hows.joined([hows.neutral(1).held(pitch=p) for p in (-20, 20)])).landmarks.named("nose_tip")[:, 1]
    assert nod[1] < nod[0]  # up is up
    roll = drawn(hows.joined([hows.neutral(1), hows.neutral(1).held(roll=20)])).landmarks.named("forehead_2")[:, 0]
    assert roll[1] > roll[0]  # clockwise


def test_blink_shuts_one_eye_only() -> None:
    d = drawn(hows.joined([hows.neutral(1), having(eyeBlinkLeft=1)]), size=160)
    assert opened(d, "left")[1] < 0.15 * opened(d, "left")[0]
    assert torch.isclose(opened(d, "right")[1], opened(d, "right")[0])
    half = d.masks.eyes.shape[-1] // 2
    assert d.masks.eyes[1, :, half:].sum() < 0.02 * d.masks.eyes[0, :, half:].sum()
    assert torch.allclose(d.masks.eyes[1, :, :half], d.masks.eyes[0, :, :half], atol=0.01)


@pytest.mark.parametrize(
    ("name", "landmark", "axis", "sign"),
    [
        ("jawOpen", "lip_outer_lower_5", 1, 1),
        ("jawOpen", "jaw_8", 1, 1),
        ("mouthSmileLeft", "lip_outer_upper_10", 1, -1),
        ("mouthSmileRight", "lip_outer_upper_0", 1, -1),
        ("mouthFrownLeft", "lip_outer_upper_10", 1, 1),
        ("mouthPucker", "lip_outer_upper_10", 0, -1),
        ("mouthStretchRight", "lip_outer_upper_0", 0, -1),
        ("mouthLeft", "lip_outer_upper_5", 0, 1),
        ("jawRight", "jaw_8", 0, -1),
        ("mouthUpperUpLeft", "lip_inner_upper_7", 1, -1),
        ("mouthLowerDownLeft", "lip_inner_lower_7", 1, 1),
        ("mouthShrugLower", "lip_inner_lower_5", 1, -1),
        ("browInnerUp", "left_brow_top_0", 1, -1),
        ("browOuterUpRight", "right_brow_top_3", 1, -1),
        ("browDownLeft", "left_brow_top_1", 1, 1),
        ("eyeWideRight", "right_upper_lid_4", 1, -1),
        ("eyeSquintRight", "right_lower_lid_4", 1, -1),
        ("eyeLookOutLeft", "left_iris", 0, 1),
        ("eyeLookInLeft", "left_iris", 0, -1),
        ("eyeLookUpRight", "right_iris", 1, -1),
        ("eyeLookDownRight", "right_upper_lid_4", 1, 1),
    ],
)
def test_coefficients_move_landmarks_the_right_way(name: str, landmark: str, axis: int, sign: int) -> None:
    d = drawn(hows.joined([hows.neutral(1), having(**{name: 1})]), size=64)
    step = d.landmarks.named(landmark)[1, axis] - d.landmarks.named(landmark)[0, axis]
    assert float(step) * sign > 0.25


def test_every_coefficient_can_be_seen() -> None:
    hidden = []
    for start in range(0, 52, 13):
        names = ARKIT_NAMES[start : start + 13]
        base = {"mouthClose": having(jawOpen=1)}
        rows = [base.get(n, hows.neutral(1)) for n in names]
        d = drawn(hows.joined([*rows, *(r.having(**{n: 1}) for r, n in zip(rows, names, strict=True))]))
        rest, moved = d.image.chunk(2)
        most = (rest - moved).abs().amax((1, 2, 3))
        hidden += [n for n, m in zip(names, most.tolist(), strict=True) if m < 0.06]
    assert not hidden


def test_upper_face_leaves_the_mouth_alone() -> None:
    where = changed(having(browInnerUp=1, eyeBlinkRight=1, eyeWideLeft=1))
    assert where[: SIZE // 2].any()
    assert not where[int(SIZE * 0.62) :].any()


def test_mouth_leaves_the_brows_alone() -> None:
    where = changed(having(mouthPucker=1, tongueOut=1))
    assert where[SIZE // 2 :].any()
    assert not where[: int(SIZE * 0.40)].any()


def test_teeth_stay_inside_the_mouth() -> None:
    d = drawn(
        hows.joined([hows.neutral(1), having(jawOpen=1, mouthUpperUpLeft=1, mouthUpperUpRight=1)]), seed=1, size=160
    )
    lips = d.landmarks.pixels[
        1, [NAMES.index(f"lip_{edge}_{i}") for edge in ("outer_upper", "outer_lower") for i in range(11)]
    ]
    left, top = (lips.amin(0) - 6).long().tolist()
    right, bottom = (lips.amax(0) + 6).long().tolist()
    bright, dull = d.image[1].amax(0), d.image[1].amin(0)
    white = (bright > 0.55) & (dull > 0.80 * bright)
    near = torch.zeros_like(white)
    near[top:bottom, left:right] = True
    white &= near & (d.masks.face[1] > 0.98)
    around = F.max_pool2d(d.masks.mouth[1:2, None], 3, 1, 1)[0, 0] > 0.05
    assert white.sum() > 5
    assert (white & ~around).sum() == 0


@pytest.mark.parametrize(("style", "most"), [("realistic", 1.6), ("cartoon", 2.2), ("pencil", 2.4), ("paint", 1.4)])
def test_nothing_glitters(style: str, most: float) -> None:
    """Detail of the size of pixels is noise to whoever must reproduce these pictures: an afro, a buzz cut, a bob."""
    with torch.no_grad():
        image = draw(people.sample([2012, 2005, 2009], style), hows.sample([2012, 2005, 2009]), 256).image
    assert ((image - blur(image, 0.8)).abs().mean((1, 2, 3)) * 255 < most).all()


def test_chosen_places_come_back_where_they_were() -> None:
    picture = torch.arange(24.0).reshape(2, 1, 3, 4)
    where = torch.zeros(2, 3, 4, dtype=torch.bool)
    where[0, 1, 2] = where[0, 2, 3] = where[1, 0, 0] = True
    at = chosen(where)
    assert at.cut(picture).flatten(1).tolist() == [[6, 11], [12, 12]]
    assert at.own.flatten(1).tolist() == [[True, True], [True, False]]
    before, layers = picture.clone(), [picture.clone(), picture.clone()]
    assert torch.equal(at.paste(picture, -at.cut(picture)) != before, where[:, None])
    both = at.paste_each(layers, -at.cut_each(layers))
    assert torch.equal(torch.cat(both, 1), picture.expand(-1, 2, -1, -1)) and torch.equal(layers[0], picture)
    assert chosen(torch.zeros_like(where)).own.sum() == 0


def test_what_is_faster_is_the_same() -> None:
    dice = torch.Generator().manual_seed(3)
    a, b = (torch.randn(2, 9, 14, generator=dice) * 1e3 for _ in range(2))
    assert torch.equal(either(a > b, a, b), torch.where(a > b, a, b))
    assert torch.equal(either(a > b, 0.5, b), torch.where(a > b, 0.5, b))
    assert torch.equal(beside(a, b), torch.stack([a, b], -1))
    assert torch.equal(spread(a), F.max_pool2d(a[:, None], 3, 1, 1)[:, 0])
    squares = torch.rand(2, 3, 8, 11, generator=dice)
    assert torch.allclose(boxes(squares, 3), F.avg_pool2d(squares, 3, 1), atol=1e-6)


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(BadOption, match="realistic"):
        people.sample([1], "baroque")
    with pytest.raises(BadOption, match="jawOpen"):
        having(smirk=1)
    with pytest.raises(BadOption, match="at least 16"):
        draw(people.sample([1]), hows.neutral(1), 8)
    with pytest.raises(BadOption, match="repeated"):
        draw(people.sample([1]), hows.neutral(2), 32)
