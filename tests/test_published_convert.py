"""Foreign files become ours, number for number; what is wrong with one is said, and nothing in it is ever run."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import published_made as made
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from understudy import weights
from understudy.errors import BadWeights, Exists, MissingFile
from understudy.generator.generator import Generator
from understudy.published import convert as converting
from understudy.published import reading, tables, text, unpickle
from understudy.published.sources import Published

Saver = Callable[[dict[str, Tensor], Path], None]


def toy() -> Published:
    return made.published(made.x_portrait, tables.x_portrait)


def zipped(tensors: dict[str, Tensor], path: Path) -> None:
    torch.save({"state_dict": tensors, "global_step": 415001}, path)


def old_pickle(tensors: dict[str, Tensor], path: Path) -> None:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("save", "name"), [(save_file, "model.safetensors"), (zipped, "model.th"), (old_pickle, "old.pth")]
)
def test_a_film_of_converted_weights_is_the_same(save: Saver, name: str, tmp_path: Path) -> None:
    """Nothing is lost: the net that was saved and the one that was converted have the same numbers."""
    foreign = made.foreign_file()
    save({key: value.contiguous() for key, value in foreign.items()}, tmp_path / name)
    steps: list[tuple[int, int]] = []
    out = tmp_path / "toy.safetensors"
    done = converting.convert([tmp_path / name], toy(), out, step=lambda *step: steps.append(step))
    assert done.warnings == [] and done.dropped == 14 and steps[-1][0] == steps[-1][1] == done.tensors
    read = weights.load(out)
    assert read.about.config == made.x_portrait() and read.about.recipe["converted"] == [name]
    net = Generator(made.x_portrait())
    assert weights.fill(net, read) == []
    state = made.generator(made.x_portrait).state_dict()
    for key, value in net.state_dict().items():
        assert key == "context" or torch.equal(value, state[key]), key
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, out.name]), "something was left"


def test_what_the_text_tower_says_is_transformers_own_answer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPTextConfig(
        vocab_size=made.WORDS,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=made.LAYERS,
        num_attention_heads=1,
        max_position_embeddings=7,
        bos_token_id=made.WORDS - 2,
        eos_token_id=made.WORDS - 1,
        pad_token_id=made.WORDS - 1,
    )
    net = transformers.CLIPTextModel(config).eval()
    tower = made.tower()
    own = {name.removeprefix("text_model."): name for name in net.state_dict() if "position_ids" not in name}
    assert own.keys() == tower.keys()
    net.load_state_dict({own[name]: value for name, value in tower.items()}, strict=False)
    tokens = torch.full((1, 7), made.WORDS - 1)
    tokens[0, 0] = made.WORDS - 2
    with torch.no_grad():
        wanted = net(tokens).last_hidden_state
    found = text.of_nothing(tower.__getitem__, made.LAYERS)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-5
    save_file(made.foreign_file(), tmp_path / "model.safetensors")
    out = converting.convert([tmp_path / "model.safetensors"], toy(), tmp_path / "toy.safetensors").output
    assert torch.equal(weights.load(out).tensors["context"], found)


def test_half_the_size(tmp_path: Path) -> None:
    save_file(made.foreign_file(), tmp_path / "m.safetensors")
    whole = converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "whole.safetensors").output
    half = converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "half.safetensors", storage="bf16").output
    one, other = weights.load(whole).tensors, weights.load(half).tensors
    assert half.stat().st_size < 0.62 * whole.stat().st_size
    for name, value in one.items():
        assert torch.equal(other[name], value if value.ndim < 2 else value.bfloat16().float())


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    save_file(made.foreign_file(), tmp_path / "m.safetensors")
    out = tmp_path / "toy.safetensors"
    out.write_bytes(b"dear to somebody")
    with pytest.raises(Exists):
        converting.convert([tmp_path / "m.safetensors"], toy(), out)
    assert out.read_bytes() == b"dear to somebody"
    converting.convert([tmp_path / "m.safetensors"], toy(), out, force=True)
    assert weights.load(out).about.name == "toy"


def spoilt(name: str, value: Tensor | None, **more: Tensor) -> dict[str, Tensor]:
    """The file with one tensor changed or left out."""
    found = made.foreign_file()
    if value is None:
        del found[name]
    else:
        found[name] = value
    return found | more


KEY = "pose_control_model.zero_convs.1.0.weight"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "1 of .* places of toy empty.*controls.0.controlnet_down_blocks.1.weight"),
        (torch.zeros(16, 17, 1, 1), rf"{KEY} .* another shape .*\(16, 17, 1, 1\) instead of \(16, 16, 1, 1\)"),
        (torch.zeros(16, 16, 1, 1, dtype=torch.int8), f"{KEY} .* another type of numbers"),
        (torch.full((16, 16, 1, 1), torch.nan), f"{KEY} .* numbers that are none"),
    ],
    ids=["missing", "shape", "type", "nan"],
)
def test_what_is_wrong_is_named(value: Tensor | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file(spoilt(KEY, value), path)
    with pytest.raises(BadWeights, match=words):
        converting.convert([path], toy(), tmp_path / "toy.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "something half written is left"


def test_without_a_text_tower(tmp_path: Path) -> None:
    found = {name: value for name, value in made.foreign_file().items() if "cond_stage_model" not in name}
    save_file(found, tmp_path / "m.safetensors")
    with pytest.raises(BadWeights, match=r"1 of .* text tower"):
        converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "toy.safetensors")


def test_unknown_names_are_a_warning_or_with_strict_an_error(tmp_path: Path) -> None:
    save_file(spoilt(KEY, made.foreign_file()[KEY], **{"ema.step": torch.ones(1)}), tmp_path / "m.safetensors")
    done = converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "toy.safetensors")
    assert len(done.warnings) == 1 and "ema.step" in done.warnings[0] and KEY not in done.warnings[0]
    with pytest.raises(BadWeights, match=r"1 names .*ema\.step"):
        converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "strict.safetensors", strict=True)


def test_another_file_altogether(tmp_path: Path) -> None:
    save_file({"lm_head.weight": torch.ones(2, 2)}, tmp_path / "m.safetensors")
    with pytest.raises(BadWeights, match=r"Nothing in this file is known.*lm_head\.weight.*X-Portrait"):
        converting.convert([tmp_path / "m.safetensors"], toy(), tmp_path / "toy.safetensors")
    with pytest.raises(MissingFile):
        converting.convert([tmp_path / "none.th"], toy(), tmp_path / "toy.safetensors")


class Bomb:
    """A pickle of this leaves a mark when it is opened by whoever trusts it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        import os

        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("kind", ["zip", "old", "plain"])
