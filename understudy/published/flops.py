"""What drawing costs, counted on the meta device, which computes nothing: FLOPs by component, and the most that is in
memory at once. A FLOP is a multiplication or an addition; figures are for one frame and one forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from understudy.generator.control import added
from understudy.generator.generator import Generator, GeneratorConfig

TOLD_ABOUT = 77
"""Tokens of context of a net that is told as many as CLIP's text tower says."""


@dataclass(frozen=True)
class Costs:
    """FLOPs: of a frame in the U-Net without portrait (`untold`), with one whose notes are read anew (`naive`), and
    with one whose keys and values are kept (`told`); of the hints and of the rest of all control nets; of the
    reference net, once; of pictures, encoded and decoded."""

    untold: float
    naive: float
    told: float
    reference: float
    controls: float
    hints: float
    encode: float
    decode: float


@dataclass(frozen=True)
class Sizes:
    """Bytes in the compute type, of the motion encoder in fp32: weights part by part, and what else there is at once
    for a window of frames."""

    drawing: int  # U-Net, control nets and motion encoder
    reading: int  # reference net
    pictures: int  # autoencoder
    notes: int  # kept keys and values, of one level
    window: int  # the U-Net's pass over a window of `frames`, beyond weights and notes
    decoding: int  # of one frame


def on_meta(config: GeneratorConfig, dtype: torch.dtype = torch.float32) -> Generator:
    """A generator that takes no memory."""
    with torch.device("meta"):
        net = Generator(config)
    return net.to("meta", dtype).eval()  # diffusers makes some of its numbers on the CPU all the same


@torch.no_grad()
def counted(work: Callable[[], object]) -> float:
    """FLOPs of some work on the meta device."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


@cache
def costs(config: GeneratorConfig, frames: int | None = None) -> Costs:
    """The costs of a generator, along windows of so many frames (its own, if not said)."""
    net, given = on_meta(config), _Given(config, frames or config.window)
    count = given.frames
    with torch.no_grad():
        single = net.reference(given.portrait, given.one, given.context)
        remembered = net.unet.remembered(single)
        each = [note.expand(count, *note.shape[1:]) for note in single]
        encoded = [control.encode(given.hint) for control in net.control_nets]
    side = config.picture

    def unet(**more: Any) -> Callable[[], object]:
        return lambda: net.unet(given.noisy, given.level, given.context, code=given.code, **more)

    def controls() -> object:
        pairs = zip(net.control_nets, encoded, strict=True)
        return [one(given.noisy, given.level, given.context, hint) for one, hint in pairs]

    return Costs(
        untold=counted(unet()) / count,
        naive=counted(unet(notes=each)) / count,
        told=counted(unet(notes=remembered)) / count,
        reference=counted(lambda: net.reference(given.portrait, given.one, given.context)),
        controls=counted(controls) / count,
        hints=counted(lambda: [one.encode(given.hint) for one in net.control_nets]) / count,
        encode=counted(lambda: net.autoencoder.encode(torch.empty(1, 3, side, side, device="meta"))),
        decode=decoding(net.autoencoder, config),
    )


def decoding(autoencoder: nn.Module, config: GeneratorConfig) -> float:
    """FLOPs of decoding a frame with this autoencoder, a generator's own or a tiny one."""
    latents = torch.empty(1, config.unet.channels, config.side, config.side, device="meta")
    decode: Callable[[Tensor], object] = autoencoder.decode  # type: ignore[assignment]
    return counted(lambda: decode(latents))


@cache
def sizes(config: GeneratorConfig, frames: int, dtype: torch.dtype = torch.bfloat16) -> Sizes:
    """What is in memory with windows of so many frames."""
    net, given = on_meta(config, dtype), _Given(config, frames)
    with torch.no_grad():
        remembered = net.unet.remembered(net.reference(given.portrait, given.one, given.context))
        hints = [control.encode(given.hint) for control in net.control_nets]

    def window() -> object:
        pairs = zip(net.control_nets, hints, strict=True)
        controls = added([one(given.noisy, given.level, given.context, hint) for one, hint in pairs])
        return net.unet(given.noisy, given.level, given.context, notes=remembered, controls=controls, code=given.code)

    latents = torch.empty(1, config.unet.channels, config.side, config.side, device="meta")
    drawing = _weight(net.unet) + sum(map(_weight, net.control_nets))
    if net.encoder is not None:
        drawing += _weight(net.encoder.float())  # as it is loaded, whatever the type of the others
    reading = _weight(net.reference)
    kept = sum(_bytes(part) for note in remembered for part in note)
    return Sizes(
        drawing=drawing,
        reading=reading,
        pictures=_weight(net.autoencoder),
        notes=kept,
        window=most_at_once(window) + sum(map(_bytes, hints)),
        decoding=most_at_once(lambda: net.autoencoder.decode(latents)),
    )


@torch.no_grad()
def most_at_once(work: Callable[[], object]) -> int:
    """The most bytes that some work on the meta device has in tensors of its own at any time, with attention that
    keeps no scores."""
    with ExitStack() as stack:
        stack.enter_context(_Fused())
        living = stack.enter_context(_Living())
        work()
    return int(living.most)


class _Given:
    """What a generator is given for some frames, on the meta device."""

    def __init__(self, config: GeneratorConfig, frames: int) -> None:
        def empty(*shape: int) -> Tensor:
            return torch.empty(*shape, device="meta")

        self.frames = frames
        code, tokens = config.unet.code, 1 if config.encoder is None else config.encoder.tokens
        self.noisy = empty(1, frames, config.unet.channels, config.side, config.side)
        self.level, self.one = empty(1, frames), empty(1)
        self.portrait = empty(1, config.unet.channels, config.side, config.side)
        self.context = empty(1, config.shared_context or 1, config.unet.context)
        self.hint = empty(frames, 3, config.picture, config.picture)
        self.code = None if code is None else empty(1, frames, tokens, code.width)


class _Fused(TorchFunctionMode):
    """Attention as GPUs and CPUs do it: without ever holding who looks how much at whom."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


class _Living(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps count of the storages that were made since it began and are still there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._there: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in before:
                storage = leaf.untyped_storage()
                self._there[storage._cdata] = StorageWeakRef(storage), storage.nbytes()  # type: ignore[no-untyped-call]
        self._there = {key: value for key, value in self._there.items() if not value[0].expired()}  # type: ignore[no-untyped-call]
        self.most = max(self.most, sum(size for _, size in self._there.values()))
        return out


def _weight(net: nn.Module) -> int:
    return sum(map(_bytes, net.state_dict().values()))


def _bytes(value: Tensor) -> int:
    return value.numel() * value.element_size()
