"""Pictures to latents and back.

`Autoencoder` is Stable Diffusion's, with diffusers' parameter names, so that its public weights fit; it is written
out here because a film must not wait six seconds for an import, and because small ones are trained where there is only
torch. The small one folds 2x2 pixels into channels before its first convolution, and 2x2 latents into one token after
its last. `TemporalAutoencoder`, which X-Portrait 2 uses, is diffusers' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.errors import MissingExtra
from understudy.generator.layers import (
    Attention,
    Downsample,
    PictureNorm,
    ResnetBlock,
    Upsample,
    to_picture,
    to_tokens,
)


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Every number that shapes an autoencoder's weights, and `scale`, which they were trained to need: latents are
    multiplied by it. `fold`: pixels, and `patch`: latents, to a side of what is folded into channels; 1 is none.
    `attended`: whether all places of a picture look at each other in the middle, as in the published one."""

    fold: int
    widths: tuple[int, ...]
    layers: int
    groups: int
    latents: int
    patch: int
    scale: float
    attended: bool = True

    @property
    def channels(self) -> int:
        """Channels of what `encode` gives."""
        return self.latents * self.patch**2

    @property
    def downscale(self) -> int:
        """Pixels to a side of one place of what `encode` gives."""
        return int(self.fold * 2 ** (len(self.widths) - 1) * self.patch)


@dataclass(frozen=True, kw_only=True)
class TemporalAutoencoderConfig:
    """Stable Video Diffusion's autoencoder, whose decoder looks at the frames before and after."""

    widths: tuple[int, ...]
    layers: int
    latents: int
    scale: float
    together: int

    @property
    def channels(self) -> int:
        """Channels of what `encode` gives."""
        return self.latents

    @property
    def downscale(self) -> int:
        """Pixels to a side of one place of what `encode` gives."""
        return int(2 ** (len(self.widths) - 1))


class Autoencoder(nn.Module):
    """Pictures (n, 3, H, W) in [-1, 1] to latents (n, c, h, w) of about unit size, and back."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        latents = config.latents
        self.encoder = PictureEncoder(config)
        self.decoder = PictureDecoder(config)
        self.quant_conv = nn.Conv2d(2 * latents, 2 * latents, 1)
        self.post_quant_conv = nn.Conv2d(latents, latents, 1)

    def posterior(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance, each (n, latents, h, w), before scaling and patches: what training speaks of."""
        folded = F.pixel_unshuffle(pictures.to(self.quant_conv.weight.dtype), self.config.fold)
        mean, log_variance = torch.chunk(self.quant_conv(self.encoder(folded)), 2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def reconstruct(self, latents: Tensor) -> Tensor:
        """The way back from what `posterior` speaks of."""
        decoded: Tensor = self.decoder(self.post_quant_conv(latents))
        return F.pixel_shuffle(decoded, self.config.fold)

    def encode(self, pictures: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """Latents (n, c, h, w), fp32: the mean, or a sample if given chance (X-Portrait samples, X-NeMo does not)."""
        mean, log_variance = (part.float() for part in self.posterior(pictures))
        if chance is not None:
            noise = torch.randn(mean.shape, generator=chance).to(mean.device)
            mean = mean + (log_variance / 2).exp() * noise
        return F.pixel_unshuffle(mean, self.config.patch) * self.config.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (n, 3, H, W), fp32, about [-1, 1] and not clamped."""
        whole = F.pixel_shuffle(latents / self.config.scale, self.config.patch)
        return self.reconstruct(whole.to(self.quant_conv.weight.dtype)).float()


class PictureAttention(Attention):
    """All places of a picture look at each other, with one head."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__(width, 1, bias=True)
        self.group_norm = PictureNorm(groups, width, eps=1e-6)

    def over(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same."""
        here = to_tokens(self.group_norm(x))
        return x + to_picture(self(here, self.see(here)), like=x)


class Middle(nn.Module):
    """A resnet, a look (or none), a resnet."""

    def __init__(self, width: int, config: AutoencoderConfig) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(_resnet(width, width, config.groups) for _ in range(2))
        self.attentions = nn.ModuleList([PictureAttention(width, config.groups)] if config.attended else [])

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same."""
        x = self.resnets[0](x)
        for attention in self.attentions:
            x = cast(PictureAttention, attention).over(x)
        seen: Tensor = self.resnets[1](x)
        return seen


class Halving(nn.Module):
    """Resnets, then half the sides (but for the last)."""

    def __init__(self, width_in: int, width: int, config: AutoencoderConfig, *, last: bool) -> None:
        super().__init__()
        before = [width_in] + [width] * (config.layers - 1)
        self.resnets = nn.ModuleList(_resnet(wide, width, config.groups) for wide in before)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(width, even=True)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, h, w) -> (n, width, h/2, w/2)."""
        for step in [*self.resnets, *self.downsamplers]:
            x = step(x)
        return x


class Doubling(nn.Module):
    """Resnets, then twice the sides (but for the last)."""

    def __init__(self, width_in: int, width: int, config: AutoencoderConfig, *, last: bool) -> None:
        super().__init__()
        before = [width_in] + [width] * config.layers
        self.resnets = nn.ModuleList(_resnet(wide, width, config.groups) for wide in before)
        self.upsamplers = nn.ModuleList([] if last else [Upsample(width)])

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, h, w) -> (n, width, 2h, 2w)."""
        for step in [*self.resnets, *self.upsamplers]:
            x = step(x)
        return x


class PictureEncoder(nn.Module):
    """Folded pictures to the numbers of the posterior."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = config.widths
        self.conv_in = nn.Conv2d(3 * config.fold**2, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Halving(before, width, config, last=level == len(widths) - 1)
            for level, (before, width) in enumerate(pairwise((widths[0], *widths)))
        )
        self.mid_block = Middle(widths[-1], config)
        self.conv_norm_out = PictureNorm(config.groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 2 * config.latents, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3*fold^2, h, w) -> (n, 2*latents, ...)."""
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        encoded: Tensor = self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))
        return encoded


