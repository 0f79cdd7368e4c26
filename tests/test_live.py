"""Live: nothing waits in line. Every frame is answered, latency does not depend on how slow drawing is, and what comes
over the wire is taken for hostile."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from importlib import resources
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.animate.choices import Choices
from understudy.clip import Picture, read
from understudy.errors import BadOption, MissingExtra, MissingFile, NoFace, TooLarge, UnreadableMedia
from understudy.extras import absent
from understudy.service.guard import Guard, admitted, loopback, only_loopback
from understudy.service.live.latest import Latest
from understudy.service.live.meter import Meter, share
from understudy.service.live.pipeline import Drawn, Dropped, Pipeline, Shot
from understudy.service.live.stage import LARGE, Performer, motions, packed, unpacked
from understudy.service.live.wardrobe import KEPT, Wardrobe, shipped
from understudy.service.live.wire import DRAWN, Frame, Wish
from understudy.service.serve import bound


@pytest.fixture(scope="module")
def frames() -> list[Picture]:
    """A camera's."""
    with resources.as_file(resources.files("understudy") / "assets" / "driver.mp4") as film:
        return [np.ascontiguousarray(frame) for frame in islice(read(film), 0, 36, 3)]


def test_the_latest_is_all_that_waits() -> None:
    place: Latest[int] = Latest()
    assert [place.put(n) for n in (1, 2, 3)] == [None, 1, 2]
    assert place.take() == 3
    threading.Timer(0.05, place.put, [4]).start()
    assert place.take() == 4  # waited for
    place.put(5)
    assert place.close() == 5
    assert place.take() is None and place.put(6) == 6 and list(place) == []


