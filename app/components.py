"""The frame of every page: the guard against tracebacks, headings, sentences, charts, tables."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import state
from cards import PRESENTING, PRESENTING_SIZE, STYLE
from charts import described
from fame.errors import FameError
from fame.presentation.glossary import TERMS, explain
from text import for_html, for_markdown

logger = logging.getLogger(__name__)


@contextmanager
def guard() -> Iterator[None]:
    """Nothing that goes wrong on a page shows a traceback.

    What a person can mend is told in its own sentence; anything else is a fault of ours, told
    plainly, with its traceback in the log.
    """
    try:
        yield
    except FameError as error:
        st.error(for_markdown(str(error)), icon=":material/error:")
    except Exception:
        logger.exception("A page failed")
        st.error(
            "This page could not be drawn, through a fault of the app and none of yours. The "
            "terminal that runs the app has the details in its log; reload the page or choose "
            "something else in the sidebar to go on.",
            icon=":material/error:",
        )


def title_window(*about: str) -> None:
    """Names the browser's window after the page and what it shows."""
    parts = (state.page().capitalize(), *about, "FAME Lens")
    st.set_page_config(page_title=" · ".join(part for part in parts if part))


def page_head(question: str, lede: str = "") -> DeltaGenerator:
    """The page's question and what it shows; gives the place for :func:`tell`."""
    st.html(STYLE + (PRESENTING if state.presenting() else ""))
    title_window()
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.title(question, anchor=False, width="content")
        if state.presenting():
            st.button(
                "Leave presenter’s mode",
                icon=":material/cancel_presentation:",
                key="presenter-off",
                on_click=state.put,
                args=("present", "off"),
                type="tertiary",
                shortcut="Esc",
            )
    if lede:
        st.html(f'<div class="lens-line">{for_html(lede)}</div>')
    return st.container()


def tell(place: DeltaGenerator) -> None:
    """Shows what has to be said before the page itself."""
    for sentence in state.take_notices():
        place.warning(for_markdown(sentence), icon=":material/info:")


def section(question: str, *terms: str) -> DeltaGenerator:
    """A heading with the words it uses explained beside it; gives the place on its right."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.header(question, anchor=False, help=explain(*terms) if terms else None, width="content")
        return st.container(width="content")


def part(question: str) -> None:
    """A heading within a section."""
    st.subheader(question, anchor=False)


def quiet(sentence: str) -> None:
    st.html(f'<div class="lens-quiet">{for_html(sentence)}</div>')


def step(sentence: str) -> None:
    """What is said at a step of the tour."""
    st.html(f'<div class="lens-step">{for_html(sentence)}</div>')


def words(sentence: str) -> None:
    """What the figures of the page say, in words."""
    st.html(f'<div class="lens-words">{for_html(sentence)}</div>')


def command_about(checkpoint: Path, command: str, options: str = "") -> str:
    """A command about a checkpoint, as it is typed where the app was started."""
    path, here = checkpoint.resolve(), Path.cwd()
    short = path.relative_to(here) if path.is_relative_to(here) else path
    return " ".join(["python -m fame", command, shlex.quote(str(short)), options]).rstrip()


def chart(figure: go.Figure, name: str, *, vector: bool = True, alt: str = "") -> None:
    """Draws a figure; the bar over it saves it as SVG, or as PNG where it is drawn by WebGL.

    Args:
        alt: What it shows, for who does not see it; without it, what the figure says of itself.
    """
    st.plotly_chart(
        _in_type_of_page(figure),
        key=name,
        config=chart_config(name, vector=vector),
        alt=alt or described(figure),
    )


def _in_type_of_page(figure: go.Figure) -> go.Figure:
    """The figure with its type as much larger as the page's is."""
    if state.presenting():
        figure.update_layout(font_size=(figure.layout.font.size or 12) * PRESENTING_SIZE)
    return figure


def chart_config(name: str, *, vector: bool = True) -> dict[str, object]:
    image = {"format": "svg"} if vector else {"format": "png", "scale": 2}
    return {"displaylogo": False, "toImageButtonOptions": {**image, "filename": name}}


def pickable_chart(
    figure: go.Figure,
    name: str,
    on_pick: Callable[[Any], None],
    *,
    chosen: Sequence[object] = (),
    vector: bool = True,
    alt: str = "",
) -> None:
    """Draws a figure on whose points one can click; gives the point's ``customdata`` to a callback.

    Points without any, as those of controls, are not to be chosen.

    Args:
        chosen: What of it is chosen. It must change with what a click changes, or the browser
            keeps the point chosen.
    """
    key = "-".join([name, *map(str, chosen)])

    def picked() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points and (data := points[0].get("customdata")) is not None:
            on_pick(data)

    st.plotly_chart(
        _in_type_of_page(figure),
        key=key,
        config=chart_config(name, vector=vector),
        on_select=picked,
        selection_mode="points",
        alt=alt or described(figure),
    )


def download(table: pd.DataFrame, label: str, name: str) -> None:
    if state.presenting():
        return
    st.download_button(
        label,
        table.to_csv(index=False).encode("utf-8-sig"),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"download-{name}",
        on_click="ignore",
    )


def glossary() -> None:
    with st.popover("Words used here", icon=":material/menu_book:", width="stretch"):
        st.markdown(explain(*TERMS))


def presenter_toggle() -> None:
    """Turns the presenter's mode on; off again it is turned by :func:`page_head`."""
    st.button(
        "Presenter’s mode",
        icon=":material/present_to_all:",
        key="presenter",
        on_click=state.put,
        args=("present", "on"),
        width="stretch",
        help="Larger type, fewer controls and no sidebar, for a projector",
    )
