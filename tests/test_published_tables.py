"""Other people's names: every one has exactly one home here or is known and dropped, and every home is filled.

What they are called is not taken from our modules: it is written down from the layout of latent diffusion's blocks, or
listed from diffusers' and transformers' own classes, all on the meta device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import pytest
import torch

from understudy import models
from understudy.errors import BadWeights
from understudy.published import low_rank, sources, tables
from understudy.published.tables import Table, explained, sorted_by

CHANGED = {1: False, 2: False, 4: True, 5: False, 7: True, 8: False, 10: False, 11: False}
"""Blocks of the way down that have a resnet: does its width change?"""
LOOKING_DOWN = (1, 2, 4, 5, 7, 8)
LOOKING_UP = (3, 4, 5, 6, 7, 8, 9, 10, 11)


def both(*owners: str) -> Iterator[str]:
    """Weight and bias."""
    for owner in owners:
        yield from (f"{owner}.weight", f"{owner}.bias")


def resnet(at: str, changed: bool) -> Iterator[str]:
    """The original's ResBlock."""
    yield from both(*(f"{at}.{part}" for part in ("in_layers.0", "in_layers.2", "emb_layers.1")))
    yield from both(*(f"{at}.{part}" for part in ("out_layers.0", "out_layers.3")))
    yield from both(f"{at}.skip_connection") if changed else ()


def attention(at: str) -> Iterator[str]:
    """Queries, keys and values without bias."""
    yield from (f"{at}.to_{part}.weight" for part in "qkv")
    yield from both(f"{at}.to_out.0")


def transformer(at: str) -> Iterator[str]:
    """The original's SpatialTransformer of depth 1."""
    inner = f"{at}.transformer_blocks.0"
    yield from both(f"{at}.norm", f"{at}.proj_in", f"{at}.proj_out")
    yield from both(*(f"{inner}.norm{number}" for number in (1, 2, 3)))
    yield from (*attention(f"{inner}.attn1"), *attention(f"{inner}.attn2"))
    yield from both(f"{inner}.ff.net.0.proj", f"{inner}.ff.net.2")


def way_down(at: str) -> Iterator[str]:
    """time_embed, input_blocks and middle_block of the original U-Net of Stable Diffusion 1.5."""
    yield from both(f"{at}.time_embed.0", f"{at}.time_embed.2", f"{at}.input_blocks.0.0")
    for block, changed in CHANGED.items():
        yield from resnet(f"{at}.input_blocks.{block}.0", changed)
    for block in LOOKING_DOWN:
        yield from transformer(f"{at}.input_blocks.{block}.1")
    yield from both(*(f"{at}.input_blocks.{block}.0.op" for block in (3, 6, 9)))
    yield from (*resnet(f"{at}.middle_block.0", False), *resnet(f"{at}.middle_block.2", False))
    yield from transformer(f"{at}.middle_block.1")


def way_up(at: str) -> Iterator[str]:
    """output_blocks."""
    for block in range(12):
        yield from resnet(f"{at}.output_blocks.{block}.0", True)
    for block in LOOKING_UP:
        yield from transformer(f"{at}.output_blocks.{block}.1")
    yield from both(*(f"{at}.output_blocks.{name}.conv" for name in ("2.1", "5.2", "8.2")))


def original_unet(at: str) -> Iterator[str]:
    yield from (*way_down(at), *way_up(at), *both(f"{at}.out.0", f"{at}.out.2"))


def hints(at: str) -> Iterator[str]:
    yield from both(*(f"{at}.input_hint_block.{number}" for number in range(0, 15, 2)))


def control(at: str) -> Iterator[str]:
    yield from (*way_down(at), *hints(at), *both(f"{at}.middle_block_out.0"))
    yield from both(*(f"{at}.zero_convs.{number}.0" for number in range(12)))


def module_along(at: str, *, positions: bool, name: str = "temporal_transformer") -> Iterator[str]:
    """AnimateDiff's module: two looks, a thought."""
    inner = f"{at}.{name}.transformer_blocks.0"
    yield from both(f"{at}.{name}.norm", f"{at}.{name}.proj_in", f"{at}.{name}.proj_out")
    for look in (0, 1):
        yield from attention(f"{inner}.attention_blocks.{look}")
        yield from [f"{inner}.attention_blocks.{look}.pos_encoder.pe"] if positions else []
        yield from both(f"{inner}.norms.{look}")
    yield from both(f"{inner}.ff.net.0.proj", f"{inner}.ff.net.2", f"{inner}.ff_norm")


def original_autoencoder(at: str) -> Iterator[str]:
    """first_stage_model: the original's AutoencoderKL of widths 128, 256, 512, 512."""

    def block(at: str, changed: bool) -> Iterator[str]:
        yield from both(*(f"{at}.{part}" for part in ("norm1", "conv1", "norm2", "conv2")))
        yield from both(f"{at}.nin_shortcut") if changed else ()

    for side in ("encoder", "decoder"):
        yield from both(*(f"{at}.{side}.{part}" for part in ("conv_in", "norm_out", "conv_out")))
        yield from (*block(f"{at}.{side}.mid.block_1", False), *block(f"{at}.{side}.mid.block_2", False))
        yield from both(*(f"{at}.{side}.mid.attn_1.{part}" for part in ("norm", "q", "k", "v", "proj_out")))
    for level in range(4):
        for number in range(2):
            yield from block(f"{at}.encoder.down.{level}.block.{number}", number == 0 and level in (1, 2))
        for number in range(3):
            yield from block(f"{at}.decoder.up.{level}.block.{number}", number == 0 and level in (0, 1))
        yield from both(f"{at}.encoder.down.{level}.downsample.conv") if level < 3 else ()
        yield from both(f"{at}.decoder.up.{level}.upsample.conv") if level > 0 else ()
    yield from both(f"{at}.quant_conv", f"{at}.post_quant_conv")


def text_tower(at: str) -> Iterator[str]:
    """CLIP's text model of 12 layers: 196 names."""
    yield from (f"{at}.embeddings.{part}_embedding.weight" for part in ("token", "position"))
    for layer in range(12):
        inner = f"{at}.encoder.layers.{layer}"
        yield from both(*(f"{inner}.self_attn.{part}_proj" for part in ("k", "v", "q", "out")))
        yield from both(*(f"{inner}.{part}" for part in ("layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2")))
    yield from both(f"{at}.final_layer_norm")


def buffers() -> Iterator[str]:
    """What latent diffusion registers of its schedule."""
    kept = "alphas_cumprod"
    yield from ("betas", kept, f"{kept}_prev", f"sqrt_{kept}", f"sqrt_one_minus_{kept}", f"log_one_minus_{kept}")
    yield from (f"sqrt_recip_{kept}", f"sqrt_recipm1_{kept}", "logvar")
    yield from ("posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2")


def x_portrait_names() -> list[str]:
    """model_state-415001.th, as its classes define it."""
    unet = "model.diffusion_model"
    along = [f"{unet}.input_blocks_motion_module.{number}.0" for number in range(8)]
    along += [f"{unet}.output_blocks_motion_module.{number}.0" for number in range(12)]
    reads = "appearance_control_model"
    return [
        *original_unet(unet),
        *(name for at in along for name in module_along(at, positions=True)),
        *(*way_down(reads), *way_up(reads), *hints(reads)),
        *(*control("pose_control_model"), *control("local_pose_control_model")),
        *original_autoencoder("first_stage_model"),
        *text_tower("cond_stage_model.transformer.text_model"),
        *buffers(),
    ]


def diffusers_unet() -> list[str]:
    """Stable Diffusion 1.5's U-Net, listed from diffusers' own class."""
    diffusers = pytest.importorskip("diffusers")
    with torch.device("meta"):
        net = diffusers.UNet2DConditionModel(cross_attention_dim=768)
    return list(net.state_dict())


def modules_of_blocks(kind: str, middle: bool) -> list[str]:
    """Where AnimateDiff and X-NeMo have their modules."""
    down = [f"down_blocks.{block}.{kind}.{layer}" for block in range(4) for layer in range(2)]
    up = [f"up_blocks.{block}.{kind}.{layer}" for block in range(4) for layer in range(3)]
    return down + ([f"mid_block.{kind}.0"] if middle else []) + up


@cache
def places(name: str) -> Mapping[str, object]:
    return sources.named(name).places()


@cache
def tables_of(name: str) -> tuple[Table, ...]:
    return sources.named(name).tables()


