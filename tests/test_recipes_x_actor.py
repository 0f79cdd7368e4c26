"""The recipe of the actor, at a toy width, on takes made by hand: no voice needs to be synthesised."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import torch

from understudy import weights
from understudy.cast.how import INDEX
from understudy.data import shards
from understudy.data.talk import EACH, FOLDER, RECORDED_FOLDER, Talk
from understudy.errors import BadOption
from understudy.motion.actor import Actor, ActorConfig
from understudy.motion.space import PLAYED
from understudy.motion.speech import WIDTH
from understudy.recipes import x_actor
from understudy.recipes.recipe import changed
from understudy.recipes.x_actor import Parts, XActorRecipe, levels_of, task, x_actor_small_recipe
from understudy.recipes.x_actor_exam import Exam
from understudy.train.loop import Step, train
from understudy.train.task import Chance, Judgement

TOY = [
    "takes=2", "seconds=4", "frames=16", "config.width=16", "config.depth=2", "config.heads=2", "config.chunk=4",
    "config.context=8", "config.ear=4", "plan.steps=4", "plan.batch=2", "plan.judge_every=4", "plan.save_every=2",
    "plan.warm_up=0", "storage=fp32", "judged=1", "judged_seconds=4",
]  # fmt: skip


def toy(*more: str) -> XActorRecipe:
    return changed(x_actor_small_recipe(), [*TOY, *more])


def by_hand(folder: Path, count: int = 2, name: str = FOLDER) -> None:
    """Takes in which the jaw follows the loudness of the sound."""

    def one(numbers: range) -> dict[str, torch.Tensor]:
        dice = torch.Generator().manual_seed(numbers.start)
        loud = torch.rand(len(numbers), 25, generator=dice).repeat_interleave(4, 1)
        motion = torch.zeros(len(numbers), 100, PLAYED)
        motion[:, :, 17] = loud
        motion[:, :, PLAYED - 6] = torch.randn(len(numbers), 1, generator=dice)
        sound = (loud[..., None] * 3 - 2).expand(-1, -1, WIDTH)
        mood = torch.zeros(len(numbers), 100, 5)
        mood[..., 0] = 1
        return {"motion": motion, "sound": sound.half(), "mood": mood, "knobs": torch.zeros(len(numbers), 6)}

    list(shards.fill(folder / name, count, EACH, {"seconds": 4, "first": 0}, one))


@pytest.fixture(autouse=True)
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out takes need a voice; `test_held_out_takes_are_performed` has one."""
    monkeypatch.setattr(Exam, "judge", lambda self, model: Judgement({"none": 0.0}, {}))


def run(recipe: XActorRecipe, folder: Path, stop: int | None = None) -> list[Step]:
    by_hand(folder / "shards", recipe.takes)
    steps: list[Step] = []
    with closing(train(task(recipe, folder / "shards"), folder, device="cpu")) as going:  # type: ignore[type-var]
        for step in going:
            steps.append(step)
            if step.number == stop:
                break
    return steps


def test_two_steps_and_two_more_are_four(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="learnt nothing"):
        run(toy("own=0.5"), tmp_path / "whole")
    run(toy("plan.steps=1"), tmp_path / "first")
    going_on = toy("own=0.5", f"start={tmp_path / 'first' / 'x-actor-small.safetensors'}")
    whole = run(going_on, tmp_path / "whole")
    parts = run(going_on, tmp_path / "parts", 2) + run(going_on, tmp_path / "parts")
    assert [step.values for step in parts] == [step.values for step in whole]
    kept = weights.load(tmp_path / "whole" / "x-actor-small.safetensors")
    assert isinstance(kept.about.config, ActorConfig)
    net = Actor(kept.about.config)
    assert weights.fill(net, kept) == [] and float(net.deviation[17]) > 0.1


def test_two_takes_can_be_learnt_by_heart(tmp_path: Path) -> None:
    learning = ["plan.steps=150", "plan.batch=4", "plan.judge_every=150", "plan.save_every=150", "rate=1e-2",
                "unheard=0", "gain=0", "tilt=0", "throat=0", "echo=0", "smooth=0", "colour=0", "whispered=0",
                "noise=-9", "started=0", "config.width=32"]  # fmt: skip
    steps = run(toy(*learning), tmp_path)
    errors = [step.values["act.motion"] for step in steps if step.values]
    assert sum(errors[-15:]) < 0.5 * sum(errors[:15])


@pytest.mark.parametrize("objective", ["forcing", "teacher", "regression"])
def test_each_objective_has_its_levels(objective: str) -> None:
    recipe = toy(f"objective={objective}")
    level = levels_of(recipe, Chance(0, tuple(range(512))))
    assert level.shape == (512, 16) and float(level.max()) <= 1
    if objective == "regression":
        assert set(level.unique().tolist()) == {0.0, 1.0}
    elif objective == "teacher":
        assert (level.unique(dim=1).shape[1] > 1) and bool((level == 0).any())
    else:
        by_frame = (level.reshape(512, 4, 4).std(-1) > 1e-6).any(1).float().mean()
        assert 0.05 < float(by_frame) < 0.5  # some are drawn for each frame, most for each chunk
        alike = (level.std(-1) < 1e-6).float().mean()
        assert 0.05 < float(alike) < 0.5  # some have one level


