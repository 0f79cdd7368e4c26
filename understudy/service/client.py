"""The service in a few lines of Python.

    from understudy.service.client import Client

    with Client("http://127.0.0.1:8765") as service:
        service.animate("photo.jpg", "driving.mp4", "film.mp4", strength=1.2)
        service.act("photo.jpg", "voice.wav", "said.mp4", mood="happy")

Needs httpx alone, of what the extra `service` brings. Errors of the service come up as they would here: `NoFace`,
`TooLarge`, ... of `understudy.errors`, `Busy` and others of `understudy.service.refusals`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx

from understudy.clip.landing import landing
from understudy.errors import UnderstudyError
from understudy.service.refusals import Busy, from_json

Told = dict[str, Any]
_MOTION: Final = (".safetensors", ".csv")


class Client:
    """A service at `url`. `key` is what it asks for; `patience` seconds are waited while it is busy."""

    def __init__(self, url: str, key: str | None = None, patience: float = 600.0) -> None:
        headers = {} if key is None else {"x-api-key": key}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(60, read=300))
        self._patience = patience

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def animate(
        self,
        portrait: str | Path,
        driving: str | Path,
        out: str | Path,
        *,
        progress: Callable[[Told], None] = lambda job: None,
        **options: Any,
    ) -> Told:
        """From a portrait and a driver (film, picture, motion file or Live Link CSV) to a film in `out`, as `understudy
        animate` does it; returns what was made.

        `progress` is given the job whenever it has changed. Errors: what the service says; `Exists`, `Unwritable`."""
        return self._made(self.submit(portrait, driving, **options)["id"], out, progress)

    def act(
        self,
        portrait: str | Path,
        voice: str | Path,
        out: str | Path,
        *,
        progress: Callable[[Told], None] = lambda job: None,
        **options: Any,
    ) -> Told:
        """From a portrait and a voice to a film in `out` that has its sound, as `understudy act` does it; else as
        `animate`."""
        return self._made(self.submit(portrait, voice=voice, **options)["id"], out, progress)

    def _made(self, number: str, out: str | Path, progress: Callable[[Told], None]) -> Told:
        """Wait for a job, and fetch what it has made."""
        for job in self.watch(number):
            progress(job)
        job = self.job(number)
        if job["state"] != "done":
            raise from_json(job["error"] or {"happened": f"the job was {job['state']}"})
        self.save(number, out)
        return dict(job["result"])

    def submit(
        self,
        portrait: str | Path,
        driving: str | Path | None = None,
        key: str | None = None,
        *,
        voice: str | Path | None = None,
        **options: Any,
    ) -> Told:
        """Send a job, with a driver or a `voice`; while the service is busy, wait and try again. `key` makes sending
        twice the same as once."""
        named = {"portrait": portrait, _field(driving): driving, "voice": voice}
        sent = {name: Path(path) for name, path in named.items() if path is not None}
        words = {name: _word(value) for name, value in options.items() if value is not None}
        headers = {} if key is None else {"idempotency-key": key}
        until = time.monotonic() + self._patience
        while True:
            with ExitStack() as stack:
                files = {name: stack.enter_context(path.open("rb")) for name, path in sent.items()}
                answer = self._http.post("/v1/jobs", files=files, data=words, headers=headers)
            wait = float(answer.headers.get("retry-after", 1))
            if answer.status_code != Busy.status or time.monotonic() + wait > until:
                return self._told(answer)
            time.sleep(wait)

    def job(self, number: str) -> Told:
        """How a job is."""
        return self._told(self._http.get(f"/v1/jobs/{number}"))

    def watch(self, number: str) -> Iterator[Told]:
        """A job, whenever it has changed, until it is over."""
        with self._http.stream("GET", f"/v1/jobs/{number}/events") as answer:
            if answer.is_error:
                answer.read()
                self._told(answer)
            for line in answer.iter_lines():
                if line.startswith("data: ") and line != "data: {}":
                    yield json.loads(line[6:])

    def save(self, number: str, out: str | Path, overwrite: bool = False) -> Path:
        """The result of a job that is done, whole or not at all."""
        path = Path(out)
        with self._http.stream("GET", f"/v1/jobs/{number}/result") as answer:
            if answer.is_error:
                answer.read()
                self._told(answer)
            with landing(path, overwrite) as temporary, temporary.open("wb") as file:
                for block in answer.iter_bytes():
                    file.write(block)
        return path

    def cancel(self, number: str) -> Told:
        """Stop a job."""
        return self._told(self._http.post(f"/v1/jobs/{number}/cancel"))

    def delete(self, number: str) -> None:
        """Stop a job and forget it."""
        self._told(self._http.delete(f"/v1/jobs/{number}"))

    def _told(self, answer: httpx.Response) -> Told:
        """What the service says. Errors: what it refuses by."""
        if answer.status_code == 204:
            return {}
        try:
            told = answer.json()
        except ValueError:
            if answer.status_code == Busy.status:  # Ray Serve refuses in words of its own
                wait = answer.headers.get("retry-after", "")
                retry = int(wait) if wait.isdecimal() else 1
                raise Busy("the service has too much to do", remedy=f"again in {retry} s", retry=retry) from None
            raise UnderstudyError("this is no Understudy service", f"status {answer.status_code}", "its url") from None
        if answer.is_error:
            raise from_json(told.get("error", {}))
        return dict(told)


def _field(driving: str | Path | None) -> str:
    """What a driver is called in a form."""
    return "motion" if driving is not None and Path(driving).suffix.lower() in _MOTION else "driving"


def _word(value: Any) -> str:
    """An option in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, tuple | list) else str(value)
