"""Rows as JSON and Python write them: each form gives the same objects, one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fame.data.jsonforms import json_rows
from fame.data.opening import opened
from fame.errors import DataError

ROWS = [
    {"user": "ann", "item": 'x "1"', "tags": ["a", None], "rating": 4.5},
    {"user": "bob\n", "item": "ü", "tags": [], "rating": None},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
PLAIN = [{"user": "ann", "item": "x"}, {"user": "bob", "item": "y"}]


def read(path: Path, content: str) -> tuple[list[dict[str, Any]], str, str] | None:
    path.write_text(content, encoding="utf-8")
    with opened(path) as file:
        found = json_rows(file)
        if found is None:
            return None
        return [row for row, _ in found.objects()], found.form, found.unit


@pytest.mark.parametrize(
    ("content", "form", "unit"),
    [
        (LINES, "JSON lines", "line"),
        ("\n" + LINES.replace("\n", "\n\n"), "JSON lines", "line"),
        (json.dumps(ROWS), "a JSON array", "entry"),
        (json.dumps(ROWS, indent=2, ensure_ascii=False) + "\n", "a JSON array", "entry"),
        (json.dumps({"reviews": ROWS}), "a JSON array under 'reviews'", "entry"),
        (json.dumps({"n": 2, "all": ROWS}, indent=1), "a JSON array under 'all'", "entry"),
        (" ".join(json.dumps(row, indent=1) for row in ROWS), "JSON objects", "entry"),
        ("".join(f"{row!r}\n\n" for row in ROWS), "dictionaries of Python, one a line", "line"),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path: Path, content: str, form: str, unit: str) -> None:
    assert read(tmp_path / "f", content) == (ROWS, form, unit)


def test_columns_by_name_give_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame(PLAIN)
    for content in (frame.to_json(), frame.to_json(indent=2), json.dumps(frame.to_dict("list"))):
        assert content is not None
        assert read(tmp_path / "f", content) == (PLAIN, "columns in JSON", "entry")


@pytest.mark.parametrize(
    "row",
    [
        {"session": 1, "events": [{"aid": 1, "ts": 2}]},  # a row whose list is its own
        {"user": "a", "items": ["x", "y"]},
        {"a": [1, 2], "b": [1]},
        {"user": {"0": "a"}, "item": {"1": "b"}},
    ],
)
def test_one_object_is_a_row(tmp_path: Path, row: dict[str, Any]) -> None:
    for indent in (None, 1):
        found = read(tmp_path / "f", json.dumps(row, indent=indent))
        assert found is not None and found[0] == [row]


@pytest.mark.parametrize("content", ["user,item\na,b\n", "[user],item\na,b\n", "  x{\n", "[1, 2]"])
def test_other_text_is_left_to_others(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "f", content) is None


def test_words_for_missing_numbers_are_missing_values(tmp_path: Path) -> None:
    """Python's own writer puts NaN where a float is missing, which is no JSON."""
    found = read(tmp_path / "f", json.dumps([{"user": "a", "rating": float("nan")}]))
    assert found is not None and found[0] == [{"user": "a", "rating": None}]


def test_python_is_read_and_never_run(tmp_path: Path) -> None:
    """As the metadata of 2014: tuples, odd escapes, words that JSON does not have."""
    first = "{'asin': 'B1', 'title': \"It's \\/ x\", 'ok': True, 'brand': None, 'at': (1, 2)}\n"
    found = read(tmp_path / "f", first)
    title = "It's \\/ x"
    assert found is not None
    assert found[0] == [{"asin": "B1", "title": title, "ok": True, "brand": None, "at": [1, 2]}]
    ran = tmp_path / "ran"
    for call in (f"open({str(ran)!r}, 'w')", "__import__('os').getcwd()", "1 .__class__"):
        with pytest.raises(DataError, match="f, line 2 is no dictionary as Python prints one"):
            read(tmp_path / "f", f"{first}{{'asin': {call}}}\n")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"a": 1},\n {"a": 2}', r"f, line 2 is no JSON .there is no '\]' that ends the array"),
        ('[{"a": 1}\n {"a": 2}]', r"f, line 2 is no JSON .there is no ',' or '\]' behind an entry"),
        ('[{"a": 1},\n', "f, line 2 is no JSON .Expecting value"),
        ('[{"a": 1},\n {"a": }]', "f, line 2 is no JSON .Expecting value"),
        ('[{"a": 1}]\n{"a": 2}', "f, line 2 is no JSON .text follows the array"),
        ('[{"a": 1}, 2]', "f, entry 2 is no JSON object"),
        ('{\n"a": 1,\n', "f, line 2 is no JSON .Expecting property name|f, line 3 is no JSON"),
        ('{\n"a": 1}\n[2]', "f, entry 2 is no JSON object"),
        ('[{"a": ' + "9" * 5_000 + "}]", "f, line 1 is no JSON .it nests or counts beyond"),
        ('[{"a": ' + "[" * 100_000, "f, line 1 is no JSON .it nests or counts beyond"),
        ("{'a': 1}\n{'a': {1: {2}}, (1, 2): 3}\n", "f, line 2 holds what JSON has no words for"),
        ("{'a': 1}\n\n{'a': 2\n", "f, line 3 is no dictionary as Python prints one"),
        ("{'a': 1}\n{'a': 1e999}\n", "f, line 2 holds what JSON has no words for"),
    ],
)
def test_what_does_not_go_on_as_it_began_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(tmp_path / "f", content)
    assert "\n" not in str(caught.value)
