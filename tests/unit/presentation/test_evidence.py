import numpy as np
import pandas as pd
import pytest

from fame.presentation import sentences
from fame.presentation.evidence import Fact, ItemFacts, Shared
from fame.presentation.names import HeadNames


@pytest.fixture
def films() -> ItemFacts:
    return ItemFacts(
        pd.DataFrame(
            {
                "item_id": list("abcde"),
                "title": list("ABCDE"),
                "year": [1995, 1999, 2001, pd.NA, 7],
                "genres": [["Drama", "War"], ["Drama"], [], ["War"], ["Comedy"]],
                "train_count": [1] * 5,
            }
        ).astype({"year": "Int64"})
    )


@pytest.fixture
def shop() -> ItemFacts:
    rows = [
        ("Konad", "Makeup", "Nails", "Polish"),
        ("Konad", "Makeup", "Nails", "Stamps"),
        ("OPI", "Makeup", "Nails", pd.NA),
        (pd.NA, "Hair", "Care", "Shampoo"),
    ]
    columns = ["brand", "category_1", "category_2", "category_3"]
    items = pd.DataFrame(rows, columns=columns, dtype="string")
    return ItemFacts(items.assign(item_id=list("abcd"), title=list("ABCD"), train_count=1))


def test_an_item_has_its_values_and_of_a_year_the_decade(films, shop):
    assert films.values(1) == [("year", "1990s"), ("genres", "Drama"), ("genres", "War")]
    assert films.values(3) == [("year", "2000s")]
    assert films.values(5) == [("year", "7"), ("genres", "Comedy")]  # no year
    assert shop.values(4, ["brand", "category_2"]) == [("category_2", "Care")]


def test_facts_are_the_year_and_genres_or_brand_and_last_level(films, shop):
    told = [fact.text for fact in films.facts(1)]
    assert told == ["1995", "Drama", "War"]
    assert [fact.text for fact in shop.facts(1)] == ["Konad", "Polish"]
    assert [fact.text for fact in shop.facts(3)] == ["OPI", "Nails"]


def test_what_a_third_of_the_clicks_have_is_held_by_the_history(films):
    held = films.held_by([1, 2, 4, 5])
    assert held == {("year", "1990s"), ("genres", "Drama"), ("genres", "War")}
    # One of four is no third, and one of two is no more than one click.
    assert films.held_by([1, 5]) == frozenset()
    assert films.held_by([5]) == {("year", "7"), ("genres", "Comedy")}
    # Of six clicks a third are two, of seven three.
    assert ("genres", "War") in films.held_by([1, 4, 5, 5, 5, 5])
    assert ("genres", "War") not in films.held_by([1, 4, 5, 5, 5, 5, 5])
    assert films.facts(2, held) == [Fact("1999", True), Fact("Drama", True)]
    assert films.facts(3, held) == [Fact("2001", False)]


def test_the_shared_value_is_the_deepest_level_that_half_have(shop):
    columns = shop.columns_of(["category"])
    assert columns == ["category_1", "category_2", "category_3"]
    assert shop.columns_of(["brand"]) == ["brand"]
    assert shop.shared([1, 2, 3, 4], columns) == Shared("category_2", "Nails", 3, 4)
    assert shop.shared([1, 1, 2, 4], columns) == Shared("category_3", "Polish", 2, 4)
    assert shop.shared([1, 2, 3, 4], ["brand"]) == Shared("brand", "Konad", 2, 4)
    assert shop.shared([4], ["brand"]) is None
    assert shop.shared(np.array([3]), ["category_3"]) is None


def test_evidence_is_said_with_its_numbers():
    assert sentences.evidence_phrase(Shared("brand", "Konad", 9, 10)) == "9 of 10 are Konad"
    assert sentences.evidence_phrase(Shared("brand", "Konad", 1, 10)) == (
        "no two have the same brand"
    )
    assert sentences.evidence_label(Shared("year", "1980s", 6, 10)) == "1980s: 6 of 10"
    assert sentences.evidence_label(Shared("brand", "Konad", 1, 10)) == "no two alike"
    assert sentences.evidence_phrase(Shared("year", "1980s", 6, 10)) == "6 of 10 are from the 1980s"
    assert sentences.evidence_phrase(Shared("brand", "Konad", 10, 10)) == "all 10 are Konad"
    assert sentences.evidence_phrase(Shared("brand", "Konad", 1, 1)) == "1 of 1 is Konad"


def test_the_stage_is_told_by_its_largest_heads():
    called = HeadNames(("Brand", None, None, None, "Free"))
    konad = Shared("brand", "Konad", 9, 10)
    seen = [(0.4, konad), (0.05, None), (0.1, None), (0.15, konad), (0.3, None)]
    said = sentences.stage_sentence(5, seen, konad, called)
    assert said == (
        "What the heads make of 5 clicks – Brand (40 % of the mix): 9 of 10 are Konad; Free (30 % "
        "of the mix); Head 4 (15 % of the mix): 9 of 10 are Konad; 2 more heads. Of the list that "
        "they make, 9 of 10 are Konad."
    )
    three = sentences.stage_sentence(5, seen[:3], None, called)
    assert three.index("Brand (40 %") < three.index("Head 2 (5 %") < three.index("Head 3 (10 %")
    assert sentences.stage_sentence(1, [(1.0, None)], None, called) == (
        "What the head makes of 1 click – Brand (100 % of the mix)."
    )


def test_a_head_of_words_has_those_of_titles_and_shares_the_one_that_tells_most():
    titles = ["Train with wooden cars", "With wooden blocks", "Set with puzzles", "Item d", "Cars"]
    items = pd.DataFrame({"item_id": list("abcde"), "title": titles, "train_count": [1] * 5})
    toys = ItemFacts(pd.concat([items, items.assign(item_id=list("fghij"), title=list("FGHIJ"))]))
    assert toys.columns_of(["title"]) == ["title"]
    assert toys.columns_of(["brand"]) == []
    assert toys.values(1, ["title"]) == [("title", "cars"), ("title", "with"), ("title", "wooden")]
    assert toys.values(1) == []  # no column of facets: only who asks for words has them
    assert toys.values(4, ["title"]) == []  # called by its id
    # "with" is in three of them, "wooden" in two; of ten items three and two.
    assert toys.shared([1, 2, 3], ["title"]) == Shared("title", "with", 3, 3)
    assert toys.shared([1, 2, 4], ["title"]) == Shared("title", "wooden", 2, 3)
    # A word of two titles in forty tells more than "with" does, and nobody here shares it.
    ids = [f"i{item}" for item in range(40)]
    titles = ["with"] * 20 + ["seldom"] * 2 + [f"Item {own}" for own in ids[22:]]
    many = ItemFacts(pd.DataFrame({"item_id": ids, "title": titles, "train_count": 1}))
    assert many.shared([1, 2, 3, 21], ["title"]) == Shared("title", "with", 3, 4)
    assert many.shared([1, 2, 21, 22], ["title"]) == Shared("title", "seldom", 2, 4)
    assert sentences.evidence_phrase(Shared("title", "wooden", 2, 3)) == "2 of 3 say “wooden”"
    assert sentences.evidence_phrase(Shared("title", "wooden", 1, 1)) == "1 of 1 says “wooden”"
    assert sentences.evidence_label(Shared("title", "wooden", 2, 3)) == "“wooden”: 2 of 3"
    alone = Shared("title", "wooden", 1, 3)
    assert sentences.evidence_phrase(alone) == "no two have a word in common"
