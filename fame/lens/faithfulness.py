"""Is the explanation true? Taking away what it names must hurt more than taking away anything else.

The explanation under test is the ranking of past clicks by what leaving each one out does
(:mod:`fame.lens.influence`). The first k of that ranking are removed together, for k = 1, 2, ..,
and set against removing k clicks in random orders. What counts is the area between the curves.

The most influential click was *found* by leaving single clicks out, so removing it alone wins by
construction, and every larger set of the explanation holds it. So **every order begins with that
click**, the random ones and that of the latest clicks too: k = 1 is the same for all, and what is
tested from k = 2 on is what the explanation says beyond its first click. That can fail, because
clicks stand in for one another.

The verdict on one history is an exact permutation test: under the hypothesis that the explanation
orders the clicks after the first no better than chance, its area is as likely to have any rank
among those of the R random orders. It gets a verdict only where at most 1 in 40 of the R + 1 orders
lie as far out or further on that side, itself among them and ties counted as further out. So a
random explanation ``holds`` for at most 2.5 % of people and ``fails`` for at most 2.5 %.

Shapes: ``n`` items that can be removed · ``K`` of them removed at most · ``R`` random orders ·
``U`` people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fame.lens.influence import Influence, history_influence, item_effects, list_order
from fame.lens.reading import contributions, fused_scores, read_histories
from fame.models.sequence_model import Intervention, SequenceModel
from fame.ranking import Repeats, leaving, only_candidates, top_lists

Measure = Literal["list", "item"]
MEASURES: dict[Measure, str] = {
    "list": "share of the list replaced",
    "item": "loss of the first item's score",
}
Verdict = Literal["holds", "unclear", "fails"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
DRAWS = 200  # random orders a person
MOST_REMOVED = 10
_COUNTED_FROM = 2
_ONE_IN = 40  # orders that may lie at or beyond the explanation on one side: 2.5 %
_JUDGED_FROM = 5  # clicks removed: fewer have not as many orders
_ROUNDING = 1e-4  # an area as small as this is what float32 makes of nothing
_LISTS = 512  # whose scores over the whole catalogue are held at a time


@dataclass(frozen=True)
class DeletionCurve:
    """What removing clicks does to a list, or to the item at its top.

    Attributes:
        measure: ``list``: the share of the fused list that leaves it; ``item``: the loss of the
            first item's centred fused score, in points of score.
        removed: ``(K,)`` items of the history in the order in which the explanation removes them.
        influential: ``(K + 1,)`` effect of removing the first 0, 1, .., K of them.
        latest: ``(K + 1,)`` the same for the explanation's first click and then the latest ones:
            what somebody would guess who knows nothing but that the latest clicks count most.
            Shown, not judged.
        random: ``(R, K + 1)`` the same for its first click and then the others in R random orders.
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
    def can_be_judged(self) -> bool:
        """Whether there are enough orders, K! at least, for the best of them to stand out."""
        return len(self.removed) >= _JUDGED_FROM

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
        """The middle 95 % of :attr:`areas` and of 0, the explanation set against itself.

        With one in 40 of these R + 1 taken off at either end, all that is left lies above 0
        exactly where the rank test says ``holds``, and below it where that says ``fails``.
        """
        differences = np.sort(np.append(self.areas, 0.0))
        cut = len(differences) // _ONE_IN
        return float(differences[cut]), float(differences[-1 - cut])

    @property
    def verdict(self) -> Verdict:
        """Of the rank test; ``unclear`` with fewer than 39 random orders whatever they show."""
        return verdict(*self.interval)


def verdict(low: float, high: float) -> Verdict:
    """What an interval of the area says: ``holds`` where all of it is above 0, ``fails`` below."""
    if low > _ROUNDING:
        return "holds"
    return "fails" if high < -_ROUNDING else "unclear"


def explained_orders(model: SequenceModel, influence: Influence) -> dict[Measure, np.ndarray]:
    """By measure ``(n,)`` rows of the influence in the order in which the explanation names them.

    Empty where the influence has fewer than 3 items: taking 2 away and leaving 1 is the least that
    can be tested.
    """
    if len(influence.items) <= _COUNTED_FROM or not len(influence.fused):
        return {}
    loss = item_effects(model, influence, influence.fused[:1])[:, 0].sum(-1)
    return {"list": list_order(model, influence), "item": np.argsort(-loss, kind="stable")}


