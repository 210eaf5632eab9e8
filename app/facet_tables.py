"""What ``facets.json`` holds as the tables that the Facets page draws, and lets be taken along.

In all of them ``head`` counts from 0 and is -1 for the whole or the fused; ``control`` is the
legend's name of a control, ``""`` for the model itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fame.facets.disentanglement import Disentanglement
from fame.facets.expert_lists import LIST_LENGTH as EXPERT_LIST
from fame.facets.expert_lists import ExpertLists
from fame.facets.experts import ExpertUse
from fame.facets.forming import Formed
from fame.facets.lists import PERMUTED
from fame.facets.matching import Matching
from fame.facets.naming import CONTROLS as DECIDING
from fame.facets.probes import FacetProbes
from fame.facets.redundancy import Redundancy
from fame.facets.tables import TableAgreement
from fame.facets.use import Cohort, Use
from fame.lens.faithfulness import Estimate
from fame.presentation.facet_sentences import (
    CONTROLS,
    FIGURES_APART,
    best_control,
    formed_by,
    in_words,
    match_label,
    shared_by,
)
from fame.presentation.names import facet_label, head_name, value_name
from fame.presentation.sentences import changed_phrase, served_phrase
from fame.presentation.text import percent, shortened, written
from fame.survey import Facets

MOST_LINES = 8  # of heads, in one panel of a chart over epochs

Evidence = dict[str, tuple[dict[str, Estimate], dict[str, dict[str, Estimate]]]]


def of_lists(lists: Mapping[str, Mapping[str, Any]]) -> Evidence:
    """By facet the agreement of lists with what came next, by space and by control."""
    return {
        facet: (
            {
                space: own["held_out"]
                for space, own in found.items()
                if isinstance(own, dict) and "held_out" in own
            },
            found["controls"],
        )
        for facet, found in lists.items()
    }


def of_tables(tables: Mapping[str, TableAgreement]) -> Evidence:
    """By facet the agreement of nearest items."""
    return {facet: (found.spaces, found.controls) for facet, found in tables.items()}


def of_probes(probes: Mapping[str, FacetProbes]) -> Evidence:
    """By facet the selectivity of linear probes."""
    return {
        facet: (
            {space: probe.selectivity for space, probe in found.spaces.items()},
            {
                control: {space: probe.selectivity for space, probe in by_space.items()}
                for control, by_space in found.controls.items()
            },
        )
        for facet, found in probes.items()
    }


def evidence_table(evidence: Evidence, names: Sequence[str]) -> pd.DataFrame:
    """Everything: ``facet, of, control, head, mean, low, high``."""
    rows = []
    for facet, (spaces, controls) in evidence.items():
        for control, by_space in (
            ("", spaces),
            *((CONTROLS[c], own) for c, own in controls.items()),
        ):
            for space, one in by_space.items():
                head = -1 if space == "all" else int(space.removeprefix("head_"))
                own = (
                    ("Whole" if head < 0 else names[head])
                    if not control
                    else (f"slice {head + 1}" if head >= 0 else "whole")
                )
                rows.append((facet_label(facet), own, control, head, one.mean, one.low, one.high))
    columns = ["facet", "of", "control", "head", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def verdicts(found: Facets, names: Sequence[str]) -> pd.DataFrame:
    """A column a head that is a facet: in words, the figures that decided.

    Of the controls those that a name has to beat (:mod:`fame.facets.naming`).
    """
    evidence = of_lists(found.lists)
    columns = {"": ["Facet", *_DECIDED]}
    for head in found.heads:
        if not head.facet:
            continue
        spaces, controls = evidence[head.facet]
        asked = {name: controls[name] for name in DECIDING if name in controls}
        rival, control = best_control(asked, head.head)
        own = f"head_{head.head}"
        others = [one.mean for space, one in spaces.items() if space not in ("all", own)]
        moved = found.causes[head.facet]
        still = [one for other, one in enumerate(moved) if other != head.head]
        columns[titled(names[head.head], head.head)] = [
            facet_label(head.facet),
            percent(spaces[own].mean),
            percent(max(others)),
            f"{percent(control.mean)}, {in_words(rival)}",
            written(moved[head.head], ".2f"),
            written(max(still), ".2f"),
        ]
    return pd.DataFrame(columns)


_DECIDED = (
    "Its list agrees with what came next",
    "The next head's list does",
    "The best control's list does",
    "Its list moves with the facet",
    "Another head's moves, at most",
)


def titled(name: str, head: int) -> str:
    """``Genre (head 1)``; a head without a name by its number alone."""
    number = head_name(head)
    return number if name == number else f"{name} ({number.lower()})"


def drawn(evidence: pd.DataFrame, most: int) -> pd.DataFrame:
    """What of the table is drawn: of a control the best slice, of many heads the best ``most``.

    Labels permuted are drawn for the head that is best in the facet, since its own list or
    neighbours are what they are about.
    """
    parts = []
    for _, rows in evidence.groupby("facet", sort=False):
        own = rows[rows["control"] == ""]
        heads = own[own["head"] >= 0].nlargest(most, "mean").sort_values("head")
        best = own[own["head"] >= 0]["mean"].idxmax() if len(heads) else None
        parts += [own[own["head"] < 0], heads]
        for control, slices in rows[rows["control"] != ""].groupby("control", sort=False):
            if control == CONTROLS[PERMUTED] and best is not None:
                slices = slices[slices["head"] == own["head"][best]]
            parts.append(slices.nlargest(1, "mean"))
    return pd.concat(parts, ignore_index=True) if parts else evidence


def of_first_heads(table: pd.DataFrame, figure: str, most: int) -> pd.DataFrame:
    """The rows of the ``most`` heads whose largest ``figure`` is largest, in their order.

    So a chart of 64 heads fits a screen; rows of the fused list (head -1) stay.
    """
    heads = table[table["head"] >= 0]
    kept = heads.groupby("head")[figure].max().nlargest(most).index
    return table[(table["head"] < 0) | table["head"].isin(kept)].reset_index(drop=True)


def causes_table(causes: Mapping[str, Sequence[float]], names: Sequence[str]) -> pd.DataFrame:
    """``facet, head, of, moved``."""
    return pd.DataFrame(
        [
            (facet_label(facet), head, names[head], moved)
            for facet, by_head in causes.items()
            for head, moved in enumerate(by_head)
        ],
        columns=["facet", "head", "of", "moved"],
    )


def apart_table(apart: Disentanglement) -> pd.DataFrame:
    """``figure, control, mean, low, high``; figures that cannot be are left out.

    ``low`` and ``high`` are missing where an older version stored no interval.
    """
    rows = []
    for figure, label in FIGURES_APART.items():
        for control, scores in (("", apart.own), *apart.controls.items()):
            value = getattr(scores, figure)
            if value is not None:
                low, high = scores.intervals.get(figure, (math.nan, math.nan))
                rows.append((label, CONTROLS[control] if control else "", value, low, high))
    return pd.DataFrame(rows, columns=["figure", "control", "mean", "low", "high"])


def pairs_table(found: Redundancy, names: Sequence[str], by: str) -> pd.DataFrame:
    """``pair, first, second, control, mean, low, high``: the most alike first, controls last."""
    rows = []
    for pair in sorted(found.pairs, key=lambda pair: -shared_by(pair, by).mean):
        first, second = pair.heads
        one = shared_by(pair, by)
        label = f"{names[first]} and {names[second]}"
        rows.append((label, first, second, "", one.mean, one.low, one.high))
    if by == "overlap":
        for control, one in found.controls.items():
            rows.append((CONTROLS[control], -1, -1, CONTROLS[control], one.mean, one.low, one.high))
    columns = ["pair", "first", "second", "control", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def gate_table(used: Use, names: Sequence[str]) -> pd.DataFrame:
    """``head, of, mean, q05, q25, q50, q75, q95, largest``."""
    rows = [
        (head, names[head], share.mean.mean, *share.quantiles, share.largest)
        for head, share in enumerate(used.gate)
    ]
    columns = ["head", "of", "mean", "q05", "q25", "q50", "q75", "q95", "largest"]
    return pd.DataFrame(rows, columns=columns)


def gate_path_table(used: Use, names: Sequence[str]) -> pd.DataFrame:
    """``head, of, cohort, mean, low, high``: the gate by length of history."""
    cohorts = [cohort for cohort in used.cohorts if cohort.by == "length"]
    rows = [
        (head, names[head], cohort_label(cohort), one.mean, one.low, one.high)
        for head, share in enumerate(used.gate)
        for cohort, one in zip(cohorts, share.by_length, strict=True)
    ]
    return pd.DataFrame(rows, columns=["head", "of", "cohort", "mean", "low", "high"])


def cohort_label(cohort: Cohort) -> str:
    """``5 to 8 clicks`` and the like; of a favourite value the value."""
    if cohort.by == "all":
        return "Everybody"
    if cohort.by == "value":
        return shortened(value_name(cohort.value), 24)
    span = f"{cohort.low:,}" if cohort.low == cohort.high else f"{cohort.low:,} to {cohort.high:,}"
    return f"{span} click" if (cohort.low, cohort.high) == (1, 1) else f"{span} clicks"


def cohorts_of(used: Use, by: str, facet: str = "") -> list[Cohort]:
    """Those of one kind; of favourite values those of one facet."""
    return [
        cohort
        for cohort in used.cohorts
        if cohort.by == by and cohort.value.partition("=")[0] == (facet if by == "value" else "")
    ]


def favourite_facets(used: Use) -> list[str]:
    """The facets of which people have favourite values."""
    values = [cohort.value for cohort in used.cohorts if cohort.by == "value"]
    return list(dict.fromkeys(value.partition("=")[0] for value in values))


def accuracy_table(cohorts: Sequence[Cohort], names: Sequence[str], figure: str) -> pd.DataFrame:
    """``cohort, people, what, head, of, mean, low, high``; ``what`` is fused, alone or lost."""
    rows = []
    for cohort in cohorts:
        found = cohort.accuracy[figure]
        figures = [("fused", -1, "Fused list", found.fused)]
        figures += [("alone", h, names[h], one) for h, one in enumerate(found.alone)]
        figures += [("lost", h, names[h], one) for h, one in enumerate(found.lost)]
        for what, head, of, one in figures:
            label = cohort_label(cohort)
            rows.append((label, cohort.people, what, head, of, one.mean, one.low, one.high))
    columns = ["cohort", "people", "what", "head", "of", "mean", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def experts_table(found: Facets, names: Sequence[str]) -> pd.DataFrame:
    """One row an expert: ``head, expert, of, load, dead``, ``values`` that it serves with their
    lift, ``changes`` in words, and the same as figures with their intervals.

    ``alone_stay, alone_gain, without_stay, without_gain``: the share of the first items that stay,
    and what HR gains, with the expert alone in its head or without it.
    """
    rows = []
    for use, lists in zip(found.experts, found.expert_lists, strict=True):
        row: dict[str, Any] = {
            "head": use.head,
            "expert": use.expert,
            "of": names[use.head],
            "load": use.load,
            "dead": use.dead,
            "values": served_phrase(use) if use.values else "",
            "changes": changed_phrase(lists),
        }
        for kind, changed in (("alone", lists.alone), ("without", lists.without)):
            for figure in ("stay", "gain"):
                estimate = None if changed is None else getattr(changed, figure)
                for part, end in (("mean", ""), ("low", "_low"), ("high", "_high")):
                    value = None if estimate is None else getattr(estimate, part)
                    row[f"{kind}_{figure}{end}"] = value
        rows.append(row)
    return pd.DataFrame(rows)


def lifts_table(use: ExpertUse) -> pd.DataFrame:
    """``of, mean, low, high, control, next``: the values that an expert serves, by their lift.

    ``control`` is the best lift of the value's facet with routers permuted, ``next`` the lift in
    what people clicked next (missing where too few did).
    """
    rows = [
        (
            f"{facet_label(one.value.partition('=')[0])}: {value_name(one.value)}",
            *(one.lift, one.low, one.high, one.control),
            math.nan if one.next is None else one.next,
        )
        for one in use.values
    ]
    return pd.DataFrame(rows, columns=["of", "mean", "low", "high", "control", "next"])


def changed_table(lists: ExpertLists) -> pd.DataFrame:
    """In words, what lists are with an expert alone in its head and without it."""
    kinds = {"Alone in its head": lists.alone}
    if lists.without is not None:
        kinds["Without it"] = lists.without

    def told(one: Estimate, number: str) -> str:
        # What rounds to nothing has no sign.
        mean, low, high = (
            written(round(x, 3) + 0.0, number) for x in (one.mean, one.low, one.high)
        )
        return f"{mean} ({low} to {high})"

    return pd.DataFrame(
        [
            {
                "Lists": kind,
                f"Of the first {EXPERT_LIST} items stay": told(one.stay, ".1%"),
                f"HR@{EXPERT_LIST} gains": told(one.gain, "+z.3f"),
            }
            for kind, one in kinds.items()
        ]
    )


CHANCE = "Chance"


def forming_table(formed: Mapping[int, Formed], names: Sequence[str], kind: str) -> pd.DataFrame:
    """``facet, head, of, epoch, value`` of a kind of :data:`facet_sentences.FORMING`.

    ``head`` is -1 for the whole embedding or the fused list and -2 for chance; ``facet`` is empty
    where a figure is of a head alone.
    """
    rows = []
    for epoch, one in sorted(formed.items()):
        for facet, shares in formed_by(one, kind).items():
            for space, value in shares.items():
                head = {"all": -1, "chance": -2}.get(space)
                if head is None:
                    head = int(space.removeprefix("head_"))
                of = {-1: "Whole", -2: CHANCE}.get(head) or names[head]
                rows.append((facet_label(facet) if facet else "", head, of, epoch, value))
    return pd.DataFrame(rows, columns=["facet", "head", "of", "epoch", "value"])


def forming_drawn(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """What of the table is drawn: of many facets those in which a head leads chance most.

    ``most`` counts facets, and of many heads the eight best at the end are drawn in each.
    """
    last = table[table["epoch"] == table["epoch"].max()]
    lead, heads = {}, set()
    for facet, rows in last.groupby("facet", sort=False):
        own = rows[rows["head"] >= 0]
        chance = rows.loc[rows["head"] == -2, "value"]
        best = own if len(own) else rows[rows["head"] == -1]
        lead[facet] = best["value"].max() - (chance.iloc[0] if len(chance) else 0)
        heads |= {(facet, head) for head in own.nlargest(MOST_LINES, "value")["head"]}
    facets = sorted(sorted(lead, key=lambda facet: -lead[facet])[:most])
    kept = table[table["facet"].isin(facets)]
    drawn = [
        head < 0 or (facet, head) in heads
        for facet, head in zip(kept["facet"], kept["head"], strict=True)
    ]
    return kept[drawn].reset_index(drop=True)


def matches_table(
    found: Matching, first: Sequence[str], second: Sequence[str], labels: tuple[str, str]
) -> pd.DataFrame:
    """``label, of, mean, low, high``: what matched lists have in common, and by chance.

    Args:
        first, second: Names of the heads of the two models.
        labels: What the overlap and its control are called.
    """
    rows = []
    for match in (found.fused, *found.matches):
        name = "Fused list" if match.first < 0 else match_label(match, first, second)
        for of, one in zip(labels, (match.overlap, match.chance), strict=True):
            rows.append((name, of, one.mean, one.low, one.high))
    return pd.DataFrame(rows, columns=["label", "of", "mean", "low", "high"])


def beside_rows(
    found: Matching,
    both: tuple[Facets, Facets],
    names: tuple[Sequence[str], Sequence[str]],
    by: str,
) -> list[tuple[str, Estimate, Estimate]]:
    """What is compared and the figures of two checkpoints: a row a match, or a match and a facet.

    None where a file does not have them.

    Args:
        by: A kind of :data:`facet_sentences.COMPARED`, but for ``matches``.
    """
    pairs = [(match_label(match, *names), (match.first, match.second)) for match in found.matches]
    rows: list[tuple[str, Estimate, Estimate]] = []
    if by in ("ranking", "gate"):
        used = [one.use for one in both if one.use is not None]
        if len(used) < 2:
            return []
        if by == "gate":
            gates = [used[model].gate for model in (0, 1)]
            return [
                (label, gates[0][one].mean, gates[1][other].mean) for label, (one, other) in pairs
            ]
        accuracy = [one.cohorts[0].accuracy["NDCG@10"] for one in used]
        rows = [("Fused list", accuracy[0].fused, accuracy[1].fused)]
        return rows + [
            (label, accuracy[0].alone[one], accuracy[1].alone[other])
            for label, (one, other) in pairs
        ]
    if by == "overlap":
        shared = [_overlaps_of(one) for one in both]
        for at, (label, one) in enumerate(pairs):
            for beside, other in pairs[at + 1 :]:
                keys = [tuple(sorted((one[model], other[model]))) for model in (0, 1)]
                if all(key in own for key, own in zip(keys, shared, strict=True)):
                    one_here, one_there = (shared[model][keys[model]] for model in (0, 1))
                    rows.append((f"{label} and {beside}", one_here, one_there))
        return rows
    figures = [_by_facet(one, by) for one in both]
    for facet in figures[0]:
        if facet in figures[1]:
            for label, heads in pairs:
                own = [figures[model][facet][heads[model]] for model in (0, 1)]
                rows.append((f"{facet_label(facet)}: {label}", own[0], own[1]))
    return rows


def _overlaps_of(found: Facets) -> dict[tuple[int, int], Estimate]:
    pairs = found.redundancy.pairs if found.redundancy else []
    return {(pair.heads[0], pair.heads[1]): pair.overlap for pair in pairs}


def _by_facet(found: Facets, by: str) -> dict[str, list[Estimate]]:
    """By facet ``[H]``; a cause has no interval."""
    if by == "causes":
        return {
            facet: [Estimate(moved, math.nan, math.nan) for moved in by_head]
            for facet, by_head in found.causes.items()
        }
    evidence = of_lists(found.lists) if by == "lists" else of_tables(found.tables or {})
    return {
        facet: [one for space, one in spaces.items() if space != "all"]
        for facet, (spaces, _) in evidence.items()
    }


def beside_table(
    rows: Sequence[tuple[str, Estimate, Estimate]], names: tuple[str, str]
) -> pd.DataFrame:
    """``label, of, mean, low, high``: the figures of two checkpoints, called by their names."""
    return pd.DataFrame(
        [
            (label, of, one.mean, one.low, one.high)
            for label, *both in rows
            for of, one in zip(names, both, strict=True)
        ],
        columns=["label", "of", "mean", "low", "high"],
    )
