"""The verb: portrait and driver in, film out; stopped and resumed at will."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from understudy.animate import record
from understudy.animate.artist import Artist, Frame, way_of
from understudy.animate.choices import Choices, Sampler, choose, of_the_cast
from understudy.animate.driving import Driving, Met
from understudy.animate.pace import Pace, Tell, nobody
from understudy.animate.watching import Spool, reference_in
from understudy.clip import AnyPath, Film, Warn, write_picture
from understudy.clip.coding import coding_of
from understudy.clip.landing import beside, refuse_existing
from understudy.clip.media import existing, once
from understudy.errors import BadOption, TooLittleMemory
from understudy.face.portrait import Portrait
from understudy.models import PUBLISHED, Model
from understudy.motion.kinds import Kind
from understudy.motion.retouch import Retouch
from understudy.provenance.hashes import content
from understudy.provenance.manifest import Seal, sealing

STARTED: Final = 9  # frames after which it is known how long the rest will take, where nothing had to be watched
FOLLOWED: Final = {
    "direct": ", following the driver's own pictures (--driver direct)",
    "bridge": ", following one of the cast who plays the driver (--driver bridge)",
}
STILLS: Final = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was made. These are the fields of `--json`."""

    output: str
    model: str
    seed: int
    frames: int
    fps: float  # 0 of a picture
    seconds: float  # that it took
    frames_per_second: float  # of the whole job; of a resumed film, of what was drawn now
    peak_memory_mb: float
    reference_frame: int | None  # of the driver, counted from 0; none where the motion is absolute
    warnings: list[str]
    width: int
    height: int
    faceless_frames: int  # of the driver, in which the last expression was held
    cuts: int  # in the driver
    resumed_at: int  # the frame at which this run went on; 0: it began
    watching_seconds: float  # first pass
    drawing_seconds: float  # second pass
    driver: Literal["direct", "bridge"] | None  # whose pictures were followed; none where a mesh was


class Stopped(KeyboardInterrupt):
    """Stopped by hand. Its words say where things are and how to go on; `partial` is the film so far, if any."""

    def __init__(self, words: str, partial: Path | None) -> None:
        super().__init__(words)
        self.partial = partial


def animate(
    portrait: AnyPath,
    driving: AnyPath,
    *,
    out: AnyPath | None = None,
    model: str = "auto",
    seed: int = 0,
    steps: int | None = None,
    strength: float = 1.0,
    only: tuple[str, ...] | None = None,
    relative: bool | None = None,
    mouth: Literal["own", "driver"] | None = None,
    driver: Literal["direct", "bridge"] | None = None,
    reference_frame: int | Literal["auto"] = "auto",
    face: int | None = None,
    max_size: int = 1920,
    crop: bool = False,
    device: str = "auto",
    sampler: Sampler | None = None,
    guidance: float | None = None,
    preview: bool = False,
    parity: bool = False,
    compile: bool = False,
    retouch: Retouch | None = None,
    license: Literal["any", "commercial"] = "any",
    sign: bool = True,
    force: bool = False,
    progress: Tell | None = None,
    command: str = "",
) -> Result:
    """The portrait performs what the driver does; the result is written to `out`, by default PORTRAIT-DRIVING.mp4 here.

    `driving` is a film, a picture (the result is a picture), a motion file, or Live Link Face CSV. `relative`: move as
    the driver moves away from its best-matching frame (films), or take its expression outright (a picture, which does
    not move). `retouch` is added to every frame; `command` goes into the result's metadata. The rest is described by
    `understudy animate --help`. With the extra `provenance`, and unless `sign` is False, the result carries a signed
    manifest (see `provenance.manifest`).

    Stopped and called again with the same arguments, it goes on, and the film's frames are those of a run that was
    never stopped. Raises `Stopped` on Ctrl-C, and everything in `understudy.errors`."""
    choices = Choices(
        strength=strength,
        only=only,
        relative=relative,
        mouth=mouth,
        reference_frame=reference_frame,
        crop=crop,
        max_size=max_size,
        face=face,
        seed=seed,
        steps=steps,
        driver=driver,
        device=device,
        sampler=sampler,
        guidance=guidance,
        preview=preview,
        parity=parity,
        compile=compile,
        retouch=retouch or Retouch(),
    )
    how = existing(driving)
    command = command or f"animate({Path(portrait).name!r}, {how.name!r})"

    def opened(chosen: Model, shown: Portrait, warn: Warn) -> Driving[Any]:
        return way_of(chosen, parity=choices.parity).open(how, choices, warn)

    return perform(
        portrait, how, choices, opened, model=model, out=out, license=license, sign=sign, force=force,
        progress=progress, command=command,
    )  # fmt: skip


