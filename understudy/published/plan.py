"""What fits into so much memory, and how fast it would draw: `understudy plan`.

Sizes and costs are counted, not tried (`flops`); the device's pace is measured in a fraction of a second, by products
of matrices, of which drawing reaches a known share.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import torch

from understudy import device as devices
from understudy.errors import BadOption, UnknownModel
from understudy.generator.autoencoder import TemporalAutoencoderConfig
from understudy.generator.generator import SPACINGS, GeneratorConfig, Manner
from understudy.models import Model
from understudy.published import flops

SHARE: Final[Mapping[str, float]] = {"cuda": 0.35, "mps": 0.35, "cpu": 0.6}
"""Of the pace of large products of matrices that a diffusion U-Net reaches. GPU: compiled Stable Diffusion 1.5 on an
A100, 33 %, and the field's best of 41 %; CPU: .26 to .42 of .49 TFLOP/s in bf16."""
USABLE: Final = 0.92  # of the memory: the rest is the device's own, and pieces between tensors
KEPT: Final = 6 << 27  # bytes that a process takes on a device before any tensor: kernels and their workspaces
DECODED: Final = (8, 4, 2, 1)  # frames at once
WINDOWS: Final = (1.0, 0.75, 0.5)  # of the model's own
SECOND: Final = 25  # frames
PATIENCE: Final = 20.0  # seconds a frame, from which on something else is advised
PROBED: Final = 2048  # sides of the matrices
PROBING: Final = 0.25  # seconds
UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to draw within a memory. `offload`: what is on the device only while it is needed. `memory` is what that
    takes, `available` what there is (0: unknown); `seconds` and `flops` are of one frame."""

    model: str
    device: str
    dtype: str
    window: int
    overlap: int
    decoded_together: int
    offload: tuple[Literal["reading", "pictures"], ...]
    memory: int
    available: int
    fits: bool
    flops: float
    teraflops: float
    seconds: float
    steps: int
    preview: bool


def plan(
    model: Model,
    *,
    memory: int | None = None,
    device: str = "auto",
    steps: int | None = None,
    teraflops: float | None = None,
    preview: bool = False,
    config: GeneratorConfig | None = None,
    manner: Manner | None = None,
) -> Plan:
    """The quickest way of drawing that fits; the smallest, which then does not, where none does. `config`, `manner`: of
    a generator that is not quite the model's own, and of drawing otherwise than usual.

    Errors: `UnknownModel` for one without networks; those of `device.choose`."""
    if model.config is None or model.manner is None:
        raise UnknownModel(f"{model.name} needs no plan", "it has no networks", "x-portrait or x-portrait-2")
    here = devices.choose(device)
    config, manner = config or model.config(), manner or model.manner()
    manner = manner if steps is None else replace(manner, steps=steps)
    dtype = best_dtype(here)
    pace = teraflops * 1e12 if teraflops is not None else measured(here, dtype) * SHARE[here.type]
    room = available(here) if memory is None else memory
    cost = per_frame(config, manner, preview=preview)
    begun = Plan(
        model=model.name,
        device=devices.describe(here),
        dtype=str(dtype).removeprefix("torch."),
        window=config.window,
        overlap=config.overlap,
        decoded_together=decodings(config)[0],
        offload=(),
        memory=0,
        available=room,
        fits=False,
        flops=cost,
        teraflops=pace / 1e12,
        seconds=cost / pace,
        steps=evaluations(manner),
        preview=preview,
    )
    latest = begun
    for latest in ways(begun, config, manner, dtype, pace):
        if latest.fits:
            break
    return latest


def least(found: Plan, config: GeneratorConfig, manner: Manner) -> Plan:
    """What takes least memory, for when a plan has turned out to take more than there is."""
    *_, smallest = ways(found, config, manner, getattr(torch, found.dtype), found.teraflops * 1e12)
    return smallest


def ways(begun: Plan, config: GeneratorConfig, manner: Manner, dtype: torch.dtype, pace: float) -> Iterator[Plan]:
    """Ways of drawing, the quickest first, each with what it takes."""
    for share in WINDOWS:
        window = max(round(config.window * share), config.overlap + 1)
        size = flops.sizes(config, window, dtype)
        cost = per_frame(replace(config, window=window), manner, preview=begun.preview)
        offloads: tuple[tuple[Literal["reading", "pictures"], ...], ...] = ((), ("reading",), ("reading", "pictures"))
        for offload in offloads:
            for together in decodings(config):
                need = taken(size, config, manner, together, offload)
                yield replace(
                    begun,
                    window=window,
                    decoded_together=together,
                    offload=offload,
                    memory=need,
                    fits=not begun.available or need <= begun.available * USABLE,
                    flops=cost,
                    seconds=cost / pace,
                )


def decodings(config: GeneratorConfig) -> tuple[int, ...]:
    """How many frames may be decoded at once: by a decoder that looks along them, first as many as it knows."""
    known = config.autoencoder
    return (known.together, *DECODED) if isinstance(known, TemporalAutoencoderConfig) else DECODED


def taken(size: flops.Sizes, config: GeneratorConfig, manner: Manner, together: int, offload: tuple[str, ...]) -> int:
    """Bytes at the fullest moment: reading the portrait, drawing a window, or decoding."""
    levels = evaluations(manner) if config.reference_level is None else 1
    notes = size.notes * levels
    reading, pictures = (0 if name in offload else getattr(size, name) for name in ("reading", "pictures"))
    read = size.drawing + size.reading + pictures + notes + size.decoding
    drawn = size.drawing + reading + pictures + notes + size.window
    decoded = size.drawing + reading + size.pictures + notes + size.decoding * together
    return KEPT + max(read, drawn, decoded)


def per_frame(config: GeneratorConfig, manner: Manner, *, preview: bool = False) -> float:
    """FLOPs of one frame of a long film, the way we draw it: the portrait read once and for all, hints encoded once,
    windows that overlap."""
    cost = flops.costs(config)
    twice = config.window / (config.window - config.overlap)
    step = cost.told + cost.controls + (cost.untold if manner.guidance != 1 else 0)
    decode = tiny_decoding(config) if preview else cost.decode
    return evaluations(manner) * twice * step + cost.hints + decode


def released_per_frame(config: GeneratorConfig, manner: Manner) -> float:
    """The same as the released scripts draw: the portrait read for every frame, step and window, and encoded twice."""
    cost = flops.costs(config)
    twice = config.window / (config.window - config.overlap)
    once = config.reference_level is not None
    reference = 0 if once else cost.reference
    step = (cost.naive if not once else cost.told) + cost.controls + cost.hints + reference
    step += cost.untold if manner.guidance != 1 else 0
    return evaluations(manner) * twice * step + cost.decode + (0 if once else 2 * cost.encode)


def tiny_decoding(config: GeneratorConfig) -> float:
    """FLOPs of a frame in the tiny decoder."""
    from understudy.generator.tiny import TinyAutoencoder
    from understudy.published.sources import tiny_config

    with torch.device("meta"):
        return flops.decoding(TinyAutoencoder(tiny_config()), config)


def evaluations(manner: Manner) -> int:
    """How often the U-Net is asked of each window."""
    return len(SPACINGS[manner.spacing](manner.steps)) - 1


def best_dtype(device: torch.device) -> torch.dtype:
    """bf16, but for cards that compute it slowly, and Apple's."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] < 8:
        return torch.float16
    return torch.float16 if device.type == "mps" else torch.bfloat16


