"""What the Facets page says above its charts, made from the figures it draws.

Heads come as ``names``, ``[H]`` as people read them; facets by their column. Whoever shows a
sentence escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

from fame.facets.disentanglement import Disentanglement
from fame.facets.experts import ExpertUse
from fame.facets.forming import Formed
from fame.facets.lists import PERMUTED, PROJECTED, SASREC, TURNED, UNTRAINED
from fame.facets.matching import Match, Matching
from fame.facets.naming import NamedHead
from fame.facets.redundancy import Pair, Redundancy
from fame.facets.use import Cohort, Use
from fame.lens.faithfulness import Estimate
from fame.presentation.names import facet_label, facet_name
from fame.presentation.text import count, percent, written

CONTROLS = {  # as the legend of a chart calls them
    PERMUTED: "Labels permuted",
    TURNED: "Turned slices",
    PROJECTED: "Random projection",
    SASREC: "SASRec slices",
    UNTRAINED: "Untrained model",
}
_EXPLAINED = {
    PERMUTED: "values permuted among items of like popularity",
    TURNED: "the whole embedding turned at random and cut into as many slices",
    PROJECTED: "the same projected at random to a head's width",
    SASREC: "a SASRec of the same data cut likewise",
    UNTRAINED: "a model of the same shape with random weights",
}


def controls_explained(controls: Collection[str]) -> str:
    """What the grey marks are, of those that were measured."""
    marks = "; ".join(told for control, told in _EXPLAINED.items() if control in controls)
    return (
        f"Grey marks are controls, which know nothing of facets: {marks}. Of several slices the "
        "best one is drawn. Bars are 95 % intervals; a name goes by differences person by person, "
        "which are surer."
    )


def rule_sentence(controls: Collection[str]) -> str:
    """When a head is called after a facet (:mod:`fame.facets.naming`), by what was measured."""
    cut = SASREC in controls
    rivals = "the turned embedding and a SASRec's slices" if cut else "and the turned embedding"
    return (
        "A head is called after a facet where its list agrees in it with the item that came next "
        f"more than every other head's, beats labels permuted{',' if cut else ''} {rivals}, and "
        "moves most when that facet changes in the histories. Random projections and the untrained "
        "model are drawn below, not asked."
    )


def names_sentence(heads: Sequence[NamedHead], names: Sequence[str]) -> str:
    """How many heads have a name, and which."""
    facets = [head for head in heads if head.facet]
    if not heads:
        return "This model ranks with one query, so there is no head that could be a facet."
    if not facets:
        return f"No head has a name: of {count(len(heads), 'head')}, nothing beats every control."
    listed = ", ".join(f"{names[head.head]} (head {head.head + 1})" for head in facets)
    verb = "is a facet" if len(facets) == 1 else "are facets"
    return f"{len(facets)} of {count(len(heads), 'head')} {verb} by all three tests: {listed}."


def best_control(controls: Mapping[str, Mapping[str, Estimate]], head: int) -> tuple[str, Estimate]:
    """The control that comes nearest, or ahead: its legend and its figure.

    Permuted labels are held against the same head, other controls by their best slice. The
    untrained model is no rival: what it has says how a model is built, not what it learned.
    """
    space = f"head_{head}"
    found = [
        (CONTROLS[name], by_space[space] if name == PERMUTED else _best(by_space))
        for name, by_space in controls.items()
        if name != UNTRAINED
    ]
    return max(found, key=lambda pair: pair[1].mean)


def in_words(control: str) -> str:
    """A control in the middle of a sentence."""
    return control if control.startswith("SASRec") else control[0].lower() + control[1:]


def _best(by_space: Mapping[str, Estimate]) -> Estimate:
    return max(by_space.values(), key=lambda one: one.mean)


def lead_sentence(
    evidence: Mapping[str, tuple[Mapping[str, Estimate], Mapping[str, Mapping[str, Estimate]]]],
    names: Sequence[str],
    said: str,
) -> str:
    """In which facets the best head is ahead of every control, and where a control is as good.

    What the untrained model has is told behind it.

    Args:
        evidence: By facet, the estimates by space and by control and space.
        said: By what, as in "by its list".
    """
    ahead, behind, untrained = [], [], []
    for facet, (spaces, controls) in evidence.items():
        heads = {int(s.removeprefix("head_")): e for s, e in spaces.items() if s != "all"}
        if not heads:
            return "This model has no heads of its own, so there is one row a facet."
        best = max(heads, key=lambda head: heads[head].mean)
        rival, figure = best_control(controls, best)
        pair = f"{percent(heads[best].mean)} against {percent(figure.mean)} of {in_words(rival)}"
        if heads[best].mean > figure.mean:
            overlap = ", intervals overlap" if heads[best].low <= figure.high else ""
            ahead.append(f"{facet_label(facet)}: {names[best]}, {pair}{overlap}")
        else:
            behind.append(f"{facet_label(facet)} ({names[best]}, {pair})")
        if UNTRAINED in controls:
            share = percent(_best(controls[UNTRAINED]).mean)
            untrained.append(f"{share} in {facet_label(facet)}")
    told = f"No head is ahead of every control {said}."
    if ahead:
        told = f"Best head and nearest control {said}: {'; '.join(ahead)}."
    if behind:
        told += f" A control is as good as any head in {'; '.join(behind)}."
    if untrained:
        told += f" By how it is built alone, untrained, the model has {', '.join(untrained)}."
    return told


def causes_sentence(causes: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    """Which heads listen to one facet above all others, and more than all other heads.

    The levels of a category are one facet.
    """
    if not names or not causes:
        return "Nothing could be exchanged in the histories."
    alone = []
    for head, name in enumerate(names):
        moved = {facet: by_head[head] for facet, by_head in causes.items()}
        first = max(moved, key=lambda facet: moved[facet])
        rest = [moved[facet] for facet in moved if facet_name(facet) != facet_name(first)]
        above_others = not rest or moved[first] >= 2 * max(rest)
        if moved[first] > 0 and above_others and moved[first] >= max(causes[first]):
            alone.append(f"{name} to {facet_label(first)} ({moved[first]:.2f})")
    if not alone:
        return (
            "No head listens to one facet at least twice as much as to any other, and more than "
            "every other head."
        )
    verb = "listens" if len(alone) == 1 else "listen"
    return (
        f"{len(alone)} of {count(len(names), 'head')} {verb} to one facet at least twice as much "
        f"as to any other, and more than every other head: {'; '.join(alone)}."
    )


CAUTION = (
    "These measures can score entangled models highly, so none is a headline. As published, DCI "
    "disentanglement on ML-1M is .157 for PureSVD, .186 for MultiVAE and .121 for MacridVAE, which "
    "was built to be disentangled (Dervishaj and others, ECIR 2025). That is another protocol, "
    "single numbers of user codes against 20 clusters of the tag genome, and not to be compared "
    "with ours: whole heads of item codes against the catalogue's facets."
)


def disentanglement_sentence(apart: Disentanglement) -> str:
    """The figures of the heads, each with the control that comes nearest."""
    parts = []
    for figure, label in FIGURES_APART.items():
        own = getattr(apart.own, figure)
        if own is None:
            continue
        rivals = {
            CONTROLS[name]: getattr(scores, figure) for name, scores in apart.controls.items()
        }
        best = max(rivals, key=lambda name: rivals[name])
        interval = apart.own.intervals.get(figure)
        span = f", {interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
        parts.append(f"{label} {own:.2f}{span} (best control {rivals[best]:.2f}, {in_words(best)})")
    if not parts:
        return "With one head and one facet there is nothing that could come apart."
    facets = ", ".join(facet_label(facet) for facet in apart.facets)
    said = f"{'; '.join(parts)}; over {apart.items:,} items and the facets {facets}."
    untrained, own = apart.controls.get(UNTRAINED), apart.own
    higher = [
        label
        for figure, label in FIGURES_APART.items()
        if untrained is not None
        and (getattr(untrained, figure) or 0) > max((getattr(own, figure) or 0) + 0.01, _CLEARLY)
    ]
    if higher:
        said += (
            f" In {', '.join(higher)} the model scores higher untrained: what comes apart is how "
            "it is built, not what it learned."
        )
    return said


_CLEARLY = 0.1  # a figure below that is no sign of anything
FIGURES_APART = {
    "disentanglement": "DCI disentanglement",
    "completeness": "DCI completeness",
    "mig": "MIG",
    "sap": "SAP",
}
SHARED = {  # what two heads are compared by: label, and what the axis says
    "overlap": ("Lists", "Share of the 20 listed items that two heads have in common"),
    "rbo": ("Lists, first ranks most", "Rank-biased overlap of the two lists of 20 (p = 0.9)"),
    "embeddings": ("Items", "Linear CKA of their sub-embeddings of items"),
    "states": ("People", "Linear CKA of their states over people"),
}


def redundancy_sentence(found: Redundancy, names: Sequence[str], by: str) -> str:
    """The pair that is most alike, and the controls where lists are compared."""
    if not found.pairs:
        return "This model has one head, so no two can say the same."
    most = max(found.pairs, key=lambda pair: shared_by(pair, by).mean)
    value = shared_by(most, by)
    pair = " and ".join(names[head] for head in most.heads)
    said = {
        "overlap": f"{percent(value.mean)} of their 20 listed items in common",
        "rbo": f"a rank-biased overlap of {value.mean:.2f}",
        "embeddings": f"a linear CKA of {value.mean:.2f} over items",
        "states": f"a linear CKA of {value.mean:.2f} over people",
    }[by]
    start = f"{pair} have {said}"
    if len(found.pairs) > 1:
        start = f"Most alike are {pair}: they have {said}"
    if by != "overlap" or not found.controls:
        return f"{start}."
    rivals = "; ".join(
        f"{in_words(CONTROLS[name])} {percent(one.mean)}" for name, one in found.controls.items()
    )
    return f"{start}. Slices that know nothing of heads: {rivals}."


def shared_by(pair: Pair, by: str) -> Estimate:
    """What two heads share by one of :data:`SHARED`; a CKA has no interval."""
    value = getattr(pair, by)
    return value if isinstance(value, Estimate) else Estimate(value, math.nan, math.nan)


CKA_FAULT = (
    "Linear CKA has a known fault: the few directions in which rows differ most decide it, so a "
    "handful of outlying rows can move it at will. It has no interval here."
)


def gate_use_sentence(used: Use, names: Sequence[str]) -> str:
    """Who has most of the gate, how that spreads, and how it moves with the history."""
    if len(names) == 1:
        return "This model has one head, so it has all of the gate."
    most = max(range(len(names)), key=lambda head: used.gate[head].mean.mean)
    own = used.gate[most]
    low, high = own.quantiles[0], own.quantiles[-1]
    said = (
        f"{names[most]} has {percent(own.mean.mean)} of the gate on average, {percent(low)} to "
        f"{percent(high)} for the middle 90 % of {used.people:,} people, and the largest share for "
        f"{percent(own.largest)}"
    )
    first, last = own.by_length[0], own.by_length[-1]
    if len(own.by_length) < 2:
        return f"{said}."
    if first.low > last.high or last.low > first.high:
        return (
            f"{said}; its share moves from {percent(first.mean)} after the shortest histories to "
            f"{percent(last.mean)} after the longest."
        )
    return f"{said}; it does not surely move with the length of the history."


def accuracy_sentence(cohort: Cohort, names: Sequence[str], figure: str) -> str:
    """The fused list, the best head alone, and the head that is missed most."""
    found = cohort.accuracy[figure]
    best = max(range(len(names)), key=lambda head: found.alone[head].mean)
    who = "one person" if cohort.people == 1 else f"{cohort.people:,} people"
    start = f"Over {who}, the fused list has {figure} {found.fused.mean:.3f}"
    if not found.lost:
        return f"{start}; it is the one head's own."
    most = max(range(len(names)), key=lambda head: found.lost[head].mean)
    lost = found.lost[most]
    surely = (
        "surely a loss" if lost.low > 0 else "surely a gain" if lost.high < 0 else "no sure loss"
    )
    return (
        f"{start}; the best head alone, {names[best]}, {found.alone[best].mean:.3f}. Missed most "
        f"is {names[most]}: without it {figure} changes by {_signed(-lost.mean)} "
        f"({_signed(-lost.high)} to {_signed(-lost.low)}), {surely}."
    )


def cohorts_sentence(
    cohorts: Sequence[Cohort], labels: Sequence[str], names: Sequence[str], figure: str
) -> str:
    """Among cohorts of people, whom each head is missed by most; nothing with one head.

    Args:
        labels: What the cohorts are called.
    """
    told = []
    for head, name in enumerate(names):
        lost = [cohort.accuracy[figure].lost for cohort in cohorts]
        if not all(lost) or len(cohorts) < 2:
            return ""
        most = max(range(len(cohorts)), key=lambda at: lost[at][head].mean)
        one = lost[most][head]
        surely = "" if one.low > 0 else ", not surely"
        told.append(f"{name} by “{labels[most]}” ({_signed(-one.mean)}{surely})")
    return f"Who misses each head most, by {figure} without it: {'; '.join(told[:_MOST_TOLD])}."


def _signed(value: float) -> str:
    return written(value, "+z.3f")


def experts_sentence(
    experts: Sequence[ExpertUse], shares: Sequence[float | None], names: Sequence[str]
) -> str:
    """How far people and experts go together, dead experts, and how many serve something."""
    if not any(share is not None for share in shares):
        return "Every head has one expert, so nobody is shared out."
    said = ", ".join(
        f"{name} {share:.2f}"
        for name, share in zip(names, shares, strict=True)
        if share is not None
    )
    dead = sum(expert.dead for expert in experts)
    serving = sum(bool(expert.values) for expert in experts)
    return (
        f"How far people and experts go together, from 0 (the router is the same for everybody) to "
        f"1 (each person has one expert): {said}. {serving} of {count(len(experts), 'expert')} "
        f"{'serves' if serving == 1 else 'serve'} some value above chance, and {dead or 'none'} "
        f"{'is' if dead in (0, 1) else 'are'} dead."
    )


FORMING = {  # what forms over epochs: label, and what the axis says
    "lists": ("Lists", "Listed items that agree"),
    "tables": ("Nearest items", "Nearest items that agree"),
    "gate": ("Gate", "Mean share of the gate"),
    "experts": ("Experts", "People and experts together"),
}
_TOLD = 3  # facets in a sentence


def formed_by(one: Formed, kind: str) -> dict[str, dict[str, float]]:
    """By facet and space one of :data:`FORMING`; the facet is empty where it is a head's alone."""
    if kind in ("lists", "tables"):
        return one.lists if kind == "lists" else one.tables
    shares = one.gate if kind == "gate" else one.expert_share
    own = {f"head_{head}": share for head, share in enumerate(shares) if share is not None}
    return {"": own} if own else {}


