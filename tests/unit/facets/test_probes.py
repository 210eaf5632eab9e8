"""Probes read what is there, and their control task says what is not."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from fame.facets import probes as module
from fame.facets.codes import OWN
from fame.facets.probes import facet_probes, probe_hits, probed_values
from fame.facets.values import value_indicator
from tests.unit.facets import known_truth as truth


def found(codes, facets=truth.FACETS):
    return facet_probes(truth.whole(codes), codes, facets, truth.TRAIN_COUNT)


def by_hand(code: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Ridge by its normal equations, fold by fold, in float64."""
    hits = np.zeros(len(code))
    for train, test in module.folds(len(code), seed=4):
        mean, spread = code[train].mean(0), code[train].std(0)
        z, y = (code[train] - mean) / spread, label[train]
        weights = np.linalg.solve(
            z.T @ z + 0.01 * len(train) * np.eye(z.shape[1]), z.T @ (y - y.mean(0))
        )
        scores = (code[test] - mean) / spread @ weights + y.mean(0)
        hits[test] = [label[item, row.argmax()] for item, row in zip(test, scores, strict=True)]
    return hits


def test_a_probe_is_ridge_regression_on_other_items():
    code, label = truth.codes(25)[OWN][0], truth.FACETS["era"].toarray()
    hits = probe_hits(code, label, seed=4)
    assert hits.tolist() == by_hand(code, label).tolist()
    assert 0.2 < hits.mean() < 0.95  # else it would not tell one probe from another


def test_every_item_is_tested_once_and_never_trained_on():
    tested = []
    for train, test in module.folds(53, seed=0):
        assert not set(train) & set(test)
        tested += test.tolist()
    assert sorted(tested) == list(range(53))


def test_planted_heads_are_read_half_mixed_ones_less_and_permuted_labels_not_at_all():
    planted, mixed = found(truth.codes(0)), found(truth.codes(30))
    permuted = found(truth.codes(0), truth.PERMUTED)
    for head, facet in enumerate(truth.FACETS):
        own, other = f"head_{head}", f"head_{1 - head}"

        def lead(probes, own=own, other=other, facet=facet):
            spaces = probes[facet].spaces
            return spaces[own].selectivity.mean - spaces[other].selectivity.mean

        assert planted[facet].spaces[own].selectivity.low > 0.5
        assert lead(planted) > lead(mixed) > 0.05
        # three standard errors of a difference of two shares near 1/8 over 800 items
        assert abs(lead(permuted)) < 0.07
        for probe in (planted[facet].spaces[other], *permuted[facet].spaces.values()):
            assert probe.selectivity.low < 0.02 and probe.selectivity.mean == pytest.approx(
                0, abs=0.06
            )


def test_selectivity_is_task_less_control_and_the_control_is_the_frequency_of_values():
    column = np.where(np.arange(truth.ITEMS) % 10 < 6, "often", "seldom")
    values = value_indicator([[value] for value in column])
    noise = np.random.default_rng(0).normal(size=(truth.ITEMS, 4))
    probe = facet_probes(noise, {OWN: [noise]}, {"kind": values}, truth.TRAIN_COUNT)["kind"]
    assert (probe.items, probe.values, probe.chance) == (truth.ITEMS, 2, pytest.approx(0.6))
    own = probe.spaces["head_0"]
    assert own.selectivity.mean == pytest.approx(own.accuracy.mean - own.control.mean, abs=1e-12)
    assert own.control.mean == pytest.approx(0.6, abs=0.05)


def test_which_values_are_probed():
    frequent = [["a", "b"]] * 30 + [["b"]] * 25 + [["a"]] * 21 + [["rare"]] * 19 + [[]] * 6
    rows, kept = probed_values(value_indicator(frequent))
    assert rows.tolist() == list(range(76))
    names = ["a", "b", "rare"]
    assert [names[place] for place in kept] == ["b", "a"]
    rows, kept = probed_values(value_indicator([["all", "a"]] * 30 + [["all", "b"]] * 30))
    assert (len(rows), kept.tolist()) == (60, [1, 2]), "what all have tells nothing"
    many = value_indicator([[str(item % 30)] for item in range(30 * 25)])
    assert len(probed_values(many)[1]) == module.MOST_VALUES


@pytest.mark.parametrize(
    "values",
    [
        [["one"]] * 80,
        [[str(item)] for item in range(80)],
        [[]] * 80,
        [["a", "b"]] * 50 + [[]] * 30,
        [["a", "b"]] * 40 + [["a"]] * 40,
    ],
    ids=["one value", "a value each", "none", "two values always together", "one that all have"],
)
def test_nothing_is_probed_where_there_is_nothing_to_tell_apart(values):
    own: csr_matrix = value_indicator(values)
    assert [part.tolist() for part in probed_values(own)] == [[], []]
    code = np.zeros((80, 3))
    assert facet_probes(code, {}, {"kind": own}, np.ones(80)) == {}
