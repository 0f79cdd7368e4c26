"""Muon: the inner matrices of a net learn by their momentum made orthogonal, everything else as with AdamW.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon), with the size of steps of Liu et al. 2025 (arXiv 2502.16982, eq.
4), which makes one rate and one decay fit both kinds. On few CPU cores this is worth more than any other trick that was
tried here: docs/training.md has the comparison. `torch.optim.Muon` takes plain matrices only; most of ours are kernels
of convolutions, which are matrices of (out, in * height * width) here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from understudy.train.spread import entire, parted

MOMENTUM: Final = 0.95
POLYNOMIAL: Final = (3.4445, -4.7750, 2.0315)
"""Of Newton and Schulz: five rounds bring all singular values near 1."""
ROUNDS: Final = 5
OUTER: Final = ("conv_in", "conv_out")
"""The first and last layers speak in units of their own, and learn as with AdamW."""


def inner(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a matrix between features and features."""
    return (
        parameter.ndim >= 2
        and min(parameter.shape[0], parameter[0].numel()) > 1
        and not any(part in OUTER for part in name.split("."))
    )


class Muon(torch.optim.Optimizer):
    """An optimiser over named parameters, (out, ...) of them orthogonalised where `inner` says so."""

    def __init__(
        self, named: Mapping[str, nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        chosen = {True: [], False: []}  # type: dict[bool, list[nn.Parameter]]
        for name, parameter in named.items():
            chosen[inner(name, parameter)].append(parameter)
        groups: Iterable[dict[str, Any]] = [
            {"params": parameters, "inner": kind} for kind, parameters in chosen.items() if parameters
        ]
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": 1e-8, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of all parameters that have a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            learners = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in learners:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            if group["inner"]:
                self._turned(learners, group)
            else:
                for parameter in learners:
                    self._adapted(parameter, cast(Tensor, parameter.grad), group)
        return loss

    def _turned(self, learners: Sequence[nn.Parameter], group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in learners:
            alike.setdefault(parameter.flatten(1).shape, []).append(parameter)
        for shape, parameters in alike.items():  # matrices of one shape at once: twice as fast where they are small
            steps = orthogonal(torch.stack([self._heading(parameter) for parameter in parameters]))
            for parameter, step in zip(parameters, steps, strict=True):
                parameter.add_(
                    parted(step.view(parameter.shape), parameter), alpha=-group["lr"] * 0.2 * math.sqrt(max(shape))
                )

    def _heading(self, parameter: nn.Parameter) -> Tensor:
        """Where momentum leads, as a matrix: a whole one, also where each process has a share of it."""
        gradient, state = cast(Tensor, parameter.grad), self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].mul_(MOMENTUM).add_(gradient)
        return entire(gradient.add(momentum, alpha=MOMENTUM)).flatten(1)  # Nesterov's

    def _adapted(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].lerp_(gradient.square(), 1 - second)
        count = float(state["step"])
        size = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], size, value=-group["lr"] / (1 - first**count))


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices (n, out, in) with singular values of about 1 (0.7 to 1.2), in fp32; the rounds are done in
    bf16."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    a, b, c = POLYNOMIAL
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).float()
