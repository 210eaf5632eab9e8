"""Two lists side by side: what moved, and how alike they are.

Shapes: ``H`` heads · ``k`` items in a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.errors import FameError
from fame.lens.trace import SequenceTrace, fused_scores, item_ranks
from fame.ranking import top_items

NOTHING_LEFT = "The history holds the whole catalogue, so there is nothing left to recommend."
PERSISTENCE = 0.9  # p of the rank-biased overlap: the first ten ranks carry 86 % of the weight


def rank_biased_overlap(
    first: Sequence[int] | np.ndarray, second: Sequence[int] | np.ndarray, p: float = PERSISTENCE
) -> float:
    """How alike two rankings are: 1 for the same order, 0 for nothing in common.

    Extrapolated rank-biased overlap for finite lists, equation 32 of Webber, Moffat & Zobel
    (2010), "A similarity measure for indefinite rankings". With ``X_d`` the number of items that
    both lists share down to depth d, s and l the lengths of the shorter and the longer list::

        RBO_ext = (1 - p) / p * ( sum_{d=1..l} p^d X_d / d
                                + sum_{d=s+1..l} p^d X_s (d - s) / (s d) )
                  + p^l * ( (X_l - X_s) / l + X_s / s )

    It assumes that below what is seen the lists agree as much as they do at the end of it.

    Args:
        first, second: Different items each, best first, at least one.
        p: In (0, 1); how far down somebody looks: rank d weighs ``p^d``.
    """
    short, long = sorted((list(first), list(second)), key=len)
    s, l = len(short), len(long)  # noqa: E741 - as in the equation
    if not s or not 0 < p < 1:
        raise ValueError("rank-biased overlap needs two lists with items, and p in (0, 1)")
    if len(set(short)) < s or len(set(long)) < l:
        raise ValueError("an item stands twice in a ranking")
    seen_short: set[int] = set()
    seen_long: set[int] = set()
    shared = np.zeros(l + 1)
    for depth in range(1, l + 1):
        seen_long.add(long[depth - 1])
        if depth <= s:
            seen_short.add(short[depth - 1])
        shared[depth] = len(seen_short & seen_long)
    d = np.arange(1, l + 1)
    beyond = np.maximum(d - s, 0) / s  # 0 down to the end of the shorter list
    agreement = (shared[1:] + shared[s] * beyond) / d
    rest = (shared[l] - shared[s]) / l + shared[s] / s
    return float((1 - p) / p * (p**d * agreement).sum() + p**l * rest)


@dataclass(frozen=True)
class Comparison:
    """A list before and after something was changed.

    Attributes:
        moves: One row an item of either list: ``item, rank_before, rank_after`` (whole rankings,
            from 1; ``<NA>`` where the history excludes it), ``change`` (places won, negative for
            lost), ``score_before, score_after`` (fused, centred), ``listed`` (``both``, ``before``
            or ``after``). In the order of the list before, then what is new in the one after.
        shared: Items in both lists.
        length: Items in the longer list.
        rbo: Rank-biased overlap of the two lists, with ``p`` = :data:`PERSISTENCE`.
        held_out: Fused rank of the held-out item before and after, where there is one; ``None``
            for a rank where it is no candidate.
        held_out_by_head: The same in every head, ``[(before, after) x H]``.
    """

    moves: pd.DataFrame
    shared: int
    length: int
    rbo: float
    held_out: tuple[int | None, int | None] | None
    held_out_by_head: list[tuple[int | None, int | None]]


def _places(trace: SequenceTrace) -> np.ndarray:
    """``(V,)`` the place of every item in the whole fused list, from 1; 0 for no candidate."""
    candidates = trace.candidates
    order = top_items(trace.scores, candidates, int(candidates.sum()))
    places = np.zeros(len(candidates), dtype=np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places


def compare(
    before: SequenceTrace, after: SequenceTrace, k: int, *, held_out: int | None = None
) -> Comparison:
    """Compares the fused lists of two traces of the same model, k items each.

    Args:
        held_out: The item that came next, where it is known.

    Raises:
        FameError: where a history holds the whole catalogue, so that its list is empty.
    """
    places = [_places(trace) for trace in (before, after)]
    first_list, second_list = (
        top_items(trace.scores, trace.candidates, k) for trace in (before, after)
    )
    if not len(first_list) or not len(second_list):
        raise FameError(NOTHING_LEFT)
    new = second_list[~np.isin(second_list, first_list)]
    items = np.concatenate([first_list, new])
    ranks = [pd.Series(place[items], dtype="Int64").replace(0, pd.NA) for place in places]
    listed = np.where(np.isin(items, second_list), "both", "before")
    listed[len(first_list) :] = "after"
    shared = int((listed == "both").sum())
    by_head: list[tuple[int | None, int | None]] = []
    fused = None
    if held_out is not None:
        (first, first_heads), (second, second_heads) = (
            item_ranks(trace, held_out) for trace in (before, after)
        )
        fused, by_head = (first, second), list(zip(first_heads, second_heads, strict=True))
    return Comparison(
        moves=pd.DataFrame(
            {
                "item": items,
                "rank_before": ranks[0],
                "rank_after": ranks[1],
                "change": ranks[0] - ranks[1],
                "score_before": fused_scores(before)[items],
                "score_after": fused_scores(after)[items],
                "listed": listed,
            }
        ),
        shared=shared,
        length=max(len(first_list), len(second_list)),
        rbo=rank_biased_overlap(first_list, second_list),
        held_out=fused,
        held_out_by_head=by_head,
    )


def new_without_head(trace: SequenceTrace, k: int) -> list[int | None]:
    """For every head: how many of the k listed items change when the gate gives it nothing.

    Exact without another forward pass, because a gate changes no head's own scores, or all of them
    by one factor. ``None`` where the head has all of the gate, so that nothing is left without it.
    """
    listed = top_items(trace.scores, trace.candidates, k)
    counts: list[int | None] = []
    for head in range(trace.heads):
        rest = trace.gate.copy()
        rest[head] = 0
        if not rest.any():
            counts.append(None)
            continue
        scores = np.append(-np.inf, rest @ trace.head_scores[:, 1:])
        without = top_items(scores, trace.candidates, k)
        counts.append(len(listed) - int(np.isin(listed, without).sum()))
    return counts
