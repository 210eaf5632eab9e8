"""When a head may be called after a facet: three measures must agree, else it keeps its number.

1. Its list leads every other head's: more of its items have a value in common with the item that
   came next.
2. It beats every control of that in the same way: labels permuted, slices turned, a SASRec's slices
   (of several slices the best one).
3. Its list moves most of all heads' when that facet changes in the histories, and it does move.

Leads of 1 and 2 are paired over people and count where the 95 % interval lies above zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fame.facets.lists import PERMUTED, SASREC, TURNED, ListAgreement
from fame.lens.faithfulness import Estimate, bootstrap_mean

CONTROLS = {
    PERMUTED: "labels permuted",
    TURNED: "the best slice of the turned embedding",
    SASREC: "the best slice of a SASRec",
}


@dataclass(frozen=True)
class Evidence:
    """What speaks for calling one head after one facet.

    Attributes:
        share: Of the head's list, how much agrees with the item that came next.
        leads: Paired differences of that, to the best other head and to every control, by what the
            other is called.
        moved: How far each head's list moves under the facet.
        called: What each head is called as long as it has no name.
    """

    head: int
    facet: str
    share: float
    leads: dict[str, Estimate]
    moved: Sequence[float]
    called: Sequence[str]

    @property
    def lacking(self) -> list[str]:
        """What is missing for a name, with the numbers; nothing where nothing is."""
        lacks = [
            f"{'it is behind' if lead.high < 0 else 'no sure lead over'} {other} ({_points(lead)})"
            for other, lead in self.leads.items()
            if lead.low <= 0
        ]
        most = int(np.argmax(self.moved))
        if most != self.head or self.moved[most] <= 0:
            lacks.append(
                f"its list moves by {self.moved[self.head]:.3f} when {self.facet} changes in the "
                f"histories, that of {self.called[most]} by {self.moved[most]:.3f}"
                if most != self.head
                else f"its list does not move when {self.facet} changes ({self.moved[most]:.3f})"
            )
        return lacks

    @property
    def shown(self) -> str:
        """The figures in a sentence."""
        leads = "; ".join(f"over {other} {_points(lead)}" for other, lead in self.leads.items())
        others = ", ".join(
            f"{moved:.3f}" for head, moved in enumerate(self.moved) if head != self.head
        )
        return (
            f"{self.share:.1%} of its list share a value of {self.facet} with the item that came "
            f"next; leads in points {leads}; its list moves by {self.moved[self.head]:.3f} when "
            f"{self.facet} changes in the histories, the others' by {others}."
        )


@dataclass(frozen=True)
class NamedHead:
    """A head and what it may be called.

    Attributes:
        name: ``None`` where nothing names it.
        facet: The column that it is called after.
        why: The evidence, or what of it is lacking, with the numbers.
    """

    head: int
    name: str | None
    facet: str | None
    why: str


def _points(lead: Estimate) -> str:
    return f"{100 * lead.mean:+z.1f}, 95 % {100 * lead.low:+z.1f} to {100 * lead.high:+z.1f}"


def evidence(
    head: int,
    facet: str,
    agreement: ListAgreement,
    moved: Sequence[float],
    called: Sequence[str],
    *,
    seed: int = 0,
) -> Evidence:
    """Weighs one head against the others and the controls in one facet; needs two heads or more."""
    own_space = f"head_{head}"
    own = agreement.held_out[own_space]

    def lead(others: Sequence[np.ndarray]) -> Estimate:
        return bootstrap_mean(own - max(others, key=np.mean), seed=seed)

    rivals = {
        name: agreement.held_out[f"head_{other}"]
        for other, name in enumerate(called)
        if other != head
    }
    best = max(rivals, key=lambda name: rivals[name].mean())
    leads = {best: lead([rivals[best]])}
    for control, called_so in CONTROLS.items():
        if by_space := agreement.controls.get(control):  # others are shown beside it, not asked
            same_lists = control == PERMUTED
            leads[called_so] = lead(
                [by_space[own_space]] if same_lists else list(by_space.values())
            )
    return Evidence(head, facet, float(own.mean()), leads, moved, called)


def name_heads(
    called: Sequence[str],
    lists: Mapping[str, ListAgreement],
    causes: Mapping[str, Sequence[float]],
    names: Mapping[str, str],
    *,
    free: Sequence[int] = (),
    seed: int = 0,
) -> list[NamedHead]:
    """Names for all heads, by the rule above.

    A head that several facets name has the one with the largest of its smallest leads. Heads that
    would be called the same, as two levels of a category are, have the column behind the name.

    Args:
        called: ``[H]`` what each head is called as long as it has no name.
        lists: :func:`fame.facets.lists.list_agreement`.
        causes: :func:`fame.facets.causes.facet_causes`.
        names: By facet what a head that is it is called.
        free: Heads that were given no facet; called "Free" where nothing else names them.
        seed: Of the intervals.
    """
    if len(called) < 2 or not lists:
        lacks = "No facet is known of the items." if not lists else "There is no other head."
        return [NamedHead(head, None, None, lacks) for head in range(len(called))]
    best = []
    for head in range(len(called)):
        weighed = [
            evidence(head, facet, agreement, causes[facet], called, seed=seed)
            for facet, agreement in lists.items()
        ]
        best.append(
            min(
                weighed,
                key=lambda one: (
                    len(one.lacking),
                    -min(lead.mean for lead in one.leads.values()),
                ),
            )
        )
    given = Counter(names[one.facet] for one in best if not one.lacking)
    found = []
    for one in best:
        if not one.lacking:
            name = names[one.facet]
            name = name if given[name] == 1 else f"{name} ({one.facet})"
            found.append(NamedHead(one.head, name, one.facet, one.shown))
            continue
        why = f"Nearest is {one.facet}, but {'; '.join(one.lacking)}."
        if one.head in free:
            why = f"It was given no facet, and no facet names it. {why}"
        found.append(NamedHead(one.head, "Free" if one.head in free else None, None, why))
    return found
