"""The Amazon catalogue: titles, brands that are none, and category levels."""

from __future__ import annotations

import io

import pandas as pd

from fame.data.amazon import category_levels, items_csv


def test_items_get_title_brand_and_categories() -> None:
    content = (
        "item_id,asin,title,brand,categories,keywords\n"
        '1,A1,"Soap &amp; Water\n for  all",Clean,Beauty > Bath > Soap,soap\n'
        "2,A2,,Unknown,Beauty > Hair,wild hair\n"
        "3,A3,,#1,Beauty,\n"
        "4,A4,Comb,#23,Beauty > Hair > Combs,comb\n"
        "5,A5,Brush,,Beauty > Hair > Brushes,brush\n"
        "6,A6,Mirror,#178,Beauty > Hair,mirror\n"
    )
    items = items_csv(io.BytesIO(content.encode()), "items.csv")
    expected = pd.DataFrame(
        {
            "item_id": ["1", "2", "3", "4", "5", "6"],
            "title": ["Soap & Water for all", "wild hair", None, "Comb", "Brush", "Mirror"],
            "brand": ["Clean", None, None, None, None, "brand 178"],
            "category_1": ["Bath", "Hair", None, "Hair", "Hair", "Hair"],
            "category_2": ["Soap", None, None, "Combs", "Brushes", None],
        },
        dtype="string",
    )
    pd.testing.assert_frame_equal(items, expected)


def test_levels_in_which_all_agree_are_skipped_and_three_are_enough() -> None:
    levels = category_levels(["R > same > a > 1 > x > p", "R > same > b > 2 > y > q"])
    assert levels == [["a", "b"], ["1", "2"], ["x", "y"]]


def test_the_place_below_the_sets_own_root_counts() -> None:
    paths = [
        "R > a",
        "R > b|S > c",  # filed twice: the first one
        "S > c|R > a",  # filed elsewhere first
        "Q > S > R > b > deep",  # run together: what follows the root
        "R > a > deeper > R > b",  # run together: up to the root's next occurrence
        "S > c",  # filed elsewhere only
    ]
    assert category_levels(paths) == [
        ["a", "b", "a", "b", "a", None],
        [None, None, None, "deep", "deeper", None],
    ]


def test_no_items_have_no_categories() -> None:
    assert category_levels([]) == []
