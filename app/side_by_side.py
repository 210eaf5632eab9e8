"""Two checkpoints of one catalogue beside each other: heads matched, figures, and one person."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

import cards
import components
import facet_charts
import facet_tables
import pickers
import resources
import state
import tables
from fame.checkpoint import Checkpoint
from fame.comparison import Compared
from fame.data import Dataset
from fame.errors import DataError, FameError
from fame.facets.matching import Match
from fame.lens.trace import SequenceTrace
from fame.presentation import facet_sentences as sentences
from fame.presentation.palette import ACCENT, NEUTRAL
from fame.presentation.text import percent
from fame.survey import Facets
from text import for_markdown

PEOPLE = 50  # offered, those first on whom the two differ most
LISTED = 10  # items of a list
IN_A_ROW = 2  # pairs of lists
MOST_PAIRS = 7  # of heads, whose lists are shown
MOST_ROWS = 16  # of a chart
_FIGURES = {"lists": ".1%", "tables": ".1%", "gate": ".1%", "overlap": ".1%"}


def draw(opened: Checkpoint, found: Facets, names: Sequence[str]) -> None:
    """The whole section.

    Args:
        found: What is stored of the checkpoint.
        names: ``[H]`` what its heads are called.
    """
    other = _choose_other(opened)
    if other is None:
        return
    data = pickers.people_of(opened)
    if data is None:
        components.quiet(
            f"Two checkpoints are compared by their lists for the same people, and data set "
            f"{opened.data.name} is not on this machine: open Lens to fetch it."
        )
        return
    try:
        compared = resources.compared(opened, other, data)
    except FameError as error:
        st.error(for_markdown(str(error)))
        return
    others = resources.called(other).heads(other.model.heads if other.model.experts else 0)
    _figures(opened, other, found, compared, (names, others))
    _person(opened, other, data, compared, (names, others))


def _choose_other(opened: Checkpoint) -> Checkpoint | None:
    """The checkpoint to compare with; where there is none, a sentence says why."""
    fit, unfit = resources.comparable(opened)
    wanted = state.get("against")
    if wanted and wanted not in fit:
        reason = unfit.get(wanted, "it is this one" if wanted == opened.name else "it is not there")
        state.notice(f"{wanted!r} cannot be compared with {opened.name!r}: {reason}.")
        state.settle("against", "")
    why = "; ".join(f"{name}: {reason}" for name, reason in unfit.items())
    if not fit:
        components.quiet(
            f"There is no other checkpoint of the catalogue of {opened.data.name}. "
            + (f"Not to be compared with {opened.name}: {why}." if why else "Train a second one.")
        )
        return None
    if not state.get("against"):
        state.settle("against", fit[0])
    name = st.selectbox(
        f"{opened.name} beside",
        fit,
        key=state.key("against"),
        help="Another checkpoint of the same catalogue: another seed, another model, or an earlier "
        "state of this one.",
    )
    state.keep("against", name)
    if why and not state.presenting():
        components.quiet(f"Not to be compared with {opened.name}: {why}.")
    return resources.checkpoint(name)


def _figures(
    opened: Checkpoint,
    other: Checkpoint,
    found: Facets,
    compared: Compared,
    names: tuple[Sequence[str], Sequence[str]],
) -> None:
    """One chart: what matched lists have in common, or the same figure of both."""
    by = st.segmented_control(
        "Compared by",
        list(sentences.COMPARED),
        format_func=lambda name: sentences.COMPARED[name][0],
        required=True,
        key=state.key("compared"),
    )
    state.keep("compared", by)
    axis, matching = sentences.COMPARED[by][1], compared.matching
    if by == "matches":
        components.words(sentences.matching_sentence(matching, *names, other.name))
        labels = f"{opened.name} and {other.name}", "By chance"
        table = facet_tables.matches_table(matching, *names, labels)
        _take_along(facet_charts.beside_dots(_first_rows(table), axis, ".1%"), table)
        components.quiet(
            "Heads are matched so that all pairs together have the most items in common; a pair is "
            f"called by its name in {opened.name}, then in {other.name}. By chance: the second "
            "list is somebody else's. Bars are 95 % intervals over people."
        )
        return
    theirs = _stored(other)
    if theirs is None:
        return
    rows = facet_tables.beside_rows(matching, (found, theirs), names, by)
    if not rows:
        components.quiet("One of the two has no such figures to compare.")
        return
    number = _FIGURES.get(by, ".3f")
    components.words(sentences.beside_sentence(rows, number, intervals=by != "causes"))
    table = facet_tables.beside_table(rows, (opened.name, other.name))
    _take_along(facet_charts.beside_dots(_first_rows(table), axis, number), table)
    components.quiet(
        f"As stored with each checkpoint. A row is a head of {opened.name} and the head of "
        f"{other.name} that is matched with it by their lists."
    )


def _first_rows(table: pd.DataFrame) -> pd.DataFrame:
    """What of a table is drawn: the rows in which one of the two has the largest figures."""
    largest = table.groupby("label", sort=False)["mean"].max().nlargest(MOST_ROWS).index
    if table["label"].nunique() > MOST_ROWS:
        components.quiet(
            f"Of {table['label'].nunique()} rows the {MOST_ROWS} with the largest figures are "
            "drawn; all are in the table that you can take along."
        )
    return table[table["label"].isin(largest)].reset_index(drop=True)


def _take_along(figure: go.Figure, table: pd.DataFrame) -> None:
    components.chart(figure, "facets-compare", vector=False)
    components.download(table, "Take this chart's figures along (CSV)", "facets-compare")


def _stored(other: Checkpoint) -> Facets | None:
    """What is stored of the other one; where nothing can be used, a sentence says why."""
    try:
        found = resources.facets(other)
    except FameError as error:
        st.error(for_markdown(str(error)))
        return None
    if found is None:
        command = components.command_about(other.path, "facets")
        st.info(
            f"Nobody has looked yet which heads of {for_markdown(other.name)} are facets. This "
            f"does: {for_markdown(command)}"
        )
    return found


def _person(
    opened: Checkpoint,
    other: Checkpoint,
    data: Dataset,
    compared: Compared,
    names: tuple[Sequence[str], Sequence[str]],
) -> None:
    """One person through both: the fused lists, then those of matched heads."""
    people = data.interactions
    offered = compared.user_ids[:PEOPLE]
    user = state.get("user")
    if user:
        try:
            people.split_user(people.user_index(user))
        except DataError as error:
            state.notice(str(error))
            state.settle("user", "")
    if not state.get("user"):
        state.settle("user", offered[0])
    if state.get("user") not in offered:
        offered = [state.get("user"), *offered]
    row = st.container(horizontal=True, vertical_alignment="bottom")
    user = row.selectbox(
        "One person through both",
        offered,
        key=state.key("user"),
        help="Those first on whom the two differ most; the address takes any other.",
    )
    state.keep("user", user)
    for checkpoint in (opened, other):
        if row.button(
            for_markdown(f"In Lens: {checkpoint.name}"),
            key=f"lens-{checkpoint.name}",
            icon=":material/center_focus_strong:",
        ):
            address = {"checkpoint": checkpoint.name, "user": user}
            st.switch_page("views/lens.py", query_params=address)
    history, _ = people.split_user(people.user_index(user))
    traces = [resources.trace(one, history) for one in (opened, other)]
    matching = compared.matching
    shown = [("Fused list", matching.fused)]
    alike = sorted(matching.matches, key=lambda match: -match.overlap.mean)[:MOST_PAIRS]
    shown += [(sentences.match_label(match, *names), match) for match in alike]
    if len(alike) < len(matching.matches):
        components.quiet(
            f"Of {len(matching.matches)} pairs of heads the {MOST_PAIRS} most alike over people."
        )
    for begin in range(0, len(shown), IN_A_ROW):
        columns = st.columns(IN_A_ROW, gap="medium")
        for column, (label, match) in zip(columns, shown[begin : begin + IN_A_ROW], strict=False):
            with column:
                _lists(label, match, (opened, other), traces)


def _lists(
    label: str,
    match: Match,
    both: tuple[Checkpoint, Checkpoint],
    traces: Sequence[SequenceTrace],
) -> None:
    """The first items of two lists; what is in both is marked."""
    listed = [
        tables.first_items(trace, head, LISTED)
        for trace, head in zip(traces, (match.first, match.second), strict=True)
    ]
    common = set(listed[0]) & set(listed[1])
    share = len(common) / max(len(listed[0]), 1)
    st.markdown(f"**{for_markdown(label)}**, {percent(share)} in common")
    columns = zip(st.columns(2, gap="small"), both, listed, (ACCENT, NEUTRAL), strict=True)
    for column, checkpoint, items, colour in columns:
        lines = [
            cards.Line(
                rank,
                tables.item_title(checkpoint.items, item),
                "",
                tag="both" if item in common else "",
                hint="Both lists have it",
            )
            for rank, item in enumerate(items, 1)
        ]
        with column:
            cards.ranked_list(checkpoint.name, colour, "", lines)
