"""The full models, everything in one run: our loop against the released one, and what makes drawing quicker.

    python bench/full.py                              on a GPU: the whole table, some minutes
    python bench/full.py --compile --graphs           the same, layers compiled and kernels recorded
    python bench/full.py --picture 256 --frames 16 --steps 2 --only naive,ours     on two CPU cores, bf16, 5 minutes
    python bench/full.py --small                      a few seconds, to see that it runs

Weights of chance are as quick as learnt ones. Each measure is a process of its own, so that its peak of memory is its
own; it prints one line of JSON, and at the end there is a table. Nothing is read from disk or downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from understudy import device as devices
from understudy import models
from understudy.animate.record import peak_memory
from understudy.diffusion.noise import VariancePreserving, denoiser, keyed_noise, noised
from understudy.diffusion.samplers import ddim, last
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.control import added
from understudy.generator.generator import SPACINGS, Cues, Generator, GeneratorConfig, Manner
from understudy.generator.unet import UNetConfig
from understudy.published import parity, plan, quick
from understudy.published.thrifty import Thrifty

LCM = Manner(steps=4, sampler="consistency", spacing="lcm", guidance=1.0)
MANNERS = {
    "20 steps": Manner(steps=20, sampler="unipc", spacing="trailing", guidance=5.0),
    "8 steps": replace(LCM, steps=8),
    "4 steps": LCM,
    "4 steps tiny": LCM,
    "2 steps tiny": replace(LCM, steps=2),
    "1 step tiny": replace(LCM, steps=1),
    "half film": replace(LCM, steps=1),
    "whole film": replace(LCM, steps=1),
}
MEASURES = ("naive", "ours", "published", *MANNERS)
WIDTHS = (7, 10, 9, 9, 10, 10, 8, 8, 10)
DECODING = 0.4  # of the time, from which on the decoder is what limits
BUSY = 0.2  # of the device's pace, under which it waits more than it computes


@dataclass(frozen=True)
class Asked:
    """What is measured, of which size, where."""

    measure: str
    model: str
    small: bool
    picture: int
    frames: int
    steps: int
    device: str
    dtype: str
    compile: bool
    graphs: bool


@dataclass(frozen=True)
class Found:
    """`first`: seconds to the first frames; `step_ms`: of one evaluation of all nets for a window; `decoding`: share of
    the time that goes to pictures; `share`: of the device's pace in products of matrices; `said`: by what was asked to
    be quicker."""

    measure: str
    frames: int
    seconds: float
    frames_per_second: float
    first: float
    step_ms: float
    decoding: float
    teraflop: float
    share: float
    peak_mb: float
    checksum: float
    said: list[str]


def narrow(config: UNetConfig) -> UNetConfig:
    """Two resolutions, 16 and 32 wide."""
    time_, code = (part and replace(part, heads=2) for part in (config.time, config.code))
    return replace(
        config, widths=(16, 32), attended=(True, False), layers=1, heads=2, groups=4, context=16, time=time_, code=code
    )


def config_of(asked: Asked) -> GeneratorConfig:
    """The published size, for pictures of another side if asked; or the small one of the same kinds."""
    config = models.named(asked.model).config
    assert config is not None
    full = replace(config(), picture=asked.picture)
    if not asked.small:
        return full
    backbone = narrow(full.reference.unet)
    controls = tuple(
        replace(each, unet=backbone, hint=replace(each.hint, widths=(4, 8)), into=(*backbone.skips, 32))
        for each in full.controls
    )
    pictures = AutoencoderConfig(fold=1, widths=(8, 16), layers=1, groups=4, latents=4, patch=1, scale=0.18215)
    return replace(
        full,
        autoencoder=pictures,
        unet=narrow(full.unet),
        reference=replace(full.reference, unet=backbone, unfed_hint=None),
        controls=controls,
        encoder=None,
    )


def made(asked: Asked) -> Thrifty:
    """A generator of chance in which nothing is silent, where and as it is computed with."""
    device, dtype = devices.choose(asked.device), getattr(torch, asked.dtype)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            net = Thrifty(config_of(asked), lambda name, where: None).to(dtype).eval()  # tables are made in fp32
    finally:
        torch.set_default_dtype(before)
    for value in net.parameters():
        value.requires_grad_(False)
        if value.ndim > 1 and not bool(value.any()):
            value.normal_(0, 0.5 / value[0].numel() ** 0.5)
    return net


class Material:
    """A portrait and what a driver does, all by chance."""

    def __init__(self, net: Generator, frames: int) -> None:
        config, dice = net.config, torch.Generator().manual_seed(1)
        self.device = next(net.parameters()).device
        side, code = config.picture, config.unet.code

        def some(*shape: int) -> Tensor:
            return (torch.rand(*shape, generator=dice) * 2 - 1).to(self.device)

        self.picture = some(1, 3, side, side)
        self.context = None if net.context is not None else some(1, 1, config.unet.context)
        tokens = 32 if config.encoder is None else config.encoder.tokens
        self.cues = Cues(
            tuple(some(frames, 3, side, side) for _ in config.controls),
            None if code is None else some(frames, tokens, code.width),
        )


@torch.no_grad()
def naive(net: Generator, given: Material, how: parity.Released) -> Tensor:
    """The released loop with the portrait's mean: every frame's portrait read again in each window at each step, and
    every hint encoded again; all latents of the film in memory."""
    config, count = net.config, len(given.cues)
    schedule = config.schedule
    assert isinstance(schedule, VariancePreserving)
    seen = torch.cat([net.autoencoder.encode(given.picture) for _ in range(count)])
    start = torch.cat([net.autoencoder.encode(given.picture) for _ in range(count)])
    context = given.context if net.context is None else net.context
    assert context is not None
    levels = SPACINGS[how.spacing](how.steps).to(given.device)
    mixed = levels[0] if how.mixed_at is None else levels.new_tensor(schedule.level(how.mixed_at))
    begun = parity.blurred(start, config.start.blur, config.start.deviation) if config.start else start
    noisy = noised(
        begun, keyed_noise(0, range(count), seen.shape[1:], device=given.device), mixed.expand(count), schedule
    )
    step = -1

    def part(noisy: Tensor, level: Tensor, frames: list[int]) -> Tensor:
        told_level = level if config.reference_level is None else torch.full_like(level, config.reference_level)
        code = None if given.cues.code is None else given.cues.code[frames][None]

        def told(noisy: Tensor, level: Tensor) -> Tensor:
            notes = net.reference(seen[frames], told_level, context)
            nets = zip(net.control_nets, given.cues.hints, strict=True)
            controls = added([one(noisy[None], level[None], context, one.encode(hint[frames])) for one, hint in nets])
            answer: Tensor = net.unet(noisy[None], level[None], context, notes=notes, controls=controls, code=code)
            return answer[0]

        def untold(noisy: Tensor, level: Tensor) -> Tensor:
            nobody = context if net.context is not None else torch.zeros_like(context)
            answer: Tensor = net.unet(noisy[None], level[None], nobody, code=code)
            return answer[0]

        both = (denoiser(one, schedule, config.prediction)(noisy, level) for one in (told, untold))
        informed, bare = both
        return bare + how.guidance * (informed - bare)

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        nonlocal step
        step += 1
        begin = parity.offset(0, step, count, how, config.window)
        rings = parity.windows(count, config.window, config.overlap, begin, how)
        return parity.averaged(part, noisy, level, rings)  # type: ignore[arg-type]

    return last(ddim(denoise, noisy, levels, schedule))


def ours(net: Generator, given: Material, how: parity.Released) -> Tensor:
    """The same film, everything that does not change computed once."""
    return parity.film(net, given.picture, given.cues, replace(how, sampled=False), seed=0, context=given.context)


@dataclass
class Watch:
    """When things were done, on a device that answers before it is done."""

    device: torch.device
    first: float = 0.0
    decoding: float = 0.0

    def now(self) -> float:
        """Seconds, once the device has finished."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


