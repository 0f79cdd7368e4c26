"""Work on tensors that a GPU is told once and then plays back, as a CUDA graph.

A U-Net is thousands of small kernels; told one by one, a quick GPU waits for the next. A graph is for tensors of one
kind: for others, another one is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

WARM: Final = 3
"""Rounds before anything is recorded, in which kernels are chosen and compiled."""

Played = tuple[Callable[[], object], Tensor]
"""What plays the work back, and where its answer then is."""


class Recorded:
    """A function of tensors (and lists and tuples of them, and None) to one, recorded the first time for each set of
    shapes. Answers are copies: the next round writes where this one's answer was.

    `record`: how, for tests on what is no GPU."""

    def __init__(
        self, work: Callable[..., Tensor], record: Callable[[Callable[[], Tensor]], Played] | None = None
    ) -> None:
        self._work, self._record = work, record or captured
        self._known: dict[object, tuple[list[Any], Played]] = {}

    def __call__(self, *given: Any) -> Tensor:
        leaves, structure = tree_flatten(given)
        key = repr(structure), tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
        if key not in self._known:
            mine = [leaf.clone() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
            self._known[key] = mine, self._record(lambda: self._work(*tree_unflatten(mine, structure)))
        mine, (play, answer) = self._known[key]
        for place, leaf in zip(mine, leaves, strict=True):
            if isinstance(leaf, Tensor):
                place.copy_(leaf)
        play()
        return answer.clone()


def captured(work: Callable[[], Tensor]) -> Played:
    """Work that reads and writes always the same places of a GPU's memory, as a CUDA graph."""
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = work()
    return graph.replay, answer
