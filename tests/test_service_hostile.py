"""Strangers send what they like: everything is refused by name or survived, and nothing gets out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("prometheus_client")
httpx = pytest.importorskip("httpx")

import animate_made as made  # noqa: E402
import clip_made  # noqa: E402
import hostile  # noqa: E402
import numpy as np  # noqa: E402
from service_made import PATIENCE, Server, eavesdropper, serving, until  # noqa: E402

from understudy.clip import read  # noqa: E402

MOST = 3_000_000
SECRET = "correct horse battery staple"


@pytest.mark.parametrize("many", [36, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.timeout(3600)
def test_nothing_breaks_and_nothing_gets_out(tmp_path: Path, many: int) -> None:
    given = hostile.material(
        _folder(tmp_path, "given"), made.portrait(tmp_path / "p.png", 128), made.driver(tmp_path / "d.mp4", 4, size=128)
    )
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET * 20)
    home, data, scratch = (_folder(tmp_path, name) for name in ("home", "data", "scratch"))
    words = ("--max-mb", str(MOST / 1e6), "--queue", "1000", "--max-seconds", "20", "--max-megapixels", "16")
    answered: Counter[int] = Counter()
    with (
        httpx.Client() as caller,
        eavesdropper() as (port, came),
        serving(data, *words, HOME=str(home), UNDERSTUDY_DATA=str(home), TMPDIR=str(scratch)) as server,
    ):
        accepted = []
        for case in hostile.cases(given, secret, port, MOST, many):
            answer = send(caller, server, case)
            answered[answer.status_code] += 1
            assert SECRET not in answer.text
            if answer.status_code == 202:
                assert case.may, case.name
                accepted.append((case.name, answer.json()["id"]))
                continue
            assert 400 <= answer.status_code < 500, (case.name, answer.status_code, answer.text)
            assert answer.json()["error"]["kind"] not in ("Crashed", "Internal"), (case.name, answer.text)
            assert str(tmp_path) not in answer.text, "nobody learns where things lie"
        for name, number in accepted:
            job = finished(caller, server, number)
            if job["state"] == "failed":
                assert job["error"]["kind"] not in ("Crashed", "Internal"), (name, job)
                refused = caller.get(f"{server.url}/v1/jobs/{number}/result")
                assert refused.status_code == 409 and refused.json()["error"]["kind"] == "NotReady"
            else:
                assert SECRET.encode() not in caller.get(f"{server.url}/v1/jobs/{number}/result").content
        assert not came, "nobody was called"
        assert not server.events("worker died") and not server.events("examiner died")
        assert server.process.poll() is None
        known = {number for _, number in accepted}
        left = {path.relative_to(data).parts[0] for path in data.rglob("*")}
        assert left <= {"jobs", "incoming", "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "server.lock"}
        assert {path.name for path in (data / "jobs").iterdir()} == known and not list((data / "incoming").iterdir())
    assert not list(tmp_path.rglob("*escaped*")) and not Path("/tmp/escaped.png").exists()
    assert not list(scratch.iterdir()), "nothing is left in the folder for temporary files"
    assert sum(answered.values()) == many and sum(answered[status] for status in answered if status != 202) > many / 2


def send(caller: httpx.Client, server: Server, case: hostile.Case) -> httpx.Response:
    url = f"{server.url}/v1/jobs"
    if case.raw is not None:
        return caller.post(url, content=case.raw, headers={"content-type": "multipart/form-data; boundary=x"})
    files = [(name, (file, content)) for name, file, content in case.files]
    request = httpx.Request("POST", url, files=files, data=case.options)
    body = request.read()
    headers = {"content-type": request.headers["content-type"]}
    if case.chunked:
        return caller.post(url, content=iter([body]), headers=headers, timeout=PATIENCE)
    return caller.post(url, content=body, headers=headers, timeout=PATIENCE)


def finished(caller: httpx.Client, server: Server, number: str) -> dict[str, object]:
    found: dict[str, object] = {}

    def over() -> bool:
        found.update(caller.get(f"{server.url}/v1/jobs/{number}").json())
        return found["state"] in ("done", "failed")

    until(over)
    return found


def _folder(place: Path, name: str) -> Path:
    (place / name).mkdir()
    return place / name


def test_a_film_that_grows_beyond_all_bounds_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first frames are small, as was looked at; then it claims to be large."""
    small, large = (
        clip_made.film(tmp_path / f"{side}.h264", frames=[np.full((side, side, 3), 90, np.uint8)] * 5)
        for side in (64, 512)
    )
    grown = tmp_path / "grown.h264"
    grown.write_bytes(small.read_bytes() + large.read_bytes())
    assert len(list(read(grown, warn=lambda text: None))) == 10
    monkeypatch.setattr("understudy.clip.decode.MAX_PIXELS", 100_000)
    said: list[str] = []
    assert 0 < len(list(read(grown, warn=said.append))) <= 5
    assert any("damaged" in text for text in said), said
