"""Facets: did the heads become facets, and the experts preferences?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import cards
import components
import dossier
import facet_charts
import facet_tables
import forming
import pickers
import resources
import side_by_side
import state
from badge import badge
from fame.checkpoint import METRICS, Checkpoint
from fame.errors import CheckpointError
from fame.facets.forming import FORMING, read_forming
from fame.facets.lists import SASREC
from fame.facets.redundancy import Redundancy
from fame.presentation import facet_sentences as sentences
from fame.presentation.names import HeadNames, facet_label, grounds_told
from fame.presentation.palette import head_colour
from fame.presentation.sentences import goals_sentence
from fame.survey import Facets, expert_goals_of
from text import for_markdown

QUESTION = "Did the heads become facets, and the experts preferences?"
LEDE = (
    "A head that is a facet recommends by one attribute of the items, and by no other. Whether one "
    "does is a question of evidence: here is each piece of it, beside what it would be by chance."
)
OWN = (
    *("question", "shared", "pair", "spread", "measure", "cohort", "favourite", "figure"),
    *("expert", "forming", "against", "compared", "user", "present"),
)
MOST_HEADS = 6  # drawn in a facet: the best of more
MOST_WITHOUT = 3  # heads without a name of which it is said at once why
MOST_ROWS = 12  # heads drawn where each has a row or a line of its own


@dataclass(frozen=True)
class Seen:
    """What the page shows.

    Attributes:
        opened: The checkpoint.
        found: What is stored of it.
        names: ``[H]`` what its heads are called.
    """

    opened: Checkpoint
    found: Facets
    names: list[str]


def main() -> None:
    state.begin("facets", ("checkpoint", *OWN))
    place = components.page_head(QUESTION, "" if state.presenting() else LEDE)
    opened = pickers.checkpoint_picker()
    state.of_data(opened.data.name)
    badge(opened)
    pickers.tell_growth(opened, stored=True)
    found = _stored(opened)
    if found is None:
        components.tell(place)
    else:
        seen = Seen(opened, found, resources.called(opened).heads(len(found.heads)))
        shown = _choose_question(seen)
        components.tell(place)
        for name in shown:
            heading, terms, draw = QUESTIONS[name]
            components.section(heading, *terms)
            draw(seen)
    components.tell(place)
    state.publish(("checkpoint", *OWN))


def _stored(opened: Checkpoint) -> Facets | None:
    """What is stored; where it cannot be shown, a sentence says why and how to make it."""
    try:
        found = resources.facets(opened)
    except CheckpointError as error:
        st.error(for_markdown(str(error)))
        return None
    if found is None:
        command = components.command_about(opened.path, "facets")
        st.info(
            "Nobody has looked yet which heads of this checkpoint are facets. This does, in a few "
            f"minutes, where its data set is on this machine: {for_markdown(command)}"
        )
    return found


def _choose_question(seen: Seen) -> list[str]:
    """The questions to show: all of them, or the one that was chosen, as for a slide."""
    offered = [name for name in QUESTIONS if name != "experts" or seen.found.experts]
    if state.get("question") not in ("all", *offered):
        state.notice("Nothing is stored of the experts of this checkpoint; all else is shown.")
        state.settle("question", "all")
    chosen = st.segmented_control(
        "Show",
        ["all", *offered],
        format_func=lambda name: "All" if name == "all" else SHORT[name],
        required=True,
        key=state.key("question"),
        label_visibility="collapsed",
    )
    state.keep("question", chosen)
    return offered if chosen == "all" else [chosen]


def _missing(seen: Seen, what: str) -> None:
    """A part that an older version did not measure."""
    command = components.command_about(seen.opened.path, "facets")
    st.info(
        f"{what} is not in the stored file, which an older version made. Make it again with: "
        f"{for_markdown(command)}"
    )


def _take_along(figure: go.Figure, table: pd.DataFrame, name: str) -> None:
    """A chart with its table: PNG from the bar over the chart, CSV from the button below."""
    components.chart(figure, name, vector=False)
    components.download(table, "Take this chart's figures along (CSV)", name)


def _drawn_heads(table: pd.DataFrame, figure: str) -> pd.DataFrame:
    """What of a table by head is drawn: of many heads those with the largest figure."""
    drawn = facet_tables.of_first_heads(table, figure, MOST_ROWS)
    heads = table.loc[table["head"] >= 0, "head"].nunique()
    if heads > MOST_ROWS:
        components.quiet(
            f"Of {heads} heads those {MOST_ROWS} are drawn that have the largest figures; all are "
            "in the table that you can take along."
        )
    return drawn


# --- names, lists, tables, probes ----------------------------------------------------------------


def names(seen: Seen) -> None:
    components.words(sentences.names_sentence(seen.found.heads, seen.names))
    if not seen.found.lists:
        components.quiet(
            "The catalogue says nothing of the items, so there are no facets to name a head after; "
            "what heads share and what they are used for is measured all the same."
        )
    if any(head.facet for head in seen.found.heads):
        # A plain table: the other kind has buttons that the keyboard stops at and nobody sees.
        table = facet_tables.verdicts(seen.found, seen.names).map(for_markdown)
        table.columns = table.columns.map(for_markdown)
        st.table(table, border="horizontal", hide_index=True, alt="What decided of each head")
    nameless = [head for head in seen.found.heads if not head.name and seen.found.lists]
    for head in nameless[:MOST_WITHOUT]:
        why = grounds_told(head.why, seen.names.__getitem__)
        components.quiet(f"{seen.names[head.head]} has no name by evidence: {why}")
    controls = _controls(seen)
    components.quiet(sentences.rule_sentence(controls))
    if len(seen.found.heads) > 1 and controls and SASREC not in controls:
        told = components.command_about(seen.opened.path, "facets", "--sasrec CHECKPOINT")
        components.quiet(
            "No SASRec of the same data was there to be cut into slices, which a name would have "
            f"to beat too: {told}"
        )
    if not seen.found.heads:
        return
    with st.expander("The numbers that decided, with their intervals"):
        for head in seen.found.heads:
            title = facet_tables.titled(seen.names[head.head], head.head)
            cards.head_line(title, head_colour(head.head))
            lacks = "facet" if head.name else "name"
            kept = "" if head.facet else f"No {lacks}: nothing beats every control. "
            components.quiet(f"{kept}{grounds_told(head.why, seen.names.__getitem__)}")


@dataclass(frozen=True)
class Shown:
    """One kind of evidence: the best head of each facet beside its controls.

    Attributes:
        found: What is stored of it by facet; ``None`` where an older version did not measure it.
        of: What is stored, as estimates by space and by control.
        missing: What to call it where it is not stored.
        empty: What to say where no facet could be measured.
        said: By what, as in "by its list".
        axis: What the figures are.
        noted: What stands below the chart.
    """

    found: Callable[[Facets], Mapping[str, Any] | None]
    of: Callable[[Any], facet_tables.Evidence]
    missing: str
    empty: str
    said: str
    axis: str
    noted: Callable[[Seen], str]


def _controls(seen: Seen) -> set[str]:
    """What lists were held against."""
    return {control for found in seen.found.lists.values() for control in found["controls"]}


def _of_lists(seen: Seen) -> str:
    told = sentences.controls_explained(_controls(seen))
    return f"Over {seen.found.people:,} people. {told}"


def _sampled(seen: Seen, among: int | None) -> str:
    """What stands for a catalogue that is too large to be looked through; nothing where all is."""
    V = len(seen.opened.items)
    if among is None or among >= V:
        return ""
    return f"{among:,} items drawn by strata of popularity out of {V:,}"


def _of_tables(seen: Seen) -> str:
    found = seen.found.tables or {}
    of = next(iter(found.values()))
    sample = _sampled(seen, of.among) or f"all {of.among:,}"
    return (
        f"Up to {max(one.asked for one in found.values()):,} items, drawn by strata of popularity, "
        f"were asked for their nearest among {sample}. A head made of a facet's values agrees with "
        "itself by construction: then the untrained model does too, and only lists can tell."
    )


def _of_probes(seen: Seen) -> str:
    found = seen.found.probes or {}
    probed = "; ".join(
        f"{facet_label(facet)}: {one.values} values over {one.items:,} items"
        for facet, one in found.items()
    )
    left = [facet for facet in seen.found.agreement if facet not in found]
    rest = f" Not probed: {', '.join(map(facet_label, left))}." if left else ""
    return (
        f"Ridge regression, five-fold over items. The control task (Hewitt and Liang, 2019) deals "
        f"the same values anew among items of like popularity. {probed}.{rest}"
    )


EVIDENCE = {
    "lists": Shown(
        found=lambda stored: stored.lists,
        of=facet_tables.of_lists,
        missing="What heads recommend",
        empty="No item that came next has a known attribute, so there is none to share.",
        said="by its list",
        axis="Share of the 20 listed items that share a value with the item that came next",
        noted=_of_lists,
    ),
    "tables": Shown(
        found=lambda stored: stored.tables,
        of=facet_tables.of_tables,
        missing="What lies near an item, beside controls,",
        empty="The catalogue says nothing of the items, so nothing near can agree.",
        said="by what lies near an item",
        axis="Share of an item's ten nearest items that share a value with it",
        noted=_of_tables,
    ),
    "probes": Shown(
        found=lambda stored: stored.probes,
        of=facet_tables.of_probes,
        missing="What linear probes read",
        empty="No facet has two values that enough items have, so nothing is probed.",
        said="by a linear probe",
        axis="Selectivity: accuracy of the probe less that on its control task",
        noted=_of_probes,
    ),
}


def evidence(seen: Seen, name: str) -> None:
    """The section of one kind of evidence, by its name in :data:`EVIDENCE`."""
    shown = EVIDENCE[name]
    found = shown.found(seen.found)
    if found is None:
        return _missing(seen, shown.missing)
    if not found:
        return components.quiet(shown.empty)
    own = shown.of(found)
    table = facet_tables.evidence_table(own, seen.names)
    components.words(sentences.lead_sentence(own, seen.names, shown.said))
    drawn = facet_tables.drawn(table, MOST_HEADS)
    _take_along(facet_charts.evidence_dots(drawn, shown.axis), table, f"facets-{name}")
    if len(seen.names) > MOST_HEADS:
        components.quiet(
            f"Of {len(seen.names)} heads the {MOST_HEADS} best in each facet are drawn; all are in "
            "the table that you can take along."
        )
    return components.quiet(shown.noted(seen))


# --- causes, DCI, redundancy ---------------------------------------------------------------------


def causes(seen: Seen) -> None:
    if not seen.found.causes or not seen.names:
        components.quiet("There are no heads, or no known facets, to exchange anything for.")
        return
    table = facet_tables.causes_table(seen.found.causes, seen.names)
    components.words(sentences.causes_sentence(seen.found.causes, seen.names))
    drawn = _drawn_heads(table, "moved")
    _take_along(facet_charts.causes_squares(drawn), table, "facets-causes")
    sample = _sampled(seen, seen.found.among)
    among = f" Items to exchange for were looked for among {sample}." if sample else ""
    components.quiet(
        "Every click of a history is exchanged for another item, once for one alike in the facet "
        "and once for one unlike it, both as alike as can be in all else. A square is how much "
        "further the head's list moves in the second case: the first is its control. In units of 1 "
        f"less rank-biased overlap, mean over {seen.found.people:,} people; at or below 0 there is "
        "no square. A head that is a facet has its large squares in one facet (the levels of a "
        f"category are one), and no other head has larger ones there.{among}"
    )


def apart(seen: Seen) -> None:
    found = seen.found.disentanglement
    if found is None:
        if seen.found.tables is None:
            return _missing(seen, "DCI, MIG and SAP")
        components.quiet("Without heads, or without a facet to probe, nothing can come apart.")
        return None
    components.words(sentences.disentanglement_sentence(found))
    table = facet_tables.apart_table(found)
    if len(table):
        _take_along(facet_charts.apart_dots(table), table, "facets-apart")
    bars = " Bars are 95 % intervals over the items." if found.own.intervals else ""
    components.quiet(f"{sentences.CAUTION}{bars}")
    return None


def shared(seen: Seen) -> None:
    found = seen.found.redundancy
    if found is None:
        if seen.found.tables is None:
            return _missing(seen, "What two heads share")
        components.quiet("This model has no heads of its own, so no two can say the same.")
        return None
    if not found.pairs:
        components.words(sentences.redundancy_sentence(found, seen.names, "overlap"))
        return None
    by = st.segmented_control(
        "Compared by",
        list(sentences.SHARED),
        format_func=lambda name: sentences.SHARED[name][0],
        required=True,
        key=state.key("shared"),
    )
    state.keep("shared", by)
    components.words(sentences.redundancy_sentence(found, seen.names, by))
    table = facet_tables.pairs_table(found, seen.names, by)
    drawn = pd.concat([table[table["control"] == ""].head(12), table[table["control"] != ""]])
    rows, axis = drawn.reset_index(drop=True), sentences.SHARED[by][1]
    pair = _valid_pair(found)
    components.pickable_chart(
        facet_charts.pair_dots(rows, axis, share=by == "overlap"),
        "facets-shared",
        lambda two: state.put("pair", (int(two[0]), int(two[1]))),
        chosen=pair,
        vector=False,
    )
    components.download(table, "Take this chart's figures along (CSV)", "facets-shared")
    of = f"{found.items:,} items" if by == "embeddings" else f"{found.people:,} people"
    cka = f" {sentences.CKA_FAULT}" if by in ("embeddings", "states") else ""
    few = f" The 12 pairs most alike of {len(found.pairs)}." if len(found.pairs) > 12 else ""
    components.quiet(f"Over {of}.{few}{cka}")
    _disagreeing(seen, found)
    return None


def _valid_pair(found: Redundancy) -> tuple[int, int]:
    """The pair of heads whose people are shown: the one that was chosen, or the first."""
    pairs = [(pair.heads[0], pair.heads[1]) for pair in found.pairs]
    if state.get("pair") not in (None, *pairs):
        first, second = state.get("pair")
        state.notice(f"There is no pair of heads {first}:{second}; another one is shown.")
        state.settle("pair", None)
    if state.get("pair") is None:
        state.settle("pair", pairs[0])
    return state.get("pair")


def _disagreeing(seen: Seen, found: Redundancy) -> None:
    """The people on whom two heads disagree most; a button opens one of them in Lens."""
    pairs = {tuple(pair.heads): pair for pair in found.pairs}
    pair = st.selectbox(
        "Whom do two heads disagree on most?",
        list(pairs),
        format_func=lambda two: " and ".join(seen.names[head] for head in two),
        key=state.key("pair"),
        help="The people whose two lists are least alike; a button opens one of them in Lens. A "
        "click on a dot above chooses its pair too.",
    )
    state.keep("pair", pair)
    with st.container(horizontal=True):
        for user in pairs[pair].disagreeing:
            if st.button(for_markdown(f"User {user}"), key=f"disagree-{user}"):
                pickers.show_user(user)
                st.switch_page("views/lens.py")


# --- use -----------------------------------------------------------------------------------------


def gate(seen: Seen) -> None:
    used = seen.found.use
    if used is None:
        return _no_use(seen)
    components.words(sentences.gate_use_sentence(used, seen.names))
    by = _one_of("spread", {"people": "Over people", "length": "By length of history"})
    if by == "people":
        table = facet_tables.gate_table(used, seen.names)
        _take_along(facet_charts.gate_boxes(_drawn_heads(table, "mean")), table, "facets-gate")
        marks = "A box holds the middle half of them and its whiskers the middle 90 %"
    else:
        table = facet_tables.gate_path_table(used, seen.names)
        figure = facet_charts.by_cohort(
            _drawn_heads(table, "mean"), "Share of the gate", "Length of history", share=True
        )
        _take_along(figure, table, "facets-gate-by-length")
        marks = "Means with 95 % intervals"
    components.quiet(
        f"Over {used.people:,} people. {marks}. Control: an even gate gives every head "
        f"{100 / len(seen.names):.0f} %."
    )
    return None


def _one_of(name: str, offered: dict[str, str], place: DeltaGenerator | None = None) -> str:
    """Lets one of a few be chosen, by the choice's name in :mod:`state`; what was chosen."""
    chosen = (place or st).segmented_control(
        "Shown",
        list(offered),
        format_func=offered.__getitem__,
        required=True,
        key=state.key(name),
        label_visibility="collapsed" if place is None else "visible",
    )
    return str(state.keep(name, chosen))


