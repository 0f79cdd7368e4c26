"""How a model draws what a person chose: steps, sampler, guidance; and the same in words, before the wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from understudy.animate.choices import Choices
from understudy.generator.generator import Manner
from understudy.models import PUBLISHED, Model
from understudy.published.parity import X_NEMO, X_PORTRAIT, Released
from understudy.published.plan import Plan, advice, evaluations, pace, placed

SOLVING: Final = 20
"""Steps of a solver of higher order, at which the published models' 30 and 35 lose little."""
DISTILLED: Final = Manner(steps=8, sampler="consistency", spacing="lcm", guidance=1.0)
"""LCM-LoRA's: it was distilled with the guidance inside, so there is none besides, and half the work."""


def manner_of(model: Model, choices: Choices) -> Manner:
    """The model's own, but for what was chosen."""
    assert model.manner is not None
    manner, sampler = model.manner(), choices.sampler
    if sampler == "lcm":
        manner = DISTILLED
    elif sampler is not None:
        manner = replace(manner, sampler=sampler)
        if model in PUBLISHED and sampler != "ddim":  # they reach the end in whole steps of one size
            manner = replace(manner, spacing="trailing", steps=SOLVING)
    if choices.guidance is not None:
        manner = replace(manner, guidance=choices.guidance)
    if choices.steps is not None:
        manner = replace(manner, steps=choices.steps)
    return replace(manner, seed=choices.seed)


def released_of(model: Model, choices: Choices) -> Released:
    """What the released script of a model does, in so many steps if they were chosen."""
    how = X_PORTRAIT if model.follows == "frames" else X_NEMO
    return how if choices.steps is None else replace(how, steps=choices.steps)


def fitted(manner: Manner, plan: Plan, window: int) -> Manner:
    """As a plan has it, of a generator with windows of so many frames."""
    shorter = None if plan.window == window else plan.window
    return replace(manner, window=shorter, decoded_together=plan.decoded_together)


def spoken(manner: Manner, choices: Choices) -> str:
    """A manner in words."""
    if choices.parity:
        return (
            f"as the released script does (--parity): {evaluations(manner)} steps of ddim, guidance "
            f"{manner.guidance:g}, all frames at once, the square alone and not pasted back"
        )
    sampler = "LCM-LoRA" if choices.sampler == "lcm" else manner.sampler
    guidance = "no guidance" if manner.guidance == 1 else f"guidance {manner.guidance:g}"
    decoder = ", the tiny decoder (--preview), which is soft in hair and teeth" if choices.preview else ""
    return f"{evaluations(manner)} steps of {sampler}, {guidance}{decoder}"


def expected(manner: Manner, choices: Choices, plan: Plan | None) -> str:
    """What should be known before the wait, as the rest of a sentence: how it is drawn, and, where there is a plan, how
    long that takes, within which memory, and what to use instead where it is slow. "" for what is as usual."""
    if plan is None:
        return f": {spoken(manner, choices)}" if choices.sampler or choices.guidance is not None else ""
    words = f": {spoken(manner, choices)}; {pace(plan.seconds)} on {plan.device}"
    if plan.offload or manner.window is not None:
        words += f"; to fit into {plan.available / 2**30:.1f} GB, {placed(plan)}"
    return words + (f"; {more}" if (more := advice(plan)) else "")
