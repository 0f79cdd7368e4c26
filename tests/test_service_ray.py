"""The service as a deployment of Ray Serve: more replicas where there is more to do, and too much is refused."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

for library in ("fastapi", "uvicorn", "python_multipart", "prometheus_client", "httpx"):
    pytest.importorskip(library)

import animate_made as made  # noqa: E402
import httpx  # noqa: E402
from service_made import serving, until  # noqa: E402

from understudy.errors import BadOption  # noqa: E402
from understudy.face.portrait import Portrait  # noqa: E402
from understudy.service.api import Service, claimed  # noqa: E402
from understudy.service.client import Client  # noqa: E402
from understudy.service.limits import Limits  # noqa: E402
from understudy.service.place import Place  # noqa: E402
from understudy.service.refusals import Busy  # noqa: E402
from understudy.service.replicas import EACH, wanted  # noqa: E402

LIMITS = Limits(bytes=1, seconds=1, pixels=1, waiting=1, tries=1, stall=1, upload=1, kept=1)
QUEUE, FACTOR = 4, 10


def test_there_are_as_many_replicas_as_jobs_demand() -> None:
    """All replicas count the same jobs, so that those are not counted twice."""
    assert wanted(SimpleNamespace(aggregated_metrics=None))[0] == 1
    for jobs, replicas in ((0, 1), (1, 1), (EACH, 1), (EACH + 1, 2), (10 * EACH, 10)):
        counted = {"one": float(jobs), "other": float(jobs)}
        assert wanted(SimpleNamespace(aggregated_metrics={"jobs": counted}))[0] == replicas


def test_several_share_a_folder_that_one_has_claimed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    lock = claimed(place)
    with pytest.raises(BadOption, match="another running service"):
        claimed(place)
    _, sending = place.fresh()
    services = [Service(place, LIMITS, 1, alone=False) for _ in range(2)]
    for service in services:
        service.open()
    assert sending.exists(), "what one receives the others do not sweep away"
    services[0].store.add("0" * 32, key=None, digest="", options={}, driving="driving", still=False)
    assert services[1].job("0" * 32).state == "queued"
    for service in services:
        service.close()
    with pytest.raises(BadOption):
        claimed(place)
    lock.release()
    claimed(place).release()
    assert not sending.exists()


def test_serve_refuses_in_words_and_the_client_understands() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, text="Request dropped due to backpressure", headers={"retry-after": "2"})

    with Client("http://127.0.0.1:1") as client:
        client._http = httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(answer))
        with pytest.raises(Busy) as caught:
            client.job("0" * 32)
    assert caught.value.retry == 2


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_ten_times_too_much_is_refused_and_forgotten_in_two_seconds(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    portrait = made.portrait(tmp_path / "portrait.png", 128)
    made.acted(Portrait.read(portrait), 12).save(tmp_path / "motion.safetensors")
    files = {"portrait": portrait.read_bytes(), "motion": (tmp_path / "motion.safetensors").read_bytes()}
    words = ("--ray", "--queue", str(QUEUE), "--requests", "4", "--workers", "2")
    with serving(tmp_path / "data", *words, UNDERSTUDY_DATA=str(tmp_path / "home")) as server:
        client = httpx.Client(base_url=server.url, timeout=600)
        assert _sent(client, files).status_code == 202  # all is awake
        until(lambda: client.get("/health").json()["waiting"] == 0)

        with ThreadPoolExecutor(FACTOR * QUEUE) as senders:
            answers = list(senders.map(lambda _: _sent(client, files), range(FACTOR * QUEUE)))
        refused = [answer for answer in answers if answer.status_code == 503]
        accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
        assert len(refused) + len(accepted) == len(answers) and len(refused) > len(accepted) > 0
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)

        for number in accepted[1:]:
            assert client.delete(f"/v1/jobs/{number}").status_code == 204
        begun = time.monotonic()
        until(lambda: (answer := _sent(client, files)).status_code == 202 and _noted(accepted, answer), often=0.1)
        assert time.monotonic() - begun < 2.0, "measured where nothing else runs"

        for number in (accepted[0], accepted[-1]):
            until(lambda: client.get(f"/v1/jobs/{number}").json()["state"] == "done")  # noqa: B023
            assert client.get(f"/v1/jobs/{number}/result").content[4:8] == b"ftyp"
    assert server.process.returncode == 0


def _sent(client: httpx.Client, files: dict[str, bytes]) -> httpx.Response:
    return client.post("/v1/jobs", files=files)


def _noted(numbers: list[str], answer: httpx.Response) -> bool:
    numbers.append(answer.json()["id"])
    return True
