"""Catalogues: facets, order, parquet there and back, and a person's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from fame.data.catalogue import (
    align,
    catalogue_hash,
    facet_columns,
    read_items,
    write_items,
)
from fame.errors import DataError


@pytest.fixture
def items() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "item_id": pd.array(["1", "2", "3"], dtype="string"),
            "title": pd.array(["One", "Two", "Three"], dtype="string"),
            "year": pd.array([1999, None, 2001], dtype="Int64"),
            "genres": [["Drama"], [], ["Comedy", "War"]],
            "brand": pd.array([None, "B", "C"], dtype="string"),
            "train_count": [5, 0, 2],
        }
    )


def test_facets_have_kinds(items: pd.DataFrame) -> None:
    assert facet_columns(items) == {"year": "number", "genres": "list", "brand": "category"}


def test_facets_of_a_frame_straight_from_parquet(items: pd.DataFrame, tmp_path: Path) -> None:
    items.to_parquet(tmp_path / "items.parquet")
    assert facet_columns(pd.read_parquet(tmp_path / "items.parquet")) == facet_columns(items)


def test_parquet_there_and_back_is_exact(items: pd.DataFrame, tmp_path: Path) -> None:
    write_items(items, tmp_path / "items.parquet")
    back = read_items(tmp_path / "items.parquet")
    pd.testing.assert_frame_equal(back, items)
    assert all(type(value) is list for value in back["genres"])
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["items.parquet"]


def test_lists_that_are_all_empty_stay_lists(items: pd.DataFrame, tmp_path: Path) -> None:
    items["genres"] = [[], [], []]
    write_items(items, tmp_path / "items.parquet")
    pd.testing.assert_frame_equal(read_items(tmp_path / "items.parquet"), items)


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_what_is_no_parquet_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="missing or is no readable parquet file"):
        read_items(path)


def test_a_parquet_without_titles_is_no_catalogue(tmp_path: Path) -> None:
    pd.DataFrame({"item_id": ["1"]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="no column 'title'"):
        read_items(tmp_path / "x.parquet")


def test_align_follows_the_ids_and_names_the_unknown(items: pd.DataFrame) -> None:
    aligned = align(items, ["3", "9", "1"])
    assert list(aligned.columns) == ["item_id", "title", "year", "genres", "brand"]
    assert aligned["item_id"].tolist() == ["3", "9", "1"]
    assert aligned["title"].tolist() == ["Three", "Item 9", "One"]
    assert aligned["genres"].tolist() == [["Comedy", "War"], [], ["Drama"]]
    assert aligned["year"].isna().tolist() == [False, True, False]
    assert aligned["year"].dtype == "Int64"


def test_align_without_a_catalogue_names_by_id() -> None:
    aligned = align(None, ["b", "a"])
    assert aligned.to_dict("list") == {"item_id": ["b", "a"], "title": ["Item b", "Item a"]}


def test_the_hash_is_that_of_what_is_said_and_not_of_how_it_is_stored(
    items: pd.DataFrame, tmp_path: Path
) -> None:
    said = catalogue_hash(items)
    write_items(items, tmp_path / "items.parquet")
    assert catalogue_hash(read_items(tmp_path / "items.parquet")) == said
    stored_otherwise = pd.DataFrame(
        {
            "genres": [["Drama"], [], ["Comedy", "War"]],
            "brand": [None, "B", "C"],
            "year": [1999.0, float("nan"), 2001.0],
            "title": pd.Categorical(["One", "Two", "Three"]),
            "item_id": ["1", "2", "3"],
        },
        index=[7, 8, 9],
    )
    assert catalogue_hash(stored_otherwise) == said
    assert catalogue_hash(items.assign(train_count=0)) == said


@pytest.mark.parametrize(
    "change",
    [
        {"title": ["Two", "One", "Three"]},
        {"brand": ["B", None, "C"]},
        {"brand": [None, "B", "D"]},
        {"brand": ["None", "B", "C"]},
        {"year": [1999, None, 2001.5]},
        {"year": [1999, 2000, 2001]},
        {"genres": [["Drama"], [], ["War", "Comedy"]]},
        {"genres": [["Drama"], [], ["Comedy|War"]]},
        {"genres": [["Drama"], ["Comedy"], ["War"]]},
        {"genres": ["Drama", None, "Comedy"]},
        {"item_id": ["1", "3", "2"]},
        {"new": ["a", "b", "c"]},
    ],
)
def test_whatever_is_said_otherwise_gives_another_hash(
    items: pd.DataFrame, change: dict[str, list]
) -> None:
    assert catalogue_hash(items.assign(**change)) != catalogue_hash(items)


def test_the_hash_goes_by_the_order_of_the_rows_and_the_names_of_the_columns(
    items: pd.DataFrame,
) -> None:
    said = catalogue_hash(items)
    assert catalogue_hash(items.iloc[[1, 0, 2]]) != said
    assert catalogue_hash(items.rename(columns={"brand": "shop"})) != said
    assert catalogue_hash(items.drop(columns="brand")) != said
    assert catalogue_hash(items[list(items)[::-1]]) == said


def test_the_hash_of_a_known_catalogue(items: pd.DataFrame) -> None:
    """Stored in checkpoints and rows: it may not change with a version of any library."""
    lines = (
        '["item_id", "title", "brand", "genres", "year"]\n'
        '["1", "One", null, ["Drama"], 1999]\n'
        '["2", "Two", "B", [], null]\n'
        '["3", "Three", "C", ["Comedy", "War"], 2001]\n'
    )
    assert catalogue_hash(items) == hashlib.sha256(lines.encode()).hexdigest()
