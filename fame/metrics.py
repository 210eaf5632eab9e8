"""Ranks and the figures made from them, as pure functions.

Shapes: ``B`` examples · ``V`` candidate items.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

CUTOFFS = (5, 10, 20)
# What summarise_ranks gives, in the order of every table.
FIGURES = (*(f"HR@{k}" for k in CUTOFFS), *(f"NDCG@{k}" for k in CUTOFFS), "MRR")
# The "rank" of a target that is no candidate: it is in no list, however long, so that it is a miss
# at every cutoff and its reciprocal rank is 0. The largest number of 32 bits, as ranks are stored.
UNRANKED = 2**32 - 1


def target_ranks(scores_BV: Tensor, target_B: Tensor) -> Tensor:
    """Rank of every target, counting from 1, int64 ``(B,)``; **overwrites the scores**.

    Ties never favour the target: it stands behind every item that scores as much as it does.
    Items that are no candidates must score ``-inf``; a target that is none is :data:`UNRANKED`. For
    catalogues of up to 16,777,216 items.
    """
    target_score = scores_BV.gather(1, target_B[:, None])
    # Ones and zeros of float32 are added up three times faster on a CPU than truth values, and
    # exactly: up to 2^24 of them. Another block of memory for them would cost as much again.
    ranks = scores_BV.ge_(target_score).sum(1).long()
    return ranks.masked_fill_(target_score[:, 0] == -math.inf, UNRANKED)


def hits(ranks: np.ndarray, k: int) -> np.ndarray:
    """1 where the target is among the first k, else 0; its mean is HR@k."""
    return ranks <= k


def gains(ranks: np.ndarray, k: int) -> np.ndarray:
    """``1 / log2(rank + 1)`` where the rank is at most k, else 0; its mean is NDCG@k."""
    return hits(ranks, k) / np.log2(ranks + 1.0)


def summarise_ranks(ranks: np.ndarray) -> dict[str, float]:
    """HR@k, NDCG@k for k in 5, 10, 20, and MRR; one target an example, so HR@k = Recall@k.

    ``MRR`` is the mean of ``1 / rank`` over the full ranking, 0 for what is :data:`UNRANKED`.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    if ranks.size == 0:
        raise ValueError("no ranks to summarise")
    figures = {f"HR@{k}": float(hits(ranks, k).mean()) for k in CUTOFFS}
    figures |= {f"NDCG@{k}": float(gains(ranks, k).mean()) for k in CUTOFFS}
    figures["MRR"] = float(np.where(ranks == UNRANKED, 0, 1 / ranks).mean())
    return figures
