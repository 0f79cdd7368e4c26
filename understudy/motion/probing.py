"""What codes say by their numbers: straight lines from codes to curves and back."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.cast.how import How
from understudy.cast.view import seen_turn
from understudy.motion.code import NAMES, TURN
from understudy.motion.encoder import Probe

WEIGHT = 1e-3
"""Of a ridge, of the variance of what is known."""


def _other_side(name: str) -> str:
    for here, there in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(here):
            return name.removesuffix(here) + there
    return name


_ACROSS = tuple(NAMES.index(_other_side(name)) for name in NAMES)


def curves_of(how: How) -> Tensor:
    """(n, 55), in the order of `code.NAMES`: coefficients, and turns as the camera sees them, in wholes of `TURN`
    degrees."""
    return torch.cat([how.curves, seen_turn(how) / TURN], 1)


def curves_mirrored(curves: Tensor) -> Tensor:
    """What (n, 55) of `curves_of` are in a mirror: left is right, and the head turns and leans the other way."""
    return curves[:, list(_ACROSS)] * curves.new_tensor([-1 if name in ("yaw", "roll") else 1 for name in NAMES])


def ridge(known: Tensor, wanted: Tensor, weight: float = WEIGHT) -> tuple[Tensor, Tensor]:
    """The matrix (w, k) and the rest (w,) of wanted = matrix @ known + rest, by least squares with a pull to zero, from
    (n, k) and (n, w). In double precision."""
    x, y = known.double(), wanted.double()
    middle, level = x.mean(0), y.mean(0)
    x, y = x - middle, y - level
    pull = weight * float(x.square().mean()) * len(x)
    square = x.T @ x + pull * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    matrix = torch.linalg.solve(square, x.T @ y).T
    return matrix.float(), (level - matrix @ middle).float()


def measured(known: Tensor, wanted: Tensor, matrix: Tensor, rest: Tensor) -> Tensor:
    """R^2 of each column of `wanted` (n, w): 1 is exact, 0 no better than its mean; NaN where it does not move."""
    left = (wanted - (known @ matrix.T + rest)).square().sum(0)
    there = (wanted - wanted.mean(0)).square().sum(0)
    return torch.where(there > 1e-6 * len(wanted), 1 - left / there, torch.full_like(left, torch.nan))


@torch.no_grad()
def blinding(theirs: Tensor, ours: Tensor, kept: int) -> tuple[Tensor, Tensor]:
    """The matrix (d, d) and the rest (d,) of matrix @ code + rest, which leaves of codes the `kept` directions in which
    what is done counts most against who does it, and their mean: nuisance attribute projection (Solomonoff, Campbell
    and Boardman 2005) by the directions of Fisher's discriminant. In double precision.

    `theirs` and `ours` (n, d): codes of two people each who do the same."""
    one, other = theirs.double(), ours.double()
    both = torch.cat([one, other])
    middle, width = both.mean(0), both.shape[1]
    own = (one - other).T @ (one - other) / (2 * len(one))  # what differs though all do the same
    any_two = (both - middle).T @ (both - middle) / len(both)
    own = own + 1e-4 * own.trace() / width * torch.eye(width, dtype=own.dtype, device=own.device)
    length, axes = torch.linalg.eigh(own)
    white, colour = axes / length.sqrt() @ axes.T, axes * length.sqrt() @ axes.T
    most = torch.linalg.eigh(white @ (any_two - own) @ white).eigenvectors[:, -kept:]
    matrix = colour @ most @ most.T @ white
    return matrix.float(), (middle - matrix @ middle).float()


@torch.no_grad()
def fill(probe: Probe, codes: Tensor, curves: Tensor) -> None:
    """Tell a probe what codes (n, d) mean, from examples whose curves (n, k) are known."""
    reading, rest = ridge(codes, curves)
    making, neutral = ridge(curves, codes)
    probe.reading.copy_(reading)
    probe.rest.copy_(rest)
    probe.making.copy_(making.T)
    probe.neutral.copy_(neutral)
