"""Every model that has a name: values only. Listing them imports nothing heavy; their configs are made when asked for.

Full models are the published ones, number for number. Small ones are values of the same types, of a size that two CPU
cores can train and run; what is known of them is measured on the cast, the only people they know.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from understudy.errors import UnknownModel

if TYPE_CHECKING:
    from understudy.generator.autoencoder import AutoencoderConfig
    from understudy.generator.generator import GeneratorConfig, Manner
    from understudy.generator.turning import TurningConfig
    from understudy.generator.unet import UNetConfig
    from understudy.motion.actor import ActorConfig
    from understudy.motion.encoder import EncoderConfig
    from understudy.motion.perform import Tempo

SHIPPED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True, kw_only=True)
class Model:
    """What can be known of a model without loading it."""

    name: str
    draws: str
    needs: str
    licence: str
    commercial: bool
    """Whether that licence allows commercial use of the weights and of what they draw."""
    follows: Literal["mesh", "frames", "code", "voice"]
    """The kind of motion that it draws from: `MotionMesh`, `MotionFrames` or `MotionCode`; "voice": it draws nothing,
    and makes motion of a voice."""
    modules: tuple[str, ...] = ()
    """What must be installed."""
    weights: tuple[str, ...] = ()
    """Files, shipped with the package or fetched."""
    config: Callable[[], GeneratorConfig] | None = None
    actor: Callable[[], ActorConfig] | None = None
    manner: Callable[[], Manner] | None = None
    """How it draws unless told otherwise."""

    @property
    def here(self) -> bool:
        """Whether it can draw on this machine as it is."""
        return missing_from(self) is None


def missing_from(model: Model) -> str | None:
    """The first thing that a model lacks on this machine, in words; None if it can draw."""
    for module in model.modules:
        if find_spec(module) is None:
            return f"{module}, which is not installed"
    return next((f"its weights, {name}" for name in model.weights if weights_file(name) is None), None)


def weights_file(name: str) -> Path | None:
    """Where a file of weights is: in $UNDERSTUDY_WEIGHTS, shipped, or fetched into ~/.cache/understudy. So weights that
    somebody has trained are taken in the place of shipped ones where that variable names their folder."""
    own = os.environ.get("UNDERSTUDY_WEIGHTS")
    folders = (*([Path(own)] if own else ()), SHIPPED, Path.home() / ".cache" / "understudy")
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


@cache
def x_portrait() -> GeneratorConfig:
    """X-Portrait as released: SD 1.5, its copy that reads the portrait, two ControlNets, motion modules of AnimateDiff
    after every layer, going up after the upsampler; 3.07 thousand million parameters with CLIP's text encoder."""
    from dataclasses import replace

    from understudy.diffusion.noise import STABLE_DIFFUSION
    from understudy.generator.autoencoder import AutoencoderConfig
    from understudy.generator.blocks import TimeConfig
    from understudy.generator.control import ControlConfig, HintConfig
    from understudy.generator.generator import GeneratorConfig, StartConfig
    from understudy.generator.reference import ReferenceConfig

    backbone = _stable_diffusion()
    time = TimeConfig(heads=8, looks=2, longest=24, divide=1, mid=False, after_upsampler=True)
    hint = HintConfig(widths=(16, 32, 96, 256))
    control = ControlConfig(unet=backbone, hint=hint, into=(*backbone.skips, backbone.widths[-1]))
    return GeneratorConfig(
        picture=512,
        autoencoder=AutoencoderConfig(
            fold=1, widths=(128, 256, 512, 512), layers=2, groups=32, latents=4, patch=1, scale=0.18215
        ),
        unet=replace(backbone, time=time),
        reference=ReferenceConfig(unet=backbone, unfed_hint=hint),
        controls=(control, control),
        shared_context=77,
        schedule=STABLE_DIFFUSION,
        prediction="eps",
        reference_level=None,
        start=StartConfig(blur=1, deviation=1.0),
        window=16,
        overlap=4,
    )


