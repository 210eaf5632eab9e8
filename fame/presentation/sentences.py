"""Sentences made from figures; they never say more than the figures hold.

Heads are called as ``called`` has it. Titles and names come in as they are: whoever shows a
sentence escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fame.facets.above_base import FEWEST, Above
from fame.facets.agreement import Agreement
from fame.facets.expert_lists import LIST_LENGTH as EXPERT_LIST
from fame.facets.expert_lists import ExpertLists
from fame.facets.experts import GOAL_LIFT, GOAL_PART, GOAL_SHARE, ExpertGoals, ExpertUse
from fame.facets.naming import NamedHead
from fame.lens.account import ItemAccount
from fame.lens.compare import Comparison
from fame.lens.faithfulness import DeletionCurve, Estimate, Measure, MeasuredFaithfulness, Verdict
from fame.lens.people import RULES, BaseRate
from fame.models.sequence_model import Intervention
from fame.presentation.evidence import Shared
from fame.presentation.names import HeadNames, facet_label, value_name
from fame.presentation.text import changes, count, percent, points, quoted, shortened, written

_EVEN = 1.15  # a largest share below this many times the even one is called even


def history_sentence(length: int, read: int) -> str:
    """How much of the history the model reads."""
    if read < length:
        return f"The model reads the latest {read:,} of {length:,} clicks."
    return (
        "The model has one click to go by." if length == 1 else f"The model reads {length} clicks."
    )


def gate_sentence(gate: Sequence[float] | np.ndarray, called: HeadNames) -> str:
    """Which head has the largest share of the gate, and whether that is much."""
    if len(gate) == 1:
        return "This model has one head, so nothing is mixed."
    largest = int(np.argmax(gate))
    share = percent(gate[largest])
    if gate[largest] < _EVEN / len(gate):
        low = percent(min(gate))
        every = "both heads" if len(gate) == 2 else f"all {len(gate)} heads"
        return f"The gate weighs {every} about evenly ({low} to {share})."
    return f"The gate gives {called.head(largest)} the largest share, {share}."


def evidence_phrase(shared: Shared) -> str:
    """``9 of 10 are Konad``; where no two agree, that."""
    if shared.count == 1 < shared.among:
        if shared.is_word:
            return "no two have a word in common"
        return f"no two have the same {facet_label(shared.column).lower()}"
    verb = "is" if shared.count == 1 else "are"
    whole = shared.count == shared.among
    among = (
        f"all {shared.among}" if whole and shared.count > 1 else f"{shared.count} of {shared.among}"
    )
    if shared.is_word:
        return f"{among} {'says' if shared.count == 1 else 'say'} “{shortened(shared.value, 40)}”"
    of_time = "from the " if shared.column == "year" else ""  # a decade
    return f"{among} {verb} {of_time}{shortened(shared.value, 40)}"


def evidence_label(shared: Shared) -> str:
    """The same where there is little room: ``Konad: 9 of 10``."""
    if shared.count == 1 < shared.among:
        return "no two alike"
    if shared.is_word:
        return f"“{shortened(shared.value, 20)}”: {shared.count} of {shared.among}"
    return f"{shortened(shared.value, 20)}: {shared.count} of {shared.among}"


_TOLD = 3  # heads that one sentence can tell of


def stage_sentence(
    clicks: int,
    seen: Sequence[tuple[float, Shared | None]],
    together: Shared | None,
    called: HeadNames,
) -> str:
    """What the heads make of some clicks, each by the value that most of its list share.

    Args:
        seen: ``[H]`` the head's share of the gate, and that value.
        together: That value of the fused list.
    """
    told = []
    heads = list(range(len(seen)))
    if len(heads) > _TOLD:
        heads = sorted(heads, key=lambda head: -seen[head][0])[:_TOLD]
    for head in heads:
        share, shared = seen[head]
        of_it = f": {evidence_phrase(shared)}" if shared else ""
        told.append(f"{called.head(head)} ({percent(share)} of the mix){of_it}")
    rest = len(seen) - len(told)
    others = f"; {count(rest, 'more head')}" if rest else ""
    whole = f". Of the list that they make, {evidence_phrase(together)}" if together else ""
    start = f"What {'the head makes' if len(seen) == 1 else 'the heads make'} of "
    return f"{start}{count(clicks, 'click')} – {'; '.join(told)}{others}{whole}."


def mix_wins_sentence(won: int, lost: int, among: int) -> str:
    """How often the mix finds the next item where no head does, and the other way round.

    Args:
        won: People whose next item is in the fused first ten and in no head's.
        lost: People whose next item is in some head's first ten and not in the fused one.
    """

    def share(number: int) -> str:
        return written(number / among, ".1%")

    return (
        f"Over {among:,} people the mix has the next item among its first ten, and no head alone "
        f"has, for {share(won)}; some head has it and the mix has not for {share(lost)}."
    )


def standing_phrase(own: float, beside: Mapping[str, float]) -> str:
    """HR@10 beside that of others, in a line."""
    others = "".join(f" · {label} {share:.3f}" for label, share in beside.items())
    return f"HR@10 {own:.3f}{others}"


def standing_sentence(
    own: float, beside: Mapping[str, float], *, weak: bool, counted_better: str | None = None
) -> str:
    """The same in words, and a warning where the model has learnt little.

    Args:
        counted_better: What ranks better and only counts.
    """
    others = ", ".join(f"{percent(share)} by {label}" for label, share in beside.items())
    beside_them = f" ({others})" if others else ""
    said = (
        f"The next item of {percent(own)} of people is among the first ten of this model, over the "
        f"test split{beside_them}."
    )
    if weak:
        why = "That is nearer to popularity than to the best of the others"
        if counted_better:
            why = f"That is less than {counted_better} has, which only counts"
        said += f" {why}: it has learnt little, and what its heads show says little."
    return said


def facets_verdict(heads: Sequence[NamedHead], free: Sequence[bool]) -> tuple[str, str]:
    """Whether the heads are facets, by evidence: in short, and why.

    Args:
        free: ``[H]`` whether the head was given no facet; empty where none was given any.
    """
    asked = [head for head in heads if not (free and free[head.head])]
    named = [head for head in asked if head.name is not None and head.facet is not None]
    if not asked:
        return "Heads are facets: no", "No head was given a facet."
    verdict = "yes" if len(named) == len(asked) else "partly" if named else "no"
    of_them = f"{len(named)} of {count(len(asked), 'head')}"
    left = sum(free)
    beside = f", {count(left, 'free head')} beside them" if left else ""
    return (
        f"Heads are facets: {verdict}",
        f"{of_them} {'has' if len(named) == 1 else 'have'} a name by evidence{beside}. The Facets "
        "page has the figures and their controls.",
    )


def ledger_sentence(rows: pd.DataFrame, against: str, called: HeadNames) -> str:
    """What decides the first place, by the heads' parts of it.

    Args:
        rows: ``score, head_0 ..``, best first, each less what ``against`` names.
    """
    if not len(rows):
        return "There is no item below to compare with."
    first = rows.iloc[0]
    parts = [float(first[name]) for name in rows.columns if name.startswith("head_")]
    zero = {
        "centred": "the average item",
        "next": "the item below it",
        "middle": "the item in the middle of the list",
        "raw": "zero",
    }[against]
    said = f"The first item is {points(float(first['score']))} from {zero}"
    if len(parts) < 2:
        return f"{said}."
    told = ", ".join(f"{called.head(head)} {points(part)}" for head, part in enumerate(parts))
    return f"{said}: {told}."


def without_head_sentence(
    gate: Sequence[float] | np.ndarray,
    changed: Sequence[int | None],
    k: int,
    called: HeadNames,
) -> str:
    """What the head with the largest share does to the list.

    Args:
        changed: By head how many of the k items change without it; ``None`` where the head has
            all of the gate (:func:`fame.lens.compare.new_without_head`).
    """
    if len(gate) == 1:
        return gate_sentence(gate, called)
    largest = int(np.argmax(gate))
    name, without = called.head(largest), changed[largest]
    if without is None:
        return f"{name} has all of the gate, so the list is its own."
    if gate[largest] >= _EVEN / len(gate):
        return f"Gate share of {name}: {percent(gate[largest])}; without it {changes(without, k)}."
    most = int(np.argmax([number or 0 for number in changed]))
    evenly = gate_sentence(gate, called)[:-1]
    said = f"{evenly}; without {called.head(most)}, {changes(changed[most] or 0, k)}"
    if len(gate) > 2:
        return f"{said}, the most for any head."
    return f"{said}; without {called.head(1 - most)}, {changes(changed[1 - most] or 0, k)}."


def held_out_sentence(
    title: str,
    rank: int | None,
    by_head: Sequence[int | None],
    candidates: int,
    called: HeadNames,
) -> str:
    """Where the item stands that the person really chose; ``None`` for no candidate."""
    ranks = [own for own in by_head if own is not None]
    if rank is None or not ranks:
        return (
            f"What they really chose next, {quoted(title)}, is in their history, and what is in "
            "the history is in no list here: it has no rank, and counts as a miss."
        )
    start = (
        f"What they really chose next, {quoted(title)}, stands at rank {rank:,} of {candidates:,}"
    )
    if len(ranks) == 1:
        return f"{start}."
    best = int(np.argmin(ranks))
    if ranks[best] < rank:
        return f"{start}; {called.head(best)} alone would have put it at {ranks[best]:,}."
    if rank < ranks[best]:
        return f"{start}, higher than any head alone would have put it."
    return f"{start}, where {called.head(best)} alone puts it too."


def because_sentence(title: str, causes: Sequence[tuple[str, float]]) -> str:
    """The clicks that an item hangs on most.

    Args:
        causes: Title of the click and what leaving it out costs the item, the costliest first.
    """
    if not causes:
        return f"No single click speaks for {quoted(title)}: without any one it scores no lower."
    (first, cost), *others = causes
    sentence = (
        f"{quoted(title)} hangs most on {quoted(first)}: without it, it scores {cost:.2f} less"
    )
    return f"{sentence}{''.join(f'; without {quoted(t)}, {c:.2f} less' for t, c in others)}."


def account_sentence(account: ItemAccount, title: str, rival_title: str, called: HeadNames) -> str:
    """Why an item is in the list or not, by the heads' parts of its distance to its rival."""
    if account.rank is None:
        start = f"{quoted(title)} was clicked before, so it is not recommended here"
    else:
        start = f"{quoted(title)} stands at rank {account.rank:,} of {account.candidates:,}"
    if account.rival is None:
        return f"{start}."
    side = "ahead of" if account.lead >= 0 else "behind"
    distance = (
        f"{abs(account.lead):.2f} {side} {quoted(rival_title)} at rank {account.rival_rank:,}"
    )
    if account.rank is None:
        distance = f"whatever its score, {distance}"
    if len(account.by_head) == 1:
        return f"{start}, {distance}."
    leads = account.by_head["lead"].tolist()
    parts = ", ".join(f"{called.head(head)} {points(lead)}" for head, lead in enumerate(leads))
    return f"{start}, {distance} ({parts})."


