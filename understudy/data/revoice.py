"""A voice that was heard, as others would have said it and elsewhere heard: what is done to rows of sound (`speech`) in
training, so that an actor does not learn one synthesiser by heart.

`n` films, `f` frames; the last two numbers of a row, pitch and how sure it is, stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.motion.speech import BANDS, HIGHEST, HOP, HOPS, LOWEST, MIDDLE, NOTHING, SILENCE, SPREAD, edges, mel_of

_ECHO: Final = 48  # hops that an echo lasts at most
_BLUR: Final = 6  # hops to each side that are smoothed over at most


def octaves() -> Tensor:
    """(BANDS,) of each band, over a kilohertz."""
    return torch.from_numpy(np.log2(edges()[1:-1] / 1000)).float()


def waves(half_periods: Sequence[int]) -> Tensor:
    """(k, BANDS) cosines over the bands, each with so many half periods."""
    places = (torch.arange(BANDS) + 0.5) / BANDS
    return torch.cos(math.pi * torch.tensor([*half_periods])[:, None] * places)


def equalised(rows: Tensor, decibels: Tensor) -> Tensor:
    """Rows (n, f, WIDTH) made louder in each band by `decibels` (n, BANDS): another level, another microphone."""
    louder = decibels.to(rows).repeat(1, HOPS)[:, None] / 10 / SPREAD
    return torch.cat([(rows[..., :-2] + louder).clip(min=SILENCE), rows[..., -2:]], -1)


def from_another(rows: Tensor, shorter: Tensor) -> Tensor:
    """Rows (..., f, WIDTH) as somebody would have said them whose throat is `shorter` (...) times as short, and whose
    formants are so many times as high (vocal tract length perturbation, Jaitly and Hinton 2013). The pitch stays."""
    first, each = mel_of(LOWEST), (mel_of(HIGHEST) - mel_of(LOWEST)) / (BANDS + 1)
    wanted = torch.from_numpy(edges()[1:-1]).to(rows) / shorter[..., None]
    place = ((2595 * torch.log10(1 + wanted / 700) - first) / each - 1).clamp(0, BANDS - 1)
    low = place.floor().long().clamp(max=BANDS - 2)
    share = (place - low)[..., None, None, :]
    spectra = rows[..., :-2].reshape(*rows.shape[:-1], HOPS, BANDS)
    index = low[..., None, None, :].expand(*spectra.shape)
    moved = torch.lerp(spectra.gather(-1, index), spectra.gather(-1, index + 1), share.expand(*spectra.shape))
    return torch.cat([moved.flatten(-2), rows[..., -2:]], -1)


def in_a_room(rows: Tensor, seconds: Tensor, share: Tensor) -> Tensor:
    """Rows (n, f, WIDTH) as a room would give them back: what was heard dies away by 60 dB in `seconds` (n,), and so
    much of it, `share` (n,), is heard besides."""
    hops = torch.arange(_ECHO, device=rows.device)
    decay = 10 ** (-6 * HOP * hops / seconds[:, None])
    kernels = torch.where(hops == 0, 1.0, share[:, None] * decay).flip(-1)
    nothing = 10.0**NOTHING
    power = (10 ** (_hops(rows) * SPREAD + MIDDLE) - nothing).clamp_min(0)
    heard = ((_slid(power, kernels, _ECHO - 1, 0) + nothing).log10() - MIDDLE) / SPREAD
    return torch.cat([heard.reshape(*rows.shape[:-1], -1), rows[..., -2:]], -1)


def smoother(rows: Tensor, hops: Tensor) -> Tensor:
    """Rows (n, f, WIDTH) whose spectra change less quickly, as those of synthesisers do: the mean of a Gaussian of that
    deviation (n,), in hops of 10 ms."""
    away = torch.arange(-_BLUR, _BLUR + 1, device=rows.device)
    kernels = torch.exp(-0.5 * (away / hops.clamp_min(1e-2)[:, None]) ** 2)
    kernels = kernels / kernels.sum(1, keepdim=True)
    return torch.cat([_slid(_hops(rows), kernels, _BLUR, _BLUR).reshape(*rows.shape[:-1], -1), rows[..., -2:]], -1)


def _hops(rows: Tensor) -> Tensor:
    """(n, f, WIDTH) -> (n, f HOPS, BANDS): the spectra of all frames are 10 ms apart."""
    return rows[..., :-2].reshape(len(rows), -1, BANDS)


def _slid(spectra: Tensor, kernels: Tensor, before: int, after: int) -> Tensor:
    """Each film's (n, t, BANDS) sums over time, by its own kernel (n, before + 1 + after)."""
    count = len(spectra) * BANDS
    lines = F.pad(spectra.transpose(1, 2).reshape(1, count, -1), (before, after), mode="replicate")
    slid = F.conv1d(lines, kernels.to(lines.dtype).repeat_interleave(BANDS, 0)[:, None], groups=count)
    return slid.reshape(len(spectra), BANDS, -1).transpose(1, 2)


def noisier(rows: Tensor, noise: Tensor) -> Tensor:
    """Rows (..., f, WIDTH) of the same sound with steady noise of powers `noise` (..., BANDS), log10, added to it."""
    spectra = rows[..., :-2].reshape(*rows.shape[:-1], HOPS, BANDS) * SPREAD + MIDDLE
    both = torch.logaddexp(spectra * math.log(10), noise[..., None, None, :] * math.log(10)) / math.log(10)
    return torch.cat([((both - MIDDLE) / SPREAD).flatten(-2), rows[..., -2:]], -1)
