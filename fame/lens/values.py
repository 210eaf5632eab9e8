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

from fame.models.item_values import ValueIndex
from fame.models.sequence_model import SequenceModel

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

        def by_head(x_ND: Tensor) -> Tensor:
            """``<W^f_h x, F_h>`` as ``(H, N)``."""
            return torch.einsum("hnk,hk->hn", model.seen_by_heads(x_ND), state_HK)

        index, vectors_AK = model.values.index, model.values.vectors
        H = len(state_HK)
        counts = torch.tensor(index.counts, device=vectors_AK.device)
        head_A = torch.arange(H, device=vectors_AK.device).repeat_interleave(counts)
        in_slice_AHK = F.one_hot(head_A, H).to(vectors_AK)[:, :, None] * vectors_AK[:, None]
        points_HA = by_head(in_slice_AHK.flatten(1))
        own_HV = by_head(model.values.own_parts(model.item_embedding.weight).flatten(1))
        cosine = model.config.score != "dot"
        length_V = torch.linalg.vector_norm(model.item_vectors(), dim=1) if cosine else None
        own = own_HV.double().cpu().numpy()
        length = np.ones(own.shape[1]) if length_V is None else length_V.double().cpu().numpy()
        length[0] = 1.0  # the padding has none, and is nobody's item
        own /= length
        own[:, 0] = 0.0
        return cls(
            index=ValueIndex(index.counts, index.value.cpu(), index.start.cpu()),
            by_value=points_HA.gather(0, head_A[None])[0].double().cpu().numpy(),
            own=own,
            length=length,
            vectors=vectors_AK.double().cpu().numpy() if cosine else None,
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
