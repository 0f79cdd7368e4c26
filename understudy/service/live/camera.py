"""A virtual camera: what is drawn, as a camera that other programs can choose. Optional, by pyvirtualcam."""

from __future__ import annotations

import threading
from typing import Any, Final

import cv2
import numpy as np

from understudy.clip import Picture
from understudy.errors import BadOption
from understudy.extras import absent
from understudy.service.live.latest import Latest

SIDE: Final = 512  # pixels: what is drawn is laid into a square of this size
RATE: Final = 25  # frames a second that it promises


class VirtualCamera:
    """Shows the newest picture it was given. Errors: `MissingExtra`; `BadOption` where no such device is set up."""

    def __init__(self) -> None:
        try:
            import pyvirtualcam
        except ImportError as error:
            raise absent(error, "A virtual camera") from error
        try:
            self._device: Any = pyvirtualcam.Camera(width=SIDE, height=SIDE, fps=RATE)
        except RuntimeError as error:
            raise BadOption(
                "no virtual camera is set up on this machine",
                str(error).splitlines()[0],
                "Linux: sudo modprobe v4l2loopback; Windows and macOS: install OBS; or leave --virtual-camera out",
            ) from error
        self._newest: Latest[Picture] = Latest()
        self._thread = threading.Thread(target=self._show, name="virtual camera", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What other programs call it."""
        return str(self._device.device)

    def show(self, picture: Picture) -> None:
        """Never blocks."""
        self._newest.put(picture)

    def close(self) -> None:
        """Let go of it."""
        self._newest.close()
        self._thread.join()
        self._device.close()

    def _show(self) -> None:
        for picture in self._newest:
            fitting = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            self._device.send(np.ascontiguousarray(fitting, np.uint8))
