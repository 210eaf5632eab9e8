"""One item's account: where it stands in every list, and why it is or is not recommended.

Shapes: ``H`` heads · ``V`` items with the padding id 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.lens.trace import SequenceTrace, head_scores, item_ranks, ledger
from fame.ranking import top_items


@dataclass(frozen=True)
class ItemAccount:
    """Where one item stands, and against whom it won or lost its place.

    Attributes:
        item: Its index.
        rank: In the fused list, from 1, as in evaluation: ties stand before it. ``None`` where it
            is no candidate, because it stands in the history and that is excluded.
        candidates: How many items are ranked.
        score: Fused and centred.
        rival: The item that decides whether it is listed: the one at rank k, or, where it is
            itself among the first k, the first one after them; ``None`` where it has no rival.
        rival_rank: The rival's place.
        lead: ``P(item) - P(rival)``; below 0 it lost. Centring cancels: raw scores give the same.
        by_head: ``head, gate, rank, score, contribution, rival_contribution, lead``, one row a
            head: its rank (``<NA>`` for no candidate) and centred score in the head alone, what the
            head put into its fused score and into the rival's, and the difference. The leads sum to
            ``lead``.
    """

    item: int
    rank: int | None
    candidates: int
    score: float
    rival: int | None
    rival_rank: int | None
    lead: float
    by_head: pd.DataFrame


def item_account(trace: SequenceTrace, item: int, k: int) -> ItemAccount:
    """The account of any item against the list of the first k.

    Raises:
        ValueError: where there is no such item.
    """
    if not 1 <= item < len(trace.scores):
        raise ValueError(f"there is no item {item}; items count from 1 to {len(trace.scores) - 1}")
    rank, ranks = item_ranks(trace, item)
    others = trace.candidates
    others[item] = False
    ranked = top_items(trace.scores, others, k)
    rival = int(ranked[-1]) if len(ranked) else None
    own = ledger(trace, np.array([item]))[0]
    theirs = ledger(trace, np.array([rival]))[0] if rival else np.full(trace.heads, np.nan)
    by_head = pd.DataFrame(
        {
            "head": np.arange(trace.heads),
            "gate": trace.gate,
            "rank": pd.array(ranks, dtype="Int64"),
            "score": head_scores(trace)[:, item],
            "contribution": own,
            "rival_contribution": theirs,
            "lead": own - theirs,
        }
    )
    return ItemAccount(
        item=item,
        rank=rank,
        candidates=int(trace.candidates.sum()),
        score=float(own.sum()),
        rival=rival,
        rival_rank=None if rival is None else len(ranked) + ((rank or math.inf) <= len(ranked)),
        lead=float((own - theirs).sum()),
        by_head=by_head,
    )
