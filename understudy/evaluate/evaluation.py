"""`understudy evaluate MODEL`: held-out people and motions, drawn by a model and by what it is compared with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Final

import torch
from torch import Tensor

from understudy import __version__, models, weights
from understudy.ahead import ahead
from understudy.animate.pace import Pace, Progress, Tell, nobody
from understudy.animate.record import machine
from understudy.cast.stage import Frame, to_bytes
from understudy.data.drawn import looks
from understudy.device import choose, describe
from understudy.errors import BadOption, BadWeights, MissingFile
from understudy.evaluate import drawers
from understudy.evaluate.drawers import Bent, Drawer, Performer
from understudy.evaluate.groups import group_scenes, shots, style_scenes
from understudy.evaluate.probes import Probing, Told, reader
from understudy.evaluate.probes import probed as probed_codes
from understudy.evaluate.scenes import Programme, Scene, Snippet, snippets
from understudy.evaluate.score import Figures, Sight, Tally, compared, probed
from understudy.evaluate.speed import commit
from understudy.face.find import Finder
from understudy.face.mesh_finder import MeshFinder
from understudy.generator.autoencoder import Autoencoder, AutoencoderConfig, TemporalAutoencoder
from understudy.motion.encoder import Encoder
from understudy.recipes.autoencoder import UNSEEN

STILL, PASTE, AUTOENCODER = "still", "paste", "autoencoder-small"
BASELINES: Final = (STILL, PASTE, models.WARP.name, AUTOENCODER)
"""What every model is compared with, and what can be measured by itself: do not move, show the driver, bend the
portrait, and the truth through the autoencoder."""
SHOWN: Final = 12  # rows of a sheet, and a third as many of the unseen style
_READ: Final = 0.2  # of the time for a frame that is drawn and measured: one that only a probe reads


@dataclass(frozen=True)
class Contestant:
    """A model, ready to draw snippets; those that draw in windows can draw films."""

    name: str
    draw: Drawer
    size: int = Programme.size
    performer: Performer | None = None
    windows: tuple[int, int] = (0, 0)
    """Frames of a window, and how many of them were drawn before."""
    autoencoder: Autoencoder | TemporalAutoencoder | None = None
    encoder: Encoder | None = None
    """Of motion codes, where those are followed."""


@dataclass(frozen=True)
class Shown:
    """One row of the sheet: pictures (s, s, 3) by what they are, and words under each."""

    pictures: dict[str, Frame]
    words: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that was measured. Bins and baselines by name, see `score.Tally`."""

    model: str
    programme: Programme
    steps: int | None
    version: str
    commit: str
    date: str
    machine: str
    cast: str
    """A word that changes when the cast is drawn otherwise: figures of different casts are not to be compared."""
    figures: Figures
    bins: dict[str, dict[str, Figures]]
    unseen: Figures
    """Of the style that is never trained on."""
    counterpart: Figures
    """Of the same people and motions in their own styles."""
    still_unseen: Figures
    still_counterpart: Figures
    """Of the same snippets as these two, if nobody moved: styles of more contrast are harder for whoever draws."""
    baselines: dict[str, Figures]
    groups: dict[str, Figures]
    """Of what is hard, by itself, see `groups.GROUPS`; nothing where the model is a baseline."""
    style_loss_db: float | None
    """By how much a driver in another style than the portrait's is worse than the same person in its own."""
    told: Told | None
    """What codes tell, where they are followed."""
    seconds: float
    warnings: list[str]
    rows: list[Shown] = field(repr=False)