def test_a_sample_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    by_hand(tmp_path)
    recipe = toy()
    data = Parts(recipe, shards.Joined([shards.Shards(tmp_path / FOLDER)]))
    both, alone = data.batch([3, 8]), data.batch([8])
    assert all(torch.equal(both[name][1:], alone[name]) for name in alone)
    assert both["motion"].shape == (2, 17, PLAYED) and both["sound"].shape == (2, 21, WIDTH)


def test_recorded_voices_are_learnt_from_besides(tmp_path: Path) -> None:
    by_hand(tmp_path)
    by_hand(tmp_path, 3, RECORDED_FOLDER)
    assert len(task(toy("recorded=3"), tmp_path).data.takes) == 5
    assert len(task(toy(), tmp_path).data.takes) == 2


def test_recorded_voices_teach_mouths_alone(tmp_path: Path) -> None:
    by_hand(tmp_path)
    by_hand(tmp_path, 3, RECORDED_FOLDER)
    wanted = toy("recorded=3", "started=0")
    made = task(wanted, tmp_path)
    batch = made.data.batch(range(16))
    whose = {
        float(row[0, PLAYED - 6]): bool(said) for row, said in zip(batch["motion"], batch["recorded"], strict=True)
    }
    assert len(whose) == 5 and sum(whose.values()) == 3  # takes are told apart by the head that each keeps
    counts = x_actor.worth(Actor(wanted.config), wanted, torch.tensor([False, True]))[:, 0]
    jaw, brow = INDEX["jawOpen"], INDEX["browInnerUp"]
    assert counts[0, jaw] == counts[1, jaw] > counts[0, brow] > counts[1, brow] == 0
    alike = x_actor.worth(Actor(wanted.config), toy("acted=1"), torch.tensor([False, True]))
    assert torch.equal(alike[0], alike[1])


def test_what_moods_move_may_count_more() -> None:
    plain, more = toy(), toy("moods=2", "acted=1")
    net, recorded = Actor(plain.config), torch.tensor([False, True])
    before, after = (x_actor.worth(net, recipe, recorded)[:, 0] for recipe in (plain, more))
    smile, jaw, sway = INDEX["mouthSmileRight"], INDEX["jawOpen"], PLAYED - 5
    assert torch.allclose(after[0, [smile, jaw, sway]], before[0, [smile, jaw, sway]] * torch.tensor([3.0, 1.0, 1.0]))
    assert float(after[1, smile]) == float(after[0, smile]), "of recorded voices as well, where they act"


def test_a_past_of_its_own_is_another_past(tmp_path: Path) -> None:
    by_hand(tmp_path)
    recipe = toy("own=1", "used=1", "by_frame=0")
    net = Actor(recipe.config)
    batch, dice = Parts(recipe, shards.Joined([shards.Shards(tmp_path / FOLDER)])).batch([0, 1]), Chance(0, (0, 1))
    level = torch.cat([torch.zeros(2, 1), torch.tensor([[0.0] * 8 + [0.7] * 8] * 2)], 1)
    heard, wishes = net.listen(batch["sound"]), torch.zeros(2, 17, 11)
    true = net.normal(batch["motion"])
    given, own = x_actor.imagined(net, true, level, heard, wishes, dice, recipe)
    same = (given == true).all(-1)
    assert torch.equal(own, ~same)
    unknown = torch.cat([torch.ones(2, 1), level[:, 1:]], 1)  # of a portrait that is not told
    assert torch.equal(x_actor.imagined(net, true, unknown, heard, wishes, dice, recipe)[1], own)
    assert same[:, :1].all() and not same[:, 1:9].any() and same[:, 9:].all()  # two chunks before the live one


def test_what_is_asked_for_must_fit(tmp_path: Path) -> None:
    by_hand(tmp_path)
    with pytest.raises(BadOption, match="whole chunks"):
        task(toy("frames=18"), tmp_path)
    with pytest.raises(BadOption, match="objective"):
        toy("objective=guess")


def test_held_out_takes_are_performed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    monkeypatch.undo()
    made = Talk(seconds=4).batch([0])
    assert made["motion"].shape == (1, 100, PLAYED) and made["sound"].shape == (1, 100, WIDTH)
    by_hand(tmp_path)
    recipe = toy()
    judged = Exam(recipe).judge(task(recipe, tmp_path).model)  # type: ignore[arg-type]
    assert judged.scores["movement"] < 0.01 and judged.sheets["held-out"].shape[2] == 3
