"""X-Portrait small at a toy width, with weights of chance: for what is promised of any weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from understudy import weights
from understudy.diffusion.noise import RectifiedFlow
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.blocks import TimeConfig
from understudy.generator.control import ControlConfig, HintConfig
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.generator.reference import ReferenceConfig
from understudy.generator.unet import UNetConfig

SMALL = "x-portrait-small"
BACKBONE = UNetConfig(channels=8, widths=(16, 16), attended=(True, True), layers=1, heads=2, groups=8, context=4)
CONTROL = ControlConfig(
    unet=replace(BACKBONE, widths=(8, 8)), hint=HintConfig(widths=(8, 8), fold=4), into=(*BACKBONE.skips, 16)
)
TOY = GeneratorConfig(
    picture=32,
    autoencoder=AutoencoderConfig(fold=2, widths=(8, 8), layers=1, groups=4, latents=2, patch=2, scale=1.0),
    unet=replace(BACKBONE, time=TimeConfig(heads=2, looks=1, longest=10, divide=1, mid=False, after_upsampler=True)),
    reference=ReferenceConfig(unet=BACKBONE),
    controls=(CONTROL, CONTROL),
    shared_context=1,
    schedule=RectifiedFlow(),
    prediction="flow",
    reference_level=0.0,
    start=None,
    window=7,
    overlap=2,
)


def by_chance() -> Generator:
    """A generator in which nothing is silent."""
    torch.manual_seed(0)
    net = Generator(replace(TOY, autoencoder=replace(TOY.autoencoder, scale=0.7)))
    for value in net.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return net


def store(folder: Path, net: Generator, figures: dict[str, float]) -> None:
    """Its two files, as training leaves them."""
    about = weights.About(
        name="autoencoder-small", config=net.config.autoencoder, recipe={}, commit="c0ffee", figures=figures,
        storage="fp32",
    )  # fmt: skip
    weights.save(folder / "autoencoder-small.safetensors", net.autoencoder.state_dict(), about)
    rest = {name: value for name, value in net.state_dict().items() if not name.startswith("autoencoder.")}
    config = net.config
    weights.save(
        folder / "x-portrait-small.safetensors", rest, replace(about, name=SMALL, config=config, storage="int8")
    )
