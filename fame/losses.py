"""Cross-entropy over the whole catalogue, without ever holding all its logits.

Shapes: ``N`` real positions · ``D`` width · ``V`` items (here without the padding) · ``H`` heads ·
``K`` head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Rows of logits held at a time. On a CPU small blocks stay in the cache (measured on Beauty, see
# findings: 128 to 256 rows were fastest, 1,024 rows 40 % slower); a GPU wants large products.
CPU_CHUNK = 256
GPU_CHUNK = 8192


class _LinearCrossEntropy(torch.autograd.Function):
    """Computes loss and both gradients chunk by chunk in the forward pass.

    The gradient of a chunk needs nothing but the chunk's own softmax, so it is taken while the
    logits are still in the cache, and they are never computed twice or stored.
    """

    @staticmethod
    def forward(
        ctx: Any, query_ND: Tensor, table_VD: Tensor, target_N: Tensor, smoothing: float, chunk: int
    ) -> Tensor:
        device = query_ND.device.type
        dtype = query_ND.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        precise = torch.promote_types(dtype, torch.float32)  # of softmax and of the loss itself
        table = table_VD.to(dtype)
        N, V = len(query_ND), len(table_VD)
        grad_query = torch.empty_like(query_ND)
        grad_table = torch.zeros_like(table_VD)
        # Sums over positions are kept in double precision: they cost nothing there.
        loss = torch.zeros((), dtype=torch.float64, device=query_ND.device)
        for begin in range(0, N, chunk):
            query = query_ND[begin : begin + chunk].to(dtype)
            target = target_N[begin : begin + chunk, None]
            logits = (query @ table.T).to(precise)
            peak = logits.amax(1, keepdim=True)
            wanted = logits.gather(1, target)
            if smoothing:
                wanted = (1 - smoothing) * wanted + smoothing * logits.mean(1, keepdim=True)
            share = logits.sub_(peak).exp_()
            total = share.sum(1, keepdim=True)
            loss += (total.log() + peak - wanted).sum(dtype=torch.float64)
            # d loss / d logits = softmax - the (smoothed) target, divided by N for the mean.
            share.div_(total * N)
            if smoothing:
                share.sub_(smoothing / (V * N))
            share.scatter_add_(
                1, target, torch.full_like(target, -(1 - smoothing) / N, dtype=share.dtype)
            )
            share = share.to(dtype)
            grad_query[begin : begin + chunk] = share @ table
            if dtype == grad_table.dtype:
                grad_table.addmm_(share.T, query)
            else:
                grad_table += share.T @ query
        ctx.save_for_backward(grad_query, grad_table)
        return (loss / max(N, 1)).to(precise)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_query, grad_table = ctx.saved_tensors
        return grad_query * grad_loss, grad_table * grad_loss, None, None, None


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

    Args:
        query_ND: One query a position.
        table_VD: One embedding an item.
        target_N: int64, the row of ``table_VD`` that came next.
        smoothing: Share of the target spread evenly over all items.
        chunk: Rows of logits at a time; default by device.
    """
    chunk = chunk or (CPU_CHUNK if query_ND.device.type == "cpu" else GPU_CHUNK)
    return _LinearCrossEntropy.apply(query_ND, table_VD, target_N, smoothing, chunk)


def head_cross_entropy(
    state_NHK: Tensor, sub_embedding_HVK: Tensor, target_N: Tensor, *, smoothing: float = 0.0
) -> Tensor:
    """Mean over heads of the cross-entropy of each head's own ranking ``P_h(v) = <x_v^h, F_h>``.

    With it every head has to be a recommender by itself. Costs the arithmetic of the fused loss
    once more: H products of width K = D / H.
    """
    losses = [
        linear_cross_entropy(state_NHK[:, head], table, target_N, smoothing=smoothing)
        for head, table in enumerate(sub_embedding_HVK)
    ]
    return torch.stack(losses).mean()
