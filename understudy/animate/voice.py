"""A voice as a driver: an actor imagines what somebody does who speaks so, and that is watched like any driver."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from understudy import models
from understudy.animate.driving import Driving, bridged
from understudy.clip import AnyPath, Warn
from understudy.clip.hear import FLOOR, Heard, hear
from understudy.clip.media import existing
from understudy.clip.sound import open_sound, placed, sound_stream
from understudy.errors import BadOption, BadWeights, MissingFile, NoSound, UnknownModel
from understudy.extras import absent
from understudy.face.mesh import Floats
from understudy.motion.mesh import MotionMesh

if TYPE_CHECKING:
    from understudy.clip.sound import Samples
    from understudy.motion.actor import Actor
    from understudy.motion.perform import Tempo, Wishes

LEVEL: Final = -20.5  # dB of full scale: how loud calm voices are that actors learn from
MOST_GAIN: Final = 25.0  # dB
LOWEST_RATE: Final = 12_000  # samples a second
MOST_GUIDANCE: Final = 6.0


@dataclass(frozen=True, kw_only=True)
class Acting:
    """What a person may ask of an actor. None: left to the voice, to chance, and to the model."""

    actor: str = models.X_ACTOR_SMALL.name
    mood: str | None = None
    lively: float | None = None
    blinks: float | None = None
    looks: float | None = None
    guidance: float | None = None

    def __post_init__(self) -> None:
        if models.named(self.actor).follows != "voice":
            actors = [model.name for model in models.ALL if model.follows == "voice"]
            raise UnknownModel(f"{self.actor} does not act", "it draws", " or ".join(actors))
        if self.guidance is not None and not 0 <= self.guidance <= MOST_GUIDANCE:
            raise BadOption(f"--guidance {self.guidance:g} is out of range", remedy=f"0 to {MOST_GUIDANCE:g}")


def open_voice(
    path: AnyPath,
    acting: Acting,
    *,
    seed: int,
    warn: Warn,
    device: str = "auto",
    draws: Literal["mesh", "frames"],
    begins: Floats | None = None,
) -> Driving[MotionMesh]:
    """The sound of a sound file or film, acted, 25 frames a second, for as long as it lasts. `draws`: what the model
    that draws follows. `begins (478, 3)`: the face whose expression it sets out from; without it, one at rest.

    The voice is listened to once before, for how loud it is and what is odd about it: that is said. A silent one is
    acted at rest. Errors: those of reading it, `NoSound` where it has no samples, `MissingFile` where the actor's
    weights are not here, `BadOption` for wishes out of range."""
    path = existing(path)
    wishes = _wishes(acting)
    actor, tempo, mark = trained(acting, device)
    heard = listened(path, warn)
    if not heard.seconds:
        raise NoSound(f"{path} has no sound that can be decoded", "an empty sound track", "record or download it again")
    for text in oddities(heard, path.name):
        warn(text)
    gain = gain_for(heard)

    def acted() -> Iterator[MotionMesh]:
        from understudy.motion import played
        from understudy.motion.perform import perform
        from understudy.motion.speech import heard as rows_heard

        about = {"source": path.name, "actor": acting.actor, "seed": str(seed)}
        with_rate = _Stream(path)
        with with_rate as chunks:
            rows = rows_heard(chunks, with_rate.rate, gain=gain)
            first = played.start() if begins is None else played.worn(begins)
            motion = perform(actor, rows, tempo, seed=seed, wishes=wishes, start=first)
            yield from played.meshes(motion, about)

    from understudy.motion.played import rest

    origin = "from rest" if begins is None else f"from {sha256(begins.tobytes()).hexdigest()[:16]}"
    driving = Driving(
        path=path,
        fps=Fraction(25),
        frames=math.ceil(heard.seconds * 25 - 1e-9),
        still=False,
        sounds=True,
        kept=False,
        chunks=acted,
        rest=rest(),
        mark=f"{mark} {acting} seed {seed} {origin}",
    )
    return driving if draws == "mesh" else bridged(driving)  # type: ignore[return-value]


def listened(path: Path, warn: Warn) -> Heard:
    """Measure a voice, in one pass."""
    stream = _Stream(path, warn)
    with stream as chunks:
        return hear(chunks, stream.rate)


class _Stream:
    """The decoded sound of a file, in chunks; open within a `with`."""

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda text: None) -> None:
        self.path, self.warn = path, warn
        self.rate = 0

    def __enter__(self) -> Iterator[Samples]:
        self._container = open_sound(self.path)
        try:
            stream = sound_stream(self._container, self.path)
        except BaseException:
            self._container.close()
            raise
        self.rate = stream.rate
        return placed(self._container, stream, self.warn, self.path)

    def __exit__(self, *error: object) -> None:
        self._container.close()


def gain_for(heard: Heard) -> float:
    """dB that bring a voice to the level of those that were learnt from."""
    if heard.speaking == 0 or heard.level <= FLOOR:
        return 0.0
    return max(min(LEVEL - heard.level, MOST_GAIN), -MOST_GAIN)


def oddities(heard: Heard, name: str) -> list[str]:
    """What a person should know before the result surprises them."""
    if heard.speaking == 0 or heard.level <= FLOOR:
        return [f"{name} is silent: the face rests"]
    found = []
    if heard.speaking > 0.95 and heard.seconds > 3:
        found.append(f"{name} never pauses: if there is music or noise in it, the mouth will follow that too")
    elif heard.level - heard.noise < 15:
        found.append(
            f"in {name} the voice stands only {heard.level - heard.noise:.0f} dB above what is heard in its pauses: "
            "the mouth may follow noise or music; a quieter recording helps"
        )
    if heard.rate < LOWEST_RATE:
        found.append(f"{name} has {heard.rate} samples a second: of s, f and sh nothing is left; 16000 or more is good")
    if heard.clipped > 0.001:
        found.append(f"{heard.clipped:.1%} of {name} is cut off at full scale")
    return found


def _wishes(acting: Acting) -> Wishes:
    try:
        from understudy.motion.perform import Wishes
    except ImportError as error:
        raise absent(error, acting.actor) from error
    return Wishes(mood=acting.mood, lively=acting.lively, blinks=acting.blinks, looks=acting.looks)  # type: ignore[arg-type]


def trained(acting: Acting, device: str) -> tuple[Actor, Tempo, str]:
    """An actor with its weights, how it performs, and a word that changes with the weights."""
    from dataclasses import replace

    from understudy.device import choose

    model = models.named(acting.actor)
    path = models.weights_file(model.weights[0])
    if path is None:
        name = model.weights[0].removesuffix(".safetensors")
        raise MissingFile(
            f"{model.name} has no weights here, and without them nobody acts",
            f"{model.weights[0]} is neither shipped with this package nor in $UNDERSTUDY_WEIGHTS (~/.cache/understudy)",
            f"`understudy train {name}`, and put journal/{name}/{model.weights[0]} there",
        )
    actor, mark = _loaded(path, path.stat().st_mtime_ns, str(choose(device)))
    tempo = models.small_tempo()
    return actor, tempo if acting.guidance is None else replace(tempo, guidance=acting.guidance), mark


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int, device: str) -> tuple[Actor, str]:
    from understudy import weights
    from understudy.motion.actor import Actor, ActorConfig

    stored = weights.load(path)
    if not isinstance(stored.about.config, ActorConfig):
        raise BadWeights(f"{path} holds no actor", stored.about.name, "understudy train x-actor-small")
    net = Actor(stored.about.config)
    weights.fill(net, stored)
    return net.eval().to(device), f"{path.stem} sha256:{sha256(path.read_bytes()).hexdigest()[:16]}"
