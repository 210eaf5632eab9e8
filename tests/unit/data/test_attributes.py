"""Facets as index arrays: they say what the catalogue says, of the right items."""

import numpy as np
import pandas as pd
import pytest

from fame.data.attributes import ItemAttributes
from fame.data.catalogue import align, values_by_facet

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "title": ["A", "B", "C", "D"],
        "genres": [["War", "Drama"], [], ["Drama"], ["War"]],
        "year": pd.array([1999, 2001, None, 1999], dtype="Int64"),
    }
)


def test_facets_are_indexed_in_the_order_of_the_catalogue():
    facets = ItemAttributes.of(ITEMS).facets
    assert set(facets) == {"genres", "year"}
    genres, year = facets["genres"], facets["year"]
    assert genres.values == ("Drama", "War")
    assert genres.item.tolist() == [0, 0, 2, 3] and genres.value.tolist() == [1, 0, 0, 1]
    assert year.values == ("1999", "2001")
    assert year.item.tolist() == [0, 1, 3] and year.value.tolist() == [0, 1, 0]


def test_the_arrays_say_what_the_catalogue_says():
    for name, facet in ItemAttributes.of(ITEMS).facets.items():
        told: list[list[str]] = [[] for _ in range(len(ITEMS))]
        for item, value in zip(facet.item, facet.value, strict=True):
            told[item].append(facet.values[value])
        assert told == values_by_facet(ITEMS)[name]


def test_without_a_catalogue_there_are_no_facets():
    assert not ItemAttributes().facets
    assert not ItemAttributes.of(align(None, ["a", "b"])).facets


def test_a_column_that_is_empty_has_no_values():
    empty = ITEMS.assign(genres=[[]] * 4)[["item_id", "title", "year"]]
    empty["year"] = pd.array([None] * 4, dtype="Int64")
    (year,) = ItemAttributes.of(empty).facets.values()
    assert year.values == () and len(year.item) == len(year.value) == 0
    assert year.item.dtype == year.value.dtype == np.int64


def test_a_term_cannot_change_them():
    facets = ItemAttributes.of(ITEMS).facets
    with pytest.raises(ValueError, match="read-only"):
        facets["genres"].item[0] = 1
    with pytest.raises(TypeError):
        facets["genres"] = facets["year"]  # type: ignore[index]
