"""Weights shared out among processes: PyTorch's FSDP2, as the loop wants it.

Between two steps each process holds its share of every tensor that learns: weights, their averages, what the optimiser
remembers. For a step the weights are gathered, and gradients come back as shares. A lesson is one unit: recipes call
parts of their models in ways of their own, and any of them works where all of a lesson's weights are there.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from understudy.train.spread import Together


class Sharded(Together):
    """One of several processes that hold a share of the weights each."""

    shares = True

    def __init__(self, wish: str) -> None:
        super().__init__(wish)
        self.mesh = init_device_mesh(self.device.type, (self.world,))

    def plain(self, model: nn.Module, learners: Iterable[nn.Parameter]) -> nn.Module:
        for value in (*model.parameters(), *model.buffers()):  # as DDP does: all begin with the first one's
            torch.distributed.broadcast(value.detach(), 0)
        if self.rank:
            return model
        learns = {id(parameter) for parameter in learners}
        still = {id(parameter): parameter for parameter in model.parameters() if id(parameter) not in learns}
        return copy.deepcopy(model, still)

    def wrapped(self, lesson: nn.Module) -> nn.Module:
        return cast(nn.Module, fully_shard(Alike(lesson), mesh=self.mesh, reshard_after_forward=False))

    def stepper(self, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return optimiser

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        return _summed_here(_unit(module))

    def settle(self, lesson: nn.Module) -> None:
        cast(Alike, lesson).settle()

    @contextmanager
    def whole(self, lessons: Collection[nn.Module]) -> Iterator[None]:
        units = [_unit(lesson) for lesson in lessons]
        for unit in units:
            unit.unshard()
        try:
            yield
        finally:
            for unit in units:
                unit.reshard()


class Alike(nn.Module):
    """A lesson after which every process has gradients of the same weights: those that any of them has. FSDP2 exchanges
    what there is, and waits for ever where one process has more than another."""

    def __init__(self, lesson: nn.Module) -> None:
        super().__init__()
        self.lesson = lesson
        self._used: set[int] = set()

    def forward(self, *given: Any) -> tuple[Tensor, Any]:
        """What the lesson gives. Weights that its loss does not depend on get a gradient of zeros."""
        total, said = self.lesson(*given)
        reached = _reached(total)
        learners = [*self.parameters()]
        self._used |= {number for number, parameter in enumerate(learners) if id(parameter) in reached}
        unused = [parameter.sum() for parameter in learners if id(parameter) not in reached]
        return (total + 0 * torch.stack(unused).sum() if unused else total), said

    def settle(self) -> None:
        """After the last part of a batch: what no process has used has no gradient, as if there were one process."""
        learners = [*self.parameters()]
        used = torch.zeros(len(learners), device=learners[0].device)
        used[sorted(self._used)] = 1
        torch.distributed.all_reduce(used)
        for parameter, count in zip(learners, used.tolist(), strict=True):
            if not count:
                parameter.grad = None
        self._used.clear()


def _reached(total: Tensor) -> set[int]:
    """The identities of all leaves that a loss depends on."""
    found: set[int] = set()
    seen: set[Any] = set()
    waiting = [total.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting += [following for following, _ in node.next_functions]
    return found


@contextmanager
def _summed_here(unit: FSDPModule) -> Iterator[None]:
    unit.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        unit.set_requires_gradient_sync(True)


def _unit(module: nn.Module) -> FSDPModule:
    return cast(FSDPModule, module)
