"""X-Portrait 2 small at a toy width, with weights of chance: for what is promised of any weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from toy import TOY

from understudy import weights
from understudy.generator.blocks import CodeConfig
from understudy.generator.generator import Generator
from understudy.models import cast_head
from understudy.motion.code import NAMES
from understudy.motion.encoder import EncoderConfig, FaceNetConfig

SMALL_2 = "x-portrait-2-small"
ENCODER = EncoderConfig(
    side=32,
    room=1.3,
    net=FaceNetConfig(fold=2, widths=(8, 16), blocks=(0, 1), groups=4, squeezed=4),
    code=10,
    normal="layer",
    tokens=3,
    width=6,
    box=8,
    named=len(NAMES),
)
assert TOY.unet.time is not None
TOY_2 = replace(
    TOY,
    unet=replace(
        TOY.unet,
        time=replace(TOY.unet.time, mid=True, after_upsampler=False),
        code=CodeConfig(heads=2, looks=1, width=6, divide=1),
    ),
    controls=(),
    encoder=ENCODER,
    turning=cast_head(),
)


def by_chance(seed: int = 0) -> Generator:
    """A generator in which nothing is silent, and an encoder whose map and rest are known."""
    torch.manual_seed(seed)
    net = Generator(replace(TOY_2, autoencoder=replace(TOY_2.autoencoder, scale=0.7)))
    for value in net.parameters():
        value.data += 0.1 * torch.randn_like(value)
    assert net.encoder is not None and net.encoder.probe is not None
    for value in net.encoder.probe.buffers():
        value.copy_(torch.randn_like(value))
    return net.eval()


def store(folder: Path, net: Generator, figures: dict[str, float]) -> None:
    """Its two files, as training leaves them."""
    about = weights.About(
        name="autoencoder-small", config=net.config.autoencoder, recipe={}, commit="c0ffee", figures=figures,
        storage="fp32",
    )  # fmt: skip
    weights.save(folder / "autoencoder-small.safetensors", net.autoencoder.state_dict(), about)
    rest = {name: value for name, value in net.state_dict().items() if not name.startswith("autoencoder.")}
    about = replace(about, name=SMALL_2, config=net.config, storage="int8")
    weights.save(folder / f"{SMALL_2}.safetensors", rest, about)
