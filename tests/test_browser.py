"""The studio as a person meets it, in headless Chromium. Nothing outside this machine is asked for, or the test fails.

pip install "understudy[studio]" playwright, and Chromium of the system (apt install chromium); then: pytest -m browser
With UNDERSTUDY_PICTURES=docs/pictures it takes the pictures of the documents, too.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from understudy.animate.motions import keep
from understudy.clip import Sound, read, read_picture, read_sound, write, write_picture, write_sound
from understudy.motion.mesh import MotionMesh

pytestmark = [pytest.mark.browser, pytest.mark.timeout(3600)]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 400_000  # milliseconds: these tests may run on a machine that is busy
FILM = "#status [data-done]"
PICTURES = os.environ.get("UNDERSTUDY_PICTURES")
LARGEST = 120 * 1024  # bytes of a picture in the documents
SHORT, LONG = 12, 48  # frames
SAID = 1.2  # seconds of voice


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Portraits, performances and bad files to drop, and what the camera sees."""
    folder = tmp_path_factory.mktemp("made")
    with resources.as_file(resources.files("understudy") / "assets") as assets:
        for name in ("realistic", "painted"):
            who = read_picture(assets / f"portrait-{name}.jpg")
            write_picture(folder / f"{name}.png", np.asarray(cv2.resize(who, (320, 320)), np.uint8))
        clip = read(assets / "driver.mp4")
        frames = [np.asarray(cv2.resize(frame, (256, 256)), np.uint8) for frame in islice(clip, 75)]
    write(folder / "short.mp4", frames[:SHORT], fps=clip.fps)
    write(folder / "long.mp4", frames[:LONG], fps=clip.fps)
    write_picture(folder / "nobody.png", np.full((300, 300, 3), 120, np.uint8))
    (folder / "bad.jpg").write_text("no picture at all")
    (folder / "bad.mp4").write_text("no film at all")
    wide = [cv2.cvtColor(np.pad(frame, ((0, 0), (40, 40), (0, 0)), "edge"), cv2.COLOR_RGB2BGR) for frame in frames]
    at = np.arange(round(SAID * 16_000)) / 16_000
    hum = np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2 * at) > 0) * 0.3
    write_sound(folder / "voice.wav", Sound(hum[:, None].astype(np.float32), 16_000))
    (folder / "bad.wav").write_text("no sound at all")
    (folder / "camera.mjpeg").write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in wide))
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio that runs."""
    pytest.importorskip("gradio")
    uvicorn = pytest.importorskip("uvicorn")
    from understudy.service.studio.application import application

    server = uvicorn.Server(
        uvicorn.Config(application(tmp_path_factory.mktemp("studio"), "127.0.0.1", 0), port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def chromium(made: Path) -> Iterator[Any]:
    """The browser, with a camera in which the driver acts; closed whatever happens."""
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                 f"--use-file-for-fake-video-capture={made / 'camera.mjpeg'}"]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visitor:
    """A person with a browser of their own; what their pages ask of others is refused, and remembered."""

    def __init__(self, chromium: Any, address: str, width: int = 1440, height: int = 1000) -> None:
        self.address, self.outside = address, list[str]()
        self.context = chromium.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        self.context.set_default_timeout(PATIENCE)
        self.context.route("**/*", self._admitted)
        self.page = self.context.new_page()
        self.enter()

    def enter(self) -> None:
        """Open the page, or open it again."""
        self.page.goto(self.address)
        self.page.wait_for_selector("#animate:not([disabled])")  # the room is known
        self.page.wait_for_selector("#portraits button, #portraits .gallery-item")

    def _admitted(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def drop(self, where: str, file: Path) -> None:
        self.page.set_input_files(f"#{where} input[type=file]", str(file))

    def example(self, where: str, number: int = 0) -> None:
        self.page.locator(f"#{where} button:has(img, video), #{where} .gallery-item").nth(number).click()

    def kind(self, name: str) -> None:
        """Choose what drives."""
        self.page.locator("#performance").get_by_role("tab", name=name, exact=True).click()

    def desk(self) -> None:
        """Go to the motion desk."""
        self.page.get_by_role("tab", name="Motion desk").click()

    def download(self, button: str, out: Path) -> Path:
        with self.page.expect_download() as download:
            self.page.click(f"#{button}")
        download.value.save_as(out)
        return out

    def verdict(self, where: str) -> str:
        return str(self.page.wait_for_selector(f"#{where}-advice [data-verdict]").get_attribute("data-verdict"))

    def refusal(self, where: str) -> str:
        """What is said of a file that cannot be used."""
        return str(self.page.wait_for_selector(f"#{where} [data-error]").inner_text())

    def film(self) -> None:
        """Wait for the film, and see it play."""
        self.page.wait_for_selector(f"{FILM}, #status [data-error]", timeout=5 * PATIENCE)
        assert self.page.locator(FILM).count(), self.page.inner_text("#status")
        self.page.wait_for_function("() => document.querySelector('#player video')?.readyState >= 2")
        self.page.evaluate("() => document.querySelector('#player video').play()")
        self.page.wait_for_function("() => document.querySelector('#player video').currentTime > 0.1")

    def gone(self) -> None:
        self.context.close()
        assert self.outside == []


@pytest.fixture
def visitor(chromium: Any, address: str) -> Iterator[Visitor]:
    someone = Visitor(chromium, address)
    yield someone
    someone.gone()


def test_a_first_film_takes_three_clicks(visitor: Visitor, tmp_path: Path) -> None:
    visitor.example("portraits")
    visitor.example("drivers")
    visitor.page.wait_for_selector("#preview img")
    visitor.page.click("#animate")
    visitor.page.wait_for_selector("#status [data-stage=drawing]")
    assert "left" in visitor.page.wait_for_selector("#status :text('left')").inner_text()
    visitor.film()
    sizes = []
    for button in ("get-film", "get-both"):
        sizes.append(read(visitor.download(button, tmp_path / f"{button}.mp4")).size)
    assert sizes[1][0] > 1.5 * sizes[0][0]
    source = visitor.page.get_attribute("#player video", "src")
    visitor.page.locator("#view input").nth(1).click()
    visitor.page.wait_for_function("was => document.querySelector('#player video').src != was", arg=source)
    assert visitor.page.locator("#history button img").count() == 1
    visitor.page.reload()
    visitor.page.wait_for_selector("#history button img")  # the room is found again
    visitor.page.locator("#history button").first.click()
    visitor.page.wait_for_selector("#player video")


def test_upload_check_preview_adjust_cancel_and_go_on(visitor: Visitor, made: Path) -> None:
    visitor.drop("portrait", made / "painted.png")
    visitor.drop("driving", made / "long.mp4")
    page = visitor.page
    page.wait_for_selector("#preview img")
    assert visitor.verdict("portrait") in ("good", "usable") and visitor.verdict("driving") in ("good", "usable")
    before = page.get_attribute("#preview img", "src")
    page.locator("#adjust button").first.click()
    page.locator("#smile input[type=number]").fill("0.9")
    page.keyboard.press("Tab")
    page.wait_for_function("was => document.querySelector('#preview img')?.src != was", arg=before)
    page.click("#animate")
    page.wait_for_selector("#status [data-stage]")
    page.click("#cancel")
    page.wait_for_selector("#status [data-stopped]")
    assert page.locator("#history button img").count() == 0
    page.wait_for_selector("#animate:not([disabled])")
    page.click("#animate")
    visitor.film()


def test_a_voice_speaks_from_a_portrait(visitor: Visitor, made: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    page = visitor.page
    visitor.kind("Voice")
    visitor.drop("voice", made / "bad.wav")
    assert "bad" in visitor.refusal("voice-advice")
    visitor.enter()
    visitor.drop("portrait", made / "painted.png")
    visitor.kind("Voice")
    visitor.drop("voice", made / "voice.wav")
    page.wait_for_selector("#voice-advice [data-verdict]")
    page.wait_for_selector("#preview img")
    page.click("#animate")
    visitor.film()
    page.wait_for_function("() => document.querySelector('#player video').webkitAudioDecodedByteCount > 0")
    film = visitor.download("get-film", tmp_path / "said.mp4")
    assert read(film).frames == round(25 * SAID) and abs(read_sound(film).seconds - SAID) < 0.1
    assert not page.locator("#get-both").is_visible() and not page.locator("#view").is_visible()


def test_what_is_typed_is_said(visitor: Visitor) -> None:
    pytest.importorskip("espeakng_loader")
    visitor.kind("Voice")
    visitor.page.click("#say")
    assert "nothing to say" in visitor.refusal("voice-advice")
    visitor.page.locator("#text textarea").fill("Good morning.")
    visitor.page.click("#say")
    assert visitor.verdict("voice") in ("good", "usable")


def test_a_motion_is_changed_at_the_desk_and_performed_in_the_studio(
    visitor: Visitor, made: Path, tmp_path: Path
) -> None:
    page = visitor.page
    keep(made / "short.mp4", tmp_path / "part.safetensors")
    visitor.desk()
    visitor.drop("desk-given", made / "bad.mp4")
    assert "bad" in visitor.refusal("desk-advice")
    visitor.enter()
    visitor.drop("portrait", made / "realistic.png")
    visitor.desk()
    visitor.drop("desk-given", tmp_path / "part.safetensors")
    page.wait_for_selector("#desk-advice [data-motion]")
    before = page.wait_for_selector("#desk-strip img").get_attribute("src")
    page.wait_for_selector("#desk-file:not([disabled])")
    plain = MotionMesh.load(visitor.download("desk-file", tmp_path / "plain.safetensors"))
    page.locator("#desk-mirror input").check()
    page.wait_for_function("was => document.querySelector('#desk-strip img').src != was", arg=before)
    mirrored = MotionMesh.load(visitor.download("desk-file", tmp_path / "mirrored.safetensors"))
    left, right = (plain.names.index(f"eyeBlink{side}") for side in ("Left", "Right"))
    assert np.allclose(mirrored.curves[:, left], plain.curves[:, right], atol=1e-4)
    assert b"EyeBlinkLeft" in visitor.download("desk-csv", tmp_path / "part.csv").read_bytes()[:2000]
    page.click("#desk-play")
    page.wait_for_function("() => document.querySelector('#desk-player video')?.readyState >= 2")
    page.click("#desk-perform")
    page.wait_for_selector("#motion-advice [data-motion]")
    assert page.locator("#animate").is_visible()
    page.wait_for_selector("#preview img")
    page.click("#animate")
    visitor.film()
    assert read(visitor.download("get-film", tmp_path / "film.mp4")).frames == SHORT


def test_bad_files_are_explained(visitor: Visitor, made: Path) -> None:
    visitor.drop("portrait", made / "bad.jpg")
    said = visitor.refusal("portrait-advice")
    assert "bad" in said and str(made) not in said and "/tmp" not in said
    visitor.page.click("#animate")
    assert "performance is missing" in visitor.refusal("status")
    visitor.drop("driving", made / "bad.mp4")
    said = visitor.refusal("driving-advice")
    assert "bad" in said and "/tmp" not in said
    visitor.page.wait_for_selector("#animate:not([disabled])")
    visitor.page.click("#animate")
    visitor.page.wait_for_selector("#status [data-error=UnreadableMedia]")
    visitor.enter()
    visitor.drop("portrait", made / "nobody.png")
    visitor.page.wait_for_selector("#portrait-advice [data-error=NoFace]")


def test_two_at_once_get_each_their_own_film(chromium: Any, address: str, made: Path) -> None:
    people = [Visitor(chromium, address), Visitor(chromium, address)]
    for person, name in zip(people, ("painted", "realistic"), strict=True):
        person.drop("portrait", made / f"{name}.png")
        person.drop("driving", made / "short.mp4")
        person.verdict("portrait"), person.verdict("driving")
    for person in people:
        person.page.click("#animate")
    people[1].page.wait_for_selector("#status [data-stage=waiting], #status [data-stage=watching]")
    for person, name in zip(people, ("painted", "realistic"), strict=True):
        person.film()
        assert person.page.inner_text(FILM).startswith(name)
        assert person.page.locator("#history button img").count() == 1
        person.gone()


@pytest.mark.parametrize("width", [1440, 420])
def test_nothing_is_wider_than_the_window(chromium: Any, address: str, width: int) -> None:
    person = Visitor(chromium, address, width, 900)
    wide = "() => document.documentElement.scrollWidth"
    person.page.locator("#adjust button").first.click()
    assert person.page.evaluate(wide) <= width
    for kind in ("Voice", "Motion"):
        person.kind(kind)
        assert person.page.evaluate(wide) <= width
    person.desk()
    for part in ("head", "blend", "keyframes"):
        person.page.locator(f"#desk-{part} button").first.click()
    assert person.page.evaluate(wide) <= width
    person.gone()


@pytest.mark.skipif(not PICTURES, reason="UNDERSTUDY_PICTURES names no folder for them")
def test_the_pictures_of_the_documents(chromium: Any, address: str, made: Path) -> None:
    performance = shutil.copyfile(made / "long.mp4", made / "performance.mp4")
    wide = Visitor(chromium, address, 1280, 1090)
    wide.example("portraits", 1)
    wide.drop("driving", performance)
    wide.verdict("portrait"), wide.verdict("driving")
    wide.page.wait_for_selector("#preview img")
    wide.page.click("#animate")
    wide.film()
    photographed(wide, "studio.jpg", second=1.2)
    wide.page.set_viewport_size({"width": 1280, "height": 660})
    wide.desk()
    wide.drop("desk-given", performance)
    first = wide.page.wait_for_selector("#desk-strip img").get_attribute("src")
    wide.page.locator("#desk-mirror input").check()
    wide.page.wait_for_function("was => document.querySelector('#desk-strip img').src != was", arg=first)
    photographed(wide, "desk.jpg")
    wide.gone()
    narrow = Visitor(chromium, address, 420, 860)
    narrow.example("portraits", 1)
    narrow.kind("Voice")
    narrow.drop("voice", made / "voice.wav")
    narrow.verdict("voice")
    narrow.page.wait_for_selector("#preview img")
    photographed(narrow, "studio-narrow.jpg", whole=True)
    narrow.gone()


def photographed(visitor: Visitor, name: str, whole: bool = False, second: float = 0) -> None:
    """The page, as far as the window shows it or the `whole`, its film at a second; as good as its size allows."""
    page = visitor.page
    page.evaluate("s => document.querySelectorAll('video').forEach(v => { v.pause(); v.currentTime = s; })", second)
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    page.wait_for_timeout(3000)  # until what moves has come to rest
    for quality in range(85, 20, -5):
        out = Path(PICTURES or ".") / name
        page.screenshot(path=out, full_page=whole, type="jpeg", quality=quality)
        if out.stat().st_size < LARGEST:
            return
    raise AssertionError(f"{name} is too large")


def test_a_camera_drives_a_portrait(visitor: Visitor, made: Path) -> None:
    page = visitor.page
    page.get_by_role("tab", name="Live").click()
    live = page.frame_locator(".us-live")
    live.locator("#start").click()
    live.locator("#p95:text-matches('[0-9]+ ms')").wait_for()
    live.locator("#own").set_input_files(str(made / "bad.jpg"))
    live.locator("#said:text-matches('decoded|picture')").wait_for()
    live.locator("#own").set_input_files(str(made / "painted.png"))
    live.locator("[data-portrait][aria-pressed=true] img[alt='your picture']").wait_for()
    live.locator("#again").click()
    moving = "() => document.querySelector('#stage').toDataURL('image/jpeg', 0.2)"
    frame = next(frame for frame in page.frames if frame.url.endswith("/live/"))
    seen = set()
    for _ in range(200):
        seen.add(frame.evaluate(moving))
        if len(seen) > 3:
            break
        time.sleep(0.1)
    assert len(seen) > 3
    live.locator("#start").click()
    assert live.locator("#start").inner_text() == "Start the camera"
