"""What lies near an item in each head, by facet: agreement with intervals, beside its controls.

:mod:`fame.facets.agreement` gives the means over the whole catalogue; here the same is asked of a
sample drawn by strata of popularity, item by item, so that there are intervals, and of the codes of
the controls (:mod:`fame.facets.codes`).

Shapes: ``V`` real items · ``A`` of them among which neighbours are looked for · ``N`` asked ·
``k`` neighbours · ``W`` values of a facet · ``H`` heads · ``K`` head width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from fame.facets.agreement import nearest_rows
from fame.facets.codes import OWN
from fame.facets.estimates import bootstrap_means
from fame.facets.lists import PERMUTED, permuted_values
from fame.facets.neighbours import unit_rows
from fame.lens.faithfulness import Estimate

PERMUTATIONS = 5  # of the labels; an item's control is the mean over them


@dataclass(frozen=True)
class TableAgreement:
    """How far the ten nearest items agree with an item in one facet.

    Attributes:
        asked: Items asked: drawn ones whose facet is known.
        among: Items among which the nearest were looked for.
        spaces: By space (``all``, ``head_0``, ..) the share of the nearest that have a value in
            common with the item, with a 95 % interval from drawing the items asked anew.
        controls: By control and space the same. :data:`fame.facets.lists.PERMUTED`: the same
            neighbours, with values permuted among items of like popularity; the others: neighbours
            by the codes of :func:`fame.facets.codes.item_codes`.
    """

    asked: int
    among: int
    spaces: dict[str, Estimate]
    controls: dict[str, dict[str, Estimate]]


def table_agreement(
    whole_AD: np.ndarray,
    codes: Mapping[str, Sequence[np.ndarray]],
    asked_N: np.ndarray,
    facets: Mapping[str, csr_matrix],
    train_count: np.ndarray,
    *,
    seed: int = 0,
) -> dict[str, TableAgreement]:
    """Agreement of the ten nearest items; a facet that no item asked has is left out.

    Args:
        whole_AD: The whole embedding of the items among which neighbours are looked for.
        codes: By name ``[H]`` their codes ``(A, K)``; :data:`fame.facets.codes.OWN` the heads' own.
        asked_N: Which of the A rows are asked.
        facets: By facet their values ``(A, W)``.
        train_count: ``(A,)`` clicks in training.
        seed: Of the permutations and the intervals.
    """
    nearest = {("spaces", "all"): nearest_rows(unit_rows(whole_AD), asked_N)}
    for name, heads in codes.items():
        kind = "spaces" if name == OWN else name
        for head, code_AK in enumerate(heads):
            nearest[kind, f"head_{head}"] = nearest_rows(unit_rows(code_AK), asked_N)
    rng = np.random.default_rng(seed)
    found = {}
    for facet, values_AW in facets.items():
        known = np.diff(values_AW.indptr)[asked_N] > 0
        if not known.any():
            continue
        asked = asked_N[known]
        shares = {
            place: _agreeing(values_AW, asked, rows_Nk[known]) for place, rows_Nk in nearest.items()
        }
        permuted = [permuted_values(values_AW, train_count, rng) for _ in range(PERMUTATIONS)]
        for (kind, space), rows_Nk in nearest.items():
            if kind == "spaces":
                drawn = [_agreeing(one, asked, rows_Nk[known]) for one in permuted]
                shares[PERMUTED, space] = np.mean(drawn, axis=0)
        estimates = bootstrap_means(
            {"/".join(place): own for place, own in shares.items()}, seed=seed
        )
        by_kind: dict[str, dict[str, Estimate]] = {"spaces": {}, PERMUTED: {}}
        for kind, space in shares:
            by_kind.setdefault(kind, {})[space] = estimates[f"{kind}/{space}"]
        found[facet] = TableAgreement(
            asked=len(asked),
            among=len(whole_AD),
            spaces=by_kind.pop("spaces"),
            controls=by_kind,
        )
    return found


def _agreeing(values_AW: csr_matrix, asked_N: np.ndarray, nearest_Nk: np.ndarray) -> np.ndarray:
    """``(N,)`` the share of the nearest that have a value in common with the item asked."""
    N, k = nearest_Nk.shape
    pairs = values_AW[nearest_Nk.ravel()].multiply(values_AW[np.repeat(asked_N, k)])
    agree = np.asarray(pairs.sum(1)).ravel() > 0
    return agree.reshape(N, k).mean(1) if k else np.zeros(N)
