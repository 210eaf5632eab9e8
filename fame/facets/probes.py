"""Linear probes: can the values of a facet be read off a head, and more than off anything else?

A probe is a ridge regression from an item's code to one column a value, 1 where the item has it,
cross-validated over the items. It is right about an item where the value that it scores highest is
one of the item's own; where every item has one value that is accuracy.

    w = argmin over W, b of  sum_i |y_i - W z_i - b|^2 + lambda |W|^2

z are codes of mean 0 and variance 1 in the items trained on and ``lambda`` is 1 % of their number.

Its control task, after Hewitt and Liang ("Designing and Interpreting Probes with Control Tasks",
EMNLP 2019): the same items with the same sets of values, dealt anew at random. There every word
type has a random label and occurs many times, so a probe can learn the deal by heart. Here an item
is its own type and occurs once, so no probe can: the control says what the probe makes of the
frequency of values, and of popularity, because values are dealt among items of like popularity.

    selectivity = accuracy on the task - accuracy on the control task

Shapes: ``N`` items · ``W`` values probed · ``H`` heads · ``K`` head width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from fame.facets.codes import OWN
from fame.facets.estimates import bootstrap_means
from fame.facets.lists import permuted_values
from fame.lens.faithfulness import Estimate

if TYPE_CHECKING:  # it takes a second to load, and who reads stored figures needs none of it
    from sklearn.linear_model import Ridge

FOLDS = 5
FEWEST_ITEMS = 20  # of a value that is probed: four to test on in each fold
MOST_VALUES = 20  # the most frequent ones
_RIDGE = 0.01


@dataclass(frozen=True)
class Probe:
    """How well one probe reads a facet, over items, with 95 % intervals over the items.

    Attributes:
        accuracy: On the task.
        control: On its control task.
        selectivity: The difference, paired over items.
    """

    accuracy: Estimate
    control: Estimate
    selectivity: Estimate


@dataclass(frozen=True)
class FacetProbes:
    """The probes of one facet.

    Attributes:
        items: Items probed: those of the sample that have a value that is probed.
        values: How many values are probed: the most frequent of those that enough items have.
        chance: The accuracy of always naming the most frequent value.
        spaces: By space (``all``, ``head_0``, ..).
        controls: By control of :func:`fame.facets.codes.item_codes` and space.
    """

    items: int
    values: int
    chance: float
    spaces: dict[str, Probe]
    controls: dict[str, dict[str, Probe]]


def probed_values(values_NW: csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Which items and which values can be probed: places of rows and of columns.

    The :data:`MOST_VALUES` most frequent values of those that :data:`FEWEST_ITEMS` items have, and
    every item that has one of them. A value that all of those have tells nothing and is left out.
    None where fewer than two values are left: then there is nothing to tell apart.
    """
    items_W = np.asarray(values_NW.sum(0)).ravel()
    frequent = np.argsort(-items_W, kind="stable")[:MOST_VALUES]
    kept = frequent[items_W[frequent] >= FEWEST_ITEMS]
    while len(kept) > 1:
        rows = np.flatnonzero(np.diff(values_NW[:, kept].tocsr().indptr))
        telling = kept[items_W[kept] < len(rows)]
        if len(telling) == len(kept):
            return rows, kept
        kept = telling  # fewer items may have one of these, so that all have another one
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


def folds(items: int, *, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """:data:`FOLDS` times which items to train on and which to test on."""
    from sklearn.model_selection import KFold

    yield from KFold(FOLDS, shuffle=True, random_state=seed).split(np.empty(items))


def ridge(trained_on: int) -> Ridge:
    """The regression of a probe, for codes of variance 1."""
    from sklearn.linear_model import Ridge

    return Ridge(alpha=_RIDGE * trained_on)


def probe_hits(code_NK: np.ndarray, label_NW: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """``(N,)`` 1 where a probe trained on other items names a value that the item has, else 0.

    Args:
        code_NK: Codes of at least :data:`FOLDS` items.
        label_NW: 1 where an item has a value.
        seed: Of the folds.
    """
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    hit_N = np.zeros(len(code_NK))
    for train, test in folds(len(code_NK), seed=seed):
        probe = make_pipeline(StandardScaler(), ridge(len(train)))
        scores = probe.fit(code_NK[train], label_NW[train]).predict(code_NK[test])
        hit_N[test] = label_NW[test, scores.argmax(1)]
    return hit_N


def facet_probes(
    whole_ND: np.ndarray,
    codes: Mapping[str, Sequence[np.ndarray]],
    facets: Mapping[str, csr_matrix],
    train_count: np.ndarray,
    *,
    seed: int = 0,
) -> dict[str, FacetProbes]:
    """Probes of every facet that has two values or more to tell apart (:func:`probed_values`).

    Args:
        whole_ND: The whole embedding of a sample of items.
        codes: By name ``[H]`` their codes ``(N, K)``; :data:`fame.facets.codes.OWN` the heads' own.
        facets: By facet their values ``(N, W)``.
        train_count: ``(N,)`` clicks in training.
        seed: Of the folds, the control task and the intervals.
    """
    spaces = {("spaces", "all"): whole_ND}
    for name, heads in codes.items():
        kind = "spaces" if name == OWN else name
        spaces |= {(kind, f"head_{head}"): code for head, code in enumerate(heads)}
    found = {}
    for facet, values_NW in facets.items():
        rows, kept = probed_values(values_NW)
        if not len(rows):
            continue
        values = values_NW[rows][:, kept].tocsr()
        dealt = permuted_values(values, train_count[rows], np.random.default_rng(seed))
        label, control = values.toarray(), dealt.toarray()
        columns = {}
        for (kind, space), code in spaces.items():
            own = code[rows].astype(np.float64)
            on_task, on_control = (probe_hits(own, one, seed=seed) for one in (label, control))
            columns[kind, space, "accuracy"] = on_task
            columns[kind, space, "control"] = on_control
            columns[kind, space, "selectivity"] = on_task - on_control
        estimates = bootstrap_means(
            {"/".join(place): own for place, own in columns.items()}, seed=seed
        )
        by_kind: dict[str, dict[str, Probe]] = {"spaces": {}}
        for kind, space in spaces:
            by_kind.setdefault(kind, {})[space] = Probe(
                *(
                    estimates[f"{kind}/{space}/{of}"]
                    for of in ("accuracy", "control", "selectivity")
                )
            )
        found[facet] = FacetProbes(
            items=len(rows),
            values=len(kept),
            chance=float(label.mean(0).max()),
            spaces=by_kind.pop("spaces"),
            controls=by_kind,
        )
    return found
