"""Whether the experts of a head became preferences: how people are shared out, and what those that
an expert serves click more than others do.

A head's router gives every person u shares ``beta_u`` of its E experts. With the entropy
``H(p) = - sum_e p_e log p_e`` and people drawn evenly

    load of expert e        mean_u beta_ue
    sharpness of a head     1 - mean_u H(beta_u) / log E
    share of a head         (H(mean_u beta_u) - mean_u H(beta_u)) / log E

The numerator of the share is the mutual information of person and expert: draw a person, then an
expert as the router has it for them, and it is ``H(expert) - H(expert | person)``. It is at most
``log E``, so the share lies between 0, where the router is the same for everybody (be it even or
sharp), and 1, where each person has one expert and all experts have equally many people.

What an expert serves is the lift of a value a of an item, such as ``genres=Horror``. With ``n_u``
the clicks of u that the model reads and ``n_ua`` those on items with the value

    lift(a, e) = (sum_u beta_ue n_ua / sum_u beta_ue n_u) / (sum_u n_ua / sum_u n_u)

A value counts where it has support enough (:data:`EXPECTED_CLICKS`, :data:`SERVED_PEOPLE`), where
its 95 % interval over people lies above 1, and where it is above what the *best* value of its facet
ever has when routers are permuted between people of like history length: the largest of many lifts
is above 1 by chance alone.

Shapes: ``U`` people · ``H`` heads · ``E`` experts in each head · ``X = H E`` experts in all ·
``V`` real items · ``W`` values of all facets · ``F`` facets.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product

import numpy as np
from scipy.sparse import csr_matrix, hstack
from scipy.special import entr

from fame.facets.values import value_indicator, value_names
from fame.lens.reading import read_histories
from fame.models.sequence_model import SequenceModel

# An expert with a tenth of an even share of the people: its head is nearly the same without it.
DEAD_BELOW = 0.1  # of 1 / E
# Clicks on a value that an expert would serve at the base rate. Were clicks independent, the lift's
# standard error would be 1 / sqrt(20) = .22 there, so that a lift of 2.3 is far out of chance.
EXPECTED_CLICKS = 20
# Clicks of one person are not independent: so many people must stand behind a lift, counted by
# Kish's effective number (sum w)^2 / sum w^2 of the weights w_u = beta_ue n_ua.
SERVED_PEOPLE = 10
# With so many permutations, a value as good as chance beats all in at most 1 of 100 facets.
PERMUTATIONS = 99
STRATA = 10  # of history length, within which routers are permuted
DRAWS = 1000  # of people, for the intervals
LISTED = 5  # values an expert, of its head's own facet and of all others each
# A name says what an expert is for, so a sure lift is not enough: half again the base rate is.
NAMED_FROM = 1.5
NAMED_AFTER = 2  # values
# What experts that are preferences are held to. The lift is what a study of language models found
# for its most specialised experts, 1.6 to 2.3, at its upper end.
GOAL_SHARE, GOAL_LIFT, GOAL_PART = 0.3, 2.3, 0.5
_COUNTS = 8_000_000  # of people drawn, held at a time: 64 MB


@dataclass(frozen=True)
class ValueLift:
    """A value that an expert serves above its base rate.

    Attributes:
        value: ``facet=value``.
        lift: In the histories; 1 is the base rate.
        low, high: Its 95 % interval, from drawing the people anew.
        control: The largest lift that any value of the facet has for this expert when routers are
            permuted between people of like history length.
        next: The lift in what people clicked next (one item each) in place of their histories;
            ``None`` where too few of those have the value.
    """

    value: str
    lift: float
    low: float
    high: float
    control: float
    next: float | None


@dataclass(frozen=True)
class ExpertUse:
    """Whom an expert serves.

    Attributes:
        load: Its mean share of its head, 0 to 1.
        sharpness: Of its head, 0 to 1; ``None`` where the head has no other expert.
        dead: Whether its load is below :data:`DEAD_BELOW` of an even share.
        values: What counts (see above), those of its head's own facet first, then by lift; at most
            :data:`LISTED` of either kind.
        by_chance: The mean over permutations of the best lift of any value; ``None`` where no value
            has support enough.
    """

    head: int
    expert: int
    load: float
    sharpness: float | None
    dead: bool
    values: list[ValueLift]
    by_chance: float | None

    @property
    def named_after(self) -> list[str]:
        """The first :data:`NAMED_AFTER` values at :data:`NAMED_FROM` or above; often none."""
        return [one.value for one in self.values if one.lift >= NAMED_FROM][:NAMED_AFTER]


@dataclass(frozen=True)
class ExpertsReport:
    """The experts of all heads over many people.

    Attributes:
        people: How many were looked at.
        experts: ``[H E]``, those of the first head first; none of a model without experts.
        expert_share: ``[H]``; ``None`` where a head has one expert, so that nothing can be shared.
        expert_share_interval: ``[H]`` its 95 % interval, low and high.
    """

    people: int
    experts: list[ExpertUse]
    expert_share: list[float | None]
    expert_share_interval: list[list[float] | None]


@dataclass(frozen=True)
class ExpertGoals:
    """How near the experts of a model are to preferences inside facets.

    Attributes:
        named: Heads that are facets; none where nothing names one.
        below: Those of them whose share is below :data:`GOAL_SHARE`, or which have one expert.
        dead: Dead experts (head, expert).
        specialised: Experts with a value at :data:`GOAL_LIFT` times its base rate or above.
        experts: All of them.
    """

    named: list[int]
    below: list[int]
    dead: list[tuple[int, int]]
    specialised: int
    experts: int

    @property
    def reached(self) -> bool:
        """All three: no named head below, of at least one; none dead; enough specialised."""
        enough = self.specialised >= GOAL_PART * self.experts
        return bool(self.named) and not self.below and not self.dead and enough


def expert_goals(
    experts: Sequence[ExpertUse], shares: Sequence[float | None], named: Sequence[int]
) -> ExpertGoals:
    """Holds the experts against the goal.

    Args:
        experts: ``[H E]``.
        shares: ``[H]`` :attr:`ExpertsReport.expert_share`.
        named: Heads that are facets.
    """

    def low(share: float | None) -> bool:
        return share is None or share < GOAL_SHARE

    return ExpertGoals(
        named=list(named),
        below=[head for head in named if low(shares[head])],
        dead=[(one.head, one.expert) for one in experts if one.dead],
        specialised=sum(any(value.lift >= GOAL_LIFT for value in one.values) for one in experts),
        experts=len(experts),
    )


def experts_report(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    facets: Mapping[str, Sequence[Sequence[str]]],
    *,
    own: Sequence[Collection[str]] = (),
    seed: int = 0,
) -> ExpertsReport:
    """Reads everybody's history and says whom each expert serves.

    Args:
        histories: Of U people, ``(length,)`` item indices from 1 each, oldest first.
        targets: ``(U,)`` what came next.
        facets: By facet, the values of every real item; none where nothing is known.
        own: ``[H]`` facets that each head is made or called of; none by default.
        seed: Of permutations and intervals.
    """
    if not model.experts:
        return ExpertsReport(len(histories), [], [], [])
    router_UHE = read_histories(model, histories).router.double().cpu().numpy()
    read = [history[-model.config.max_length :] for history in histories]
    return experts_of_router(router_UHE, read, targets, facets, own=own, seed=seed)


def experts_of_router(
    router_UHE: np.ndarray,
    read: Sequence[np.ndarray],
    targets: np.ndarray,
    facets: Mapping[str, Sequence[Sequence[str]]],
    *,
    own: Sequence[Collection[str]] = (),
    seed: int = 0,
) -> ExpertsReport:
    """As :func:`experts_report`, from the routers ``(U, H, E)`` of people and what was read."""
    U, H, E = router_UHE.shape
    if not U:
        raise ValueError("experts are measured over people, and there is none")
    rng = np.random.default_rng(seed)
    drawn = _Drawn(U, rng)
    share, interval = _shares(router_UHE, drawn)
    load_HE, sharp_H = router_UHE.mean(0), sharpness(router_UHE)
    values, by_chance = _values(router_UHE, read, targets, facets, own, drawn, rng)
    experts = [
        ExpertUse(
            head=head,
            expert=expert,
            load=float(load_HE[head, expert]),
            sharpness=None if E == 1 else float(sharp_H[head]),
            dead=bool(load_HE[head, expert] < DEAD_BELOW / E),
            values=values[head * E + expert],
            by_chance=by_chance[head * E + expert],
        )
        for head, expert in product(range(H), range(E))
    ]
    return ExpertsReport(U, experts, share, interval)


def sharpness(router_UHE: np.ndarray) -> np.ndarray:
    """``(H,)`` how far a person's router is from even: ``1 - mean_u H(beta_u) / log E``.

    0 for one expert, of which there is nothing to say.
    """
    E = router_UHE.shape[2]
    if E == 1:
        return np.zeros(router_UHE.shape[1])
    return 1 - entr(router_UHE).sum(2).mean(0) / math.log(E)


def expert_share(router_UHE: np.ndarray) -> np.ndarray:
    """``(H,)`` mutual information of person and expert over its maximum ``log E`` (see above).

    Raises:
        ValueError: for one expert, where it is 0 of 0.
    """
    E = router_UHE.shape[2]
    if E == 1:
        raise ValueError("one expert has no share of anything")
    conditional_H = entr(router_UHE).sum(2).mean(0)
    return (entr(router_UHE.mean(0)).sum(1) - conditional_H) / math.log(E)


def lifts(router_UX: np.ndarray, counts_UW: csr_matrix, clicks_U: np.ndarray) -> np.ndarray:
    """``(W, X)`` by the equation above; 0 for what nobody clicked and who serves nobody.

    Args:
        router_UX: Shares of the experts.
        counts_UW: n_ua, how often each person clicked an item with each value.
        clicks_U: n_u, clicks of each person.
    """
    served_WX = counts_UW.T @ router_UX
    base_W = np.asarray(counts_UW.sum(0)).ravel() / clicks_U.sum()
    expected_WX = base_W[:, None] * (clicks_U @ router_UX)
    return np.divide(served_WX, expected_WX, out=np.zeros_like(served_WX), where=expected_WX > 0)


def supported(router_UX: np.ndarray, counts_UW: csr_matrix, clicks_U: np.ndarray) -> np.ndarray:
    """``(W, X)``: which lifts have clicks and people enough behind them.

    :data:`EXPECTED_CLICKS` on the value that the expert would serve at the base rate, and
    :data:`SERVED_PEOPLE` effective people whose clicks on it the expert does serve.
    """
    base_W = np.asarray(counts_UW.sum(0)).ravel() / clicks_U.sum()
    expected_WX = base_W[:, None] * (clicks_U @ router_UX)
    served_WX = counts_UW.T @ router_UX
    squares_WX = counts_UW.multiply(counts_UW).T @ router_UX**2
    many = served_WX**2 >= SERVED_PEOPLE * squares_WX
    return (expected_WX >= EXPECTED_CLICKS) & (served_WX > 0) & many


def value_counts(sequences: Sequence[np.ndarray], values_VW: csr_matrix) -> csr_matrix:
    """``(U, W)``: how many clicks of each sequence of items (indices from 1) have each value."""
    person = np.repeat(np.arange(len(sequences)), [len(own) for own in sequences])
    item = np.concatenate(sequences) - 1
    clicks = csr_matrix(
        (np.ones(len(item)), (person, item)), shape=(len(sequences), values_VW.shape[0])
    )
    return (clicks @ values_VW).tocsr()


class _Drawn:
    """People drawn anew, :data:`DRAWS` times: how often each of U was drawn."""

    def __init__(self, people: int, rng: np.random.Generator) -> None:
        at_a_time = max(1, _COUNTS // people)
        self.parts = []
        for begin in range(0, DRAWS, at_a_time):
            size = min(at_a_time, DRAWS - begin)
            chosen = rng.integers(people, size=(size, people))
            chosen += people * np.arange(size)[:, None]
            counts = np.bincount(chosen.ravel(), minlength=size * people)
            self.parts.append(counts.reshape(size, people).astype(np.float32))

    def sums(self, columns_UN: np.ndarray) -> np.ndarray:
        """``(draws, N)`` of ``columns_UN`` over the people of every draw."""
        columns = columns_UN.astype(np.float32)
        return np.concatenate([part @ columns for part in self.parts]).astype(np.float64)


def _interval(drawn: np.ndarray) -> list[float]:
    return [float(edge) for edge in np.quantile(drawn, [0.025, 0.975])]


def _shares(
    router_UHE: np.ndarray, drawn: _Drawn
) -> tuple[list[float | None], list[list[float] | None]]:
    U, H, E = router_UHE.shape
    if E == 1:
        return [None] * H, [None] * H
    share_H = expert_share(router_UHE)
    own_UH = entr(router_UHE).sum(2)
    load_RHE = (drawn.sums(router_UHE.reshape(U, -1)) / U).reshape(-1, H, E)
    share_RH = (entr(load_RHE).sum(2) - drawn.sums(own_UH) / U) / math.log(E)
    return share_H.tolist(), [_interval(column) for column in share_RH.T]


def _values(
    router_UHE: np.ndarray,
    read: Sequence[np.ndarray],
    targets: np.ndarray,
    facets: Mapping[str, Sequence[Sequence[str]]],
    own: Sequence[Collection[str]],
    drawn: _Drawn,
    rng: np.random.Generator,
) -> tuple[list[list[ValueLift]], list[float | None]]:
    """``[X]`` what each expert serves, and the best lift by chance."""
    U, H, E = router_UHE.shape
    router_UX = router_UHE.reshape(U, H * E)
    clicks_U = np.array([len(history) for history in read], dtype=np.float64)
    facet_of_W = np.repeat(np.arange(len(facets)), [len(value_names(v)) for v in facets.values()])
    if E == 1 or not len(facet_of_W):
        return [[] for _ in range(H * E)], [None] * (H * E)
    names = list(
        chain.from_iterable(
            (f"{facet}={value}" for value in value_names(values))
            for facet, values in facets.items()
        )
    )
    values_VW = hstack([value_indicator(values) for values in facets.values()]).tocsr()
    counts_UW = value_counts(read, values_VW)
    # What no expert could have support for is left out before anything is permuted.
    kept_W = np.asarray(counts_UW.sum(0)).ravel() >= EXPECTED_CLICKS
    values_VW, counts_UW = values_VW[:, kept_W], counts_UW[:, kept_W]
    facet_of_W, names = facet_of_W[kept_W], [names[at] for at in np.flatnonzero(kept_W)]
    if not names:
        return [[] for _ in range(H * E)], [None] * (H * E)
    lift_WX = lifts(router_UX, counts_UW, clicks_U)
    has_support_WX = supported(router_UX, counts_UW, clicks_U)
    control_PFX = _controls(router_UX, counts_UW, clicks_U, facet_of_W, len(facets), rng)
    control_FX, best_PX = control_PFX.max(0), control_PFX.max(1)
    next_WX, next_has_support = _next(router_UX, targets, values_VW)
    columns = list(facets)
    own_F = [
        {at for at, column in enumerate(columns) if column in (own[head] if own else ())}
        for head in range(H)
    ]
    found: list[list[ValueLift]] = []
    for x in range(H * E):
        counts = np.flatnonzero(
            has_support_WX[:, x] & (lift_WX[:, x] > control_FX[facet_of_W, x]) & (lift_WX[:, x] > 1)
        )
        counts = counts[np.argsort(-lift_WX[counts, x], kind="stable")]
        is_own = np.isin(facet_of_W[counts], list(own_F[x // E]))
        chosen = np.concatenate([counts[is_own][:LISTED], counts[~is_own][:LISTED]])
        intervals = _lift_intervals(router_UX[:, x], counts_UW[:, chosen], clicks_U, drawn)
        found.append(
            [
                ValueLift(
                    value=names[w],
                    lift=float(lift_WX[w, x]),
                    low=low,
                    high=high,
                    control=float(control_FX[facet_of_W[w], x]),
                    next=float(next_WX[w, x]) if next_has_support[w, x] else None,
                )
                for w, (low, high) in zip(chosen, intervals, strict=True)
                if low > 1
            ]
        )
    chance = [column[column > 0] for column in best_PX.T]
    return found, [float(best.mean()) if len(best) else None for best in chance]


def _controls(
    router_UX: np.ndarray,
    counts_UW: csr_matrix,
    clicks_U: np.ndarray,
    facet_of_W: np.ndarray,
    facets: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """``(P, F, X)`` the best lift with support of each facet, routers permuted; 0 where none is."""
    best = np.zeros((PERMUTATIONS, facets, router_UX.shape[1]))
    for one in best:
        permuted_UX = permuted_routers(router_UX, clicks_U, rng)
        lift_WX = lifts(permuted_UX, counts_UW, clicks_U)
        lift_WX[~supported(permuted_UX, counts_UW, clicks_U)] = 0
        np.maximum.at(one, facet_of_W, lift_WX)
    return best


def permuted_routers(
    router_UX: np.ndarray, clicks_U: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The same routers, each with a person of like history length.

    People are sorted by ``clicks_U`` and cut into :data:`STRATA` parts of equal size; equal lengths
    are cut at random. A person's shares of all experts stay together.
    """
    permuted = np.empty_like(router_UX)
    shuffled = rng.permutation(len(clicks_U))
    by_length = shuffled[np.argsort(clicks_U[shuffled], kind="stable")]
    for stratum in np.array_split(by_length, STRATA):
        permuted[stratum] = router_UX[rng.permutation(stratum)]
    return permuted


def _next(
    router_UX: np.ndarray, targets: np.ndarray, values_VW: csr_matrix
) -> tuple[np.ndarray, np.ndarray]:
    """``(W, X)`` lifts in what came next, and which of them have support."""
    counts_UW = values_VW[targets - 1]
    once_U = np.ones(len(targets))
    return lifts(router_UX, counts_UW, once_U), supported(router_UX, counts_UW, once_U)


def _lift_intervals(
    router_U: np.ndarray, counts_Un: csr_matrix, clicks_U: np.ndarray, drawn: _Drawn
) -> list[list[float]]:
    """``[n]`` 95 % intervals of the lifts of some values for one expert, over people."""
    n = counts_Un.shape[1]
    if not n:
        return []
    counts = counts_Un.toarray()
    sums = drawn.sums(
        np.column_stack([router_U[:, None] * counts, counts, router_U * clicks_U, clicks_U])
    )
    served, base, all_served, everything = sums[:, :n], sums[:, n:-2], sums[:, -2:-1], sums[:, -1:]
    expected = base * all_served / everything
    drawn_lifts = np.divide(served, expected, out=np.zeros_like(served), where=expected > 0)
    return [_interval(column) for column in drawn_lifts.T]
