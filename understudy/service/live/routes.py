"""The live page over HTTP: the page, its portraits, and the stream that goes both ways."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from functools import partial
from importlib import resources
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from understudy.animate.choices import Choices
from understudy.clip import Picture
from understudy.errors import UnderstudyError
from understudy.motion.mesh import MotionMesh
from understudy.service.guard import Guard
from understudy.service.live.camera import VirtualCamera
from understudy.service.live.pipeline import Drawn, Dropped, Pipeline, Shot
from understudy.service.live.stage import Performer, motions, packed, unpacked
from understudy.service.live.wardrobe import SHIPPED, UPLOAD, Wardrobe
from understudy.service.live.wire import DRAWN, DROPPED, Frame, Wish

AT_ONCE: Final = 2  # people: two cores have no more
UNTOLD: Final = 64  # answers that wait for a page that does not listen
PAGES: Final = {
    "": ("page.html", "text/html"),
    "live.js": ("live.js", "text/javascript"),
    "live.css": ("live.css", "text/css"),
}


def application(camera: VirtualCamera | None = None) -> Any:
    """The live page alone, at /live/."""
    home = Route("/", lambda request: RedirectResponse("/live/"))
    return Guard(Starlette(routes=[home, *routes(camera)]))


def routes(camera: VirtualCamera | None = None) -> list[BaseRoute]:
    """The live page, for a Starlette application; `camera` shows what the one who came first plays."""
    live = Live(camera)
    return [
        *(Route(f"/live/{name}", partial(_file, name)) for name in PAGES),
        Route("/live/portraits/{word}", _shipped),
        Route("/live/portraits", live.upload, methods=["POST"]),
        WebSocketRoute("/live/stream", live.stream),
    ]


async def _file(name: str, request: Request) -> Response:
    file, kind = PAGES[name]
    return Response((resources.files("understudy.service.live") / file).read_bytes(), media_type=kind)


async def _shipped(request: Request) -> Response:
    name = SHIPPED.get(request.path_params["word"])
    if name is None:
        return Response("no such portrait\n", 404, media_type="text/plain")
    return Response((resources.files("understudy") / "assets" / name).read_bytes(), media_type="image/jpeg")


def told(error: UnderstudyError) -> dict[str, str]:
    """An error for the page."""
    kind = type(error).__name__
    return {"kind": kind, "happened": error.happened, "seen": error.seen, "remedy": error.remedy}


class Live:
    """What all streams share."""

    def __init__(self, camera: VirtualCamera | None) -> None:
        self.wardrobe, self.camera = Wardrobe(), camera
        self.playing: list[Playing] = []

    async def upload(self, request: Request) -> Response:
        """A portrait as the body of a POST -> a word for it."""
        data = bytearray()
        async for part in request.stream():
            data += part
            if len(data) > UPLOAD:
                error = {
                    "kind": "TooLarge",
                    "happened": "the picture is too large",
                    "seen": "",
                    "remedy": "below 40 MB",
                }
                return JSONResponse({"error": error}, 413)
        try:
            return JSONResponse({"portrait": await run_in_threadpool(self.wardrobe.add, bytes(data))})
        except UnderstudyError as error:
            return JSONResponse({"error": told(error)}, 422)

    async def stream(self, socket: WebSocket) -> None:
        """One page that plays."""
        await socket.accept()
        if len(self.playing) >= AT_ONCE:
            busy = {
                "kind": "Busy",
                "happened": f"{AT_ONCE} people play already",
                "seen": "",
                "remedy": "try again soon",
            }
            await socket.send_text(json.dumps({"error": busy}))
            await socket.close()
            return
        playing = Playing(self, socket, self.camera if not self.playing else None)
        self.playing.append(playing)
        try:
            await playing.play()
        finally:
            self.playing.remove(playing)


class Playing:
    """One page's stream: what it sends goes to the pipeline, what is drawn goes back, the newest first and only."""

    def __init__(self, live: Live, socket: WebSocket, camera: VirtualCamera | None) -> None:
        self.live, self.socket, self.camera = live, socket, camera
        self.loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        self.dropped: deque[Dropped] = deque(maxlen=UNTOLD)
        self.drawn: Drawn[bytes] | None = None
        self.news: deque[dict[str, Any]] = deque(maxlen=UNTOLD)
        self.performer: Performer | None = None
        self.pipeline: Pipeline[bytes, MotionMesh | None, bytes] | None = None

    async def play(self) -> None:
        """Until the page is gone."""
        sending = asyncio.create_task(self._send())
        try:
            while True:
                message = await self.socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._heard(message)
        except WebSocketDisconnect:
            return
        finally:
            sending.cancel()
            await self._end()

    async def _heard(self, message: MutableMapping[str, Any]) -> None:
        try:
            if message.get("bytes") is not None:
                frame = Frame.unpacked(message["bytes"])
                shot = Shot(frame.number, frame.stamp, time.perf_counter(), frame.picture)
                if self.pipeline is None:
                    self._answer(Dropped(shot.number, shot.stamp))
                else:
                    self.pipeline.give(shot)
            else:
                await self._wished(Wish.unpacked(message["text"]))
        except UnderstudyError as error:
            self._tell({"error": told(error)})

    async def _wished(self, wish: Wish) -> None:
        if wish.portrait is not None:
            await self._end()
            portrait = await run_in_threadpool(self.live.wardrobe.portrait, wish.portrait)
            self.performer = await run_in_threadpool(Performer, portrait, Choices(strength=wish.strength))
            self.pipeline = Pipeline(_read, partial(self._draw, self.performer), self._answered, self._failed)
            side = len(self.performer.warp.figure.crop)
            self._tell({"ready": {"side": side, "camera": self.camera.name if self.camera else None}})
        elif wish.again and self.performer is not None:
            self.performer.again()

    async def _end(self) -> None:
        """Let go of the pipeline, if there is one."""
        pipeline, self.pipeline, self.performer = self.pipeline, None, None
        if pipeline is not None:
            await run_in_threadpool(pipeline.close)

    # --- in the pipeline's threads ----------------------------------------------------------------------------------

    def _draw(self, performer: Performer, motion: MotionMesh | None) -> bytes:
        picture = performer.draw(motion)
        if self.camera is not None:
            self.camera.show(picture)
        return packed(picture)

    def _answered(self, answer: Drawn[bytes] | Dropped) -> None:
        self.loop.call_soon_threadsafe(self._answer, answer)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, UnderstudyError):
            said = told(error)
        else:
            traceback.print_exception(error, file=sys.stderr)
            said = {"kind": "Fault", "happened": "something went wrong inside", "seen": "", "remedy": "start again"}
        self.loop.call_soon_threadsafe(self._tell, {"error": said})

    # --- in the loop ------------------------------------------------------------------------------------------------

    def _answer(self, answer: Drawn[bytes] | Dropped) -> None:
        if isinstance(answer, Dropped):
            self.dropped.append(answer)
        else:
            if self.drawn is not None:
                self.dropped.append(Dropped(self.drawn.number, self.drawn.stamp))
            self.drawn = answer
        self.ready.set()

    def _tell(self, news: dict[str, Any]) -> None:
        self.news.append(news)
        self.ready.set()

    async def _send(self) -> None:
        while True:
            await self.ready.wait()
            self.ready.clear()
            while self.news:
                await self.socket.send_text(json.dumps(self.news.popleft()))
            while self.dropped:
                gone = self.dropped.popleft()
                await self.socket.send_bytes(Frame(gone.number, DROPPED, gone.stamp, b"").packed())
            drawn, self.drawn = self.drawn, None
            if drawn is not None:
                await self.socket.send_bytes(Frame(drawn.number, DRAWN, drawn.stamp, drawn.picture).packed())


def _read(shots: Iterable[Shot[bytes]]) -> Iterator[MotionMesh | None]:
    """Frames of the camera as they came -> motion."""
    return motions(_decoded(shots))


def _decoded(shots: Iterable[Shot[bytes]]) -> Iterator[Shot[Picture]]:
    for shot in shots:
        yield Shot(shot.number, shot.stamp, shot.time, unpacked(shot.what))