def homes_of(table: Table, found: Iterable[str]) -> set[str]:
    """The homes that a file's names fill; every name must have one, or be text, or be known and dropped."""
    found = list(found)
    assert len(set(found)) == len(found)
    each = sorted_by(table, found)
    assert each.unknown == ()
    assert len(each.homes) + len(each.text) + len(each.dropped) == len(found), "two names have one home"
    return set(each.homes)


def test_x_portrait() -> None:
    (table,) = tables_of("x-portrait")
    found = x_portrait_names()
    assert len(found) == 3081
    assert homes_of(table, found) | {"context"} == set(places("x-portrait"))
    each = sorted_by(table, found)
    assert (len(each.homes), len(each.text), len(each.dropped)) == (2872, 196, 13)
    assert set(table.homes) == {*found} - {*each.text} - {*each.dropped}, "the table knows names that nobody has"


@pytest.mark.parametrize(
    ("foreign", "ours", "shape"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "unet.conv_in.weight", (320, 4, 3, 3)),
        (
            "model.diffusion_model.input_blocks.1.1.proj_in.weight",
            "unet.down_blocks.0.attentions.0.proj_in.weight",
            (320, 320, 1, 1),
        ),
        (
            "model.diffusion_model.input_blocks.4.0.skip_connection.weight",
            "unet.down_blocks.1.resnets.0.conv_shortcut.weight",
            (640, 320, 1, 1),
        ),
        (
            "model.diffusion_model.output_blocks.5.2.conv.weight",
            "unet.up_blocks.1.upsamplers.0.conv.weight",
            (1280, 1280, 3, 3),
        ),
        (
            "model.diffusion_model.output_blocks.8.0.in_layers.2.weight",
            "unet.up_blocks.2.resnets.2.conv1.weight",
            (640, 960, 3, 3),
        ),
        ("model.diffusion_model.out.2.weight", "unet.conv_out.weight", (4, 320, 3, 3)),
        (
            "model.diffusion_model.input_blocks_motion_module.2.0.temporal_transformer.proj_in.weight",
            "unet.down_blocks.1.temporal_modules.0.temporal_transformer.proj_in.weight",
            (640, 640),
        ),
        (
            "model.diffusion_model.output_blocks_motion_module.11.0.temporal_transformer.norm.weight",
            "unet.up_blocks.3.temporal_modules.2.temporal_transformer.norm.weight",
            (320,),
        ),
        ("pose_control_model.zero_convs.0.0.weight", "controls.0.controlnet_down_blocks.0.weight", (320, 320, 1, 1)),
        (
            "local_pose_control_model.zero_convs.11.0.weight",
            "controls.1.controlnet_down_blocks.11.weight",
            (1280, 1280, 1, 1),
        ),
        ("pose_control_model.middle_block_out.0.weight", "controls.0.controlnet_mid_block.weight", (1280, 1280, 1, 1)),
        (
            "pose_control_model.input_hint_block.8.weight",
            "controls.0.controlnet_cond_embedding.blocks.3.weight",
            (96, 32, 3, 3),
        ),
        (
            "appearance_control_model.input_hint_block.14.weight",
            "reference.unfed_hint.conv_out.weight",
            (320, 256, 3, 3),
        ),
        (
            "first_stage_model.decoder.up.0.block.0.nin_shortcut.weight",
            "autoencoder.decoder.up_blocks.3.resnets.0.conv_shortcut.weight",
            (128, 256, 1, 1),
        ),
        (
            "first_stage_model.encoder.mid.attn_1.q.weight",
            "autoencoder.encoder.mid_block.attentions.0.to_q.weight",
            (512, 512),
        ),
    ],
)
def test_names_that_were_published(foreign: str, ours: str, shape: tuple[int, ...]) -> None:
    """Representative keys with their shapes, as the released definitions list them."""
    (table,) = tables_of("x-portrait")
    assert table.homes[foreign] == ours
    assert places("x-portrait")[ours][0] == shape  # type: ignore[index]


