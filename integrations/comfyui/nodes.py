"""Nodes: a portrait performs what pictures, a motion file, or a sound do.

ComfyUI's values: IMAGE is a float tensor (b, h, w, 3) in [0, 1]; AUDIO is {"waveform": (b, channels, n), "sample_rate":
n}; what a function returns is a tuple, in the order of RETURN_TYPES. Nodes are thin: they write what they are given to
files in a folder of their own, call Understudy's public program, and read the result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

import understudy
from understudy.errors import BadOption

MODELS = ["auto", "warp", "x-portrait-small", "x-portrait-2-small"]
MOTION = "UNDERSTUDY_MOTION"
"""A performance that knows of no portrait: the path of a motion file."""
CATEGORY = "understudy"
_SEED = ("INT", {"default": 0, "min": 0, "max": 2**31 - 1})
_STRENGTH = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 3.0, "step": 0.05})
_FPS = ("FLOAT", {"default": 25.0, "min": 1.0, "max": 120.0, "step": 0.001})


class Animate:
    """A portrait performs what the driving pictures do."""

    DESCRIPTION = __doc__
    CATEGORY = CATEGORY
    FUNCTION = "animate"
    RETURN_TYPES = ("IMAGE", "FLOAT")
    RETURN_NAMES = ("frames", "fps")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "portrait": ("IMAGE",),
                "driving": ("IMAGE",),
                "fps": _FPS,
                "model": (MODELS, {"default": "auto"}),
                "strength": _STRENGTH,
                "seed": _SEED,
            }
        }

    def animate(
        self, portrait: torch.Tensor, driving: torch.Tensor, fps: float, model: str, strength: float, seed: int
    ) -> tuple[torch.Tensor, float]:
        """(b, h, w, 3) as many frames as `driving` has, of the portrait's size."""
        with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
            film = understudy.write(Path(folder) / "driving.mp4", pictures(driving), fps=fps).path
            return drawn(portrait, film, Path(folder), model, strength, seed)


class ReadMotion:
    """Driving pictures, watched once and kept as motion, to be played by any number of portraits."""

    DESCRIPTION = __doc__
    CATEGORY = CATEGORY
    FUNCTION = "read"
    RETURN_TYPES = (MOTION,)
    RETURN_NAMES = ("motion",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"driving": ("IMAGE",), "fps": _FPS}}

    def read(self, driving: torch.Tensor, fps: float) -> tuple[str]:
        """The path of a motion file, in ComfyUI's folder for temporary files where there is one."""
        with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
            film = understudy.write(Path(folder) / "driving.mp4", pictures(driving), fps=fps).path
            chunks = list(understudy.load("warp").read(film))
        from understudy.motion.file import save

        path = Path(tempfile.mkdtemp(prefix="understudy-", dir=temporary())) / "motion.safetensors"
        save(chunks, path)
        return (str(path),)


class Play:
    """A portrait plays a motion."""

    DESCRIPTION = __doc__
    CATEGORY = CATEGORY
    FUNCTION = "play"
    RETURN_TYPES = ("IMAGE", "FLOAT")
    RETURN_NAMES = ("frames", "fps")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"portrait": ("IMAGE",), "motion": (MOTION,), "strength": _STRENGTH}}

    def play(self, portrait: torch.Tensor, motion: str, strength: float) -> tuple[torch.Tensor, float]:
        """(b, h, w, 3), drawn by warp."""
        with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
            return drawn(portrait, Path(motion), Path(folder), "warp", strength, 0)