class Heard:
    """What a pipeline answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, Drawn[int] | Dropped]] = []
        self.failed: list[BaseException] = []
        self.lock = threading.Lock()

    def tell(self, answer: Drawn[int] | Dropped) -> None:
        with self.lock:
            self.answers.append((time.perf_counter(), answer))

    @property
    def drawn(self) -> list[tuple[float, Drawn[int]]]:
        return [(when, each) for when, each in self.answers if isinstance(each, Drawn)]


def doubled(shots: Iterable[Shot[int]]) -> Iterator[int]:
    for shot in shots:
        yield 2 * shot.what


def test_every_frame_is_answered_once_in_order_and_with_its_own_time() -> None:
    heard = Heard()
    pipeline: Pipeline[int, int, int] = Pipeline(doubled, lambda read: read + 1, heard.tell, heard.failed.append)
    for number in range(200):
        pipeline.give(Shot(number, 0.5 * number, 0.0, number))
        time.sleep(0.0005)
    time.sleep(0.1)
    pipeline.close()
    assert sorted(each.number for _, each in heard.answers) == list(range(200))
    assert all(each.stamp == 0.5 * each.number for _, each in heard.answers)
    numbers = [each.number for _, each in heard.drawn]
    assert numbers == sorted(numbers) and numbers[-1] == 199
    assert all(each.picture == 2 * each.number + 1 for _, each in heard.drawn)
    assert not heard.failed
    pipeline.give(Shot(200, 0.0, 0.0, 0))  # too late, and answered all the same
    assert isinstance(heard.answers[-1][1], Dropped)


def test_a_slow_model_costs_frames_and_not_time() -> None:
    """A camera of 100 frames a second, drawn at a quarter of that: latency at the end is what it was at the start."""
    heard, slow = Heard(), 0.04

    def draw(read: int) -> int:
        time.sleep(slow)
        return read

    pipeline: Pipeline[int, int, int] = Pipeline(doubled, draw, heard.tell, heard.failed.append)
    for number in range(200):
        now = time.perf_counter()
        pipeline.give(Shot(number, now, now, number))
        time.sleep(0.01)
    pipeline.close()
    late = [when - each.stamp for when, each in heard.drawn]
    assert 10 < len(late) < 100
    first, last = late[: len(late) // 3], late[-len(late) // 3 :]
    assert share(last, 0.5) < 3 * slow  # a queue would have made it 1.5 s by now
    assert abs(share(last, 0.5) - share(first, 0.5)) < 1.5 * slow


def test_what_breaks_ends_the_pipeline_and_is_told() -> None:
    heard = Heard()

    def draw(read: int) -> int:
        raise ZeroDivisionError

    pipeline: Pipeline[int, int, int] = Pipeline(doubled, draw, heard.tell, heard.failed.append)
    pipeline.give(Shot(0, 0.0, 0.0, 0))
    time.sleep(0.1)
    pipeline.close()
    assert isinstance(heard.failed[0], ZeroDivisionError)


def test_a_portrait_follows_a_camera_frame_by_frame(frames: list[Picture]) -> None:
    seen: list[int] = []

    def shots() -> Iterator[Shot[Picture]]:
        for number, frame in enumerate([*frames, np.zeros_like(frames[0])]):
            seen.append(number)
            yield Shot(number, 0.0, number / 8, frame)

    performer = Performer(shipped("realistic"), Choices())
    assert np.array_equal(performer.draw(None), performer.warp.figure.crop)  # nobody yet
    drawn = []
    for number, motion in enumerate(motions(shots())):
        assert seen[-1] == number  # nothing was held back
        assert (motion is None) == (number == len(frames))
        drawn.append(performer.draw(motion))
    assert all(picture.shape == drawn[0].shape and max(picture.shape) <= LARGE for picture in drawn)
    moved = [float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise(drawn)]
    assert min(moved[1:-1]) > 0  # the first two may both count as the calm one
    assert moved[-1] == 0  # held while nobody is seen


def test_the_calm_face_can_be_named_again(frames: list[Picture]) -> None:
    shots = [Shot(number, 0.0, number / 8, frame) for number, frame in enumerate(frames[:4])]
    followed = [motion for motion in motions(shots) if motion is not None]
    performer = Performer(shipped("realistic"), Choices())
    for motion in followed:
        performer.draw(motion)
    usual = performer.draw(followed[-1])
    performer.again()
    calm = performer.draw(followed[-1])
    rest = performer.warp.figure.crop.astype(int)
    assert np.abs(calm - rest).mean() < np.abs(usual - rest).mean() and np.abs(calm - rest).mean() < 2


def test_messages_survive_the_wire_and_nonsense_does_not(frames: list[Picture]) -> None:
    frame = Frame(7, DRAWN, 12.25, packed(frames[0]))
    assert Frame.unpacked(frame.packed()) == frame
    assert Wish.unpacked('{"portrait": "painted", "strength": 0.5}') == Wish("painted", 0.5, False)
    assert Wish.unpacked('{"again": true}') == Wish(None, 1.0, True)
    for message in (b"", b"x" * 16, struct.pack("<IId", 1, 0, float("nan")) + b"x", b"x" * ((1 << 20) + 1)):
        with pytest.raises(BadOption):
            Frame.unpacked(message)
    for text in (
        "",
        "[]",
        "3",
        '{"portrait": 3}',
        '{"strength": 9}',
        '{"strength": "nan"}',
        '{"strength": []}',
        "[" * 9999,
    ):
        with pytest.raises(BadOption):
            Wish.unpacked(text)


def test_pictures_of_the_camera_are_looked_at_before_they_are_decoded(frames: list[Picture]) -> None:
    again = unpacked(packed(frames[0]))
    assert again.shape == frames[0].shape and np.abs(again.astype(int) - frames[0]).mean() < 3
    with pytest.raises(UnreadableMedia):
        unpacked(b"no picture")
    with pytest.raises(UnreadableMedia):
        unpacked(packed(frames[0])[:40])
    huge = io.BytesIO()
    Image.new("L", (12000, 2000)).save(huge, "JPEG")
    with pytest.raises(TooLarge):
        unpacked(huge.getvalue())


def test_a_wardrobe_keeps_the_last_few(frames: list[Picture]) -> None:
    wardrobe, data = Wardrobe(), packed(frames[0])
    word = wardrobe.add(data)
    assert wardrobe.portrait(word).face is not None and wardrobe.portrait("painted").name
    with pytest.raises(MissingFile):
        wardrobe.portrait("../etc")
    with pytest.raises(NoFace):
        wardrobe.add(packed(np.full((200, 200, 3), 128, np.uint8)))
    with pytest.raises(UnreadableMedia):
        wardrobe.add(b"not a picture")
    for number in range(KEPT):
        wardrobe._own[str(number)] = wardrobe.portrait(word)
    wardrobe._own.move_to_end(word, last=False)
    wardrobe.add(data)
    with pytest.raises(MissingFile):
        wardrobe.portrait(word)


def test_meters_count_what_was_shown_lately() -> None:
    meter = Meter(span=2.0)
    for number in range(100):
        meter.note(number / 10, number / 1000)
    assert meter.rate == pytest.approx(10) and len(meter) == 21 and meter.latencies[0] == pytest.approx(0.079)
    assert share([], 0.5) == 0 and share([3, 1, 2], 0.5) == 2 and share(range(100), 0.95) == 95


def test_only_this_machine_may_ask() -> None:
    assert all(map(loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]")))
    assert not any(map(loopback, ("0.0.0.0", "192.168.1.4", "example.org", "")))
    assert only_loopback("127.0.0.1") == "127.0.0.1"
    with pytest.raises(BadOption):
        only_loopback("0.0.0.0")
    own = [(b"host", b"127.0.0.1:7860")]
    assert admitted(own) and admitted([*own, (b"origin", b"http://127.0.0.1:7860")])
    assert not admitted([*own, (b"origin", b"http://example.org")]) and not admitted([*own, (b"origin", b"null")])
    assert not admitted([(b"host", b"example.org:7860")]) and not admitted([])


def test_a_port_that_is_taken_is_named() -> None:
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(BadOption, match=str(port)):
            bound("127.0.0.1", port)


def test_the_guard_refuses_before_the_application_hears() -> None:
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append("heard")

    async def send(message: Any) -> None:
        sent.append(message["type"])

    for kind in ("http", "websocket"):
        for host in (b"127.0.0.1", b"example.org"):
            asyncio.run(Guard(app)({"type": kind, "headers": [(b"host", host)]}, None, send))
    assert sent == ["heard", "http.response.start", "http.response.body", "heard", "websocket.close"]


def test_a_camera_that_cannot_be_had_is_explained() -> None:
    said = absent(ModuleNotFoundError("No module named 'pyvirtualcam'", name="pyvirtualcam"), "A virtual camera")
    assert isinstance(said, MissingExtra) and "pip install pyvirtualcam" in str(said)


def test_a_page_plays_over_a_socket(frames: list[Picture]) -> None:
    pytest.importorskip("starlette")
    pytest.importorskip("httpx")
    from starlette.testclient import TestClient

    from understudy.service.live.routes import application

    client = TestClient(application(), base_url="http://127.0.0.1")
    assert "live.js" in client.get("/live/").text and client.get("/live/live.js").status_code == 200
    assert client.get("/live/portraits/painted").content[:2] == b"\xff\xd8"
    assert client.get("/live/portraits/nobody").status_code == 404
    refused = client.post("/live/portraits", content=b"not a picture")
    assert refused.status_code == 422 and refused.json()["error"]["kind"] == "UnreadableMedia"
    own = client.post("/live/portraits", content=packed(frames[0])).json()["portrait"]
    with client.websocket_connect("ws://127.0.0.1/live/stream", headers={"origin": "http://127.0.0.1"}) as socket:
        socket.send_bytes(Frame(0, 0, 1.5, packed(frames[0])).packed())  # before a portrait was chosen
        assert Frame.unpacked(socket.receive_bytes() + b" ").kind != DRAWN
        socket.send_text('{"portrait": "nobody"}')
        assert socket.receive_json()["error"]["kind"] == "MissingFile"
        socket.send_text(f'{{"portrait": "{own}"}}')
        assert socket.receive_json()["ready"]["side"] > 64
        for number, frame in enumerate(frames[:3], 1):
            socket.send_bytes(Frame(number, 0, 2.5 * number, packed(frame)).packed())
            answer = Frame.unpacked(socket.receive_bytes())
            assert (answer.number, answer.kind, answer.stamp) == (number, DRAWN, 2.5 * number)
            assert unpacked(answer.picture).shape[0] > 64
        socket.send_bytes(Frame(9, 0, 1.0, b"not a picture").packed())
        assert socket.receive_json()["error"]["kind"] == "UnreadableMedia"