def test_x_nemo() -> None:
    unet, reference, encoder, pictures = tables_of("x-portrait-2")
    base = diffusers_unet()
    told = [name for at in modules_of_blocks("motion_modules", True) for name in module_along(at, positions=False)]
    along = [name for at in modules_of_blocks("temporal_modules", True) for name in module_along(at, positions=True)]
    assert (len(base), len(told), len(along)) == (686, 546, 588)
    denoising = homes_of(unet, base + told)
    temporal = homes_of(unet, along)
    reads = homes_of(reference, [name for name in base if not name.startswith(("conv_norm_out", "conv_out"))])
    assert len(reads) == 682
    motion = homes_of(encoder, motion_encoder_names())
    assert len(motion) == 407
    diffusers = pytest.importorskip("diffusers")
    with torch.device("meta"):
        net = diffusers.AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512), layers_per_block=2
        )
    decoding = homes_of(pictures, net.state_dict())
    filled = (denoising, temporal, reads, motion, decoding)
    assert set().union(*filled) == set(places("x-portrait-2"))
    assert sum(map(len, filled)) == len(places("x-portrait-2")), "two files fill one home"


def motion_encoder_names() -> Iterator[str]:
    """xnemo_motion_encoder.pth: FAN's names with three looks, then what makes tokens."""

    def norm(at: str) -> Iterator[str]:
        yield from (*both(at), *(f"{at}.{part}" for part in ("running_mean", "running_var", "num_batches_tracked")))

    def block(at: str, changed: bool = False) -> Iterator[str]:
        for number in (1, 2, 3):
            yield from (*norm(f"{at}.bn{number}"), f"{at}.conv{number}.weight")
        yield from (*norm(f"{at}.downsample.0"), f"{at}.downsample.2.weight") if changed else ()

    def look(at: str) -> Iterator[str]:
        inner = f"{at}.transformer_blocks.0"
        yield from both(f"{at}.norm", f"{at}.pos_embed.proj", f"{at}.proj_out")
        yield from (*attention(f"{inner}.attention_blocks.0"), *both(f"{inner}.norms.0", f"{inner}.ff_norm"))
        yield from both(f"{inner}.ff.net.0.proj", f"{inner}.ff.net.2")

    at = "model"
    yield from (*both(f"{at}.conv1"), *norm(f"{at}.bn1"))
    yield from (*block(f"{at}.conv2", True), *block(f"{at}.conv3"), *block(f"{at}.conv4", True))
    for level in (4, 3, 2, 1):
        for branch in ("b1", "b2", "b3"):
            yield from block(f"{at}.m0.{branch}_{level}")
    yield from (*block(f"{at}.m0.b2_plus_1"), *block(f"{at}.top_m_0"))
    yield from (*both(f"{at}.conv_last0"), *norm(f"{at}.bn_end0"), *both(f"{at}.l0"), *norm(f"{at}.bn5"))
    yield from both(f"{at}.conv6", f"{at}.fc")
    for number in (1, 2, 3):
        yield from look(f"{at}.att_{number}")
    yield from (*both("bbox_proj.0", "bbox_proj.3", "final_proj"), "pe")


def test_stable_diffusion_in_its_original_file() -> None:
    whole = tables_of("stable-diffusion-1.5")[0]
    found = [
        *original_unet("model.diffusion_model"),
        *original_autoencoder("first_stage_model"),
        *text_tower("cond_stage_model.transformer.text_model"),
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
        *buffers(),
    ]
    assert homes_of(whole, found) | {"context"} == set(places("stable-diffusion-1.5"))
    assert explained(tables_of("stable-diffusion-1.5"), found).table is whole


def test_stable_diffusion_in_diffusers_files() -> None:
    diffusers = pytest.importorskip("diffusers")
    _, unet, pictures, text = tables_of("stable-diffusion-1.5")
    with torch.device("meta"):
        net = diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
    new = list(net.state_dict())
    old = [re.sub(r"\.to_out\.0\.", ".proj_attn.", name) for name in new]
    old = [re.sub(r"\.to_q\.", ".query.", re.sub(r"\.to_k\.", ".key.", name)) for name in old]
    old = [re.sub(r"\.to_v\.", ".value.", name) for name in old]
    assert old != new
    filled = homes_of(unet, diffusers_unet()) | homes_of(pictures, new) | {"context"}
    assert filled == set(places("stable-diffusion-1.5"))
    assert homes_of(pictures, old) == homes_of(pictures, new)
    assert homes_of(text, text_tower("text_model")) == set()


