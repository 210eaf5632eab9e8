"""Means with intervals, many at once, and who is drawn for them.

Shapes: ``U`` people or items · ``S`` figures of each of them · ``V`` real items.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fame.facets.lists import STRATA
from fame.lens.faithfulness import Estimate


def bootstrap_means(
    columns: Mapping[str, np.ndarray], *, draws: int = 2000, seed: int = 0
) -> dict[str, Estimate]:
    """:func:`fame.lens.faithfulness.bootstrap_mean` of several columns ``(U,)`` over the same U.

    All columns share the draws, so that this is one matrix product where drawing each column anew
    takes as long as there are columns.
    """
    if not columns:
        return {}
    values_US = np.stack([np.asarray(column, dtype=np.float64) for column in columns.values()], 1)
    U = len(values_US)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(U, size=(draws, U)) + U * np.arange(draws)[:, None]
    times = np.bincount(chosen.ravel(), minlength=draws * U).reshape(draws, U)
    means = times.astype(np.float64) @ values_US / U
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    figures = zip(values_US.mean(0).tolist(), low.tolist(), high.tolist(), strict=True)
    return {name: Estimate(*own) for name, own in zip(columns, figures, strict=True)}


AMONG = 30_000  # items among which neighbours, and items to exchange for, are looked for


def items_among(train_count: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Rows of the items that stand for a catalogue: all of one of :data:`AMONG` items or fewer.

    Of a larger one a sample by strata of popularity: what holds each of many items against all
    others would take a hundred times as long for ten times as many.

    Args:
        train_count: ``(V,)`` clicks in training.
    """
    return drawn_by_popularity(train_count, AMONG, seed=seed)


def drawn_by_popularity(train_count: np.ndarray, size: int, *, seed: int = 0) -> np.ndarray:
    """Rows of ``size`` items at most, in their order: as many from every stratum of popularity.

    The strata are those of :func:`fame.facets.lists.permuted_values`: ten equal parts of the items
    sorted by how often they were clicked. So a sample holds the rare and the popular alike.

    Args:
        train_count: ``(V,)`` clicks in training.
    """
    V = len(train_count)
    if size >= V:
        return np.arange(V)
    rng = np.random.default_rng(seed)
    strata = np.array_split(np.argsort(train_count, kind="stable"), STRATA)
    parts = np.array_split(np.arange(size), STRATA)  # how many of each; V > size, so all are there
    chosen = [
        rng.choice(stratum, min(len(part), len(stratum)), replace=False)
        for stratum, part in zip(strata, parts, strict=True)
    ]
    return np.sort(np.concatenate(chosen))
