"""From one history to tables: lists by head, the fused list, the exact ledger, ranks.

Everything here is in item *indices* and numpy; titles are joined where they are shown.

Shapes: ``n`` clicks in the history · ``t`` of them read by the model (the latest) · ``H`` heads ·
``E`` experts in each head · ``V`` items with the padding id 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from fame.errors import FameError
from fame.lens.kept import item_table, item_vectors, sub_embeddings
from fame.lens.values import ByValue, ValuePoints
from fame.models.sequence_model import Intervention, SequenceModel
from fame.ranking import Repeats, candidates, top_items


@dataclass(frozen=True)
class SequenceTrace:
    """All that one forward pass says about the next item after a history.

    Attributes:
        history: ``(n,)`` item indices, whole, oldest first.
        seen_from: Index of the first click that the model reads.
        gate: ``(H,)`` shares of the heads, as applied.
        router: ``(H, E)`` shares of the experts in each head, as applied; SASRec ``(1, 0)``.
        attention: ``(H, E, t)`` what each expert attends to among the clicks read.
        gate_path: ``(t, H)`` the gate after every click read.
        router_path: ``(t, H, E)`` the router after every click read.
        head_scores: ``(H, V)`` raw ``P_h(v)``; ``-inf`` at the padding.
        scores: ``(V,)`` raw ``P(v)``; ``-inf`` at the padding.
        repeats: Whether the history's items may be recommended again.
        values: What the items' values are worth here; ``None`` where items are not made of any.
    """

    history: np.ndarray
    seen_from: int
    gate: np.ndarray
    router: np.ndarray
    attention: np.ndarray
    gate_path: np.ndarray
    router_path: np.ndarray
    head_scores: np.ndarray
    scores: np.ndarray
    repeats: Repeats
    values: ValuePoints | None

    @property
    def heads(self) -> int:
        return len(self.gate)

    @property
    def experts(self) -> int:
        return self.router.shape[1]

    @property
    def read(self) -> np.ndarray:
        """``(t,)`` the clicks that the model reads."""
        return self.history[self.seen_from :]

    @property
    def candidates(self) -> np.ndarray:
        """``(V,)`` bool: what may be recommended."""
        return candidates(self.history, len(self.scores), self.repeats)


def trace_history(
    model: SequenceModel,
    history: np.ndarray,
    *,
    repeats: Repeats = "exclude",
    intervention: Intervention | None = None,
) -> SequenceTrace:
    """Reads a history as the model does and keeps everything.

    Args:
        history: ``(n,)`` item indices, oldest first, at least one.
        repeats: The checkpoint's choice: whether the history's items may be recommended again.
        intervention: A change to gate or router; ``gate`` and ``router`` are then as applied.

    Raises:
        FameError: where the weights are so broken that a score is not a finite number.
    """
    history = np.asarray(history, dtype=np.int64)
    if history.ndim != 1 or not len(history) or history.min() < 1:
        raise ValueError("a history to trace needs at least one item, and only real items")
    seen_from = max(0, len(history) - model.config.max_length)
    device = next(model.parameters()).device
    items = torch.from_numpy(history[seen_from:])[None].to(device)
    traced = model.trace(
        items,
        intervention=intervention,
        vectors_VD=item_vectors(model),
        table_VD=item_table(model),
        seen_HVK=sub_embeddings(model),
    )

    def array(tensor: torch.Tensor) -> np.ndarray:
        return tensor[0].double().cpu().numpy()

    gate, by_head = array(traced.gate), array(traced.head_scores)
    if not (np.isfinite(by_head[:, 1:]).all() and np.isfinite(gate).all()):
        raise FameError("The model's scores are not finite numbers: train the checkpoint again.")
    return SequenceTrace(
        history=history,
        seen_from=seen_from,
        gate=gate,
        router=array(traced.router),
        attention=array(traced.attention),
        gate_path=array(traced.gate_path),
        router_path=array(traced.router_path),
        head_scores=by_head,
        # Added up here in double precision, so that the ledger adds up to the last digit and a
        # head alone gives its own list; equal to the fast path's one query up to rounding.
        scores=np.append(-np.inf, gate @ by_head[:, 1:]),
        repeats=repeats,
        values=ValuePoints.of(model, traced.head_queries[0], by_head),
    )


def centre(scores: np.ndarray) -> np.ndarray:
    """Takes the mean over all real items off scores ``(..., V)``; the padding stays ``-inf``.

    Adding one vector to every item embedding changes no ranking and no loss, yet moves raw scores.
    Centred ones do not move, so they are the ones with a meaning.
    """
    return scores - scores[..., 1:].mean(-1, keepdims=True)


def head_scores(trace: SequenceTrace, *, raw: bool = False) -> np.ndarray:
    """``P_h(v)`` as ``(H, V)``, centred over items unless ``raw``."""
    return trace.head_scores if raw else centre(trace.head_scores)


def fused_scores(trace: SequenceTrace, *, raw: bool = False) -> np.ndarray:
    """``P(v)`` as ``(V,)``, centred over items unless ``raw``."""
    return trace.scores if raw else centre(trace.scores)


def ledger(trace: SequenceTrace, items: np.ndarray, *, raw: bool = False) -> np.ndarray:
    """``c_h(v) = g_h P_h(v)`` of the given items as ``(len(items), H)``.

    The rows sum to the fused score of the item: exactly in real numbers, to rounding here.
    """
    return (trace.gate[:, None] * head_scores(trace, raw=raw)[:, items]).T


def value_ledger(trace: SequenceTrace, item: int, *, raw: bool = False) -> ByValue:
    """The ledger of one item down to its values: ``[H]`` of (value or ``None``, points).

    Each head's points, those of the item's own part (``None``) last, sum to its entry of
    :func:`ledger`, to rounding of the model's precision. Where items are not made of values that
    entry is the one there is.
    """
    if trace.values is None:
        return [[(None, float(points))] for points in ledger(trace, np.array([item]), raw=raw)[0]]
    return _weighed(trace, trace.values.parts(item, raw=raw))


def _weighed(trace: SequenceTrace, parts: ByValue) -> ByValue:
    """Parts of the heads' scores as parts of the fused one, by the gate's shares."""
    return [
        [(value, share * points) for value, points in own]
        for share, own in zip(trace.gate.tolist(), parts, strict=True)
    ]


@dataclass(frozen=True)
class NewItem:
    """Where an item that nobody has clicked would stand, known by its values alone.

    Attributes:
        score: ``P``, centred over the items of the catalogue unless asked for raw.
        rank: Among the candidates, from 1; ties stand before it.
        rank_by_head: The same in each head's own list.
        by_value: As of :func:`value_ledger`; its own part is nothing but what centring takes off.
    """

    score: float
    rank: int
    rank_by_head: list[int]
    by_value: ByValue


def new_item(
    trace: SequenceTrace, values: Sequence[Sequence[int]], *, raw: bool = False
) -> NewItem:
    """Ranks an item of these values ``[H]``, by number, whose own part is zero.

    Raises:
        FameError: where items are not made of values, or none is given.
    """
    if trace.values is None:
        raise FameError(
            "This checkpoint knows items one by one and not by their values, so it cannot rank a "
            "new one; train a model with head_facets."
        )
    if not any(values):
        raise FameError("A new item needs at least one value to be ranked by.")
    parts = trace.values.parts_of_new(values, raw=True)
    by_head = np.array([sum(points for _, points in own) for own in parts])
    allowed = trace.candidates
    fused = float(trace.gate @ by_head)
    by_value = _weighed(trace, trace.values.parts_of_new(values, raw=raw))
    return NewItem(
        score=sum(points for own in by_value for _, points in own),
        rank=1 + int((trace.scores[allowed] >= fused).sum()),
        rank_by_head=(1 + (trace.head_scores[:, allowed] >= by_head[:, None]).sum(1)).tolist(),
        by_value=by_value,
    )


def around(trace: SequenceTrace, rank: int, reach: int) -> tuple[list[int], list[int]]:
    """The candidates just above and just below a place between them, best first.

    Args:
        rank: Of an item that is not in the catalogue, such as :attr:`NewItem.rank`: as many
            candidates as ``rank - 1`` stand before it.
        reach: How many items on either side, at most.
    """
    best = top_items(trace.scores, trace.candidates, rank - 1 + reach).tolist()
    return best[max(0, rank - 1 - reach) : rank - 1], best[rank - 1 :]


def head_table(trace: SequenceTrace, k: int, *, raw: bool = False) -> pd.DataFrame:
    """Each head's own list: ``head, rank, item, score``, k rows a head."""
    scores, candidates = head_scores(trace, raw=raw), trace.candidates
    lists = np.stack([top_items(own, candidates, k) for own in scores])
    heads, length = lists.shape
    return pd.DataFrame(
        {
            "head": np.repeat(np.arange(heads), length),
            "rank": np.tile(np.arange(1, length + 1), heads),
            "item": lists.ravel(),
            "score": np.take_along_axis(scores, lists, axis=1).ravel(),
        }
    )


