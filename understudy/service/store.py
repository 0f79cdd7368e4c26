"""What is known of every job, in SQLite: it survives whoever writes it.

A job is `queued`, `running`, then `done`, `failed` or `cancelled`. Who works on a running job holds the lock in its
folder; a running job whose lock is free has lost its worker, and is taken up again.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OVER: Final = ("done", "failed", "cancelled")
STATES: Final = ("queued", "running", *OVER)
_PATIENCE: Final = 10.0  # seconds that one process waits for another's writing
_FAR: Final = "(done + case stage when 'drawing' then 1000000000 else 0 end)"  # drawing comes after watching
_TABLE: Final = """
create table if not exists jobs (
    id text primary key, state text not null, created real not null, started real, ended real,
    key text unique, digest text not null, options text not null, driving text not null, still integer not null,
    tries integer not null default 0, reached integer not null default 0,
    cancelled integer not null default 0, unwanted integer not null default 0, worker integer, beat real,
    stage text not null default '', done integer not null default 0, total integer, remaining real,
    note text not null default '', result text, error text
);
create index if not exists by_state on jobs (state, created);
create index if not exists by_time on jobs (created);
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A row."""

    id: str
    state: str
    created: float  # seconds since 1970
    started: float | None
    ended: float | None
    key: str | None  # of idempotency
    digest: str  # of options and files
    options: Mapping[str, Any]  # of `animate` or `act`
    driving: str  # the name of the file that drives, in the job's folder
    still: bool  # the result is a picture
    tries: int
    cancelled: bool  # it shall be
    unwanted: bool  # it shall be forgotten when it is over
    worker: int | None  # process number
    beat: float | None  # when its worker last said something
    stage: str
    done: int
    total: int | None
    remaining: float | None  # seconds
    note: str
    result: Mapping[str, Any] | None
    error: Mapping[str, str] | None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @staticmethod
    def of(row: sqlite3.Row) -> Job:
        """From the database."""
        values = {key: row[key] for key in row.keys() if key != "reached"}  # noqa: SIM118 - not a dictionary
        for name in ("options", "result", "error"):
            values[name] = None if values[name] is None else json.loads(values[name])
        return Job(
            **{
                **values,
                "still": bool(values["still"]),
                "cancelled": bool(values["cancelled"]),
                "unwanted": bool(values["unwanted"]),
            }
        )


class Store:
    """The table, in the hands of one thread."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        self._base.row_factory = sqlite3.Row
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")  # a crash of ours loses nothing; that of the machine, moments
        self._base.executescript(_TABLE)

    def close(self) -> None:
        self._base.close()

    # --- by the server ------------------------------------------------------------------------------------------------

    def add(
        self, job: str, *, key: str | None, digest: str, options: Mapping[str, Any], driving: str, still: bool
    ) -> bool:
        """A new job; False where its key is in use, whose job then stays the only one."""
        try:
            self._base.execute(
                "insert into jobs (id, state, created, key, digest, options, driving, still)"
                " values (?, 'queued', ?, ?, ?, ?, ?, ?)",
                (job, time.time(), key, digest, json.dumps(dict(options)), driving, still),
            )
        except sqlite3.IntegrityError:
            return False
        return True

    def get(self, job: str) -> Job | None:
        return self._one("id = ?", job)

    def by_key(self, key: str) -> Job | None:
        return self._one("key = ?", key)

    def latest(self, count: int) -> list[Job]:
        """The newest first."""
        return self._many("1 order by created desc limit ?", count)

    def ids(self) -> set[str]:
        return {row["id"] for row in self._base.execute("select id from jobs")}

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        found = dict.fromkeys(STATES, 0)
        for row in self._base.execute("select state, count(*) as many from jobs group by state"):
            found[row["state"]] = row["many"]
        return found

    def waiting(self) -> int:
        """Jobs that are not over."""
        row = self._base.execute("select count(*) as many from jobs where state in ('queued', 'running')").fetchone()
        return int(row["many"])

    def pace(self) -> float | None:
        """Seconds that a job took lately; None where none was done."""
        row = self._base.execute(
            "select avg(ended - started) as mean from"
            " (select ended, started from jobs where state = 'done' order by ended desc limit 20)"
        ).fetchone()
        return None if row["mean"] is None else float(row["mean"])

    def cancel(self, job: str) -> None:
        """At once where nobody works on it; else its worker will."""
        now = time.time()
        self._base.execute(
            "update jobs set state = 'cancelled', ended = ?, cancelled = 1 where id = ? and state = 'queued'",
            (now, job),
        )
        self._base.execute("update jobs set cancelled = 1 where id = ? and state = 'running'", (job,))

    def disown(self, job: str) -> None:
        """It shall be stopped and forgotten."""
        self._base.execute("update jobs set unwanted = 1 where id = ?", (job,))
        self.cancel(job)

    def forget(self, job: str) -> bool:
        """Remove a job that is over."""
        done = self._base.execute("delete from jobs where id = ? and state in ('done', 'failed', 'cancelled')", (job,))
        return done.rowcount > 0

    def unwanted(self) -> list[Job]:
        """Jobs that are over and shall be forgotten."""
        return self._many("unwanted and state in ('done', 'failed', 'cancelled')")

    def ended_since(self, moment: float) -> list[Job]:
        return self._many("ended > ? order by ended", moment)

    def ended_before(self, moment: float) -> list[Job]:
        return self._many("ended < ?", moment)

    def silent_since(self, moment: float) -> list[Job]:
        """Jobs that are worked on and of which nothing was heard."""
        return self._many("state = 'running' and beat < ?", moment)

    # --- by a worker --------------------------------------------------------------------------------------------------

    def open(self) -> Iterable[Job]:
        """What is to be done, oldest first: jobs that wait, and those that somebody has, or had."""
        return self._many("state in ('queued', 'running') order by created")

    def begin(self, job: str, worker: int) -> Job | None:
        """Take a job up, whose lock is held; None where it is over. What died over it without getting any further
        counts as a try."""
        now = time.time()
        self._base.execute(
            "update jobs set state = 'running', worker = ?, beat = ?, started = coalesce(started, ?),"
            f" tries = case when {_FAR} > reached then 1 else tries + 1 end, reached = max(reached, {_FAR})"
            " where id = ? and state in ('queued', 'running')",
            (worker, now, now, job),
        )
        found = self.get(job)
        return found if found is not None and found.state == "running" else None

    def advance(self, job: str, stage: str, done: int, total: int | None, remaining: float | None, note: str) -> bool:
        """How far it is. Returns whether it shall be cancelled (or is not known any more)."""
        self._base.execute(
            "update jobs set beat = ?, stage = ?, done = ?, total = ?, remaining = ?,"
            " note = case when ? = '' then note else ? end where id = ? and state = 'running'",
            (time.time(), stage, done, total, remaining, note, note, job),
        )
        found = self.get(job)
        return found is None or found.cancelled

    def give_back(self, job: str) -> None:
        """Not now: whoever comes next goes on. It was nobody's fault."""
        self._base.execute(
            "update jobs set state = 'queued', worker = null, tries = max(tries - 1, 0)"
            " where id = ? and state = 'running'",
            (job,),
        )

    def end(
        self, job: str, state: str, result: Mapping[str, Any] | None = None, error: Mapping[str, str] | None = None
    ) -> None:
        """It is over."""
        told = [None if value is None else json.dumps(dict(value)) for value in (result, error)]
        self._base.execute(
            "update jobs set state = ?, ended = ?, worker = null, remaining = null, result = ?, error = ?"
            " where id = ? and state = 'running'",
            (state, time.time(), *told, job),
        )

    def _one(self, where: str, *values: object) -> Job | None:
        row = self._base.execute(f"select * from jobs where {where}", values).fetchone()
        return None if row is None else Job.of(row)

    def _many(self, where: str, *values: object) -> list[Job]:
        return [Job.of(row) for row in self._base.execute(f"select * from jobs where {where}", values)]
