"""The vectors that heads have of items, and those of the controls that they are held against.

A head has K numbers of an item. So has each slice of a table that knows nothing of heads, and what
holds for those as well says nothing about heads.

Shapes: ``V`` real items · ``N`` of them · ``D`` width · ``H`` heads, or slices · ``K`` head width.
"""

from __future__ import annotations

import numpy as np
import torch

from fame.facets.lists import PROJECTED, SASREC, TURNED, UNTRAINED, projections, rotation
from fame.models.registry import build_model
from fame.models.sequence_model import SequenceModel

OWN = "own"


def untrained_like(model: SequenceModel, *, seed: int = 0) -> SequenceModel:
    """A model of the same configuration and item values whose weights are random, in eval mode.

    Where items start from the catalogue's words in training, these do not: it is what the shape of
    the model alone gives.
    """
    values = None if model.values is None else model.values.index
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(model.config, model.num_items, values).eval()


@torch.no_grad()
def item_codes(
    model: SequenceModel,
    rows: np.ndarray,
    *,
    untrained: SequenceModel | None = None,
    sasrec: SequenceModel | None = None,
    seed: int = 0,
) -> dict[str, list[np.ndarray]]:
    """By name ``[H]`` codes ``(N, K)`` of some items, float32; nothing in a model without heads.

    :data:`OWN` are the sub-embeddings ``x_v^h``. The controls are the slices of the item table
    after a random rotation; H random projections of it to width K (Gaussian, see
    :func:`fame.facets.lists.projections`); the slices of a SASRec's table; and the sub-embeddings
    of an untrained model.

    Args:
        rows: ``(N,)`` which items; row i is item i + 1.
        untrained: :func:`untrained_like`; without one the control is left out.
        sasrec: A SASRec of the same catalogue, whose first slices have one number more where its
            width is no multiple of H; left out where it is narrower than H.
        seed: Of the rotation and the projections.
    """
    if not model.experts:
        return {}
    index, H = torch.from_numpy(rows), model.heads
    table_ND = model.rows_of_item_table(index)
    D = table_ND.shape[1]

    def slices(whole_ND: torch.Tensor) -> list[np.ndarray]:
        return [part.float().numpy() for part in whole_ND.tensor_split(H, dim=1)]

    def seen(of: SequenceModel) -> list[np.ndarray]:
        return list(of.seen_by_heads(of.rows_of_item_table(index)).float().numpy())

    projected_HNK = table_ND @ projections(D, H, seed=seed).to(table_ND).mT
    found = {
        OWN: seen(model),
        TURNED: slices(table_ND @ rotation(D, seed=seed).to(table_ND).T),
        PROJECTED: list(projected_HNK.float().numpy()),
    }
    if sasrec is not None and sasrec.config.width >= H:
        found[SASREC] = slices(sasrec.rows_of_item_table(index))
    if untrained is not None:
        found[UNTRAINED] = seen(untrained)
    return found