def comparison_sentence(comparison: Comparison) -> str:
    """What a change did to the list, and to the held-out item where there is one."""
    moved = (comparison.moves["change"].fillna(0) != 0).any()
    new = comparison.length - comparison.shared
    if new:
        verb = "is" if new == 1 else "are"
        said = f"{new} of the {count(comparison.length, 'item')} {verb} new"
    elif moved:
        said = f"The same {count(comparison.length, 'item')} in another order"
    else:
        said = f"The same {count(comparison.length, 'item')} in the same order"
    if comparison.held_out is None:
        return f"{said}."
    before, after = comparison.held_out
    if before is None and after is None:
        where = "is in the history, so in neither list"
    elif before is None:
        where = f"was in the history and can now be recommended, at rank {after:,}"
    elif after is None:
        where = f"was at rank {before:,} and is now in the history, so in no list"
    elif before == after:
        where = f"stays at rank {before:,}"
    else:
        where = f"moves from rank {before:,} to {after:,}"
    return f"{said}; what they really chose next {where}."


_EFFECT: dict[Measure, str] = {
    "list": "replaces {} of the list",
    "item": "takes {} off the first item's score",
}
_ON_LATEST: dict[Verdict, str] = {
    "holds": "Removing just the latest clicks instead does less",
    "unclear": "Removing just the latest clicks instead does as much on average",
    "fails": "But removing just the latest clicks instead does more",
}


