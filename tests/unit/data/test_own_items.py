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
    items = own_items(tmp_path / "f.csv").frame
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
        ("item_id,title\n1,x\n\n1,y\n", "f.csv, line 4 has the item_id '1', which stands"),
        ("item_id,title\n,x\n", "f.csv, line 2 has no item_id"),
        ("item_id,title\nnan,x\n", "f.csv, line 2 has no item_id"),
        ('item_id,title\n1,"x\n2,y\n', "f.csv, line 2: a quote is opened and never closed"),
        ("item_id,title\n1,x,y\n", "f.csv, line 2: 2 columns are expected, not 3"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, content)
