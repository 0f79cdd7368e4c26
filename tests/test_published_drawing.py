"""Published models drawn otherwise than usual: few steps, a preview, within a memory, and as their scripts draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import animate_made
import numpy as np
import published_made as made
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from understudy import device as devices
from understudy import models, weights
from understudy.animate import animate, as_released, imagined, manners
from understudy.animate.choices import Choices, choose
from understudy.animate.trained import Trained
from understudy.cli import main
from understudy.errors import BadOption, TooLittleMemory
from understudy.face.crop import Crop
from understudy.face.find import Face
from understudy.face.follow import Seen
from understudy.face.portrait import Portrait
from understudy.face.pose import Pose, rotation_of
from understudy.face.rig import Rig
from understudy.generator.generator import Cues, Manner
from understudy.generator.recorded import Played, Recorded
from understudy.motion.frames import MotionFrames
from understudy.published import footage, loading, low_rank, parity, plan, quick

FRAMES = 13


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with a small X-Portrait in it."""
    out = made.installed(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(out.parent))
    monkeypatch.setattr(plan, "PROBED", 64)
    monkeypatch.setattr(plan, "PROBING", 0.01)
    imagined.planned.cache_clear()
    return out


def face() -> Face:
    """Somebody who looks ahead, in the middle of a picture of 256x256."""
    rig, middle = Rig.canonical(), np.array([[128.0, 128, 0]], np.float32)
    pose = Pose(rotation_of(np.zeros((1, 3))), np.full(1, 80, np.float32), middle)
    return Face(rig.points(np.zeros((1, len(rig.names)), np.float32), pose)[0])


def somebody(name: str = "who.png", **_: Any) -> Portrait:
    """A portrait in which nobody has to look for the face."""
    return Portrait(animate_made.shipped("portrait-realistic.jpg", 256), face(), Crop.around(face(), (256, 256)), name)


@pytest.fixture
def job(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Draws a film of a few frames. Nobody looks for faces: where they are is known."""
    who, how = animate_made.portrait(tmp_path / "who.png"), tmp_path / "how.safetensors"
    monkeypatch.setattr(Portrait, "read", lambda path, **more: somebody(Path(path).name))
    points = np.repeat(face().points[None, :, :2], FRAMES, 0) + np.arange(FRAMES, dtype=np.float32)[:, None, None]
    MotionFrames(
        times=np.arange(FRAMES) / 25,
        pictures=np.stack([*animate_made.driver_frames(FRAMES)]),
        points=points,
        squares=np.tile(np.array([128, 128, 256], np.float32), (FRAMES, 1)),
        seen=np.ones(FRAMES, bool),
        shots=np.zeros(FRAMES, np.int32),
        rate=Fraction(25),
    ).save(how)

    def draw(name: str, driving: Path = how, **more: Any) -> tuple[Any, list[Any]]:
        said: list[str] = []
        chosen = {"steps": 2, "crop": True, "device": "cpu", "model": "x-portrait", "sign": False, **more}
        out = tmp_path / f"{name}.mkv"
        result = animate(who, driving, out=out, progress=lambda step: said.append(step.note), **chosen)
        return result, [" ".join(said), *animate_made.decoded(out)]

    return draw


def lcm_lora(path: Path, strength: float = 0.3) -> None:
    """A change of the small U-Net, as LCM-LoRA's file has them."""
    net, dice, found = made.generator(made.x_portrait).unet, torch.Generator().manual_seed(5), dict[str, Tensor]()
    for module, part in low_rank.changeable(net).items():
        if module.endswith(low_rank.CHANGED):
            weight, name = part.get_parameter("weight"), f"lora_unet_{module.replace('.', '_')}"
            found[f"{name}.lora_down.weight"] = torch.randn(2, *weight.shape[1:], generator=dice) * strength
            found[f"{name}.lora_up.weight"] = torch.randn(weight.shape[0], 2, *[1] * (weight.ndim - 2), generator=dice)
    save_file(found, path)


# --- what is chosen -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, "31 steps of ddim, guidance 5"),
        ({"steps": 20}, "20 steps of ddim, guidance 5"),
        ({"sampler": "dpm_solver"}, "20 steps of dpm_solver, guidance 5"),
        ({"sampler": "unipc", "steps": 15, "guidance": 3}, "15 steps of unipc, guidance 3"),
        ({"sampler": "lcm"}, "8 steps of LCM-LoRA, no guidance"),
        ({"sampler": "lcm", "steps": 4, "guidance": 1.5}, "4 steps of LCM-LoRA, guidance 1.5"),
        ({"guidance": 1, "preview": True}, "31 steps of ddim, no guidance, the tiny decoder"),
        ({"parity": True}, "as the released script does (--parity): 31 steps of ddim, guidance 5"),
    ],
)
def test_ways_of_drawing(chosen: dict[str, Any], found: str) -> None:
    choices = Choices(**chosen)
    assert manners.spoken(manners.manner_of(models.X_PORTRAIT, choices), choices).startswith(found)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"sampler": "magic"}, "--sampler magic is not known"),
        ({"guidance": 0.5}, "--guidance 0.5 is out of range"),
        ({"sampler": "lcm", "guidance": 5}, "too much for LCM-LoRA"),
        ({"sampler": "lcm", "steps": 60}, "too much for LCM-LoRA"),
        ({"parity": True, "sampler": "unipc", "preview": True}, "without --sampler and --preview"),
    ],
)
def test_what_contradicts_itself(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        Choices(**chosen)


@pytest.mark.parametrize(
    ("model", "chosen", "words"),
    [
        ("warp", {"sampler": "ddim"}, "takes no --sampler"),
        ("warp", {"parity": True}, "takes no --parity"),
        ("x-portrait-small", {"preview": True}, "takes no --preview"),
        ("x-portrait-small", {"sampler": "lcm"}, "takes no --sampler lcm"),
        ("x-portrait-small", {"parity": True}, "nobody has released a script"),
        ("x-portrait", {"sampler": "lcm"}, "understudy fetch lcm-lora"),
        ("x-portrait", {"preview": True}, "understudy fetch tiny-autoencoder"),
    ],
)
def test_what_a_model_does_not_have(installed: Path, model: str, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        choose(model, Choices(**chosen))


def test_the_options_are_typed(installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    who, how = animate_made.portrait(tmp_path / "who.png"), animate_made.driver(tmp_path / "how.mp4", frames=3)
    words = ["animate", str(who), str(how), "--model", "x-portrait", "--json"]
    for more in (["--sampler", "lcm"], ["--preview"], ["--parity", "--guidance", "3"]):
        assert main([*words, *more]) == 1
        assert json.loads(capsys.readouterr().out)["kind"] == "BadOption"
    assert main([*words, "--sampler", "magic"]) == 2


# --- whole films --------------------------------------------------------------------------------------------------


def test_few_steps_with_lcm_lora(job: Callable[..., Any], installed: Path) -> None:
    lcm_lora(installed.parent / models.LCM_LORA)
    result, (said, *frames) = job("few", sampler="lcm", steps=4)
    assert "4 steps of LCM-LoRA, no guidance" in said and len(frames) == result.frames == FRAMES
    lcm_lora(installed.parent / models.LCM_LORA, 0.0)
    _, (_, *others) = job("unchanged", sampler="lcm", steps=4)
    assert not np.array_equal(frames[0], others[0]), "the U-Net that draws is the changed one"


def test_a_preview(job: Callable[..., Any], installed: Path) -> None:
    pytest.importorskip("diffusers")
    from understudy.generator.tiny import TinyAutoencoder, TinyAutoencoderConfig

    torch.manual_seed(0)
    config = TinyAutoencoderConfig(widths=(8, 8), blocks=(1, 1), latents=4)
    net = made.stirred(TinyAutoencoder(config))
    about = weights.About(name="tiny", config=config, recipe={}, commit="", figures={}, storage="fp32")
    weights.save(installed.parent / models.TINY, net.state_dict(), about)
    _, (said, *frames) = job("preview", preview=True)
    _, (_, *others) = job("whole")
    assert "tiny decoder" in said and len(frames) == len(others) == FRAMES
    assert frames[0].shape == others[0].shape and not np.array_equal(frames[0], others[0])


def broken_at(net: Any, calls: set[int], error: Callable[[], BaseException]) -> None:
    """The U-Net's memory is not enough at these calls."""
    forward, count = net.unet.forward, iter(range(1_000_000))

    def fails(*given: Any, **more: Any) -> Tensor:
        if next(count) in calls:
            raise error()
        answer: Tensor = forward(*given, **more)
        return answer

    net.unet.forward = fails


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["cuda", "cpu"],
)
def test_out_of_memory_falls_back_once(job: Callable[..., Any], error: Callable[[], BaseException]) -> None:
    """Whatever was drawn stays; the rest is drawn in smaller windows, and the person is told."""
    _, (_, *whole) = job("whole")
    net = imagined.made(models.X_PORTRAIT, Choices(steps=2, device="cpu"))[0].generator
    try:
        broken_at(net, {6}, error)  # in the second window
        result, (_, *frames) = job("less")
    finally:
        del net.unet.forward
        assert isinstance(net, loading.Thrifty)
        net.sent_away(())
    assert len(frames) == FRAMES and all(map(np.array_equal, frames[:8], whole[:8]))
    told = [text for text in result.warnings if "ran out of memory" in text]
    assert len(told) == 1 and "after 8 frames" in told[0] and "windows of 4 frames" in told[0]
    assert not any(map(np.array_equal, frames[8:], whole[8:]))


def test_twice_out_of_memory_is_an_error(job: Callable[..., Any]) -> None:
    net = imagined.made(models.X_PORTRAIT, Choices(steps=2, device="cpu"))[0].generator
    try:
        broken_at(net, set(range(6, 1000)), lambda: torch.OutOfMemoryError("CUDA out of memory"))
        with pytest.raises(TooLittleMemory, match=r"ran out of memory.*understudy plan x-portrait"):
            job("none")
    finally:
        del net.unet.forward
        assert isinstance(net, loading.Thrifty)
        net.sent_away(())


def test_what_cannot_fit_is_not_begun(job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "available", lambda device: 1 << 20)
    with pytest.raises(TooLittleMemory, match="does not fit"):
        job("nothing")


def test_errors_of_memory() -> None:
    assert devices.ran_out(MemoryError()) and devices.ran_out(torch.OutOfMemoryError("..."))
    assert not devices.ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not devices.ran_out(ValueError("DefaultCPUAllocator"))


# --- within a memory ------------------------------------------------------------------------------------------------


def drawn(net: Any, **how: Any) -> Tensor:
    dice = torch.Generator().manual_seed(2)
    picture = torch.rand(1, 3, 32, 32, generator=dice) * 2 - 1
    cues = Cues(tuple(torch.rand(FRAMES, 3, 32, 32, generator=dice) * 2 - 1 for _ in range(2)))
    manner = replace(Manner(steps=2, sampler="unipc", spacing="even", guidance=2.0), **how)
    with torch.no_grad():
        return torch.cat([*net.draw(net.likeness(picture), [cues], manner)])


def test_nets_that_come_and_go_draw_the_same_film(installed: Path) -> None:
    stays = loading.generator(installed, torch.float32, "cpu")
    goes = loading.generator(installed, torch.float32, "cpu", ("reading", "pictures"))
    away = [name for name, value in goes.named_parameters() if value.is_meta]
    assert {name.partition(".")[0] for name in away} == {"reference", "autoencoder"}
    film = drawn(stays)
    assert torch.equal(drawn(goes), film)
    assert [name for name, value in goes.named_parameters() if value.is_meta] == away
    goes.sent_away(("pictures",))
    assert not any(value.is_meta for value in goes.reference.parameters()) and torch.equal(drawn(goes), film)


def test_shorter_windows_are_windows(installed: Path) -> None:
    net = made.generator(made.x_portrait)
    assert torch.equal(drawn(net, window=8), drawn(net))
    assert len(drawn(net, window=5)) == FRAMES and not torch.equal(drawn(net, window=5), drawn(net))


def test_the_plan_is_what_is_drawn_by(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short: shorter windows, nets away, fewer frames decoded at once; it is in the film's metadata."""
    config, manner = made.x_portrait(), manners.manner_of(models.X_PORTRAIT, Choices())
    most = plan.plan(models.X_PORTRAIT, memory=1 << 40, device="cpu", config=config, manner=manner)
    least = plan.least(most, config, manner)
    assert (most.window, most.offload, least.window, least.decoded_together) == (8, (), 4, 1)
    assert set(least.offload) == {"reading", "pictures"} and least.memory < most.memory
    monkeypatch.setattr(plan, "available", lambda device: int(least.memory / plan.USABLE) + 1)
    imagined.planned.cache_clear()
    known, manner, found = imagined.made(models.X_PORTRAIT, Choices(device="cpu"))
    assert found is not None and found.fits and set(found.offload) == {"reading", "pictures"}
    assert known.generator.window(manner) == found.window and manner.decoded_together == found.decoded_together
    assert any(value.is_meta for value in known.generator.reference.parameters())
    assert "to fit into" in manners.expected(manner, Choices(), found)
    imagined.planned.cache_clear()


# --- quicker on a GPU -----------------------------------------------------------------------------------------------


def test_on_a_cpu_nothing_is_compiled(job: Callable[..., Any]) -> None:
    """The same film, and it is said."""
    _, (_, *whole) = job("whole")
    result, (_, *frames) = job("asked", compile=True)
    assert all(map(np.array_equal, frames, whole))
    assert sum("--compile is for GPUs" in text for text in result.warnings) == 1


def played(work: Callable[[], Tensor]) -> Played:
    """As a CUDA graph: what was read and written once is read and written again, and nothing else."""
    answer = torch.zeros_like(work())
    return lambda: answer.copy_(work()), answer


def test_recorded_work_is_played_back() -> None:
    """Whatever is given, and a new recording for other shapes."""
    calls: list[int] = []

    def work(x: Tensor, more: tuple[Tensor, ...], none: Tensor | None) -> Tensor:
        return x * 2 + sum(more) + (0 if none is None else none)

    def record(it: Callable[[], Tensor]) -> Played:
        calls.append(1)
        return played(it)

    twice = Recorded(work, record)
    one, two = torch.ones(3), torch.arange(3.0)
    first = twice(one, (two, two), None)
    second = twice(two, (one, one), None)
    assert torch.equal(first, one * 2 + two * 2) and torch.equal(second, two * 2 + one * 2) and len(calls) == 1
    assert torch.equal(twice(one, (two,), one), one * 3 + two) and len(calls) == 2
    assert torch.equal(twice(torch.ones(4), (torch.ones(4),), None), torch.full((4,), 3.0)) and len(calls) == 3


def test_a_recorded_generator_draws_the_same_film(installed: Path) -> None:
    net = loading.generator(installed, torch.float32, "cpu")
    film = drawn(net)
    net.record(played)
    assert torch.equal(drawn(net), film)
    assert quick.quickened(net)[0].startswith("--compile is for GPUs")


# --- as released ----------------------------------------------------------------------------------------------------


def coarse(picture: Any) -> Any:
    """Means over 8x8 pixels, of (h, w, 3)."""
    return picture.reshape(picture.shape[0] // 8, 8, picture.shape[1] // 8, 8, 3).mean((1, 3))


def test_a_film_as_released(job: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `animate` writes is what the script's algorithm makes of the script's own hints."""

    def looked(frames: Any, *_: Any) -> Iterator[tuple[Seen, Any]]:
        for when, picture in frames:
            yield Seen(float(when), face(), "seen", 0), picture

    monkeypatch.setattr(as_released, "pictured", looked)
    how = animate_made.driver(tmp_path / "how.mp4", FRAMES, sound=False)
    given: list[tuple[Tensor, Cues]] = []
    film = parity.film

    def watched(net: Any, picture: Tensor, cues: Cues, how: parity.Released, **more: Any) -> Tensor:
        given.append((picture, cues))
        return film(net, picture, cues, how, **more)

    monkeypatch.setattr(parity, "film", watched)
    result, (said, *frames) = job("released", how, parity=True, seed=3)
    assert "as the released script does (--parity): 2 steps" in said and "minutes" not in said
    picture, cues = given[0]
    assert len(frames) == len(cues) == FRAMES and frames[0].shape == (32, 32, 3)
    assert float((cues.hints[1] == -1).float().mean()) > 0.5, "eyes and mouth alone"
    net = loading.generator(models.weights_file("x-portrait.safetensors"), torch.bfloat16, "cpu")  # type: ignore[arg-type]
    released = replace(parity.X_PORTRAIT, steps=2)
    wanted = torch.cat([*parity.shown(net, film(net, picture, cues, released, seed=3), released)])
    shown = ((wanted.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    close = [animate_made.decibels(coarse(one), coarse(other)) for one, other in zip(frames, shown, strict=True)]
    assert min(close) > 25, "but for the film's coding, which cannot keep the noise that nets of chance draw"
    assert result.reference_frame is not None


def test_the_portrait_is_squeezed_and_patches_are_off_by_one(installed: Path, tmp_path: Path) -> None:
    seen = somebody()
    broad = face().points * np.array([2, 1, 1], np.float32)
    wide = Portrait(np.repeat(seen.picture, 2, axis=1), Face(broad), seen.crop, "wide")
    artist = as_released.artist(models.X_PORTRAIT, wide, Choices(parity=True, device="cpu"), None, False)
    assert artist.own.shape == (1, 3, 32, 32) and artist.size == (32, 32)
    assert isinstance(artist, as_released.XPortrait)
    points = artist.points
    assert points.shape == (68, 2) and 60 < points[:, 0].mean() < 200 and np.ptp(points[:, 0]) < 256
    chunk = as_released.Footage(
        times=np.zeros(2), pictures=np.ones((2, 32, 32, 3), np.float32), points=np.stack([points + 40, points]),
        seen=np.ones(2, bool), shots=np.zeros(2, np.int32), rate=Fraction(25),
    )  # fmt: skip
    best = artist.reference([chunk])
    assert best is not None and best.frame == 1
    middles = footage.centres(torch.from_numpy(points)[None], 32, shifted=True)[0]
    local = artist.cues(chunk, best).hints[1][1, 0]
    for x, y in middles.int().tolist():
        assert float(local[y - 4 : y + 4, x - 4 : x + 4].min()) > -1
    assert int((local > -1).sum()) <= 3 * 64


def test_pictures_are_squeezed_as_scikit_image_does_it() -> None:
    transform = pytest.importorskip("skimage.transform")
    for shape in ((90, 120, 3), (40, 30, 3), (130, 64, 3), (64, 64, 3)):
        picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        assert np.abs(footage.squeezed(picture, 64) - transform.resize(picture, (64, 64))).max() < 1e-6


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((100, 100, 140, 160), (60, 70, 180, 190, 0)),
        ((10, 100, 50, 160), (0, 70, 120, 190, 0)),
        ((20, 20, 180, 180), (40, 40, 360, 360, 100)),
    ],
)
def test_the_square_of_x_nemo(box: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Twice as wide as the face; moved inside; or with a black border where the picture is too small."""
    height, width = (240, 240) if found[-1] == 0 else (200, 200)
    square = footage.portrait_square(np.array(box, np.float64), height, width)
    assert square[2] - square[0] == square[3] - square[1] == 2 * max(box[2] - box[0], box[3] - box[1])
    if found[-1] == 0:
        assert square == found
    else:
        assert square[-1] > 0 and min(square[:2]) >= 0 and max(square[2:4]) <= height + 2 * square[-1]


def test_a_driver_as_x_nemo_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The left square of at most so many frames, at 25 a second; the portrait's own code is untold, boxes are one."""
    from understudy import read

    def broad(picture: Any) -> Any:
        return np.concatenate([picture, picture * 0], axis=1)

    path = animate_made.driver(tmp_path / "how.mp4", [*map(broad, animate_made.driver_frames(6))], sound=False)
    monkeypatch.setattr(footage, "MOST_FRAMES", 5)
    chunk = as_released._faces(read(path), "how.mp4", 64)
    assert len(chunk) == 5 and chunk.rate == 25 and chunk.pictures.shape == (5, 64, 64, 3) and chunk.seen.all()
    assert float(chunk.pictures.mean()) > 0.15, "a face, and not the black to its right"
    net = made.generator(made.x_portrait_2)
    context = torch.randn(1, 1, 64, generator=torch.Generator().manual_seed(4))
    known = Trained(net, (), (), "toy", "toy", (lambda pictures: context))  # type: ignore[arg-type]
    who = somebody()
    whole = plan.plan(models.X_PORTRAIT, memory=1 << 40, device="cpu", teraflops=1.0, config=made.x_portrait())
    artist = as_released.XNemo(models.X_PORTRAIT_2, known, who, Choices(steps=2, parity=True), whole)
    best = artist.reference([chunk])
    assert best is not None and best.frame == -1
    frames = [picture for _, picture in artist.draw([chunk], best)]
    assert len(frames) == 5 and frames[0].shape == (32, 32, 3)
    assert artist.still.code is not None and artist.still.code.shape == (1, 4, 16)
