"""What items are called: no two of a catalogue alike, whatever their titles are."""

from __future__ import annotations

import gc

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.data.catalogue import align
from fame.presentation import item_names as module
from fame.presentation.item_names import ItemNames, item_names
from fame.presentation.text import APART, shortened


def catalogue(**columns: list[object]) -> pd.DataFrame:
    ids = [str(570 + row) for row in range(len(columns["title"]))]
    return pd.DataFrame({"item_id": pd.array(ids, dtype="string"), **columns})


def named(items: pd.DataFrame) -> list[str]:
    names = ItemNames(items)
    return [names[item] for item in range(1, len(names) + 1)]


def test_a_title_of_its_own_is_the_name() -> None:
    assert named(catalogue(title=["Heat ", "Big\nNight"])) == ["Heat", "Big Night"]


def test_items_of_one_title_show_the_first_facet_that_they_differ_in() -> None:
    items = catalogue(
        title=["Cape Fear", "Heat", "Cape Fear"],
        genres=[["Noir"], [], ["Thriller"]],
        year=[1962.0, 1995.0, 1991.0],
    )
    assert named(items) == ["Cape Fear ∙ 1962", "Heat", "Cape Fear ∙ 1991"]
    assert named(items.drop(columns="year")) == ["Cape Fear ∙ Noir", "Heat", "Cape Fear ∙ Thriller"]


@pytest.mark.parametrize("year", [[1993, 1993], [1993, None], [None, None]])
def test_where_no_facet_tells_all_apart_the_id_does(year: list[int | None]) -> None:
    items = catalogue(title=["Body Snatchers"] * 2, year=pd.array(year, dtype="Int64"))
    assert named(items) == ["Body Snatchers ∙ item 570", "Body Snatchers ∙ item 571"]


def test_items_without_a_title_say_their_id_and_what_is_known_of_them() -> None:
    known = pd.DataFrame(
        {"item_id": ["17", "18"], "title": [None, "Red"], "brand": ["Nike", "Bata"]}
    )
    known["kind"] = ["Shoes", "Hats"]
    items = align(known, ["17", "18", "19"])
    assert named(items) == ["Item 17 (Nike, Shoes)", "Red", "Item 19"]
    assert ItemNames(items).beside_facts(1) == "Item 17"


def test_a_name_is_not_the_title_of_another_item() -> None:
    items = catalogue(title=["Heat", "Heat", "Heat ∙ 1995"], year=[1995, 1986, 2001])
    names = named(items)
    assert len(set(names)) == 3 and names[2] == "Heat ∙ 1995"


_TITLES = st.sampled_from(
    ["A", "A ", "B", "a", "Item 570", "Item 571", "A ∙ x", "A ∙ item 570", ""]
)


@given(st.lists(st.tuples(_TITLES, st.sampled_from(["x", "y", None])), min_size=1, max_size=8))
def test_no_two_names_are_alike(rows: list[tuple[str, str | None]]) -> None:
    titles, brands = zip(*rows, strict=True)
    items = catalogue(title=list(titles), brand=pd.array(brands, dtype="string"))
    for names in (named(items), list(map(ItemNames(items).beside_facts, range(1, len(rows) + 1)))):
        assert len(set(names)) == len(rows)
        assert all(names)


def test_what_tells_names_apart_stays_where_they_are_cut() -> None:
    long = "3000pcs 2mm 12 Color Nail Art Glitter Rhinestones Tips and Marbleizing Dotting Pens"
    first, second = named(catalogue(title=[long, long]))
    for length in (24, 30, 40, 60, 90):
        cut = shortened(first, length)
        assert len(cut) <= length and cut.endswith(f"{APART}item 570")
        assert cut != shortened(second, length)
    assert len(shortened(first, 10)) <= 10  # no room for both


def test_names_are_worked_out_once_a_frame_and_forgotten_with_it() -> None:
    items = catalogue(title=["A"])
    assert item_names(items) is item_names(items)
    assert item_names(items.copy()) is not item_names(items)
    place = id(items)
    del items
    gc.collect()
    assert place not in module._known
