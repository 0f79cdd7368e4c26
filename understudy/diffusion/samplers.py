"""Samplers: from noise to a clean signal, as generators over a `Denoise`.

Each takes `noisy` (f, ...) at `levels[0]` and walks down `levels`, (rows,) for all frames alike or (rows, f) for each
frame its own (see `forcing`), yielding what it has after every step. A frame whose level does not change is left
exactly as it was. All run in fp32, and keep the schedule's own path: they differ only in which clean signal they
believe in between two levels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from understudy.diffusion.noise import Denoise, Schedule, noise_in, spread
from understudy.errors import BadOption

Fresh = Callable[[int], Tensor]
"""Fresh noise (f, ...) for a step's number: chance is an argument."""


def moved(noisy: Tensor, clean: Tensor, here: Tensor, there: Tensor, schedule: Schedule) -> Tensor:
    """`noisy` taken from level `here` to level `there`, both (f,), believing in `clean`: the noise stays what it is."""
    noise = noise_in(noisy, clean, here, schedule)
    result = spread(schedule.alpha(there), noisy) * clean + spread(schedule.sigma(there), noisy) * noise
    return torch.where(spread(here == there, noisy), noisy, result)


def ddim(
    denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule, *, eta: float = 0.0, fresh: Fresh | None = None
) -> Iterator[Tensor]:
    """First order: believe the guess of the clean signal, shrink the noise (Song et al. 2020, equation 12).

    On any path this is also Euler's step in sigma / alpha, which other programs call "euler". `eta` in [0, 1] trades
    that share of the noise for fresh noise, as DDPM does at 1.
    """
    if eta and fresh is None:
        raise BadOption("DDIM with eta needs fresh noise", f"eta = {eta}", "pass fresh=, or eta=0")
    for step, (here, there) in enumerate(_rows(noisy, levels)):
        clean = denoise(noisy, here)
        before, noisy = noisy, moved(noisy, clean, here, there, schedule)
        if eta and fresh is not None:
            share = eta * _lost(here, there, schedule).sqrt()
            noise = noise_in(before, clean, here, schedule)
            swapped = ((1 - share.square()).sqrt() - 1, share)
            sigma = spread(schedule.sigma(there), noisy)
            noisy = noisy + sigma * (spread(swapped[0], noisy) * noise + spread(swapped[1], noisy) * fresh(step))
        yield noisy


def euler(denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule) -> Iterator[Tensor]:
    """First order in `level` itself: one step along the slope of the path. On rectified flow it equals DDIM."""
    for here, there in _rows(noisy, levels):
        clean = denoise(noisy, here)
        noisy = _along(noisy, _slope(noisy, clean, here, schedule), clean, here, there)
        yield noisy


def heun(denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule) -> Iterator[Tensor]:
    """Second order: the mean of the slopes at both ends of the step, two evaluations each (Karras et al. 2022,
    algorithm 1, in `level`). Steps that arrive at level 0 are Euler's, as there."""
    for here, there in _rows(noisy, levels):
        clean = denoise(noisy, here)
        slope = _slope(noisy, clean, here, schedule)
        guess = _along(noisy, slope, clean, here, there)
        onward = (there > 0) & (there < here)
        if bool(onward.any()):
            again = _slope(guess, denoise(guess, there), there, schedule)
            slope = torch.where(spread(onward, noisy), (slope + again) / 2, slope)
        noisy = _along(noisy, slope, clean, here, there)
        yield noisy


def dpm_solver(denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule) -> Iterator[Tensor]:
    """Second order at one evaluation a step: DPM-Solver++(2M) (Lu et al. 2022, algorithm 2).

    It is DDIM's step with the clean guess drawn on along log(alpha / sigma) from this guess and the last. A frame's
    first step, and its step to level 0, are DDIM's own.
    """
    last_clean: Tensor | None = None
    last_gain = torch.zeros(())
    for here, there in _rows(noisy, levels):
        clean = denoise(noisy, here)
        gain = log_ratio(there, schedule) - log_ratio(here, schedule)
        believed = clean if last_clean is None else extrapolated(clean, last_clean, gain, last_gain)
        noisy = moved(noisy, believed, here, there, schedule)
        last_clean, last_gain = clean, gain
        yield noisy


