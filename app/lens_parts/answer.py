"""The answer itself: history, lists, gate, ledger, and what they really chose."""

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
from fame.errors import CheckpointError
from fame.lens.compare import new_without_head
from fame.lens.influence import because
from fame.lens.trace import fused_scores, value_ledger
from fame.presentation import sentences
from fame.presentation.palette import NEUTRAL, head_colour
from fame.presentation.text import count, percent, points, shortened
from fame.presentation.values import BY_VALUE, head_lines
from lens_parts import scene as change
from lens_parts.scene import Scene
from text import for_markdown

MOST_COLUMNS = 5  # lists beside one another
FUSED = "Fused list"


def summary(scene: Scene) -> str:
    """What the numbers of the page say."""
    trace, said = scene.trace, []
    if changed := sentences.desk_sentence(scene.desk, len(scene.without), scene.called):
        said.append(f"Changed: {changed}.")
    listed = new_without_head(trace, scene.k)
    length = min(scene.k, int(trace.candidates.sum()))
    said.append(sentences.history_sentence(len(trace.history), len(trace.read)))
    said.append(sentences.without_head_sentence(trace.gate, listed, length, scene.called))
    if scene.person.held_out is not None:
        rank, by_head, candidates = tables.held_out_ranks(trace, scene.person.held_out)
        title = tables.item_title(scene.opened.items, scene.person.held_out)
        said.append(sentences.held_out_sentence(title, rank, by_head, candidates, scene.called))
    try:
        tested = resources.faithfulness(scene.opened)
    except CheckpointError:  # told where the test is shown
        tested = None
    if tested is not None and (measured := tested.measures.get("list")):
        said.append(sentences.tested_sentence(measured))
    return " ".join(said)


# --- the history --------------------------------------------------------------------------------


def history(scene: Scene) -> None:
    right = components.section("What does the model know of them?", "Click", "Held-out item")
    trace = scene.trace
    cards.history_strip(scene.opened.items, trace.history, trace.seen_from, scene.person.held_out)
    if trace.seen_from:
        known = ", though it never recommends them again" if trace.repeats == "exclude" else ""
        components.quiet(
            f"The model reads the last {len(trace.read):,} of {len(trace.history):,} clicks; older "
            f"ones are too far back for it{known}."
        )
    _left_out(scene)
    if state.presenting():
        return
    whole = right.popover(
        f"All {count(len(trace.history), 'click')}", key="whole-history", on_change="rerun"
    )
    if whole.open:
        with whole:
            table = tables.history_table(scene.opened.items, trace)
            st.dataframe(table, hide_index=True, key="history", width=760)
            components.download(table, "History as CSV", "history")


def _left_out(scene: Scene) -> None:
    """What is left out, each to be put back by a click, and the way back to the real history."""
    if not scene.edited:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        ids = scene.opened.items["item_id"]
        if scene.without:
            st.html('<div class="lens-quiet">Left out:</div>', width="content")
        for item in scene.without:
            title = shortened(tables.item_title(scene.opened.items, item), 30)
            item_id = str(ids.iat[item - 1])
            st.button(
                for_markdown(title),
                icon=":material/undo:",
                key=f"put-back-{item_id}",
                help="Put it back into the history",
                on_click=change.put_back,
                args=(item_id,),
            )
        st.button(
            "Back to the real history",
            icon=":material/history:",
            key="real-history",
            on_click=change.real_history,
            type="primary",
        )


# --- the lists ----------------------------------------------------------------------------------


def gate(scene: Scene) -> None:
    components.section("How much does each head count?", "Gate", "Head (facet)")
    cards.gate_bar(scene.trace.gate, scene.called)


def lists(scene: Scene, *, by_head: bool = True, causes: bool = True) -> DeltaGenerator:
    """The fused list and, beside it, each head's own: text, which is there before any chart.

    Args:
        causes: Whether room is kept for the clicks that each item hangs on.

    Returns:
        The place of the fused list, for :func:`with_causes`.
    """
    heads = scene.trace.heads if by_head and scene.trace.experts else 0
    question = "What is recommended" + (", and what by each head alone?" if heads else "?")
    components.section(question, *("Fused list", "Head (facet)", "Centred")[: 3 if heads else 1])
    if not state.presenting():
        tags = "A tag such as #3 gives the item's rank in the fused list; the" if heads else "The"
        components.quiet(f"{tags} number on the right is the score above the average item.")
    widths = [1.35] + [1.0] * min(heads, MOST_COLUMNS - 1)
    columns = st.columns(widths if heads else [1.0, 1.0])
    with columns[0]:
        place = st.empty()
    _fused(scene, place, None, "…" if causes else "")
    if not heads:
        return place
    table = tables.head_lists(scene.opened.items, scene.trace, scene.k, scene.person.held_out)
    for head, share in enumerate(scene.trace.gate):
        if head and not head % (MOST_COLUMNS - 1):
            columns = st.columns(widths)
        with columns[1 + head % (MOST_COLUMNS - 1)]:
            remark = f"gate share {percent(share)}"
            lines = _lines(scene, table[table["head"] == head])
            name, why = scene.called.head(head), scene.called.why(head)
            cards.ranked_list(name, head_colour(head), remark, lines, why)
    return place