def _no_use(seen: Seen) -> None:
    if seen.found.tables is None:
        return _missing(seen, "What the heads are used for")
    components.quiet("This model has no heads of its own, so there is no gate and none to lose.")
    return None


GROUPS = {
    "all": "Everybody",
    "length": "By length",
    "popularity": "By popularity",
    "value": "By favourite",
}


def accuracy(seen: Seen) -> None:
    used = seen.found.use
    if used is None:
        return _no_use(seen)
    favourites = facet_tables.favourite_facets(used)
    if state.get("cohort") == "value" and not favourites:
        state.notice("No favourite values are stored of this checkpoint; everybody is shown.")
        state.settle("cohort", "all")
    shown, first, second = st.columns([5, 8, 3])
    single = len(seen.names) == 1  # then nothing is left without it
    if single:
        state.settle("measure", "alone")
    offered = {"alone": "Each head alone"} | ({} if single else {"lost": "Lost without it"})
    measure = _one_of("measure", offered, shown)
    by = first.segmented_control(
        "People",
        [group for group in GROUPS if group != "value" or favourites],
        format_func=GROUPS.__getitem__,
        required=True,
        key=state.key("cohort"),
    )
    figure = second.segmented_control(
        "Figure", ["NDCG@10", "HR@10"], required=True, key=state.key("figure")
    )
    state.keep("cohort", by)
    state.keep("figure", figure)
    facet = _choose_favourite(favourites) if by == "value" else ""
    cohorts = facet_tables.cohorts_of(used, by, facet)
    components.words(sentences.accuracy_sentence(used.cohorts[0], seen.names, figure))
    labels = [facet_tables.cohort_label(cohort) for cohort in cohorts]
    told = sentences.cohorts_sentence(cohorts, labels, seen.names, figure)
    if told and measure == "lost":
        components.words(told)
    table = facet_tables.accuracy_table(cohorts, seen.names, figure)
    table = table[(table["what"] == "lost") == (measure == "lost")]
    group = {
        "length": "Clicks in the history",
        "popularity": "Clicks in training on what came next",
        "value": f"{facet_label(facet)} that most clicks of the history have",
    }
    axis = (
        f"{figure} lost without the head" if measure == "lost" else f"{figure} of each head alone"
    )
    chart = facet_charts.by_cohort(
        _drawn_heads(table, "mean"), axis, group.get(by, ""), ordered=by != "value"
    )
    _take_along(chart, table, f"facets-{measure}")
    components.quiet(
        f"Test items of {used.people:,} people, ranked over the whole catalogue; 95 % intervals "
        + (
            "over people, paired. Without a head its share of the gate is 0 and the others' grow. "
            "0 is the control: nothing lost."
            if measure == "lost"
            else "over people. The fused list is the control."
        )
    )
    if by == "value":
        people = "; ".join(
            f"{label}: {cohort.people:,}" for label, cohort in zip(labels, cohorts, strict=True)
        )
        components.quiet(
            f"The favourites of most people, who are: {people}. Who has two favourites, as "
            "frequent as each other, is in none."
        )
    return None