@torch.no_grad()
def drawn(
    net: Generator, given: Material, manner: Manner, decode: Callable[[Tensor], Tensor] | None, watch: Watch
) -> Tensor:
    """Our own way, window after window, decoded and let go; returns the last frames."""
    begun = watch.now()
    watch.first, watch.decoding = 0.0, 0.0
    likeness = net.likeness(given.picture, given.context)
    latest = given.picture
    singles = (given.cues[frame : frame + 1] for frame in range(len(given.cues)))
    for latents in net.latents(likeness, singles, manner):
        before = watch.now()
        for pictures in net.decoded(latents, manner, decode):
            watch.first = watch.first or watch.now() - begun
            latest = pictures
        watch.decoding += watch.now() - before
    return latest


def work_of(asked: Asked, net: Generator, given: Material, watch: Watch) -> tuple[Callable[[], Tensor], Manner, bool]:
    """What is done, in which manner, and whether with the tiny decoder."""
    model = models.named(asked.model)
    assert model.manner is not None
    published, how = model.manner(), parity.released(net)
    if asked.measure in ("naive", "ours"):
        how = replace(how, steps=asked.steps)
        loop = naive if asked.measure == "naive" else ours
        return lambda: loop(net, given, how), replace(published, steps=asked.steps), False
    manner = MANNERS.get(asked.measure, published)
    decode, tiny = None, "tiny" in asked.measure
    if tiny:
        from understudy.generator.tiny import TinyAutoencoder
        from understudy.published.sources import tiny_config

        if not asked.small:  # the small one's latents are not for it
            decoder = TinyAutoencoder(tiny_config()).to(given.device, getattr(torch, asked.dtype)).eval()
            decode = decoder.decode
    return lambda: drawn(net, given, manner, decode, watch), manner, tiny


