"""The values of a facet as a matrix, and how far items are alike in them.

Shapes: ``V`` real items · ``W`` values of a facet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from scipy.sparse import csr_matrix


def value_names(values: Sequence[Sequence[str]]) -> list[str]:
    """``[W]`` the values in the order of :func:`value_indicator`'s columns."""
    return list(dict.fromkeys(chain.from_iterable(values)))


def value_indicator(values: Sequence[Sequence[str]]) -> csr_matrix:
    """``(V, W)``: 1 where an item has a value."""
    known: dict[str, int] = {}
    rows, places = [], []
    for row, own in enumerate(values):
        for value in dict.fromkeys(own):
            rows.append(row)
            places.append(known.setdefault(value, len(known)))
    ones = np.ones(len(rows), dtype=np.float32)
    return csr_matrix((ones, (rows, places)), shape=(len(values), len(known)))


def likeness(
    values_VW: csr_matrix, asked: np.ndarray, among: np.ndarray | None = None
) -> np.ndarray:
    """``(n, A)``: which share of the values that two items have together they have in common.

    The Jaccard index of their sets of values; 0 where neither has any.

    Args:
        asked: ``(n,)`` rows held against the others.
        among: ``(A,)`` those; by default all V.
    """
    others = values_VW if among is None else values_VW[among]
    common = (values_VW[asked] @ others.T).toarray()
    many_n, many_A = (
        np.diff(values.indptr).astype(np.float32) for values in (values_VW[asked], others)
    )
    together = many_n[:, None] + many_A[None] - common
    return common / np.maximum(together, 1)
