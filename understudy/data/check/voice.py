"""Is this voice good for driving a picture? Also: the sound of a driving film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from understudy.clip import Picture, Warn
from understudy.clip.hear import FLOOR, Heard, hear
from understudy.clip.media import open_media
from understudy.clip.sound import Samples, placed, sound_stream
from understudy.data.check.finding import Finding
from understudy.data.sheet import INK, PAPER

LOWEST_RATE: Final = 16_000  # what speech encoders listen at
SHORTEST: Final = 0.5  # seconds


def listen(path: Path, warn: Warn) -> Heard:
    """Measure the sound of a file, packet by packet. Errors: `MissingFile`, `UnreadableMedia`, `NoSound`."""

    def blocks() -> Iterator[Samples]:
        yield from placed(container, stream, warn, path)

    with open_media(path) as container:
        stream = sound_stream(container, path)
        return hear(blocks(), stream.rate)


def judge(heard: Heard) -> list[Finding]:
    """Findings about a voice."""
    found = [_length(heard), _level(heard)]
    if heard.level <= FLOOR or heard.speaking == 0:
        return found
    found += [_clipping(heard), _noise(heard), _pauses(heard), _rate(heard)]
    return found


def _length(heard: Heard) -> Finding:
    seen = f"{heard.seconds:.1f} s, {heard.channels} channel{'s' if heard.channels > 1 else ''}"
    if heard.seconds < SHORTEST:
        return Finding("unusable", "length", seen, f"at least {SHORTEST} s of speech")
    return Finding("good", "length", seen)


def _level(heard: Heard) -> Finding:
    if heard.speaking == 0:
        return Finding("unusable", "level", "silence", "another file, or look whether the microphone was on")
    seen = f"speech at {heard.level:.0f} dB of full scale, peak {20 * np.log10(max(heard.peak, 1e-5)):.0f} dB"
    if heard.level < -38:
        return Finding("poor", "level", seen, "record nearer to the microphone, or raise the level by 15 dB")
    if heard.level < -32:
        return Finding("note", "level", seen, "a little quiet; it will be raised")
    return Finding("good", "level", seen)


def _clipping(heard: Heard) -> Finding:
    seen = f"{heard.clipped:.2%} of the samples are cut off at full scale"
    if heard.clipped > 0.001:
        return Finding("poor", "clipping", seen, "record at a lower level: what is cut off cannot be brought back")
    if heard.clipped > 0.00002:
        return Finding("note", "clipping", seen, "a few peaks; hardly heard")
    return Finding("good", "clipping", "none")


def _noise(heard: Heard) -> Finding:
    above = heard.level - heard.noise
    if heard.speaking > 0.95:
        return Finding("note", "noise", "no pauses, so it cannot be told from speech", "listen whether there is music")
    seen = f"speech stands {above:.0f} dB above what is heard in its pauses"
    if above < 15:
        return Finding("poor", "noise", seen, "a quieter room; without music or other voices")
    return Finding("good", "noise", seen)


def _pauses(heard: Heard) -> Finding:
    seen = f"{heard.speaking:.0%} of the time somebody speaks, the longest pause is {heard.longest_silence:.1f} s"
    if heard.speaking < 0.2:
        return Finding("note", "pauses", seen, "cut the silence away, unless it is meant")
    return Finding("good", "pauses", seen)


def _rate(heard: Heard) -> Finding:
    seen = f"{heard.rate} samples a second"
    if heard.rate < LOWEST_RATE:
        return Finding("poor", "rate", seen, f"{LOWEST_RATE} or more: of s, f and sh nothing is left below")
    return Finding("good", "rate", seen)


def curve_of(heard: Heard, width: int = 960, height: int = 180) -> Picture:
    """A picture of loudness over time, from -70 dB at the bottom to 0 at the top."""
    page = np.empty((height, width, 3), np.uint8)
    page[:] = np.array(PAPER, np.uint8) - 8
    if len(heard.loudness):
        parts = np.array_split(heard.loudness, min(width, len(heard.loudness)))
        heights = np.clip((np.array([part.max() for part in parts]) + 70) / 70, 0, 1) * (height - 6)
        for number, tall in enumerate(heights):
            left, right = number * width // len(heights), (number + 1) * width // len(heights)
            cv2.rectangle(page, (left, height - 3 - int(tall)), (max(right - 1, left), height - 3), INK, -1)
    return page
