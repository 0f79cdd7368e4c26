"""Tables: every name in somebody's file has exactly one home here, or is known and dropped.

A home is a name of `Generator`'s weights. Tables are made of a config, so that small nets of the same kinds have them
too, and their nets are built on the meta device, which takes no memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import torch
from torch import nn

from understudy.errors import BadOption, BadWeights
from understudy.generator.autoencoder import AutoencoderConfig
from understudy.generator.generator import Generator, GeneratorConfig
from understudy.published import names
from understudy.published.names import Rule

NOISE: Final = (
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "logvar",
)
"""What latent diffusion keeps of its schedule beside the weights; ours is computed."""
TEXT: Final = r"text_model\.(embeddings\.(position|token)_embedding|encoder\.layers\.\d+|final_layer_norm)\..+"
SPATIAL: Final = r"(?!.*(temporal_modules|motion_modules)).*"
POSITION_IDS: Final = r".*position_ids"
OLD_LOOK: Final = (
    (r"\.query\.", ".to_q."),
    (r"\.key\.", ".to_k."),
    (r"\.value\.", ".to_v."),
    (r"\.proj_attn\.", ".to_out.0."),
)
"""diffusers' autoencoders before 2023 named the parts of attention so."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """`homes`: foreign name to ours. `dropped`: patterns of names that are known, and that nothing here needs.
    `text`: what stands before "text_model" in the names of CLIP's text tower, of which one answer is kept; None if the
    file has none. `aliases`: (pattern, instead) for older spellings."""

    what: str
    homes: Mapping[str, str]
    dropped: tuple[str, ...] = ()
    text: str | None = None
    aliases: tuple[tuple[str, str], ...] = ()

    def spelt(self, name: str) -> str:
        """A foreign name as the table has it."""
        for pattern, instead in self.aliases:
            name = re.sub(pattern, instead, name)
        return name

    def is_text(self, name: str) -> bool:
        """Whether a name belongs to the text tower."""
        return self.text is not None and re.fullmatch(re.escape(self.text) + TEXT, name) is not None

    def is_dropped(self, name: str) -> bool:
        """Whether a name is known, and nothing here needs it."""
        return any(re.fullmatch(pattern, name) for pattern in (*self.dropped, POSITION_IDS))


@dataclass(frozen=True)
class Sorted:
    """The names of a file, by what becomes of them."""

    table: Table
    homes: dict[str, str] = field(default_factory=dict)  # ours to the file's
    text: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def sorted_by(table: Table, found: Iterable[str]) -> Sorted:
    """What becomes of the names of a file, by one table."""
    homes: dict[str, str] = {}
    text, dropped, unknown = [], [], []
    for name in found:
        home = table.homes.get(table.spelt(name))
        if home is not None:
            homes[home] = name
        elif table.is_text(name):
            text.append(name)
        elif table.is_dropped(name):
            dropped.append(name)
        else:
            unknown.append(name)
    return Sorted(table, homes, tuple(text), tuple(dropped), tuple(unknown))


def explained(tables: Iterable[Table], found: Iterable[str]) -> Sorted:
    """What becomes of the names of a file, by the table that leaves fewest unknown, and then fewest homes empty.

    Errors: `BadWeights` for a file of which no table knows a single name."""
    found = list(found)
    each = [sorted_by(table, found) for table in tables]
    best = min(each, key=lambda one: (len(one.unknown), len(one.table.homes) - len(one.homes)))
    if not best.homes and not best.text:
        raise BadWeights(
            "Nothing in this file is known",
            f"{len(found)} names, such as {', '.join(found[:3]) or 'none'}",
            f"a file of {' or '.join(one.table.what for one in each)}",
        )
    return best


def joined(what: str, *tables: Table) -> Table:
    """Several tables of one file. Errors: `BadWeights` where two say something of the same name, or of one home."""
    homes: dict[str, str] = {}
    for table in tables:
        if twice := homes.keys() & table.homes.keys():
            raise BadWeights(f"two tables know {', '.join(sorted(twice)[:3])}")
        homes |= table.homes
    if len(set(homes.values())) != len(homes):
        raise BadWeights(f"two names of {what} have one home")
    text = next((table.text for table in tables if table.text is not None), None)
    dropped, aliases = (tuple(x for table in tables for x in getattr(table, kind)) for kind in ("dropped", "aliases"))
    return Table(what=what, homes=homes, dropped=dropped, text=text, aliases=aliases)


@cache
def places(config: GeneratorConfig) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """All homes of a generator, with the shape and the type that they have there."""
    return shapes_of(Generator, config)


def shapes_of(kind: Callable[[Any], nn.Module], config: Any) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """The same of any net."""
    with torch.device("meta"):
        net = kind(config)
    return {name: (tuple(value.shape), value.dtype) for name, value in net.state_dict().items()}


def of_net(what: str, config: GeneratorConfig, *, at: str, prefix: str, rule: Rule, only: str = ".*") -> Table:
    """The table of one of a generator's nets: our names are after `at`, theirs after `prefix`; `only` those whose own
    name fits."""
    ours = [name.removeprefix(at) for name in places(config) if name.startswith(at)]
    ours = [name for name in ours if re.fullmatch(only, name)]
    homes = {prefix + rule(name): at + name for name in ours}
    if len(homes) != len(ours):
        raise BadWeights(f"the names of {what} run together")
    return Table(what=what, homes=homes)


def x_portrait(config: GeneratorConfig) -> Table:
    """X-Portrait's one file: latent diffusion's names, five nets and a text tower."""
    pose, local = config.controls
    reads = names.latent_diffusion_control(config.reference.unet, config.reference.unfed_hint or pose.hint)
    poses, locals_ = (names.latent_diffusion_control(control.unet, control.hint) for control in (pose, local))
    nets: list[tuple[str, str, Rule]] = [
        ("unet.", "model.diffusion_model.", names.latent_diffusion(config.unet)),
        ("autoencoder.", "first_stage_model.", names.latent_diffusion_autoencoder(_pictures(config))),
        ("reference.", "appearance_control_model.", reads),
        ("controls.0.", "pose_control_model.", poses),
        ("controls.1.", "local_pose_control_model.", locals_),
    ]
    tables = [of_net("X-Portrait", config, at=at, prefix=prefix, rule=rule) for at, prefix, rule in nets]
    return joined("X-Portrait", *tables, LATENT_DIFFUSION_REST)


def x_nemo(config: GeneratorConfig) -> tuple[Table, ...]:
    """X-NeMo's files: the U-Net (in two files, each a part of it), the reference net, the motion encoder; and Stable
    Video Diffusion's autoencoder."""
    whats = {"unet.": "denoising U-Net", "reference.": "reference U-Net", "encoder.": "motion encoder"}
    nets = [of_net(f"X-NeMo's {what}", config, at=at, prefix="", rule=names.same) for at, what in whats.items()]
    return (*nets, autoencoder(config))


