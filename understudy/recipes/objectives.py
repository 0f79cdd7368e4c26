"""What losses are made of: functions of pictures in [-1, 1] and of what nets say of them. Each gives a scalar, fp32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Opinions = Callable[[Tensor], tuple[list[Tensor], Tensor]]
"""A critic: pictures (n, 3, h, w) to features of every resolution, and opinions (n, 1, h', w'), + is true."""


class Costs(Protocol):
    """How much what a picture is compared by weighs, beside L1, whose weight is 1."""

    @property
    def edges(self) -> float: ...
    @property
    def likeness(self) -> float: ...
    @property
    def opinion(self) -> float: ...


def far(result: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute difference (n, c, h, w), weighted by place (n, 1, h, w)."""
    difference = (result.float() - truth.float()).abs()
    return (difference * weight).mean() / weight.mean()


def edges(result: Tensor, truth: Tensor, weight: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute difference of gradients along both axes, at `scales` sizes: blur costs here, a tone does not."""
    total = result.new_zeros((), dtype=torch.float32)
    for scale in range(scales):
        if scale:
            result, truth, weight = (F.avg_pool2d(x, 2) for x in (result, truth, weight))
        for axis in (2, 3):
            step = torch.diff(result.float(), dim=axis) - torch.diff(truth.float(), dim=axis)
            at = weight.narrow(axis, 1, weight.shape[axis] - 1)
            total = total + (step.abs() * at).mean() / at.mean() / (2 * scales)
    return total


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of latents from N(0, 1): nats, mean over latents."""
    mean, log_variance = mean.float(), log_variance.float()
    return (mean**2 + log_variance.exp() - 1 - log_variance).mean() / 2


def weighed(opinion: Tensor, weight: Tensor) -> Tensor:
    """The mean of a critic's opinions (n, 1, h, w), weighted by place (n, 1, H, W), whatever the size."""
    at = F.adaptive_avg_pool2d(weight.float(), (opinion.shape[-2], opinion.shape[-1]))
    return (opinion.float() * at).mean() / at.mean()


def told_apart(true: Tensor, made: Tensor, weight: Tensor) -> Tensor:
    """What a critic makes smaller: hinge loss (Lim and Ye 2017) of its opinions, + is true, weighted by place."""
    return (weighed(F.relu(1 - true), weight) + weighed(F.relu(1 + made), weight)) / 2


def unlike(result: Sequence[Tensor], truth: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of features, of which each kind counts the same whatever its size."""
    differences = [
        (a.float() - b.float()).abs().mean() / b.float().abs().mean().clamp_min(1e-6)
        for a, b in zip(result, truth, strict=True)
    ]
    return torch.stack(differences).mean()


def heard(progress: float, begins: float) -> float:
    """How far a critic is listened to that comes in when so much of a run is over, 0 to 1: a new one knows nothing
    yet."""
    return min(max((progress - begins) / 0.05, 0.0), 1.0)


def cost_of(
    result: Tensor, truth: Tensor, weight: Tensor, critic: Opinions, share: float, costs: Costs
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """What pictures (n, 3, h, w) cost, weighted by place (n, 1, h, w), and of what that consists; `share`: how far the
    critic is `heard`."""
    parts = {"l1": far(result, truth, weight), "edges": edges(result, truth, weight)}
    total = parts["l1"] + costs.edges * parts["edges"]
    if share > 0:
        features, opinion = critic(result)
        with torch.no_grad():
            wanted, _ = critic(truth)
        parts |= {"opinion": -weighed(opinion, weight), "likeness": unlike(features, wanted)}
        total = total + share * (costs.opinion * parts["opinion"] + costs.likeness * parts["likeness"])
    return total, parts


def criticised(critic: Opinions, result: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """What a critic makes smaller, of results (n, 3, h, w) and truths."""
    _, opinions = critic(torch.cat([truth, result]))
    true, made = opinions.chunk(2)
    return told_apart(true, made, weight)
