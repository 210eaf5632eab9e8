"""Ranks and the figures made from them, as pure functions.

Shapes: ``B`` examples · ``V`` candidate items.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

CUTOFFS = (5, 10, 20)


def target_ranks(scores_BV: Tensor, target_B: Tensor) -> Tensor:
    """Rank of every target, counting from 1, int64 ``(B,)``.

    Ties never favour the target: it stands behind every item that scores as much as it does.
    Items that are no candidates must score ``-inf``; the target itself must not.
    """
    target_score = scores_BV.gather(1, target_B[:, None])
    return (scores_BV >= target_score).sum(1)


def summarise_ranks(ranks: np.ndarray) -> dict[str, float]:
    """HR@k, NDCG@k for k in 5, 10, 20, and MRR; one target an example, so HR@k = Recall@k.

    ``NDCG@k`` is ``1 / log2(rank + 1)`` where the rank is at most k, else 0; ``MRR`` is the mean
    of ``1 / rank`` over the full ranking.
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    if ranks.size == 0:
        raise ValueError("no ranks to summarise")
    gain = 1 / np.log2(ranks + 1)
    figures = {f"HR@{k}": float((ranks <= k).mean()) for k in CUTOFFS}
    figures |= {f"NDCG@{k}": float((gain * (ranks <= k)).mean()) for k in CUTOFFS}
    figures["MRR"] = float((1 / ranks).mean())
    return figures
