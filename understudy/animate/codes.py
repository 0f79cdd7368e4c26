"""Motion files of codes: read from films with a model's encoder, and edited in its terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from understudy.errors import BadOption, WrongMotion
from understudy.extras import absent
from understudy.models import X_PORTRAIT_2_SMALL
from understudy.motion.code import ENCODER, MotionCode, column
from understudy.motion.frames import MotionFrames

if TYPE_CHECKING:
    from understudy.animate.motions import Edits
    from understudy.animate.trained import Trained
    from understudy.motion.encoder import Probe

READS: Final = X_PORTRAIT_2_SMALL
"""The model whose encoder reads."""


def read(chunks: Iterator[MotionFrames]) -> Iterator[MotionCode]:
    """The codes of a driver's pictures. Errors: `MissingExtra` without torch, `MissingFile` without weights."""
    known = _known()
    from understudy.motion.reading import read_code

    assert known.generator.encoder is not None
    return read_code(chunks, known.generator.encoder, known.encoder_mark)


def refuse(edits: Edits) -> None:
    """Errors: `BadOption` for edits that codes do not have."""
    plain = type(edits)()
    for name in ("mirror", "mouth", "eyes", "brows", "pose", "hold_head", "keys", "look_at_camera", "loop", "repeat"):
        if getattr(edits, name) != getattr(plain, name):
            remedy = "--strength and --curve; or edit a file of points, which `understudy motion read` makes"
            raise BadOption(f"codes are of whole faces: --{name.replace('_', '-')} is not for them", remedy=remedy)


def changed(motion: MotionCode, edits: Edits) -> MotionCode:
    """Another mixed in; smoother, stronger, and with more of some curves. Errors: `BadOption` for curves that nobody
    knows; `WrongMotion` for codes of another encoder, or whose meaning is not known here."""
    motion = motion if edits.blend is None else motion.blended(MotionCode.load(edits.blend), edits.share)
    motion = motion.smooth(edits.smooth) if edits.smooth else motion
    if edits.strength == 1 and not edits.curves:
        return motion
    probe = probe_of(motion)
    directions, neutral = (each.cpu().numpy().astype(np.float32) for each in (probe.making, probe.neutral))
    motion = motion.scaled(edits.strength, neutral)
    if not edits.curves:
        return motion
    names, amounts = zip(*edits.curves, strict=True)
    return motion.moved(directions[[column(name) for name in names]], amounts)


def probe_of(motion: MotionCode) -> Probe:
    """What is known of a motion's codes by their numbers. Errors: `WrongMotion` where nothing is."""
    known = _known()
    theirs, encoder = motion.provenance.get(ENCODER, ""), known.generator.encoder
    assert encoder is not None
    if theirs != known.encoder_mark or encoder.probe is None:
        raise WrongMotion(
            "what these codes mean is not known here",
            f"codes of {theirs or 'nobody knows which encoder'}, not of {known.encoder_mark}",
            "reading the film again",
        )
    return encoder.probe


def _known() -> Trained:
    try:
        from understudy.animate.trained import trained
    except ImportError as error:
        raise absent(error, READS.name) from error
    return trained(READS)
