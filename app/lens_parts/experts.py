"""Which experts read the history, and what does one of them do?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

import cards
import charts
import components
import pickers
import resources
import state
import tables
from fame.lens.experts import ExpertAccount
from fame.presentation import sentences
from fame.presentation.names import HeadNames
from fame.presentation.palette import NEUTRAL, head_colour
from fame.presentation.text import percent
from lens_parts.answer import line
from lens_parts.scene import Scene
from text import for_markdown

_SHOWN = 8  # people whom an expert serves


def experts(scene: Scene) -> None:
    components.section("Which experts read the history?", "Expert", "Router", "Intervention")
    chosen = state.get("expert")
    squares, text = st.columns([3, 2], vertical_alignment="center")
    with squares:
        components.pickable_chart(
            charts.router_squares(tables.router_table(scene.trace), scene.called, chosen),
            f"router-{'none' if chosen is None else '-'.join(map(str, chosen))}",
            _pick,
        )
    with text:
        components.quiet(
            "Every row is a head and adds up to 100 %. The filled part of a square is the share of "
            "that expert in its head, for this history; a full square would be 100 %."
        )
        pairs = [
            (head, expert)
            for head in range(scene.trace.heads)
            for expert in range(scene.trace.experts)
        ]
        st.selectbox(
            "Look at one expert",
            pairs,
            index=None,
            format_func=lambda pair: _name(pair, scene.called),
            placeholder="Choose one here, or click its square",
            key=state.key("expert"),
        )
        state.keep("expert", st.session_state[state.key("expert")])
    if state.get("expert") is not None:
        _account(scene, state.get("expert"))


def _pick(data: Any) -> None:
    state.put("expert", (int(data[0]), int(data[1])))


def _name(pair: tuple[int, int], called: HeadNames) -> str:
    return f"{called.head(pair[0])}, expert {pair[1] + 1}"


def _account(scene: Scene, pair: tuple[int, int]) -> None:
    account = resources.expert(scene.opened, scene.history, pair, scene.k, scene.desk)
    colour = head_colour(pair[0])
    components.words(_sentence(account, scene))
    st.markdown(f"**What does {for_markdown(_name(pair, scene.called))} attend to?**")
    attention = tables.attention_table(scene.opened.items, scene.trace, account.attention)
    components.chart(charts.attention_bars(attention, colour), "attention")
    st.markdown("**What would the list be with it alone in its head, and without it?**")
    components.quiet(
        "The model is run again for each list: from an expert to a score the path is not linear, "
        "so these are interventions and no shares of the score. A tag gives the rank in the "
        "list above."
    )
    columns = st.columns(3)
    with columns[0]:
        _list(scene, account.alone, "Alone", colour)
    with columns[1]:
        if account.without is None:
            components.quiet("Its head has no other expert, so there is no list without it.")
        else:
            _list(scene, account.without, "Without", NEUTRAL)
    with columns[2]:
        _served(scene, pair)


def _sentence(account: ExpertAccount, scene: Scene) -> str:
    if not scene.trace.gate[account.head]:
        return (
            f"{scene.called.head(account.head)} is silent on the desk, so nothing that its "
            "experts do reaches the list."
        )
    k = len(account.alone)
    said = (
        f"{_name((account.head, account.expert), scene.called)} has {percent(account.share)} of "
        "its head. "
        f"With it alone there, {account.shared_alone} of the {k} items stay"
    )
    if account.shared_without is None:
        return f"{said}."
    return f"{said}; without it, {account.shared_without}."


def _list(scene: Scene, table: pd.DataFrame, label: str, colour: str) -> None:
    ranks = tables.fused_list(
        scene.opened.items, scene.trace, scene.k, scene.person.held_out, raw=False
    ).set_index("item")["rank"]
    rows = table.assign(
        title=[tables.item_title(scene.opened.items, item) for item in table["item"]],
        fused_rank=table["item"].map(ranks).astype("Int64"),
        held_out=table["item"] == (scene.person.held_out or 0),
    )
    lines = [line(scene, row) for row in rows.itertuples()]
    cards.ranked_list(label, colour, "intervention", lines)


def _served(scene: Scene, pair: tuple[int, int]) -> None:
    """Whom the expert serves most, each one click away."""
    st.markdown("**Whose histories does it read most?**")
    people = pickers.people_found(scene.opened)
    if people is None:
        return
    components.quiet(f"Here are {sentences.most_routed_phrase(people.looked_at)}.")
    can_open = pickers.people_of(scene.opened) is not None
    for row in people.experts[pair[0]][pair[1]][:_SHOWN]:
        st.button(
            for_markdown(f"User {row['user']} · {percent(row['share'])}"),
            key=f"served-{row['user']}",
            on_click=pickers.show_user,
            args=(row["user"],),
            disabled=not can_open,
            width="stretch",
        )
