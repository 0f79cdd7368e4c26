"""Generators with their weights in, ready to draw; and whether somebody is known to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from understudy import weights
from understudy.device import ran_out
from understudy.errors import BadWeights, MissingFile, TooLittleMemory, UnknownModel
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.generator.sight import Sight
from understudy.generator.tiny import TinyAutoencoder
from understudy.models import LCM_LORA, PUBLISHED, TINY, Model, weights_file
from understudy.published import loading, low_rank
from understudy.published.plan import best_dtype
from understudy.published.quick import quickened
from understudy.weights import About, Weights

FOREIGN: Final = "foreign_below"
"""The figure of an autoencoder, dB, under which a reconstruction says that the picture is not of its world."""
SLACK: Final = 2.0
"""Where that figure was not measured: so many dB under the mean of the people it was scored on (`psnr`). With an
autoencoder of 34.7 dB this line had 14 of 15 photographs and paintings below it, and 12 of 14 of the cast above."""


@dataclass(frozen=True)
class Besides:
    """What a published model is drawn with besides its own weights: see `whole`."""

    offload: tuple[str, ...] = ()
    distilled: bool = False
    """With LCM-LoRA added to the U-Net."""
    preview: bool = False
    """With the tiny decoder."""
    compiled: bool = False
    """Made quicker, where that can be."""


@dataclass(frozen=True)
class Trained:
    """A generator, what its files say of themselves, and what is odd about them."""

    generator: Generator
    abouts: tuple[About, ...]
    warnings: tuple[str, ...]
    mark: str
    """Differs when the weights do."""
    encoder_mark: str = ""
    """Differs when those of the motion encoder do: by it codes are known."""
    sight: Sight | None = None
    """What looks at the portrait besides, where the generator is told a context of it."""
    tiny: TinyAutoencoder | None = None
    """What decodes instead, for a preview."""

    @property
    def foreign_below(self) -> float | None:
        """dB; None where nothing was measured."""
        if not self.abouts:
            return None
        figures: Mapping[str, float] = self.abouts[0].figures
        limits = [figures[FOREIGN]] if FOREIGN in figures else []
        limits += [figures["psnr"] - SLACK] if "psnr" in figures else []  # one odd picture lets no photograph pass
        return max(limits, default=None)

    @torch.no_grad()
    def strangeness(self, picture: Tensor) -> float:
        """dB between a picture (3, s, s) in [-1, 1] and what the autoencoder makes of it: low is strange."""
        net = self.generator.autoencoder
        seen = net.decode(net.encode(picture[None])).clamp(-1, 1)[0]
        error = (seen - picture).square().mean().clamp(min=1e-10) / 4
        return float(-10 * error.log10())


def generator(model: Model, device: torch.device | str = "cpu") -> Generator:
    """The generator of a model, its weights in it, on a device; made once. Errors: see `trained`."""
    return trained(model, device).generator


def trained(model: Model, device: torch.device | str = "cpu") -> Trained:
    """A model's generator and what is known of it; made once.

    Errors: `MissingFile` for weights that are not here, `BadWeights` for such as do not fit, `UnknownModel` for a
    model that has no weights of its own."""
    if model in PUBLISHED:
        return whole(model, device, Besides())
    if model.config is None or len(model.weights) != 2:
        raise UnknownModel(f"{model.name} is not drawn by trained weights of this project", remedy="x-portrait-small")
    paths = tuple(_existing(model, name) for name in model.weights)
    return _made(model, paths, tuple(path.stat().st_mtime_ns for path in paths), str(device))


@lru_cache(maxsize=2)
def _made(model: Model, paths: tuple[Path, ...], times: tuple[int, ...], device: str) -> Trained:
    """`times`: when the files were changed."""
    pictures, rest = (weights.load(path) for path in paths)
    net = Generator(_config(model, pictures.about, rest.about))
    tensors = {f"autoencoder.{name}": value for name, value in pictures.tensors.items()}
    own = {name: value for name, value in rest.tensors.items() if not name.startswith("autoencoder.")}
    said = weights.fill(net, Weights(rest.about, tensors | own))
    mark = "; ".join(f"{path.stem} sha256:{sha256(path.read_bytes()).hexdigest()[:16]}" for path in paths)
    net = net.eval()
    return Trained(net.to(device), (pictures.about, rest.about), tuple(said), mark, _encoder_mark(model, net))


def whole(model: Model, device: torch.device | str, besides: Besides) -> Trained:
    """A published model, in the type that suits the device, and what it is drawn with besides; made once.

    Errors: as `trained`; `TooLittleMemory`."""
    files = [*model.weights, *([LCM_LORA] if besides.distilled else []), *([TINY] if besides.preview else [])]
    paths = tuple(_existing(model, name) for name in files)
    times = tuple(path.stat().st_mtime_ns for path in paths)
    try:
        return _whole(model, paths, times, str(device), besides)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise TooLittleMemory(
            f"{model.name} does not fit into the memory of {device}", str(error), f"understudy plan {model.name}"
        ) from error


@lru_cache(maxsize=1)
def _whole(model: Model, paths: tuple[Path, ...], times: tuple[int, ...], device: str, besides: Besides) -> Trained:
    """`times`: when the files were changed."""
    dtype = best_dtype(torch.device(device))
    net = loading.generator(paths[0], dtype, device, besides.offload)
    sees = loading.sight(paths[1], dtype, device) if len(model.weights) > 1 else None
    warnings = list[str]()
    if besides.distilled:
        changes, unknown = low_rank.read(paths[len(model.weights)], low_rank.changeable(net.unet))
        low_rank.add(net.unet, changes)
        if unknown:
            warnings.append(f"{LCM_LORA} also changes what is not here: {len(unknown)} names, such as {unknown[0]}")
    if besides.compiled:
        warnings += quickened(net)
    tiny = loading.tiny(paths[-1], dtype, device) if besides.preview else None
    mark = "; ".join(map(loading.mark, paths))
    return Trained(net, (), tuple(warnings), mark, _encoder_mark(model, net), sees, tiny)


def _encoder_mark(model: Model, net: Generator) -> str:
    """A word for what makes codes; "" where nothing does."""
    if net.encoder is None:
        return ""
    found = sha256()
    for name, value in sorted(net.encoder.model.state_dict().items()):
        found.update(name.encode() + value.float().cpu().numpy().tobytes())
    return f"{model.name} {found.hexdigest()[:16]}"


def _config(model: Model, pictures: About, rest: About) -> GeneratorConfig:
    """What the files were trained as: the header of each says it; the model's own values where one does not."""
    assert model.config is not None
    own = rest.config if isinstance(rest.config, GeneratorConfig) else model.config()
    if pictures.config is None:
        raise BadWeights(
            f"the weights of {pictures.name} do not say what autoencoder they are for",
            "no config in their header",
            "`understudy train autoencoder-small`, which writes it",
        )
    if isinstance(rest.config, GeneratorConfig) and own.autoencoder != pictures.config:
        raise BadWeights(
            f"the weights of {rest.name} were trained with another autoencoder than that of {pictures.name}",
            f"{own.autoencoder} then, {pictures.config} now",
            "weights of one training",
        )
    return replace(own, autoencoder=pictures.config)


def weights_of(model: Model) -> Path:
    """The file of a published model's generator. Errors: `MissingFile`."""
    return _existing(model, model.weights[0])


def _existing(model: Model, name: str) -> Path:
    path = weights_file(name)
    if path is None:
        raise MissingFile(
            f"{model.name} has no weights here",
            f"{name} is neither shipped with this package nor in $UNDERSTUDY_WEIGHTS (~/.cache/understudy)",
            f"`understudy fetch {model.name}` and `understudy weights convert`, or --model warp"
            if model in PUBLISHED
            else f"`understudy train {Path(name).stem}`, and put what it makes there; or --model warp",
        )
    return path
