"""DCI, MIG and SAP: three published figures for how far codes come apart into factors.

They were made for codes of single numbers, each of which may stand for one factor. Here the unit is
a head, which has K numbers, and a factor is a facet, which has W values; what that changes is said
at each. None of the three is a headline: they score entangled models highly too. Dervishaj and
others ("Are Representation Disentanglement and Interpretability Linked in Recommendation Models?",
ECIR 2025) give DCI disentanglement on ML-1M of .157 for PureSVD, .186 for MultiVAE and .121 for
MacridVAE, which was built to be disentangled. Theirs is another protocol, single numbers of user
codes against 20 clusters of the tag genome, so their figures and these must not be compared.

The same figures are made of the controls' codes (:mod:`fame.facets.codes`) and of the heads' own
with values permuted among items of like popularity.

Shapes: ``N`` items · ``H`` heads · ``K`` head width · ``F`` facets · ``W`` values of a facet ·
``C`` cells of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import xlogy
from scipy.stats import bootstrap

from fame.facets.codes import OWN
from fame.facets.lists import PERMUTED, permuted_values
from fame.facets.probes import folds, probe_hits, probed_values, ridge

DRAWS = 500  # of the items, for the intervals; fewer of more heads than eight
_FEWEST_DRAWS = 100
CELLS = 20  # of a head, in place of the 20 bins that a single number is cut into elsewhere
_SURE = 3  # standard errors
_LEAST = 0.01  # of the variance of a facet's values that a head has to explain to count
_TINY = 1e-12  # a variance to divide by, where all items trained on are alike


@dataclass(frozen=True)
class Scores:
    """The figures of one set of codes. ``None`` where a figure cannot be: see each.

    Attributes:
        importance: ``[H][F]`` how much head h counts in telling the values of facet f (DCI's R).
        disentanglement: Of DCI, 0 to 1; ``None`` with fewer than two facets.
        completeness: Of DCI, 0 to 1; ``None`` with fewer than two heads.
        informativeness: Of DCI: accuracy of the probe of all heads together, mean over facets.
        mig: 0 to 1; ``None`` with fewer than two heads.
        sap: 0 to 1; ``None`` with fewer than two heads.
        intervals: By figure that is not ``None`` low and high: a 95 % bootstrap over the items
            (:func:`intervals`). Empty in what an older version measured.
    """

    importance: list[list[float]]
    disentanglement: float | None
    completeness: float | None
    informativeness: float
    mig: float | None
    sap: float | None
    intervals: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Disentanglement:
    """The figures of a checkpoint and of its controls.

    Attributes:
        items: Items of the sample.
        facets: ``[F]`` the facets that count as factors: those that can be probed.
        own: Of the heads.
        controls: By control.
    """

    items: int
    facets: list[str]
    own: Scores
    controls: dict[str, Scores]


def explained(
    codes: Sequence[np.ndarray], label_NW: np.ndarray, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """``(N, H)`` how much each head counts in telling an item's values of a facet, and ``(N,)``
    whether all heads together tell one of them.

    Eastwood and Williams take absolute weights of a regression from the whole code, one for every
    number. Single weights of a head mean little, since nothing depends on how its K numbers are
    turned, so a head counts as much as it explains (Pratt's measure, which sums to R^2):

        R_h = 1/W sum_w cov(Z_h b_wh, y_w),    y_w = sum_h Z_h b_wh by ridge regression

    with z and y of variance 1, on items that the regression was not trained on (the folds and the
    ridge of :mod:`fame.facets.probes`). The covariance is a mean over items: what is given here are
    its terms.

    How well all heads tell the values together is the accuracy of the same regression as a probe.
    """
    from sklearn.preprocessing import StandardScaler

    code = np.concatenate(codes, axis=1).astype(np.float64)
    ends = np.cumsum([0, *(own.shape[1] for own in codes)])
    explained_NH, hit_N = np.zeros((len(code), len(codes))), np.zeros(len(code))
    for train, test in folds(len(code), seed=seed):
        scaler = StandardScaler().fit(code[train])
        fitted = ridge(len(train)).fit(scaler.transform(code[train]), label_NW[train])
        z = scaler.transform(code[test])
        mean_W, variance_W = label_NW[train].mean(0), label_NW[train].var(0)
        y = (label_NW[test] - mean_W) / np.maximum(variance_W, _TINY)  # b is of labels as they are
        for head, (begin, end) in enumerate(pairwise(ends)):
            part = z[:, begin:end] @ fitted.coef_[:, begin:end].T
            explained_NH[test, head] = (part * y).mean(1)
        hit_N[test] = label_NW[test, fitted.predict(z).argmax(1)]
    return explained_NH, hit_N


def importance(explained_NH: np.ndarray, weight_N: np.ndarray | None = None) -> np.ndarray:
    """``(H,)`` the mean over items of what each head explains (:func:`explained`).

    DCI divides by the sum of R however small it is, so a head that explains less than 1 %, or not
    surely more than nothing (three standard errors over the items), counts 0: else noise would look
    disentangled.

    Args:
        weight_N: How often each item counts; once, by default.
    """
    weight_N = np.ones(len(explained_NH)) if weight_N is None else weight_N
    n = weight_N.sum()
    mean_H = weight_N @ explained_NH / n
    variance_H = np.maximum(weight_N @ explained_NH**2 / n - mean_H**2, 0)
    error_H = np.sqrt(variance_H / max(n - 1, 1))
    return np.where(mean_H > np.maximum(_SURE * error_H, _LEAST), mean_H, 0.0)


def dci(importance_HF: np.ndarray) -> tuple[float | None, float | None]:
    """Disentanglement and completeness (Eastwood and Williams, ICLR 2018) from R.

        D = sum_h rho_h (1 - H_F(P_h)),    P_hf = R_hf / sum_f R_hf,  rho_h = sum_f R_hf / sum R
        C = 1/F sum_f (1 - H_H(Q_f)),      Q_hf = R_hf / sum_h R_hf

    with the entropies to base F and to base H. A head, or a facet, of no importance at all counts
    as spread evenly: it adds nothing.
    """
    H, F = importance_HF.shape
    total = importance_HF.sum()
    disentanglement = completeness = None
    if F > 1:
        weight_H = importance_HF.sum(1) / (total or 1.0)
        disentanglement = float(weight_H @ _concentrated(importance_HF))
    if H > 1:
        completeness = float(_concentrated(importance_HF.T).mean())
    return disentanglement, completeness


def _concentrated(rows: np.ndarray) -> np.ndarray:
    """1 less the entropy of every row of weights, to the base of its length; 0 for an empty row."""
    sums = rows.sum(1, keepdims=True)
    share = np.divide(rows, sums, out=np.full(rows.shape, 1 / rows.shape[1]), where=sums > 0)
    return np.clip(1 + xlogy(share, share).sum(1) / np.log(rows.shape[1]), 0, 1)


def cells_of(code_NK: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """``(N,)`` the cell of every code: :data:`CELLS` clusters by k-means, of standardised codes."""
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    code = StandardScaler().fit_transform(code_NK.astype(np.float64))
    cells = min(CELLS, len(np.unique(code, axis=0)))
    return KMeans(cells, n_init=1, max_iter=50, random_state=seed).fit_predict(code)


def information(have_CW: np.ndarray, in_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(W,)`` mutual information of the cell with having a value, and the entropy of that; nats.

    I(z; y) = sum_c sum_{y = 0, 1} p(c, y) ln( p(c, y) / (p(c) p(y)) )

    Args:
        have_CW: How many items of each cell have each value; axes before these two are of several
            codes, each cut into cells by itself.
        in_C: How many items are in each cell.
    """
    N, in_C = in_C.sum(-1)[..., None, None], in_C[..., None]
    with_W = have_CW.sum(-2, keepdims=True)
    found = np.zeros(with_W[..., 0, :].shape)
    for joint_CW, marginal_W in ((have_CW, with_W), (in_C - have_CW, N - with_W)):
        expected = in_C * marginal_W / N
        ratio = np.divide(joint_CW, expected, out=np.ones_like(joint_CW), where=joint_CW > 0)
        found += xlogy(joint_CW, ratio).sum(-2) / N[..., 0, :]
    share = (with_W / N)[..., 0, :]
    return found, -(xlogy(share, share) + xlogy(1 - share, 1 - share))


def sap(accuracy_HF: np.ndarray) -> float:
    """Separated attribute predictability (Kumar and others, ICLR 2018), for two heads or more.

        SAP = 1/F sum_f ( S_first,f - S_second,f )

    with S_hf how well head h alone tells facet f, over the two heads that tell it best. There a
    single number is thresholded; a head's K numbers are read by the probe of
    :mod:`fame.facets.probes`, cross-validated.
    """
    ordered = np.sort(accuracy_HF, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def disentanglement(
    codes: Mapping[str, Sequence[np.ndarray]],
    facets: Mapping[str, csr_matrix],
    train_count: np.ndarray,
    *,
    seed: int = 0,
) -> Disentanglement | None:
    """All figures, of the heads and of the controls; ``None`` where no facet can be probed.

    Args:
        codes: By name ``[H]`` codes ``(N, K)`` of a sample of items, see
            :func:`fame.facets.codes.item_codes`. None without heads.
        facets: By facet their values ``(N, W)``.
        train_count: ``(N,)`` clicks in training.
        seed: Of the folds, the cells and the permutation.
    """
    if not codes:
        return None
    factors, permuted = {}, {}
    rng = np.random.default_rng(seed)
    for facet, values_NW in facets.items():
        rows, kept = probed_values(values_NW)
        if len(rows):
            values = values_NW[rows][:, kept].tocsr()
            factors[facet] = rows, values.toarray()
            permuted[facet] = rows, permuted_values(values, train_count[rows], rng).toarray()
    if not factors:
        return None
    items = len(train_count)
    controls = {
        name: _scores(heads, list(factors.values()), items=items, seed=seed)
        for name, heads in codes.items()
        if name != OWN
    }
    controls[PERMUTED] = _scores(codes[OWN], list(permuted.values()), items=items, seed=seed)
    return Disentanglement(
        items=items,
        facets=list(factors),
        own=_scores(codes[OWN], list(factors.values()), items=items, seed=seed),
        controls=controls,
    )


@dataclass(frozen=True)
class _Factor:
    """What the figures of one set of codes are made of, item by item, for one facet.

    Attributes:
        rows: ``(n,)`` which items of the sample have the facet.
        explained: ``(n, H)`` of :func:`explained`.
        together: ``(n,)`` whether all heads together tell a value.
        alone: ``(H, n)`` whether each head alone does; empty with one head.
        cells: ``(H, n)`` of :func:`cells_of`; empty with one head.
        item, value: ``(m,)`` the values that items have, as places in ``rows`` and columns.
        values: W.
    """

    rows: np.ndarray
    explained: np.ndarray
    together: np.ndarray
    alone: np.ndarray
    cells: np.ndarray
    item: np.ndarray
    value: np.ndarray
    values: int

    @classmethod
    def of(
        cls, codes: Sequence[np.ndarray], rows: np.ndarray, label_NW: np.ndarray, *, seed: int
    ) -> _Factor:
        own = [code[rows] for code in codes]
        single = own if len(own) > 1 else []
        item, value = np.nonzero(label_NW)
        return cls(
            rows,
            *explained(own, label_NW, seed=seed),
            np.array([probe_hits(code, label_NW, seed=seed) for code in single]),
            np.array([cells_of(code, seed=seed) for code in single]),
            item,
            value,
            label_NW.shape[1],
        )

    def gap(self, weight_n: np.ndarray) -> float:
        """A facet's term of MIG (Chen and others, NeurIPS 2018), for two heads or more:

            ( I(z_first; f) - I(z_second; f) ) / H(f)

        over the two heads that tell most of f. A single number is commonly cut into 20 bins for
        this; a head, which has K numbers, is cut into 20 cells by k-means. Items may have several
        values, so information and entropy of a facet are sums over its values, each one thing to
        have or not.

        Args:
            weight_n: How often each item counts.
        """
        H, W = len(self.cells), self.values
        place_H = np.arange(H)[:, None] * CELLS
        cell_Hn = place_H + self.cells
        pair = (cell_Hn[:, self.item] * W + self.value).ravel()
        times = np.tile(weight_n[self.item], H)
        have = np.bincount(pair, weights=times, minlength=H * CELLS * W)
        inside = np.bincount(cell_Hn.ravel(), weights=np.tile(weight_n, H), minlength=H * CELLS)
        told_HW, entropy_HW = information(have.reshape(H, CELLS, W), inside.reshape(H, CELLS))
        second, first = np.sort(told_HW.sum(1) / entropy_HW.sum(1))[-2:]
        return float(first - second)


def _figures(factors: Sequence[_Factor], weight_N: np.ndarray) -> dict[str, float]:
    """All figures that can be, with every item of the sample counted so many times."""
    weights = [weight_N[factor.rows] for factor in factors]
    importances = [
        importance(factor.explained, weight)
        for factor, weight in zip(factors, weights, strict=True)
    ]
    disentangled, complete = dci(np.stack(importances, axis=1))
    told = [
        weight @ factor.together / weight.sum()
        for factor, weight in zip(factors, weights, strict=True)
    ]
    found = {
        "disentanglement": disentangled,
        "completeness": complete,
        "informativeness": float(np.mean(told)),
    }
    if len(factors[0].cells):
        pairs = list(zip(factors, weights, strict=True))
        found["mig"] = float(np.mean([factor.gap(weight) for factor, weight in pairs]))
        accuracies = [factor.alone @ weight / weight.sum() for factor, weight in pairs]
        found["sap"] = sap(np.stack(accuracies, axis=1))
    return {name: value for name, value in found.items() if value is not None}


def intervals(factors: Sequence[_Factor], items: int, *, seed: int = 0) -> dict[str, list[float]]:
    """By figure low and high of a 95 % bootstrap, drawing the items anew.

    Probes and cells stay what they are, as the intervals of probes have it: what is drawn anew is
    whom they are asked about. Drawn twice, an item tells of itself, which biases mutual information
    and gaps between a largest and a second largest; so the draws are laid about the figure by their
    mean, and only their spread is used. No figure leaves 0 to 1.

    Args:
        items: N, items of the sample.
    """
    found = _figures(factors, np.ones(items))
    most = max(len(factor.cells) for factor in factors)
    draws = max(_FEWEST_DRAWS, DRAWS * 8 // max(8, most))

    def statistic(rows: np.ndarray) -> np.ndarray:
        drawn = _figures(factors, np.bincount(rows, minlength=items).astype(np.float64))
        return np.array([drawn[name] for name in found])

    result = bootstrap(
        (np.arange(items),),
        statistic,
        n_resamples=draws,
        vectorized=False,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).bootstrap_distribution
    spread = np.quantile(result - result.mean(1, keepdims=True), [0.025, 0.975], axis=1)
    return {
        name: [float(max(0.0, value + low)), float(min(1.0, value + high))]
        for (name, value), low, high in zip(found.items(), *spread, strict=True)
    }


def _scores(
    codes: Sequence[np.ndarray],
    factors: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    items: int,
    seed: int,
) -> Scores:
    """Of one set of codes; a factor is the items that have it, and their labels."""
    parts = [_Factor.of(codes, rows, label_NW, seed=seed) for rows, label_NW in factors]
    every = np.ones(items)
    importances = [importance(part.explained, every[part.rows]) for part in parts]
    figures = _figures(parts, every)
    return Scores(
        importance=np.stack(importances, axis=1).tolist(),
        disentanglement=figures.get("disentanglement"),
        completeness=figures.get("completeness"),
        informativeness=figures["informativeness"],
        mig=figures.get("mig"),
        sap=figures.get("sap"),
        intervals=intervals(parts, items, seed=seed),
    )