def perform(
    portrait: AnyPath,
    how: Path,
    choices: Choices,
    opened: Callable[[Model, Portrait, Warn], Driving[Any]],
    *,
    model: str,
    out: AnyPath | None,
    license: Literal["any", "commercial"],
    sign: bool,
    force: bool,
    progress: Tell | None,
    command: str,
    about: Mapping[str, str] | None = None,
) -> Result:
    """The portrait performs what is in the file `how`, which `opened` makes a driver of, for a model. `about`:
    more words for the metadata. See `animate`."""
    begun = time.perf_counter()
    who = existing(portrait)
    cast = of_the_cast(who)
    chosen, why = choose(model, choices, cast=cast, commercial=license == "commercial")
    way = way_of(chosen, parity=choices.parity)
    said: list[str] = []
    warn = once(said.append)
    shown = Portrait.read(who, which=choices.face, max_size=choices.max_size, warn=warn)
    source = opened(chosen, shown, warn)
    out = target_of(who, source, out)
    refuse_existing(out, force)
    artist = way.artist(chosen, shown, choices, source, cast)
    hashes = {"portrait": content(who), "driving": "" if source.live else content(how)}
    followed = {} if source.driver is None else {"driver": source.driver}
    draws = f"{chosen.name} {why}" + FOLLOWED.get(source.driver or "", "")

    def words() -> dict[str, str]:
        own = record.words(chosen.name, choices.seed, who, how, command, hashes)
        return own | followed | dict(artist.about) | dict(about or {})

    def seal(path: Path) -> None:
        signs = sealing(record.facts(chosen, choices.seed, who, how, command, hashes), warn)
        if signs is not None:
            signs(path)

    job = Job(
        source=source,
        kind=way.kind,
        artist=artist,
        choices=choices,
        out=out,
        force=force,
        pace=Pace(progress or nobody),
        draws=draws,
        opening=draws + artist.expected,
        slow=chosen in PUBLISHED,
        said=said,
        warn=warn,
        hashes=hashes,
        seal=seal if sign else None,
        words=words,
    )
    if job.slow:
        job.pace.say(job.opening)
    made = job.picture() if out.suffix.lower() in STILLS else job.film()
    seconds = time.perf_counter() - begun
    return Result(
        output=str(out),
        model=chosen.name,
        seed=choices.seed,
        frames=made.frames,
        fps=made.fps,
        seconds=round(seconds, 3),
        frames_per_second=round((made.frames - made.resumed_at) / seconds, 2),
        peak_memory_mb=round(record.peak_memory(), 1),
        reference_frame=made.reference if made.reference >= 0 and source.rest is None else None,
        warnings=[*said, *job.met.warnings(how.name), *artist.warnings],
        width=made.size[0],
        height=made.size[1],
        faceless_frames=job.met.unseen,
        cuts=len(job.met.cuts),
        resumed_at=made.resumed_at,
        watching_seconds=round(made.watched - begun, 3),
        drawing_seconds=round(begun + seconds - made.watched, 3),
        driver=source.driver,
    )


def target_of(portrait: Path, source: Driving[Any], out: AnyPath | None) -> Path:
    """Where the result goes. Errors: `BadOption` for a kind of file that it cannot be."""
    if out is None:
        return Path(f"{portrait.stem}-{source.path.stem}{'.png' if source.still else '.mp4'}")
    out = Path(out)
    if out.suffix.lower() not in STILLS:
        coding_of(out, quality=16, lossless=False)
    elif not source.single:
        raise BadOption(f"{out} is a picture, and {source.path.name} is a film", remedy="end the name in .mp4")
    return out


@dataclass(frozen=True)
class Made:
    """What a job has made."""

    frames: int
    fps: float
    size: tuple[int, int]  # width, height
    reference: int
    resumed_at: int
    watched: float  # the moment at which the second pass began