@cache
def x_portrait_2() -> GeneratorConfig:
    """X-Portrait 2, that is X-NeMo, as released: attention to the motion code and along time after every layer, the
    middle included, going up before the upsampler; the autoencoder of Stable Video Diffusion."""
    from dataclasses import replace

    from understudy.diffusion.noise import X_NEMO
    from understudy.generator.autoencoder import TemporalAutoencoderConfig
    from understudy.generator.blocks import CodeConfig, TimeConfig
    from understudy.generator.generator import GeneratorConfig, StartConfig
    from understudy.generator.reference import ReferenceConfig

    backbone = _stable_diffusion()
    time = TimeConfig(heads=8, looks=2, longest=32, divide=1, mid=True, after_upsampler=False)
    code = CodeConfig(heads=8, looks=2, width=16, divide=1)
    return GeneratorConfig(
        picture=512,
        autoencoder=TemporalAutoencoderConfig(
            widths=(128, 256, 512, 512), layers=2, latents=4, scale=0.18215, together=25
        ),
        unet=replace(backbone, time=time, code=code),
        reference=ReferenceConfig(unet=backbone),
        controls=(),
        shared_context=0,
        schedule=X_NEMO,
        prediction="eps",
        reference_level=X_NEMO.level(0),
        start=StartConfig(blur=9, deviation=18.0),
        window=24,
        overlap=4,
        encoder=published_encoder(),
    )


@cache
def x_portrait_small() -> GeneratorConfig:
    """X-Portrait of 12 million parameters for 256x256: 16x16 places of folded latents, two resolutions.

    Two heads, because attention with heads of 20 numbers takes a third of a training step on a CPU, of 40 a quarter."""
    from dataclasses import replace

    from understudy.diffusion.noise import RectifiedFlow
    from understudy.generator.blocks import TimeConfig
    from understudy.generator.control import ControlConfig, HintConfig
    from understudy.generator.generator import GeneratorConfig
    from understudy.generator.reference import ReferenceConfig

    backbone = _small_backbone()
    time = TimeConfig(heads=2, looks=2, longest=24, divide=2, mid=False, after_upsampler=True)
    control = ControlConfig(
        unet=replace(backbone, widths=(64, 48)),
        hint=HintConfig(widths=(32, 48, 64), fold=4),
        into=(*backbone.skips, backbone.widths[-1]),
    )
    return GeneratorConfig(
        picture=256,
        autoencoder=small_autoencoder(),
        unet=replace(backbone, time=time),
        reference=ReferenceConfig(unet=backbone),
        controls=(control, control),
        shared_context=1,
        schedule=RectifiedFlow(),
        prediction="flow",
        reference_level=0.0,
        start=None,
        window=16,
        overlap=4,
        crossfaded=True,
    )


@cache
def x_portrait_2_small() -> GeneratorConfig:
    """X-Portrait 2 on the backbone and autoencoder of the small X-Portrait, and an encoder of 2.2 million parameters.
    It has learnt films of 16 frames, so its windows are no longer."""
    from dataclasses import replace

    from understudy.generator.blocks import CodeConfig, TimeConfig
    from understudy.generator.embedding import EmbeddingConfig

    encoder = small_encoder()
    time = TimeConfig(heads=2, looks=2, longest=32, divide=2, mid=True, after_upsampler=False)
    code = CodeConfig(heads=2, looks=2, width=encoder.width, divide=2)
    unet = replace(_small_backbone(), time=time, code=code)
    seen = EmbeddingConfig(widths=(48, 64, 96), groups=16)
    small = x_portrait_small()
    return replace(small, unet=unet, controls=(), window=16, encoder=encoder, embedding=seen, turning=cast_head())


@cache
def cast_head() -> TurningConfig:
    """The head of the cast at large, by trial with pictures of 80 of them in two turns each (docs/training.md)."""
    from understudy.generator.turning import Ellipsoid, TurningConfig

    skull = Ellipsoid(up=0.40, ahead=-0.03, radii=(0.51, 0.59, 0.66))
    jaw = Ellipsoid(up=-0.10, ahead=0.12, radii=(0.38, 0.48, 0.50))
    return TurningConfig(wide=1.10, eyes=0.60, mouth=0.74, solids=(skull, jaw), reach=1.85)