def evaluate(
    model: str,
    programme: Programme | None = None,
    *,
    steps: int | None = None,
    device: str = "auto",
    progress: Tell = nobody,
    probing: Probing | None = None,
) -> Evaluation:
    """Draw and measure a whole programme, a part of it in the style that is never trained on, and, of what is trained,
    what is hard, other styles, and its codes.

    Errors: `UnknownModel`; `BadOption` for options that a model does not have; those of loading its weights."""
    begun, code, cast = time.perf_counter(), commit(), looks()  # files may change while this runs
    programme = programme or Programme()
    where = choose(device)
    with MeshFinder() as finder:
        contestant = entered(model, steps, where, finder)
        programme = replace(programme, size=contestant.size)
        unseen = styled(programme)
        round_ = Round(contestant, finder, where)
        pace = Pace(progress)
        more = extra(contestant, programme)
        probing = probing or Probing(seed=programme.seed)
        total = (len(programme) + len(unseen) + len(more)) * programme.frames
        pace.begin("measuring", total + (round(probing.pictures * _READ) if contestant.encoder else 0))
        for done, snippet in enumerate(ahead(snippets(programme), 1), 1):
            round_.take(snippet, programme)
            pace.at(done * programme.frames)
            pace.announce(f"{model} and what it is compared with, drawn and measured on {where}")
        for done, snippet in enumerate(ahead(snippets(unseen), 1), 1 + len(programme)):
            round_.take_unseen(snippet, unseen)
            pace.at(done * programme.frames)
        for done, snippet in enumerate(ahead(shots(iter(more)), 1), 1 + len(programme) + len(unseen)):
            round_.take_more(snippet)
            pace.at(done * programme.frames)
        told: Told | None = None
        if contestant.encoder is not None:
            read = reader(contestant.encoder, where)
            told = probed_codes(
                read, contestant.size, probing, lambda pictures: pace.at(total + round(pictures * _READ))
            )
    progress(Progress("measuring", note=f"measured in {time.perf_counter() - begun:.0f} s"))
    baselines = {name: tally.figures() for name, tally in round_.tallies.items() if name != model}
    return Evaluation(
        model=model,
        programme=programme,
        steps=steps,
        version=__version__,
        commit=code,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        machine=f"{machine()}; {describe(where)}",
        cast=cast,
        figures=round_.tallies[model].figures(),
        bins=round_.tallies[model].bins(),
        unseen=round_.unseen.figures(),
        counterpart=round_.counterpart.figures(),
        still_unseen=round_.still_unseen.figures(),
        still_counterpart=round_.still_counterpart.figures(),
        baselines=baselines,
        groups=round_.groups.bins().get("group", {}),
        style_loss_db=round_.style_loss_db,
        told=told,
        seconds=round(time.perf_counter() - begun, 1),
        warnings=round_.warp.warnings,
        rows=round_.rows,
    )


