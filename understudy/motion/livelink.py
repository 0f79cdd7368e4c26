"""Live Link Face: the CSV files of Epic's phone app, which Unreal, Blender and Maya read. In and out.

A row is a frame: `Timecode` (HH:MM:SS:FF.mmm, frames of a 60th of a second whatever the rate), `BlendShapeCount`, 52
coefficients in the app's own order (not quite ARKit's), and the rotations of head and eyes in radians. Their signs
are those of the app, which uses Unreal's axes: yaw is positive towards the person's own right, pitch downwards, roll
clockwise as the camera sees it. For the eyes this was measured on recordings (yaw is 0.60 (eyeLookIn - eyeLookOut) of
the left eye, pitch 0.55 (eyeLookDown - eyeLookUp)); the recordings at hand have no head rotation, which is
taken to follow the same convention.

What comes in is put on the canonical face by the rig, so that it can be drawn. Curves that the rig cannot show
(`tongueOut`, ...) are kept as curves unless they are zero throughout, which is how a file says that nobody knows.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, TextIO

import numpy as np
import numpy.typing as npt

from understudy.clip.landing import landing, refuse_existing, unwritable
from understudy.clip.media import Warn, say
from understudy.errors import BadMotionFile, MissingFile
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import ARKIT_NAMES, CARRIED, UPPER, Rig
from understudy.motion.mesh import MotionMesh, whole

# The app has right before left for what moves sideways, where ARKit has left first.
_SWAPPED: Final = {"jawLeft": "jawRight", "jawRight": "jawLeft", "mouthLeft": "mouthRight", "mouthRight": "mouthLeft"}
SHAPES: Final = tuple(name[0].upper() + name[1:] for name in (_SWAPPED.get(name, name) for name in ARKIT_NAMES))
HEAD: Final = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES: Final = tuple(f"{side}Eye{turn}" for side in ("Left", "Right") for turn in ("Yaw", "Pitch", "Roll"))
COLUMNS: Final = ("Timecode", "BlendShapeCount", *SHAPES, *HEAD, *EYES)
TICKS: Final = 60  # a second of timecode
ACROSS, DOWN = 0.60, 0.55  # radians of an eye at a coefficient of 1
PICTURE: Final = 512  # pixels along the side of the picture in which what comes in is placed
_SIZE: Final = 150.0  # pixels of an eye unit there
_PLACE: Final = (256.0, 215.0, 0.0)
_CHUNK: Final = 256  # frames
_HEAD_SIGNS: Final = np.array([-1.0, 1.0, 1.0])  # from our yaw, pitch, roll to the app's
_USUAL_RATES: Final = (
    *(Fraction(whole_rate) for whole_rate in (24, 25, 30, 48, 50, 60, 90, 100, 120)),
    *(Fraction(whole_rate * 1000, 1001) for whole_rate in (24, 30, 60, 120)),
)
_NO_CLOCK: Final = (math.nan, math.nan)


# --- out ------------------------------------------------------------------------------------------------------------


def write_livelink(
    path: str | os.PathLike[str], motion: MotionMesh | Iterable[MotionMesh], *, overwrite: bool = False
) -> None:
    """Writes a motion, or the chunks of one, as the app would. Coefficients that the motion does not have are 0, as
    every reader expects all columns. Errors: `Exists`, `Unwritable`."""
    path = Path(path)
    refuse_existing(path, overwrite)
    chunks = [motion] if isinstance(motion, MotionMesh) else motion
    with landing(path, overwrite) as temporary:
        try:
            with temporary.open("w", newline="", encoding="ascii") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                for chunk in chunks:
                    writer.writerows(_rows(chunk))
        except OSError as error:
            raise unwritable(path, error) from error


def _rows(chunk: MotionMesh) -> Iterator[list[str]]:
    curves = {name: chunk.curves[:, column].astype(np.float64) for column, name in enumerate(chunk.names)}
    nothing = np.zeros(len(chunk))

    def curve(name: str) -> npt.NDArray[np.float64]:
        return curves.get(name, nothing)

    shapes = np.stack([curve(name[0].lower() + name[1:]) for name in SHAPES], 1)
    head = np.radians(chunk.pose.angles.astype(np.float64)) * _HEAD_SIGNS
    eyes = []
    for side, sign in (("Left", 1), ("Right", -1)):
        yaw = sign * ACROSS * (curve(f"eyeLookIn{side}") - curve(f"eyeLookOut{side}"))
        eyes += [yaw, DOWN * (curve(f"eyeLookDown{side}") - curve(f"eyeLookUp{side}")), nothing]
    table = np.concatenate([shapes, head, np.stack(eyes, 1)], 1)
    for time, seen, row in zip(chunk.times, chunk.seen, table, strict=True):
        # the app says 0 shapes of a frame in which it lost the face
        yield [timecode(float(time)), str(len(row) if seen else 0), *(f"{value:.10f}" for value in row)]


def timecode(seconds: float) -> str:
    """HH:MM:SS:FF.mmm; a time past midnight wraps, as clocks do."""
    thousandths = round(seconds * TICKS * 1000) % (24 * 3600 * TICKS * 1000)
    minutes, rest = divmod(thousandths, 60 * TICKS * 1000)
    second, rest = divmod(rest, TICKS * 1000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


# --- in -------------------------------------------------------------------------------------------------------------


def read_livelink(path: str | os.PathLike[str], *, rate: Fraction | None = None, warn: Warn = say) -> MotionMesh:
    """A whole CSV file as one motion. As `livelink_chunks`."""
    return whole(livelink_chunks(path, rate=rate, warn=warn))


def livelink_chunks(
    path: str | os.PathLike[str], *, rate: Fraction | None = None, warn: Warn = say
) -> Iterator[MotionMesh]:
    """A CSV file as a stream of chunks. The file is read twice: once to know its columns, units and rate.

    `rate`, if given, is believed instead of the timecodes. Columns may be missing, in any order and any case; what is
    missing is said, and so is what had to be cut to its bounds. Errors: `MissingFile`, `BadMotionFile`."""
    path = Path(path)
    plan = _survey(path, rate, warn)
    rig, held, first = Rig.canonical(), np.zeros(len(plan.columns)), 0
    rows: list[_Row] = []
    for row in _rows_in(path, plan.columns):
        held = row.values if row.seen else held
        rows.append(_Row(row.clock, row.seen, held))
        if len(rows) == _CHUNK:
            yield _mesh(path, plan, rig, first, rows)
            first, rows = first + len(rows), []
    if rows:
        yield _mesh(path, plan, rig, first, rows)


@dataclass(frozen=True)
class _Row:
    """A frame as the file has it."""

    clock: tuple[float, float]  # seconds of the day, and frames on top; not numbers if there is no timecode
    seen: bool
    values: npt.NDArray[np.float64]  # one for each known column


@dataclass(frozen=True)
class _Plan:
    """What a file turned out to have."""

    columns: dict[str, int]  # our names ("jawOpen", "HeadYaw", ...) -> columns of the file
    names: tuple[str, ...]  # curves that mean something
    rate: Fraction
    start: float | None  # time of day of the first frame, seconds; None if frames are simply counted
    base: float  # frames a second of the timecodes
    unit: float  # of angles, in radians


def _survey(path: Path, rate: Fraction | None, warn: Warn) -> _Plan:
    columns = _columns(path)
    lacking = [name for name in CARRIED if name not in columns]
    if lacking:
        warn(f"{path.name} lacks {len(lacking)} of {len(CARRIED)} coefficients, taken for 0: {', '.join(lacking[:6])}")
    order = list(columns)
    most, least = np.zeros(len(order)), np.zeros(len(order))
    clocks, lost = [], 0
    for row in _rows_in(path, columns):
        clocks.append(row.clock)
        lost += not row.seen
        most, least = np.maximum(most, row.values), np.minimum(least, row.values)
    if not clocks:
        raise BadMotionFile(f"{path} holds no frames", "a header and nothing else", "record it again")
    if lost:
        warn(f"in {lost} of {len(clocks)} frames of {path.name} no face was seen")
    bounds = {name: (least[place], most[place]) for place, name in enumerate(order)}
    wild = [n for n in ARKIT_NAMES if n in bounds and (bounds[n][1] > UPPER + 0.05 or bounds[n][0] < -0.05)]
    if wild:
        warn(f"coefficients of {path.name} were cut to 0 and {UPPER:g}: {', '.join(wild[:6])}")
    angles = [max(abs(low), high) for name, (low, high) in bounds.items() if name in (*HEAD, *EYES)]
    degrees = max(angles, default=0.0) > 2 * math.pi
    if degrees:
        warn(f"the rotations of {path.name} are too large for radians and were taken for degrees")
    names = tuple(n for n in ARKIT_NAMES if n in bounds and (n in CARRIED or any(bounds[n])))
    base, measured = _pace(np.array(clocks))
    if rate is None and measured is None:
        warn(f"{path.name} has no usable timecodes; {TICKS} frames a second were taken")
    steady = rate if rate is not None else Fraction(TICKS) if measured is None else _usual(measured)
    day = np.array(clocks) @ (1, 1 / base)
    orderly = rate is None and measured is not None and bool((np.mod(np.diff(day), 24 * 3600) < 3600).all())
    start = float(day[0]) if orderly and (np.diff(day) != 0).all() else None
    return _Plan(columns, names, steady, start, base, math.radians(1) if degrees else 1.0)


def _columns(path: Path) -> dict[str, int]:
    """Where each known column is."""
    known = {name.lower(): name for name in ("Timecode", "BlendShapeCount", *ARKIT_NAMES, *HEAD, *EYES)}
    with _opened(path) as file:
        try:
            header = next(csv.reader(file), [])
        except csv.Error as error:
            raise _not_one(path, str(error)) from error
    found: dict[str, int] = {}
    for place, title in enumerate(header):
        name = known.get(title.strip().strip("\ufeff").lower())
        if name is not None:
            found.setdefault(name, place)
    if not any(name in found for name in ARKIT_NAMES):
        raise _not_one(path, f"columns {', '.join(header[:4])[:80] or 'without names'}")
    return found


def _rows_in(path: Path, columns: dict[str, int]) -> Iterator[_Row]:
    """The frames of a file, one by one."""
    places = [0 if name in ("Timecode", "BlendShapeCount") else place for name, place in columns.items()]
    numbers = np.array([name not in ("Timecode", "BlendShapeCount") for name in columns])
    count_at, clock_at = columns.get("BlendShapeCount"), columns.get("Timecode")
    with _opened(path) as file:
        rows = csv.reader(file)
        try:
            width = len(next(rows))
            for line, row in enumerate(rows, 2):
                if not row:
                    continue
                clock = _clock(row[clock_at]) if clock_at is not None and clock_at < len(row) else _NO_CLOCK
                if len(row) < width:  # the app writes short rows while it has no face
                    yield _Row(clock, False, np.zeros(len(places)))
                    continue
                seen = count_at is None or float(row[count_at] or 0) > 0
                values = np.array([float(row[p] or 0) if n else 0.0 for p, n in zip(places, numbers, strict=True)])
                if not np.isfinite(values).all() or np.abs(values).max() > 1e6:
                    raise ValueError(f"line {line} has a value that is no coefficient")
                yield _Row(clock, seen, values)
        except (ValueError, csv.Error) as error:
            raise _not_one(path, str(error)) from error


def _opened(path: Path) -> TextIO:
    try:
        return path.open(newline="", encoding="utf-8-sig", errors="replace")
    except FileNotFoundError as error:
        raise MissingFile(f"there is no file {path}", remedy="look at the name") from error
    except OSError as error:
        raise BadMotionFile(f"{path} cannot be read", str(error), "look at its rights") from error


def _not_one(path: Path, seen: str) -> BadMotionFile:
    return BadMotionFile(
        f"{path} is not a Live Link Face recording",
        seen[:200],
        "give the CSV file that the app puts beside its film; a first line with column names is needed",
    )


def _clock(text: str) -> tuple[float, float]:
    """HH:MM:SS:FF.mmm or HH:MM:SS.mmm -> seconds of the day, and frames on top."""
    try:
        numbers = [float(part) for part in text.replace(";", ":").split(":")]
    except ValueError:
        return _NO_CLOCK
    if len(numbers) not in (3, 4) or not all(0 <= number < 1e5 for number in numbers):
        return _NO_CLOCK
    hours, minutes, seconds, frames = (*numbers, 0.0)[:4]
    return hours * 3600 + minutes * 60 + seconds, frames


def _pace(clocks: npt.NDArray[np.float64]) -> tuple[float, float | None]:
    """How many frames of timecode a second has, and how many rows (None without usable timecodes).

    The first shows where a second begins: the frames of the one before went up to it."""
    seconds, frames = clocks.T
    if len(clocks) < 2 or not np.isfinite(clocks).all():
        return TICKS, None
    base, same = float(TICKS), np.diff(seconds) == 0
    step = float(np.median(np.diff(frames)[same])) if same.any() else 0.0
    next_one = np.diff(seconds) == 1
    if step > 0 and next_one.any():
        went_up_to = float(np.median(frames[:-1][next_one] + step - frames[1:][next_one]))
        base = float(min((24, 25, 30, 48, 50, 60, 100, 120, 1000), key=lambda usual: abs(usual - went_up_to)))
    steps = np.diff(seconds + frames / base)
    middle = float(np.median(steps))
    even = steps[(steps > 0.5 * middle) & (steps < 1.5 * middle)]
    return base, 1 / float(even.mean()) if middle > 0 else None


def _usual(measured: float) -> Fraction:
    """The rate that was meant."""
    near = min(_USUAL_RATES, key=lambda usual: abs(float(usual) / measured - 1))
    return near if abs(float(near) / measured - 1) < 2e-3 else Fraction(measured).limit_denominator(1001)


def _mesh(path: Path, plan: _Plan, rig: Rig, first: int, rows: list[_Row]) -> MotionMesh:
    table = np.stack([row.values for row in rows])
    places = {name: place for place, name in enumerate(plan.columns)}

    def column(name: str) -> npt.NDArray[np.float64]:
        return table[:, places[name]] if name in places else np.zeros(len(table))

    curves = np.clip(np.stack([column(name) for name in plan.names], 1), 0, UPPER).astype(np.float32)
    carried = np.stack([np.clip(column(name), 0, UPPER) for name in CARRIED], 1)
    angles = np.degrees(np.stack([column(name) for name in HEAD], 1) * plan.unit) * _HEAD_SIGNS
    pose = Pose(
        rotation_of(angles),
        np.full(len(table), _SIZE, np.float32),
        np.broadcast_to(np.array(_PLACE, np.float32), (len(table), 3)).copy(),
    )
    return MotionMesh(
        times=_times(plan, first, np.array([row.clock for row in rows])),
        points=rig.points(carried, pose),
        pose=pose,
        curves=curves,
        names=plan.names,
        seen=np.array([row.seen for row in rows]),
        shots=np.zeros(len(table), np.int32),
        rate=plan.rate,
        provenance={"source": path.name, "format": "Live Link Face", "picture": f"{PICTURE}x{PICTURE}"},
    )


def _times(plan: _Plan, first: int, clocks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Seconds since the first frame; counted where the clock cannot be right."""
    if plan.start is None:
        return (first + np.arange(len(clocks))) / float(plan.rate)
    return np.mod(clocks @ (1, 1 / plan.base) - plan.start, 24 * 3600)