def forming_sentence(formed: Mapping[int, Formed], names: Sequence[str], kind: str) -> str:
    """How far each facet, or each head, has come since the first epoch.

    Args:
        formed: By epoch, at least one; the kind is there in the last one.
    """
    begin, end = min(formed), max(formed)
    first, last = formed_by(formed[begin], kind), formed_by(formed[end], kind)
    when = f"From epoch {begin} to {end}" if begin < end else f"After epoch {end}"
    if kind in ("gate", "experts"):
        number = percent if kind == "gate" else "{:.2f}".format
        own = last[""]
        heads = sorted(own, key=lambda space: -own[space])[: 2 * _TOLD]
        said = "; ".join(
            _moved(names[_head(space)], first.get("", {}).get(space), own[space], number)
            for space in heads
        )
        if kind == "gate":
            return f"{when}, the heads' mean shares of the gate: {said}."
        dead = sum(formed[end].dead)
        dead_experts = f"{dead or 'No'} {'expert is' if dead <= 1 else 'experts are'} dead."
        return (
            f"{when}, how far people and experts go together (0: the router is the same for "
            f"everybody): {said}. {dead_experts}"
        )
    best = {}
    for facet, shares in last.items():
        heads = [space for space in shares if space not in ("all", "chance")] or ["all"]
        best[facet] = max(heads, key=shares.__getitem__)
    ahead = sorted(best, key=lambda facet: last[facet]["chance"] - last[facet][best[facet]])[:_TOLD]
    said = "; ".join(
        f"{facet_label(facet)}: "
        + _moved(
            "the whole" if best[facet] == "all" else names[_head(best[facet])],
            first.get(facet, {}).get(best[facet]),
            last[facet][best[facet]],
            percent,
        )
        + f" (chance {percent(last[facet]['chance'])})"
        for facet in ahead
    )
    what = "listed items that share a value with what came next"
    if kind == "tables":
        what = "nearest items that share a value"
    return f"{when}, {what}, by the best head: {said}."


