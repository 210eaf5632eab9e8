"""Lens: why does this person get this list?"""

import pandas as pd
import streamlit as st

import cards
import charts
import components
import pickers
import resources
import state
import tables
import words
from cards import Line
from fame.checkpoint import Checkpoint
from fame.lens.trace import SequenceTrace
from palette import NEUTRAL, head_colour, head_name
from pickers import Person

QUESTION = "Why does this person get this list?"
LEDE = (
    "The model reads what somebody clicked and ranks everything else, with several heads that each "
    "see the items in their own way: what each of them said, and how much it counted."
)
OWN = ("scores", "mix")  # what this page keeps in its address, beside the person
MOST_COLUMNS = 5  # lists beside one another
FUSED = "Fused list"


def main() -> None:
    state.begin("lens", (*state.PERSON_NAMES, *OWN))
    place = components.page_head(QUESTION, LEDE)
    opened = pickers.checkpoint_picker()
    person = pickers.person_picker(opened)
    k = pickers.list_length()
    components.glossary()
    components.tell(place)
    pickers.own_history_editor(opened, person)
    if not len(person.history):
        components.quiet("Add an item to see what the model makes of it.")
    else:
        trace = resources.trace(opened, person.history)
        _story(opened, person, trace, k)
    state.publish((*state.person_names(), *OWN))


def _story(opened: Checkpoint, person: Person, trace: SequenceTrace, k: int) -> None:
    raw = state.get("scores") == "raw"
    centred = tables.fused_list(opened.items, trace, k, person.held_out, raw=False)
    fused = tables.fused_list(opened.items, trace, k, person.held_out, raw=True) if raw else centred
    lists = tables.head_lists(opened.items, trace, k, person.held_out)
    summary = st.container()
    _history(opened, person, trace)
    said = [words.gate_sentence(trace.gate)]
    if trace.experts:
        _gate(trace)
        _lists(trace, centred, lists)
    _ledger(opened, trace, fused, raw)
    if trace.experts:
        _path(opened, trace)
        _router(trace)
        said.append(words.overlap_sentence(lists, len(fused)))
    else:
        components.section("What is missing here?")
        components.quiet(
            "SASRec ranks with one query, so there are no heads to compare, no gate that mixes "
            "them and no router; choose a FAME checkpoint in the sidebar to see those."
        )
    if person.held_out is not None:
        said.append(_held_out(opened, person.held_out, trace))
    with summary:
        components.words(" ".join(said))


def _history(opened: Checkpoint, person: Person, trace: SequenceTrace) -> None:
    right = components.section("What does the model know of them?", "Click", "Held-out item")
    cards.history_strip(opened.items, trace.history, trace.seen_from, person.held_out)
    read = len(trace.history) - trace.seen_from
    if trace.seen_from:
        components.quiet(
            f"The model reads the last {read:,} of {len(trace.history):,} clicks; older ones are "
            "too far back for it, though it never recommends them again."
        )
    whole = right.popover(
        f"All {words.count(len(trace.history), 'click')}", key="whole-history", on_change="rerun"
    )
    if whole.open:
        with whole:
            _history_table(opened, trace)


def _history_table(opened: Checkpoint, trace: SequenceTrace) -> None:
    table = tables.history_table(opened.items, trace)
    st.dataframe(table, hide_index=True, key="history", width=760)
    components.download(table, "History as CSV", "history")


def _ledger(opened: Checkpoint, trace: SequenceTrace, fused: pd.DataFrame, raw: bool) -> None:
    question = "What did each head put into the recommendations?"
    terms = ("Fused list", "Ledger", "Centred", "Raw", "Head (facet)")
    if trace.heads == 1:
        question, terms = "What is recommended?", ("Centred", "Raw")
    right = components.section(question, *terms)
    choice = right.segmented_control(
        "Scores",
        ["centred", "raw"],
        format_func=str.capitalize,
        required=True,
        key=state.key("scores"),
        label_visibility="collapsed",
    )
    state.keep("scores", choice)
    if raw:
        components.quiet(
            "Raw bars mean nothing by themselves: the model could add the same amount to every "
            "item without changing any list. Only differences between items count."
        )
    components.chart(charts.ledger_bars(fused, raw=raw), "ledger")
    how = (
        "Bars to the right speak for an item, bars to the left against it; the diamond is their "
        "sum, the score that ranks it. ◎ marks the held-out item."
        if trace.heads > 1
        else "The bar is the score that ranks the item. ◎ marks the held-out item."
    )
    components.quiet(how)
    numbers = st.expander("The same as numbers", key="ledger-numbers", on_change="rerun")
    if numbers.open:
        with numbers:
            _ledger_table(opened, fused)