def _size(measure: Measure, size: float) -> str:
    return percent(size) if measure == "list" else _figure(measure, size)


def faithfulness_sentence(curve: DeletionCurve | None) -> str:
    """Whether one history's explanation holds; ``None`` where it cannot be tested."""
    if curve is None:
        return "Too short to test: with fewer than three different items nothing can be compared."
    measure, (low, high) = curve.measure, curve.interval
    named, drawn, latest = (
        _size(measure, values[..., 2:].mean())
        for values in (curve.influential, curve.random, curve.latest)
    )
    more = "as much" if latest == named else "less" if curve.lead_on_latest > 0 else "more"
    figures = (
        f"removing its first click and those it names next {_EFFECT[measure].format(named)}, the "
        f"same first click and as many others at random {drawn} (the difference is "
        f"{_size(measure, low)} to {_size(measure, high)} over 95 % of random orders); "
        f"{'but ' * (more == 'more')}the same first click and just the latest ones do {more}, "
        f"{latest}"
    )
    few = "" if curve.can_be_judged else ", and with so few clicks it hardly could be"
    return {
        "holds": f"Beyond its first click the explanation holds: {figures}.",
        "unclear": (
            f"Beyond its first click the explanation cannot be told from chance{few}: {figures}."
        ),
        "fails": (
            f"Beyond its first click the explanation does not hold, random clicks matter more: "
            f"{figures}."
        ),
    }[curve.verdict]


