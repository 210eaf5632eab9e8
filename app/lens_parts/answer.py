"""The answer closer: each head's list, what every item hangs on, and the account of the scores."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import cards
import charts
import components
import resources
import state
import tables
from cards import Line
from fame.lens.trace import fused_scores, value_ledger
from fame.presentation import sentences
from fame.presentation.palette import NEUTRAL, head_colour
from fame.presentation.text import percent, points, told_apart
from fame.presentation.values import BY_VALUE, head_lines
from lens_parts.scene import Scene

MOST_COLUMNS = 5  # lists beside one another
FUSED = "Fused list"


# --- the lists ----------------------------------------------------------------------------------


def lists(scene: Scene) -> None:
    """The fused list with the clicks that each item hangs on, and beside it each head's own."""
    heads = scene.trace.heads if scene.trace.experts else 0
    question = "What would each head alone recommend?" if heads else "What does each item hang on?"
    components.section(question, *("Fused list", "Head (facet)", "Centred")[: 3 if heads else 1])
    tags = "A tag such as #3 gives the item's rank in the fused list; the" if heads else "The"
    components.quiet(f"{tags} number on the right is the score above the average item.")
    widths = [1.35] + [1.0] * min(heads, MOST_COLUMNS - 1)
    columns = st.columns(widths if heads else [1.0, 1.0])
    with columns[0]:
        place = st.empty()
    _fused(scene, place, None, "…")
    for head, share in enumerate(scene.trace.gate[:heads]):
        if head and not head % (MOST_COLUMNS - 1):
            columns = st.columns(widths)
        with columns[1 + head % (MOST_COLUMNS - 1)]:
            remark = f"gate share {percent(share)}"
            lines = _lines(scene, scene.by_head[scene.by_head["head"] == head])
            name, why = scene.called.head(head), scene.called.why(head)
            cards.ranked_list(name, head_colour(head), remark, lines, why)
    _with_causes(scene, place)


def _with_causes(scene: Scene, place: DeltaGenerator) -> None:
    """Draws the fused list again, with the clicks that each item hangs on below it."""
    table = resources.causes(scene.opened, scene.history, scene.k, scene.desk)
    clicks = table["cause"].unique().tolist()
    titles = told_apart([tables.item_title(scene.opened.items, item) for item in clicks], 30)
    named = table["cause"].map(dict(zip(clicks, titles, strict=True)))
    causes = table.assign(title=named).groupby("item")["title"].agg(list).to_dict()
    _fused(scene, place, causes)


def _fused(
    scene: Scene, place: DeltaGenerator, causes: dict[int, list[str]] | None, unknown: str = ""
) -> None:
    """The fused list, with its causes or what stands for them as long as they are not known."""
    notes = {
        item: unknown if causes is None else sentences.because_line(causes.get(item, []))
        for item in scene.fused["item"].tolist()
    }
    with place:
        cards.ranked_list(
            FUSED if scene.trace.heads > 1 else "The list",
            NEUTRAL,
            "after the changes" if scene.touched else "what the person gets",
            _lines(scene, scene.fused.assign(fused_rank=pd.NA), notes),
        )


def _lines(scene: Scene, rows: pd.DataFrame, notes: dict[int, str] | None = None) -> list[Line]:
    return [line(scene, row, (notes or {}).get(row.item, "")) for row in tables.rows_of(rows)]


def line(scene: Scene, row, note: str = "") -> Line:
    """A row ``rank, item, title, score, fused_rank, held_out`` as a line of a list."""
    tag, hint = "", ""
    if not pd.isna(row.fused_rank):
        tag, hint = f"#{row.fused_rank}", f"Rank {row.fused_rank} of the fused list"
    elif tables.unseen(scene.opened.items, row.item):
        tag, hint = "unseen", "Nobody clicked it in training, so the model learnt nothing of it"
        if scene.trace.values is not None:
            hint = "Nobody clicked it in training, so the model knows its values alone"
    return Line(
        rank=row.rank,
        title=row.title,
        score=f"{row.score:.2f}",
        tag=tag,
        hint=hint,
        held_out=row.held_out,
        note=note,
    )


# --- the ledger ---------------------------------------------------------------------------------


_AGAINST = {  # what a score is measured against: what the menu says, and the axis
    "centred": ("The average item", "0 is the average item"),
    "next": ("The next of the list", "0 is the item below it"),
    "middle": ("The middle of the list", "0 is the item in the middle of the list"),
    "raw": ("Nothing: raw scores", "raw"),
}