def measured(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP a second of products of matrices on a device, in a quarter of a second."""
    one = torch.rand(PROBED, PROBED, device=device, dtype=dtype)
    _finished(one @ one, device)
    begun, rounds = time.perf_counter(), 0
    while rounds == 0 or time.perf_counter() - begun < PROBING:
        _finished(one @ one, device)
        rounds += 1
    return 2 * PROBED**3 * rounds / (time.perf_counter() - begun)


def _finished(result: torch.Tensor, device: torch.device) -> None:
    """Waits for a device that answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    else:
        result.shape  # noqa: B018 - a CPU is done when it answers


def available(device: torch.device) -> int:
    """Bytes that are free there; 0 where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            found = re.search(r"MemAvailable:\s+(\d+) kB", file.read())
    except OSError:
        return 0
    return int(found[1]) << 10 if found and device.type == "cpu" else 0


def in_bytes(words: str) -> int:
    """`12GB`, `900 MiB` or `8g` as bytes; units are of 1024. Errors: `BadOption`."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", words, re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        raise BadOption("--memory is no amount of memory", repr(words), "--memory 12GB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def sentences(found: Plan) -> list[str]:
    """A plan in words."""
    verdict = "fits" if found.fits else "does not fit"
    of = f" of {_gigabytes(found.available)}" if found.available else ""
    lines = [
        f"{found.model} on {found.device}: {verdict}, {_gigabytes(found.memory)}{of}",
        f"{found.dtype}, {placed(found)}",
        f"{found.steps} steps, {found.flops / 1e12:.1f} TFLOP a frame at {found.teraflops:.2f} TFLOP/s: "
        f"{pace(found.seconds)}",
    ]
    return lines + ([advice(found)] if advice(found) else [])


def placed(found: Plan) -> str:
    """How a plan keeps within its memory."""
    gone = {"reading": "the reference net leaves once it has read", "pictures": "the autoencoder comes only to decode"}
    kept = "; ".join(gone[name] for name in found.offload) or "everything stays on the device"
    return (
        f"windows of {found.window} frames that share {found.overlap}, {found.decoded_together} "
        f"frame{'s' if found.decoded_together > 1 else ''} decoded at once; {kept}"
    )


def advice(found: Plan) -> str:
    """What to use instead, where this is too slow or too large; "" where it is not."""
    if not found.fits:
        return "instead: a device with more memory, or --model warp, which needs none of it"
    if found.seconds < PATIENCE:
        return ""
    hours = found.seconds * SECOND * 60 / 3600
    return (
        f"a minute of film would take {hours:,.0f} hours; instead: --model warp, which is as fast as the film, a GPU, "
        "or fewer --steps (15 to 20 lose little)"
    )


def pace(seconds: float) -> str:
    """Seconds a frame, or frames a second, whichever is the larger number."""
    if seconds >= 60:
        return f"about {seconds / 60:.1f} minutes a frame"
    return f"about {seconds:.1f} s a frame" if seconds >= 1 else f"about {1 / seconds:.1f} frames a second"


def as_object(found: Plan) -> dict[str, Any]:
    """For JSON."""
    return asdict(found)


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
