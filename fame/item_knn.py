"""Item-kNN: the items most often chosen by the same people as those of a history.

Shapes: ``n`` histories · ``U`` people · ``V`` items with the padding id 0 · ``m`` items at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from fame.data.sequences import Interactions, places

# Fixed for every data set: the best compromise by validation NDCG@10 over Beauty, Sports, Toys,
# MovieLens 1M and MovieLens 100K. No set loses 6 % to the best that was found for it alone.
LATEST = 50  # clicks of a person that are counted, and of a history that are read
NEIGHBOURS = 200  # of each item
SHRINK = 10.0
DECAY = 0.7  # of a click's weight with every click after it
# Of popularity in a score: it only orders what is level.
_POPULARITY = 1e-12
_MOST_CELLS = 2**22  # of the similarities that are in memory at a time


class ItemNeighbours:
    """Item-based top-N recommendation (Deshpande & Karypis, ACM TOIS 2004) that reads an order.

    ``z_ui = L_u^(-1/4)`` where person u chose item i among the latest ``latest`` clicks of the
    training part, ``L_u`` of them different items, else 0: each of a person's pairs of items counts
    ``L_u^(-1/2)``, so that long histories do not outvote short ones. Two items are as similar as
    their columns' cosine, shrunk towards 0 where few people stand behind it,

        ``s_ij = <z_i, z_j> / (|z_i| |z_j| + shrink)``,

    where i is among the ``neighbours`` items that are most similar to j, else 0 (cosine, shrinkage
    and neighbours per candidate as in Ferrari Dacrema et al., "A Troubling Analysis", ACM TOIS
    2021). An item is similar to itself as well, which shows where repeats are recommended.

    An item scores the sum of its similarities to the latest clicks of a history, each of weight
    ``decay ** clicks after it`` (recency as in Ludewig & Jannach, UMUAI 2018). Items that none of
    their neighbours leads to are ordered by popularity.

    A person adds at most ``latest ** 2`` pairs, so building takes time and memory in proportion to
    people, however long their histories are; it keeps ``neighbours`` figures an item.

    Args:
        data: Counted over its training part.
        latest, neighbours, shrink, decay: See above.
    """

    def __init__(
        self,
        data: Interactions,
        *,
        latest: int = LATEST,
        neighbours: int = NEIGHBOURS,
        shrink: float = SHRINK,
        decay: float = DECAY,
    ) -> None:
        self._latest, self._decay = latest, decay
        self._popularity = data.train_counts * (_POPULARITY / (data.train_counts.sum() + 1))
        z = _people_by_items(data, latest)
        columns = z.T.tocsr()
        norms = sparse.linalg.norm(columns, axis=1)
        at_once = max(1, _MOST_CELLS // len(norms))
        nearest = [
            _largest(_similarities(columns[first : first + at_once], z, norms, shrink), neighbours)
            for first in range(0, len(norms), at_once)
        ]
        self._similarity = sparse.vstack(nearest).T.tocsr()  # (V, V): of the history, candidates

    def scores(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """``(n, V)`` float64 what may come after each history, a 1-D array, oldest click first."""
        read = [history[-self._latest :] for history in histories]
        lengths = np.array([len(history) for history in read])
        weights = self._decay ** (np.repeat(lengths, lengths) - 1 - places(lengths))
        rows = np.repeat(np.arange(len(read)), lengths)
        shape = len(read), len(self._popularity)
        clicks = sparse.csr_array((weights, (rows, np.concatenate(read))), shape=shape)
        scores = (clicks @ self._similarity).toarray()
        scores += self._popularity
        return scores


def _people_by_items(data: Interactions, latest: int) -> sparse.csr_array:
    """``z`` of :class:`ItemNeighbours`, ``(U, V)``."""
    lengths = np.maximum(np.diff(data.offsets) - 2, 0)  # of the training part
    counted = np.minimum(lengths, latest)
    people = np.repeat(np.arange(len(data)), counted)
    clicks = np.repeat(data.offsets[:-1] + lengths - counted, counted) + places(counted)
    shape = len(data), len(data.item_ids)
    chosen = sparse.csr_array((np.ones(len(people)), (people, data.items[clicks])), shape=shape)
    different = np.diff(chosen.indptr)  # clicks on one item became one entry
    chosen.data = np.repeat(np.maximum(different, 1) ** -0.25, different)
    return chosen


def _similarities(
    columns: sparse.csr_array, z: sparse.csr_array, norms: np.ndarray, shrink: float
) -> sparse.csr_array:
    """``s`` of some items, ``columns (m, U)``, with all: ``(m, V)``; in order within a row."""
    products = sparse.csr_array(columns @ z)
    products.sort_indices()
    own = np.repeat(sparse.linalg.norm(columns, axis=1), np.diff(products.indptr))
    products.data /= own * norms[products.indices] + shrink
    return products


def _largest(rows: sparse.csr_array, k: int) -> sparse.csr_array:
    """The k largest entries of each row, whose entries are in order; of level ones the first."""
    kept = np.ones(rows.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(rows.indptr) > k):
        entries = slice(rows.indptr[row], rows.indptr[row + 1])
        values = rows.data[entries]
        least = np.partition(values, len(values) - k)[len(values) - k]
        above, level = values > least, values == least
        kept[entries] = above | (level & (np.cumsum(level) <= k - above.sum()))
    ends = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
    return sparse.csr_array((rows.data[kept], rows.indices[kept], ends), shape=rows.shape)