def _head(space: str) -> int:
    return int(space.removeprefix("head_"))


def _moved(name: str, before: float | None, now: float, number: Callable[[float], str]) -> str:
    """``Genre 41 % to 56 %``; one figure where it reads the same, or where there was none."""
    if before is None or number(before) == number(now):
        return f"{name} {number(now)}"
    return f"{name} {number(before)} to {number(now)}"


COMPARED = {  # what two checkpoints are compared by: label, and what the axis says
    "matches": ("Lists in common", "Share of the 20 listed items that both have"),
    "ranking": ("Ranking", "NDCG@10 of the fused list, and of each head alone"),
    "lists": ("Lists", "Listed items that share a value with the item that came next"),
    "tables": ("Nearest items", "Nearest items that share a value"),
    "causes": ("Causes", "How much further the list moves when the facet changes"),
    "gate": ("Gate", "Mean share of the gate"),
    "overlap": ("Redundancy", "Listed items that two heads of one model have in common"),
}


def match_label(match: Match, first: Sequence[str], second: Sequence[str]) -> str:
    """``Genre · Head 2``: what two matched heads are called, once where they are called alike."""
    names = first[match.first], second[match.second]
    return names[0] if names[0] == names[1] else " · ".join(names)


def matching_sentence(
    found: Matching, first: Sequence[str], second: Sequence[str], other: str
) -> str:
    """Which head goes with which, how far, and which have no counterpart.

    Args:
        first, second: Names of the heads of the two models.
        other: What the second checkpoint is called.
    """
    fused = found.fused.overlap.mean
    said = (
        f"Over {found.people:,} people, this checkpoint and {other} have {percent(fused)} of "
        f"their 20 items in common"
    )
    if not found.matches:
        return f"{said}; one of the two has no heads of its own, so no heads are matched."
    chance = found.fused.chance.mean
    told = "; ".join(
        f"{first[one.first]} goes with {second[one.second]} ({percent(one.overlap.mean)}, "
        f"{percent(one.chance.mean)} by chance)"
        for one in sorted(found.matches, key=lambda one: -one.overlap.mean)[:_MOST_TOLD]
    )
    alone = max(len(first), len(second)) - len(found.matches)
    stays = f" {count(alone, 'head')} of the larger model" if alone else ""
    rest = f"{stays} {'has' if alone == 1 else 'have'} no counterpart." if alone else ""
    return f"{said} ({percent(chance)} by chance). Of the heads, {told}.{rest}"


_MOST_TOLD = 4  # matches in a sentence


def beside_sentence(
    rows: Sequence[tuple[str, Estimate, Estimate]], number: str = ".3f", *, intervals: bool = True
) -> str:
    """Where two checkpoints differ most, and whether surely: what is compared, each one's figure.

    Args:
        rows: A label and the figures of the first and of the second.
        number: How a figure is told.
        intervals: Whether the figures have any.
    """
    ordered = sorted(rows, key=lambda row: -abs(row[1].mean - row[2].mean))
    apart = [row for row in ordered if row[1].high < row[2].low or row[2].high < row[1].low]
    if intervals and not apart:
        many = "the two intervals overlap" if len(rows) == 1 else f"all {len(rows)} pairs overlap"
        return f"Nowhere do the two differ surely: {many}."
    told = "; ".join(
        f"{label} {written(one.mean, number)} against {written(other.mean, number)}"
        for label, one, other in (apart if intervals else ordered)[:_MOST_TOLD]
    )
    if not intervals:
        return f"The two differ most in: {told}."
    return f"The two surely differ in {len(apart)} of {len(rows)}, most in: {told}."
