"""Where would something stand that nobody has clicked? It is put together from values."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import cards
import components
import resources
import state
from fame.data.registry import thing_of
from fame.lens.trace import NewItem, around
from fame.lens.trace import new_item as placed_item
from fame.presentation import sentences
from fame.presentation.names import facet_name
from fame.presentation.palette import NEUTRAL, head_colour
from fame.presentation.text import points
from fame.presentation.values import ValueName, head_lines
from lens_parts.answer import FUSED, value_row
from lens_parts.scene import Scene
from text import for_markdown

_A_ROW = 3  # heads to pick from beside one another
_REACH = 3  # items shown on either side


def new_item(scene: Scene) -> None:
    thing = thing_of(scene.opened.data.name)
    question = f"Where would a new {thing} stand in this list?"
    components.section(question, "Fused list", "Ledger", "Centred")
    components.quiet(
        f"A new {thing}, that nobody has clicked, rests on its values alone: it has no clicks, and "
        "no vector of its own. A year brings its decade, and a level of a category those above it."
    )
    _pickers(scene)
    if scene.new is None:
        components.quiet(f"Pick at least one value to see where such a new {thing} would stand.")
        return
    _placed(scene, thing, placed_item(scene.trace, scene.new))


def _pickers(scene: Scene) -> None:
    """A field with search for each head that knows values, those of most items first."""
    names = scene.head_names
    shares = scene.opened.model_config.facet_shares
    offered = resources.values_by_use(scene.opened)
    named = [head for head, known in enumerate(offered) if known]
    columns = st.columns(_A_ROW)
    for place, head in enumerate(named):
        if place and not place % _A_ROW:
            columns = st.columns(_A_ROW)
        known = offered[head]
        facets = " and ".join(dict.fromkeys(map(facet_name, shares[head])))
        key = f"new-{head}"
        st.session_state[key] = [name for name in state.get("new") if name in set(known)]
        columns[place % _A_ROW].multiselect(
            for_markdown(facets if facets == names[head] else f"{facets} · {names[head]}"),
            known,
            format_func=lambda name: str(ValueName.of(name)),
            placeholder="Type to search …",
            key=key,
            on_change=_pick,
            args=(key, known),
        )


def _pick(key: str, known: Sequence[str]) -> None:
    """Takes over what one head's field holds; what other heads alone know stays."""
    others = [name for name in state.get("new") if name not in set(known)]
    picked = [*others, *st.session_state[key]]
    if len(picked) > state.MAX_VALUES:
        state.notice(f"A new item may have at most {state.MAX_VALUES} values.")
    state.put("new", tuple(picked[: state.MAX_VALUES]))


def _placed(scene: Scene, thing: str, placed: NewItem) -> None:
    trace, names = scene.trace, scene.head_names
    among = 1 + int(trace.candidates.sum())  # it is one of them now
    values = [str(ValueName.of(name)) for name in state.get("new")]
    components.words(
        sentences.new_item_sentence(thing, values, placed.rank, among, placed.score, scene.k)
    )
    ranks = [cards.rank_card(FUSED, NEUTRAL, placed.rank, among)]
    if trace.experts:
        ranks += [
            cards.rank_card(name, head_colour(head), rank, among)
            for head, (name, rank) in enumerate(zip(names, placed.rank_by_head, strict=True))
        ]
    cards.rank_cards(ranks)
    components.part("What is it worth by head and value, and what stands just above and below it?")
    above, below = around(trace, placed.rank, _REACH)
    rows = [value_row(scene, placed.rank - len(above) + n, item) for n, item in enumerate(above)]
    rows.append(
        cards.ValueRow(
            rank=f"{placed.rank:,}",
            title=f"A new {thing}: {', '.join(values)}",
            score=points(placed.score),
            heads=head_lines(placed.by_value, scene.opened.value_names, new=True),
            new=True,
        )
    )
    rows += [value_row(scene, placed.rank + n, item) for n, item in enumerate(below, 1)]
    cards.value_rows(rows, names)
    components.quiet(
        "To have nothing of its own counts too: it is set against what the average "
        f"{thing} has for itself."
    )
