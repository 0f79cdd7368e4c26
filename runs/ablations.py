"""What each idea of a recipe is worth: the same steps from the same start, without it, and measured as every model is.

    python runs/ablations.py x-portrait-small --steps 1000 --picture 128 --processes 2
    python runs/ablations.py x-portrait-2-small --steps 1000 --picture 128 --only end,nobody
    python runs/ablations.py x-portrait-2-small --start WEIGHTS --out journal/onwards    go on from what one has learnt

Everything lies in `--out` (journal/ablations): a run and an evaluation of each, and `MODEL.md`, the table, written anew
after each of them. Started again, it goes on where it stopped. At 256 pixels and 1,000 steps a variant takes half an
hour of two CPU cores, at 128 a quarter of that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

VARIANTS: Final = {
    "x-portrait-small": {
        "full": (),
        "drivers are the portraits' own people": ("cross=false",),
        "no stretching of drivers": ("stretch=0", "shift=0"),
        "drivers stretched by a fifth": ("stretch=0.2", "shift=0.008"),
        "no local control": ("local=false",),
    },
    "x-portrait-2-small": {
        "end to end": (),
        "no augmentation": ("varied=0", "zoom=0", "bend=0", "aside=0"),
        "augmentation as published": ("varied=1", "zoom=0.3", "bend=0.02", "aside=0.02"),
        "no decoder head": ("head.weight=0",),
        "no masking": ("masked=0",),
        "codes not made alike": ("alike=0",),
        "nobody reads curves off codes": ("read=0",),
    },
}
"""By what the table calls them: fields of the recipe of the stage `together`."""
ALWAYS: Final = {"x-portrait-2-small": ("closeups=0",)}
"""Fields of all variants: here encoder and generator learn end to end, from the first step."""
PRIOR: Final = "x-portrait-small-prior"
COLUMNS: Final = ("psnr", "psnr_face", "ssim", "sharpness", "leak", "landmark_error", "landmark_error_fine")
TOLD: Final = ("who_accuracy", "who_auc", "style_loss_db")  # and the mean of probe_r2


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("model", choices=VARIANTS)
    asked.add_argument("--steps", type=int, default=1000)
    asked.add_argument("--picture", type=int, default=128)
    asked.add_argument("--pictures", type=int, default=10_240, help="drawn ahead")
    asked.add_argument("--processes", type=int, default=1)
    asked.add_argument("--people", type=int, default=12)
    asked.add_argument("--start", type=Path, help="weights that all go on from, in the place of a backbone alone")
    asked.add_argument("--only", default="", help="some of VARIANTS, by how their names begin, with commas")
    asked.add_argument("--out", type=Path, default=Path("journal/ablations"))
    said = asked.parse_args()
    folder = said.out / f"{said.picture}"
    start = said.start or train(said, folder / PRIOR, PRIOR, max(said.steps // 2, 1), ())
    rows: dict[str, dict[str, object]] = {}
    always = ALWAYS.get(said.model, ())
    for name, fields in VARIANTS[said.model].items():
        slug = "-".join(name.split()).lower()
        if said.only and not any(slug.startswith(word) for word in said.only.split(",")):
            continue
        place = folder / said.model / slug
        made = train(said, place, f"{said.model}-together", said.steps, (f"start={start}", *always, *fields))
        rows[name] = measured(said, place, made)
        table = folder / f"{said.model}.md"
        table.write_text("\n".join(lines(rows)) + "\n", encoding="utf-8")
        print(table.read_text(encoding="utf-8"), flush=True)


def train(said: argparse.Namespace, place: Path, recipe: str, steps: int, fields: tuple[str, ...]) -> Path:
    """The weights of a run, which is made or gone on with where it is not done."""
    made = place / f"{recipe}.safetensors"
    if (place / "done").exists():
        return made
    spread = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(said.processes)]
    command = [
        sys.executable, *(spread if said.processes > 1 else []), "-m", "understudy.recipes", recipe,
        f"plan.steps={steps}", f"config.picture={said.picture}", f"pictures={said.pictures}",
        f"plan.judge_every={max(steps, 1)}", *fields, "--device", "cpu", "--threads", "1",
        "--out", str(place), "--shards", str(said.out / f"{said.picture}" / "shards"),
    ]  # fmt: skip
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run(command, check=True, env=os.environ | quiet)
    (place / "done").touch()
    return made


def measured(said: argparse.Namespace, place: Path, made: Path) -> dict[str, object]:
    """What `understudy evaluate` says of weights, taken in the place of shipped ones."""
    kept = place / "figures.json"
    if not kept.exists():
        shutil.copyfile(made, place / f"{said.model}.safetensors")
        command = [sys.executable, "-m", "understudy", "evaluate", said.model, "--people", str(said.people), "--json"]
        command += ["--out", str(place / "evaluated")]
        own = os.environ | {"UNDERSTUDY_WEIGHTS": str(place.resolve())}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=own)
        kept.write_text(done.stdout, encoding="utf-8")
    found: dict[str, object] = json.loads(kept.read_text(encoding="utf-8").splitlines()[-1])
    return found


def lines(rows: dict[str, dict[str, object]]) -> list[str]:
    """The table, in Markdown."""
    told = any(row.get("probe_r2") for row in rows.values())
    columns = [*COLUMNS, *(TOLD if told else ())]
    head = ["", *columns, *(["probe_r2"] if told else [])]
    body = []
    for name, row in rows.items():
        cells = [number(row.get(column)) for column in columns]
        curves = row.get("probe_r2")
        if told:
            cells.append(number(curves.get("mean")) if isinstance(curves, dict) else "")
        body.append(f"| {name} | " + " | ".join(cells) + " |")
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *body]


def number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else ""


if __name__ == "__main__":
    main()