def _ledger_table(opened: Checkpoint, fused: pd.DataFrame) -> None:
    table = tables.ledger_for_download(opened.items, fused)
    numbers = {
        name: st.column_config.NumberColumn(format="%.4f")
        for name in table.columns
        if name == "Score" or name.startswith("Head ")
    }
    st.dataframe(table, hide_index=True, column_config=numbers, key="ledger-table")
    components.download(table, "Ledger as CSV", "ledger")


def _gate(trace: SequenceTrace) -> None:
    components.section("How much does each head count?", "Gate", "Head (facet)")
    cards.gate_bar(trace.gate)


def _path(opened: Checkpoint, trace: SequenceTrace) -> None:
    right = components.section("How did the mix move as they clicked?", "Gate", "Router")
    heads = range(trace.heads)
    labels = {"gate": "Gate"} | {f"head_{h}": f"Experts of {head_name(h)}" for h in heads}
    if state.get("mix") not in labels:
        state.settle("mix", "gate")
    chosen = right.segmented_control(
        "Mix of",
        list(labels),
        format_func=labels.__getitem__,
        required=True,
        key=state.key("mix"),
        label_visibility="collapsed",
    )
    state.keep("mix", chosen)
    head = None if chosen == "gate" else int(chosen.removeprefix("head_"))
    path = tables.path_table(opened.items, trace, head)
    if head is None:
        names, colours = [head_name(h) for h in heads], [head_colour(h) for h in heads]
    else:
        names = [f"Expert {expert + 1}" for expert in range(trace.experts)]
        colours = charts.shades(head_colour(head), trace.experts)
    components.chart(charts.share_path(path, names, colours), "path")


def _lists(trace: SequenceTrace, fused: pd.DataFrame, lists: pd.DataFrame) -> None:
    """The fused list and, beside it, each head's own: text, which is there before any chart."""
    terms = ("Fused list", "Head (facet)", "Centred")
    components.section("What is recommended, and what by each head alone?", *terms)
    components.quiet(
        "A tag such as #3 gives the item's rank in the fused list; the number on the right is the "
        "score above the average item."
    )
    columns = [(FUSED, NEUTRAL, "what the person gets", _lines(fused.assign(fused_rank=pd.NA)))]
    columns += [
        (
            head_name(head),
            head_colour(head),
            f"gate share {words.percent(share)}",
            _lines(lists[lists["head"] == head]),
        )
        for head, share in enumerate(trace.gate)
    ]
    for first in range(0, len(columns), MOST_COLUMNS):
        row = columns[first : first + MOST_COLUMNS]
        for place, column in zip(st.columns(min(len(columns), MOST_COLUMNS)), row, strict=False):
            with place:
                cards.ranked_list(*column)


def _lines(rows: pd.DataFrame) -> list[Line]:
    return [
        Line(
            rank=row.rank,
            title=row.title,
            score=f"{row.score:.2f}",
            tag="" if pd.isna(row.fused_rank) else f"#{row.fused_rank}",
            hint="" if pd.isna(row.fused_rank) else f"Rank {row.fused_rank} of the fused list",
            held_out=row.held_out,
        )
        for row in rows.itertuples()
    ]


def _router(trace: SequenceTrace) -> None:
    components.section("Which experts read the history?", "Expert", "Router")
    squares, text = st.columns([3, 2], vertical_alignment="center")
    with squares:
        components.chart(charts.router_squares(tables.router_table(trace)), "router")
    with text:
        components.quiet(
            "Every row is a head and adds up to 100 %. The filled part of a square is the share of "
            "that expert in its head, for this history; a full square would be 100 %. What an "
            "expert does to the list cannot be read off its share."
        )


def _held_out(opened: Checkpoint, item: int, trace: SequenceTrace) -> str:
    fused, by_head, candidates = tables.held_out_ranks(trace, item)
    title = tables.item_title(opened.items, item)
    components.section("Would they have found what they really chose?", "Held-out item")
    components.quiet(f"◎ {title}: its rank among everything that could be recommended.")
    ranks = [cards.rank_card(FUSED, NEUTRAL, fused, candidates)]
    if trace.experts:
        ranks += [
            cards.rank_card(head_name(head), head_colour(head), rank, candidates)
            for head, rank in enumerate(by_head)
        ]
    cards.rank_cards(ranks)
    return words.held_out_sentence(title, fused, by_head, candidates)


main()
