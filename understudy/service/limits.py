"""What one job may ask for, and how many may wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Every number that a service refuses by."""

    bytes: int  # of a whole upload
    seconds: float  # of driving, motion or voice
    pixels: int  # of the portrait, and of a frame of the driver
    waiting: int  # jobs that wait, are drawn, or are being sent
    tries: int  # times that a worker may die over a job without getting further
    stall: float  # seconds without progress after which a worker counts as dead
    upload: float  # seconds that sending a job may take
    kept: float  # seconds that a finished job can be had