@cache
def small_encoder() -> EncoderConfig:
    """A face of 128x128 pixels to 96 numbers, and those and the box to 16 tokens."""
    from understudy.motion.code import NAMES
    from understudy.motion.encoder import EncoderConfig, FaceNetConfig

    return EncoderConfig(
        side=128,
        room=1.4,
        net=FaceNetConfig(fold=2, widths=(32, 64, 96, 160), blocks=(1, 2, 2, 3), groups=16, squeezed=16),
        code=96,
        normal="layer",
        tokens=16,
        width=16,
        box=64,
        named=len(NAMES),
    )


@cache
def published_encoder() -> EncoderConfig:
    """X-NeMo's, as released: 224x224 pixels to 512 numbers, and those and the box to 32 tokens."""
    from understudy.motion.encoder import EncoderConfig
    from understudy.motion.fan import FanConfig

    return EncoderConfig(
        side=224,
        room=1.1,
        net=FanConfig(side=224, width=256, depth=4, points=68, tokens=1024, heads=8, patches=(4, 2), dropout=0.5),
        code=512,
        normal="none",
        tokens=32,
        width=16,
        box=64,
        named=0,
    )


@cache
def small_autoencoder() -> AutoencoderConfig:
    """8x downscale with 8 channels, convolutions from a quarter of the resolution, latents folded 2x2 into 32 channels.

    Nothing looks at all places at once: that cost an 8th of a step. docs/training.md has what else was tried."""
    from understudy.generator.autoencoder import AutoencoderConfig

    return AutoencoderConfig(
        fold=4, widths=(96, 128), layers=1, groups=16, latents=8, patch=2, scale=1.0, attended=False
    )


@cache
def x_actor() -> ActorConfig:
    """X-Actor at full size: 28 blocks over X-Portrait 2's code (512 numbers, and 3 of a box), heard by wav2vec2. Width,
    heads and chunks are not published; these are our choice."""
    from understudy.diffusion.noise import Cosine
    from understudy.motion.actor import ActorConfig

    return ActorConfig(
        motion=515, sound=768, bands=0, ear=1, width=1024, depth=28, heads=16, chunk=16, context=192, listens=2,
        schedule=Cosine(),
    )  # fmt: skip


@cache
def x_actor_small() -> ActorConfig:
    """X-Actor of 2.6 million parameters over the cast's own 58 numbers, heard by a small net over log-mel spectra; it
    remembers 8 seconds."""
    from dataclasses import replace

    from understudy.motion.space import PLAYED
    from understudy.motion.speech import BANDS, WIDTH

    return replace(x_actor(), motion=PLAYED, sound=WIDTH, bands=BANDS, ear=24, width=152, depth=6, heads=4, context=208)


def small_tempo() -> Tempo:
    """How the small actor performs: three chunks on their way at once."""
    from understudy.motion.perform import Tempo

    return Tempo(steps=8, lag=3, stabilise=0.2, guidance=2.0, lips=1.0, order=2, rho=0.4)


def _stable_diffusion() -> UNetConfig:
    """The U-Net of Stable Diffusion 1.5."""
    from understudy.generator.unet import UNetConfig

    return UNetConfig(
        channels=4,
        widths=(320, 640, 1280, 1280),
        attended=(True, True, True, False),
        layers=2,
        heads=8,
        groups=32,
        context=768,
    )


def _small_backbone() -> UNetConfig:
    from understudy.generator.unet import UNetConfig

    return UNetConfig(channels=32, widths=(80, 112), attended=(True, True), layers=1, heads=2, groups=16, context=32)


def published_manner() -> Manner:
    """X-Portrait's script: 30 steps of DDIM (31 in truth), guidance 5."""
    from understudy.generator.generator import Manner

    return Manner(steps=30, sampler="ddim", spacing="latent_diffusion", guidance=5.0)


def published_manner_2() -> Manner:
    """X-NeMo's script: 35 steps of DDIM, guidance 2.5."""
    from understudy.generator.generator import Manner

    return Manner(steps=35, sampler="ddim", spacing="leading", guidance=2.5)


