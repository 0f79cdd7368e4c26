"""Nets of the published kinds, a few thousand times smaller, and files of them under the published names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from understudy import models
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.generator.unet import UNetConfig
from understudy.published import tables
from understudy.published.convert import convert
from understudy.published.sources import Published
from understudy.published.tables import Table

WORDS, LAYERS = 20, 2


def small_of(config: UNetConfig) -> UNetConfig:
    """As a published U-Net, narrower, with two resolutions."""
    time = config.time and replace(config.time, heads=2)
    code = config.code and replace(config.code, heads=2)
    return replace(
        config,
        widths=(16, 32),
        attended=(True, False),
        layers=1,
        heads=2,
        groups=4,
        context=64,
        time=time,
        code=code,
    )


@cache
def x_portrait() -> GeneratorConfig:
    """X-Portrait for pictures of 64x64: all kinds of weights that the published one has, and its schedule."""
    full = models.x_portrait()
    backbone = small_of(full.reference.unet)
    controls = tuple(
        replace(each, unet=backbone, hint=replace(each.hint, widths=(4, 8)), into=(*backbone.skips, 32))
        for each in full.controls
    )
    assert full.reference.unfed_hint is not None and isinstance(full.autoencoder, AutoencoderConfig)
    return replace(
        full,
        picture=32,
        autoencoder=replace(full.autoencoder, widths=(8, 16), layers=1, groups=4),
        unet=small_of(full.unet),
        reference=replace(full.reference, unet=backbone, unfed_hint=controls[0].hint),
        controls=controls,
        shared_context=7,
        window=8,
        overlap=2,
    )


@cache
def x_portrait_2() -> GeneratorConfig:
    """X-Portrait 2 with Stable Diffusion's autoencoder, which is quicker made than the other; and a small encoder."""
    full, small = models.x_portrait_2(), models.x_portrait_2_small()
    assert small.encoder is not None and full.unet.code is not None
    encoder = replace(small.encoder, side=64, code=12, tokens=4, width=full.unet.code.width, box=8, normal="none")
    encoder = replace(encoder, named=0)
    return replace(
        full,
        picture=32,
        autoencoder=x_portrait().autoencoder,
        unet=small_of(full.unet),
        reference=replace(full.reference, unet=small_of(full.reference.unet)),
        encoder=encoder,
        window=8,
        overlap=2,
    )


@torch.no_grad()
def stirred(net: nn.Module, seed: int = 0) -> nn.Module:
    """A net none of whose branches is silent: controls, motion and time really act."""
    chance = torch.Generator().manual_seed(seed)
    for name, value in net.named_parameters():
        spread = 0.3 if value.ndim < 2 else 1 / value[0].numel() ** 0.5
        value.copy_(torch.randn(value.shape, generator=chance) * spread + (value.ndim < 2 and "norm" in name))
    return net.eval()


@cache
def generator(config: Callable[[], GeneratorConfig], seed: int = 0) -> Generator:
    net = stirred(Generator(config()), seed)
    assert isinstance(net, Generator)
    return net


def tower(seed: int = 3) -> dict[str, Tensor]:
    """CLIP's text tower of one head and two layers, under transformers' names."""
    chance = torch.Generator().manual_seed(seed)
    width = 64
    found = {"embeddings.token_embedding.weight": (WORDS, width), "embeddings.position_embedding.weight": (7, width)}
    for layer in range(LAYERS):
        at = f"encoder.layers.{layer}"
        found |= {f"{at}.self_attn.{part}_proj.weight": (width, width) for part in ("q", "k", "v", "out")}
        found |= {f"{at}.self_attn.{part}_proj.bias": (width,) for part in ("q", "k", "v", "out")}
        found |= {f"{at}.layer_norm{number}.{kind}": (width,) for number in (1, 2) for kind in ("weight", "bias")}
        found |= {f"{at}.mlp.fc1.weight": (4 * width, width), f"{at}.mlp.fc1.bias": (4 * width,)}
        found |= {f"{at}.mlp.fc2.weight": (width, 4 * width), f"{at}.mlp.fc2.bias": (width,)}
    found |= {f"final_layer_norm.{kind}": (width,) for kind in ("weight", "bias")}
    return {name: torch.randn(shape, generator=chance) * 0.2 for name, shape in found.items()}


def published(config: Callable[[], GeneratorConfig], made: Callable[[GeneratorConfig], Table]) -> Published:
    """A small net as if it had been published."""
    return Published(
        name="toy",
        what="a toy",
        licence="none",
        files=(),
        tables=lambda: (made(config()),),
        places=lambda: tables.places(config()),
        config=config,
    )


def installed(folder: Path) -> Path:
    """A folder of weights with the small X-Portrait in it, as if it were X-Portrait; its file."""
    save_file(foreign_file(), folder / "model.safetensors")
    toy = replace(published(x_portrait, tables.x_portrait), name="x-portrait")
    out = folder / "weights" / "x-portrait.safetensors"
    convert([folder / "model.safetensors"], toy, out)
    return out


def foreign_file() -> dict[str, Tensor]:
    """The small X-Portrait's weights under the names of X-Portrait's own file, with all else that is in it."""
    state = generator(x_portrait).state_dict()
    found = {foreign: state[home].clone() for foreign, home in tables.x_portrait(x_portrait()).homes.items()}
    looks = ("q.weight", "k.weight", "v.weight", "proj_out.weight")
    for name in found:  # latent diffusion has 1x1 convolutions there
        if ".mid.attn_1." in name and name.endswith(looks):
            found[name] = found[name][:, :, None, None]
    found |= {f"cond_stage_model.transformer.text_model.{name}": value for name, value in tower().items()}
    found["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(7)[None]
    return found | {name: torch.ones(1000) for name in tables.NOISE}