def quicker(asked: Asked, net: Thrifty) -> list[str]:
    """What was asked for, on a GPU; on a CPU what `quickened` says, and nothing is changed."""
    if not (asked.compile or asked.graphs):
        return []
    if net.device.type != "cuda":
        return quick.quickened(net)
    if asked.compile:
        for part in (net.unet, *net.control_nets):
            quick.compiled(part)
    if asked.graphs:
        net.record()
    return []


def measure(asked: Asked) -> Found:
    """One measure, in this process. On a GPU the first time does not count: kernels are chosen and compiled then."""
    net = made(asked)
    count = asked.frames // 2 if asked.measure == "half film" else asked.frames
    given, said = Material(net, count), quicker(asked, net)
    watch = Watch(given.device)
    work, manner, tiny = work_of(asked, net, given, watch)
    if given.device.type == "cuda":
        work()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    begun = watch.now()
    result = work()
    seconds = watch.now() - begun
    flop = (plan.released_per_frame if asked.measure == "naive" else plan.per_frame)(net.config, manner)
    if tiny and not asked.small:
        flop = plan.per_frame(net.config, manner, preview=True)
    pace = plan.measured(given.device, getattr(torch, asked.dtype))
    windows = -(-max(count - net.config.overlap, 1) // (net.config.window - net.config.overlap))
    peak = torch.cuda.max_memory_allocated() / 2**20 if given.device.type == "cuda" else peak_memory()
    return Found(
        measure=asked.measure,
        frames=count,
        seconds=round(seconds, 3),
        frames_per_second=round(count / seconds, 3),
        first=round(watch.first, 3),
        step_ms=round(1000 * (seconds - watch.decoding) / windows / plan.evaluations(manner), 2),
        decoding=round(watch.decoding / seconds, 3),
        teraflop=round(flop / 1e12, 4),
        share=round(flop * count / seconds / pace, 3),
        peak_mb=round(peak, 1),
        checksum=float(result.double().abs().mean()),
        said=said,
    )


def limit(found: Found) -> str:
    """What keeps a measure from being quicker."""
    if found.decoding > DECODING:
        return "decoding"
    return "the device waits for its next kernel" if found.share < BUSY else "arithmetic"


def table(found: list[Found]) -> str:
    """What was found, as text, and what follows from it."""
    names = ("frames", "seconds", "fps", "first s", "ms/step", "TF/frame", "decode", "share", "peak MB")
    head = f"{'measure':<16}" + "".join(f"{name:>{width}}" for name, width in zip(names, WIDTHS, strict=True))
    rows = [
        f"{one.measure:<16}{one.frames:>7}{one.seconds:>10.2f}{one.frames_per_second:>9.3f}{one.first:>9.2f}"
        f"{one.step_ms:>10.1f}{one.teraflop:>10.2f}{one.decoding:>8.1%}{one.share:>8.1%}{one.peak_mb:>10.0f}"
        f"  {limit(one)}"
        for one in found
    ]
    rows += sorted({words for one in found for words in one.said})
    each = {one.measure: one for one in found}
    if {"naive", "ours"} <= each.keys():
        one, other = each["naive"], each["ours"]
        rows.append(
            f"naive / ours: {one.seconds / other.seconds:.2f} in time, {one.peak_mb / other.peak_mb:.2f} in memory; "
            f"results differ by {abs(one.checksum / other.checksum - 1):.1e}"
        )
    if {"half film", "whole film"} <= each.keys():
        rows.append(f"twice the film: {each['whole film'].peak_mb / each['half film'].peak_mb:.3f} times the memory")
    return "\n".join([f"{head}  limited by", *rows])


def main() -> None:
    """Measures in processes of their own, one after the other; prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="x-portrait")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--picture", type=int, default=0, help="side of a picture, if not the model's own")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2, help="of naive and ours")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--compile", action="store_true", help="layers, with torch.compile; on a GPU")
    parser.add_argument("--graphs", action="store_true", help="kernels recorded as CUDA graphs; on a GPU")
    parser.add_argument("--only", default=",".join(MEASURES), help="of " + ", ".join(MEASURES))
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    picture = given.picture or (32 if given.small else 512)
    wanted = [given.measure] if given.measure else given.only.split(",")
    each = [
        Asked(
            name,
            given.model,
            given.small,
            picture,
            given.frames,
            given.steps,
            given.device,
            given.dtype,
            given.compile,
            given.graphs,
        )
        for name in wanted
    ]
    if given.measure:
        print(json.dumps(asdict(measure(each[0]))))
        return
    print(devices.describe(devices.choose(given.device)), file=sys.stderr)
    found = []
    for asked in each:
        command = [sys.executable, __file__, *sys.argv[1:], "--measure", asked.measure]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            print(f"{asked.measure}: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        print(run.stdout.strip(), flush=True)
        found.append(Found(**json.loads(run.stdout.strip().splitlines()[-1])))
    print(table(found))


if __name__ == "__main__":
    main()
