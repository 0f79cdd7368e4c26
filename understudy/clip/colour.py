"""Between the colours of films (Y'CbCr, many kinds) and those of pictures (sRGB, one kind).

BT.709 or BT.601 and full or limited range are what the film says; one that says nothing is taken as players take it.
High dynamic range (PQ of BT.2100, HLG) is brought to the standard range with its faces at their usual brightness.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from understudy.clip.media import Picture

# libswscale's flags BILINEAR | FULL_CHR_H_INT | FULL_CHR_H_INP | ACCURATE_RND. Without the last three its fast paths
# are off by up to 3 of 255, which adds up over generations; with them every colour is within 1.
EXACT = 0x2 | 0x2000 | 0x4000 | 0x40000

# libavutil's numbers (AVColorSpace, AVColorRange, AVColorTransferCharacteristic, AVColorPrimaries)
RGB, BT709, BT601, BT2020 = 0, 1, 5, 9
_KNOWN = (RGB, BT709, 4, BT601, 6, 7, BT2020)  # what libswscale can convert; 2 is "not told"
LIMITED, FULL = 1, 2
PQ, HLG = 16, 18
SCREEN = 1  # BT.709 as primaries and as transfer, which is what players take for sRGB

_WHITE_NITS = 203.0  # reference white of BT.2408
_BT2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_BRIGHTEST = 16.0  # times reference white; what is brighter is white


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame's light is coded by PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


class ToPicture:
    """Decoded frames to sRGB; what is transparent shows `background`."""

    def __init__(self, background: tuple[int, int, int]) -> None:
        self.background = background
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Picture:
        """`(h, w, 3) uint8` that the caller owns, in the frame's own size."""
        if is_hdr(frame):
            return _tone_mapped(self._reformat(frame, "rgb48le"), frame)
        if not _sees_through(frame.format.name):
            return self._reformat(frame, "rgb24")
        return over(self._reformat(frame, "rgba"), self.background)

    def _reformat(self, frame: VideoFrame, pixels: str) -> npt.NDArray[Any]:
        untold = frame.colorspace not in _KNOWN
        out = self._scaler.reformat(
            frame,
            format=pixels,
            src_colorspace=_guessed_matrix(frame.width, frame.height) if untold else None,
            dst_color_range=FULL,
            interpolation=EXACT,
            threads=1,
        )
        picture = out.to_ndarray()
        # A frame that needed no conversion is still the decoder's, which may build the next frame upon it.
        return picture.copy() if out is frame else picture


def over(rgba: Picture, background: tuple[int, int, int]) -> Picture:
    """`(h, w, 4)` with straight alpha, laid over one colour: `(h, w, 3)`."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    share = alpha.astype(np.float32) / 255
    mixed = rgba[..., :3] * share + np.asarray(background, np.float32) * (1 - share)
    return np.rint(mixed).astype(np.uint8)


class FromPicture:
    """Pictures to the frames that an encoder takes."""

    def __init__(self, pixels: str, matrix: int, span: int) -> None:
        self.pixels, self.matrix, self.span = pixels, matrix, span
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """An `rgb24` frame in the encoder's pixel format, matrix (`BT709` or `BT601`) and range."""
        if self.pixels == "rgb24":
            return frame
        return self._scaler.reformat(
            frame,
            format=self.pixels,
            dst_colorspace=self.matrix,
            dst_color_range=self.span,
            interpolation=EXACT,
            threads=1,
        )


@lru_cache
def _sees_through(pixels: str) -> bool:
    """Whether a pixel format can be transparent."""
    kind = av.VideoFormat(pixels)
    return kind.has_palette or any(component.is_alpha for component in kind.components)


def _guessed_matrix(width: int, height: int) -> int:
    """The matrix of a film that does not say: high definition BT.709, smaller BT.601 (the rule of mpv and VLC)."""
    return BT709 if width >= 1280 or height > 576 else BT601


def _tone_mapped(coded: npt.NDArray[np.uint16], frame: VideoFrame) -> Picture:
    """`(h, w, 3) uint16` PQ or HLG to sRGB."""
    light: npt.NDArray[np.float32] = _light(frame.color_trc)[coded]
    if frame.color_primaries == BT2020:
        light = np.asarray(cv2.transform(light, _BT2020_TO_709), np.float32)
    step = np.clip(light * (65535 / _BRIGHTEST), 0, 65535).astype(np.uint16)
    shown: Picture = _shown()[step]
    return shown


@lru_cache
def _light(transfer: int) -> npt.NDArray[np.float32]:
    """Light on the screen for each of 65536 code values; 1 is reference white."""
    code = np.linspace(0, 1, 65536)
    if transfer == PQ:  # SMPTE ST 2084
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        nits = 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:  # BT.2100 HLG on a screen of 1000 nits, whose system gamma is 1.2
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        nits = 1000 * scene**1.2
    return (nits / _WHITE_NITS).astype(np.float32)


@lru_cache
def _shown() -> Picture:
    """sRGB for each of 65536 amounts of light from 0 to `_BRIGHTEST`: up to 3/4 as is, above softly bent to white."""
    light = np.linspace(0, _BRIGHTEST, 65536)
    bent = np.where(light <= 0.75, light, 1 - 0.25 * np.exp(-(light - 0.75) / 0.25))
    coded = np.where(bent <= 0.0031308, 12.92 * bent, 1.055 * bent ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * coded), np.uint8)
