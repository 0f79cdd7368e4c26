"""The full models are the published ones, number for number: built on the meta device, without any weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from understudy import models
from understudy.generator.autoencoder import Autoencoder, AutoencoderConfig
from understudy.generator.blocks import TimeModule
from understudy.generator.control import ControlNet
from understudy.generator.generator import Generator, GeneratorConfig, part
from understudy.generator.reference import ReferenceNet
from understudy.generator.unet import UNet
from understudy.motion.encoder import Encoder

SD_UNET = 859_520_964
CLIP_TEXT = 123_060_480
CLIP_TEXT_ENTRIES = 196
NOISE_BUFFERS = 13


@cache
def on_meta(kind: type[nn.Module], config: object) -> nn.Module:
    with torch.device("meta"):
        return kind(config)


def parameters(net: nn.Module, wanted: Callable[[str], bool] = lambda name: True) -> int:
    return sum(value.numel() for name, value in net.named_parameters() if wanted(name))


def entries(net: nn.Module, prefix: str = "") -> int:
    return sum(name.startswith(prefix) for name in net.state_dict())


def times(name: str) -> bool:
    return "temporal_modules" in name


def motions(name: str) -> bool:
    return "motion_modules" in name


def nets_of_x_portrait() -> list[nn.Module]:
    config = models.x_portrait()
    return [
        on_meta(UNet, config.unet),
        on_meta(ReferenceNet, config.reference),
        *(on_meta(ControlNet, control) for control in config.controls),
        on_meta(Autoencoder, config.autoencoder),
    ]


def test_x_portrait_parameters() -> None:
    unet, reference, control, local, autoencoder = nets_of_x_portrait()
    assert parameters(unet, lambda name: not times(name)) == SD_UNET
    assert parameters(unet, times) == 417_137_600
    assert parameters(reference) == 860_595_280
    assert parameters(control) == parameters(local) == 361_279_120
    assert parameters(autoencoder) == 83_653_863
    assert sum(map(parameters, nets_of_x_portrait())) + CLIP_TEXT == 3_066_526_427


def test_x_portrait_entries() -> None:
    unet, reference, control, local, autoencoder = nets_of_x_portrait()
    time = [name for name in unet.state_dict() if times(name)]
    assert len(time) == 560 and entries(unet) - len(time) == 686
    assert Counter(name.split(".")[0] for name in time) == {"down_blocks": 224, "up_blocks": 336}
    assert entries(reference) == 4 + 248 + 16 + 46 + 384
    assert entries(reference, "unfed_hint") == 16
    assert entries(control) == entries(local) == 4 + 248 + 24 + 16 + 46 + 2
    assert (entries(autoencoder, "encoder"), entries(autoencoder, "decoder")) == (106, 138)
    assert sum(map(entries, nets_of_x_portrait())) + CLIP_TEXT_ENTRIES + NOISE_BUFFERS == 3081


def test_clip_text_is_the_rest_of_x_portrait() -> None:
    """transformers' own count of what the prompt "" goes through; the generator keeps only what comes out."""
    transformers = pytest.importorskip("transformers")
    large = transformers.CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, projection_dim=768
    )
    with torch.device("meta"):
        text = transformers.CLIPTextModel(large)
    assert (parameters(text), entries(text)) == (CLIP_TEXT, CLIP_TEXT_ENTRIES)
    config = models.x_portrait()
    assert (config.shared_context, config.unet.context) == (77, 768)


def test_x_portrait_2_parameters_and_entries() -> None:
    config = models.x_portrait_2()
    unet, reference = on_meta(UNet, config.unet), on_meta(ReferenceNet, config.reference)
    assert parameters(unet) == 1_684_818_244
    assert parameters(unet, lambda name: not times(name) and not motions(name)) == SD_UNET
    assert parameters(unet, motions) == 372_088_000
    assert parameters(unet, times) == 453_209_280
    assert parameters(reference) == 859_508_800
    assert entries(unet) == 1820 and entries(reference) == 682
    encoder = on_meta(Encoder, config.encoder)
    assert parameters(encoder) == 61_665_393 and entries(encoder) == 407
    assert sum(map(motions, unet.state_dict())) == 546 and sum(map(times, unet.state_dict())) == 588