def autoencoder(config: GeneratorConfig) -> Table:
    """diffusers' file of Stable Diffusion's or of Stable Video Diffusion's autoencoder."""
    if isinstance(config.autoencoder, AutoencoderConfig):
        what = "Stable Diffusion's autoencoder"
        table = of_net(what, config, at="autoencoder.", prefix="", rule=names.same)
        return joined(what, table, Table(what=what, homes={}, aliases=OLD_LOOK))
    what = "Stable Video Diffusion's autoencoder"  # ours keeps diffusers' class inside
    return of_net(what, config, at="autoencoder.net.", prefix="", rule=names.same)


def stable_diffusion(config: GeneratorConfig) -> tuple[Table, ...]:
    """Stable Diffusion 1.5, of which a generator's U-Net is more: the original's one file; diffusers' three."""
    unet, pictures = names.latent_diffusion(config.unet), names.latent_diffusion_autoencoder(_pictures(config))
    whole = joined(
        "Stable Diffusion",
        of_net("U-Net", config, at="unet.", prefix="model.diffusion_model.", rule=unet, only=SPATIAL),
        of_net("autoencoder", config, at="autoencoder.", prefix="first_stage_model.", rule=pictures),
        LATENT_DIFFUSION_REST,
    )
    return whole, backbone(config), autoencoder(config), Table(what="CLIP's text tower", homes={}, text="")


def backbone(config: GeneratorConfig) -> Table:
    """diffusers' file of a U-Net of which a generator's is more: Stable Diffusion's, or Image Variations'."""
    return of_net("a U-Net", config, at="unet.", prefix="", rule=names.same, only=SPATIAL)


def motion_modules(config: GeneratorConfig) -> Table:
    """AnimateDiff's file, which has nothing but what looks along time."""
    what, only = "AnimateDiff's motion modules", r".*temporal_modules.*"
    table = of_net(what, config, at="unet.", prefix="", rule=names.animate_diff, only=only)
    return joined(what, table, Table(what=what, homes={}, aliases=((r"^module\.", ""),)))


def tiny(homes: Iterable[str]) -> tuple[Table, ...]:
    """TAESD, whose homes are those of `TinyAutoencoder`: its own two files, and diffusers' one."""
    homes = list(homes)
    parts = [[home for home in homes if home.startswith(f"net.{part}.")] for part in ("encoder", "decoder")]
    each = [{names.tiny_autoencoder(home.removeprefix("net.")): home for home in part} for part in parts]
    return (
        Table(what="TAESD's encoder", homes=each[0]),
        Table(what="TAESD's decoder", homes=each[1]),
        Table(what="TAESD", homes={home.removeprefix("net."): home for home in homes}),
    )


def sight(homes: Iterable[str]) -> Table:
    """CLIP's picture tower, as transformers names it and Stable Diffusion Image Variations has it."""
    return Table(what="CLIP's picture tower", homes={home.removeprefix("net."): home for home in homes})


LATENT_DIFFUSION_REST: Final = Table(
    what="the rest",
    homes={},
    dropped=(*NOISE, r"model_ema\..*", r"scale_factor"),
    text="cond_stage_model.transformer.",
)
"""What else is in latent diffusion's files. A running mean of the weights (model_ema) is not what was released to be
drawn with where there are weights beside it."""


def _pictures(config: GeneratorConfig) -> AutoencoderConfig:
    """The autoencoder of a generator that has Stable Diffusion's."""
    if not isinstance(config.autoencoder, AutoencoderConfig):
        raise BadOption("latent diffusion's files have Stable Diffusion's autoencoder", f"{config.autoencoder}")
    return config.autoencoder
