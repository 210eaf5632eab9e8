"""The arithmetic that an epoch needs, counted from the shapes.

Only what the mathematics asks for counts: real positions, causal pairs, each product once forward
and twice backward. Padding, recomputation and everything that is not a matrix product cost time
and add nothing here, so they lower the share of the peak.

Shapes: ``N`` positions · ``D`` width · ``H`` heads · ``K = D / H`` · ``E`` experts · ``V`` items.
"""

from __future__ import annotations

import numpy as np

from fame.config import ModelConfig

_FORWARD_AND_BACKWARD = 2 * 3  # a multiply and an add, forward and for the gradient of each side


def loss_flops(positions: int, items: int, width: int) -> float:
    """Cross-entropy over the catalogue: logits and the two products of its gradient."""
    return _FORWARD_AND_BACKWARD * float(positions) * items * width


def network_flops(config: ModelConfig, lengths: np.ndarray) -> float:
    """All blocks of the model over windows of these lengths, forward and backward.

    Args:
        lengths: ``(W,)`` real positions of every window.
    """
    D, H, E, K = config.width, config.heads, config.experts, config.head_width
    positions = float(lengths.sum())
    pairs = float((lengths.astype(np.float64) * (lengths + 1) / 2).sum())  # query, key <= query
    fame = config.model == "fame"
    ordinary = config.layers - fame
    per_position = ordinary * 12 * D * D  # query, key, value 3, output 1, feed-forward 8
    per_pair = ordinary * 2 * D  # Q K^T and A V
    if fame:
        experts = E * D * D + 2 * D * D + H * (E * K) * E  # queries; key and value; router
        heads = H * 8 * K * K + D * H + D * D  # feed-forward of every head; gate; facet maps
        per_position += experts + heads
        per_pair += 2 * E * D
    return _FORWARD_AND_BACKWARD * (per_position * positions + per_pair * pairs)


def epoch_flops(
    config: ModelConfig, lengths: np.ndarray, items: int, *, head_loss: bool, steps: int
) -> float:
    """Network and loss of one epoch; with the heads' loss its products and sub-embeddings too."""
    loss = loss_flops(int(lengths.sum()), items, config.width)
    by_head = 0.0
    if head_loss and config.model == "fame":
        by_head = loss + steps * _FORWARD_AND_BACKWARD * float(items) * config.width**2
    return network_flops(config, lengths) + loss + by_head