def test_code_in_a_pickle_is_never_run(kind: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    evil = {"state_dict": {"a": torch.ones(2)}, "extra": Bomb(mark)}
    if kind == "plain":
        path.write_bytes(pickle.dumps(evil["extra"]))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(BadWeights, match=r"nothing of it was run|damaged") as caught, reading.opened(path, tmp_path):
        pass
    assert kind == "plain" or "system" in str(caught.value)
    assert not mark.exists()
    if kind == "plain":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert mark.exists(), "the bomb was a dud: this test shows nothing"


@pytest.mark.parametrize(
    ("save", "left"),
    [
        (save_file, 0),
        (save_file, 5),
        (save_file, 0.3),
        (save_file, 0.9),
        (zipped, 0.3),
        (zipped, 0.9),
        (old_pickle, 0.5),
    ],
)
def test_truncated_files(save: Saver, left: float, tmp_path: Path) -> None:
    path = tmp_path / ("m.safetensors" if save is save_file else "m.pth")
    save({"a": torch.randn(300), "b": torch.randn(500)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if left < 1 else int(left)])
    with pytest.raises(BadWeights, match=r"damaged|no weights"), reading.opened(path, tmp_path):
        pass


def test_a_pickle_without_weights_or_of_strange_ones(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(BadWeights, match="no weights in it"), reading.opened(tmp_path / "empty.pth", tmp_path):
        pass
    torch.save({"a": torch.ones(2), "wave": torch.ones(2, dtype=torch.complex64)}, tmp_path / "strange.pth")
    with pytest.raises(BadWeights, match=r"wave: torch\.complex64"), reading.opened(tmp_path / "strange.pth", tmp_path):
        pass


def test_the_other_process_has_little_to_lose() -> None:
    """What it may still do, asked of itself: no other programs, no large files, no large memory."""
    pytest.importorskip("resource")
    code = f"""
import sys, importlib.util, resource
spec = importlib.util.spec_from_file_location("unpickle", {str(unpickle.__file__)!r})
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
module.restrict(1000)
print(*(resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_NPROC, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)))
print("understudy" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0", "0", str(1250 + (64 << 20)), "False"]


def test_streamed_files_are_what_safetensors_reads(tmp_path: Path) -> None:
    """All types, empty and single numbers included; and asked for in order, one by one."""
    chance = torch.Generator().manual_seed(0)
    tensors = {str(kind): (torch.randn(3, 5, generator=chance) * 9).to(kind) for kind in unpickle.TYPES}
    tensors |= {"one": torch.tensor(2.5), "none": torch.empty(0, 3), "turned": torch.randn(4, 6).T}
    asked: list[str] = []

    def get(name: str) -> Tensor:
        asked.append(name)
        return tensors[name]

    places = {name: (value.dtype, tuple(value.shape)) for name, value in tensors.items()}
    unpickle.write(tmp_path / "m.safetensors", places, get, {"said": "so"})
    assert asked == list(tensors)
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert file.metadata() == {"said": "so"}
        for name, value in tensors.items():
            found = file.get_tensor(name)
            assert found.dtype == value.dtype and torch.equal(found, value)
    with pytest.raises(ValueError, match="announced"):
        unpickle.write(tmp_path / "n.safetensors", places, lambda name: torch.ones(1))
