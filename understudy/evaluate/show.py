"""What was measured, for people: a table with commit and date, a contact sheet, and one object for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from understudy.clip import write_picture
from understudy.data.sheet import Tile, sheet
from understudy.errors import Unwritable
from understudy.evaluate.evaluation import AUTOENCODER, STILL, Evaluation
from understudy.evaluate.probes import Told
from understudy.evaluate.scenes import DRIVERS, SPEEDS, YAWS
from understudy.evaluate.score import Figures

if TYPE_CHECKING:
    from rich.table import Table

# Figure, heading, digits after the point.
COLUMNS: Final = (
    ("psnr", "PSNR dB", 2),
    ("psnr_face", "face dB", 2),
    ("ssim", "SSIM", 3),
    ("l1", "L1", 4),
    ("sharpness", "sharp", 2),
    ("feature_distance", "features", 3),
    ("landmark_error", "landm. %", 2),
    ("landmark_error_fine", "eyes+mouth %", 2),
    ("leak", "leak", 3),
    ("flicker", "flicker", 2),
    ("flicker_still", "still flicker", 2),
)
FEW: Final = ("psnr", "psnr_face", "ssim", "sharpness", "landmark_error", "leak")
MEANT: Final = ("mean", "worst")
WIDTH: Final = 150  # characters that the table needs
LEGEND: Final = (
    "PSNR of whole pictures and of the face's box; sharp: gradients of eyes and mouth, result over truth; features: "
    "distance of a fixed Gabor net; landm.: MediaPipe on result against truth, per cent of the distance between the "
    "eyes (20: not found, or worse); leak: what another driver's looks change, over what differs between the drivers; "
    "flicker, in 255ths: change from frame to frame against the truth's, and on a still driver"
)


def lines(evaluation: Evaluation) -> Iterator[tuple[str, Figures]]:
    """The rows of the table, with their names."""
    yield evaluation.model, evaluation.figures
    yield from evaluation.baselines.items()
    for kind, order in (("yaw", YAWS), ("speed", SPEEDS), ("driver", DRIVERS), ("style", None)):
        bins = evaluation.bins[kind]
        for name in sorted(bins, key=(order or sorted(bins)).index):
            yield f"{kind} {name}", bins[name]
    yield "unseen style", evaluation.unseen
    yield "the same, own style", evaluation.counterpart
    yield "unseen style, still", evaluation.still_unseen
    yield "own style, still", evaluation.still_counterpart
    yield from evaluation.groups.items()


def heading(evaluation: Evaluation) -> str:
    """What was measured, where and when."""
    programme = evaluation.programme
    steps = "" if evaluation.steps is None else f", {evaluation.steps} steps"
    size = f"{programme.people} people x {programme.motions} motions x {programme.frames} frames"
    where = f"{programme.size}x{programme.size}, seed {programme.seed}; commit {evaluation.commit}, {evaluation.date}"
    return f"{evaluation.model}{steps}: {size}, {where}"


def table(evaluation: Evaluation) -> Table:
    """For a terminal."""
    from rich.table import Table

    shown = Table("", *(name for _, name, _ in COLUMNS), "frames", title=heading(evaluation), title_justify="left",
                  caption=LEGEND, caption_justify="left", box=None, pad_edge=False)  # fmt: skip
    for column in shown.columns[1:]:
        column.justify = "right"
    ends = {len(evaluation.baselines)}
    for number, (name, figures) in enumerate(lines(evaluation)):
        cells = [written(figures[key], digits) for key, _, digits in COLUMNS]
        shown.add_row(name, *cells, written(figures["pictures"], 0), end_section=number in ends)
    return shown


def written(value: float | None, digits: int) -> str:
    """A number for a table."""
    return "-" if value is None else f"{value:.{digits}f}"


def as_object(evaluation: Evaluation) -> dict[str, Any]:
    """The object of `--json`: the model's own figures at the top, those of bins and baselines below them."""
    baselines = evaluation.baselines | {evaluation.model: evaluation.figures}
    reconstruction = baselines.get(AUTOENCODER, {}).get("psnr")
    named = {name: getattr(evaluation, name) for name in ("model", "steps", "version", "commit", "date", "machine")}
    worst = min((figures["psnr"] or math.inf for figures in evaluation.bins["yaw"].values()), default=math.inf)
    mean = evaluation.figures["psnr"]
    return {
        **named,
        "cast": evaluation.cast,
        **asdict(evaluation.programme),
        **evaluation.figures,
        "reconstruction_psnr": reconstruction,
        "still_psnr": baselines[STILL]["psnr"],
        "worst_yaw_loss_db": None if mean is None else mean - worst,
        "unseen_loss_db": lost(evaluation.counterpart, evaluation.unseen),
        "unseen_still_loss_db": lost(evaluation.still_counterpart, evaluation.still_unseen),
        "style_loss_db": evaluation.style_loss_db,
        "groups": evaluation.groups,
        **codes(evaluation.told),
        "seconds": evaluation.seconds,
        "bins": evaluation.bins,
        "unseen": evaluation.unseen,
        "unseen_counterpart": evaluation.counterpart,
        "baselines": evaluation.baselines,
        "warnings": evaluation.warnings,
    }


def lost(figures: Figures, worse: Figures) -> float | None:
    """How many dB some figures have that others have not."""
    more, less = figures["psnr"], worse["psnr"]
    return None if more is None or less is None else more - less


def codes(told: Told | None) -> dict[str, Any]:
    """What codes tell, for models that follow them."""
    if told is None:
        return {}
    return {"probe_r2": told.r2, "who_accuracy": told.who_accuracy, "who_auc": told.who_auc}


def sentences(evaluation: Evaluation) -> Iterator[str]:
    """What the table has no room for."""
    if evaluation.style_loss_db is not None:
        yield f"drivers in another style than the portrait's: {evaluation.style_loss_db:.2f} dB worse"
    told = evaluation.told
    if told is not None:
        low = sorted((value, name) for name, value in told.r2.items() if value is not None and name not in MEANT)[:5]
        worst = ", ".join(f"{name} {value:.2f}" for value, name in low)
        yield f"codes: R^2 of curves {told.r2['mean'] or 0:.3f} on average; least of {worst}"
        yield f"codes: who, of 20 people {told.who_accuracy:.3f} (0.05 by chance); same or not {told.who_auc:.3f} (0.5)"


def place(folder: Path) -> Path:
    """The folder, made if it is not there: before anything long begins. Errors: `Unwritable`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unwritable(f"{folder} cannot be made", str(error), "another folder") from error
    return folder


def keep(evaluation: Evaluation, folder: Path) -> tuple[Path, Path]:
    """Write the contact sheet and the object; returns where they are. What was there under these names is replaced.

    Errors: `Unwritable`."""
    name = f"{evaluation.model}-seed-{evaluation.programme.seed}"
    rows = [[Tile(picture, row.words[what]) for what, picture in row.pictures.items()] for row in evaluation.rows]
    below = [f"{key}: {summary(figures)}" for key, figures in lines(evaluation)] + [*sentences(evaluation)]
    page = sheet(rows, heading(evaluation), below, height=evaluation.programme.size)
    picture = write_picture(folder / f"{name}.png", page, overwrite=True)
    found = folder / f"{name}.json"
    found.write_text(json.dumps(as_object(evaluation), indent=1) + "\n", encoding="utf-8")
    return picture, found


def summary(figures: Figures) -> str:
    """A line of what matters most."""
    return ", ".join(f"{name} {written(figures[key], digits)}" for key, name, digits in COLUMNS if key in FEW)
