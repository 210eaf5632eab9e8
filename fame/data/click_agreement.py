"""Which columns of a catalogue people choose by: what items clicked in a row have in common.

Only training histories are looked at, never a held-out click.

Shapes: ``V`` real items · ``P`` pairs of items clicked in a row · ``W`` values of a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from fame.data.attributes import FacetValues
from fame.data.sequences import Interactions

PAIRS = 20_000  # a share is then within 0.01 of what all pairs would say
PERMUTATIONS = 40
_ALIKE = 25  # items of like popularity among which labels are permuted


@dataclass(frozen=True)
class ClickAgreement:
    """How often two items clicked in a row have a value of a column in common.

    Attributes:
        pairs: Pairs of two different items whose values are both known.
        observed: The share of them with a value in common.
        chance: The same after the items' values were permuted among items of like popularity, mean
            over permutations: what popularity alone gives.
        deviations: How many standard deviations of the permuted shares lie between the two; 0
            where there is nothing to tell from.
    """

    pairs: int
    observed: float
    chance: float
    deviations: float

    @property
    def excess(self) -> float:
        """The share of pairs that agree beyond chance."""
        return self.observed - self.chance


def consecutive_clicks(data: Interactions, *, seed: int = 0) -> np.ndarray:
    """``(P, 2)``: rows (index - 1) of two items that somebody clicked in a row in training; drawn.

    Two items are one pair however often and in whichever order they were clicked, so that no pair
    can make up a column's agreement by itself.
    """
    lengths = np.diff(data.offsets)
    place = np.arange(len(data.items)) - np.repeat(data.offsets[:-1], lengths)
    first = np.flatnonzero(place < np.repeat(lengths - 3, lengths))  # the last two are held out
    pairs = np.stack([data.items[first], data.items[first + 1]], axis=1).astype(np.int64) - 1
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    if len(pairs) > PAIRS:
        drawn = np.random.default_rng(seed).choice(len(pairs), PAIRS, replace=False)
        pairs = pairs[np.sort(drawn)]
    return pairs


def value_matrix(column: FacetValues, num_items: int) -> csr_matrix:
    """``(V, W)``: 1 where an item has a value of a column."""
    ones = np.ones(len(column.item), dtype=np.float32)
    shape = (num_items, len(column.values))
    return csr_matrix((ones, (column.item, column.value)), shape=shape)


def agreeing(values_VW: csr_matrix, pairs: np.ndarray) -> np.ndarray:
    """``(P,)`` bool: which pairs have a value in common."""
    many_V = np.diff(values_VW.indptr)
    if many_V.max(initial=0) <= 1:  # as said below, and 20 times as fast
        value_V = np.full(len(many_V), -1)
        value_V[many_V > 0] = values_VW.indices
        one_P, other_P = value_V[pairs].T
        return (one_P == other_P) & (one_P >= 0)
    common = values_VW[pairs[:, 0]].multiply(values_VW[pairs[:, 1]])
    return np.asarray(common.sum(1)).ravel() > 0


def click_agreement(
    values_VW: csr_matrix, pairs: np.ndarray, popularity: np.ndarray, *, seed: int = 0
) -> ClickAgreement:
    """Holds pairs of clicks against the same pairs with the values of other items.

    Args:
        values_VW: Which item has which values, such as of :func:`value_matrix`.
        pairs: ``(P, 2)`` rows of items.
        popularity: ``(V,)`` how often each item was clicked.
    """
    known = np.diff(values_VW.indptr) > 0
    pairs = pairs[known[pairs].all(1)]
    if not len(pairs):
        return ClickAgreement(0, 0.0, 0.0, 0.0)
    observed = float(agreeing(values_VW, pairs).mean())
    rng = np.random.default_rng(seed)
    by_popularity = np.flatnonzero(known)
    by_popularity = by_popularity[np.argsort(popularity[by_popularity], kind="stable")]
    permuted = []
    for _ in range(PERMUTATIONS):
        given = np.arange(len(known))
        # Groups begin elsewhere each time, so that none is kept apart from the next one.
        begin = int(rng.integers(_ALIKE))
        for group in np.split(by_popularity, np.arange(begin, len(by_popularity), _ALIKE)):
            given[group] = rng.permutation(group)
        permuted.append(agreeing(values_VW, given[pairs]).mean())
    chance, spread = float(np.mean(permuted)), float(np.std(permuted, ddof=1))
    deviations = (observed - chance) / spread if spread > 0 else 0.0
    return ClickAgreement(len(pairs), observed, chance, deviations)
