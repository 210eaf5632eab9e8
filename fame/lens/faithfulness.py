"""Is the explanation true? Taking away what it names must hurt more than taking away anything else.

The explanation under test is the ranking of past clicks by what leaving each one out does
(:mod:`fame.lens.influence`). The first k of that ranking are removed together, for k = 1, 2, ..,
and set against removing k clicks drawn at random. What counts is the area between the curves.

k = 1 is drawn but not counted: the most influential click was *found* by leaving single clicks
out, so there it wins by construction. From k = 2 on it is a claim that can fail, because clicks
stand in for one another.

Shapes: ``K`` clicks removed at most · ``R`` random orders · ``U`` people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fame.candidates import Repeats, only_candidates
from fame.lens.influence import Influence, history_influence, item_effects, leaving, list_order
from fame.lens.reading import contributions, fused_scores, read_histories, top_lists
from fame.models.sequence_model import Intervention, SequenceModel

Measure = Literal["list", "item"]
MEASURES: dict[Measure, str] = {
    "list": "share of the list replaced",
    "item": "loss of the first item's score",
}
Verdict = Literal["holds", "unclear", "fails"]
MOST_REMOVED = 10
_COUNTED_FROM = 2
_ROUNDING = 1e-4  # an area as small as this is what float32 makes of nothing


@dataclass(frozen=True)
class DeletionCurve:
    """What removing clicks does to a list, or to the item at its top.

    Attributes:
        measure: ``list``: the share of the fused list that leaves it; ``item``: the loss of the
            first item's centred fused score, in points of score.
        removed: ``(K,)`` items of the history in the order in which the explanation removes them.
        influential: ``(K + 1,)`` effect of removing the first 0, 1, .., K of them.
        latest: ``(K + 1,)`` the same for the latest clicks: what somebody would guess who knows
            nothing but that the latest clicks count most. Shown, not judged.
        random: ``(R, K + 1)`` the same along R random orders.
    """

    measure: Measure
    removed: np.ndarray
    influential: np.ndarray
    latest: np.ndarray
    random: np.ndarray

    @property
    def areas(self) -> np.ndarray:
        """``(R,)`` mean height of the explanation's curve above each random one, over k >= 2."""
        return (self.influential - self.random)[:, _COUNTED_FROM:].mean(1)

    @property
    def lead_on_latest(self) -> float:
        """Mean height of the explanation's curve above that of the latest clicks, over k >= 2."""
        return float((self.influential - self.latest)[_COUNTED_FROM:].mean())

    @property
    def area(self) -> float:
        """Mean of :attr:`areas`."""
        return float(self.areas.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 % of :attr:`areas`: what other random orders would have shown."""
        low, high = np.quantile(self.areas, [0.025, 0.975])
        return float(low), float(high)

    @property
    def verdict(self) -> Verdict:
        return verdict(*self.interval)


def verdict(low: float, high: float) -> Verdict:
    """What an interval of the area says: ``holds`` where all of it is above 0, ``fails`` below."""
    if low > _ROUNDING:
        return "holds"
    return "fails" if high < -_ROUNDING else "unclear"


def deletion_curves(
    model: SequenceModel,
    influence: Influence,
    *,
    intervention: Intervention | None = None,
    draws: int = 20,
    seed: int = 0,
) -> dict[Measure, DeletionCurve]:
    """Both curves of one history, from one batch of ``(R + 3) K`` sequences.

    Args:
        influence: Of the history, made with the same intervention.
        draws: R, random orders; all items of the influence are equally likely in each place.

    Returns:
        By measure; empty where the influence has fewer than 3 items: taking 2 away and leaving 1
        is the least that can be tested.
    """
    history, n = influence.history, len(influence.items)
    most = min(MOST_REMOVED, n - 1)
    if most < _COUNTED_FROM or not len(influence.fused):
        return {}
    top = influence.fused[:1]
    by_item = np.argsort(-item_effects(model, influence, top)[:, 0].sum(-1), kind="stable")
    orders: dict[Measure, np.ndarray] = {"list": list_order(model, influence), "item": by_item}
    rng = np.random.default_rng(seed)
    latest_first = np.arange(n)[::-1]
    rows = [*orders.values(), latest_first, *(rng.permutation(n) for _ in range(draws))]
    variants = [
        history[~np.isin(history, influence.items[row[:count]])]
        for row in rows
        for count in range(1, most + 1)
    ]
    readings = read_histories(model, variants, intervention=intervention)
    known = [history] * len(variants)
    scores = only_candidates(fused_scores(model, readings), known, influence.repeats)
    left = leaving(influence.fused, top_lists(scores, len(influence.fused))) / len(influence.fused)
    before = contributions(model, influence.readings[:1], top).sum()
    loss = before - contributions(model, readings, top)[:, 0].sum(-1)
    effects = {"list": left, "item": loss}
    curves: dict[Measure, DeletionCurve] = {}
    for own, measure in enumerate(orders):
        curve = np.pad(effects[measure].reshape(len(rows), most), ((0, 0), (1, 0)))
        curves[measure] = DeletionCurve(
            measure=measure,
            removed=influence.items[orders[measure][:most]],
            influential=curve[own],
            latest=curve[len(orders)],
            random=curve[len(orders) + 1 :],
        )
    return curves


@dataclass(frozen=True)
class Estimate:
    """A mean over people with a 95 % interval from drawing the people anew."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, *, draws: int = 2000, seed: int = 0) -> Estimate:
    """Percentile bootstrap of a mean over people ``(U,)``, at least one."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(values), size=(draws, len(values)))
    low, high = np.quantile(values[chosen].mean(1), [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class CurvePoint:
    """Mean effects over ``people`` of removing ``removed`` clicks of their histories."""

    removed: int
    people: int
    influential: float
    latest: float
    random: float


@dataclass(frozen=True)
class MeasuredFaithfulness:
    """One measure over many people.

    Attributes:
        people: How many were tested; those with too short a history are not.
        above_zero: Share of people whose area is above 0.
        above_latest, below_latest: Shares of people for whom it does more, or less, than removing
            the latest clicks; for the rest the two are level.
        area: Mean area; its verdict is the checkpoint's.
        curve: Mean curves over the people in whose histories k clicks can be removed.
    """

    people: int
    above_zero: Estimate
    above_latest: Estimate
    below_latest: Estimate
    area: Estimate
    curve: list[CurvePoint]

    @property
    def verdict(self) -> Verdict:
        return verdict(self.area.low, self.area.high)


def faithfulness_of_people(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    *,
    k: int = 10,
    draws: int = 5,
    seed: int = 0,
    repeats: Repeats = "exclude",
    on_person: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Measure, MeasuredFaithfulness]:
    """Tests the explanations of many people; empty where no history is long enough.

    Args:
        histories: One a person, ``(length,)`` item indices each.
        draws: Random orders a person; person i draws with seed ``seed + i``.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        on_person: Called with how many are done, and of how many.
    """
    curves: dict[Measure, list[DeletionCurve]] = {measure: [] for measure in MEASURES}
    for done, history in enumerate(histories):
        influence = history_influence(model, history, k, repeats=repeats)
        found = deletion_curves(model, influence, draws=draws, seed=seed + done)
        for measure, curve in found.items():
            curves[measure].append(curve)
        on_person(done + 1, len(histories))
    return {measure: _over_people(found, seed) for measure, found in curves.items() if found}


def _over_people(curves: list[DeletionCurve], seed: int) -> MeasuredFaithfulness:
    areas = np.array([curve.area for curve in curves])
    leads = np.array([curve.lead_on_latest for curve in curves])
    means = []
    for count in range(max(len(curve.influential) for curve in curves)):
        there = [curve for curve in curves if len(curve.influential) > count]
        means.append(
            CurvePoint(
                removed=count,
                people=len(there),
                influential=float(np.mean([curve.influential[count] for curve in there])),
                latest=float(np.mean([curve.latest[count] for curve in there])),
                random=float(np.mean([curve.random[:, count].mean() for curve in there])),
            )
        )
    return MeasuredFaithfulness(
        people=len(curves),
        above_zero=bootstrap_mean((areas > _ROUNDING).astype(float), seed=seed),
        above_latest=bootstrap_mean((leads > _ROUNDING).astype(float), seed=seed),
        below_latest=bootstrap_mean((leads < -_ROUNDING).astype(float), seed=seed),
        area=bootstrap_mean(areas, seed=seed),
        curve=means,
    )
