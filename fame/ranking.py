"""From scores to lists: which items may be recommended, which come first, what two lists share.

A data set chooses :data:`Repeats`, and a checkpoint remembers the choice. ``exclude``: what stands
in the history is in no list and no ranking, so a target that stands there is in none either and
counts as a miss. ``recommend``: every item is a candidate. The padding never is.

Candidates and first items come once for one person in numpy and once for a batch in torch; tests
hold the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from fame.data.sequences import Repeats

OVERLAP_AT = 20  # the length of the heads' lists that are held against each other


def candidates(history: np.ndarray, size: int, repeats: Repeats) -> np.ndarray:
    """``(V,)`` bool: what may be recommended after a history ``(n,)`` of item indices.

    Args:
        size: V, the padding counted.
    """
    allowed = np.ones(size, dtype=bool)
    allowed[0] = False
    if repeats == "exclude":
        allowed[history] = False
    return allowed


def only_candidates(scores: Tensor, histories: Sequence[np.ndarray], repeats: Repeats) -> Tensor:
    """Sets what is no candidate after history i to ``-inf`` in row i of ``(.., n, V)``; in place.

    Args:
        histories: n of them, whole, ``(length,)`` item indices each.
    """
    scores[..., 0] = -math.inf
    if repeats == "exclude":
        rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
        items = np.concatenate(histories).astype(np.int64)
        scores[
            ..., torch.from_numpy(rows).to(scores.device), torch.from_numpy(items).to(scores.device)
        ] = -math.inf
    return scores


def top_items(scores: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """The k best candidates, best first; equal scores in the order of the catalogue."""
    items = np.flatnonzero(allowed)
    if k < len(items):  # only what reaches the k-th score has to be put in order
        least = np.partition(scores[items], len(items) - k)[len(items) - k]
        items = items[scores[items] >= least]
    return items[np.argsort(-scores[items], kind="stable")][:k]


def top_lists(scores: Tensor, k: int) -> np.ndarray:
    """The k best items of every row ``(.., V)`` as ``(.., k)``, 0 where fewer may be recommended.

    Equal scores come in any order.
    """
    best, items = scores.topk(min(k, scores.shape[-1] - 1), dim=-1)
    return items.where(best > -math.inf, 0).cpu().numpy()


def leaving(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How many items of the lists ``before (.., k)`` are missing in the lists ``after (.., k)``.

    0 stands for no item, where a list ends early.
    """
    kept = (after[..., None, :] == before[..., :, None]).any(-1)
    return (~kept & (before > 0)).sum(-1)


def shared(lists: Sequence[np.ndarray]) -> np.ndarray:
    """``(n,)``: the share of their items that two of several lists have in common.

    Args:
        lists: Of every head ``(n, k)`` items, 0 where a list ends early; all heads' end alike.

    Returns:
        The mean over the pairs of lists, 0 for empty ones; NaN where there is no pair.
    """
    if len(lists) == 1:
        return np.full(len(lists[0]), np.nan)
    lost = [leaving(first, second) for first, second in combinations(lists, 2)]
    length = (lists[0] > 0).sum(1)
    return (length - np.mean(lost, axis=0)) / np.maximum(length, 1)
