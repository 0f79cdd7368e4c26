"""How fast the footage mill is: frames a second, and CPU seconds a frame.

    python bench/mill.py FILMS...                   one process, then one a CPU
    python bench/mill.py FILMS... --ray             and Ray Data on this machine, its start included

Frames are all that were followed, in takes good or bad. Shards go to a temporary folder.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from understudy.data.manifest import read_manifest


def run(films: list[str], more: list[str]) -> tuple[int, float, float, int]:
    """Frames, seconds, CPU seconds of the command and its processes, and bytes of shards."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "shards"
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "understudy", "prepare", *films, "-o", str(out), *more], check=True)
        took, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        frames = sum(row["frames"] for row in read_manifest(out / "manifest.parquet"))
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return frames, took, cpu, sum(path.stat().st_size for path in out.glob("*.tar"))


def main() -> None:
    films = [word for word in sys.argv[1:] if word != "--ray"]
    if not films:
        sys.exit(__doc__)
    cores = os.cpu_count() or 1
    ways = {"one process": ["--workers", "1"], f"{cores} processes": ["--workers", str(cores)]}
    if "--ray" in sys.argv:
        ways["Ray Data"] = ["--ray", "--workers", str(cores)]
    print("| | frames | seconds | frames/s | CPU s/frame | MB of shards |\n|---|---|---|---|---|---|")
    for name, more in ways.items():
        frames, took, cpu, size = run(films, more)
        # Ray's workers are nobody's children: their time is not in `cpu`
        each = "" if name == "Ray Data" else f"{cpu / max(frames, 1):.4f}"
        print(f"| {name} | {frames} | {took:.1f} | {frames / took:.1f} | {each} | {size / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
