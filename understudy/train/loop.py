"""The loop: every recipe is trained by it, and it has never heard of faces.

`train` yields after every step. The caller shows progress, or stops; closing it between two steps saves the run, and
the same call goes on where it stopped, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from understudy.ahead import ahead
from understudy.device import describe
from understudy.errors import BadRun
from understudy.train import checkpoint
from understudy.train.checkpoint import State
from understudy.train.ema import Average
from understudy.train.journal import Journal
from understudy.train.muon import Muon
from understudy.train.spread import Spread, entire, moved, norm, share, spread
from understudy.train.task import Batch, Chance, Moment, Plan, Task, Turn

_STOP: Final = 2.0  # a progress that no run makes: somebody wants it to end


@dataclass(frozen=True)
class Step:
    """What happened in one step."""

    number: int
    """Steps done, this one included."""
    progress: float
    """How much of the run is over, from 0 to 1."""
    seconds: float
    """Time spent on the whole run so far."""
    values: Mapping[str, float]
    """Losses and their parts, lengths of gradients, rates: "draw.total" and so on."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What was judged after this step, if it was time."""


class Lesson(nn.Module):
    """A turn as a module, because that is what DDP and its like wrap: its parameters are those that learn, and its
    forward pass is the objective."""

    def __init__(self, turn: Turn, model: nn.Module, bf16: bool) -> None:
        super().__init__()
        self.learns = nn.ModuleList(model.get_submodule(name) for name in turn.learns)
        self.turn, self.bf16 = turn, bf16
        self._model = (model,)  # in a tuple, so that what stands still is no part of this module

    def forward(self, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, and what it consists of."""
        device = next(iter(batch.values())).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.turn.objective(self._model[0], batch, moment)
        return loss.total, {name: value.detach() for name, value in loss.parts.items()}


class Run:
    """All that changes while learning, and so all that a checkpoint holds."""

    def __init__(self, task: Task, where: Spread) -> None:
        self.task, self.where, self.state = task, where, State()
        task.model.to(where.device)
        if where.device.type == "cuda" and not where.shares:  # on CPUs, group norms lose what convolutions gain
            task.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.plain = where.plain(task.model, (p for turn in task.turns for p in _learners(task.model, turn).values()))
        self.lessons: dict[str, nn.Module] = {}
        self.steppers: dict[str, torch.optim.Optimizer] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}
        self.learners: dict[str, dict[str, nn.Parameter]] = {}
        for turn in task.turns:
            _only(task.model, turn)
            self.lessons[turn.name] = where.wrapped(Lesson(turn, task.model, task.plan.bf16))
            learners = self.learners[turn.name] = _learners(task.model, turn)  # wrapped, they may be others
            self.optimisers[turn.name] = _optimiser(turn, learners, where.device)
            self.steppers[turn.name] = where.stepper(self.optimisers[turn.name])
        averaged = {name: p for turn in task.turns if turn.averaged for name, p in self.learners[turn.name].items()}
        self.average = Average(averaged, task.plan.average)

    def progress(self, budget: float | None) -> float:
        """How much is over: of the steps or of the time, whichever is nearer its end."""
        done = self.state.step / self.task.plan.steps
        return min(max(done, self.state.seconds / budget if budget else 0.0), 1.0)

    def step(self, parts: list[tuple[Batch, Chance]], progress: float) -> dict[str, float]:
        """All turns whose time has come."""
        values: dict[str, float] = {}
        for turn in self.task.turns:
            if progress >= turn.start:
                values |= self._take(turn, parts, progress)
        self.average.follow(self.state.step)
        self.state.step += 1
        return values

    def _take(self, turn: Turn, parts: list[tuple[Batch, Chance]], progress: float) -> dict[str, float]:
        plan, learners = self.task.plan, self.learners[turn.name]
        _only(self.task.model, turn)
        with self.where.whole(self.lessons.values()):
            sums = self._sums(turn, parts, progress)
        self.where.settle(self.lessons[turn.name])
        length = norm(learners.values(), plan.clip)
        taken = self.state.taken.get(turn.name, 0)
        now = turn.rate * _share_of_rate(plan, taken, progress)
        for group in self.optimisers[turn.name].param_groups:
            group["lr"] = now
        values = {f"{turn.name}.{name}": float(self.where.mean(value)) for name, value in sums.items()}
        values |= {f"{turn.name}.gradient": float(length), f"{turn.name}.rate": now}
        _finite(values, self.state.step)
        self.steppers[turn.name].step()
        self.steppers[turn.name].zero_grad(set_to_none=True)
        self.state.taken[turn.name] = taken + 1
        return values

    def _sums(self, turn: Turn, parts: list[tuple[Batch, Chance]], progress: float) -> dict[str, Tensor]:
        """Gradients of a whole batch, and its losses."""
        lesson = self.lessons[turn.name]
        sums: dict[str, Tensor] = {}
        for number, (batch, chance) in enumerate(parts):
            with self.where.quiet(lesson) if number < len(parts) - 1 else nullcontext():
                total, said = lesson(batch, Moment(chance, progress))
                self.where.backward(total / len(parts))
            for name, value in {"total": total.detach(), **said}.items():
                sums[name] = sums.get(name, 0) + value.float() / len(parts)
        return sums

    @contextmanager
    def worn(self) -> Iterator[nn.Module]:
        """The model with the averaged weights, in the first process; the others lend it their shares."""
        if self.where.shares:
            own = self.task.model.state_dict()
            entirely = {name: entire(self.average.weights.get(name, value)) for name, value in own.items()}
            if self.where.rank == 0:
                _fill(self.plain, entirely)
            yield self.plain
        elif self.where.rank == 0:
            with self.average.worn():
                yield self.plain
        else:
            yield self.plain


def train(
    task: Task,
    folder: Path,
    *,
    device: str = "auto",
    way: str = "ddp",
    budget: float | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Step]:
    """Learn until the plan's steps are done or `budget` seconds are spent (the rate falls accordingly), from the newest
    checkpoint in `folder/checkpoints` if there is one. Several processes share the work in one of `spread.WAYS`. `stop`
    is asked before every step, and is how several processes end together: the first one's answer counts.

    Raises BadRun where a checkpoint is another recipe's, or a loss is no longer a number."""
    where = spread(device, way)
    run = Run(task, where)
    saved = checkpoint.newest(folder / "checkpoints")
    if saved is not None:
        run.state = checkpoint.load(saved, task.identity, task.model, run.average.weights, run.optimisers)
    if run.progress(budget) >= 1:
        return
    journal = Journal(folder, run.state.step) if where.rank == 0 else None
    progress = 0.0
    clock, fresh = time.perf_counter() - run.state.seconds, saved is None
    try:
        with closing(ahead(_batches(task, where, run.state.step))) as batches:
            for parts in batches:
                progress = where.agreed(_STOP if stop() else run.progress(budget))
                if progress >= 1:
                    break
                here = [(moved(batch, where.device), chance) for batch, chance in parts]
                if fresh and journal is not None:
                    journal.note(0, {"device": describe(where.device), "processes": float(where.world)})
                    _show(run, journal, here[0][0])
                fresh = False
                values = run.step(here, progress)
                run.state.seconds = time.perf_counter() - clock
                scores = _after(run, folder, journal) if run.state.step < task.plan.steps else {}
                if journal is not None:
                    journal.note(run.state.step, {"seconds": run.state.seconds, "progress": progress, **values})
                run.state.seconds = time.perf_counter() - clock
                yield Step(run.state.step, run.progress(budget), run.state.seconds, values, scores)
        scores = _judge(run, folder, journal) if progress < _STOP else {}
        run.state.seconds = time.perf_counter() - clock
        _save(run, folder)
        if progress < _STOP:
            yield Step(run.state.step, 1.0, run.state.seconds, {}, scores)
    except GeneratorExit:  # stopped between two steps; anything else may have come in the middle of one
        _save(run, folder)
        raise
    finally:
        if journal is not None:
            journal.close()


def _batches(task: Task, where: Spread, first: int) -> Iterator[list[tuple[Batch, Chance]]]:
    """Of every step from `first` on, this process's share, in the parts in which it is taken."""
    plan = task.plan
    size = plan.batch // plan.accumulate
    for step in range(first, plan.steps + 1):  # one more than is taken: the last is only asked whether it is over
        parts = []
        for part in range(plan.accumulate if step < plan.steps else 0):
            begin = step * plan.batch + part * size
            numbers = share(range(begin, begin + size), where.rank, where.world)
            parts.append((task.data.batch(numbers), Chance(plan.seed, tuple(numbers))))
        yield parts


def _after(run: Run, folder: Path, journal: Journal | None) -> Mapping[str, float]:
    plan, step = run.task.plan, run.state.step
    scores = _judge(run, folder, journal) if step % plan.judge_every == 0 else {}
    if step % plan.save_every == 0:
        _save(run, folder)
    return scores


def _judge(run: Run, folder: Path, journal: Journal | None) -> Mapping[str, float]:
    """Scores and sheets on what is held out, with the averaged weights, which are also what is kept for use."""
    scores: Mapping[str, float] = {}
    with run.worn() as model, torch.no_grad():
        if journal is not None:
            judgement = run.task.judge(model)
            run.task.keep(model, folder, run.state.step)
    if journal is not None:
        scores = judgement.scores
        journal.note(run.state.step, dict(scores))
        for name, sheet in judgement.sheets.items():
            journal.sheet(run.state.step, name, sheet)
    run.where.wait()
    return scores


def _show(run: Run, journal: Journal, batch: Batch) -> None:
    with torch.no_grad():
        for name, sheet in run.task.show(run.plain, batch).items():
            journal.sheet(0, name, sheet)


def _save(run: Run, folder: Path) -> None:
    if run.where.rank == 0 or run.where.shares:
        tensors = checkpoint.tensors_of(run.task.model, run.average.weights, run.optimisers)
        whole = {name: entire(value) for name, value in tensors.items()}
        if run.where.rank == 0:
            checkpoint.save(folder / "checkpoints", run.state, run.task.identity, whole, run.task.plan.keep)


@torch.no_grad()
def _fill(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    for name, place in model.state_dict().items():
        place.copy_(values[name])


def _learners(model: nn.Module, turn: Turn) -> dict[str, nn.Parameter]:
    found: dict[str, nn.Parameter] = {}
    for place in turn.learns:
        found |= {f"{place}.{name}".lstrip("."): p for name, p in model.get_submodule(place).named_parameters()}
    return found


def _only(model: nn.Module, turn: Turn) -> None:
    """What learns in this turn; all others stand still."""
    chosen = {id(parameter) for parameter in _learners(model, turn).values()}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)


def _share_of_rate(plan: Plan, taken: int, progress: float) -> float:
    """Warm-up, counted from a turn's first time, then a cosine over the whole run."""
    risen = min((taken + 1) / plan.warm_up, 1.0) if plan.warm_up else 1.0
    return risen * (plan.floor + (1 - plan.floor) * (1 + math.cos(math.pi * progress)) / 2)


def _finite(values: Mapping[str, float], step: int) -> None:
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        raise BadRun(
            f"Learning went astray in step {step + 1}",
            ", ".join(wrong),
            "a smaller rate; the run goes on from its last checkpoint",
        )


def _optimiser(turn: Turn, learners: Mapping[str, nn.Parameter], device: torch.device) -> torch.optim.Optimizer:
    if turn.optimiser == "muon":
        return Muon(learners, turn.rate, turn.betas, turn.decay)
    fused = device.type in ("cpu", "cuda")
    return torch.optim.AdamW(learners.values(), lr=turn.rate, betas=turn.betas, weight_decay=turn.decay, fused=fused)
