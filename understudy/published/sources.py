"""What has been published, by whom, under which licence, and where a person gets it: values only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from understudy.errors import UnknownModel

if TYPE_CHECKING:
    import torch

    from understudy.generator.generator import GeneratorConfig
    from understudy.generator.sight import SightConfig
    from understudy.generator.tiny import TinyAutoencoderConfig
    from understudy.published.tables import Table

    Places = Mapping[str, tuple[tuple[int, ...], torch.dtype]]

HUB: Final = "https://huggingface.co"


@dataclass(frozen=True, kw_only=True)
class File:
    """One file: its public address, or, where there is none that a program may fetch, how a person gets it."""

    name: str
    address: str | None = None
    by_hand: str = ""
    needed: bool = True


@dataclass(frozen=True, kw_only=True)
class Published:
    """What is converted together into one file of ours, `name`.safetensors.

    `tables`: of the foreign files, any of them; `places`: the homes that have to be filled, with shape and type;
    `config`: what is said in the header. Functions, because making them imports torch."""

    name: str
    what: str
    licence: str
    files: tuple[File, ...]
    tables: Callable[[], tuple[Table, ...]]
    places: Callable[[], Places]
    config: Callable[[], Any]
    converted: bool = True
    """Whether it has to be: what is added to other weights is taken as it is."""


def named(name: str) -> Published:
    """What goes by that name. Errors: `UnknownModel`."""
    names = [each.name for each in ALL]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise UnknownModel(f"Nothing published is called {name}", f"there are {', '.join(names)}", *near)
    return ALL[names.index(name)]


def _config(model: str) -> GeneratorConfig:
    from understudy import models

    config = models.named(model).config
    assert config is not None
    return config()


def _tables(kind: str, model: str) -> tuple[Table, ...]:
    """The tables of a kind, for the published size of a model."""
    from understudy.published import tables

    made: Table | tuple[Table, ...] = getattr(tables, kind)(_config(model))
    return made if isinstance(made, tuple) else (made,)


def _places(model: str, only: str = ".*") -> Places:
    """The homes of a generator whose names fit."""
    from understudy.published.tables import places

    return {name: place for name, place in places(_config(model)).items() if re.fullmatch(only, name)}


def tiny_config() -> TinyAutoencoderConfig:
    """TAESD as released."""
    from understudy.generator.tiny import TinyAutoencoderConfig

    return TinyAutoencoderConfig(widths=(64, 64, 64, 64), blocks=(3, 3, 3, 1), latents=4)


def sight_config() -> SightConfig:
    """CLIP ViT-L/14's picture tower."""
    from understudy.generator.sight import SightConfig

    return SightConfig(side=224, patch=14, width=1024, layers=24, heads=16, answer=768)


def _tiny_places() -> Places:
    from understudy.generator.tiny import TinyAutoencoder
    from understudy.published.tables import shapes_of

    return shapes_of(TinyAutoencoder, tiny_config())


def _sight_places() -> Places:
    from understudy.generator.sight import Sight
    from understudy.published.tables import shapes_of

    return {name: place for name, place in shapes_of(Sight, sight_config()).items() if "position_ids" not in name}


def _tiny_tables() -> tuple[Table, ...]:
    from understudy.published import tables

    return tables.tiny(_tiny_places())


def _sight_tables() -> tuple[Table, ...]:
    from understudy.published import tables

    return (tables.sight(_sight_places()),)