def fused_table(trace: SequenceTrace, k: int, *, raw: bool = False) -> pd.DataFrame:
    """The fused list with its ledger: ``rank, item, score, head_0 .. head_{H-1}``."""
    scores = fused_scores(trace, raw=raw)
    items = top_items(scores, trace.candidates, k)
    shares = ledger(trace, items, raw=raw)
    ranks = np.arange(1, len(items) + 1)
    return pd.DataFrame(
        {"rank": ranks, "item": items, "score": scores[items]}
        | {f"head_{head}": shares[:, head] for head in range(trace.heads)}
    )


def item_ranks(trace: SequenceTrace, item: int) -> tuple[int | None, list[int | None]]:
    """Rank of one item in the fused list and in each head's, counting from 1.

    As in evaluation: ties stand before the item, and what is no candidate has no rank (``None``),
    because it can be in no list.
    """
    allowed = trace.candidates
    if not allowed[item]:
        return None, [None] * trace.heads

    def rank(scores: np.ndarray) -> int:
        return int((scores[allowed] >= scores[item]).sum())

    return rank(trace.scores), [rank(scores) for scores in trace.head_scores]


def leave_out(history: np.ndarray, item: int) -> np.ndarray:
    """The history as if every click on ``item`` (an index) had never happened.

    Raises:
        FameError: where no click was on it, or all were.
    """
    kept = history[history != item]
    if len(kept) == len(history):
        raise FameError("The item to leave out is not in the history; name one that is.")
    if not len(kept):
        raise FameError("Leaving that item out makes the history empty; a trace needs one click.")
    return kept
