"""Other people's names for the weights of our nets: rules from one of our names to theirs.

Our nets are named as diffusers names them, so most files need no rule. Those that do: latent diffusion's own code (the
original Stable Diffusion, X-Portrait) numbers its blocks through, and its autoencoder counts the way up backwards.
Rules go from ours to theirs, because ours can be listed, and so nothing can be left without a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from understudy.errors import BadWeights
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.control import HintConfig
from understudy.generator.unet import UNetConfig

Rule = Callable[[str], str]
"""One of our names to the foreign one."""

RESNET: Final = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
ENDS: Final = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
LOOK: Final = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_BLOCK: Final = re.compile(r"(down|mid|up)_blocks?(?:\.(\d+))?\.(\w+)\.(\d+)\.(.+)")


def same(name: str) -> str:
    """diffusers' names are ours."""
    return name


def latent_diffusion(config: UNetConfig) -> Rule:
    """The U-Net of the original Stable Diffusion, and X-Portrait's with its motion modules in two lists."""

    def foreign(name: str) -> str:
        owner, _, kind = name.rpartition(".")
        if owner in ENDS:
            return f"{ENDS[owner]}.{kind}"
        found = _BLOCK.fullmatch(name)
        if found is None:
            raise _nameless(name, "latent diffusion's U-Net")
        way, block, part, index, rest = found[1], int(found[2] or 0), found[3], int(found[4]), found[5]
        if part == "temporal_modules":
            return f"{_motion_module(config, way, block, index)}.{rest}"
        if part == "resnets":
            inner, _, kind = rest.rpartition(".")
            rest = f"{RESNET[inner]}.{kind}"
        return f"{_place(config, way, block, part, index)}.{rest.replace('conv.', 'op.') if _halves(part) else rest}"

    return foreign


def _halves(part: str) -> bool:
    return part == "downsamplers"


def _place(config: UNetConfig, way: str, block: int, part: str, index: int) -> str:
    """Where a part of a block stands in latent diffusion's numbering."""
    each = config.layers + 1
    if way == "mid":
        return f"middle_block.{1 if part == 'attentions' else 2 * index}"
    if way == "down":
        number = block * each + (each if _halves(part) else index + 1)
        return f"input_blocks.{number}.{1 if part == 'attentions' else 0}"
    if part == "upsamplers":
        return f"output_blocks.{block * each + config.layers}.{2 if config.attended[::-1][block] else 1}"
    return f"output_blocks.{block * each + index}.{1 if part == 'attentions' else 0}"


def _motion_module(config: UNetConfig, way: str, block: int, index: int) -> str:
    """Where X-Portrait keeps what looks along time."""
    if way == "down":
        return f"input_blocks_motion_module.{block * config.layers + index}.0"
    if way == "up":
        return f"output_blocks_motion_module.{block * (config.layers + 1) + index}.0"
    raise _nameless("mid_block.temporal_modules", "X-Portrait, which looks along time going down and up only")


def latent_diffusion_control(config: UNetConfig, hint: HintConfig) -> Rule:
    """A control net, or a reference net that carries a control net's hint encoder, in latent diffusion's code."""
    body = latent_diffusion(config)
    last = 2 + 4 * (len(hint.widths) - 1)

    def foreign(name: str) -> str:
        owner, _, rest = name.partition(".")
        if owner in ("controlnet_cond_embedding", "unfed_hint"):
            part, _, kind = rest.rpartition(".")
            number = {"conv_in": 0, "conv_out": last}.get(part)
            return f"input_hint_block.{2 + 2 * int(part.split('.')[1]) if number is None else number}.{kind}"
        if owner == "controlnet_down_blocks":
            number_of, _, kind = rest.partition(".")
            return f"zero_convs.{number_of}.0.{kind}"
        if owner == "controlnet_mid_block":
            return f"middle_block_out.0.{rest}"
        return body(name)

    return foreign


def latent_diffusion_autoencoder(config: AutoencoderConfig) -> Rule:
    """The autoencoder of the original Stable Diffusion."""
    top = len(config.widths) - 1

    def foreign(name: str) -> str:
        name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        look = re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.+)\.(\w+)", name)
        if look is not None:
            return f"{look[1]}mid.attn_1.{LOOK[look[2]]}.{look[3]}"
        name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
        name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
        name = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{top - int(found[1])}.block", name)
        return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{top - int(found[1])}.upsample", name)

    return foreign


def tiny_autoencoder(name: str) -> str:
    """TAESD's own files: plain sequences, the decoder's beginning with a clamp that diffusers' class has outside."""
    owner, layers, number, rest = name.split(".", 3)
    if layers != "layers":
        raise _nameless(name, "TAESD")
    return f"{int(number) + (owner == 'decoder')}.{rest}"


def animate_diff(name: str) -> str:
    """AnimateDiff's motion modules: what we call looking along time."""
    return name.replace("temporal_modules", "motion_modules")


def _nameless(name: str, where: str) -> BadWeights:
    return BadWeights(f"{name} has no name in {where}")
