"""Published models draw films once their files are converted: a small one under X-Portrait's name."""

from __future__ import annotations

import json
from pathlib import Path

import animate_made
import published_made as made
import pytest
import torch
from safetensors.torch import save_file

from understudy import models
from understudy.animate import choices, manners
from understudy.animate.trained import trained
from understudy.cli import main
from understudy.errors import BadOption, BadWeights
from understudy.generator.sight import Sight, SightConfig
from understudy.published import loading
from understudy.published.plan import plan


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with a small X-Portrait in it."""
    out = made.installed(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(out.parent))
    return out


def test_nets_are_filled_one_tensor_at_a_time(installed: Path) -> None:
    net = loading.generator(installed, torch.float32, "cpu")
    state = made.generator(made.x_portrait).state_dict()
    for name, value in net.state_dict().items():
        assert name == "context" or torch.equal(value, state[name])
    assert not any(value.requires_grad or value.is_meta for value in (*net.parameters(), *net.buffers()))
    half = loading.generator(installed, torch.bfloat16, "cpu")
    assert {value.dtype for value in half.parameters()} == {torch.bfloat16}
    assert loading.mark(installed) == loading.mark(installed)
    assert trained(models.X_PORTRAIT).generator.config == made.x_portrait()


def test_files_that_are_no_generator_are_refused(installed: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="picture tower"):
        loading.sight(installed, torch.float32, "cpu")
    save_file({"a": torch.ones(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(BadWeights, match="not a file of Understudy"):
        loading.generator(tmp_path / "plain.safetensors", torch.float32, "cpu")


def test_an_encoder_with_tables_that_no_file_holds(tmp_path: Path) -> None:
    from understudy import weights

    net = made.generator(made.x_portrait_2)
    about = weights.About(name="x", config=net.config, recipe={}, commit="", figures={}, storage="fp32")
    weights.save(tmp_path / "x.safetensors", net.state_dict(), about)
    again = loading.generator(tmp_path / "x.safetensors", torch.bfloat16, "cpu")
    assert again.unet.conv_in.weight.dtype == torch.bfloat16
    assert again.encoder is not None and not any(value.is_meta for value in again.encoder.buffers())
    with torch.no_grad():
        faces = torch.rand(2, 3, 64, 64)
        assert net.encoder is not None and torch.equal(again.encoder.encode(faces), net.encoder.encode(faces))


def test_clips_token_of_a_portrait() -> None:
    """Whatever the size of the picture: one token, of all of it."""
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    net = Sight(SightConfig(side=28, patch=14, width=32, layers=2, heads=2, answer=12)).eval()
    pictures = torch.rand(2, 3, 56, 56) * 2 - 1
    with torch.no_grad():
        found = net(pictures)
        assert found.shape == (2, 1, 12)
        assert torch.allclose(net(pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)), found, atol=0.05)
        assert not torch.allclose(net(-pictures), found, atol=1e-3)


def test_a_film_by_a_published_model(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before it begins: how long, and what to use instead."""
    slow = plan(models.X_PORTRAIT, memory=24 << 30, device="cpu", teraflops=0.4)
    monkeypatch.setattr("understudy.published.plan.plan", lambda model, **more: slow)
    who, how = animate_made.portrait(tmp_path / "who.png"), animate_made.driver(tmp_path / "how.mp4", frames=9)
    words = ["animate", str(who), str(how), "-o", str(tmp_path / "film.mkv"), "--model", "x-portrait", "--steps", "2"]
    assert main([*words, "--crop", "--device", "cpu", "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert (told["frames"], told["width"], told["height"]) == (9, 32, 32)
    assert len(animate_made.decoded(tmp_path / "film.mkv")) == 9
    opening = next(line for line in said.err.splitlines() if line.startswith("x-portrait draws it"))
    assert "minutes a frame" in opening and "--model warp" in opening
    assert said.err.splitlines().index(opening) == 0, "it is said before the wait"


def test_what_is_expected() -> None:
    """Of slow devices also what to use instead; of this project's models nothing, unless they draw otherwise."""
    quick = plan(models.X_PORTRAIT, memory=80 << 30, device="cpu", teraflops=300)
    usual = choices.Choices()
    manner = manners.manner_of(models.X_PORTRAIT, usual)
    said = manners.expected(manner, usual, quick)
    assert "31 steps of ddim, guidance 5" in said and "instead" not in said and "to fit" not in said
    small = manners.manner_of(models.X_PORTRAIT_SMALL, usual)
    assert manners.expected(small, usual, None) == ""
    other = choices.Choices(sampler="unipc")
    found = manners.expected(manners.manner_of(models.X_PORTRAIT_SMALL, other), other, None)
    assert found == f": {models.small_manner().steps} steps of unipc, no guidance"
    close = plan(models.X_PORTRAIT, memory=9 << 30, device="cpu", teraflops=300)
    fitted = manners.fitted(manner, close, 16)
    assert "to fit into 9.0 GB" in manners.expected(fitted, usual, close)


def test_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(BadOption, match=r"it lacks its weights, x-portrait\.safetensors.*understudy fetch"):
        choices.choose("x-portrait", choices.Choices())
