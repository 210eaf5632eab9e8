"""Atlas: what does each head see in an item?"""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import cards
import charts
import components
import naming
import pickers
import resources
import state
import tables
from badge import badge
from cards import Line
from fame.checkpoint import Checkpoint
from fame.errors import CheckpointError
from fame.facets.spaces import space_names
from fame.lens.trace import fused_table
from fame.presentation import sentences
from fame.presentation.names import HeadNames
from fame.presentation.palette import space_colour
from fame.presentation.text import count, duration
from fame.projection import NEIGHBOURS, Projection
from pickers import Person
from text import for_markdown

QUESTION = "What does each head see in an item?"
LEDE = (
    "Every point is an item, drawn near the items that a head treats alike. Look at one head, or "
    "at two side by side: where they differ, they see the catalogue differently."
)
OWN = ("space", "beside", "colour", "value", "item", "overlay", "present")
NEAREST = 10
MOST_COLUMNS = 5  # lists beside one another


def main() -> None:
    state.begin("atlas", (*state.PERSON_NAMES, *OWN))
    place = components.page_head(QUESTION, LEDE)
    opened = pickers.checkpoint_picker()
    person = pickers.person_picker(opened)
    badge(opened)
    with st.sidebar:
        k = pickers.list_length()
        naming.names_of_heads(opened)
    projection = _projection(opened)
    if projection is None:
        components.tell(place)
        _offer_projection(opened)
    else:
        first, second, third, fourth = st.columns(4)
        spaces = _choose_spaces(opened, first, second)
        colour, value = _choose_colour(opened.items, third, fourth)
        picked = _choose_item(opened, person)
        components.tell(place)
        _maps(opened, person, projection, spaces, colour, value, picked, k)
        _agreement(opened)
        if picked is not None:
            _neighbours(opened, picked)
    state.publish((*state.person_names(), *OWN))


def _projection(opened: Checkpoint) -> Projection | None:
    try:
        return resources.projection(opened)
    except CheckpointError as error:
        st.error(for_markdown(str(error)))
        return None


def _offer_projection(opened: Checkpoint) -> None:
    job = resources.job(resources.project_job(opened.path))
    if job is not None and not job.done:
        _follow_projection(resources.project_job(opened.path))
        return
    st.info(
        "There is no picture of these items yet. Laying them out takes from some seconds to a few "
        "minutes; the work goes on when you leave the page."
    )
    if job is not None and job.error:
        st.error(for_markdown(job.error))
    st.button(
        "Lay out the items",
        icon=":material/scatter_plot:",
        type="primary",
        on_click=resources.start_projection,
        args=(opened.path,),
        help=for_markdown(f"The same as: python -m fame project {opened.path}"),
    )


@st.fragment(run_every=1)
def _follow_projection(name: str) -> None:
    """Shows the work under way; the page is drawn anew when it has ended."""
    job = resources.job(name)
    if job is None or job.done:
        st.rerun()
    else:
        so_far = f"{job.message}, {duration(job.seconds)} so far"
        st.progress(0.0, text=for_markdown(so_far))


def _choose_spaces(opened: Checkpoint, left: DeltaGenerator, right: DeltaGenerator) -> list[str]:
    names, called = space_names(opened.model), resources.called(opened)
    for choice, fallback in (("space", "all"), ("beside", "")):
        wanted = state.get(choice)
        if wanted not in (*names, ""):
            state.notice(f"{opened.name!r} has no map {wanted!r}; it is left aside.")
            state.settle(choice, fallback)
    space = left.selectbox(
        "Map of",
        names,
        format_func=called.space,
        key=state.key("space"),
        help="The whole embedding is what all heads share; a head sees its own projection of it. "
        "What lies close together is alike; how far apart two islands stand means nothing.",
    )
    beside = right.selectbox(
        "Beside it",
        ["", *names],
        format_func=lambda name: called.space(name) if name else "Nothing",
        key=state.key("beside"),
    )
    state.keep("space", space)
    state.keep("beside", beside)
    return [name for name in (space, beside) if name]


def _choose_colour(
    items: pd.DataFrame, left: DeltaGenerator, right: DeltaGenerator
) -> tuple[str, str]:
    """The column to colour by, and the one value of it to show against all others, or ``""``."""
    columns = tables.colourings(items)
    if state.get("colour") not in columns:
        if wanted := state.get("colour"):
            state.notice(f"These items have no column {wanted!r} to colour by.")
        state.settle("colour", next(iter(columns)))
    colour = left.selectbox(
        "Colour by", list(columns), format_func=columns.__getitem__, key=state.key("colour")
    )
    state.keep("colour", colour)
    if tables.is_number(items, colour):
        state.settle("value", "")
        return colour, ""
    values = tables.facet_values(items, colour)
    if state.get("value") not in (*values, ""):
        state.notice(f"No item has {columns[colour]} {state.get('value')!r}; all are coloured.")
        state.settle("value", "")
    value = right.selectbox(
        "Show one value",
        ["", *values],
        format_func=lambda name: name or "All values",
        key=state.key("value"),
        filter_mode="contains",
        help="An item with several values has the colour of the first one listed.",
    )
    return colour, state.keep("value", value)


