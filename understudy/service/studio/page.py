"""The page: its tabs, its looks, and how one tab hands something to another. It knows nothing of models."""

from __future__ import annotations

from importlib import resources
from typing import Any, Final

import gradio as gr

from understudy.service.studio import desk, page_film, page_motion
from understudy.service.studio.order import Turns
from understudy.service.studio.room import House

FONTS: Final = ["ui-sans-serif", "system-ui", "sans-serif"]  # the system's own: nothing is fetched
MONO: Final = ["ui-monospace", "monospace"]
ROOM: Final = "understudy-room"  # in the browser's storage
SECRET: Final = "kept in the browser"  # what it hides is a random word
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
    examples = desk.examples(house)
    with gr.Blocks(title="Understudy", analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        token = gr.BrowserState("", storage_key=ROOM, secret=SECRET)
        gr.HTML(
            "<header class='us-head'><h1>Understudy</h1><p>A picture performs what a film or a voice does.</p></header>"
        )
        with gr.Tabs() as tabs:
            with gr.Tab("Studio", id="studio", render_children=True):  # so that the desk can give it something
                studio = page_film.tab(token, examples, house, turns, blocks)
            with gr.Tab("Motion desk", id="motion"):
                page_motion.tab(token, examples, house, turns, studio, tabs)
            with gr.Tab("Live", id="live"):
                gr.HTML(LIVE)
        gr.HTML(
            "<footer class='us-small'>Everything stays on this machine. Films say in their metadata that a machine "
            "made them. Let people perform only with their consent.</footer>"
        )
    return blocks
