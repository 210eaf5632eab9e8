"""DCI, MIG and SAP against slow twins that follow their equations, and on known truth."""

from math import log

import numpy as np
import pytest

from fame.facets.codes import OWN
from fame.facets.disentanglement import (
    cells_of,
    dci,
    disentanglement,
    explained,
    importance,
    information,
    sap,
)
from fame.facets.lists import PERMUTED
from fame.facets.probes import folds, probe_hits
from fame.facets.values import value_indicator
from tests.unit.facets import known_truth as truth

LABELS = [own.toarray() for own in truth.FACETS.values()]


def entropy(shares, base):
    return -sum(p * log(p) / log(base) for p in shares if p > 0)


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (6, 2)])
def test_dci_follows_its_equations(shape):
    R = np.random.default_rng(1).random(shape) ** 3
    R[0, 1] = 0
    heads, facets = shape
    D = C = 0.0
    for h in range(heads):
        D += R[h].sum() / R.sum() * (1 - entropy(R[h] / R[h].sum(), facets))
    for f in range(facets):
        C += (1 - entropy(R[:, f] / R[:, f].sum(), heads)) / facets
    assert dci(R) == pytest.approx((D, C), abs=1e-12)


def test_dci_of_the_limits():
    assert dci(np.eye(3)) == pytest.approx((1, 1))
    assert dci(np.ones((4, 3))) == pytest.approx((0, 0), abs=1e-12)
    assert dci(np.zeros((2, 2))) == (0, 0)  # what tells nothing is not disentangled
    assert dci(np.array([[1.0], [2.0]]))[0] is None  # one facet
    assert dci(np.array([[1.0, 2.0]]))[1] is None  # one head
    # A head that is two facets: neither facet is spread, but the head is.
    assert dci(np.array([[1.0, 1.0], [0.0, 0.0]])) == pytest.approx((0, 1))


def test_importance_is_what_each_head_explains():
    """By the normal equations, fold by fold; all heads together explain R^2."""
    codes, label = truth.codes(20)[OWN], LABELS[1]
    code, expected, fitted = np.concatenate(codes, axis=1), np.zeros((truth.ITEMS, 2)), []
    for train, test in folds(truth.ITEMS, seed=0):
        mean, spread = code[train].mean(0), code[train].std(0)
        z, at = (code[train] - mean) / spread, (code[test] - mean) / spread
        y_mean, y_spread = label[train].mean(0), label[train].std(0)
        y, true = (label[train] - y_mean) / y_spread, (label[test] - y_mean) / y_spread
        B = np.linalg.solve(z.T @ z + 0.01 * len(train) * np.eye(z.shape[1]), z.T @ y)
        for head in range(2):
            own = slice(16 * head, 16 * head + 16)
            expected[test, head] = (at[:, own] @ B[own] * true).mean(1)
        fitted.append((at @ B * true).mean())
    terms, hits = explained(codes, label)
    np.testing.assert_allclose(terms, expected, atol=1e-6)  # labels are float32
    found = importance(terms)
    np.testing.assert_allclose(found, expected.mean(0), atol=1e-9)
    assert found.sum() == pytest.approx(np.mean(fitted), abs=1e-3)
    assert hits.tolist() == probe_hits(code, label).tolist()
    twice = np.arange(truth.ITEMS) % 3  # some items once, some twice, some not at all
    again = importance(np.repeat(terms, twice, axis=0))
    np.testing.assert_allclose(importance(terms, twice.astype(float)), again, atol=1e-12)


def test_what_tells_nothing_counts_nothing():
    rng = np.random.default_rng(3)
    noise = [rng.normal(size=(truth.ITEMS, 16)) for _ in range(2)]
    assert importance(explained(noise, LABELS[0])[0]).tolist() == [0, 0]


def counts(cell, label, cells):
    have = np.array([label[cell == c].sum(0, dtype=np.float64) for c in range(cells)])
    return have, np.bincount(cell, minlength=cells).astype(float)


def test_information_follows_its_equation():
    rng = np.random.default_rng(5)
    cell, label = rng.integers(4, size=60), (rng.random((60, 3)) < [0.2, 0.5, 0.9]).astype(float)
    label[:, 2] = cell == 1
    told, entropies = information(*counts(cell, label, 4))
    for w in range(3):
        expected = 0.0
        for c in range(4):
            for y in (0, 1):
                joint = np.mean((cell == c) & (label[:, w] == y))
                if joint:
                    expected += joint * log(
                        joint / (np.mean(cell == c) * np.mean(label[:, w] == y))
                    )
        share = label[:, w].mean()
        assert told[w] == pytest.approx(expected, abs=1e-12)
        assert entropies[w] == pytest.approx(entropy([share, 1 - share], np.e), abs=1e-12)
    assert told[2] == pytest.approx(entropies[2])  # a cell that is a value tells all of it