@dataclass(frozen=True, kw_only=True)
class Job:
    """One portrait, one driver, one result; everything is opened and checked, nothing is drawn yet."""

    source: Driving[Any]
    kind: Kind[Any]
    artist: Artist[Any, Any]
    choices: Choices
    out: Path
    force: bool
    pace: Pace
    draws: str  # who draws, and why
    opening: str  # that, and what is to be expected
    slow: bool  # the opening is said at once, and not only when the pace is known
    said: list[str]
    warn: Warn
    hashes: dict[str, str]
    words: Callable[[], dict[str, str]]  # metadata
    seal: Seal | None  # signs what is made
    met: Met = field(default_factory=Met)

    def picture(self) -> Made:
        """One picture of the driver's one."""
        motion = list(self.source)
        reference = self._reference(motion)
        with closing(self.artist.draw(motion, reference, crop=self.choices.crop)) as drawing:
            _, drawn = next(drawing)
        write_picture(self.out, drawn, metadata=self.words(), overwrite=self.force, seal=self.seal)
        return Made(1, 0.0, (drawn.shape[1], drawn.shape[0]), reference.frame, 0, time.perf_counter())

    def film(self) -> Made:
        """The film, from its beginning or from where it was stopped. Errors: `Stopped`."""
        spool = self._spool()
        film: Film | None = None
        try:
            with Film(
                self.out,
                fps=self.source.fps,
                sound=self.source.path if self.source.sounds else None,
                metadata=self.words(),
                max_size=self.choices.max_size,
                overwrite=self.force,
                resume=not self.source.live,
                fingerprint=record.fingerprint(
                    watched=spool.mark,
                    portrait=self.hashes["portrait"],
                    choices=self.choices,
                    draws=self.draws,
                    about=dict(self.artist.about),
                ),
                seal=self.seal,
                warn=self.warn,
            ) as film:
                resumed_at = film.done
                if self.source.live:
                    watched, reference = time.perf_counter(), self._rest()
                    self._fill(film, lambda: self.met.along(self.source), reference)
                    self.hashes["driving"] = content(self.source.path)
                    film.tell(self.words())
                else:
                    motion = self._watched(spool)
                    reference = self._reference(motion())
                    watched = time.perf_counter()
                    self._fill(film, motion, reference)
        except KeyboardInterrupt as stop:
            if film is None or not film.frames:
                self._kept.unlink(missing_ok=True)
            raise self._stopped(film) from stop
        except Exception:
            if film is None or not film.frames:  # nothing to go on with: leave nothing
                spool.discard()
                self._kept.unlink(missing_ok=True)
            raise
        finally:
            spool.close()
        written = film.close()
        spool.discard()
        self._kept.unlink(missing_ok=True)
        return Made(written.frames, float(film.fps), written.size, reference.frame, resumed_at, watched)

    @property
    def _kept(self) -> Path:
        """What the artist may keep until the film is whole."""
        return beside(self.out, ".drawn")

    def _spool(self) -> Spool[Any]:
        mark = record.fingerprint(
            driving=self.hashes["driving"],
            versions=record.versions(),
            kind=self.kind.name,
            driver=self.source.driver,
            **({"mark": self.source.mark} if self.source.mark else {}),
        )
        return Spool(self.out, mark, self.kind)

    def _watched(self, spool: Spool[Any]) -> Callable[[], Iterator[Any]]:
        """The driver's whole motion, as often as it is wanted; watched now unless it was before."""
        if self.source.kept:
            return self.source.chunks
        earlier = spool.finished()
        if earlier is not None:
            for text in earlier:
                self.warn(text)
            return spool.chunks
        drawing = self.artist.seconds(self.source.frames or 0)
        self.pace.begin("watching", self.source.frames, after=drawing)
        spool.make(self.source, self._watching, self.said)
        return spool.chunks

    def _watching(self, frames: int) -> None:
        self.pace.at(frames)
        self.pace.announce(self.opening)

    def _reference(self, motion: Iterable[Any]) -> Frame:
        if self.source.rest is not None:
            for _ in self.met.along(motion):
                pass
            return self._rest()
        found: Frame = reference_in(motion, self.artist, self.met, self.choices.reference_frame, self.source.path.name)
        return found

    def _rest(self) -> Frame:
        """Of a driver of whom it is known how they look at rest."""
        outright = self.source.in_place or self.choices.relative is False
        resting: Frame = self.artist.reference_at(self.source.rest, 0, -1 if outright else 0)
        return resting

    def _fill(self, film: Film, motion: Callable[[], Iterator[Any]], reference: Frame) -> None:
        """Draw what the film does not have yet. Where the memory runs out it is gone on with once, with less."""
        try:
            self._draw(film, motion(), reference, film.done)
            return
        except TooLittleMemory as error:
            problem = error.with_traceback(None)
            problem.__cause__ = problem.__context__ = None  # which hold on to what filled the memory
        less = self.artist.relent()
        if less is None:
            raise problem
        self.warn(f"{problem.happened} after {film.frames} frames; it {less}")
        self._draw(film, motion(), reference, film.frames)

    def _draw(self, film: Film, motion: Iterator[Any], reference: Frame, done: int) -> None:
        """From a frame on; the film encodes in a thread of its own."""
        self.pace.begin("drawing", self.met.frames or None, done=done)
        crop, kept = self.choices.crop, self._kept

        def told(frames: float) -> None:
            self.pace.at(frames)
            self.pace.announce(self.opening)

        with closing(self.artist.draw(motion, reference, crop=crop, done=done, kept=kept, told=told)) as drawing:
            for when, frame in drawing:
                film.add(frame, when)
                self.pace.at(film.frames)
                if film.frames - done >= STARTED:
                    self.pace.announce(self.opening)

    def _stopped(self, film: Film | None) -> Stopped:
        if film is None or not film.frames:
            return Stopped("stopped before anything was drawn; the same command begins again", None)
        partial = beside(self.out, ".mp4")
        if self.source.live:
            return Stopped(f"stopped: {film.frames} frames are in {partial}, which plays", partial)
        done = f"{film.frames} of {self.met.frames} frames" if self.met.frames else f"{film.frames} frames"
        return Stopped(f"stopped: {done} are in {partial}, which plays; the same command goes on", partial)
