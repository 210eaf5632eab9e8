"""Because of which clicks? What leaving each past item out does, list by list."""

from __future__ import annotations

import hashlib

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import charts
import components
import resources
import state
import tables
from fame.lens.influence import (
    Influence,
    because,
    item_influence_table,
    list_influence_table,
)
from fame.presentation import sentences
from fame.presentation.text import count
from lens_parts import scene as change
from lens_parts.scene import Scene

_FEW = 12  # past items that are shown before somebody asks for all
_MOST = 100


def clicks(scene: Scene) -> None:
    right = components.section("Because of which clicks?", "Influence", "Intervention", "Click")
    if not state.presenting():
        _whole_history(scene, right)
    found = resources.influence(scene.opened, scene.history, scene.k, scene.desk)
    if not len(found.items):
        components.quiet(
            "The history holds one item only; without it there would be nothing to read."
        )
        return
    matrix, text = st.columns([3, 2], gap="large")
    with text:
        item = _choose(scene, found)
        if item is None:
            components.quiet(
                "Each square shows how many items of a list are replaced when a past item is left "
                f"out and the model runs again; a full square means all {len(found.fused)}."
            )
            table = list_influence_table(found)
            full, unit = float(len(found.fused)), f"of {len(found.fused)} items replaced"
        else:
            components.words(_because(scene, found, item))
            components.quiet(
                "Each square shows what the item's score loses when a past item is left out and "
                "the model runs again: green where that click speaks for it, red where it speaks "
                "against it. The heads add up to the fused column."
            )
            table = item_influence_table(scene.opened.model, found, item)
            full = float(table.drop(columns=["left_out", "clicks"]).abs().max(axis=None))
            unit = "score"
        components.quiet("Click a square to take that item out of the history.")
        rows = _rows(len(table))
        _download(scene, table)
    squares = tables.influence_squares(scene.opened.items, table, rows)
    figure = charts.influence_squares(
        squares, scene.called, scene.trace.heads, full or 1.0, unit, signed=item is not None
    )
    ids = scene.opened.items["item_id"]
    with matrix:
        components.pickable_chart(
            figure,
            "influence",
            lambda chosen: change.leave_out(str(ids.iat[int(chosen) - 1])),
            chosen=(_mark(scene),),
        )


def _whole_history(scene: Scene, place: DeltaGenerator) -> None:
    whole = place.popover(
        f"All {count(len(scene.trace.history), 'click')}", key="whole-history", on_change="rerun"
    )
    if whole.open:
        with whole:
            table = tables.history_table(scene.opened.items, scene.trace)
            st.dataframe(table, hide_index=True, key="history", width=760)
            components.download(table, "History as CSV", "history")


def _mark(scene: Scene) -> str:
    """Changes with the history, so that a square that was clicked is not clicked for ever."""
    return hashlib.sha256(scene.history.tobytes()).hexdigest()[:12]


def _choose(scene: Scene, found: Influence) -> int | None:
    """The item asked about, or ``None`` for the list as a whole."""
    items, index = scene.opened.items, resources.item_index(scene.opened)
    offered = [*found.fused.tolist()]
    for extra in (scene.person.held_out, index.get(state.get("item") or "")):
        if extra is not None and extra not in offered:
            offered.append(extra)
    ids = {str(items["item_id"].iat[item - 1]): item for item in offered}
    wanted = state.get("of")
    if wanted not in (*ids, ""):
        if wanted in index:
            ids[wanted] = index[wanted]
        else:
            state.notice(f"The catalogue of {scene.opened.name!r} has no item {wanted!r}.")
            state.settle("of", "")

    def label(item_id: str) -> str:
        if not item_id:
            return "The list as a whole"
        item = ids[item_id]
        mark = "◎ " if item == scene.person.held_out else ""
        return mark + tables.item_title(items, item)

    of = st.selectbox("What for?", ["", *ids], format_func=label, key=state.key("of"))
    state.keep("of", of)
    return ids.get(of)


def _because(scene: Scene, found: Influence, item: int) -> str:
    table = because(scene.opened.model, found, pd.Index([item]).to_numpy())
    named = [
        (tables.item_title(scene.opened.items, row.cause), row.effect) for row in table.itertuples()
    ]
    return sentences.because_sentence(tables.item_title(scene.opened.items, item), named)


def _rows(count: int) -> int:
    if count <= _FEW:
        return count
    most = min(count, _MOST)
    everything = st.toggle(
        f"All {count:,} items that the model reads"
        if most == count
        else f"The {most} that do most, of {count:,}",
        key="all-clicks",
        help=f"Otherwise the {_FEW} that do most.",
    )
    return most if everything else _FEW


def _download(scene: Scene, table: pd.DataFrame) -> None:
    named = tables.describe(scene.opened.items, table["left_out"].to_numpy())[["Item", "Title"]]
    numbers = table.drop(columns="left_out").reset_index(drop=True)
    inner = {name: name.capitalize() for name in ("clicks", "fused", "score")}
    heads = tables.head_columns(table)
    called = scene.called.columns(len(heads), [*named, *inner.values()])
    numbers = numbers.rename(columns=inner | dict(zip(heads, called, strict=True)))
    components.download(pd.concat([named, numbers], axis=1), "Matrix as CSV", "influence")
