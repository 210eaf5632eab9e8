"""Why is an item in the list, or not? The account of any item of the catalogue."""

from __future__ import annotations

import streamlit as st

import charts
import components
import resources
import tables
from fame.lens.account import item_account
from fame.presentation import sentences
from fame.presentation.values import BY_VALUE
from lens_parts import answer
from lens_parts.scene import Scene
from pickers import item_search


def item(scene: Scene) -> None:
    components.section("Why is an item in the list, or not?", "Ledger", "Centred", "Fused list")
    hint = "Type part of a title …" if scene.person.held_out is None else "◎ The held-out item"
    place = st.columns([2, 3])[0]
    chosen = item_search(scene.opened, place, "Look up any item of the catalogue", hint)
    index = resources.item_index(scene.opened)[chosen] if chosen else scene.person.held_out
    if index is None:
        components.quiet("Choose one to see its rank and score in every head, and why it lost.")
        return
    _account(scene, index)


def _account(scene: Scene, index: int) -> None:
    items = scene.opened.items
    account = item_account(scene.trace, index, scene.k)
    rival = "" if account.rival is None else tables.item_title(items, account.rival)
    title = tables.item_title(items, index)
    components.words(sentences.account_sentence(account, title, rival, scene.called))
    if tables.unseen(items, index):
        components.quiet(
            "Nobody clicked this item in training, so the model has learnt nothing of it: its "
            "place is what the random start left."
            if scene.trace.values is None
            else "Nobody clicked this item in training: what the model knows of it are its values, "
            "and its own part is what the random start left."
        )
    if account.rival is None:
        return
    pair = tables.account_pair(items, account)
    components.chart(charts.ledger_bars(pair, scene.called), "account")
    components.quiet(
        "Both scores, head by head. The difference between the two bars of a head is its lead: "
        "the leads add up to the distance between the items."
    )
    if scene.trace.values is not None:
        ranks = {index: account.rank, account.rival: account.rival_rank}
        sides = [(ranks[side], side) for side in pair["item"].tolist()]
        components.quiet(BY_VALUE)
        answer.by_value(scene, sides)
    table = tables.account_table(account, scene.called)
    shares = {"Gate share": st.column_config.NumberColumn(format="%.0f %%")}
    numbers = {
        name: st.column_config.NumberColumn(format="%.2f")
        for name in table.columns
        if table[name].dtype.kind == "f" and name != "Gate share"
    }
    shown = table.assign(**{"Gate share": 100 * table["Gate share"]})
    st.dataframe(shown, hide_index=True, column_config=shares | numbers, key="account-table")
    with st.container(horizontal=True):
        components.download(table, "Account as CSV", "account")
        if scene.trace.values is not None:
            parts = answer.value_table(scene, sides)
            components.download(parts, "Account by value as CSV", "account-by-value")