def test_mig_and_sap_follow_their_equations():
    codes = [*truth.codes(20)[OWN], np.random.default_rng(0).normal(size=(truth.ITEMS, 3))]
    gaps, accuracy = [], []
    for label in LABELS:
        shares = []
        for code in codes:
            told, of = information(*counts(cells_of(code), label, 20))
            shares.append(told.sum() / of.sum())
        first, second, _ = sorted(shares, reverse=True)
        gaps.append(first - second)
        accuracy.append([probe_hits(code, label).mean() for code in codes])
    found = disentanglement({OWN: codes}, truth.FACETS, truth.TRAIN_COUNT).own
    assert found.mig == pytest.approx(np.mean(gaps), abs=1e-9)
    assert found.sap == pytest.approx(sap(np.array(accuracy).T), abs=1e-12)
    assert sap(np.array([[0.9, 0.3], [0.4, 0.5], [0.5, 0.1]])) == pytest.approx((0.4 + 0.2) / 2)


def test_planted_heads_score_high_half_mixed_ones_between_and_controls_nothing():
    def scores(degrees, facets=truth.FACETS):
        return disentanglement(truth.codes(degrees), facets, truth.TRAIN_COUNT)

    planted, half, mixed = (scores(degrees).own for degrees in (0, 25, 45))
    nothing = scores(0, truth.PERMUTED).own
    for figure in ("disentanglement", "completeness", "mig", "sap"):
        high, between, low, none = (getattr(one, figure) for one in (planted, half, mixed, nothing))
        assert high > 0.5, figure
        assert high - 0.1 > between > low + 0.03, figure
        assert low < 0.08 and none < 0.08, figure
    assert planted.disentanglement > 0.95 and planted.completeness > 0.95
    assert planted.informativeness > 0.7 and nothing.informativeness < 0.25
    assert mixed.informativeness == pytest.approx(planted.informativeness, abs=0.06)
    control = scores(0).controls[PERMUTED]
    for figure in ("disentanglement", "completeness", "mig", "sap"):
        assert getattr(control, figure) < 0.08, figure
        # Surely so: the interval of what is planted lies above that of the half mixed, and that
        # above what is wholly mixed; of permuted values there is none to speak of.
        (low, _), (half_low, half_high) = planted.intervals[figure], half.intervals[figure]
        assert low > half_high and half_low > mixed.intervals[figure][1], figure
        assert control.intervals[figure][1] < 0.12, figure
    assert np.array(planted.importance).argmax(0).tolist() == [0, 1]


def test_what_cannot_be_is_none():
    codes = truth.codes(0)
    one_head = disentanglement({OWN: codes[OWN][:1]}, truth.FACETS, truth.TRAIN_COUNT).own
    assert (one_head.completeness, one_head.mig, one_head.sap) == (None, None, None)
    one_facet = disentanglement(codes, {"genre": truth.FACETS["genre"]}, truth.TRAIN_COUNT)
    assert one_facet.own.disentanglement is None and one_facet.own.completeness > 0.9
    alike = value_indicator([["one"]] * truth.ITEMS)
    assert disentanglement(codes, {"kind": alike}, truth.TRAIN_COUNT) is None
    assert disentanglement({}, truth.FACETS, truth.TRAIN_COUNT) is None


def test_cells_of_few_different_codes_are_as_many():
    code = np.repeat(np.eye(3), 5, axis=0)
    assert len(set(cells_of(code).tolist())) == 3
    assert set(cells_of(np.zeros((9, 4))).tolist()) == {0}


def test_intervals_hold_the_figures_and_narrow_with_the_root_of_the_items():
    """Half of the items: intervals are wider by the root of two, and each half lies in reach."""
    parts = np.random.default_rng(0).permutation(truth.ITEMS).reshape(2, -1)
    heads = truth.codes(25)[OWN]
    values = {figure: [] for figure in ("completeness", "mig", "sap")}
    widths = {figure: [] for figure in values}
    for rows in parts:
        codes = {OWN: [head[rows] for head in heads]}
        facets = {name: own[rows] for name, own in truth.FACETS.items()}
        found = disentanglement(codes, facets, truth.TRAIN_COUNT[rows]).own
        assert set(found.intervals) == {"disentanglement", "informativeness", *values}
        for figure, (low, high) in found.intervals.items():
            assert low <= getattr(found, figure) <= high and high - low < 0.3, figure
        for figure in values:
            values[figure].append(getattr(found, figure))
            widths[figure].append(found.intervals[figure][1] - found.intervals[figure][0])
    whole = disentanglement({OWN: heads}, truth.FACETS, truth.TRAIN_COUNT).own
    for figure, own in values.items():
        low, high = whole.intervals[figure]
        # Half of the items: the interval is wider by the root of two.
        assert np.mean(widths[figure]) / (high - low) == pytest.approx(2**0.5, rel=0.35), figure
        assert abs(own[0] - own[1]) < 2 * np.mean(widths[figure]), figure
