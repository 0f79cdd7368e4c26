"""What goes over the WebSocket: a head of 16 bytes and a picture, both ways; settings and news as JSON beside it.

WebSocket and not WebRTC, because the latency is the point: on one machine there is no loss to conceal, WebRTC would put
a video encoder (two cores have no time for one) and a jitter buffer of its own between the frames, and it hides when a
frame was captured. Here that time travels with the frame, so what the page shows is the whole way, measured.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Final

from understudy.animate.choices import MOST
from understudy.errors import BadOption

HEAD: Final = struct.Struct("<IId")  # number, kind, capture time by the page's clock
DRAWN, DROPPED = 0, 1
MESSAGE: Final = 1 << 20  # bytes of one, at most


@dataclass(frozen=True)
class Frame:
    """One message. `picture` is a JPEG or WebP; empty in the answer to a frame that was dropped."""

    number: int
    kind: int
    stamp: float
    picture: bytes

    def packed(self) -> bytes:
        """As it is sent."""
        return HEAD.pack(self.number, self.kind, self.stamp) + self.picture

    @staticmethod
    def unpacked(message: bytes) -> Frame:
        """Errors: `BadOption` for what is no such message."""
        if not HEAD.size < len(message) <= MESSAGE:
            raise BadOption("that is no frame of a camera", f"{len(message)} bytes", f"at most {MESSAGE}")
        number, kind, stamp = HEAD.unpack_from(message)
        if not math.isfinite(stamp):
            raise BadOption("a frame of the camera has no time", str(stamp))
        return Frame(number, kind, stamp, message[HEAD.size :])


@dataclass(frozen=True)
class Wish:
    """What the page asks for: a portrait and how strongly it moves; or that the face now seen is the calm one."""

    portrait: str | None
    strength: float
    again: bool

    @staticmethod
    def unpacked(text: str) -> Wish:
        """Errors: `BadOption`."""
        try:
            asked: Any = json.loads(text)
            portrait, strength = asked.get("portrait"), float(asked.get("strength", 1.0))
            if not (portrait is None or isinstance(portrait, str)) or not 0 <= strength <= MOST:
                raise ValueError(f"portrait {portrait!r}, strength {strength}")
            return Wish(portrait, strength, bool(asked.get("again", False)))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise BadOption("that is no wish of the live page", str(error)[:200]) from error
