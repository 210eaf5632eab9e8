"""Sentences made from figures; they never say more than the figures hold.

Those about one history are the library's own, so that a report says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from fame.facets.agreement import Agreement
from fame.lens.faithfulness import Verdict
from fame.lens.people import RULES
from fame.lens.words import (
    account_sentence,
    because_sentence,
    checkpoint_sentence,
    comparison_sentence,
    count,
    faithfulness_sentence,
    gate_sentence,
    head_name,
    held_out_sentence,
    history_sentence,
    percent,
    without_head_sentence,
)
from fame.models.sequence_model import Intervention
from palette import space_name

__all__ = [
    "account_sentence",
    "agreement_sentence",
    "because_line",
    "because_sentence",
    "checkpoint_sentence",
    "comparison_sentence",
    "count",
    "desk_sentence",
    "duration",
    "faithfulness_sentence",
    "figures_text",
    "gate_sentence",
    "held_out_sentence",
    "history_sentence",
    "overlap_sentence",
    "percent",
    "rule_label",
    "tested_sentence",
    "trust_sentence",
    "without_head_sentence",
]


def overlap_sentence(lists: pd.DataFrame, k: int) -> str:
    """How much of the fused list every head would have shown by itself."""
    shared = lists.groupby("head")["fused_rank"].count()
    best = int(shared.idxmax())
    return (
        f"Of the {count(k, 'recommendation')}, {head_name(best)} alone would also have shown "
        f"{int(shared[best])}, the most of any head."
    )


def trust_sentence(preservation: float, neighbours: int, space: str) -> str:
    """How far a picture can be trusted, in plain words."""
    kept = preservation * neighbours
    verdict = (
        "groups are real, but look up neighbours in the lists"
        if preservation >= 0.5
        else "take groups as hints, and neighbours from the lists only"
        if preservation >= 0.25
        else "hardly any neighbourhood survives, so trust the lists only"
    )
    return (
        f"{space}: of an item's {neighbours} nearest items, {kept:.1f} on average are also "
        f"among its {neighbours} nearest in the picture ({percent(preservation)}); {verdict}."
    )


_AHEAD = 1.2  # by how much a share has to be larger before it is called ahead


def agreement_sentence(found: Mapping[str, Agreement]) -> str:
    """Which head's nearest items agree more in which facet, in plain words."""
    asked = (
        "Two items agree where they have the same brand, category or other attribute. A head that "
        "stands for an attribute has items near each other that agree in it. "
    )
    if all(len(facet.spaces) <= 2 for facet in found.values()):  # the whole, and one head at most
        return asked + "This model has one space alone, so there is nothing to tell apart."
    told: dict[str, list[str]] = {}
    for column, facet in found.items():
        shares = {space: share for space, share in facet.spaces.items() if space != "all"}
        first, last = max(shares, key=shares.__getitem__), min(shares, key=shares.__getitem__)
        if shares[first] > _AHEAD * shares[last]:
            label = column.replace("_", " ")
            said = f"{label} ({percent(shares[first])} to {percent(shares[last])})"
            told.setdefault(space_name(first), []).append(said)
    if not told:
        return (
            asked + "Here the heads' nearest items agree alike in all of them: the heads are views "
            "of the same thing, not facets."
        )
    ahead = "; ".join(f"{name} is ahead in {', '.join(parts)}" for name, parts in told.items())
    in_all = " That is in all of them: a better view of the same thing, not another facet."
    everywhere = len(told) == 1 and len(next(iter(told.values()))) == len(found)
    return f"{asked}{ahead}.{in_all if everywhere else ''}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def because_line(causes: Sequence[str]) -> str:
    """The clicks that an item hangs on, by title, for the line below it."""
    return "no single click speaks for it" if not causes else f"because of {' and '.join(causes)}"


_TESTED: dict[Verdict, str] = {
    "holds": "explanations by clicks hold as a rule",
    "unclear": "explanations by clicks cannot be told from chance",
    "fails": "explanations by clicks do not hold",
}


def tested_sentence(verdict: Verdict, people: int) -> str:
    """Whether the clicks that are named below can be believed."""
    return f"Tested on {count(people, 'person').replace('persons', 'people')}, {_TESTED[verdict]}."


def desk_sentence(desk: Intervention, left_out: int) -> str:
    """What has been changed before the list was made; empty where nothing was."""
    said = []
    if left_out:
        said.append(f"{count(left_out, 'item')} left out of the history")
    if desk.gate is not None:
        total = sum(desk.gate)
        shares = ", ".join(
            f"{head_name(head)} {percent(weight / total)}" for head, weight in enumerate(desk.gate)
        )
        said.append(f"the gate set to {shares}")
    for verb, pairs in (("muted", desk.muted), ("alone in its head", desk.solo)):
        said += [f"expert {expert + 1} of {head_name(head)} {verb}" for head, expert in pairs]
    return "; ".join(said)


def rule_label(rule: str) -> str:
    """What puts people on a list, as an entry of a menu."""
    shows = RULES[rule].shows
    return shows[0].upper() + shows[1:]


_FIGURES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "one_head_rules": lambda row: f"{head_name(row['gate_head'])} has {percent(row['gate'])}",
    "heads_disagree": lambda row: f"{percent(row['shared'])} shared",
    "gate_flips": lambda row: f"{percent(row['gate_move'])} of the gate moved",
    "fusion_hits": lambda row: f"rank {row['rank']:,}, best head {row['best_head_rank']:,}",
    "one_head_better": lambda row: (
        f"{head_name(row['best_head'])} rank {row['best_head_rank']:,}, fused {row['rank']:,}"
    ),
    "longest": lambda row: count(row["length"], "click"),
}


def figures_text(rule: str, row: Mapping[str, Any]) -> str:
    """The figures that put somebody on a list."""
    return _FIGURES[rule](row)