def _choose_favourite(facets: list[str]) -> str:
    """The facet whose favourite values part the people."""
    if state.get("favourite") not in facets:
        if state.get("favourite"):
            state.notice(
                f"There are no favourite values of {state.get('favourite')!r}; another facet is "
                "shown."
            )
        state.settle("favourite", facets[0])
    facet = st.segmented_control(
        "Favourite",
        facets,
        format_func=facet_label,
        required=True,
        key=state.key("favourite"),
    )
    return str(state.keep("favourite", facet))


# --- experts -------------------------------------------------------------------------------------


def experts(seen: Seen) -> None:
    found = seen.found
    measured = sentences.experts_sentence(found.experts, found.expert_share, seen.names)
    goals = goals_sentence(expert_goals_of(seen.opened, found), HeadNames(tuple(seen.names)))
    components.words(f"{measured} {goals}")
    table = facet_tables.experts_table(found, seen.names)
    chosen = pickers.chosen_expert(seen.opened)
    components.pickable_chart(
        facet_charts.expert_bars(_drawn_heads(table, "load"), chosen),
        "facets-experts",
        lambda pair: state.put("expert", (int(pair[0]), int(pair[1]))),
        chosen=chosen or (),
        vector=False,
    )
    components.download(table, "Take this chart's figures along (CSV)", "facets-experts")
    components.quiet(
        f"A bar is an expert's mean share of its head over {found.expert_people:,} people. Beside "
        "it stand the values that the histories it serves have above their base rate, by how many "
        "times, with 95 % intervals over people: a value counts where that lies above 1 and the "
        "lift above the best of its facet when routers are permuted between people of like history "
        "length. The hover says what the lists are with the expert alone and without it."
    )
    if state.presenting() and chosen is None:
        return
    pair = dossier.choose(found, seen.names)
    if pair is not None:
        dossier.draw(seen.opened, found, pair)


