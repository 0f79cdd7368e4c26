"""A generator made quicker on a GPU, the same numbers but for rounding: its layers compiled, its kernels recorded.

Layer by layer, for fixed shapes: a whole U-Net at once takes many minutes to compile, and shapes that may change take
longer still. Nothing of it is worth the wait on a CPU.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from understudy.generator.blocks import MotionModule, TimeModule, Transformer
from understudy.generator.layers import ResnetBlock
from understudy.published.thrifty import Thrifty

COMPILED: Final = (ResnetBlock, Transformer, MotionModule, TimeModule)
SHAPES: Final = 256
"""Kinds of input that one layer's code is compiled for; torch gives up after 8, and a U-Net has more."""


def quickened(net: Thrifty) -> list[str]:
    """Prepares a generator; what takes time happens in its first window. What should be said of it."""
    if net.device.type != "cuda":
        return [f"--compile is for GPUs of NVIDIA's; on {net.device} nothing was compiled, and the film is the same"]
    compiled(net.unet)
    for control in net.control_nets:
        compiled(control)
    net.record()
    return []


def compiled(net: nn.Module) -> int:
    """Has every layer of a net compiled when it is first used; how many there are."""
    torch._dynamo.config.recompile_limit = SHAPES
    layers = [layer for layer in net.modules() if isinstance(layer, COMPILED)]
    for layer in layers:
        layer.compile(dynamic=False)
    return len(layers)
