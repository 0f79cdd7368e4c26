"""What a person wishes to compute on, and what they are told where that, or a library, is not there."""

from __future__ import annotations

import importlib

import pytest

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