def _difference(measure: Measure, size: float) -> str:
    """Shares differ by percentage points: 3 % more could be more than that or less."""
    return f"{_figure(measure, size)}{' percentage points' * (measure == 'list')}"


def _span(measure: Measure, estimate: Estimate) -> str:
    return f"{_figure(measure, estimate.low)} to {_figure(measure, estimate.high)}"


def _figure(measure: Measure, size: float) -> str:
    figure = f"{100 * size:.1f}" if measure == "list" else f"{size:.2f}"
    return (figure.lstrip("-") if float(figure) == 0 else figure).replace("-", "−")


def checkpoint_sentence(measure: Measure, measured: MeasuredFaithfulness) -> str:
    """Whether a checkpoint's explanations hold, over many people."""
    area, lead = measured.area, measured.lead_on_latest
    shares = {kind: percent(share.mean) for kind, share in measured.verdicts.items()}
    more = _EFFECT[measure].format(f"{_difference(measure, area.mean)} more")
    said = {
        "holds": "Beyond the first click, explanations of this checkpoint hold on average",
        "unclear": "Beyond the first click, explanations of this checkpoint cannot be told from "
        "chance",
        "fails": "Beyond the first click, explanations of this checkpoint do not hold",
    }[measured.verdict]
    few = ""
    if measured.too_short > 0:
        few = f" ({percent(measured.too_short)} of people have too few clicks for any verdict)"
    return (
        f"{said}: over {measured.people:,} people, removing the first click and those named next "
        f"{more} than the same first click and as many others at random ({_span(measure, area)}). "
        f"Person by person they hold for {shares['holds']}, fail for {shares['fails']}, and cannot "
        f"be told from chance for {shares['unclear']}{few}. "
        f"{_ON_LATEST[measured.verdict_on_latest]}: the explanation's lead is "
        f"{_difference(measure, lead.mean)} ({_span(measure, lead)}), and it does more for "
        f"{percent(measured.above_latest.mean)} of people and less for "
        f"{percent(measured.below_latest.mean)}."
    )


