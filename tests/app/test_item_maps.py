"""What maps of items are drawn from, read as data."""

import json

import numpy as np
import pandas as pd
import pytest

import item_maps
import tables
from fame.facets.above_base import BaseRates
from fame.presentation.palette import NEUTRAL, SEQUENCE, VALUES
from item_maps import ItemMap

HOVER = [("A & B", "1999"), ("<b>x</b>", ""), ("C", ""), ("D", "")]


def a_map(**other):
    points = np.array([[0.0, 1.0], [1.23456, 2.0], [2.0, 3.0], [3.0, 4.0]])
    fields = {"key": "k", "space": "head_1", "name": "Brand", "why": "It leads.", "points": points}
    return ItemMap(**{**fields, "labels": [(1.0, 2.0, "Drama")], "marks": {}, **other})


def test_labels_have_colours_by_frequency_and_grey_lies_behind():
    labels = pd.Series(["A", "Not known", "Other", "B", "B"])
    found = item_maps.by_label("Genre", labels)
    assert [label for label, _ in found.legend] == ["B", "A", "Other", "Not known"]
    assert found.colours == [VALUES[0], VALUES[1], NEUTRAL, NEUTRAL]
    assert found.places.tolist() == [1, 3, 2, 0, 0]
    assert found.unknown == 3  # drawn hollow, so that it is told from "Other"


def test_without_unknown_ones_nothing_is_hollow():
    assert item_maps.by_label("Genre", pd.Series(["A", "Other"])).unknown == -1


def test_numbers_go_from_the_first_to_the_last_colour():
    found = item_maps.by_number("Year", np.array([1990.0, np.nan, 2000.0, 2010.0]))
    first, unknown, middle, last = found.places
    assert [found.colours[place] for place in (first, last)] == [SEQUENCE[0], SEQUENCE[-1]]
    assert middle == (first + last) / 2
    assert unknown == found.unknown and found.colours[unknown] == NEUTRAL
    assert found.ends == ("1990", "2010")


def test_counts_are_coloured_by_their_logarithm():
    found = item_maps.by_number("Clicks", np.array([0.0, 9.0, 99.0, 999.0]), logarithmic=True)
    assert np.diff(found.places).std() < 1  # equal steps of a factor ten
    assert found.ends == ("0", "999") and found.legend == []


@pytest.mark.parametrize("values", [[np.nan, np.nan], [5.0, 5.0]])
def test_numbers_without_any_spread_are_drawn_all_the_same(values):
    found = item_maps.by_number("Year", np.array(values))
    assert all(0 <= place < len(found.colours) for place in found.places)


def test_all_is_there_for_the_component_and_as_text():
    colouring = item_maps.by_label("Genre", pd.Series(list("AABB")))
    marks = {2: "Looked up", 1: "History", 3: "Recommended"}
    drawn = item_maps.document(HOVER, colouring, [a_map(marks=marks), a_map()])
    json.dumps(drawn, allow_nan=False)
    assert drawn["items"] == [1, 2, 3, 4]
    assert drawn["hover"][1] == ["<b>x</b>", ""]  # set as text by the component
    first, second = drawn["maps"]
    assert first["x"] == [0.0, 1.235, 2.0, 3.0]
    # By place, and the most important lies on top.
    assert first["marks"] == [(0, "History"), (2, "Recommended"), (1, "Looked up")]
    assert second["marks"] == []
    assert [entry["label"] for entry in drawn["legend"]] == [
        *("A", "B"),
        *("History", "Recommended", "Looked up"),
    ]
    assert "4 items" in first["alt"] and "Brand" in first["alt"] and "Drama" in first["alt"]


def test_one_value_leaves_other_and_unknown_apart():
    items = pd.DataFrame({"genres": [["A"], ["B", "A"], ["B"], []]})
    assert tables.value_labels(items, "genres", "A").tolist() == ["A", "A", "Other", "Not known"]


def test_a_map_is_named_where_most_items_of_a_region_agree():
    """Two of three regions agree; the rarest value that holds names one, and lies on a point."""
    rng = np.random.default_rng(0)
    regions = np.repeat([0, 1, 2], [30, 30, 60])
    points = rng.normal(size=(120, 2)) + 20 * regions[:, None]
    kinds = [["Hair", "Shampoo"]] * 30 + [["Hair"]] * 30 + [[f"v{n}"] for n in range(60)]
    found = {
        text: (x, y) for x, y, text in tables.map_labels(points, regions, BaseRates({"": kinds}))
    }
    assert set(found) == {"Shampoo", "Hair"}
    assert (points[:30] == found["Shampoo"]).all(1).any()
    assert (points[30:60] == found["Hair"]).all(1).any()


def test_what_items_share_is_told_by_years_and_decades_and_by_no_other_number():
    items = pd.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "genres": [["X"], []]})
    items["year"] = pd.array([1994, None], dtype="Int64")
    items["price"] = [1.5, 2.5]
    assert tables.shared_values(items) == {"genres": [["X"], []], "year": [["1994", "1990s"], []]}
    assert tables.shared_values(items.drop(columns="year")) == {"genres": [["X"], []]}
