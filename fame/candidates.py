"""Which items may be recommended after a history: the one place that decides it.

A data set chooses :data:`Repeats`, and a checkpoint remembers the choice. ``exclude``: what stands
in the history is in no list and no ranking, so a target that stands there is in none either and
counts as a miss. ``recommend``: every item is a candidate. The padding never is.

Once for one person in numpy, once for a batch in torch; a test holds them against each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fame.data.sequences import Repeats

__all__ = ["Repeats", "candidates", "only_candidates"]


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
