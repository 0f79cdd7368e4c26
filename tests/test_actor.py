"""The actor's net and its performances, at a toy width with weights of chance: what is promised of any weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from understudy import models
from understudy.cast.how import INDEX
from understudy.diffusion.forcing import as_used, fused_weights
from understudy.diffusion.noise import Cosine
from understudy.errors import BadOption
from understudy.motion.actor import WISHES, Actor, ActorConfig, rotations, visible
from understudy.motion.likeness import LIPS, places
from understudy.motion.perform import Score, Tempo, perform, performances, whole
from understudy.motion.space import PLAYED, how_of, rows_of
from understudy.motion.speech import WIDTH, silence
from understudy.motion.steadied import gaze, looking, steadied
from understudy.motion.wishes import Wishes, course

TOY = ActorConfig(
    motion=PLAYED, sound=WIDTH, bands=40, ear=4, width=16, depth=3, heads=2, chunk=4, context=8, listens=2,
    schedule=Cosine(),
)  # fmt: skip
TEMPO = Tempo(steps=6, lag=3, stabilise=0.05, guidance=1.7)
START = torch.linspace(-1, 1, PLAYED)


def by_chance(config: ActorConfig = TOY) -> Actor:
    """An actor in which nothing is silent."""
    torch.manual_seed(0)
    net = Actor(config)
    for value in net.parameters():
        value.data += 0.15 * torch.randn_like(value)
    return net.eval()


NET = by_chance()
SOUND = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)


def acted(sound: np.ndarray = SOUND, tempo: Tempo = TEMPO, block: int = 25, **more: Any) -> torch.Tensor:
    blocks = [sound[k : k + block] for k in range(0, len(sound), block)]
    return whole(perform(NET, blocks, tempo, **{"seed": 1, "start": START, **more}))


def test_as_many_frames_as_there_is_sound_whatever_its_blocks() -> None:
    once = acted()
    assert once.shape == (50, PLAYED) and float(once.std()) > 0.1
    assert torch.equal(acted(block=3), once) and torch.equal(acted(block=50), once)
    assert list(perform(NET, [], TEMPO)) == [] and len(acted(SOUND[:1])) == 1


def test_a_short_performance_is_the_beginning_of_a_long_one() -> None:
    """But for its last chunk, which hears that it is the last."""
    assert torch.equal(acted(SOUND[:31])[:28], acted()[:28])


def test_what_comes_later_does_not_change_the_past() -> None:
    changed = SOUND.copy()
    changed[34:] += 3
    one, other = acted(), acted(changed)
    assert torch.equal(one[:32], other[:32]) and not torch.allclose(one[32:36], other[32:36])


@pytest.mark.parametrize("lag", [1, 3, 6])
def test_remembered_is_gone_through_again(lag: int) -> None:
    tempo = replace(TEMPO, lag=lag)
    one, other = acted(tempo=tempo), acted(tempo=replace(tempo, cached=False))
    assert torch.allclose(one, other, atol=1e-5 * float(one.abs().max()))


def test_seeds_starts_and_wishes_matter_and_the_same_are_the_same() -> None:
    one = acted()
    assert torch.equal(one, acted())
    more = ({"seed": 2}, {"start": -START}, {"wishes": Wishes(mood="happy")}, {"tempo": replace(TEMPO, guidance=1.0)})
    for other in (acted(**changes) for changes in more):
        assert not torch.allclose(one, other, atol=1e-3)


def test_lips_may_be_guided_less_than_all_else() -> None:
    """With one step a guess is what is shown, and the first chunk has no past."""
    tempo = Tempo(steps=1, lag=1, stabilise=0.0, guidance=3.0)
    heard, sure, both = (
        acted(tempo=t)[: TOY.chunk] for t in (replace(tempo, guidance=1.0), tempo, replace(tempo, lips=1.0))
    )
    lips = torch.zeros(PLAYED, dtype=torch.bool)
    lips[places(LIPS)] = True
    assert not torch.allclose(heard, sure, atol=1e-3)
    assert torch.allclose(both[:, lips], heard[:, lips], atol=1e-5) and torch.allclose(
        both[:, ~lips], sure[:, ~lips], atol=1e-5
    )
    assert bool(lips[[INDEX["jawOpen"], INDEX["mouthStretchRight"]]].all()) and not lips[INDEX["browInnerUp"]]
    with pytest.raises(BadOption):
        replace(tempo, lips=-1.0)


def test_several_seeds_at_once_are_each_by_itself() -> None:
    both = torch.cat(list(performances(NET, [SOUND], TEMPO, seeds=(1, 7), start=START)))
    assert both.shape == (50, 2, PLAYED)
    for number, seed in enumerate((1, 7)):
        assert torch.allclose(both[:, number], acted(seed=seed), atol=1e-4 * float(both.abs().max()))


def test_a_mood_that_changes_is_told_from_its_moment_on() -> None:
    wishes = Wishes(mood=course("0 happy, 1.2 sad"))
    told = wishes.rows(range(50))[:, :5]
    assert told[:20].argmax(1).eq(1).all() and told[45:].argmax(1).eq(2).all()
    assert torch.allclose(told.sum(1), torch.ones(50)) and torch.diff(told, dim=0).abs().max() < 0.2
    assert torch.equal(wishes.rows(range(10, 30)), wishes.rows(range(50))[10:30])
    until = Wishes(mood=course("1 angry, 1.4s voice")).rows(range(50))[:, :5]
    assert not until[:18].any() and until[20:28, 3].eq(1).all() and not until[30:].any()
    assert torch.equal(Wishes(mood=course("sad")).rows(range(9)), Wishes(mood="sad").rows(range(9)))
    one, other = acted(wishes=Wishes(mood="happy")), acted(wishes=Wishes(mood=course("0 happy, 1.2 sad")))
    assert torch.equal(one[:16], other[:16]) and not torch.allclose(one[28:], other[28:])
    for wrong in ("0 happy, sad", "sad, 3 bored", "8 happy, 2 sad", "x happy", ""):
        with pytest.raises(BadOption):
            Wishes(mood=course(wrong))


def test_eyes_look_away_as_often_as_is_wished() -> None:
    rows = torch.zeros(3000, PLAYED)

    def away(looks: float) -> int:
        far = np.abs(gaze(torch.cat([*looking([rows], looks, 3)]).double())).max(1) > 0.15
        return int((np.diff(far.astype(int)) == 1).sum())

    assert 5 <= away(6) < away(24) <= 60
    assert torch.equal(torch.cat([*looking(rows.split(37), 20, 3)]), torch.cat([*looking([rows], 20, 3)]))


def test_steadied_is_quieter_and_the_same_whatever_its_chunks() -> None:
    dice = torch.Generator().manual_seed(0)
    rows = 0.05 * torch.randn(90, PLAYED, generator=dice)
    rows[:, PLAYED - 6] += torch.sin(torch.arange(90) / 12)
    rows[40:, INDEX["eyeLookOutLeft"]] += 0.6
    rows[40:, INDEX["eyeLookInRight"]] += 0.6
    once = torch.cat(list(steadied([rows])))
    assert len(once) == 90 and list(steadied([])) == []
    for size in (1, 7, 16):
        assert torch.equal(torch.cat(list(steadied(rows.split(size)))), once)
    head = slice(PLAYED - 6, PLAYED)
    assert torch.diff(once[:, head], 2, dim=0).std() < 0.15 * torch.diff(rows[:, head], 2, dim=0).std()
    assert torch.corrcoef(torch.stack([once[:, PLAYED - 6], rows[:, PLAYED - 6]]))[0, 1] > 0.95
    lips = INDEX["jawOpen"]
    assert torch.equal(once[:, lips], rows[:, lips])
    jumps = torch.diff(once[:, INDEX["eyeLookOutLeft"]]).abs()
    assert (jumps > 0.2).sum() == 1  # eyes jump once, and else stay
    assert torch.equal(next(steadied([rows[:, :9]])), rows[:, :9])  # another kind of motion


def test_memory_is_bounded() -> None:
    """What is remembered of an endless performance: the context, and of the sound a little more."""
    kept = []
    score = Score(iter([SOUND] * 20), silence(1), 12)
    for first in range(0, 900, 4):
        assert len(score.rows(range(first - 2, first + 6))) == 8
        kept.append(len(score._held))
    assert max(kept) < 80
    assert np.array_equal(score.rows(range(1000, 1003)), silence(3)) and score.frames == 1000


def test_a_frame_hears_two_frames_to_each_side() -> None:
    noisy, level = torch.randn(1, 8, PLAYED), torch.full((1, 8), 0.5)
    config = replace(TOY, chunk=1, context=0)  # frames that see nobody but themselves
    net = by_chance(config)
    sound = torch.randn(1, 12, WIDTH)

    def clean(heard: torch.Tensor) -> torch.Tensor:
        return net(noisy, level, net.listen(heard), torch.zeros(1, 8, WISHES))[0][0]

    changed = sound.clone()
    changed[0, 2 + 4] += 1  # the sound of frame 4
    moved = (clean(sound) - clean(changed)).abs().amax(1) > 1e-5
    assert moved.tolist() == [False, False, True, True, True, True, True, False]


def test_what_frames_may_look_at() -> None:
    seen = visible(torch.arange(4, 8), torch.arange(-1, 8), 2, 4)
    assert seen[0].int().tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]  # its chunk (4, 5) and 4 frames before
    assert seen[2].int().tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert visible(torch.arange(0, 2), torch.tensor([-1, 0, 1, 2]), 2, 4)[0].int().tolist() == [1, 1, 1, 0]


def test_far_places_are_as_exact_as_near_ones() -> None:
    hour = 25 * 3600
    near, far = rotations(torch.tensor([0, 3]), 16), rotations(torch.tensor([hour, hour + 3]), 16)

    def between(turns: torch.Tensor) -> torch.Tensor:
        return turns[0, 0] * turns[0, 1] + turns[1, 0] * turns[1, 1]

    assert torch.allclose(between(near), between(far), atol=1e-5)


def test_an_untrained_actor_says_the_mean() -> None:
    net = Actor(TOY)
    heard, wishes = net.listen(torch.randn(1, 8, WIDTH)), torch.zeros(1, 4, WISHES)
    answer, _ = net(torch.randn(1, 4, PLAYED), torch.rand(1, 4), heard, wishes)
    assert not answer.any()
    assert torch.equal(net.natural(net.normal(START)), START)


def test_small_and_full_are_one_kind() -> None:
    with torch.device("meta"):
        small, full = Actor(models.x_actor_small()), Actor(models.x_actor())
    assert 2.4e6 < sum(p.numel() for p in small.parameters()) < 2.8e6
    assert len(full.blocks) == 28
    kinds = [
        {".".join(part for part in name.split(".") if not part.isdecimal()) for name, _ in net.named_parameters()}
        for net in (small, full)
    ]
    assert kinds[0] - kinds[1] == {f"ear.conv_{k}.{what}" for k in (1, 2) for what in ("weight", "bias")}
    assert kinds[1] <= kinds[0]


def test_rows_and_faces() -> None:
    rows = torch.randn(5, PLAYED)
    how = how_of(rows)
    assert torch.allclose(rows_of(how_of(rows_of(how))), rows_of(how), atol=1e-6)
    assert float(how.curves.min()) >= 0 and float(how.curves.max()) <= 1


def test_levels_as_used_and_what_they_count() -> None:
    level = as_used(64, 24, torch.rand(64, 4, generator=torch.Generator().manual_seed(0)), chunk=4, history=0.1)
    assert level.shape == (64, 24) and float(level.min()) >= 0 and float(level.max()) <= 1
    assert bool((torch.diff(level, dim=1) >= -1e-6).all())  # what is later is noisier
    weight = fused_weights(level, Cosine(), clip=5.0, keep=0.9)
    assert float(weight.min()) >= 0 and float(weight.max()) <= 1
    alone = fused_weights(torch.tensor([[0.9, 0.9]]), Cosine(), clip=5.0, keep=0.9)
    after = fused_weights(torch.tensor([[0.01, 0.9]]), Cosine(), clip=5.0, keep=0.9)
    assert float(after[0, 1]) > float(alone[0, 1]) + 0.5  # known before: the noisy frame counts


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadOption, match="heads"):
        replace(TOY, width=15)
    with pytest.raises(BadOption, match="context"):
        replace(TOY, context=9)
    with pytest.raises(BadOption, match="cleaner"):
        replace(TEMPO, stabilise=0.2)
    with pytest.raises(BadOption, match="bent by 0"):
        replace(TEMPO, rho=0.0)
    with pytest.raises(BadOption, match="cleaner"):
        replace(TEMPO, rho=2.0)  # whose last level, 1 / 36, is cleaner than what is finished
    with pytest.raises(BadOption, match="no performance has the order 3"):
        replace(TEMPO, order=3)
    with pytest.raises(BadOption, match="mood"):
        Wishes(mood="bored")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="lively"):
        Wishes(lively=9)
