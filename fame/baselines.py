"""The two baselines that learn nothing but counts.

A model that does not beat them has learnt nothing about sequences.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.data.sequences import HeldOut, Interactions, Split, held_out, places
from fame.evaluate import Scorer, rank_targets


def popularity_scorer(data: Interactions) -> Scorer:
    """Every item scores how often it stands in the training part."""
    counts = torch.from_numpy(data.train_counts.astype(np.float64))

    def score(index: np.ndarray, _: Tensor) -> Tensor:
        return counts.repeat(len(index), 1)

    return score


def markov_scorer(data: Interactions, examples: HeldOut) -> Scorer:
    """First-order Markov chain: how often an item came right after the last one of the history.

    Counted over the training part. Items that never followed score by popularity below 1, so that
    a last item that is seldom followed by anything still gives a full ranking.
    """
    lengths = np.diff(data.offsets)
    has_next = np.flatnonzero(places(lengths) < np.repeat(lengths - 3, lengths))
    V = len(data.item_ids)
    pairs = data.items[has_next].astype(np.int64) * V + data.items[has_next + 1]
    pair, count = np.unique(pairs, return_counts=True)
    first = np.searchsorted(pair, np.arange(V + 1, dtype=np.int64) * V)
    popularity = data.train_counts / (data.train_counts.sum() + 1)

    def score(index: np.ndarray, _: Tensor) -> Tensor:
        scores = np.tile(popularity, (len(index), 1))
        for row, item in enumerate(data.items[examples.ends[index] - 1]):
            block = slice(first[item], first[item + 1])
            scores[row, pair[block] - item.astype(np.int64) * V] += count[block]
        return torch.from_numpy(scores)

    return score


def baseline_ranks(data: Interactions, split: Split) -> dict[str, np.ndarray]:
    """Rank of every target by popularity and by the Markov chain, in the models' own protocol."""
    scorers = {
        "popularity": popularity_scorer(data),
        "markov": markov_scorer(data, held_out(data, split)),
    }
    return {
        name: rank_targets(scorer, data, split, max_length=1) for name, scorer in scorers.items()
    }