def small_manner() -> Manner:
    """A film of two seconds while one waits. Few steps: nets that have not learnt long are surest of what comes first,
    and with more steps the truth is farther away (docs/training.md)."""
    from understudy.generator.generator import Manner

    return Manner(steps=3, sampler="dpm_solver", spacing="even", guidance=1.0, alike=1.0)


WARP = Model(
    name="warp",
    draws="photos, paintings, cartoons: bends the picture with the driver's mesh, in real time",
    needs="nothing",
    licence="Apache-2.0",
    commercial=True,
    follows="mesh",
)
X_PORTRAIT_SMALL = Model(
    name="x-portrait-small",
    draws="made-up people of the cast, 256x256, by diffusion",
    needs="torch",
    licence="Apache-2.0",
    commercial=True,
    follows="frames",
    modules=("torch",),
    weights=("autoencoder-small.safetensors", "x-portrait-small.safetensors"),
    config=x_portrait_small,
    manner=small_manner,
)
X_PORTRAIT_2_SMALL = Model(
    name="x-portrait-2-small",
    draws="made-up people of the cast, 256x256, by diffusion from a motion code",
    needs="torch",
    licence="Apache-2.0",
    commercial=True,
    follows="code",
    modules=("torch",),
    weights=("autoencoder-small.safetensors", "x-portrait-2-small.safetensors"),
    config=x_portrait_2_small,
    manner=small_manner,
)
X_ACTOR_SMALL = Model(
    name="x-actor-small",
    draws="nothing itself: makes motion of a voice, for `act`",
    needs="torch",
    licence="Apache-2.0",
    commercial=True,
    follows="voice",
    modules=("torch",),
    weights=("x-actor-small.safetensors",),
    actor=x_actor_small,
)
X_PORTRAIT = Model(
    name="x-portrait",
    draws="photos, 512x512, by diffusion",
    needs="a GPU of 24 GB, weights to be fetched and converted",
    licence="weights: none stated (built on Stable Diffusion 1.5, CreativeML OpenRAIL-M)",
    commercial=False,
    follows="frames",
    modules=("torch",),
    weights=("x-portrait.safetensors",),
    config=x_portrait,
    manner=published_manner,
)
X_PORTRAIT_2 = Model(
    name="x-portrait-2",
    draws="photos, 512x512, by diffusion from a motion code",
    needs="a GPU of 24 GB, weights to be fetched and converted",
    licence="weights: CC BY-NC 4.0, academic use",
    commercial=False,
    follows="code",
    modules=("torch", "diffusers", "transformers"),
    weights=("x-portrait-2.safetensors", "clip-pictures.safetensors"),
    config=x_portrait_2,
    manner=published_manner_2,
)
X_ACTOR = Model(
    name="x-actor",
    draws="nothing itself: makes motion codes of a voice",
    needs="weights that nobody has published: to be trained",
    licence="that of whoever trains it; the design is of arXiv 2508.02944",
    commercial=False,
    follows="voice",
    modules=("torch", "transformers"),
    weights=("x-actor.safetensors",),
    actor=x_actor,
)
LCM_LORA = "lcm-lora-sdv1-5.safetensors"
"""LCM-LoRA, as it is fetched: `--sampler lcm`."""
TINY = "tiny-autoencoder.safetensors"
"""TAESD, converted: `--preview`."""
PUBLISHED = (X_PORTRAIT, X_PORTRAIT_2)
"""Whose weights others have published, in files that hold all of their nets."""
ALL = (WARP, X_PORTRAIT_SMALL, X_PORTRAIT_2_SMALL, X_ACTOR_SMALL, X_PORTRAIT, X_PORTRAIT_2, X_ACTOR)


def named(name: str) -> Model:
    """The model of that name."""
    names = [model.name for model in ALL]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        raise UnknownModel(
            f"No model is called {name}", f"there are {', '.join(names)}", near[0] if near else "understudy models"
        )
    return ALL[names.index(name)]


def listing() -> list[dict[str, str | bool]]:
    """All models, as rows of a table."""
    return [
        {
            "name": model.name,
            "here": model.here,
            "draws": model.draws,
            "needs": model.needs,
            "licence": model.licence,
            "commercial": model.commercial,
        }
        for model in ALL
    ]