def test_image_variations() -> None:
    transformers = pytest.importorskip("transformers")
    (table,) = tables_of("image-variations")
    assert homes_of(table, diffusers_unet()) == set(places("image-variations"))
    (sees,) = tables_of("clip-pictures")
    given = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    with torch.device("meta"):
        net = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(**given, image_size=224, patch_size=14, projection_dim=768)
        )
    found = [*net.state_dict(), "vision_model.embeddings.position_ids"]
    assert homes_of(sees, found) == set(places("clip-pictures"))


def tiny_names() -> tuple[list[str], list[str]]:
    """taesd_encoder.pth and taesd_decoder.pth: plain sequences, as its class writes them down."""

    def numbered(parts: str) -> Iterator[str]:
        for number, part in enumerate(parts):
            yield from both(f"{number}") if part == "c" else [f"{number}.weight"] if part == "s" else ()
            yield from both(*(f"{number}.conv.{inner}" for inner in (0, 2, 4))) if part == "b" else ()

    # c: a convolution, s: one without bias, b: a block, -: nothing with weights
    return [*numbered("cb" + "sbbb" * 3 + "c")], [*numbered("-c-" + "bbb-s" * 3 + "bc")]


def test_tiny_autoencoder() -> None:
    pytest.importorskip("diffusers")
    encoder, decoder, whole = tables_of("tiny-autoencoder")
    encodes, decodes = tiny_names()
    assert homes_of(encoder, encodes) | homes_of(decoder, decodes) == set(places("tiny-autoencoder"))
    assert explained((encoder, decoder, whole), decodes).table is decoder
    assert explained((encoder, decoder, whole), encodes).table is encoder


@pytest.mark.parametrize(("name", "middle"), [("animatediff-v1", False), ("animatediff-v2", True)])
@pytest.mark.parametrize("before", ["", "module."])
def test_animate_diff(name: str, middle: bool, before: str) -> None:
    (table,) = tables_of(name)
    at = modules_of_blocks("motion_modules", middle)
    found = [before + inner for module in at for inner in module_along(module, positions=True)]
    assert homes_of(table, found) == set(places(name))


def test_the_two_motion_modules_look_as_far_as_the_models_that_begin_from_them() -> None:
    along = "unet.down_blocks.0.temporal_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0"
    assert places("animatediff-v1")[f"{along}.pos_encoder.pe"][0] == (1, 24, 320)  # type: ignore[index]
    assert places("animatediff-v2")[f"{along}.pos_encoder.pe"][0] == (1, 32, 320)  # type: ignore[index]


def test_lcm_lora_changes_what_is_here() -> None:
    """What its training changed, listed from diffusers' class: each is exactly one of our modules, of its shape."""
    diffusers = pytest.importorskip("diffusers")
    from understudy.generator.unet import UNet

    with torch.device("meta"):
        theirs = diffusers.UNet2DConditionModel(cross_attention_dim=768)
        ours = UNet(models.x_portrait().unet)
    changed = {
        name: module.weight.shape
        for name, module in theirs.named_modules()
        if any(name == end or name.endswith(f".{end}") for end in low_rank.CHANGED) and hasattr(module, "weight")
    }
    assert len(changed) == 278
    here = low_rank.changeable(ours)
    known = low_rank.homes(here)
    for name, shape in changed.items():
        for foreign in (f"lora_unet_{name.replace('.', '_')}", f"unet.{name}", f"base_model.model.{name}"):
            assert known[foreign] == name
        assert here[name].weight.shape == shape


def test_x_nemos_files_are_told_apart() -> None:
    every = tables_of("x-portrait-2")
    unet, reference, encoder, _ = every
    base = list(reference.homes)
    assert explained(every, base).table is reference
    assert explained(every, [*base, "conv_out.weight"]).table is unet
    assert explained(every, list(encoder.homes)).table is encoder
    along = [name for name in unet.homes if "temporal_modules" in name]
    assert explained(every, along).table is unet


def test_what_nobody_knows_is_said() -> None:
    (table,) = tables_of("x-portrait")
    each = sorted_by(table, ["betas", "model_ema.decay", "optimizer.step", "model.diffusion_model.out.2.bias"])
    assert (each.unknown, each.dropped) == (("optimizer.step",), ("betas", "model_ema.decay"))
    with pytest.raises(BadWeights, match=r"lm_head\.weight"):
        explained(tables_of("x-portrait"), ["lm_head.weight"])
    with pytest.raises(BadWeights, match="two tables know"):
        tables.joined("both", table, table)