class PictureDecoder(nn.Module):
    """Latents to folded pictures."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        widths = config.widths[::-1]
        self.conv_in = nn.Conv2d(config.latents, widths[0], 3, padding=1)
        self.mid_block = Middle(widths[0], config)
        self.up_blocks = nn.ModuleList(
            Doubling(before, width, config, last=level == len(widths) - 1)
            for level, (before, width) in enumerate(pairwise((widths[0], *widths)))
        )
        self.conv_norm_out = PictureNorm(config.groups, widths[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(widths[-1], 3 * config.fold**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, latents, h, w) -> (n, 3*fold^2, ...)."""
        x = self.mid_block(self.conv_in(x))
        for block in self.up_blocks:
            x = block(x)
        decoded: Tensor = self.conv_out(F.silu(self.conv_norm_out(x)))
        return decoded


class TemporalAutoencoder(nn.Module):
    """diffusers' `AutoencoderKLTemporalDecoder`: encodes picture by picture, decodes `together` frames at once."""

    def __init__(self, config: TemporalAutoencoderConfig) -> None:
        super().__init__()
        try:
            from diffusers import AutoencoderKLTemporalDecoder
        except ImportError as missing:
            raise MissingExtra(
                "The full X-Portrait 2 decodes with Stable Video Diffusion's autoencoder, which is diffusers' own",
                str(missing),
                "pip install 'understudy[diffusion]'",
            ) from missing
        self.config = config
        self.net: Any = AutoencoderKLTemporalDecoder(
            down_block_types=("DownEncoderBlock2D",) * len(config.widths),
            block_out_channels=config.widths,
            layers_per_block=config.layers,
            latent_channels=config.latents,
            scaling_factor=config.scale,
        )

    def encode(self, pictures: Tensor, chance: torch.Generator | None = None) -> Tensor:
        """As `Autoencoder.encode`."""
        posterior = self.net.encode(pictures.to(self.net.dtype)).latent_dist
        mean: Tensor = posterior.mean.float()
        if chance is not None:
            mean = mean + posterior.std.float() * torch.randn(mean.shape, generator=chance).to(mean.device)
        return mean * self.config.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Frames (f, 3, H, W) of one film, as `Autoencoder.decode`."""
        chunks = torch.split((latents / self.config.scale).to(self.net.dtype), self.config.together)
        return torch.cat([self.net.decode(chunk, num_frames=len(chunk)).sample.float() for chunk in chunks])


def autoencoder(config: AutoencoderConfig | TemporalAutoencoderConfig) -> Autoencoder | TemporalAutoencoder:
    """The autoencoder that a config describes."""
    return Autoencoder(config) if isinstance(config, AutoencoderConfig) else TemporalAutoencoder(config)


def _resnet(width_in: int, width: int, groups: int) -> ResnetBlock:
    return ResnetBlock(width_in, width, embedding=None, groups=groups, eps=1e-6)
