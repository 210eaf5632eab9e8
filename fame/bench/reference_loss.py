"""The yardstick: cross-entropy over the catalogue, forward and backward, chunked and plain.

It is what anybody would write who knows that all logits at once do not fit, and nothing more: no
trick of ours may get into it, or the figures measured against it would lose their meaning.

Shapes: ``N`` positions · ``D`` width · ``V`` items.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor

from fame.bench.machine import synchronise

ROWS = 256  # of logits at a time
_BLOCK = 8192  # positions whose queries are made up at a time, so that 20 million need no memory


def reference_loss(
    query_ND: Tensor, table_VD: Tensor, target_N: Tensor, *, rows: int = ROWS
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean cross-entropy of ``query @ table.T`` and its gradients in query and table.

    Products are in the precision of the arguments, softmax and sums at least in float32.

    Returns:
        Loss ``()``, gradients ``(N, D)`` and ``(V, D)``.
    """
    precise = torch.promote_types(query_ND.dtype, torch.float32)
    N = len(query_ND)
    loss = torch.zeros((), dtype=precise, device=query_ND.device)
    grad_query = torch.empty_like(query_ND)
    grad_table = torch.zeros_like(table_VD, dtype=precise)
    for begin in range(0, N, rows):
        query, target = query_ND[begin : begin + rows], target_N[begin : begin + rows, None]
        logits = (query @ table_VD.T).to(precise)
        total = logits.logsumexp(1, keepdim=True)
        loss += (total - logits.gather(1, target)).sum()
        share = (logits - total).exp()  # softmax
        share.scatter_add_(1, target, torch.full_like(target, -1, dtype=precise))
        share = share.to(query.dtype)
        grad_query[begin : begin + rows] = share @ table_VD
        grad_table += share.T @ query
    return loss / N, grad_query / N, grad_table / N


class ReferenceEpoch:
    """The loss alone over as many positions as an epoch has.

    Args:
        positions, items, width: N, V and D.
        dtype: ``float32`` or ``bfloat16``, of the products.
    """

    def __init__(self, positions: int, items: int, width: int, dtype: str, device: str) -> None:
        self.device, self._positions = torch.device(device), positions
        block = min(_BLOCK, positions)
        rng = torch.Generator().manual_seed(0)
        kind = getattr(torch, dtype)
        self._query = torch.randn(block, width, generator=rng).to(self.device, kind)
        self._table = (0.02 * torch.randn(items, width, generator=rng)).to(self.device, kind)
        self._target = torch.randint(items, (block,), generator=rng).to(self.device)

    def __call__(self, share: float = 1.0, seconds: float = math.inf) -> dict[str, Any]:
        """Goes over a share of the positions, or until the time is up.

        Returns:
            ``seconds`` of the whole, extrapolated, and the ``share`` that was timed.
        """
        wanted, done = max(1, round(share * self._positions)), 0
        synchronise(self.device)
        started = time.perf_counter()
        while done < wanted and time.perf_counter() - started < seconds:
            count = min(len(self._query), wanted - done)
            reference_loss(self._query[:count], self._table, self._target[:count])
            done += count
            if math.isfinite(seconds):  # work that is only queued is not done
                synchronise(self.device)
        synchronise(self.device)
        elapsed = time.perf_counter() - started
        return {"seconds": elapsed * self._positions / done, "share": done / self._positions}
