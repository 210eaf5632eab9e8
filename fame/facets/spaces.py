"""The spaces in which a checkpoint's items lie: the whole embedding, and each head's own.

Shapes: ``V`` items with the padding id 0 · ``D`` width · ``K`` head width.
"""

from __future__ import annotations

import numpy as np

from fame.models.sequence_model import SequenceModel


def space_names(model: SequenceModel) -> list[str]:
    """``all`` for the whole embedding, then ``head_0 ..``; SASRec has no heads of its own."""
    return ["all", *(f"head_{head}" for head in range(model.heads) if model.experts)]


def space_vectors(model: SequenceModel, space: str) -> np.ndarray:
    """Item vectors ``(V - 1, D)`` of the whole embedding or ``(V - 1, K)`` of a head."""
    if space == "all":
        vectors = model.item_table
    else:
        vectors = model.sub_embeddings()[int(space.removeprefix("head_"))]
    return vectors.detach().float().cpu().numpy()


def every_space(model: SequenceModel) -> dict[str, np.ndarray]:
    """By space, in the order of :func:`space_names`, its item vectors as :func:`space_vectors`."""
    return {space: space_vectors(model, space) for space in space_names(model)}
