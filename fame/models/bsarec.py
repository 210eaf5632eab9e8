"""BSARec: beside its attention every block filters the frequencies of the sequence.

Shin, Choi, Wi and Park: "An Attentive Inductive Bias for Sequential Recommendation beyond the
Self-Attention", AAAI 2024, arXiv 2312.10325. With ``LFC`` what a low-pass filter leaves of a
sequence and ``HFC = x - LFC`` the rest, a block is

    filtered = LN(x + dropout(LFC + beta * HFC))      attended = LN(x + dropout(attention(x)))
    mixed = alpha * filtered + (1 - alpha) * attended

before its feed-forward network; ``beta >= 0`` is learned, one number for each channel, ``alpha`` is
``filter_weight``, and the filter keeps the ``frequency_cutoff`` lowest frequencies of a discrete
Fourier transform over ``max_length`` positions. A baseline: one query, as SASRec.

Where this differs from the authors' code:

- **Causal.** Theirs transforms the whole sequence, so every state but the last knows what was
  clicked after it; that is why it trains on prefixes and reads the last position alone. Here the
  filtered state of a position is what theirs has *at the last position of the sequence that ends
  there*. The position that is read says the same, and with one block the models are equal. With
  more, the lower blocks' states of earlier clicks know no later ones. In return nothing leaks, and
  training on windows, the account after every click and all else that relies on it hold.
- **Padding is silence.** Theirs pads on the left up to ``max_length``, and what position vectors
  and norms make of padding goes through the filter too. Here there is nothing before the first
  click. A filter over the real positions alone would, in a history of ``frequency_cutoff`` clicks
  or fewer, keep everything.

The low-pass filter is then one convolution with the ``max_length`` numbers of its impulse response,
which is the same for sequences of all lengths.

Shapes: ``B`` batch · ``T`` positions · ``D`` width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from fame.config import ModelConfig
from fame.models.costs import ModelCosts, standard_block
from fame.models.layers import CausalSelfAttention, TransformerBlock, at_position
from fame.models.sasrec import SASRec
from fame.models.sequence_model import relative_positions


def low_pass_response(length: int, cutoff: int, device: torch.device | None = None) -> Tensor:
    """What a click leaves in the low-pass signal so many clicks later, ``(length,)``, float64.

    The impulse response of a filter that keeps ``cutoff`` of ``length`` frequencies: the constant
    one and ``cutoff // 2`` pairs of waves, all of them where there are no more.
    """
    place = torch.arange(length, device=device, dtype=torch.float64)
    waves = torch.arange(1, min(cutoff, length) // 2 + 1, device=device, dtype=torch.float64)
    pair = 2 - (2 * waves == length).double()  # the fastest wave of an even length is alone
    return (1 + torch.cos(2 * torch.pi * place[:, None] * waves / length) @ pair) / length


class FrequencyFilter(nn.Module):
    """``LFC + beta * HFC`` of a sequence, at each position as if it were the last.

    ``LFC_t = sum over s <= t of r_(t - s) x_s`` with r the :func:`low_pass_response`.
    """

    def __init__(self, width: int, max_length: int, cutoff: int) -> None:
        super().__init__()
        self.max_length, self.cutoff = max_length, cutoff
        self.sqrt_beta = nn.Parameter(torch.randn(width))  # drawn as the authors do

    def forward(self, x_BTD: Tensor, only_B: Tensor | None = None) -> Tensor:
        """``(B, T, D)``, or ``(B, 1, D)`` where only one position of each sequence is asked for."""
        place = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        ends_XT = place[:, None] if only_B is None else only_B[:, None]
        back_XT = ends_XT - place
        # Made anew each time, because a tensor that is no weight would be left out of checkpoints.
        response = low_pass_response(self.max_length, self.cutoff, x_BTD.device).to(x_BTD.dtype)
        share_XT = response[back_XT.clamp(min=0)] * (back_XT >= 0)
        if only_B is None:
            low_BTD = share_XT @ x_BTD
        else:
            low_BTD = share_XT[:, None] @ x_BTD
            x_BTD = at_position(x_BTD, only_B)
        return low_BTD + self.sqrt_beta**2 * (x_BTD - low_BTD)


class FilteredBlock(TransformerBlock):
    """A Transformer block whose attention is mixed with a frequency filter."""

    def __init__(self, config: ModelConfig) -> None:
        relative = relative_positions(config, config.heads)
        attention = CausalSelfAttention(config.width, config.heads, relative)
        super().__init__(config.width, attention, config.dropout)
        self.filter = FrequencyFilter(config.width, config.max_length, config.frequency_cutoff)
        self.filter_norm = nn.LayerNorm(config.width)
        self.filter_weight = config.filter_weight

    def mixed(self, x_BTD: Tensor, only_B: Tensor | None) -> Tensor:
        filtered = self.filter(x_BTD, only_B)
        residual = x_BTD if only_B is None else at_position(x_BTD, only_B)
        filtered = self.filter_norm(residual + self.dropout(filtered))
        attended = super().mixed(x_BTD, only_B)
        return self.filter_weight * filtered + (1 - self.filter_weight) * attended


class BSARec(SASRec):
    """SASRec of :class:`FilteredBlock`."""

    def new_block(self) -> TransformerBlock:
        return FilteredBlock(self.config)


def build(config: ModelConfig, num_items: int, values: None = None) -> BSARec:
    """The untrained model; it makes nothing of values."""
    return BSARec(config, num_items)


def costs(config: ModelConfig) -> ModelCosts:
    """Standard blocks, and in each the filter: a product over all pairs, and three values kept."""
    standard = standard_block(config)
    block = replace(
        standard,
        products_per_pair=standard.products_per_pair + config.width,
        kept=standard.kept + 3,
    )
    return ModelCosts((block,) * config.layers)
