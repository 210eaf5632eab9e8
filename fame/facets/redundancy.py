"""How much two heads say the same: their lists, their items and their states, pair by pair.

Shapes: ``U`` people · ``N`` items or people · ``H`` heads · ``P`` pairs of heads · ``k`` items in a
list · ``K`` head width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fame.facets.estimates import bootstrap_means
from fame.facets.matching import overlap
from fame.lens.compare import PERSISTENCE
from fame.lens.faithfulness import Estimate

DISAGREEING = 5  # people kept of a pair


@dataclass(frozen=True)
class Pair:
    """Two heads, the first one counted lower.

    Attributes:
        heads: ``[first, second]``.
        overlap: Share of their top-20 lists in common, mean over people with a 95 % interval.
        rbo: Rank-biased overlap of those lists.
        embeddings: Linear CKA of their sub-embeddings.
        states: Linear CKA of their states F_h over people.
        disagreeing: User ids of those whose two lists are least alike, by rank-biased overlap.
    """

    heads: list[int]
    overlap: Estimate
    rbo: Estimate
    embeddings: float
    states: float
    disagreeing: list[str]


@dataclass(frozen=True)
class Redundancy:
    """All pairs of heads, beside their controls.

    Attributes:
        people: People whose lists and states were compared.
        items: Items whose sub-embeddings were compared.
        pairs: ``[P]`` in order; none with one head.
        controls: By control the mean over its pairs of slices of the overlap of their lists.
    """

    people: int
    items: int
    pairs: list[Pair]
    controls: dict[str, Estimate]


def rank_biased_overlaps(first_Uk: np.ndarray, second_Uk: np.ndarray) -> np.ndarray:
    """``(U,)`` :func:`fame.lens.compare.rank_biased_overlap` of lists that end alike.

    With X_d the items that both lists share down to depth d and l their length,

        RBO_ext = (1 - p) / p * sum_{d=1..l} p^d X_d / d + p^l X_l / l

    Args:
        first_Uk, second_Uk: Different items, 0 where a list ends early; row for row as long. The
            overlap of empty lists is 1.
    """
    same = (first_Uk[:, :, None] == second_Uk[:, None, :]) & (first_Uk > 0)[:, :, None]
    shared_Uk = np.diagonal(same.cumsum(1).cumsum(2), axis1=1, axis2=2)
    length_U = (first_Uk > 0).sum(1)
    d, p = np.arange(1, first_Uk.shape[1] + 1), PERSISTENCE
    weight_Uk = np.where(d <= length_U[:, None], p**d / d, 0)
    end_U = shared_Uk[:, -1] / np.maximum(length_U, 1)
    found = (1 - p) / p * (weight_Uk * shared_Uk).sum(1) + p**length_U * end_U
    return np.where(length_U > 0, found, 1.0)


def linear_cka(first_NK: np.ndarray, second_NK: np.ndarray) -> float:
    """Linear centred kernel alignment (Kornblith and others, ICML 2019): 0 to 1.

        CKA(X, Y) = |Y^T X|_F^2 / ( |X^T X|_F |Y^T Y|_F ),    columns of X and Y of mean 0

    1 for the same numbers turned or scaled as a whole. Its known fault: the few directions in which
    rows differ most decide it, so a handful of outlying rows can move it at will (Davari and
    others, ICLR 2023). 0 where all rows of one are alike.
    """
    x, y = (
        code.astype(np.float64) - code.mean(0, dtype=np.float64) for code in (first_NK, second_NK)
    )
    within = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / within) if within > 0 else 0.0


def redundancy(
    lists: Sequence[np.ndarray],
    states_UHK: np.ndarray,
    codes: Sequence[np.ndarray],
    controls: Mapping[str, Sequence[np.ndarray]],
    user_ids: Sequence[str],
    *,
    seed: int = 0,
) -> Redundancy:
    """Every pair of heads.

    Args:
        lists: ``[H]`` of ``(U, k)`` top lists, 0 where one ends early; all heads' end alike.
        states_UHK: The heads' states after the same histories.
        codes: ``[H]`` of ``(N, K)`` sub-embeddings of a sample of items.
        controls: By control ``[H]`` of ``(U, k)`` lists of its slices.
        user_ids: ``[U]``.
        seed: Of the intervals.
    """
    together = list(combinations(range(len(lists)), 2))
    overlaps = {pair: overlap(lists[pair[0]], lists[pair[1]]) for pair in together}
    biased = {pair: rank_biased_overlaps(lists[pair[0]], lists[pair[1]]) for pair in together}
    columns = {f"overlap {first} {second}": overlaps[first, second] for first, second in together}
    columns |= {f"rbo {first} {second}": biased[first, second] for first, second in together}
    for name, slices in controls.items():
        pairs = [overlap(first, second) for first, second in combinations(slices, 2)]
        if pairs:
            columns[name] = np.mean(pairs, axis=0)
    found = bootstrap_means(columns, seed=seed)
    return Redundancy(
        people=len(states_UHK),
        items=len(codes[0]),
        pairs=[
            Pair(
                heads=[first, second],
                overlap=found[f"overlap {first} {second}"],
                rbo=found[f"rbo {first} {second}"],
                embeddings=linear_cka(codes[first], codes[second]),
                states=linear_cka(states_UHK[:, first], states_UHK[:, second]),
                disagreeing=[
                    str(user_ids[row])
                    for row in np.argsort(biased[first, second], kind="stable")[:DISAGREEING]
                ],
            )
            for first, second in together
        ],
        controls={name: found[name] for name in controls if name in found},
    )
