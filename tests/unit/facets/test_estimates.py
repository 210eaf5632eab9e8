"""Many intervals at once are the same intervals, and samples hold the rare and the popular."""

import numpy as np
import pytest

from fame.facets.estimates import bootstrap_means, drawn_by_popularity
from fame.lens.faithfulness import bootstrap_mean


@pytest.mark.parametrize("people", [1, 2, 37])
def test_intervals_are_those_of_each_column_alone(people):
    values = np.random.default_rng(0).normal(size=(people, 3))
    found = bootstrap_means({"a": values[:, 0], "b": values[:, 1], "c": values[:, 2] > 0}, seed=5)
    for name, own in zip("abc", (values[:, 0], values[:, 1], values[:, 2] > 0), strict=True):
        expected = bootstrap_mean(own.astype(float), seed=5)
        assert vars(found[name]) == pytest.approx(vars(expected), abs=1e-12)
    assert bootstrap_means({}) == {}


@pytest.mark.parametrize("size", [10, 25, 99])
def test_every_stratum_of_popularity_gives_as_many(size):
    count = np.random.default_rng(1).permutation(100)
    rows = drawn_by_popularity(count, size, seed=3)
    assert len(rows) == len(set(rows.tolist())) == size
    assert rows.tolist() == sorted(rows.tolist())
    by_stratum = np.bincount(count[rows] // 10, minlength=10)
    assert by_stratum.max() - by_stratum.min() <= 1
    assert drawn_by_popularity(count, size, seed=4).tolist() != rows.tolist()


def test_a_sample_as_large_as_the_catalogue_is_the_catalogue():
    assert drawn_by_popularity(np.arange(7), 7).tolist() == list(range(7))
    assert drawn_by_popularity(np.arange(7), 70).tolist() == list(range(7))