class Act:
    """A portrait speaks and acts with a sound."""

    DESCRIPTION = __doc__
    CATEGORY = CATEGORY
    FUNCTION = "act"
    RETURN_TYPES = ("IMAGE", "FLOAT", "AUDIO")
    RETURN_NAMES = ("frames", "fps", "sound")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "portrait": ("IMAGE",),
                "voice": ("AUDIO",),
                "model": (MODELS, {"default": "auto"}),
                "strength": _STRENGTH,
                "seed": _SEED,
            }
        }

    def act(
        self, portrait: torch.Tensor, voice: dict[str, Any], model: str, strength: float, seed: int
    ) -> tuple[torch.Tensor, float, dict[str, Any]]:
        """Frames, their rate, and the sound as it came."""
        from understudy.animate import act

        with tempfile.TemporaryDirectory(prefix="understudy-") as folder:
            where = Path(folder)
            heard = understudy.write_sound(where / "voice.wav", sound(voice))
            shown = understudy.write_picture(where / "portrait.png", one(portrait))
            act(shown, heard, out=where / "out.mp4", model=model, strength=strength, seed=seed)
            clip = understudy.read(where / "out.mp4")
            return images(iter(clip)), float(clip.fps), voice


def drawn(
    portrait: torch.Tensor, driving: Path, folder: Path, model: str, strength: float, seed: int
) -> tuple[torch.Tensor, float]:
    """What Understudy draws, and its rate. ComfyUI's stop button ends it after a frame."""
    shown = understudy.write_picture(folder / "portrait.png", one(portrait))
    engine = understudy.load(model, strength=strength, seed=seed)
    motion = engine.read(driving)
    frames = engine.draw(shown, motion)
    return images(told(iter(frames), motion.frames)), float(Fraction(frames.fps))


def pictures(tensor: torch.Tensor) -> Iterator[np.ndarray]:
    """(b, h, w, 3 or 4) in [0, 1] to pictures (h, w, 3) uint8, one by one. Sides are made even for the film."""
    if tensor.ndim != 4 or tensor.shape[-1] not in (3, 4):
        raise BadOption("an IMAGE is a tensor (b, h, w, 3)", str(tuple(tensor.shape)), "another node before this one")
    high, wide = (side // 2 * 2 for side in tensor.shape[1:3])
    for each in tensor:
        yield (each[:high, :wide, :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def one(tensor: torch.Tensor) -> np.ndarray:
    """The picture (h, w, 3) in an IMAGE of one."""
    if tensor.ndim != 4 or len(tensor) != 1:
        raise BadOption("a portrait is one picture", str(tuple(tensor.shape)), "an IMAGE (1, h, w, 3)")
    return (tensor[0, ..., :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def images(frames: Iterator[np.ndarray]) -> torch.Tensor:
    """Pictures (h, w, 3) uint8 to (b, h, w, 3) in [0, 1]."""
    found = [torch.from_numpy(np.ascontiguousarray(frame)).float() / 255 for frame in frames]
    return torch.stack(found)


def sound(audio: dict[str, Any]) -> understudy.Sound:
    """AUDIO, the first of its batch, as a `Sound`."""
    waves = audio["waveform"]
    if waves.ndim != 3 or not waves.shape[0]:
        raise BadOption("an AUDIO's waveform is (b, channels, n)", str(tuple(waves.shape)), "a node that loads sound")
    samples = waves[0].T.float().clamp(-1, 1).cpu().numpy()
    return understudy.Sound(np.ascontiguousarray(samples), int(audio["sample_rate"]))


def told(frames: Iterator[np.ndarray], total: int | None) -> Iterator[np.ndarray]:
    """The same frames; ComfyUI's bar shows how far they are, where this runs inside of it."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted as check
        from comfy.utils import ProgressBar
    except ImportError:
        yield from frames
        return
    step: Callable[[int], None] = ProgressBar(total or 1).update
    for frame in frames:
        check()
        step(1)
        yield frame


def temporary() -> str | None:
    """ComfyUI's folder for temporary files, which it empties; else the system's."""
    try:
        from folder_paths import get_temp_directory
    except ImportError:
        return None
    path = Path(get_temp_directory())
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


NODE_CLASS_MAPPINGS = {
    "UnderstudyAnimate": Animate, "UnderstudyReadMotion": ReadMotion, "UnderstudyPlay": Play, "UnderstudyAct": Act,
}  # fmt: skip
NODE_DISPLAY_NAME_MAPPINGS = {
    "UnderstudyAnimate": "Understudy: animate", "UnderstudyReadMotion": "Understudy: read motion",
    "UnderstudyPlay": "Understudy: play motion", "UnderstudyAct": "Understudy: act",
}  # fmt: skip
