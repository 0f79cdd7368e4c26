"""Where a run computes: one process by itself, or several through Accelerate.

One process needs nothing but torch. Several are started by torchrun (`torchrun --nproc-per-node 2 -m understudy train
...`), on GPUs or CPUs, on one machine or many, and average their gradients. Each holds all weights (DDP), or, between
two steps, a share of them (FSDP2, see `sharded`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Final, Protocol, cast

import torch
import torch.distributed
from torch import Tensor, nn

from understudy.device import choose
from understudy.errors import BadOption
from understudy.extras import absent

WAYS: Final = ("ddp", "fsdp")


class Spread(Protocol):
    """All that the loop knows about processes and devices."""

    device: torch.device
    rank: int
    world: int
    shares: bool
    """Whether each process holds a share of what learns, and not all of it."""

    def plain(self, model: nn.Module, learners: Iterable[nn.Parameter]) -> nn.Module:
        """Before anything is wrapped: the model that the first process judges and keeps. The same, or, where weights
        will be shared out, a copy of what learns."""
        ...

    def wrapped(self, lesson: nn.Module) -> nn.Module:
        """As it must be called. Where weights are shared out, its parameters are replaced."""
        ...

    def stepper(self, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """As it must be called."""
        ...

    def whole(self, lessons: Collection[nn.Module]) -> AbstractContextManager[Any]:
        """Within this, all that these learn is whole here: wrapped lessons, which look at each other's."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Gradients of one part of a batch."""
        ...

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Within this, gradients are summed up here and not yet shared: not the last part of a batch."""
        ...

    def settle(self, lesson: nn.Module) -> None:
        """After the last part of a batch: gradients are those of all processes together."""
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

    rank, world, shares = 0, 1, False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def plain(self, model: nn.Module, learners: Iterable[nn.Parameter]) -> nn.Module:
        return model

    def wrapped(self, lesson: nn.Module) -> nn.Module:
        return lesson

    def stepper(self, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return optimiser

    def whole(self, lessons: Collection[nn.Module]) -> AbstractContextManager[Any]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        return nullcontext()

    def settle(self, lesson: nn.Module) -> None:
        return None

    def mean(self, value: Tensor) -> Tensor:
        return value

    def agreed(self, value: float) -> float:
        return value

    def wait(self) -> None:
        return None


class Together:
    """One of several processes that each hold all weights, through Accelerate: DDP."""

    shares = False

    def __init__(self, wish: str) -> None:
        cpu = wish == "cpu" or (wish == "auto" and choose("auto").type == "cpu")
        if cpu:
            os.environ["ACCELERATE_USE_CPU"] = "true"  # without it, processes under torchrun do not find each other
        try:
            accelerate = import_module("accelerate")
        except ImportError as error:
            raise absent(error, "Training in several processes") from error
        _meet(cpu)
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

    def plain(self, model: nn.Module, learners: Iterable[nn.Parameter]) -> nn.Module:
        return model

    def wrapped(self, lesson: nn.Module) -> nn.Module:
        return cast(nn.Module, self.accelerator.prepare(lesson))

    def stepper(self, optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
        return cast(torch.optim.Optimizer, self.accelerator.prepare(optimiser))

    def whole(self, lessons: Collection[nn.Module]) -> AbstractContextManager[Any]:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def quiet(self, module: nn.Module) -> AbstractContextManager[Any]:
        return cast("AbstractContextManager[Any]", self.accelerator.no_sync(module))

    def settle(self, lesson: nn.Module) -> None:
        return None

    def mean(self, value: Tensor) -> Tensor:
        return cast(Tensor, self.accelerator.reduce(value, reduction="mean"))

    def agreed(self, value: float) -> float:
        mine = value if self.rank == 0 else 0.0
        total = self.accelerator.reduce(torch.tensor(mine, dtype=torch.float64, device=self.device), reduction="sum")
        return float(total)

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()


def _meet(cpu: bool) -> None:
    """Where torchrun has begun again after a death: meet apart from those before. In the store that is shared with
    torchrun (2.13) the addresses of the dead are still to be read, and whoever is quick tries to reach those."""
    again = os.environ.get("TORCHELASTIC_RESTART_COUNT") or "0"
    known: Any = torch.distributed
    if again == "0" or known.is_initialized():
        return
    store, rank, world = next(known.rendezvous("env://"))
    apart = known.PrefixStore(f"again {again}", store)
    known.init_process_group("gloo" if cpu else "nccl", store=apart, rank=rank, world_size=world)


def processes() -> int:
    """How many were started together: torchrun says so."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def spread(wish: str = "auto", way: str = "ddp") -> Spread:
    """Where this run computes: `wish` as for `device.choose`. Several processes take a GPU each, and share the work in
    one of the `WAYS`."""
    if way not in WAYS:
        raise BadOption("This is no way to spread a run", way, f"one of {', '.join(WAYS)}")
    if way == "fsdp":
        if processes() == 1:
            raise BadOption(
                "Weights are shared out among several processes, and there is one",
                remedy="torchrun --nproc-per-node N -m understudy train ...",
            )
        from understudy.train.sharded import Sharded

        return Sharded(wish)
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
    """The length of the gradient before it was cut to `most`: of all of it, also where weights are shared out."""
    return entire(torch.nn.utils.clip_grad_norm_(list(parameters), most))


def entire(value: Tensor) -> Tensor:
    """All of a tensor of which each process may have a share; then all processes must ask."""
    return cast(Tensor, value.full_tensor()) if hasattr(value, "full_tensor") else value


def parted(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, that every process has, as `like` is: whole, or this process's share."""
    if not hasattr(like, "full_tensor"):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
