"""Whether heads see different attributes: how far an item's nearest ones agree with it, by facet.

Shapes: ``V`` real items · ``N`` items asked · ``W`` values of a facet · ``C`` items at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix

from fame.facets.neighbours import unit_rows
from fame.facets.spaces import space_names, space_vectors
from fame.facets.values import value_indicator
from fame.models.sequence_model import SequenceModel

NEIGHBOURS = 10
SAMPLE = 4000  # items asked: a share is then within 0.02 of what all items would say
_AT_A_TIME = 512  # items held against all others at once: 25 MB of cosines on Amazon Beauty


@dataclass(frozen=True)
class Agreement:
    """How far nearest items agree in one facet.

    Attributes:
        asked: Items that were asked: drawn ones whose facet is known.
        chance: The share of all other items that agree with an item, mean over those asked.
        spaces: The share of its ten nearest items that do; ``all`` is the whole embedding,
            ``head_0`` the first head's sub-embeddings. Items whose facet is not known agree with
            none.
        among: Items that were asked, and looked for among: all of the catalogue, or a sample of a
            large one; ``None`` in what an older version measured, which took all.
    """

    asked: int
    chance: float
    spaces: dict[str, float]
    among: int | None = None


def facet_agreement(
    model: SequenceModel,
    facets: Mapping[str, Sequence[Sequence[str]]],
    *,
    among: np.ndarray | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
) -> dict[str, Agreement]:
    """Agreement of the ten nearest items by facet, in the whole embedding and in every head.

    Args:
        facets: By facet, the values of every item; two items agree where they have one in common.
            A facet that no item asked has is left out.
        among: Rows of the items that neighbours are looked for among, see
            :func:`fame.facets.estimates.items_among`; by default all.
        sample: Items of those that are drawn to be asked, at most.
        seed: Of the draw.
    """
    among = np.arange(model.num_items) if among is None else among
    A = len(among)
    drawn_N = np.sort(np.random.default_rng(seed).choice(A, min(A, sample), replace=False))
    nearest = {
        space: nearest_rows(unit_rows(space_vectors(model, space)[among]), drawn_N)
        for space in space_names(model)
    }
    found = {}
    for name, values in facets.items():
        values_VW = value_indicator(values)[among]
        known_N = np.diff(values_VW.indptr)[drawn_N] > 0
        if known_N.any():
            rows = {space: rows_Nk[known_N] for space, rows_Nk in nearest.items()}
            found[name] = _agreement(values_VW, drawn_N[known_N], rows)
    return found


def nearest_rows(unit_VK: np.ndarray, asked_N: np.ndarray) -> np.ndarray:
    """``(N, 10)``: the rows most alike to those asked, in no order; fewer where there are fewer."""
    k = min(NEIGHBOURS, len(unit_VK) - 1)
    nearest = [np.zeros((0, k), dtype=np.int64)]
    for start in range(0, len(asked_N), _AT_A_TIME):
        some = asked_N[start : start + _AT_A_TIME]
        cosine_CV = unit_VK[some] @ unit_VK.T
        cosine_CV[np.arange(len(some)), some] = -np.inf
        best = torch.from_numpy(cosine_CV).topk(k, dim=1, sorted=False)  # 5 times argpartition
        nearest.append(best.indices.numpy())
    return np.concatenate(nearest)


def _agreement(
    values_VW: csr_matrix, asked_N: np.ndarray, nearest: Mapping[str, np.ndarray]
) -> Agreement:
    others = values_VW.shape[0] - 1
    by_chance, by_space = 0.0, dict.fromkeys(nearest, 0.0)
    for start in range(0, len(asked_N), _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        agree_CV = (values_VW[asked_N[part]] @ values_VW.T).toarray() > 0
        by_chance += float((agree_CV.sum(1) - 1).sum()) / others  # an item agrees with itself
        for space, rows_Nk in nearest.items():
            agreeing = np.take_along_axis(agree_CV, rows_Nk[part], axis=1)
            by_space[space] += float(agreeing.mean(1).sum())
    shares = {space: total / len(asked_N) for space, total in by_space.items()}
    return Agreement(len(asked_N), by_chance / len(asked_N), shares, values_VW.shape[0])