def base_rate_phrase(rule: str, rate: BaseRate, looked_at: int) -> str:
    """How usual it is what a list of people shows; it was picked with hindsight."""
    if rate.median is None:
        share = rate.meeting / looked_at
        rounded = "under 0.1 %" if 0 < share < 0.0005 else written(share, ".1%")
        return f"for {rounded} of {looked_at:,} people"
    usual = f"{rate.median:,.0f} clicks" if rule == "longest" else percent(rate.median)
    return f"the extremes of {rate.meeting:,} people, whose median is {usual}"


def most_routed_phrase(looked_at: int) -> str:
    """What an expert's list of people is."""
    return f"the largest shares among {looked_at:,} people, so the extremes and not what is usual"


def trust_sentence(preservation: float, neighbours: int, items: int, space: str) -> str:
    """How far a picture of ``items`` items can be trusted, in plain words."""
    kept, by_chance = preservation * neighbours, neighbours / max(items - 1, 1)
    verdict = (
        "groups are real, but look up neighbours in the lists"
        if preservation >= max(0.5, 2 * by_chance)
        else "take groups as hints, and neighbours from the lists only"
        if preservation >= max(0.25, 2 * by_chance)
        else "hardly any neighbourhood survives, so trust the lists only"
    )
    return (
        f"{space}: of an item's {neighbours} nearest items, {kept:.1f} on average are also among "
        f"its {neighbours} nearest in the picture ({percent(preservation)}; by chance "
        f"{_small_percent(by_chance)}); {verdict}."
    )


def _small_percent(share: float) -> str:
    if share >= 0.01:
        return percent(share)
    return written(share, ".1%") if share >= 0.001 else "under 0.1 %"


def above_sentence(found: Sequence[Above], chosen: int) -> str:
    """What chosen items have in common above the base rate, in plain words."""
    if chosen < FEWEST:
        return f"{count(chosen, 'item')}: too few to say what they have in common."
    if not found:
        return (
            f"{count(chosen, 'item')}: no value of the catalogue is clearly more frequent among "
            "them than overall."
        )
    told = "; ".join(
        f"{percent(one.share)} {one.value} ({facet_label(one.facet)}), "
        f"{_small_percent(one.base)} overall"
        for one in found
    )
    return f"{count(chosen, 'item')}: {told}."


_AHEAD = 1.2  # by how much a share has to be larger before it is called ahead


def agreement_sentence(found: Mapping[str, Agreement], called: HeadNames) -> str:
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
            told.setdefault(called.space(first), []).append(said)
    if not told:
        return (
            asked + "Here the heads' nearest items agree alike in all of them: the heads are views "
            "of the same thing, not facets."
        )
    ahead = "; ".join(f"{name} is ahead in {', '.join(parts)}" for name, parts in told.items())
    in_all = " That is in all of them: a better view of the same thing, not another facet."
    everywhere = len(told) == 1 and len(next(iter(told.values()))) == len(found)
    return f"{asked}{ahead}.{in_all if everywhere else ''}"


def because_line(causes: Sequence[str]) -> str:
    """The clicks that an item hangs on, by title, for the line below it."""
    return "no single click speaks for it" if not causes else f"because of {' and '.join(causes)}"


def desk_sentence(desk: Intervention, left_out: int, called: HeadNames) -> str:
    """What has been changed before the list was made; empty where nothing was."""
    said = []
    if left_out:
        said.append(f"{count(left_out, 'item')} left out of the history")
    if desk.gate is not None:
        total = sum(desk.gate)
        shares = ", ".join(
            f"{called.head(head)} {percent(weight / total)}"
            for head, weight in enumerate(desk.gate)
        )
        said.append(f"the gate set to {shares}")
    for verb, pairs in (("muted", desk.muted), ("alone in its head", desk.solo)):
        said += [f"expert {expert + 1} of {called.head(head)} {verb}" for head, expert in pairs]
    return "; ".join(said)


def rule_label(rule: str) -> str:
    """What puts people on a list, as an entry of a menu."""
    shows = RULES[rule].shows
    return shows[0].upper() + shows[1:]


