"""Atlas: what does each head see in an item?"""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import cards
import charts
import components
import item_maps
import map_of
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
from fame.presentation import sentences
from fame.presentation.palette import space_colour
from fame.presentation.text import count, duration
from fame.projection import NEIGHBOURS, Projection
from item_maps import Colouring
from pickers import Person
from text import for_markdown

QUESTION = "What does each head see in an item?"
LEDE = (
    "Every point is an item, near the items that a head treats alike: where two maps differ, two "
    "heads see the catalogue differently."
)
OWN = ("space", "beside", "colour", "value", "item", "chosen", "overlay", "present")
NEAREST = 10
MOST_COLUMNS = 5  # lists beside one another
MOST_LINKED = 10  # chosen items that the address holds; more would make it long
MOST_TOLD = 4  # values that chosen items have above the base rate


def main() -> None:
    state.begin("atlas", (*state.PERSON_NAMES, *OWN))
    place = components.page_head(QUESTION, LEDE)
    st.html("<style>[data-testid='stMainBlockContainer'] { max-width: none; }</style>")
    opened = pickers.checkpoint_picker()
    person = pickers.person_picker(opened)
    badge(opened)
    pickers.tell_growth(opened, stored=True)
    with st.sidebar:
        k = pickers.list_length()
        _choose_overlay()
        naming.names_of_heads(opened)
    components.tell(place)
    projection = _projection(opened)
    if projection is None:
        _offer_projection(opened)
        state.publish((*state.person_names(), *OWN))
    else:
        _look(opened, person, projection, k)
        _agreement(opened)


@st.fragment
def _look(opened: Checkpoint, person: Person, projection: Projection, k: int) -> None:
    """The maps and what is looked up on them: drawn anew without the rest of the page."""
    with components.guard():
        place = st.container()
        with st.container(key="atlas-choices"):
            columns = st.columns([3, 3, 3, 3, 5])
            spaces = _choose_spaces(opened, *columns[:2])
            colour, value = _choose_colour(opened.items, *columns[2:4])
            picked = _choose_item(opened, person, columns[4])
        components.tell(place)
        _maps(
            opened, person, projection, spaces, map_of.colouring(opened, colour, value), picked, k
        )
        components.tell(place)
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
        help=for_markdown(f"The same as: {components.command_about(opened.path, 'project')}"),
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
    # A model with heads opens on two of them, since that is where something is to be seen.
    first = tuple(names[1:3]) if len(names) > 2 else ("all", "none")
    for choice, fallback, offered in zip(
        ("space", "beside"), first, (names, (*names, "none")), strict=True
    ):
        wanted = state.get(choice)
        if wanted and wanted not in offered:
            state.notice(f"{opened.name!r} has no map {wanted!r}; it is left aside.")
        if wanted not in offered:
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
        ["none", *names],
        format_func=lambda name: "Nothing" if name == "none" else called.space(name),
        key=state.key("beside"),
    )
    state.keep("space", space)
    state.keep("beside", beside)
    return [name for name in (space, beside) if name != "none"]


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
        format_func=lambda name: name or tables.values_shown(len(values)),
        key=state.key("value"),
        filter_mode="contains",
        help="Type to search. All others are grey then. Without a choice the most frequent values "
        "have colours, and an item with several values has the colour of the first one listed.",
    )
    return colour, state.keep("value", value)


def _choose_item(opened: Checkpoint, person: Person, place: DeltaGenerator) -> int | None:
    """The item looked up; without a choice the person's latest click."""
    latest = int(person.history[-1]) if len(person.history) else None
    hint = f"{tables.item_title(opened.items, latest)} (the latest click)" if latest else "A title"
    item = pickers.item_search(opened, place, "Look up an item", hint)
    return resources.item_index(opened)[item] if item else latest


def _choose_overlay() -> None:
    on = st.sidebar.toggle(
        "Show the history and its list",
        value=state.get("overlay") == "on",
        help="Draws the chosen person's clicks and recommendations over the map.",
    )
    state.settle("overlay", "on" if on else "off")


def _maps(
    opened: Checkpoint,
    person: Person,
    projection: Projection,
    spaces: list[str],
    colouring: Colouring,
    picked: int | None,
    k: int,
) -> None:
    called = resources.called(opened)
    marks = {} if state.get("overlay") == "off" else map_of.marks(opened, person, k)
    maps = []
    for space in spaces:
        own = dict(marks)
        if picked is not None and state.get("item"):
            near = tables.neighbour_table(
                opened.items, {space: resources.vectors(opened, space)}, picked, NEAREST
            )
            own |= dict.fromkeys(near["item"].tolist(), "Its nearest")
            own[picked] = "Looked up"
        maps.append(map_of.space(opened, projection, space, own))
    key = f"maps-{opened.name}-{state.adopted()}"
    # Kept as it was at first, so that the maps are not sent anew with every choice.
    start = st.session_state.setdefault(f"{key}-start", _linked(opened))
    drawn = item_maps.document(resources.map_hover(opened), colouring, maps, start)
    chosen = item_maps.draw(drawn, key, lambda: _look_up(opened, key))
    ids = opened.items["item_id"].to_numpy()[np.unique(chosen) - 1] if chosen else ()
    state.settle("chosen", tuple(map(str, ids)) if len(ids) <= MOST_LINKED else ())
    _chosen(opened, chosen)
    trust = [
        sentences.trust_sentence(
            projection.preservation[space],
            min(NEIGHBOURS, len(opened.items) - 1),
            len(opened.items),
            called.space(space),
        )
        for space in spaces
    ]
    components.quiet(
        f"{' '.join(trust)} The axes of such a picture have no unit and distances between far "
        "groups mean nothing. A name on the map is of a value that at least half of the items "
        "around it have."
    )


def _linked(opened: Checkpoint) -> list[int]:
    """The items that the address says are chosen; ids that the catalogue does not have are told."""
    index, ids = resources.item_index(opened), state.get("chosen")
    for item in ids:
        if item not in index:
            state.notice(f"The catalogue of {opened.name!r} has no item {item!r}; it is left out.")
    return [index[item] for item in ids if item in index]


def _look_up(opened: Checkpoint, key: str) -> None:
    """Takes over the item whose point was clicked."""
    item = item_maps.looked_up(key)
    if item is not None:
        state.settle("item", str(opened.items["item_id"].iat[item - 1]))


def _chosen(opened: Checkpoint, chosen: list[int]) -> None:
    """What the items that were drawn around have in common, and which they are."""
    if not chosen:
        return
    rows = np.unique(chosen)
    found = resources.base_rates(opened).above(rows - 1, MOST_TOLD)
    components.words(sentences.above_sentence(found, len(rows)))
    with st.expander(f"The {count(len(rows), 'item')} that you drew around"):
        table = tables.describe(opened.items, rows)
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
                name, why = called.space(space), map_of.why(called, space)
                cards.ranked_list(name, space_colour(space), "", lines, why)


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