def ledger(scene: Scene) -> None:
    trace = scene.trace
    question = "What did each head put into the recommendations?"
    terms = ("Fused list", "Ledger", "Centred", "Raw", "Head (facet)")
    if trace.heads == 1:
        question, terms = "What do they score?", ("Centred", "Raw")
    right = components.section(question, *terms)
    if not state.presenting():
        choice = right.selectbox(
            "Measured against",
            list(_AGAINST),
            format_func=lambda name: _AGAINST[name][0],
            key=state.key("scores"),
            help="What zero stands for. Against the next item, the bars say why an item stands "
            "above the one below it.",
        )
        state.keep("scores", choice)
    against = state.get("scores")
    raw = against == "raw"
    if raw:
        components.quiet(
            "Raw bars mean nothing by themselves: the model could add the same amount to every "
            "item without changing any list. Only differences between items count."
        )
    fused = scene.fused
    if raw:
        fused = tables.fused_list(
            scene.opened.items, trace, scene.k, scene.person.held_out, raw=True
        )
    shown = fused
    if against == "next":
        more = tables.fused_list(
            scene.opened.items, trace, scene.k + 1, scene.person.held_out, raw=False
        )
        shown = tables.against_next(more)
    elif against == "middle":
        shown = tables.against_middle(fused)
    components.words(sentences.ledger_sentence(shown, against, scene.called))
    components.chart(charts.ledger_bars(shown, scene.called, zero=_AGAINST[against][1]), "ledger")
    how = (
        "Bars to the right speak for an item, bars to the left against it; the diamond is their "
        "sum. ◎ marks the held-out item."
        if trace.heads > 1
        else "The bar is the score that ranks the item. ◎ marks the held-out item."
    )
    components.quiet(how)
    if trace.values is not None and against in ("centred", "raw"):
        components.quiet(BY_VALUE)
        by_value(scene, _ranked(fused), raw=raw)
    if state.presenting():
        return
    numbers = st.expander("The same as numbers", key="ledger-numbers", on_change="rerun")
    if numbers.open:
        with numbers:
            _ledger_table(scene, fused, raw=raw)


def by_value(scene: Scene, ranked: Sequence[tuple[int | None, int]], *, raw: bool = False) -> None:
    """Items (rank, item) with their scores by head and value."""
    rows = [value_row(scene, rank, item, raw=raw) for rank, item in ranked]
    cards.value_rows(rows, scene.head_names)


def value_row(scene: Scene, rank: int | None, item: int, *, raw: bool = False) -> cards.ValueRow:
    """An item's score by head and value."""
    return cards.ValueRow(
        rank="–" if rank is None else f"{rank:,}",
        title=tables.item_title(scene.opened.items, item),
        score=points(float(fused_scores(scene.trace, raw=raw)[item])),
        heads=head_lines(value_ledger(scene.trace, item, raw=raw), scene.opened.value_names),
        held_out=item == scene.person.held_out,
    )


def _ledger_table(scene: Scene, fused: pd.DataFrame, *, raw: bool) -> None:
    table = tables.ledger_for_download(scene.opened.items, fused, scene.called)
    numbers = {
        name: st.column_config.NumberColumn(format="%.4f")
        for name in table.columns[table.columns.get_loc("Score") : -1]
    }
    numbers |= {"Points": st.column_config.NumberColumn(format="%.4f")}
    st.dataframe(table, hide_index=True, column_config=numbers, key="ledger-table")
    components.download(table, "Ledger as CSV", "ledger")
    if scene.trace.values is not None:
        parts = value_table(scene, _ranked(fused), raw=raw)
        st.dataframe(parts, hide_index=True, column_config=numbers, key="value-table")
        components.download(parts, "Ledger by value as CSV", "ledger-by-value")


def _ranked(fused: pd.DataFrame) -> list[tuple[int, int]]:
    return list(zip(fused["rank"].tolist(), fused["item"].tolist(), strict=True))


def value_table(
    scene: Scene, ranked: Sequence[tuple[int | None, int]], *, raw: bool = False
) -> pd.DataFrame:
    """Items (rank, item) by head and value, for a download."""
    opened = scene.opened
    return tables.value_table(
        opened.items, scene.trace, ranked, opened.value_names, scene.head_names, raw=raw
    )
