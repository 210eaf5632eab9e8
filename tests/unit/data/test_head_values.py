"""Which values heads are facets of: numbered from the catalogue, and what cannot be one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fame.data.attributes import ItemAttributes
from fame.data.head_values import HeadValues, head_values, values_named
from fame.errors import DataError

ITEMS = pd.DataFrame(
    {
        "item_id": list("abcde"),
        "title": ["one", "two", "three", "four", "five"],
        "genres": [["Drama", "War", "War"], [], ["Comedy"], ["War"], ["Drama"]],
        "year": pd.array([1998, 1999, None, 2001, 1998], dtype="Int64"),
        "brand": ["X", "Y", None, "X", "Z"],
        "category_1": ["Skin", "Hair", "Skin", "Hair", None],
        "category_2": ["Tools", "Tools", "Body", None, None],
        "category_10": ["Deep", None, None, None, None],
        "shelf": ["all"] * 5,
        "code": list("vwxyz"),
    }
)
ATTRIBUTES = ItemAttributes.of(ITEMS)


def named(values: HeadValues, item: int, head: int) -> list[str]:
    """The names of an item's values in a head, read from the arrays as they are documented."""
    V, groups = len(ITEMS) + 1, [h for h, own in enumerate(values.names) if own]
    place = groups.index(head) * V + item
    every = [name for own in values.names for name in own]
    return [every[n] for n in values.value[values.start[place] : values.start[place + 1]]]


def made(*shares: tuple[str, ...]) -> HeadValues:
    return head_values(ATTRIBUTES, shares, len(ITEMS))


def test_words_of_titles_are_values_where_some_items_have_them_in_common() -> None:
    titles = ["Red lip balm", "The red Balm, red", "The nail file", "The a b file", "Item e"]
    items = ITEMS.assign(title=titles)
    values = head_values(ItemAttributes.of(items), [("title",), ()], len(items))
    # "the" stands in more than half of them, "lip" in one; "Item e" is no title but a stand-in.
    assert values.names == (("title=balm", "title=file", "title=red"), ())
    assert [named(values, item, 0) for item in range(6)] == [
        [], ["title=balm", "title=red"], ["title=balm", "title=red"],
        ["title=file"], ["title=file"], [],
    ]  # fmt: skip
    bare = ItemAttributes.of(items[["item_id", "title"]])
    assert head_values(bare, [("title",)], len(items)).names == values.names[:1]
    with pytest.raises(DataError, match="'title', of which the catalogue has no value"):
        head_values(ItemAttributes.of(ITEMS), [("title",)], len(ITEMS))


def test_lists_years_and_free_heads() -> None:
    values = made(("genres",), (), ("year",))
    assert values.names == (
        ("genres=Comedy", "genres=Drama", "genres=War"),
        (),
        ("year=1990s", "year=1998", "year=1999", "year=2000s", "year=2001"),
    )
    assert values.counts == (3, 0, 5)
    assert [named(values, item, 0) for item in range(6)] == [
        [],
        ["genres=Drama", "genres=War"],  # once, however often it stands there
        [],
        ["genres=Comedy"],
        ["genres=War"],
        ["genres=Drama"],
    ]
    assert named(values, 1, 2) == ["year=1990s", "year=1998"]
    assert named(values, 3, 2) == []
    assert values.value.dtype == values.start.dtype == np.int32
    assert values.start[0] == 0 and values.start[-1] == len(values.value)


def test_a_level_of_a_category_is_the_path_down_to_it() -> None:
    values = made(("category",))
    assert named(values, 1, 0) == [
        "category=Skin",
        "category=Skin > Tools",
        "category=Skin > Tools > Deep",  # level 10 is below level 2
    ]
    assert named(values, 2, 0) == ["category=Hair", "category=Hair > Tools"]
    assert named(values, 4, 0) == ["category=Hair"]
    assert named(values, 5, 0) == []
    assert made(("category_2",)).names == (("category_2=Body", "category_2=Tools"),)


