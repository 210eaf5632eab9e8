"""The first items after many histories, with their ledger: what :mod:`fame.lens.trace` says of one.

Shapes: ``n`` histories · ``k`` items of a list · ``H`` heads · ``V`` items with the padding id 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fame.errors import FameError
from fame.lens.reading import read_histories
from fame.lens.values import ValueRows, value_rows
from fame.models.sequence_model import SequenceModel
from fame.ranking import Repeats, only_candidates

_SCORES = 1 << 24  # at once: 64 MB of them
# So many more than are asked for come from the fast path: its rounding may not decide which items
# are the last of a list.
_SPARE = 8


@dataclass(frozen=True)
class Lists:
    """The fused lists of many histories.

    Attributes:
        items: ``(n, k)`` item indices, best first; 0 where fewer may be recommended.
        by_head: ``(n, k, H)`` the ledger, centred over items; 0 where there is no item.
        by_value: The same down to values; ``None`` where items are not made of any.
    """

    items: np.ndarray
    by_head: np.ndarray
    by_value: ValueRows | None

    @property
    def scores(self) -> np.ndarray:
        """``(n, k)`` centred ``P(v)``: what the heads gave."""
        return self.by_head.sum(-1)


@torch.no_grad()
def first_items(
    model: SequenceModel, histories: Sequence[np.ndarray], k: int, *, repeats: Repeats
) -> Lists:
    """What is recommended after each of many histories.

    Equal to :func:`fame.lens.trace.fused_table` up to the model's rounding.

    Args:
        histories: Each ``(length,)`` item indices, oldest first, at least one.
        k: Length of a list, at least 1; shorter where the catalogue is.

    Raises:
        FameError: where the weights are so broken that a score is not a finite number.
    """
    end = read_histories(model, histories)
    table_VD, sub_HVK = model.padded_table(), model.sub_embeddings()
    mean_HK = sub_HVK.double().mean(1)
    V, H = len(table_VD), len(sub_HVK)
    k = min(k, V - 1)
    items = np.zeros((len(histories), k), dtype=np.int64)
    by_head = np.zeros((len(histories), k, H))
    size = max(1, _SCORES // V)
    for begin in range(0, len(histories), size):
        part = slice(begin, begin + size)
        scores = end.query[part] @ table_VD.T
        if not bool(torch.isfinite(scores[:, 1:]).all()):
            raise FameError(
                "The model's scores are not finite numbers: train the checkpoint again."
            )
        only_candidates(scores, histories[part], repeats)
        best, found = scores.topk(min(k + _SPARE, V - 1), dim=-1)
        found = found.where(best > -torch.inf, 0).sort(dim=-1).values
        shares = torch.stack(
            [
                (
                    (sub_HVK[head][(found - 1).clamp_min(0)].double() - mean_HK[head])
                    * end.head_states[part, head].double()[:, None]
                ).sum(-1)
                for head in range(H)
            ],
            dim=-1,
        )
        shares = shares * end.gate[part].double()[:, None]
        total = shares.sum(-1).where(found > 0, -torch.inf)
        order = total.argsort(dim=-1, descending=True, stable=True)[:, :k]
        items[part] = found.gather(1, order).cpu()
        real = (found > 0)[..., None]
        shares = torch.where(real, shares, 0.0)
        by_head[part] = shares.gather(1, order[..., None].expand(-1, -1, H)).cpu()
    return Lists(items, by_head, value_rows(model, end.head_states, end.gate, items))
