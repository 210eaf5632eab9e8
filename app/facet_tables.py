"""What ``facets.json`` holds as the tables that the Facets page draws, and lets be taken along.

In all of them ``head`` counts from 0 and is -1 for the whole or the fused; ``control`` is the
legend's name of a control, ``""`` for the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fame.facets.disentanglement import Disentanglement
from fame.facets.lists import PERMUTED
from fame.facets.probes import FacetProbes
from fame.facets.redundancy import Redundancy
from fame.facets.tables import TableAgreement
from fame.facets.use import Cohort, Use
from fame.lens.faithfulness import Estimate
from fame.presentation.facet_sentences import CONTROLS, FIGURES_APART, shared_by
from fame.presentation.names import facet_label
from fame.presentation.sentences import changed_phrase, served_phrase
from fame.survey import Facets

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
    """``figure, control, value``; figures that cannot be are left out."""
    rows = []
    for figure, label in FIGURES_APART.items():
        for control, scores in (("", apart.own), *apart.controls.items()):
            value = getattr(scores, figure)
            if value is not None:
                rows.append((label, CONTROLS[control] if control else "", value))
    return pd.DataFrame(rows, columns=["figure", "control", "value"])


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
    """``5 to 8 clicks`` and the like."""
    if cohort.by == "all":
        return "Everybody"
    span = f"{cohort.low:,}" if cohort.low == cohort.high else f"{cohort.low:,} to {cohort.high:,}"
    return f"{span} click" if (cohort.low, cohort.high) == (1, 1) else f"{span} clicks"


def accuracy_table(used: Use, names: Sequence[str], by: str, figure: str) -> pd.DataFrame:
    """``cohort, people, what, head, of, mean, low, high``; ``what`` is fused, alone or lost."""
    rows = []
    for cohort in used.cohorts:
        if cohort.by != by:
            continue
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