def test_x_portrait_2_entries_of_each_block() -> None:
    state = on_meta(UNet, models.x_portrait_2().unet).state_dict()
    found_in = re.compile(r"^(mid_block|\w+_blocks\.\d)\.(\w+)")
    per_block = Counter(".".join(match.groups()) for match in map(found_in.match, state) if match)
    kinds = ("resnets", "attentions", "motion_modules", "temporal_modules")
    found = {
        block: tuple(per_block[f"{block}.{kind}"] for kind in kinds)
        for block in [*(f"down_blocks.{i}" for i in range(4)), "mid_block", *(f"up_blocks.{i}" for i in range(4))]
    }
    assert found == {
        "down_blocks.0": (20, 52, 52, 56),
        "down_blocks.1": (22, 52, 52, 56),
        "down_blocks.2": (22, 52, 52, 56),
        "down_blocks.3": (20, 0, 52, 56),
        "mid_block": (20, 26, 26, 28),
        "up_blocks.0": (36, 0, 78, 84),
        "up_blocks.1": (36, 78, 78, 84),
        "up_blocks.2": (36, 78, 78, 84),
        "up_blocks.3": (36, 78, 78, 84),
    }


@pytest.mark.parametrize(
    ("config", "name", "shape"),
    [
        (models.x_portrait, "conv_in.weight", (320, 4, 3, 3)),
        (models.x_portrait, "time_embedding.linear_1.weight", (1280, 320)),
        (models.x_portrait, "down_blocks.0.attentions.0.proj_in.weight", (320, 320, 1, 1)),
        (models.x_portrait, "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", (320, 768)),
        (models.x_portrait, "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj.weight", (2560, 320)),
        (models.x_portrait, "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2.weight", (320, 1280)),
        (models.x_portrait_2, "mid_block.resnets.0.time_emb_proj.weight", (1280, 1280)),
        (models.x_portrait_2, "conv_out.weight", (4, 320, 3, 3)),
    ],
)
def test_names_and_shapes(config: Callable[[], GeneratorConfig], name: str, shape: tuple[int, ...]) -> None:
    assert on_meta(UNet, config().unet).state_dict()[name].shape == shape


@pytest.mark.parametrize(
    ("config", "name", "shape"),
    [
        (models.x_portrait, "down_blocks.0.temporal_modules.0.{}.attention_blocks.1.pos_encoder.pe", (1, 24, 320)),
        (models.x_portrait, "down_blocks.0.temporal_modules.0.{}.norms.1.weight", (320,)),
        (models.x_portrait, "down_blocks.0.temporal_modules.0.{}.ff_norm.bias", (320,)),
        (models.x_portrait_2, "down_blocks.0.motion_modules.0.{}.attention_blocks.1.to_k.weight", (320, 16)),
        (models.x_portrait_2, "mid_block.motion_modules.0.{}.attention_blocks.0.to_v.weight", (1280, 16)),
        (models.x_portrait_2, "down_blocks.0.temporal_modules.0.{}.attention_blocks.0.to_k.weight", (320, 320)),
        (models.x_portrait_2, "down_blocks.0.temporal_modules.0.{}.attention_blocks.0.pos_encoder.pe", (1, 32, 320)),
    ],
)
def test_names_and_shapes_of_modules(config: Callable[[], GeneratorConfig], name: str, shape: tuple[int, ...]) -> None:
    name = name.format("temporal_transformer.transformer_blocks.0")
    assert on_meta(UNet, config().unet).state_dict()[name].shape == shape


def test_sixteen_notes_of_published_shapes() -> None:
    """At 512x512: two for each of the three finer resolutions going down, one in the middle, three each going up."""
    reference = on_meta(ReferenceNet, models.x_portrait().reference)
    notes = reference(torch.empty(1, 4, 64, 64, device="meta"), torch.empty(1, device="meta"), _context())
    fine, half, quarter, middle = (4096, 320), (1024, 640), (256, 1280), (64, 1280)
    wanted = [fine] * 2 + [half] * 2 + [quarter] * 2 + [middle] + [quarter] * 3 + [half] * 3 + [fine] * 3
    assert [tuple(note.shape[1:]) for note in notes] == wanted