def with_causes(scene: Scene, place: DeltaGenerator) -> None:
    """Draws the fused list again, with the clicks that each item hangs on below it."""
    found = resources.influence(scene.opened, scene.history, scene.k, scene.desk)
    table = because(scene.opened.model, found, found.fused)
    titles = [shortened(tables.item_title(scene.opened.items, item), 25) for item in table["cause"]]
    causes = table.assign(title=titles).groupby("item")["title"].agg(list).to_dict()
    _fused(scene, place, {int(item): causes.get(item, []) for item in found.fused})


def _fused(
    scene: Scene, place: DeltaGenerator, causes: dict[int, list[str]] | None, unknown: str = ""
) -> None:
    """The fused list, with its causes or what stands for them as long as they are not known."""
    fused = tables.fused_list(
        scene.opened.items, scene.trace, scene.k, scene.person.held_out, raw=False
    )
    notes = {
        item: unknown if causes is None else sentences.because_line(causes.get(item, []))
        for item in fused["item"]
    }
    with place:
        cards.ranked_list(
            FUSED if scene.trace.heads > 1 else "The list",
            NEUTRAL,
            "after the changes" if scene.touched else "what the person gets",
            _lines(scene, fused.assign(fused_rank=pd.NA), notes),
        )


def _lines(scene: Scene, rows: pd.DataFrame, notes: dict[int, str] | None = None) -> list[Line]:
    return [line(scene, row, (notes or {}).get(row.item, "")) for row in rows.itertuples()]


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


def ledger(scene: Scene) -> None:
    trace = scene.trace
    question = "What did each head put into the recommendations?"
    terms = ("Fused list", "Ledger", "Centred", "Raw", "Head (facet)")
    if trace.heads == 1:
        question, terms = "What do they score?", ("Centred", "Raw")
    right = components.section(question, *terms)
    if not state.presenting():
        choice = right.segmented_control(
            "Scores",
            ["centred", "raw"],
            format_func=str.capitalize,
            required=True,
            key=state.key("scores"),
            label_visibility="collapsed",
        )
        state.keep("scores", choice)
    raw = state.get("scores") == "raw"
    if raw:
        components.quiet(
            "Raw bars mean nothing by themselves: the model could add the same amount to every "
            "item without changing any list. Only differences between items count."
        )
    fused = tables.fused_list(scene.opened.items, trace, scene.k, scene.person.held_out, raw=raw)
    components.chart(charts.ledger_bars(fused, scene.called, raw=raw), "ledger")
    how = (
        "Bars to the right speak for an item, bars to the left against it; the diamond is their "
        "sum, the score that ranks it. ◎ marks the held-out item."
        if trace.heads > 1
        else "The bar is the score that ranks the item. ◎ marks the held-out item."
    )
    components.quiet(how)
    if trace.values is not None:
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


# --- what they really chose ---------------------------------------------------------------------


def held_out(scene: Scene) -> None:
    item = scene.person.held_out
    if item is None:
        return
    fused, by_head, candidates = tables.held_out_ranks(scene.trace, item)
    title = tables.item_title(scene.opened.items, item)
    components.section("Would they have found what they really chose?", "Held-out item")
    where = "its rank among everything that could be recommended"
    if fused is None:
        where = "it is in the history, and what is in the history is in no list here"
    components.quiet(f"◎ {title}: {where}.")
    ranks = [cards.rank_card(FUSED, NEUTRAL, fused, candidates)]
    if scene.trace.experts:
        ranks += [
            cards.rank_card(scene.called.head(head), head_colour(head), rank, candidates)
            for head, rank in enumerate(by_head)
        ]
    cards.rank_cards(ranks)
