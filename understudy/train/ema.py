"""Averaged weights: what is judged and kept. They lag behind, and are better for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of some parameters of a model, in fp32."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.weights: dict[str, Tensor] = {
            name: parameter.detach().float().clone() for name, parameter in self.parameters.items()
        }

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Go a little towards the parameters. Young averages go further, or they would remember the first weights."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, parameter in self.parameters.items():
            self.weights[name].lerp_(parameter.detach().float(), share)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Within this, the model has the averaged weights; after it, its own again, bit for bit."""
        own = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._put(self.weights)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from averages that were saved."""
        for name, average in self.weights.items():
            average.copy_(weights[name])

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(weights[name])
