"""Sentences made from figures; they never say more than the figures hold.

Heads count from 1 for people. Titles come in as they are: whoever shows a sentence escapes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fame.lens.account import ItemAccount
from fame.lens.compare import Comparison
from fame.lens.faithfulness import DeletionCurve, Estimate, Measure, MeasuredFaithfulness, Verdict
from fame.lens.people import BaseRate

_EVEN = 1.15  # a largest share below this many times the even one is called even


def one_line(text: str) -> str:
    return " ".join(str(text).split())


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters, cut at a word where that costs little."""
    text = one_line(text)
    if len(text) <= length:
        return text
    cut = text[: length - 1]
    word = cut.rfind(" ")
    return (cut[:word] if word > length * 0.7 else cut).rstrip(" ,;:-(") + "…"


def quoted(title: str) -> str:
    return f"“{shortened(title, 70)}”"


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %").replace("-", "−")


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def head_name(head: int) -> str:
    """What a head is called as long as no evidence names it; people count from 1."""
    return f"Head {head + 1}"


def points(value: float) -> str:
    """A score to two digits with its sign, a true minus, and none where it rounds to nothing."""
    rounded = f"{value:+.2f}"
    return "0.00" if rounded in ("+0.00", "-0.00") else rounded.replace("-", "−")


def changes(changed: int, k: int) -> str:
    """``7 of the 10 items change``."""
    if k == 1:
        return "the one item changes" if changed else "the one item stays"
    if changed == k:
        return f"all {k} items change"
    return f"{changed or 'none'} of the {k} items {'change' if changed > 1 else 'changes'}"


def history_sentence(length: int, read: int) -> str:
    """How much of the history the model reads."""
    if read < length:
        return f"The model reads the latest {read:,} of {length:,} clicks."
    return (
        "The model has one click to go by." if length == 1 else f"The model reads {length} clicks."
    )


def gate_sentence(gate: Sequence[float] | np.ndarray) -> str:
    """Which head has the largest share of the gate, and whether that is much."""
    if len(gate) == 1:
        return "This model has one head, so nothing is mixed."
    largest = int(np.argmax(gate))
    share = percent(gate[largest])
    if gate[largest] < _EVEN / len(gate):
        low = percent(min(gate))
        every = "both heads" if len(gate) == 2 else f"all {len(gate)} heads"
        return f"The gate weighs {every} about evenly ({low} to {share})."
    return f"The gate gives {head_name(largest)} the largest share, {share}."


def without_head_sentence(
    gate: Sequence[float] | np.ndarray, changed: Sequence[int | None], k: int
) -> str:
    """What the head with the largest share does to the list.

    Args:
        changed: By head how many of the k items change without it; ``None`` where the head has
            all of the gate (:func:`fame.lens.compare.new_without_head`).
    """
    if len(gate) == 1:
        return gate_sentence(gate)
    largest = int(np.argmax(gate))
    name, without = head_name(largest), changed[largest]
    if without is None:
        return f"{name} has all of the gate, so the list is its own."
    if gate[largest] >= _EVEN / len(gate):
        return f"Gate share of {name}: {percent(gate[largest])}; without it {changes(without, k)}."
    most = int(np.argmax([number or 0 for number in changed]))
    said = (
        f"{gate_sentence(gate)[:-1]}; without {head_name(most)}, {changes(changed[most] or 0, k)}"
    )
    if len(gate) > 2:
        return f"{said}, the most for any head."
    return f"{said}; without {head_name(1 - most)}, {changes(changed[1 - most] or 0, k)}."


def held_out_sentence(title: str, rank: int, by_head: Sequence[int], candidates: int) -> str:
    """Where the item stands that the person really chose."""
    start = (
        f"What they really chose next, {quoted(title)}, stands at rank {rank:,} of {candidates:,}"
    )
    if len(by_head) == 1:
        return f"{start}."
    best = int(np.argmin(by_head))
    if by_head[best] < rank:
        return f"{start}; {head_name(best)} alone would have put it at {by_head[best]:,}."
    if rank < by_head[best]:
        return f"{start}, higher than any head alone would have put it."
    return f"{start}, where {head_name(best)} alone puts it too."


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


def account_sentence(account: ItemAccount, title: str, rival_title: str) -> str:
    """Why an item is in the list or not, by the heads' parts of its distance to its rival."""
    start = f"{quoted(title)} stands at rank {account.rank:,} of {account.candidates:,}"
    if account.in_history:
        return f"{start}, but was clicked before, so it is not recommended."
    if account.rival is None:
        return f"{start}."
    side = "ahead of" if account.lead >= 0 else "behind"
    distance = (
        f"{abs(account.lead):.2f} {side} {quoted(rival_title)} at rank {account.rival_rank:,}"
    )
    if len(account.by_head) == 1:
        return f"{start}, {distance}."
    leads = account.by_head["lead"].tolist()
    parts = ", ".join(f"{head_name(head)} {points(lead)}" for head, lead in enumerate(leads))
    return f"{start}, {distance} ({parts})."


def comparison_sentence(comparison: Comparison) -> str:
    """What a change did to the list, and to the held-out item where there is one."""
    moved = (comparison.moves["change"].fillna(0) != 0).any()
    new = comparison.length - comparison.shared
    alike = f"rank-biased overlap {comparison.rbo:.2f}"
    if new:
        verb = "is" if new == 1 else "are"
        said = f"{new} of the {count(comparison.length, 'item')} {verb} new ({alike})"
    elif moved:
        said = f"The same {count(comparison.length, 'item')} in another order ({alike})"
    else:
        said = f"The same {count(comparison.length, 'item')} in the same order"
    if comparison.held_out is None:
        return f"{said}."
    before, after = comparison.held_out
    if before == after:
        return f"{said}; what they really chose next stays at rank {before:,}."
    return f"{said}; what they really chose next moves from rank {before:,} to {after:,}."


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
    return (
        f"{said}: over {measured.people:,} people, removing the first click and those named next "
        f"{more} than the same first click and as many others at random ({_span(measure, area)}). "
        f"Person by person they hold for {shares['holds']}, fail "
        f"for {shares['fails']}, and cannot be told from chance for {shares['unclear']}. "
        f"{_ON_LATEST[measured.verdict_on_latest]}: the explanation's lead is "
        f"{_difference(measure, lead.mean)} ({_span(measure, lead)}), and it "
        f"does more for {percent(measured.above_latest.mean)} of people and less for "
        f"{percent(measured.below_latest.mean)}."
    )


def base_rate_phrase(rule: str, rate: BaseRate, looked_at: int) -> str:
    """How usual it is what a list of people shows; it was picked with hindsight."""
    if rate.median is None:
        share = rate.meeting / looked_at
        rounded = "under 0.1 %" if 0 < share < 0.0005 else f"{share:.1%}".replace("%", " %")
        return f"for {rounded} of {looked_at:,} people"
    usual = f"{rate.median:,.0f} clicks" if rule == "longest" else percent(rate.median)
    return f"the extremes of {rate.meeting:,} people, whose median is {usual}"


def most_routed_phrase(looked_at: int) -> str:
    """What an expert's list of people is."""
    return f"the largest shares among {looked_at:,} people, so the extremes and not what is usual"
