"""Cross-entropy over the whole catalogue or drawn items, without ever holding all logits.

Shapes: ``N`` targets · ``D`` width · ``V`` items (here without the padding) · ``M`` drawn items ·
``H`` heads · ``K`` head width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Rows of logits held at a time. A CPU wants a block that stays in the cache, a GPU large products.
CPU_CHUNK = 128
CPU_CHUNK_NEGATIVES = 512  # drawn items are fewer than a catalogue
GPU_CHUNK = 8192

# Totals of unshifted exponentials that lie in here prove that nothing overflowed, and that whatever
# underflowed float32 is less than 1e-12 of its total, whatever the size of the catalogue.
_SAFE_TOTALS = (1e-20, 1e30)


def chunk_rows(device_type: str, *, negatives: bool = False) -> int:
    """Rows of logits that are held at a time on a ``cpu`` or a ``cuda`` device.

    Args:
        negatives: Whether they are against drawn items, not against the whole catalogue.
    """
    if device_type != "cpu":
        return GPU_CHUNK
    return CPU_CHUNK_NEGATIVES if negatives else CPU_CHUNK


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes loss and both gradients chunk by chunk in the forward pass.

    The gradient of a chunk needs nothing but the chunk's own softmax, so it is taken while the
    logits are still in the cache, and they are never computed twice or stored. Smoothing, which
    adds the same to every logit, is a correction of rank one.
    """

    @staticmethod
    def forward(
        ctx: Any, query_ND: Tensor, table_VD: Tensor, target_N: Tensor, smoothing: float, chunk: int
    ) -> Tensor:
        dtype = _type_of_products(query_ND)
        query, table = query_ND.to(dtype), table_VD.to(dtype)
        given = query, table, target_N, 1 - smoothing, chunk
        log_total_N1, positive_logit_N1, grad_query, grad_table = _shifted_where_needed(
            partial(_sweep, *given), partial(_sweep_softmax, *given), query_ND.device
        )
        # Sums over positions are taken in double precision: they cost nothing there.
        loss = (log_total_N1 - (1 - smoothing) * positive_logit_N1).sum(dtype=torch.float64)
        if smoothing:
            precise = grad_query.dtype
            mean_D, query_sum_D = table_VD.mean(0, dtype=precise), query_ND.sum(0, dtype=precise)
            loss -= smoothing * torch.dot(mean_D, query_sum_D)
            grad_query -= smoothing * mean_D
            grad_table -= smoothing / len(table) * query_sum_D
        N = max(len(query), 1)
        ctx.save_for_backward(
            grad_query.div_(N).to(query_ND.dtype), grad_table.div_(N).to(table_VD.dtype)
        )
        return (loss / N).to(positive_logit_N1.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_query, grad_table = ctx.saved_tensors
        return grad_query * grad_loss, grad_table * grad_loss, None, None, None


class _SampledCrossEntropy(torch.autograd.Function):
    """The same against drawn items: autograd would keep every logit three times.

    By `python -m fame bench loss` (two CPU cores, float32, 1,024 drawn items) it takes 0.69 of the
    time of all logits at once and a seventh of their memory with the 7,290 positions of a step of
    MovieLens 1M; with the 257 of a step on prefixes, whose logits stay in the cache anyway, 1.14.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query_ND: Tensor,
        positive_ND: Tensor,
        negative_MD: Tensor,
        target_N: Tensor,
        negative_M: Tensor,
        importance_weight: float,
        chunk: int,
    ) -> Tensor:
        dtype = _type_of_products(query_ND)
        given = query_ND, positive_ND, negative_MD
        query, positive, negatives = (rows.to(dtype) for rows in given)
        sweep = partial(
            _sweep_negatives,
            query,
            positive,
            negatives,
            target_N,
            negative_M,
            importance_weight,
            chunk,
        )
        log_total_N1, positive_logit_N1, *gradients = _shifted_where_needed(
            partial(sweep, False), partial(sweep, True), query_ND.device
        )
        N = max(len(query), 1)
        ctx.save_for_backward(
            *(grad.div_(N).to(rows.dtype) for grad, rows in zip(gradients, given, strict=True))
        )
        return ((log_total_N1 - positive_logit_N1).sum(dtype=torch.float64) / N).to(
            positive_logit_N1.dtype
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        return *(grad * grad_loss for grad in ctx.saved_tensors), None, None, None, None


def _type_of_products(query_ND: Tensor) -> torch.dtype:
    """What autocast computes products in, where it is on; else what the queries are."""
    device = query_ND.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return query_ND.dtype


def _shifted_where_needed(
    unshifted: Callable[[], tuple[Tensor, ...]],
    shifted: Callable[[], tuple[Tensor, ...]],
    device: torch.device,
) -> tuple[Tensor, ...]:
    """A sweep whose first result are the logs of all totals, with a shift or without.

    Subtracting every row's maximum before the exponential costs two more passes over the logits. On
    a CPU, where a look at the totals waits for nothing, it is left out at first.
    """
    if device.type == "cpu":
        swept = unshifted()
        if _safe(swept[0]):
            return swept
    return shifted()


def _sweep(
    query_ND: Tensor, table_VD: Tensor, target_N: Tensor, target_share: float, chunk: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """All chunks once, without a shift.

    What is done per logit is three products, one exponential and one sum: the softmax is never
    divided through (its total scales a query or a gradient of width D instead).

    Args:
        target_share: Share of the target, 1 less the smoothing.

    Returns:
        Log-sum-exp of the logits ``(N, 1)``, the target's logit ``(N, 1)``, and, summed over
        positions, the gradients of ``log-sum-exp - target_share * target's logit`` for queries
        ``(N, D)`` and table ``(V, D)``; all in float32 at least.
    """
    log_total, positive_logit, grad_query, grad_table = _results(query_ND, table_VD)
    buffer = query_ND.new_empty((min(chunk, len(query_ND)), len(table_VD)))
    for rows, query, target in _chunks(query_ND, target_N, chunk):
        logits = torch.mm(query, table_VD.T, out=buffer[: len(query)])
        positive_logit[rows] = logits.gather(1, target)
        mass = logits.to(log_total.dtype)
        total = mass.exp_().sum(1, keepdim=True)
        log_total[rows] = total.log()
        # The gradient for the logits, times the total, which is taken off again in width D.
        mass.scatter_add_(1, target, -target_share * total)
        mass = mass.to(query.dtype)
        torch.div(mass @ table_VD, total, out=grad_query[rows])
        _add_product(grad_table, mass, (query / total).to(query.dtype))
    return log_total, positive_logit, grad_query, grad_table


def _sweep_softmax(
    query_ND: Tensor, table_VD: Tensor, target_N: Tensor, target_share: float, chunk: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same for logits of any size, and for a GPU, on which passes over the logits are the cost.

    PyTorch's softmax shifts, exponentiates, sums and divides while it holds a row, and computes in
    float32 what it writes in half precision. The log of a row's total is its largest logit less the
    log of the largest share: the rounding of that share, 1/512 at most, is less than that of a
    logit. What the target's share is short of 1 is what the others have together, because a share
    near 1 is rounded to 1.
    """
    log_total, positive_logit, grad_query, grad_table = _results(query_ND, table_VD)
    buffers = query_ND.new_empty((2, min(chunk, len(query_ND)), len(table_VD)))
    for rows, query, target in _chunks(query_ND, target_N, chunk):
        logits, share = buffers[:, : len(query)]
        torch.mm(query, table_VD.T, out=logits)
        torch.softmax(logits, 1, out=share)
        positive_logit[rows] = logits.gather(1, target)
        largest = share.amax(1, keepdim=True).to(log_total.dtype)
        log_total[rows] = logits.amax(1, keepdim=True) - largest.log()
        share.scatter_(1, target, 0)
        others = share.sum(1, keepdim=True, dtype=log_total.dtype)
        share.scatter_(1, target, (1 - target_share - others).to(share.dtype))
        grad_query[rows] = share @ table_VD
        _add_product(grad_table, share, query)
    return log_total, positive_logit, grad_query, grad_table


def _results(query_ND: Tensor, table_VD: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places for what :func:`_sweep` returns."""
    precise = torch.promote_types(query_ND.dtype, torch.float32)
    log_total_N1, positive_logit_N1 = query_ND.new_empty((2, len(query_ND), 1), dtype=precise)
    grad_query_ND = torch.empty_like(query_ND, dtype=precise)
    return log_total_N1, positive_logit_N1, grad_query_ND, torch.zeros_like(table_VD, dtype=precise)


def _chunks(
    query_ND: Tensor, target_N: Tensor, chunk: int
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Which rows, their queries and their targets ``(rows, 1)``, chunk by chunk."""
    for begin in range(0, len(query_ND), chunk):
        rows = slice(begin, begin + chunk)
        yield rows, query_ND[rows], target_N[rows, None]


def _add_product(grad_table_VD: Tensor, mass_NV: Tensor, query_ND: Tensor) -> None:
    """Adds ``mass.T @ query``, in the precision of the sum where that is the factors' own."""
    if grad_table_VD.dtype == query_ND.dtype:
        grad_table_VD.addmm_(mass_NV.T, query_ND)
    else:
        grad_table_VD += mass_NV.T @ query_ND


def _sweep_negatives(
    query_ND: Tensor,
    positive_ND: Tensor,
    negative_MD: Tensor,
    target_N: Tensor,
    negative_M: Tensor,
    importance_weight: float,
    chunk: int,
    shift: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """All chunks once, see :func:`sampled_cross_entropy`.

    Returns:
        Logs of the totals and the targets' logits ``(N, 1)``, and, summed over positions, the
        gradients of their difference for queries, targets' embeddings and drawn ones; all in
        float32 at least.
    """
    N, M = len(query_ND), len(negative_MD)
    precise = torch.promote_types(query_ND.dtype, torch.float32)
    log_total, positive_logit = query_ND.new_empty((2, N, 1), dtype=precise)
    grad_query = torch.empty_like(query_ND, dtype=precise)
    grad_positive = torch.empty_like(positive_ND, dtype=precise)
    grad_negative_DM = negative_MD.new_zeros((negative_MD.shape[1], M), dtype=precise)
    buffer = query_ND.new_empty((min(chunk, N), M))
    for begin in range(0, N, chunk):
        rows = slice(begin, begin + chunk)
        query, own = query_ND[rows].to(precise), positive_ND[rows].to(precise)
        score = positive_logit[rows] = (query * own).sum(1, keepdim=True)
        logits = torch.mm(query_ND[rows], negative_MD.T, out=buffer[: len(query)])
        mass = logits.to(precise)
        peak = torch.maximum(mass.amax(1, keepdim=True), score) if shift else None
        if peak is not None:
            mass.sub_(peak)
            score = score - peak
        mass.exp_().mul_(target_N[rows, None] != negative_M)  # a draw of the target is void
        others = importance_weight * mass.sum(1, keepdim=True)
        total = others + score.exp()
        # Exactly the score where there are no others: the loss is then 0, without rounding.
        log_all = torch.logaddexp(others.log(), score)
        log_total[rows] = log_all if peak is None else log_all + peak
        # What the target's share is short of 1; from the others, because 1 - share cancels.
        short = others / total
        scale = importance_weight / total
        mass = mass.to(query_ND.dtype)
        grad_query[rows] = (mass @ negative_MD) * scale - short * own
        grad_positive[rows] = -short * query
        # In this order, because a CPU takes half as long again over a product with mass.T.
        grad_negative_DM += (query * scale).to(query_ND.dtype).T @ mass
    return log_total, positive_logit, grad_query, grad_positive, grad_negative_DM.T


def _safe(log_total_N1: Tensor) -> bool:
    """Whether exponentials taken without a shift neither overflowed nor vanished."""
    if not len(log_total_N1):
        return True
    low, high = (float(bound) for bound in log_total_N1.aminmax())
    return math.log(_SAFE_TOTALS[0]) < low and high < math.log(_SAFE_TOTALS[1])


def linear_cross_entropy(
    query_ND: Tensor,
    table_VD: Tensor,
    target_N: Tensor,
    *,
    smoothing: float = 0.0,
    chunk: int | None = None,
) -> Tensor:
    """Mean cross-entropy of ``logits = query @ table.T``, at the memory of one chunk of logits.

    Equal to ``F.cross_entropy(query_ND @ table_VD.T, target_N, label_smoothing=smoothing)``.

    Chosen by `python -m fame bench loss` (two CPU cores, float32, a step of Beauty: 1,494
    positions, 12,101 items, width 64; medians, as multiples of this one's time and of the memory it
    adds): PyTorch's own chunked ``F.linear_cross_entropy`` 1.3 and 3 at its best chunk, 5.4 and 2.5
    as it comes; all logits at once 2.8 and 6; for the heads' loss 1.4 and 3, 8 and 3, 4 and 10. On
    a GPU neither that nor Liger's kernel has been measured.

    Args:
        query_ND: One query a position.
        table_VD: One embedding an item.
        target_N: int64, the row of ``table_VD`` that came next.
        smoothing: Share of the target spread evenly over all items.
        chunk: Rows of logits at a time; default by device.
    """
    chunk = chunk or chunk_rows(query_ND.device.type)
    return _LinearCrossEntropy.apply(query_ND, table_VD, target_N, smoothing, chunk)


def sampled_cross_entropy(
    query_ND: Tensor,
    positive_ND: Tensor,
    negative_MD: Tensor,
    target_N: Tensor,
    negative_M: Tensor,
    *,
    importance_weight: float,
    chunk: int | None = None,
) -> Tensor:
    """Mean cross-entropy against items drawn evenly, as an estimate of that over all items.

    Every drawn item stands for ``V / M`` items, so that the total of the exponentials has the right
    mean: ``-s_t + log(exp(s_t) + V / M * sum of exp(s_j) over the drawn j != t)``. The target's own
    draws are void. Importance sampling as in Bengio and Senecal (2008), from an even distribution.

    Args:
        positive_ND: The embedding of each target.
        negative_MD: Embeddings of the drawn items, the same for all targets.
        target_N: int64, which item each target is.
        negative_M: int64, which items were drawn.
        importance_weight: ``V / M``.
        chunk: Rows of logits at a time; default by device.
    """
    chunk = chunk or chunk_rows(query_ND.device.type, negatives=True)
    return _SampledCrossEntropy.apply(
        query_ND, positive_ND, negative_MD, target_N, negative_M, importance_weight, chunk
    )


def head_cross_entropy(
    state_NHK: Tensor,
    sub_embedding_HVK: Tensor,
    target_N: Tensor,
    *,
    smoothing: float = 0.0,
    shares: Sequence[float] = (),
) -> Tensor:
    """Mean over heads of the cross-entropy of each head's own ranking ``P_h(v) = <x_v^h, F_h>``.

    With it every head has to be a recommender by itself. Costs the arithmetic of the fused loss
    once more at most: a product of width K = D / H for every head that counts.

    Args:
        shares: ``[H]`` what the heads count in the mean, see :func:`mean_over_heads`.
    """

    def loss(head: int) -> Tensor:
        table = sub_embedding_HVK[head]
        return linear_cross_entropy(state_NHK[:, head], table, target_N, smoothing=smoothing)

    return mean_over_heads(loss, len(sub_embedding_HVK), shares)


def mean_over_heads(
    loss: Callable[[int], Tensor], heads: int, shares: Sequence[float] = ()
) -> Tensor:
    """``sum_h w_h loss(h) / sum_h w_h``; a head that counts nothing is not asked.

    Args:
        shares: ``[H]`` w, not all 0; by default all heads count alike.
    """
    if not shares:
        return torch.stack([loss(head) for head in range(heads)]).mean()
    if len(shares) != heads:
        raise ValueError(f"{len(shares)} shares cannot be dealt out to {heads} heads")
    weighed = [share * loss(head) for head, share in enumerate(shares) if share]
    return torch.stack(weighed).sum() / sum(shares)