# --- forming -------------------------------------------------------------------------------------


def formed(seen: Seen) -> None:
    metrics = seen.opened.metrics or {}
    try:
        by_epoch = read_forming(metrics.get(FORMING, []))
    except ValueError as error:
        st.error(for_markdown(f"{seen.opened.path / METRICS} has a record of epochs that {error}."))
        return
    if not by_epoch:
        components.quiet("The version that trained this checkpoint kept no record of its epochs.")
        return
    forming.draw(by_epoch, seen.names, best_epoch=metrics.get("best_epoch", 0))


def compare(seen: Seen) -> None:
    side_by_side.draw(seen.opened, seen.found, seen.names)


QUESTIONS: dict[str, tuple[str, tuple[str, ...], Callable[[Seen], None]]] = {
    "names": ("Which heads are facets?", ("Head (facet)",), names),
    "lists": (
        "What does each head recommend?",
        ("Head (facet)", "Held-out item"),
        partial(evidence, name="lists"),
    ),
    "tables": (
        "What lies near an item in each head?",
        ("Embedding",),
        partial(evidence, name="tables"),
    ),
    "probes": (
        "Can an attribute be read off a head?",
        ("Embedding",),
        partial(evidence, name="probes"),
    ),
    "causes": ("Which head listens to which facet?", ("Rank-biased overlap",), causes),
    "apart": ("How far do the heads come apart?", (), apart),
    "shared": ("How much do two heads say the same?", ("Rank-biased overlap",), shared),
    "gate": ("How much does each head count?", ("Gate",), gate),
    "accuracy": ("How good is each head, and what is lost without it?", ("NDCG@10",), accuracy),
    "experts": ("Did the experts become preferences?", ("Expert", "Router"), experts),
    "forming": ("How did the facets form?", ("Head (facet)", "Epoch"), formed),
    "compare": ("What is the same in another checkpoint?", ("Head (facet)",), compare),
}
SHORT = {
    "names": "Names",
    "lists": "Lists",
    "tables": "Nearest items",
    "probes": "Probes",
    "causes": "Causes",
    "apart": "Apart",
    "shared": "Redundancy",
    "gate": "Gate",
    "accuracy": "Accuracy",
    "experts": "Experts",
    "forming": "Forming",
    "compare": "Compare",
}

main()
