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
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fame.models.item_values import ItemValues, ValueIndex
from fame.models.sequence_model import SequenceModel


@dataclass(frozen=True)
class _Composed:
    """What of the items does not depend on a history.

    Attributes:
        made_of: The weights that it is made of, and how often each had been changed then.
        own_HVK: Own parts as the heads see them.
        length_V: ``|x_v|`` under cosine scores, else 1; 1 for the padding, which has none.
    """

    made_of: tuple[tuple[Tensor, int], ...]
    own_HVK: Tensor
    length_V: Tensor

    @classmethod
    def of(cls, model: SequenceModel, values: ItemValues) -> _Composed:
        """As composed for the last history, unless weights were changed since.

        Kept here and not on the model, which many sessions may share.
        """
        weights = [values.vectors, model.item_embedding.weight, *model.parameters(recurse=False)]
        made_of = tuple((weight, weight._version) for weight in weights)
        known = _composed.get(model)
        if known is not None and all(
            a is b and before == now
            for (a, before), (b, now) in zip(known.made_of, made_of, strict=True)
        ):
            return known
        own_VHK = values.own_parts(model.item_embedding.weight)
        length_V = torch.ones_like(own_VHK[:, 0, 0])
        if model.config.score != "dot":
            length_V[1:] = torch.linalg.vector_norm(model.item_vectors(), dim=1)[1:]
        found = cls(made_of, model.seen_by_heads(own_VHK.flatten(1)), length_V)
        _composed[model] = found
        return found


_composed: WeakKeyDictionary[SequenceModel, _Composed] = WeakKeyDictionary()

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

        composed = _Composed.of(model, model.values)
        index, vectors_AK = model.values.index, model.values.vectors
        H = len(state_HK)
        counts = torch.tensor(index.counts, device=vectors_AK.device)
        head_A = torch.arange(H, device=vectors_AK.device).repeat_interleave(counts)
        in_slice_AHK = F.one_hot(head_A, H).to(vectors_AK)[:, :, None] * vectors_AK[:, None]
        seen_HAK = model.seen_by_heads(in_slice_AHK.flatten(1))
        points_HA = torch.einsum("hak,hk->ha", seen_HAK, state_HK)
        own_HV = torch.einsum("hvk,hk->hv", composed.own_HVK, state_HK)
        length = composed.length_V.double().cpu().numpy()
        own = own_HV.double().cpu().numpy() / length
        own[:, 0] = 0.0
        return cls(
            index=ValueIndex(index.counts, index.value.cpu(), index.start.cpu()),
            by_value=points_HA.gather(0, head_A[None])[0].double().cpu().numpy(),
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
