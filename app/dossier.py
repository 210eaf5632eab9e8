"""One expert over everybody: what it serves, what the lists are with and without it, and whom."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import components
import facet_charts
import facet_tables
import pickers
import state
from fame.checkpoint import Checkpoint
from fame.presentation import sentences
from fame.presentation.names import expert_name
from fame.presentation.palette import head_colour
from fame.survey import Facets

_TOLD = 3  # values in the sentence; all are in the chart below it


def choose(found: Facets, names: Sequence[str]) -> tuple[int, int] | None:
    """Lets one of the experts be chosen; which as (head, expert).

    Args:
        names: ``[H]`` what the heads are called.
    """
    called = {
        (use.head, use.expert): expert_name(use.expert, use.named_after, head=names[use.head])
        for use in found.experts
    }
    return pickers.expert_picker(called, "bar")


def draw(opened: Checkpoint, found: Facets, pair: tuple[int, int]) -> None:
    """The dossier of an expert (head, expert); its people open in Lens."""
    place = pair[0] * opened.model.experts + pair[1]
    use, lists = found.experts[place], found.expert_lists[place]
    people, changed = found.expert_people, lists.people or found.people
    components.words(sentences.dossier_sentence(use, lists, people, changed, most=_TOLD))
    if use.values:
        components.part("What do the histories that it serves have more of?")
        table = facet_tables.lifts_table(use)
        chart = facet_charts.lift_dots(table, head_colour(pair[0]))
        components.chart(chart, "facets-expert", vector=False)
        components.download(table, "Take this chart's figures along (CSV)", "facets-expert")
        components.quiet(
            "How many times its base rate a value has in the histories that the expert serves, "
            "each by its share, with 95 % intervals over people. A circle is the same of the one "
            "item that they clicked next. By chance: the best value of that facet when routers are "
            "permuted between people of like history length."
        )
    only = lists.without is None
    components.part(f"What are the lists with it alone{'' if only else ', and without it'}?")
    table = facet_tables.changed_table(lists)
    st.table(table, border="horizontal", hide_index=True, alt="What the expert changes")
    components.quiet(
        f"Over {changed:,} people, who are all read again, with 95 % intervals. "
        + (
            "Its head has no other expert."
            if only
            else "Alone, the head's other experts have nothing; without it, they have its share."
        )
    )
    components.part("Whose histories does it read most?")
    can_open = pickers.people_of(opened) is not None
    served = pickers.people_served(opened, pair)
    if served and not can_open:
        components.quiet(
            f"Data set {opened.data.name} is not on this machine, so nobody can be opened: open "
            "Lens to fetch it."
        )
    with st.container(horizontal=True):
        for user, label in served:
            if st.button(label, key=f"served-{user}", disabled=not can_open):
                state.put("part", "experts")
                state.turn_to(user)
                st.switch_page("views/lens.py")
