"""Where a run computes: one process by itself, or several through Accelerate.

One process needs nothing but torch. Several are started by torchrun (`torchrun --nproc-per-node 2 -m understudy train
...`), on GPUs or CPUs, on one machine or many, and average their gradients.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from understudy.device import choose
from understudy.errors import BadOption
from understudy.extras import absent


class Spread(Protocol):
    """All that the loop knows about processes and devices."""

    device: torch.device
    rank: int
    world: int

    def ready(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Both as they must be called; the module's parameters stay where they are and what they are."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Gradients of one part of a batch."""
        ...

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Within this, gradients are summed up here and not yet shared: not the last part of a batch."""
        ...

    def mean(self, value: Tensor) -> Tensor:
        """The mean over all processes."""
        ...

    def agreed(self, value: float) -> float:
        """The first process's value, for all."""
        ...

    def wait(self) -> None:
        """Until all processes are here."""
        ...


class Alone:
    """One process."""

    rank, world = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def ready(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        return module, optimiser

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        return nullcontext()

    def mean(self, value: Tensor) -> Tensor:
        return value

    def agreed(self, value: float) -> float:
        return value

    def wait(self) -> None:
        return None


class Together:
    """One of several processes, through Accelerate."""

    def __init__(self, wish: str) -> None:
        cpu = wish == "cpu" or (wish == "auto" and choose("auto").type == "cpu")
        if cpu:
            os.environ["ACCELERATE_USE_CPU"] = "true"  # without it, processes under torchrun do not find each other
        try:
            accelerate = import_module("accelerate")
        except ImportError as error:
            raise absent(error, "Training in several processes") from error
        # A reference net's last layers come after its last note, and some samples are told nothing: not every
        # parameter has a gradient in every step.
        sparing = accelerate.DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator: Any = accelerate.Accelerator(cpu=cpu, kwargs_handlers=[sparing])
        self.device: torch.device = self.accelerator.device
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        if self.world != processes():
            raise BadOption(
                "The processes of this run have not found each other",
                f"{processes()} were started, {self.world} are connected",
                "torchrun --nproc-per-node N -m understudy train ...",
            )

    def ready(self, module: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        return cast("tuple[nn.Module, torch.optim.Optimizer]", self.accelerator.prepare(module, optimiser))

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        return cast("AbstractContextManager[Any]", self.accelerator.no_sync(module))

    def mean(self, value: Tensor) -> Tensor:
        return cast(Tensor, self.accelerator.reduce(value, reduction="mean"))

    def agreed(self, value: float) -> float:
        mine = value if self.rank == 0 else 0.0
        total = self.accelerator.reduce(torch.tensor(mine, dtype=torch.float64, device=self.device), reduction="sum")
        return float(total)

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


def processes() -> int:
    """How many were started together: torchrun says so."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def spread(wish: str = "auto") -> Spread:
    """Where this run computes: `wish` as for `device.choose`. Several processes take a GPU each."""
    return Together(wish) if processes() > 1 else Alone(choose(wish))


def moved(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch where it is computed."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def share(numbers: range, rank: int, world: int) -> range:
    """What one process takes of the samples of a batch: a run of them, as long as everybody else's."""
    if len(numbers) % world:
        raise BadOption(
            "A batch must fall into equal shares",
            f"{len(numbers)} samples for {world} processes",
            f"plan.batch={max(len(numbers) // world, 1) * world} times plan.accumulate",
        )
    each = len(numbers) // world
    return numbers[rank * each : (rank + 1) * each]


def norm(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """The length of the gradient before it was cut to `most`."""
    return torch.nn.utils.clip_grad_norm_(list(parameters), most)
