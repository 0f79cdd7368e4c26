"""What a person wishes to compute on, and what they are told where that, or a library, is not there."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys

import pytest
import torch

from understudy import device
from understudy.errors import BadOption, MissingExtra
from understudy.extras import absent


def test_the_processor_is_always_there() -> None:
    assert device.choose("cpu").type == "cpu"
    assert device.describe(device.choose("cpu")).startswith("cpu, ")


def test_auto_is_something_that_is_there() -> None:
    chosen = device.choose()
    assert device.choose(str(chosen)) == chosen


@pytest.mark.parametrize("wish", ["gpu", "", "cpu:1", "cuda:", "cuda:x", "mps:0", "auto:0"])
def test_a_wish_must_be_a_device(wish: str) -> None:
    with pytest.raises(BadOption, match=r"not a device.*cuda:N"):
        device.choose(wish)


def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(BadOption, match=r"no GPU for --device cuda:97.*CUDA GPUs, PyTorch"):
        device.choose("cuda:97")


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(device, "import_module", refuse)
    with pytest.raises(MissingExtra, match=r"needs torch.*pip install torch"):
        device.choose("cpu")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("gradio", r"understudy\[web\]"), ("skimage.data", r"understudy\[metrics\]"), ("av", "install av")],
)
def test_a_missing_library_is_explained(name: str, remedy: str) -> None:
    error = absent(ModuleNotFoundError(f"No module named {name!r}", name=name), "The studio")
    assert isinstance(error, MissingExtra)
    assert error.happened.startswith(f"The studio needs {name.split('.')[0]}")
    with pytest.raises(MissingExtra, match=remedy):
        raise error


def test_a_real_import_that_fails_is_explained() -> None:
    with pytest.raises(ImportError) as caught:
        importlib.import_module("nobody_has_written_this")
    assert absent(caught.value).remedy == "pip install nobody_has_written_this"


def test_an_opencv_for_desktops_is_explained_without_one() -> None:
    error = absent(ImportError("libGL.so.1: cannot open shared object file: No such file or directory"), "Drawing")
    assert error.happened.startswith("Drawing needs OpenCV")
    assert "libGL.so.1" in error.seen
    assert "opencv-python-headless" in error.remedy and "apt install libgl1" in error.remedy


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps memory")
def test_memory_that_is_kept_is_not_fetched_anew() -> None:
    def faults(before: str) -> int:
        program = f"""
import resource
from understudy.device import keep_memory
{before}
def taken():
    block = bytearray(48 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = taken()
for _ in range(8):
    last = taken()
print(last - first)
"""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
        return int(done.stdout)

    assert faults("assert keep_memory()") < faults("") / 4


def test_whoever_has_told_glibc_otherwise_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    assert not device.keep_memory()


def test_elsewhere_memory_is_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not device.keep_memory()


@pytest.mark.parametrize("multiplies", [True, False])
def test_what_need_not_be_exact_is_in_bf16_where_a_cpu_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch, multiplies: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": multiplies})
    with device.rough(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if multiplies else torch.float32)
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with device.rough(torch.device("meta")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
