"""The page: what is where, and which control asks the desk for what. It knows nothing of models.

Cards from left to right are the sentence that a film is: this portrait, this performance, plays. A voice will be a
second kind of performance and belongs into the second card, beside the film; it has no control there before there is a
model that it can drive.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import gradio as gr

from understudy.animate.choices import MOST, PARTS
from understudy.service.studio import desk
from understudy.service.studio.order import Turns
from understudy.service.studio.room import House, Kept, Room

FONTS: Final = ["ui-sans-serif", "system-ui", "sans-serif"]  # the system's own: nothing is fetched
MONO: Final = ["ui-monospace", "monospace"]
ROOM: Final = "understudy-room"  # in the browser's storage
SECRET: Final = "kept in the browser"  # what it hides is a random word
TURN: Final = 15  # degrees
BESIDE, ALONE = "With the driver beside", "The film alone"
LIVE: Final = (
    "<iframe class='us-live' title='Live' src='/live/' allow='camera' loading='lazy'></iframe>"
    "<p class='us-small'>The camera's pictures go to this machine's own studio and no further.</p>"
)


def theme() -> Any:
    """Paper, ink and one red."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.rose, neutral_hue=gr.themes.colors.stone, font=FONTS, font_mono=MONO
    ).set(block_shadow="none", block_border_width="1px", button_primary_background_fill="*primary_700",
          button_primary_background_fill_hover="*primary_600", button_primary_text_color="white",
          slider_color="*primary_700", checkbox_background_color_selected="*primary_700")  # fmt: skip


def style() -> str:
    """What the theme cannot say."""
    return (resources.files("understudy.service.studio") / "page.css").read_text("utf-8")


