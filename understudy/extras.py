"""What an import that failed means for the person at the keyboard: which part is not installed, and what installs it.

Modules import what they need where they need it; whoever catches the ImportError raises `absent(error, ...)` from it.
The command line does so for every ImportError that nobody caught."""

from __future__ import annotations

from typing import Final

from understudy.errors import MissingExtra

# Import name -> what pip installs it by. Extras are those of pyproject.toml.
INSTALLED_BY: Final = {
    "mediapipe": '"mediapipe==0.10.21"  (Python 3.10 to 3.12; the last release that carries its models)',
    "cv2": '"opencv-python-headless>=4.11,<5"',
    "PIL": "pillow",
    "torch": "torch",
    "skimage": '"understudy[metrics]"',
    "google": "protobuf",
    "gradio": '"understudy[studio]"',
    "starlette": '"understudy[studio]"',
    "pyvirtualcam": "pyvirtualcam",
} | {
    name: f'"understudy[{extra}]"'
    for extra, names in {
        "diffusion": ("einops", "diffusers", "transformers", "huggingface_hub"),
        "train": ("accelerate", "peft", "tensorboard"),
        "web": ("fastapi", "uvicorn", "websockets", "multipart", "pydantic_settings", "httpx"),
        "rtc": ("aiortc",),
        "ray": ("ray", "pyarrow"),
        "export": ("onnx", "onnxscript", "onnxruntime"),
        "openvino": ("openvino", "nncf"),
        "metrics": ("torchmetrics",),
        "provenance": ("c2pa",),
        "tts": ("espeakng_loader",),
    }.items()
    for name in names
}
# What OpenCV's builds with windows load from the system, and servers and containers do not have.
DESKTOP: Final = ("libGL", "libgthread", "libglib", "libEGL", "libX11", "libxcb")


def absent(error: ImportError, purpose: str = "This") -> MissingExtra:
    """The typed error for a failed import. `purpose` begins the sentence: "Finding faces" (needs ..., which ...)."""
    if any(library in str(error) for library in DESKTOP):
        return MissingExtra(
            f"{purpose} needs OpenCV, and the one installed here is made for a desktop",
            str(error),
            'pip install --force-reinstall --no-deps "opencv-python-headless<4.12", which needs no desktop; '
            "or, on Debian and Ubuntu, apt install libgl1 libglib2.0-0",
        )
    name = (error.name or "").partition(".")[0]
    if not name:
        return MissingExtra(f"{purpose} needs a library that cannot be loaded", str(error), "installing it again")
    return MissingExtra(
        f"{purpose} needs {name}, which is not installed or cannot be loaded",
        str(error),
        f"pip install {INSTALLED_BY.get(name, name)}",
    )
