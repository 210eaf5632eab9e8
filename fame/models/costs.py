"""What a model costs, counted from its configuration: memory and arithmetic of each block.

:mod:`fame.training.memory` makes bytes of it and :mod:`fame.bench.flops` floating-point operations;
item table, embeddings and loss are the same for all models and stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

from fame.config import ModelConfig


@dataclass(frozen=True)
class BlockCosts:
    """One block.

    Attributes:
        products_per_position: Multiply-adds of its matrix products at one position, forward.
        products_per_pair: The same for every pair of a position and one that it may look at.
        kept: Values that its backward pass needs of every position, in units of D, with fused
            attention.
        passing: The most values at one time without a backward pass, in the same units; measured.
        query_heads: Rows of attention weights. With relative positions, where no fused kernel runs,
            they are kept too, one number for each pair;
        relative_copies: so are copies of queries, keys and values, in units of D.
    """

    products_per_position: float
    products_per_pair: float
    kept: float
    passing: int
    query_heads: int
    relative_copies: float


@dataclass(frozen=True)
class ModelCosts:
    """A whole model.

    Attributes:
        blocks: In their order.
        cosine: Values kept of every position, in units of D, for the length of the query under
            cosine scores.
    """

    blocks: tuple[BlockCosts, ...]
    cosine: float = 1.0


def standard_block(config: ModelConfig) -> BlockCosts:
    """A :class:`fame.models.layers.TransformerBlock`; 8 of its 18 kept values are around GELU."""
    D = config.width
    return BlockCosts(
        products_per_position=12 * D * D,  # query, key, value 3, output 1, feed-forward 8
        products_per_pair=2 * D,  # Q K^T and A V
        kept=18,
        passing=20,
        query_heads=config.heads,
        relative_copies=0.4,
    )
