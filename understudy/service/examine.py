"""The process that looks first: are these a portrait and a driver, and may they be this large?

    python -m understudy.service.examine        questions on stdin, answers on stdout, an object of JSON a line

What strangers send is opened here and nowhere else before a job is accepted: where that kills somebody, it is only
this process, which the server starts anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from understudy import models
from understudy.animate.choices import Choices, choose, of_the_cast
from understudy.animate.driving import open_driving
from understudy.clip import read
from understudy.clip.sound import open_sound, placed, sound_stream
from understudy.clip.still import opened
from understudy.errors import BadOption, MissingExtra, NoPicture, NoSound, TooLarge, UnderstudyError
from understudy.motion.file import read_header
from understudy.motion.kinds import FRAMES
from understudy.service.place import VOICE
from understudy.service.refusals import as_json, internal
from understudy.service.worker import without

MEMORY: Final = 6 << 30  # bytes of addresses


def examined(folder: Path, driving: str, options: Mapping[str, Any], seconds: float, pixels: int) -> dict[str, Any]:
    """What is to be known of a job before it is accepted.

    Errors: of the portrait, the driver, and the options, each as `animate` would raise it."""
    own = dict(options)
    model, commercial = own.pop("model", "auto"), own.pop("license", "any") == "commercial"
    if own.get("only") is not None:
        own["only"] = tuple(own["only"])
    choices = Choices(**{key: value for key, value in own.items() if key in CHOSEN})
    portrait = folder / "portrait"
    with opened(portrait, pixels) as picture:
        picture.load()
    choose(model, choices, cast=of_the_cast(portrait), commercial=commercial)
    if driving == VOICE:
        heard(folder / VOICE, seconds)
        return {"still": False}
    return {"still": driven(folder / driving, seconds, pixels)}


CHOSEN: Final = {each.name for each in fields(Choices)}


def driven(path: Path, seconds: float, pixels: int) -> bool:
    """Whether the driver is one picture. Errors: those of reading it; `TooLarge`."""
    if path.suffix:  # motion, by the name that we have given it
        if path.suffix == ".safetensors" and (header := read_header(path)).kind == FRAMES.name:
            long = len(header) / float(header.rate)
        else:
            motion = open_driving(path, warn=_silently)
            long = (motion.frames or 0) / float(motion.fps)
        still = False
    else:
        clip = read(path, max_pixels=pixels, warn=_silently)
        long, still = clip.seconds or 0.0, clip.still
        if next(iter(clip), None) is None:
            raise NoPicture("the driver has no frames", remedy="record or download it again")
    if long > seconds and not still:
        raise TooLarge("the driver is longer than a job may be", f"{long:.0f} s; the most are {seconds:.0f}", "a part")
    return still


def heard(path: Path, seconds: float) -> None:
    """Whether somebody can act from this voice here. It is decoded as far as it may be long, whatever it promises.

    Errors: `MissingExtra` where nobody can act; those of reading it; `NoSound`, `TooLarge`."""
    lacking = models.missing_from(models.X_ACTOR_SMALL)
    if lacking is not None:
        raise MissingExtra(
            "this service cannot act from a voice", f"it lacks {lacking}",
            'driving or motion; or, where it runs, pip install "understudy[diffusion]"',
        )  # fmt: skip
    with open_sound(path) as container:
        stream = sound_stream(container, path)
        samples = 0
        for block in placed(container, stream, _silently, path):
            samples += len(block)
            if samples > seconds * stream.rate:
                raise TooLarge("the voice is longer than a job may be", f"the most are {seconds:.0f} s", "a part of it")
    if not samples:
        raise NoSound("the voice has no sound that can be decoded", "an empty sound track", "record it again")


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Never raises."""
    folder = Path(question["folder"])
    try:
        return {
            "found": examined(folder, question["driving"], question["options"], question["seconds"], question["pixels"])
        }
    except UnderstudyError as error:
        return {"error": without(folder, as_json(error))}
    except MemoryError:
        return {"error": as_json(TooLarge("the input asks for more memory than there is", remedy="a smaller one"))}
    except TypeError as error:
        return {"error": as_json(BadOption("an option has a value of the wrong kind", str(error)))}
    except Exception as error:
        print(json.dumps({"event": "examiner broke", "error": repr(error)}), file=sys.stderr, flush=True)
        return {"error": internal()}


def _silently(text: str) -> None:
    """The job will say it."""


def main() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # not on Windows; a lower limit is there already
        pass
    told = sys.stdout
    sys.stdout = sys.stderr  # whatever libraries print is no answer
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=told, flush=True)


if __name__ == "__main__":
    main()