def _choose_item(opened: Checkpoint, person: Person) -> int | None:
    """The item looked up; without a choice the person's latest click."""
    latest = int(person.history[-1]) if len(person.history) else None
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    hint = f"{tables.item_title(opened.items, latest)} (the latest click)" if latest else "A title"
    item = pickers.item_search(opened, left, "Look up an item", hint)
    on = right.toggle(
        "Show the history and its list",
        value=state.get("overlay") == "on",
        help="Draws the chosen person's clicks and recommendations over the map.",
    )
    state.settle("overlay", "on" if on else "off")
    return resources.item_index(opened)[item] if item else latest


def _marks(opened: Checkpoint, person: Person, k: int) -> dict[int, str]:
    """What to draw over the map of the person's history and list, by item."""
    if not len(person.history) or state.get("overlay") == "off":
        return {}
    listed = fused_table(resources.trace(opened, person.history), k)["item"]
    marks = dict.fromkeys(person.history.tolist(), "History")
    marks[int(person.history[-1])] = "Latest click"
    marks |= dict.fromkeys(listed.tolist(), "Recommended")
    if person.held_out is not None:
        marks[person.held_out] = "Held out"
    return marks


def _maps(
    opened: Checkpoint,
    person: Person,
    projection: Projection,
    spaces: list[str],
    colour: str,
    value: str,
    picked: int | None,
    k: int,
) -> None:
    base = resources.map_base(opened)
    if tables.is_number(opened.items, colour):
        base = base.assign(value=tables.number_values(opened.items, colour))
    else:
        base = base.assign(label=tables.value_labels(opened.items, colour, value).to_numpy())
    marks, called = _marks(opened, person, k), resources.called(opened)
    popular = colour == tables.POPULARITY
    chosen: list[int] = []
    for space, column in zip(spaces, st.columns(len(spaces)), strict=True):
        own = dict(marks)
        if picked is not None and state.get("item"):
            near = tables.neighbour_table(
                opened.items, {space: resources.vectors(opened, space)}, picked, NEAREST
            )
            own |= dict.fromkeys(near["item"].tolist(), "Its nearest")
            own[picked] = "Looked up"
        points = base.assign(
            x=projection.points[f"{space}_x"].to_numpy(),
            y=projection.points[f"{space}_y"].to_numpy(),
            mark=[own.get(item, "") for item in base["item"]],
        )
        title = "Clicks in training" if popular else tables.colourings(opened.items)[colour]
        figure = charts.item_map(points, title, logarithmic=popular)
        with column:
            cards.head_line(called.space(space), space_colour(space), hint=_why(called, space))
            chosen += components.selectable_chart(figure, f"map-{space}")
            components.quiet(
                sentences.trust_sentence(
                    projection.preservation[space],
                    min(NEIGHBOURS, len(opened.items) - 1),
                    called.space(space),
                )
            )
    components.quiet(
        "The axes of such a picture have no unit and distances between far groups mean nothing. "
        "Choose box or lasso in the bar over a map and draw around points to list them."
    )
    if chosen:
        table = tables.describe(opened.items, np.unique(chosen))
        components.section(f"Which {count(len(table), 'item')} did you draw around?")
        st.dataframe(table, hide_index=True, key="selection")
        components.download(table, "Selection as CSV", "selection")


def _agreement(opened: Checkpoint) -> None:
    found = resources.agreement(opened)
    if not found:
        return
    components.section("Do the heads see different attributes?", "Embedding", "Head (facet)")
    called = resources.called(opened)
    components.quiet(sentences.agreement_sentence(found, called))
    components.chart(charts.agreement_dots(tables.agreement_table(found), called), "agreement")


def _neighbours(opened: Checkpoint, item: int) -> None:
    title = tables.item_title(opened.items, item)
    components.section("What is near it, in truth?", "Embedding", "Head (facet)")
    components.quiet(
        f"The {NEAREST} items most alike to “{title}”, from the model's own vectors and not from "
        "the picture; the number is their cosine, 1 for the same direction. ×2 marks what two "
        "heads share; no mark in a head's list means that it is there in no other head's."
    )
    spaces, called = space_names(opened.model), resources.called(opened)
    found = tables.neighbour_table(
        opened.items, {space: resources.vectors(opened, space) for space in spaces}, item, NEAREST
    )
    for first in range(0, len(spaces), MOST_COLUMNS):
        shown = spaces[first : first + MOST_COLUMNS]
        for space, column in zip(shown, st.columns(len(shown)), strict=True):
            with column:
                lines = [_line(row) for row in found[found["space"] == space].itertuples()]
                name, why = called.space(space), _why(called, space)
                cards.ranked_list(name, space_colour(space), "", lines, why)


def _why(called: HeadNames, space: str) -> str:
    """On what the name of a space rests; the whole embedding needs no reason."""
    return "" if space == "all" else called.why(int(space.removeprefix("head_")))


def _line(row: Any) -> Line:
    shared = row.found_in > 1
    return Line(
        rank=row.rank,
        title=row.title,
        score=f"{row.cosine:.2f}",
        tag=f"×{row.found_in}" if shared else "",
        hint=f"{row.found_in} heads have it among their nearest",
    )


main()
