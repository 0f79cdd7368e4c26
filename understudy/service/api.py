"""The HTTP service: a job is posted, watched, fetched, forgotten."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from understudy import __version__
from understudy.errors import BadOption, UnderstudyError
from understudy.service import logs
from understudy.service.door import Door
from understudy.service.hands import Examiner, Workers, tidy
from understudy.service.limits import Limits
from understudy.service.metrics import CONTENT_TYPE, Metrics
from understudy.service.options import HEARD, OPTIONS, read_options
from understudy.service.place import ID, VOICE, Lock, Place
from understudy.service.refusals import (
    BadRequest,
    Busy,
    KeyReused,
    NoSuchJob,
    NoSuchPlace,
    NotReady,
    as_json,
    internal,
    status_of,
)
from understudy.service.said import MISSING, TROUBLES, Health, Jobs, JobSaid, form
from understudy.service.store import Job, Store
from understudy.service.upload import Form, receive

LOOK: Final = 0.2  # seconds between looks at a job that somebody watches
STILL_HERE: Final = 15.0  # seconds of silence after which a watcher is told that there is nothing new
TIDY: Final = 1.0  # seconds
LISTED: Final = 100
LONGEST_KEY: Final = 200
KINDS: Final = {".mp4": "video/mp4", ".png": "image/png"}


@dataclass
class Service:
    """All that changes while a service runs."""

    place: Place
    limits: Limits
    workers_wanted: int
    alone: bool = True  # the folder is this process's; else its owner, who claimed it, has begun several of these
    metrics: Metrics = field(default_factory=Metrics)
    sending: int = 0  # jobs that are on their way in

    def open(self) -> None:
        """Errors: `BadOption` where another service has the folder."""
        self.lock = claimed(self.place) if self.alone else None
        self.store = Store(self.place.database)
        self.examiner = Examiner(self.limits)
        self.workers = Workers(self.place, self.limits, self.workers_wanted, self.metrics.death)
        self.seen = time.time()  # jobs that ended before are counted

    def close(self) -> None:
        self.store.close()
        if self.lock is not None:
            self.lock.release()

    def job(self, number: str) -> Job:
        """Errors: `NoSuchJob`."""
        job = self.store.get(number) if ID.fullmatch(number) else None
        if job is None or job.unwanted:
            raise NoSuchJob("there is no such job", number[:40], "the id that POST /v1/jobs gave; it may be forgotten")
        return job

    def refuse_when_full(self) -> None:
        """Errors: `Busy`. Before a byte of the files is read."""
        waiting = self.store.waiting() + self.sending
        if waiting < self.limits.waiting:
            return
        pace = self.store.pace() or 10.0
        retry = max(1, min(600, round(pace * waiting / max(self.workers_wanted, 1) / 4)))
        raise Busy("too many jobs wait already", f"{waiting} jobs", f"again in {retry} s", retry)

    async def accept(self, request: Request) -> tuple[Job, bool]:
        """A new job, or the one that its idempotency key names already; and whether it is new."""
        key = request.headers.get("idempotency-key")
        if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
            raise BadRequest("this idempotency key cannot be used", f"{len(key)} characters", "1 to 200 printable ones")
        if key is None or self.store.by_key(key) is None:
            self.refuse_when_full()
        self.sending += 1
        number, folder = self.place.fresh()
        try:
            sent = await receive(
                request.headers.get("content-type", ""), request.headers.get("content-length"), request.stream(),
                folder, self.limits.bytes, self.limits.upload,
            )  # fmt: skip
            return await self._accept(number, sent, key)
        finally:
            self.sending -= 1
            shutil.rmtree(folder, ignore_errors=True)

    async def _accept(self, number: str, sent: Form, key: str | None) -> tuple[Job, bool]:
        if key is not None and (earlier := self.store.by_key(key)) is not None:
            return self._again(earlier, sent), False
        driving = named(sent)
        options = read_options(sent.options, HEARD if driving == VOICE else OPTIONS)
        found = await self.examiner.ask(sent.folder, driving, options)
        size = sum(path.stat().st_size for path in sent.folder.iterdir())
        self.place.accept(number)
        if not self.store.add(
            number, key=key, digest=sent.digest, options=options, driving=driving, still=found["still"]
        ):
            self.place.remove(number)
            assert key is not None  # numbers do not collide
            return self._again(self.store.by_key(key), sent), False
        self.metrics.received(size)
        return self.job(number), True

    def _again(self, earlier: Job | None, sent: Form) -> Job:
        """Errors: `KeyReused`."""
        if earlier is None or earlier.digest != sent.digest:
            raise KeyReused("this idempotency key belongs to another job", remedy="a new key for new files and options")
        return earlier

    async def look_after(self) -> None:
        """For as long as the service runs."""
        while True:
            with suppress(OSError):
                tidy(self.place, self.store, self.limits, self.workers)
            for job in self.store.ended_since(self.seen):
                self.seen = max(self.seen, job.ended or 0)
                self.place.strip(job.id, result=job.state == "done")  # its worker may have died before it could
                frames = int((job.result or {}).get("frames", 0))
                self.metrics.over(job.state, (job.ended or 0) - (job.started or job.created), frames)
            await asyncio.sleep(TIDY)

    async def watch(self, number: str) -> AsyncIterator[str]:
        """Every change of a job as a server-sent event, until it is over or forgotten."""
        last, silent = "", time.monotonic()
        while True:
            job = self.store.get(number)
            if job is None or job.unwanted:
                yield "event: forgotten\ndata: {}\n\n"
                return
            told = JobSaid.of(job).model_dump_json()
            if told != last:
                last, silent = told, time.monotonic()
                yield f"event: {job.state}\ndata: {told}\n\n"
            elif time.monotonic() - silent > STILL_HERE:
                silent = time.monotonic()
                yield ": still here\n\n"
            if job.over:
                return
            await asyncio.sleep(LOOK)


def claimed(place: Place) -> Lock:
    """Take a folder for a service, and remove what a killed one left there; it is ours until the lock is released.

    Errors: `BadOption` where another service has it."""
    place.make()
    lock = Lock(place.folder / "server.lock")
    if not lock.take():
        raise BadOption(f"{place.folder} is another running service's", remedy="--data with another folder")
    store = Store(place.database)
    place.sweep(store.ids())
    store.close()
    return lock


def named(sent: Form) -> str:
    """The file that drives, under the name that says what it is. Errors: `BadRequest`."""
    drivers = [name for name in ("driving", "motion", VOICE) if name in sent.files]
    if "portrait" not in sent.files or len(drivers) != 1:
        seen = ", ".join(sorted({*sent.files, *sent.options})) or "nothing"
        raise BadRequest(
            "a job needs a portrait, and one of driving, motion and voice", seen,
            "-F portrait=@photo.jpg -F driving=@driving.mp4",
        )  # fmt: skip
    if drivers != ["motion"]:
        return drivers[0]
    motion = sent.files["motion"]
    with motion.open("rb") as file:
        start = file.read(9)
    name = "motion.safetensors" if start[8:9] == b"{" else "motion.csv"
    motion.rename(sent.folder / name)
    return name


def application(place: Path, limits: Limits, workers: int, key: str | None, alone: bool = True) -> FastAPI:
    """The service as an ASGI application; `workers` processes draw. Where it is not `alone` it shares the folder, which
    somebody has `claimed`, with others like it."""
    service = Service(Place(place), limits, workers, alone)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.open()
        service.workers.start()
        await service.examiner.start()
        care = asyncio.create_task(service.look_after())
        logs.event("service begins", folder=str(place), workers=workers, waiting=service.store.waiting())
        try:
            yield
        finally:
            care.cancel()
            await service.examiner.stop()
            await service.workers.stop()
            service.close()
            logs.event("service ends")

    app = FastAPI(
        title="Understudy", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="A picture of somebody performs what a video or a voice does.",
    )  # fmt: skip
    app.state.service = service
    _routes(app, service)
    _errors(app, service)
    app.add_middleware(Door, key=key, metrics=service.metrics)  # type: ignore[arg-type, unused-ignore]
    return app


def _routes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/jobs", status_code=202, response_model=JobSaid, responses=TROUBLES, openapi_extra={"requestBody": form()}
    )
    async def post(request: Request, response: Response) -> JobSaid:
        """PORTRAIT performs what DRIVING does, or MOTION says, or a VOICE. Answers with the job, which is then watched,
        and its result fetched. The header Idempotency-Key makes sending twice the same as sending once."""
        job, fresh = await service.accept(request)
        response.status_code = 202 if fresh else 200
        response.headers["location"] = f"/v1/jobs/{job.id}"
        return JobSaid.of(job)

    @app.get("/v1/jobs", response_model=Jobs)
    async def listed() -> Jobs:
        """The newest jobs."""
        return Jobs(jobs=[JobSaid.of(job) for job in service.store.latest(LISTED) if not job.unwanted])

    @app.get("/v1/jobs/{number}", response_model=JobSaid, responses=MISSING)
    async def get(number: str) -> JobSaid:
        """How a job is."""
        return JobSaid.of(service.job(number))

    @app.get("/v1/jobs/{number}/events", responses=MISSING, response_class=StreamingResponse)
    async def events(number: str) -> StreamingResponse:
        """Every change of a job, as server-sent events, until it is over."""
        stream = service.watch(service.job(number).id)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})

    @app.get("/v1/jobs/{number}/result", responses={**MISSING, 409: TROUBLES[409]}, response_class=FileResponse)
    async def result(number: str) -> FileResponse:
        """The film, or the picture."""
        job = service.job(number)
        path = service.place.result(job.id) if job.state == "done" else None
        if path is None:
            why = "" if job.error is None else f": {job.error['happened']}"
            raise NotReady("this job has no result", f"it is {job.state}{why}", f"/v1/jobs/{job.id}/events")
        name = f"understudy-{job.id[:8]}{path.suffix}"
        return FileResponse(path, media_type=KINDS[path.suffix], filename=name)

    @app.post("/v1/jobs/{number}/cancel", response_model=JobSaid, responses=MISSING)
    async def cancel(number: str) -> JobSaid:
        """Stop it. What is over stays as it is."""
        service.store.cancel(service.job(number).id)
        return JobSaid.of(service.job(number))

    @app.delete("/v1/jobs/{number}", status_code=204, responses=MISSING)
    async def delete(number: str) -> None:
        """Stop it if it is not over, and forget all about it: its files go, too."""
        service.store.disown(service.job(number).id)
        with suppress(OSError):
            tidy(service.place, service.store, service.limits, service.workers)

    @app.get("/health", response_model=Health)
    async def health() -> Health:
        """Whether it works."""
        alive = service.workers.alive
        waiting = service.store.waiting()
        return Health(status="ok" if alive else "no worker", version=__version__, waiting=waiting, workers=alive)

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        text = service.metrics.text(service.store.counts(), service.workers.alive)
        return Response(text, media_type=CONTENT_TYPE)


def _errors(app: FastAPI, service: Service) -> None:
    """Every error in one form, and none with anything of our insides."""

    @app.exception_handler(UnderstudyError)
    async def known(request: Request, error: UnderstudyError) -> JSONResponse:
        kind = type(error).__name__
        if request.method == "POST":
            service.metrics.refused(kind)
        told = JSONResponse({"error": as_json(error)}, status_of(kind))
        if isinstance(error, Busy):
            told.headers["retry-after"] = str(error.retry)
        return told

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        found = NoSuchPlace("there is nothing here", f"{request.method} {request.url.path[:80]}", "/openapi.json")
        return JSONResponse({"error": as_json(found)}, error.status_code, headers=dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": as_json(BadRequest("the request makes no sense", str(error)[:200]))}, 400)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def ours(request: Request, error: Exception) -> JSONResponse:
        logs.LOG.error("request broke", exc_info=error, extra={"facts": {"path": request.url.path}})
        return JSONResponse({"error": internal()}, 500)