SPATIAL: Final = r"unet\.(?!.*(temporal_modules|motion_modules)).*"
ALONG: Final = r"unet\..*temporal_modules.*"
OPEN_RAIL: Final = "CreativeML OpenRAIL-M"
X_PORTRAIT: Final = Published(
    name="x-portrait",
    what="X-Portrait: U-Net with motion modules, reference net, two ControlNets, autoencoder",
    licence=f"weights: none stated; built on Stable Diffusion 1.5, {OPEN_RAIL}. Code: Apache-2.0",
    files=(
        File(
            name="model_state-415001.th",
            by_hand="Google Drive, folder 1Bq0n-w1VT5l99CoaVg02hFpqE5eGLo9O, as github.com/bytedance/X-Portrait says",
        ),
    ),
    tables=lambda: _tables("x_portrait", "x-portrait"),
    places=lambda: _places("x-portrait"),
    config=lambda: _config("x-portrait"),
)
X_PORTRAIT_2: Final = Published(
    name="x-portrait-2",
    what="X-Portrait 2, that is X-NeMo: U-Net, reference net, motion encoder; Stable Video Diffusion's autoencoder",
    licence="X-NeMo's weights: CC BY-NC 4.0, academic use; Stable Video Diffusion: Stability AI Community License",
    files=(
        *(
            File(
                name=f"xnemo_{part}.pth",
                by_hand="Google Drive, id 1RdjBYYbstO7SOchDg7oimoAwu03g_-mI, "
                "as github.com/bytedance/x-nemo-inference says",
            )
            for part in ("denoising_unet", "temporal_module", "reference_unet", "motion_encoder")
        ),
        File(
            name="svd-vae.safetensors",
            by_hand="huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt, once its licence is accepted: "
            "vae/diffusion_pytorch_model.safetensors",
        ),
    ),
    tables=lambda: _tables("x_nemo", "x-portrait-2"),
    places=lambda: _places("x-portrait-2"),
    config=lambda: _config("x-portrait-2"),
)
CLIP_PICTURES: Final = Published(
    name="clip-pictures",
    what="CLIP's picture tower, which x-portrait-2 looks at the portrait with",
    licence="CLIP: MIT; as Stable Diffusion Image Variations has it: CreativeML OpenRAIL-M",
    files=(
        File(
            name="clip-pictures.bin",
            address=f"{HUB}/lambdalabs/sd-image-variations-diffusers/resolve/main/image_encoder/pytorch_model.bin",
        ),
    ),
    tables=_sight_tables,
    places=_sight_places,
    config=sight_config,
)
STABLE_DIFFUSION: Final = Published(
    name="stable-diffusion-1.5",
    what="Stable Diffusion 1.5: what x-portrait is trained from",
    licence=OPEN_RAIL,
    files=(
        File(
            name="v1-5-pruned-emaonly.safetensors",
            address=f"{HUB}/stable-diffusion-v1-5/stable-diffusion-v1-5/resolve/main/v1-5-pruned-emaonly.safetensors",
        ),
    ),
    tables=lambda: _tables("stable_diffusion", "x-portrait"),
    places=lambda: _places("x-portrait", rf"{SPATIAL}|autoencoder\..*|context"),
    config=lambda: None,
)
VARIATIONS: Final = Published(
    name="image-variations",
    what="Stable Diffusion Image Variations' U-Net: what x-portrait-2 is trained from",
    licence=OPEN_RAIL,
    files=(
        File(
            name="image-variations-unet.bin",
            address=f"{HUB}/lambdalabs/sd-image-variations-diffusers/resolve/main/unet/diffusion_pytorch_model.bin",
        ),
    ),
    tables=lambda: _tables("backbone", "x-portrait-2"),
    places=lambda: _places("x-portrait-2", SPATIAL),
    config=lambda: None,
)
ANIMATE_DIFF: Final = Published(
    name="animatediff-v1",
    what="AnimateDiff's motion modules of 24 frames: what x-portrait's are trained from",
    licence="Apache-2.0",
    files=(File(name="mm_sd_v15.ckpt", address=f"{HUB}/guoyww/animatediff/resolve/main/mm_sd_v15.ckpt"),),
    tables=lambda: _tables("motion_modules", "x-portrait"),
    places=lambda: _places("x-portrait", ALONG),
    config=lambda: None,
)
ANIMATE_DIFF_2: Final = Published(
    name="animatediff-v2",
    what="AnimateDiff's motion modules of 32 frames, the middle included: what x-portrait-2's are trained from",
    licence="Apache-2.0",
    files=(File(name="mm_sd_v15_v2.ckpt", address=f"{HUB}/guoyww/animatediff/resolve/main/mm_sd_v15_v2.ckpt"),),
    tables=lambda: _tables("motion_modules", "x-portrait-2"),
    places=lambda: _places("x-portrait-2", ALONG),
    config=lambda: None,
)
TINY: Final = Published(
    name="tiny-autoencoder",
    what="TAESD: decodes previews at a 17th of the work",
    licence="MIT",
    files=(
        File(
            name="taesd.safetensors",
            address=f"{HUB}/madebyollin/taesd/resolve/main/diffusion_pytorch_model.safetensors",
        ),
    ),
    tables=_tiny_tables,
    places=_tiny_places,
    config=tiny_config,
)
LCM: Final = Published(
    name="lcm-lora",
    what="LCM-LoRA for Stable Diffusion 1.5: 4 to 8 steps instead of 30",
    licence="CreativeML OpenRAIL++-M",
    files=(
        File(
            name="lcm-lora-sdv1-5.safetensors",
            address=f"{HUB}/latent-consistency/lcm-lora-sdv1-5/resolve/main/pytorch_lora_weights.safetensors",
        ),
    ),
    converted=False,
    tables=lambda: (),  # it is added to other weights: see `low_rank`
    places=lambda: {},
    config=lambda: None,
)
ALL: Final = (
    X_PORTRAIT,
    X_PORTRAIT_2,
    CLIP_PICTURES,
    TINY,
    LCM,
    STABLE_DIFFUSION,
    VARIATIONS,
    ANIMATE_DIFF,
    ANIMATE_DIFF_2,
)
