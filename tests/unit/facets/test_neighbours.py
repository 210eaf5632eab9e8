"""Nearest items by cosine."""

import numpy as np
import pytest

from fame.facets.neighbours import nearest_items, unit_rows

VECTORS = np.array([[2.0, 0.0], [0.0, 3.0], [5.0, 5.0], [-1.0, 0.0], [9.0, 1.0]])


def test_unit_rows_have_length_one_and_zero_stays_zero():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[0.6, 0.8], [0.0, 0.0]]


def test_neighbours_by_hand():
    """Length does not count, only direction."""
    rows, cosines = nearest_items(VECTORS, 0, 4)
    assert rows.tolist() == [4, 2, 1, 3]
    assert cosines.tolist() == pytest.approx([9 / np.sqrt(82), np.sqrt(0.5), 0, -1])


def test_an_item_is_never_its_own_neighbour():
    for row in range(len(VECTORS)):
        rows, _ = nearest_items(VECTORS, row, 10)
        assert sorted(rows.tolist()) == [other for other in range(len(VECTORS)) if other != row]


def test_equal_cosines_keep_the_order_of_the_catalogue_and_input_stays_as_it_was():
    vectors = np.ones((4, 3))
    rows, cosines = nearest_items(vectors, 1, 2)
    assert rows.tolist() == [0, 2]
    assert cosines.tolist() == pytest.approx([1, 1])
    assert (vectors == 1).all()