def page(house: House, turns: Turns) -> Any:
    """The whole page, as Gradio's blocks."""
    portraits, drivers = desk.examples(house)
    with gr.Blocks(title="Understudy", analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        token = gr.BrowserState("", storage_key=ROOM, secret=SECRET)
        gr.HTML("<header class='us-head'><h1>Understudy</h1><p>A picture performs what a video does.</p></header>")
        with gr.Tab("Studio"):
            _studio(token, portraits, drivers, house, turns, blocks)
        with gr.Tab("Live"):
            gr.HTML(LIVE)
        gr.HTML(
            "<footer class='us-small'>Everything stays on this machine. Films say in their metadata that a machine "
            "made them. Let people perform only with their consent.</footer>"
        )
    return blocks


def _studio(token: Any, portraits: list[str], drivers: list[str], house: House, turns: Turns, blocks: Any) -> None:
    with gr.Row(equal_height=False, elem_classes="us-cards"):
        with gr.Column(min_width=280):
            gr.HTML("<h2>1 &nbsp;The portrait</h2>")
            photo = gr.Image(
                type="filepath", image_mode=None, label="Portrait", show_label=False, height=300, elem_id="portrait",
                sources=["upload", "webcam", "clipboard"], buttons=[],
            )  # fmt: skip
            photo.preprocess = _as_it_is  # type: ignore[method-assign, unused-ignore]
            gr.Examples([[file] for file in portraits], [photo], label="Somebody made up", elem_id="portraits")
            told_photo = gr.HTML(elem_id="portrait-advice")
        with gr.Column(min_width=280):
            gr.HTML("<h2>2 &nbsp;The performance</h2>")
            clip = gr.Video(
                label="Performance", show_label=False, height=300, elem_id="driving", sources=["upload", "webcam"],
                buttons=[], include_audio=True, webcam_options=gr.WebcamOptions(mirror=False),
            )  # fmt: skip
            gr.Examples([[file] for file in drivers], [clip], label="Somebody made up", elem_id="drivers")
            told_clip = gr.HTML(elem_id="driving-advice")
        with gr.Column(min_width=280, scale=2):
            gr.HTML("<h2>3 &nbsp;The film</h2>")
            look = gr.Image(label="Preview", show_label=False, interactive=False, visible=False, elem_id="preview",
                            buttons=[], format="jpeg")  # fmt: skip
            hint = gr.HTML(
                "<p class='us-small'>A portrait and a performance, and what the film will be like is shown here.</p>"
            )
            controls = _controls()
            with gr.Row():
                animate = gr.Button("Animate", variant="primary", elem_id="animate", scale=3)
                cancel = gr.Button("Cancel", elem_id="cancel", interactive=False, scale=1, min_width=90)
            status = gr.HTML(elem_id="status")
            with gr.Column(visible=False, elem_id="stage") as stage:
                player = gr.Video(
                    label="Film", show_label=False, interactive=False, autoplay=True, elem_id="player", buttons=[]
                )
                view = gr.Radio([BESIDE, ALONE], value=BESIDE, show_label=False, container=False, elem_id="view")
                with gr.Row():
                    get_film = gr.DownloadButton("Download the film", elem_id="get-film", min_width=180)
                    get_both = gr.DownloadButton("... with the driver beside", elem_id="get-both", min_width=180)
    with gr.Column(visible=False) as shelf:
        gr.HTML("<h2>Films made here</h2>")
        gallery = gr.Gallery(
            show_label=False, columns=6, height="auto", allow_preview=False, fit_columns=False, elem_id="history",
            interactive=False, buttons=[], container=False,
        )  # fmt: skip
    current = gr.State("")
    shown = [player, get_film, get_both, current, stage]

    def show(kept: Kept | None, which: str) -> list[Any]:
        if kept is None:
            return [gr.skip()] * len(shown)
        both = kept.beside or kept.film
        first = str(both if which == BESIDE else kept.film)
        return [
            gr.update(value=first), gr.update(value=str(kept.film)), gr.update(value=str(both)), kept.film.name,
            gr.update(visible=True),
        ]  # fmt: skip

    def enter(word: str) -> list[Any]:
        room = house.room(word)
        return [room.token, *_history(room)]

    def look_at(file: str | None, word: str) -> Iterator[str]:
        yield from desk.advised(file, house.room(word))

    def preview(portrait: str | None, driving: str | None, *settings: Any) -> Any:
        found = desk.glimpsed(portrait, driving, desk.Set(*settings))
        return [gr.update(value=found, visible=found is not None), gr.update(visible=found is None)]

    def begin(word: str) -> list[Any]:
        house.room(word).stop.clear()
        return [gr.update(interactive=False), gr.update(interactive=True)]

    def perform(
        word: str, which: str, portrait: str | None, driving: str | None, *settings: Any
    ) -> Iterator[list[Any]]:
        room, quiet = house.room(word), [gr.skip()] * (len(shown) + 2)
        for said, kept in desk.performed(portrait, driving, desk.Set(*settings), room, turns):
            yield [said, *(quiet if kept is None else [*show(kept, which), *_history(room)])]

    def end() -> list[Any]:
        return [gr.update(interactive=True), gr.update(interactive=False)]

    def stop(word: str) -> None:
        house.room(word).stop.set()

    def again(word: str, name: str, which: str) -> list[Any]:
        room = house.room(word)
        return show(room.known(room.folder / Path(name).name) if name else None, which)

    def chosen(word: str, which: str, event: gr.SelectData) -> list[Any]:
        films = house.room(word).history()
        return show(films[event.index] if event.index < len(films) else None, which)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    blocks.load(enter, [token], [token, gallery, shelf], **quiet)
    for given, told in ((photo, told_photo), (clip, told_clip)):
        given.change(look_at, [given, token], [told], trigger_mode="always_last", concurrency_limit=2, **quiet)
    gr.on(
        [photo.change, clip.change, *(control.change for control in controls[1:])], preview, [photo, clip, *controls],
        [look, hint], trigger_mode="always_last", concurrency_limit=2, **quiet,
    )  # fmt: skip
    making = animate.click(begin, [token], [animate, cancel], queue=False, **quiet)
    making = making.then(
        perform, [token, view, photo, clip, *controls], [status, *shown, gallery, shelf], concurrency_limit=16, **quiet
    )
    making.then(end, [], [animate, cancel], queue=False, **quiet)
    cancel.click(stop, [token], [], queue=False, **quiet)
    view.change(again, [token, current, view], shown, **quiet)
    gallery.select(chosen, [token, view], shown, **quiet)


def _controls() -> list[Any]:
    """In the order of `desk.Set`."""
    with gr.Accordion("Adjust", open=False, elem_id="adjust"):
        start = desk.Set()
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
            model = gr.Dropdown(desk.models(), value="auto", label="Model", min_width=140, elem_id="model")
            best = gr.Textbox("", label="Best frame", placeholder="found by itself", min_width=140, elem_id="best")
            face = gr.Textbox("", label="Which face", placeholder="the largest", min_width=140)
        crop = gr.Checkbox(False, label="The face's square alone, not the whole picture")
        controls = [model, strength, only, gaze, gaze_up, blink, smile, yaw, pitch, roll, best, face, crop]
        gr.Button("Back to the start", size="sm").click(
            lambda: [getattr(start, name) for name in start.__dataclass_fields__], [], controls, queue=False,
            show_progress="hidden", api_visibility="private",
        )  # fmt: skip
    return controls


def _history(room: Room) -> list[Any]:
    films = room.history()
    return [[(str(kept.poster), kept.title) for kept in films], gr.update(visible=bool(films))]


def _as_it_is(payload: Any) -> str | None:
    """The upload's own file. Gradio would open it here, and say of one that is no picture only where it lies."""
    return None if payload is None else payload.path
