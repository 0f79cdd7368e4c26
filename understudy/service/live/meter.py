"""How fast it is: frames a second and latencies, of the last few seconds or of all."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class Meter:
    """Latencies in seconds with the times at which they were noted; of the last `span` seconds, if there is one."""

    def __init__(self, span: float | None = None) -> None:
        self.span = span
        self._noted: deque[tuple[float, float]] = deque()

    def note(self, now: float, latency: float) -> None:
        """A frame was shown."""
        self._noted.append((now, latency))
        while self.span is not None and self._noted[0][0] < now - self.span:
            self._noted.popleft()

    def __len__(self) -> int:
        return len(self._noted)

    @property
    def latencies(self) -> list[float]:
        """In the order in which they were noted."""
        return [latency for _, latency in self._noted]

    @property
    def rate(self) -> float:
        """Frames a second."""
        if len(self._noted) < 2:
            return 0.0
        return (len(self._noted) - 1) / max(self._noted[-1][0] - self._noted[0][0], 1e-9)


def share(values: Sequence[float], part: float) -> float:
    """The value below or at which `part` of them are: 0.5 for p50. 0 of nothing."""
    if not values:
        return 0.0
    ranked = sorted(values)
    return ranked[min(int(part * len(ranked)), len(ranked) - 1)]
