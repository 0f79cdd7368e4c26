"""The service as its users have it: a process behind a port, jobs that come back as films."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")

import animate_made as made  # noqa: E402
import numpy as np  # noqa: E402
from service_made import Server, serving, until  # noqa: E402

from understudy.animate import act, animate  # noqa: E402
from understudy.clip import Sound, read, read_metadata, read_sound, write_sound  # noqa: E402
from understudy.errors import BadOption, NoFace, NoSound, TooLarge, UnreadableMedia  # noqa: E402
from understudy.motion.mesh import whole  # noqa: E402
from understudy.motion.read import read_mesh  # noqa: E402
from understudy.service.client import Client  # noqa: E402
from understudy.service.refusals import BadRequest, Busy, KeyReused, NoSuchJob, NotReady  # noqa: E402
from understudy.service.store import Store  # noqa: E402

pytestmark = pytest.mark.timeout(7200)
FRAMES = 60  # more than a segment: there is something to go on with
QUEUE = 4
SAID = 0.8  # seconds of voice


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def portrait(place: Path) -> Path:
    return made.portrait(place / "portrait.png", 160)


@pytest.fixture(scope="module")
def driver(place: Path) -> Path:
    return made.driver(place / "driver.mp4", FRAMES, size=160)


@pytest.fixture(scope="module")
def short(place: Path, driver: Path) -> Path:
    """A motion of a few frames: nothing has to be watched."""
    path = place / "short.safetensors"
    clip = read(driver)
    motion = whole(read_mesh(((t, f) for t, f in clip.timed()), clip.fps))[:4]
    motion.save(path)
    return path


@pytest.fixture(scope="module")
def voice(place: Path) -> Path:
    """Somebody who hums, with pauses."""
    at = np.arange(round(SAID * 16_000)) / 16_000
    hum = np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2 * at) > 0) * 0.3
    return write_sound(place / "voice.wav", Sound(hum[:, None].astype(np.float32), 16_000))


@pytest.fixture(scope="module")
def film(place: Path, portrait: Path, driver: Path) -> list[Any]:
    """The frames that the service must give, too."""
    return made.decoded(Path(animate(portrait, driver, out=place / "film.mp4", sign=False).output))


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    home = str(place / "home")
    with serving(place / "data", "--queue", str(QUEUE), "--max-seconds", "5", UNDERSTUDY_DATA=home) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with server.client() as client:
        yield client


def same(path: Path, film: list[Any]) -> bool:
    frames = made.decoded(path)
    return len(frames) == len(film) and all(map(np.array_equal, frames, film))


def test_a_job_gives_what_the_command_gives(
    client: Client, server: Server, tmp_path: Path, portrait: Path, driver: Path, film: list[Any]
) -> None:
    seen: list[dict[str, Any]] = []
    out = tmp_path / "out.mp4"
    result = client.animate(portrait, driver, out, progress=seen.append)
    assert same(out, film)
    assert (result["frames"], result["model"]) == (FRAMES, "warp") and "output" not in result
    assert "synthetic media" in read_metadata(out)["synthetic"]
    assert seen[0]["state"] in ("queued", "running") and seen[-1]["state"] == "done"
    stages = [job["progress"]["stage"] for job in seen if job["progress"]["stage"]]
    assert stages == sorted(stages, reverse=True), "watching comes before drawing"
    job = seen[-1]
    assert job["created"] <= job["started"] <= job["ended"]
    files = {path.name for path in (server.folder / "jobs" / job["id"]).iterdir()}
    assert files == {"lock", "result.mp4"}, "inputs are not kept"
    answer = httpx.get(f"{server.url}/v1/jobs/{job['id']}/result", headers={"range": "bytes=0-9"})
    assert answer.status_code == 206 and answer.content[4:8] == b"ftyp", "players may seek"


def test_what_drives_may_be_motion_or_a_picture(client: Client, tmp_path: Path, portrait: Path, short: Path) -> None:
    assert client.animate(portrait, short, tmp_path / "motion.mp4", strength=1.5, only=("mouth",))["frames"] == 4
    assert client.animate(portrait, portrait, tmp_path / "picture.png", crop=True)["fps"] == 0
    assert read(tmp_path / "picture.png").still


def test_a_voice_gives_what_the_command_gives(client: Client, tmp_path: Path, portrait: Path, voice: Path) -> None:
    pytest.importorskip("torch")
    result = client.act(portrait, voice, tmp_path / "out.mp4", mood="happy", seed=3)
    own = act(portrait, voice, out=tmp_path / "own.mp4", mood="happy", seed=3, sign=False)
    assert result["frames"] == own.frames == round(25 * SAID) and result["model"] == "warp"
    assert same(tmp_path / "out.mp4", made.decoded(tmp_path / "own.mp4"))
    assert abs(read_sound(tmp_path / "out.mp4").seconds - SAID) < 0.1


def test_voices_are_refused_by_name(
    client: Client, server: Server, tmp_path: Path, portrait: Path, voice: Path, short: Path
) -> None:
    pytest.importorskip("torch")
    mute = made.driver(tmp_path / "mute.mp4", 3, sound=False, size=64)
    text = tmp_path / "text.wav"
    text.write_text("#EXTM3U\nfile:///etc/passwd")
    long = write_sound(tmp_path / "long.wav", Sound(np.full((8000 * 6, 1), 0.1, np.float32), 8000))
    for error, file in ((NoSound, mute), (NoSound, portrait), (UnreadableMedia, text), (TooLarge, long)):
        with pytest.raises(error) as caught:
            client.act(portrait, file, tmp_path / "none.mp4")
        assert str(server.folder) not in str(caught.value)
    for name, value in (("mood", "bored"), ("lively", 5), ("blinks", -1), ("guidance", "nan")):
        with pytest.raises(BadOption, match=name):
            client.submit(portrait, voice=voice, **{name: value})
    for name, value in (("reference_frame", 3), ("mouth", "own")):
        with pytest.raises(BadOption, match="that are seen alone"):
            client.submit(portrait, voice=voice, **{name: value})
    assert not (tmp_path / "none.mp4").exists() and not list((server.folder / "incoming").iterdir())


def test_refusals_have_names(client: Client, server: Server, tmp_path: Path, portrait: Path, driver: Path) -> None:
    nobody = tmp_path / "nobody.png"
    made.write_picture(nobody, np.full((128, 128, 3), 127, np.uint8))
    long = made.driver(tmp_path / "long.mp4", list(made.driver_frames(2, 64)) * 70, sound=False)
    for error, words in (
        (NoFace, (nobody, driver)), (UnreadableMedia, (driver, driver)), (TooLarge, (portrait, long)),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            client.animate(*words, tmp_path / "none.mp4")
        assert str(server.folder) not in str(caught.value)
    with pytest.raises(BadOption):
        client.submit(portrait, driver, strength=7)
    with pytest.raises(BadRequest, match="one of driving, motion and voice"):
        client.submit(portrait, driver, voice=driver)
    with pytest.raises(BadRequest):
        client.submit(portrait)
    with pytest.raises(BadOption, match="voices alone"):
        client.submit(portrait, driver, mood="happy")
    with pytest.raises(NoSuchJob):
        client.job("0" * 32)
    assert not (tmp_path / "none.mp4").exists()
    assert not list((server.folder / "incoming").iterdir())


def test_sending_twice_is_sending_once(client: Client, server: Server, portrait: Path, short: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        sent = list(threads.map(lambda _: client.submit(portrait, short, key="once"), range(4)))
    assert len({job["id"] for job in sent}) == 1
    with pytest.raises(KeyReused):
        client.submit(portrait, short, key="once", strength=0.5)
    until(lambda: client.job(sent[0]["id"])["state"] == "done")
    assert client.submit(portrait, short, key="once")["state"] == "done", "also when it is over"


def test_no_more_wait_than_may(client: Client, server: Server, portrait: Path, driver: Path, short: Path) -> None:
    impatient = Client(server.url, patience=0)
    until(lambda: httpx.get(f"{server.url}/health").json()["waiting"] == 0)
    sent = [impatient.submit(portrait, driver)["id"] for _ in range(QUEUE)]
    files = {"portrait": b"x", "driving": b"x"}
    refused = httpx.post(f"{server.url}/v1/jobs", files=files)
    assert refused.status_code == 503 and 1 <= int(refused.headers["retry-after"]) <= 600
    with pytest.raises(Busy):
        impatient.submit(portrait, driver)
    with pytest.raises(NotReady, match="queued"):
        impatient.save(sent[-1], Path("nowhere.mp4"))
    assert impatient.cancel(sent[-1])["state"] == "cancelled"
    assert impatient.cancel(sent[-1])["state"] == "cancelled", "twice is once"
    more = client.submit(portrait, short)["id"]
    until(lambda: impatient.job(sent[0])["state"] == "running")
    impatient.cancel(sent[0])
    until(lambda: impatient.job(sent[0])["state"] == "cancelled")
    assert {path.name for path in (server.folder / "jobs" / sent[0]).iterdir()} == {"lock"}
    for number in sent:
        impatient.delete(number)
    until(lambda: not any((server.folder / "jobs" / number).exists() for number in sent))
    with pytest.raises(NoSuchJob):
        impatient.job(sent[0])
    until(lambda: client.job(more)["state"] == "done")


def test_it_describes_itself(server: Server) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    told = httpx.get(f"{server.url}/openapi.json").json()
    body = told["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert {"portrait", "driving", "motion", "voice", "strength", "mood"} <= set(body["schema"]["properties"])
    for example in body["examples"].values():
        assert set(example["value"]) <= set(body["schema"]["properties"])
        assert sum(set(example["value"]) >= set(way["required"]) for way in body["schema"]["oneOf"]) == 1
    assert {"400", "413", "415", "422", "503"} <= set(told["paths"]["/v1/jobs"]["post"]["responses"])
    schemas = told["components"]["schemas"]
    assert schemas["JobSaid"]["properties"]["id"]["examples"] and schemas["Problem"]["properties"]["kind"]["examples"]
    text = httpx.get(f"{server.url}/metrics").text
    found = {family.name: family for family in text_string_to_metric_families(text)}
    ended = {sample.labels["state"]: sample.value for sample in found["understudy_jobs_ended"].samples}
    assert ended["done"] >= 1 and found["understudy_workers"].samples[0].value == 1
    health = httpx.get(f"{server.url}/health").json()
    assert health["status"] == "ok"
    assert httpx.get(f"{server.url}/nowhere").json()["error"]["kind"] == "NoSuchPlace"
    assert httpx.put(f"{server.url}/v1/jobs").status_code == 405
    requests = server.events("request")
    assert all({"time", "level", "request", "status", "milliseconds"} <= set(line) for line in requests)
    assert not server.events("request broke") and not server.events("noise")


# --- killed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [2, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_at_any_moment_nothing_is_lost_and_nothing_doubled(
    tmp_path: Path, portrait: Path, driver: Path, film: list[Any], runs: int
) -> None:
    """In turn the worker and the server are killed, at moments that chance chooses; every job's film is whole, the one
    that would have been drawn without, and whatever bears the final name is."""
    chance = random.Random(runs)
    server = Server(tmp_path / "data", ("--queue", "100"), {"UNDERSTUDY_DATA": str(tmp_path / "home")}).start()
    halves: list[str] = []
    stop = threading.Event()
    watching = threading.Thread(target=_watch_names, args=(server.folder / "jobs", stop, halves), daemon=True)
    watching.start()
    numbers = []
    try:
        for run in range(runs):
            with server.client() as client:
                number = client.submit(portrait, driver, key=f"run {run}")["id"]
                numbers.append(number)
                until(lambda: client.job(number)["state"] in ("running", "done"))  # noqa: B023
            time.sleep(chance.uniform(0, 4))
            if run % 2:
                server.kill()
                server.start()
            else:
                for worker in server.workers():
                    os.kill(worker, signal.SIGKILL)
            with server.client() as client:
                assert client.submit(portrait, driver, key=f"run {run}")["id"] == number, "it is still known"
                until(lambda: client.job(number)["state"] in ("done", "failed"))  # noqa: B023
                job = client.job(number)
                assert job["state"] == "done", job
                assert same(client.save(number, tmp_path / f"{run}.mp4"), film)
        with server.client() as client:
            assert client._http.get("/health").json()["waiting"] == 0
    finally:
        stop.set()
        server.stop()
    watching.join()
    assert halves == []
    store = Store(server.folder / "jobs.sqlite")
    assert store.ids() == set(numbers) == {path.name for path in (server.folder / "jobs").iterdir()}
    assert store.counts()["done"] == len(set(numbers)) == runs
    for number in numbers:
        assert {path.name for path in (server.folder / "jobs" / number).iterdir()} == {"lock", "result.mp4"}


def _watch_names(folder: Path, stop: threading.Event, halves: list[str]) -> None:
    """Whatever bears the name of a result is one, at any moment."""
    whole: set[Path] = set()
    while not stop.is_set():
        for path in folder.glob("*/result.mp4"):
            if path not in whole:
                try:
                    if len(list(read(path, warn=halves.append))) != FRAMES:
                        halves.append(f"{path} is not whole")
                except Exception as error:
                    halves.append(repr(error))
                whole.add(path)
        time.sleep(0.02)


def test_a_job_that_kills_whoever_takes_it_up_fails_by_name(tmp_path: Path, portrait: Path, driver: Path) -> None:
    """In the worker's own hands, without waiting for a server to start it again and again."""
    from understudy.service.limits import Limits
    from understudy.service.place import Place
    from understudy.service.worker import Worker

    limits = Limits(bytes=10**7, seconds=10, pixels=10**7, waiting=5, tries=2, stall=60, upload=5, kept=60)
    place = Place(tmp_path)
    place.make()
    number, folder = place.fresh()
    for name, path in (("portrait", portrait), ("driving", driver)):
        (folder / name).write_bytes(path.read_bytes())
    place.accept(number)
    worker = Worker(place, limits)
    worker.store.add(number, key=None, digest="", options={"model": "warp"}, driving="driving", still=False)
    for _ in range(limits.tries):
        assert worker.store.begin(number, 1) is not None  # and died
    assert worker.one() and not worker.one()
    job = worker.store.get(number)
    assert job is not None and job.state == "failed" and job.error is not None and job.error["kind"] == "Crashed"
    assert {path.name for path in place.of(number).iterdir()} == {"lock"}


@pytest.mark.slow
def test_who_leaves_hands_its_job_on(tmp_path: Path, portrait: Path, driver: Path, film: list[Any]) -> None:
    """A server that is stopped loses nothing; the next one goes on with the partial film."""
    data, home = tmp_path / "data", {"UNDERSTUDY_DATA": str(tmp_path / "home")}
    with serving(data, **home) as server, server.client() as client:
        number = client.submit(portrait, driver)["id"]
        until(lambda: client.job(number)["progress"]["done"] > 0)
    assert server.events("service ends") and not server.events("worker died")
    store = Store(data / "jobs.sqlite")
    job = store.get(number)
    assert job is not None and job.state in ("queued", "done")
    with serving(data, **home) as server, server.client() as client:
        until(lambda: client.job(number)["state"] == "done")
        assert same(client.save(number, tmp_path / "out.mp4"), film)
        with pytest.raises(BadOption, match="another running service"):
            from understudy.service.api import Service
            from understudy.service.limits import Limits
            from understudy.service.place import Place

            limits = Limits(bytes=1, seconds=1, pixels=1, waiting=1, tries=1, stall=1, upload=1, kept=1)
            Service(Place(data), limits, 1).open()
