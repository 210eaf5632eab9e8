"""How facets form from epoch to epoch: drawn for a finished run, and live while one trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

import components
import facet_charts
import facet_tables
import state
from fame.facets.forming import Formed, read_forming
from fame.presentation import facet_sentences as sentences
from fame.presentation.names import UNNAMED

MOST_FACETS = 4  # drawn beside each other


def live(rows: Iterable[Mapping[str, Any]]) -> None:
    """While a run trains, from its rows of ``metrics.jsonl``; nothing where they keep no record."""
    try:
        formed = read_forming(rows)
    except ValueError:  # written by another version: what it trains is shown all the same
        return
    if formed:
        heads = len(next(iter(formed.values())).gate)
        components.section("How do facets form?", "Head (facet)", "Epoch")
        draw(formed, UNNAMED.heads(heads))


def draw(formed: Mapping[int, Formed], names: Sequence[str], *, best_epoch: int = 0) -> None:
    """One of lists, nearest items, gate and experts over the epochs.

    Args:
        formed: By epoch, at least one.
        names: ``[H]``.
        best_epoch: The one that was kept, to be marked; 0 for none.
    """
    last = formed[max(formed)]
    offered = [kind for kind in sentences.FORMING if sentences.formed_by(last, kind)]
    if not offered:
        components.quiet("Without heads and without attributes of the items nothing can form.")
        return
    if state.get("forming") not in offered:
        state.settle("forming", offered[0])
    kind = st.segmented_control(
        "What forms",
        offered,
        format_func=lambda name: sentences.FORMING[name][0],
        required=True,
        key=state.key("forming"),
        label_visibility="collapsed",
    )
    state.keep("forming", kind)
    components.words(sentences.forming_sentence(formed, names, kind))
    table = facet_tables.forming_table(formed, names, kind)
    drawn = facet_tables.forming_drawn(table, MOST_FACETS)
    figure = facet_charts.forming_lines(
        drawn, sentences.FORMING[kind][1], best_epoch=best_epoch, share=kind != "experts"
    )
    components.chart(figure, "facets-forming", vector=False)
    components.download(table, "Take this chart's figures along (CSV)", "facets-forming")
    of = {
        "lists": f"Lists of {last.listed:,} people and what they clicked next, for validation",
        "tables": f"Ten nearest of {last.items:,} items, drawn by strata of popularity",
    }.get(kind, f"Over {last.people:,} people")
    chance = ""
    if kind in ("lists", "tables"):
        chance = "; dotted, the same with values permuted among items of like popularity"
    left = table["facet"].nunique() - drawn["facet"].nunique()
    rest = f" {left} more facets are in the table that you can take along." if left else ""
    kept = " The upright line is the epoch that was kept." if best_epoch else ""
    components.quiet(f"{of}{chance}. The sample is the same in every epoch.{kept}{rest}")
