"""The ledger down to values: what of a head's score comes of which value of the item.

Where items are made of values (:mod:`fame.models.item_values`) a head's score is a sum over them:

    P_h(v) = (1 / |x_v|) ( sum_{a in values of v} <W^f_h e_a, F_h> / sqrt(n_vh)
                           + s_vh <W^f_h r_v[slice h], F_h> )

with ``|x_v|`` under cosine scores alone. The values' part bounds the own part, but only through
``s_vh``, one number that every item has once its vectors are learned: so the parts add up, and
nothing has to be taken away and run again to know them.

Scores mean something only up to a constant over items, so parts are centred too: what values give
a head by the mean of that over all items, in equal shares of the item's values, and the own part by
the mean of all own parts. An item without a value of the facet has both means off its own part.

Shapes: ``H`` heads · ``K`` head width · ``V`` items with the padding id 0 · ``A`` values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.lens.kept import item_vectors, once
from fame.models.item_values import ItemValues, ValueIndex
from fame.models.sequence_model import SequenceModel


@dataclass(frozen=True)
class _Composed:
    """What of the items does not depend on a history.

    Attributes:
        own_HVK: Own parts as the heads see them.
        length_V: ``|x_v|`` under cosine scores, else 1; 1 for the padding, which has none.
        seen_AK: Values' vectors as the head that knows each of them sees it.
        head_A: Which head that is.
    """

    own_HVK: Tensor
    length_V: Tensor
    seen_AK: Tensor
    head_A: Tensor

    @classmethod
    def of(cls, model: SequenceModel, values: ItemValues) -> _Composed:
        own_VHK = values.own_parts(model.item_embedding.weight)
        length_V = torch.ones_like(own_VHK[:, 0, 0])
        if model.config.score != "dot":
            length_V[1:] = torch.linalg.vector_norm(item_vectors(model), dim=1)[1:]
        H = len(values.index.counts)
        counts = torch.tensor(values.index.counts, device=values.vectors.device)
        head_A = torch.arange(H, device=counts.device).repeat_interleave(counts)
        in_slice_AHK = F.one_hot(head_A, H).to(values.vectors)[:, :, None] * values.vectors[:, None]
        seen_HAK = model.seen_by_heads(in_slice_AHK.flatten(1))
        return cls(
            model.seen_by_heads(own_VHK.flatten(1)),
            length_V,
            seen_HAK[head_A, torch.arange(len(head_A), device=head_A.device)],
            head_A,
        )


def _composed(model: SequenceModel, values: ItemValues) -> _Composed:
    """As composed for the last history, unless weights were changed since."""
    return once(model, "composed", lambda: _Composed.of(model, values))


# [H] of (number of a value, or None for the item's own part; points).
ByValue = list[list[tuple[int | None, float]]]


@dataclass(frozen=True)
class ValuePoints:
    """What values and own parts are worth to the heads after one history, before the gate.

    Attributes:
        index: Which item has which values.
        by_value: ``(A,)`` ``<W^f_h e_a, F_h>`` in the head that knows the value.
        own: ``(H, V)`` what of ``P_h(v)`` is the item's own; 0 at the padding.
        length: ``(V,)`` ``|x_v|`` under cosine scores, else 1.
        vectors: ``(A, K)`` e_a, of which a new item's length is made; under cosine scores alone.
        given_mean: ``(H,)`` mean over items of what of ``P_h`` their values give.
        own_mean: ``(H,)`` mean over items of what is their own.
    """

    index: ValueIndex
    by_value: np.ndarray
    own: np.ndarray
    length: np.ndarray
    vectors: np.ndarray | None
    given_mean: np.ndarray
    own_mean: np.ndarray

    @classmethod
    @torch.no_grad()
    def of(cls, model: SequenceModel, state_HK: Tensor, scores: np.ndarray) -> ValuePoints | None:
        """From the heads' states at the end of a history; ``None`` without values.

        Args:
            scores: ``(H, V)`` raw ``P_h(v)``.
        """
        if model.values is None:
            return None

        composed = _composed(model, model.values)
        index, vectors_AK = model.values.index, model.values.vectors
        points_A = (composed.seen_AK * state_HK[composed.head_A]).sum(-1)
        own_HV = torch.einsum("hvk,hk->hv", composed.own_HVK, state_HK)
        length = composed.length_V.double().cpu().numpy()
        own = own_HV.double().cpu().numpy() / length
        own[:, 0] = 0.0
        return cls(
            index=ValueIndex(index.counts, index.value.cpu(), index.start.cpu()),
            by_value=points_A.double().cpu().numpy(),
            own=own,
            length=length,
            vectors=None if model.config.score == "dot" else vectors_AK.double().cpu().numpy(),
            given_mean=(scores - own)[:, 1:].mean(1),
            own_mean=own[:, 1:].mean(1),
        )

    def parts(self, item: int, *, raw: bool) -> ByValue:
        """Of one item of the catalogue."""
        own = self.own[:, item]
        return self._parts(self.index.values_of(item), own, float(self.length[item]), raw=raw)

    def parts_of_new(self, values: Sequence[Sequence[int]], *, raw: bool) -> ByValue:
        """Of an item of these values ``[H]`` that has nothing of its own."""
        length = 1.0
        if self.vectors is not None:
            squares = [
                np.square(self.vectors[list(own)].sum(0)).sum() / len(own) for own in values if own
            ]
            length = float(sum(squares)) ** 0.5
        return self._parts(values, np.zeros(len(values)), length, raw=raw)

    def _parts(
        self, values: Sequence[Sequence[int]], own: np.ndarray, length: float, *, raw: bool
    ) -> ByValue:
        by_head: ByValue = []
        for head, numbers in enumerate(values):
            many = len(numbers)
            given_off, own_off = (0.0, 0.0) if raw else (self.given_mean[head], self.own_mean[head])
            parts: list[tuple[int | None, float]] = [
                (value, float(self.by_value[value] / (many**0.5 * length) - given_off / many))
                for value in numbers
            ]
            rest = own[head] - own_off - (0.0 if numbers else given_off)
            by_head.append([*parts, (None, float(rest))])
        return by_head


@dataclass(frozen=True)
class ValueRows:
    """The ledger down to values of many lists' items, one row a part.

    Attributes:
        start: ``(n k + 1,)`` where the rows of each entry ``i k + j`` begin, and their end; those
            of an entry stand by head, an item's own part behind its values.
        head: ``(rows,)``.
        value: ``(rows,)`` number of the value, -1 for the item's own part.
        points: ``(rows,)`` centred; those of one head sum to its entry of the ledger.
    """

    start: np.ndarray
    head: np.ndarray
    value: np.ndarray
    points: np.ndarray


@torch.no_grad()
def value_rows(
    model: SequenceModel, state_nHK: Tensor, gate_nH: Tensor, items_nk: np.ndarray
) -> ValueRows | None:
    """The centred parts of :meth:`ValuePoints.parts`, weighed by the gate, for many histories.

    Args:
        state_nHK: The heads' states at the end of each history, and ``gate_nH`` its gate.
        items_nk: Items of its list; of the padding there is no part.
    """
    if model.values is None:
        return None
    composed, index = _composed(model, model.values), model.values.index
    state, gate = state_nHK.double().cpu().numpy(), gate_nH.double().cpu().numpy()
    seen = composed.seen_AK.double().cpu().numpy()
    head_A = composed.head_A.cpu().numpy()
    length = composed.length_V.double().cpu().numpy()
    own_HVK = (composed.own_HVK.double() / composed.length_V[:, None].double()).cpu().numpy()
    own_mean_HK = own_HVK[:, 1:].mean(1)
    all_mean_HK = model.sub_embeddings().double().mean(1).cpu().numpy()
    start, value = index.start.cpu().numpy(), index.value.cpu().numpy()
    V, (n, k) = own_HVK.shape[1], items_nk.shape
    entry = np.flatnonzero(items_nk.ravel())  # of real items
    item, row = items_nk.ravel()[entry], entry // k
    parts: list[tuple[np.ndarray, ...]] = []
    for head in range(len(index.counts)):
        state_K, share = state[row, head], gate[row, head]
        own_off = (state[:, head] @ own_mean_HK[head])[row]
        given_off = (state[:, head] @ all_mean_HK[head])[row] - own_off
        many = np.zeros(len(entry), dtype=np.int64)
        if head in index.named:
            group = index.named.index(head)
            begin = start[group * V + item]
            many = start[group * V + item + 1] - begin
            of = np.repeat(np.arange(len(entry)), many)
            within = np.arange(len(of)) - np.repeat(np.cumsum(many) - many, many)
            number = value[begin[of] + within]
            points = (seen[number] * state_K[of]).sum(-1) / (np.sqrt(many[of]) * length[item[of]])
            points = share[of] * (points - given_off[of] / many[of])
            assert (head_A[number] == head).all(), "a head knows its own values alone"
            parts.append((entry[of], np.full(len(of), head), number, points))
        own = (own_HVK[head, item] * state_K).sum(-1) - own_off
        own = share * (own - np.where(many == 0, given_off, 0.0))
        parts.append((entry, np.full(len(entry), head), np.full(len(entry), -1), own))
    of, by_head, number, points = (np.concatenate(own) for own in zip(*parts, strict=True))
    order = np.argsort(of, kind="stable")
    counts = np.bincount(of, minlength=n * k)
    return ValueRows(
        np.concatenate([[0], np.cumsum(counts)]), by_head[order], number[order], points[order]
    )
