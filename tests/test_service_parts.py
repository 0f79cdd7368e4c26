"""The service's parts by themselves, without a server: table, folder, form, options, door."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import BadOption, NoFace, UnderstudyError
from understudy.service.limits import Limits
from understudy.service.options import ACTING, HEARD, OPTIONS, read_options
from understudy.service.place import Lock, Place
from understudy.service.refusals import KINDS, Busy, as_json, from_json, status_of
from understudy.service.store import STATES, Store

LIMITS = Limits(bytes=10_000, seconds=10, pixels=10**6, waiting=3, tries=3, stall=60, upload=5, kept=60)


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.sqlite")


def add(store: Store, job: str, key: str | None = None) -> bool:
    return store.add(job, key=key, digest="d", options={"model": "warp"}, driving="driving", still=False)


def test_a_job_is_what_was_said_of_it(store: Store) -> None:
    assert add(store, "a", "key") and not add(store, "b", "key"), "one job a key"
    assert store.get("b") is None and store.ids() == {"a"}
    job = store.by_key("key")
    assert job is not None and (job.id, job.state, job.options) == ("a", "queued", {"model": "warp"})
    begun = store.begin("a", 7)
    assert begun is not None and (begun.state, begun.tries, begun.worker) == ("running", 1, 7)
    assert not store.advance("a", "drawing", 3, 10, 1.5, "warp draws it")
    assert not store.advance("a", "drawing", 4, 10, 1.0, "")
    seen = store.get("a")
    assert seen is not None and (seen.done, seen.note) == (4, "warp draws it"), "a note stays"
    store.end("a", "done", {"frames": 10})
    over = store.get("a")
    assert over is not None and over.over and over.result == {"frames": 10} and over.worker is None
    assert store.begin("a", 8) is None, "what is over is not taken up"
    assert store.pace() is not None and store.waiting() == 0


def test_what_gets_nowhere_is_counted_and_what_gets_on_is_not(store: Store) -> None:
    add(store, "a")
    tries = []
    for done in (0, 0, 50, 50, 90, 90):
        job = store.begin("a", 1)
        assert job is not None
        tries.append(job.tries)
        store.advance("a", "drawing", done, 100, None, "")
    assert tries == [1, 1, 2, 1, 2, 1], "the first frame, the 50th and the 90th were steps forward"
    for _ in range(10):
        store.give_back("a")
        job = store.begin("a", 1)
        assert job is not None and job.tries <= 2, "who is told to leave is not to blame"


def test_cancelling_and_forgetting(store: Store) -> None:
    for job in "abc":
        add(store, job)
    store.begin("b", 1)
    for job in "ab":
        store.cancel(job)
    assert (store.get("a").state, store.get("b").state) == ("cancelled", "running")  # type: ignore[union-attr]
    assert store.advance("b", "drawing", 1, 2, None, ""), "its worker is told"
    store.end("b", "cancelled")
    store.disown("c")
    assert {job.id for job in store.unwanted()} == {"c"}
    assert store.forget("c") and not store.forget("c") and store.get("c") is None
    assert store.counts() == {"queued": 0, "running": 0, "done": 0, "failed": 0, "cancelled": 2}
    assert len(store.ended_before(time.time() + 1)) == 2 and store.silent_since(time.time() + 1) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["begin", "cancel", "give", "done", "fail", "forget"])))
)
def test_whatever_happens_what_is_over_stays_over(steps: list[tuple[str, str]]) -> None:
    store = Store(Path(":memory:"))
    for job in "ab":
        add(store, job)
    ended: dict[str, str] = {}
    for job, step in steps:
        match step:
            case "begin":
                store.begin(job, 1)
            case "cancel":
                store.cancel(job)
            case "give":
                store.give_back(job)
            case "done":
                store.end(job, "done", {})
            case "fail":
                store.end(job, "failed", error={"kind": "NoFace"})
            case "forget":
                if store.forget(job):
                    assert job in ended
        now = store.get(job)
        if job in ended:
            assert now is None or now.state == ended[job]
        elif now is not None and now.over:
            ended[job] = now.state
        assert now is None or now.state in STATES


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    code = (
        "import sys; from pathlib import Path; from understudy.service.store import Store\n"
        "s = Store(Path(sys.argv[1]))\n"
        "for k in range(60): s.add(f'{sys.argv[2]}{k}', key=f'k{k}', digest='', options={}, driving='', still=False)"
    )
    Store(path)
    runs = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "xyz"]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(Store(path).ids()) == 60, "one job a key, whoever comes first"
    with pytest.raises(sqlite3.Error):
        Store(tmp_path)


# --- the folder ---------------------------------------------------------------------------------------------------


def test_only_numbers_make_paths(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.make()
    for name in ("..", "../x", "/etc", "a", "A" * 32, "0" * 33, ""):
        with pytest.raises(ValueError, match="no number"):
            place.of(name)
    job, folder = place.fresh()
    (folder / "portrait").write_text("x")
    place.accept(job)
    assert place.of(job).is_dir() and not folder.exists() and place.result(job) is None
    (place.of(job) / "result.mp4").write_text("x")
    (place.of(job) / "lock").touch()
    place.strip(job, result=True)
    assert {path.name for path in place.of(job).iterdir()} == {"result.mp4", "lock"}
    other, _ = place.fresh()
    place.sweep(set())
    assert not place.of(job).exists() and not (place.incoming / other).exists()


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from understudy.service.place import Lock\n"
        "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); time.sleep(60)"
    )
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline().strip() == "True"
    mine = Lock(path)
    assert not mine.take()
    holder.kill()
    holder.wait()
    assert mine.take()
    mine.release()
    assert not Lock(tmp_path / "nowhere" / "lock").take()


# --- errors and options -------------------------------------------------------------------------------------------


def test_errors_travel_there_and_back() -> None:
    for name, kind in KINDS.items():
        error = from_json(as_json(kind("it happened", "this", "that")))
        assert type(error) is kind is KINDS[name] and str(error) == "it happened. Seen: this. Try: that."
        assert 400 <= status_of(name) < 504
    assert type(from_json({"kind": "Unheard", "happened": "x"})) is UnderstudyError
    assert (status_of("NoFace"), status_of("Busy"), status_of("TooMuch")) == (422, 503, 413)
    assert NoFace in KINDS.values() and Busy("x").retry == 1


def test_options_are_those_of_animate_and_no_others() -> None:
    import inspect

    from understudy.animate import animate

    assert set(OPTIONS) <= set(inspect.signature(animate).parameters)
    words = {"seed": "7", "strength": "1.5", "only": "mouth, eyes", "relative": "false", "crop": "yes", "face": "0"}
    found = {"seed": 7, "strength": 1.5, "only": ["mouth", "eyes"], "relative": False, "crop": True, "face": 0}
    assert read_options(words) == found
    assert read_options({"reference_frame": "auto"}) == {"reference_frame": "auto"}
    assert read_options({"reference_frame": "12"}) == {"reference_frame": 12}
    for name in ("out", "force", "device", "command", "progress", "sign", "", "../model"):
        with pytest.raises(BadOption, match="no option"):
            read_options({name: "x"})
    with pytest.raises(BadOption, match="strength") as caught:
        read_options({"strengh": "1"})
    assert caught.value.remedy == "strength"


def test_options_of_voices_are_those_of_act() -> None:
    import inspect

    pytest.importorskip("torch")
    from understudy.animate import act
    from understudy.motion.perform import Wishes

    assert set(HEARD) <= set(inspect.signature(act).parameters)
    for name in ("lively", "blinks", "looks"):
        most = ACTING[name].schema["maximum"]
        assert read_options({name: str(most)}, HEARD) == {name: most} and Wishes(**{name: most})
        for refused in (lambda: read_options({name: f"{most + 1}"}, HEARD), lambda: Wishes(**{name: most + 1})):  # noqa: B023
            with pytest.raises(BadOption):
                refused()
    with pytest.raises(BadOption, match="seen alone"):
        read_options({"mouth": "own"}, HEARD)
    with pytest.raises(BadOption, match="voices alone"):
        read_options({"mood": "happy"})


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(OPTIONS | ACTING)), st.text())
def test_any_text_is_read_or_refused(name: str, word: str) -> None:
    try:
        json.dumps(read_options({name: word}, OPTIONS | ACTING))
    except BadOption as error:
        assert len(str(error)) < 1000


# --- the form -----------------------------------------------------------------------------------------------------


def body_of(parts: Iterable[tuple[str, str | None, bytes]]) -> bytes:
    found = b""
    for name, file, content in parts:
        named = "" if file is None else f'; filename="{file}"'
        found += f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"
    return found + b"--edge--\r\n"


async def cut(body: bytes, places: list[int]) -> AsyncIterator[bytes]:
    ends = sorted({min(place, len(body)) for place in places} | {len(body)})
    at = 0
    for end in ends:
        yield body[at:end]
        at = end


def received(body: bytes, folder: Path, places: list[int] = [], most: int = LIMITS.bytes) -> Any:  # noqa: B006
    upload = pytest.importorskip("understudy.service.upload", exc_type=ImportError)
    kind = "multipart/form-data; boundary=edge"
    return asyncio.run(upload.receive(kind, None, cut(body, places), folder, most, LIMITS.upload))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 4000), max_size=20))
def test_a_form_is_the_same_however_it_comes_in(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, places: Any
) -> None:
    folder = tmp_path_factory.mktemp("form")
    data = data.replace(b"--edge", b"")
    body = body_of([("portrait", "../../x.png", data), ("seed", None, b"7"), ("driving", None, b"\r\n--edg" + data)])
    form = received(body, folder, places)
    assert (folder / "portrait").read_bytes() == data and (folder / "driving").read_bytes() == b"\r\n--edg" + data
    assert form.options == {"seed": "7"} and form.hashes["portrait"] == hashlib.sha256(data).hexdigest()
    assert {path.name for path in folder.iterdir()} == {"portrait", "driving"}
    assert form.digest == received(body, tmp_path_factory.mktemp("again")).digest


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 200), st.lists(st.integers(0, 400), max_size=5))
def test_a_form_that_breaks_off_is_no_form(tmp_path_factory: pytest.TempPathFactory, end: int, places: Any) -> None:
    refusals = pytest.importorskip("understudy.service.refusals")
    body = body_of([("portrait", "a.png", b"x" * 60), ("seed", None, b"7")])
    with pytest.raises(refusals.BadRequest):
        received(body[: min(end, len(body) - 5)], tmp_path_factory.mktemp("form"), places)


def test_the_first_byte_too_many_is_refused(tmp_path: Path) -> None:
    from understudy.service.refusals import BadRequest, TooMuch, TooSlow

    upload = pytest.importorskip("understudy.service.upload", exc_type=ImportError)
    body = body_of([("portrait", "a.png", b"x" * 5000)])
    with pytest.raises(TooMuch):
        received(body, tmp_path, list(range(0, 6000, 100)), most=3000)
    assert (tmp_path / "portrait").stat().st_size <= 3000, "and no more is written"

    async def endless() -> AsyncIterator[bytes]:
        yield body[:100]
        await asyncio.sleep(60)

    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("what says that it is too large is not read")
        yield b""

    kind = "multipart/form-data; boundary=edge"
    (tmp_path / "portrait").unlink()
    with pytest.raises(TooSlow):
        asyncio.run(upload.receive(kind, None, endless(), tmp_path, 3000, 0.05))
    with pytest.raises(TooMuch):
        asyncio.run(upload.receive(kind, "3001", unread(), tmp_path, 3000, 5))
    for other in ("", "text/plain", "multipart/form-data", "application/json"):
        with pytest.raises(BadRequest):
            asyncio.run(upload.receive(other, None, unread(), tmp_path, 3000, 5))


# --- the door -----------------------------------------------------------------------------------------------------


def knock(key: str | None, path: str = "/v1/jobs", **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer for a request with these headers."""
    door = pytest.importorskip("understudy.service.door", exc_type=ImportError)
    metrics = pytest.importorskip("understudy.service.metrics", exc_type=ImportError)
    said: list[dict[str, Any]] = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": raw}
    asyncio.run(door.Door(inside, key, metrics.Metrics())(scope, None, send))
    assert [name for name, _ in said[0]["headers"]].count(b"x-request-id") == 1
    return said[0]["status"], json.loads(said[1]["body"])