_FIGURES: dict[str, Callable[[Mapping[str, Any], HeadNames], str]] = {
    "one_head_rules": lambda row, called: (
        f"{called.head(row['gate_head'])} has {percent(row['gate'])}"
    ),
    "heads_disagree": lambda row, called: f"{percent(row['shared'])} shared",
    "gate_flips": lambda row, called: f"{percent(row['gate_move'])} of the gate moved",
    "fusion_hits": lambda row, called: f"rank {row['rank']:,}, best head {row['best_head_rank']:,}",
    "one_head_better": lambda row, called: (
        f"{called.head(row['best_head'])} rank {row['best_head_rank']:,}, fused {row['rank']:,}"
    ),
    "longest": lambda row, called: count(row["length"], "click"),
}


def figures_text(rule: str, row: Mapping[str, Any], called: HeadNames) -> str:
    """The figures that put somebody on a list."""
    return _FIGURES[rule](row, called)


def served_phrase(use: ExpertUse, most: int | None = None) -> str:
    """The values that an expert serves above their base rate, with how far; the first ``most``."""
    if not use.values:
        return "no value surely above its base rate"
    told = [
        f"{value_name(value.value)} {value.lift:.1f}× ({value.low:.1f} to {value.high:.1f})"
        for value in use.values[:most]
    ]
    left = len(use.values) - len(told)
    return f"{', '.join(told)}{f' and {left} more' if left else ''}"


def changed_phrase(lists: ExpertLists) -> str:
    """What the lists are with an expert alone in its head and without it, over people."""
    alone = f"alone {percent(lists.alone.stay.mean)} of the first {EXPERT_LIST} items stay"
    if lists.without is None:
        return alone
    if lists.changes_nothing:
        return f"{alone}, without it all do: it changes nothing"
    return f"{alone}, without it {percent(lists.without.stay.mean)}"


def dossier_sentence(
    use: ExpertUse, lists: ExpertLists, people: int, changed: int, *, most: int | None = None
) -> str:
    """Whom an expert serves over everybody, and what it changes.

    Args:
        people: How many the routers were looked at of.
        changed: How many the lists were made anew of.
        most: How many of the values are told; by default all.
    """
    dead = ", so little that it is dead" if use.dead else ""
    serves = f"Their histories have above the base rate: {served_phrase(use, most)}"
    if not use.values:
        serves = "No value is surely above its base rate in the histories that it serves"
    elif not use.named_after:
        serves += ", none of them by enough for a name"
    return (
        f"Over {count(people, 'person').replace('persons', 'people')} it has "
        f"{percent(use.load)} of its head{dead}. {serves}. "
        f"Over {count(changed, 'person').replace('persons', 'people')}, {changed_phrase(lists)}."
    )


def goals_sentence(goals: ExpertGoals, called: HeadNames) -> str:
    """Whether the experts are preferences inside facets, in numbers."""
    if not goals.experts:
        return "This model has no experts."
    wanted = math.ceil(GOAL_PART * goals.experts)
    if not goals.named:
        shares = "no head is a facet yet"
    elif goals.below:
        low = " and ".join(map(called.head, goals.below))
        shares = f"{low} {'has' if len(goals.below) == 1 else 'have'} a share below {GOAL_SHARE}"
    else:
        shares = f"every head that is a facet has a share of at least {GOAL_SHARE}"
    dead = "; ".join(f"{called.head(head)}, expert {expert + 1}" for head, expert in goals.dead)
    return (
        f"Experts as preferences inside facets: goal {'' if goals.reached else 'not '}reached. "
        f"{shares[0].upper()}{shares[1:]}; {f'dead: {dead}' if dead else 'no expert is dead'}. "
        f"{goals.specialised} of {count(goals.experts, 'expert')} have a value at {GOAL_LIFT} "
        f"times its base rate or above, and {wanted} should."
    )


def new_item_sentence(
    thing: str, values: Sequence[str], rank: int, among: int, score: float, k: int
) -> str:
    """Where something would stand that nobody has clicked, itself counted.

    Args:
        thing: What people call an item.
        k: The length of the list.
    """
    listed = f"in the list of {k}" if rank <= k else f"below the list of {k}"
    return (
        f"A new {thing} with {quoted(', '.join(values))} would stand at rank {rank:,} of "
        f"{among:,}, {listed}, with a score of {points(score)} (0 is the average {thing})."
    )