def styled(programme: Programme) -> Programme:
    """The first third of the people and half of their motions, all in the style that is never trained on."""
    return replace(programme, people=-(-programme.people // 3), motions=-(-programme.motions // 2), style=UNSEEN)


def extra(contestant: Contestant, programme: Programme) -> list[Scene]:
    """What is asked besides of models that are trained."""
    if contestant.performer is None:
        return []
    return [*group_scenes(programme), *(each for both in style_scenes(programme) for each in both)]


class Round:
    """A model and its baselines on the same snippets, one after the other."""

    def __init__(self, contestant: Contestant, finder: Finder, device: torch.device) -> None:
        self.contestant, self.finder = contestant, finder
        self.warp = contestant.draw if isinstance(contestant.draw, Bent) else Bent(finder)
        self.drawers: dict[str, Drawer] = {STILL: drawers.still, PASTE: drawers.paste, models.WARP.name: self.warp}
        net = contestant.autoencoder or autoencoder(device)
        if net is not None:
            self.drawers[AUTOENCODER] = drawers.reconstructed(net, device)
        self.drawers[contestant.name] = contestant.draw
        self.tallies = {name: Tally() for name in self.drawers}
        self.unseen, self.counterpart = Tally(), Tally()
        self.still_unseen, self.still_counterpart = Tally(), Tally()
        self.groups = Tally()
        self.styled: list[float] = []
        self.rows: list[Shown] = []

    def take(self, snippet: Snippet, programme: Programme) -> None:
        """Everybody draws it, and everything is measured."""
        sight = Sight.of(self.finder, snippet)
        results: dict[str, Tensor] = {}
        part = styled(programme)
        for name, draw in self.drawers.items():
            results[name] = draw(snippet)
            measured = compared(results[name], snippet, sight)
            if name == self.contestant.name:
                measured |= probed(draw, results[name], snippet)
            if snippet.scene.person < part.people and snippet.scene.motion < part.motions:
                if name == self.contestant.name:
                    self.counterpart.add(measured, snippet.scene.labels)
                if name == STILL:
                    self.still_counterpart.add(measured, snippet.scene.labels)
            self.tallies[name].add(measured, snippet.scene.labels)
        if shown(snippet, programme, SHOWN):
            self.rows.append(self._row(snippet, results))

    def take_unseen(self, snippet: Snippet, programme: Programme) -> None:
        """The model draws it, and who does not move."""
        draw = self.contestant.draw
        result = draw(snippet)
        measured = compared(result, snippet, Sight.of(self.finder, snippet)) | probed(draw, result, snippet)
        self.unseen.add(measured, snippet.scene.labels)
        self.still_unseen.add(compared(drawers.still(snippet), snippet), snippet.scene.labels)
        if shown(snippet, programme, SHOWN // 3):
            self.rows.append(self._row(snippet, {self.contestant.name: result, models.WARP.name: self.warp(snippet)}))

    def take_more(self, snippet: Snippet) -> None:
        """The model alone draws it: what is hard, or a pair of styles, one after the other."""
        result = self.contestant.draw(snippet)
        if "group" in snippet.scene.labels:
            measured = compared(result, snippet, Sight.of(self.finder, snippet))
            self.groups.add(measured, {"group": snippet.scene.labels["group"]})
        else:
            self.styled.append(float(compared(result, snippet)["psnr"].mean()))

    @property
    def style_loss_db(self) -> float | None:
        """Drivers in the portrait's own style against others."""
        own, other = self.styled[::2], self.styled[1::2]
        return sum(own) / len(own) - sum(other) / len(other) if other else None

    def _row(self, snippet: Snippet, results: dict[str, Tensor]) -> Shown:
        """The snippet's middle frame."""
        frame, labels = len(snippet.truth) // 2, snippet.scene.labels
        pictures = {"portrait": snippet.portrait, "driver": snippet.drive.pictures[frame]}
        words = {
            "portrait": f"portrait {snippet.scene.person}, {labels['style'][frame]}",
            "driver": f"driver: {labels['yaw'][frame]}°, {labels['speed'][frame]}, {labels['driver'][frame]}",
        }
        for name in dict.fromkeys((self.contestant.name, "truth", models.WARP.name)):
            if name == "truth":
                pictures[name], words[name] = snippet.truth[frame], "truth"
                continue
            pictures[name] = results[name][frame]
            measured = compared(results[name], snippet)
            words[name] = f"{name}: {float(measured['psnr'][frame]):.1f} dB"
        return Shown({name: to_bytes(picture[None])[0] for name, picture in pictures.items()}, words)


def shown(snippet: Snippet, programme: Programme, rows: int) -> bool:
    """Whether a snippet is one of about so many that are looked at: of each person others, so that all kinds come."""
    each = max(rows // programme.people, 1)
    every = max(programme.people // rows, 1)
    apart = max(programme.motions // each, 1)
    chosen = {(3 * snippet.scene.person + k * apart) % programme.motions for k in range(each)}
    return snippet.scene.person % every == 0 and snippet.scene.motion in chosen


def entered(model: str, steps: int | None, device: torch.device, finder: Finder) -> Contestant:
    """A model by name, or a baseline."""
    if model in BASELINES:
        if steps is not None:
            raise BadOption(f"{model} takes no --steps: it denoises nothing", remedy="leave it out")
        return _baseline(model, device, finder)
    chosen = models.named(model)
    if chosen.manner is None:
        raise BadOption(
            f"{model} is no model that is trained here", remedy=f"x-portrait-small, or one of {', '.join(BASELINES)}"
        )
    if steps is not None and steps < 1:
        raise BadOption("a model denoises in steps", f"--steps {steps}", "1 or more")
    from understudy.animate.trained import generator

    net = generator(chosen, device)
    manner = chosen.manner() if steps is None else replace(chosen.manner(), steps=steps)
    performer = drawers.performed(net, manner, device)
    return Contestant(
        name=model,
        draw=drawers.drawer(performer),
        size=net.config.picture,
        performer=performer,
        windows=(net.config.window, net.config.overlap),
        autoencoder=net.autoencoder,
        encoder=net.encoder,
    )


def _baseline(name: str, device: torch.device, finder: Finder) -> Contestant:
    if name != AUTOENCODER:
        return Contestant(name, {STILL: drawers.still, PASTE: drawers.paste}.get(name) or Bent(finder))
    net = autoencoder(device)
    if net is None:
        raise MissingFile(
            f"The weights of {AUTOENCODER} are not here",
            f"{AUTOENCODER}.safetensors is neither shipped nor in $UNDERSTUDY_WEIGHTS",
            f"understudy train {AUTOENCODER}",
        )
    return Contestant(name, drawers.reconstructed(net, device), autoencoder=net)


def autoencoder(device: torch.device) -> Autoencoder | None:
    """The shipped small autoencoder, or None if it is not here."""
    path = models.weights_file(f"{AUTOENCODER}.safetensors")
    if path is None:
        return None
    stored = weights.load(path)
    if not isinstance(stored.about.config, AutoencoderConfig):
        raise BadWeights(f"{path} holds no autoencoder", f"{stored.about.name}", f"understudy train {AUTOENCODER}")
    net = Autoencoder(stored.about.config)
    weights.fill(net, stored)
    return net.to(device).eval()
