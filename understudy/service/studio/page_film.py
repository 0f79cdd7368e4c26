"""The studio's own tab: what is where, and which control asks the desk for what.

Cards from left to right are the sentence that a film is: this portrait, this performance, plays. The performance is a
film, a voice, or a motion file: whichever of the second card's tabs is open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from understudy.animate.choices import MOST, PARTS
from understudy.cast.speak.voice import MOODS
from understudy.service.studio import desk, voices, words
from understudy.service.studio.order import Turns
from understudy.service.studio.room import House, Kept, Room

TURN: Final = 15  # degrees
LIVELIEST: Final = 2.5
BESIDE, ALONE = "With the driver beside", "The film alone"
HINT: Final = "<p class='us-small'>A portrait and a performance, and what the film will be like is shown here.</p>"
QUIET: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class Giving:
    """The controls into which a portrait and a performance are put."""

    photo: Any
    kind: Any  # of performance
    film: Any
    voice: Any
    motion: Any
    tabs: Any  # of the kinds
    told: tuple[tuple[Any, Any], ...]  # each of these, and where it is said what `check` finds
    acting: tuple[Any, ...]  # what only voices have, in the order of `desk.Set`

    @property
    def performance(self) -> list[Any]:
        """In the order of `desk.Performance`."""
        return [self.kind, self.film, self.voice, self.motion]


@dataclass(frozen=True)
class Showing:
    """The controls in which a film is shown."""

    player: Any
    view: Any
    film: Any
    both: Any
    current: Any
    stage: Any
    shelf: Any
    gallery: Any

    @property
    def all(self) -> list[Any]:
        """In the order of `_shown`."""
        return [self.player, self.film, self.both, self.view, self.current, self.stage]


def tab(token: Any, examples: desk.Examples, house: House, turns: Turns, blocks: Any) -> Giving:
    """Lay it out, and wire it."""
    with gr.Row(equal_height=False, elem_classes="us-cards"):
        with gr.Column(min_width=280):
            photo, told_photo = _portrait(examples.portraits)
        with gr.Column(min_width=280):
            giving = _performance(photo, told_photo, examples, house, token)
        with gr.Column(min_width=280, scale=2):
            gr.HTML("<h2>3 &nbsp;The film</h2>")
            look = gr.Image(label="Preview", show_label=False, interactive=False, visible=False, elem_id="preview",
                            buttons=[], format="jpeg")  # fmt: skip
            hint = gr.HTML(HINT)
            controls = _controls(giving.acting)
            with gr.Row():
                animate = gr.Button("Animate", variant="primary", elem_id="animate", interactive=False, scale=3)
                cancel = gr.Button("Cancel", elem_id="cancel", interactive=False, scale=1, min_width=90)
            status = gr.HTML(elem_id="status")
            stage = _stage()
    showing = Showing(*stage, *_shelf())
    _previews(giving, controls, look, hint, house, token)
    _makes(giving, controls, showing, animate, cancel, status, house, turns, token)
    _history_of(showing, animate, house, token, blocks)
    return giving


# --- laid out -----------------------------------------------------------------------------------------------------


def _portrait(portraits: list[str]) -> tuple[Any, Any]:
    gr.HTML("<h2>1 &nbsp;The portrait</h2>")
    photo = gr.Image(
        type="filepath", image_mode=None, label="Portrait", show_label=False, height=300, elem_id="portrait",
        sources=["upload", "webcam", "clipboard"], buttons=[],
    )  # fmt: skip
    photo.preprocess = as_it_is  # type: ignore[method-assign, unused-ignore]
    gr.Examples([[file] for file in portraits], [photo], label="Somebody made up", elem_id="portraits")
    return photo, gr.HTML(elem_id="portrait-advice")


def _performance(photo: Any, told_photo: Any, examples: desk.Examples, house: House, token: Any) -> Giving:
    gr.HTML("<h2>2 &nbsp;The performance</h2>")
    kind = gr.State(desk.FILM)
    with gr.Tabs(elem_id="performance") as tabs:
        with gr.Tab("Film", id=desk.FILM, render_children=True) as first:
            film = gr.Video(
                label="Performance", show_label=False, height=300, elem_id="driving", sources=["upload", "webcam"],
                buttons=[], include_audio=True, webcam_options=gr.WebcamOptions(mirror=False),
            )  # fmt: skip
            gr.Examples([[file] for file in examples.films], [film], label="Somebody made up", elem_id="drivers")
            told_film = gr.HTML(elem_id="driving-advice")
        with gr.Tab("Voice", id=desk.VOICE, render_children=True) as second:
            voice, told_voice = _voice(examples.voices, house, token)
            acting = _acting()
        with gr.Tab("Motion", id=desk.MOTION, render_children=True) as third:
            motion = gr.File(
                label="A motion file, or Live Link Face CSV", file_types=[".safetensors", ".csv"], elem_id="motion",
                type="filepath", height=140,
            )  # fmt: skip
            gr.HTML(words.note("A performance without anybody's looks: the motion desk makes and changes them."))
            told_motion = gr.HTML(elem_id="motion-advice")
    for each, name in ((first, desk.FILM), (second, desk.VOICE), (third, desk.MOTION)):
        each.select(lambda name=name: name, [], [kind], queue=False, **QUIET)
    told = ((photo, told_photo), (film, told_film), (voice, told_voice), (motion, told_motion))
    return Giving(photo, kind, film, voice, motion, tabs, told, acting)


def _voice(examples: list[str], house: House, token: Any) -> tuple[Any, Any]:
    """A file, the microphone, or what is typed."""
    lacking = voices.lacking()
    if lacking is not None:
        gr.HTML(words.note(f"A voice cannot be acted here: it needs {lacking}.", 'pip install "understudy[diffusion]"'))
    voice = gr.Audio(
        type="filepath", label="Voice", show_label=False, elem_id="voice", sources=["upload", "microphone"], buttons=[]
    )
    voice.preprocess = as_it_is  # type: ignore[method-assign, unused-ignore]
    if examples:
        gr.Examples([[file] for file in examples], [voice], label="Somebody made up", elem_id="voices")
    told = gr.HTML(elem_id="voice-advice")
    if not voices.can_speak():
        gr.HTML(words.note("To type what is said, install espeak-ng:", 'pip install "understudy[tts]"'))
        return voice, told
    text = gr.Textbox(
        label="Or type what is said", lines=2, max_length=voices.LONGEST, elem_id="text",
        placeholder="Hello! [sad] Moods may change, [happy] as here.",
    )  # fmt: skip
    with gr.Row():
        speaker = gr.Dropdown(
            list(voices.SPEAKERS), show_label=False, container=False, scale=3, min_width=130, elem_id="speaker"
        )
        say = gr.Button("Say it", elem_id="say", scale=2, min_width=80)

    def spoken(text: str, speaker: str, word: str) -> list[Any]:
        told, file = desk.typed(text, speaker, house.room(word))
        return [told, gr.skip() if file is None else file]

    gr.on([say.click, text.submit], spoken, [text, speaker, token], [told, voice], concurrency_limit=2, **QUIET)
    return voice, told


def _acting() -> tuple[Any, ...]:
    """In the order of `desk.Set`."""
    start = desk.Set()
    with gr.Row():
        moods = [("its own", ""), *((mood, mood) for mood in MOODS)]
        mood = gr.Dropdown(moods, value=start.mood, label="Mood", scale=3, min_width=120, elem_id="mood")
        take = gr.Number(start.take, label="Take", precision=0, minimum=0, scale=2, min_width=80, elem_id="take")
    lively = gr.Slider(0, LIVELIEST, start.lively, step=0.1, label="Liveliness", elem_id="lively")
    return mood, lively, take


def _controls(acting: tuple[Any, ...]) -> list[Any]:
    """In the order of `desk.Set`."""
    start = desk.Set()
    with gr.Accordion("Adjust", open=False, elem_id="adjust"):
        only = gr.CheckboxGroup([(part, part) for part in PARTS], value=list(PARTS), label="Carry over", elem_id="only")
        strength = gr.Slider(0, MOST, start.strength, step=0.05, label="Strength", elem_id="strength")
        with gr.Row():
            gaze = gr.Slider(-1, 1, 0, step=0.05, label="Gaze left, right", min_width=140)
            gaze_up = gr.Slider(-1, 1, 0, step=0.05, label="Gaze down, up", min_width=140)
        with gr.Row():
            blink = gr.Slider(-1, 1, 0, step=0.05, label="Eyes wide, shut", min_width=140)
            smile = gr.Slider(-1, 1, 0, step=0.05, label="Frown, smile", min_width=140, elem_id="smile")
        with gr.Row():
            yaw = gr.Slider(-TURN, TURN, 0, step=1, label="Head turns left, right", min_width=140)
            pitch = gr.Slider(-TURN, TURN, 0, step=1, label="Head up, down", min_width=140)
            roll = gr.Slider(-TURN, TURN, 0, step=1, label="Head tilts left, right", min_width=140)
        with gr.Row():
            model = gr.Dropdown(desk.models(), value=start.model, label="Model", min_width=140, elem_id="model")
            best = gr.Textbox("", label="Best frame", placeholder="found by itself", min_width=140, elem_id="best")
            face = gr.Textbox("", label="Which face", placeholder="the largest", min_width=140)
        crop = gr.Checkbox(False, label="The face's square alone, not the whole picture")
        controls = [model, strength, only, gaze, gaze_up, blink, smile, yaw, pitch, roll, best, face, crop, *acting]
        gr.Button("Back to the start", size="sm").click(
            lambda: [getattr(start, name) for name in start.__dataclass_fields__], [], controls, queue=False, **QUIET
        )
    return controls


def _stage() -> tuple[Any, Any, Any, Any, Any, Any]:
    with gr.Column(visible=False, elem_id="stage") as stage:
        player = gr.Video(
            label="Film", show_label=False, interactive=False, autoplay=True, elem_id="player", buttons=[]
        )
        view = gr.Radio([BESIDE, ALONE], value=BESIDE, show_label=False, container=False, elem_id="view")
        with gr.Row():
            film = gr.DownloadButton("Download the film", elem_id="get-film", min_width=180)
            both = gr.DownloadButton("... with the driver beside", elem_id="get-both", min_width=180)
    return player, view, film, both, gr.State(""), stage


def _shelf() -> tuple[Any, Any]:
    with gr.Column(visible=False) as shelf:
        gr.HTML("<h2>Films made here</h2>")
        gallery = gr.Gallery(
            show_label=False, columns=6, height="auto", allow_preview=False, fit_columns=False, elem_id="history",
            interactive=False, buttons=[], container=False,
        )  # fmt: skip
    return shelf, gallery


# --- wired --------------------------------------------------------------------------------------------------------


def _previews(giving: Giving, controls: list[Any], look: Any, hint: Any, house: House, token: Any) -> None:
    """What is said of what is given, and the glimpse."""

    def look_at(file: str | None, word: str) -> Iterator[str]:
        yield from desk.advised(file, house.room(word))

    def preview(portrait: str | None, *given: Any) -> Any:
        found = desk.glimpsed(portrait, desk.Performance(*given[:4]), desk.Set(*given[4:]))
        return [gr.update(value=found, visible=found is not None), gr.update(visible=found is None)]

    for given, told in giving.told:
        given.change(look_at, [given, token], [told], trigger_mode="always_last", concurrency_limit=2, **QUIET)
    gr.on(
        [each.change for each in (giving.photo, *giving.performance, *controls[1:])], preview,
        [giving.photo, *giving.performance, *controls], [look, hint], trigger_mode="always_last", concurrency_limit=2,
        **QUIET,
    )  # fmt: skip


def _makes(
    giving: Giving, controls: list[Any], showing: Showing, animate: Any, cancel: Any, status: Any, house: House,
    turns: Turns, token: Any,
) -> None:  # fmt: skip
    """Animate, and cancel."""

    def begin(word: str) -> list[Any]:
        house.room(word).stop.clear()
        return [gr.update(interactive=False), gr.update(interactive=True)]

    def perform(word: str, which: str, portrait: str | None, *given: Any) -> Iterator[list[Any]]:
        room, quiet = house.room(word), [gr.skip()] * (len(showing.all) + 2)
        asked = desk.Performance(*given[:4]), desk.Set(*given[4:])
        for said, kept in desk.performed(portrait, *asked, room, turns):
            yield [said, *(quiet if kept is None else [*_shown(kept, which), *_history(room)])]

    def end() -> list[Any]:
        return [gr.update(interactive=True), gr.update(interactive=False)]

    def stop(word: str) -> None:
        house.room(word).stop.set()

    making = animate.click(begin, [token], [animate, cancel], queue=False, **QUIET)
    making = making.then(
        perform, [token, showing.view, giving.photo, *giving.performance, *controls],
        [status, *showing.all, showing.gallery, showing.shelf], concurrency_limit=16, **QUIET,
    )  # fmt: skip
    making.then(end, [], [animate, cancel], queue=False, **QUIET)
    cancel.click(stop, [token], [], queue=False, **QUIET)


def _history_of(showing: Showing, animate: Any, house: House, token: Any, blocks: Any) -> None:
    """Films that were made before; and none is made before it is known in which room."""

    def enter(word: str) -> list[Any]:
        room = house.room(word)
        return [room.token, *_history(room), gr.update(interactive=True)]

    def again(word: str, name: str, which: str) -> list[Any]:
        room = house.room(word)
        return _shown(room.known(room.folder / Path(name).name) if name else None, which)

    def chosen(word: str, which: str, event: gr.SelectData) -> list[Any]:
        films = house.room(word).history()
        return _shown(films[event.index] if event.index < len(films) else None, which)

    blocks.load(enter, [token], [token, showing.gallery, showing.shelf, animate], **QUIET)
    showing.view.input(again, [token, showing.current, showing.view], showing.all, **QUIET)
    showing.gallery.select(chosen, [token, showing.view], showing.all, **QUIET)


def _shown(kept: Kept | None, which: str) -> list[Any]:
    """For `Showing.all`. A driver whom nobody filmed is not beside."""
    if kept is None:
        return [gr.skip()] * 6
    beside = kept.beside is not None
    first = kept.beside if kept.beside and which == BESIDE else kept.film
    return [
        gr.update(value=str(first)), gr.update(value=str(kept.film)),
        gr.update(value=str(kept.beside or kept.film), visible=beside), gr.update(visible=beside), kept.film.name,
        gr.update(visible=True),
    ]  # fmt: skip


def _history(room: Room) -> list[Any]:
    films = room.history()
    return [[(str(kept.poster), kept.title) for kept in films], gr.update(visible=bool(films))]


def as_it_is(payload: Any) -> str | None:
    """The upload's own file. Gradio would open it here, and say of one that is no picture only where it lies."""
    return None if payload is None else payload.path