def test_columns_in_a_share_stand_beside_each_other_and_a_column_may_be_in_two_shares() -> None:
    values = made(("brand", "year"), ("brand",))
    assert named(values, 1, 0) == ["brand=X", "year=1990s", "year=1998"]
    assert named(values, 1, 1) == ["brand=X"]
    assert len(values.names[0]) == 8 and values.names[1] == ("brand=X", "brand=Y", "brand=Z")


def test_a_year_is_one_however_the_table_has_it() -> None:
    years = ITEMS.assign(year=ITEMS["year"].astype("float64"))
    values = head_values(ItemAttributes.of(years), [("year",)], len(ITEMS))
    assert named(values, 1, 0) == ["year=1990s", "year=1998"]


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("colour", "'colour', and the catalogue has no such column; it has genres, year, brand"),
        ("cat", "'cat', and the catalogue has no such column"),
        ("shelf", "'shelf', of which the catalogue has the one value 'all'"),
        ("code", "'code', of which every item has a value of its own"),
    ],
)
def test_what_cannot_be_a_facet_is_refused_in_one_sentence(share: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        made((share,))


def test_a_catalogue_without_attributes_and_years_that_are_none_are_refused() -> None:
    bare = ItemAttributes.of(ITEMS[["item_id", "title"]])
    with pytest.raises(DataError, match="this catalogue says nothing of its items"):
        head_values(bare, [("genres",)], len(ITEMS))
    empty = ItemAttributes.of(ITEMS.assign(genres=[[]] * 5))
    with pytest.raises(DataError, match="no value"):
        head_values(empty, [("genres",)], len(ITEMS))
    old = ItemAttributes.of(ITEMS.assign(year=["long ago", "long ago", "1990", "1990", "1991"]))
    with pytest.raises(DataError, match="'long ago' is no year"):
        head_values(old, [("year",)], len(ITEMS))


NAMES = (
    ("brand=Ben, Jerry & Sons", "brand=Z"),
    (),
    ("category=Skin", "category=Skin > Tools", "category=Skin > Tools > Deep"),
    ("genres=Drama", "genres=Horror", "year=1990s", "year=1998"),
    ("genres=Horror",),
)


@pytest.mark.parametrize(
    ("text", "by_head"),
    [
        ("genres=Horror", [[], [], [], [3 + 2 + 1], [9]]),
        (" year=1998 , genres=Drama,", [[], [], [], [5, 7, 8], []]),
        ("year=1990s", [[], [], [], [7], []]),
        ("category=Skin > Tools > Deep", [[], [], [2, 3, 4], [], []]),
        ("category=Skin > Tools,brand=Z", [[1], [], [2, 3], [], []]),
        ("brand=Ben, Jerry & Sons,genres=Drama", [[0], [], [], [5], []]),
    ],
)
def test_values_are_named_with_what_they_bring_along(text: str, by_head: list[list[int]]) -> None:
    assert values_named(text, NAMES) == by_head


def test_every_item_of_a_catalogue_can_be_named_by_its_own_values() -> None:
    """What a narrow value brings along is what an item that has it has in the catalogue."""
    values = made(("category", "year"), ("genres",))
    for item in (1, 2, 4):
        narrow = [named(values, item, head) for head in (0, 1)]
        text = ",".join(name for own in narrow for name in own if not name.endswith("0s"))
        numbers = values_named(text, values.names)
        every = [name for own in values.names for name in own]
        assert [[every[n] for n in own] for own in numbers] == narrow


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("genres=Horor", r"No item has the value 'genres=Horor'; near it are genres=Horror"),
        ("brand=Z,year=1999", r"value 'year=1999'; near it are year=1998, year=1990s"),
        ("???", r"value '\?\?\?'; write it as column=value"),
        ("", "at least one value to be ranked by, such as brand=Ben, Jerry & Sons and category"),
        (" , ", "at least one value"),
    ],
)
def test_values_that_nobody_knows_are_refused_with_those_near_them(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        values_named(text, NAMES)
    with pytest.raises(DataError, match="knows items one by one"):
        values_named(text, ((), ()))
