"""The baselines that learn nothing but counts.

A model that does not beat them has learnt nothing about sequences.

Shapes: ``n`` histories · ``V`` items with the padding id 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fame.checkpoint import Checkpoint, neighbours
from fame.config import ModelName
from fame.data.sequences import HeldOut, Interactions, Split, held_out, places
from fame.evaluate import Scorer, rank_targets
from fame.item_knn import ItemNeighbours
from fame.models.registry import MODELS, spec_of
from fame.ranking import Repeats, candidates, top_items

# What stands beside the models in every table, by its key in ``metrics.json`` and ``results.csv``.
COUNTING = {
    "item_knn": "item-kNN",
    "markov": "first-order Markov chain",
    "popularity": "popularity",
}


def popularity_scorer(data: Interactions) -> Scorer:
    """Every item scores how often it stands in the training part."""
    counts = torch.from_numpy(data.train_counts.astype(np.float64))

    def score(index: np.ndarray, _: Tensor) -> Tensor:
        return counts.repeat(len(index), 1)

    return score


class MarkovChain:
    """First-order Markov chain: how often an item came right after the last one of the history.

    Counted over the training part. Items that never followed score by popularity below 1, so that
    a last item that is seldom followed by anything still gives a full ranking.
    """

    def __init__(self, data: Interactions) -> None:
        lengths = np.diff(data.offsets)
        has_next = np.flatnonzero(places(lengths) < np.repeat(lengths - 3, lengths))
        V = len(data.item_ids)
        pairs = data.items[has_next].astype(np.int64) * V + data.items[has_next + 1]
        pair, self._count = np.unique(pairs, return_counts=True)
        self._next = pair % V
        self._first = np.searchsorted(pair, np.arange(V + 1, dtype=np.int64) * V)
        self._popularity = data.train_counts / (data.train_counts.sum() + 1)

    def scores(self, last_items: np.ndarray) -> np.ndarray:
        """``(n, V)`` what may come after each of ``last_items`` ``(n,)``."""
        scores = np.tile(self._popularity, (len(last_items), 1))
        for row, item in enumerate(last_items):
            block = slice(self._first[item], self._first[item + 1])
            scores[row, self._next[block]] += self._count[block]
        return scores


def markov_scorer(data: Interactions, examples: HeldOut) -> Scorer:
    """The :class:`MarkovChain` on the last click of every example's history."""
    chain = MarkovChain(data)
    return lambda index, _: torch.from_numpy(chain.scores(data.items[examples.ends[index] - 1]))


def item_knn_scorer(data: Interactions, examples: HeldOut) -> Scorer:
    """:class:`fame.item_knn.ItemNeighbours` on every example's history."""
    neighbours = ItemNeighbours(data)

    def score(index: np.ndarray, _: Tensor) -> Tensor:
        ends = zip(examples.starts[index], examples.ends[index], strict=True)
        return torch.from_numpy(neighbours.scores([data.items[start:end] for start, end in ends]))

    return score


def baseline_ranks(data: Interactions, split: Split) -> dict[str, np.ndarray]:
    """Rank of every target by each of :data:`COUNTING`, in the models' own protocol."""
    examples = held_out(data, split)
    scorers = {
        "popularity": popularity_scorer(data),
        "markov": markov_scorer(data, examples),
        "item_knn": item_knn_scorer(data, examples),
    }
    return {
        name: rank_targets(scorer, data, split, max_length=1) for name, scorer in scorers.items()
    }


class CountingBaselines:
    """What each of :data:`COUNTING` recommends to one person, beside a model's list."""

    def __init__(self, data: Interactions) -> None:
        self._popularity = data.train_counts.astype(np.float64)
        self._chain = MarkovChain(data)
        self._neighbours = ItemNeighbours(data)

    def lists(
        self, history: np.ndarray, k: int, *, repeats: Repeats = "exclude"
    ) -> dict[str, np.ndarray]:
        """The k best candidates by baseline after a history ``(n,)``.

        Args:
            repeats: As in the list that they stand beside.
        """
        allowed = candidates(history, len(self._popularity), repeats)
        scores = {
            "popularity": self._popularity,
            "markov": self._chain.scores(history[-1:])[0],
            "item_knn": self._neighbours.scores([history])[0],
        }
        return {name: top_items(score, allowed, k) for name, score in scores.items()}


def baselines_beside(checkpoint: Checkpoint) -> dict[ModelName, Path]:
    """Checkpoints of other models without heads in the same folder, trained on the same histories
    and to the same choice about repeats.

    The first one of each model by name, in the order of the registry.
    """
    found: dict[ModelName, Path] = {}
    for path, beside in neighbours(checkpoint):
        theirs, ours = ((of.fingerprint, of.repeats) for of in (beside.data, checkpoint.data))
        if theirs == ours and not spec_of(beside.model_config).heads_rank:
            found.setdefault(beside.model_config.model, path)
    return {name: found[name] for name in MODELS if name in found}