def unipc(denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule) -> Iterator[Tensor]:
    """Third order at one evaluation a step: UniPC (Zhao et al. 2023, order 2, B = expm1, the clean guess predicted).

    It is DPM-Solver++(2M)'s step, taken once more when the guess at its end is there: no evaluation is made for that.
    What is yielded after each step, and so the end, is not corrected yet."""
    cleans, gains = list[Tensor](), list[Tensor]()  # of the last step and of the one before
    begun, since = noisy, torch.zeros(())  # where the last step began, and its level
    for here, there in _rows(noisy, levels):
        clean = denoise(noisy, here)
        if cleans:
            again = moved(begun, _believed_after(clean, cleans, gains), since, here, schedule)
            noisy = torch.where(spread(_usable(gains[-1]), noisy), again, noisy)
        gain = log_ratio(there, schedule) - log_ratio(here, schedule)
        believed = extrapolated(clean, cleans[-1], gain, gains[-1]) if cleans else clean
        begun, since = noisy, here
        noisy = moved(noisy, believed, here, there, schedule)
        cleans, gains = [*cleans[-1:], clean], [*gains[-1:], gain]
        yield noisy


def consistency(denoise: Denoise, noisy: Tensor, levels: Tensor, schedule: Schedule, fresh: Fresh) -> Iterator[Tensor]:
    """For networks distilled to jump to the end (LCM): believe the guess whole, and noise it afresh."""
    for step, (here, there) in enumerate(_rows(noisy, levels)):
        clean = denoise(noisy, here)
        renoised = spread(schedule.alpha(there), clean) * clean + spread(schedule.sigma(there), clean) * fresh(step)
        noisy = torch.where(spread(here == there, noisy), noisy, renoised)
        yield noisy


def last(states: Iterable[Tensor]) -> Tensor:
    """The final state of a sampler."""
    final = deque(states, maxlen=1)
    if not final:
        raise BadOption("A sampler was given no step to take", "fewer than two levels", "at least one step")
    return final[0]


def even_levels(steps: int) -> Tensor:
    """`steps` steps of one size from 1 to 0: (steps + 1,)."""
    return torch.linspace(1, 0, _at_least_one(steps) + 1)


def latent_diffusion_levels(steps: int, *, of: int = 1000) -> Tensor:
    """X-Portrait's levels: latent diffusion's "uniform" training steps 1, 1 + c, ... with c = of // steps, then step 0.

    Not quite what it is asked for: 30 gives 31 evaluations, from step 991 (c = 33), and ends at alpha .99957.
    """
    stride = of // _at_least_one(steps)
    visited = [*reversed(range(1, of + 1, stride)), 0]
    return (torch.tensor(visited, dtype=torch.float64) + 1).div(of).float()


def leading_levels(steps: int, *, of: int = 1000) -> Tensor:
    """X-NeMo's levels: diffusers' "leading" training steps with offset 1, then clean. 35 begins at step 953."""
    stride = of // _at_least_one(steps)
    visited = [stride * step + 1 for step in reversed(range(steps))]
    return torch.cat([(torch.tensor(visited, dtype=torch.float64) + 1).div(of).float(), torch.zeros(1)])


def trailing_levels(steps: int, *, of: int = 1000) -> Tensor:
    """diffusers' "trailing" training steps, then clean: begins at the very end, as zero-SNR schedules and LCM need."""
    visited = (of - torch.arange(_at_least_one(steps), dtype=torch.float64) * (of / steps)).round()
    return torch.cat([visited.div(of).float(), torch.zeros(1)])


