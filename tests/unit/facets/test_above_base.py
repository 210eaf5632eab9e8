"""What some items have in common above the base rate."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from fame.facets.above_base import FEWEST, BaseRates

ITEMS = 400


@pytest.fixture
def rates() -> BaseRates:
    """The first 20 items are conditioners, one in ten is of brand A; half of the rest has none."""
    kinds = [["Hair", "Conditioners"] if row < 20 else ["Hair"] for row in range(ITEMS)]
    brands = [["A"] if row % 10 == 0 else ["B"] if row % 2 else [] for row in range(ITEMS)]
    return BaseRates({"kind": kinds, "brand": brands})


def test_shares_are_of_items_whose_facet_is_known(rates):
    (found,) = rates.above(np.arange(40))
    assert (found.facet, found.value) == ("kind", "Conditioners")
    assert (found.number, found.known) == (20, 40)
    assert found.share == pytest.approx(0.5) and found.base == pytest.approx(20 / ITEMS)
    brands = {
        one.value: one for one in rates.above(np.arange(0, ITEMS, 10)) if one.facet == "brand"
    }
    assert set(brands) == {"A"}  # B is more frequent overall
    assert brands["A"].share == 1 and brands["A"].base == pytest.approx(40 / 240)


def test_what_everybody_has_is_not_said(rates):
    assert "Hair" not in {one.value for one in rates.above(np.arange(20))}


def test_nothing_is_said_of_few(rates):
    assert rates.above(np.arange(FEWEST))
    assert not rates.above(np.arange(FEWEST - 1))


def test_at_most_so_many_the_largest_gain_first():
    values = [["x", "y"] if row < 20 else ["y"] if row < 40 else ["z"] for row in range(ITEMS)]
    rates = BaseRates({"facet": values})
    found = rates.above(np.arange(20))
    assert [one.value for one in found] == ["x", "y"]  # 95 and 90 points above the base
    assert [one.value for one in rates.above(np.arange(20), 1)] == ["x"]
    mixed = np.arange(10, 40)
    assert {one.value for one in rates.above(mixed, least=0.5)} == {"y"}


def test_noise_is_hardly_ever_called_above():
    """Over all values together at most one random choice in a hundred may say anything."""
    rng = np.random.default_rng(0)
    values = [[f"v{rng.integers(40)}"] for _ in range(ITEMS)]
    rates = BaseRates({"facet": values})
    said = sum(bool(rates.above(rng.permutation(ITEMS)[:50])) for _ in range(300))
    assert said <= 9  # a binomial with p = 0.01 exceeds 9 of 300 less than once in a thousand


def test_the_level_is_that_of_the_test(rates):
    """Eight of ten drawn from 400, 20 of which have it, is far beyond chance; two are not."""
    assert hypergeom.sf(7, ITEMS, 20, 10) * 4 < 0.01 < hypergeom.sf(1, ITEMS, 20, 10) * 4
    few = np.r_[0:2, 101:117:2]
    assert "Conditioners" not in {one.value for one in rates.above(few)}
    assert "Conditioners" in {one.value for one in rates.above(np.r_[0:8, 101:105:2])}
