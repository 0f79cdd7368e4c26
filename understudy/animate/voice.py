"""A voice as a driver: an actor imagines what somebody does who speaks so, and that is followed like any driver."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from understudy import models
from understudy.animate.driving import Bridging, Driving
from understudy.clip import AnyPath, Warn
from understudy.clip.coming import Coming
from understudy.clip.hear import FLOOR, Heard, hear
from understudy.clip.media import existing
from understudy.clip.sound import open_sound, placed, sound_stream
from understudy.errors import BadOption, BadWeights, MissingFile, NoSound, UnknownModel
from understudy.extras import absent
from understudy.face.mesh import Floats

if TYPE_CHECKING:
    from av.container import InputContainer
    from torch import Tensor

    from understudy.animate.choices import Choices
    from understudy.clip.sound import Samples
    from understudy.motion.actor import Actor
    from understudy.motion.perform import Tempo
    from understudy.motion.speech import Rows
    from understudy.motion.wishes import Wishes

LOWEST_RATE: Final = 12_000  # samples a second
MOST_GUIDANCE: Final = 6.0
FPS: Final = 25


@dataclass(frozen=True, kw_only=True)
class Acting:
    """What a person may ask of an actor. None: left to the voice, to chance, and to the model."""

    actor: str = models.X_ACTOR_SMALL.name
    mood: str | os.PathLike[str] | None = None
    """A label; labels with their seconds, "0 happy, 8 sad"; or the path (no str) of a picture, film or motion file of
    somebody in a mood."""
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
    voice: AnyPath | Coming,
    acting: Acting,
    *,
    model: models.Model,
    choices: Choices,
    warn: Warn,
    begins: Floats | None = None,
) -> Driving[Any]:
    """The sound of a sound file or film, acted, 25 frames a second, for as long as it lasts, as what `model` follows,
    with the seed and on the device of `choices`. `begins (478, 3)`: the face whose expression it sets out from; without
    it, one at rest.

    A file is listened to once before, and what is odd about it is said; of a voice that is still `Coming` it is said in
    the end. A silent one is acted at rest. Errors: those of reading it, `NoSound` where it has no samples,
    `MissingFile` where the actor's weights are not here, `BadOption` for wishes out of range; for models that follow
    codes, those of `imagined.made`."""
    wishes = _wishes(acting, warn)
    seed = choices.seed
    actor, tempo, mark = trained(acting, choices.device)
    stream = coming_stream(voice, warn) if isinstance(voice, Coming) else None
    path = existing(voice if not isinstance(voice, Coming) else voice.path if stream else voice.wait())
    seconds = None if stream else said_of(path, warn)

    def acted() -> Iterator[Tensor]:
        from understudy.motion import played
        from understudy.motion.perform import perform
        from understudy.motion.steadied import looking, steadied

        with stream or Stream(path) as heard:
            first = played.start() if begins is None else played.worn(begins)
            rows = perform(actor, rows_of(heard), tempo, seed=seed, wishes=wishes, start=first)
            yield from steadied(rows if wishes.looks is None else looking(rows, wishes.looks, seed))
        if stream:
            said_of(path, warn)

    about = {"source": path.name, "actor": acting.actor, "seed": str(seed)}
    followed = _followed(model, choices, about)
    origin = "from rest" if begins is None else f"from {sha256(begins.tobytes()).hexdigest()[:16]}"
    return Driving(
        path=path,
        fps=Fraction(FPS),
        frames=None if seconds is None else math.ceil(seconds * FPS - 1e-9),
        still=False,
        sounds=True,
        kept=False,
        chunks=lambda: followed.of(acted()),
        driver=followed.driver,
        rest=next(followed.of(iter([_rest()]))),
        mark=f"{mark} {acting} {wishes.mood} seed {seed} {origin} {followed.mark}",
        in_place=begins is not None and model.follows == "mesh",  # pictures and codes always do
        live=stream is not None,
    )


@dataclass(frozen=True)
class _Followed:
    """How rows of motion become what a model follows."""

    of: Callable[[Iterator[Tensor]], Iterator[Any]]
    driver: Bridging | None = None
    mark: str = ""


def _followed(model: models.Model, choices: Choices, about: dict[str, str]) -> _Followed:
    """A mesh; or one of the cast who does it, exactly as the actor says; or the codes of that one."""
    from understudy.motion import played

    if model.follows == "mesh":
        return _Followed(lambda rows: played.meshes(rows, about))
    from understudy.motion.standing import acted_by_the_cast

    if model.follows == "frames":
        return _Followed(lambda rows: acted_by_the_cast(played.hows(rows), about), "bridge")
    from understudy.animate.imagined import made
    from understudy.motion.reading import read_code

    known, _, _ = made(model, choices)  # as it will be drawn: a published model is there once, within its memory
    encoder, mark = known.generator.encoder, known.encoder_mark
    assert encoder is not None  # or it would follow something else
    return _Followed(lambda rows: read_code(acted_by_the_cast(played.hows(rows), about), encoder, mark), "bridge", mark)


def _rest() -> Tensor:
    from understudy.motion import played

    return played.start()[None]


def rows_of(stream: Sounding) -> Iterator[Rows]:
    """What an actor hears of an open stream, brought to the loudness that it knows."""
    from understudy.motion.speech import listened

    return listened(stream.chunks, stream.rate)


def said_of(path: Path, warn: Warn) -> float:
    """Listen to a whole file and say what is odd about it; its seconds. Errors: `NoSound` without samples."""
    heard = listened(path, warn)
    if not heard.seconds:
        raise NoSound(f"{path} has no sound that can be decoded", "an empty sound track", "record or download it again")
    for text in oddities(heard, path.name):
        warn(text)
    return heard.seconds


def listened(path: Path, warn: Warn) -> Heard:
    """Measure a voice, in one pass."""
    with Stream(path, warn) as stream:
        return hear(stream.chunks, stream.rate)


@dataclass(frozen=True)
class Sounding:
    """The decoded sound of a file."""

    chunks: Iterable[Samples]
    rate: int


class Stream:
    """The sound of a file, or of one that is still coming and is open already; open within a `with`."""

    def __init__(
        self,
        path: Path,
        warn: Callable[[str], None] = lambda text: None,
        container: InputContainer | None = None,
    ) -> None:
        self.path, self.warn, self._container = path, warn, container

    def __enter__(self) -> Sounding:
        self._container = self._container or open_sound(self.path)
        try:
            stream = sound_stream(self._container, self.path)
        except BaseException:
            self._container.close()
            raise
        return Sounding(placed(self._container, stream, self.warn, self.path), stream.rate)

    def __exit__(self, *error: object) -> None:
        assert self._container is not None
        self._container.close()


def coming_stream(coming: Coming, warn: Warn) -> Stream | None:
    """What is still coming as a stream, if that kind of file can be heard before it is whole."""
    container = coming.opened()
    return None if container is None else Stream(coming.path, warn, container)


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


def _wishes(acting: Acting, warn: Warn) -> Wishes:
    try:
        from understudy.animate.mood import asked
        from understudy.motion.wishes import Wishes
    except ImportError as error:
        raise absent(error, acting.actor) from error
    mood = None if acting.mood is None else asked(acting.mood, warn)
    return Wishes(mood=mood, lively=acting.lively, blinks=acting.blinks, looks=acting.looks)


def trained(acting: Acting, device: str) -> tuple[Actor, Tempo, str]:
    """An actor with its weights, how it performs, and a word that changes with the weights."""
    from dataclasses import replace

    from understudy.device import choose

    model = models.named(acting.actor)
    path = models.weights_file(model.weights[0])
    if path is None:
        ours = models.X_ACTOR_SMALL.name
        train = f"`understudy train {ours}`, and put journal/{ours}/{model.weights[0]} there"
        raise MissingFile(
            f"{model.name} has no weights here, and without them nobody acts",
            f"{model.weights[0]} is neither shipped with this package nor in $UNDERSTUDY_WEIGHTS (~/.cache/understudy)",
            train if model.name == ours else f"{ours}: nobody has published weights of the full size",
        )
    actor, tempo, mark = actor_in(path, str(choose(device)))
    return actor, tempo if acting.guidance is None else replace(tempo, guidance=acting.guidance), mark


def actor_in(path: Path, device: str) -> tuple[Actor, Tempo, str]:
    """An actor in a file of weights, how one performs that has learnt so, and a word that changes with the weights.
    Errors: `BadWeights`, `MissingFile`."""
    return _loaded(path, existing(path).stat().st_mtime_ns, device)


@lru_cache(maxsize=1)
def _loaded(path: Path, changed: int, device: str) -> tuple[Actor, Tempo, str]:
    from understudy import weights
    from understudy.motion.actor import Actor, ActorConfig
    from understudy.motion.space import PLAYED

    stored = weights.load(path)
    config = stored.about.config
    if not isinstance(config, ActorConfig):
        raise BadWeights(f"{path} holds no actor", stored.about.name, "understudy train x-actor-small")
    if not config.bands or config.motion != PLAYED:
        raise BadWeights(
            f"{path} holds an actor that cannot be followed yet: it hears with wav2vec2 and imagines codes",
            f"{config.motion} numbers of motion, {config.sound} of sound",
            f"an actor of the small kind: {PLAYED} numbers of motion, from spectra",
        )
    net = Actor(config)
    weights.fill(net, stored)
    mark = f"{path.stem} sha256:{sha256(path.read_bytes()).hexdigest()[:16]}"
    return net.eval().to(device), tempo_of(stored.about.recipe), mark


def tempo_of(recipe: Mapping[str, Any]) -> Tempo:
    """As the recipe has it; a regression answers at once, and one who has learnt from a clean past is given one, chunk
    after chunk."""
    from dataclasses import replace

    from understudy.motion.perform import Tempo

    told = {name: value for name, value in recipe.get("tempo", {}).items() if name != "kind"}
    tempo = Tempo(**told) if told else models.small_tempo()
    objective = recipe.get("objective", "forcing")
    if objective == "regression":
        return replace(tempo, steps=1, lag=1, stabilise=0.0, guidance=1.0, lips=None)
    return replace(tempo, lag=tempo.steps, stabilise=0.0) if objective == "teacher" else tempo