def lcm_levels(steps: int, *, of: int = 1000, known: int = 50) -> Tensor:
    """The training steps of LCM-LoRA, then clean: of the `known` ones that it was distilled at, 19 to 999, `steps` as
    far apart as can be, from the last one on (diffusers' LCMScheduler). Errors: `BadOption` for more than there are."""
    if steps > known:
        raise BadOption(f"LCM-LoRA was distilled at {known} steps", f"{steps} were asked for", "4 to 8")
    chosen = (torch.arange(_at_least_one(steps), dtype=torch.float64) * known / steps).floor()
    return torch.cat([((known - chosen) * (of // known)).div(of).float(), torch.zeros(1)])


def _rows(noisy: Tensor, levels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each step's level before and after, (f,), on the device of `noisy`."""
    if levels.ndim == 1:
        levels = levels[:, None].expand(-1, noisy.shape[0])
    if levels.shape[1] != noisy.shape[0]:
        raise BadOption(
            "There must be one level for each frame",
            f"levels for {levels.shape[1]} frames, a signal of {noisy.shape[0]}",
            "levels of shape (rows,) or (rows, frames)",
        )
    return pairwise(levels.to(noisy.device))


def _slope(noisy: Tensor, clean: Tensor, level: Tensor, schedule: Schedule) -> Tensor:
    """How `noisy` changes with level on the path that runs through `clean`."""
    alpha_rate, sigma_rate = schedule.rates(level)
    return spread(alpha_rate, noisy) * clean + spread(sigma_rate, noisy) * noise_in(noisy, clean, level, schedule)


def _along(noisy: Tensor, slope: Tensor, clean: Tensor, here: Tensor, there: Tensor) -> Tensor:
    """One straight step. Arriving at level 0 means believing the guess: sigma's slope has no limit there."""
    ahead = torch.where(spread(there == 0, noisy), clean, noisy + spread(there - here, noisy) * slope)
    return torch.where(spread(here == there, noisy), noisy, ahead)


def log_ratio(level: Tensor, schedule: Schedule) -> Tensor:
    """log(alpha / sigma) of levels (f,), infinite at the ends."""
    return schedule.alpha(level).log() - schedule.sigma(level).log()


def _usable(gain: Tensor) -> Tensor:
    """Whether a step went on, and not to the very end."""
    return gain.isfinite() & (gain > 0)


def extrapolated(clean: Tensor, last_clean: Tensor, gain: Tensor, last_gain: Tensor) -> Tensor:
    """The guess (f, ...) in the middle of the step to come, on the straight line through this guess and the last. Gains
    (f,) of log(alpha / sigma): of the step to come, and of the last."""
    weight = torch.where(_usable(gain) & _usable(last_gain), gain / (2 * last_gain), 0.0)
    return clean + spread(weight, clean) * (clean - last_clean)


def _believed_after(clean: Tensor, cleans: list[Tensor], gains: list[Tensor]) -> Tensor:
    """What the last step should have believed, now that the guess `clean` at its end is known: the mean, as its path
    weighs it, of the curve through that guess, the one at its beginning, and the one before that if there is any."""
    gain = gains[-1].double()
    scale = torch.expm1(-gain)
    first = -scale / gain - 1  # of gain * 1, 1/2, 1/6 ..., without the terms that are exact already
    second = -first / gain - 0.5
    whole, half = first / scale, 2 * second / scale
    if len(cleans) == 1:
        back, ends = torch.zeros_like(gain), torch.full_like(gain, 0.5)
    else:
        ratio = -gains[0].double() / gain
        curved = _usable(gains[0])
        back = torch.where(curved, (half - whole) / (ratio - 1), 0.0)
        ends = torch.where(curved, whole - back, 0.5)
        back = torch.where(curved, back / ratio, 0.0)
    back, ends = (torch.where(_usable(gains[-1]), weight, 0.0).to(clean.dtype) for weight in (back, ends))
    before = cleans[0] - cleans[-1]
    return cleans[-1] + spread(back, clean) * before + spread(ends, clean) * (clean - cleans[-1])


def _lost(here: Tensor, there: Tensor, schedule: Schedule) -> Tensor:
    """The share of the noise's variance that DDPM replaces between two levels."""
    whole = (schedule.sigma(here) * schedule.alpha(there)).clamp(min=1e-12)
    kept = schedule.sigma(there) * schedule.alpha(here) / whole
    return torch.where(here == there, 0.0, 1 - kept.square()).clamp(0, 1)


def _at_least_one(steps: int) -> int:
    if steps < 1:
        raise BadOption("A sampler takes at least one step", f"{steps}", "20 to 50 steps, or 4 for a distilled model")
    return steps