def deletion_curves(
    model: SequenceModel,
    influence: Influence,
    *,
    orders: Mapping[Measure, np.ndarray] | None = None,
    intervention: Intervention | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[Measure, DeletionCurve]:
    """The curves of one history. Sets of clicks that several orders remove are read once.

    Args:
        influence: Of the history, made with the same intervention.
        orders: By measure the explanation under test, ``(n,)`` rows of the influence each; where
            none is given that of :func:`explained_orders`.
        draws: R, random orders; after the explanation's first click all other items of the
            influence are equally likely in each place.

    Returns:
        By measure; empty where :func:`explained_orders` is.
    """
    explained = explained_orders(model, influence)
    if orders is not None and explained:
        explained = dict(orders)
    if not explained:
        return {}
    n = len(influence.items)
    most = min(MOST_REMOVED, n - 1)
    rng = np.random.default_rng(seed)
    permuted = np.array([rng.permutation(n - 1) for _ in range(draws)])
    rows = []  # an order each: for every measure the explanation's, the latest, R random ones
    for order in explained.values():
        first, others = order[0], np.delete(np.arange(n), order[0])
        rows += [order, np.append(first, others[::-1])]
        rows += [np.append(first, others[drawn]) for drawn in permuted]
    places = np.argsort(rows, axis=1)  # of every row of the influence in every order
    masks = (places[:, None] < np.arange(1, most + 1)[:, None]).reshape(-1, n)
    removed, of_mask = np.unique(masks, axis=0, return_inverse=True)
    effects = _effects(model, influence, removed, intervention)
    curves: dict[Measure, DeletionCurve] = {}
    for own, (measure, order) in enumerate(explained.items()):
        heights = effects[measure][of_mask.reshape(len(rows), most)]
        own_rows = heights[own * (draws + 2) : (own + 1) * (draws + 2)]
        curve = np.pad(own_rows, ((0, 0), (1, 0)))
        curves[measure] = DeletionCurve(
            measure=measure,
            removed=influence.items[order[:most]],
            influential=curve[0],
            latest=curve[1],
            random=curve[2:],
        )
    return curves


def _effects(
    model: SequenceModel,
    influence: Influence,
    removed: np.ndarray,
    intervention: Intervention | None,
) -> dict[Measure, np.ndarray]:
    """By measure ``(S,)``: what removing each of the sets ``removed (S, n)`` of items does."""
    history, fused = influence.history, influence.fused
    row_of = np.full(len(history), len(influence.items))  # of a click; one more for older items
    for row, places in enumerate(influence.places):
        row_of[list(places)] = row
    kept = ~np.pad(removed, ((0, 0), (0, 1)))[:, row_of]
    readings = read_histories(model, [history[keep] for keep in kept], intervention=intervention)
    left = []
    for begin in range(0, len(readings), _LISTS):
        part = readings[begin : begin + _LISTS]
        known = [history] * len(part)
        scores = only_candidates(fused_scores(model, part), known, influence.repeats)
        left.append(leaving(fused, top_lists(scores, len(fused))) / len(fused))
    top = fused[:1]
    before = contributions(model, influence.readings[:1], top).sum()
    loss = before - contributions(model, readings, top)[:, 0].sum(-1)
    return {"list": np.concatenate(left), "item": loss}


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
        verdicts: Shares of people with each verdict on their own explanation. Of a random
            explanation at most 2.5 % hold and 2.5 % fail.
        above_zero: Share of people whose area is above 0; about half, of a random explanation.
        above_latest, below_latest: Shares of people for whom it does more, or less, than removing
            its first click and then the latest ones; for the rest the two are level.
        lead_on_latest: Mean of :attr:`DeletionCurve.lead_on_latest`.
        area: Mean area; its verdict is the checkpoint's.
        curve: Mean curves over the people in whose histories k clicks can be removed.
    """

    people: int
    verdicts: dict[Verdict, Estimate]
    above_zero: Estimate
    above_latest: Estimate
    below_latest: Estimate
    lead_on_latest: Estimate
    area: Estimate
    curve: list[CurvePoint]

    @property
    def too_short(self) -> float:
        """Share of people whose own history has too few clicks for any verdict on it."""
        judged = [point.people for point in self.curve if point.removed == _JUDGED_FROM]
        return 1 - sum(judged) / self.people

    @property
    def verdict(self) -> Verdict:
        """On the explanations of all, set against random orders."""
        return verdict(self.area.low, self.area.high)

    @property
    def verdict_on_latest(self) -> Verdict:
        """``holds`` where the explanations do more than the latest clicks, ``fails`` where less."""
        return verdict(self.lead_on_latest.low, self.lead_on_latest.high)


def faithfulness_of_people(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    *,
    k: int = 10,
    draws: int = DRAWS,
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
    return {measure: over_people(found, seed=seed) for measure, found in curves.items() if found}


def over_people(curves: Sequence[DeletionCurve], *, seed: int = 0) -> MeasuredFaithfulness:
    """Sums up the curves of at least one person; ``seed`` is that of the intervals."""
    verdicts = np.array([curve.verdict for curve in curves])
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
        verdicts={
            kind: bootstrap_mean((verdicts == kind).astype(float), seed=seed) for kind in VERDICTS
        },
        above_zero=bootstrap_mean((areas > _ROUNDING).astype(float), seed=seed),
        above_latest=bootstrap_mean((leads > _ROUNDING).astype(float), seed=seed),
        below_latest=bootstrap_mean((leads < -_ROUNDING).astype(float), seed=seed),
        lead_on_latest=bootstrap_mean(leads, seed=seed),
        area=bootstrap_mean(areas, seed=seed),
        curve=means,
    )
