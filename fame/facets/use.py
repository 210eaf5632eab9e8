"""What the heads are used for: the gate's shares over people, and what each head adds to hits.

Shapes: ``U`` people · ``H`` heads · ``V`` items with the padding id 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from fame.facets.estimates import bootstrap_means
from fame.facets.experts import value_counts
from fame.facets.values import value_indicator, value_names
from fame.lens.faithfulness import Estimate
from fame.lens.reading import fused_scores, head_scores, read_histories
from fame.metrics import gains, hits, target_ranks
from fame.models.sequence_model import SequenceModel
from fame.ranking import Repeats, only_candidates

AT = 10  # items of the lists that are scored
COHORTS = 4  # of about as many people each, or favourite values of a facet
FEWEST = 30  # people who make a cohort of a favourite value
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FIGURES = {"NDCG@10": gains, "HR@10": hits}
_SCORES = 8_000_000  # at once, of people, lists and items: 32 MB


@dataclass(frozen=True)
class GateShare:
    """One head's share of the gate over people.

    Attributes:
        mean: With a 95 % interval from drawing the people anew.
        quantiles: ``[5]`` at :data:`QUANTILES`.
        largest: Share of people in whose gate no head has more.
        by_length: ``[cohorts]`` the mean in each cohort by length of history.
    """

    mean: Estimate
    quantiles: list[float]
    largest: float
    by_length: list[Estimate]


@dataclass(frozen=True)
class Accuracy:
    """How well lists hold what came next, mean over people, with 95 % intervals over people.

    Attributes:
        fused: Of the fused list.
        alone: ``[H]`` of each head's own.
        lost: ``[H]`` fused less fused without the head, paired over people; where the head has all
            of the gate nothing is left without it, and all is lost. Empty with one head.
    """

    fused: Estimate
    alone: list[Estimate]
    lost: list[Estimate]


@dataclass(frozen=True)
class Cohort:
    """Some of the people.

    Attributes:
        by: ``all``, ``length`` of the history, ``popularity`` of the target (clicks on it in
            training), or favourite ``value``.
        low, high: What of ``by`` they have, both ends in it; 0 of ``all`` and of ``value``.
        people: How many they are.
        accuracy: By figure of :data:`FIGURES`.
        value: As ``facet=value``, that their histories have most often in the facet, more often
            than any other (:func:`favourites`); empty of other cohorts.
    """

    by: str
    low: int
    high: int
    people: int
    accuracy: dict[str, Accuracy]
    value: str = ""


@dataclass(frozen=True)
class Use:
    """What the heads are used for.

    Attributes:
        people: People drawn.
        gate: ``[H]``.
        cohorts: Everybody first, then by length and by popularity, each from low to high, then by
            favourite value: of every facet those of most people, at most :data:`COHORTS`.
    """

    people: int
    gate: list[GateShare]
    cohorts: list[Cohort]


def use(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    train_count: np.ndarray,
    *,
    repeats: Repeats,
    facets: Mapping[str, Sequence[Sequence[str]]] | None = None,
    seed: int = 0,
) -> Use | None:
    """Gate and accuracy over people; ``None`` for a model without heads that rank.

    Args:
        histories: Of U people, ``(length,)`` item indices each, oldest first.
        targets: ``(U,)`` what came next.
        train_count: ``(V - 1,)`` clicks in training.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        facets: By facet, the values of every real item; by default none, so no favourites.
        seed: Of the intervals.
    """
    if not model.experts:
        return None
    gate_UH, rank_UL = ranks(model, histories, targets, repeats=repeats)
    length = np.array([len(history) for history in histories])
    cohorts = [("all", np.ones(len(length), dtype=bool), 0, 0)]
    by_length = _groups(length)
    cohorts += [("length", *group) for group in by_length]
    cohorts += [("popularity", *group) for group in _groups(train_count[targets - 1])]
    found = [
        Cohort(by, low, high, int(chosen.sum()), _accuracy(rank_UL[chosen], seed))
        for by, chosen, low, high in cohorts
    ]
    found += [
        Cohort("value", 0, 0, int(chosen.sum()), _accuracy(rank_UL[chosen], seed), value)
        for value, chosen in favourites(histories, facets or {}).items()
    ]
    return Use(
        people=len(length),
        gate=_gate(gate_UH, [chosen for chosen, _, _ in by_length], seed),
        cohorts=found,
    )


def favourites(
    histories: Sequence[np.ndarray], facets: Mapping[str, Sequence[Sequence[str]]]
) -> dict[str, np.ndarray]:
    """By ``facet=value`` whose favourite it is, ``(U,)`` bool: of most people first in each facet.

    The favourite is the value that most clicks of the history have. Who has two that are as
    frequent has none, and a value of fewer than :data:`FEWEST` people makes no cohort.
    """
    found = {}
    for facet, values in facets.items():
        names = value_names(values)
        if len(names) < 2:
            continue
        counts_UW = value_counts(histories, value_indicator(values))
        counts_UW.sum_duplicates()
        person = np.repeat(np.arange(len(histories)), np.diff(counts_UW.indptr))
        most_U = np.zeros(len(histories))
        np.maximum.at(most_U, person, counts_UW.data)
        is_most = counts_UW.data == most_U[person]
        alone_U = np.bincount(person[is_most], minlength=len(histories)) == 1
        favourite_U = np.full(len(histories), -1)
        favourite_U[person[is_most]] = counts_UW.indices[is_most]
        favourite_U[~alone_U] = -1
        people_W = np.bincount(favourite_U[alone_U], minlength=len(names))
        for value in np.argsort(-people_W, kind="stable")[:COHORTS].tolist():
            if people_W[value] >= FEWEST:
                found[f"{facet}={names[value]}"] = favourite_U == value
    return found


@torch.no_grad()
def ranks(
    model: SequenceModel,
    histories: Sequence[np.ndarray],
    targets: np.ndarray,
    *,
    repeats: Repeats,
) -> tuple[np.ndarray, np.ndarray]:
    """``(U, H)`` the gate, and ``(U, 1 + 2 H)`` ranks of the targets.

    In the fused list, in each head's alone, and in the list fused without each head: with its share
    of the gate set to 0. Scaling the others' shares up to 1 again changes no ranking.
    """
    readings = read_histories(model, histories)
    gate, H = readings.gate.double(), model.heads
    people = max(1, _SCORES // ((1 + 2 * H) * (model.num_items + 1)))
    found = []
    for begin in range(0, len(readings), people):
        part = slice(begin, begin + people)
        heads = head_scores(model, readings[part])  # (H, n, V)
        fused = fused_scores(model, readings[part])
        real = heads[..., 1:].double()  # what one head leaves of a sum may be small
        weighted = F.pad(real * gate[part].T[..., None], (1, 0), value=0)
        without = weighted.sum(0) - weighted
        lists = [fused, *heads, *without]
        target = torch.from_numpy(targets[part].astype(np.int64)).to(fused.device)
        known = histories[part]
        found.append(
            torch.stack(
                [target_ranks(only_candidates(scores, known, repeats), target) for scores in lists],
                dim=1,
            )
        )
    return gate.cpu().numpy(), torch.cat(found).cpu().numpy()


def _groups(sizes: np.ndarray) -> list[tuple[np.ndarray, int, int]]:
    """At most :data:`COHORTS` groups of about as many people: who, and from what size to what.

    Equal sizes stay together, so there are fewer groups where many people have the same.
    """
    cuts = np.unique(np.quantile(sizes, np.arange(1, COHORTS) / COHORTS, method="higher"))
    group = np.searchsorted(cuts, sizes, side="right")
    chosen = [group == one for one in np.unique(group)]
    return [(who, int(sizes[who].min()), int(sizes[who].max())) for who in chosen]


def _gate(gate_UH: np.ndarray, cohorts: Sequence[np.ndarray], seed: int) -> list[GateShare]:
    def means(who: np.ndarray) -> list[Estimate]:
        columns = {str(head): gate_UH[who, head] for head in range(gate_UH.shape[1])}
        return list(bootstrap_means(columns, seed=seed).values())

    overall = means(np.ones(len(gate_UH), dtype=bool))
    by_cohort = [means(who) for who in cohorts]
    most_U = gate_UH.max(1)
    return [
        GateShare(
            mean=overall[head],
            quantiles=np.quantile(own, QUANTILES).tolist(),
            largest=float((own == most_U).mean()),
            by_length=[cohort[head] for cohort in by_cohort],
        )
        for head, own in enumerate(gate_UH.T)
    ]


def _accuracy(rank_UL: np.ndarray, seed: int) -> dict[str, Accuracy]:
    """By figure, from ranks as :func:`ranks` gives them."""
    H = rank_UL.shape[1] // 2
    found = {}
    for name, figure in FIGURES.items():
        value_UL = np.asarray(figure(rank_UL, AT), dtype=np.float64)
        columns = {"fused": value_UL[:, 0]}
        columns |= {f"alone {head}": value_UL[:, 1 + head] for head in range(H)}
        if H > 1:
            lost_UH = value_UL[:, :1] - value_UL[:, 1 + H :]
            columns |= {f"lost {head}": lost_UH[:, head] for head in range(H)}
        means: Mapping[str, Estimate] = bootstrap_means(columns, seed=seed)
        found[name] = Accuracy(
            fused=means["fused"],
            alone=[means[f"alone {head}"] for head in range(H)],
            lost=[means[f"lost {head}"] for head in range(H) if H > 1],
        )
    return found
