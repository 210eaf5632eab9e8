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
``K = D / H`` head width · ``I = E * K`` what the router of a head reads.
"""

from __future__ import annotations

import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fame.models.layers import RelativePositions, SliceLinear, at_position, seen_from


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


def grouped_causal_attention(
    query_BGTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, *, grouped: bool | None = None
) -> Tensor:
    """One causal attention call in which ``G / H`` neighbouring query heads share keys and values.

    On CUDA only the kernel for half precision knows groups; in float32 PyTorch would fall, without
    a word, to the kernel that writes all ``(B, G, T, T)`` weights down. Copies of keys and values
    let the memory-efficient kernel run there.

    Args:
        grouped: Leave the sharing to the kernel; by default wherever a fused one can do it.

    Returns:
        ``(B, G, T, K)``.
    """
    if grouped is None:
        half = query_BGTK.dtype in (torch.bfloat16, torch.float16)
        grouped = half or query_BGTK.device.type != "cuda"
    if not grouped:
        copies = query_BGTK.shape[1] // key_BHTK.shape[1]
        key_BHTK, value_BHTK = (
            part.repeat_interleave(copies, dim=1) for part in (key_BHTK, value_BHTK)
        )
    return F.scaled_dot_product_attention(
        query_BGTK, key_BHTK, value_BHTK, is_causal=True, enable_gqa=grouped
    )


def grouped_biased_attention(
    query_BGTK: Tensor, key_BHTK: Tensor, value_BHTK: Tensor, bias_1GTT: Tensor
) -> Tensor:
    """The same with a number added to every logit, ``-inf`` where the future lies.

    No fused kernel learns such numbers, and the other one copies keys and values for every group.
    So the queries of a group stand one below the other, as if a head asked ``G / H * T`` times.

    Returns:
        ``(B, G, T, K)``.
    """
    B, G, T, K = query_BGTK.shape
    H = key_BHTK.shape[1]
    asking, bias = query_BGTK.reshape(B, H, -1, K), bias_1GTT.reshape(1, H, -1, T)
    expert_out = F.scaled_dot_product_attention(asking, key_BHTK, value_BHTK, bias)
    return expert_out.reshape(B, G, T, K)


class MoEAttention(nn.Module):
    """Attention whose every head holds ``E`` experts and a router.

    Args:
        relative: Numbers by distance for each of the ``H * E`` experts, where there are any.
        own_slice: Queries, keys and values of a head read its slice of S alone.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        experts: int,
        relative: RelativePositions | None = None,
        *,
        own_slice: bool = False,
    ) -> None:
        super().__init__()
        self.relative = relative
        self.heads, self.experts, self.head_width = heads, experts, width // heads
        linear = partial(SliceLinear, slices=heads) if own_slice else nn.Linear
        self.query = linear(width, heads * experts * self.head_width)
        self.key = linear(width, width)
        self.value = linear(width, width)
        self.router_weight = nn.Parameter(torch.empty(heads, experts * self.head_width, experts))
        self.router_bias = nn.Parameter(torch.zeros(heads, experts))
        nn.init.normal_(self.router_weight, std=0.02)  # as every random weight

    def forward(
        self,
        s_BTD: Tensor,
        *,
        only_B: Tensor | None = None,
        expert_mask_HE: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Mixes the experts of every head.

        Args:
            s_BTD: Output of the backbone.
            only_B: One position of each sequence, where the others are not asked for; ``T`` of
                what is returned is then 1.
            expert_mask_HE: Intervention, see :func:`masked_router`.

        Returns:
            ``f (B, T, H, K)`` and the router's shares ``(B, T, H, E)``.
        """
        H, E, K = self.heads, self.experts, self.head_width
        if only_B is None:
            expert_out_BTHEK = self._expert_out_everywhere(s_BTD)
        else:
            expert_out_BTHEK = self._expert_out_at(s_BTD, only_B)
        B, T = expert_out_BTHEK.shape[:2]
        expert_out_HNI = expert_out_BTHEK.reshape(B * T, H, E * K).transpose(0, 1)
        router_HNE = torch.baddbmm(self.router_bias[:, None], expert_out_HNI, self.router_weight)
        router_HNE = router_HNE.softmax(-1, dtype=expert_out_BTHEK.dtype)
        if expert_mask_HE is not None:
            mask_HE = expert_mask_HE.to(router_HNE)
            router_HNE = masked_router(router_HNE.transpose(0, 1), mask_HE).transpose(0, 1)
        router_BTHE = router_HNE.transpose(0, 1).reshape(B, T, H, E)
        return (router_BTHE[..., None] * expert_out_BTHEK).sum(3), router_BTHE

    def attention_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        """What every expert attends to from one position, ``(B, H, E, T)``; rows sum to 1."""
        query_BHEK, key_BHTK = self._queries_at(s_BTD, position_B), self._split(self.key(s_BTD))
        logits_BHET = query_BHEK @ key_BHTK.mT / math.sqrt(self.head_width)
        seen = self._seen_at(position_B, s_BTD.shape[1])
        if seen.dtype == torch.bool:
            return logits_BHET.masked_fill(~seen, -math.inf).softmax(-1)
        return (logits_BHET + seen).softmax(-1)

    def _expert_out_everywhere(self, s_BTD: Tensor) -> Tensor:
        """A_he V_h at every position, ``(B, T, H, E, K)``."""
        B, T, _ = s_BTD.shape
        query = self._split(self.query(s_BTD))  # (B, H * E, T, K), head-major
        key, value = self._split(self.key(s_BTD)), self._split(self.value(s_BTD))
        if self.relative is None:
            expert_out = grouped_causal_attention(query, key, value)
        else:
            expert_out = grouped_biased_attention(query, key, value, self.relative(T))
        return expert_out.transpose(1, 2).reshape(B, T, self.heads, self.experts, self.head_width)

    def _expert_out_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        """The same at one position, ``(B, 1, H, E, K)``: the experts are the rows that ask."""
        expert_out_BHEK = F.scaled_dot_product_attention(
            self._queries_at(s_BTD, position_B),
            self._split(self.key(s_BTD)),
            self._split(self.value(s_BTD)),
            self._seen_at(position_B, s_BTD.shape[1]),
        )
        return expert_out_BHEK[:, None]

    def _seen_at(self, position_B: Tensor, length: int) -> Tensor:
        """What each expert may look at from one position: truth values ``(B, 1, 1, T)``, or what
        is added to its logits, ``(B, H, E, T)``."""
        if self.relative is None:
            return seen_from(position_B, length)
        return self.relative(length, position_B).view(-1, self.heads, self.experts, length)

    def _queries_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        """``(B, H, E, K)``."""
        query = self.query(at_position(s_BTD, position_B))
        return query.view(len(query), self.heads, self.experts, self.head_width)

    def _split(self, packed_BTX: Tensor) -> Tensor:
        """``(B, T, heads * K)`` to ``(B, heads, T, K)``, for however many heads there are."""
        return packed_BTX.unflatten(-1, (-1, self.head_width)).transpose(1, 2)


class MergedExperts(nn.Module):
    """Experts inside the heads of a standard attention: what they found goes through one output
    matrix, as it does without experts. FAME less its facets, for comparison."""

    def __init__(self, mixture: MoEAttention) -> None:
        super().__init__()
        self.mixture = mixture
        width = mixture.heads * mixture.head_width
        self.output = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor, only_B: Tensor | None = None) -> Tensor:
        """``(B, T, D)``, or ``(B, 1, D)`` where only one position of each sequence is asked for."""
        expert_out_BTHK, _ = self.mixture(x_BTD, only_B=only_B)
        return self.output(expert_out_BTHK.flatten(2))
