"""SASRec, the baseline: the backbone alone, and ``P(v) = <x_v, S>``.

Kang and McAuley: "Self-Attentive Sequential Recommendation", ICDM 2018, arXiv 1808.09781, in its
modern form: post-norm blocks, GELU, cross-entropy.

Shapes: as in :mod:`fame.models.sequence_model`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.models.costs import ModelCosts, standard_block
from fame.models.layers import initialise
from fame.models.sequence_model import Encoding, Intervention, SequenceModel


class SASRec(SequenceModel):
    """``L`` standard blocks; the last state is the query.

    It answers the same calls as FAME with one head that is the whole embedding, gate 1 and no
    experts.

    Args:
        last_attention: Makes the attention of the last block, in place of the standard one.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_items: int,
        last_attention: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__(config, num_items, standard_blocks=config.layers)
        self.heads, self.experts = 1, 0
        if last_attention is not None:
            self.blocks[-1].attention = last_attention()
        self.apply(initialise)

    def seen_by_heads(self, x_ND: Tensor) -> Tensor:
        return x_ND[None]

    def encode(
        self,
        s_BTD: Tensor,
        *,
        only_B: Tensor | None = None,
        intervention: Intervention | None = None,
    ) -> Encoding:
        if intervention is not None:
            intervention.gate_weights(1)  # one head: any valid weight is share 1
            intervention.expert_mask(1, 0)
        s_BTD = self.blocks[-1](s_BTD, only_B)
        if self.config.score != "dot":
            s_BTD = F.normalize(s_BTD, dim=-1) / self.config.temperature
        B, T, _ = s_BTD.shape
        return Encoding(
            query=s_BTD,
            head_states=s_BTD[:, :, None],
            gate=s_BTD.new_ones(B, T, 1),
            router=s_BTD.new_zeros(B, T, 1, 0),
        )

    def attention_at(self, s_BTD: Tensor, position_B: Tensor) -> Tensor:
        return s_BTD.new_zeros(len(s_BTD), 1, 0, s_BTD.shape[1])


def build(config: ModelConfig, num_items: int, values: None = None) -> SASRec:
    """The untrained model; it makes nothing of values."""
    return SASRec(config, num_items)


def costs(config: ModelConfig) -> ModelCosts:
    """Nothing but standard blocks, see :class:`fame.models.costs.ModelCosts`."""
    return ModelCosts((standard_block(config),) * config.layers)