def test_thirteen_controls_of_published_shapes() -> None:
    control = on_meta(ControlNet, models.x_portrait().controls[0])
    assert isinstance(control, ControlNet)
    encoded = control.encode(torch.empty(2, 3, 512, 512, device="meta"))
    level = torch.empty(1, 2, device="meta")
    controls = control(torch.empty(1, 2, 4, 64, 64, device="meta"), level, _context(), encoded)
    wanted = [(320, 64)] * 3 + [(320, 32)] + [(640, 32)] * 2 + [(640, 16)] + [(1280, 16)] * 2 + [(1280, 8)] * 4
    assert [(each.shape[1], each.shape[2]) for each in controls] == wanted


@pytest.mark.parametrize(
    ("config", "up"),
    [
        (models.x_portrait, [8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64, 64]),
        (models.x_portrait_2, [8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]),
    ],
)
def test_time_modules_look_where_they_were_published_to(config: Callable[[], GeneratorConfig], up: list[int]) -> None:
    """Side of the picture at each look along time: X-Portrait goes up first, the last of each block after it."""
    unet = on_meta(UNet, config().unet)
    sides: list[int] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
        for module in unet.modules()
        if isinstance(module, TimeModule)
    ]
    code = torch.empty(1, 2, 32, 16, device="meta") if config().unet.code else None
    noisy, level = torch.empty(1, 2, 4, 64, 64, device="meta"), torch.empty(1, 2, device="meta")
    answer = unet(noisy, level, _context(), code=code)
    for hook in hooks:
        hook.remove()
    middle = [8] if config().unet.code else []
    assert sides == [64, 64, 32, 32, 16, 16, 8, 8, *middle, *up]
    assert answer.shape == noisy.shape


@pytest.mark.parametrize(
    ("full", "small"),
    [(models.x_portrait, models.x_portrait_small), (models.x_portrait_2, models.x_portrait_2_small)],
)
def test_small_and_full_have_the_same_kinds_of_parameters(
    full: Callable[[], GeneratorConfig], small: Callable[[], GeneratorConfig]
) -> None:
    def kinds(config: GeneratorConfig) -> dict[str, set[str]]:
        nets = [on_meta(UNet, config.unet), on_meta(ReferenceNet, config.reference)]
        nets += [on_meta(ControlNet, control) for control in config.controls]
        each = [{re.sub(r"\.\d+", ".*", name) for name in net.state_dict()} for net in nets]
        return {type(net).__name__: found for net, found in zip(nets, each, strict=True)}

    wanted, found = kinds(full()), kinds(small())
    assert wanted.keys() == found.keys()
    for net, names in wanted.items():
        # nothing feeds the released reference net's hint encoder, so a small one has none
        assert {name for name in names if not name.startswith("unfed_hint")} == found[net]


@pytest.mark.parametrize(("config", "most"), [(models.x_portrait_small, 12.6e6), (models.x_portrait_2_small, 13.95e6)])
def test_small_ones_are_small(config: Callable[[], GeneratorConfig], most: float) -> None:
    """Within the table of the design, 3 + 4 + 3 + 2 * .8 + .8 million, and 3 + 4 + 3 + .6 + .8 + 1.5 + .1, but for an
    encoder that is half as large again: it tells more of what is done and less of who does it, and files fit."""
    generator = on_meta(Generator, config())
    assert parameters(generator) < most
    counted: Counter[str] = Counter()
    for name, value in generator.named_parameters():
        counted[part(name)] += value.numel()
    assert counted["autoencoder"] < 3e6 and counted["backbone"] + counted["reference"] < 7.9e6
    assert max(counted["control 0"], counted["time"], counted["motion"]) < 0.82e6 and counted["encoder"] < 2.35e6


def test_small_generators_share_a_backbone() -> None:
    both = (models.x_portrait_small, models.x_portrait_2_small)
    first, second = (on_meta(UNet, config().unet).state_dict() for config in both)
    shared = {name: value.shape for name, value in first.items() if not times(name)}
    assert {name: value.shape for name, value in second.items() if not times(name) and not motions(name)} == shared


def test_autoencoder_sizes() -> None:
    small = models.small_autoencoder()
    assert isinstance(small, AutoencoderConfig)
    assert (small.channels, small.downscale, models.x_portrait_small().side) == (32, 16, 16)
    assert (models.x_portrait().side, models.x_portrait_2().side) == (64, 64)


def _context() -> Tensor:
    return torch.empty(1, 1, 768, device="meta")
