"""Which past clicks the list hangs on: every one left out in turn, as one batch.

A row is an *item* of the history: leaving it out removes every click on it, exactly as
:func:`fame.lens.trace.leave_out` and ``--without`` do. Of an item clicked twice, one click alone
would look harmless only because the other is still there. Positions close up, and in a history
longer than the model's length an older click moves into the window; that is part of the effect.

What may be recommended stays what it was: where the history is excluded from the lists, so is the
item that is left out, because the person still knows it. So lists change only by what the model has
learnt from it, never because the item itself became a candidate.

This is an intervention, not a share: effects of several clicks do not add up to the effect of
leaving them all out. How far they can be trusted is measured in :mod:`fame.lens.faithfulness`.

Shapes: ``n`` items left out in turn · ``m`` items asked about · ``H`` heads · ``k`` items a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fame.lens.reading import (
    contributions,
    fused_scores,
    head_scores,
    read_histories,
)
from fame.models.sequence_model import Intervention, LastPosition, SequenceModel
from fame.ranking import Repeats, leaving, only_candidates, top_lists

MOST_CLICKS = 200  # whose leaving out is tried: the cost grows with their square


@dataclass(frozen=True)
class Influence:
    """What the model says without each item of a history.

    Attributes:
        history: The history, whole.
        items: ``(n,)`` what is left out in turn: every item with a click that the model reads,
            of the latest :data:`MOST_CLICKS` at most, in the order of its latest click. Empty where
            the history holds one item only, because nothing is left to read without it.
        places: For each of them the places of its clicks in the whole history, from 0.
        readings: ``n + 1`` readings: of the history as it is, then without each item.
        fused: ``(k,)`` the fused list, best first; shorter only in a very small catalogue.
        replaced: ``(n,)`` how many items of the fused list leave it.
        replaced_by_head: ``(n, H)`` how many items of each head's own list leave that.
        repeats: Whether the history's items may be in these lists.
    """

    history: np.ndarray
    items: np.ndarray
    places: tuple[tuple[int, ...], ...]
    readings: LastPosition
    fused: np.ndarray
    replaced: np.ndarray
    replaced_by_head: np.ndarray
    repeats: Repeats


def latest_items(history: np.ndarray, clicks: int) -> np.ndarray:
    """``(n,)`` the different items among the latest clicks, in the order of their last one."""
    latest_first = history[-clicks:][::-1]
    items, first = np.unique(latest_first, return_index=True)
    return items[np.argsort(-first)]


def history_influence(
    model: SequenceModel,
    history: np.ndarray,
    k: int = 10,
    *,
    repeats: Repeats = "exclude",
    intervention: Intervention | None = None,
) -> Influence:
    """Leaves out each item that the model reads, in one batch of ``n + 1`` sequences.

    Args:
        history: ``(length,)`` item indices, oldest first, at least one.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        intervention: Holds in every one of them.
    """
    history = np.asarray(history, dtype=np.int64)
    items = latest_items(history, min(model.config.max_length, MOST_CLICKS))
    if len(items) == 1 and (history == items[0]).all():
        items = items[:0]
    variants = [history, *(history[history != item] for item in items)]
    readings = read_histories(model, variants, intervention=intervention)
    known = [history] * len(variants)
    fused = top_lists(only_candidates(fused_scores(model, readings), known, repeats), k)
    by_head = top_lists(only_candidates(head_scores(model, readings), known, repeats), k)
    return Influence(
        history=history,
        items=items,
        places=tuple(tuple(np.flatnonzero(history == item).tolist()) for item in items),
        readings=readings,
        fused=fused[0][fused[0] > 0],
        replaced=leaving(fused[0], fused[1:]),
        replaced_by_head=np.stack([leaving(own[0], own[1:]) for own in by_head], axis=1),
        repeats=repeats,
    )


def item_effects(model: SequenceModel, influence: Influence, items: np.ndarray) -> np.ndarray:
    """What leaving each click out takes from some items' centred ledger: ``(n, m, H)``.

    Above 0 the click speaks for the item. The sum over heads is the loss of its fused score.
    """
    ledger = contributions(model, influence.readings, items)
    return ledger[:1] - ledger[1:]


def item_influence_table(model: SequenceModel, influence: Influence, item: int) -> pd.DataFrame:
    """The matrix for one item: ``left_out, clicks, score, head_0 ..``, one row a past item.

    ``clicks`` counts its clicks; the heads sum to ``score``, see :func:`item_effects`.
    """
    effects = item_effects(model, influence, np.array([item]))[:, 0]
    table = _left_out(influence)
    table["score"] = effects.sum(1)
    for head in range(effects.shape[1]):
        table[f"head_{head}"] = effects[:, head]
    return table


def list_influence_table(influence: Influence) -> pd.DataFrame:
    """The matrix for the whole lists: ``left_out, clicks, fused, head_0 ..``, items replaced."""
    table = _left_out(influence)
    table["fused"] = influence.replaced
    for head, replaced in enumerate(influence.replaced_by_head.T):
        table[f"head_{head}"] = replaced
    return table


def _left_out(influence: Influence) -> pd.DataFrame:
    counts = np.array([len(places) for places in influence.places], dtype=np.int64)
    return pd.DataFrame({"left_out": influence.items, "clicks": counts})


def because(
    model: SequenceModel, influence: Influence, items: np.ndarray, count: int = 2
) -> pd.DataFrame:
    """For each item the clicks whose leaving out costs it most: ``item, place, cause, effect``.

    At most ``count`` an item, the costliest first (``place`` 1), and only what costs it anything:
    an item that every click speaks against has no row.
    """
    effects = item_effects(model, influence, items).sum(-1)  # (n, m)
    order = np.argsort(-effects, axis=0, kind="stable")[:count]
    rows = [
        {
            "item": int(item),
            "place": place + 1,
            "cause": int(influence.items[row]),
            "effect": float(effects[row, column]),
        }
        for column, item in enumerate(items)
        for place, row in enumerate(order[:, column])
        if effects[row, column] > 0
    ]
    return pd.DataFrame(rows, columns=["item", "place", "cause", "effect"])


def list_order(model: SequenceModel, influence: Influence) -> np.ndarray:
    """``(n,)`` rows of the influence, most influential for the fused list first.

    By how many items leave it, then by what the listed items lose on average.
    """
    if not len(influence.items):
        return np.zeros(0, dtype=np.int64)
    loss = item_effects(model, influence, influence.fused).sum(-1).mean(-1)
    return np.lexsort((-loss, -influence.replaced))