def test_who_may_come_in() -> None:
    here, key = {"host": "127.0.0.1:8765"}, "0123456789abcdef"
    assert knock(None, **here)[0] == 200
    assert knock(None, host="localhost:1")[0] == knock(None, host="[::1]:1")[0] == 200
    assert knock(None, **here, origin="http://127.0.0.1:8765")[0] == 200
    for strange in ({"host": "evil.example"}, {}, {"host": "127.0.0.1.evil.example"}, {**here, "origin": "null"},
                    {**here, "origin": "http://evil.example"}, {**here, "origin": "http://127.0.0.1:9"}):  # fmt: skip
        status, told = knock(None, **strange)
        assert (status, told["error"]["kind"]) == (403, "Forbidden"), strange
    assert knock(key, host="films.example", x_api_key=key)[0] == 200
    assert knock(key, host="films.example", authorization=f"Bearer {key}")[0] == 200
    for wrong in ({}, {"x_api_key": key[:-1]}, {"x_api_key": "\xe9"}, {"authorization": "Bearer"}):
        status, told = knock(key, **here, **wrong)
        assert (status, told["error"]["kind"]) == (401, "NotAllowed"), wrong
    assert knock(key, path="/health")[0] == 200, "whether it works is no secret"


def test_strangers_are_not_served_without_a_key(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    from understudy.service.run import serve

    for host in ("0.0.0.0", "192.168.1.5", "films.example", "::"):
        with pytest.raises(BadOption, match="no key"):
            serve(tmp_path, LIMITS, host=host, port=0, workers=1, key=None)
    with pytest.raises(BadOption, match="guessed"):
        serve(tmp_path, LIMITS, host="0.0.0.0", port=0, workers=1, key="secret")
