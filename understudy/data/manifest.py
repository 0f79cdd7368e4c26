"""The manifest of shards: a row for every take that was seen, kept or not and why; as Parquet, for any tool to read."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from understudy.data import tars

# What is measured of a take: see `data.sieve.Measures`.
MEASURES = ("side", "eyes", "blur", "light", "burnt", "yaw_low", "yaw_high", "pitch_low", "pitch_high", "away", "mouth",
            "others")  # fmt: skip


@dataclass
class Row:
    """A take, or a film that gave none (then `key` is empty)."""

    source: str  # the film's name
    source_sha256: str
    status: str  # "kept" or "rejected"
    reasons: list[str]  # each begins with a word, a colon, and what was seen
    key: str = ""
    start: float = 0.0
    seconds: float = 0.0
    frames: int = 0
    fps: str = ""
    shot: int = 0
    shard: str = ""
    offset: int = 0  # of its members in the shard
    size: int = 0
    sha256: str = ""  # of its members
    sound: str = ""
    sound_lag: float = 0.0
    sound_fit: float = 0.0
    measures: dict[str, float] = field(default_factory=dict)
    film: str = ""  # where it is until it is packed
    part: int = 0

    @staticmethod
    def of_film(source: str, sha: str, reasons: list[str]) -> Row:
        """A film of which nothing is used."""
        return Row(source, sha, "rejected", reasons)

    @staticmethod
    def of_take(source: str, sha: str, film: str, record: dict[str, Any]) -> Row:
        """A take, as its part says it."""
        sound = record["sound"]
        return Row(
            source, sha, "rejected" if record["reasons"] else "kept", list(record["reasons"]), record["key"],
            record["start"], record["seconds"], record["frames"], record["fps"], record["shot"], "", 0, record["size"],
            record["sha"], sound["verdict"], round(sound["lag"], 4), round(sound["fit"], 4), dict(record["measures"]),
            film, record["offset"],
        )  # fmt: skip

    def reject(self, reason: str) -> None:
        """It is not used after all."""
        self.status = "rejected"
        self.reasons = [*self.reasons, reason]


def write_manifest(path: Path, rows: list[Row]) -> None:
    """As Parquet; the same rows give the same bytes, with the same pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    own = {"str": str, "float": float, "int": int}
    columns = [each for each in fields(Row) if each.name not in ("reasons", "measures", "film", "part")]
    values = {each.name: pa.array([getattr(row, each.name) for row in rows], kinds[own[str(each.type)]])
              for each in columns}  # fmt: skip
    values["reasons"] = pa.array([row.reasons for row in rows], pa.list_(pa.string()))
    for name in MEASURES:
        values[name] = pa.array([row.measures.get(name) for row in rows], pa.float64())
    held = pa.BufferOutputStream()
    pq.write_table(pa.table(values), held, compression="zstd")
    tars.write_whole(path, held.getvalue().to_pybytes())


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """The rows, as dictionaries."""
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows
