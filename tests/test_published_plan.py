"""What drawing costs, counted on the meta device, against what was counted in the released code; and what fits."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import published_made as made
import pytest
import torch
from torch import nn

from understudy import models
from understudy.animate.voice import Acting, trained
from understudy.cli import main
from understudy.errors import BadOption, MissingFile, UnknownModel
from understudy.motion.actor import WISHES, Actor
from understudy.published import flops, plan
from understudy.published.counts import counted
from understudy.published.plan import Plan

TERA = 1e12


def test_x_portrait_costs_what_was_counted_in_the_released_code() -> None:
    """TFLOP a frame at 512x512 and windows of 16, each within 2 %."""
    found = flops.costs(models.x_portrait())
    wanted = {"untold": 1.230, "naive": 1.378, "told": 1.378 - 0.0256, "reference": 0.803, "encode": 1.117}
    wanted |= {"controls": 2 * (0.283 - 0.0147), "hints": 2 * 0.0147, "decode": 2.515}
    assert {name: getattr(found, name) / TERA for name in wanted} == pytest.approx(wanted, rel=0.02)


def test_x_portrait_2_costs_what_was_counted_in_the_released_code() -> None:
    pytest.importorskip("diffusers")
    found = flops.costs(models.x_portrait_2())
    assert found.untold / TERA == pytest.approx(1.356, rel=0.02)
    assert found.naive / TERA == pytest.approx(1.50, rel=0.02)
    assert found.decode / TERA == pytest.approx(3.05, rel=0.02)


@pytest.mark.parametrize(("side", "wanted"), [(32, 0.180), (40, 0.286), (48, 0.423), (64, 0.803), (96, 2.148)])
def test_stable_diffusion_at_other_sizes(side: int, wanted: float) -> None:
    from understudy.generator.unet import UNet

    with torch.device("meta"):
        net = UNet(models.x_portrait().reference.unet)
        given = torch.empty(1, 1, 4, side, side), torch.empty(1, 1), torch.empty(1, 77, 768)
    assert flops.counted(lambda: net(*given)) / TERA == pytest.approx(wanted, rel=0.02)


def test_the_tiny_decoder() -> None:
    pytest.importorskip("diffusers")
    assert plan.tiny_decoding(models.x_portrait()) / TERA == pytest.approx(0.141, rel=0.02)


def test_ours_costs_less_for_the_same_film() -> None:
    """The exact savings alone, at the released 31 evaluations: 1.27 times fewer FLOPs, and 164 TFLOP before."""
    config, manner = models.x_portrait(), models.published_manner()
    released, ours = plan.released_per_frame(config, manner), plan.per_frame(config, manner)
    assert released / TERA * 30 / 31 == pytest.approx(163.8, rel=0.03)
    assert released / ours >= 1.27
    fewer = plan.per_frame(config, replace(manner, steps=4, guidance=1.0, spacing="trailing"), preview=True)
    assert released / fewer > 10


def test_what_is_in_memory_at_once() -> None:
    """A chain whose parts are known: what was before, what is read, what is written; and nothing of earlier rounds."""

    def chain() -> torch.Tensor:
        x = torch.empty(1000, device="meta")
        for _ in range(5):
            x = x.view(10, 100).relu() + 1
        return x

    assert flops.most_at_once(chain) == 3 * 4000
    kept: list[torch.Tensor] = []

    def keeping() -> None:
        kept.extend(torch.empty(1000, device="meta") for _ in range(5))

    assert flops.most_at_once(keeping) == 5 * 4000
    query = torch.empty(1, 1, 4096, 8, device="meta")
    assert flops.most_at_once(lambda: nn.functional.scaled_dot_product_attention(query, query, query)) == 4 * 4096 * 8


def test_memory_grows_with_the_window_and_not_with_the_film() -> None:
    small = made.x_portrait()
    few, many = (flops.sizes(small, frames).window for frames in (4, 8))
    assert 1.5 < many / few < 2.1


def within(gigabytes: float, model: str = "x-portrait", **more: float) -> Plan:
    return plan.plan(models.named(model), memory=int(gigabytes * 2**30), device="cpu", teraflops=100.0, **more)  # type: ignore[arg-type]


def test_what_fits() -> None:
    """Less memory never makes a quicker plan, and what fits says so truly."""
    plans = [within(gigabytes) for gigabytes in (80, 24, 16, 12, 10, 4)]
    assert all(each.fits == (each.memory <= 0.92 * each.available) for each in plans)
    assert plans[0].fits and plans[0].offload == () and plans[0].window == 16 and plans[0].decoded_together == 8
    assert plans[3].fits and not plans[-1].fits
    assert all(one.memory >= other.memory for one, other in pairwise(plans))
    assert all(one.seconds <= other.seconds for one, other in pairwise(plans))
    assert plans[0].steps == 31 and plans[0].dtype == "bfloat16"
    weights = sum(part.parameters for part in counted(models.X_PORTRAIT).parts) * 2
    assert weights < plans[0].memory < weights + 20 * 2**30


def test_speed_is_counted_work_by_pace() -> None:
    found = within(80)
    assert found.seconds == pytest.approx(found.flops / 1e14) and found.flops > 100 * TERA
    assert within(80, steps=4).seconds < found.seconds / 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "found"), [("12GB", 12 << 30), ("900 MiB", 900 << 20), ("8g", 8 << 30), ("1.5 T", 3 << 39), ("512", 512)]
)
def test_amounts(words: str, found: int) -> None:
    assert plan.in_bytes(words) == found


@pytest.mark.parametrize("words", ["much", "-3GB", "0", "12 PB", ""])
def test_no_amounts(words: str) -> None:
    with pytest.raises(BadOption):
        plan.in_bytes(words)


def test_slow_plans_say_what_to_use_instead() -> None:
    slow = plan.plan(models.X_PORTRAIT, memory=24 << 30, device="cpu", teraflops=0.4)
    text = " ".join(plan.sentences(slow))
    assert "minutes a frame" in text and "hours" in text and "--model warp" in text
    assert plan.advice(within(80)) == ""
    assert "does not fit" in plan.sentences(within(4))[0]
    with pytest.raises(UnknownModel):
        plan.plan(models.WARP, device="cpu")


def test_the_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROBED", 64)
    monkeypatch.setattr(plan, "PROBING", 0.01)
    assert main(["plan", "x-portrait", "--memory", "12GB", "--device", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits"] and found["memory"] <= 12 << 30 and found["teraflops"] > 0
    assert main(["models", "x-portrait", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["published"][-1] == {"name": "the whole file", "parameters": 3_066_526_427, "entries": 3081}
    assert {part["name"]: part["parameters"] for part in whole["parts"]}["reference net"] == 860_595_280


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (
            models.X_PORTRAIT,
            {
                "U-Net: Stable Diffusion's part": (859_520_964, 686),
                "U-Net: along the film": (417_137_600, 560),
                "reference net": (860_595_280, 698),
                "control net: the whole face": (361_279_120, 340),
                "control net: eyes and mouth": (361_279_120, 340),
                "autoencoder": (83_653_863, 248),
            },
        ),
        (
            models.X_PORTRAIT_2,
            {
                "U-Net: Stable Diffusion's part": (859_520_964, 686),
                "U-Net: to the motion code": (372_088_000, 546),
                "U-Net: along the film": (453_209_280, 588),
                "reference net": (859_508_800, 682),
                "motion encoder": (61_665_393, 407),
            },
        ),
    ],
)
def test_counts_part_by_part(model: models.Model, wanted: dict[str, tuple[int, int]]) -> None:
    pytest.importorskip("diffusers")
    found = counted(model)
    each = {part.name: (part.parameters, part.entries) for part in found.parts}
    assert wanted.items() <= each.items()
    unet = {part.name: (part.parameters, part.entries) for part in found.published}["U-Net"]
    assert unet == ((1_276_658_564, 1246) if model is models.X_PORTRAIT else (1_684_818_244, 1820))


def test_x_actor_at_the_published_depth() -> None:
    """28 blocks over the code of X-Portrait 2 and its box, hearing wav2vec2's rows; nobody has weights of it."""
    config = models.x_actor()
    encoder = models.x_portrait_2().encoder
    assert encoder is not None and config.motion == encoder.code + 3
    frames = 2 * config.chunk
    with torch.device("meta"):
        net = Actor(config)
        sound = net.listen(torch.zeros(1, frames + 2 * config.listens, 768))
        motion, memories = net(
            torch.zeros(1, frames, config.motion), torch.zeros(1, frames), sound, torch.zeros(1, frames, WISHES)
        )
    assert motion.shape == (1, frames, config.motion) and len(memories) == 28
    found = counted(models.X_ACTOR)
    assert found.parameters == sum(value.numel() for value in net.parameters())
    assert {part.name: part.parameters for part in found.parts}["blocks"] > 0.9 * found.parameters
    assert not models.X_ACTOR.here
    with pytest.raises(MissingFile, match=r"Try: x-actor-small"):
        trained(Acting(actor="x-actor"), "cpu")
