"""How much of real drivers' performances arrives on portraits of the cast, shown directly and through the bridge.

    python bench/drivers.py CLIP... --yardstick SCRIPT [--portraits 8] [--each K] [--seconds 3] [--model M] [-o FOLDER]

For real drivers nobody knows the truth. So a yardstick is taken: any program that is called with two films, driver and
result, and prints one JSON object with `expression`, `pose` (correlations over time), `gain_expression`, `gain_pose`.
Every portrait plays every clip's first seconds; with --each, each clip is played by so many of them. The films stay in
FOLDER, and what is there is not drawn again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from understudy import read, write
from understudy.animate import animate
from understudy.animate.choices import TAG
from understudy.cast import stage
from understudy.clip import write_picture
from understudy.errors import UnderstudyError

FIRST = 1_000_200  # of those who are held out
MEASURED = ("expression", "pose", "gain_expression", "gain_pose")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("clips", nargs="+", type=Path)
    asked.add_argument("--yardstick", type=Path, required=True)
    asked.add_argument("--portraits", type=int, default=8)
    asked.add_argument("--each", type=int, help="portraits that play each clip; all, if not given")
    asked.add_argument("--seconds", type=float, default=3.0)
    asked.add_argument("--model", default="x-portrait-small")
    asked.add_argument("--ways", nargs="+", default=["direct", "bridge"])
    asked.add_argument("-o", "--out", type=Path, default=Path("drivers"))
    said = asked.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    portraits = [somebody(said.out, FIRST + number) for number in range(said.portraits)]
    drivers = [part(said.out, clip, said.seconds) for clip in said.clips]
    rows: list[dict[str, object]] = []
    for way in said.ways:
        for number, driver in enumerate(drivers):
            for k in range(said.each or len(portraits)):
                portrait = portraits[(number + k * max(len(portraits) // (said.each or 1), 1) + k) % len(portraits)]
                rows.append(
                    {"way": way, "driver": driver.stem, "portrait": portrait.stem} | pair(said, way, portrait, driver)
                )
                print(json.dumps(rows[-1]), flush=True)
        for name, value in means(row for row in rows if row["way"] == way):
            print(f"{way}: {name} {value:.3f}")
    (said.out / "figures.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def somebody(folder: Path, who: int) -> Path:
    """One of the cast, at rest, in their own style."""
    path = folder / f"who-{who}.png"
    if not path.exists():
        write_picture(path, stage.portrait(who, size=256), metadata={TAG: f"who {who}, how at rest, style own"})
    return path


def part(folder: Path, clip: Path, seconds: float) -> Path:
    """The first seconds of a clip."""
    path = folder / f"{clip.stem}-part.mp4"
    if not path.exists():
        film = read(clip)
        write(path, islice(film, round(seconds * film.fps)), fps=film.fps)
    return path


def pair(said: argparse.Namespace, way: str, portrait: Path, driver: Path) -> dict[str, object]:
    """One portrait's performance of one clip, measured."""
    film = said.out / f"{portrait.stem}-{driver.stem}-{way}.mp4"
    if not film.exists():
        try:
            animate(portrait, driver, out=film, model=said.model, driver=way, crop=True)
        except UnderstudyError as error:
            return {"error": str(error)}
    told = subprocess.run([sys.executable, said.yardstick, driver, film], capture_output=True, text=True, check=False)
    if told.returncode:
        return {"error": told.stdout.strip() or told.stderr.strip()[-200:]}
    found = json.loads(told.stdout.strip().splitlines()[-1])
    return {name: found.get(name) for name in MEASURED}


def means(rows: Iterator[dict[str, object]]) -> Iterator[tuple[str, float]]:
    """Over all pairs; one that failed counts as nothing."""
    known = list(rows)
    for name in MEASURED:
        values = [float(str(row.get(name) or 0)) for row in known if "error" in row or row.get(name) is not None]
        if values:
            yield name, sum(values) / len(values)


if __name__ == "__main__":
    main()
