"""FAME: every head ranks by itself, with experts inside its attention, and a gate mixes the heads.

Liu, Zhang and Long: "Facet-Aware Multi-Head Mixture-of-Experts Model for Sequential
Recommendation", WSDM 2025, arXiv 2411.01457; equation numbers in brackets are the paper's.

Shapes: as in :mod:`fame.models.sequence_model`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.models.costs import BlockCosts, ModelCosts, standard_block
from fame.models.item_values import ValueIndex
from fame.models.layers import Dropout, FeedForward, SliceNorm, at_position, initialise
from fame.models.moe_attention import MergedExperts, MoEAttention
from fame.models.sasrec import SASRec
from fame.models.sequence_model import (
    Encoding,
    Intervention,
    SequenceModel,
    relative_positions,
)


def mixture_of(config: ModelConfig) -> MoEAttention:
    """FAME's attention: experts inside every head."""
    relative = relative_positions(config, config.heads * config.experts)
    own_slice = config.expert_view == "own"
    return MoEAttention(config.width, config.heads, config.experts, relative, own_slice=own_slice)


class Fame(SequenceModel):
    """Facet-aware multi-head mixture-of-experts model (Liu, Zhang, Long; WSDM 2025)."""

    def __init__(
        self, config: ModelConfig, num_items: int, values: ValueIndex | None = None
    ) -> None:
        super().__init__(config, num_items, standard_blocks=config.layers - 1, values=values)
        self.heads, self.experts = config.heads, config.experts
        D, H, K = config.width, config.heads, config.head_width
        if config.expert_view == "own":
            self.embedding_norm = SliceNorm(D, H)  # else one slice's size would tell of the others
        self.attention = mixture_of(config)
        self.head_attention_norm = nn.LayerNorm(K)
        self.head_feed_forward = FeedForward(K)
        self.head_feed_forward_norm = nn.LayerNorm(K)
        self.head_dropout = Dropout(config.dropout)
        # A head that is a facet sees its own slice of an item alone.
        self.facet_maps = nn.Parameter(torch.empty(H, K, K if values else D))
        if config.gate == "learned":
            self.gate = nn.Linear(D, H)
        self.apply(initialise)
        with torch.no_grad():
            # The untrained fused query is then the plain concatenation of the heads, so that
            # training starts where SASRec's does; small random maps learn several times slower.
            self.facet_maps.copy_(H * (torch.eye(K) if values else torch.eye(D).view(H, K, D)))
            if config.gate == "learned":
                self.gate.weight.zero_()

    def seen_by_heads(self, x_ND: Tensor) -> Tensor:
        if self.values is not None:
            x_NHK = x_ND.unflatten(-1, (self.heads, -1))
            return torch.einsum("hkj,nhj->hnk", self.facet_maps, x_NHK)
        return torch.einsum("hkd,nd->hnk", self.facet_maps, x_ND)

    def _fused(self, weighted_BTHK: Tensor) -> Tensor:
        """``sum_h W^f_h^T (g_h F_h)``, ``(B, T, D)``: one product fuses all heads."""
        if self.values is not None:
            return torch.einsum("bthk,hkj->bthj", weighted_BTHK, self.facet_maps).flatten(2)
        return weighted_BTHK.flatten(2) @ self.facet_maps.flatten(0, 1)

    def encode(
        self,
        s_BTD: Tensor,
        *,
        only_B: Tensor | None = None,
        intervention: Intervention | None = None,
    ) -> Encoding:
        H, K = self.heads, self.config.head_width
        gate_H = expert_mask_HE = None
        if intervention is not None:
            gate_H = intervention.gate_weights(H)
            expert_mask_HE = intervention.expert_mask(H, self.experts)

        expert_out_BTHK, router_BTHE = self.attention(
            s_BTD, only_B=only_B, expert_mask_HE=expert_mask_HE
        )
        if only_B is not None:
            s_BTD = at_position(s_BTD, only_B)
        B, T, D = s_BTD.shape
        u_BTHK = self.head_attention_norm(
            s_BTD.view(B, T, H, K) + self.head_dropout(expert_out_BTHK)
        )
        state_BTHK = self.head_feed_forward_norm(
            u_BTHK + self.head_dropout(self.head_feed_forward(u_BTHK))
        )
        if gate_H is None and self.config.gate == "uniform":
            gate_H = s_BTD.new_full((H,), 1 / H)
        if gate_H is None:
            gate_BTH = self.gate(state_BTHK.reshape(B, T, D)).softmax(-1, dtype=state_BTHK.dtype)
        else:
            gate_BTH = gate_H.to(state_BTHK).expand(B, T, H)
        if self.config.score != "dot":
            state_BTHK = self._scaled(state_BTHK)
        query_BTD = self._fused(gate_BTH[..., None] * state_BTHK)  # q = sum_h g_h W^f_h^T F_h
        if self.config.score == "fused-cosine":
            length_BT1 = torch.linalg.vector_norm(query_BTD, dim=-1, keepdim=True)
            factor_BT1 = 1 / (self.config.temperature * length_BT1.clamp_min(1e-12))
            query_BTD = query_BTD * factor_BT1
            # A constant to the heads' own loss: else they would gain by disagreeing, which makes
            # the fused query short and their own scores large.
            state_BTHK = state_BTHK * factor_BT1.detach()[..., None]
        return Encoding(query_BTD, state_BTHK, gate_BTH, router_BTHE)

    def _scaled(self, state_BTHK: Tensor) -> Tensor:
        """F_h such that each head's query ``W^f_h^T F_h`` has length 1 / temperature.

        ``|W^T F|^2 = F^T (W W^T) F`` needs no query of width D for every head.
        """
        gram_HKK = self.facet_maps @ self.facet_maps.mT
        squared_BTH = torch.einsum("bthk,hkj,bthj->bth", state_BTHK, gram_HKK, state_BTHK)
        length_BTH = squared_BTH.clamp_min(1e-24).sqrt()
        return state_BTHK / (self.config.temperature * length_BTH[..., None])

    def attention_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        return self.attention.attention_at(s_BTD, position_B)


def build(config: ModelConfig, num_items: int, values: ValueIndex | None = None) -> SequenceModel:
    """FAME, or what ``facets=off`` leaves of it: SASRec with experts inside its last attention."""
    if config.facets == "on":
        return Fame(config, num_items, values)
    return SASRec(config, num_items, last_attention=lambda: MergedExperts(mixture_of(config)))


def costs(config: ModelConfig) -> ModelCosts:
    """Standard blocks and the one with the experts, see :class:`fame.models.costs.ModelCosts`."""
    D, H, E, K = config.width, config.heads, config.experts, config.head_width
    queries_keys_values = (E + 2) * D * (K if config.expert_view == "own" else D)
    routers = H * (E * K) * E
    behind = D * D + 8 * D * D  # output matrix, feed-forward
    cosine = 1
    if config.facets == "on":
        maps = D * (K if config.head_facets else D)
        behind = H * 8 * K * K + D * H + maps  # feed-forward of every head; gate; facet maps
        cosine += 3 if config.score == "fused-cosine" else 1
    last = BlockCosts(
        products_per_position=queries_keys_values + routers + behind,
        products_per_pair=2 * E * D,
        kept=18 + 2 * E,
        passing=20 + 2 * E,
        query_heads=H * E,
        relative_copies=1 + 0.8 * E,
    )
    return ModelCosts((*[standard_block(config)] * (config.layers - 1), last), cosine=cosine)
