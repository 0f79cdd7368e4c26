"""What a service does when ten times as much is asked of it as it can do: how fast it refuses, whether what it accepted
is done, and whether its memory stays where it was.

    python bench/service.py [--seconds 60] [--factor 10] [--queue 8] [--frames 12] [--ray] [--json]

A job is a short motion on a small portrait; how long one takes is measured first. Then `factor` times as many are sent,
by as many senders as that needs, over loopback. Prints the figures that docs/service.md asks for; with `--ray`, of two
replicas of Ray Serve, of whose memory it knows nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import animate_made as made  # noqa: E402
from service_made import Server, serving, until  # noqa: E402

from understudy.face.portrait import Portrait  # noqa: E402

SENDERS = 16


@dataclass(frozen=True)
class Figures:
    """What was seen. Times in milliseconds, memory in MB."""

    job_ms: float  # from sending one, alone, to its end
    asked: int
    accepted: int
    refused: int
    other: int  # answers that are neither
    refusal_ms_p50: float
    refusal_ms_p99: float
    refusal_ms_most: float
    accept_ms_p50: float
    done: int  # of those accepted
    lost: int
    seconds: float  # that was asked for
    memory_before: float  # of server, examiner and workers together
    memory_most: float
    memory_after: float


def overload(
    folder: Path, *, seconds: float, factor: float, queue: int, frames: int, words: tuple[str, ...] = ()
) -> Figures:
    """Ask too much of a service in `folder`."""
    portrait = made.portrait(folder / "portrait.png", 128)
    motion = made.acted(Portrait.read(portrait), frames)
    motion.save(folder / "motion.safetensors")
    with serving(folder / "data", "--queue", str(queue), *words, UNDERSTUDY_DATA=str(folder / "home")) as server:
        body, headers = form_of(portrait, folder / "motion.safetensors")
        alone = [_alone(server, body, headers) for _ in range(3)]
        job = statistics.median(alone[1:])
        memory, stop = [_memory(server)], threading.Event()
        watching = threading.Thread(target=_watch, args=(server, memory, stop), daemon=True)
        watching.start()
        answers = _storm(server, body, headers, seconds, job / factor)
        accepted = [number for status, _, number in answers if status in (200, 202)]
        with httpx.Client(base_url=server.url, timeout=60) as client:
            until(lambda: client.get("/health").json()["waiting"] == 0, 3600)
            states = [client.get(f"/v1/jobs/{number}").json().get("state") for number in accepted]
        stop.set()
        watching.join()
        after = _memory(server)
    refusals = sorted(took for status, took, _ in answers if status == 503)
    accepts = sorted(took for status, took, _ in answers if status == 202)
    return Figures(
        job_ms=round(job * 1000, 1),
        asked=len(answers),
        accepted=len(accepted),
        refused=len(refusals),
        other=len(answers) - len(accepted) - len(refusals),
        refusal_ms_p50=_at(refusals, 0.5),
        refusal_ms_p99=_at(refusals, 0.99),
        refusal_ms_most=_at(refusals, 1.0),
        accept_ms_p50=_at(accepts, 0.5),
        done=states.count("done"),
        lost=len(states) - states.count("done"),
        seconds=seconds,
        memory_before=memory[0],
        memory_most=max(memory),
        memory_after=after,
    )


def form_of(portrait: Path, motion: Path) -> tuple[bytes, dict[str, str]]:
    """A job as it travels, made once: the senders shall not be what is slow."""
    with portrait.open("rb") as one, motion.open("rb") as other:
        request = httpx.Request("POST", "http://here/v1/jobs", files={"portrait": one, "motion": other})
        return request.read(), {"content-type": request.headers["content-type"]}


def _alone(server: Server, body: bytes, headers: dict[str, str]) -> float:
    """Seconds that one job takes."""
    begun = time.perf_counter()
    with httpx.Client(base_url=server.url, timeout=600) as client:
        number = client.post("/v1/jobs", content=body, headers=headers).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{number}").json()["state"] == "done", often=0.01)
    return time.perf_counter() - begun


def _storm(
    server: Server, body: bytes, headers: dict[str, str], seconds: float, every: float
) -> list[tuple[int, float, str]]:
    """Send a job `every` so many seconds; of each the status, how long the answer took, and its number."""
    answers: list[tuple[int, float, str]] = []
    begun, turn, lock = time.perf_counter(), iter(range(1 << 30)), threading.Lock()

    def send() -> None:
        with httpx.Client(base_url=server.url, timeout=600) as client:
            while True:
                with lock:
                    due = begun + next(turn) * every
                if due - begun > seconds:
                    return
                time.sleep(max(0.0, due - time.perf_counter()))
                sent = time.perf_counter()
                answer = client.post("/v1/jobs", content=body, headers=headers)
                took = (time.perf_counter() - sent) * 1000
                number = answer.json().get("id", "") if answer.status_code < 300 else ""  # Serve refuses in words
                answers.append((answer.status_code, took, number))

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _watch(server: Server, memory: list[float], stop: threading.Event) -> None:
    while not stop.wait(1.0):
        memory.append(_memory(server))


def _memory(server: Server) -> float:
    """MB that the server and its children hold; 0 where that cannot be asked (not Linux)."""
    try:
        listed = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0.0
    rows = np.array([line.split() for line in listed.splitlines()[1:]], np.int64)
    ours = (rows[:, 0] == server.process.pid) | (rows[:, 1] == server.process.pid)
    return round(float(rows[ours, 2].sum()) / 1000, 1)


def _at(values: list[float], share: float) -> float:
    return round(values[min(int(share * len(values)), len(values) - 1)], 1) if values else 0.0


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--factor", type=Fraction, default=Fraction(10))
    asked.add_argument("--queue", type=int, default=8)
    asked.add_argument("--frames", type=int, default=12)
    asked.add_argument("--ray", action="store_true")
    asked.add_argument("--json", action="store_true")
    said = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = overload(
            Path(folder), seconds=said.seconds, factor=float(said.factor), queue=said.queue, frames=said.frames,
            words=("--ray", "--workers", "2") if said.ray else (),
        )  # fmt: skip
    if said.json:
        print(json.dumps(asdict(figures)))
        return
    for name, value in asdict(figures).items():
        print(f"{name:<16} {value}")


if __name__ == "__main__":
    main()
