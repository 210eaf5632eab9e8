"""The standard causal Transformer block, as in SASRec's modern form.

Shapes: ``B`` batch · ``T`` positions · ``D`` width.

Whoever ranks needs the last position only. In the last block it is then the only one that asks
(``only_B``): the others are keys and values, and the rest of the block is spared them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """Inverted dropout: sets a share ``p`` of the values to 0 and divides the rest by ``1 - p``.

    On a CPU PyTorch's own takes longer over its random numbers than a small model takes over its
    matrix products. There the mask is cut out of random 64-bit integers, four 16-bit draws each:
    four times faster, forward and backward. Its share is then ``p`` to the nearest 1 / 65,536, and
    the scale is the one of that share.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return F.dropout(x, self.p, self.training)
        levels = 1 << 16
        dropped = min(round(self.p * levels), levels - 1)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = words.view(torch.int16)[: x.numel()].view(x.shape)
        kept = draws >= dropped - levels // 2  # int16 counts from -levels / 2
        return x * kept.to(x.dtype).mul_(levels / (levels - dropped))


class FeedForward(nn.Module):
    """Position-wise network ``W2 gelu(W1 x)`` with inner width four times the outer one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(F.gelu(self.inner(x)))


class SliceLinear(nn.Linear):
    """Maps every slice of its input by itself: ``y_h = W_h x_h + b_h``, the slices side by side.

    The weights of all slices stand one below the other, ``(slices * out, width / slices)``.

    Args:
        width: Of the input; a multiple of ``slices``.
        out_features: Of all slices together; also a multiple.
    """

    def __init__(self, width: int, out_features: int, slices: int) -> None:
        super().__init__(width // slices, out_features)
        self.slices = slices

    def forward(self, x: Tensor) -> Tensor:
        weight_HMK = self.weight.unflatten(0, (self.slices, -1))
        parts = x.unflatten(-1, (self.slices, -1))
        return torch.einsum("...hk,hmk->...hm", parts, weight_HMK).flatten(-2) + self.bias


class SliceNorm(nn.LayerNorm):
    """Layer normalisation of every slice of its input by itself, with D gains and biases."""

    def __init__(self, width: int, slices: int) -> None:
        super().__init__(width)
        self.slices = slices

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unflatten(-1, (self.slices, -1))
        normalised = F.layer_norm(parts, parts.shape[-1:], eps=self.eps).flatten(-2)
        return normalised * self.weight + self.bias


def at_position(x_BTD: Tensor, position_B: Tensor) -> Tensor:
    """One position of every sequence, ``(B, 1, D)``."""
    return x_BTD[torch.arange(len(x_BTD), device=x_BTD.device), position_B][:, None]


def seen_from(position_B: Tensor, length: int) -> Tensor:
    """Which of ``length`` positions may be looked at from a given one, bool ``(B, 1, 1, T)``."""
    return (torch.arange(length, device=position_B.device) <= position_B[:, None])[:, None, None]


class RelativePositions(nn.Module):
    """A learned number for every query head and distance back in time, added to attention's logits.

    A head without it looks at all distances alike. Numbers start at 0.
    """

    def __init__(self, query_heads: int, max_length: int) -> None:
        super().__init__()
        self.by_distance = nn.Parameter(torch.zeros(query_heads, max_length))

    def forward(self, length: int, only_B: Tensor | None = None) -> Tensor:
        """What is added to the logits of ``G`` query heads; ``-inf`` where the future lies.

        Returns:
            ``(1, G, T, T)``, or ``(B, G, 1, T)`` for one position of each sequence.
        """
        place = torch.arange(length, device=self.by_distance.device)
        asking_BX = place[None] if only_B is None else only_B[:, None]
        back_BXT = asking_BX[..., None] - place
        # index_select, because the gradient of an index in brackets is several times slower.
        bias_GBXT = self.by_distance.index_select(1, back_BXT.clamp(min=0).flatten()).unflatten(
            1, back_BXT.shape
        )
        return bias_GBXT.transpose(0, 1).masked_fill(back_BXT[:, None] < 0, -math.inf)


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention in which no position sees a later one.

    Padding stands on the right, so a real position never looks at it and no padding mask is
    needed. There is no dropout on the attention weights: it would take the fused kernel away.
    """

    def __init__(self, width: int, heads: int, relative: RelativePositions | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.relative = relative

    def forward(self, x_BTD: Tensor, only_B: Tensor | None = None) -> Tensor:
        """``(B, T, D)``, or ``(B, 1, D)`` where only one position of each sequence is asked for."""
        B, T, D = x_BTD.shape
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        if only_B is None:
            packed = self.query_key_value(x_BTD).view(B, T, 3, self.heads, D // self.heads)
            query, key, value = packed.permute(2, 0, 3, 1, 4)
            by_distance = None if self.relative is None else self.relative(T)
            mixed = F.scaled_dot_product_attention(
                query, key, value, by_distance, is_causal=by_distance is None
            )
        else:
            packed = F.linear(x_BTD, weight[D:], bias[D:]).view(
                B, T, 2, self.heads, D // self.heads
            )
            key, value = packed.permute(2, 0, 3, 1, 4)
            query = F.linear(at_position(x_BTD, only_B), weight[:D], bias[:D])
            query = query.view(B, 1, self.heads, D // self.heads).transpose(1, 2)
            seen = seen_from(only_B, T) if self.relative is None else self.relative(T, only_B)
            mixed = F.scaled_dot_product_attention(query, key, value, seen)
        return self.output(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and feed-forward network, each with dropout, residual and norm after it.

    Args:
        attention: Called with ``x (B, T, D)`` and ``only_B``; gives ``(B, T, D)`` or ``(B, 1, D)``.
    """

    def __init__(self, width: int, attention: nn.Module, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = Dropout(dropout)

    def forward(self, x_BTD: Tensor, only_B: Tensor | None = None) -> Tensor:
        """``(B, T, D)``, or ``(B, 1, D)`` where only one position of each sequence is asked for."""
        x_BTD = self.mixed(x_BTD, only_B)
        return self.feed_forward_norm(x_BTD + self.dropout(self.feed_forward(x_BTD)))

    def mixed(self, x_BTD: Tensor, only_B: Tensor | None) -> Tensor:
        """The half in which positions look at one another: ``LN(x + dropout(attention(x)))``."""
        mixed = self.attention(x_BTD, only_B)
        residual = x_BTD if only_B is None else at_position(x_BTD, only_B)
        return self.attention_norm(residual + self.dropout(mixed))


INIT_STD = 0.02  # of every random weight, as in BERT and SASRec's modern form


def initialise(module: nn.Module) -> None:
    """Normal weights of ``INIT_STD``, zero biases; for ``model.apply(initialise)``."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()
