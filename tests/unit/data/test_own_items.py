"""A person's own catalogue: which kinds its columns are, and what they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fame.data.catalogue import align, facet_columns
from fame.data.own_items import OwnItems, own_items
from fame.errors import DataError


def read(folder: Path, content: str, file: str = "f.csv") -> OwnItems:
    (folder / file).write_text(content)
    return own_items(folder / file)


def test_kinds_are_found_out(tmp_path: Path) -> None:
    content = (
        "item_id,title,year,price,tags,brand,empty\n"
        "a,Ant,1999,1.5,x | y,Acme,\n"
        'b,"Bee, the",,,x,1,\n'
        "c,,2001,2,,,\n"
    )
    items = read(tmp_path, content).frame
    assert facet_columns(items) == {
        "year": "number",
        "price": "number",
        "tags": "list",
        "brand": "category",
        "empty": "category",
    }
    assert items["year"].dtype == "Int64"
    assert items["tags"].tolist() == [["x", "y"], ["x"], []]
    assert align(items, ["c", "b"])["title"].tolist() == ["Item c", "Bee, the"]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["00123", "12345"], "category", ["00123", "12345"]),
        (["20240101123059123456", "1"], "category", ["20240101123059123456", "1"]),
        (["9" * 5_000, "1"], "category", ["9" * 5_000, "1"]),
        (["1.5", "nan"], "number", [1.5, None]),
        (["7", "NA"], "number", [7, None]),
        (["7", "-0.5e1"], "number", [7, -5]),
        (["1e999", "1"], "category", ["1e999", "1"]),
        (["NA", "DE"], "category", ["NA", "DE"]),  # Namibia
        (["null", "DE"], "category", [None, "DE"]),
        (["['Action', 'Sci-Fi']", "[]"], "list", [["Action", "Sci-Fi"], []]),
        (['["Action"]', ""], "list", [["Action"], []]),
        (["[1, 2.0]", "[3]"], "list", [["1", "2"], ["3"]]),
        (["[draft", "[x]"], "category", ["[draft", "[x]"]),
        (["[" * 3_000, "[x]"], "category", ["[" * 3_000, "[x]"]),
    ],
)
def test_values_decide_the_kind(
    tmp_path: Path, values: list[str], kind: str, expected: list[Any]
) -> None:
    frame = pd.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"], "facet": values})
    frame.to_csv(tmp_path / "f.csv", index=False)
    items = own_items(tmp_path / "f.csv", facets=["facet"]).frame
    assert facet_columns(items) == {"facet": kind}
    found = [None if not isinstance(v, list) and pd.isna(v) else v for v in items["facet"]]
    assert found == expected


def test_it_may_be_written_in_any_way(tmp_path: Path) -> None:
    rows = [
        {"item_id": "a", "title": "Tom &amp; Jerry", "genres": ["X", "Y"], "year": 1999},
        {"item_id": "b", "title": "B", "genres": [], "year": None},
    ]
    frame = pd.DataFrame(rows).astype({"year": "Int64"})
    frame.to_parquet(tmp_path / "p")
    (tmp_path / "j").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recbole = "item_id:token\tmovie_title:token_seq\tgenres:token_seq\tyear:float\n"
    (tmp_path / "r.item").write_text(f"{recbole}a\tTom & Jerry\tX Y\t1999\nb\tB\t\t\n")
    for file in ("p", "j", "r.item"):
        items = own_items(tmp_path / file).frame
        assert items["title"].tolist() == ["Tom & Jerry", "B"]
        assert facet_columns(items) == {"genres": "list", "year": "number"}
        assert items["genres"].tolist() == [["X", "Y"], []]
        assert items["year"].tolist()[0] == 1999


@pytest.mark.parametrize("index", [None, "Unnamed: 0"])
def test_a_row_number_is_no_facet(tmp_path: Path, index: str | None) -> None:
    frame = pd.DataFrame({"item_id": ["a"], "title": ["A"], "genre": ["x"]})
    frame.index.name = index
    frame.to_csv(tmp_path / "f.csv")
    own = own_items(tmp_path / "f.csv")
    assert list(own.frame) == ["item_id", "title", "genre"]
    assert "row number and no facet" in own.notes[0]


def test_names_of_our_own_columns_are_given_to_no_facet(tmp_path: Path) -> None:
    content = "item_id,title,rank,Title,Popularity,genre,Genre,a/b\n1,One,1,t,2,x,y,z\n"
    own = read(tmp_path, content)
    assert list(own.frame) == [
        "item_id", "title", "catalogue_rank", "catalogue_Title", "catalogue_Popularity", "genre",
        "Genre_2", "a_b",
    ]  # fmt: skip
    assert own.frame["title"].tolist() == ["One"]
    assert len(own.notes) == 5
    assert "column 'rank' is the facet 'catalogue_rank'" in own.notes[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("item_id,title\n", "f.csv is empty"),
        ("id,title\n1,x\n", "f.csv, line 1: the header has no column 'item_id'; .*id, title"),
        ("item_id,what\n1,x\n", "f.csv, line 1: the header has no column 'title'"),
        ("item_id,title\n1,x\n\n1,y\n", "f.csv, line 4 has the item_id '1', which stands there"),
        ("item_id,title\n,x\n", "f.csv, line 2 has no item_id"),
        ("item_id,title\nnan,x\n", "f.csv, line 2 has no item_id"),
        ('item_id,title\n1,"x\n2,y\n', "f.csv, line 2: a quote is opened and never closed"),
        ("item_id,title\n1,x,y\n", "f.csv, line 2: 2 columns are expected, not 3"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, content)


def test_a_row_that_stands_there_twice_is_kept_once_and_said(tmp_path: Path) -> None:
    """As in the metadata of 2018."""
    own = read(tmp_path, "item_id,title,brand\n1,x,a\n2,y,b\n1,x,a\n1,x,a\n")
    assert own.frame["item_id"].tolist() == ["1", "2"]
    assert own.frame["brand"].tolist() == ["a", "b"]
    assert own.notes == ("2 rows say what one before them says and are left out",)


def test_paths_of_categories_are_their_levels(tmp_path: Path) -> None:
    """As in the metadata of 2014: dictionaries of Python, an item filed in several places."""
    rows = [
        {"asin": "a", "title": "A", "categories": [["Beauty", "Hair"], ["Beauty", "Nails"]]},
        {"asin": "b", "title": "B", "categories": [["Beauty"]], "salesRank": {"Beauty": 3}},
    ]
    own = read(tmp_path, "".join(f"{row!r}\n" for row in rows), "meta.json")
    assert own.frame["categories"].tolist() == [["Beauty", "Hair", "Nails"], ["Beauty"]]
    assert own.notes == ("no facets: salesRank (nested values); --facet COLUMN takes one all the "
                         "same",)  # fmt: skip


def made_up(many: int = 40) -> dict[str, list[Any]]:
    """Columns of a catalogue by what they are."""
    text = "A long walk through the old town, past the river and the market, number {}"
    return {
        "brand": [f"brand {k % 9}" for k in range(many)],
        "maker": [f"maker {k // 2}" for k in range(many)],
        "genres": ["Drama|Crime" if k % 2 else "Comedy" for k in range(many)],
        "year": [1990 + k % 20 for k in range(many)],
        "price": [k + 0.25 for k in range(many)],
        "rank": list(range(many)),
        "long": [f"size {k % 3}" for k in range(many)],
        "path": ["Home and garden > Kitchen and dining > Small appliances" for _ in range(many)],
        "description": [text.format(k) for k in range(many)],
        "blurb": [f"{text} {text} {k % 2}" for k in range(many)],
        "latitude": [40.5 + k / 100 for k in range(many)],
        "geoLng": [-73.5 - k / 100 for k in range(many)],
        "position": [f"{40 + k / 7:.4f}, {-73 - k / 7:.4f}" for k in range(many)],
        "image": [f"https://example.org/{k % 2}.jpg" for k in range(many)],
        "imdbId": [100_000 + k for k in range(many)],
        "original": [f"Name {k}" for k in range(many)],
        "bought": ["|".join(f"B{(k + j) % 50}" for j in range(25)) for k in range(many)],
    }


FACETS = {
    "brand": "category", "maker": "category", "genres": "list", "year": "number",
    "price": "number", "rank": "number", "long": "category", "path": "category",
}  # fmt: skip
# What `rank` is called beside the app's own.
SHOWN = {"rank": "catalogue_rank"}


def test_what_tells_items_apart_is_no_facet_and_said_so(tmp_path: Path) -> None:
    columns = made_up()
    ids = [f"i{k}" for k in range(len(columns["brand"]))]
    frame = pd.DataFrame({"item_id": ids, "title": ids, **columns})
    frame.to_csv(tmp_path / "f.csv", index=False)
    own = own_items(tmp_path / "f.csv")
    expected = {SHOWN.get(name, name): kind for name, kind in FACETS.items()}
    assert facet_columns(own.frame) == expected
    assert own.notes[-1] == (
        "no facets: description, blurb (free text); latitude, geoLng, position (coordinates); "
        "image (addresses); imdbId (ids); original (a value of its own for nearly every item); "
        "bought (long lists); --facet COLUMN takes one all the same"
    )
    asked = own_items(tmp_path / "f.csv", facets=list(columns))
    assert len(facet_columns(asked.frame)) == len(columns)
    with pytest.raises(DataError, match="line 1: there is no column 'color', as --facet says"):
        own_items(tmp_path / "f.csv", facets=["color"])


@pytest.mark.parametrize(("many", "kept"), [(19, True), (20, False)])
def test_of_few_items_nobody_can_say_whether_values_repeat(
    tmp_path: Path, many: int, kept: bool
) -> None:
    frame = pd.DataFrame(
        {"item_id": range(many), "title": "T", "brand": map("b{}".format, range(many))}
    )
    frame.to_csv(tmp_path / "f.csv", index=False)
    assert ("brand" in own_items(tmp_path / "f.csv").frame) == kept


@pytest.mark.parametrize(("pairs", "kept"), [(1, False), (2, True)])
def test_a_tenth_of_the_items_has_to_share_values(tmp_path: Path, pairs: int, kept: bool) -> None:
    brands = [f"b{k // 2}" if k < 2 * pairs else f"own {k}" for k in range(30)]
    frame = pd.DataFrame({"item_id": range(30), "title": "T", "brand": brands})
    frame.to_csv(tmp_path / "f.csv", index=False)
    assert ("brand" in own_items(tmp_path / "f.csv").frame) == kept


def test_lists_of_coordinates_and_pictures_are_no_facets(tmp_path: Path) -> None:
    rows = [
        {"id": k, "item_id": f"i{k}", "title": "T", "at": [4.5 + k, -7.25],
         "tags": ["a", f"t{k % 3}"], "images": [{"thumb": "x"}],
         "features": ["Soft, and made to last " * 6]}
        for k in range(5)
    ]  # fmt: skip
    own = read(tmp_path, json.dumps(rows))
    assert list(facet_columns(own.frame)) == ["id", "tags"]
    assert "at (coordinates); images (nested values); features (free text)" in own.notes[-1]
