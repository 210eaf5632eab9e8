"""What items clicked in a row have in common, held against popularity."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from fame.data.attributes import ItemAttributes
from fame.data.click_agreement import (
    PAIRS,
    agreeing,
    click_agreement,
    consecutive_clicks,
    value_matrix,
)
from tests.tiny import interactions_of


def matrix(values: list[list[str]]) -> csr_matrix:
    ids = [str(row) for row in range(len(values))]
    items = pd.DataFrame({"item_id": ids, "title": ids, "facet": values})
    return value_matrix(ItemAttributes.of(items).facets["facet"], len(values))


def test_pairs_are_those_of_training_each_once_and_never_an_item_with_itself() -> None:
    histories = [[1, 2, 2, 3, 2, 9, 8], [3, 2, 1, 7, 6], [4, 5, 6], [5, 4], [1]]
    pairs = consecutive_clicks(interactions_of(histories, 9))
    assert pairs.tolist() == [[0, 1], [1, 2]]  # rows; the last two clicks are held out
    assert consecutive_clicks(interactions_of([[1, 2]], 2)).shape == (0, 2)


def test_many_pairs_are_drawn_alike_by_one_seed() -> None:
    rng = np.random.default_rng(0)
    data = interactions_of(rng.integers(1, 2000, size=(300, 100)).tolist(), 2000)
    drawn = consecutive_clicks(data, seed=3)
    assert drawn.shape == (PAIRS, 2) and len(np.unique(drawn, axis=0)) == PAIRS
    assert np.array_equal(drawn, consecutive_clicks(data, seed=3))
    assert not np.array_equal(drawn, consecutive_clicks(data, seed=4))


@pytest.mark.parametrize("single", [True, False])
def test_pairs_agree_where_they_share_a_value(single: bool) -> None:
    values = [["a"], ["b"], ["a"], [], [], ["b"] if single else ["a", "b"]]
    pairs = np.array([[0, 2], [0, 1], [3, 4], [0, 3], [1, 5], [0, 5]])
    expected = [True, False, False, False, True, not single]
    assert agreeing(matrix(values), pairs).tolist() == expected


def test_chance_is_what_the_values_of_other_items_give() -> None:
    """Half of the items are of either value: two of them agree by chance half the time."""
    rng = np.random.default_rng(1)
    kinds = rng.permutation([0, 1] * 200)
    values = matrix([["ab"[kind]] for kind in kinds])
    popularity = rng.integers(1, 100, size=400)
    pairs = rng.integers(0, 400, size=(4000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    found = click_agreement(values, pairs, popularity)
    assert found.pairs == len(pairs)
    assert found.observed == (kinds[pairs[:, 0]] == kinds[pairs[:, 1]]).mean()
    assert found.chance == pytest.approx(0.5, abs=0.02)  # 40 draws of a share within 0.008 each
    assert abs(found.deviations) < 4
    alike = pairs[kinds[pairs[:, 0]] == kinds[pairs[:, 1]]]
    chosen = click_agreement(values, alike, popularity)
    assert chosen.observed == 1 and chosen.chance == pytest.approx(0.5, abs=0.03)
    assert chosen.deviations > 20 and chosen.excess == 1 - chosen.chance


def test_a_value_of_the_popular_items_is_no_choice() -> None:
    """Clicks by popularity alone meet in what the popular items are; that is chance."""
    rng = np.random.default_rng(2)
    popularity = np.sort(rng.pareto(1, size=500) + 0.1)[::-1]
    values = matrix([["top"] if row < 50 else [f"v{row % 5}"] for row in range(500)])
    pairs = rng.choice(500, size=(6000, 2), p=popularity / popularity.sum())
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    found = click_agreement(values, pairs, popularity)
    uniform = click_agreement(values, pairs, rng.permutation(500))  # among items of all kinds
    assert found.observed > 0.4 and abs(found.excess) < 0.03 and abs(found.deviations) < 4
    assert uniform.excess > 0.1  # so it is popularity that tells the difference


def test_where_nothing_is_known_nothing_is_told() -> None:
    found = click_agreement(matrix([[], []]), np.array([[0, 1]]), np.ones(2))
    assert (found.pairs, found.observed, found.deviations) == (0, 0.0, 0.0)
