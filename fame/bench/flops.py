"""The arithmetic that an epoch needs, counted from the shapes.

Only what the mathematics asks for counts: real positions, causal pairs, each product once forward
and twice backward. Padding, recomputation and everything that is not a matrix product cost time
and add nothing here, so they lower the share of the peak.

Shapes: ``D`` width · ``W`` windows.
"""

from __future__ import annotations

import numpy as np

from fame.config import ModelConfig
from fame.models.registry import costs_of, made_of_values, ranking_heads

_FORWARD_AND_BACKWARD = 2 * 3  # a multiply and an add, forward and for the gradient of each side


def loss_flops(positions: int, items: int, width: int) -> float:
    """Cross-entropy over the catalogue: logits and the two products of its gradient."""
    return _FORWARD_AND_BACKWARD * float(positions) * items * width


def network_flops(config: ModelConfig, lengths: np.ndarray) -> float:
    """All blocks of the model over windows of these lengths, forward and backward.

    Args:
        lengths: ``(W,)`` real positions of every window.
    """
    blocks = costs_of(config).blocks
    positions = float(lengths.sum())
    pairs = float((lengths.astype(np.float64) * (lengths + 1) / 2).sum())  # query, key <= query
    per_position = sum(block.products_per_position for block in blocks)
    per_pair = sum(block.products_per_pair for block in blocks)
    return _FORWARD_AND_BACKWARD * (per_position * positions + per_pair * pairs)


def epoch_flops(
    config: ModelConfig, lengths: np.ndarray, items: int, *, head_loss: bool, steps: int
) -> float:
    """Network and loss of one epoch; with the heads' loss its products and sub-embeddings too."""
    loss = loss_flops(int(lengths.sum()), items, config.width)
    by_head = 0.0
    if head_loss and ranking_heads(config) > 1:
        seen = config.head_width if made_of_values(config) else config.width  # by each head
        by_head = loss + steps * _FORWARD_AND_BACKWARD * float(items) * config.width * seen
    return network_flops(config, lengths) + loss + by_head
