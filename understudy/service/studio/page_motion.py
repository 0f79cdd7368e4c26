"""The motion desk's tab: a performance is taken in, changed, looked at in somebody's face, and taken away as a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import gradio as gr

from understudy.animate import Progress
from understudy.animate.motions import about
from understudy.service.studio import desk, editing, words
from understudy.service.studio.order import MOTION, Turns, carried_out
from understudy.service.studio.page_film import QUIET, Giving, as_it_is
from understudy.service.studio.room import House

KINDS: Final = ["video", "image", "audio", *MOTION]
CAPTION: Final = "<p class='us-small'>Above as it was, below as it is now, at the same moments.</p>"
HINT: Final = "<p class='us-small'>Take a performance, and what becomes of it is shown here.</p>"


@dataclass(frozen=True)
class Held:
    """What the tab holds. `source` and `result` are motion files of the room, as words."""

    source: Any
    result: Any
    given: Any  # a file from outside
    told_given: Any
    who: Any
    cut: list[Any]  # in the order of `editing.Cut`
    strip: Any
    caption: Any
    told: Any
    ways: list[Any]  # the buttons that take it away: play, perform, file, csv
    player: Any


def tab(token: Any, examples: desk.Examples, house: House, turns: Turns, studio: Giving, tabs: Any) -> None:
    """Lay it out, and wire it."""
    source, result = gr.State(""), gr.State("")
    with gr.Row(equal_height=False, elem_classes="us-cards"):
        with gr.Column(min_width=280, scale=4):
            gr.HTML("<h2>1 &nbsp;The performance</h2>")
            given = gr.File(
                label="Film, voice, motion file or CSV", file_types=KINDS, type="filepath",
                height=140, elem_id="desk-given",
            )  # fmt: skip
            take = gr.Button("Take the studio's", size="sm", elem_id="desk-take")
            gr.Examples([[file] for file in examples.films], [given], label="Somebody made up", elem_id="desk-drivers")
            told_given = gr.HTML(elem_id="desk-advice")
            who = gr.Image(
                examples.portraits[0], type="filepath", image_mode=None, label="Looked at in", height=200,
                elem_id="desk-who", sources=["upload"], buttons=[],
            )  # fmt: skip
            who.preprocess = as_it_is  # type: ignore[method-assign, unused-ignore]
        with gr.Column(min_width=280, scale=5):
            gr.HTML("<h2>2 &nbsp;The edits</h2>")
            cut, note_down, back = _cut()
        with gr.Column(min_width=280, scale=7, elem_classes="us-stay"):
            gr.HTML("<h2>3 &nbsp;The motion</h2>")
            strip = gr.Image(label="Moments", show_label=False, interactive=False, visible=False, elem_id="desk-strip",
                             buttons=[], format="jpeg")  # fmt: skip
            caption = gr.HTML(HINT)
            told = gr.HTML(elem_id="desk-told")
            ways = _ways()
            player = gr.Video(show_label=False, interactive=False, visible=False, autoplay=True, elem_id="desk-player",
                              loop=True, buttons=[])  # fmt: skip
    held = Held(source, result, given, told_given, who, cut, strip, caption, told, ways, player)
    _takes(held, take, studio, house, token)
    _edits(held, note_down, back, house, token)
    _goes(held, studio, tabs, house, turns, token)


# --- laid out -----------------------------------------------------------------------------------------------------


def _cut() -> tuple[list[Any], Any, Any]:
    """The controls, in the order of `editing.Cut`; and the buttons that write keyframes, and that undo everything."""
    zero = editing.Cut()
    with gr.Accordion("Cut and time", elem_id="desk-time"):
        with gr.Row():
            start = gr.Number(zero.start, label="From second", minimum=0, min_width=90, elem_id="desk-start")
            end = gr.Number(zero.end, label="To (0: its end)", minimum=0, min_width=90, elem_id="desk-end")
        speed = gr.Slider(0.25, 4, zero.speed, step=0.05, label="Speed", elem_id="desk-speed")
        loop = gr.Slider(0, 2, zero.loop, step=0.1, label="Loop: seconds of its seam", elem_id="desk-loop")
        with gr.Row():
            repeat = gr.Number(zero.repeat, label="How often", precision=0, minimum=1, maximum=50, min_width=90)
            rate = gr.Number(zero.rate, label="Rate (0: its own)", minimum=0, maximum=120, min_width=90)
    with gr.Accordion("Face", elem_id="desk-face"):
        mirror = gr.Checkbox(zero.mirror, label="Mirror: left for right", elem_id="desk-mirror")
        strength = gr.Slider(0, 3, zero.strength, step=0.05, label="Strength", elem_id="desk-strength")
        mouth = gr.Slider(0, 3, zero.mouth, step=0.05, label="Mouth", elem_id="desk-mouth")
        eyes = gr.Slider(0, 3, zero.eyes, step=0.05, label="Eyes")
        brows = gr.Slider(0, 3, zero.brows, step=0.05, label="Brows")
        pose = gr.Slider(0, 3, zero.pose, step=0.05, label="Moves of the head")
        smooth = gr.Slider(0, 1, zero.smooth, step=0.05, label="Quieten, over seconds")
    with gr.Accordion("Head and eyes", open=False, elem_id="desk-head"):
        held = gr.Radio(list(editing.HELD), value=zero.held, label="The head", elem_id="desk-held")
        at = gr.Number(zero.at, label="... the moment, in seconds", minimum=0)
        look = gr.Slider(0, 1, zero.look, step=0.05, label="Eyes stay on the camera", elem_id="desk-look")
    with gr.Accordion("Blend with another", open=False, elem_id="desk-blend"):
        other = gr.File(
            label="A motion file, or Live Link Face CSV", file_types=list(MOTION), type="filepath", height=120
        )
        share = gr.Slider(0, 1, zero.share, step=0.05, label="How much of it is the other's")
    with gr.Accordion("Keyframes", open=False, elem_id="desk-keyframes"):
        keys = gr.Code(
            zero.keys, language="json", show_label=False, lines=4, max_lines=14, elem_id="desk-keys", buttons=[]
        )
        note_down = gr.Button("Write down what it does, to change it", size="sm", elem_id="desk-write")
    back = gr.Button("Undo all edits", size="sm", elem_id="desk-undo")
    controls = [
        start, end, speed, rate, loop, repeat, mirror, smooth, strength, mouth, eyes, brows, pose, held, at, look,
        other, share, keys,
    ]  # fmt: skip
    return controls, note_down, back


def _ways() -> list[Any]:
    with gr.Row():
        play = gr.Button("Play it", interactive=False, elem_id="desk-play", min_width=110)
        perform = gr.Button("Give it to any portrait", variant="primary", interactive=False, elem_id="desk-perform",
                            min_width=180)  # fmt: skip
    with gr.Row():
        file = gr.DownloadButton("Motion file", interactive=False, elem_id="desk-file", min_width=110)
        csv = gr.DownloadButton("Live Link Face CSV", interactive=False, elem_id="desk-csv", min_width=110)
    return [play, perform, file, csv]


def _away(file: str | None = None, csv: str | None = None) -> list[Any]:
    """For `Held.ways`: nothing goes away where there is nothing."""
    there = file is not None
    return [
        gr.update(interactive=there), gr.update(interactive=there), gr.update(value=file, interactive=there),
        gr.update(value=csv, interactive=there),
    ]  # fmt: skip


# --- wired --------------------------------------------------------------------------------------------------------


def _takes(held: Held, take: Any, studio: Giving, house: House, token: Any) -> None:
    """A performance comes in: from a file, or from the studio."""

    def come(file: str | None, word: str) -> Iterator[list[Any]]:
        room = house.room(word)
        if not file:
            yield ["", ""]
            return
        room.stop.clear()
        try:
            for heard in editing.taken(Path(file), room):
                if isinstance(heard, Progress):
                    yield [words.progress(heard), gr.skip()]
                else:
                    yield [words.motion(about(heard[0]), "As it was"), str(heard[0])]
        except (Exception, KeyboardInterrupt) as error:
            yield [desk.refused(error, room), ""]

    def studios(*performance: Any) -> Any:
        file = desk.Performance(*performance).file
        return gr.skip() if file is None else str(file)

    held.given.change(
        come, [held.given, token], [held.told_given, held.source], trigger_mode="always_last", concurrency_limit=4,
        **QUIET,
    )  # fmt: skip
    take.click(studios, studio.performance, [held.given], **QUIET)


def _edits(held: Held, note_down: Any, back: Any, house: House, token: Any) -> None:
    """Every change is carried out and shown."""
    shown = [held.strip, held.caption, held.told, held.result, *held.ways]

    def edit(source: str, who: str | None, word: str, *controls: Any) -> list[Any]:
        room = house.room(word)
        if not source or not who:
            return [gr.update(visible=False), HINT, "", "", *_away()]
        try:
            result, found = editing.changed(Path(source), editing.Cut(*controls), room)
            picture, csv = editing.strip(Path(source), result, Path(who)), editing.livelink(result)
        except Exception as error:
            return [gr.skip(), gr.skip(), desk.refused(error, room), "", *_away()]
        now = words.motion(found, "As it is now")
        return [gr.update(value=picture, visible=True), CAPTION, now, str(result), *_away(str(result), str(csv))]

    def write_down(source: str, word: str) -> list[Any]:
        room = house.room(word)
        try:
            return [editing.written_down(Path(source), room) if source else "", gr.skip()]
        except Exception as error:
            return [gr.skip(), desk.refused(error, room)]

    gr.on(
        [each.change for each in (held.source, held.who, *held.cut)], edit, [held.source, held.who, token, *held.cut],
        shown, trigger_mode="always_last", concurrency_limit=4, **QUIET,
    )  # fmt: skip
    note_down.click(write_down, [held.source, token], [held.cut[-1], held.told], **QUIET)
    zero = editing.Cut()
    back.click(lambda: [getattr(zero, each.name) for each in fields(zero)], [], held.cut, queue=False, **QUIET)


def _goes(held: Held, studio: Giving, tabs: Any, house: House, turns: Turns, token: Any) -> None:
    """The result is played, or goes to the studio."""

    def play(result: str, who: str | None, word: str) -> Iterator[list[Any]]:
        room = house.room(word)
        if not result or not who:
            return
        room.stop.clear()
        try:
            for heard in carried_out(editing.played(Path(result), Path(who), room), room, turns):
                if isinstance(heard, Progress):
                    yield [words.progress(heard), gr.skip()]
                else:
                    yield [words.done(heard), gr.update(value=str(heard.film), visible=True)]
        except (Exception, KeyboardInterrupt) as error:
            yield [desk.refused(error, room), gr.skip()]

    def perform(result: str) -> list[Any]:
        if not result:
            return [gr.skip()] * 4
        return [result, desk.MOTION, gr.update(selected=desk.MOTION), gr.update(selected="studio")]

    playing, performing = held.ways[:2]
    playing.click(play, [held.result, held.who, token], [held.told, held.player], concurrency_limit=4, **QUIET)
    performing.click(perform, [held.result], [studio.motion, studio.kind, studio.tabs, tabs], **QUIET)
