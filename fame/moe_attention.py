"""A mixture of experts inside every attention head (FAME, equations 14 to 17).

Each expert of a head has its own query matrix; the experts of a head share its keys and values.
A router, fed with what all experts of the head found, mixes their findings:

    A_he = softmax(mask(Q_he K_h^T / sqrt(K)))      f_he = A_he V_h
    beta_h = softmax([f_h1; ...; f_hE] W^exp_h + b^exp_h)
    f_h = sum_e beta_he f_he

Since keys and values are shared within a head, this *is* grouped-query attention with ``H * E``
query heads over ``H`` key-value heads, so one fused call computes every expert of every head.
Query heads must lie head-major (``h * E + e``): the kernel gives query head ``i`` the keys of head
``i // E``.

Shapes: ``B`` batch · ``T`` positions · ``D`` width · ``H`` heads · ``E`` experts in each head ·
``K = D / H`` head width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def masked_router(router: Tensor, expert_mask_HE: Tensor) -> Tensor:
    """Takes experts out of ``router (..., H, E)`` and renormalises the rest within each head.

    Args:
        expert_mask_HE: 1 keeps an expert, 0 takes it out; every head keeps at least one.
    """
    if not bool((expert_mask_HE > 0).any(dim=1).all()):
        raise ValueError("every head must keep at least one expert")
    kept = router * expert_mask_HE
    # A kept weight can underflow to 0 where the muted expert had all the share: then the kept
    # ones share equally, instead of 0 / 0.
    total = kept.sum(-1, keepdim=True)
    return torch.where(total > 0, kept / total, expert_mask_HE / expert_mask_HE.sum(-1, True))


class MoEAttention(nn.Module):
    """Attention whose every head holds ``E`` experts and a router."""

    def __init__(self, width: int, heads: int, experts: int) -> None:
        super().__init__()
        self.heads, self.experts, self.head_width = heads, experts, width // heads
        self.query = nn.Linear(width, heads * experts * self.head_width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.router_weight = nn.Parameter(torch.empty(heads, experts * self.head_width, experts))
        self.router_bias = nn.Parameter(torch.zeros(heads, experts))
        nn.init.normal_(self.router_weight, std=0.02)  # as every random weight

    def forward(
        self, s_BTD: Tensor, *, expert_mask_HE: Tensor | None = None, keep_attention: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mixes the experts of every head.

        Args:
            s_BTD: Output of the backbone.
            expert_mask_HE: Intervention, see :func:`masked_router`.
            keep_attention: Also return the attention of every expert. It is then computed step by
                step instead of in the fused kernel, with equal results up to rounding.

        Returns:
            ``f (B, T, H, K)``, router shares ``(B, T, H, E)`` and, where asked for, attention
            ``(B, H, E, T, T)`` from query position to key position.
        """
        B, T, _ = s_BTD.shape
        H, E, K = self.heads, self.experts, self.head_width
        query = self.query(s_BTD).view(B, T, H * E, K).transpose(1, 2)
        key = self.key(s_BTD).view(B, T, H, K).transpose(1, 2)
        value = self.value(s_BTD).view(B, T, H, K).transpose(1, 2)

        attention = None
        if keep_attention:
            future = torch.ones(T, T, dtype=torch.bool, device=s_BTD.device).triu(1)
            logits = query.view(B, H, E, T, K) @ key[:, :, None].mT / math.sqrt(K)
            attention = logits.masked_fill(future, -math.inf).softmax(-1)
            found = (attention @ value[:, :, None]).view(B, H * E, T, K)
        else:
            found = F.scaled_dot_product_attention(
                query, key, value, is_causal=True, enable_gqa=True
            )

        found_HNEK = found.view(B, H, E, T, K).permute(1, 0, 3, 2, 4).reshape(H, B * T, E * K)
        router_HNE = torch.baddbmm(self.router_bias[:, None], found_HNEK, self.router_weight)
        router_HNE = router_HNE.softmax(-1, dtype=found.dtype)
        if expert_mask_HE is not None:
            mask_HE = expert_mask_HE.to(router_HNE)
            router_HNE = masked_router(router_HNE.transpose(0, 1), mask_HE).transpose(0, 1)
        mixed_HNK = (router_HNE[..., None] * found_HNEK.view(H, B * T, E, K)).sum(2)
        mixed_BTHK = mixed_HNK.view(H, B, T, K).permute(1, 2, 0, 3)
        return mixed_BTHK, router_HNE.view(H, B, T, E).permute(1, 2, 0, 3), attention
