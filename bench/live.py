"""How fast live is, without a browser: a made webcam stream in, performing frames out, by the clock.

    python bench/live.py --seconds 60         warp: frames a second, latency, what was left out
    python bench/live.py --slow               a model at half of the camera's rate, five minutes: latency must not grow

The camera is the package's made-up driver, forwards and backwards, as JPEG of 480 pixels (packed before the clock
runs: in life the browser does that). Latency is from the moment at which a frame is given to the moment at which the
JPEG that answers it is there; a browser adds packing, unpacking and the wait for the screen."""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import resources

import cv2
import numpy as np

from understudy.animate.choices import Choices
from understudy.clip import read
from understudy.motion.mesh import MotionMesh
from understudy.service.live.meter import Meter, share
from understudy.service.live.pipeline import Drawn, Dropped, Pipeline, Shot
from understudy.service.live.stage import Performer, motions, packed, unpacked
from understudy.service.live.wardrobe import shipped

SIDE = 480  # pixels of the camera's frames
SETTLED = 2.0  # seconds at the start that do not count: networks are loaded
PART = 30.0  # seconds of which a line is printed


def camera() -> list[bytes]:
    """The driver, forwards and backwards, as JPEG."""
    with resources.as_file(resources.files("understudy") / "assets" / "driver.mp4") as film:
        frames = [packed(np.asarray(cv2.resize(frame, (SIDE, SIDE)), np.uint8)) for frame in read(film)]
    return frames + frames[-2:0:-1]


class Count:
    """What comes out."""

    def __init__(self, begun: float) -> None:
        self.begun, self.all, self.lock = begun, Meter(), threading.Lock()
        self.given, self.dropped = 0, 0
        self.failed: BaseException | None = None

    def tell(self, answer: Drawn[bytes] | Dropped) -> None:
        now = time.perf_counter()
        with self.lock:
            if answer.stamp < self.begun + SETTLED:
                return
            if isinstance(answer, Dropped):
                self.dropped += 1
            else:
                self.all.note(now, now - answer.stamp)

    def fail(self, error: BaseException) -> None:
        self.failed = error


def slowed(draw: Callable[[MotionMesh | None], bytes], seconds: float) -> Callable[[MotionMesh | None], bytes]:
    """The same, taking at least so long."""

    def drawn(motion: MotionMesh | None) -> bytes:
        begun = time.perf_counter()
        picture = draw(motion)
        time.sleep(max(0.0, seconds - (time.perf_counter() - begun)))
        return picture

    return drawn


def read_shots(shots: Iterable[Shot[bytes]]) -> Iterator[MotionMesh | None]:
    return motions(Shot(shot.number, shot.stamp, shot.time, unpacked(shot.what)) for shot in shots)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, help="how long (60; with --slow 300)")
    words.add_argument("--rate", type=float, default=30.0, help="the camera's frames a second (30)")
    words.add_argument("--portrait", choices=("realistic", "painted"), default="realistic")
    words.add_argument("--slow", action="store_true", help="draw at half of the camera's rate")
    asked = words.parse_args()
    seconds = asked.seconds or (300.0 if asked.slow else 60.0)
    frames = camera()
    performer = Performer(shipped(asked.portrait), Choices())

    def draw(motion: MotionMesh | None) -> bytes:
        return packed(performer.draw(motion))

    count = Count(time.perf_counter())
    drawing = slowed(draw, 2 / asked.rate) if asked.slow else draw
    pipeline: Pipeline[bytes, MotionMesh | None, bytes] = Pipeline(read_shots, drawing, count.tell, count.fail)
    part = 0
    for number, frame in enumerate(itertools.cycle(frames)):
        due = count.begun + number / asked.rate
        if due > count.begun + seconds or count.failed:
            break
        time.sleep(max(0.0, due - time.perf_counter()))
        now = time.perf_counter()
        count.given += now >= count.begun + SETTLED
        pipeline.give(Shot(number, now, now, frame))
        if now - count.begun > (part + 1) * PART:
            part += 1
            line(f"{part * PART:4.0f} s", count, count.all.latencies[-int(PART * asked.rate / 2) :])
    pipeline.close()
    if count.failed:
        raise count.failed
    line("all", count, count.all.latencies)
    latencies = count.all.latencies
    third = max(len(latencies) // 3, 1)
    print(f"p95 of the first third {1000 * share(latencies[:third], 0.95):.0f} ms, "
          f"of the last third {1000 * share(latencies[-third:], 0.95):.0f} ms")  # fmt: skip


def line(name: str, count: Count, latencies: list[float]) -> None:
    print(
        f"{name:>6}: {count.all.rate:5.1f} frames/s, p50 {1000 * share(latencies, 0.5):4.0f} ms, "
        f"p95 {1000 * share(latencies, 0.95):4.0f} ms, most {1000 * max(latencies, default=0):4.0f} ms; "
        f"{count.dropped} of {count.given} dropped",
        flush=True,
    )


if __name__ == "__main__":
    main()
